//! Why the `with` of a step makes no action.

use crate::invalid_value::{Misread, parser_words};

/// Why an action is not made. The document is at fault in all of them but [`BadWith::NotSeen`].
#[derive(Debug, thiserror::Error)]
pub(in crate::runbook) enum BadWith {
    /// A field is missing, unknown, or of another type.
    #[error("`with`: {}", parser_words(&.0.to_string()))]
    Shape(#[from] serde_json::Error),
    #[error(transparent)]
    Misread(#[from] Misread),
    /// It can be read, and no document may ask for it.
    #[error("{0}")]
    Refused(String),
    /// What the action has to know of the world (a uid, a fingerprint) was not there to be seen.
    #[error("{0}")]
    NotSeen(String),
}

impl BadWith {
    pub(super) fn refused<T>(sentence: impl Into<String>) -> Result<T, Self> {
        Err(BadWith::Refused(sentence.into()))
    }
}
