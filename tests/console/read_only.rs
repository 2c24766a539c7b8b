//! Read-only means that nothing leaves which could change anything: every subcommand and every key of every view,
//! against a fleet that records each request.
//!
//! The judge is `common::effect`, which knows nothing of the product's own gate. Not here: the gate's unit tests.

use crate::common;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::pty::{ESC, Terminal};
use crate::common::{Demo, effects};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tidepilot::app::View;
use tidepilot::app::keymap::{Command, KEYMAP, Scope, lookup, parse};
use tidepilot::app::palette::{Target, entries};

const BASIC: &str = "tidbCluster=legacy/pingcap/basic";
const DOMAIN: &str = "clusterDomain=cluster1.com";
const ID: &str = "migrate-cluster-domain";

/// A fleet with an open run in its room, and how many requests had arrived by then.
pub fn fleet() -> (Demo, String, usize) {
    let demo = Demo::start("default", 20);
    demo.run(&["run", ID, "--set", BASIC, "--set", DOMAIN, "--yes"]).expect(3);
    let log = demo.log();
    // The judge has to see what an armed run sends, or it would see nothing below either.
    let sent = effects(&log);
    assert!(sent.iter().any(|line| line.contains("PATCH")), "no dry run among {sent:?}");
    assert!(sent.iter().any(|line| line.contains("/exec")), "no look at a resolv.conf among {sent:?}");
    let run = demo.room.journals().pop().expect("an open run");
    (demo, run, log.len())
}

/// Waits until the last requests have been written down, and judges all since `from`.
#[track_caller]
pub fn nothing_since(demo: &Demo, from: usize) {
    let mut size = usize::MAX;
    let log = common::eventually("a quiet log", Duration::from_secs(10), || {
        let log = demo.log();
        let quiet = log.len() == size;
        size = log.len();
        std::thread::sleep(Duration::from_millis(50));
        quiet.then_some(log)
    });
    let sent = effects(&log[from..]);
    assert!(sent.is_empty(), "sent though read-only:\n{}", sent.join("\n"));
}

#[test]
fn every_subcommand() {
    let (demo, run, from) = fleet();
    let resume = ["runs", "resume", run.as_str(), "--yes", "--confirm", "basic", "--read-only"];
    let cases: [(&[&str], i32); 13] = [
        (&["status", "--read-only"], 0),
        (&["check", "--read-only"], 0),
        (&["--read-only", "status", "-o", "wide"], 0),
        (&["status", "-o", "json", "--read-only"], 0),
        (&["plan", ID, "--set", BASIC, "--set", DOMAIN, "--read-only"], 4),
        (&["plan", ID, "--set", BASIC, "--read-only"], 2),
        (&["plan", ID, "--set", BASIC, "--set", "clusterDomain=wrong.com", "--read-only"], 4),
        (&["run", ID, "--set", BASIC, "--set", DOMAIN, "--yes", "--confirm", "basic", "--read-only"], 4),
        (&["run", ID, "--set", BASIC, "--set", DOMAIN, "--dry-run", "--read-only"], 4),
        (&resume, 4),
        (&["runs", "list", "--read-only"], 0),
        (&["runs", "show", run.as_str(), "--read-only"], 0),
        (&["runbook", "list", "--read-only"], 0),
    ];
    for (arguments, code) in cases {
        let before = demo.log().len();
        let ran = demo.run(arguments);
        // A plan may judge the domain from the CoreDNS ConfigMap or not know it; both are answers.
        let planned = arguments[0] == "plan" && [2, 4].contains(&ran.code);
        assert!(ran.code == code || planned, "{arguments:?}: exit {}\n{}", ran.code, ran.all());
        // `runs list` reads the open runs of others, and a resume looks before it is refused.
        let local = matches!(arguments, ["run" | "runbook", ..] | ["runs", "show", ..]);
        if local {
            assert_eq!(demo.log().len(), before, "{arguments:?} asked the fleet");
        }
        if arguments[0] == "run" {
            assert!(ran.stderr.contains("read-only"), "{}", ran.all());
        }
    }
    assert_eq!(demo.room.journals(), [run], "a read-only command opened a run");
    assert!(demo.log().len() > from, "nothing was asked, so nothing was tested");
    nothing_since(&demo, from);
}

