//! What lists and tickets must not lose: rows that differ have keys that differ, and what is drawn or coloured is a word.

use crate::fixture::{self, SCENES, app, earlier, fleet, hostile, options, press, scene};
use crate::jobs::on_call_with;
use serde_json::{Value, json};
use tidepilot::app::message::Message;
use tidepilot::app::visible_rows::Item;
use tidepilot::app::{App, Restart};
use tidepilot::console::export_markdown;
use tidepilot::fleet::tidbcluster::Component;
use tidepilot::fleet::{Change, ObjectRef, What};
use tidepilot::sanitize::is_hidden;

fn one<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the shape of the resource")
}

#[track_caller]
fn keys_differ(app: &App, name: &str) {
    let rows = app.rows();
    let mut keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    keys.sort_unstable();
    let twice = keys.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None, "{name}");
}

#[test]
fn no_two_rows_of_a_view_have_the_same_key() {
    for name in SCENES {
        keys_differ(&scene(name, options()), name);
    }
}

#[test]
fn each_of_two_findings_of_one_kind_has_its_own_page() {
    let mut app = scene("problems", options());
    let evidence = |app: &App| app.checked().findings.iter().map(|one| one.evidence.clone()).collect::<Vec<_>>();
    let all = evidence(&app);
    let rows = app.rows();
    let mut opened = 0;
    for row in rows.iter() {
        if let Item::Finding(index) = row.item {
            assert_eq!(app.finding(&row.key).map(|one| &one.evidence), all.get(index), "{}", row.key);
            opened += 1;
        }
    }
    assert!(opened > 2);
    // The cursor gets to the last row.
    press(&mut app, &"j".repeat(rows.len()));
    assert_eq!(app.row().map(|row| row.key.clone()), rows.last().map(|row| row.key.clone()));
}

#[test]
fn a_tool_that_applies_and_updates_has_two_rows_and_the_cursor_gets_past_them() {
    let owns = |operation: &str, time: &str, fields: Value| json!({"manager": "argocd-controller", "operation": operation, "time": time, "fieldsV1": {"f:spec": fields}});
    let tc = json!({
        "metadata": {"namespace": "db", "name": "basic", "uid": "u", "resourceVersion": "78", "managedFields": [
            owns("Apply", "2026-11-20T11:00:00Z", json!({"f:version": {}})),
            owns("Update", "2026-11-20T10:00:00Z", json!({"f:paused": {}})),
            {"manager": "kubectl-edit", "operation": "Update", "time": "2026-11-20T09:00:00Z",
                "fieldsV1": {"f:spec": {"f:pd": {}}}},
        ]},
        "spec": {"version": "v8.5.4"}
    });
    let mut changes = fleet();
    let what = What::TidbClusters(vec![one(tc)]);
    changes.push(Change { context: "east".into(), at: earlier(1), what });
    let mut app = app(options(), changes);
    press(&mut app, ":changes<enter>");
    keys_differ(&app, "changes");
    // The look that brought it is a change of its own: of this TidbCluster, and of the one that is gone.
    press(&mut app, "jjj");
    assert!(app.row().is_some_and(|row| row.copy.contains("kubectl-edit")), "{:?}", app.row());
}

#[test]
fn a_saved_view_holds_nothing_that_steers_reorders_or_hides() {
    for view in [":pd", ":stores", ":ctx", "!", "f", ":log", ":pd<enter>j"] {
        let mut app = app(options(), hostile());
        press(&mut app, &format!("{view}<enter>"));
        let text = export_markdown::text(&app);
        let bad: Vec<char> = text.chars().filter(|c| is_hidden(*c) && *c != '\n').collect();
        assert!(bad.is_empty(), "{view}: {bad:?} in\n{text}");
    }
    let mut app = app(options(), hostile());
    press(&mut app, ":pd<enter>");
    assert!(export_markdown::text(&app).contains("\\u202ex"), "{}", export_markdown::text(&app));
}

#[test]
fn a_ticket_says_in_words_who_leads_and_what_drifts() {
    let text = export_markdown::text(&scene("members", options()));
    let line = |pod: &str| text.lines().find(|line| line.contains(pod)).unwrap_or_default().to_owned();
    let leads: Vec<&str> = text.lines().filter(|line| line.contains("| leader |")).collect();
    assert!(leads.len() == 1 && leads[0].contains("basic-pd-0"), "{text}");
    assert!(line("⟨").contains(".svc⟨.north.example.com⟩:2380 (drift) |"), "{text}");
    assert_eq!(text.matches("(drift)").count(), 1, "{text}");
}

