//! What is left of a run as a shell script with kubectl and curl: nobody is locked in at the worst moment.
//!
//! Pure: plan and records in, text out. The script looks before it writes, waits for each port-forward and ends it,
//! and can be run again. It does not evaluate the runbook's conditions; they are printed beside the step for a
//! person to judge. Not here: the single lines of a plan ([`crate::runbook::actions::Action::command`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::{kubectl, quote};
use crate::pluralize::counted;
use crate::runbook::action_types::{Answer, Reversibility};
use crate::runbook::actions::Action;
use crate::runbook::actions::port_forward_script;
use crate::runbook::actions::script_writer::{Script, comment};
use crate::runbook::before_after_image::Image;
use crate::runbook::plan::{Condition, Plan, PlannedStep};
use crate::runbook::run::approval_validity;
use crate::runbook::run::record::{Event, Record};

/// The script for every step that no record has completed. `undoing`: the steps that put back what was sent, once a
/// person has chosen that.
#[expect(clippy::too_many_lines, reason = "one script from top to bottom")]
pub fn remaining(run: &str, plan: &Plan, undoing: Option<&[PlannedStep]>, records: &[Record]) -> String {
    let mut done = BTreeSet::new();
    let mut befores: BTreeMap<&str, &Image> = BTreeMap::new();
    let mut sent = BTreeSet::new();
    let mut approved = BTreeSet::new();
    for record in records {
        // An approval is for one attempt: the next one needs another.
        match &record.event {
            Event::Approved { step: Some(step), .. } => drop(approved.insert(step.as_str())),
            Event::Intent { step, .. } => drop(approved.remove(step.as_str())),
            _ => {}
        }
        if let Event::Completed { step, .. } = &record.event {
            done.insert(step.as_str());
        } else if let Event::Intent { step, before, .. } = &record.event {
            befores.entry(step).or_insert(before);
            sent.insert(step.as_str());
        } else if let Event::Returned { step, answer: Answer::Refused { .. }, .. } = &record.event {
            sent.remove(step.as_str());
        }
    }
    let known = Known::new(plan, befores);
    let all = undoing.unwrap_or(&plan.steps);
    let left: Vec<&PlannedStep> = all.iter().filter(|step| !done.contains(step.id.as_str())).collect();
    let mut out = String::from("#!/bin/sh\n");
    let target = comment(&plan.target.to_string());
    let _ = writeln!(out, "# What is left of run {}: {} on {target}", comment(run), comment(&plan.title));
    if let Some(document) = &plan.document {
        let _ = writeln!(out, "# {}", comment(&document.mark()));
    }
    if left.iter().any(|step| step.pre.iter().chain(&step.post).chain(&step.until).any(|one| one.say.is_some())) {
        out.push_str("# In what has to be looked at, … stands for what is found at that time.\n");
    }
    if undoing.is_some() {
        out.push_str("# The run is being undone: these steps put back what it sent.\n");
    }
    if left.is_empty() {
        out.push_str("# Nothing: every step is completed.\n");
        return out;
    }
    let _ = writeln!(
        out,
        "# {} of {}. Read it before you run it; end the run first, so that only one of",
        left.len(),
        counted(all.len(), "step")
    );
    out.push_str(
        "# you and tidepilot works. The values are from the journal; what is so already is left alone.\nset -eu\n",
    );
    let membership = |step: &&PlannedStep| matches!(step.action, Action::UpdatePeerUrl(_));
    if left.iter().any(membership) {
        let tls = |step: &&PlannedStep| matches!(&step.action, Action::UpdatePeerUrl(update) if update.to.iter().any(|url| url.starts_with("https")));
        let tls = left.iter().any(tls);
        prelude(&mut out, plan, tls);
    }
    for step in left {
        let _ = write!(out, "\n# {} [{}]", comment(&step.title), comment(&step.id));
        out.push_str(match step.reversibility {
            Reversibility::Irreversible => " — NO ROLLBACK\n",
            Reversibility::Free | Reversibility::Compensable => "\n",
        });
        if sent.contains(step.id.as_str()) {
            out.push_str("# It was sent once and its end is not known: look first.\n");
        }
        for pre in &step.pre {
            let _ = writeln!(out, "# {}", held("do not go on while this is so", pre));
        }
        if step.approvers > 1 && !approved.contains(step.id.as_str()) {
            guarded(&mut out, run, step, plan, &known);
        } else {
            known.lines(&mut out, step);
        }
        for post in &step.post {
            let _ = writeln!(out, "# {}", held("done only when this is no longer so", post));
        }
    }
    out
}

