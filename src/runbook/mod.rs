//! What **should** happen: documents, plans and the engine which carries a plan out. Pure: no clock, no I/O.
//!
//! Reading order: [`language::document`] (the YAML document) → [`facts`] and [`language::cel_expr`] (what its expressions see)
//! → [`actions`] (the closed set of mutations) → [`plan`] (document + inputs + observation) → [`run::record`] (journal
//! lines) → [`run::engine`] (records and observations in, effects out) → [`run::approval_validity`] (the second person) →
//! [`run::pause_choices`] and [`run::undo`] (what a person may do when a run has stopped).

pub mod action_types;
pub mod actions;
pub mod before_after_image;
pub mod bind_error;
pub mod facts;
pub mod language;
pub mod plan;
pub mod recorded_text_translation;
pub mod run;
pub mod step_from_action;

use jiff::Timestamp;

use crate::fleet::Fleet;

/// One fresh look at the world, taken for one decision and not used for another.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// When the look was finished.
    pub at: Timestamp,
    pub fleet: Fleet,
    /// Rights that the user lacks (SelfSubjectAccessReview said no), one sentence each. `None`: not asked.
    pub denied: Option<Vec<String>>,
}
