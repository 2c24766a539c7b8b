//! Two people whose kubeconfigs show different parts of one Database: neither drives it.

use super::*;

/// The peerURLs of both parts are wrong, so that each of the two would have something to do.
fn drift(world: &World) {
    for member in world.sim().database("prod").expect("there") {
        let url = format!("http://{}.old-peer.prod.svc:2380", member.name.split('.').next().unwrap_or_default());
        world.sim().set_peer_url("prod", member.id, &url).expect("a member");
    }
}

#[test]
fn who_sees_only_a_part_of_a_database_drives_none_of_it() {
    let world = World::start();
    drift(&world);
    let repair = |context: &str, name: &str| {
        let target = format!("tidbCluster={context}/prod/{name}");
        let line = ["--context", context, "run", "repair-peer-urls", "--set", &target, "--yes"];
        Process::start(world.tidepilot(context, 4, &line))
    };
    // In the same second, as it was found.
    let (east, west) = (repair("east", "prod-east"), repair("west", "prod-west"));
    for (ended, other) in [(east.end(), "prod-west-pd-0"), (west.end(), "prod-east-pd-0")] {
        let (exit_code, said) = ended;
        assert_eq!(exit_code, Some(4), "{said}");
        assert!(
            said.contains("whole-database") && said.contains(other) && said.contains("--set lostMembers="),
            "{said}"
        );
    }
    // Every runbook that would write to it, whatever its own checks think of hidden members.
    for line in [
        vec!["issue-ca", "--set", "tidbCluster=east/prod/prod-east"],
        vec!["monitor-across-clusters", "--set", "tidbCluster=east/prod/prod-east"],
        vec!["transfer-pd-leader", "--set", "tidbCluster=east/prod/prod-east", "--set", "pod=prod-east-pd-0"],
    ] {
        let whole = [&["--context", "east", "run"], line.as_slice(), &["--yes"]].concat();
        let (exit_code, said) = code(&world.tidepilot("ann", 4, &whole).output().expect("ran"));
        // Where a check of its own refuses first, that one is told.
        let told = ["not in any connected context", "are in no connected context"];
        assert!(exit_code == 4 && told.iter().any(|told| said.contains(told)), "{line:?}: {exit_code} {said}");
    }
    let sent = world.writes(0);
    assert!(sent.iter().all(|line| line.ends_with(" dry")), "{sent:#?}");
}
