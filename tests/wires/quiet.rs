//! How much is asked while nothing happens, counted at the simulated servers: of times nothing is asserted.
//!
//! The pace of PD's rounds is a tenth of the real one, so that two minutes of rest take twelve seconds. Not here: how fast
//! anything is (`benches/console`).

use std::collections::BTreeMap;
use std::time::Duration;

use tidepilot::client::{ConnectOptions, Limits, Links, WatchHandle, targets, watch};
use tidepilot::fleet::{Change, Fleet, What};
use tidepilot::sim::load_generator::Load;
use tidepilot::sim::{Sim, SimOptions};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A round of PD here, and how much faster that is than by default.
const ROUND: Duration = Duration::from_millis(300);
const FASTER: f64 = 10.0;

struct Watched {
    sim: Sim,
    fleet: Fleet,
    news: mpsc::Receiver<Change>,
    _handle: WatchHandle,
    _folder: tempfile::TempDir,
}

impl Watched {
    async fn start(load: &str) -> Self {
        let load: Option<Load> = (!load.is_empty()).then(|| load.parse().expect("a load"));
        // Its clock stands: nothing happens but what a test does.
        let sim = Sim::start(SimOptions { speed: 0.001, load, ..SimOptions::default() }).await.expect("a fleet");
        let folder = tempfile::tempdir().expect("a folder");
        let kubeconfig = folder.path().join("kubeconfig");
        sim.write_kubeconfig(&kubeconfig).expect("written");
        let limits = Limits { pd_every: ROUND, ..Limits::default() };
        let options = ConnectOptions { kubeconfig: vec![kubeconfig], limits, ..ConnectOptions::default() };
        let links = Links::new(targets(&options).expect("contexts"), options);
        let (sender, news) = mpsc::channel(4096);
        let handle = watch(&links, sender);
        Self { sim, fleet: Fleet::default(), news, _handle: handle, _folder: folder }
    }

    /// Folds what is told for so long; how many changes of PD there were.
    async fn listen(&mut self, time: Duration) -> usize {
        let until = Instant::now() + time;
        let mut told = 0;
        while let Ok(change) = tokio::time::timeout_at(until, self.news.recv()).await {
            let change = change.expect("the watch goes on");
            told += usize::from(matches!(change.what, What::Pd { .. }));
            self.fleet.apply(change);
        }
        told
    }

    fn requests(&self) -> (usize, usize) {
        let lines = self.sim.log().lines();
        let pd = lines.iter().filter(|line| line.get("pod").is_some()).count();
        (lines.len() - pd, pd)
    }

    /// How often each pod was asked what, since so many requests.
    fn asked_since(&self, requests: usize) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for line in self.sim.log().lines().iter().skip(requests).filter(|line| line.get("pod").is_some()) {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            *all.entry(format!("{} {} {}", text("pod"), text("path"), line["status"])).or_default() += 1;
        }
        all
    }

    fn answered(&self) -> usize {
        self.fleet.clusters.values().flat_map(|cluster| cluster.pd.values()).filter(|view| view.answer.is_ok()).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_rest_a_database_costs_one_question_a_second_and_its_clusters_none() {
    // Two Databases: one of v8.5 over two KubeClusters, one of v7.5 in one.
    let mut watched = Watched::start("").await;
    watched.listen(Duration::from_secs(3)).await;
    assert_eq!(watched.answered(), 6);
    let (api, pd) = watched.requests();
    let rest = Duration::from_secs(12);
    watched.listen(rest).await;
    let (api_after, pd_after) = watched.requests();
    let per_database = (pd_after - pd) as f64 / rest.as_secs_f64() / FASTER / 2.0;
    let asked = watched.asked_since(api + pd);
    assert!(per_database <= 1.0, "{per_database} questions to PD a second and Database: {asked:#?}");
    assert!(per_database >= 0.3, "{per_database}: it is not asked at all any more");
    // Tunnels are kept and watches stay open, and what comes through them is sign of life enough.
    assert_eq!(api_after, api, "requests to the API servers at rest");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_at_rest_is_told_at_once_and_by_all_members_alike() {
    let mut watched = Watched::start("").await;
    watched.listen(Duration::from_secs(3)).await;
    let url = |fleet: &Fleet, context: &str| -> Vec<bool> {
        let views = fleet.clusters[context].pd.values().filter_map(|view| view.answer.as_ref().ok());
        let moved = |urls: &[String]| urls.iter().any(|url| url.contains("moved"));
        views.map(|answer| answer.members.iter().any(|member| moved(&member.peer_urls))).collect()
    };
    let id = watched.sim.leader("prod").expect("it leads");
    watched.sim.set_peer_url("prod", id, "http://moved.example.net:2380").expect("committed");
    // A round of the one that is asked most often, and then everybody, in the other KubeCluster too.
    watched.listen(ROUND * 4).await;
    assert_eq!((url(&watched.fleet, "east"), url(&watched.fleet, "west")), (vec![true, true], vec![true]));
    let leader = |fleet: &Fleet| {
        let mut all: Vec<_> = fleet.clusters["east"].pd.values().chain(fleet.clusters["west"].pd.values()).collect();
        all.retain(|view| view.answer.is_ok());
        all.iter().filter_map(|view| view.answer.as_ref().ok()?.leader).map(|id| id.0).collect::<Vec<u64>>()
    };
    watched.listen(Duration::from_secs(3)).await;
    assert!(watched.sim.hand_over("prod"));
    watched.listen(ROUND * 4).await;
    let now = watched.sim.leader("prod").expect("it leads");
    assert_eq!(leader(&watched.fleet), [now; 3], "a new leader");
}

/// More PD pods than one API server's streams: those that are asked every few seconds keep theirs.
#[tokio::test(flavor = "multi_thread")]
async fn more_pods_than_streams_open_anew_only_what_is_seldom_asked() {
    let mut watched = Watched::start("clusters=1,tidbClusters=40").await;
    watched.listen(Duration::from_secs(6)).await;
    assert_eq!(watched.answered(), 120);
    let (api, _) = watched.requests();
    // Two minutes of rest: one whole look at 120 pods over 80 streams, and forty rounds of the forty that speak for theirs.
    watched.listen(ROUND * 40).await;
    let opened = watched.requests().0 - api;
    assert!(opened >= 40, "{opened}: the others are not asked at all any more");
    assert!(opened <= 220, "{opened} tunnels were opened in two minutes at rest");
}
