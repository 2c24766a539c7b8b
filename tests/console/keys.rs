//! Keys, one line each: in this scene, these keys lead there, send this, or say that.

use crate::fixture;
use std::collections::BTreeMap;

use crate::fixture::{options, press, scene};
use tidepilot::app::message::{Effect, Message, RunMessage};
use tidepilot::app::{App, AppOptions, Dialog, Subject, View};

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
        Some(Dialog::Port { input, wrong, .. }) => {
            place.push_str(&format!(" [port: {}{}]", input.value(), if *wrong { ", wrong" } else { "" }));
        }
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
    let looks =
        |effect: &&Effect| matches!(effect, Effect::Closeup { .. } | Effect::Foresee { .. } | Effect::ReadRun { .. });
    let acts = effects.iter().filter(|effect| !looks(effect));
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
        Effect::CountRegions { .. } => "count regions".to_owned(),
        Effect::ReadRun { run } => format!("read {run}"),
        Effect::Closeup { .. } => "look closely".to_owned(),
        Effect::Foresee { .. } => "foresee".to_owned(),
        Effect::Forward { of, port, here, .. } => {
            format!("forward {of} {port}{}", here.map(|here| format!(" at {here}")).unwrap_or_default())
        }
        Effect::EndForward { id } => format!("end forward {id}"),
        Effect::Seal => "seal".to_owned(),
        Effect::Shell { of, container } => format!("shell {of} {container}"),
        Effect::AskApproval { run } => format!("ask {run}"),
        Effect::Approve { run, question } => format!("approve {run} {question}"),
    });
    short.collect::<Vec<_>>().join("; ")
}

pub fn check_with(options: AppOptions, name: &str, keys: &str, wanted_place: &str, wanted_effects: &str) {
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
    // What is not seen stands above what follows from it.
    check("findings", "<enter>", "detail", "");
    check("findings", "jj<enter>", "finding failover-on", "");
    check("findings", "jj<enter><esc>", "problems", "");
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
    check("stores", "j<enter>", "store 4", "count regions");
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
    // With a run under way it asks, as :q does; once more is the answer, and a third time waits for nothing.
    check("run", "<ctrl-c>", "run [ask: not yet]", "");
    check("run", "<ctrl-c><esc>", "run", "");
    check("run", "<ctrl-c><ctrl-c>", "run", "pause");
    check("run", "<ctrl-c><ctrl-c><ctrl-c>", "run", "pause; quit");
    check("gate", "<ctrl-c>", "run [ask: not yet]", "");
    // What becomes of a run is said at once, and one key answers.
    check("run", ":q<enter>", "run [ask: not yet]", "");
    check("run", ":q<enter>n", "run", "");
    check("run", ":q<enter>y", "run", "pause");
    let shown = crate::questions::shown("run", ":q<enter>", (120, 36));
    assert!(shown.contains("It pauses as soon as") && shown.contains("tidepilot runs resume"), "{shown}");
    let mut app = scene("run", options());
    press(&mut app, ":q<enter>y");
    let end = tidepilot::app::message::RunEnd { asked: true, ..Default::default() };
    let effects = app.update(Message::Run(RunMessage::Ended(end)), fixture::now());
    assert_eq!(sent(&effects), "quit", "the console ends once the run has paused");
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
fn a_plan_that_cannot_be_made_leads_back_to_the_inputs() {
    let mut app = scene("planning", options());
    app.update(Message::Run(RunMessage::NoPlan("there is no TidbCluster of that name".into())), fixture::now());
    assert_eq!(place(&app), "inputs");
    assert_eq!(app.form.as_ref().and_then(|form| form.error.as_deref()), Some("there is no TidbCluster of that name"));
    let inputs: BTreeMap<String, String> = app.form.map(|form| form.inputs()).unwrap_or_default();
    assert_eq!(inputs.len(), 2, "what was typed is still there");
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
