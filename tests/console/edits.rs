//! What was changed, by which program, when, from what to what: as far as the session, objects and former templates tell it.

use serde_json::{Value, json};
use tidepilot::app::App;
use tidepilot::app::message::{Effect, Message};
use tidepilot::console::export_markdown;
use tidepilot::fleet::controller_revision::Revision;
use tidepilot::fleet::logs_and_events::{Ask, News};
use tidepilot::fleet::{Change, ObjectKey, WatchEvent, What};

use crate::fixture::{self, app, earlier, fleet, options, press};
use crate::questions::screen_of;

fn one<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the shape of the resource")
}

fn owns(manager: &str, seconds: i64, fields: Value) -> Value {
    json!({"manager": manager, "operation": "Update", "time": earlier(seconds).to_string(), "fieldsV1": {"f:spec": fields}})
}

fn basic(replicas: i64, managers: Value) -> Value {
    json!({
        "metadata": {"namespace": "db", "name": "basic", "uid": "u", "managedFields": managers},
        "spec": {"version": "v8.5.4", "clusterDomain": "east.example.com", "acrossK8s": true,
            "pd": {"replicas": 2}, "tikv": {"replicas": replicas}, "tidb": {"replicas": 2}},
    })
}

fn set(generation: i64, replicas: i64, image: &str, managers: Value) -> Value {
    json!({
        "metadata": {"namespace": "db", "name": "basic-tikv", "generation": generation, "managedFields": managers,
            "labels": {"app.kubernetes.io/instance": "basic"}},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "tikv", "image": image}]}}},
    })
}

/// The operator rolls pod by pod, which is no change that somebody made; a partition that is set by hand is one.
#[test]
fn how_the_operator_rolls_is_no_row_and_a_partition_set_by_hand_is_one() {
    let rolled = |manager: &str| {
        let mut app = edited();
        let mut next = set(5, 5, "pingcap/tikv:v8.5.3", json!([owns(manager, 3, json!({"f:updateStrategy": {}}))]));
        next["spec"]["updateStrategy"] = json!({"rollingUpdate": {"partition": 2}});
        tell(&mut app, What::StatefulSet(WatchEvent::Set(Box::new(one(next)))));
        press(&mut app, ":changes<enter>");
        listed(&app).iter().any(|row| row.contains("partition (unset) → 2"))
    };
    assert!(!rolled("tidb-controller-manager") && rolled("kubectl-edit"));
}

fn tell(app: &mut App, what: What) {
    let change = Change { context: "east".into(), at: earlier(2), what };
    app.update(Message::Fleet(change), fixture::now());
}

/// The fleet with a StatefulSet in it, and with what became of both while the console looked.
fn edited() -> App {
    let mut app = app(options(), fleet());
    tell(&mut app, What::StatefulSets(vec![one(set(3, 3, "pingcap/tikv:v8.5.3", json!([])))]));
    let by_hand = json!([owns("kubectl-patch", 20, json!({"f:tikv": {"f:replicas": {}}}))]);
    tell(&mut app, What::TidbCluster(WatchEvent::Set(Box::new(one(basic(4, by_hand))))));
    let scaled = json!([owns("kubectl-scale", 9, json!({"f:replicas": {}}))]);
    let scaled = set(4, 5, "pingcap/tikv:v8.5.3", scaled);
    tell(&mut app, What::StatefulSet(WatchEvent::Set(Box::new(one(scaled)))));
    app
}

fn listed(app: &App) -> Vec<String> {
    app.rows().iter().map(|row| row.cells.iter().map(|cell| cell.text()).collect::<Vec<_>>().join(" | ")).collect()
}

#[test]
fn what_the_session_saw_has_its_values_its_tool_and_its_time() {
    let mut app = edited();
    press(&mut app, ":changes<enter>");
    let rows = listed(&app);
    assert_eq!(rows[0], "9s | east | sts db/basic-tikv | kubectl-scale | spec.replicas 3 → 5", "{rows:#?}");
    // A field that the second look did not have any more is told as well.
    assert!(
        rows[1].starts_with("20s | east | tc db/basic | kubectl-patch | ")
            && rows[1].contains("spec.tikv.replicas 3 → 4"),
        "{rows:#?}"
    );
    // What was seen is told once, and not as a last write again.
    assert_eq!(rows.iter().filter(|row| row.contains("kubectl-patch")).count(), 1, "{rows:#?}");
    for size in [(80, 24), (150, 42)] {
        let shown = screen_of(&mut app, size);
        for wanted in ["3 → 5", "3 → 4", "Kubernetes notes no person", "12:00:00Z"] {
            assert!(shown.contains(wanted), "{wanted} at {size:?}:\n{shown}");
        }
    }
    // Of what is older only what is there now is known.
    let old = app_of_old_writes();
    let rows = listed(&old);
    assert!(rows.iter().any(|row| row.ends_with("kubectl-edit | spec.tikv.replicas (now 3)")), "{rows:#?}");
    assert!(rows.iter().any(|row| row.contains("one or more of spec.version (now v8.5.4), ")), "{rows:#?}");
}

fn app_of_old_writes() -> App {
    let mut app = app(options(), fleet());
    press(&mut app, ":changes<enter>");
    app
}

