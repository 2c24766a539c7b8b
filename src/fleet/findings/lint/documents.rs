//! Texts read into a set of objects, each with the file and the lines it came from.
//!
//! A document that is no YAML, or no object at all, is said as such, never skipped in silence.

use serde_json::Value;

use super::shell::{Piece, Unset, is_shell, pieces};
use super::{Subject, Text};

/// One object.
#[derive(Clone, Debug)]
pub struct Document {
    pub file: String,
    /// First line of its text in the file, from 1.
    pub first_line: usize,
    pub text: String,
    pub value: Value,
    /// From the object, else from the `-n` of the command it is fed to.
    pub namespace: String,
    /// It stood in shell text: what looks like a variable there is the reader's to set.
    pub in_shell: bool,
}

/// A command line of shell text.
#[derive(Clone, Debug)]
pub struct Command {
    pub file: String,
    pub line: usize,
    pub text: String,
}

/// A variable which nothing sets.
#[derive(Clone, Debug)]
pub struct Forgotten {
    pub file: String,
    pub variable: Unset,
}

#[derive(Clone, Debug, Default)]
pub struct Set {
    pub documents: Vec<Document>,
    pub commands: Vec<Command>,
    pub forgotten: Vec<Forgotten>,
    /// One sentence for each text that could not be read.
    pub unreadable: Vec<String>,
}

impl Set {
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Document> {
        self.documents.iter().filter(move |document| document.kind() == kind)
    }
}

pub fn read(texts: &[Text]) -> Set {
    let mut set = Set::default();
    for Text { file, text } in texts {
        if !is_shell(text) {
            take(&mut set, file, 1, text, "", false);
            continue;
        }
        for piece in pieces(text) {
            match piece {
                Piece::Command { line, text } => set.commands.push(Command { file: file.clone(), line, text }),
                Piece::Here { line, command, body, set: unset } => {
                    if command.contains("kubectl") {
                        set.commands.push(Command { file: file.clone(), line, text: command.clone() });
                    }
                    let namespace = flag(&command, "-n", "--namespace").unwrap_or_default();
                    set.forgotten.extend(unset.into_iter().map(|variable| Forgotten { file: file.clone(), variable }));
                    take(&mut set, file, line + 1, &body, &namespace, true);
                }
            }
        }
    }
    set
}

/// The value of a flag of a command line.
pub fn flag(command: &str, short: &str, long: &str) -> Option<String> {
    let mut words = command.split_whitespace();
    while let Some(word) = words.next() {
        if word == short || word == long {
            return words.next().map(|value| value.trim_matches(['"', '\'']).to_owned());
        }
        let joined = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
        let stuck = word.strip_prefix(short).filter(|rest| !rest.is_empty() && !word.starts_with("--"));
        if let Some(value) = joined.or(stuck.map(|rest| rest.trim_start_matches('='))) {
            return Some(value.trim_matches(['"', '\'']).to_owned());
        }
    }
    None
}

fn take(set: &mut Set, file: &str, first_line: usize, text: &str, namespace: &str, in_shell: bool) {
    let mut start = first_line;
    let mut body = String::new();
    let mut parts = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            parts.push((start, std::mem::take(&mut body)));
            start = first_line + index + 1;
            continue;
        }
        body.push_str(line);
        body.push('\n');
    }
    parts.push((start, body));
    for (line, text) in parts {
        let bare = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
        if bare {
            continue;
        }
        match serde_saphyr::from_str::<Value>(&text) {
            Ok(value @ Value::Object(_)) => add(set, file, line, &text, value, namespace, in_shell),
            Ok(_) => set.unreadable.push(format!("{file}:{line}: expected an object, found another kind of YAML")),
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().next().unwrap_or_default();
                set.unreadable.push(format!("{file}:{line}: this is not YAML: {why}"));
            }
        }
    }
}

fn add(set: &mut Set, file: &str, line: usize, text: &str, value: Value, namespace: &str, in_shell: bool) {
    // `kind: List` holds objects of its own; their lines are the list's.
    if value.get("kind").and_then(Value::as_str) == Some("List") {
        for item in value.get("items").and_then(Value::as_array).into_iter().flatten() {
            add(set, file, line, text, item.clone(), namespace, in_shell);
        }
        return;
    }
    let own = value.pointer("/metadata/namespace").and_then(Value::as_str);
    let namespace = own.unwrap_or(namespace).to_owned();
    let text = text.to_owned();
    set.documents.push(Document { file: file.to_owned(), first_line: line, text, value, namespace, in_shell });
}

