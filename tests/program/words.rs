//! What a newcomer types and reads: parts of names, files that are none, words that lead somewhere, and who is waited for.

use std::time::{Duration, Instant};

use crate::common::pty::Terminal;
use crate::common::{Demo, Room};

const BASIC: [&str; 4] = ["--set", "tidbCluster=legacy/pingcap/basic", "--set", "clusterDomain=cluster1.com"];

/// What cannot be written is wrong usage, told before any cluster is asked, in words.
#[test]
fn a_file_that_cannot_be_written_is_wrong_usage() {
    let room = Room::new();
    std::fs::create_dir(room.path("folder")).expect("made");
    std::fs::write(room.path("file"), "").expect("written");
    for arguments in [
        &["plan", "migrate-cluster-domain", BASIC[0], BASIC[1], BASIC[2], BASIC[3], "--out", "folder"][..],
        &["plan", "migrate-cluster-domain", BASIC[0], BASIC[1], BASIC[2], BASIC[3], "--out", "none/plan.json"],
        &["rbac", "read-only", "--service-account", "ops/x", "--kubeconfig-out", "folder"],
        &["demo", "--serve", "--kubeconfig-out", "folder"],
        &["demo", "--serve", "--request-log", "folder"],
        &["demo", "--screenshots", "file", "--script", "<shot x>"],
        &["man", "file"],
        &["--log-file", "folder", "runs", "list"],
    ] {
        let ran = room.run(arguments).expect(64);
        let told = ["a directory; expected a file", "expected a directory", "there is no directory none"];
        assert!(told.iter().any(|said| ran.stderr.contains(said)), "{arguments:?}: {}", ran.all());
        assert!(!ran.stderr.contains("os error"), "{arguments:?}: {}", ran.all());
    }
    let ran = room.run(&["monitor", "--listen", "192.0.2.1:9487"]);
    assert!(!ran.all().contains("os error"), "{}", ran.all());
    // What is no plan is told as such, without the words of a parser.
    for (text, why) in
        [("[1, 2]", "it is no object"), ("x: [", "write one with"), ("{\"digest\": 3}", "it has no digest")]
    {
        std::fs::write(room.path("plan.json"), text).expect("written");
        let ran = room.run(&["run", "--plan", "plan.json"]).expect(4);
        assert!(ran.stderr.contains("not what `plan --out` writes") && ran.stderr.contains(why), "{}", ran.all());
    }
}

#[test]
fn a_command_that_there_is_not_leads_to_the_one_that_is_meant() {
    let room = Room::new();
    for (typed, wanted) in [
        (&["help", "approve"][..], "approve is a command of runs: `tidepilot runs approve`"),
        (&["resume", "x"], "resume is a command of runs: `tidepilot runs resume`"),
        (&["help", "statu"], "did you mean `tidepilot status`?"),
    ] {
        let ran = room.run(typed).expect(64);
        assert!(ran.stderr.contains(wanted), "{}", ran.all());
    }
    let help = room.run(&["check", "--help"]).expect(0).stdout;
    assert!(help.contains("BROKEN") && help.contains("UNSEEN") && help.contains("never taken for healthy"), "{help}");
}

