//! Keys, one line each: in this scene, these keys lead there, send this, or say that.

use crate::fixture;
use std::collections::BTreeMap;

use crate::fixture::{options, press, scene};
use tidepilot::app::exit::Exit;
use tidepilot::app::message::{ApprovalNews, Effect, Message, RunEnd, RunMessage};
use tidepilot::app::{App, AppOptions, Dialog, Subject, View};
use tidepilot::fleet::{Change, What};
use tidepilot::runbook::run::standing::{Drives, Standing, Turn};

/// Where a key string leads: `overview`, `members/basic-pd`, with the dialog in brackets.
pub fn place(app: &App) -> String {
    let screen = app.screen();
    let mut place = match &screen.view {
        View::Detail(Subject::Pod(of)) => format!("pod {of}"),
        View::Detail(Subject::Member(id)) => format!("member {id}"),
        View::Detail(Subject::Cluster(context)) => format!("cluster {context}"),
        View::Detail(Subject::Run(id)) => format!("run {id}"),
        View::Detail(Subject::Store(id)) => format!("store {id}"),
        View::Detail(Subject::TidbCluster(of)) => format!("tc {of}"),
        View::Detail(Subject::Finding(key)) => format!("finding {}", key.split(' ').next().unwrap_or_default()),
        View::Detail(Subject::Certificate(key)) => {
            format!("certificate {}", key.split(' ').nth(1).unwrap_or_default())
        }
        view => view.title().to_owned(),
    };
    if !screen.filter.is_empty() {
        place.push_str(&format!(" /{}", screen.filter));
    }
    if let Some(context) = &app.focus {
        place.push_str(&format!(" <{context}>"));
    }
    if let Some(namespace) = &app.namespace {
        place.push_str(&format!(" ns {namespace}"));
    }
    if app.faults_only {
        place.push_str(" faults");
    }
    match &app.dialog {
        None => {}
        Some(Dialog::Help { .. }) => place.push_str(" [help]"),
        Some(Dialog::Palette { input, .. }) => place.push_str(&format!(" [:{}]", input.value())),
        Some(Dialog::Filter { .. }) => place.push_str(" [filter]"),
        Some(Dialog::Ask { go, .. }) => place.push_str(if *go { " [ask: yes]" } else { " [ask: not yet]" }),
        Some(Dialog::Choices { at, offers }) => place.push_str(&format!(" [choose: {}]", offers[*at].words().0)),
        Some(Dialog::Copy { at, items }) => place.push_str(&format!(" [copy {}]", items[*at].what)),
        Some(Dialog::Pick { at, items, .. }) => place.push_str(&format!(" [pick {}]", items[*at].label)),
        Some(Dialog::Reason { input, wrong, .. }) => {
            place.push_str(&format!(" [why: {}{}]", input.value(), if *wrong { ", wrong" } else { "" }));
        }
        Some(Dialog::Overrule { check, input, wrong, .. }) => {
            place.push_str(&format!(
                " [overrule {check}: {}{}]",
                input.value(),
                if wrong.is_empty() { "" } else { ", wrong" }
            ));
        }
        Some(Dialog::Typed { input, wrong, .. }) => {
            place.push_str(&format!(" [type: {}{}]", input.value(), if *wrong { ", wrong" } else { "" }));
        }
    }
    place
}

