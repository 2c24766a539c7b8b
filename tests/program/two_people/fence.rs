//! The fence's clock: nothing leaves once the lease could have lapsed, whatever a machine slept through and however long
//! connecting takes.

use std::sync::atomic::{AtomicI64, Ordering};

use super::front::{Fate, Front};
use super::leases::{patch, patches, place, take, wanted};
use super::*;

impl World {
    /// Links of somebody who works through this front.
    pub fn through(&self, front: &Front, context: &str) -> Links {
        let file = self.dir.path().join("through");
        fs::write(&file, front.kubeconfig(&self.sim().kubeconfig(), context).to_string()).expect("written");
        let options = ConnectOptions { kubeconfig: vec![file], ..ConnectOptions::default() };
        Links::new(targets(&options).expect("a good kubeconfig"), options)
    }
}

/// One of the two witnesses has seen a sleep of a minute: the lease may long be somebody else's.
#[test]
fn after_a_sleep_that_only_one_clock_saw_nothing_leaves_before_the_lease_is_renewed() {
    let world = World::start();
    for witness in ["running", "wall"] {
        world.runtime.block_on(async {
            let links = world.links();
            let slept = Arc::new(AtomicI64::new(0));
            let (real, jump) = (Clock::default(), Arc::clone(&slept));
            let clock = Clock::of(move || {
                let Moment { running, wall } = real.moment();
                let s = jump.load(Ordering::SeqCst);
                match witness {
                    "running" => Moment { running: running + Duration::from_secs(s.unsigned_abs()), wall },
                    _ => Moment { running, wall: wall + jiff::SignedDuration::from_secs(s) },
                }
            });
            let ours = Wanted { clock, ..wanted(witness, vec![place("legacy", "pingcap", "u")], 30) };
            let (permit, lease) = take(&links, &ours).await.expect("free");
            let (action, fleet) = patch(&links).await;
            let before = patches(&world);
            slept.store(60, Ordering::SeqCst);
            let answer = perform(&links, &permit, witness, &action, &fleet).await;
            let Answer::Refused { reason } = answer else { panic!("{witness}: {answer:?}") };
            assert!(reason.contains("nothing was sent") && reason.contains("not renewed"), "{witness}: {reason}");
            assert_eq!(patches(&world), before, "{witness}");
            // Too little is left for a write as well, though the lease counts as ours still.
            slept.store(0, Ordering::SeqCst);
            assert!(lease.ready().is_ok());
            lease.release().await;
        });
    }
}

/// The renewals hang, the last look at the lease succeeds, and the write needs a new connection whose handshake takes
/// longer than what is left: it stays here, also once the handshake is through.
#[test]
fn a_handshake_that_outlasts_the_lease_lets_nothing_leave() {
    let world = World::start();
    let (front, links, fleet_links) = world.runtime.block_on(async {
        let front = Front::before(&world.sim().kubeconfig(), "legacy").await;
        let links = world.through(&front, "legacy");
        (front, links, world.links())
    });
    world.runtime.block_on(async {
        let (action, fleet) = patch(&fleet_links).await;
        let ours = wanted("a", vec![place("legacy", "pingcap", "u")], 6);
        // No connection is left over that the write could take.
        front.rule(|_, _| Fate::LastOfItsConnection(Duration::ZERO));
        let (permit, _lease) = take(&links, &ours).await.expect("free");
        let begun = Instant::now();
        let other = tokio::spawn(async move {
            let theirs = wanted("b", vec![place("legacy", "pingcap", "u")], 6);
            let taken = take(&fleet_links, &theirs).await;
            (taken.map(|_| ()), Instant::now())
        });
        let asked = std::sync::atomic::AtomicUsize::new(0);
        front.rule(move |method, path| match (method, path.contains("/leases/")) {
            ("PUT", true) => Fate::Late(Duration::from_secs(60)),
            ("GET", true) if asked.fetch_add(1, Ordering::SeqCst) == 0 => {
                Fate::LastOfItsConnection(Duration::from_secs(4))
            }
            // Nor does a renewal open one for it.
            ("GET", true) => Fate::Lost,
            _ => Fate::Pass,
        });
        tokio::time::sleep(Duration::from_millis(3200)).await;
        let answer = perform(&links, &permit, "a", &action, &fleet).await;
        let gave_up = begun.elapsed();
        let Answer::Refused { reason } = answer else { panic!("{answer:?} {gave_up:?}") };
        assert!(reason.contains("nothing was sent"), "{reason}");
        assert!(gave_up > Duration::from_millis(4500), "it had to connect anew: {gave_up:?}");
        assert!(gave_up < Duration::from_secs(6), "before anybody could take the lease: {gave_up:?}");
        let (taken, at) = other.await.expect("ended");
        assert!(taken.is_ok() && at - begun >= Duration::from_secs(5), "{taken:?} {:?}", at - begun);
        // The handshake ends by now; nobody is there any more to speak behind it.
        tokio::time::sleep(Duration::from_millis(3500)).await;
        assert_eq!(front.seen("PATCH"), Vec::<Instant>::new());
    });
    assert_eq!(patches(&world), 0);
}

