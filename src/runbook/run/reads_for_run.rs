//! What has to be looked at for a run. Pure.

use std::collections::BTreeSet;

use crate::fleet::ObjectRef;
use crate::fleet::closer_look::Extras;
use crate::fleet::object_kind::ObjectId;
use crate::runbook::Observation;
use crate::runbook::language::given_inputs;
use crate::runbook::plan::reads_for_facts;
use crate::runbook::run::Run;

impl Run {
    /// The objects, beside what is listed anyway, that have to be looked at for this run.
    pub fn objects(&self, seen: &Observation) -> BTreeSet<ObjectId> {
        let mut all = reads_for_facts::objects_of_facts(&self.runbook, &self.plan.inputs, seen);
        let way_back = self.undo.iter().flat_map(|way| &way.steps);
        all.extend(self.asked_of_the_gone(seen));
        all.extend(self.plan.steps.iter().chain(way_back).flat_map(|step| step.action.objects()));
        all
    }

    /// The DNS domains that its inputs give, with where each is to be set.
    pub fn domains(&self) -> Vec<(ObjectRef, Option<String>)> {
        given_inputs::domains(&self.runbook, &self.plan.inputs)
    }

    /// What a closer look has to read for this run.
    pub fn extras(&self) -> Extras {
        reads_for_facts::extras_of_facts(&self.runbook)
    }
}
