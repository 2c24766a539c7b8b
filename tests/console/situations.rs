//! Keys in a fleet where something is the matter: a pod that is ill, a part that is not seen, a run that is open already.

use crate::fixture;
use crate::fixture::{options, press, scene};
use crate::keys::{place, said, sent};
use tidepilot::app::App;
use tidepilot::app::message::{Message, RunMessage};
use tidepilot::fleet::What;
use tidepilot::fleet::pd::MemberId;

/// Of a pod one and all like it are two offers; which one was taken is in the form.
#[test]
fn one_pod_and_all_of_them_are_two_offers() {
    use tidepilot::app::message::{InputInfo, InputKind};
    let input = |name: &str, kind, required| InputInfo {
        name: name.into(),
        prompt: name.into(),
        kind,
        required,
        default: (!required).then(String::new),
        propose: false,
    };
    let mut restart = scene("overview", options()).runbooks[0].clone();
    (restart.id, restart.title) = ("restart-component".into(), "Restart one component".into());
    let components = InputKind::Choice(["pd", "tikv", "tidb"].map(str::to_owned).to_vec());
    restart.inputs = vec![
        input("tidbCluster", InputKind::TidbCluster, true),
        input("component", components, true),
        input("pod", InputKind::Text, false),
    ];
    let planned = |keys: &str| {
        let mut app = scene("overview", options());
        app.runbooks = vec![restart.clone()];
        sent(&press(&mut app, keys))
    };
    let whole = "plan restart-component component=pd tidbCluster=east/db/basic";
    assert_eq!(planned("jr<enter><enter>"), whole.replace(" tidb", " pod=basic-pd-1 tidb"), "this pod");
    assert_eq!(planned("jrj<enter><down><enter>"), whole, "every pod like it");
    assert_eq!(planned(":run restart-component<enter>"), "");
}

#[test]
fn what_is_not_seen_may_hold_another_database() {
    use tidepilot::fleet::{Change, Freshness, What};
    let mut app = scene("healthy", options());
    let what = What::Connection { freshness: Freshness::Unreachable, message: None };
    app.update(Message::Fleet(Change { context: "north".into(), at: fixture::now(), what }), fixture::now());
    press(&mut app, "]");
    let text = app.flash.map(|flash| flash.text).unwrap_or_default();
    assert!(text.contains("north is not seen and may hold one"), "{text}");
    said("healthy", "]", "there is no other Database");
}

#[test]
fn a_port_into_a_pod_that_is_not_ready_warns() {
    let mut app = scene("overview", options());
    press(&mut app, "jjjF<enter>");
    let text = app.flash.map(|flash| flash.text).unwrap_or_default();
    assert!(text.contains("not ready: connections through this port fail"), "{text}");
    let mut app = scene("overview", options());
    press(&mut app, "F<enter>");
    assert!(app.flash.is_none_or(|flash| !flash.text.contains("not ready")));
}

#[test]
fn the_certificates_of_a_database_without_tls_are_none() {
    let shown = crate::questions::shown("overview", "t", (120, 36));
    assert!(shown.contains("basic runs without TLS"), "{shown}");
}

/// A plan says that a run is open on its Database before it is started.
#[test]
fn a_plan_names_the_run_that_is_open_already() {
    let mut app = scene("plan", options());
    let target = app.plan.as_ref().expect("a plan").target.clone();
    let mut runs = fixture::runs();
    runs.iter_mut().for_each(|run| run.target = target.to_string());
    let open = runs.iter().find(|run| run.open).expect("an open one").run.clone();
    app.update(Message::Runs(runs), fixture::now());
    let shown = crate::questions::screen_of(&mut app, (150, 42));
    assert!(shown.contains(&format!("refused: run {open} is open")), "{shown}");
    press(&mut app, "R");
    assert_eq!(place(&app), "runs");
}

/// Every answer of PD in `db`, with this leader; `up`: with every store there.
fn leads(app: &mut App, leader: u64, up: bool) {
    for mut change in fixture::fleet() {
        let What::Pd { pod, view } = &mut change.what else { continue };
        if let (true, Ok(answer)) = (pod.namespace == "db", &mut view.answer) {
            answer.leader = Some(MemberId(leader));
            answer.stores.iter_mut().filter(|_| up).for_each(|store| store.state = "Up".to_owned());
            view.at = fixture::now();
            change.at = fixture::now();
            app.update(Message::Fleet(change), fixture::now());
        }
    }
}

