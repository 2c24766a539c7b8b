//! Every command that a finding prints, tried on the very fleet that shows the finding.
//!
//! The worlds are those of `hazards::tests`. A `tidepilot run` has to have a plan that no check refuses; a patch, a mark or
//! a label, put on the object that it names, has to make the finding go away; any other command has to name what is there. Where
//! a finding has no command, [`WORDS`] says why. Test only.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::fleet::certificate_facts::FACTS_KEY;
use crate::fleet::hazard_id::HazardId;
use crate::fleet::object_kind::{Lookup, ObjectKind};
use crate::fleet::{Change, Fleet, ObjectKey, What};
use crate::hazards::catalogue::{CATALOGUE, Seeing};
use crate::hazards::test_fleet::{Bed, when};
use crate::hazards::tests::worlds;
use crate::hazards::{Finding, check};
use crate::runbook::Observation;
use crate::runbook::language::document::Runbook;
use crate::runbook::plan::bind::bind;
use crate::runbook::plan::reads_for_facts::objects_of_facts;

/// Findings without a command, and why there is none.
const WORDS: &[(&str, &str)] = &[
    ("across-without-domain-old-operator", "the operator is upgraded with the tool that installed it"),
    ("cluster-id-not-confirmed", "only whoever made the object knows what it is"),
    ("crd-or-operator-too-old", "the operator is upgraded with the tool that installed it"),
    ("deleted-too-early", "which of its stores may go is decided by PD's counts at that moment"),
    ("duplicate-pd-name", "which of the two is the stale one is for a person to say"),
    ("duplicate-triple", "a running TidbCluster cannot be renamed"),
    ("membership-in-doubt", "looking again is all that is safe"),
    ("no-version", "which version runs is read in the pods"),
    ("operator-versions-differ", "the operator is upgraded with the tool that installed it"),
    ("pd-microservices-across-k8s", "going back is a migration that the vendor does not describe"),
    ("pd-no-leader", "an election ends by itself, or the network is to be looked at"),
    ("reference-deleted", "who is to leave is for a person to say"),
    ("regions-unhealthy", "PD makes regions whole by itself"),
    ("rejected-by-operator", "the event names the field"),
    ("second-bootstrap", "data may be lost: a person has to look at both"),
    ("single-pd-unsynced", "nothing is to be changed"),
    ("store-not-up", "its pod has to come back; what is wrong with it is not known"),
    ("tiflash-metadata", "the operator is upgraded with the tool that installed it"),
    ("tiflash-replicas-remain", "SQL, for the tables concerned"),
    ("too-few-tikv", "where stores are added is for a person to say"),
    ("uneven-pd-spread", "where a member is added or taken is for a person to say"),
];

/// Findings that a patch does not end at once, and why.
const LATER: &[(&str, &str)] = &[
    ("pd-rolling-in-two", "what has begun to roll ends first"),
    ("failover-left-over", "the operator takes it out of the status"),
    ("cluster-domain-changed", "pods that have restarted under the wrong name do so again"),
];

/// The commands of a text, each as its words.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    let mut rest = text;
    while let Some(at) = ["tidepilot ", "kubectl "].iter().filter_map(|name| rest.find(name)).min() {
        let (words, length) = words(&rest[at..]);
        // "the tidepilot that …" is no command.
        if words.len() > 1 {
            all.push(words);
        }
        rest = &rest[at + length.max(1)..];
    }
    all
}

/// Up to what ends a command in a sentence: `;`, ` #`, a comma or bracket behind a word, a backquote, the end.
fn words(text: &str) -> (Vec<String>, usize) {
    let (mut all, mut word, mut quoted, mut length) = (Vec::new(), String::new(), false, text.len());
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            _ if quoted => word.push(c),
            ';' | ')' | '`' | '#' | ',' => {
                length = at;
                break;
            }
            ' ' if word.is_empty() => {}
            ' ' => all.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    if !word.is_empty() {
        all.push(word);
    }
    (all, length)
}

fn after<'a>(words: &'a [String], flag: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| word == flag)?;
    words.get(at + 1).map(String::as_str)
}

/// What a look for a runbook sees besides: the CA beside the initial TidbCluster, and no Secret where none was planted.
fn looked(mut fleet: Fleet, runbook: &Runbook, given: &BTreeMap<String, String>) -> Fleet {
    let Ok(inputs) = crate::runbook::language::given_inputs::read(runbook, given) else { return fleet };
    let wanted = objects_of_facts(runbook, &inputs.values, &observed(&fleet));
    for id in wanted {
        if fleet.sight(&id).is_none() {
            // Where a TidbCluster is, its namespace is.
            let sight = match id.kind {
                ObjectKind::Namespace => Lookup::Present(json!({"metadata": {"name": id.name}})),
                _ => Lookup::Absent,
            };
            let key = ObjectKey::new(&id.namespace, &id.name);
            let what = What::Object { kind: id.kind, key, sight: Box::new(sight) };
            fleet.apply(Change { context: id.context.clone(), at: when(), what });
        }
    }
    fleet
}

