//! A server that is busy and says when to come again (`Retry-After`), on each kind of write: it is left alone for so long
//! and no longer than a write may take, the run goes on, and what may have been stored is looked at before it is sent again.

use std::collections::BTreeMap;

use super::front::{Fate, Front};
use super::leases::{head, patch, patches, place, take, wanted};
use super::*;

/// The writes of a run: what is sent, what its path contains, and which of them is hit (the first patch is the plan's
/// rehearsal).
const KINDS: [(&str, &str, usize); 5] = [
    ("POST", "/leases", 0),
    ("PUT", "/leases/", 0),
    ("POST", "/configmaps", 0),
    ("PUT", "/configmaps/", 1),
    ("PATCH", "/tidbclusters/", 1),
];

/// One run through a front that answers one write of each kind so, and lets everything else pass.
fn run_through(fate: fn() -> Fate) -> (World, Front, (i32, String)) {
    let world = World::start();
    let front = world.runtime.block_on(async { Front::before(&world.sim().kubeconfig(), "legacy").await });
    let file = world.dir.path().join("through");
    fs::write(&file, front.kubeconfig(&world.sim().kubeconfig(), "legacy").to_string()).expect("written");
    let mut count: BTreeMap<usize, usize> = BTreeMap::new();
    front.rule(move |method, path| {
        let fits = |(verb, part, _): &(&str, &str, usize)| method == *verb && path.contains(part);
        let Some(kind) = KINDS.iter().position(fits) else { return Fate::Pass };
        let number = count.entry(kind).or_default();
        *number += 1;
        if *number == KINDS[kind].2 + 1 { fate() } else { Fate::Pass }
    });
    let mut ann = world.tidepilot("ann", 30, &RUN);
    ann.env("KUBECONFIG", file);
    let ended = code(&ann.output().expect("ran"));
    (world, front, ended)
}

/// What came next about the same objects after the one that was hit, and after how long.
fn next(front: &Front, (verb, part, hit): (&str, &str, usize), any: bool) -> (String, Duration) {
    let all = front.all();
    let is = |line: &str| line.starts_with(&format!("{verb} ")) && line.contains(part);
    let at = all.iter().enumerate().filter(|(_, (line, _))| is(line)).nth(hit);
    let (at, (line, then)) = at.unwrap_or_else(|| panic!("{verb} {part} never came: {all:#?}"));
    let object = part.trim_end_matches('/');
    let later = all[at + 1..].iter().find(|(next, _)| if any { next.contains(object) } else { is(next) });
    let (line, when) = later.unwrap_or_else(|| panic!("nothing came after {line}"));
    (line.clone(), *when - *then)
}

#[test]
fn a_write_that_was_not_taken_is_sent_again_when_it_was_told() {
    let (world, front, (exit_code, said)) = run_through(|| Fate::Busy(429, 1));
    assert_eq!(exit_code, 0, "{said}");
    assert_eq!(sent_patches(&world), 1);
    // A lease is made once, and renewed only in runs that last.
    for kind in KINDS.into_iter().filter(|kind| kind.0 != "PUT" || kind.1 != "/leases/") {
        let (line, after) = next(&front, kind, false);
        assert!(after >= Duration::from_secs(1), "{line} after {after:?}");
        assert!(after < Duration::from_secs(5), "{line} after {after:?}: nobody waits longer than told");
    }
}

#[test]
fn a_write_that_may_have_been_taken_is_looked_at_when_it_was_told() {
    for fate in [|| Fate::BusyAfter(503, 1), || Fate::Busy(503, 1)] {
        let (world, front, (exit_code, said)) = run_through(fate);
        let stored = matches!(fate(), Fate::BusyAfter(..));
        assert_eq!(exit_code, 0, "{said}");
        assert_eq!(sent_patches(&world), 1, "stored: {stored}");
        for kind in KINDS.into_iter().filter(|kind| kind.1 != "/leases/" && kind.0 != "PATCH") {
            let (line, after) = next(&front, kind, true);
            assert!(line.starts_with("GET ") && after >= Duration::from_secs(1), "{kind:?}: {line} after {after:?}");
        }
        // What was stored is not sent again; else the rehearsal, the one that was not taken, and the patch.
        assert_eq!(front.seen("PATCH").len(), if stored { 2 } else { 3 });
    }
}

