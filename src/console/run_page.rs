//! The page of a run of the list: how it stands, what can be done now, and its whole journal.
//!
//! What is saved of it is the report (`saved`). Not here: asking for the journal (`app::run_journal_loading`), a run under way ([`super::run_progress`]).

use super::labelled_page::Sheet;
use super::theme::Role;
use crate::app::App;
use crate::app::run_journal_loading::Known;
use crate::app::run_view::level;
use crate::app::status_level::{Level, age};
use crate::app::whole_run::WholeRun;
use crate::runbook::run::open_run_status::{Drives, Standing};
use crate::runbook::run::record::Outcome;
use crate::runbook::run::view::{Shown, sentence};

/// The whole page.
pub fn page(app: &App, sheet: &mut Sheet, run: &Standing) {
    sheet.head("run", &run.run);
    let level = match (run.half_done(), run.open) {
        (true, _) => Level::Bad,
        (false, true) => Level::Working,
        (false, false) => Level::Done,
    };
    sheet.level("state", level, &run.state);
    sheet.line("runbook", &run.runbook);
    sheet.known("document", &run.document);
    sheet.line("on", &run.target);
    sheet.line("steps", &format!("{} of {} over", run.completed, run.steps));
    sheet.line("opened", &format!("{} ago", age(run.opened, app.now)));
    sheet.known("by", &run.who);
    if run.open {
        sheet.known("driven by", &run.driven_by());
    }
    sheet.known("waits", &run.waits);
    sheet.line("sent", sent(run));
    sheet.line("journal", if run.here { "on this machine" } else { "not on this machine" });
    sheet.known("record", &run.record);
    if run.open {
        what_now(sheet, run);
    } else {
        sheet.line("more", &format!("tidepilot runs show {}", run.run));
    }
    match app.whole_run() {
        None => {}
        Some(Known::Asked) => {
            sheet.section("journal");
            sheet.styled("", "being read", Role::Dim);
        }
        Some(Known::NotRead(why)) => {
            sheet.section("journal");
            sheet.level("", Level::Unknown, why);
        }
        Some(Known::Read(whole)) => journal(sheet, whole),
    }
}

/// What became of what was sent: of a run that is over it is known.
fn sent(run: &Standing) -> &'static str {
    if !run.sent {
        return "nothing was sent";
    }
    let ended = |outcome: Outcome| !run.open && run.state == outcome.word();
    if ended(Outcome::Done) {
        "what was sent was seen to be so"
    } else if ended(Outcome::Undone) {
        "what was sent was put back, as far as it can be"
    } else if ended(Outcome::LeftOut) {
        "what was sent was seen to be so; steps were left out"
    } else {
        "something was sent, or may have been"
    }
}

fn what_now(sheet: &mut Sheet, run: &Standing) {
    sheet.section("what now");
    sheet.line("", &run.refusal());
    let mine = run.here && run.drives != Drives::Here;
    if mine {
        sheet.styled("enter", "asks how to go on; nothing is sent before that", Role::Accent);
    }
    for offer in run.offers.iter().filter(|_| mine) {
        let (name, does) = offer.words();
        sheet.line(name, &does);
    }
    for line in &run.next {
        sheet.line("in a shell", line);
    }
}

/// Every step as it stands, whether the lines are as they were written, and every record.
fn journal(sheet: &mut Sheet, whole: &WholeRun) {
    let shown = Shown::of(&whole.records).ok();
    if let Some(view) = shown.as_ref().map(Shown::view) {
        sheet.section("steps");
        for line in &view.steps {
            let (_, level) = sheet.theme.step(&line.progress);
            sheet.level(line.progress.word(), level, &line.title);
        }
    }
    sheet.section("journal");
    let verified = &whole.verified;
    match verified.findings.as_slice() {
        [] => sheet.line("read", &format!("{}: the hash chain is whole (ctrl-s saves the report)", whole.from)),
        findings => {
            sheet.line("read", &format!("{} (ctrl-s saves the report)", whole.from));
            for finding in findings {
                sheet.level("not as written", Level::Bad, finding);
            }
        }
    }
    for record in &whole.records {
        let at = record.at.strftime("%m-%d %H:%M:%S").to_string();
        sheet.level(&at, level(record), &sentence(record));
    }
}
