//! Shell text read as far as the lint needs it: command lines, here-documents and YAML in fences of Markdown. Prose around
//! them is skipped, what sets variables is [`super::variables`]. Nothing is run.

use super::variables::{Variables, assignment, is_keyword, is_open, simple_commands};

/// A piece of the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// A whole command, continued lines joined.
    Command(Line),
    /// `kubectl apply -f - <<EOF` and what it is fed; a fenced block of YAML has no command.
    Here { line: usize, command: String, body: String, replaced: Replaced, set: Vec<Unset> },
}

/// A command that the lint knows, with what stands around it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    pub line: usize,
    pub text: String,
    /// The whole line that it is a part of: a loop, a pipe.
    pub whole: String,
    /// What is said or shown around it: a few lines before and after.
    pub near: String,
}

/// Who replaces the variables of a here-document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The shell, or the reader who copies it.
    ByShell,
    /// Nobody: its mark is quoted, and nothing behind it replaces anything either.
    ByNobody,
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
    let object = ["apiVersion:", "kind:", "metadata:", "spec:", "{{"]
        .iter()
        .any(|key| first.is_some_and(|line| line.starts_with(key)));
    if object {
        return false;
    }
    text.starts_with("#!")
        || text.lines().any(|line| {
            let line = line.trim();
            line.starts_with("```") || here_mark(line).is_some() || !commands(line).is_empty()
        })
}

/// The commands of a line that the lint knows, also inside of `$(…)`.
fn commands(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    for words in simple_commands(line) {
        let own = words.iter().skip_while(|word| is_keyword(word) || assignment(word).is_some());
        let own: Vec<&str> = own
            .map(String::as_str)
            .skip_while(|word| matches!(*word, "sudo" | "env" | "exec" | "watch" | "nohup"))
            .collect();
        let own: Vec<&str> = own.into_iter().skip_while(|word| assignment(word).is_some()).collect();
        if let ["kubectl" | "curl", _, ..] = own.as_slice() {
            all.push(own.join(" "));
        }
        for word in &words {
            for (at, _) in word.match_indices("$(") {
                let inner = word[at + 2..].rsplit_once(')').map_or(&word[at + 2..], |(inner, _)| inner);
                if inner.trim_start().starts_with("kubectl ") {
                    all.extend(commands(inner));
                }
            }
        }
    }
    all
}

/// The end mark of a here-document, whether it is quoted (nothing is replaced then), and whether tabs are cut.
fn here_mark(line: &str) -> Option<(String, bool, bool)> {
    let (before, after) = line.split_once("<<")?;
    if after.starts_with('<') || before.trim_start().starts_with('#') || before.ends_with("((") {
        return None;
    }
    let (after, tabs) = match after.strip_prefix(['-', '~']) {
        Some(rest) => (rest, true),
        None => (after, false),
    };
    let after = after.trim_start();
    let quoted = after.starts_with(['\'', '"', '\\']);
    let mark: String = after
        .trim_start_matches(['\'', '"', '\\'])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    // `1 << 2` is arithmetic.
    mark.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then_some((mark, quoted, tabs))
}

/// A line with those that continue it: behind a backslash, and where a quote is left open.
fn joined(lines: &[&str], index: usize) -> (String, usize) {
    let mut whole = lines[index].trim().trim_start_matches("$ ").to_owned();
    let mut last = index;
    while whole.ends_with('\\') && last + 1 < lines.len() {
        whole.pop();
        last += 1;
        whole.push_str(lines[last].trim());
    }
    let begins =
        !commands(&whole).is_empty() || whole.split_whitespace().next().is_some_and(|word| assignment(word).is_some());
    if begins && here_mark(&whole).is_none() && is_open(&whole) {
        let (mut longer, mut end) = (whole.clone(), last);
        // An apostrophe of prose is never closed.
        while is_open(&longer) && end + 1 < lines.len() && !lines[end + 1].trim().is_empty() && end - last < 200 {
            end += 1;
            longer = format!("{} {}", longer.trim_end_matches('\\'), lines[end].trim());
        }
        if !is_open(&longer) {
            return (longer, end);
        }
    }
    (whole, last)
}

