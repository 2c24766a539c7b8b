//! Why a function of ours that expressions call gives no answer.
//!
//! Not here: the functions ([`crate::runbook::facts`]), calling them ([`super::cel_expr`]).

/// One sentence without a full stop.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    #[error("an argument is not data")]
    NoData,
    #[error("{function}(…): {expected}")]
    Argument { function: &'static str, expected: String },
}

impl FunctionError {
    pub fn argument(function: &'static str, expected: impl std::fmt::Display) -> Self {
        Self::Argument { function, expected: expected.to_string() }
    }
}
