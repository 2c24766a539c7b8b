//! Two operators and one Database that one of them joins a TidbCluster to: it is locked where it is and where it will be.

use super::front::{Fate, Front};
use super::*;

const LEASE_S: u64 = 9;

fn join<'a>(target: &'a str, name: &'a str) -> Vec<&'a str> {
    let domain = "clusterDomain=west.local";
    vec![
        "run",
        "join-cluster",
        "--set",
        "join=east/prod/one",
        "--set",
        target,
        "--set",
        domain,
        "--yes",
        "--confirm",
        name,
    ]
}

/// Name and holder of the leases that are held in a context.
fn held(world: &World, context: &str) -> Vec<(String, String)> {
    let leases = world.sim().store(context).expect("there").list("leases", Some("prod"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = leases.iter().map(|lease| (text(&lease["metadata"]["name"]), text(&lease["spec"]["holderIdentity"])));
    all.filter(|(_, holder)| !holder.is_empty()).collect()
}

#[test]
fn a_database_is_locked_where_it_is_and_where_a_part_of_it_will_be() {
    let world = World::of("empty");
    for context in ["east", "west"] {
        world.sim().store(context).expect("there").put("namespaces", json!({"metadata": {"name": "prod"}}));
    }
    let deploy = [
        "run",
        "deploy-initial-cluster",
        "--set",
        "tidbCluster=east/prod/one",
        "--set",
        "clusterDomain=east.local",
        "--set",
        "version=v8.5.4",
        "--yes",
        "--confirm",
        "one",
    ];
    let (exit_code, said) = code(&world.tidepilot("ann", LEASE_S, &deploy).output().expect("ran"));
    assert_eq!(exit_code, 0, "{said}");

    // Ann joins a part in west; what she sends there once she holds the lock takes its time.
    let front = world.runtime.block_on(async {
        let front = Front::before(&world.sim().kubeconfig(), "west").await;
        let mut locked = false;
        front.rule(move |method, path| {
            locked |= method == "POST" && path.contains("/leases");
            let makes = method == "POST" && path.contains("/tidbclusters");
            if makes && locked { Fate::Late(Duration::from_secs(5)) } else { Fate::Pass }
        });
        front
    });
    let file = world.dir.path().join("through");
    fs::write(&file, front.kubeconfig(&world.sim().kubeconfig(), "west").to_string()).expect("written");
    let mut ann = world.tidepilot("ann", LEASE_S, &join("tidbCluster=west/prod/two", "two"));
    ann.env("KUBECONFIG", &file);
    let mut ann = Process::start(ann);
    let begun = Instant::now();
    let mut seen = std::collections::BTreeSet::new();
    while held(&world, "east").is_empty() || held(&world, "west").len() < 2 {
        if ann.0.try_wait().expect("a child").is_some() || begun.elapsed() > PATIENCE {
            panic!("she never locks it: {:?}\n{seen:?}\n{:#?}", ann.end(), world.writes(0));
        }
        seen.extend(["east", "west"].map(|context| (context, held(&world, context))));
        std::thread::sleep(Duration::from_millis(20));
    }
    // Both locks carry the Database's own id, by which everybody else would lock it, and one holder.
    let id = world.sim().store("east").expect("there").get("tidbclusters", "prod", "one").expect("deployed");
    let id = id["status"]["clusterID"].as_str().expect("an id").to_owned();
    let (east, west) = (held(&world, "east"), held(&world, "west"));
    let name = format!("tidepilot-{id}");
    let holder = |leases: &[(String, String)]| leases.iter().find(|(of, _)| *of == name).map(|(_, by)| by.clone());
    let run = holder(&east).unwrap_or_else(|| panic!("{east:?}"));
    let theirs = holder(&west).unwrap_or_else(|| panic!("{west:?}"));
    let of = |holder: &str| holder.split('/').nth(1).unwrap_or_default().to_owned();
    assert_eq!(of(&run), of(&theirs));
    // And the new place has one under its own name, for whoever would make a TidbCluster of another Database there.
    let place = held(&world, "west").into_iter().find(|(of, _)| of == "tidepilot-new-prod-two").map(|(_, by)| by);
    assert_eq!(place.as_deref().map(of), Some(of(&run)), "{west:?}");

    // Meanwhile Bob joins another part to it, and restarts what is there: neither goes, and nothing of either is sent.
    let before = world.writes(0).len();
    let restart = [
        "run",
        "restart-component",
        "--set",
        "tidbCluster=east/prod/one",
        "--set",
        "component=tidb",
        "--yes",
        "--confirm",
        "one",
    ];
    let other = join("tidbCluster=west/prod/three", "three");
    let bobs = [
        Process::start(world.tidepilot("bob", LEASE_S, &other)),
        Process::start(world.tidepilot("bill", LEASE_S, &restart)),
    ];
    for bob in bobs {
        let (exit_code, said) = bob.end();
        assert!(exit_code == Some(6) && said.contains(&of(&run)), "{exit_code:?} {said}");
    }
    let writes = world.writes(0);
    let theirs: Vec<&String> = writes[before..]
        .iter()
        .filter(|line| !line.ends_with(" dry") && line.contains("pingcap.com") && line.starts_with("POST"))
        .collect();
    assert!(theirs.len() <= 1, "one TidbCluster is made, by Ann: {theirs:#?}");
    let (exit_code, said) = ann.end();
    assert_eq!(exit_code, Some(0), "{said}");
    // Hers is over and both locks are free: his turn.
    assert_eq!((held(&world, "east"), held(&world, "west")), (Vec::new(), Vec::new()));
    let (exit_code, said) = code(&world.tidepilot("bob", LEASE_S, &other).output().expect("ran"));
    assert_eq!(exit_code, 0, "{said}");
}
