//! Terminals that go away, take nothing, or can do nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::pty::Terminal;
use crate::common::{BINARY, Demo, LONG, Room, eventually, finish};

/// The binary in a terminal of its own inside of ours, held by `script`: killing that one closes it as a lost ssh does.
struct Vanishing {
    outer: Terminal,
    code: PathBuf,
}

impl Vanishing {
    fn start(room: &Room, arguments: &[String]) -> Self {
        let code = room.path("exit-code");
        let quoted: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
        // The shell hands the hangup on to its job, as a login shell does, and outlives it to note how that ended.
        let line = format!(
            "trap 'kill -HUP $P' HUP; stty rows 40 cols 140; '{BINARY}' {} </dev/tty & P=$!; wait $P; c=$?; \
             while kill -0 $P 2>/dev/null; do wait $P; c=$?; done; echo $c > '{}'",
            quoted.join(" "),
            code.display()
        );
        let outer = Terminal::start_program("script", room, &["-q", "-c", &line, "/dev/null"], &[], 40, 140);
        Self { outer, code }
    }

    /// The exit code of the program whose terminal has just gone.
    fn vanish(self) -> i32 {
        self.outer.signal("KILL");
        eventually("an end without a terminal", Duration::from_secs(30), || {
            std::fs::read_to_string(&self.code).ok()?.trim().parse().ok()
        })
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn has_script() -> bool {
    let there = Command::new("script").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = there.is_ok_and(|status| status.success());
    assert!(there || std::env::var_os("CI").is_none(), "script (util-linux) is needed here");
    there
}

#[test]
fn a_console_whose_terminal_vanishes_ends() {
    if !has_script() {
        return;
    }
    let room = Room::new();
    let mut terminal = Vanishing::start(&room, &words(&["demo"]));
    terminal.outer.shows(&["east", "west", "legacy", "PD 3/3"]);
    let code = terminal.vanish();
    // 134 is SIGABRT, 101 a panic.
    assert!(code < 100, "ended with {code}");
}

/// Nothing is held any more: another one from elsewhere takes the run over at once, and it is known as paused.
fn released_and_paused(demo: &Demo, run: &str) {
    let records = demo.room.records(run);
    let last = records.last().expect("records");
    assert_eq!(last["record"], "paused", "{last:#}");
    let listed = demo.run(&["runs", "list"]).expect(0).stdout;
    assert!(listed.contains(run), "{listed}");
    let next = demo.run(&["runs", "abandon", run, "--reason", "the terminal is gone", "--yes"]);
    assert!(next.code != 6, "the lease is still held: {}", next.all());
}

fn slow_run(demo: &Demo) -> Vec<String> {
    let kubeconfig = demo.kubeconfig.display().to_string();
    let set = ["--set", "tidbCluster=legacy/pingcap/basic", "--set", "component=tikv"];
    let mut all =
        words(&["run", "restart-component", "--yes", "--confirm", "legacy/pingcap/basic", "--kubeconfig", &kubeconfig]);
    all.extend(words(&set));
    all
}

#[test]
fn a_headless_run_whose_terminal_vanishes_is_paused_and_lets_go() {
    if !has_script() {
        return;
    }
    let demo = Demo::start("default", 1);
    let terminal = Vanishing::start(&demo.room, &slow_run(&demo));
    let run = eventually("a run that has sent something", LONG, || {
        let run = demo.room.journals().pop()?;
        let sent = crate::common::real_patches(&demo.log()) > 0;
        sent.then_some(run)
    });
    let code = terminal.vanish();
    assert!(code < 100, "ended with {code}");
    released_and_paused(&demo, &run);
}

#[test]
fn a_run_of_the_console_whose_terminal_vanishes_is_paused_and_lets_go() {
    if !has_script() {
        return;
    }
    let demo = Demo::start("default", 1);
    let kubeconfig = demo.kubeconfig.display().to_string();
    let mut terminal = Vanishing::start(&demo.room, &words(&["--kubeconfig", &kubeconfig]));
    let outer = &mut terminal.outer;
    outer.shows(&["east", "west", "legacy", "PD 3/3"]);
    outer.keys("r");
    outer.shows(&["restart-component"]);
    outer.keys("/restart-component\r\r");
    // The row under the cursor, a PD pod, has filled the form: another component, and all of it.
    outer.shows(&["tidbCluster", "legacy/pingcap/basic", "restartedAt"]);
    outer.keys("\x1b[A\x1b[A\x15tikv\r\x15\r\r");
    outer.shows(&["to send"]);
    outer.keys("\r");
    outer.shows(&["will be sent"]);
    outer.keys("y");
    outer.shows(&["Type legacy/pingcap/basic"]);
    outer.keys("legacy/pingcap/basic\r");
    let run = eventually("a run that has sent something", LONG, || {
        let run = demo.room.journals().pop()?;
        (crate::common::real_patches(&demo.log()) > 0).then_some(run)
    });
    let code = terminal.vanish();
    assert!(code < 100, "ended with {code}");
    released_and_paused(&demo, &run);
}

#[test]
fn quitting_by_signal_gives_the_terminal_back() {
    let room = Room::new();
    let mut terminal = Terminal::start(&room, &["demo"], &[], 24, 80);
    terminal.shows(&["east", "west", "legacy", "PD 3/3"]);
    terminal.signal("QUIT");
    assert_eq!(terminal.ended(), 0);
    terminal.restored();
    assert!(!terminal.raw().contains("panicked"));
}

#[test]
fn a_dumb_terminal_is_told_what_prints_lines() {
    let room = Room::new();
    let mut terminal = Terminal::start(&room, &["demo"], &[("TERM", "dumb")], 24, 80);
    assert_ne!(terminal.ended(), 0);
    let raw = terminal.raw();
    assert!(raw.contains("TERM is \"dumb\"") && raw.contains("tidepilot status") && !raw.contains('\x1b'), "{raw:?}");
}

/// The first of what the menu offers.
fn copy(terminal: &mut Terminal) {
    terminal.keys("c");
    terminal.shows(&["full name"]);
    terminal.keys("\r");
}

#[test]
fn a_copy_says_what_was_done_with_it() {
    let room = Room::new();
    let mut terminal = Terminal::start(&room, &["demo"], &[("TMUX", "")], 24, 120);
    terminal.shows(&["east", "west", "legacy", "PD 3/3"]);
    copy(&mut terminal);
    terminal.shows(&["sent to the terminal's clipboard (OSC 52)"]);
    assert!(terminal.raw().contains("\x1b]52;c;"), "nothing was sent");
    terminal.keys(":q\r");
    terminal.ended();
    // In a tmux that is not there nothing is copied, and nothing is said to be.
    let mut terminal = Terminal::start(&room, &["demo"], &[("TMUX", "/nonexistent/tmux,1,0")], 24, 120);
    terminal.shows(&["east", "west", "legacy", "PD 3/3"]);
    copy(&mut terminal);
    terminal.shows(&["nothing was copied: tmux did not take it"]);
    assert!(!terminal.raw().contains("\x1b]52;c;"), "tmux would have dropped it");
    terminal.keys(":q\r");
    terminal.ended();
}

#[test]
fn inside_tmux_its_own_buffer_is_filled() {
    let tmux = |socket: &str, arguments: &[&str]| {
        let mut command = Command::new("tmux");
        command.args(["-L", socket, "-f", "/dev/null"]).args(arguments).env_remove("TMUX");
        command.output()
    };
    let socket = format!("tidepilot-{}", std::process::id());
    let room = Room::new();
    let mut line: Vec<String> =
        room.environment().iter().map(|(name, value)| format!("{name}='{}'", value.display())).collect();
    line.push(format!("TIDEPILOT_STATE='{}' '{BINARY}' demo", room.path("state").display()));
    let line = line.join(" ");
    let started = tmux(&socket, &["new-session", "-d", "-x", "120", "-y", "30", &line]);
    if !started.is_ok_and(|ran| ran.status.success()) {
        eprintln!("tmux cannot be started here: not tested");
        return;
    }
    let seen = |wanted: &str| {
        let screen = tmux(&socket, &["capture-pane", "-p"]).ok()?;
        String::from_utf8_lossy(&screen.stdout).contains(wanted).then_some(())
    };
    eventually("the fleet", LONG, || seen("PD 3/3"));
    tmux(&socket, &["send-keys", "c"]).expect("tmux");
    eventually("what can be copied", LONG, || seen("full name"));
    tmux(&socket, &["send-keys", "Enter"]).expect("tmux");
    eventually("what was done", LONG, || seen("in tmux's buffer"));
    let buffer = tmux(&socket, &["show-buffer"]).expect("tmux").stdout;
    tmux(&socket, &["kill-server"]).expect("tmux");
    let buffer = String::from_utf8_lossy(&buffer).into_owned();
    assert!(buffer.contains("basic") && !buffer.contains('\n'), "{buffer:?}");
}

/// Every command that prints, in every output format, onto a disk that is full: an error, never "all well".
#[test]
fn what_cannot_be_printed_is_an_error() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
    let demo = Demo::start("default", 50);
    let room = &demo.room;
    let file = write(room, "x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n");
    let set = ["--set", "tidbCluster=legacy/pingcap/basic", "--set", "pod=basic-pd-1"];
    demo.run(&[&["run", "transfer-pd-leader", "--yes"][..], &set].concat());
    let run = demo.room.journals().pop().expect("a run");
    let mut all: Vec<Vec<&str>> = vec![
        vec!["--version"],
        vec!["--help"],
        vec!["diagnose"],
        vec!["runbook", "list"],
        vec!["runbook", "show", "transfer-pd-leader"],
        vec!["runbook", "schema"],
        vec!["runbook", "new", "mine"],
        vec!["check", "--catalogue"],
        vec!["runs", "list"],
        vec!["runs", "verify", &run],
        vec!["runs", "report", &run],
        vec!["runs", "remaining", &run],
        vec!["demo", "--list"],
    ];
    for output in ["table", "json"] {
        all.push(vec!["status", "-o", output]);
        all.push(vec!["check", "-o", output]);
        all.push(vec!["check", "-o", output, "--file", &file]);
    }
    all.push(vec!["check", "-o", "sarif"]);
    for output in ["text", "json", "markdown"] {
        all.push([&["plan", "transfer-pd-leader", "-o", output][..], &set].concat());
    }
    for output in ["text", "json"] {
        all.push([&["run", "transfer-pd-leader", "--dry-run", "-o", output][..], &set].concat());
        all.push(vec!["runs", "show", &run, "-o", output]);
    }
    let mut wrong = Vec::new();
    for arguments in all {
        let mut command = demo.command(&arguments);
        command.stdout(full.try_clone().expect("a handle"));
        let ran = finish(command.spawn().expect("starts"), LONG);
        // A command that does not take these arguments proves nothing here.
        if ran.code == 64 {
            let plain = demo.run(&arguments);
            assert_eq!(plain.code, 64, "{arguments:?}: {}", ran.all());
            continue;
        }
        if ran.code == 0 || !ran.stderr.contains("no space is left") {
            wrong.push(format!("{arguments:?}: {} {}", ran.code, ran.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn write(room: &Room, name: &str, text: &str) -> String {
    let file: &Path = &room.path(name);
    std::fs::write(file, text).expect("written");
    file.display().to_string()
}
