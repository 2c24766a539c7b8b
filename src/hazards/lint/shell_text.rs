//! Shell text read as far as the lint needs it: command lines, here-documents and YAML in fences of Markdown. Prose around
//! them is skipped, what sets variables is [`crate::hazards::lint::shell_variables`]. Nothing is run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::hazards::lint::limits::{AROUND, COMMANDS, NESTED, cut};
use crate::hazards::lint::shell_quotes::{Quotes, is_open, simple_commands, skip};
use crate::hazards::lint::shell_variables::{Variables, assignment, is_keyword};

/// A piece of the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// A whole command, continued lines joined.
    Command(Line),
    /// `kubectl apply -f - <<EOF` and what it is fed; a fenced block of YAML has no command.
    Here { line: usize, command: String, body: String, replaced: Replaced, set: Vec<Unset>, outside: Vec<Unset> },
    /// What was left out, in one sentence.
    LeftOut(String),
}

/// A command that the lint knows, with what stands around it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    pub line: usize,
    pub text: String,
    /// The whole line that it is a part of: a loop, a pipe.
    pub whole: Arc<str>,
    /// What is said or shown around it: a few lines before and after.
    pub near: Arc<str>,
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
    collect(line, 0, &mut all);
    all
}

fn collect(line: &str, depth: usize, all: &mut Vec<String>) {
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
        words.iter().for_each(|word| collect_substituted(word, depth, all));
    }
}

/// What stands in the `$(…)` of a word, each looked at once: those inside of one are found when it is read.
fn collect_substituted(word: &str, depth: usize, all: &mut Vec<String>) {
    if depth >= NESTED || !word.contains("$(") {
        return;
    }
    let chars: Vec<char> = word.chars().collect();
    let mut at = 0;
    while at + 1 < chars.len() {
        if (chars[at], chars[at + 1]) != ('$', '(') {
            at += 1;
            continue;
        }
        let end = skip(&chars, at);
        let closed = end > at + 2 && chars[end - 1] == ')';
        let inner: String = chars[at + 2..if closed { end - 1 } else { end }].iter().collect();
        match inner.trim_start().starts_with("kubectl ") {
            true => collect(&inner, depth + 1, all),
            false => collect_substituted(&inner, depth + 1, all),
        }
        at = end;
    }
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
        let (mut longer, mut end, mut quotes) = (whole.clone(), last, Quotes::default());
        quotes.read(&longer);
        // An apostrophe of prose is never closed.
        while quotes.is_open() && end + 1 < lines.len() && !lines[end + 1].trim().is_empty() && end - last < 200 {
            end += 1;
            longer.truncate(longer.trim_end_matches('\\').len());
            quotes.end_line();
            for part in [" ", lines[end].trim()] {
                longer.push_str(part);
                quotes.read(part);
            }
        }
        if !quotes.is_open() {
            return (longer, end);
        }
    }
    (whole, last)
}

/// Reads a whole text.
#[expect(clippy::too_many_lines, reason = "one automaton over one text")]
pub fn pieces(text: &str) -> Vec<Piece> {
    let lines: Vec<&str> = text.lines().collect();
    let fenced = lines.iter().any(|line| line.trim().starts_with("```"));
    let ends = Ends::of(&lines);
    let mut variables = Variables::of(&logical(&lines, fenced, &ends));
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
                    all.push(Piece::Here {
                        line: first,
                        command: String::new(),
                        body,
                        replaced,
                        set: Vec::new(),
                        outside: Vec::new(),
                    });
                }
                continue;
            }
            inside = !inside;
            index += 1;
            continue;
        }
        let (line, last) = joined(&lines, index);
        let mark = here_mark(&line).filter(|(mark, _, _)| {
            ends.behind(mark, last).is_some() || line.contains("cat ") || line.contains("kubectl ")
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
                    true => all.push(Piece::Here {
                        line: last + 1,
                        command,
                        body,
                        replaced,
                        set: Vec::new(),
                        outside: Vec::new(),
                    }),
                    false => all.push(here(last + 1, command, &body, replaced, &variables)),
                }
            }
            continue;
        }
        let found = commands(&line);
        if !found.is_empty() {
            // As far as the next command: what that one shows is its own.
            let after = lines[last + 1..].iter().take(12).take_while(|line| !line.contains("kubectl "));
            let before = lines[index.saturating_sub(2)..=last].iter();
            let near = before.chain(after).map(|line| cut(line, AROUND)).collect::<Vec<&str>>().join("\n");
            let (whole, near): (Arc<str>, Arc<str>) = (cut(&line, AROUND).into(), cut(&near, AROUND).into());
            let line = |text| Line { line: first, text, whole: Arc::clone(&whole), near: Arc::clone(&near) };
            all.extend(found.into_iter().take(COMMANDS).map(|text| Piece::Command(line(text))));
        }
        index = last + 1;
    }
    if variables.too_long() {
        let sentence = "its variables stand for more text than is followed; what a shell would put there is not judged";
        all.push(Piece::LeftOut(sentence.to_owned()));
    }
    all
}

/// Where each line that may end a here-document stands: to be asked for each that begins.
struct Ends<'a>(BTreeMap<&'a str, Vec<usize>>);

impl<'a> Ends<'a> {
    fn of(lines: &[&'a str]) -> Self {
        let mut all: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, line) in lines.iter().enumerate() {
            all.entry(line.trim()).or_default().push(index);
        }
        Self(all)
    }

    /// The first such line behind the line `last`.
    fn behind(&self, mark: &str, last: usize) -> Option<usize> {
        let all = self.0.get(mark)?;
        all.get(all.partition_point(|at| *at <= last)).copied()
    }
}

/// The lines outside of here-documents (and inside of fences, where there are any), continued ones joined.
fn logical(lines: &[&str], fenced: bool, ends: &Ends<'_>) -> Vec<String> {
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
            && let Some(end) = ends.behind(&mark, last)
        {
            index = end + 1;
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
        let (body, outside) = (Variables::bare(body), unset(line, body, variables));
        return Piece::Here { line, command, body, replaced, set: Vec::new(), outside };
    }
    let (body_as_shell, _) = variables.replace(body);
    let set = unset(line, body, variables);
    Piece::Here { line, command, body: body_as_shell, replaced, set, outside: Vec::new() }
}

/// The variables of a body that nothing sets, each once.
fn unset(line: usize, body: &str, variables: &Variables) -> Vec<Unset> {
    let mut named = BTreeSet::new();
    let mut set: Vec<Unset> = Vec::new();
    for (offset, text) in body.lines().enumerate() {
        let unset = Variables::used(text).into_iter().filter(|name| !variables.is_set(name));
        set.extend(unset.filter(|name| named.insert(name.clone())).map(|name| Unset { name, line: line + 1 + offset }));
    }
    set
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
                outside: Vec::new(),
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
                    Piece::LeftOut(sentence) => sentence,
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
