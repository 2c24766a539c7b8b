//! Texts read into a set of objects, each with the file and the lines it came from.
//!
//! A document that is no YAML, or no object at all, is said as such, never skipped in silence; a key that stands twice is
//! said, and the document is read as kubectl reads it.

use std::sync::Arc;

use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;

use crate::fleet::tidbcluster::Component;
use crate::hazards::lint::nested;
use crate::hazards::lint::room::{COMMANDS, OBJECTS, SHELL_TEXT, TIDB_CLUSTERS, cut};
use crate::hazards::lint::shell_text::{Line, Piece, Replaced, Unset, is_shell, pieces};
use crate::hazards::lint::variables::Variables;
use crate::hazards::lint::{Subject, Text};

/// Most that is told of a parser's words, which quote what they found.
const WORDS: usize = 600;

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

fn take(set: &mut Set, file: &str, first_line: usize, text: &str, namespace: &str, origin: Origin) {
    let in_shell = origin != Origin::File;
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
        // A directive (`%YAML 1.2`) stands before the document that it is about.
        let bare = text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#') || line.starts_with("%YAML "));
        if bare {
            continue;
        }
        if set.documents.len() >= OBJECTS {
            set.more_objects += 1;
            continue;
        }
        if is_template(&text) {
            set.unreadable.push(format!(
                "{file}:{line}: this is a template of Helm or Jinja, and what it becomes is not known; render it first (helm template …) and check what comes out"
            ));
            continue;
        }
        // `${x}`, `${x:-y}` and `${var.x}` in a flow mapping: their braces are not YAML's.
        let bare = |why| parse(&Variables::bare(&text)).map_err(|_| why);
        let parsed = parse(&text).or_else(bare).or_else(|why| match in_shell {
            true => parse(&without_braces(&text)).map_err(|_| why),
            false => Err(why),
        });
        match parsed {
            Ok((value @ Value::Object(_), twice)) => {
                let twice = twice.map(|(key, at)| Twice { file: file.to_owned(), line: line + at - 1, key });
                set.twice.extend(twice);
                add(set, file, line, &text, value, namespace, origin);
            }
            Ok((value @ Value::Array(_), _)) if add_nested(set, file, line, &text, &value, namespace) => {}
            Ok((value, _)) if are_operations(&value) => {
                set.operations.push(Operations { file: file.to_owned(), line, value });
            }
            Ok(_) => set.unreadable.push(format!("{file}:{line}: expected an object, found another kind of YAML")),
            Err((why, at)) => {
                let why = cut(&why, WORDS);
                set.unreadable.push(format!("{file}:{}: this is not YAML: {why}", line + at - 1));
            }
        }
    }
}

/// What can be read only after a template's branches and loops were followed. A `{{ name }}` in a value is a placeholder;
/// in the text of a rule or of a message it is somebody else's.
fn is_template(text: &str) -> bool {
    let chart = text.contains("{{") && [".Values", ".Release", ".Chart"].iter().any(|mark| text.contains(mark));
    let begins = |line: &str| line.trim_start().starts_with("{{") || line.contains("{{-") || line.contains("{%");
    (chart || text.lines().any(begins)) && parse(text).is_err()
}

/// What was read, and a key that stands twice, with its line.
type Parsed = (Value, Option<(String, usize)>);

/// Whether a list is one of operations.
fn are_operations(value: &Value) -> bool {
    let operation =
        |item: &Value| item.get("op").is_some_and(Value::is_string) && item.get("path").is_some_and(Value::is_string);
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(operation))
}

/// An inline patch.
pub(super) fn value_of(text: &str) -> Option<Value> {
    parse(text).ok().map(|(value, _)| value)
}

/// Reads one document; a key that stands twice counts as kubectl counts it: the last one. `Err`: why not, and in which line.
fn parse(text: &str) -> Result<Parsed, (String, usize)> {
    let error = match serde_saphyr::from_str::<Value>(text) {
        Ok(value) => return Ok((value, None)),
        Err(error) => error,
    };
    let line =
        |error: &serde_saphyr::Error| error.location().map_or(1, |at| usize::try_from(at.line()).unwrap_or(1)).max(1);
    let last = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins };
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error.without_snippet() {
        let key = key.clone().unwrap_or_else(|| "a key".to_owned());
        let value = serde_saphyr::from_str_with_options::<Value>(text, last)
            .map_err(|error| (first_line(&error), line(&error)))?;
        return Ok((value, Some((key, line(&error)))));
    }
    // `key: {{ name }}` without quotes is a mapping in YAML; with quotes it is the text that was meant.
    let quoted: Vec<String> = text.lines().map(quote_placeholder).collect();
    if quoted.iter().zip(text.lines()).any(|(now, before)| now != before)
        && let Ok(value) = serde_saphyr::from_str_with_options::<Value>(&quoted.join("\n"), last)
    {
        return Ok((value, None));
    }
    Err((first_line(&error), line(&error)))
}