/// A step that a second person has to approve is no line that is ready to be sent: it is a comment, and the script ends.
fn guarded(out: &mut String, run: &str, step: &PlannedStep, plan: &Plan, known: &Known<'_>) {
    let mut lines = String::new();
    known.lines(&mut lines, step);
    let _ = writeln!(
        out,
        "# A second person has to approve it first: another user runs `{}` and sees what it is.\n\
         # By hand, likewise: another person reads the lines behind #: and agrees; then take the marks and the next line away.",
        approval_validity::line(&comment(run), &comment(&plan.target.namespace), "")
    );
    let told = format!("{}: a second person has to approve it first", comment(&step.id));
    let _ = writeln!(out, "echo {} >&2; exit 1", quote(&told));
    for line in lines.lines() {
        let _ = writeln!(out, "#: {line}");
    }
}

/// What the lines of a step are written from, whichever step it is.
struct Known<'a> {
    befores: BTreeMap<&'a str, &'a Image>,
    pd_pods: BTreeMap<ObjectRef, BTreeSet<String>>,
}

impl<'a> Known<'a> {
    /// `sent`: the before-image of each Intent.
    fn new(plan: &'a Plan, sent: BTreeMap<&'a str, &'a Image>) -> Self {
        let mut known = Self { befores: sent, pd_pods: BTreeMap::new() };
        for step in &plan.steps {
            known.befores.entry(&step.id).or_insert(&step.before);
            let (target, pod) = match &step.action {
                Action::ProbePeerUrl(probe) => (&probe.target, &probe.pod),
                Action::UpdatePeerUrl(update) => (&update.target, &update.pod),
                _ => continue,
            };
            known.pd_pods.entry(target.clone()).or_default().insert(pod.clone());
        }
        known
    }

    fn lines(&self, out: &mut String, step: &PlannedStep) {
        let until: Vec<String> = step.until.iter().map(|until| held("wait as long as", until)).collect();
        step.action.kind().script(&mut Script {
            out,
            line: &step.by_hand(),
            api: step.membership_api(),
            total_s: step.total_s,
            until: &until,
            befores: &self.befores,
            pd_pods: &self.pd_pods,
        });
    }
}

/// A condition for a person: what the run says while it does not hold, with `…` for what only a look can fill in. The expression
/// itself is printed only where there are no words.
fn held(unless: &str, condition: &Condition) -> String {
    let Some(say) = &condition.say else {
        return format!("the runbook's expression {} has to hold", comment(&condition.check));
    };
    let mut words = String::new();
    let mut rest = say.as_str();
    while let Some((before, from)) = rest.split_once("${") {
        words.push_str(before);
        words.push('…');
        // A placeholder may hold braces of its own.
        let mut depth = 1;
        let end = from.char_indices().find(|(_, c)| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0
        });
        rest = end.map_or("", |(at, _)| &from[at + 1..]);
    }
    words.push_str(rest);
    format!("{unless}: {}", comment(&words))
}

/// The shell function `pd` and what it needs: certificates, and the id that each pod has to have.
fn prelude(out: &mut String, plan: &Plan, tls: bool) {
    let certificates = tls.then(|| {
        let secret = quote(&format!("{}-cluster-client-secret", plan.target.name));
        out.push_str("umask 077\ncerts=$(mktemp -d)\ntrap 'rm -rf \"$certs\"' EXIT\n");
        for file in ["ca.crt", "tls.crt", "tls.key"] {
            let _ = writeln!(
                out,
                "{} get secret {secret} -o jsonpath='{{.data.{}}}' | base64 -d >\"$certs/{file}\"",
                kubectl(&plan.target),
                file.replace('.', "\\.")
            );
        }
        "--cacert \"$certs/ca.crt\" --cert \"$certs/tls.crt\" --key \"$certs/tls.key\""
    });
    let _ = writeln!(out, "database={}\n", port_forward_script::database(plan.database.as_deref(), &plan.target));
    out.push_str(&port_forward_script::function(certificates));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_said_in_words() {
        let condition = |say: Option<&str>| Condition { check: "pd.size == 3".into(), say: say.map(str::to_owned) };
        let said =
            held("not while", &condition(Some("PD has ${pd.members.filter(m, {'a': m}.a)} of ${pd.size}, not 3")));
        assert_eq!(said, "not while: PD has … of …, not 3");
        assert_eq!(held("wait", &condition(None)), "the runbook's expression pd.size == 3 has to hold");
    }
}
