//! Reference pages in Markdown: the runbooks from their documents, the hazards from the catalogue.
//!
//! Nothing is said here that is not in those two. Not here: the page of the commands (`cli::docs`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::hazards::catalogue::{CATALOGUE, Hazard};
use crate::hazards::{catalogue_en, catalogue_zh};
use crate::pluralize::counted;
use crate::runbook::actions::ActionName;
use crate::runbook::language::document::{Evidence, Input, InputType, Runbook, SHIPPED, Severity, Step};
use crate::runbook::language::documented_confirmations::{Asked, asked};
use crate::runbook::language::template_holes::{Part, split};

fn shipped() -> Vec<Runbook> {
    let mut all: Vec<Runbook> = SHIPPED.iter().filter_map(|(id, text)| Runbook::read(id, text).ok()).collect();
    all.sort_by(|one, other| one.id.cmp(&other.id));
    all
}

/// `docs/runbooks.md`.
pub fn runbooks() -> String {
    let mut out = String::from(
        "# Runbooks\n\nWritten by `tidepilot docs` from the shipped documents. `…` stands for what is filled in from what was seen. How a run is carried out: [runs.md](runs.md); what a refusal rests on: [evidence.md](evidence.md); the words: [glossary.md](glossary.md).\n\n| runbook | what it is for |\n|---|---|\n",
    );
    for runbook in shipped() {
        let _ = writeln!(out, "| [`{0}`](#{0}) | {1} |", runbook.id, cell(&runbook.title.en));
    }
    for one in shipped() {
        out.push('\n');
        out.push_str(&runbook(&one));
    }
    out
}

/// One runbook as a section.
pub fn runbook(runbook: &Runbook) -> String {
    let mut out = format!("## {}\n\n**{}.** {}\n", runbook.id, filled(&runbook.title.en), filled(&runbook.summary.en));
    if runbook.experimental {
        out.push_str("\nThe vendor calls this procedure experimental.\n");
    }
    if !runbook.source.is_empty() {
        let _ = writeln!(out, "\nSource: {}.", runbook.source.join("; ").trim_end_matches('.'));
    }
    out.push_str("\n### Inputs\n\n| input | what | |\n|---|---|---|\n");
    for input in &runbook.inputs {
        let _ = writeln!(out, "| `{}` | {} | {} |", input.name, cell(&input.prompt.en), cell(&of_input(input)));
    }
    let _ = writeln!(out, "\n### Checks before anything is sent ({})\n", counted(runbook.preflight.len(), "check"));
    out.push_str("| check | | when it is not so | |\n|---|---|---|---|\n");
    for check in &runbook.preflight {
        let mut marks = vec![match check.severity {
            Severity::Refuse => "refuses".to_owned(),
            Severity::Warn => "warns".to_owned(),
        }];
        if check.evidence == Evidence::Reading {
            marks.push("a reading: `--accept` overrules it".into());
        }
        if check.once {
            marks.push("only before the first write".into());
        }
        if !check.hazards.is_empty() {
            let numbers: Vec<String> = check.hazards.iter().map(u32::to_string).collect();
            marks.push(format!("hazard {}", numbers.join(", ")));
        }
        let title = check.title.as_ref().map(|title| cell(&title.en)).unwrap_or_default();
        let _ = writeln!(out, "| `{}` | {title} | {} | {} |", check.id, cell(&check.fail.en), marks.join("; "));
    }
    out.push_str("\n### Steps\n");
    let asked = asked(runbook);
    for phase in &runbook.phases {
        let each = match &phase.for_each {
            Some(each) => format!(", for each `{}`", each.name),
            None => String::new(),
        };
        let when = if phase.when.is_some() { " (only where it is needed)" } else { "" };
        let _ = writeln!(out, "\n**{}**{each}{when}\n", filled(&phase.title.en));
        for step in &phase.steps {
            of_step(&mut out, step, asked.get(&step.id).copied().unwrap_or_default());
        }
    }
    out
}

fn of_step(out: &mut String, step: &Step, asked: Asked) {
    let why = step.why.as_ref().map_or_else(String::new, |why| format!(" {}", filled(&why.en)));
    let asks = match asked {
        Asked { yes: true, typed: true, .. } => " Asks for a yes, or for the name, typed: its plan says which.",
        Asked { yes: false, typed: true, nothing: false } => " Asks for the name, typed.",
        Asked { typed: true, .. } => " May ask for the name, typed.",
        Asked { yes: true, nothing: false, .. } => " Asks for a yes.",
        Asked { yes: true, .. } => " May ask for a yes.",
        Asked { .. } => "",
    };
    let second = if step.approvers > 1 { " A second person approves it." } else { "" };
    let title = filled(&step.title.en);
    let _ =
        writeln!(out, "* `{}` {}.{why}{asks}{second} *Undo:* {}.", step.id, title.trim_end_matches('.'), undo(step));
}

/// What undo does of a step, as far as its document tells; the plan of a run says it for sure.
fn undo(step: &Step) -> &'static str {
    let with = step.with.to_string();
    match step.action {
        ActionName::PatchTidbCluster if with.contains("clusterDomain") => "none once clusterDomain is set",
        ActionName::PatchTidbCluster => "the values from before, as long as they still are this run's",
        ActionName::UpdatePeerUrl => "the peerURL from before",
        ActionName::CreateObject if with.contains("cluster: ") || with.contains("\"cluster\"") => {
            "deletes what it made; a TidbCluster that joined is taken away by `leave-cluster`"
        }
        ActionName::CreateObject | ActionName::CopySecret | ActionName::IssueCa | ActionName::IssueCertificate => {
            "deletes what it made; what was replaced stays replaced"
        }
        ActionName::DeleteObject | ActionName::RemovePdMember => "none: what it takes away is gone",
        ActionName::TransferPdLeader => "none needed",
        ActionName::WaitRollout
        | ActionName::ProbePeerUrl
        | ActionName::NetProbe
        | ActionName::Await
        | ActionName::Manual => "nothing is sent",
    }
}

