//! One cluster that means ill beside good ones: it is bounded, said, and changes nothing about the others.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tidepilot::client::kube::watch::{WatchHandle, watch};
use tidepilot::client::{ConnectOptions, Limits, Links, assemble, targets};
use tidepilot::fleet::{Change, Fleet, What};
use tidepilot::sim::{Sim, SimOptions};
use tokio::sync::mpsc;

use crate::common::{Room, finish};
use crate::hostile::server::{Answer, Hostile, good, list, pd_pod, peak_mb};

fn links(dir: &Path, kubeconfig: &Value, limits: Limits) -> Links {
    let file = dir.join("config");
    std::fs::write(&file, kubeconfig.to_string()).expect("written");
    let options = ConnectOptions { kubeconfig: vec![file], limits, ..ConnectOptions::default() };
    Links::new(targets(&options).expect("a good kubeconfig"), options)
}

async fn beside_a_good_fleet(ill: &Hostile) -> (Sim, tempfile::TempDir, Links) {
    let sim = Sim::start(SimOptions { speed: 50.0, ..SimOptions::default() }).await.expect("started");
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut kubeconfig = sim.kubeconfig();
    ill.join(&mut kubeconfig, "ill");
    let links = links(dir.path(), &kubeconfig, Limits::default());
    (sim, dir, links)
}

/// Takes changes for so long; those of the ill cluster are counted.
async fn take(news: &mut mpsc::Receiver<Change>, fleet: &mut Fleet, time: Duration) -> usize {
    let end = tokio::time::Instant::now() + time;
    let mut ill = 0;
    while let Ok(Some(change)) = tokio::time::timeout_at(end, news.recv()).await {
        let of_objects = matches!(change.what, What::Pod(_) | What::TidbCluster(_) | What::StatefulSet(_));
        ill += usize::from(change.context == "ill" && of_objects);
        fleet.apply(change);
    }
    ill
}

fn watching(links: &Links) -> (WatchHandle, mpsc::Receiver<Change>) {
    let (sender, news) = mpsc::channel(64);
    (watch(links, sender), news)
}