/// Effects in short; what is read for a view that looks closely is tested apart.
pub fn sent(effects: &[Effect]) -> String {
    let acts = effects.iter().filter(|effect| !matches!(effect, Effect::Closeup { .. } | Effect::Foresee { .. }));
    let short = acts.map(|effect| match effect {
        Effect::Quit => "quit".to_owned(),
        Effect::Copy(text) => format!("copy {text}"),
        Effect::Save => "save".to_owned(),
        Effect::Write { name, .. } => format!("write {name}"),
        Effect::Plan { runbook, inputs, accepted } => {
            let inputs = inputs.iter().map(|(name, value)| format!(" {name}={value}"));
            let accepted = accepted.iter().map(|(check, reason)| format!(" although {check}: {reason}"));
            format!("plan {runbook}{}", inputs.chain(accepted).collect::<String>())
        }
        Effect::Start(plan) => format!("start {}", plan.runbook),
        Effect::Resume { run, wish: None } => format!("resume {run}"),
        Effect::Resume { run, wish: Some(wish) } => format!("resume {run} {wish:?}"),
        Effect::Answer { gate, text } => format!("answer {gate} {}", text.as_deref().unwrap_or("-")),
        Effect::Decline { gate } => format!("decline {gate}"),
        Effect::PauseRun => "pause".to_owned(),
        Effect::ListRuns => "list".to_owned(),
        Effect::Refresh => "refresh".to_owned(),
        Effect::LookCloser => "look closer".to_owned(),
        Effect::Closeup { .. } => "look closely".to_owned(),
        Effect::Foresee { .. } => "foresee".to_owned(),
        Effect::Forward { of, port, .. } => format!("forward {of} {port}"),
        Effect::EndForward { id } => format!("end forward {id}"),
        Effect::Seal => "seal".to_owned(),
        Effect::Shell { of, container } => format!("shell {of} {container}"),
        Effect::AskApproval { run } => format!("ask {run}"),
        Effect::Approve { run, question } => format!("approve {run} {question}"),
    });
    short.collect::<Vec<_>>().join("; ")
}

fn check_with(options: AppOptions, name: &str, keys: &str, wanted_place: &str, wanted_effects: &str) {
    let mut app = scene(name, options);
    let effects = press(&mut app, keys);
    assert_eq!(place(&app), wanted_place, "{name}: {keys}");
    assert_eq!(sent(&effects), wanted_effects, "{name}: {keys}");
}

pub fn check(name: &str, keys: &str, wanted_place: &str, wanted_effects: &str) {
    check_with(options(), name, keys, wanted_place, wanted_effects);
}

pub fn said(name: &str, keys: &str, wanted: &str) {
    let mut app = scene(name, options());
    press(&mut app, keys);
    let text = app.flash.map(|flash| flash.text).unwrap_or_default();
    assert!(text.contains(wanted), "{name}: {keys} said {text:?}, not {wanted:?}");
}

