//! Twenty-five jobs of whoever is on call, each by its keys from the overview: how many they are, and what is on the screen then.
//!
//! What only a real fleet shows (a shell, a forwarded port, a run to its end) is in `by_hand.rs` and `terminal.rs`.

use crate::fixture::{self, fleet, options, press, scene};
use crate::keys::{place, sent};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tidepilot::app::message::{InputInfo, InputKind, Message, RunbookInfo};
use tidepilot::app::{App, AppOptions};
use tidepilot::console;
use tidepilot::fleet::Change;

fn screen(app: &App, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("infallible");
    terminal.draw(|frame| console::draw(app, frame)).expect("infallible");
    let buffer = terminal.backend().buffer().clone();
    (0..height).map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>() + "\n").collect()
}

/// How many keys a string of them is.
fn count(keys: &str) -> usize {
    let (mut count, mut named) = (0, false);
    for c in keys.chars() {
        match c {
            '<' => named = true,
            '>' if named => {
                named = false;
                count += 1;
            }
            _ if named => {}
            _ => count += 1,
        }
    }
    count
}

pub fn on_call(options: AppOptions) -> App {
    on_call_with(options, fleet())
}

/// The same with another fleet.
pub fn on_call_with(options: AppOptions, changes: Vec<Change>) -> App {
    let input = |name: &str, kind, required| InputInfo {
        name: name.into(),
        prompt: name.into(),
        kind,
        required,
        default: (!required).then(String::new),
        propose: false,
    };
    let runbook = |id: &str, inputs| RunbookInfo {
        id: id.into(),
        title: id.into(),
        experimental: false,
        summary: id.into(),
        inputs,
    };
    let components = InputKind::Choice(["pd", "tikv", "tidb"].map(str::to_owned).to_vec());
    let mut all = fixture::runbooks();
    let of = || input("tidbCluster", InputKind::TidbCluster, true);
    all.push(runbook("transfer-pd-leader", vec![of(), input("pod", InputKind::Text, true)]));
    let part = input("component", components, true);
    all.push(runbook("restart-component", vec![of(), part, input("pod", InputKind::Text, false)]));
    let mut app = App::new(options);
    for change in changes {
        app.update(Message::Fleet(change), fixture::now());
    }
    app.update(Message::Runs(fixture::runs()), fixture::now());
    app.update(Message::Runbooks(all), fixture::now());
    app
}

/// The job, its keys, how many they are, where they lead, what leaves, and what is on the screen.
type Job = (&'static str, &'static str, usize, &'static str, &'static str, &'static [&'static str]);

const JOBS: &[Job] = &[
    ("1 find the pod that is ill", "", 0, "overview", "", &["tikv-1", "✖ CrashLoopBackOff"]),
    ("1b faults only", "<ctrl-z>", 1, "overview faults", "", &["<faults only>"]),
    ("2 its log", "jjjl", 4, "logs", "", &["east/db/basic-tikv-1"]),
    ("2b the log of the run before", "jjjp", 4, "logs", "", &["the run before"]),
    ("2c its warnings and errors", "jjjl<ctrl-z>", 5, "logs", "", &["warnings and errors only"]),
    ("3 its events", "jjje", 4, "events", "", &["events"]),
    ("4 describe", "jjjd", 4, "pod east/db/basic-tikv-1", "", &["CrashLoopBackOff, 7 restarts", "conditions"]),
    ("5 YAML", "jjjy", 4, "YAML", "", &["Pod east/db/basic-tikv-1"]),
    ("6 a shell", "jjjS", 4, "overview [type: ]", "", &["type exactly east/db/basic-tikv-1"]),
    ("7 restart the ill pod", "jjjr<enter>", 5, "inputs", "", &["restart-component", "tikv", "basic-tikv-1"]),
    (
        "7b one pod or all, told apart",
        "jr",
        2,
        "runbooks",
        "",
        &["this pod alone: basic-pd-1", "every pd pod of east/db/basic"],
    ),
    ("8 filter", ":pods<enter>/crash<enter>", 13, "pods /crash", "", &["basic-tikv-1", "(13)[1]"]),
    ("9 sort", ":po<enter>sssss<enter>", 10, "pods", "", &["sorted by RESTARTS"]),
    ("10 one cluster", "2", 1, "overview <north>", "", &["<only north>"]),
    ("10b one namespace", ":ns shop<enter>", 9, "overview ns shop", "", &["<ns shop>", "shop/orders"]),
    ("11 copy a name", "c<enter>", 2, "overview", "copy basic-pd-0", &[]),
    ("12 port-forward", "F<enter>", 2, "overview", "forward east/db/basic-pd-0 2379", &[]),
    ("13 PD's leader", "", 0, "overview", "", &["pd-0", "★ leader"]),
    ("14 hand PD's lead on", "jr<enter>", 3, "inputs", "", &["transfer-pd-leader", "east/db/basic", "basic-pd-1"]),
    ("15 which store is down", "", 0, "overview", "", &["Disconnected"]),
    (
        "15b its regions, and since when",
        ":sto<enter>j<enter>",
        7,
        "store 4",
        "count regions",
        &["Disconnected", "region peers", "1,188 regions have a peer on this store"],
    ),
    ("16 when certificates end", "t", 1, "certificates", "look closer", &["certificates"]),
    ("17 what changed lately", ":ev<enter>", 4, "events", "", &["events"]),
    ("18 compare two TidbClusters", ":tc<enter>D", 5, "difference", "", &["difference"]),
    ("19 the runbook for a problem", "!r", 2, "runbooks", "look closer", &["RUNBOOK"]),
    (
        "20 start it",
        "jjjr<enter><enter>",
        6,
        "plan",
        "plan restart-component component=tikv pod=basic-tikv-1 tidbCluster=east/db/basic",
        &[],
    ),
    ("21 go back", "jjjd<esc>", 5, "overview", "", &["overview"]),
    (
        "21b take up a run that was left",
        "R<enter><enter>",
        3,
        "run 20261120-115002-7f3a [ask: not yet]",
        "list",
        &["Resume"],
    ),
    ("23 who else runs something", "R", 1, "runs", "list", &["20261120-115002-7f3a"]),
    ("24 a report for the ticket", "!<ctrl-s>", 2, "problems", "look closer; save", &[]),
    ("25 help", "?", 1, "overview [help]", "", &["keys that work here"]),
    ("25b quit", ":q<enter>", 3, "overview", "quit", &[]),
    ("25c read-only from now on", ":reado<enter>", 7, "overview", "seal", &["READ-ONLY"]),
];

