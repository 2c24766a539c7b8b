//! Texts read into a set of objects, each with the file and the lines it came from.
//!
//! A document that is no YAML, or no object at all, is said as such, never skipped in silence; a key that stands twice is
//! said, and the document is read as kubectl reads it.

mod parsing;

use std::sync::Arc;

use serde_json::Value;

use self::parsing::take;
pub(super) use self::parsing::value_of;
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::tidbcluster::Component;
use crate::hazards::lint::limits::{COMMANDS, OBJECTS, SHELL_TEXT, TIDB_CLUSTERS};
use crate::hazards::lint::shell_text::{Line, Piece, Replaced, Unset, is_shell, pieces};
use crate::hazards::lint::{Subject, Text};

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
    pub origin: Origin,
}

/// What an object stood in, and by that who replaces placeholders in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// As it is applied: a file, a here-document with a quoted mark.
    File,
    /// A page with blocks to copy.
    Page,
    /// A here-document of a script.
    Script,
    /// A here-document of Terraform.
    Terraform,
    /// Another object.
    Inside,
}

impl Origin {
    /// Of shell text, by its name and its looks.
    fn of(file: &str, text: &str) -> Self {
        let line = |fits: fn(&str) -> bool| text.lines().any(fits);
        if file.ends_with(".tf") || (file.ends_with(".hcl") || line(|line| line.starts_with("resource \""))) {
            return Self::Terraform;
        }
        let page = !text.starts_with("#!") && line(|line| line.trim_start().starts_with("```"));
        if page { Self::Page } else { Self::Script }
    }
}

/// A command line of shell text.
#[derive(Clone, Debug)]
pub struct Command {
    pub file: String,
    pub line: usize,
    pub text: String,
    /// The whole line that it is a part of.
    pub whole: Arc<str>,
    /// The lines around it.
    pub near: Arc<str>,
}

/// A variable which nothing sets.
#[derive(Clone, Debug)]
pub struct Forgotten {
    pub file: String,
    pub variable: Unset,
}

/// A key that stands twice in one mapping.
#[derive(Clone, Debug)]
pub struct Twice {
    pub file: String,
    pub line: usize,
    pub key: String,
}

/// Operations of a JSON patch (RFC 6902) in a file of their own.
#[derive(Clone, Debug)]
pub struct Operations {
    pub file: String,
    pub line: usize,
    pub value: Value,
}

#[derive(Clone, Debug, Default)]
pub struct Set {
    pub documents: Vec<Document>,
    pub commands: Vec<Command>,
    pub forgotten: Vec<Forgotten>,
    /// Variables of a here-document that come from outside of the text.
    pub outside: Vec<Forgotten>,
    pub twice: Vec<Twice>,
    /// One sentence for each text that could not be read.
    pub unreadable: Vec<String>,
    /// What is to be known of what was judged.
    pub notes: Vec<String>,
    /// JSON patches without the object that they are for.
    pub operations: Vec<Operations>,
    /// How many were left out, since there were too many.
    more_objects: usize,
    clusters: usize,
    more_clusters: usize,
    more_commands: usize,
}

impl Set {
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Document> {
        self.documents.iter().filter(move |document| document.kind() == kind)
    }

    fn command(&mut self, file: &str, line: Line) {
        if self.commands.len() >= COMMANDS {
            self.more_commands += 1;
            return;
        }
        let Line { line, text, whole, near } = line;
        self.commands.push(Command { file: file.to_owned(), line, text, whole, near });
    }

    /// The TidbClusters of Operator v1.
    pub fn tidb_clusters(&self) -> impl Iterator<Item = &Document> {
        self.documents.iter().filter(|document| document.is_tidb_cluster())
    }
}