/// A lease of 30 s, renewed once, and a write that is held for 14 s behind its last look at the lease: begun 12 s after the
/// renewal it leaves at 26 s, and begun at 14 s it would leave at 28 s, within the three that are kept free.
#[test]
fn of_a_lease_of_thirty_seconds_a_write_that_is_held_for_fourteen_leaves_by_the_twenty_seventh() {
    let world = World::start();
    let real = Instant::now();
    let (front, links, fleet_links) = world.runtime.block_on(async {
        let front = Front::before(&world.sim().kubeconfig(), "legacy").await;
        let links = world.through(&front, "legacy");
        (front, links, world.links())
    });
    for (run, begun_s, leaves) in [("a", 14, false), ("b", 12, true)] {
        world.runtime.block_on(async {
            let passed = Arc::new(AtomicI64::new(0));
            let (start, seen) = (Clock::default().moment(), Arc::clone(&passed));
            let clock = Clock::of(move || {
                let s = seen.load(Ordering::SeqCst);
                let Moment { running, wall } = start;
                Moment {
                    running: running + Duration::from_secs(s.unsigned_abs()),
                    wall: wall + jiff::SignedDuration::from_secs(s),
                }
            });
            let (action, fleet) = patch(&fleet_links).await;
            // No connection is left over that the write could take.
            front.rule(|_, _| Fate::LastOfItsConnection(Duration::ZERO));
            let ours = Wanted { clock, ..wanted(run, vec![place("legacy", "pingcap", "u")], 30) };
            let (permit, lease) = take(&links, &ours).await.expect("free");
            passed.store(begun_s, Ordering::SeqCst);
            assert!(lease.ready().is_ok(), "{run}: by the rule of 20 s it may begin");
            let held = Arc::clone(&passed);
            front.rule(move |method, path| match (method, path.contains("/leases/")) {
                ("GET", true) => {
                    let held = Arc::clone(&held);
                    std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(300));
                        held.store(begun_s + 14, Ordering::SeqCst);
                    });
                    Fate::LastOfItsConnection(Duration::from_millis(600))
                }
                _ => Fate::LastOfItsConnection(Duration::ZERO),
            });
            let answer = perform(&links, &permit, run, &action, &fleet).await;
            assert_eq!(passed.load(Ordering::SeqCst), begun_s + 14, "{run}: it was held: {answer:?}");
            match answer {
                Answer::Accepted { .. } => assert!(leaves, "{run}"),
                Answer::Refused { reason } => {
                    assert!(!leaves && reason.contains("nothing was sent"), "{run}: {reason}")
                }
                Answer::Unknown { reason } => panic!("{run}: {reason}"),
            }
            assert_eq!(patches(&world), usize::from(leaves), "{run}");
            front.rule(|_, _| Fate::Pass);
            passed.store(0, Ordering::SeqCst);
            lease.release().await;
        });
    }
    assert!(real.elapsed() < Duration::from_secs(10), "{:?}: nobody waits for the real clock", real.elapsed());
}

/// Whoever may write Leases there must not be able to hold a run up for ever without a word.
#[test]
fn a_lease_that_is_written_to_without_being_renewed_is_not_watched_for_ever() {
    let world = World::start();
    let store = world.sim().store("legacy").expect("there").clone();
    let name = format!("tidepilot-{BASIC}");
    store.put(
        "leases",
        json!({
            "metadata": {"namespace": "pingcap", "name": name},
            "spec": {"holderIdentity": "eve/x/1", "leaseDurationSeconds": 1, "leaseTransitions": 1},
        }),
    );
    let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let touching = std::thread::spawn({
        let over = Arc::clone(&over);
        move || {
            for number in 0.. {
                store.edit("leases", "pingcap", &name, |lease| {
                    lease["metadata"]["annotations"]["n"] = json!(number.to_string())
                });
                std::thread::sleep(Duration::from_millis(100));
                if over.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
            }
        }
    });
    let links = world.links();
    let taken = world.runtime.block_on(async {
        let ours = wanted("bob", vec![place("legacy", "pingcap", "u")], 1);
        tokio::time::timeout(Duration::from_secs(15), take(&links, &ours)).await
    });
    over.store(true, std::sync::atomic::Ordering::SeqCst);
    touching.join().expect("no panic");
    let Ok(Err(NotTaken::Failed { why, .. })) = taken else { panic!("still watched, or taken") };
    assert!(why.contains("written to again and again") && why.contains("get lease tidepilot-"), "{why}");
}
