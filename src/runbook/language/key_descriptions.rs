//! What each key of a runbook document means, for its JSON Schema and the page on writing one.
//!
//! A table and nothing else; a test holds it against the types that read a document.

use serde_json::{Value, json};

/// Object of the document, key, meaning. The root is `runbook`.
#[rustfmt::skip]
pub const KEYS: &[(&str, &str, &str)] = &[
    ("runbook", "runbook", "Version of the format: `v1`."),
    ("runbook", "id", "Its name: what `plan` and `run` take. That of a shipped runbook makes a fork."),
    ("runbook", "version", "Yours to count; recorded with every run."),
    ("runbook", "title", "What it does, in one line."),
    ("runbook", "summary", "What changes, what waits, what stays."),
    ("runbook", "experimental", "Shows the banner about a possible loss of data."),
    ("runbook", "source", "Where the procedure is described."),
    ("runbook", "inputs", "What a person gives: `--set NAME=VALUE`, or the form."),
    ("runbook", "facts", "Name → read-only question, asked anew for every expression that names it."),
    ("runbook", "preflight", "Checks: all have to hold before anything is sent."),
    ("runbook", "phases", "The steps, in groups that share invariants and gates."),
    ("text", "en", "In English; may hold `${…}`."),
    ("text", "zh", "In Chinese, with the same holes."),
    ("input", "name", "As expressions have it: `inputs.NAME`."),
    ("input", "type", "What is taken; see the types below."),
    ("input", "prompt", "What a person is asked."),
    ("input", "optional", "It may be left out: `inputs.NAME` is empty then."),
    ("input", "mayBeGone", "Of a `tidb-cluster`: the runbook ends with it gone, so it may be gone already."),
    ("input", "default", "Taken where nothing is given; written as a person would."),
    ("input", "example", "Shown where nothing is typed yet; what `lint` tries it with."),
    ("input", "propose", "Of a `dns-domain`: the form proposes the one that the cluster serves, where connected clusters serve different ones."),
    ("input", "options", "Of a `choice`: the words to choose from."),
    ("input", "min", "Of an `integer`: the smallest."),
    ("input", "max", "Of an `integer`: the largest."),
    ("fact", "query", "One of the facts below."),
    ("fact", "of", "The TidbCluster it is about; with a list of them it is the list of their answers."),
    ("fact", "when", "It is looked for only where this holds; over inputs, and facts without a `when`."),
    ("check", "id", "Its name in plans and refusals."),
    ("check", "title", "What holds where it passes, in a few words and without `${…}`: what plans show."),
    ("check", "use", "A check that the shipped runbooks share (below); keys beside it replace its own."),
    ("check", "hazards", "Numbers of the [hazards](hazards.md) that it keeps out."),
    ("check", "when", "It is judged only where this holds."),
    ("check", "check", "What has to hold."),
    ("check", "fail", "What is said where it does not: what was refused, what was found, what to do."),
    ("check", "severity", "`refuse` (the default) or `warn`."),
    ("check", "once", "Judged for the plan only: the run itself changes what it looks at."),
    ("check", "evidence", "`proof` (the default), or `reading`: it may be wrong, and a person may overrule it (`--accept`)."),
    ("check", "provenWhen", "Of a reading: where this holds it is proof all the same."),
    ("phase", "id", "Its name; gates are called after it."),
    ("phase", "title", "What its steps do together."),
    ("phase", "when", "It is left out of the plan where this does not hold."),
    ("phase", "invariants", "Watched from its first step to its last: a breach stops new effects and pauses the run."),
    ("phase", "forEach", "Its steps, once for each item of a list."),
    ("phase", "let", "Names for values, in order, taken when the plan is made."),
    ("phase", "steps", "What is done, in order."),
    ("forEach", "over", "The list."),
    ("forEach", "as", "Name of the item in the expressions of the phase."),
    ("forEach", "key", "The item's name in step ids: `STEP[KEY]`."),
    ("forEach", "last", "Items for which this holds when their turn comes wait for all others (PD's leader)."),
    ("forEach", "between", "Has to hold after one item, before the next begins."),
    ("forEach", "allowEmpty", "An empty list is no error."),
    ("binding", "name", "As the expressions behind it have it."),
    ("binding", "value", "What it stands for."),
    ("step", "id", "Its name in plans, gates and journals."),
    ("step", "title", "What it does, on which object."),
    ("step", "why", "Why it is needed, and what it costs."),
    ("step", "when", "It is left out of the plan where this does not hold."),
    ("step", "action", "One of the actions below."),
    ("step", "with", "The action's own fields."),
    ("step", "confirm", "`none`, `once`, `once-per-phase`, `typed`; an action may demand more than the file asks for."),
    ("step", "approvers", "2: another user of the cluster has to approve it after it was confirmed."),
    ("step", "pre", "Has to hold right before it is sent."),
    ("step", "post", "Has to hold before it counts as done."),
    ("step", "until", "Of `await` and `manual`: what has to hold for it to be done. A `manual` without is done when a person says so."),
    ("step", "say", "Of a wait: what is said meanwhile, where a condition has no sentence of its own."),
    ("step", "never", "Of a wait: what ends it at once when it is seen."),
    ("step", "timeout", "How long it may take. What lasts too long pauses the run and never skips."),
    ("condition", "check", "What has to hold."),
    ("condition", "say", "What a person is told where it does not: what was found, on which object, what helps."),
    ("never", "check", "What must not be seen."),
    ("never", "say", "What is said when it is."),
    ("timeout", "totalS", "Longest from its beginning; seconds."),
    ("timeout", "stalledS", "Longest without visible progress; seconds."),
];

