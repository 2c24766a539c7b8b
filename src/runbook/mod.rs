//! What **should** happen: documents, plans and the engine which carries a plan out. Pure: no clock, no I/O.
//!
//! Reading order: [`definition`] (the YAML document) → [`facts`] and [`expr`] (what its expressions see) →
//! [`actions`] (the closed set of mutations) → [`plan`] (document + inputs + observation) → [`record`] (journal
//! lines) → [`engine`] (records and observations in, effects out) → [`approval`] (the second person) → [`choices`] and
//! [`undo`] (what a person may do when a run has stopped).

pub mod action;
pub mod actions;
pub mod approval;
pub mod beside;
pub mod bind;
mod blame;
pub mod choices;
pub mod cost;
mod danger;
pub mod definition;
pub mod digest;
pub mod engine;
pub mod expr;
pub mod facts;
mod forward;
mod gates;
mod guards;
mod hidden;
pub mod image;
pub mod inputs;
pub mod issuing;
pub mod judge;
pub mod lint;
pub mod merge;
pub mod network;
pub mod newer;
pub mod overrule;
pub mod people;
pub mod plan;
pub mod proven;
pub mod provenance;
pub mod record;
pub mod remaining;
#[cfg(test)]
mod remedies;
pub mod rendered;
pub mod requests;
pub mod retold;
pub mod rights;
pub mod run;
pub(crate) mod sample;
pub mod schema;
pub mod standing;
pub mod standstill;
mod template;
pub mod tls;
pub mod undo;
pub mod ways;

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