fn with_authority(bed: &Bed) -> Fleet {
    let mut fleet = bed.fleet();
    if !fleet.tidb_clusters().any(|(_, tc)| tc.tls()) {
        return fleet;
    }
    let facts = json!({"keys": ["ca.crt", "tls.crt", "tls.key"], "keyMatches": true, "signedBy": "ca", "unreadable": [],
        "certificate": {"commonName": "TiDB CA", "issuer": "TiDB CA", "dnsNames": [], "ipAddresses": [], "isCa": true,
            "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2036-01-01T00:00:00Z", "fingerprint": "cc", "publicKey": "ca"},
        "authorities": [{"commonName": "TiDB CA", "issuer": "TiDB CA", "dnsNames": [], "ipAddresses": [], "isCa": true,
            "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2036-01-01T00:00:00Z", "fingerprint": "cc", "publicKey": "ca"}]});
    let sight = Box::new(Lookup::Present(json!({"data": {}, FACTS_KEY: facts})));
    let key = ObjectKey::new("db", "prod-east-ca-secret");
    let what = What::Object { kind: ObjectKind::Secret, key, sight };
    fleet.apply(Change { context: "east".into(), at: when(), what });
    fleet
}

fn observed(fleet: &Fleet) -> Observation {
    Observation { at: when(), fleet: fleet.clone(), denied: Some(Vec::new()) }
}

/// `tidepilot run RUNBOOK --set …`
fn plans(words: &[String], fleet: &Fleet) -> Result<(), String> {
    let id = words.get(2).ok_or("no runbook is named")?;
    let runbook = Runbook::shipped(id).map_err(|why| format!("{id}: {why}"))?;
    let mut given = BTreeMap::new();
    for pair in words.windows(2).filter(|pair| pair[0] == "--set") {
        let (name, value) = pair[1].split_once('=').ok_or("--set without a value")?;
        given.insert(name.to_owned(), value.to_owned());
    }
    // Whoever asks for a plan puts its time there.
    let given = crate::runbook::language::given_inputs::at(&runbook, &given, when());
    let plan =
        bind(&runbook, &given, &observed(&looked(fleet.clone(), &runbook, &given))).map_err(|why| why.to_string())?;
    let refused: Vec<String> = plan.refusals().map(|check| format!("{}: {}", check.id, check.sentence)).collect();
    if !refused.is_empty() {
        return Err(format!("refused: {}", refused.join(" | ")));
    }
    if plan.steps.is_empty() { Err("a plan that does nothing".into()) } else { Ok(()) }
}

fn merge(into: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(serde_json::Map::new());
    }
    let map = into.as_object_mut().expect("just made");
    for (key, value) in patch {
        match value {
            Value::Null => drop(map.remove(key)),
            value => merge(map.entry(key.clone()).or_insert(Value::Null), value),
        }
    }
}

/// What the fleet is once a command has been sent; `Ok(None)`: it changes nothing that this can show.
fn sent(words: &[String], fleet: &Fleet) -> Result<Option<Fleet>, String> {
    let context = after(words, "--context").ok_or("no context is named")?;
    let mut fleet = fleet.clone();
    let cluster = fleet.clusters.get_mut(context).ok_or_else(|| format!("there is no context {context}"))?;
    let namespace = after(words, "-n").unwrap_or_default().to_owned();
    let verbs = ["patch", "annotate", "label"];
    let Some(at) = words.iter().position(|word| verbs.contains(&word.as_str())) else { return Ok(None) };
    let (kind, name) = (words.get(at + 1).ok_or("no kind")?, words.get(at + 2).ok_or("no name")?);
    let patch: Value = match words[at].as_str() {
        "patch" => serde_json::from_str(after(words, "-p").ok_or("no patch")?).map_err(|why| why.to_string())?,
        verb => {
            let field = if verb == "label" { "labels" } else { "annotations" };
            let change = words.get(at + 3).ok_or("no key")?;
            let (key, value) = match (change.strip_suffix('-'), change.split_once('=')) {
                (Some(key), _) => (key, Value::Null),
                (None, Some((key, value))) => (key, Value::from(value)),
                (None, None) => return Err(format!("{change} is neither KEY- nor KEY=VALUE")),
            };
            json!({"metadata": {field: {key: value}}})
        }
    };
    let key = ObjectKey::new(namespace, name);
    match kind.as_str() {
        "tidbcluster" => {
            let tc = cluster.tidb_clusters.get_mut(&key).ok_or_else(|| format!("there is no TidbCluster {key}"))?;
            let mut value = serde_json::to_value(&*tc).map_err(|why| why.to_string())?;
            merge(&mut value, &patch);
            *tc = serde_json::from_value(value).map_err(|why| why.to_string())?;
        }
        "pod" => {
            let pod = cluster.pods.get_mut(&key).ok_or_else(|| format!("there is no pod {key}"))?;
            let mut value = serde_json::to_value(&*pod).map_err(|why| why.to_string())?;
            merge(&mut value, &patch);
            *pod = serde_json::from_value(value).map_err(|why| why.to_string())?;
        }
        "certificate" => return Ok(None),
        other => return Err(format!("{other} is nothing that a finding should change")),
    }
    Ok(Some(fleet))
}