/// The client room alone: each kind of write, so long as the server is busy.
#[test]
fn who_is_told_to_stay_away_for_ever_gives_up_within_the_time_of_a_write() {
    let world = World::start();
    world.runtime.block_on(async {
        let front = Front::before(&world.sim().kubeconfig(), "legacy").await;
        let links = world.through(&front, "legacy");
        let ours = wanted("a", vec![place("legacy", "pingcap", "u")], 30);
        let (permit, lease) = take(&links, &ours).await.expect("free");
        let (action, fleet) = patch(&world.links()).await;
        // Told to come again in an hour, nobody waits: it was not taken, and that is said at once.
        // Told a second each time, it is tried a few times and no more.
        for (seconds, tries, at_most) in [(3600, 1, 2), (1, 4, 8)] {
            let before = front.seen("PATCH").len();
            front.rule(move |method, _| if method == "PATCH" { Fate::Busy(429, seconds) } else { Fate::Pass });
            let begun = Instant::now();
            let answer = perform(&links, &permit, "a", &action, &fleet).await;
            let took = begun.elapsed();
            let Answer::Refused { reason } = answer else { panic!("{answer:?}") };
            assert!(reason.contains("busy"), "{reason}");
            assert_eq!(front.seen("PATCH").len() - before, tries, "Retry-After: {seconds}");
            assert!(took >= Duration::from_secs(tries as u64 - 1), "{took:?}");
            assert!(took < Duration::from_secs(at_most), "Retry-After: {seconds}: {took:?}");
        }
        assert_eq!(patches(&world), 0);
        // Then it goes.
        front.rule(|_, _| Fate::Pass);
        let answer = perform(&links, &permit, "a", &action, &fleet).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
        lease.release().await;
    });
}

#[test]
fn a_renewal_comes_again_when_it_was_told() {
    let world = World::start();
    world.runtime.block_on(async {
        let front = Front::before(&world.sim().kubeconfig(), "legacy").await;
        let links = world.through(&front, "legacy");
        for (number, status) in [429, 503].into_iter().enumerate() {
            let begun = front.seen("PUT").len();
            let mut hit = false;
            front.rule(move |method, path| {
                let renews = method == "PUT" && path.contains("/leases/");
                if renews && !std::mem::replace(&mut hit, true) { Fate::Busy(status, 1) } else { Fate::Pass }
            });
            let ours = Wanted {
                database: format!("renewed-{number}"),
                ..wanted("a", vec![place("legacy", "pingcap", "u")], 6)
            };
            let (_, lease) = take(&links, &ours).await.expect("free");
            let begin = Instant::now();
            while front.seen("PUT").len() < begun + 2 {
                assert!(begin.elapsed() < PATIENCE, "{status}: it is not renewed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let renewals = front.seen("PUT");
            let between = renewals[begun + 1] - renewals[begun];
            assert!(between >= Duration::from_secs(1) && between < Duration::from_secs(4), "{status}: {between:?}");
            assert!(lease.ready().is_ok(), "{status}");
            lease.release().await;
        }
    });
}

#[test]
fn what_a_busy_server_did_not_store_of_a_record_stays_pending() {
    let world = World::start();
    world.runtime.block_on(async {
        let front = Front::before(&world.sim().kubeconfig(), "legacy").await;
        let links = world.through(&front, "legacy");
        let ours = wanted("r", vec![place("legacy", "pingcap", "u")], 30);
        let (permit, lease) = take(&links, &ours).await.expect("free");
        let mut record = OpenRun::open(&links, permit, head("r")).await.expect("opened");
        front.rule(|method, path| match (method, path.contains("/configmaps")) {
            ("POST" | "PUT", true) => Fate::Busy(429, 3600),
            _ => Fate::Pass,
        });
        record.add("one\n");
        let begun = Instant::now();
        assert!(record.flush().await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(3), "nobody waits for an hour: {:?}", begun.elapsed());
        front.rule(|_, _| Fate::Pass);
        record.flush().await.expect("stored");
        record.close();
        record.flush().await.expect("stored");
        let found = find(&links, Some("r")).await;
        assert_eq!(read(&links, &found.heads[0]).await.as_deref(), Ok("one\n"));
        lease.release().await;
    });
}
