//! Patches of a Kustomization, laid over the objects that they are for.
//!
//! Where the object is among the texts it is judged as patched; else the patch is judged by itself, as far as it goes. A
//! TidbCluster is a custom resource, so that kustomize merges its patches as JSON merge patches (RFC 7386). What a
//! Kustomization names and no text has is said. Not here: reading texts ([`super::yaml_documents`]).

use serde_json::{Map, Value, json};

use super::yaml_documents::{Document, Operations, Origin, Set, value_of};

/// A patch and the object that it is for.
struct Patch {
    file: String,
    line: usize,
    kind: String,
    name: String,
    body: Value,
}

/// Of more than these nothing is said one by one.
const MOST: usize = 8;

/// What a file says, as far as a sentence has room for it.
fn brief(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Lays every patch of every Kustomization over what it is for.
pub(super) fn apply(set: &mut Set) {
    let kustomizations: Vec<Document> = set.documents.iter().filter(|document| is_one(document)).cloned().collect();
    for kustomization in &kustomizations {
        missing(set, kustomization);
        for patch in patches(set, kustomization) {
            lay(set, patch);
        }
    }
    for Operations { file, line, .. } in std::mem::take(&mut set.operations) {
        set.unreadable.push(format!(
            "{file}:{line}: this is a JSON patch (RFC 6902), and for which object is said in no text: give the kustomization.yaml with it, or check what `kubectl kustomize` prints"
        ));
    }
}

fn is_one(document: &Document) -> bool {
    let file = document.file.rsplit('/').next().unwrap_or_default();
    let named = matches!(file, "kustomization.yaml" | "kustomization.yml" | "Kustomization");
    document.kind() == "Kustomization" && document.api_version().starts_with("kustomize.config.k8s.io/")
        || (named && document.kind().is_empty())
}

/// Resources, bases and components that no text has.
fn missing(set: &mut Set, kustomization: &Document) {
    let listed = ["resources", "bases", "components"].into_iter();
    let listed = listed.filter_map(|key| kustomization.at(&[key])?.as_array()).flatten().filter_map(Value::as_str);
    let there = |path: &&str| set.documents.iter().any(|document| is_file(&document.file, path));
    let away: Vec<String> = listed.filter(|path| !there(path)).take(MOST).map(brief).collect();
    if !away.is_empty() {
        let (file, line) = (&kustomization.file, kustomization.line(&["resources"]));
        set.notes.push(format!(
            "{file}:{line}: what it is made of is not among the files given ({}); `kubectl kustomize DIR | tidepilot check --file -` judges the whole",
            away.join(", ")
        ));
    }
}

/// Whether a text's name is that of a path in a Kustomization.
fn is_file(file: &str, path: &str) -> bool {
    let path = path.trim_start_matches("./").trim_start_matches("../");
    file == path || file.ends_with(&format!("/{path}"))
}

fn patches(set: &mut Set, kustomization: &Document) -> Vec<Patch> {
    let mut all = Vec::new();
    for key in ["patches", "patchesStrategicMerge", "patchesJson6902"] {
        let Some(items) = kustomization.at(&[key]).and_then(Value::as_array).cloned() else { continue };
        let line = kustomization.line(&[key]);
        for item in &items {
            let text = |name: &str| item.get(name).and_then(Value::as_str);
            let inline = text("patch").or(item.as_str()).and_then(value_of).filter(|value| !value.is_string());
            let path = text("path").or(item.as_str());
            let target =
                |name: &str| item.pointer(&format!("/target/{name}")).and_then(Value::as_str).unwrap_or_default();
            let found = match (inline, path) {
                (Some(body), _) => vec![(kustomization.file.clone(), line, body)],
                (None, Some(path)) => of_file(set, path),
                (None, None) => Vec::new(),
            };
            if found.is_empty() {
                set.unreadable.push(format!(
                    "{}:{line}: a patch of it is not among the files given, so it is not judged: {}",
                    kustomization.file,
                    brief(path.unwrap_or("(no text)"))
                ));
            }
            for (file, line, body) in found {
                let own = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                let or = |target: &str, own: &str| if target.is_empty() { own.to_owned() } else { target.to_owned() };
                let (kind, name) = (or(target("kind"), own("/kind")), or(target("name"), own("/metadata/name")));
                // A target's name is a regular expression; of one that is more than a name the kind has to do.
                let plain =
                    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.') && !name.contains(".*");
                let name = if plain { name } else { String::new() };
                all.push(Patch { file, line, kind, name, body });
            }
        }
    }
    all
}

/// What a file holds as a patch; its documents are no objects of their own then.
fn of_file(set: &mut Set, path: &str) -> Vec<(String, usize, Value)> {
    let mut found = Vec::new();
    set.operations.retain(|one| {
        let own = is_file(&one.file, path);
        if own {
            found.push((one.file.clone(), one.line, one.value.clone()));
        }
        !own
    });
    set.documents.retain(|document| {
        let own = is_file(&document.file, path) && !is_one(document);
        if own {
            found.push((document.file.clone(), document.first_line, document.value.clone()));
        }
        !own
    });
    found
}

/// Lays one patch over its object, or judges it by itself.
fn lay(set: &mut Set, patch: Patch) {
    // An inline patch was taken for an object inside of the Kustomization.
    set.documents.retain(|document| {
        document.origin != Origin::Inside || document.file != patch.file || document.value != patch.body
    });
    let fits = |document: &&mut Document| {
        document.kind() == patch.kind && (patch.name.is_empty() || document.name() == patch.name)
    };
    let mut strange = Vec::new();
    let mut laid = false;
    for document in set.documents.iter_mut().filter(fits) {
        strange = over(&mut document.value, &patch.body);
        laid = true;
    }
    if !laid && matches!(patch.kind.as_str(), "TidbCluster" | "Certificate" | "Issuer") {
        let mut value = json!({"apiVersion": if patch.kind == "TidbCluster" { "pingcap.com/v1alpha1" } else { "cert-manager.io/v1" }, "kind": patch.kind});
        if !patch.name.is_empty() {
            value["metadata"] = json!({"name": patch.name});
        }
        strange = over(&mut value, &patch.body);
        let namespace = value.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
        let (file, first_line) = (patch.file.clone(), patch.line);
        set.documents.push(Document {
            file,
            first_line,
            text: String::new(),
            value,
            namespace,
            in_shell: false,
            origin: Origin::Inside,
        });
    }
    for operation in strange {
        set.unreadable
            .push(format!("{}:{}: this part of a JSON patch is not judged: {operation}", patch.file, patch.line));
    }
}

/// Gives the operations that could not be carried out.
fn over(value: &mut Value, patch: &Value) -> Vec<String> {
    let Some(operations) = patch.as_array() else {
        merge(value, patch);
        return Vec::new();
    };
    let undone = operations.iter().filter(|operation| !operate(value, operation));
    undone.take(MOST).map(|operation| brief(&operation.to_string())).collect()
}

/// JSON merge patch: null takes away, a list replaces.
fn merge(value: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        value.clone_from(patch);
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Some(map) = value.as_object_mut() else { return };
    for (key, field) in fields {
        match field {
            Value::Null => drop(map.shift_remove(key)),
            _ => merge(map.entry(key.clone()).or_insert(Value::Null), field),
        }
    }
}

/// One operation; parents that the judged part lacks are made. `false`: it is none that is known here.
fn operate(value: &mut Value, operation: &Value) -> bool {
    let text = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
    let Some(path) = text("path").strip_prefix('/') else { return false };
    let keys: Vec<String> = path.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
    let Some((last, parents)) = keys.split_last() else { return false };
    let mut at = value;
    for key in parents {
        at = match (at.is_array(), key.parse::<usize>()) {
            (true, Ok(index)) => match at.get_mut(index) {
                Some(item) => item,
                None => return false,
            },
            (true, Err(_)) => return false,
            (false, _) => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                let Some(map) = at.as_object_mut() else { return false };
                map.entry(key.clone()).or_insert(Value::Null)
            }
        };
    }
    let given = operation.get("value").cloned();
    match (text("op"), given, at) {
        ("test", _, _) => true,
        ("add", Some(given), Value::Array(items)) => {
            let index = if last == "-" { items.len() } else { last.parse().unwrap_or(usize::MAX) };
            let fits = index <= items.len();
            if fits {
                items.insert(index, given);
            }
            fits
        }
        ("replace", Some(given), Value::Array(items)) => {
            match last.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                Some(item) => {
                    *item = given;
                    true
                }
                None => false,
            }
        }
        ("add" | "replace", Some(given), at) => {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            at.as_object_mut().is_some_and(|map| {
                map.insert(last.clone(), given);
                true
            })
        }
        ("remove", _, Value::Object(map)) => {
            map.shift_remove(last);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::hazards::lint::{Text, lint};

    const BASE: &str = "apiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata: {name: orders, namespace: shop}\nspec:\n  version: v8.5.4\n  pvReclaimPolicy: Retain\n  configUpdateStrategy: RollingUpdate\n  pd: {replicas: 3, maxFailoverCount: 0, config: {}}\n  tikv: {replicas: 3, maxFailoverCount: 0, config: {}}\n  tidb: {replicas: 2, maxFailoverCount: 0, config: {}}\n";

    fn found(texts: &[(&str, &str)]) -> (Vec<String>, Vec<String>, Vec<String>) {
        let texts: Vec<Text> =
            texts.iter().map(|(file, text)| Text { file: (*file).into(), text: (*text).into() }).collect();
        let checked = lint(&texts);
        let ids = checked.findings.iter().map(|finding| finding.id().to_owned()).collect();
        (ids, checked.unseen.iter().map(ToString::to_string).collect::<Vec<_>>(), checked.notes)
    }

    const HEAD: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [tc.yaml]\n";

    #[test]
    fn patches_of_every_form_are_judged_on_the_object_that_they_are_for() {
        let forms = [
            "patches:\n- patch: |-\n    apiVersion: pingcap.com/v1alpha1\n    kind: TidbCluster\n    metadata: {name: orders}\n    spec: {pvReclaimPolicy: Delete}\n",
            "patches:\n- target: {kind: TidbCluster, name: orders}\n  patch: |-\n    - op: replace\n      path: /spec/pvReclaimPolicy\n      value: Delete\n",
            "patchesJson6902:\n- target: {group: pingcap.com, version: v1alpha1, kind: TidbCluster, name: orders}\n  patch: '[{\"op\": \"add\", \"path\": \"/spec/pvReclaimPolicy\", \"value\": \"Delete\"}]'\n",
            "patchesStrategicMerge:\n- |-\n  apiVersion: pingcap.com/v1alpha1\n  kind: TidbCluster\n  metadata: {name: orders}\n  spec: {pvReclaimPolicy: Delete}\n",
        ];
        for form in forms {
            let text = format!("{HEAD}{form}");
            let (ids, unseen, notes) = found(&[("k/tc.yaml", BASE), ("k/kustomization.yaml", &text)]);
            assert!(
                ids.iter().any(|id| id == "reclaim-policy-delete") && unseen.is_empty(),
                "{form}\n{ids:?} {unseen:?}"
            );
            assert!(!notes.iter().any(|note| note.contains("a part of an object")), "{notes:?}");
            // Alone it is a part, judged as far as it goes, and what it is made of is named.
            let (ids, unseen, notes) = found(&[("kustomization.yaml", &text)]);
            assert!(
                ids.iter().any(|id| id == "reclaim-policy-delete") && unseen.is_empty(),
                "{form}\n{ids:?} {unseen:?}"
            );
            let has = |what: &str| notes.iter().any(|note| note.contains(what));
            assert!(has("a part of an object") && has("tc.yaml"), "{notes:?}");
        }
        assert_eq!(found(&[("tc.yaml", BASE), ("kustomization.yaml", HEAD)]).0, Vec::<String>::new());
    }

    #[test]
    fn a_patch_in_a_file_of_its_own_belongs_to_its_kustomization() {
        let ops = "- op: replace\n  path: /spec/pvReclaimPolicy\n  value: Delete\n";
        let by_path = format!("{HEAD}patches:\n- path: ops.yaml\n  target: {{kind: TidbCluster}}\n");
        let (ids, unseen, _) = found(&[("tc.yaml", BASE), ("ops.yaml", ops), ("kustomization.yaml", &by_path)]);
        assert!(ids.iter().any(|id| id == "reclaim-policy-delete") && unseen.is_empty(), "{ids:?} {unseen:?}");
        // Without it, or it without them: said, never an all-clear.
        let (_, unseen, _) = found(&[("tc.yaml", BASE), ("kustomization.yaml", &by_path)]);
        assert!(unseen.iter().any(|one| one.contains("ops.yaml")), "{unseen:?}");
        let (_, unseen, _) = found(&[("ops.yaml", ops)]);
        assert!(unseen.iter().any(|one| one.contains("RFC 6902")), "{unseen:?}");
        // A patch that mends is no finding.
        let mend = format!(
            "{HEAD}patches:\n- patch: '[{{\"op\":\"replace\",\"path\":\"/spec/pvReclaimPolicy\",\"value\":\"Retain\"}}]'\n  target: {{kind: TidbCluster, name: orders}}\n"
        );
        let worse = BASE.replace("Retain", "Delete");
        assert_eq!(found(&[("tc.yaml", &worse), ("kustomization.yaml", &mend)]).0, Vec::<String>::new());
        let strange = mend.replace("replace", "copy");
        assert!(found(&[("tc.yaml", BASE), ("kustomization.yaml", &strange)]).1[0].contains("not judged"));
    }
}