/// Every `${…}` as `$_`.
fn without_braces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        // Within its line; one that is not closed there has none behind it that is: it is not searched for each of them.
        let line = after.split('\n').next().unwrap_or_default();
        match line.find('}') {
            Some(end) => {
                out.push_str("$_");
                rest = &after[end + 1..];
            }
            None => {
                out.push_str("${");
                out.push_str(line);
                rest = &after[line.len()..];
            }
        }
    }
    out + rest
}

/// What is wrong with it, without the parser's own counting of lines and its advice to programmers.
fn first_line(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    let text = text.split(" at line ").next().unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim_end_matches(',').to_owned()
}

fn quote_placeholder(line: &str) -> String {
    let begin = [": {{", "- {{", ": %", ": @"].iter().find_map(|mark| line.find(mark));
    let Some(begin) = begin else { return line.to_owned() };
    let (before, value) = line.split_at(begin + 2);
    format!("{before}'{}'", value.trim_end().replace('\'', "''"))
}

fn add(set: &mut Set, file: &str, line: usize, text: &str, value: Value, namespace: &str, origin: Origin) {
    // `kind: List` and `TidbClusterList` hold objects of their own.
    let items = value.get("items").and_then(Value::as_array);
    if value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"))
        && let Some(items) = items
    {
        let texts = item_texts(text).filter(|texts| texts.len() == items.len());
        for (index, item) in items.iter().enumerate() {
            // In flow style they stand wherever the list does; its whole text with each of them would be too much.
            let (at, text) = texts.as_ref().map_or((0, ""), |texts| (texts[index].0, texts[index].1.as_str()));
            add(set, file, line + at, text, item.clone(), namespace, origin);
        }
        return;
    }
    if set.documents.len() >= OBJECTS {
        set.more_objects += 1;
        return;
    }
    if value.get("kind").and_then(Value::as_str) != Some("TidbCluster") {
        add_nested(set, file, line, text, &value, namespace);
    }
    let own = value.pointer("/metadata/namespace").and_then(Value::as_str);
    let namespace = own.unwrap_or(namespace).to_owned();
    let text = text.to_owned();
    let in_shell = origin != Origin::File;
    let document = Document { file: file.to_owned(), first_line: line, text, value, namespace, in_shell, origin };
    if document.is_tidb_cluster() {
        set.clusters += 1;
        if set.clusters > TIDB_CLUSTERS {
            set.more_clusters += 1;
            return;
        }
    }
    set.documents.push(document);
}

/// What another object carries; whoever applies that one replaces variables in it. `true`: there was something.
fn add_nested(set: &mut Set, file: &str, line: usize, text: &str, value: &Value, namespace: &str) -> bool {
    let read = |text: &str| parse(text).ok().map(|(value, _)| value);
    let found = nested::inside(value, &read);
    let texts = nested::texts(text);
    let texts = (texts.len() == found.len()).then_some(texts);
    let any = !found.is_empty();
    for (index, item) in found.into_iter().enumerate() {
        let (at, text) = texts.as_ref().map_or((0, ""), |texts| (texts[index].0, texts[index].1.as_str()));
        add(set, file, line + at, text, item, namespace, Origin::Inside);
    }
    any
}

/// The texts of a list's items with the index of their first lines, written in block style.
fn item_texts(text: &str) -> Option<Vec<(usize, String)>> {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.iter().position(|line| line.starts_with("items:"))? + 1;
    let dash = |line: &str| line.trim_start().starts_with("- ").then(|| line.len() - line.trim_start().len());
    let indent = lines[start..].iter().find_map(|line| dash(line))?;
    let mut all: Vec<(usize, String)> = Vec::new();
    for (index, line) in lines.iter().enumerate().skip(start) {
        let blank = line.trim().is_empty() || line.trim_start().starts_with('#');
        let depth = line.len() - line.trim_start().len();
        if !blank && (depth < indent || (depth == indent && dash(line) != Some(indent))) {
            break;
        }
        if dash(line) == Some(indent) {
            all.push((index, String::new()));
        }
        if let Some((_, text)) = all.last_mut() {
            // Without the dash, so that its keys stand one below the other.
            let line = if dash(line) == Some(indent) { line.replacen("- ", "  ", 1) } else { (*line).to_owned() };
            text.push_str(line.get(indent + 2..).unwrap_or_default());
            text.push('\n');
        }
    }
    Some(all)
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
