//! The real binary in a pseudo terminal: the first screen, small and changing sizes, and the terminal given back.
//!
//! Screens are read back by an independent emulator. Not here: what each view looks like cell by cell (`screens.rs`).

use crate::common;
use crate::common::pty::{ESC, Terminal};
use crate::common::{Demo, Room};

const SMCUP: &str = "\x1b[?1049h";

#[test]
fn ctrl_c_at_a_question_leaves_the_run_open() {
    let demo = Demo::start("default", 100);
    let kubeconfig = demo.kubeconfig.display().to_string();
    let arguments = [
        "run",
        "migrate-cluster-domain",
        "--set",
        "tidbCluster=legacy/pingcap/basic",
        "--set",
        "clusterDomain=cluster1.com",
        "--yes",
        "--kubeconfig",
        &kubeconfig,
    ];
    let mut terminal = Terminal::start(&demo.room, &arguments, &[], 24, 100);
    // Which one of several clusters of that name.
    terminal.shows(&["Type legacy/pingcap/basic to go on."]);
    terminal.keys("ba\x03");
    assert_eq!(terminal.ended(), 3);
    assert_eq!(demo.room.journals().len(), 1);
    assert_eq!(common::real_patches(&demo.log()), 0);
}

#[test]
fn no_at_the_first_question_leaves_no_open_run() {
    let demo = Demo::start("default", 100);
    let kubeconfig = demo.kubeconfig.display().to_string();
    let migrate = [
        "run",
        "migrate-cluster-domain",
        "--set",
        "tidbCluster=legacy/pingcap/basic",
        "--set",
        "clusterDomain=cluster1.com",
        "--kubeconfig",
        &kubeconfig,
    ];
    let transfer = [
        "run",
        "transfer-pd-leader",
        "--set",
        "tidbCluster=legacy/pingcap/basic",
        "--set",
        "pod=basic-pd-1",
        "--kubeconfig",
        &kubeconfig,
    ];
    let open = || {
        let listed = demo.run(&["runs", "list", "-o", "json"]).json()["runs"].take();
        listed.as_array().expect("a list").iter().filter(|run| run["open"] == true).count()
    };
    for (arguments, question, keys, code, left) in [
        (&migrate[..], "to go on.", "no\r", 4, 0),
        (&transfer[..], "[y/n", "n\r", 4, 0),
        (&transfer[..], "[y/n", "NO\r", 4, 0),
        // No answer is none.
        (&transfer[..], "[y/n", "\r", 3, 1),
    ] {
        let mut terminal = Terminal::start(&demo.room, arguments, &[], 24, 100);
        terminal.shows(&[question]);
        terminal.keys(keys);
        let ended = terminal.ended();
        let text = terminal.text();
        assert_eq!(ended, code, "{arguments:?} {keys:?}: {text}");
        assert_eq!(text.contains("nothing was sent: you answered no"), code == 4, "{text}");
        assert_eq!(open(), left, "{arguments:?} {keys:?}");
    }
    assert_eq!(common::real_patches(&demo.log()), 0);
}

/// They are read beside the first rows, and may come after them.
fn runbooks_are_read(terminal: &mut Terminal) {
    terminal.keys(":runbooks\r");
    terminal.shows(&["transfer-pd-leader"]);
    terminal.keys(ESC);
}

#[test]
fn n_at_the_first_question_of_the_console_leaves_no_open_run() {
    let room = Room::new();
    let mut terminal = Terminal::demo(&room, &[], 40, 120);
    runbooks_are_read(&mut terminal);
    terminal.keys(":run transfer-pd-leader\r");
    terminal.shows(&["tidbCluster"]);
    terminal.keys("\x15legacy/pingcap/basic\r\x15basic-pd-1\r");
    terminal.shows(&["to send"]);
    terminal.keys("\r");
    // One change on a plain yes asks once, and says so.
    terminal.shows(&["Not yet", "nothing else asks"]);
    terminal.keys("n");
    terminal.keys(":runs\r");
    terminal.shows(&["No run is known"]);
    terminal.keys(":run migrate-cluster-domain\r");
    terminal.shows(&["tidbCluster"]);
    terminal.keys("\x15legacy/pingcap/basic\r\x15cluster1.com\r");
    terminal.shows(&["to send"]);
    terminal.keys("\r");
    terminal.shows(&["Not yet"]);
    terminal.keys("y");
    terminal.shows(&["type exactly legacy/pingcap/basic"]);
    terminal.keys("no\r");
    terminal.shows(&["you answered no", "abandoned"]);
    terminal.leave();
}