/// What is wrong with one command.
fn faulty(words: &[String], finding: &Finding, fleet: &Fleet) -> Option<String> {
    if words.iter().any(|word| word.contains("CONTEXT") || word.contains("NAMESPACE")) {
        return Some("it has a placeholder".into());
    }
    let tried = match (words[0].as_str(), words[1].as_str()) {
        ("tidepilot", "run" | "plan") => plans(words, fleet),
        ("tidepilot", _) => match after(words, "--context") {
            Some(context) if !fleet.clusters.contains_key(context) => Err(format!("there is no context {context}")),
            _ => Ok(()),
        },
        _ => match sent(words, fleet) {
            Err(why) => Err(why),
            Ok(None) => Ok(()),
            Ok(Some(after)) => {
                let still = check(&after, None, when())
                    .findings
                    .into_iter()
                    .any(|other| other.id() == finding.id() && !other.unknown && other.subjects == finding.subjects);
                let later = LATER.iter().any(|(id, _)| *id == finding.id());
                if still && !later { Err("it stays when this is sent".to_owned()) } else { Ok(()) }
            }
        },
    };
    tried.err()
}

#[test]
fn every_command_of_a_finding_works_where_it_is_found() {
    let mut wrong = BTreeSet::new();
    let (mut shown, mut with_command, mut tried) = (BTreeSet::new(), BTreeSet::new(), 0);
    for (name, bed, expected) in worlds() {
        let fleet = with_authority(&bed);
        let found = check(&fleet, None, when()).findings;
        for finding in found.iter().filter(|finding| !finding.unknown && expected.contains(&finding.id())) {
            shown.insert(finding.id());
            for words in commands(&finding.what_to_do) {
                tried += 1;
                with_command.insert(finding.id());
                if let Some(why) = faulty(&words, finding, &fleet) {
                    wrong.insert(format!("{name}: {}: `{}`: {why}", finding.id(), words.join(" ")));
                }
            }
        }
    }
    for hazard in
        CATALOGUE.iter().filter(|hazard| hazard.seen == Seeing::Now && hazard.id != HazardId::UnknownComponent)
    {
        let explained = WORDS.iter().any(|(id, _)| *id == hazard.id.word());
        let why = match (shown.contains(hazard.id.word()), with_command.contains(hazard.id.word()), explained) {
            (false, _, _) => "no world shows it",
            (true, false, false) => "no command, and no reason why",
            (true, true, true) => "it has a command, and is said to have none",
            (true, _, _) => continue,
        };
        wrong.insert(format!("{}: {why}", hazard.id));
    }
    assert!(tried > 60, "only {tried} commands were tried");
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

/// What a shipped runbook puts into a command line may have come from anywhere: a name of a context has spaces, and more.
#[test]
fn every_value_in_a_command_of_a_runbook_is_quoted() {
    let shared = include_str!("../../../runbooks/checks.yaml");
    let all = crate::runbook::language::document::SHIPPED.iter().copied().chain([("checks", shared)]);
    let mut bare = Vec::new();
    for (id, text) in all {
        for flag in ["--set ", "--context ", "-n "] {
            for (at, _) in text.match_indices(flag) {
                let value = text[at + flag.len()..].trim_start_matches(|c: char| c.is_ascii_alphanumeric());
                let value = value.strip_prefix('=').unwrap_or(value);
                let filled = value.strip_prefix("${").or(value.strip_prefix("' + "));
                if filled.is_some_and(|filled| !filled.starts_with("quote(")) {
                    bare.push(format!("{id}: {flag}{}", value.chars().take(50).collect::<String>()));
                }
            }
        }
    }
    assert!(bare.is_empty(), "not in quote(…): {bare:#?}");
}

#[test]
fn commands_are_taken_out_of_sentences() {
    let text = "first: kubectl --context a -n b patch tidbcluster c --type merge -p '{\"x\":1}'; then (tidepilot run r --set t=a/b/c), no more";
    let all = commands(text);
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].last().map(String::as_str), Some("{\"x\":1}"));
    assert_eq!(all[1], ["tidepilot", "run", "r", "--set", "t=a/b/c"]);
}
