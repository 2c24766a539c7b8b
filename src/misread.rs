//! A value that somebody wrote, and that is not what it was to be: what was expected, what was found, what to do.

/// `expected CONTEXT/NAMESPACE/NAME, found "east"`
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}{}", hint.as_deref().unwrap_or_default())]
pub struct Misread {
    pub expected: String,
    /// As it is shown: quoted where it is a text of somebody's.
    pub found: String,
    /// With what joins it to the rest: `: leave the leading "svc." out`.
    pub hint: Option<String>,
}

impl Misread {
    pub fn new(expected: impl Into<String>, found: &str) -> Self {
        Self { expected: expected.into(), found: format!("{found:?}"), hint: None }
    }

    /// Where what was found has no words of its own: `nothing`, `7`.
    pub fn plain(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into(), hint: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Where a sentence is all that is asked for.
impl From<Misread> for String {
    fn from(misread: Misread) -> Self {
        misread.to_string()
    }
}
