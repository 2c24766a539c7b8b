//! What failed in doubt: a write of a Lease or of a run's record whose answer is lost, or is no answer. It is looked at
//! again, gone on with where it is there, and otherwise told as what it is.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::front::{Fate, Front};
use super::leases::{head, place, take, wanted};
use super::*;

/// The kinds of loss. `true`: the write arrived.
fn losses() -> Vec<(&'static str, Fate)> {
    vec![
        ("answer lost", Fate::AnswerLost),
        ("request lost", Fate::Lost),
        ("200 {} for what is stored", Fate::Instead(200, json!({}))),
        ("200 {} for what is not", Fate::Says(200, json!({}))),
        ("302 for what is stored", Fate::Instead(302, json!({}))),
        ("500 for what is stored", Fate::Instead(500, json!({"message": "etcdserver: request timed out"}))),
        ("500 for what is not", Fate::Says(500, json!({"message": "etcdserver: leader changed"}))),
    ]
}

/// Verb, what the path contains, and whether a run can begin with it as it is.
const WRITES: [(&str, &str); 4] =
    [("POST", "/leases"), ("PUT", "/leases/"), ("POST", "/configmaps"), ("PUT", "/configmaps/")];

#[test]
fn one_lost_answer_of_a_lease_or_a_record_is_looked_at() {
    let world = World::start();
    world.runtime.block_on(async {
        let front = Front::before(&world.sim().kubeconfig(), "legacy").await;
        let links = world.through(&front, "legacy");
        for (number, (verb, object)) in WRITES.into_iter().enumerate() {
            for (kind, (name, fate)) in losses().into_iter().enumerate() {
                let case = format!("{verb} {object}: {name}");
                let run = format!("r{number}-{kind}");
                let hit = Arc::new(AtomicUsize::new(0));
                let (seen, loss) = (Arc::clone(&hit), fate.clone());
                front.rule(move |method, path| {
                    let fits = method == verb && path.contains(object);
                    if fits && seen.fetch_add(1, Ordering::SeqCst) == 0 { loss.clone() } else { Fate::Pass }
                });
                let wanted = Wanted {
                    // A name of its own each time, so that a POST is one; a PUT finds one that was given back.
                    database: format!("{BASIC}{}", if verb == "POST" { &run } else { "" }),
                    ..wanted(&run, vec![place("legacy", "pingcap", "u")], 3)
                };
                let taken = take(&links, &wanted).await;
                let store = world.sim().store("legacy").expect("there");
                let lease = |wanted: &Wanted| store.get("leases", "pingcap", &format!("tidepilot-{}", wanted.database));
                let holder = |wanted: &Wanted| lease(wanted).map(|lease| lease["spec"]["holderIdentity"].clone());
                let stored = !matches!(fate, Fate::Lost | Fate::Says(..));
                let (permit, lease) = match taken {
                    Ok(both) => both,
                    // Only a lease that was looked for and is not there.
                    Err(NotTaken::InDoubt { context, why, .. }) if object.starts_with("/leases") && !stored => {
                        assert!(context == "legacy" && !why.is_empty(), "{case}");
                        assert!(holder(&wanted).is_none_or(|holder| holder.is_null()), "{case}");
                        continue;
                    }
                    Err(other) => panic!("{case}: {other}"),
                };
                assert!(lease.confirm().await.is_ok(), "{case}");
                let mut record = OpenRun::open(&links, permit, head(&run)).await.expect("opened");
                for line in ["one\n", "two\n"] {
                    record.add(line);
                    record.flush().await.unwrap_or_else(|why| panic!("{case}: {why}"));
                }
                record.close();
                record.flush().await.unwrap_or_else(|why| panic!("{case}: {why}"));
                lease.release().await;
                assert!(hit.load(Ordering::SeqCst) > 0, "{case}: it never came");
                let found = find(&links, Some(&run)).await;
                assert!(found.heads.len() == 1 && !found.heads[0].open, "{case}: {:?}", found.heads);
                assert_eq!(read(&links, &found.heads[0]).await.as_deref(), Ok("one\ntwo\n"), "{case}");
                assert_eq!(holder(&wanted), Some(Value::Null), "{case}: it is given back");
            }
        }
    });
}