#[test]
fn each_job_of_a_night_is_a_few_keys() {
    for (job, keys, number, wanted_place, wanted_sent, wanted) in JOBS {
        let mut app = on_call(options());
        app.resize(120, 36);
        let effects = press(&mut app, keys);
        assert_eq!(place(&app), *wanted_place, "{job}: {keys}");
        assert_eq!(sent(&effects), *wanted_sent, "{job}: {keys}");
        assert_eq!(count(keys), *number, "{job}: {keys}");
        let text = screen(&app, 120, 36);
        for wanted in *wanted {
            assert!(text.contains(wanted), "{job}: {keys} does not show {wanted:?}:\n{text}");
        }
    }
}

/// The same jobs in the smallest terminal that has room for all: the place is reached there too.
#[test]
fn each_job_works_in_a_small_terminal() {
    for (job, keys, _, wanted_place, _, _) in JOBS {
        let mut app = on_call(options());
        app.resize(80, 24);
        press(&mut app, keys);
        assert_eq!(place(&app), *wanted_place, "{job}: {keys}");
        screen(&app, 80, 24);
    }
}

/// Jobs that change something change nothing in a read-only session, and say so.
#[test]
fn read_only_does_none_of_the_jobs_that_change_something() {
    for (job, keys, ..) in JOBS {
        let mut app = on_call(AppOptions { read_only: true, ..options() });
        let effects = press(&mut app, &format!("{keys}<enter>y<enter>east/db/basic-tikv-1<enter>"));
        assert!(effects.iter().all(crate::random_keys::only_reads), "{job}: {}", sent(&effects));
    }
}

#[test]
fn what_is_ill_is_restarted_first_and_what_is_well_alone_or_with_its_like() {
    let first = |keys: &str| {
        let mut app = on_call(options());
        press(&mut app, keys);
        app.runbooks_for_cursor().first().cloned().unwrap_or_default()
    };
    assert_eq!(first("jjj"), "restart-component");
    assert_eq!(first("j"), "transfer-pd-leader");
    // A pod that is well is restarted alone or with its component, as the row says that was taken.
    for (keys, pod) in [("jjr/restart<enter><enter>", Some("basic-tikv-0")), ("jjr/restart<enter>j<enter>", None)] {
        let mut app = on_call(options());
        press(&mut app, keys);
        let form = app.form.as_ref().expect("a form");
        assert_eq!(form.inputs().get("component").map(String::as_str), Some("tikv"));
        assert_eq!(form.inputs().get("pod").map(String::as_str), pod, "{keys}");
    }
}

#[test]
fn the_logs_events_and_yaml_of_the_jobs_are_there() {
    let shown = |name: &str| {
        let mut app = scene(name, options());
        app.resize(120, 36);
        screen(&app, 120, 36)
    };
    assert!(shown("logs").contains("listening on addr"));
    assert!(shown("events").contains("BackOff"));
    assert!(shown("yaml").contains("clusterDomain: east.example.com"));
    assert!(shown("difference").contains("v8.5.3"));
}
