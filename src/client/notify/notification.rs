//! What is told to people who do not sit at a terminal. Plain data: who makes it is `app/driver/run_notifications.rs` (runs) and
//! `cli/notify.rs` (findings); how it is written for each receiver is [`super::payloads`].

use jiff::Timestamp;
use serde::Serialize;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A run waits for a person's answer, or for a second person.
    GateWaits,
    /// It goes on. Only for a receiver that keeps the state: an alert ends.
    GatePassed,
    RunEnded,
    FindingAppeared,
    /// It is still there. Only for a receiver that keeps the state: an alert is kept alive.
    FindingStays,
    FindingGone,
}

impl Kind {
    /// Whether a receiver that only gets messages is told too.
    pub fn is_message(self) -> bool {
        !matches!(self, Kind::GatePassed | Kind::FindingStays)
    }
}

/// One thing that is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct News {
    pub kind: Kind,
    /// Stays the same for the same thing: a finding's id, `gate-waits`, `run-ended`.
    pub id: String,
    /// `high`, `medium`, `low` or `info`.
    pub severity: &'static str,
    pub at: Timestamp,
    /// What it is about.
    pub subject: String,
    pub sentence: String,
    /// The command that helps, or what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_to_do: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// How a run ended: its exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
}
