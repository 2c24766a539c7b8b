//! Every action in every form that journals have it in, with all that is said and sent of it: held by a file.
//!
//! `tests/seeds/actions.jsonl` was written by the version that had no file per action. What it holds is in journals, plans
//! and in what people have approved, so a line of it changes only on purpose. Not here: judging (`judge`), which needs a world.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::actions::Action;
use super::super::plan::{Plan, PlannedStep};
use super::super::step_from_action;
use crate::fleet::ObjectRef;
use crate::fleet::pd::MembershipApi;
use crate::runbook::actions::change_allowlist;
use crate::runbook::actions::right_types::Reach;
use crate::runbook::actions::untrusted_plan;
use crate::runbook::plan::required_rights::needs;
use crate::runbook::run::{remaining_script, undo};

const GOLDEN: &str = include_str!("../../../tests/seeds/actions.jsonl");

fn step(id: &str, action: &Value) -> Value {
    json!({
        "id": id, "phase": "p", "title": "T", "why": "", "action": action, "alreadySo": false, "before": null, "after": null,
        "requests": [], "command": "", "rehearsed": "predicted", "reversibility": "compensable",
        "confirm": {"kind": "none"}, "pre": [], "post": [], "env": {}, "totalS": 60, "stalledS": 30,
    })
}

fn plan(steps: Vec<Value>) -> Plan {
    let of = json!({"context": "east", "namespace": "db", "name": "basic"});
    serde_json::from_value(json!({
        "runbook": "x", "runbookVersion": "1", "runbookDigest": "", "title": "X", "experimental": false, "inputs": {},
        "target": of, "kubeClusters": {}, "contexts": ["east"], "observedAt": "2026-01-01T00:00:00Z", "checks": [],
        "steps": steps,
    }))
    .expect("a plan")
}

/// All that follows from an action alone.
fn told(written: &Value) -> Value {
    let mut action: Action = serde_json::from_value(written.clone()).expect("an action");
    let again = serde_json::to_string(&action).expect("serialises");
    assert_eq!(again, written.to_string(), "an action is written as it was read");
    let reach = Reach { tidb_clusters: vec![(ObjectRef::new("west", "db", "basic"), false)], ..Reach::default() };
    let rights: Vec<String> = needs([], [&action], &reach)
        .into_iter()
        .filter(|need| need.why != "PD is asked through its own pod" || need.right.context == "east")
        .map(|need| {
            let of = need.right;
            let whole = [of.context, of.verb, of.group, of.resource, of.subresource, of.namespace, of.name].join(" ");
            format!("{whole} ({}): {}", need.required, need.why)
        })
        .collect();
    let mut own = step("s", written);
    own["reversibility"] = json!(action.reversibility());
    own["command"] = json!(action.command(Some(MembershipApi::V2), true));
    own["requests"] = json!(action.requests("M", "77", Some(MembershipApi::V2)));
    own["until"] = json!([{"check": "a == b", "say": "it has ${a}"}]);
    let other = step(
        "probe[basic-pd-1]",
        &json!({"kind": "probe-peer-url", "target": action.target(), "id": "2",
        "pod": "basic-pd-1", "url": "http://x:2380"}),
    );
    let one = plan(vec![own.clone(), other]);
    let first: &PlannedStep = &one.steps[0];
    let image = json!({"fields": {"spec.acrossK8s": null, "spec.clusterDomain": null, "spec.tikv.replicas": 3},
        "peerUrls": ["http://old:2380"], "revisions": {"pd": "r1"}});
    let back = undo::undo(
        "r1",
        &one,
        &["s".to_owned()],
        &BTreeMap::from([("s".to_owned(), serde_json::from_value(image).expect("an image"))]),
    );
    let shown = step_from_action::step(first);
    let anew = untrusted_plan::retold(&one, None, "not known").steps.swap_remove(0);
    let (name, with) = (action.name(), action.kind().written());
    let script = remaining_script::remaining("r1", &plan(vec![own]), None, &[]);
    let mut out = json!({
        "target": action.target(), "writes": action.writes(), "awaits": action.awaits(),
        "objects": action.objects().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "reversibility": action.reversibility(), "unfamiliar": change_allowlist::unfamiliar(&action), "rights": rights,
        "requests": action.requests("M", "77", Some(MembershipApi::V2)), "v3": action.requests("M", "77", None),
        "command": action.command(Some(MembershipApi::V2), false), "tls": action.command(None, true),
        "deed": step_from_action::deed(&action), "told": untrusted_plan::told(&action), "name": format!("{name:?}"), "with": with,
        "rendered": {"before": shown.before, "after": shown.after}, "retold": {"before": anew.before, "after": anew.after},
        "undo": back.steps, "endsAt": back.ends_at, "script": script.lines().skip_while(|line| *line != "set -eu").collect::<Vec<_>>(),
    });
    action.name_run("r1");
    out["named"] = json!(action);
    out
}

#[test]
fn every_action_is_told_and_sent_as_ever() {
    let mut kinds = std::collections::BTreeSet::new();
    for line in GOLDEN.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        kinds.insert(line["action"]["kind"].to_string());
        let (found, wanted) = (told(&line["action"]), &line["told"]);
        for (part, wanted) in wanted.as_object().expect("a map") {
            assert_eq!(found[part].to_string(), wanted.to_string(), "{part} of {}", line["action"]);
        }
    }
    assert_eq!(kinds.len(), 14, "{kinds:?}");
}