#[test]
fn walking_about() {
    check("overview", ":pd<enter>", "members", "");
    check("overview", ":ctx<enter>", "clusters", "");
    check("overview", ":stores<enter>", "stores", "");
    check("overview", ":tikv<enter>", "stores", "");
    check("overview", ":pods<enter>", "pods", "");
    check("overview", ":events<enter>", "events", "");
    check("overview", ":pods<enter>l", "logs", "");
    check("overview", ":pods<enter>e", "events", "");
    check("overview", ":pods<enter>y", "YAML", "");
    check("overview", ":pods<enter>l<esc>", "pods", "");
    check("overview", ":tc<enter>l", "logs", "");
    check("overview", ":tc<enter>y", "YAML", "");
    check("overview", ":tc<enter>", "tidbclusters", "");
    check("overview", ":faults<enter>", "problems", "look closer");
    check("overview", "!", "problems", "look closer");
    check("overview", ":findings<enter>", "problems", "look closer");
    check("overview", ":check<enter>", "problems", "look closer");
    check("overview", "f", "problems", "look closer");
    check("overview", "t", "certificates", "look closer");
    check("overview", ":tls<enter>", "certificates", "look closer");
    check("certificates", "<ctrl-r>", "certificates", "refresh; look closer");
    check("certificates", "jjj<enter>", "certificate till-tikv-cluster-secret", "");
    check("members", "f<esc>f", "problems", "look closer");
    check("findings", "<enter>", "finding failover-on", "");
    check("findings", "<enter><esc>", "problems", "");
    check("findings", "<ctrl-r>", "problems", "refresh; look closer");
    check("findings", "/peer-url<enter><enter>", "finding peer-urls-half-updated", "");
    check("overview", ":runs<enter>", "runs", "list");
    check("overview", "r", "runbooks", "");
    check("overview", ":sto<enter>", "stores", "");
    // A part of the middle of a word is none: `ns` is no `runs`.
    check("overview", ":uns<enter>", "overview", "");
    said("overview", ":uns<enter>", "no such view, command or object: \"uns\"");
    check("overview", ":ns<enter>", "namespaces", "");
    said("overview", ":ores<enter>", "no such view");
    check("overview", ":run migrate-cluster-domain<enter>", "inputs", "");
    // What is called so comes before what only speaks of it.
    let mut app = scene("overview", options());
    let mut restart = app.runbooks[0].clone();
    (restart.id, restart.title) = ("restart-component".into(), "Restart one component".into());
    app.runbooks.push(restart);
    press(&mut app, "r/restart<enter>");
    let rows = app.rows();
    assert_eq!(app.cursor(&rows).map(|at| rows[at].key.as_str()), Some("restart-component"));
    check("overview", ":db orders<enter>", "overview", "");
    check("overview", ":pd<enter>:stores<enter>:pd<enter><esc>", "overview", "");
    check("overview", ":", "overview [:]", "");
    check("overview", ":r<tab>", "overview [:run]", "");
    check("overview", ":r<tab><tab>", "overview [:runs]", "");
    check("overview", ":db <tab>", "overview [:db basic]", "");
    check("overview", ":pd<enter>:<up>", "members [:pd]", "");
    check("overview", ":pd<esc>", "overview", "");
    check("overview", "<tab><enter>", "pod north/db/basic-pd-0", "");
    check("overview", "j<enter>", "pod east/db/basic-pd-1", "");
    check("overview", "Gk<enter>", "pod east/db/basic-tidb-1", "");
    check("members", "<down><down><enter>", "member 3c9e11d07a2b45f8", "");
    check("members", "Gggd", "member a1f3c0de4b5d6e14", "");
    check("clusters", "G<enter>", "cluster west", "");
    check("stores", "j<enter>", "store 4", "");
    check("tidbclusters", "<enter>", "tc east/db/basic", "");
    check("databases", "j<enter>", "overview", "");
}

#[test]
fn going_back_never_quits() {
    check("overview", "<esc><esc><esc>", "overview", "");
    check("overview", "qqq", "overview", "");
    check("members", "<enter>q", "members", "");
    check("members", "<enter><esc><esc>", "overview", "");
    check("filtered", "<esc>", "members", "");
    check("filtered", "<esc><esc>", "overview", "");
    check("overview", "1<esc>", "overview", "");
    check("overview", "<ctrl-z><esc>", "overview", "");
    said("overview", "q", "quits");
}

#[test]
fn quitting() {
    check("overview", "<ctrl-c>", "overview", "quit");
    check("overview", ":q<enter>", "overview", "quit");
    check("overview", ":quit<enter>", "overview", "quit");
    check("overview", "/ab<ctrl-c>", "overview /ab [filter]", "quit");
    check("form", "<ctrl-c>", "inputs", "quit");
    check("run", "<ctrl-c>", "run", "pause");
    check("run", "<ctrl-c><ctrl-c>", "run", "pause; quit");
    check("gate", "<ctrl-c>", "run [ask: not yet]", "pause");
    check("run", ":q<enter>", "run", "pause");
    check("ended", "<ctrl-c>", "run", "quit");
}

#[test]
fn filtering_and_focus() {
    check("members", "/north", "members /north [filter]", "");
    check("members", "/north<enter>", "members /north", "");
    check("members", "/north<esc>", "members", "");
    check("members", "/north<enter><enter>", "member 3c9e11d07a2b45f8", "");
    check("members", "/!east<enter><enter>", "member 3c9e11d07a2b45f8", "");
    check("members", "/nothing<enter><enter>", "members /nothing", "");
    check("members", "/q?:r<enter>", "members /q?:r", "");
    check("overview", "2", "overview <north>", "");
    check("overview", "2<enter>", "pod north/db/basic-pd-0 <north>", "");
    check("overview", "20", "overview", "");
    check("overview", "9", "overview", "");
    check("overview", "<ctrl-z>", "overview faults", "");
    check("overview", ":ctx north<enter>", "overview <north>", "");
    said("overview", "9", "no cluster 9");
}

