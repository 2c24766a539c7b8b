//! How a run ended or stopped, in words, with its exit code and what helps. No I/O.
//!
//! Not here: why it stopped (`runbook::run::engine`), which way on really helps (`runbook::run::recovery_commands`).

use super::now;
use crate::app::exit_codes::Exit;
use crate::app::message::RunEnd;
use crate::fleet::kubectl_quoting::quote;
use crate::pluralize::counted;
use crate::runbook::actions::network_probe_result::{RouteProbe, verdict};
use crate::runbook::run::engine::{Run, StepState, Stop};
use crate::runbook::run::record::{How, Outcome, PauseReason};
use crate::runbook::run::recovery_commands::{self, Line, WayOn};

pub(super) fn stopped(run: &Run, stop: Stop) -> RunEnd {
    match stop {
        Stop::Finished(Outcome::Done) if !run.ways().is_empty() => {
            let ways = run.ways();
            let code = if ways.iter().all(RouteProbe::good) { Exit::Done } else { Exit::NotGood };
            end(&run.id, code, format!("done: {}", verdict(&ways)))
        }
        Stop::Finished(Outcome::Done) => end(&run.id, Exit::Done, done(run)),
        Stop::Finished(Outcome::NothingToDo) => {
            end(&run.id, Exit::Done, "nothing to do: every step was already so".into())
        }
        Stop::Finished(Outcome::LeftOut) => {
            let left: Vec<&str> = run.left_out_steps().collect();
            let sentence = format!(
                "ended, and nothing was sent: {} was left out, and whether it is so is not known",
                left.join(", ")
            );
            end(&run.id, Exit::Done, sentence)
        }
        Stop::Finished(Outcome::Undone) => end(&run.id, Exit::Undone, undone(run)),
        Stop::Finished(Outcome::Abandoned) => {
            end(&run.id, Exit::Done, format!("abandoned as it stands: {}", run.left().join("; ")))
        }
        Stop::AtGate(gate) => {
            let need = need(gate.text.as_ref());
            let way = recovery_commands::at_gate(&run.id, &gate);
            let sentence =
                format!("stopped at a gate: {} (needs {need}); `{}` continues it", gate.question, way.command);
            RunEnd { ways: vec![way], ..end(&run.id, Exit::AtGate, sentence) }
        }
        Stop::AwaitsApproval { sentence, .. } => {
            let resume = Line::resume(&run.id);
            let sentence = format!("{sentence} Then `{resume}` continues it");
            let ways = vec![WayOn { command: resume, does: "continues once it is approved".into() }];
            RunEnd { ways, ..end(&run.id, Exit::AtGate, sentence) }
        }
        Stop::Paused(reason) => {
            let step = run.pause().map_or_else(String::new, |pause| named(run, &pause.step));
            let code = match &reason {
                PauseReason::Foreign { .. } => Exit::Foreign,
                PauseReason::Refused { .. } if !run.has_written() => Exit::Refused,
                PauseReason::Refused { .. }
                | PauseReason::NotReady { .. }
                | PauseReason::TimedOut { .. }
                | PauseReason::Asked => Exit::Paused,
            };
            let asked = reason == PauseReason::Asked;
            let sentence = match asked {
                true => format!(
                    "paused as you asked, at {step}; run {} stays open, and `tidepilot runs resume {}` continues from there",
                    run.id, run.id
                ),
                false => format!("paused at {step}: {}", reason.sentence()),
            };
            let more = reason.three_ways();
            RunEnd { asked, more, ways: run.ways_on(now()), ..end(&run.id, code, sentence) }
        }
    }
}

/// A step by what it does; the id beside it is what a command takes.
fn named(run: &Run, id: &str) -> String {
    match run.steps().iter().find(|step| step.id == id).map(|step| step.title.as_str()) {
        Some(title) if title != id && !title.is_empty() => format!("{title:?} ({id})"),
        _ => id.to_owned(),
    }
}

/// What was verified, and what was not.
fn done(run: &Run) -> String {
    let asserted: Vec<&str> = run.asserted_steps().collect();
    let word = match asserted.len() {
        0 => String::new(),
        1 => format!("; {} is done only on the word of whoever answered", asserted[0]),
        _ => format!("; {} are done only on the word of whoever answered", asserted.join(", ")),
    };
    match (run.skipped(), run.completed()) {
        (0, 1) if asserted.is_empty() => "done: 1 step, verified".to_owned(),
        (0, all) if asserted.is_empty() => format!("done: {}, each verified", counted(all, "step")),
        (0, all) => format!("done: {} verified{word}", counted(all - asserted.len(), "step")),
        (skipped, all) => format!(
            "done: {} verified{word}; {skipped} skipped, and what was to be proved by that is not proved",
            counted(all - skipped - asserted.len(), "step")
        ),
    }
}

/// A run that a person refused at a gate before anything was sent: closed, like one that was abandoned.
pub(super) fn declined(run: &Run) -> RunEnd {
    let sentence = "nothing was sent: you answered no, and the run is closed as abandoned".to_owned();
    RunEnd { asked: true, ..end(&run.id, Exit::Refused, sentence) }
}

/// The flag that answers a gate.
pub(super) fn need(text: Option<&String>) -> String {
    text.map_or_else(|| "--yes".to_owned(), |text| format!("--confirm {}", quote(text)))
}

fn undone(run: &Run) -> String {
    let Some(way) = run.undoing() else { return "undone".into() };
    let stays = way
        .ends_at
        .as_ref()
        .map_or_else(String::new, |step| format!("; {step} cannot be rolled back, so it and what came before it stay"));
    let skipped: Vec<&str> = way
        .steps
        .iter()
        .filter(|step| matches!(run.state(&step.id), StepState::Completed(How::Skipped { .. })))
        .map(|step| step.id.as_str())
        .collect();
    let skipped = if skipped.is_empty() { String::new() } else { format!("; skipped: {}", skipped.join(", ")) };
    format!("undone: {} put back and verified{skipped}{stays}", counted(way.of.len(), "step"))
}

pub(super) fn end(run: &str, code: Exit, sentence: String) -> RunEnd {
    RunEnd { run: run.to_owned(), code, sentence, ..RunEnd::default() }
}