/// What clients feel of one pod that is made anew.
fn felt(of: &ObjectRef, component: Component) -> String {
    let app = app(options(), fleet());
    let alone = Some(format!("{}-{component:?}-0", of.name));
    app.felt(&Restart { of: of.clone(), pods: vec![(component, 1)], longest: None, alone }).join("; ")
}

#[test]
fn the_only_pod_of_a_component_has_no_others_that_go_on() {
    let (single, spanning) = (ObjectRef::new("east", "shop", "orders"), ObjectRef::new("east", "db", "basic"));
    assert_eq!(felt(&single, Component::Tikv), "data: the only TiKV store restarts; until it is back nothing is read");
    assert_eq!(felt(&single, Component::Pd), "PD: its only member restarts; until it is back no transaction begins");
    assert!(
        felt(&spanning, Component::Tikv).contains("until other stores have elected leaders; nothing moves them away")
    );
    assert!(felt(&spanning, Component::Pd).starts_with("PD: the other members go on"));
    // One of the two clusters has one TiFlash pod, and no other has any.
    assert!(felt(&spanning, Component::Tiflash).contains("the only TiFlash store"));
}

#[test]
fn no_runbook_is_offered_about_a_pod_whose_component_it_does_not_take() {
    let mut changes = fleet();
    let is_pods = |change: &&mut Change| change.context == "east" && matches!(change.what, What::Pods(_));
    let Some(Change { what: What::Pods(pods), .. }) = changes.iter_mut().find(is_pods) else { panic!("pods") };
    for (name, state) in [
        ("basic-discovery-7c9f", json!({"running": {}})),
        ("basic-discovery-ill", json!({"waiting": {"reason": "CrashLoopBackOff"}})),
    ] {
        pods.push(one(json!({
            "metadata": {"namespace": "db", "name": name, "labels":
                {"app.kubernetes.io/instance": "basic", "app.kubernetes.io/component": "discovery"}},
            "spec": {"containers": [{"name": "discovery"}]},
            "status": {"phase": "Running", "containerStatuses":
                [{"name": "discovery", "ready": false, "restartCount": 9, "state": state}]}
        })));
    }
    for name in ["basic-discovery-7c9f", "basic-discovery-ill"] {
        let mut app = on_call_with(options(), changes.clone());
        press(&mut app, &format!(":{name}<enter>"));
        assert_eq!(app.known().component.as_deref(), Some("discovery"));
        assert_eq!(app.runbooks_for_cursor(), Vec::<String>::new(), "{name}");
        press(&mut app, "r");
        let offered: Vec<String> = app.rows().iter().map(|row| row.cells[1].text()).collect();
        let about = |text: &String| text.contains("this pod alone") || text.contains("discovery");
        assert!(!offered.is_empty() && !offered.iter().any(about), "{offered:?}");
    }
}

#[test]
fn the_screen_is_drawn_once_more_when_stores_have_had_their_time_to_settle() {
    let mut app = scene("healthy", options());
    let later = |seconds: i64| earlier(-seconds);
    let mut named = fleet().into_iter().find_map(|change| match change.what {
        What::Pd { pod, view } if change.context == "east" && pod.namespace == "db" => Some((pod, view)),
        _ => None,
    });
    let (pod, view) = named.as_mut().expect("a look at PD");
    view.at = fixture::now();
    let answer = view.answer.as_mut().expect("an answer");
    answer.leader = answer.members.get(1).map(|member| member.id);
    let what = What::Pd { pod: pod.clone(), view: view.clone() };
    app.update(Message::Fleet(Change { context: "east".into(), at: fixture::now(), what }), fixture::now());
    app.update(Message::Tick, later(10));
    app.rows();
    app.update(Message::Tick, later(12));
    app.take_dirty();
    let drawn = [13, 14, 15, 16, 17].map(|seconds| {
        app.update(Message::Tick, later(seconds));
        app.take_dirty()
    });
    assert_eq!(drawn, [false, false, true, false, false]);
}
