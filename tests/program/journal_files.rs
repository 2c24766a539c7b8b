//! The real binary and a journal file that is in trouble: a full disk, a read-only folder, a file that was cut short,
//! changed, or belongs to another run. A clear sentence, nothing sent, nothing lost.
//!
//! Not here: each way in which a line can be wrong (`client::journal`, `runbook::run::record`), a process that dies
//! (`tests/program/migration.rs`).

use crate::common;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{Demo, LONG, Ran, effects, finish, membership_writes, no_drift, real_patches};

const SETS: [&str; 5] =
    ["migrate-cluster-domain", "--set", "tidbCluster=legacy/pingcap/basic", "--set", "clusterDomain=cluster1.com"];

/// A small memory file system of its own; `None` where this process may not mount one.
struct Mount(PathBuf);

impl Mount {
    #[expect(clippy::print_stdout, reason = "a test that is left out says so")]
    fn new(at: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tidepilot-test"]).arg(at).stderr(Stdio::null());
        let mounted = mount.status().is_ok_and(|status| status.success());
        if !mounted {
            println!("left out: this process may not mount a file system ({options})");
        }
        mounted.then(|| Self(at.to_path_buf()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn with_state(demo: &Demo, state: &Path, arguments: &[&str]) -> Ran {
    let mut command = demo.command(arguments);
    command.arg("--state").arg(state);
    finish(command.spawn().expect("the binary starts"), LONG)
}

/// With a limit on the length of any file that it writes, in KiB: what comes after is cut off in the middle of a line,
/// as on a disk that is full.
fn limited(demo: &Demo, kib: u64, arguments: &[&str]) -> Ran {
    let plain = demo.command(arguments);
    let mut command = Command::new("bash");
    // An ignored signal stays ignored in what is executed: the write fails instead.
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"")]);
    command.arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().expect("bash starts"), LONG)
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("there").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

#[test]
fn a_journal_in_trouble_sends_nothing_and_loses_nothing() {
    let demo = Demo::start("default", 400);
    let run: Vec<&str> = ["run"].into_iter().chain(SETS).chain(["--yes"]).collect();
    // A plan rehearses on the server, and reads the DNS domain in a pod: neither changes anything.
    let sent = |from: usize| -> Vec<String> {
        effects(&demo.log()[from..])
            .into_iter()
            .filter(|line| !line.contains("(dry run)") && !line.contains("/exec"))
            .collect()
    };

    // A disk without room for the first line; a folder that nobody can write to.
    let refused = |name: &str, state: &Path, wanted: &str| {
        let before = demo.log().len();
        let ran = with_state(&demo, state, &run).expect(4);
        assert!(
            ran.stderr.contains("no journal, so nothing was sent") && ran.stderr.contains(wanted),
            "{name}: {}",
            ran.all()
        );
        assert_eq!(sent(before), Vec::<String>::new(), "{name}");
    };
    let at = demo.room.path("full");
    if let Some(_full) = Mount::new(&at, "size=4k") {
        refused("full disk", &at, "no space is left");
    }
    let at = demo.room.path("read-only-folder");
    if let Some(_read_only) = Mount::new(&at, "ro,size=64k") {
        refused("read-only", &at, "its file system is read-only");
    }
    let at = demo.room.path("a-file");
    fs::write(&at, "not a folder").expect("written");
    // A file in the folder's place.
    let ran = with_state(&demo, &at, &run).expect(64);
    assert!(ran.stderr.contains("is no folder"), "{}", ran.all());
    let before = demo.log().len();
    let ran = limited(&demo, 1, &run).expect(4);
    assert!(ran.stderr.contains("nothing was sent"), "{}", ran.all());
    assert_eq!(sent(before), Vec::<String>::new());
    // What is left of it is no run; it is listed with what is wrong, and does no harm.
    for entry in fs::read_dir(demo.room.runs()).expect("there").flatten() {
        fs::remove_file(entry.path()).expect("removed");
    }

    // An open run, stopped at its gate, and its journal in trouble.
    demo.run(&run).expect(3);
    let [id]: [String; 1] = demo.room.journals().try_into().expect("one run");
    let resume = ["runs", "resume", &id, "--yes"];
    demo.run(&resume).expect(3);
    let file = demo.room.runs().join(format!("{id}.jsonl"));
    let whole = fs::read(&file).expect("read");
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let in_trouble = |name: &str, bytes: &[u8]| {
        let state = demo.room.path(name);
        fs::create_dir_all(state.join("runs")).expect("a folder");
        fs::write(state.join("runs").join(format!("{id}.jsonl")), bytes).expect("written");
        state
    };
    let mut flipped = whole.clone();
    flipped[lines[0].len() / 2] ^= 1;
    let mut other = whole.clone();
    let digit = id.len() - 1;
    let position = whole.windows(id.len()).position(|window| window == id.as_bytes()).expect("its name is in it");
    other[position + digit] = if other[position + digit] == b'0' { b'1' } else { b'0' };
    let gap: Vec<u8> =
        lines.iter().enumerate().filter(|(at, _)| *at != 1).flat_map(|(_, line)| line.to_vec()).collect();
    for (name, bytes, wanted) in [
        ("flipped", flipped, "cannot be trusted"),
        ("with-a-gap", gap, "removed or reordered"),
        ("empty", Vec::new(), "not a journal of a run"),
        ("foreign", b"{\"hello\": 1}\n".to_vec(), "expected a journal record"),
        ("not-text", vec![0xff, 0xfe, b'\n'], "is not text"),
        ("of-another-run", lines[0].to_vec(), ""),
    ] {
        let (bytes, wanted) = if name == "of-another-run" {
            (other[..lines[0].len()].to_vec(), "belongs to run")
        } else {
            (bytes, wanted)
        };
        let before = demo.log().len();
        let state = in_trouble(name, &bytes);
        let ran = with_state(&demo, &state, &resume).expect(4);
        assert!(ran.stderr.contains(wanted), "{name}: {}", ran.all());
        assert_eq!(sent(before), Vec::<String>::new(), "{name}");
        let kept = fs::read(state.join("runs").join(format!("{id}.jsonl"))).expect("there");
        assert_eq!(kept, bytes, "{name}: nobody repairs a journal behind its owner's back");
    }
    let at = demo.room.path("read-only-resume");
    if let Some(mounted) = Mount::new(&at, "size=512k") {
        copied(&demo.room.runs(), &at.join("runs"));
        let again = Command::new("mount").args(["-o", "remount,ro"]).arg(&mounted.0).status().expect("mount is there");
        assert!(again.success());
        let before = demo.log().len();
        let ran = with_state(&demo, &at, &resume).expect(4);
        assert!(ran.stderr.contains("its file system is read-only"), "{}", ran.all());
        assert_eq!(sent(before), Vec::<String>::new());
    }

    // With --local-only such a file is all there is to tell of another run: it keeps a new one out.
    let before = demo.log().len();
    let local: Vec<&str> = run.iter().copied().chain(["--local-only"]).collect();
    let ran = with_state(&demo, &demo.room.path("flipped"), &local).expect(4);
    assert!(ran.stderr.contains("cannot be read") && ran.stderr.contains("--local-only nothing else"), "{}", ran.all());
    assert_eq!(sent(before), Vec::<String>::new());

    // Whole lines are missing at the end: the cluster has more, so this is not the newest copy; it can be fetched.
    let shorter: Vec<u8> = lines[..lines.len() - 1].concat();
    let state = in_trouble("shorter", &shorter);
    let ran = with_state(&demo, &state, &resume).expect(6);
    assert!(ran.stderr.contains("continued from another place"), "{}", ran.all());
    // A copy that cannot be trusted is put aside for the one in the cluster.
    let state = demo.room.path("flipped");
    let ran = with_state(&demo, &state, &["runs", "take-over", &id, "--yes"]).expect(3);
    assert!(ran.all().contains("is kept as"), "{}", ran.all());

    // The disk fills up on the way, again and again, each time a little later.
    let go_on = ["runs", "take-over", &id, "--yes", "--confirm", "basic"];
    let mut kib = whole.len() as u64 / 1024 + 1;
    let (mut stopped, mut ran) = (0, limited(&demo, kib, &go_on));
    while ran.code != 0 {
        stopped += 1;
        assert!([4, 5].contains(&ran.code), "{}", ran.all());
        assert!(
            ran.stderr.contains("nothing more was sent") || ran.stderr.contains("lets no file grow that large"),
            "{}",
            ran.all()
        );
        assert!(stopped < 60, "{}", ran.all());
        kib += 3;
        ran = limited(&demo, kib, &go_on);
    }
    println!("stopped {stopped} times for want of room");
    assert!(stopped >= 3, "only {stopped} stops: the disk was never full");
    let log = demo.log();
    assert_eq!(real_patches(&log), 1, "{:#?}", effects(&log));
    let writes = membership_writes(&log);
    let once: std::collections::BTreeSet<&String> = writes.iter().collect();
    assert_eq!((writes.len(), once.len()), (3, 3), "{writes:?}");
    no_drift(common::database(&demo.status(), "basic"), 3);
}
