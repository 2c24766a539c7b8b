//! Names that are empty, and placeholders that nothing replaces (hazard 12): what one looks like in any text ([`any_placeholder`]), and
//! what is told, which depends on who would replace it.
//!
//! A file that is applied is replaced by nobody; a shell replaces only `$X`, Terraform only `${x}`; in a page it is the
//! reader's to do, which is a note and no fault. Not here: what a name or a version can be
//! ([`super::name_and_version_syntax`]).

use crate::fleet::hazard_id::HazardId;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::Finding;
use super::at;
use super::text_fields::{NAMES, walk};
use super::yaml_documents::{Document, Origin, Set};

/// Placeholders of one note that are named.
const MOST_NAMED: usize = 6;

/// A placeholder in a text, in the forms that a shell, kustomize, Jinja and Helm replace.
pub fn placeholder(text: &str) -> Option<&str> {
    variable(text).or_else(|| between(text, "{{", "}}", |_| true))
}

/// Also the forms that people and other tools write into names: `<x>`, `%X%`, `__X__`, `@X@`, `[[x]]`, `#{x}#`, CHANGE_ME.
/// Only for fields in which none of this can stand for itself.
pub fn any_placeholder(text: &str) -> Option<&str> {
    let word = |inner: &str| {
        inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && inner.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' '))
    };
    let styles =
        [("<", ">"), ("%", "%"), ("__", "__"), ("@@", "@@"), ("@", "@"), ("[[", "]]"), ("#{", "}"), ("((", "))")];
    placeholder(text).or_else(|| styles.into_iter().find_map(|(open, close)| between(text, open, close, word))).or_else(
        || {
            let upper = text.to_ascii_uppercase().replace(['-', '_', ' '], "");
            // An application may well be called todo.
            let left = upper.contains("CHANGEME") || upper.contains("REPLACEME") || matches!(text, "TODO" | "FIXME");
            left.then_some(text)
        },
    )
}

/// `${x}`, `$(x)`, `$x`.
pub fn variable(text: &str) -> Option<&str> {
    let name = |text: &str| {
        let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then_some(length).filter(|length| *length > 0)
    };
    let mut from = 0;
    while let Some(at) = text[from..].find('$').map(|at| from + at) {
        let rest = &text[at + 1..];
        let (inner, close) = match rest.chars().next() {
            Some('{') => (&rest[1..], "}"),
            Some('(') => (&rest[1..], ")"),
            _ => (rest, ""),
        };
        // `$2a$10$…` is a hash.
        if close.is_empty() && text[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) {
            from = at + 1;
            continue;
        }
        if let Some(length) = name(inner) {
            match (close.is_empty(), inner.find(close)) {
                (true, _) => return Some(&text[at..at + 1 + length]),
                (false, Some(end)) => return Some(&text[at..at + 2 + end + 1]),
                (false, None) => {}
            }
        }
        from = at + 1;
    }
    None
}

fn between<'a>(text: &'a str, open: &str, close: &str, fits: impl Fn(&str) -> bool) -> Option<&'a str> {
    let start = text.find(open)?;
    let inner = &text[start + open.len()..];
    let end = inner.find(close)?;
    (end > 0 && fits(&inner[..end])).then(|| &text[start..start + open.len() + end + close.len()])
}

/// A placeholder in a field in which only a name, a domain, an image or a version can stand: all of
/// [`any_placeholder`], and `{x}`, `<% x %>`, `YOUR_X`, `your-x`, `TWO_WORDS`, `XXX`, `TBD`, `...`.
pub fn name_placeholder(text: &str) -> Option<&str> {
    any_placeholder(text).or_else(|| enclosed(text, "<%", "%>")).or_else(|| enclosed(text, "{", "}")).or_else(|| {
        let word = text.split(['.', '/', ':', '@', ' ']).find(|word| stands_for_another(word));
        word.or((text == "...").then_some(text))
    })
}

fn enclosed<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let start = text.find(open)?;
    let inner = text[start + open.len()..].find(close)?;
    let whole = &text[start..start + open.len() + inner + close.len()];
    whole.chars().any(char::is_alphabetic).then_some(whole)
}

