//! The page of a run that is over: its whole journal, and what is saved of it.

use crate::fixture::{self, options, press, scene};
use crate::keys::{place, sent};
use crate::questions::screen_of;
use tidepilot::app::App;
use tidepilot::app::message::{Effect, Message, RunMessage};
use tidepilot::app::whole_run::WholeRun;
use tidepilot::console::export_markdown;
use tidepilot::runbook::run::journal_verify::Verified;
use tidepilot::runbook::run::record::{Event, Outcome, Record};

const DONE: &str = "20261118-090011-01bc";

fn records() -> Vec<Record> {
    let told = fixture::run_so_far().into_iter().filter_map(|message| match message {
        Message::Run(RunMessage::Record(record)) => Some(*record),
        _ => None,
    });
    let event = Event::Closed { outcome: Outcome::Done };
    told.chain([Record { seq: 7, at: fixture::now(), prev: String::new(), event }]).collect()
}

fn read(app: &mut App, run: &str) {
    let verified = Verified { lines: 8, head: "5a".repeat(32), findings: Vec::new(), notes: Vec::new() };
    let whole = WholeRun { records: records(), verified, from: "the journal on this machine".into() };
    app.update(Message::WholeRun { run: run.into(), read: Ok(Box::new(whole)) }, fixture::now());
}

fn text(app: &App) -> String {
    app.flash.as_ref().map(|flash| flash.text.clone()).unwrap_or_default()
}

#[test]
fn the_whole_journal_is_read_shown_and_saved() {
    let mut app = scene("runs", options());
    let asked = Effect::ReadRun { run: DONE.into() };
    assert!(press(&mut app, "j<enter>").contains(&asked));
    assert!(screen_of(&mut app, (120, 40)).contains("being read"));
    // Half of it is not saved.
    assert_eq!(sent(&press(&mut app, "<ctrl-s>")), "");
    assert!(text(&app).contains("its journal is being read"), "{}", text(&app));
    // What comes of another run is none of this one's.
    read(&mut app, "another");
    assert!(screen_of(&mut app, (120, 40)).contains("being read"));
    read(&mut app, DONE);
    let shown = screen_of(&mut app, (120, 60));
    for wanted in ["the hash chain is whole", "Set acrossK8s and clusterDomain", "patch: done and verified", "steps"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    assert_eq!(sent(&press(&mut app, "<ctrl-s>")), "save");
    let saved = export_markdown::text(&app);
    for wanted in ["# Run ", "## Every record", "## The journal", "SHA-256 of the last", "## Step 1"] {
        assert!(saved.contains(wanted), "{wanted}: {saved}");
    }
    assert!(sent(&[export_markdown::of(&app)]).contains(&format!("run-{DONE}")));
    // Once is enough while the run stands still.
    assert_eq!(press(&mut app, "jjkk"), []);
    assert_eq!(place(&app), format!("run {DONE}"));
}

#[test]
fn a_journal_that_cannot_be_read_says_why() {
    let mut app = scene("runs", options());
    press(&mut app, "j<enter>");
    let why = "no cluster has a record of run x".to_owned();
    app.update(Message::WholeRun { run: DONE.into(), read: Err(why.clone()) }, fixture::now());
    assert!(screen_of(&mut app, (120, 40)).contains(&why));
    assert_eq!(sent(&press(&mut app, "<ctrl-s>")), "save", "the page itself can be saved");
    assert!(export_markdown::text(&app).contains(&why));
}

#[test]
fn a_run_that_is_over_says_what_became_of_what_it_sent() {
    let shown = |state: &str, open: bool| {
        let mut app = scene("runs", options());
        let mut all = fixture::runs();
        (all[1].sent, all[1].open, all[1].state) = (true, open, state.to_owned());
        app.update(Message::Runs(all), fixture::now());
        press(&mut app, "j<enter>");
        screen_of(&mut app, (120, 40))
    };
    assert!(shown("done", false).contains("what was sent was seen to be so"));
    assert!(shown("undone", false).contains("what was sent was put back"));
    for (state, open) in [("abandoned", false), ("paused as asked", true)] {
        assert!(shown(state, open).contains("something was sent, or may have been"), "{state}");
    }
    // Enter leads nowhere further where there is nothing left to choose, and the keys do not offer it.
    let keys = shown("done", false).lines().last().unwrap_or_default().to_owned();
    assert!(!keys.contains("⏎"), "{keys}");
    let keys = shown("paused", true).lines().last().unwrap_or_default().to_owned();
    assert!(keys.contains("⏎ how to go on"), "{keys}");
}
