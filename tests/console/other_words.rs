//! Words that a person who knows kubectl and k9s types: each leads to what there is, or says what there is instead.

use crate::fixture::{self, options, press, scene};
use crate::keys::{check, place, said, sent};
use crate::questions::{screen_of, shown};
use tidepilot::app::App;
use tidepilot::app::kubectl_k9s_aliases::{Leads, OTHER_WORDS};
use tidepilot::app::message::{InputInfo, InputKind, Message};
use tidepilot::fleet::{Change, WatchEvent, What};

/// The fleet with the runbook that restarts one pod or all of a component.
fn with_restart() -> App {
    let mut app = scene("overview", options());
    let input = |name: &str, kind, required| InputInfo {
        name: name.into(),
        prompt: name.into(),
        kind,
        required,
        default: (!required).then(String::new),
        propose: false,
    };
    let mut restart = app.runbooks[0].clone();
    (restart.id, restart.title) = ("restart-component".into(), "Restart one component".into());
    let components = InputKind::Choice(["pd", "tikv", "tidb"].map(str::to_owned).to_vec());
    restart.inputs = vec![
        input("tidbCluster", InputKind::TidbCluster, true),
        input("component", components, true),
        input("pod", InputKind::Text, false),
    ];
    app.runbooks.push(restart);
    app
}

fn after(app: &mut App, keys: &str) -> (String, String) {
    let effects = press(app, keys);
    (place(app), sent(&effects))
}

fn text(app: &App) -> String {
    app.flash.as_ref().map(|flash| flash.text.clone()).unwrap_or_default()
}

#[test]
fn to_delete_a_pod_is_the_runbook_that_restarts_it_alone() {
    let plan = "plan restart-component component=pd pod=basic-pd-1 tidbCluster=east/db/basic";
    for word in [":restart", ":delete", ":kill", ":del", ":dele"] {
        let mut app = with_restart();
        assert_eq!(after(&mut app, &format!("j{word}<enter>")), ("inputs".into(), String::new()), "{word}");
        assert!(text(&app).contains("restart (delete) basic-pd-1 alone: nothing is sent before"), "{}", text(&app));
        assert_eq!(sent(&press(&mut app, "<enter>")), plan, "{word}");
    }
    // Named, in whatever view.
    let mut app = with_restart();
    assert_eq!(after(&mut app, ":tc<enter>:restart basic-tikv-2<enter>").0, "inputs");
    let plan = "plan restart-component component=tikv pod=basic-tikv-2 tidbCluster=east/db/basic";
    assert_eq!(sent(&press(&mut app, "<enter>")), plan);
    // A store and a member stand for their pods.
    let mut app = with_restart();
    press(&mut app, ":stores<enter>j:kill<enter>");
    assert!(sent(&press(&mut app, "<enter>")).contains("pod=basic-tikv-1"));
    // Where nothing is under the cursor it says so.
    let mut app = with_restart();
    assert_eq!(after(&mut app, ":ctx<enter>:delete<enter>").0, "clusters");
    assert!(text(&app).contains("no pod to restart here: put the cursor on a pod"), "{}", text(&app));
    // One at a time.
    let mut app = with_restart();
    press(&mut app, ":pods<enter> j :restart<enter>");
    assert!(text(&app).contains("2 rows are marked, and one pod is restarted at a time"), "{}", text(&app));
}

#[test]
fn a_pod_that_no_runbook_is_about_says_why_with_its_line() {
    let mut app = with_restart();
    let pods = fixture::fleet().into_iter().find_map(|change| match change.what {
        What::Pods(pods) if change.context == "east" => pods.into_iter().next(),
        _ => None,
    });
    let mut pod = pods.expect("a pod");
    pod.metadata.name = "basic-discovery-7d4f".into();
    pod.metadata.labels.insert("app.kubernetes.io/component".into(), "discovery".into());
    let what = What::Pod(WatchEvent::Set(Box::new(pod)));
    app.update(Message::Fleet(Change { context: "east".into(), at: fixture::now(), what }), fixture::now());
    assert_eq!(
        after(&mut app, ":restart basic-discovery-7d4f<enter>").0,
        "pod east/db/basic-discovery-7d4f [copy kubectl]"
    );
    assert!(text(&app).contains("its Deployment makes it anew at once"), "{}", text(&app));
    let copied = sent(&press(&mut app, "<enter>"));
    assert_eq!(copied, "copy kubectl --context east -n db delete pod basic-discovery-7d4f");
    let keys = screen_of(&mut app, (150, 42));
    assert!(!keys.lines().last().unwrap_or_default().contains("restart (delete)"), "{keys}");
}

