//! What an action that sets values is put back from, and what it answers: the actions that put it back.
//!
//! Pure. Not here: the steps that are made of them ([`crate::runbook::run::undo`]).

use super::{Action, WaitRollout};
use crate::fleet::pd::MembershipApi;
use crate::runbook::before_after_image::Image;

/// What an action is put back from.
pub(in crate::runbook) struct Undoing<'a> {
    /// The step that is put back.
    pub step: &'a str,
    /// What its first Intent recorded.
    pub image: &'a Image,
    /// The id which the step back will have.
    pub back: &'a str,
    /// The plan's waits for what the step began, each with its step.
    pub waits: Vec<(&'a str, &'a WaitRollout)>,
}

/// One action of the rollback.
pub(in crate::runbook) struct Back {
    pub action: Action,
    pub part: Part,
}

/// Which part of the rollback it is, and so what its step takes over from which step forth.
pub(in crate::runbook) enum Part {
    /// It looks first, whether that is safe; the how-manieth look, from 0.
    Looks { number: usize, title: String, after: Image },
    /// It sets the values from before.
    Sets { title: String, before: Image, after: Image },
    /// It waits as this step of the plan does, and proves the same.
    Waits { like: String },
}

/// An action that sets values can be told backwards.
pub(in crate::runbook) trait Sets {
    /// The actions that put back what the Intent recorded; `None`: that cannot be done.
    fn back(&self, of: &Undoing<'_>) -> Option<Vec<Back>>;
    /// The line that puts back by hand what was found `before`. `api`: how the membership was to be changed.
    fn line_back(&self, api: Option<MembershipApi>, before: &Image) -> Option<String>;
}
