//! Keys of runs, one line each: starting, gates, choices, approving. Helpers and all other keys: `keys.rs`.

use crate::fixture;
use crate::fixture::{options, press, scene};
use crate::keys::{check, check_with, place, said, sent};
use tidepilot::app::exit_codes::Exit;
use tidepilot::app::message::{ApprovalNews, Message, RunEnd, RunMessage};
use tidepilot::app::{App, AppOptions};
use tidepilot::fleet::{Change, What};
use tidepilot::runbook::run::open_run_status::{Drives, Standing, Turn};

#[test]
fn nothing_starts_on_one_key() {
    check("plan", "<enter>", "plan [ask: not yet]", "");
    check("plan", "<enter><enter>", "plan", "");
    check("plan", "<enter><esc>", "plan", "");
    check("plan", "<enter>n", "plan", "");
    check("plan", "<enter>y", "run", "start migrate-cluster-domain");
    check("plan", "<enter><tab><enter>", "run", "start migrate-cluster-domain");
    check("refused", "<enter>", "plan", "");
    said("refused", "<enter>", "refused by 1 of 4 checks");
    check("planning", "<enter>", "plan", "");
    check("run", "<esc>", "runbooks", "");
}

/// A reading gives way to a person's reason, typed; proof and what passes do not.
#[test]
fn a_check_is_overruled_by_a_typed_reason_alone() {
    check("reading", "o", "plan [overrule domain: ]", "");
    check("reading", "o<enter>", "plan [overrule domain: , wrong]", "");
    check("reading", "o  <enter>", "plan [overrule domain:   , wrong]", "");
    check("reading", "oboth<esc>", "plan", "");
    let planned =
        "plan migrate-cluster-domain clusterDomain=north.example.com tidbCluster=north/db/basic although domain: both";
    check("reading", "oboth<enter>", "plan", planned);
    check("reading", "<enter>", "plan", "");
    check("refused", "o", "plan", "");
    said("refused", "o", "it cannot be overruled");
    said("plan", "o", "there is nothing to overrule");
}

#[test]
fn gates() {
    check("gate", "<enter>", "run", "");
    check("gate", "y", "run", "answer members -");
    check("gate", "<tab><enter>", "run", "answer members -");
    check("gate", "<esc><enter>", "run [ask: not yet]", "");
    check("typed", "ers<enter>", "run", "answer patch orders");
    check("typed", "<enter>", "run [type: ord, wrong]", "");
    check("typed", "y<enter>", "run [type: ordy, wrong]", "");
    check("typed", "<esc>", "run", "");
    check("typed", "<esc>y", "run", "");
    // An explicit no. Where something was sent already, it is no more than "not yet".
    check("gate", "n", "run", "");
    check("typed", "<ctrl-u>no<enter>", "run [type: no, wrong]", "");
    check("gate", "q", "run", "");
    check("run", "p", "run", "pause");
}

#[test]
fn a_gate_does_not_take_keys_meant_for_another_view() {
    let mut app = scene("typed", options());
    press(&mut app, "<esc>:pd<enter>");
    for message in fixture::run_so_far() {
        app.update(message, fixture::now());
    }
    assert_eq!(place(&app), "members");
    assert_eq!(sent(&press(&mut app, "y")), "");
    press(&mut app, ":progress<enter><enter>");
    assert_eq!(place(&app), "run [ask: not yet]");
}

#[test]
fn a_run_that_has_stopped_offers_its_choices() {
    let resume = "resume 20261120-120011-9c1d";
    check("paused", "", "run", "");
    check("paused", "<enter>", "run [choose: resume]", "");
    check("paused", "<enter><esc>", "run", "");
    check("paused", "<enter><enter>", "run [ask: not yet]", "");
    check("paused", "<enter><enter><enter>", "run", "");
    check("paused", "<enter><enter>y", "run", resume);
    check("paused", "<enter>j", "run [choose: resume --by-hand]", "");
    check("paused", "<enter>j<enter>y", "run", &format!("{resume} ByHand {{ step: \"update[orders-pd-0]\" }}"));
    check("paused", "<enter>jj", "run [choose: resume --skip]", "");
    // What the next person will want to know is asked for, and an empty answer is none.
    check("paused", "<enter>jj<enter><enter>", "run [why: , wrong]", "");
    check("paused", "<enter>jj<enter> <enter>", "run [why:  , wrong]", "");
    check("paused", "<enter>jj<enter>y<enter>", "run [ask: not yet]", "");
    let skip = "Skip { step: \"update[orders-pd-0]\", reason: \"not needed\" }";
    check("reason", "<enter>y", "run", &format!("{resume} {skip}"));
    check("reason", "<enter><enter>", "run", "");
    check("reason", "<esc>", "run", "");
    // What was sent has no rollback, so there is no undo to choose.
    check(
        "paused",
        "<enter>jjj<enter>given up<enter>y",
        "run",
        &format!("{resume} Abandon {{ reason: \"given up\" }}"),
    );
    check("paused", "<enter>jjjj", "run [choose: leave it open]", "");
    check("paused", "<enter>jjjj<enter>", "run", "");
    check("paused", "<enter>jjjjjjjk", "run [choose: abandon]", "");
    // While it is driven, enter answers its gate.
    check("run", "<enter>", "run [ask: not yet]", "");
}

