//! Whose runbook it is stands in the head of everything that shows a run or a plan of it.

use super::world::World;

#[test]
fn a_fork_is_called_one_wherever_it_is_shown() {
    let world = World::start();
    let run = world.begun();
    let mark = "fork migrate-cluster-domain.yaml: not the shipped runbook";
    let sets = ["--set", "tidbCluster=legacy/pingcap/basic", "--set", "clusterDomain=cluster1.com"];
    let rbac = ["rbac", "migrate-cluster-domain"].into_iter().chain(sets).collect::<Vec<_>>();
    for arguments in [&["runs", "show", &run][..], &["runs", "remaining", &run], &rbac] {
        let first: String = world.run("ann", arguments).expect(0).stdout.lines().take(4).collect();
        assert!(first.contains(mark), "{arguments:?}\n{first}");
    }
    // Beside the text, which may go into a file.
    let shown = world.run("ann", &["runbook", "show", "migrate-cluster-domain"]).expect(0);
    assert!(shown.stderr.contains(mark) && !shown.stdout.contains(mark), "{}", shown.all());
    // A shipped one needs no word.
    let shown = world.run("ann", &["runbook", "show", "restart-component"]).expect(0);
    assert_eq!(shown.stderr, "");
}
