//! Leases, fences and records as the library gives them: without a process, against one simulated fleet.

use self::bed::{BASIC, PATIENCE, World};
use super::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidepilot::app::driver::{Driver, GateAnswer, Reply, RunChannels};
use tidepilot::app::exit_codes::Exit;
use tidepilot::app::message::RunMessage;
use tidepilot::client::kube::identity::Identity;
use tidepilot::client::share::find_run_records::find;
use tidepilot::client::share::lease::{Lease, Lost, NotTaken, Place, Timing, Wanted};
use tidepilot::client::share::run_record_configmaps::{Head, NotShared, OpenRun, read};
use tidepilot::client::wire::suspend_aware_clock::Clock;
use tidepilot::client::write::perform;
use tidepilot::client::{Links, WritePermit, assemble};
use tidepilot::fleet::ObjectRef;
use tidepilot::runbook::action_types::Answer;
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::PatchTidbCluster;
use tokio::runtime::Runtime;

pub(super) fn one() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime")
}

pub(super) fn place(context: &str, namespace: &str, kube_uid: &str) -> Place {
    Place { kube_uid: kube_uid.into(), namespace: namespace.into(), context: context.into() }
}

pub(super) fn wanted(run: &str, places: Vec<Place>, seconds: u64) -> Wanted {
    Wanted {
        database: BASIC.into(),
        run: run.into(),
        places,
        also: Vec::new(),
        beside: Vec::new(),
        who: Identity { user: run.to_uppercase(), host: String::new() },
        lock_id: None,
        timing: Timing::of_seconds(seconds),
        clock: Clock::default(),
    }
}

pub(super) async fn take(links: &Links, wanted: &Wanted) -> Result<(WritePermit, Arc<Lease>), NotTaken> {
    let contexts: Vec<&String> = wanted.places.iter().map(|place| &place.context).collect();
    let permit = WritePermit::for_run(links, &wanted.run, contexts).expect("armed");
    let lease = Arc::new(Lease::take(links, &permit, wanted, &|_| ()).await?);
    Ok((permit.under(Arc::clone(&lease)), lease))
}

pub(super) async fn patch(links: &Links) -> (Action, tidepilot::fleet::Fleet) {
    let target = ObjectRef::new("legacy", "pingcap", "basic");
    let fleet = assemble(links.look(None).await);
    let uid = fleet.tidb_cluster(&target).expect("seen").metadata.uid.clone();
    (
        Action::PatchTidbCluster(PatchTidbCluster {
            target,
            uid,
            merge: json!({"spec": {"clusterDomain": "cluster1.com"}}),
        }),
        fleet,
    )
}

pub(super) fn patches(world: &World) -> usize {
    world.writes(0).iter().filter(|line| line.starts_with("PATCH")).count()
}

#[test]
fn a_write_that_is_late_by_one_lease_is_refused_by_the_fence() {
    let world = World::start();
    let (links, runtime) = (world.links(), one());
    let place = place("legacy", "pingcap", "u");
    let a = wanted("a", vec![place], 1);
    let (permit, lease, action, fleet) = runtime.block_on(async {
        let (permit, lease) = take(&links, &a).await.expect("free");
        let (action, fleet) = patch(&links).await;
        (permit, lease, action, fleet)
    });
    // Nothing polls A's runtime while B watches, takes over and holds on: A is as good as stopped.
    let other = world.links();
    let (_, theirs) = world
        .runtime
        .block_on(async {
            tokio::time::timeout(PATIENCE, take(&other, &Wanted { run: "b".into(), ..a.clone() })).await
        })
        .expect("in time")
        .expect("lapsed");
    runtime.block_on(async {
        let answer = perform(&links, &permit, "a", &action, &fleet).await;
        let Answer::Refused { reason } = answer else { panic!("{answer:?}") };
        assert!(reason.contains("nothing was sent") && reason.contains("ours was 1"), "{reason}");
        assert!(matches!(lease.confirm().await, Err(Lost::Taken { .. })));
        lease.release().await;
    });
    assert_eq!(patches(&world), 0);
    assert_eq!(world.runtime.block_on(theirs.confirm()), Ok(()), "A's release does not touch B's lease");
}

#[test]
fn without_a_renewal_nothing_is_sent_until_there_is_one_again() {
    let world = World::start();
    world.runtime.block_on(async {
        let links = world.links();
        let (permit, lease) = take(&links, &wanted("a", vec![place("legacy", "pingcap", "u")], 3)).await.expect("free");
        let (action, fleet) = patch(&links).await;
        let faults = world.sim().faults("legacy").expect("there");
        faults.set_refuse(Some(503));
        let begun = Instant::now();
        while lease.ready().is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(4), "it is believed for too long");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let answer = perform(&links, &permit, "a", &action, &fleet).await;
        assert!(matches!(answer, Answer::Refused { .. }), "{answer:?}");
        faults.set_refuse(None);
        while lease.ready().is_err() {
            assert!(begun.elapsed() < PATIENCE, "it is not renewed any more");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(patches(&world), 0);
        let answer = perform(&links, &permit, "a", &action, &fleet).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
        lease.release().await;
    });
}