#[test]
fn copying_and_refreshing() {
    check("members", "c", "members [copy member id]", "");
    check("members", "c<enter>", "members", "copy a1f3c0de4b5d6e14");
    check("members", "c<esc>", "members", "");
    check("overview", "c<enter>", "overview", "copy basic-pd-0");
    check("clusters", "Gc<enter>", "clusters", "copy west");
    check("overview", "<ctrl-r>", "overview", "refresh");
    check("runs", "<ctrl-r>", "runs", "refresh; list");
}

#[test]
fn help_is_an_overlay() {
    check("members", "?", "members [help]", "");
    check("members", "?<esc>", "members", "");
    check("members", "?q", "members", "");
    check("members", "?<down>?", "members", "");
    said("members", "?x", "x does nothing here");
}

/// Leaving the domain out would be refused where connected clusters serve different ones.
#[test]
fn the_domain_that_the_cluster_serves_is_proposed() {
    let planned = |keys: &str, propose: bool| {
        let mut app = scene("form", options());
        app.form.as_mut().expect("a form is open").fields[1].info.propose = propose;
        sent(&press(&mut app, keys))
    };
    let plan =
        |domain: &str| format!("plan migrate-cluster-domain clusterDomain={domain} tidbCluster=east/shop/orders");
    assert_eq!(planned("shop<tab><enter><enter>", true), plan("east.example.com"));
    assert_eq!(planned("shop<tab><enter>x.y<enter>", true), plan("x.y"), "it can be typed over");
    assert_eq!(planned("shop<tab><enter><end>.x<enter>", true), plan("east.example.com.x"), "it can be added to");
    assert_eq!(planned("shop<tab><enter><enter>", false), "", "only where the runbook says so");
}

#[test]
fn inputs() {
    let plan = "plan migrate-cluster-domain clusterDomain=east.example.com tidbCluster=east/shop/orders";
    check("form", "<tab><tab><enter><tab><enter>", "plan", plan);
    check("form", "shop<tab><enter>east.example.com<enter>", "plan", plan);
    check("form", "<tab><enter><enter>", "inputs", "");
    check("form", "<esc>", "runbooks", "");
    check("tidbclusters", "jr<enter><tab><enter>", "plan", plan);
    let mut app = scene("form", options());
    press(&mut app, "<down><enter>");
    assert_eq!(app.form.and_then(|form| form.error).as_deref(), Some("tidbCluster is needed"));
}

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
    // What was sent has no way back, so there is no undo to choose.
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
    use tidepilot::runbook::run::standing::DeadEnd;
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
fn read_only_offers_no_write() {
    let read_only = || AppOptions { read_only: true, ..options() };
    check_with(read_only(), "plan", "<enter>", "plan", "");
    check_with(read_only(), "plan", "<enter>y", "plan", "");
    check_with(read_only(), "runs", "<enter><enter>", "run 20261120-115002-7f3a", "");
    check_with(read_only(), "runs", "<enter><enter>y", "run 20261120-115002-7f3a", "");
    check_with(read_only(), "paused", ":progress<enter><enter>", "run", "");
    check_with(read_only(), "paused", ":progress<enter><enter>jj<enter>y", "run", "");
}

/// Every key in every scene, twice: no write leaves a read-only session, and nothing panics.
#[test]
fn every_key_everywhere() {
    let names: Vec<&str> = tidepilot::app::keymap::KEYMAP.iter().flat_map(|binding| binding.keys).copied().collect();
    let read_only = AppOptions { read_only: true, ..options() };
    for name in fixture::SCENES.iter().filter(|name| !matches!(**name, "run" | "gate" | "ended" | "typed" | "start")) {
        for key in &names {
            let mut app = scene(name, read_only.clone());
            let effects = press(&mut app, &format!("<{key}><{key}><enter>y<tab><enter>"));
            let wrote = effects.iter().any(|effect| !crate::random_keys::only_reads(effect));
            assert!(!wrote, "{name}: {key} led to {}", sent(&effects));
        }
    }
}