/// What an input takes.
pub const INPUT_TYPES: &[(&str, &str)] = &[
    ("tidb-cluster", "`CONTEXT/NAMESPACE/NAME` of a TidbCluster that is there"),
    ("new-tidb-cluster", "the same, of one that need not be there yet"),
    ("new-tidb-clusters", "any number of those, with commas between"),
    ("kube-context", "a context of the kubeconfig"),
    ("dns-domain", "a DNS domain, such as `cluster.local`"),
    ("version", "a version, such as `v8.5.4`"),
    ("integer", "a whole number from `min` to `max`"),
    ("boolean", "`true` or `false`"),
    ("time", "RFC 3339; the time of the plan where none is given"),
    ("choice", "one of `options`"),
    ("text", "any text"),
];

/// Puts the meanings into the schema.
pub(super) fn describe(schema: &mut Value) {
    for (object, key, meaning) in KEYS {
        let properties = match *object {
            "runbook" => schema.get_mut("properties"),
            // A condition may be the bare expression, too.
            "condition" => schema.pointer_mut("/$defs/condition/anyOf/1/properties"),
            _ => schema.pointer_mut(&format!("/$defs/{object}/properties")),
        };
        if let Some(of) = properties.and_then(|all| all.get_mut(*key)) {
            of["description"] = json!(meaning);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::language::schema::schema;
    use std::collections::BTreeSet;

    #[test]
    fn every_key_of_the_schema_has_its_meaning_and_no_other() {
        let schema = schema();
        let mut found: BTreeSet<(String, String)> = BTreeSet::new();
        let mut add = |object: &str, of: &Value| {
            let keys = of["properties"].as_object().into_iter().flatten().map(|(key, _)| key.clone());
            found.extend(keys.map(|key| (object.to_owned(), key)));
        };
        add("runbook", &schema);
        for (name, of) in schema["$defs"].as_object().expect("objects") {
            add(name, if name == "condition" { &of["anyOf"][1] } else { of });
        }
        let known: BTreeSet<(String, String)> =
            KEYS.iter().map(|(object, key, _)| ((*object).to_owned(), (*key).to_owned())).collect();
        assert_eq!(found, known);
        let types: Vec<&str> = INPUT_TYPES.iter().map(|(name, _)| *name).collect();
        assert_eq!(schema["$defs"]["input"]["properties"]["type"]["enum"], json!(types));
    }
}
