//! Shell text read as far as the lint needs it: command lines, here-documents, assignments, and replacing variables as a
//! shell would. Markdown around it is skipped. Nothing is run.

use std::collections::BTreeMap;

/// A piece of the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// A whole command, continued lines joined.
    Command { line: usize, text: String },
    /// `kubectl apply -f - <<EOF` and what it is fed; a fenced block of YAML has no command.
    Here { line: usize, command: String, body: String, set: Vec<Unset> },
}

/// A variable that a here-document uses and nothing sets, although others that it uses are set here.
#[derive(Clone, Debug, PartialEq)]
pub struct Unset {
    pub name: String,
    pub line: usize,
}

/// Whether a text is shell (or prose with shell in it) and not plain YAML.
pub fn is_shell(text: &str) -> bool {
    // A script inside an object does not make the object a script.
    let first =
        text.lines().map(str::trim_end).find(|line| !line.is_empty() && *line != "---" && !line.starts_with('#'));
    if first.is_some_and(|line| ["apiVersion:", "kind:", "metadata:", "spec:"].iter().any(|key| line.starts_with(key)))
    {
        return false;
    }
    text.lines().any(|line| {
        let line = line.trim();
        line.starts_with("```") || line.contains("<<") && here_mark(line).is_some() || is_command(line)
    })
}

/// A line that begins a command which the lint knows.
fn is_command(line: &str) -> bool {
    let line = line.trim_start_matches("$ ").trim_start();
    line.starts_with("kubectl ") || line.starts_with("curl ")
}

/// The end mark of a here-document, and whether it is quoted (nothing is replaced then).
fn here_mark(line: &str) -> Option<(String, bool, bool)> {
    let after = line.split_once("<<")?.1;
    if after.starts_with('<') {
        return None;
    }
    let (after, tabs) = match after.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (after, false),
    };
    let after = after.trim_start();
    let quoted = after.starts_with(['\'', '"']);
    let mark: String =
        after.trim_start_matches(['\'', '"']).chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (!mark.is_empty()).then_some((mark, quoted, tabs))
}

/// `name=value`, with or without `export` and quotes.
fn assignment(line: &str) -> Option<(String, String)> {
    let line = line.trim().trim_start_matches("export ").trim_start();
    let (name, value) = line.split_once('=')?;
    let named = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let value = value.trim();
    let quoted = |mark: char| value.len() >= 2 && value.starts_with(mark) && value.ends_with(mark);
    let value = if quoted('"') || quoted('\'') { &value[1..value.len() - 1] } else { value };
    (named && !value.contains([' ', '`'])).then(|| (name.to_owned(), value.to_owned()))
}

/// Replaces `${name}` and `$name` where the variable is set; names the ones that are not.
pub fn replace(text: &str, set: &BTreeMap<String, String>, otherwise: Option<&str>) -> (String, Vec<String>) {
    let mut out = String::with_capacity(text.len());
    let mut unset = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let braced = from.starts_with("${");
        let start = if braced { 2 } else { 1 };
        let name: String = from[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let whole = start + name.len() + usize::from(braced);
        let closed = !braced || from[start + name.len()..].starts_with('}');
        if name.is_empty() || !closed {
            out.push('$');
            rest = &from[1..];
            continue;
        }
        match set.get(&name) {
            Some(value) => out.push_str(value),
            None => {
                out.push_str(otherwise.unwrap_or(&from[..whole]));
                unset.push(name);
            }
        }
        rest = &from[whole..];
    }
    out.push_str(rest);
    (out, unset)
}

/// Reads a whole text.
pub fn pieces(text: &str) -> Vec<Piece> {
    let lines: Vec<&str> = text.lines().collect();
    let mut set = BTreeMap::new();
    let mut all = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let line = lines[index];
        let first = index + 1;
        let trimmed = line.trim();
        if let Some((mark, quoted, tabs)) = here_mark(trimmed) {
            let ends = |line: &str| line.trim() == mark;
            let body: Vec<&str> = lines[index + 1..].iter().take_while(|line| !ends(line)).copied().collect();
            index += body.len() + 2;
            let body = outdented(&body, tabs);
            let (command, _) = replace(trimmed, &set, None);
            all.push(here(first, command, &body, quoted, &set));
            continue;
        }
        if trimmed == "```yaml" || trimmed == "```yml" {
            let body: Vec<&str> = lines[index + 1..].iter().take_while(|line| line.trim() != "```").copied().collect();
            index += body.len() + 2;
            all.push(here(first, String::new(), &outdented(&body, false), false, &set));
            continue;
        }
        if let Some((name, value)) = assignment(trimmed) {
            let (value, _) = replace(&value, &set, Some(""));
            set.insert(name, value);
        } else if is_command(trimmed) {
            let mut whole = trimmed.trim_start_matches("$ ").to_owned();
            while whole.ends_with('\\') && index + 1 < lines.len() {
                whole.pop();
                index += 1;
                whole.push_str(lines[index].trim());
            }
            all.push(Piece::Command { line: first, text: whole });
        }
        index += 1;
    }
    all
}