#[test]
fn runs_are_resumed_by_asking() {
    check("runs", "<enter>", "run 20261120-115002-7f3a", "");
    check("runs", "<enter><enter>", "run 20261120-115002-7f3a [ask: not yet]", "");
    check("runs", "<enter><enter>y", "run", "resume 20261120-115002-7f3a");
    check("runs", "j<enter>", "run 20261118-090011-01bc", "");
    check("runs", "j<enter><esc>", "runs", "");
    said("runs", "j<enter><enter>", "is over: done");
}

/// To end a run that was left, or to put it back, does not take going on with it first.
#[test]
fn a_run_of_the_list_offers_its_choices() {
    use tidepilot::runbook::run::open_run_status::DeadEnd;
    use tidepilot::runbook::run::view::ResolutionOffer;
    let pressed_if = |open: bool, dead_end: Option<DeadEnd>, keys: &str| {
        let mut app = scene("runs", options());
        let run = Standing {
            dead_end,
            run: "20261120-115500-aa11".into(),
            runbook: "migrate-cluster-domain".into(),
            target: "east/shop/orders".into(),
            open,
            sent: true,
            here: true,
            offers: vec![
                ResolutionOffer::Retry,
                ResolutionOffer::Undo,
                ResolutionOffer::Abandon,
                ResolutionOffer::Leave,
            ],
            ..Standing::default()
        };
        app.update(Message::Runs(vec![run]), fixture::now());
        let effects = press(&mut app, keys);
        (place(&app), sent(&effects))
    };
    let pressed_on = |dead_end: Option<DeadEnd>, keys: &str| pressed_if(true, dead_end, keys);
    let pressed = |keys: &str| pressed_on(None, keys);
    // One that is over can be put back, and is not left open any more.
    let over = |keys: &str| pressed_if(false, None, keys);
    assert_eq!(over("<enter><enter>").0, "run 20261120-115500-aa11 [choose: undo]");
    assert_eq!(over("<enter><enter>jj").0, "run 20261120-115500-aa11 [choose: undo]");
    assert_eq!(over("<enter><enter><enter>y").1, "resume 20261120-115500-aa11 Undo");
    // What it works on is gone: going on is no choice.
    let page = "run 20261120-115500-aa11";
    assert_eq!(pressed_on(Some(DeadEnd::Object), "<enter><enter>").0, format!("{page} [choose: undo]"));
    assert_eq!(pressed("<enter>").0, page);
    assert_eq!(pressed("<enter><enter>").0, format!("{page} [choose: resume]"));
    assert_eq!(pressed("<enter><enter>j").0, format!("{page} [choose: undo]"));
    assert_eq!(pressed("<enter><enter><esc>"), (page.to_owned(), String::new()));
    assert_eq!(pressed("<enter><enter>j<enter>y").1, "resume 20261120-115500-aa11 Undo");
    let abandon = "resume 20261120-115500-aa11 Abandon { reason: \"gone\" }";
    assert_eq!(pressed("<enter><enter>jj<enter>gone<enter>y").1, abandon);
}

/// A run that somebody else left is seen from everywhere, with the line that takes it over; it is not driven from here.
#[test]
fn another_person_s_open_run_is_seen_in_header_problems_and_list() {
    let mut app = scene("runs", options());
    let mut run = Standing {
        run: "20261120-115500-aa11".into(),
        runbook: "migrate-cluster-domain".into(),
        target: "east/shop/orders".into(),
        open: true,
        sent: true,
        who: "bob on his-box".into(),
        waits: "is at rollout".into(),
        ..Standing::default()
    };
    run.driven(Drives::Nobody);
    app.update(Message::Runs(vec![run]), fixture::now());
    let left: Vec<&Standing> = app.runs_left().collect();
    assert!(left.len() == 1 && left[0].half_done());
    let first = app.problems().into_iter().next().expect("a problem");
    for word in [
        "20261120-115500-aa11",
        "bob on his-box",
        "no process drives it",
        "`tidepilot runs take-over 20261120-115500-aa11`",
    ] {
        assert!(first.sentence.contains(word), "{}", first.sentence);
    }
    press(&mut app, ":runs<enter>");
    let sent_away = sent(&press(&mut app, "<enter>"));
    assert_eq!((place(&app).as_str(), sent_away.as_str()), ("run 20261120-115500-aa11", ""));
    assert_eq!(sent(&press(&mut app, "<enter>y")), "", "it is not driven from here");
}