fn others_live(fleet: &Fleet) {
    for (name, cluster) in fleet.clusters.iter().filter(|(name, _)| *name != "ill") {
        assert!(cluster.freshness.is_live(), "{name}: {:?}", cluster.message);
        let answered = cluster.pd.values().filter(|view| view.answer.is_ok()).count();
        assert_eq!(answered, cluster.pd.len(), "{name}: {:?}", cluster.pd);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_dead_pd_pods_open_a_bounded_number_of_streams() {
    let pods = list(&(0..2_500).map(pd_pod).collect::<Vec<_>>());
    let ill = Hostile::start(move |path| match path {
        _ if path.contains("portforward") => Some(Answer::Quiet),
        _ if path.starts_with("/api/v1/pods") && !path.contains("watch") => Some(good(&pods)),
        _ => None,
    })
    .await;
    let (_sim, _dir, links) = beside_a_good_fleet(&ill).await;
    let (_handle, mut news) = watching(&links);
    let mut fleet = Fleet::default();
    take(&mut news, &mut fleet, Duration::from_secs(12)).await;
    let open = ill.counts.most_open_upgrades.load(Ordering::SeqCst);
    assert!((30..=64).contains(&open), "{open} streams at once");
    // Two rounds of 5 s: those that wait for longest come first, so nobody is asked twice before all were.
    let asked = ill.counts.upgrades.load(Ordering::SeqCst);
    let views = fleet.clusters["ill"].pd.len();
    assert!(asked >= 90 && views >= 48, "{asked} were asked, {views} have an answer");
    others_live(&fleet);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_events_is_read_in_frames() {
    for kind in ["MODIFIED", "BOOKMARK"] {
        let mut pod = pd_pod(0);
        // Not running, so that it is not asked.
        pod["status"]["phase"] = json!("Pending");
        let line: Arc<str> = (json!({"type": kind, "object": pod}).to_string() + "\n").repeat(50).into();
        let ill = Hostile::start(move |path| {
            let flood = path.starts_with("/api/v1/pods") && path.contains("watch=true");
            flood.then(|| Answer::Endless { first: "".into(), then: Arc::clone(&line) })
        })
        .await;
        let (_sim, _dir, links) = beside_a_good_fleet(&ill).await;
        let (_handle, mut news) = watching(&links);
        let mut fleet = Fleet::default();
        take(&mut news, &mut fleet, Duration::from_secs(2)).await;
        let sent = ill.counts.sent_bytes.load(Ordering::SeqCst);
        let told = take(&mut news, &mut fleet, Duration::from_secs(3)).await;
        let more = ill.counts.sent_bytes.load(Ordering::SeqCst) - sent;
        // Ten frames a second: one change each of the one pod, and 200 lines of some 700 bytes.
        assert!(told <= 45 && (kind == "BOOKMARK" || told >= 10), "{kind}: {told} changes in 3 s");
        assert!(more < 8_000_000, "{kind}: {more} bytes were read in 3 s");
        others_live(&fleet);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_without_end_is_not_held() {
    // Each page is below the limit of one answer; there is always another one.
    let page: Arc<str> = format!(
        r#"{{"metadata":{{"resourceVersion":"1","continue":"more"}},"items":[],"x":"{}"}}"#,
        "x".repeat(40_000_000)
    )
    .into();
    let ill = Hostile::start(move |path| {
        let listed = path.contains("/tidbclusters?") && path.contains("limit=200");
        listed.then(|| Answer::Whole(200, "", Arc::clone(&page)))
    })
    .await;
    let dir = tempfile::tempdir().expect("temporary directory");
    let limits = Limits { look: Duration::from_secs(60), request: Duration::from_secs(20), ..Limits::default() };
    let links = links(dir.path(), &ill.kubeconfig(), limits);
    let fleet = assemble(links.look(None).await);
    let said = fleet.clusters["ill"].message.clone().unwrap_or_default();
    assert!(said.contains("sent more than 96 MB of /apis/pingcap.com/v1alpha1/tidbclusters"), "{said}");
    assert!(!fleet.clusters["ill"].freshness.is_live());
    assert!(ill.counts.lists.load(Ordering::SeqCst) < 12, "it was read on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_without_pause_fill_no_queue() {
    // An empty ping, which is to be answered with a pong; one write holds some thousand.
    let pings: Arc<[u8]> = [0x89, 0x00].repeat(8_000).into();
    let pods = list(&[pd_pod(0)]);
    let ill = Hostile::start(move |path| match path {
        _ if path.contains("portforward") => Some(Answer::Frames(Arc::clone(&pings))),
        _ if path.starts_with("/api/v1/pods") => Some(good(&pods)),
        _ => None,
    })
    .await;
    let room = Room::new();
    std::fs::write(room.path("fleet"), ill.kubeconfig().to_string()).expect("written");
    let child = room.command(["status", "--kubeconfig", "fleet"]).spawn().expect("the binary starts");
    let id = child.id();
    let peak = peak_mb(id, Duration::from_secs(20)).await;
    let ran = tokio::task::spawn_blocking(move || finish(child, Duration::from_secs(20))).await.expect("ended");
    let sent = ill.counts.sent_bytes.load(Ordering::SeqCst);
    assert!(sent > 100_000, "{sent} bytes were sent, so nothing was tested\n{}", ran.all());
    assert!(peak > 5 && peak < 150, "{peak} MB");
    assert!(ran.stdout.contains("pd-0") || ran.all().contains("ill"), "{}", ran.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::disallowed_methods, reason = "the header is a date by the real clock")]
async fn a_busy_server_is_left_alone_whatever_was_asked() {
    let date = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(40)).strftime("%a, %d %b %Y %H:%M:%S GMT");
    let dated: &'static str = Box::leak(format!("retry-after: {date}\r\n").into_boxed_str());
    for (status, header) in [(429, "retry-after: 30\r\n"), (503, dated)] {
        let said: Arc<str> = r#"{"kind":"Status","message":"too many"}"#.into();
        let busy = move || Some(Answer::Whole(status, header, Arc::clone(&said)));
        let pods = list(&[pd_pod(0), pd_pod(1), pd_pod(2)]);
        let (watches, lists) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (seen_watches, seen_lists) = (Arc::clone(&watches), Arc::clone(&lists));
        let ill = Hostile::start(move |path| match path {
            _ if path.contains("portforward") => busy(),
            _ if path.contains("/statefulsets") && path.contains("watch=true") => {
                seen_watches.fetch_add(1, Ordering::SeqCst);
                busy()
            }
            _ if path.contains("/tidbclusters?") && path.contains("limit=200") => {
                seen_lists.fetch_add(1, Ordering::SeqCst);
                busy()
            }
            _ if path.starts_with("/api/v1/pods") && !path.contains("watch") => Some(good(&pods)),
            _ => None,
        })
        .await;
        let (_sim, _dir, links) = beside_a_good_fleet(&ill).await;
        let (_handle, mut news) = watching(&links);
        let mut fleet = Fleet::default();
        take(&mut news, &mut fleet, Duration::from_secs(9)).await;
        let upgrades = ill.counts.upgrades.load(Ordering::SeqCst);
        assert!((1..=3).contains(&upgrades), "{status}: {upgrades} streams were asked for");
        assert_eq!(watches.load(Ordering::SeqCst), 1, "{status}: watches");
        assert!((1..=2).contains(&lists.load(Ordering::SeqCst)), "{status}: lists {lists:?}");
        let views: Vec<_> = fleet.clusters["ill"].pd.values().filter_map(|view| view.answer.as_ref().err()).collect();
        assert!(
            views.iter().all(|why| why.contains("wants no stream") || why.contains(&status.to_string())),
            "{views:?}"
        );
        others_live(&fleet);
    }
}

/// What took too long is named by the limit that was configured, not by what was left of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_are_named_as_configured() {
    let pods = list(&[pd_pod(0)]);
    let ill = Hostile::start(move |path| match path {
        _ if path.contains("portforward") => Some(Answer::Silence),
        _ if path.starts_with("/api/v1/pods") => Some(good(&pods)),
        _ => None,
    })
    .await;
    let silent = Hostile::start(|_| Some(Answer::Silence)).await;
    let open = list(&[pd_pod(1)]);
    let opens = Hostile::start(move |path| match path {
        _ if path.contains("portforward") => Some(Answer::Quiet),
        _ if path.starts_with("/api/v1/pods") => Some(good(&open)),
        _ => None,
    })
    .await;
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut kubeconfig = ill.kubeconfig();
    silent.join(&mut kubeconfig, "silent");
    opens.join(&mut kubeconfig, "opens");
    let limits = Limits {
        request: Duration::from_millis(1500),
        pd: Duration::from_millis(2500),
        look: Duration::from_secs(4),
        ..Limits::default()
    };
    let fleet = assemble(links(dir.path(), &kubeconfig, limits).look(None).await);
    let view =
        |context: &str| fleet.clusters[context].pd.values().next().expect("asked").answer.clone().expect_err("silent");
    let said = [
        fleet.clusters["silent"].message.clone().unwrap_or_default(),
        view("ill").to_string(),
        view("opens").to_string(),
    ];
    assert!(said[0].contains("did not answer within 1.5 s"), "{said:?}");
    assert!(said[1..].iter().all(|one| one.contains("within 2.5 s")), "{said:?}");
}

/// A watch that is refused is no live picture: the column says so, and it is not asked for without pause.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_is_refused_is_said_and_asked_for_ever_more_seldom() {
    for status in [403, 401] {
        let watches = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&watches);
        let ill = Hostile::start(move |path| {
            let refused = path.contains("/statefulsets") && path.contains("watch=true");
            refused.then(|| {
                seen.fetch_add(1, Ordering::SeqCst);
                Answer::Whole(status, "", r#"{"kind":"Status","message":"no"}"#.into())
            })
        })
        .await;
        let (_sim, _dir, links) = beside_a_good_fleet(&ill).await;
        let (_handle, mut news) = watching(&links);
        let mut fleet = Fleet::default();
        take(&mut news, &mut fleet, Duration::from_secs(8)).await;
        let cluster = &fleet.clusters["ill"];
        let said = cluster.message.clone().unwrap_or_default();
        assert!(said.contains("may not watch statefulsets") && !cluster.freshness.is_live(), "{status}: {said}");
        // 1, 2, 4 s apart.
        let asked = watches.load(Ordering::SeqCst);
        assert!((2..=4).contains(&asked), "{status}: {asked} watches in 8 s");
        others_live(&fleet);
    }
}
