//! What a person is asked before each step of a runbook, by the very code that makes the gates: from plans on the sample fleets.
//!
//! A document alone does not tell: what a step does may ask for more than its author did. Pure. Not here: the gates
//! (`runbook::plan::step_confirmation`), the samples ([`super::sample_fleet_data`]).

use std::collections::BTreeMap;

use super::document::{ConfirmAsked, Runbook};
use super::lint::inputs;
use super::sample_fleet_data;
use crate::runbook::plan::bind::bind_strictly;
use crate::runbook::plan::{Confirm, PlannedStep};

/// What may be asked before a step; on one fleet or with one input this, on another that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub nothing: bool,
    pub yes: bool,
    pub typed: bool,
}

/// By the id of the step. A step that no sample has is asked as its document says.
pub fn asked(runbook: &Runbook) -> BTreeMap<String, Asked> {
    let mut all: BTreeMap<String, Asked> = BTreeMap::new();
    for seen in sample_fleet_data::observations() {
        for given in inputs(runbook) {
            for step in bind_strictly(runbook, &given, &seen).map(|plan| plan.steps).unwrap_or_default() {
                note(all.entry(id_of(&step).to_owned()).or_default(), &step.confirm);
            }
        }
    }
    for step in runbook.phases.iter().flat_map(|phase| &phase.steps) {
        all.entry(step.id.clone()).or_insert(match step.confirm {
            ConfirmAsked::None => Asked { nothing: true, ..Asked::default() },
            ConfirmAsked::Once | ConfirmAsked::OncePerPhase => Asked { yes: true, ..Asked::default() },
            ConfirmAsked::Typed => Asked { typed: true, ..Asked::default() },
        });
    }
    all
}

fn note(asked: &mut Asked, confirm: &Confirm) {
    match confirm {
        Confirm::None => asked.nothing = true,
        Confirm::Plain { .. } => asked.yes = true,
        Confirm::Typed { .. } => asked.typed = true,
    }
}

/// Without its item.
fn id_of(step: &PlannedStep) -> &str {
    step.id.split('[').next().unwrap_or(&step.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_makes_what_is_not_known_here_asks_for_the_name() {
        let of = |runbook: &str, step: &str| {
            let all = asked(&Runbook::shipped(runbook).expect("it is shipped"));
            *all.get(step).unwrap_or_else(|| panic!("{runbook} has {:?}", all.keys()))
        };
        let typed = Asked { typed: true, ..Asked::default() };
        let yes = Asked { yes: true, ..Asked::default() };
        assert_eq!(of("migrate-cluster-domain", "set-domain"), typed);
        assert_eq!(of("migrate-cluster-domain", "update"), yes);
        assert_eq!(of("migrate-cluster-domain", "probe"), Asked { nothing: true, ..Asked::default() });
        for (runbook, _) in crate::runbook::language::document::SHIPPED {
            let document = Runbook::shipped(runbook).expect("it is shipped");
            let all = asked(&document);
            for step in document.phases.iter().flat_map(|phase| &phase.steps) {
                assert!(all[&step.id] != Asked::default(), "{runbook} {}", step.id);
            }
        }
    }
}
