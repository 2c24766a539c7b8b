//! What a journal records: the only thing that changes a run.
//!
//! Not here: what stopped a run ([`super::pause_reason`]), how records become lines and back ([`super::journal_lines`]), what one does to
//! a run ([`crate::runbook::run::engine`]).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fleet::ObjectRef;
use crate::runbook::action_types::Answer;
use crate::runbook::actions::Action;
use crate::runbook::before_after_image::Image;
use crate::runbook::plan::Plan;
use crate::runbook::run::identity_source::{IdentityProof, NamedBy};

pub use crate::runbook::run::pause_reason::{Cause, PauseReason};

/// One line of a run's journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// From 0, without gaps.
    pub seq: u64,
    pub at: Timestamp,
    /// SHA-256 of the previous line (hex); empty for the first.
    pub prev: String,
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// The run begins with this plan and keeps it for ever.
    RunOpened {
        run: String,
        tool: String,
        plan: Box<Plan>,
    },
    /// Another process goes on with it.
    Resumed {
        tool: String,
        /// The TidbCluster whose resourceVersion is moved first: the last patch of it may still be on its way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moves: Option<ObjectRef>,
    },
    /// The leases of the Database were taken for this run.
    Leased {
        /// PD cluster id.
        database: String,
        /// Who drives it, as the cluster knows them, with the machine's name.
        by: String,
        /// The same without the machine; nobody is second to a person whom nobody knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// Who gave that name; only one that the server gave counts where two people are demanded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        named_by: Option<NamedBy>,
        fences: Vec<Fence>,
    },
    /// Another person or machine goes on with it, after the lease of the one before had lapsed.
    TakenOver {
        tool: String,
        by: String,
        /// Who had it before.
        from: String,
        /// As with `resumed`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moves: Option<ObjectRef>,
    },
    /// A gate was answered; `text` is what was typed for a typed one.
    Confirmed {
        gate: String,
        text: Option<String>,
        /// The option of the command line that answered it; absent: it was answered where it was asked, or through a Job, or by
        /// 0.1.0, which did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        option: Option<String>,
    },
    /// The gate was confirmed, and a second person is asked to approve this step (with its item) for this attempt. The
    /// hash of the line before is what their approval has to name.
    AwaitsApproval {
        gate: String,
        step: String,
        attempt: u32,
        /// Who confirmed the gate.
        by: String,
    },
    /// A second person approved this step, for this attempt.
    Approved {
        gate: String,
        /// Journals before 0.2 do not say which of the gate's steps; what they say lets none through any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        attempt: u32,
        /// As the cluster knows them.
        by: String,
        /// Their machine's name; empty where it is not known.
        host: String,
        /// When they did, by their clock.
        given: Timestamp,
        /// The object in the cluster that says so.
        object: String,
        vouched: IdentityProof,
    },
    /// The action is about to leave. Durable before anything is sent.
    Intent {
        step: String,
        attempt: u32,
        action: Action,
        before: Image,
        after: Image,
    },
    /// An answer came, or the wait for it ended. Never completes a step.
    Returned {
        step: String,
        attempt: u32,
        answer: Answer,
    },
    /// A person decided how the run goes on. Leaving a step out is a `Completed` with its reason.
    Chosen {
        choice: Choice,
    },
    /// The world was seen to be as the step wants it, or a person left the step out.
    Completed {
        step: String,
        how: How,
        evidence: Value,
    },
    /// Nothing further is sent until a person resumes.
    Paused {
        step: String,
        reason: PauseReason,
        /// Journals before 0.2 have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
    },
    Closed {
        outcome: Outcome,
    },
}

impl Event {
    /// Its name in a journal, and the step that it is about.
    pub fn kind(&self) -> (&'static str, Option<&str>) {
        match self {
            Event::RunOpened { .. } => ("run-opened", None),
            Event::Leased { .. } => ("leased", None),
            Event::TakenOver { .. } => ("taken-over", None),
            Event::Resumed { .. } => ("resumed", None),
            Event::Confirmed { .. } => ("confirmed", None),
            Event::AwaitsApproval { step, .. } => ("awaits-approval", Some(step)),
            Event::Approved { .. } => ("approved", None),
            Event::Intent { step, .. } => ("intent", Some(step)),
            Event::Returned { step, .. } => ("returned", Some(step)),
            Event::Completed { step, .. } => ("completed", Some(step)),
            Event::Paused { step, .. } => ("paused", Some(step)),
            Event::Chosen { .. } => ("chosen", None),
            Event::Closed { .. } => ("closed", None),
        }
    }

    /// Name and version of the program that goes on from here, where the record says so.
    pub(super) fn tool(&self) -> Option<&str> {
        match self {
            Event::RunOpened { tool, .. } | Event::Resumed { tool, .. } | Event::TakenOver { tool, .. } => Some(tool),
            Event::Leased { .. }
            | Event::Confirmed { .. }
            | Event::AwaitsApproval { .. }
            | Event::Approved { .. }
            | Event::Intent { .. }
            | Event::Returned { .. }
            | Event::Chosen { .. }
            | Event::Completed { .. }
            | Event::Paused { .. }
            | Event::Closed { .. } => None,
        }
    }
}

/// What a person chose at a pause; going on as before (retry) is `Resumed` alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "choice", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Choice {
    /// The step was done outside of the run. It completes only when the world shows it.
    ByHand { step: String },
    /// Everything that this run sent is put back, the newest first.
    Undo {
        /// The steps that are put back, in this order.
        steps: Vec<String>,
        /// The step with no rollback at which the undo ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends_at: Option<String>,
    },
    /// The run is given up as it stands.
    Abandon {
        reason: String,
        /// One sentence per step that is half done, or was done and stays.
        left: Vec<String>,
    },
}

/// One lease with the count that tells its holders apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fence {
    pub context: String,
    pub namespace: String,
    /// `leaseTransitions` as we took it.
    pub fence: u64,
}

/// Why a step counts as completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It was so before we sent anything.
    AlreadySo,
    /// We sent it and then saw it.
    Performed,
    /// Sent before a crash or a lost answer, and found done.
    Adopted,
    /// A wait or probe was satisfied.
    Observed,
    /// A person said so, and then we saw it.
    ByHand,
    /// A person said so, or an option of the command line did, and nothing here can look.
    Asserted,
    /// Left out by a person, who gave this reason. Nothing is known about the world.
    Skipped { reason: String },
}

impl How {
    /// A few words for a list.
    pub fn word(&self) -> &'static str {
        match self {
            How::AlreadySo => "already so",
            How::Performed => "done",
            How::Adopted => "found done",
            How::Observed => "seen",
            How::ByHand => "done by hand",
            How::Asserted => "asserted",
            How::Skipped { .. } => "skipped",
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Done,
    /// Every step was already so.
    NothingToDo,
    /// Nothing was sent, and a person left steps out: whether those are so is not known.
    LeftOut,
    /// What could be put back was put back.
    Undone,
    /// A person gave it up; what is left half done is in the record before.
    Abandoned,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::NothingToDo => "nothing to do",
            Outcome::LeftOut => "ended, steps left out",
            Outcome::Undone => "undone",
            Outcome::Abandoned => "abandoned",
        }
    }
}