pub fn read(texts: &[Text]) -> Set {
    let mut set = Set::default();
    for Text { file, text } in texts {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if !is_shell(text) {
            take(&mut set, file, 1, text, "", Origin::File);
            continue;
        }
        if text.len() > SHELL_TEXT {
            set.unreadable.push(format!(
                "{file}: {} bytes of shell text, and at most {SHELL_TEXT} are judged; cut it into several files",
                text.len()
            ));
            continue;
        }
        let by_file = Origin::of(file, text);
        for piece in pieces(text) {
            match piece {
                Piece::LeftOut(why) => set.unreadable.push(format!("{file}: {why}")),
                Piece::Command(line) => set.command(file, line),
                Piece::Here { line, command: by, body, replaced, set: unset, outside } => {
                    if by.contains("kubectl") {
                        set.command(file, Line { line, text: by.clone(), ..Line::default() });
                    }
                    let namespace = flag(&by, "-n", "--namespace").unwrap_or_default();
                    set.forgotten.extend(unset.into_iter().map(|variable| Forgotten { file: file.clone(), variable }));
                    let origin = match replaced {
                        Replaced::ByShell => by_file,
                        Replaced::ByNobody => Origin::File,
                    };
                    if origin == Origin::Script {
                        let outside = outside.into_iter().map(|variable| Forgotten { file: file.clone(), variable });
                        set.outside.extend(outside);
                    }
                    take(&mut set, file, line + 1, &body, &namespace, origin);
                }
            }
        }
    }
    for (more, what, most) in [
        (set.more_objects, "objects", OBJECTS),
        (set.more_clusters, "TidbClusters", TIDB_CLUSTERS),
        (set.more_commands, "commands", COMMANDS),
    ] {
        if more > 0 {
            set.unreadable
                .push(format!("{more} more {what} are not judged: {most} are at once; check fewer files together"));
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

impl Document {
    /// Of Operator v1; a fragment may leave its apiVersion out.
    pub fn is_tidb_cluster(&self) -> bool {
        let group = self.api_version().split('/').next().unwrap_or_default();
        self.kind() == "TidbCluster" && matches!(group, "" | "pingcap.com")
    }

    /// A patch of kustomize, or an example of one field: it lacks what every TidbCluster has to have, replicas of its
    /// components and a version of some kind.
    pub fn is_part(&self) -> bool {
        let own: Vec<&Value> =
            Component::ALL.into_iter().filter_map(|component| self.at(&["spec", component.key()])).collect();
        let says =
            |spec: &Value, keys: &[&str]| keys.iter().any(|key| spec.get(key).is_some_and(|value| !value.is_null()));
        let version = self.at(&["spec"]).is_some_and(|spec| says(spec, &["version"]))
            || own.iter().any(|spec| says(spec, &["version", "image", "baseImage"]));
        own.is_empty() || !version || own.iter().any(|spec| !says(spec, &["replicas"]))
    }

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
            "TidbCluster" => SubjectKind::TidbCluster,
            "Certificate" => SubjectKind::Certificate,
            "Issuer" => SubjectKind::Issuer,
            "Secret" => SubjectKind::Secret,
            _ => SubjectKind::Document,
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
        let text = "a: [\n---\n- 1\n---\nkind: X\n";
        let set = read(&[Text { file: "f".into(), text: text.into() }]);
        assert_eq!((set.documents.len(), set.unreadable.len()), (1, 2), "{:?}", set.unreadable);
        assert!(set.unreadable[1].starts_with("f:3:"), "{:?}", set.unreadable);
    }

    #[test]
    fn items_of_a_list_have_lines_of_their_own() {
        let text =
            "apiVersion: v1\nkind: List\nitems:\n- kind: A\n  spec:\n    x: 1\n# two\n- kind: B\n  spec:\n    x: 2\n";
        for text in [
            text.to_owned(),
            text.replace("\n- ", "\n  - ").replace("\n  s", "\n    s").replace("\n    x", "\n      x"),
        ] {
            let set = read(&[Text { file: "f".into(), text }]);
            let lines: Vec<usize> = set.documents.iter().map(|one| one.line(&["spec", "x"])).collect();
            assert_eq!(lines, [6, 10]);
        }
        let flow = "kind: TidbClusterList\nitems: [{kind: TidbCluster, metadata: {name: a}}]\n";
        assert_eq!(read(&[Text { file: "f".into(), text: flow.into() }]).documents.len(), 1);
    }

    #[test]
    fn a_key_that_stands_twice_is_said_and_the_rest_is_read() {
        let text = "---\nkind: A\nspec:\n  x: 1\n  y: 2\n  x: 3\n";
        let set = read(&[Text { file: "f".into(), text: text.into() }]);
        assert!(set.unreadable.is_empty(), "{:?}", set.unreadable);
        let [one] = set.twice.as_slice() else { panic!("{:?}", set.twice) };
        assert_eq!((one.line, one.key.as_str()), (6, "x"));
        assert_eq!(set.documents[0].value["spec"], serde_json::json!({"x": 3, "y": 2}));
    }

    #[test]
    fn a_placeholder_without_quotes_is_a_text_and_a_chart_is_a_template() {
        let text = "kind: A\nspec:\n  x: {{ name }}-{{ b }}\n  y: {{ c }}\n";
        let set = read(&[Text { file: "f".into(), text: text.into() }]);
        assert_eq!(set.documents[0].value["spec"]["x"], "{{ name }}-{{ b }}", "{:?}", set.unreadable);
        let chart = read(&[Text { file: "f".into(), text: "kind: A\nx: {{ .Values.x }}\n".into() }]);
        assert_eq!(chart.documents[0].value["x"], "{{ .Values.x }}", "{:?}", chart.unreadable);
        for text in ["{{- if .x }}\nkind: A\n{{- end }}\n", "kind: A\n{% if x %}\ny: 1\n{% endif %}\n"] {
            let set = read(&[Text { file: "f".into(), text: text.into() }]);
            assert!(set.documents.is_empty() && set.unreadable.iter().any(|one| one.contains("template")), "{set:?}");
        }
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
