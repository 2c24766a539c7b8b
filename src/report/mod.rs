//! Face 2: what is printed — `status`, plans and runs, as tables, JSON, YAML and lines.
//!
//! Pure renderers: data in, text out; `cli` writes it to stdout. Not here: what is looked at (`client`) and what is
//! judged (`fleet`, `runbook`).

pub mod approvals;
pub mod approve;
pub mod audit;
pub mod check;
pub mod plan;
pub mod rbac;
pub mod run;
pub mod status;
pub mod table;
pub mod verify;

/// Removes control characters from text that came from a cluster: a name or an annotation must not be able to
/// move the cursor or set the window title.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}
