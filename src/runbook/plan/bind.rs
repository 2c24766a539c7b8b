//! Binds a runbook to its inputs and to one observation: the plan, with every step concrete.
//!
//! Inputs, then the [`preflight`], then the [`steps`]. Pure; the server's dry run of a patch is put in afterwards by the driver.
//! Not here: types of the plan ([`crate::runbook::plan`]), what has to be read for it ([`super::reads_for_facts`]).

use std::collections::BTreeMap;

use crate::fleet::database;
use crate::runbook::Observation;
use crate::runbook::actions::judge_types::{Judged, judge};
pub use crate::runbook::bind_error::BindError;
use crate::runbook::facts::{self, Query};
use crate::runbook::language::document::Runbook;
use crate::runbook::language::given_inputs::{self, Given};
use crate::runbook::plan::fact_evaluation::Facts;
use crate::runbook::plan::overrule::{self, Accepted};
use crate::runbook::plan::{CheckResult, CheckState, Plan, PlannedStep, preflight, steps};

/// Makes the plan. Steps that stand on what a check has refused are left out of it.
pub fn bind(runbook: &Runbook, given: &BTreeMap<String, String>, seen: &Observation) -> Result<Plan, BindError> {
    bind_accepting(runbook, given, seen, &Accepted::new())
}

/// The same with what a person overrules.
pub fn bind_accepting(
    runbook: &Runbook,
    given: &BTreeMap<String, String>,
    seen: &Observation,
    accepted: &Accepted,
) -> Result<Plan, BindError> {
    plan(runbook, given, seen, accepted, false)
}

/// The same, where every step has to be made whatever the checks say: for linting.
pub(in crate::runbook) fn bind_strictly(
    runbook: &Runbook,
    given: &BTreeMap<String, String>,
    seen: &Observation,
) -> Result<Plan, BindError> {
    plan(runbook, given, seen, &Accepted::new(), true)
}

fn plan(
    runbook: &Runbook,
    given: &BTreeMap<String, String>,
    seen: &Observation,
    accepted: &Accepted,
    strict: bool,
) -> Result<Plan, BindError> {
    let Given { values: inputs, target, exists, contexts: named } = given_inputs::read(runbook, given)?;
    // Without the target there is nothing to plan; say so before any check does it less clearly.
    let essential = if exists { Query::TidbCluster } else { Query::KubeCluster };
    facts::fact(essential, &target, seen).map_err(|unseen| BindError::Unseen(unseen.0))?;
    let facts = Facts::new(runbook, &inputs, seen);
    let judged = runbook.preflight.iter().map(|check| overrule::decided(preflight::judged(check, &facts), accepted));
    let mut checks: Vec<CheckResult> = judged.collect();
    overrule::all_used(runbook, &checks, accepted)?;
    let mut made = Vec::new();
    for phase in &runbook.phases {
        match steps::expand(phase, &facts, &target, &mut made) {
            Ok(()) => {}
            // What a check has refused is the better reason: a step may well stand on it.
            Err(_) if !strict && checks.iter().any(|check| check.state == CheckState::Refused) => {
                made.clear();
                break;
            }
            Err(error) => return Err(error),
        }
    }
    checks.extend(made.iter().filter_map(|step| occupied(step, seen)));
    let database = database::database_of(&seen.fleet, &target);
    let members = database.as_ref().map_or_else(|| vec![target.clone()], |d| d.tidb_clusters.clone());
    let mut contexts: Vec<String> = members.into_iter().map(|member| member.context).collect();
    contexts.extend(named.into_iter().filter(|context| !contexts.contains(context)).collect::<Vec<_>>());
    contexts.dedup();
    let kube_clusters: BTreeMap<String, String> = contexts
        .iter()
        .filter_map(|context| Some((context.clone(), seen.fleet.clusters.get(context)?.uid.clone()?)))
        .collect();
    let nameless: Vec<&str> = contexts.iter().map(String::as_str).filter(|c| !kube_clusters.contains_key(*c)).collect();
    if !nameless.is_empty() {
        let sentence = format!(
            "{} does not tell which Kubernetes cluster it is: grant get on namespace kube-system, whose uid the run is bound to",
            nameless.join(", ")
        );
        let result = CheckResult::new("cluster-identity", CheckState::Refused, sentence);
        checks.push(result.titled("Every Kubernetes cluster tells which one it is"));
    }
    let mut plan = Plan {
        runbook: runbook.id.clone(),
        runbook_version: runbook.version.clone(),
        runbook_digest: runbook.digest.clone(),
        title: runbook.title.en.clone(),
        experimental: runbook.experimental,
        inputs,
        target,
        kube_clusters,
        database: database.and_then(|database| database.id),
        contexts,
        observed_at: seen.at,
        checks,
        steps: made,
        basis: BTreeMap::new(),
        document: None,
        sealed: None,
    };
    let hidden = crate::runbook::plan::whole_database_check::check(&plan, seen);
    plan.checks.extend(hidden);
    Ok(plan)
}

