//! Files that are none, in each place where one is read: never a hang, never all memory, one sentence.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{Demo, LONG, Room, finish};

const SOON: Duration = Duration::from_secs(25);

/// Lays each kind of wrong file at a place; gives what a refusal says of it.
fn odd(kind: &str, at: &Path) -> &'static str {
    if let Some(parent) = at.parent() {
        std::fs::create_dir_all(parent).expect("a folder");
    }
    let _ = std::fs::remove_file(at);
    let _ = std::fs::remove_dir(at);
    match kind {
        "fifo" => {
            assert!(Command::new("mkfifo").arg(at).status().expect("mkfifo runs").success());
            "pipe"
        }
        "folder" => {
            std::fs::create_dir(at).expect("made");
            "a directory"
        }
        "zero" => {
            std::os::unix::fs::symlink("/dev/zero", at).expect("linked");
            "a device"
        }
        "huge" => {
            // Sparse: it takes no room on the disk.
            std::fs::File::create(at).expect("made").set_len(3 << 30).expect("long");
            "large"
        }
        other => panic!("{other}"),
    }
}

#[track_caller]
fn said(room: &Room, arguments: &[&str], code: i32, wanted: &str) {
    let child = room.command(arguments).spawn().expect("the binary starts");
    let ran = finish(child, SOON);
    assert!(ran.code == code && ran.all().contains(wanted), "{arguments:?} ({wanted}): {} {}", ran.code, ran.all());
    let sentences = ran.stderr.lines().filter(|line| line.starts_with("tidepilot: ")).count();
    assert!(code == 0 || sentences == 1, "{arguments:?}: {}", ran.all());
    assert!(ran.all().len() < 4_000, "{} bytes", ran.all().len());
}

