//! What somebody who knows k9s stumbles over in the first minutes: values that are cut, lists that are empty or longer than the
//! screen, a filter that stands already, the log of a pod with several containers. One line each.

use crate::counted::frames;
use crate::fixture::{self, asked, options, press, scene, weather};
use crate::keys::{check, place, said};
use crate::questions::{screen_of, shown};
use tidepilot::app::message::Message;
use tidepilot::app::{App, View};

/// What stands beside the table, each line without its border.
fn inspector(text: &str) -> Vec<String> {
    let right = text.lines().filter_map(|line| line.strip_suffix('│')?.rsplit_once('│'));
    right.map(|(_, line)| line.trim().to_owned()).collect()
}

/// With a session's worth of requests: a cursor that moves computes nothing, and a frame lays out what is in sight.
#[test]
fn a_long_list_costs_what_is_in_sight() {
    let mut app = scene("healthy", options());
    let Some(Message::Weather(mut all)) = weather().pop() else { panic!("the fixture tells the weather") };
    all.truncate(1);
    all[0].asked = (0..1_000).map(|at| asked(1_000 - at, "GET", &format!("/api/v1/pods?{at}"), Ok(200), 3)).collect();
    app.update(Message::Weather(all), fixture::now());
    press(&mut app, ":log<enter>");
    frames(&mut app, 1);
    let before = app.counts();
    assert!(app.rows().len() >= 1_000);
    for _ in 0..50 {
        press(&mut app, "jjj");
        frames(&mut app, 1);
    }
    let after = app.counts();
    assert_eq!((after.rows, after.measured), (before.rows, before.measured), "nothing but the cursor is other");
    // Twice what is in sight: once to know how many rows have room, once where the notes of others give way.
    assert!(after.laid_out - before.laid_out <= 50 * 3 * 40, "{after:?} after {before:?}");
}

#[test]
fn no_state_is_cut_at_any_width() {
    for width in (80..=220).step_by(5) {
        for (name, keys, wanted) in [
            ("pods", "", "CrashLoopBackOff"),
            ("stores", "", "Disconnected"),
            ("events", "", "SuccessfulDelete"),
            ("tidbclusters", "", "ready"),
        ] {
            let text = shown(name, keys, (width, 42));
            assert!(text.to_lowercase().contains(&wanted.to_lowercase()), "{name} at {width}: {wanted}\n{text}");
        }
    }
    // What an event is about has its whole name where a screen is as wide as most are.
    for width in [120, 150, 180, 220] {
        let text = shown("events", "", (width, 42));
        assert!(text.contains("StatefulSet/basic-tidb"), "{width}:\n{text}");
    }
}

#[test]
fn the_inspector_loses_no_value() {
    for width in [140, 150, 180, 220] {
        for (name, keys, wanted) in [
            ("members", "jj", "http://basic-pd-0.basic-pd-peer.db.svc⟨.north.example.com⟩:2380"),
            ("members", "jj", "http://basic-pd-0.basic-pd-peer.db.svc.north.example.com:2380"),
            ("stores", "", "1,203"),
            ("stores", "j", "CrashLoopBackOff"),
            ("pods", "jj", "4d2h"),
        ] {
            let lines = inspector(&shown(name, keys, (width, 42)));
            assert!(!lines.iter().any(|line| line.contains('…')), "{name} at {width}: {lines:?}");
            let joined: String = lines.concat().replace(' ', "");
            assert!(joined.contains(wanted), "{name} at {width}: {wanted} in {lines:?}");
        }
    }
    let lines = inspector(&shown("stores", "", (150, 42)));
    assert!(lines.iter().any(|line| line.starts_with("leaders") && line.ends_with("401")), "{lines:?}");
}