/// What stands already where a step would put something else: better said before the first step than at this one.
fn occupied(step: &PlannedStep, seen: &Observation) -> Option<CheckResult> {
    step.action.makes()?;
    let Judged::Foreign { sentence, .. } = judge(&step.action, None, None, "", seen) else { return None };
    let result = CheckResult::new(format!("place-of-{}", step.id), CheckState::Refused, sentence);
    Some(result.titled(format!("Nothing stands in the way of: {}", step.title)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::language::sample_fleet_data;
    use crate::runbook::plan::Confirm;
    use crate::runbook::plan::preflight::first_refusal;
    use serde_json::json;

    const TEXT: &str = r#"
runbook: v1
id: x
version: "1"
title: {en: x}
summary: {en: x}
inputs:
  - {name: tidbCluster, type: tidb-cluster, prompt: {en: x}}
facts:
  tc: {query: k8s.tidb-cluster, of: "${inputs.tidbCluster}"}
preflight:
  - {id: once, once: true, check: "false", fail: {en: once}}
  - {id: always, check: "tc.spec.version == 'v8.5.4'", fail: {en: always}}
phases:
  - id: p
    title: {en: x}
    steps:
      - {id: mark, title: {en: x}, action: k8s.patch-tidb-cluster, with: {target: "${inputs.tidbCluster}", merge: {metadata: {annotations: {a.b/c: "1"}}}}, timeout: {totalS: 1, stalledS: 1}}
      - {id: said, title: {en: x}, action: manual, with: {target: "${inputs.tidbCluster}", command: look}, timeout: {totalS: 1, stalledS: 1}}
      - {id: unmark, title: {en: x}, action: k8s.patch-tidb-cluster, with: {target: "${inputs.tidbCluster}", merge: {metadata: {annotations: {a.b/c: null}}}}, timeout: {totalS: 1, stalledS: 1}}
      - {id: other, title: {en: x}, action: k8s.patch-tidb-cluster, with: {target: "${inputs.tidbCluster}", merge: {metadata: {annotations: {d: null}}}}, timeout: {totalS: 1, stalledS: 1}}
"#;

    fn sample() -> (Runbook, BTreeMap<String, String>, Observation) {
        let runbook = Runbook::read("x", TEXT).expect("reads");
        let given = BTreeMap::from([("tidbCluster".to_owned(), sample_fleet_data::TARGET.to_owned())]);
        (runbook, given, sample_fleet_data::observations().swap_remove(0))
    }

    #[test]
    fn a_later_patch_of_a_field_finds_what_an_earlier_one_sets() {
        let (runbook, given, seen) = sample();
        let plan = bind_strictly(&runbook, &given, &seen).expect("binds");
        let step = |id: &str| plan.step(id).expect("it is there");
        // Not set today, and set by the time that its turn comes.
        let unmark = step("unmark");
        assert!(!unmark.already_so);
        assert_eq!(json!(unmark.before)["fields"], json!({"metadata.annotations[a.b/c]": "1"}));
        assert_eq!(json!(unmark.after)["fields"], json!({"metadata.annotations[a.b/c]": null}));
        assert!(step("other").already_so, "a field that no step sets is as it is");
        // What only a person can say is never so already, and always asked.
        let said = step("said");
        assert!(!said.already_so && said.confirm != Confirm::None);
    }

    #[test]
    fn what_the_run_changes_itself_is_not_judged_after_it_has_begun() {
        let (runbook, given, mut seen) = sample();
        let inputs = given_inputs::read(&runbook, &given).expect("reads").values;
        let first = |seen: &Observation, begun: bool| {
            let facts = Facts::new(&runbook, &inputs, seen);
            first_refusal(&facts, begun, &[]).map(|refused| refused.id)
        };
        assert_eq!(first(&seen, false).as_deref(), Some("once"));
        assert_eq!(first(&seen, true), None);
        for tc in seen.fleet.clusters.values_mut().flat_map(|cluster| cluster.tidb_clusters.values_mut()) {
            tc.spec.version = Some("v9.0.0".into());
        }
        assert_eq!(first(&seen, true).as_deref(), Some("always"));
    }
}