#[test]
fn pd_s_lead_is_handed_over_in_six_keys() {
    let room = Room::new();
    let mut terminal = Terminal::demo(&room, &[], 40, 150);
    let keys = ["j", "r", "\r", "\r", "\r", "y"];
    assert!(keys.len() <= 12);
    // The cursor stands on a PD pod: its TidbCluster and its name are filled in.
    for (at, key) in keys.iter().enumerate() {
        terminal.keys(key);
        let _ = match at {
            1 => terminal.shows(&["transfer-pd-leader"]),
            2 => terminal.shows(&["legacy/pingcap/basic", "basic-pd-1"]),
            3 => terminal.shows(&["to send"]),
            4 => terminal.shows(&["nothing else asks"]),
            _ => String::new(),
        };
    }
    terminal.shows(&["done: 1 step, verified"]);
    terminal.leave();
}

#[test]
fn a_served_demo_takes_its_folder_with_it_when_the_terminal_goes() {
    let room = Room::new();
    let folder = room.path("tmp");
    std::fs::create_dir(&folder).expect("a folder");
    let mut command = room.command(["demo", "--serve"]);
    let mut child = command.env("TMPDIR", &folder).spawn().expect("the binary starts");
    let there = || std::fs::read_dir(&folder).expect("there").count();
    common::eventually("a folder with the kubeconfig", common::LONG, || (there() == 1).then_some(()));
    let out = child.stdout.take().expect("piped");
    let serves = std::io::BufRead::lines(std::io::BufReader::new(out)).map_while(Result::ok);
    assert!(serves.into_iter().any(|line| line.starts_with("serving until")));
    let sent = std::process::Command::new("kill").args(["-HUP", &child.id().to_string()]).status().expect("kill");
    assert!(sent.success() && child.wait().expect("ended").success());
    assert_eq!(there(), 0, "tokens were left behind");
}

#[test]
fn findings_are_looked_for_when_they_are_shown() {
    let room = Room::new();
    let mut terminal = Terminal::demo(&room, &[], 24, 80);
    terminal.keys("f");
    // What the watch does not bring is read then, and only then is nothing found and nothing hidden.
    terminal.shows(&["problems", "Nothing is found, and nothing is hidden", "is this one cluster? basic"]);
    terminal.keys("]");
    terminal.shows(&["is this one cluster? prod-east", "7 holds"]);
    terminal.screenshot("findings-80x24");
    terminal.leave();
}

#[test]
fn the_demo_opens_on_the_overview() {
    for (rows, cols) in [(24, 80), (50, 200)] {
        let room = Room::new();
        let mut terminal = Terminal::demo(&room, &[], rows, cols);
        let text = terminal.shows(&["overview", "tolerates 1", "pingcap/basic", "★ leader", "tikv-2"]);
        terminal.screenshot(&format!("overview-{cols}x{rows}"));
        assert!(text.to_lowercase().contains("demo") || text.to_lowercase().contains("simulat"), "{text}");
        // The other Database, side by side over two KubeClusters.
        terminal.keys("]");
        terminal.shows(&["losing cluster east: no quorum", "prod/prod-east", "prod/prod-west"]);
        terminal.screenshot(&format!("two-clusters-{cols}x{rows}"));
        terminal.keys(":pd\r");
        terminal.shows(&["prod-west-pd-0", "prod-east-pd-1"]);
        terminal.screenshot(&format!("members-{cols}x{rows}"));
        terminal.keys("?");
        terminal.shows(&["filter", "runbooks"]);
        terminal.leave();
        assert!(room.journals().is_empty(), "a demo left a run in the real state folder");
    }
}

