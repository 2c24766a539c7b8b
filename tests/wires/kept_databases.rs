//! Databases that are kept from one change to the next are those that would be made anew, whatever a watch tells.

use std::time::Duration;

use crate::client::{World, links};
use serde_json::json;
use tidepilot::client::watch;
use tidepilot::fleet::database::databases;
use tidepilot::fleet::database::incremental_rebuild::{KeptDatabases, namespace};
use tidepilot::fleet::{Change, Fleet};

/// A fleet and what is kept of it.
#[derive(Default)]
struct Kept {
    fleet: Fleet,
    kept: KeptDatabases,
    changes: usize,
}

impl Kept {
    fn learn(&mut self, change: Change) {
        let about = namespace(&self.fleet, &change);
        let told = format!("{change:?}");
        if self.fleet.moves(change) {
            self.kept.note(about);
        }
        let all = self.kept.databases(&self.fleet);
        assert_eq!(all, databases(&self.fleet), "after {told}");
        self.kept.keep(all);
        self.changes += 1;
    }

    /// Learns until nothing was told for this long.
    async fn settle(&mut self, news: &mut tokio::sync::mpsc::Receiver<Change>, quiet: Duration) {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(2500);
        while tokio::time::Instant::now() < deadline
            && let Ok(Some(change)) = tokio::time::timeout(quiet, news.recv()).await
        {
            self.learn(change);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_what_would_be_made_anew() {
    let world = World::start("default").await;
    let mut options = world.options();
    options.limits.pd_every = Duration::from_millis(200);
    let links = links(options);
    let (sender, mut news) = tokio::sync::mpsc::channel(4096);
    let _handle = watch(&links, sender);
    let mut kept = Kept::default();
    let quiet = Duration::from_secs(1);
    kept.settle(&mut news, quiet).await;
    assert_eq!(databases(&kept.fleet).len(), 2, "all are there");
    let store = |name: &str| world.sim.store(name).expect("known");

    // Pods that go and come, of one Database and of the other.
    store("east").remove("pods", "prod", "prod-east-pd-1");
    store("legacy").remove("pods", "pingcap", "basic-tikv-0");
    kept.settle(&mut news, quiet).await;
    // A reference that leads elsewhere, a domain that is taken away, an id that somebody else has.
    let edit = |at: &str, namespace: &str, name: &str, change: &dyn Fn(&mut serde_json::Value)| {
        store(at).edit("tidbclusters", namespace, name, change).expect("there");
    };
    edit("west", "prod", "prod-west", &|tc| tc["spec"]["cluster"]["name"] = json!("nobody"));
    kept.settle(&mut news, quiet).await;
    edit("west", "prod", "prod-west", &|tc| tc["spec"]["cluster"] = json!({"namespace": "pingcap", "name": "basic"}));
    kept.settle(&mut news, quiet).await;
    edit("east", "prod", "prod-east", &|tc| tc["spec"]["clusterDomain"] = json!("else.where"));
    let id = databases(&kept.fleet)[0].id.clone();
    edit("legacy", "pingcap", "basic", &|tc| tc["status"]["clusterID"] = json!(id));
    kept.settle(&mut news, quiet).await;
    // PD that falls silent, and a KubeCluster that does.
    for pod in ["basic-pd-0", "basic-pd-1", "basic-pd-2"] {
        store("legacy").remove("pods", "pingcap", pod);
    }
    world.sim.faults("west").expect("known").set_drop_connections(true);
    kept.settle(&mut news, quiet).await;
    world.sim.faults("west").expect("known").set_drop_connections(false);
    kept.settle(&mut news, quiet).await;
    store("west").remove("tidbclusters", "prod", "prod-west");
    kept.settle(&mut news, quiet).await;
    assert!(kept.changes > 100, "{} changes", kept.changes);
}