#[test]
fn a_list_that_goes_on_says_so() {
    for size in [(80, 24), (120, 36), (150, 42)] {
        let mut app = scene("findings", options());
        let text = screen_of(&mut app, size);
        assert!(text.lines().any(|line| line.contains("↓ ") && line.contains(" more ")), "{size:?}\n{text}");
        press(&mut app, "G");
        let text = screen_of(&mut app, size);
        assert!(!text.contains('↓'), "{size:?}: at the end nothing is below\n{text}");
    }
    let text = shown("pods", "", (80, 12));
    assert!(text.contains("↓ "), "{text}");
    assert!(!shown("pods", "", (80, 24)).contains("↓ "));
}

#[test]
fn a_step_is_named_by_what_it_does() {
    for size in [(60, 30), (80, 24), (150, 42), (220, 60)] {
        let text = shown("run", "", size);
        let title = "Look up the new name of orders-pd-0 from the other PD pods";
        let all = title.split(' ').all(|word| text.contains(word));
        assert!(all && !text.contains("from the other PD p…"), "{size:?}\n{text}");
        assert!(text.contains("Set acrossK8s and clusterDomain on orders"), "{text}");
        assert!(!text.contains("patch: "), "{size:?}: an id where its title is known\n{text}");
    }
    assert!(shown("run", "", (220, 60)).contains("Set acrossK8s and clusterDomain on orders: done and verified"));
    assert!(shown("gate", "", (120, 36)).contains("╭ Move the peerURL of orders-pd-0 ─"));
}

/// What has room in a terminal has room in every wider one.
#[test]
fn the_clock_stays_once_it_has_room() {
    for name in ["overview", "findings", "run", "waits"] {
        let widths = || (64..=220).step_by(3);
        let mut app = scene(name, options());
        let with: Vec<u16> = widths().filter(|width| screen_of(&mut app, (*width, 24)).contains("12:00Z")).collect();
        let first = with.first().copied().unwrap_or(u16::MAX);
        assert!(first <= 100, "{name}: from {first} on");
        assert_eq!(with, widths().filter(|width| *width >= first).collect::<Vec<u16>>(), "{name}");
    }
}

#[test]
fn a_line_of_a_log_that_is_cut_says_so() {
    let text = shown("logs", "", (60, 24));
    assert!(text.contains('›'), "{text}");
    assert!(text.lines().all(|line| !line.contains('›') || line.trim_end().ends_with('›')), "{text}");
    let wrapped = shown("logs", "w", (60, 24));
    let joined = wrapped.replace(['\n', ' '], "");
    assert!(!wrapped.contains('›') && joined.contains("[endpoint=basic-pd-0:2379]client.rs:149"), "{wrapped}");
    assert!(!shown("logs", "", (220, 60)).contains('›'));
}

#[test]
fn which_container_is_read_is_named_and_chosen() {
    let read = |keys: &str| {
        let mut app = scene("overview", options());
        press(&mut app, ":basic-tidb-0<enter>l");
        press(&mut app, keys);
        let containers: Vec<String> = match app.view() {
            View::Logs { of, .. } => of.iter().filter_map(|one| one.container.clone()).collect(),
            other => panic!("{other:?}"),
        };
        (place(&app), containers.join(" "), screen_of(&mut app, (100, 30)))
    };
    let (_, containers, text) = read("");
    assert_eq!(containers, "tidb");
    assert!(text.contains("east/db/basic-tidb-0  container tidb (C: 1 more)"), "{text}");
    assert_eq!(read("C").0, "logs [pick slowlog]");
    let (_, containers, text) = read("C<enter>");
    assert_eq!(containers, "slowlog");
    assert!(text.contains("container slowlog"), "{text}");
    let (_, containers, text) = read("C<down><enter>");
    assert_eq!(containers, "tidb slowlog");
    assert!(text.contains("container tidb, slowlog"), "{text}");
    // The run before, and back, of the same one; a filter stays.
    assert_eq!(read("C<enter>p").1, "slowlog");
    assert_eq!(read("/warn<enter>C<enter>").0, "logs /warn");
    said("logs", "C", "no other container");
    let (_, _, text) = read("p");
    assert!(text.contains("p current") && text.contains("w wrap") && !text.contains("s follow"), "{text}");
    said("logs", "ps", "the run before has ended");
}