#[test]
fn the_row_of_a_pod_offers_to_restart_it() {
    let mut app = with_restart();
    let shown = screen_of(&mut app, (150, 42));
    let keys = shown.lines().last().unwrap_or_default();
    assert!(keys.contains("r runbooks, restart (delete) this pod"), "{keys}");
    press(&mut app, "?");
    let help = screen_of(&mut app, (150, 50));
    assert!(help.contains(":restart") && help.contains("restart (delete) this pod"), "{help}");
    press(&mut app, "<esc>r");
    let shown = screen_of(&mut app, (150, 42));
    assert!(shown.contains("restart (delete) this pod alone: basic-pd-0"), "{shown}");
    press(&mut app, "<esc><ctrl-k>");
    assert!(text(&app).contains("ctrl-k does nothing here; :restart restarts this pod"), "{}", text(&app));
    let mut app = with_restart();
    press(&mut app, ":ctx<enter>");
    let shown = screen_of(&mut app, (150, 42));
    assert!(!shown.contains("restart (delete)"), "{shown}");
}

#[test]
fn a_word_for_a_key_does_what_the_key_does() {
    check("overview", ":exec<enter>", "overview [type: ]", "");
    check("overview", ":shell basic-tidb-1<enter>", "pod east/db/basic-tidb-1 [pick tidb]", "");
    check("overview", ":port-forward<enter>", "overview [pick 2379]", "");
    check("overview", ":logs<enter>", "logs", "");
    check("overview", ":logs basic-tikv-1<enter>", "logs", "");
    check("overview", ":describe<enter>", "pod east/db/basic-pd-0", "");
    check("overview", ":yaml<enter>", "YAML", "");
    check("tidbclusters", ":diff<enter>", "difference", "");
    check("overview", ":pf<enter>", "forwards", "");
    said("clusters", ":exec<enter>", "no shell here: put the cursor on a pod");
    // What names several lists them.
    check("overview", ":logs tikv<enter>", "pods /tikv", "");
    said("overview", ":logs basic-tidb-0<enter>", "no single pod is called \"basic-tidb-0\"");
    // Ours come first.
    check("overview", ":log<enter>", "log", "");
    check("overview", ":pulse<enter>", "overview", "");
    said("overview", ":pulse<enter>", "overview is in front already");
}

/// A word for a kind of object never opens a form, and each has its line.
#[test]
fn what_there_is_no_view_of_says_so_with_the_line_that_has_it() {
    for word in OTHER_WORDS {
        let Leads::Nowhere { instead, .. } = word.leads else { continue };
        for name in word.names {
            let mut app = with_restart();
            let (place, sent) = after(&mut app, &format!(":{name}<enter>"));
            assert_eq!((place.as_str(), sent.as_str()), ("overview [copy kubectl]", ""), "{name}");
            assert_eq!(text(&app), instead, "{name}");
        }
    }
    let copied = |keys: &str| sent(&press(&mut with_restart(), keys));
    assert_eq!(copied(":no<enter><enter>"), "copy kubectl --context east get nodes -o wide");
    let claims = "copy kubectl --context north -n db get pvc -l app.kubernetes.io/instance=basic";
    assert_eq!(copied("<tab>:pvc<enter><enter>"), claims);
    let edit = "copy kubectl --context east -n shop edit tc orders";
    assert_eq!(copied(":orders-pd-0<enter>:edit<enter><enter>"), edit);
    // What is not known there stays a word.
    assert!(copied(":drain<enter><enter>").contains("drain NODE "), "{}", copied(":drain<enter><enter>"));
    let whole = shown("overview", ":deploy<enter>", (120, 36));
    assert!(whole.contains("kubectl --context east get deployment -A"), "{whole}");
    // Begun, it is offered and taken as any other word.
    check("overview", ":depl<enter>", "overview [copy kubectl]", "");
    check("overview", ":run migr<enter>", "inputs", "");
}
