//! The second person at the console: the real binary in a terminal beside the first person's headless run.
//!
//! Not here: what each key does (`tests/console/keys.rs`), how the screens look (`tests/console/screens.rs`).

use super::common::pty::{ESC, Terminal};
use super::common::{self, Room, finish};
use super::world::{LONG, World, resume};

/// The console as one person.
fn console(world: &World, person: &str, arguments: &[&str]) -> (Room, Terminal) {
    let room = Room::new();
    let (kubeconfig, state, home) = (world.kubeconfig(person), world.state(person), world.home());
    let extra = [
        ("KUBECONFIG", kubeconfig.to_str().expect("UTF-8")),
        ("TIDEPILOT_STATE", state.to_str().expect("UTF-8")),
        ("XDG_CONFIG_HOME", home.to_str().expect("UTF-8")),
    ];
    let terminal = Terminal::start(&room, arguments, &extra, 50, 150);
    (room, terminal)
}

#[test]
fn one_waits_headless_and_the_other_approves_in_the_console() {
    let world = World::start();
    let run = world.begun();
    let waiting: Vec<&str> = resume(&run).into_iter().chain(["--await-approval", "100"]).collect();
    let ann = world.command("ann", &waiting).spawn().expect("the binary starts");

    // Read-only: it is all there to be read, and nothing is sent.
    let (_room, mut eve) = console(&world, "bob", &["--read-only"]);
    eve.shows(&["1 run waits for your approval"]);
    eve.keys("a");
    eve.shows(&[&run, "set-domain", "ann", "waits for your approval", "NOT BY"]);
    eve.keys("\r");
    eve.shows(&["What is sent once you approve", "changes TidbCluster legacy/pingcap/basic", "READ-ONLY"]);
    let before = world.sim().log().lines().len();
    eve.keys("\r");
    eve.shows(&["nothing was sent"]);
    let stored = |from: usize| {
        let lines = world.sim().log().lines();
        let writes = lines[from..].iter().filter(|line| {
            line["method"] != "GET" && line["userAgent"].as_str().is_some_and(|agent| agent.contains("approve"))
        });
        writes.count()
    };
    assert_eq!(stored(before), 0);
    assert_eq!(world.approvals().len(), 0);
    eve.keys(&format!("{ESC}{ESC}:q\r"));
    assert_eq!(eve.ended(), 0);

    // Bob sees it from every view, opens it, types what the command line asks him to type, and Ann's process goes on.
    let (_room, mut bob) = console(&world, "bob", &[]);
    bob.shows(&["1 run waits for your approval"]);
    bob.keys(":approvals\r");
    bob.shows(&[&run, "set-domain", "waits for your approval"]);
    bob.keys("\r");
    let screen = bob.shows(&["What is sent once you approve", "not by", "The whole plan", "NO ROLLBACK"]);
    for part in ["ann, who confirmed it", "bob", "cluster1.com", "PATCH", "clusterDomain"] {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
    // The same request, change and digest as the command line prints.
    let printed = world.run("bob", &["runs", "approve", &run]).expect(3).stdout;
    let digest = printed.split("plan sha256:").nth(1).and_then(|rest| rest.lines().next()).expect("the digest");
    assert!(screen.contains(digest), "{digest}\n{screen}");
    bob.keys("\r");
    bob.shows(&["Approve set-domain (attempt 1) as bob", "type exactly legacy/pingcap/basic"]);
    bob.keys("basic\r");
    bob.shows(&["that is not it; nothing was sent"]);
    assert_eq!(world.approvals().len(), 0);
    bob.keys("\x15legacy/pingcap/basic\r");
    bob.shows(&["approved set-domain for attempt 1 as bob"]);
    finish(ann, LONG).expect(0);
    assert_eq!(world.patches(), 1);
    let approvals = world.approvals();
    assert_eq!(approvals.len(), 1);
    assert_eq!(approvals[0]["data"]["user"], "bob");
    // The mark goes by itself.
    bob.until("nothing waits any more", |text| !text.contains("waits for your approval"));
    bob.keys(&format!("{ESC}{ESC}:q\r"));
    assert_eq!(bob.ended(), 0);
    let report = world.run("ann", &["runs", "report", &run]).expect(0);
    assert!(report.stdout.contains("approved by bob"), "{}", report.stdout);
}

#[test]
fn whoever_confirmed_it_is_not_asked() {
    let world = World::start();
    let run = world.begun();
    // On another machine, so that nothing but the server's word tells that it is she.
    let (_room, mut ann) =
        console(&world, "ann", &["--state", world.home().join("elsewhere").to_str().expect("UTF-8")]);
    ann.keys("a");
    let screen = ann.shows(&[&run, "not by you: you are ann, who confirmed it"]);
    assert!(!screen.contains("waits for your approval"), "{screen}");
    ann.keys("\r");
    ann.shows(&["is ann, who confirmed set-domain already", "nothing was written"]);
    ann.keys(&format!("\r{ESC}{ESC}:q\r"));
    assert_eq!(ann.ended(), 0);
    assert_eq!(world.approvals().len(), 0);
    // An approval that is given elsewhere is seen here as well.
    world.run("bob", &["runs", "approve", &run, "--confirm", "basic"]).expect(0);
    let (_room, mut bob) = console(&world, "bob", &[]);
    bob.keys("a");
    bob.shows(&["not by you: bob has approved it, and its driver continues"]);
    bob.keys(&format!("{ESC}:q\r"));
    assert_eq!(bob.ended(), 0);
    common::eventually("one object", LONG, || (world.approvals().len() == 1).then_some(()));
}