fn stands_for_another(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let capitals = word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.contains('_')
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let yours = lower.strip_prefix("your").is_some_and(|rest| rest.starts_with(['-', '_']) && rest.len() > 1);
    capitals || yours || matches!(word, "XXX" | "xxx" | "TBD")
}

/// Whose it is to replace a placeholder.
enum Whose {
    Nobodys,
    Reader,
    /// A shell or a tool has it.
    Tool,
}

fn whose(origin: Origin, found: &str) -> Whose {
    // Braces are gone already: `${x}` and `$x` are one.
    let shells = found.starts_with('$');
    match origin {
        Origin::File => Whose::Nobodys,
        Origin::Page => Whose::Reader,
        Origin::Script | Origin::Terraform if shells => Whose::Tool,
        Origin::Script | Origin::Terraform => Whose::Nobodys,
        // Whoever applies the object around it may replace anything.
        Origin::Inside => Whose::Tool,
    }
}

/// Every placeholder of an object with its path.
fn found(document: &Document) -> Vec<(Vec<&str>, String)> {
    let own = document.is_tidb_cluster();
    let group = document.api_version().split('/').next().unwrap_or_default();
    let mut found: Vec<(Vec<&str>, String)> = Vec::new();
    walk(&document.value, &mut Vec::new(), &mut |path, text| {
        let name = own && NAMES.contains(&path);
        let named = path.first() == Some(&"metadata");
        let image = own && matches!(path.last(), Some(&("version" | "baseImage" | "image" | "storageClassName")));
        let unreplaced = match (name || named || image, own || matches!(group, "cert-manager.io")) {
            (true, _) if name || image => name_placeholder(text),
            (true, _) if own || path.len() == 2 => any_placeholder(text),
            (_, true) => placeholder(text),
            // Of other objects of the operator: `$1` and `{{ }}` have a meaning in their texts.
            (_, false) if group == "pingcap.com" => variable(text).filter(|found| found.starts_with("${")),
            (_, false) => None,
        };
        if let Some(unreplaced) = unreplaced {
            found.push((path.to_vec(), unreplaced.to_owned()));
        }
    });
    // `clusterDomain: {domain}` without quotes is a mapping to YAML.
    for path in NAMES.into_iter().filter(|_| own) {
        if let Some(key) = bare_brace(document.at(path)) {
            found.push((path.to_vec(), format!("{{{key}}}")));
        }
    }
    found
}

/// The name in `{name}`, read as YAML reads it.
pub(super) fn bare_brace(value: Option<&Value>) -> Option<&str> {
    let fields = value?.as_object().filter(|fields| fields.len() == 1)?;
    fields.iter().next().filter(|(_, value)| value.is_null()).map(|(key, _)| key.as_str())
}

pub(super) fn judge(document: &Document) -> Vec<Finding> {
    let mut all = Vec::new();
    let own = document.is_tidb_cluster();
    for path in NAMES.into_iter().filter(|path| own && path[1] != "namespace") {
        // `key:` with nothing behind it is null, and as empty as "".
        let parent = path[..path.len() - 1].iter().try_fold(&document.value, |value, key| value.get(*key));
        let value = parent.and_then(|parent| parent.get(path[path.len() - 1]));
        if value.is_some_and(|value| value.is_null() || value.as_str() == Some("")) {
            let sentence = format!("{} is empty: a variable was not set", path.join("."));
            all.push(
                at(document, HazardId::UnreplacedVariable, path, "\"\"", sentence).then("write the real value there"),
            );
        }
    }
    for (path, unreplaced) in found(document) {
        if !matches!(whose(document.origin, &unreplaced), Whose::Nobodys) {
            continue;
        }
        let value = path.iter().try_fold(&document.value, |value, key| value.get(*key)).and_then(Value::as_str);
        let sentence = format!("{} has the placeholder {unreplaced}, which nothing has replaced", path.join("."));
        let help = match unreplaced.contains("{{") {
            true => {
                "kubectl replaces nothing: write the value, or render it first (helm template …) and check what comes out"
            }
            false => "kubectl replaces nothing: write the value, or let the tool that fills it in run first",
        };
        all.push(at(document, HazardId::UnreplacedVariable, &path, value.unwrap_or(&unreplaced), sentence).then(help));
    }
    all
}

