//! What goes into the engine and what comes out of it: the words between [`super::engine`] and whoever drives it.

use jiff::Timestamp;

use crate::runbook::Observation;
use crate::runbook::action_types::{Answer, ProbeLine};
use crate::runbook::actions::Action;
use crate::runbook::actions::network_probe_result::RouteProbe;
use crate::runbook::plan::Gate;
use crate::runbook::run::approval_validity::{Approval, Wanted};
use crate::runbook::run::record::{Event, Outcome, PauseReason};

/// What the driver tells the engine.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Begin, or go on after a wait.
    Go,
    Observed(&'a Observation),
    Performed(Answer),
    Probed {
        step: String,
        lines: Vec<ProbeLine>,
    },
    /// What [`Action::NetProbe`] saw.
    Crossed {
        step: String,
        ways: Vec<RouteProbe>,
    },
    /// `Some(text)`: the gate was answered, with what was typed (empty for a plain one); `None`: nobody answers. `option`: the
    /// option of the command line that answered it.
    Answered {
        gate: Gate,
        text: Option<String>,
        option: Option<&'static str>,
    },
    /// Every approval of the run that is in the cluster.
    Approvals {
        wanted: Wanted,
        found: Vec<Approval>,
    },
    /// Nothing moved for longer than the step allows.
    Stalled {
        about: About,
        sentence: String,
        /// The last time that anything moved, where the driver knows it.
        since: Option<Timestamp>,
    },
    /// A person asked to stop, and what was asked of the world did not come in time.
    Hurried,
}

/// What a wait is about: each has a clock of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// What the step waits for.
    Step,
    /// An API server that does not answer.
    Connection,
    /// Something that has to hold all through the phase.
    Invariant,
}

/// What the driver is to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Durable before the next effect.
    Append(Event),
    Observe,
    Probe {
        step: String,
        action: Action,
    },
    Perform(Action),
    Ask(Gate),
    /// Look for what a second person left in the cluster.
    FindApprovals(Wanted),
    /// Look again after so many seconds. `stalled_s`: how long nothing may move.
    Wait {
        seconds: u64,
        sentence: String,
        stalled_s: u64,
        about: About,
    },
    Stop(Stop),
}

/// Why the engine has nothing more to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    Finished(Outcome),
    /// A gate waits for a person; nothing is under way.
    AtGate(Gate),
    /// The gate was confirmed, and a second person has to approve; nothing is under way.
    AwaitsApproval {
        step: String,
        sentence: String,
    },
    Paused(PauseReason),
}
