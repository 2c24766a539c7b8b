//! What a person saw on the screen that was not so: each stands here as it is now.

use crate::fixture::{self, options, press, scene};
use crate::keys::{check, place, said, sent};
use crate::questions::screen_of;
use serde_json::json;
use tidepilot::app::message::{Message, RunMessage};
use tidepilot::app::{App, Dialog};
use tidepilot::fleet::port_forward::ForwardNews;
use tidepilot::fleet::tidbcluster::TidbCluster;
use tidepilot::fleet::{Change, WatchEvent, What};
use tidepilot::runbook::before_after_image::Image;
use tidepilot::runbook::run::record::{Event, How, Outcome, Record};

fn text(app: &App) -> String {
    app.flash.as_ref().map(|flash| flash.text.clone()).unwrap_or_default()
}

/// What the question that lies over the screen says.
fn question(app: &App) -> String {
    match &app.dialog {
        Some(Dialog::Ask { question, .. } | Dialog::Typed { question, .. }) => question.clone(),
        _ => String::new(),
    }
}

fn in_front(app: &App) -> Option<&str> {
    app.database().map(|database| database.name.as_str())
}

fn first_line(app: &mut App) -> String {
    screen_of(app, (150, 42)).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn one_cluster_brings_a_database_that_has_a_part_there_in_front() {
    let mut app = scene("overview", options());
    press(&mut app, "]");
    assert_eq!(in_front(&app), Some("orders"));
    // It has no part in the north, and says what is in front instead.
    press(&mut app, "2");
    assert_eq!((place(&app).as_str(), in_front(&app)), ("overview <north>", Some("basic")));
    assert!(text(&app).contains("only north: orders has no part there, so basic is in front"), "{}", text(&app));
    // One that has a part stays.
    press(&mut app, "0]:ctx east<enter>");
    assert_eq!((place(&app).as_str(), in_front(&app)), ("overview <east>", Some("orders")));
    let mut app = scene("overview", options());
    press(&mut app, "]:ctx north<enter>");
    assert_eq!(in_front(&app), Some("basic"));
    said("overview", "3", "only west: no Database has a part there that is seen: it does not answer");
    check("overview", "3", "overview <west>", "");
}

/// The header over a plan, and over a run, is that of its Database; what was chosen comes back with esc.
#[test]
fn the_header_never_names_another_database_than_the_plan_in_front() {
    let mut app = scene("overview", options());
    assert!(first_line(&mut app).contains("basic [1/2] v8.5.4"));
    press(&mut app, ":run migrate-cluster-domain on east/shop/orders<enter>");
    let line = first_line(&mut app);
    assert!(line.contains("orders [2/2] v7.5.6") && !line.contains("basic"), "{line}");
    press(&mut app, "<esc><esc>");
    assert!(first_line(&mut app).contains("basic [1/2] v8.5.4"));

    let mut app = scene("plan", options());
    let line = first_line(&mut app);
    assert!(line.contains("orders [2/2] v7.5.6"), "{line}");
    // Started, it stays in front, with the version of its own.
    press(&mut app, "<enter>y:pd<enter>");
    let line = first_line(&mut app);
    assert!(line.contains("orders [2/2] v7.5.6"), "{line}");
    // Another one may be chosen, and the run's is there again over the run.
    press(&mut app, ":db basic<enter>");
    assert!(first_line(&mut app).contains("basic [1/2] v8.5.4"));
    press(&mut app, ":progress<enter>");
    assert!(first_line(&mut app).contains("orders [2/2] v7.5.6"));
}

#[test]
fn over_what_no_database_has_yet_none_is_named() {
    let mut app = scene("plan", options());
    let plan = app.plan.as_mut().expect("a plan");
    plan.target = tidepilot::fleet::ObjectRef::new("east", "new", "third");
    plan.inputs.clear();
    let line = first_line(&mut app);
    assert!(line.contains("tidepilot  east/new/third"), "{line}");
    assert!(!line.contains("basic") && !line.contains("orders"), "{line}");
}

fn suspend(app: &mut App, whole: bool) {
    let changes: Vec<Change> = fixture::healthy();
    for change in changes {
        let What::TidbClusters(all) = change.what else { continue };
        let all: Vec<TidbCluster> = all
            .into_iter()
            .map(|mut tc| {
                let action = json!({"suspendAction": {"suspendStatefulSet": true}});
                let spec: TidbCluster = serde_json::from_value(json!({"metadata": {}, "spec": action})).expect("shape");
                if whole {
                    tc.spec.suspend_action = spec.spec.suspend_action;
                } else if let Some(tikv) = &mut tc.spec.tikv {
                    tikv.suspend_action = spec.spec.suspend_action;
                }
                let phase = json!({"phase": "Suspend"});
                let status = json!({"pd": phase, "tikv": phase, "tidb": phase, "tiflash": phase});
                let of: TidbCluster = serde_json::from_value(json!({"metadata": {}, "status": status})).expect("shape");
                tc.status = of.status;
                tc
            })
            .collect();
        let at = fixture::now();
        app.update(Message::Fleet(Change { context: change.context.clone(), at, what: What::TidbClusters(all) }), at);
        let gone = |pod: &tidepilot::fleet::workload::Pod| whole || pod.component() == Some("tikv");
        let pods = app.fleet.clusters[&change.context].pods.values().filter(|pod| !gone(pod)).cloned().collect();
        app.update(Message::Fleet(Change { context: change.context, at, what: What::Pods(pods) }), at);
    }
}

#[test]
fn a_database_that_is_suspended_says_so() {
    let mut app = scene("healthy", options());
    assert!(!screen_of(&mut app, (150, 42)).to_lowercase().contains("suspended"));
    suspend(&mut app, true);
    for size in [(80, 24), (150, 42)] {
        let shown = screen_of(&mut app, size);
        assert!(shown.contains("SUSPENDED") && shown.contains("no SQL until resume-cluster"), "{shown}");
        assert!(shown.contains("db/basic suspended") && !shown.contains("no pod"), "{shown}");
    }
    press(&mut app, ":db<enter>");
    assert!(screen_of(&mut app, (150, 42)).contains("SUSPENDED"));
    // A part of it only.
    let mut app = scene("healthy", options());
    suspend(&mut app, false);
    let shown = screen_of(&mut app, (150, 42));
    assert!(shown.contains("TiKV suspended") && shown.contains("PD 3/3") && !shown.contains("SUSPENDED"), "{shown}");
}

#[test]
fn without_one_region_leader_nothing_is_well() {
    let mut app = scene("healthy", options());
    assert!(screen_of(&mut app, (150, 42)).contains("all well"));
    for change in fixture::healthy() {
        let What::Pd { pod, mut view } = change.what else { continue };
        if let Ok(answer) = &mut view.answer {
            answer.stores.iter_mut().for_each(|store| store.leader_count = 0);
        }
        let what = What::Pd { pod, view };
        app.update(Message::Fleet(Change { context: change.context, at: fixture::now(), what }), fixture::now());
    }
    let shown = screen_of(&mut app, (150, 42));
    assert!(shown.contains("1 unseen") && !shown.contains("all well"), "{shown}");
    press(&mut app, "!");
    let told = app.rows().iter().any(|row| row.key.contains("PD counts no region leader on any TiKV store"));
    assert!(told, "{:?}", app.rows().iter().map(|row| row.key.clone()).collect::<Vec<_>>());
}

/// How old the list of runs is stands over it, and it is asked for as soon as it comes in front, and again there.
#[test]
fn a_list_of_runs_says_when_it_was_asked_for() {
    let later = |seconds: i64| fixture::now().checked_add(jiff::SignedDuration::from_secs(seconds)).expect("in range");
    let mut app = scene("overview", options());
    assert_eq!(sent(&press(&mut app, "R")), "list");
    assert!(screen_of(&mut app, (120, 36)).contains("<asking>"));
    app.update(Message::RunsLooked { began: fixture::now() }, later(1));
    assert!(screen_of(&mut app, (120, 36)).contains("<asked just now>"));
    app.take_dirty();
    assert_eq!(sent(&app.update(Message::Tick, later(8))), "");
    assert!(app.take_dirty(), "it is drawn with its new age");
    assert!(screen_of(&mut app, (120, 36)).contains("<asked 5s ago>"));
    assert_eq!(sent(&app.update(Message::Tick, later(11))), "list");
    assert!(screen_of(&mut app, (120, 36)).contains("<asking again>"));
    app.update(Message::RunsLooked { began: later(11) }, later(12));
    // Whatever leads there asks.
    assert_eq!(sent(&press(&mut app, ":pd<enter>")), "");
    app.update(Message::Tick, later(40));
    assert_eq!(sent(&app.update(Message::Key(tidepilot::app::keymap::parse("-").expect("a key")), later(40))), "list");
    // Elsewhere nobody asks.
    let mut app = scene("overview", options());
    assert_eq!(sent(&app.update(Message::Tick, later(400))), "");
}

#[test]
fn a_plan_that_is_already_so_is_not_started() {
    let mut app = scene("plan", options());
    for step in &mut app.plan.as_mut().expect("a plan").steps {
        step.already_so = true;
    }
    assert_eq!(sent(&press(&mut app, "<enter>")), "");
    assert_eq!(place(&app), "plan");
    assert!(text(&app).contains("nothing to do: every step is already so"), "{}", text(&app));
    let shown = screen_of(&mut app, (150, 42));
    assert!(shown.contains("● nothing to do") && !shown.contains("⏎ start"), "{shown}");
    // What still looks is worth a run, and the question says what it does.
    let mut app = scene("plan", options());
    for step in &mut app.plan.as_mut().expect("a plan").steps {
        step.already_so = step.action.writes();
    }
    press(&mut app, "<enter>");
    assert_eq!(question(&app), "Nothing is left to send on east/shop/orders: only what looks is carried out, 2 steps.");
}

#[test]
fn what_was_typed_is_there_again_when_ctrl_c_is_answered_with_no() {
    for no in ["<esc>", "n", "<enter>"] {
        check("typed", &format!("<ctrl-c>{no}"), "run [type: ord]", "");
        check("typed", &format!("<ctrl-c>{no}ers<enter>"), "run", "answer patch orders");
    }
    check("run", ":pd<enter>/nor<ctrl-c><esc>", "members /nor [filter]", "");
    check("run", ":sto<ctrl-c><esc>", "run [:sto]", "");
    // A gate that was answered meanwhile does not come back.
    let mut app = scene("typed", options());
    press(&mut app, "<ctrl-c>");
    let end = tidepilot::app::message::RunEnd { asked: true, ..Default::default() };
    app.update(Message::Run(RunMessage::Ended(end)), fixture::now());
    press(&mut app, "<esc>");
    assert!(!matches!(app.dialog, Some(Dialog::Typed { .. })), "{}", place(&app));
}

#[test]
fn a_port_that_was_chosen_is_opened_beside_another_that_leads_there() {
    let mut app = scene("stores", options());
    press(&mut app, "F<enter>");
    app.update(Message::Forward { id: 1, news: ForwardNews::Listens("127.0.0.1:40001".into()) }, fixture::now());
    assert_eq!(sent(&press(&mut app, "Fj<enter><enter>")), "forward east/db/basic-tikv-0 20160 at 20160");
    app.update(Message::Forward { id: 2, news: ForwardNews::Listens("127.0.0.1:20160".into()) }, fixture::now());
    // The same one again is there already.
    assert_eq!(sent(&press(&mut app, "Fj<enter><enter>")), "");
    assert!(text(&app).contains("127.0.0.1:20160 leads to port 20160"), "{}", text(&app));
    assert_eq!(sent(&press(&mut app, "F<enter>")), "");
}

#[test]
fn a_shell_into_a_container_that_does_not_run_is_told_before() {
    let mut app = scene("overview", options());
    let mut pod = fixture::fleet().into_iter().find_map(|change| match change.what {
        What::Pods(pods) if change.context == "east" => {
            pods.into_iter().find(|pod| pod.metadata.name == "basic-tikv-1")
        }
        _ => None,
    });
    let pod = pod.as_mut().expect("a pod");
    pod.status.container_statuses[0].name = "tikv".into();
    let end = json!({"terminated": {"exitCode": 1, "reason": "Error"}});
    pod.status.container_statuses[0].last_state = serde_json::from_value(end).expect("shape");
    let what = What::Pod(WatchEvent::Set(Box::new(pod.clone())));
    app.update(Message::Fleet(Change { context: "east".into(), at: fixture::now(), what }), fixture::now());
    press(&mut app, ":basic-tikv-1<enter>S");
    let asked = question(&app);
    let wanted = "It does NOT RUN now: it waits (CrashLoopBackOff), last end: exit 1, Error, so that no shell opens until it does. It is of tikv";
    assert!(asked.contains(wanted), "{asked}");
    press(&mut app, "<esc>:basic-tikv-0<enter>S");
    let asked = question(&app);
    assert!(asked.contains("It is of tikv") && !asked.contains("NOT RUN"), "{asked}");
}

#[test]
fn a_tikv_pod_alone_says_how_many_leaders_are_not_moved_away() {
    use tidepilot::fleet::ObjectRef;
    use tidepilot::fleet::object_kind::ObjectKind;
    use tidepilot::runbook::actions::{Action, DeleteObject};
    let mut app = scene("plan", options());
    let plan = app.plan.as_mut().expect("a plan");
    plan.target = ObjectRef::new("east", "db", "basic");
    plan.steps.truncate(1);
    let target = ObjectRef::new("east", "db", "basic-tikv-2");
    plan.steps[0].action =
        Action::DeleteObject(DeleteObject { target, object_kind: ObjectKind::Pod, uid: None, made_by: None });
    let shown = screen_of(&mut app, (200, 50));
    assert!(shown.contains("regions that its store leads, now 403 region leaders, wait"), "{shown}");
    press(&mut app, "<enter>");
    let asked = question(&app);
    assert!(asked.starts_with("Clients feel it: 403 region leaders on its store are not moved away first."), "{asked}");
}

/// Before a rollback is chosen its question has the request, as the question before a step forth has.
#[test]
fn the_question_before_an_undo_shows_its_request() {
    let mut app = scene("gate", options());
    let plan = app.run.as_ref().and_then(|run| run.plan.clone()).expect("a plan");
    let step = plan.steps[3].clone();
    let sent = Event::Intent {
        step: step.id.clone(),
        attempt: 1,
        action: step.action.clone(),
        before: Image::PeerUrls(vec!["http://orders-pd-0.orders-pd-peer.shop.svc:2380".into()]),
        after: step.after.clone(),
    };
    let done = Event::Completed { step: step.id.clone(), how: How::Performed, evidence: serde_json::Value::Null };
    for (seq, event) in (7..).zip([sent, done, Event::Closed { outcome: Outcome::Done }]) {
        let record = Record { seq, at: fixture::now(), prev: String::new(), event };
        app.update(Message::Run(RunMessage::Record(Box::new(record))), fixture::now());
    }
    press(&mut app, "<esc>");
    let gate = tidepilot::runbook::plan::Gate {
        id: "undo/members".into(),
        step: format!("undo:{}", step.id),
        question: "Put it back?".into(),
        text: None,
        short: None,
    };
    app.update(Message::Run(RunMessage::Gate(gate)), fixture::now());
    let shown = screen_of(&mut app, (120, 36));
    assert!(shown.contains("Put it back?") && shown.contains("/v2/members/"), "{shown}");
}