#[test]
fn the_end_of_a_run_is_said_elsewhere_too() {
    let mut app = scene("run", options());
    press(&mut app, ":pd<enter>");
    let end = RunEnd {
        run: "r1".into(),
        code: Exit::Paused,
        sentence: "paused: the server refused".into(),
        ..RunEnd::default()
    };
    app.update(Message::Run(RunMessage::Ended(end)), fixture::now());
    assert!(app.flash.as_ref().is_some_and(|flash| flash.text.contains("the server refused")));
    assert_eq!(sent(&press(&mut app, "<ctrl-c>")), "quit", "nothing is driven any more");
}

#[test]
fn approving() {
    let run = fixture::APPROVE;
    check("waits", "a", "approvals", "list");
    check("waits", ":approvals<enter>", "approvals", "list");
    check("waits", ":waiting<enter><enter>", "approval", &format!("list; ask {run}"));
    check("approvals", "<ctrl-r>", "approvals", "refresh; list");
    check(
        "approvals",
        "c<enter>",
        "approvals",
        &format!("copy tidepilot runs approve {run} -n shop --confirm east/shop/orders"),
    );
    // What was shown may be old: it is read again, and asked again.
    check("approval", "<ctrl-r>", "approval", &format!("refresh; ask {run}"));
    check("approval", "<enter>", "approval [type: ]", "");
    check("approval", "<enter><esc>", "approval", "");
    check("approval", "<enter>orders<enter>", "approval [type: orders, wrong]", "");
    let typed = "<enter>east/shop/orders<enter>";
    check("approval", typed, "approval", &format!("approve {run} hash"));
    // Once is enough.
    check("approval", &format!("{typed}<enter>"), "approval", &format!("approve {run} hash"));
    said("approval", &format!("{typed}<enter>"), "on its way");
    said("approved", "<enter>", "approved patch for attempt 1 as bob");
    // A step without a text to type is asked with two buttons, of which the harmless one has the focus.
    let plain = |keys: &str| {
        let mut app = scene("approvals", options());
        press(&mut app, "<enter>");
        let mut asked = fixture::to_approve();
        asked.wanted.text = None;
        let asked = ApprovalNews::Asked { run: run.into(), asked: Ok(Box::new(asked)) };
        app.update(Message::Approval(asked), fixture::now());
        let effects = press(&mut app, keys);
        (place(&app), sent(&effects))
    };
    assert_eq!(plain("<enter><enter>"), ("approval".into(), String::new()));
    assert_eq!(plain("<enter>y"), ("approval".into(), format!("approve {run} hash")));
    // Read-only sends nothing and says so; the record may be read.
    let read_only = AppOptions { read_only: true, ..options() };
    check_with(read_only.clone(), "approvals", "<enter>", "approval", &format!("ask {run}"));
    let refused = |mut app: App| {
        let effects = press(&mut app, "<enter>");
        assert_eq!((place(&app), sent(&effects)), ("approval".to_owned(), String::new()));
        let text = app.flash.map(|flash| flash.text).unwrap_or_default();
        assert!(text.contains("read-only") && text.contains("nothing was sent"), "{text}");
    };
    refused(scene("approval", read_only));
    // So does a cluster that the configuration protects.
    let mut app = scene("approval", options());
    let server = "https://east.example.net:6443".to_owned();
    let protects = What::Configured { server, read_only: true };
    app.update(Message::Fleet(Change { context: "east".into(), at: fixture::now(), what: protects }), fixture::now());
    refused(app);
    // What comes for another run is not shown here.
    let mut app = scene("approval", options());
    let refused = Err("nothing to approve".to_owned());
    app.update(Message::Approval(ApprovalNews::Asked { run: "other".into(), asked: refused }), fixture::now());
    assert_eq!(sent(&press(&mut app, typed)), format!("approve {run} hash"));
}

#[test]
fn whose_turn_it_is_stands_in_the_header() {
    let mut app = scene("waits", options());
    let waiting = |app: &App| app.approvals().filter(|(_, run)| run.waits_for_you()).count();
    assert_eq!((waiting(&app), app.approvals().count()), (1, 3));
    // What this console drives itself waits for somebody else.
    let mut own = fixture::awaiting();
    own[0].approval.as_mut().expect("it waits").turn = Turn::Not("you are ann, who confirmed it".into());
    app.update(Message::Runs(own), fixture::now());
    assert_eq!(waiting(&app), 0);
}