/// Reads a whole text.
pub fn pieces(text: &str) -> Vec<Piece> {
    let lines: Vec<&str> = text.lines().collect();
    let fenced = lines.iter().any(|line| line.trim().starts_with("```"));
    let mut variables = Variables::of(&logical(&lines, fenced));
    let replacers = ["envsubst", "gomplate", "mustache", "sed ", "perl ", "m4 ", "helm ", "kustomize "];
    let replaces = |text: &str| replacers.iter().any(|word| text.contains(word));
    let mut all = Vec::new();
    let (mut index, mut inside) = (0, false);
    while index < lines.len() {
        let first = index + 1;
        let trimmed = lines[index].trim();
        if trimmed.starts_with("```") {
            let yaml = ["```yaml", "```yml"].iter().any(|fence| trimmed.starts_with(fence));
            if !inside && yaml {
                let body: Vec<&str> =
                    lines[index + 1..].iter().take_while(|line| !line.trim().starts_with("```")).copied().collect();
                index += body.len() + 2;
                let body = outdented(&body, false);
                if is_object(&body) {
                    // No shell reads it: what looks like a variable is the reader's to set.
                    let (body, replaced) = (Variables::bare(&body), Replaced::ByShell);
                    all.push(Piece::Here { line: first, command: String::new(), body, replaced, set: Vec::new() });
                }
                continue;
            }
            inside = !inside;
            index += 1;
            continue;
        }
        let (line, last) = joined(&lines, index);
        let mark = here_mark(&line).filter(|(mark, _, _)| {
            let ends = lines[last + 1..].iter().any(|line| line.trim() == mark);
            ends || line.contains("cat ") || line.contains("kubectl ")
        });
        if !fenced || inside {
            variables.read(&line);
        }
        if let Some((mark, quoted, tabs)) = mark {
            let body: Vec<&str> = lines[last + 1..].iter().take_while(|line| line.trim() != mark).copied().collect();
            index = last + body.len() + 2;
            let body = outdented(&body, tabs);
            let command = variables.known(&line);
            if is_object(&body) || line.contains("kubectl ") {
                // Into a file: whether something replaces it later is in the rest of the text.
                let literal = quoted && !replaces(if line.contains("kubectl ") { &line } else { text });
                let replaced = if literal { Replaced::ByNobody } else { Replaced::ByShell };
                match quoted {
                    true => all.push(Piece::Here { line: last + 1, command, body, replaced, set: Vec::new() }),
                    false => all.push(here(last + 1, command, &body, replaced, &variables)),
                }
            }
            continue;
        }
        for text in commands(&line) {
            // As far as the next command: what that one shows is its own.
            let after = lines[last + 1..].iter().take(12).take_while(|line| !line.contains("kubectl "));
            let before = lines[index.saturating_sub(2)..=last].iter();
            let near = before.chain(after).copied().collect::<Vec<&str>>().join("\n");
            all.push(Piece::Command(Line { line: first, text, whole: line.clone(), near }));
        }
        index = last + 1;
    }
    all
}

/// The lines outside of here-documents (and inside of fences, where there are any), continued ones joined.
fn logical(lines: &[&str], fenced: bool) -> Vec<String> {
    let mut all = Vec::new();
    let (mut index, mut inside) = (0, false);
    while index < lines.len() {
        if lines[index].trim().starts_with("```") {
            inside = !inside;
            index += 1;
            continue;
        }
        let (line, last) = joined(lines, index);
        index = last + 1;
        if let Some((mark, _, _)) = here_mark(&line)
            && let Some(end) = lines[index..].iter().position(|line| line.trim() == mark)
        {
            index += end + 1;
        }
        if !fenced || inside {
            all.push(line);
        }
    }
    all
}

/// Whether a text looks like an object of Kubernetes, or like a request for a certificate.
fn is_object(body: &str) -> bool {
    let keyed = body.lines().any(|line| ["apiVersion:", "kind:"].iter().any(|key| line.trim_start().starts_with(key)));
    keyed || body.trim_start().starts_with('{')
}