/// One fleet, one run that stops at its first gate: what its plan says, and by which part of its name it is found.
#[test]
fn a_run_is_found_by_a_part_of_its_name_and_a_plan_says_each_thing_once() {
    let demo = Demo::start("default", 100);
    let plan = demo.run(&[&["plan", "migrate-cluster-domain"], &BASIC[..]].concat()).expect(2).stdout;
    let calls =
        plan.lines().filter(|line| line.trim_start().starts_with("by hand  pd legacy pingcap basic-pd-")).count();
    assert_eq!((plan.matches("pd() (").count(), calls), (1, 3), "{plan}");
    let markdown =
        demo.run(&[&["plan", "migrate-cluster-domain", "-o", "markdown"], &BASIC[..]].concat()).expect(2).stdout;
    assert_eq!(markdown.matches("pd() (").count(), 1, "{markdown}");
    let upgrade = ["--set", "tidbCluster=east/prod/prod-east", "--set"];
    for (version, code) in [("version=v99.0.0", 2), ("version=v8.5.7", 0)] {
        let plan = demo.run(&[&["plan", "upgrade-cluster"], &upgrade[..], &[version]].concat()).expect(code).stdout;
        assert_eq!(plan.contains("WARNING  known-release"), code == 2, "{plan}");
    }
    demo.run(&[&["run", "migrate-cluster-domain", "-o", "json"], &BASIC[..]].concat()).expect(3);
    let [id]: [String; 1] = demo.room.journals().try_into().expect("one run");
    let last = id.rsplit('-').next().expect("a part").to_owned();
    for part in [&id[..8], &last] {
        let show = demo.run(&["runs", "show", &id]).expect(0).stdout;
        assert_eq!(demo.run(&["runs", "show", part]).expect(0).stdout, show, "{part}");
        let verified = demo.run(&["runs", "verify", part]).expect(0).stdout;
        assert!(verified.contains(&format!("journal of run {id}")), "{verified}");
        demo.run(&["runs", "report", part]).expect(0);
        demo.run(&["runs", "remaining", part]).expect(0);
        assert!(demo.run(&["runs", "resume", part]).expect(3).all().contains(&id));
        let whole = demo.run(&["runs", "abandon", part, "--reason", "x", "--yes"]).expect(64);
        assert!(whole.stderr.contains("takes the whole name") && whole.stderr.contains(&id), "{}", whole.all());
    }
    // Two that begin alike: neither is guessed.
    let twin = format!("{}x", &id[..id.len() - 1]);
    std::fs::copy(demo.room.runs().join(format!("{id}.jsonl")), demo.room.runs().join(format!("{twin}.jsonl")))
        .expect("copied");
    let ran = demo.run(&["runs", "show", &id[..8]]).expect(64);
    assert!(ran.stderr.contains(&id) && ran.stderr.contains(&twin), "{}", ran.all());
    demo.run(&["runs", "show", &id]).expect(0);
}

/// A person learns who has not answered; a script's errors have nothing of it.
#[test]
fn whoever_waits_at_a_terminal_learns_for_whom() {
    let demo = Demo::start("unreachable", 20);
    let ran = demo.run(&["status"]).expect(3);
    assert!(!ran.stderr.contains("no answer yet"), "{}", ran.all());
    let kubeconfig = demo.kubeconfig.display().to_string();
    let begun = Instant::now();
    let mut terminal = Terminal::start(&demo.room, &["--kubeconfig", &kubeconfig, "status"], &[], 50, 200);
    terminal.until("who is waited for", |text| text.contains("no answer yet from legacy; a look waits 13 s at most"));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(terminal.ended(), 3);
}

/// A key that was pressed while the run waited for something else is no yes to a question that nobody had read.
#[test]
fn what_is_typed_before_a_question_answers_nothing() {
    let demo = Demo::start("default", 20);
    let kubeconfig = demo.kubeconfig.display().to_string();
    let run = [
        "run",
        "migrate-cluster-domain",
        "--set",
        "tidbCluster=legacy/pingcap/basic",
        "--set",
        "clusterDomain=cluster1.com",
    ];
    let arguments = [&["--kubeconfig", &kubeconfig][..], &run].concat();
    let mut terminal = Terminal::start(&demo.room, &arguments, &[], 50, 200);
    terminal.shows(&["Type legacy/pingcap/basic to go on."]);
    terminal.keys("legacy/pingcap/basic\r");
    terminal.until("the wait behind it", |text| text.contains("set-domain: done"));
    terminal.keys("y\r");
    let question = "2 more like it — go on? [y/n, Enter: not yet]";
    terminal.shows(&[question]);
    std::thread::sleep(Duration::from_secs(1));
    let text = terminal.text();
    assert!(text.trim_end().ends_with(question), "{text}");
    terminal.keys("y\r");
    assert_eq!(terminal.ended(), 0);
}