#[test]
fn a_filter_that_stands_is_selected() {
    check("members", "/north<enter>/ea<enter>", "members /ea", "");
    check("members", "/north<enter>/<enter>", "members /north", "");
    check("members", "/north<enter>/<left>x<enter>", "members /nortxh", "");
    check("members", "/north<enter>/<end>x<enter>", "members /northx", "");
    check("members", "/north<enter>/<backspace><enter>", "members", "");
    check("members", "/north<enter>/<esc>", "members", "");
    check("members", "/ea<backspace><enter>", "members /e", "");
}

#[test]
fn what_is_open_stands_above_what_is_over() {
    let mut app = scene("overview", options());
    let mut runs = fixture::runs();
    runs.reverse();
    app.update(Message::Runs(runs), fixture::now());
    press(&mut app, "R");
    assert_eq!(app.rows().first().map(|row| row.key.clone()).as_deref(), Some("20261120-115002-7f3a"));
    check("runs", "<enter>", "run 20261120-115002-7f3a", "");
}

/// A row that is taken away by a key is gone with that key.
#[test]
fn a_forward_that_is_ended_is_gone_at_once() {
    let mut app = scene("forwards", options());
    let before = app.rows().len();
    press(&mut app, "x");
    assert_eq!(app.rows().len(), before - 1);
    let rows = |keys: &str| {
        let mut app: App = scene("log", options());
        press(&mut app, keys);
        app.rows().len()
    };
    assert!(rows("X") > rows(""), "what a key says is a row of :log at once");
}

#[test]
fn an_empty_list_says_why_and_what_to_press() {
    for (name, keys, wanted) in [
        ("members", "/nothing<enter>", &["fits the filter \"nothing\"", "Esc clears"][..]),
        ("pods", "3", &["Only west is shown", "is not seen", "0 shows all clusters"]),
        ("healthy", ":pods<enter><ctrl-z>", &["at fault", "Ctrl-z"]),
        ("healthy", ":forwards<enter>", &["F on a pod"]),
        ("connecting", ":pods<enter>", &[":ctx says how each answers"]),
        ("dark", ":pods<enter>", &["No cluster yet"]),
    ] {
        let text = shown(name, keys, (120, 36)).split_whitespace().collect::<Vec<_>>().join(" ");
        for wanted in wanted {
            assert!(text.contains(wanted), "{name}, {keys}: {wanted}\n{text}");
        }
    }
    // A namespace with nothing here hides rows, as a filter does.
    let mut app = scene("pods", options());
    app.namespace = Some("shop".into());
    press(&mut app, ":pd<enter>");
    let text = screen_of(&mut app, (120, 36));
    assert!(text.contains("in namespace shop") && text.contains("0 shows every namespace"), "{text}");
}

#[test]
fn one_of_something_is_spoken_of_as_one() {
    let mut app = scene("plan", options());
    let plan = app.plan.as_mut().expect("a plan");
    let mut writes = plan.steps.iter().filter(|step| step.action.writes()).cloned();
    let one = writes.next().expect("a change");
    plan.steps = vec![one];
    let text = screen_of(&mut app, (150, 42));
    for wrong in ["1 change to send in 1 cluster, each", "themselves", "1 to be confirmed"] {
        assert!(!text.contains(wrong), "{wrong}:\n{text}");
    }
    let mut run = fixture::runs().remove(0);
    run.waits = "waits at the gate of patch: Set it? Type orders to go on.".into();
    assert!(run.sentence().contains("to go on; "), "{}", run.sentence());
}

#[test]
fn a_command_with_two_spellings_is_listed_by_one() {
    check("overview", ":read-only<enter>", "overview", "seal");
    check("overview", ":readonly<enter>", "overview", "seal");
    let text = shown("overview", ":read", (120, 36));
    assert!(text.contains(":read") && text.contains("read-only") && text.contains("(readonly)"), "{text}");
}