/// The Lease is stored, the connection is cut, and nobody can look any more: that is said, and what it comes to.
#[test]
fn a_lease_that_nobody_can_look_at_is_told_as_in_doubt() {
    let world = World::start();
    let front = world.runtime.block_on(async { Front::before(&world.sim().kubeconfig(), "legacy").await });
    let file = world.dir.path().join("through");
    fs::write(&file, front.kubeconfig(&world.sim().kubeconfig(), "legacy").to_string()).expect("written");
    let cut = Arc::new(AtomicUsize::new(0));
    front.rule(move |method, path| match (method, path.contains("/leases")) {
        ("POST", true) => {
            cut.store(1, Ordering::SeqCst);
            Fate::AnswerLost
        }
        _ if cut.load(Ordering::SeqCst) == 1 => Fate::Lost,
        _ => Fate::Pass,
    });
    let mut ann = world.tidepilot("ann", 3, &RUN);
    ann.env("KUBECONFIG", &file);
    let (exit_code, said) = code(&ann.output().expect("ran"));
    assert_eq!(exit_code, 4, "{said}");
    assert!(said.contains("whether the lease in legacy was taken is not known"), "{said}");
    assert!(said.contains("lapses by itself 3 s after") && said.contains("nothing else was sent"), "{said}");
    let end = said.rsplit("tidepilot: ").next().unwrap_or_default();
    assert!(!end.contains("; nothing was sent"), "{end}");
    assert_eq!(fs::read_dir(world.state("ann").join("runs")).map_or(0, Iterator::count), 0, "no run is left");
    // Whoever looks is told that there is nothing to resume.
    let diagnosed = world.tidepilot("bob", 3, &["diagnose"]).output().expect("ran");
    let said = text(&diagnosed);
    assert!(said.contains("orphaned-lease") && said.contains("Nothing has to be done"), "{said}");
    assert!(!said.contains("resume it or take it over"), "{said}");
    // And the next run goes.
    let (exit_code, said) = code(&world.tidepilot("bob", 3, &RUN).output().expect("ran"));
    assert_eq!(exit_code, 0, "{said}");
}

/// The same with the run's first record: it may be there, so the journal stays, and the printed line ends the run.
#[test]
fn a_record_that_nobody_can_look_at_leaves_something_to_go_on_with() {
    let world = World::start();
    let front = world.runtime.block_on(async { Front::before(&world.sim().kubeconfig(), "legacy").await });
    let file = world.dir.path().join("through");
    fs::write(&file, front.kubeconfig(&world.sim().kubeconfig(), "legacy").to_string()).expect("written");
    let cut = Arc::new(AtomicUsize::new(0));
    front.rule(move |method, path| match (method, path.contains("/configmaps")) {
        ("POST", true) => {
            cut.store(1, Ordering::SeqCst);
            Fate::AnswerLost
        }
        _ if cut.load(Ordering::SeqCst) == 1 => Fate::Lost,
        _ => Fate::Pass,
    });
    let mut ann = world.tidepilot("ann", 3, &RUN);
    ann.env("KUBECONFIG", &file);
    let (exit_code, said) = code(&ann.output().expect("ran"));
    let run = until_journal_has(&world.state("ann"), "run-opened");
    let line = format!("`tidepilot runs abandon {run} --reason TEXT` ends it");
    assert!(exit_code == 4 && said.contains("Whether it is there is not known") && said.contains(&line), "{said}");
    let end = ["runs", "abandon", &run, "--reason", "not now"];
    let (exit_code, said) = code(&world.tidepilot("ann", 3, &end).output().expect("ran"));
    assert_eq!(exit_code, 0, "{said}");
    let (exit_code, said) = code(&world.tidepilot("bob", 3, &RUN).output().expect("ran"));
    assert_eq!(exit_code, 0, "{said}");
}

/// A run that stops listening to its own write (a look that ended meanwhile, a person in haste) is not its own rival: what
/// came of it is found and gone on with.
#[test]
fn a_write_of_a_record_that_nobody_waited_for_is_gone_on_with() {
    let world = World::start();
    world.runtime.block_on(async {
        let front = Front::before(&world.sim().kubeconfig(), "legacy").await;
        let links = world.through(&front, "legacy");
        let (permit, lease) =
            take(&links, &wanted("dropped", vec![place("legacy", "pingcap", "u")], 30)).await.expect("free");
        let mut record = OpenRun::open(&links, permit, head("dropped")).await.expect("opened");
        let store = world.sim().store("legacy").expect("there");
        // The first one makes the object, the others replace it; the last one also closes it.
        for (number, line) in ["one\n", "two\n", "three\n"].into_iter().enumerate() {
            front.rule(|method, path| match path.contains("/configmaps") && method != "GET" {
                true => Fate::Late(Duration::from_millis(150)),
                false => Fate::Pass,
            });
            record.add(line);
            let heard = tokio::time::timeout(Duration::from_millis(50), record.flush()).await;
            assert!(heard.is_err(), "{line}: it was waited for");
            assert!(record.may_be_there(), "{line}");
            let began = Instant::now();
            let there = || {
                let all = store.list("configmaps", Some("pingcap"));
                all.iter().any(|map| map["data"].to_string().contains(line.trim_end()))
            };
            while !there() {
                assert!(began.elapsed() < PATIENCE, "{line}: it never came");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            front.rule(|_, _| Fate::Pass);
            record.add(&format!("and {number}\n"));
            if number == 2 {
                record.close();
            }
            record.flush().await.unwrap_or_else(|why| panic!("{line}: {why}"));
            assert_eq!(record.pending(), 0, "{line}");
        }
        lease.release().await;
        let found = find(&links, Some("dropped")).await;
        assert!(found.heads.len() == 1 && !found.heads[0].open, "{:?}", found.heads);
        let lines = read(&links, &found.heads[0]).await;
        assert_eq!(lines.as_deref(), Ok("one\nand 0\ntwo\nand 1\nthree\nand 2\n"));
    });
}