#[test]
fn the_migration_by_keys() {
    let room = Room::new();
    let mut terminal = Terminal::start(&room, &["demo", "--speed", "50"], &[], 40, 140);
    terminal.shows(&["east", "west", "legacy", "PD 3/3"]);
    terminal.keys("r");
    terminal.shows(&["migrate-cluster-domain"]);
    terminal.keys("/migrate\r");
    terminal.shows(&["leader last"]);
    terminal.keys("\r");
    terminal.shows(&["tidbCluster", "Which TidbCluster is to be opened?"]);
    // The first field is filled with what the cursor was on; the arrow goes back to it.
    terminal.keys("\x1b[A\x1b[A");
    terminal.keys("\x15legacy/pingcap/basic\r");
    terminal.keys("\x15cluster1.com");
    terminal.screenshot("migration-1-inputs");
    terminal.keys("\r");
    terminal.shows(&["4 changes to send", " passed"]);
    terminal.screenshot("migration-2-plan");
    // Every request is on the card of its step, from the patch down to the last member.
    for wanted in ["PATCH legacy /apis/pingcap.com", "PUT legacy pod pingcap/basic-pd"] {
        terminal.keys("g");
        let mut pages = 0;
        while !terminal.text().contains(wanted) {
            pages += 1;
            assert!(pages < 20, "{wanted} is on no card\n{}", terminal.text());
            terminal.keys("j");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
    terminal.keys("\r");
    terminal.shows(&["4 changes will be sent"]);
    terminal.keys("y");
    // The step with no rollback takes nothing but the object's name.
    terminal.shows(&["Type legacy/pingcap/basic"]);
    terminal.screenshot("migration-3-gate");
    terminal.keys("basik\r");
    terminal.shows(&["Type legacy/pingcap/basic"]);
    terminal.keys("\x15legacy/pingcap/basic\r");
    terminal.shows(&["go on?"]);
    terminal.screenshot("migration-4-members");
    terminal.keys("y");
    terminal.shows(&["done: 9 steps, each verified"]);
    terminal.screenshot("migration-5-result");
    terminal.keys(":q\r");
    assert_eq!(terminal.ended(), 0);
    terminal.restored();
}

#[test]
fn without_a_kubeconfig_the_terminal_is_left_alone() {
    let room = Room::new();
    let mut terminal = Terminal::start(&room, &[], &[], 24, 80);
    assert_eq!(terminal.ended(), 64);
    let raw = terminal.raw();
    assert!(raw.contains("kubeconfig") && !raw.contains("panicked"), "{raw}");
    assert!(!raw.contains('\x1b'), "the terminal was touched: {raw:?}");
}

#[test]
fn dead_and_hanging_clusters_are_columns_of_their_own() {
    let fleet = Demo::start("unreachable", 20);
    let kubeconfig = fleet.kubeconfig.to_str().expect("a plain path");
    let mut terminal = Terminal::start(&fleet.room, &["--kubeconfig", kubeconfig], &[], 24, 100);
    // The first frame does not wait for any of them, and the live one is live whatever the others do.
    terminal.shows(&["east", "west", "legacy"]);
    terminal.shows(&["east ● live", "prod/prod-east", "unreachable"]);
    terminal.keys(":ctx\r");
    terminal.until("both of them unreachable", |text| text.matches("unreachable").count() >= 2);
    terminal.screenshot("unreachable");
    terminal.keys(":q\r");
    assert_eq!(terminal.ended(), 0);
    terminal.restored();
}

/// Keys that are there already share a frame, and lead where each alone would.
#[test]
fn keys_that_wait_are_drawn_together() {
    let frames = |terminal: &Terminal| terminal.raw().matches("\x1b[?2026h").count();
    let room = Room::new();
    let mut terminal = Terminal::demo(&room, &[], 40, 120);
    let before = frames(&terminal);
    terminal.keys(&format!("{}{}", "jk".repeat(300), "j"));
    terminal.settle("stillhere");
    let drawn = frames(&terminal) - before;
    assert!(drawn < 300, "{drawn} frames for 601 keys");
    let text = terminal.text();
    let under = text.lines().find(|line| line.starts_with('▌')).unwrap_or_default();
    assert!(under.contains("pd-1"), "{text}");
    terminal.leave();
}

#[test]
fn any_size_down_to_one_cell() {
    let room = Room::new();
    let mut terminal = Terminal::demo(&room, &[], 24, 80);
    for (rows, cols) in [(10, 40), (5, 20), (2, 5), (1, 1), (1, 200), (60, 1), (1, 1)] {
        terminal.resize(rows, cols);
        // A key in between is handled, whatever there is to see.
        terminal.keys("jk");
        assert!(terminal.alive(), "ended at {cols}×{rows}");
    }
    terminal.resize(24, 80);
    terminal.shows(&["overview", "PD 3/3", "pingcap/basic", "tikv-2"]);
    terminal.resize(50, 200);
    terminal.shows(&["overview", "PD 3/3", "pingcap/basic", "tikv-2"]);
    terminal.keys(":q\r");
    assert_eq!(terminal.ended(), 0);
    terminal.restored();
}

#[test]
fn signals_give_the_terminal_back() {
    for signal in ["TERM", "HUP", "INT"] {
        let room = Room::new();
        let mut terminal = Terminal::demo(&room, &[], 24, 80);
        assert!(terminal.screen(|screen| screen.alternate_screen() && screen.hide_cursor()));
        terminal.signal(signal);
        terminal.ended();
        terminal.restored();
        assert!(!terminal.raw().contains("panicked"), "{}", terminal.raw());
    }
}

#[test]
fn only_the_palette_and_ctrl_c_quit() {
    let room = Room::new();
    let mut terminal = Terminal::demo(&room, &[], 24, 80);
    assert!(terminal.raw().contains(SMCUP));
    terminal.keys(&format!("q{ESC}q{ESC}{ESC}qqq"));
    // A bare escape byte, as most terminals send it, is the same.
    for _ in 0..3 {
        terminal.keys("\x1b");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    terminal.settle("stillhere");
    terminal.shows(&["overview", "PD 3/3"]);
    assert!(terminal.alive());
    terminal.keys(":q\r");
    assert_eq!(terminal.ended(), 0);
    terminal.restored();

    let mut terminal = Terminal::demo(&room, &[], 24, 80);
    terminal.keys("\x03");
    assert_eq!(terminal.ended(), 0);
    terminal.restored();
}

#[test]
fn no_color_is_no_colour() {
    let coloured = |terminal: &Terminal| {
        terminal.screen(|screen| {
            let (rows, cols) = screen.size();
            let cells = (0..rows.get()).flat_map(|row| (0..cols.get()).map(move |col| (row, col)));
            cells
                .filter_map(|(row, col)| screen.cell(row, col))
                .filter(|cell| cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default)
                .count()
        })
    };
    let room = Room::new();
    let plain = Terminal::demo(&room, &[("NO_COLOR", "1")], 24, 80);
    assert_eq!(coloured(&plain), 0);
    plain.screenshot("no-color");
    let colour = Terminal::demo(&room, &[], 24, 80);
    assert!(coloured(&colour) > 0, "nothing is coloured, so the test above proves nothing");
    // An empty value is no wish (no-color.org).
    let empty = Terminal::demo(&room, &[("NO_COLOR", "")], 24, 80);
    assert!(coloured(&empty) > 0);
}

#[test]
fn ascii_is_ascii() {
    let room = Room::new();
    for (arguments, extra) in [(&["demo", "--ascii"][..], &[][..]), (&["demo"], &[("LANG", "C")])] {
        let mut terminal = Terminal::start(&room, arguments, extra, 24, 80);
        let text = terminal.shows(&["east", "west", "legacy", "PD 3/3"]);
        assert!(text.is_ascii(), "{text}");
    }
}

#[test]
fn a_run_opened_in_chinese_is_read_in_english_and_the_reverse() {
    for (opened, reads, wanted, unwanted) in [
        ("zh", "en", "Open an existing TidbCluster for other Kubernetes clusters", "集群"),
        ("en", "zh", "TidbCluster", "Open an existing TidbCluster"),
    ] {
        let demo = Demo::start("default", 20);
        let kubeconfig = demo.kubeconfig.display().to_string();
        let (tc, domain) = ("tidbCluster=legacy/pingcap/basic", "clusterDomain=cluster1.com");
        demo.run(&["run", "migrate-cluster-domain", "--set", tc, "--set", domain, "--yes", "--lang", opened]).expect(3);
        let run = demo.room.journals().pop().expect("an open run");
        let console = ["--kubeconfig", &kubeconfig, "--lang", reads];
        let mut terminal = Terminal::start(&demo.room, &console, &[], 40, 160);
        terminal.shows(&["PD 3/3"]);
        terminal.keys(":runs\r");
        terminal.shows(&[&run]);
        // Its page, what can be chosen, and on with it: the plan as it was recorded, in the language of who reads.
        terminal.keys("\r");
        terminal.shows(&["what now"]);
        terminal.keys("\r");
        terminal.shows(&["what now?"]);
        terminal.keys("\r");
        terminal.shows(&["Resume (y)"]);
        terminal.keys("y");
        terminal.shows(&["waits for you", wanted]);
        let text = terminal.text();
        assert!(!text.contains(unwanted), "opened in {opened}, read in {reads}:\n{text}");
        terminal.screenshot(&format!("recorded-in-{opened}"));
        // One question says what becomes of the run, and one key answers it.
        terminal.keys(&format!("{ESC}:q\r"));
        terminal.shows(&["Pause and leave", &format!("tidepilot runs resume {run}")]);
        terminal.keys("y");
        assert_eq!(terminal.ended(), 0);
    }
}