impl Document {
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.as_str()
    }

    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.value, |value, key| value.get(*key)).filter(|value| !value.is_null())
    }

    pub fn kind(&self) -> &str {
        self.text_at(&["kind"]).unwrap_or_default()
    }

    pub fn api_version(&self) -> &str {
        self.text_at(&["apiVersion"]).unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.text_at(&["metadata", "name"]).unwrap_or_default()
    }

    pub fn subject(&self) -> Subject {
        let kind = match self.kind() {
            "TidbCluster" => "TidbCluster",
            "Certificate" => "Certificate",
            "Issuer" => "Issuer",
            "Secret" => "Secret",
            _ => "document",
        };
        Subject {
            kind,
            context: String::new(),
            namespace: self.namespace.clone(),
            name: if self.name().is_empty() {
                format!("at {}:{}", self.file, self.first_line)
            } else {
                self.name().into()
            },
        }
    }

    /// The line of a field, or of the nearest of its parents that is written down.
    pub fn line(&self, path: &[&str]) -> usize {
        let lines: Vec<&str> = self.text.lines().collect();
        let indent = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
        let first = lines.iter().position(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        let (mut found, mut from, mut deeper) = (first.unwrap_or(0), 0, None::<usize>);
        for key in path {
            let mut next = None;
            for (index, line) in lines.iter().enumerate().skip(from) {
                let bare = line.trim_start_matches([' ', '-']);
                if bare.is_empty() || bare.starts_with('#') {
                    continue;
                }
                let depth = indent(line);
                if deeper.is_some_and(|parent| depth <= parent) {
                    break;
                }
                let bare = bare.trim_start_matches(['"', '\'']);
                let named =
                    bare.strip_prefix(key).is_some_and(|rest| rest.trim_start_matches(['"', '\'']).starts_with(':'));
                // The shallowest of that name: a deeper one of a sibling comes later or not at all.
                if named && (deeper.is_some() || depth == 0 || path.len() == 1) {
                    next = Some((index, depth));
                    break;
                }
            }
            let Some((index, depth)) = next else { break };
            (found, from, deeper) = (index, index + 1, Some(depth));
        }
        self.first_line + found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_fields() {
        let text = "# a comment\nkind: TidbCluster\nmetadata:\n  name: a\nspec:\n  pd:\n    config: {}\n    replicas: 1\n  cluster:\n    name: b\n    clusterDomain: \"\"\n  clusterDomain: c\n";
        let set = read(&[Text { file: "f".into(), text: format!("---\n{text}---\n\n---\n{text}") }]);
        assert_eq!(set.documents.len(), 2);
        let [one, two] = set.documents.as_slice() else { panic!("two documents") };
        assert_eq!(one.line(&["spec", "cluster", "clusterDomain"]), 12);
        assert_eq!(one.line(&["spec", "pd", "replicas"]), 9);
        assert_eq!(one.line(&["spec", "tikv", "config"]), 6, "the nearest parent that is there");
        assert_eq!(two.line(&["kind"]), 18);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let set = read(&[Text { file: "f".into(), text: "a: [\n---\n- 1\n---\nkind: X\n".into() }]);
        assert_eq!((set.documents.len(), set.unreadable.len()), (1, 2), "{:?}", set.unreadable);
        assert!(set.unreadable[1].starts_with("f:3:"), "{:?}", set.unreadable);
    }

    #[test]
    fn flags_in_all_their_forms() {
        for (line, expected) in [
            ("kubectl apply -n a -f -", Some("a")),
            ("kubectl -n=a apply", Some("a")),
            ("kubectl apply --namespace=a", Some("a")),
            ("kubectl apply --namespace \"a\"", Some("a")),
            ("kubectl apply -f x", None),
            ("kubectl apply --no-headers", None),
        ] {
            assert_eq!(flag(line, "-n", "--namespace").as_deref(), expected, "{line}");
        }
    }
}