#[test]
fn the_environment_and_the_config_file_count_too() {
    let (demo, _, from) = fleet();
    let run = ["run", ID, "--set", BASIC, "--set", DOMAIN, "--yes", "--confirm", "basic"];
    let child = demo.command(&run).env("TIDEPILOT_READ_ONLY", "1").spawn().expect("the binary starts");
    let ran = common::finish(child, common::LONG).expect(4);
    assert!(ran.stderr.contains("read-only"), "{}", ran.stderr);
    let folder = demo.room.path("config").join("tidepilot");
    std::fs::create_dir_all(&folder).expect("a writable room");
    for text in ["readOnly: true\n", "contexts:\n  legacy: {readOnly: true}\n"] {
        std::fs::write(folder.join("config.yaml"), text).expect("a writable room");
        demo.run(&run).expect(4);
        demo.run(&["status"]).expect(0);
        demo.run(&["plan", ID, "--set", BASIC, "--set", DOMAIN]);
    }
    nothing_since(&demo, from);
}

/// The bytes that a terminal sends for a key of the keymap.
pub fn bytes(key: &KeyEvent) -> String {
    match key.code {
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => {
            char::from(u8::try_from(c).expect("ASCII") & 0x1f).to_string()
        }
        KeyCode::Char(c) => c.to_string(),
        KeyCode::Enter => "\r".into(),
        KeyCode::Esc => ESC.into(),
        KeyCode::Tab => "\t".into(),
        KeyCode::BackTab => "\x1b[Z".into(),
        KeyCode::Up => "\x1b[A".into(),
        KeyCode::Down => "\x1b[B".into(),
        KeyCode::Right => "\x1b[C".into(),
        KeyCode::Left => "\x1b[D".into(),
        KeyCode::Home => "\x1b[H".into(),
        KeyCode::End => "\x1b[F".into(),
        KeyCode::PageUp => "\x1b[5~".into(),
        KeyCode::PageDown => "\x1b[6~".into(),
        KeyCode::Backspace => "\x7f".into(),
        other => panic!("{other:?} is new in the keymap: say what a terminal sends for it"),
    }
}

/// Every key there is, but `ctrl-c`, which ends the session and is pressed last.
fn keys() -> Vec<KeyEvent> {
    let mut names: Vec<String> =
        KEYMAP.iter().flat_map(|binding| binding.keys).map(|name| (*name).to_owned()).collect();
    names.extend(('!'..='~').map(String::from));
    names.extend(('a'..='z').map(|letter| format!("ctrl-{letter}")));
    names.extend(["enter", "space", "backspace", "home", "end", "pgup", "pgdn"].map(str::to_owned));
    let mut seen = BTreeSet::new();
    names.retain(|name| name != "ctrl-c" && seen.insert(name.clone()));
    let keys: Vec<KeyEvent> = names.iter().filter_map(|name| parse(name)).collect();
    assert_eq!(keys.len(), names.len(), "a name that cannot be read");
    assert!(keys.len() > 120);
    keys
}