#[test]
fn what_is_named_as_a_file() {
    let room = Room::new();
    std::fs::write(room.path("fleet"), r#"{"apiVersion":"v1","kind":"Config","clusters":[],"users":[],"contexts":[]}"#)
        .expect("written");
    let file = room.path("odd");
    for kind in ["fifo", "folder", "zero", "huge"] {
        let wanted = if kind == "huge" { "larger than" } else { odd(kind, &file) };
        odd(kind, &file);
        let named = file.to_str().expect("a plain path");
        said(&room, &["check", "--file", named], 64, wanted);
        said(&room, &["run", "--plan", named, "--kubeconfig", "fleet"], 4, wanted);
        said(&room, &["runbook", "lint", named], 64, wanted);
        said(&room, &["status", "--kubeconfig", named], 64, wanted);
    }
}

#[test]
fn what_lies_where_the_program_looks_by_itself() {
    let demo = Demo::start("default", 50);
    let room = &demo.room;
    let kubeconfig = demo.kubeconfig.to_str().expect("a plain path").to_owned();
    let config = room.path("config/tidepilot/config.yaml");
    for kind in ["fifo", "folder", "zero", "huge"] {
        let wanted = if kind == "huge" { "larger than" } else { odd(kind, &config) };
        odd(kind, &config);
        said(room, &["status", "--kubeconfig", &kubeconfig], 64, wanted);
    }
    std::fs::remove_file(&config).expect("removed");
    let runbook = room.path("config/tidepilot/runbooks/mine.yaml");
    let journal = room.runs().join("r-planted.jsonl");
    for kind in ["fifo", "folder", "zero", "huge"] {
        odd(kind, &runbook);
        let ran = room.run(&["runbook", "list"]);
        assert!(
            ran.stdout.contains("CANNOT BE USED") && ran.stdout.contains("migrate-cluster-domain"),
            "{}",
            ran.all()
        );
        std::fs::remove_file(&runbook).or_else(|_| std::fs::remove_dir(&runbook)).expect("removed");
        // Beside a journal that is none, the others are listed, and runs begin.
        odd(kind, &journal);
        std::fs::set_permissions(room.runs(), std::fs::Permissions::from_mode(0o700)).expect("mode");
        let child = demo.command(&["runs", "list"]).spawn().expect("starts");
        let listed = finish(child, SOON);
        assert!(listed.all().contains("r-planted"), "{kind}: {}", listed.all());
        for command in [
            &["runs", "show", "r-planted"][..],
            &["runs", "verify", "r-planted"],
            &["runs", "resume", "r-planted"],
            &["runs", "report", "r-planted"],
            &["runs", "remaining", "r-planted"],
        ] {
            let ran = finish(demo.command(command).spawn().expect("starts"), SOON);
            assert!(ran.code == 4 && ran.stderr.len() < 2_000, "{kind} {command:?}: {} {}", ran.code, ran.all());
        }
        let set = ["--set", "tidbCluster=legacy/pingcap/basic", "--set", "pod=basic-pd-1", "--yes"];
        let arguments = [&["run", "transfer-pd-leader"][..], &set].concat();
        let ran = finish(demo.command(&arguments).spawn().expect("starts"), SOON);
        assert!([0, 4, 6].contains(&ran.code) && ran.took < SOON, "{kind}: {}", ran.all());
        std::fs::remove_file(&journal).or_else(|_| std::fs::remove_dir(&journal)).expect("removed");
    }
}

#[test]
fn a_state_folder_that_others_may_write_is_refused_with_the_line_that_helps() {
    let demo = Demo::start("default", 50);
    let room = &demo.room;
    std::fs::create_dir_all(room.runs()).expect("made");
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
    let set = ["--set", "tidbCluster=legacy/pingcap/basic", "--set", "pod=basic-pd-1", "--yes"];
    for folder in [room.runs(), room.path("state")] {
        mode(&folder, 0o777);
        for arguments in
            [&["runs", "list"][..], &["runs", "show", "x"], &["runs", "resume", "x"], &["run", "transfer-pd-leader"]]
        {
            let arguments = if arguments[0] == "run" { [arguments, &set[..]].concat() } else { arguments.to_vec() };
            let ran = demo.run(&arguments);
            let line = format!("chmod go-w '{}'", folder.display());
            assert!(ran.code != 0 && ran.stderr.contains(&line), "{arguments:?}: {} {}", ran.code, ran.all());
        }
        // What it said helps.
        assert!(
            Command::new("sh")
                .args(["-c", &format!("chmod go-w '{}'", folder.display())])
                .status()
                .expect("sh")
                .success()
        );
        demo.run(&["runs", "list"]).expect(0);
    }
    assert_eq!(crate::common::effects(&demo.log()), Vec::<String>::new());
}

#[test]
fn lint_and_plan_agree_on_what_is_too_long() {
    let room = Room::new();
    let skeleton = room.run(&["runbook", "new", "mine"]).expect(0).stdout;
    let folder = room.path("config/tidepilot/runbooks");
    std::fs::create_dir_all(&folder).expect("made");
    let file = folder.join("mine.yaml");
    for (length, good) in [(256 * 1024, true), (256 * 1024 + 1, false), (300 * 1024, false)] {
        let padding = format!("# {}\n", "x".repeat(length - skeleton.len() - 3));
        std::fs::write(&file, format!("{skeleton}{padding}")).expect("written");
        let lint = room.run(&["runbook", "lint", file.to_str().expect("plain")]);
        let list = room.run(&["runbook", "list"]).expect(0).stdout;
        let line = list.lines().find(|line| line.contains("mine")).expect("listed").to_owned();
        assert_eq!(
            (lint.code == 0, !line.contains("CANNOT BE USED")),
            (good, good),
            "{length}: {line}\n{}",
            lint.all()
        );
        assert!(good || lint.stderr.contains("larger than 262144 bytes"), "{}", lint.all());
    }
}

#[test]
fn a_kubeconfig_that_cannot_be_read_is_no_empty_list_of_runs() {
    let room = Room::new();
    for file in ["/dev/zero", "/nonexistent/fleet.yaml"] {
        let ran = room.run(&["runs", "list", "--kubeconfig", file]).expect(0);
        assert!(ran.stderr.contains("were not looked for") && ran.stderr.contains(file), "{}", ran.all());
    }
}

/// A limit of the shell on the size of files: its signal ends a program that has not thought of it, with the lease held.
#[test]
fn where_no_file_may_grow_a_run_stops_as_on_a_full_disk() {
    let demo = Demo::start("default", 200);
    let line =
        "run restart-component --yes --confirm basic --set tidbCluster=legacy/pingcap/basic --set component=tidb";
    let line: Vec<&str> = line.split(' ').collect();
    let mut stopped = 0;
    // In blocks of 512 bytes: from where the first record has no room to where the whole journal has it.
    for blocks in [8, 40, 50, 60, 70] {
        let state = demo.room.path(&format!("state-{blocks}"));
        let program = demo.command(&line);
        let mut shell = Command::new("/bin/sh");
        let arguments = program.get_args().map(|one| one.to_string_lossy().into_owned()).collect::<Vec<_>>();
        shell
            .args(["-c", &format!("ulimit -f {blocks}; exec \"$0\" \"$@\"")])
            .arg(program.get_program())
            .args(&arguments);
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.env("TIDEPILOT_STATE", &state).current_dir(demo.room.path("."));
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ran = finish(shell.spawn().expect("a shell"), LONG);
        assert!([0, 4, 5].contains(&ran.code), "{blocks}: {} {}", ran.code, ran.all());
        if ran.code != 0 {
            assert!(ran.stderr.contains("journal"), "{blocks}: {}", ran.all());
            stopped += 1;
        }
        let run = journals(&state).pop();
        if let (5, Some(run)) = (ran.code, run) {
            let more = ["runs", "resume", &run, "--yes", "--confirm", "basic"];
            let mut again = demo.command(&more);
            finish(again.env("TIDEPILOT_STATE", &state).spawn().expect("starts"), LONG).expect(0);
        }
    }
    assert!(stopped > 0, "no limit was reached");
}

/// The runs of a state folder.
fn journals(state: &Path) -> Vec<String> {
    let all = std::fs::read_dir(state.join("runs")).into_iter().flatten().flatten();
    let names = all.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter_map(|name| name.strip_suffix(".jsonl").map(ToOwned::to_owned)).collect()
}