fn here(line: usize, command: String, body: &str, replaced: Replaced, variables: &Variables) -> Piece {
    // Variables that are set nowhere in the text are the reader's to set; one among others that are is forgotten.
    let uses = Variables::used(body);
    let forgotten = uses.iter().any(|name| variables.knows(name));
    if !forgotten {
        return Piece::Here { line, command, body: Variables::bare(body), replaced, set: Vec::new() };
    }
    let (body_as_shell, _) = variables.replace(body);
    let mut set: Vec<Unset> = Vec::new();
    for name in uses.into_iter().filter(|name| !variables.is_set(name)) {
        let used = |text: &str| text.contains(&format!("${{{name}}}")) || text.contains(&format!("${name}"));
        let line = line + 1 + body.lines().position(used).unwrap_or(0);
        if !set.iter().any(|known| known.name == name) {
            set.push(Unset { name, line });
        }
    }
    Piece::Here { line, command, body: body_as_shell, replaced, set }
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
    fn pieces_of_a_text() {
        let text = "Some prose.\n\n    ```bash\n    name=\"one\"\n    cat << EOF | kubectl apply -n ${name} -f -\n    kind: a\n    b: ${name}\n    c: ${other}\n    EOF\n    kubectl get x \\\n      -n y\n    ```\n```yaml\nkind: v\n```\n";
        assert!(is_shell(text));
        let found = pieces(text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(
            found[0],
            Piece::Here {
                line: 5,
                command: "cat << EOF | kubectl apply -n one -f -".into(),
                body: "kind: a\nb: one\nc: \n".into(),
                replaced: Replaced::ByShell,
                set: vec![Unset { name: "other".into(), line: 8 }],
            }
        );
        assert!(matches!(&found[1], Piece::Command(Line { line: 10, text, .. }) if text == "kubectl get x -n y"));
        assert!(matches!(&found[2], Piece::Here { line: 13, body, .. } if body == "kind: v\n"));
        assert!(!is_shell("apiVersion: v1\nkind: Secret\n"));
        assert!(!is_shell("---\n# job\napiVersion: v1\nkind: ConfigMap\ndata:\n  run: |\n    kubectl get x\n"));
        assert!(pieces("cat <<< \"text\"\ncat << EOF\nkind: x").len() == 1);
        assert!(pieces("x=$((1<<2))\nkubectl get tc\n").len() == 1);
    }

    #[test]
    fn commands_in_all_places() {
        for (text, expected) in [
            ("kubectl get tc", &["kubectl get tc"][..]),
            ("$ kubectl get tc", &["kubectl get tc"]),
            ("sudo kubectl get tc", &["kubectl get tc"]),
            ("KUBECONFIG=x kubectl get tc", &["kubectl get tc"]),
            ("for c in a b; do kubectl --context $c get tc; done", &["kubectl --context $c get tc"]),
            ("until [ -z \"$(kubectl get pods -l a=b)\" ]; do sleep 1; done", &["kubectl get pods -l a=b"]),
            ("x=$(kubectl get tc -o name)", &["kubectl get tc -o name"]),
            ("kubectl patch tc x -p '{\n  \"spec\": {}\n}'", &["kubectl patch tc x -p '{ \"spec\": {} }'"]),
            ("cd x && kubectl apply -f y", &["kubectl apply -f y"]),
            ("echo kubectl get tc", &[]),
            ("# kubectl get tc", &[]),
            ("Use kubectl for it.", &[]),
        ] {
            let found = pieces(text);
            let found: Vec<&str> = found
                .iter()
                .map(|piece| match piece {
                    Piece::Command(line) => line.text.as_str(),
                    Piece::Here { command, .. } => command,
                })
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_here_document_behind_a_continued_line() {
        let found = pieces("kubectl -n x \\\n  apply -f - <<'EOF'\nkind: a\nb: ${c}\nEOF\nkubectl get tc\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            matches!(&found[0], Piece::Here { line: 2, body, replaced: Replaced::ByNobody, .. } if body == "kind: a\nb: ${c}\n")
        );
        let through = pieces("envsubst <<'EOF' | kubectl apply -f -\nkind: ${a}\nEOF\n");
        assert!(matches!(&through[0], Piece::Here { replaced: Replaced::ByShell, .. }), "{through:?}");
        // A script, a configuration: no object, and none that cannot be read.
        assert!(pieces("cat <<EOF > run.sh\n#!/bin/sh\nexec x: [\nEOF\n").is_empty());
    }
}
