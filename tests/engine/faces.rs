//! What the faces show of a journal, record by record, held against the engine's own states. Knows nothing of the
//! product's fold: it judges by the engine's states and the records alone.

use tidepilot::app::message::RunMessage;
use tidepilot::app::run_view::RunView;
use tidepilot::app::status_level::Level;
use tidepilot::report;
use tidepilot::runbook::language::document::Runbook;
use tidepilot::runbook::run::engine::{Run, StepState};
use tidepilot::runbook::run::journal_verify::verify;
use tidepilot::runbook::run::record::{Choice, Event, Outcome, Record};
use tidepilot::runbook::run::view::{Direction, Progress, StepLine, View};

/// Walks the records: after each, console list = view = engine; at the end the report lists the same.
pub fn agree(runbook: &Runbook, records: &[Record], journal: &str) -> Result<(), String> {
    let mut run = Run::replay(runbook.clone(), &records[..1]).map_err(|why| why.to_string())?;
    let mut console = RunView::driving(None, "r");
    for (number, record) in records.iter().enumerate() {
        if number > 0 {
            run.apply(record);
        }
        console.apply(RunMessage::Record(Box::new(record.clone())), record.at);
        let view = run.view();
        let at = |why: String| format!("after record {number} ({:?}): {why}", record.event);
        if console.lines().0 != view.steps {
            return Err(at(format!(
                "the console lists {:?}, the run {:?}",
                words(&console.lines().0),
                words(&view.steps)
            )));
        }
        engine(&run, &view).map_err(at)?;
        order(&records[..=number], &view).map_err(at)?;
    }
    let view = run.view();
    if run.outcome() == Some(Outcome::Undone) && console.standing().0 != Level::Good {
        return Err("an undo that was wished for ends in red".into());
    }
    let verified = verify("r", journal, None);
    let document = report::run_report::markdown(records, &verified, &[]).ok_or("no report")?;
    for (number, line) in view.steps.iter().enumerate() {
        let word = if line.progress == Progress::Current { "next" } else { line.progress.word() };
        let row = format!("| {} | `{}` | {word} |", number + 1, line.id);
        if !document.contains(&row) {
            return Err(format!("the report lacks {row}"));
        }
    }
    Ok(())
}

fn words(lines: &[StepLine]) -> Vec<String> {
    lines.iter().map(|line| format!("{}: {}", line.id, line.progress.word())).collect()
}

/// Each line says what the engine knows of its step, and no step is missing.
fn engine(run: &Run, view: &View) -> Result<(), String> {
    for line in &view.steps {
        let good = match (run.state(&line.id), &line.progress) {
            (StepState::Completed(how), Progress::Done(shown)) => how == shown,
            // Put back: the step that puts it back is completed.
            (_, Progress::PutBack) => {
                let back = format!("undo:{}", line.id);
                line.direction == Direction::Forward && matches!(run.state(&back), StepState::Completed(_))
            }
            (StepState::Pending, Progress::Pending | Progress::Current) => true,
            (StepState::Open { .. }, Progress::Sent | Progress::Verifying | Progress::Refused) => true,
            (StepState::Pending | StepState::Open { .. }, Progress::Paused) => run.paused().is_some(),
            _ => false,
        };
        if !good {
            return Err(format!("{} is {:?} and shown as {}", line.id, run.state(&line.id), line.progress.word()));
        }
    }
    let shown: Vec<&str> = view.steps.iter().map(|line| line.id.as_str()).collect();
    let lacking = run.steps().iter().find(|step| shown.iter().filter(|id| **id == step.id).count() != 1);
    if let Some(step) = lacking {
        return Err(format!("{} is not there once: {shown:?}", step.id));
    }
    let running = view.steps.iter().filter(|line| line.progress == Progress::Current).count();
    if running > 1 || (run.outcome().is_some() && (running > 0 || view.current.is_some())) {
        return Err(format!("{running} steps have their turn: {:?}", words(&view.steps)));
    }
    let (done, all) = view.count();
    let over = run.steps().iter().filter(|step| matches!(run.state(&step.id), StepState::Completed(_))).count();
    if (done, all) != (over, run.steps().len()) && view.direction == Direction::Undo {
        return Err(format!("{done} of {all} are counted, {over} of {} are over", run.steps().len()));
    }
    Ok(())
}

/// What was begun stands in the order in which it was; an undo's steps come last.
fn order(records: &[Record], view: &View) -> Result<(), String> {
    let mut begun: Vec<&str> = Vec::new();
    let mut undoing = false;
    for record in records {
        match &record.event {
            Event::Intent { step, .. } | Event::Completed { step, .. } if !begun.contains(&step.as_str()) => {
                begun.push(step);
            }
            Event::Chosen { choice: Choice::Undo { .. } } => undoing = true,
            _ => {}
        }
    }
    if undoing != (view.direction == Direction::Undo) {
        return Err(format!("it goes {:?}", view.direction));
    }
    let places: Vec<usize> = view
        .steps
        .iter()
        .filter(|line| line.direction == Direction::Forward)
        .filter_map(|line| begun.iter().position(|id| *id == line.id))
        .collect();
    if !places.is_sorted() {
        return Err(format!("begun in another order: {begun:?}, shown {:?}", words(&view.steps)));
    }
    let first_back = view.steps.iter().position(|line| line.direction == Direction::Undo);
    let last_forth = view.steps.iter().rposition(|line| line.direction == Direction::Forward);
    match (first_back, last_forth) {
        (Some(back), Some(forth)) if back < forth => Err("the rollback stands before the way forth".into()),
        _ => Ok(()),
    }
}
