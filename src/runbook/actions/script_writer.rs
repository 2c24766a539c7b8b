//! Where an action writes its lines in the script of what is left of a run, and what it may write them from.
//!
//! Pure. Not here: the script as a whole ([`crate::runbook::run::remaining_script`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::fleet::ObjectRef;
use crate::fleet::pd::MembershipApi;
use crate::runbook::before_after_image::Image;

/// The place of one step.
pub(in crate::runbook) struct Script<'a> {
    pub out: &'a mut String,
    /// The line that a person would type instead of the step.
    pub line: &'a str,
    /// How the membership was to be changed when the plan was made.
    pub api: Option<MembershipApi>,
    /// Longest the step may take; seconds.
    pub total_s: u64,
    /// What a person has to see before it goes on, a comment each.
    pub until: &'a [String],
    /// Step → its before-image: that of its Intent, else the plan's.
    pub befores: &'a BTreeMap<&'a str, &'a Image>,
    /// The PD pods that the plan names.
    pub pd_pods: &'a BTreeMap<ObjectRef, BTreeSet<String>>,
}

impl Script<'_> {
    /// The script cannot judge the conditions of a wait: a person does.
    pub fn waits_for(&mut self) {
        for until in self.until {
            let _ = writeln!(self.out, "# {until}");
        }
        let _ = writeln!(self.out, "# watch: {}", comment(self.line));
        self.out.push_str("printf 'enter when it holds: '; read -r _\n");
    }
}

/// Text that cannot leave its comment.
pub(in crate::runbook) fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
