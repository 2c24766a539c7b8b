//! Former templates of a StatefulSet: what Kubernetes keeps as ControllerRevisions, ten of each unless it is told otherwise.
//!
//! Each says when a template was first used and what stood in it, so two of them are one change with its values, whenever it was.
//! Who changed it stands nowhere in them. Values are kept of what names a program, its place and its size; of all else only whether they are other. Not here: how they are asked for
//! (`client::kube::logs_and_events`).

use jiff::Timestamp;
use serde_json::Value;

use super::object_diff::{Difference, Fields, difference, flatten, shows_annotation};

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

impl Revision {
    /// From the API's JSON, asked for in this namespace of the cluster of this context; `None` where it is of no StatefulSet.
    pub fn read(context: &str, namespace: &str, object: &Value) -> Option<Self> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array)?;
        let owner = owners.iter().find(|owner| owner.get("kind").is_some_and(|kind| kind == "StatefulSet"))?;
        let mut fields = Fields::new();
        flatten("", object.pointer("/data/spec/template")?, &shows, &mut fields);
        fields.remove("$patch");
        fields.remove("metadata.creationTimestamp");
        let at = text("/metadata/creationTimestamp").parse().ok();
        let written = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        let times = written.into_iter().flatten().filter_map(|entry| entry.get("time")?.as_str()?.parse().ok());
        let last: Option<Timestamp> = times.max();
        Some(Self {
            context: context.to_owned(),
            namespace: namespace.to_owned(),
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

/// Whether the value at a path of a template may be seen: of what says which program runs where and with how much. Commands,
/// arguments, variables, headers and annotations that are not known may hold secrets.
fn shows(path: &str) -> bool {
    const PLAIN: [&str; 12] = [
        "spec.affinity.",
        "spec.dnsPolicy",
        "spec.hostNetwork",
        "spec.nodeSelector.",
        "spec.priorityClassName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccount",
        "spec.terminationGracePeriodSeconds",
        "spec.tolerations[",
        "spec.topologySpreadConstraints[",
        "metadata.labels.",
    ];
    const OF_A_CONTAINER: [&str; 5] = ["image", "imagePullPolicy", "resources.", "ports[", "name"];
    const OF_A_VOLUME: [&str; 4] = ["configMap.name", "secret.secretName", "persistentVolumeClaim.claimName", "name"];
    let below = |list: &str| path.strip_prefix(list).and_then(|rest| rest.split_once("].")).map(|(_, field)| field);
    if let Some(key) = path.strip_prefix("metadata.annotations.") {
        return shows_annotation(key);
    }
    if let Some(field) = below("spec.containers[").or_else(|| below("spec.initContainers[")) {
        return OF_A_CONTAINER.iter().any(|known| named(field, known));
    }
    if let Some(field) = below("spec.volumes[") {
        return OF_A_VOLUME.contains(&field);
    }
    PLAIN.iter().any(|known| named(path, known))
}

/// The field itself, or something below it where it ends in a sign of that.
fn named(field: &str, known: &str) -> bool {
    if known.ends_with(['.', '[']) { field.starts_with(known) } else { field == known }
}

/// From one template to the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    pub from: &'a Revision,
    pub to: &'a Revision,
    pub difference: Difference,
}

/// The changes between the templates of each StatefulSet, in no order.
pub fn steps(all: &[Revision]) -> Vec<Step<'_>> {
    let mut sorted: Vec<&Revision> = all.iter().collect();
    sorted.sort_by_key(|one| (&one.context, &one.namespace, &one.set, one.number));
    let pairs = sorted.windows(2).filter_map(|pair| {
        let [from, to] = pair else { return None };
        let same = (&from.context, &from.namespace, &from.set) == (&to.context, &to.namespace, &to.set);
        same.then(|| Step { from, to, difference: difference(&from.fields, &to.fields) })
    });
    pairs.collect()
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
        let all: Vec<Revision> = all.iter().filter_map(|one| Revision::read("east", "db", one)).collect();
        let steps = steps(&all);
        let words: Vec<String> = steps[0].difference.edits.iter().map(|edit| edit.words("->")).collect();
        let wanted = [
            "spec.containers[tikv].env[PASSWORD].value (not shown) -> another",
            "spec.containers[tikv].image tikv:v1 -> tikv:v2",
        ];
        assert_eq!((words.as_slice(), steps.len()), (wanted.map(str::to_owned).as_slice(), 1));
        assert_eq!(steps[0].to.since().map(|at| at.to_string()).as_deref(), Some("2026-01-03T00:00:00Z"));
        assert!(!format!("{all:?}").contains("old") && !format!("{all:?}").contains("new"), "{all:?}");
    }

    #[test]
    fn commands_headers_and_annotations_of_others_are_not_shown() {
        let one = |number: i64, secret: &str| {
            let mut one = revision(number, 1, "tikv:v1", "");
            let template = &mut one["data"]["spec"]["template"];
            template["metadata"]["annotations"] =
                json!({"a.b/token": secret, "tidb.pingcap.com/x": format!("at-{number}")});
            let container = &mut template["spec"]["containers"][0];
            container["command"] = json!(["sh", "-c", secret]);
            container["args"] = json!([secret]);
            container["livenessProbe"] =
                json!({"httpGet": {"httpHeaders": [{"name": "Authorization", "value": secret}]}});
            one["metadata"]["namespace"] = json!("elsewhere");
            Revision::read("east", "db", &one).expect("a template")
        };
        let all = [one(1, "hush-1"), one(2, "hush-2")];
        assert!(!format!("{all:?}").contains("hush") && all[0].namespace == "db", "{all:?}");
        let words = steps(&all)[0].difference.words("->");
        assert!(words.contains("metadata.annotations.tidb.pingcap.com/x at-1 -> at-2"), "{words}");
        assert!(words.contains("spec.containers[tikv].args[0] (not shown) -> another"), "{words}");
    }

    #[test]
    fn a_template_that_is_used_again_has_the_time_of_its_new_number() {
        let mut back = revision(3, 1, "tikv:v1", "");
        back["metadata"]["managedFields"] = json!([{"manager": "k", "time": "2026-01-09T00:00:00Z"}]);
        let all: Vec<Revision> =
            [revision(2, 3, "tikv:v2", ""), back].iter().filter_map(|one| Revision::read("east", "db", one)).collect();
        let steps = steps(&all);
        assert_eq!(steps[0].difference.edits[0].words("->"), "spec.containers[tikv].image tikv:v2 -> tikv:v1");
        assert_eq!(steps[0].to.since().map(|at| at.to_string()).as_deref(), Some("2026-01-09T00:00:00Z"));
        assert_eq!(Revision::read("east", "db", &json!({"metadata": {}})), None);
    }
}