/// The names of one note, each once, with their lines.
#[derive(Default)]
struct Told {
    names: BTreeSet<String>,
    lines: Vec<String>,
}

/// What a reader has to replace in a page, or has to set before a script: said, and no fault.
pub(super) fn notes(set: &Set) -> Vec<String> {
    let mut all: BTreeMap<(&str, &str), Told> = BTreeMap::new();
    const PAGE: &str = "placeholders, which the reader has to replace";
    const SCRIPT: &str = "variables that nothing in it sets, and which become empty unless they are exported before";
    let mut add = |file, what, name: String, line: usize| {
        let told = all.entry((file, what)).or_default();
        if told.names.insert(name.clone()) {
            told.lines.push(format!("{name} (line {line})"));
        }
    };
    for document in set.documents.iter().filter(|document| document.is_tidb_cluster()) {
        for (path, name) in found(document) {
            if matches!(whose(document.origin, &name), Whose::Reader) {
                add(&document.file, PAGE, name, document.line(&path));
            }
        }
    }
    for outside in &set.outside {
        add(&outside.file, SCRIPT, outside.variable.name.clone(), outside.variable.line);
    }
    let told = all.into_iter().map(|((file, what), Told { lines: mut told, .. })| {
        let more = told.len().saturating_sub(MOST_NAMED);
        told.truncate(MOST_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{file}: {what}: {}{more}", told.join(", "))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Text, lint};
    use super::*;

    #[test]
    fn placeholders_of_all_styles() {
        for (text, expected) in [
            ("${x}", Some("${x}")),
            ("a-${CLUSTER_1}.b", Some("${CLUSTER_1}")),
            ("$(POD_NAME)", Some("$(POD_NAME)")),
            ("$DOMAIN", Some("$DOMAIN")),
            ("tc-$name-1", Some("$name")),
            ("{{ cluster_domain }}", Some("{{ cluster_domain }}")),
            ("{{.Values.domain}}", Some("{{.Values.domain}}")),
            ("<domain>", Some("<domain>")),
            ("db.<your cluster>", Some("<your cluster>")),
            ("%DOMAIN%", Some("%DOMAIN%")),
            ("__DOMAIN__", Some("__DOMAIN__")),
            ("@DOMAIN@", Some("@DOMAIN@")),
            ("[[ domain ]]", None),
            ("[[domain]]", Some("[[domain]]")),
            ("#{domain}#", Some("#{domain}")),
            ("((domain))", Some("((domain))")),
            ("change-me", Some("change-me")),
            ("CHANGEME.local", Some("CHANGEME.local")),
            ("eu.example", None),
            ("v7.5.3", None),
            ("registry:5000/pingcap/pd@sha256:0a", None),
            ("a$", None),
            ("todo", None),
            ("todo-app", None),
            ("TODO", Some("TODO")),
            ("$2a$10$rRyBsGSHK6.uc8fntPwVIu", None),
            ("$1", None),
        ] {
            assert_eq!(any_placeholder(text), expected, "{text}");
        }
    }

    #[test]
    fn names_that_stand_for_another() {
        for text in [
            "YOUR_DOMAIN",
            "your-domain",
            "your-cluster.example",
            "east.YOUR_ZONE.local",
            "MY_CLUSTER_DOMAIN",
            "{domain}",
            "east.{zone}.local",
            "<% domain %>",
            "<%= domain %>",
            "XXX",
            "TBD",
            "...",
            "registry.example/IMAGE_NAME",
        ] {
            assert!(name_placeholder(text).is_some(), "{text}");
        }
        for text in
            ["eu.example", "yours.example", "v8.5.4", "my-domain.example", "k8s", "Eu.Example", "PD", "{}", "a_b"]
        {
            assert_eq!(name_placeholder(text), None, "{text}");
        }
    }

    const CLUSTER: &str = "apiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata:\n  name: shop\n  namespace: sales\nspec:\n  version: v8.5.4\n  acrossK8s: true\n  clusterDomain: DOMAIN\n  configUpdateStrategy: RollingUpdate\n  pvReclaimPolicy: Retain\n  pd: {replicas: 3, maxFailoverCount: 0, requests: {storage: 10Gi}, config: {}}\n  tikv: {replicas: 3, maxFailoverCount: 0, requests: {storage: 50Gi}, config: {}}\n";

    const STYLES: [&str; 18] = [
        "YOUR_DOMAIN",
        "your-domain",
        "\"{domain}\"",
        "{domain}",
        "<% domain %>",
        "<domain>",
        "<your domain>",
        "\"%DOMAIN%\"",
        "%DOMAIN%",
        "@DOMAIN@",
        "{{ .Values.domain }}",
        "\"{{ .Values.domain }}\"",
        "{{ default \"x\" .Values.domain | quote }}",
        "east.{{ .Values.zone }}.local",
        "{{ domain }}",
        "__DOMAIN__",
        "MY_DOMAIN",
        "$DOMAIN",
    ];

    fn around(what: &str, value: &str) -> String {
        let object = CLUSTER.replace("DOMAIN\n", &format!("{value}\n"));
        match what {
            "yaml" => object,
            "page" => format!("# How\n\nApply it:\n\n```yaml\n{object}```\n\nand wait.\n"),
            "page with a command" => format!("# How\n\n```bash\nkubectl apply -f - <<EOF\n{object}EOF\n```\n"),
            "terraform" => {
                format!("resource \"kubectl_manifest\" \"tc\" {{\n  yaml_body = <<YAML\n{object}YAML\n}}\n")
            }
            "terraform, indented" => {
                let object: String = object.lines().map(|line| format!("    {line}\n")).collect();
                format!("resource \"kubectl_manifest\" \"tc\" {{\n  yaml_body = <<-EOT\n{object}    EOT\n}}\n")
            }
            "script" => format!("#!/bin/bash\nset -e\nkubectl --context east apply -f - <<EOF\n{object}EOF\n"),
            "script, quoted" => {
                format!("#!/bin/bash\nset -e\nkubectl --context east apply -f - <<'EOF'\n{object}EOF\n")
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_style_in_every_place_is_told_as_a_placeholder() {
        for what in
            ["yaml", "page", "page with a command", "terraform", "terraform, indented", "script", "script, quoted"]
        {
            for style in STYLES.into_iter().chain(["${DOMAIN}"]) {
                let text = around(what, style);
                let file = if what.starts_with("terraform") { "a.tf" } else { "a" };
                let checked = lint(&[Text { file: file.into(), text: text.clone() }]);
                let ids: Vec<&str> = checked.findings.iter().map(Finding::id).collect();
                assert!(checked.unseen.is_empty(), "{what} {style}: {:?}", checked.unseen);
                let tools = matches!((what, style), ("terraform" | "terraform, indented", "$DOMAIN" | "${DOMAIN}"));
                let note = what.starts_with("page") || (what == "script" && style.starts_with('$'));
                let expected: &[&str] = if tools || note { &[] } else { &["unreplaced-variable"] };
                assert_eq!(ids, expected, "{what} {style}: {:#?}", checked.findings);
                assert_eq!(checked.notes.len(), usize::from(note), "{what} {style}: {:?}", checked.notes);
            }
        }
    }

    #[test]
    fn what_a_script_sets_is_no_note() {
        let text = around("script", "$DOMAIN").replace("set -e\n", "set -e\nDOMAIN=$(kubectl get cm dns -o name)\n");
        let checked = lint(&[Text { file: "a".into(), text }]);
        assert!(checked.findings.is_empty() && checked.notes.is_empty(), "{checked:#?}");
    }

    #[test]
    fn a_patch_with_a_placeholder() {
        let patch = |value: &str| {
            format!(
                "#!/bin/bash\nkubectl --context east -n sales patch tc shop --type merge -p '{{\"spec\":{{\"clusterDomain\":\"{value}\"}}}}'\n"
            )
        };
        for style in
            ["YOUR_DOMAIN", "{domain}", "<domain>", "<% domain %>", "%DOMAIN%", "{{ .Values.domain }}", "$X", "${X}"]
        {
            let checked = lint(&[Text { file: "a.sh".into(), text: patch(style) }]);
            let ids: Vec<&str> = checked.findings.iter().map(Finding::id).collect();
            assert_eq!(ids, ["unreplaced-variable"], "{style}");
        }
        assert!(lint(&[Text { file: "a.sh".into(), text: patch("eu.example") }]).findings.is_empty());
    }
}
