//! What has to be read for the facts of a runbook, before they can be answered.
//!
//! Pure. Not here: reading it (`app::driver::planning`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::fleet::ObjectRef;
use crate::fleet::closer_look::{Extra, Extras};
use crate::fleet::object_kind::ObjectId;
use crate::runbook::Observation;
use crate::runbook::facts::{self, Query};
use crate::runbook::language::document::{Fact, Runbook};
use crate::runbook::plan::fact_evaluation::{Facts, Of};

/// The objects, beside what is listed anyway, that the facts of a runbook are answered from. Where a fact's `when` has no
/// answer, it is looked for.
pub fn objects_of_facts(runbook: &Runbook, inputs: &BTreeMap<String, Value>, seen: &Observation) -> BTreeSet<ObjectId> {
    let facts = Facts::new(runbook, inputs, seen);
    let wanted = runbook.facts.values().filter(|fact| facts.applies(fact) != Ok(false));
    let each = |fact: &Fact| facts.of(fact).ok().map(Of::all).unwrap_or_default();
    wanted.flat_map(|fact| each(fact).into_iter().flat_map(|of| facts::objects(fact.query, &of, &seen.fleet))).collect()
}

/// What a closer look has to read for the facts of a runbook.
pub fn extras_of_facts(runbook: &Runbook) -> Extras {
    runbook.facts.values().flat_map(|fact| facts::extras(fact.query)).copied().collect()
}

/// The TidbClusters whose PD the facts of a runbook ask, there already or not.
pub fn asked_of_pd(runbook: &Runbook, inputs: &BTreeMap<String, Value>, seen: &Observation) -> BTreeSet<ObjectRef> {
    let facts = Facts::new(runbook, inputs, seen);
    let asks = runbook.facts.values().filter(|fact| matches!(fact.query, Query::Membership | Query::Served));
    asks.filter(|fact| facts.applies(fact) != Ok(false))
        .filter_map(|fact| facts.of(fact).ok())
        .flat_map(Of::all)
        .collect()
}

/// The contexts in which the facts of a runbook need an extra.
pub fn contexts_of_extra(
    runbook: &Runbook,
    inputs: &BTreeMap<String, Value>,
    seen: &Observation,
    extra: Extra,
) -> BTreeSet<String> {
    let facts = Facts::new(runbook, inputs, seen);
    let wanted = runbook.facts.values().filter(|fact| facts::extras(fact.query).contains(&extra));
    let wanted = wanted.filter(|fact| facts.applies(fact) != Ok(false));
    wanted.filter_map(|fact| facts.of(fact).ok()).flat_map(Of::all).map(|of| of.context).collect()
}