fn of_input(input: &Input) -> String {
    let kind = match input.kind {
        InputType::TidbCluster => "`CONTEXT/NAMESPACE/NAME`",
        InputType::NewTidbCluster => "`CONTEXT/NAMESPACE/NAME`, there already or not",
        InputType::NewTidbClusters => "any number of `CONTEXT/NAMESPACE/NAME`, with commas between",
        InputType::KubeContext => "a context",
        InputType::DnsDomain => "a DNS domain",
        InputType::Version => "a version, `v8.5.7`",
        InputType::Integer => "a number",
        InputType::Boolean => "`true` or `false`",
        InputType::Time => "a time (RFC 3339)",
        InputType::Choice => "one of",
        InputType::Text => "text",
    };
    let mut all = vec![match input.kind {
        InputType::Choice => format!("{kind} `{}`", input.options.join("`, `")),
        _ => kind.to_owned(),
    }];
    match (input.min, input.max) {
        (Some(min), Some(max)) => all.push(format!("{min} to {max}")),
        (Some(min), None) => all.push(format!("at least {min}")),
        (None, Some(max)) => all.push(format!("at most {max}")),
        (None, None) => {}
    }
    match &input.default {
        Some(default) if !default.is_empty() => all.push(format!("default `{}`", filled(default))),
        Some(_) => all.push("may be left out".into()),
        None if input.optional || input.kind == InputType::Time => all.push("may be left out".into()),
        None => all.push("needed".into()),
    }
    all.join("; ")
}

/// `docs/hazards.md`.
pub fn hazards() -> String {
    let mut kept_out: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for runbook in shipped() {
        for check in &runbook.preflight {
            for hazard in &check.hazards {
                kept_out
                    .entry(*hazard)
                    .or_default()
                    .push(format!("[`{0}`](runbooks.md#{0}) `{1}`", runbook.id, check.id));
            }
        }
    }
    let mut out = String::from(
        "# Hazards\n\nWritten by `tidepilot docs` from the catalogue (`tidepilot check --catalogue`). `check` prints with each one that it finds the evidence and the line that helps on that fleet. `high`: data loss or an outage; `medium`: stuck, or a wrong result; `low`: confusing; `info`: never counts.\n",
    );
    for hazard in CATALOGUE {
        of_hazard(&mut out, hazard, &kept_out);
    }
    out
}

/// The beginning of a sentence; the names of fields keep their small letter.
fn capital(clause: &str) -> String {
    let first = clause.split(' ').next().unwrap_or_default();
    if first.chars().any(|c| !c.is_ascii_lowercase()) {
        return clause.to_owned();
    }
    let mut letters = clause.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
}

fn of_hazard(out: &mut String, hazard: &Hazard, kept_out: &BTreeMap<u32, Vec<String>>) {
    let number = hazard.number.map_or_else(String::new, |number| format!("{number}. "));
    let words = catalogue_en::of(hazard.id);
    let what = words.as_ref().map_or_else(String::new, |words| format!("{}. ", capital(words.title)));
    let _ = writeln!(out, "\n## {number}{}\n\n`{}`. {what}{}\n", hazard.id, hazard.severity.word(), hazard.why);
    if let Some(words) = &words {
        let _ = writeln!(out, "*What helps*: {}.\n", words.remedy);
    }
    if let Some((title, remedy)) = catalogue_zh::of(hazard.id) {
        let _ = writeln!(out, "*中文* {title}。{remedy}。\n");
    }
    let _ = writeln!(out, "*Seen* {}: {}.", hazard.seen.words(), hazard.seen.by().trim_end_matches('.'));
    if let Some(words) = words {
        let _ = writeln!(out, "*Source*: {}.", words.source);
    }
    let checks = hazard.number.and_then(|number| kept_out.get(&u32::from(number)));
    if let Some(checks) = checks {
        let first: Vec<&str> = checks.iter().take(4).map(String::as_str).collect();
        let more = match checks.len() - first.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let _ = writeln!(out, "*Kept out of runs by* {}{more}.", first.join(", "));
    }
}

/// A text with its expressions as `…`: what they give is known only of a fleet.
fn filled(text: &str) -> String {
    let mut out = String::new();
    let parts = match split(text) {
        Ok(parts) | Err(parts) => parts,
    };
    for part in parts {
        // The name of an input is more than a gap; everything else is an expression.
        let input = |source: &str| {
            let name = source.trim().strip_prefix("inputs.")?;
            name.chars().all(char::is_alphanumeric).then(|| format!("`{name}`"))
        };
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Hole(source) => out.push_str(&input(source).unwrap_or_else(|| "…".to_owned())),
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same for a cell of a table.
pub(super) fn cell(text: &str) -> String {
    filled(text).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_gaps_and_inputs_keep_their_names() {
        assert_eq!(filled("a ${x.y ? '}' : z} of ${inputs.pod}, ${inputs.tc.name}."), "a … of `pod`, ….");
        assert_eq!(cell("a | b"), "a \\| b");
    }

    #[test]
    fn every_runbook_and_hazard_has_its_section() {
        let (runbooks, hazards) = (runbooks(), hazards());
        for (id, _) in SHIPPED {
            assert!(runbooks.contains(&format!("\n## {id}\n")), "{id}");
        }
        assert!(!runbooks.contains("${") && !hazards.contains("${"));
        assert_eq!(hazards.matches("\n## ").count(), CATALOGUE.len());
    }
}
