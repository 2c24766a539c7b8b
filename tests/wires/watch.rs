//! A long look on real wires: what a watch tells, and that it comes back.
//!
//! Not here: how quiet it is at rest (`quiet.rs`).

use crate::client::{World, links, target};
use serde_json::json;
use std::time::Duration;
use tidepilot::client::watch;
use tidepilot::fleet::tidbcluster::Component;
use tidepilot::fleet::{Change, Fleet, Freshness, ObjectRef, What};

/// Folds what arrives until the fleet is as wanted.
async fn until(
    fleet: &mut Fleet,
    news: &mut tokio::sync::mpsc::Receiver<Change>,
    what: &str,
    done: impl Fn(&Fleet) -> bool,
) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(15);
    while !done(fleet) {
        match tokio::time::timeout_at(deadline, news.recv()).await {
            Ok(Some(change)) => fleet.apply(change),
            _ => panic!(
                "never: {what}; {:?}",
                fleet.clusters.values().map(|c| (&c.freshness, &c.message)).collect::<Vec<_>>()
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_follows_and_comes_back() {
    let mut world = World::start("default").await;
    let mut options = world.options();
    options.limits.heartbeat = Duration::from_millis(500);
    options.limits.heartbeat_every = Duration::from_millis(300);
    options.limits.pd_every = Duration::from_millis(300);
    let links = links(options);
    let (sender, mut news) = tokio::sync::mpsc::channel(1024);
    let handle = watch(&links, sender);
    let mut fleet = Fleet::default();
    // What the kubeconfig says of each context comes before anything that is asked.
    let mut configured = 0;
    while configured < 3 {
        let first = news.recv().await.expect("at once");
        configured += usize::from(matches!(first.what, What::Configured { .. }));
        assert!(matches!(first.what, What::Configured { .. } | What::Trust(_)), "{first:?}");
        fleet.apply(first);
    }
    until(&mut fleet, &mut news, "all seen", |fleet| {
        fleet.clusters.values().all(|c| c.freshness.is_live() && c.uid.is_some())
            && fleet.clusters.values().map(|c| c.pd.values().filter(|v| v.answer.is_ok()).count()).sum::<usize>() == 6
            && fleet.tidb_clusters().count() == 3
    })
    .await;

    let store = world.sim.store("legacy").expect("known");
    store.edit("tidbclusters", "pingcap", "basic", |tc| tc["spec"]["paused"] = json!(true)).expect("there");
    until(&mut fleet, &mut news, "the edit", |fleet| fleet.tidb_cluster(&target()).is_some_and(|tc| tc.paused())).await;

    // Every connection is cut for a moment: the watch goes on from where it was.
    let faults = world.sim.faults("east").expect("known");
    faults.set_drop_connections(true);
    tokio::time::sleep(Duration::from_millis(50)).await;
    faults.set_drop_connections(false);
    let store = world.sim.store("east").expect("known");
    store.edit("tidbclusters", "prod", "prod-east", |tc| tc["spec"]["paused"] = json!(true)).expect("there");
    let east = ObjectRef::new("east", "prod", "prod-east");
    until(&mut fleet, &mut news, "after the cut", |fleet| fleet.tidb_cluster(&east).is_some_and(|tc| tc.paused()))
        .await;
    until(&mut fleet, &mut news, "east live", |fleet| fleet.clusters["east"].freshness.is_live()).await;

    world.sim.stop_cluster("west").await.expect("stopped");
    let state = |fleet: &Fleet, context: &str| fleet.clusters[context].freshness.clone();
    until(&mut fleet, &mut news, "stale first", |fleet| matches!(state(fleet, "west"), Freshness::Stale { .. })).await;
    until(&mut fleet, &mut news, "then unreachable", |fleet| state(fleet, "west") == Freshness::Unreachable).await;
    assert!(fleet.clusters["west"].tidb_clusters.len() == 1, "what was known is kept");
    assert!(state(&fleet, "east").is_live() && state(&fleet, "legacy").is_live());

    world.sim.restart_cluster("west").await.expect("started");
    handle.refresh();
    until(&mut fleet, &mut news, "live again", |fleet| state(fleet, "west").is_live()).await;
    let store = world.sim.store("west").expect("known");
    store.edit("tidbclusters", "prod", "prod-west", |tc| tc["spec"]["paused"] = json!(true)).expect("there");
    let west = ObjectRef::new("west", "prod", "prod-west");
    until(&mut fleet, &mut news, "news again", |fleet| fleet.tidb_cluster(&west).is_some_and(|tc| tc.paused())).await;
    drop(handle);
    let ended = tokio::time::timeout(Duration::from_secs(5), async { while news.recv().await.is_some() {} }).await;
    assert!(ended.is_ok(), "dropping the handle ends every task");
    assert!(world.writes().is_empty(), "{:?}", world.writes());
    assert!(fleet.tidb_cluster(&target()).is_some_and(|tc| tc.component(Component::Pd).is_some()));
}