#[test]
fn what_comes_goes_and_is_listed_anew_is_told_against_what_was_known() {
    let mut app = edited();
    // The connection was lost, and meanwhile somebody wrote.
    let by_hand = json!([owns("argocd-controller", 5, json!({"f:version": {}}))]);
    let mut after = basic(4, by_hand);
    after["spec"]["version"] = json!("v8.5.5");
    tell(&mut app, What::TidbClusters(vec![one(after)]));
    tell(&mut app, What::StatefulSet(WatchEvent::Gone(ObjectKey::new("db", "basic-tikv"))));
    press(&mut app, ":changes<enter>");
    let rows = listed(&app);
    for wanted in [
        "sts db/basic-tikv | (not told) | deleted",
        "tc shop/orders | (not told) | deleted",
        "tc db/basic | argocd-controller | spec.version v8.5.4 → v8.5.5",
    ] {
        assert!(rows.iter().any(|row| row.contains(wanted)), "{wanted}: {rows:#?}");
    }
    // A field whose value is not kept is told without one.
    let set = json!([owns("kubectl-edit", 1, json!({"f:pd": {"f:config": {}}}))]);
    let mut after = basic(4, set);
    after["spec"]["version"] = json!("v8.5.5");
    tell(&mut app, What::TidbCluster(WatchEvent::Set(Box::new(one(after)))));
    let rows = listed(&app);
    assert!(rows[0].contains("kubectl-edit | fields whose values are not kept here"), "{rows:#?}");
}

fn revision(number: i64, seconds: i64, image: &str) -> Revision {
    let object = json!({
        "metadata": {"namespace": "db", "name": format!("basic-tikv-{number}"),
            "creationTimestamp": earlier(seconds).to_string(),
            "ownerReferences": [{"kind": "StatefulSet", "name": "basic-tikv"}]},
        "revision": number,
        "data": {"spec": {"template": {"spec": {"containers": [{"name": "tikv", "image": image}]}}}},
    });
    Revision::read("east", "db", &object).expect("of a StatefulSet")
}

/// Opens the view and lets these templates come.
fn with_templates(app: &mut App, all: Result<Vec<Revision>, String>) {
    let effects = press(app, ":changes<enter>");
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::Closeup { id, ask: Some(Ask::Revisions(places)) } => Some((*id, places.clone())),
        _ => None,
    });
    let (id, places) = asked.expect("former templates are asked for");
    let place = places.iter().position(|place| place.context == "east" && place.namespace == "db").expect("asked");
    app.update(Message::Closeup { id, news: News::Revisions { place, all } }, fixture::now());
}

#[test]
fn former_templates_tell_of_changes_before_the_session() {
    let mut app = edited();
    with_templates(&mut app, Ok(vec![revision(1, 90_000, "tikv:v8.5.2"), revision(2, 7_200, "tikv:v8.5.3")]));
    let rows = listed(&app);
    let wanted = "2h0m | east | sts db/basic-tikv | (not kept) | template: spec.containers[tikv].image tikv:v8.5.2 → tikv:v8.5.3";
    assert!(rows.iter().any(|row| row == wanted), "{rows:#?}");
    // Who wrote the StatefulSet at that very moment is known.
    let mut app = edited();
    with_templates(&mut app, Ok(vec![revision(1, 90_000, "tikv:v1"), revision(2, 8, "tikv:v2")]));
    let rows = listed(&app);
    assert!(rows.iter().any(|row| row.contains("kubectl-scale | template: ")), "{rows:#?}");
    // What may not be read is said.
    let mut app = edited();
    with_templates(&mut app, Err("the right to list controllerrevisions is missing".into()));
    let shown = screen_of(&mut app, (100, 30));
    assert!(shown.contains("unseen") && shown.contains("the right to list controllerrevisions"), "{shown}");
}

#[test]
fn who_wrote_is_not_cut_in_a_narrow_terminal() {
    let run = "tidepilot/20261120-115002-7f3a";
    let mut app = app(options(), fleet());
    let by_run = json!([owns(run, 30, json!({"f:paused": {}}))]);
    tell(&mut app, What::TidbCluster(WatchEvent::Set(Box::new(one(basic(3, by_run))))));
    press(&mut app, ":changes<enter>");
    for size in [(80, 24), (100, 30), (140, 40)] {
        let shown = screen_of(&mut app, size);
        assert!(shown.contains("tidepilot run 20261120-115002-7f3a"), "{size:?}:\n{shown}");
    }
}

#[test]
fn a_ticket_has_the_time_of_each_age_and_a_word_where_there_is_nothing() {
    let mut app = edited();
    press(&mut app, ":changes<enter>");
    let text = export_markdown::text(&app);
    assert!(text.contains("| 2026-11-20 12:00:32Z (9s) |"), "{text}");
    for view in [":pods<enter>", ":runs<enter>"] {
        let mut app = app_of_old_writes();
        press(&mut app, view);
        let text = export_markdown::text(&app);
        assert!(text.contains("| 2026-11-"), "{view}: {text}");
    }
    // An empty list is no empty page.
    for (view, wanted) in
        [(":forwards<enter>", "No port"), (":changes<enter>", "No cluster yet"), ("!", "no TidbCluster was found")]
    {
        let mut app = App::new(options());
        press(&mut app, view);
        let text = export_markdown::text(&app);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("# ") && !line.starts_with("* at:"))
            .collect();
        assert!(!lines.is_empty() && !text.contains("| ---"), "{view}: {text}");
        assert!(text.contains(wanted), "{view}: {text}");
    }
}