#[test]
fn all_of_the_leases_or_none() {
    let world = World::start();
    world.runtime.block_on(async {
        let links = world.links();
        let both = vec![place("west", "prod", "a"), place("east", "prod", "b")];
        let (_, theirs) = take(&links, &wanted("b", vec![place("east", "prod", "b")], 3)).await.expect("free");
        let refused = take(&links, &wanted("a", both.clone(), 3)).await.expect_err("held");
        let NotTaken::Held { context, holder } = &refused else { panic!("{refused}") };
        assert_eq!((context.as_str(), holder.who.user.as_str(), holder.run.as_str()), ("east", "B", "b"));
        let name = format!("tidepilot-{BASIC}");
        let lease = |context: &str| world.sim().store(context).expect("there").get("leases", "prod", &name);
        assert_eq!(lease("west"), None, "nothing was taken before all were seen to be free");
        theirs.release().await;
        let (_, ours) = take(&links, &wanted("a", both, 3)).await.expect("free now");
        let fences: Vec<(&str, u64)> = ours.fences().map(|(place, fence)| (place.context.as_str(), fence)).collect();
        assert_eq!(fences, [("west", 1), ("east", 2)]);
        let writes = world.writes(0);
        let last: Vec<&String> = writes.iter().rev().take(2).collect();
        assert!(last[1].starts_with("POST") && last[0].starts_with("PUT"), "in the order of the uids: {last:?}");
        ours.release().await;
        for context in ["west", "east"] {
            assert_eq!(lease(context).expect("stays")["spec"]["holderIdentity"], Value::Null);
        }
    });
}

pub(super) fn head(run: &str) -> Head {
    Head {
        run: run.into(),
        runbook: "x".into(),
        target: "legacy/pingcap/basic".into(),
        database: BASIC.into(),
        user: "ann".into(),
        host: "box".into(),
        opened: "2026-01-01T00:00:00Z".into(),
        open: true,
        context: "legacy".into(),
        namespace: "pingcap".into(),
        opener: String::new(),
        written: None,
        object: format!("tidepilot-run-{run}-0"),
    }
}

#[test]
fn the_record_in_the_cluster_is_bounded_and_has_one_writer() {
    let world = World::start();
    world.runtime.block_on(async {
        let links = world.links();
        let (permit, lease) =
            take(&links, &wanted("r-1", vec![place("legacy", "pingcap", "u")], 30)).await.expect("free");
        let mut ours = OpenRun::open(&links, permit.clone(), head("r-1")).await.expect("opened");
        let mut all = String::new();
        for (size, letter) in [(10, "a"), (90_000, "b"), (20_000, "c"), (300_000, "d"), (5, "e")] {
            let line = letter.repeat(size) + "\n";
            ours.add(&line);
            ours.flush().await.expect("stored");
            all.push_str(&line);
        }
        let found = find(&links, None).await;
        assert_eq!(found.heads.iter().map(|head| head.run.as_str()).collect::<Vec<_>>(), ["r-1"]);
        assert_eq!(read(&links, &found.heads[0]).await.expect("read"), all);
        let store = world.sim().store("legacy").expect("there");
        let sizes: BTreeMap<String, usize> = store
            .list("configmaps", Some("pingcap"))
            .iter()
            .filter(|map| map["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "tidepilot")
            .map(|map| (map["metadata"]["name"].as_str().unwrap_or("").to_owned(), map.to_string().len()))
            .collect();
        assert_eq!(sizes.len(), 4, "{sizes:?}");
        assert!(sizes.values().all(|size| *size < 512 * 1024), "{sizes:?}");
        ours.add(&("f".repeat(400_000) + "\n"));
        assert!(matches!(ours.flush().await, Err(NotShared::Failed(why)) if why.contains("too long")));

        // Somebody else goes on: what we still wanted to write is refused, not merged.
        let mut ours = OpenRun::open(&links, permit.clone(), head("r-1")).await.expect("opened");
        let mut theirs = OpenRun::open(&links, permit, head("r-1")).await.expect("opened");
        theirs.seal().await.expect("sealed");
        ours.add("late\n");
        assert!(matches!(ours.flush().await, Err(NotShared::Taken(_))));
        theirs.add("on\n");
        theirs.close();
        theirs.flush().await.expect("stored");
        assert_eq!(theirs.text(), all + "on\n");
        assert!(find(&links, None).await.heads.is_empty());
        assert!(find(&links, Some("r-1")).await.heads.iter().all(|head| !head.open));
        lease.release().await;
    });
}

#[test]
fn an_intent_that_cannot_be_stored_in_the_cluster_is_not_sent() {
    let world = World::start();
    world.runtime.block_on(async {
        let driver = Driver::new(world.links(), world.state("ann").join("runs"));
        let inputs = [("tidbCluster", "legacy/pingcap/basic"), ("clusterDomain", "cluster1.com")];
        let inputs = inputs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let plan = driver.plan("migrate-cluster-domain", &inputs, false).await.expect("a plan");
        let (news, mut heard) = tokio::sync::mpsc::channel(64);
        let (reply, replies) = tokio::sync::mpsc::channel(4);
        let (_stop, stop) = tokio::sync::watch::channel(false);
        let running = tokio::spawn(async move { driver.start(plan, RunChannels { news, replies, stop }).await });
        let mut taken_away = false;
        while let Some(message) = heard.recv().await {
            let RunMessage::Gate(gate) = message else { continue };
            let store = world.sim().store("legacy").expect("there");
            for map in store.list("configmaps", Some("pingcap")) {
                let name = map["metadata"]["name"].as_str().unwrap_or_default();
                if name.starts_with("tidepilot-run-") {
                    store.remove("configmaps", "pingcap", name);
                    taken_away = true;
                }
            }
            let _ = reply.send(Reply { gate: gate.id, said: GateAnswer::Text(gate.text.unwrap_or_default()) }).await;
        }
        let end = running.await.expect("ended");
        assert!(taken_away && end.code == Exit::AnotherRun, "{end:?}");
        assert_eq!(patches(&world), 0);
    });
}
