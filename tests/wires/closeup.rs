//! Looking closely, over the wire: logs of several clusters followed, through a restart and with a right that is missing;
//! nothing is asked for any more once nobody looks.

use std::time::Duration;

use serde_json::Value;
use tidepilot::client::kube::logs_and_events::{Closeup, closeup};
use tidepilot::client::{ConnectOptions, Links, targets};
use tidepilot::fleet::ObjectRef;
use tidepilot::fleet::controller_revision::Revision;
use tidepilot::fleet::logs_and_events::{Ask, Kind, LogOf, News, Place, Reading, Thing};
use tidepilot::sim::api_server::Rules;
use tidepilot::sim::{Sim, SimOptions};
use tokio::sync::mpsc;

fn links(sim: &Sim, directory: &tempfile::TempDir) -> Links {
    let file = directory.path().join("config");
    sim.write_kubeconfig(&file).expect("written");
    // Reading logs must need nothing more.
    let options = ConnectOptions { kubeconfig: vec![file], read_only: true, ..ConnectOptions::default() };
    Links::new(targets(&options).expect("a good kubeconfig"), options)
}

async fn fleet() -> (Sim, tempfile::TempDir) {
    let sim = Sim::start(SimOptions { speed: 50.0, ..SimOptions::default() }).await.expect("a fleet");
    (sim, tempfile::tempdir().expect("a folder"))
}

fn log(context: &str, namespace: &str, pod: &str) -> LogOf {
    LogOf { pod: ObjectRef::new(context, namespace, pod), container: Some("pd".to_owned()) }
}

fn look(links: &Links, ask: &Ask) -> (Closeup, mpsc::Receiver<News>) {
    let (sender, news) = mpsc::channel(64);
    (closeup(links, ask, sender), news)
}

/// The next news that are wanted.
async fn until<T>(news: &mut mpsc::Receiver<News>, mut wanted: impl FnMut(News) -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = wanted(news.recv().await.expect("it goes on")) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(40), search).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_through_a_restart_and_no_line_comes_twice() {
    let (sim, directory) = fleet().await;
    let links = links(&sim, &directory);
    let of = vec![log("legacy", "pingcap", "basic-pd-1"), log("east", "prod", "prod-east-pd-0")];
    let (looking, mut news) = look(&links, &Ask::Logs { of, previous: false });
    let mut seen = Vec::new();
    let mut welcomes = [0, 0];
    let mut killed = false;
    until(&mut news, |one| {
        if let News::Lines { of, lines } = one {
            for line in lines {
                let key = (of, line.at, line.text.clone());
                assert!(!seen.contains(&key), "twice: {key:?}");
                welcomes[of] += usize::from(line.text.contains("Welcome to Placement Driver"));
                seen.push(key);
            }
        }
        if welcomes[0] == 1 && !killed {
            killed = sim.kill_process("legacy", "pingcap", "basic-pd-1").expect("a context");
        }
        (welcomes[0] >= 2 && welcomes[1] == 1).then_some(())
    })
    .await;
    drop(looking);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = |sim: &Sim| sim.log().lines().iter().filter(|line| is_log(line)).count();
    let before = asked(&sim);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(asked(&sim), before, "nobody looks any more");
    let methods: Vec<Value> = sim.log().lines().iter().map(|line| line["method"].clone()).collect();
    assert!(methods.iter().all(|method| method == "GET" || method.is_null()), "{methods:?}");
}

fn is_log(line: &Value) -> bool {
    line["path"].as_str().is_some_and(|path| path.ends_with("/log"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_named() {
    let (mut sim, directory) = fleet().await;
    sim.set_rules("legacy", Rules::Only(Vec::new())).await.expect("set");
    let links = links(&sim, &directory);
    let ask = Ask::Logs { of: vec![log("legacy", "pingcap", "basic-pd-1")], previous: false };
    let (_looking, mut news) = look(&links, &ask);
    let why = until(&mut news, |one| match one {
        News::Log { state: Reading::Refused(why), .. } => Some(why),
        _ => None,
    })
    .await;
    assert!(why.contains("the right to get pods/log is missing"), "{why}");
    let place = Place { context: "legacy".into(), namespace: "pingcap".into() };
    let (_looking, mut news) = look(&links, &Ask::Events { places: vec![place], about: None });
    let events = until(&mut news, |one| match one {
        News::Events { events, .. } => Some(events),
        _ => None,
    })
    .await;
    assert!(events.expect_err("forbidden").contains("the right to list events is missing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_objects_are_told_when_they_change() {
    let (sim, directory) = fleet().await;
    let links = links(&sim, &directory);
    let of = ObjectRef::new("legacy", "pingcap", "basic-tikv-1");
    let thing = Thing { kind: Kind::Pod, of };
    let place = Place { context: "legacy".into(), namespace: "pingcap".into() };
    let ask = Ask::Events { places: vec![place], about: Some(thing.clone()) };
    let (_looking, mut news) = look(&links, &ask);
    let mut killed = false;
    until(&mut news, |one| {
        let News::Events { events: Ok(events), .. } = one else { return None };
        assert!(events.iter().all(|event| event.about == "Pod/basic-tikv-1"), "{events:?}");
        assert!(events.is_sorted_by(|one, next| one.last >= next.last));
        if !killed {
            assert!(events.iter().all(|event| event.reason != "BackOff"));
            killed = sim.kill_process("legacy", "pingcap", "basic-tikv-1").expect("a context");
        }
        events.iter().any(|event| event.reason == "BackOff" && event.warning).then_some(())
    })
    .await;
    let (_looking, mut news) = look(&links, &Ask::Objects(vec![thing]));
    let object = until(&mut news, |one| match one {
        News::Object { object, .. } => Some(object),
        _ => None,
    })
    .await;
    assert_eq!(object.expect("seen")["metadata"]["name"], "basic-tikv-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn former_templates_of_stateful_sets_come_with_their_numbers() {
    let (sim, directory) = fleet().await;
    let links = links(&sim, &directory);
    let store = sim.store("legacy").expect("known");
    let version = |to: &str| {
        let change = |tc: &mut Value| tc["spec"]["version"] = to.into();
        store.edit("tidbclusters", "pingcap", "basic", change).expect("there");
    };
    let place = Place { context: "legacy".into(), namespace: "pingcap".into() };
    let numbers = |all: &[Revision]| -> Vec<i64> {
        all.iter().filter(|one| one.set == "basic-pd").map(|one| one.number).collect()
    };
    let ask = Ask::Revisions(vec![place]);
    let once = async || {
        let (_looking, mut news) = look(&links, &ask);
        until(&mut news, |one| match one {
            News::Revisions { place: 0, all } => Some(all.expect("allowed")),
            _ => None,
        })
        .await
    };
    let before = once().await;
    assert_eq!(numbers(&before), [1], "{before:?}");
    version("v8.5.7");
    // The operator gives its StatefulSet another template, and Kubernetes keeps the former one.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(40);
    loop {
        let mut now = numbers(&once().await);
        now.sort_unstable();
        if now == [1, 2] {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{now:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let asked: Vec<String> = sim
        .log()
        .lines()
        .iter()
        .filter_map(|line| line["path"].as_str().filter(|path| path.contains("controllerrevisions")).map(str::to_owned))
        .collect();
    assert!(asked.iter().all(|path| path.starts_with("/apis/apps/v1/namespaces/pingcap/")), "{asked:?}");
}