#[test]
fn the_cursor_stays_on_its_object() {
    let mut app = scene("members", options());
    press(&mut app, "jj");
    let before = app.screen().key.clone();
    press(&mut app, "/basic-pd-0<enter>");
    assert_eq!(app.screen().key, before);
    let rows = app.rows();
    assert_eq!(app.cursor(&rows), Some(1));
}

#[test]
fn a_plan_that_cannot_be_made_leads_back_to_the_inputs() {
    let mut app = scene("planning", options());
    app.update(Message::Run(RunMessage::NoPlan("there is no TidbCluster of that name".into())), fixture::now());
    assert_eq!(place(&app), "inputs");
    assert_eq!(app.form.as_ref().and_then(|form| form.error.as_deref()), Some("there is no TidbCluster of that name"));
    let inputs: BTreeMap<String, String> = app.form.map(|form| form.inputs()).unwrap_or_default();
    assert_eq!(inputs.len(), 2, "what was typed is still there");
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
fn a_tick_changes_nothing_where_all_is_live() {
    let mut app = scene("healthy", options());
    app.take_dirty();
    app.update(Message::Tick, fixture::now());
    assert!(!app.take_dirty());
    // The clock moves once a minute, where there is one.
    for clock in [true, false] {
        let mut app = scene("healthy", AppOptions { clock, ..options() });
        let later = |seconds: i64| fixture::earlier(-seconds);
        let mut drawn: Vec<bool> = Vec::new();
        for seconds in [0, 1, 18, 19, 20, 78, 79] {
            app.take_dirty();
            app.update(Message::Tick, later(seconds));
            drawn.push(app.take_dirty());
        }
        assert_eq!(drawn, [false, false, false, clock, false, false, clock]);
    }
    let mut app = scene("overview", options());
    app.take_dirty();
    app.update(Message::Tick, fixture::now());
    assert!(app.take_dirty(), "ages of what is not live move");
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

/// What a key asks for, and that it is asked for no longer once the view is left.
#[test]
fn only_what_is_in_sight_is_asked_for() {
    let mut app = scene("overview", options());
    let asked = |effects: &[Effect]| -> Vec<bool> {
        let asks = effects.iter().filter_map(|effect| match effect {
            Effect::Closeup { ask, .. } => Some(ask.is_some()),
            _ => None,
        });
        asks.collect()
    };
    for keys in ["l", "e", "y"] {
        press(&mut app, ":pods<enter>");
        assert_eq!(asked(&press(&mut app, keys)), [true], "{keys}");
        assert_eq!(asked(&press(&mut app, "jk?<esc>")), [] as [bool; 0], "{keys}: moving about asks for nothing");
        assert_eq!(asked(&press(&mut app, "<esc>")), [false], "{keys}");
    }
}

/// A session becomes read-only and never anything else.
#[test]
fn a_session_is_made_read_only() {
    check("overview", ":readonly<enter>", "overview", "seal");
    check("overview", ":readonly<enter>:readonly<enter>", "overview", "seal");
    said("overview", ":readonly<enter>F", "read-only");
    check("plan", ":readonly<enter><enter>", "plan", "seal");
    check("forwards", ":readonly<enter>", "forwards", "end forward 1; end forward 2; end forward 3; seal");
    // What is under way would stop in the middle.
    let mut app = scene("run", options());
    assert_eq!(sent(&press(&mut app, ":readonly<enter>")), "");
    assert!(!app.options.read_only);
}

#[test]
fn the_last_view_comes_back() {
    check("overview", ":pd<enter>:stores<enter>-", "members", "");
    check("overview", ":pd<enter>:stores<enter>--", "stores", "");
    said("overview", "-", "no other view");
}

#[test]
fn the_log_of_the_run_before_is_one_key_away() {
    check("overview", "jjjp", "logs", "");
    let app = {
        let mut app = scene("overview", options());
        press(&mut app, "jjjp");
        app
    };
    assert!(matches!(app.view(), View::Logs { previous: true, .. }));
    check("clusters", "p", "clusters", "");
}