fn here(line: usize, command: String, body: &str, quoted: bool, set: &BTreeMap<String, String>) -> Piece {
    if quoted {
        return Piece::Here { line, command, body: body.to_owned(), set: Vec::new() };
    }
    let (_, unset) = replace(body, set, None);
    let (_, uses) = replace(body, &BTreeMap::new(), None);
    // Variables that are set nowhere in the text are the reader's to set; one among others that are is forgotten.
    let forgotten = uses.iter().any(|name| set.contains_key(name));
    if !forgotten {
        return Piece::Here { line, command, body: body.to_owned(), set: Vec::new() };
    }
    let (body_as_shell, _) = replace(body, set, Some(""));
    let place = |name: &String| {
        let used = |text: &str| text.contains(&format!("${{{name}}}")) || text.contains(&format!("${name}"));
        line + 1 + body.lines().position(used).unwrap_or(0)
    };
    let mut set: Vec<Unset> = unset.iter().map(|name| Unset { name: name.clone(), line: place(name) }).collect();
    set.dedup();
    Piece::Here { line, command, body: body_as_shell, set }
}

/// Without the indentation that all lines share: a document inside a list of a text.
fn outdented(lines: &[&str], tabs: bool) -> String {
    let full = lines.iter().filter(|line| !line.trim().is_empty());
    let indent = full.map(|line| line.len() - line.trim_start_matches([' ', '\t']).len()).min().unwrap_or(0);
    let cut = |line: &&str| match tabs {
        true => line.trim_start_matches('\t').to_owned(),
        false => line.get(indent..).unwrap_or_default().to_owned(),
    };
    lines.iter().map(|line| cut(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_a_shell_would() {
        let set = BTreeMap::from([("a".to_owned(), "x".to_owned()), ("a_b".to_owned(), "y".to_owned())]);
        for (text, expected, unset) in [
            ("${a}-$a_b", "x-y", 0),
            ("${b}.$b", ".", 2),
            ("$ ${ $1", "$ ${ ", 1),
            ("日本 ${a}", "日本 x", 0),
            ("${a", "${a", 0),
        ] {
            let (found, missing) = replace(text, &set, Some(""));
            assert_eq!((found.as_str(), missing.len()), (expected, unset), "{text}");
        }
        assert_eq!(replace("${b}", &set, None).0, "${b}");
    }

    #[test]
    fn pieces_of_a_text() {
        let text = "Some prose.\n\n    ```bash\n    name=\"one\"\n    cat << EOF | kubectl apply -n ${name} -f -\n    a:\n      b: ${name}\n      c: ${other}\n    EOF\n    kubectl get x \\\n      -n y\n    ```\n```yaml\nk: v\n```\n";
        assert!(is_shell(text));
        let found = pieces(text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(
            found[0],
            Piece::Here {
                line: 5,
                command: "cat << EOF | kubectl apply -n one -f -".into(),
                body: "a:\n  b: one\n  c: \n".into(),
                set: vec![Unset { name: "other".into(), line: 8 }],
            }
        );
        assert_eq!(found[1], Piece::Command { line: 10, text: "kubectl get x -n y".into() });
        assert!(matches!(&found[2], Piece::Here { line: 13, body, .. } if body == "k: v\n"));
        assert!(!is_shell("apiVersion: v1\nkind: Secret\n"));
        assert!(!is_shell("---\n# job\napiVersion: v1\nkind: ConfigMap\ndata:\n  run: |\n    kubectl get x\n"));
        assert!(pieces("cat <<< \"text\"\ncat << EOF\nno end").len() == 1);
    }
}
