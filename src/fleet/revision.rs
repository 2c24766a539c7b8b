//! Former templates of a StatefulSet: what Kubernetes keeps as ControllerRevisions, ten of each unless it is told otherwise.
//!
//! Each says when a template was first used and what stood in it, so two of them are one change with its values, whenever it was.
//! Who changed it stands nowhere in them. Values of variables are not kept. Not here: how they are asked for
//! (`client::kube::closeup`).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;
use serde_json::Value;

use super::edits::{Edit, Fields, edits, flatten};

/// One template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    pub context: String,
    pub namespace: String,
    pub name: String,
    /// The StatefulSet's name.
    pub set: String,
    /// Counts up; a template that is used again gets a new number and keeps its time of creation.
    pub number: i64,
    pub at: Option<Timestamp>,
    /// When the number was given last, where that is told and is another time.
    pub again: Option<Timestamp>,
    fields: Fields,
}

/// Stands where a value is not shown: another one is another change.
const HIDDEN: &str = "a value that is not shown, ";

impl Revision {
    /// From the API's JSON, of the cluster of this context; `None` where it is of no StatefulSet.
    pub fn read(context: &str, object: &Value) -> Option<Self> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array)?;
        let owner = owners.iter().find(|owner| owner.get("kind").is_some_and(|kind| kind == "StatefulSet"))?;
        let mut fields = Fields::new();
        let template = object.pointer("/data/spec/template")?;
        flatten("", &without_values(template), &mut fields);
        fields.remove("$patch");
        fields.remove("metadata.creationTimestamp");
        let at = text("/metadata/creationTimestamp").parse().ok();
        let written = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        let times = written.into_iter().flatten().filter_map(|entry| entry.get("time")?.as_str()?.parse().ok());
        let last: Option<Timestamp> = times.max();
        Some(Self {
            context: context.to_owned(),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
            set: owner.get("name")?.as_str()?.to_owned(),
            number: object.get("revision").and_then(Value::as_i64).unwrap_or_default(),
            at,
            again: last.filter(|last| at.is_some_and(|at| *last > at)),
            fields,
        })
    }

    /// When it came to be used.
    pub fn since(&self) -> Option<Timestamp> {
        self.again.or(self.at)
    }
}

/// The template with what may be secret out of sight.
fn without_values(template: &Value) -> Value {
    let mut template = template.clone();
    for list in ["containers", "initContainers"] {
        let containers = template.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        let variables = containers.into_iter().flatten().filter_map(|one| one.get_mut("env")?.as_array_mut());
        for value in variables.flatten().filter_map(|one| one.get_mut("value")) {
            let mut hash = DefaultHasher::new();
            value.to_string().hash(&mut hash);
            *value = Value::String(format!("{HIDDEN}{:08x}", hash.finish() as u32));
        }
    }
    template
}

/// From one template to the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    pub from: &'a Revision,
    pub to: &'a Revision,
    pub edits: Vec<Edit>,
}

/// The changes between the templates of each StatefulSet, in no order.
pub fn steps(all: &[Revision]) -> Vec<Step<'_>> {
    let mut sorted: Vec<&Revision> = all.iter().collect();
    sorted.sort_by_key(|one| (&one.context, &one.namespace, &one.set, one.number));
    let pairs = sorted.windows(2).filter_map(|pair| {
        let [from, to] = pair else { return None };
        let same = (&from.context, &from.namespace, &from.set) == (&to.context, &to.namespace, &to.set);
        same.then(|| Step { from, to, edits: shown(edits(&from.fields, &to.fields)) })
    });
    pairs.collect()
}

/// Hidden values as words.
fn shown(edits: Vec<Edit>) -> Vec<Edit> {
    let word = |value: Option<String>, word: &str| {
        value.map(|value| if value.starts_with(HIDDEN) { word.to_owned() } else { value })
    };
    let one =
        |edit: Edit| Edit { before: word(edit.before, "(not shown)"), after: word(edit.after, "another"), ..edit };
    edits.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn revision(number: i64, day: u8, image: &str, secret: &str) -> Value {
        json!({
            "metadata": {"namespace": "db", "name": format!("basic-tikv-{number}"),
                "creationTimestamp": format!("2026-01-{day:02}T00:00:00Z"),
                "ownerReferences": [{"kind": "StatefulSet", "name": "basic-tikv"}]},
            "revision": number,
            "data": {"spec": {"template": {"$patch": "replace", "metadata": {"creationTimestamp": null},
                "spec": {"containers": [{"name": "tikv", "image": image,
                    "env": [{"name": "PASSWORD", "value": secret}]}]}}}}
        })
    }

    #[test]
    fn two_templates_are_a_change_with_its_values_but_those_of_variables() {
        let all = [revision(2, 3, "tikv:v2", "new"), revision(1, 1, "tikv:v1", "old")];
        let all: Vec<Revision> = all.iter().filter_map(|one| Revision::read("east", one)).collect();
        let steps = steps(&all);
        let words: Vec<String> = steps[0].edits.iter().map(|edit| edit.words("->")).collect();
        let wanted = [
            "spec.containers[tikv].env[PASSWORD].value (not shown) -> another",
            "spec.containers[tikv].image tikv:v1 -> tikv:v2",
        ];
        assert_eq!((words.as_slice(), steps.len()), (wanted.map(str::to_owned).as_slice(), 1));
        assert_eq!(steps[0].to.since().map(|at| at.to_string()).as_deref(), Some("2026-01-03T00:00:00Z"));
        assert!(!format!("{all:?}").contains("old") && !format!("{all:?}").contains("new"), "{all:?}");
    }

    #[test]
    fn a_template_that_is_used_again_has_the_time_of_its_new_number() {
        let mut back = revision(3, 1, "tikv:v1", "");
        back["metadata"]["managedFields"] = json!([{"manager": "k", "time": "2026-01-09T00:00:00Z"}]);
        let all: Vec<Revision> =
            [revision(2, 3, "tikv:v2", ""), back].iter().filter_map(|one| Revision::read("east", one)).collect();
        let steps = steps(&all);
        assert_eq!(steps[0].edits[0].words("->"), "spec.containers[tikv].image tikv:v2 -> tikv:v1");
        assert_eq!(steps[0].to.since().map(|at| at.to_string()).as_deref(), Some("2026-01-09T00:00:00Z"));
        assert_eq!(Revision::read("east", &json!({"metadata": {}})), None);
    }
}