/// Title and keys of every page that can be reached without a plan: each view of the palette, and those with an argument as
/// they are opened from a list.
fn pages() -> Vec<(&'static str, String)> {
    let named = entries().filter_map(|entry| match entry.target {
        Target::View(view) => Some((view.title(), format!(":{}\r", entry.names[0]))),
        _ => None,
    });
    let mut all: Vec<(&'static str, String)> = named.collect();
    let with_name: BTreeSet<&str> = all.iter().map(|(title, _)| *title).collect();
    // The others of the table are opened by the form below, or wait for a plan and for somebody's run.
    let later = ["inputs", "plan", "approval"];
    for view in View::ALL {
        assert!(with_name.contains(view.title()) || later.contains(&view.title()), "{} is never opened", view.title());
    }
    let opened = [
        ("logs", ":pods\rl"),
        ("logs", ":pods\rlp"),
        ("logs", ":tc\rl"),
        ("events", ":pods\re"),
        ("YAML", ":pods\ry"),
        ("YAML", ":tc\ry"),
        ("difference", ":tc\r\x1b[6~D"),
        ("detail", ":pods\rd"),
    ];
    all.extend(opened.map(|(title, keys)| (title, keys.to_owned())));
    all
}

#[test]
fn every_key_in_every_view() {
    let (demo, run, from) = fleet();
    let mut console = Terminal::console(&demo, &["--read-only"], 40, 140);
    let header = console.text();
    assert!(header.to_lowercase().contains("read-only"), "the header does not say so:\n{header}");
    console.screenshot("read-only");

    let keys = keys();
    for (number, (title, opener)) in pages().into_iter().enumerate() {
        let home = format!("{ESC}{ESC}{ESC}{ESC}{opener}");
        console.keys(&home);
        console.until(title, |text| text.lines().any(|line| line.contains("──") && line.contains(title)));
        for (count, key) in keys.iter().enumerate() {
            let bound = [Scope::Matrix, Scope::List, Scope::Text, Scope::Run, Scope::Logs]
                .iter()
                .any(|s| lookup(*s, key).is_some());
            console.keys(&bytes(key));
            if bound {
                // Where it led to, what could be taken for consent is pressed as well.
                console.keys(&format!("\ry{home}{}y", bytes(key)));
            }
            if bound || count % 20 == 0 {
                console.keys(&home);
            }
        }
        // The filter, the palette and the help take keys of their own.
        for opener in ["/", ":", "?"].into_iter().filter(|_| number == 0) {
            // Enter in the palette may well mean `quit`, so it is not pressed behind a completion there.
            let enter = |key: &KeyEvent| key.code == KeyCode::Enter || bytes(key) == "\r";
            let typed: String = keys.iter().filter(|key| !enter(key)).map(bytes).collect();
            console.keys(&format!("{home}{opener}{typed}{home}"));
            let accept = if opener == ":" { "" } else { "\r" };
            for key in keys.iter().filter(|key| !matches!(key.code, KeyCode::Char(_)) || enter(key)) {
                console.keys(&format!("{opener}{}{accept}{home}", bytes(key)));
            }
        }
        console.settle(&format!("mark{number}"));
        assert!(console.alive());
        nothing_since(&demo, from);
    }

    // The open run: resume is refused in words.
    console.keys(&format!("{ESC}{ESC}{ESC}:runs\r"));
    console.shows(&[&run]);
    console.keys("\r");
    console.shows(&["what now"]);
    console.keys("\r");
    console.until("a refusal to resume", |text| text.contains("read-only: this session cannot resume"));
    console.keys(&format!("y\r{ESC}"));

    // The form, and the plan that it leads to.
    let form = format!("{ESC}{ESC}{ESC}:run {ID}\r");
    console.keys(&form);
    for key in &keys {
        console.keys(&bytes(key));
        if !matches!(key.code, KeyCode::Char(_)) {
            console.keys(&form);
        }
    }
    console.settle("markform");
    let to_plan = format!("{ESC}{ESC}{ESC}{ESC}:run {ID}\r");
    console.keys(&to_plan);
    console.shows(&["tidbCluster"]);
    console.keys("\x15legacy/pingcap/basic\r");
    console.keys("\r");
    console.until("a plan", |text| text.contains("no rollback from here"));
    console.screenshot("read-only-plan");
    let leaves = |key: &KeyEvent| lookup(Scope::Plan, key).map(|(command, _)| command);
    for key in &keys {
        match leaves(key) {
            Some(Command::Back | Command::Close) => {}
            Some(
                Command::Palette
                | Command::Help
                | Command::Runbooks
                | Command::Runs
                | Command::Findings
                | Command::Certificates
                | Command::Approvals,
            ) => {
                console.keys(&format!("{}{ESC}", bytes(key)));
            }
            _ => console.keys(&format!("{}y", bytes(key))),
        }
    }
    console.keys("\ry\r");
    console.until("still the plan", |text| text.contains("no rollback from here"));
    console.settle("markplan");
    assert!(demo.room.journals() == [run], "a read-only console opened a run");
    assert!(demo.log().len() > from + 50, "the console hardly asked anything");
    nothing_since(&demo, from);

    console.keys("\x03");
    assert_eq!(console.ended(), 0);
    console.restored();
    nothing_since(&demo, from);
}
