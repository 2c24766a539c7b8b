//! Why a document and its inputs make no plan.

use crate::invalid_value::Misread;

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    #[error("input {name} is missing: {prompt} (--set {name}=…)")]
    MissingInput { name: String, prompt: String },
    #[error("there is no input {name:?}; this runbook has: {known}")]
    UnknownInput { name: String, known: String },
    #[error("input {name}: {why}")]
    BadInput { name: String, why: Misread },
    #[error("{0}")]
    Unseen(String),
    #[error("step {step}: {why}")]
    Step { step: String, why: String },
    #[error("check {check} cannot be overruled: {why}")]
    NotAccepted { check: String, why: String },
}