const NEW_LEADER: u64 = 0x5b77_20aa_91c3_0d42;

/// PD's new leader calls stores Disconnected until their next heartbeat: nothing is wrong with them yet.
#[test]
fn stores_that_a_new_leader_has_not_heard_of_are_expected() {
    let mut app = scene("overview", options());
    for _ in 0..2 {
        leads(&mut app, 0xa1, true);
        app.update(Message::Tick, fixture::earlier(-20));
    }
    read(&mut app, &[("overview", "1 wrong"), ("db", "✖ 1 wrong, 1 unseen")]);
    leads(&mut app, NEW_LEADER, false);
    let one = [
        ("overview", "1 expected ✖ 1 wrong"),
        ("db", "✖ 1 wrong   ◐ 1 expected"),
        ("db", "✖ 1 wrong, 1 unseen"),
        ("problems", "store-not-up  expected"),
    ];
    read(&mut app, &one);
    app.update(Message::Tick, fixture::earlier(-14));
    read(&mut app, &one);
    app.update(Message::Tick, fixture::earlier(-20));
    // By then each has been heard of, or is wrong.
    read(&mut app, &[("overview", "2 wrong"), ("db", "✖ 2 wrong, 1 unseen"), ("problems", "store-not-up  wrong")]);
}

/// One that the leader before did not hear of either is away, whoever leads.
#[test]
fn a_store_that_was_away_before_the_leader_changed_stays_wrong() {
    let mut app = scene("overview", options());
    let wrong = [("overview", "2 wrong"), ("db", "✖ 2 wrong, 1 unseen"), ("problems", "store-not-up  wrong")];
    read(&mut app, &wrong);
    leads(&mut app, NEW_LEADER, false);
    read(&mut app, &wrong);
}

/// Each view shows this.
#[track_caller]
fn read(app: &mut App, wanted: &[(&str, &str)]) {
    for (view, wanted) in wanted {
        press(app, &format!(":{view}<enter>"));
        let shown = crate::questions::screen_of(app, (160, 44));
        assert!(shown.contains(wanted), "{view} does not show {wanted:?}:\n{shown}");
    }
}

/// An undo of a run that is over asks: its heading does not say that it is done.
#[test]
fn a_run_that_is_over_and_asks_waits_for_you() {
    let mut app = scene("ended", options());
    let gate = tidepilot::runbook::plan::Gate {
        id: "undo/x".into(),
        step: "x".into(),
        question: "put it back?".into(),
        text: None,
        short: None,
    };
    let run = app.run.as_mut().expect("a run");
    run.apply(RunMessage::Gate(gate), fixture::now());
    assert_eq!(run.standing().1, "waits for you");
}

#[test]
fn help_that_does_not_fit_says_how_much_is_below() {
    let mut app = scene("overview", options());
    press(&mut app, "?");
    let shown = crate::questions::screen_of(&mut app, (80, 24));
    assert!(shown.contains(" more "), "{shown}");
    press(&mut app, &"j".repeat(60));
    let shown = crate::questions::screen_of(&mut app, (80, 24));
    assert!(!shown.contains(" more "), "{shown}");
}

/// However ill a pod is, what would touch all like it comes after everything about it alone.
#[test]
fn no_habit_leads_from_one_pod_to_all_of_them() {
    for (pod, first) in [("j", "transfer-pd-leader"), ("jjj", "restart-component pod")] {
        let mut app = crate::jobs::on_call(options());
        press(&mut app, &format!("{pod}r"));
        let what: Vec<String> = app.rows().iter().map(|row| row.key.clone()).collect();
        assert_eq!(what[0], first, "{what:?}");
        let at = |key: &str| what.iter().position(|one| one == key).expect("offered");
        let (alone, all) = (at("restart-component pod"), at("restart-component"));
        assert!(alone < 2 && all > at("migrate-cluster-domain"), "{what:?}");
    }
}
