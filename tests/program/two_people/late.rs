//! A patch that is held up in the network for longer than its sender lives: whoever goes on or gives up has made the
//! version void that it names.

use super::front::{Fate, Front};
use super::*;

/// Ann works through a front that holds her patch back for so long, and dies while it is on its way.
struct Held {
    world: World,
    front: Front,
    run: String,
}

impl Held {
    fn patch(wait: Duration) -> Self {
        let world = World::start();
        let front = world.runtime.block_on(async {
            let front = Front::before(&world.sim().kubeconfig(), "legacy").await;
            front.rule(move |method, path| match (method, path.contains("/tidbclusters/")) {
                ("PATCH", true) => Fate::Late(wait),
                _ => Fate::Pass,
            });
            front
        });
        let file = world.dir.path().join("through");
        fs::write(&file, front.kubeconfig(&world.sim().kubeconfig(), "legacy").to_string()).expect("written");
        let mut ann = world.tidepilot("ann", 3, &RUN);
        ann.env("KUBECONFIG", file);
        let ann = Process::start(ann);
        let begun = Instant::now();
        // The first patch is the plan's rehearsal, which stores nothing.
        while front.seen("PATCH").len() < 2 {
            assert!(begun.elapsed() < PATIENCE, "it never sends");
            std::thread::sleep(Duration::from_millis(20));
        }
        let run = until_journal_has(&world.state("ann"), r#""record":"intent","step":"set-domain""#);
        ann.signal("KILL");
        ann.end();
        Self { world, front, run }
    }

    fn tidb_cluster(&self) -> Value {
        let store = self.world.sim().store("legacy").expect("there");
        store.get("tidbclusters", "pingcap", "basic").expect("there")
    }

    /// Waits until the held patch has come, and gives its status.
    fn status_of_late_patch(&self) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let writes = self.world.writes(0);
            let patches = writes.into_iter().filter(|line| line.starts_with("PATCH") && !line.ends_with(" dry"));
            let patches: Vec<String> = patches.collect();
            // Ours that moved the version, and the late one.
            if patches.len() >= 2 {
                return patches;
            }
            assert!(begun.elapsed() < PATIENCE, "{patches:#?} {:?}", self.front.seen("PATCH").len());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_patch_that_comes_after_the_run_was_given_up_is_refused() {
    // The rehearsal is held up as well.
    let held = Held::patch(Duration::from_secs(8));
    let end = ["runs", "abandon", &held.run, "--reason", "not now"];
    let (exit_code, said) = code(&held.world.tidepilot("ann", 3, &end).output().expect("ran"));
    assert!(exit_code == 0 && said.contains("in doubt"), "{exit_code} {said}");
    let fenced = held.tidb_cluster();
    let fence = fenced["metadata"]["annotations"]["tidepilot/fence"].as_str().unwrap_or_default();
    assert!(fence.starts_with(&held.run), "{fenced:#}");
    let patches = held.status_of_late_patch();
    assert!(patches[0].ends_with(" 200") && patches[1].ends_with(" 409"), "{patches:#?}");
    assert_eq!(held.tidb_cluster()["spec"]["clusterDomain"], Value::Null);
    let journal = fs::read_to_string(held.world.state("ann").join(format!("runs/{}.jsonl", held.run))).expect("there");
    assert!(journal.contains(r#""moves":{"context":"legacy","namespace":"pingcap","name":"basic"}"#), "{journal}");
    // The annotation is nobody's change: a new run goes.
    let (exit_code, said) = code(&held.world.tidepilot("bob", 3, &RUN).output().expect("ran"));
    assert_eq!(exit_code, 0, "{said}");
}

#[test]
fn a_patch_that_comes_after_a_take_over_is_refused() {
    let held = Held::patch(Duration::from_secs(14));
    let over = ["runs", "take-over", &held.run, "--yes", "--confirm", "basic"];
    let bob = Process::start(held.world.tidepilot("bob", 3, &over));
    let patches = held.status_of_late_patch();
    assert!(patches[0].ends_with(" 200") && patches[1].ends_with(" 409"), "{patches:#?}");
    assert_eq!(held.tidb_cluster()["spec"]["clusterDomain"], Value::Null, "it was not stored");
    // Bob watches it for its 15 s, and sends it himself.
    let (exit_code, said) = bob.end();
    assert_eq!(exit_code, Some(0), "{said}");
    assert_eq!(held.tidb_cluster()["spec"]["clusterDomain"], "cluster1.com");
}
