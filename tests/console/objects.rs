//! Keys about the object under the cursor: what works is offered, what does not says why; the palette leads to objects;
//! what can be copied. One line each.

use crate::fixture::{options, press, scene};
use crate::keys::{check, place, said, sent};
use crate::questions::shown;
use tidepilot::app::keymap::{Group, Scope};

#[track_caller]
fn shows(name: &str, keys: &str, size: (u16, u16), wanted: &[&str], unwanted: &[&str]) {
    let text = shown(name, keys, size);
    for wanted in wanted {
        assert!(text.contains(wanted), "{name}, {keys:?} does not show {wanted:?}:\n{text}");
    }
    for unwanted in unwanted {
        assert!(!text.contains(unwanted), "{name}, {keys:?} shows {unwanted:?}:\n{text}");
    }
}

#[test]
fn a_key_that_does_nothing_says_so() {
    said("overview", "X", "X does nothing here; ? lists the keys");
    said("pods", "x", "it ends a port-forward in :forwards");
    said("overview", "v", "v does nothing here");
    // What it would be elsewhere is worth a word.
    said("plan", "l", "l does nothing here (logs elsewhere)");
    said("clusters", "l", "no logs here of");
    said("clusters", "y", "no YAML here of");
    said("certificates", "D", "nothing to compare here");
    said("runbooks", "e", "no events here");
    said("databases", "l", "no logs here: put the cursor on a pod");
    said("run", "w", "w does nothing here");
    said("overview", "0", "every cluster is shown already");
    said("healthy", "]", "there is no other Database");
    shows(
        "healthy",
        ":stores<enter><ctrl-z>",
        (120, 36),
        &["No row that is at fault is seen here", "Ctrl-z"],
        &["the filter"],
    );
    said("members", "o", "nothing is sorted yet: s sorts by a column");
    said("overview", "<esc>", "ctrl-c or :q quits");
    said("gate", "X", "X does nothing here; y");
    said("member", "<enter>", "this page leads nowhere further");
    said("members", "<ctrl-space>", "no row is marked");
    said("runbooks", "<ctrl-z>", "nothing here is left out");
}

#[test]
fn the_footer_names_the_keys_of_the_row() {
    let wide = (120, 36);
    shows("overview", "", wide, &["l logs", "e events", "y YAML", "d describe", "r runbooks", "? help"], &[]);
    shows("tidbclusters", "", wide, &["D diff"], &[]);
    shows("clusters", "", wide, &["⏎ open", "? help"], &["l logs", "y YAML", "D diff"]);
    shows("overview", "", (80, 24), &["l logs", "e events", "y YAML", "? help"], &[]);
    shows("overview", "", (40, 24), &["⏎ open", "? help"], &[]);
    shows("waits", "", (130, 36), &["a approvals"], &[]);
    shows("overview", "", (130, 36), &[], &["a approvals"]);
}

#[test]
fn the_help_is_grouped_and_lists_only_what_works_here() {
    let titles = ["navigation", "rows", "views", "runs", "global"];
    shows("overview", "?", (120, 36), &titles, &["yes", "next field"]);
    shows("overview", "?", (80, 24), &["navigation", "l  ", "logs"], &[]);
    shows("clusters", "?", (120, 36), &["clusters", "navigation"], &["YAML", "logs", "compare with its like"]);
    let app = scene("tidbclusters", options());
    let rows = app.help(Scope::List).into_iter().find(|(group, _)| *group == Group::Rows).expect("rows").1;
    assert!(rows.iter().any(|(_, label)| *label == "compare with its like"), "{rows:?}");
    // Two keys of one meaning are one line.
    let views = app.help(Scope::List).into_iter().find(|(group, _)| *group == Group::Views).expect("views").1;
    assert!(views.iter().any(|(keys, label)| *label == "problems" && *keys == ["!", "f"]), "{views:?}");
}

#[test]
fn the_palette_leads_to_objects() {
    check("overview", ":basic-tikv-1<enter>", "pod east/db/basic-tikv-1", "");
    check("overview", ":tikv-1<enter>", "pod east/db/basic-tikv-1", "");
    check("overview", ":pods basic-tidb-1<enter>", "pod east/db/basic-tidb-1", "");
    check("overview", ":pods north/db/basic-pd-0<enter>", "pod north/db/basic-pd-0", "");
    // What is the name of nothing filters the view.
    check("overview", ":pods tidb<enter>", "pods /tidb", "");
    check("overview", ":po shop<enter>", "pods /shop", "");
    check("overview", ":tc north/db/basic<enter>", "tc north/db/basic", "");
    check("overview", ":orders<enter>", "overview", "");
    check("overview", ":3c9e<enter>", "member 3c9e11d07a2b45f8", "");
    check("overview", ":pd 3c9e11d07a2b45f8<enter>", "member 3c9e11d07a2b45f8", "");
    check("overview", ":stores 4<enter>", "store 4", "count regions");
    check("overview", ":20261120-115002<enter>", "run 20261120-115002-7f3a", "list");
    check("overview", ":migrate<enter>", "inputs", "");
    check("overview", ":west<enter>", "overview <west>", "");
    check("overview", "<ctrl-p>pd<enter>", "members", "");
    // esc leads back over the list to where one was.
    check("overview", ":tikv-1<enter><esc>", "pods", "");
    check("overview", ":tikv-1<enter><esc><esc>", "overview", "");
    // A member of another Database brings that one in front.
    let mut app = scene("overview", options());
    press(&mut app, ":10203<enter>");
    assert_eq!(place(&app), "member 102030405060708");
    assert_eq!(app.database().map(|database| database.name.as_str()), Some("orders"));
    // What is only similar is offered, and not taken by enter.
    said("overview", ":asictikv<enter>", "no such view, command or object");
    shows("overview", ":tkv1", (80, 24), &["pods east/db/basic-tikv-1"], &[]);
    check("overview", ":tkv1<tab><enter>", "pod east/db/basic-tikv-1", "");
    // History: the last one first, down again to an empty line.
    check("overview", ":pd<enter>:stores<enter>:<up><up>", "stores [:pd]", "");
    check("overview", ":pd<enter>:stores<enter>:<up><up><down>", "stores [:stores]", "");
}

#[test]
fn the_copy_menu_says_what_can_be_copied() {
    let copied = |name: &str, keys: &str| sent(&press(&mut scene(name, options()), keys));
    assert_eq!(copied("members", "cj<enter>"), "copy http://basic-pd-0.basic-pd-peer.db.svc.east.example.com:2380");
    assert_eq!(copied("stores", "c<enter>"), "copy 1");
    let pod = "copy kubectl --context east -n db get pod basic-pd-0 -o wide";
    assert_eq!(copied("overview", "cjj<enter>"), pod);
    shows("members", "jjc", (120, 36), &["peerURL as it should be", "svc.north.example.com:2380"], &[]);
    shows("overview", "c", (80, 24), &["kubectl, its log", "kubectl, all of this view", "full name"], &[]);
    shows("findings", "jjc", (120, 36), &["the finding", "what to do"], &[]);
    shows("tidbclusters", "c", (120, 36), &["kubectl --context east -n db get tc basic -o wide"], &[]);
    shows("plan", "c", (120, 36), &["the changes by hand", "tidepilot plan migrate-cluster-domain --set"], &[]);
    shows("runs", "c", (120, 36), &["run id", "tidepilot runs show 20261120-115002-7f3a"], &[]);
    assert_eq!(copied("clusters", "cj<enter>"), "copy https://east.example.net:6443");
}

#[test]
fn a_view_is_saved_whole() {
    check("plan", "<ctrl-s>", "plan", "save");
    let mut app = scene("plan", options());
    press(&mut app, "");
    let text = tidepilot::console::export_markdown::text(&app);
    for wanted in
        ["# Migrate to a cluster domain", "plan digest", "Move the peerURL of orders-pd-0", "kubectl --context east"]
    {
        assert!(text.contains(wanted), "{wanted:?} is not in\n{text}");
    }
    let saved = |name: &str, keys: &str| {
        let mut app = scene(name, options());
        press(&mut app, keys);
        tidepilot::console::export_markdown::text(&app)
    };
    // A list is a table, whole and as it is filtered; a finding has its evidence; a run its steps and records.
    let pods = saved("overview", ":pods<enter>/crash<enter>");
    assert!(pods.contains("| POD | CLUSTER | STATUS |") && pods.contains("| basic-tikv-1 | east |"), "{pods}");
    assert!(pods.contains("* filter: `crash`") && !pods.contains("basic-pd-0"), "{pods}");
    let finding = saved("finding", "");
    assert!(finding.contains("failover-on") && finding.contains("* evidence: "), "{finding}");
    assert!(finding.contains("* database: `basic`") && finding.contains("What to do:"), "{finding}");
    let all = saved("findings", "");
    assert!(all.matches("What to do:").count() > 2, "{all}");
    let overview = saved("overview", "");
    assert!(overview.contains("| INSTANCE | east db/basic |") && overview.contains("CrashLoopBackOff"), "{overview}");
    let run = saved("ended", "");
    assert!(run.starts_with("# Run ") && run.contains("## Every record"), "{run}");
    let effect = tidepilot::console::export_markdown::of(&scene("finding", options()));
    assert!(sent(&[effect]).starts_with("write tidepilot-finding-failover-on-2026"));
}

#[test]
fn a_page_tells_how_a_container_ended_and_what_happened() {
    let events = ["events", "BackOff 23 times", "9s ago"];
    shows("sick pod", "", (120, 40), &events, &[]);
    shows("sick pod", "", (120, 40), &["containers", "waiting: CrashLoopBackOff, 7 restarts", "conditions"], &[]);
    shows("store", "", (120, 50), &["store 4", "Disconnected", "as Kubernetes says", "BackOff 23 times"], &[]);
    shows("member", "", (120, 50), &["as Kubernetes says", "peerURL", "events"], &[]);
    // A pod of another Database than the one on the screen has its page too.
    shows(
        "overview",
        ":orders-pd-0<enter>",
        (120, 40),
        &["pod east/shop/orders-pd-0", "as PD says", "102030405060708"],
        &[],
    );
    check("events", "<enter>", "detail", "");
    check("events", "l", "logs", "");
    shows("events", "", (80, 24), &["  Back-off restarting failed container tikv in pod"], &[]);
}

#[test]
fn what_changed_is_lit_for_some_seconds() {
    let mut app = scene("changed", options());
    let column = |title: &str| app.view().spec().columns.iter().position(|one| one.title == title).expect("a column");
    let (status, age) = (column("STATUS"), column("AGE"));
    drop(app.rows());
    assert!(app.changed("east/db/basic-tikv-0", status));
    assert!(!app.changed("east/db/basic-tikv-0", age), "ages move by themselves");
    assert!(!app.changed("east/db/basic-tikv-2", status));
    let later = crate::fixture::now().checked_add(jiff::SignedDuration::from_secs(6)).expect("in range");
    app.take_dirty();
    app.update(tidepilot::app::message::Message::Tick, later);
    assert!(app.take_dirty(), "it is drawn without the mark");
    assert!(!app.changed("east/db/basic-tikv-0", status));
    // What a view shows when it is opened is no change.
    let mut app = scene("changed", options());
    press(&mut app, "<esc>");
    drop(app.rows());
    assert!(!app.changed("tikv-0", 0));
}

#[test]
fn the_mouse_selects_sorts_and_scrolls() {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use tidepilot::app::App;
    use tidepilot::app::message::Message;
    use tidepilot::app::message::Pointed;
    use tidepilot::console::{click_targets::Spots, draw_noting};
    let click = |app: &mut App, wanted: &str| {
        let mut terminal = Terminal::new(TestBackend::new(120, 36)).expect("infallible");
        let mut spots = Spots::default();
        terminal.draw(|frame| draw_noting(app, frame, &mut spots)).expect("infallible");
        let buffer = terminal.backend().buffer().clone();
        let lines = (0..36_u16).map(|y| (0..120).map(|x| buffer[(x, y)].symbol()).collect::<String>());
        let found =
            lines.enumerate().find_map(|(y, line)| Some((line.find(wanted).map(|at| line[..at].chars().count())?, y)));
        let (x, y) = found.unwrap_or_else(|| panic!("{wanted} is not on the screen"));
        let at = spots.at(u16::try_from(x).expect("small") + 1, u16::try_from(y).expect("small")).cloned();
        let at = at.unwrap_or_else(|| panic!("nothing is noted at {wanted} ({x}, {y}): {spots:?}"));
        sent(&app.update(Message::Pointed(at), crate::fixture::now()))
    };
    let mut app = scene("pods", options());
    click(&mut app, "basic-tikv-1");
    assert_eq!(app.row().map(|row| row.key).as_deref(), Some("east/db/basic-tikv-1"));
    click(&mut app, "RESTARTS");
    assert_eq!(app.rows().first().map(|row| row.key.clone()).as_deref(), Some("east/db/basic-tikv-1"));
    click(&mut app, "RESTAR");
    assert_ne!(app.rows().first().map(|row| row.key.clone()).as_deref(), Some("east/db/basic-tikv-1"));
    click(&mut app, "north ");
    assert_eq!(app.focus.as_deref(), Some("north"));
    click(&mut app, "l logs");
    assert_eq!(place(&app), "logs <north>");
    let mut app = scene("overview", options());
    click(&mut app, "? Running ≠");
    click(&mut app, "⏎ open");
    assert_eq!(place(&app), "pod north/db/basic-pd-0");
    // A click sends nothing, also not beside a question.
    let mut app = scene("gate", options());
    assert_eq!(app.update(Message::Pointed(Pointed::Row { key: "x".into(), column: None }), crate::fixture::now()), []);
    assert_eq!(place(&app), "run [ask: not yet]");
    let mut app = scene("pods", options());
    app.update(Message::Pointed(Pointed::Wheel(3)), crate::fixture::now());
    assert_eq!(app.cursor(&app.rows()), Some(3));
}

#[test]
fn the_first_screen_of_a_rehearsal_names_its_job() {
    let job = "try :run migrate-cluster-domain on east/shop/orders";
    shows("overview", "", (120, 36), &[job], &[]);
    shows("overview", "j", (120, 36), &[], &[job]);
    let real = tidepilot::app::AppOptions { simulated: false, ..options() };
    assert_eq!(scene("overview", real).first_job(), None);
}

#[test]
fn the_log_has_what_was_said_and_noticed() {
    shows("log", "", (120, 36), &["every cluster is shown already", "west is unreachable", "cluster", "said"], &[]);
    check("overview", ":log<enter>", "log", "");
}

#[test]
fn the_majority_is_not_pushed_out_of_the_header() {
    shows("waits", "", (80, 24), &["PD 3/3, tolerates 1", "1 approval", "read-write"], &[]);
    shows("waits", "", (120, 36), &["1 run waits for your approval"], &[]);
    // Ready pods and PD's majority are not said in the same words.
    shows("overview", "", (120, 36), &["PD 3/3, tolerates 1", "2/2 ready", "?/1 ready"], &["2 of 2"]);
    shows("overview", "", (160, 36), &["stale 41s, reconnecting", "unreachable, trying again"], &[]);
}

#[test]
fn one_namespace_is_shown_in_every_cluster() {
    check("overview", ":ns shop<enter>", "overview ns shop", "");
    check("overview", ":ns<enter>jj<enter>", "overview ns shop", "");
    check("overview", ":namespace shop<enter>:pods<enter>", "pods ns shop", "");
    // All again: by name, by the first row, by esc on the first view, by the key for all clusters.
    for back in [":ns all<enter>", ":all<enter>", "<esc>", "0"] {
        check("overview", &format!(":ns shop<enter>{back}"), "overview", "");
    }
    check("overview", ":ns shop<enter>:ns<enter>g<enter>", "overview", "");
    said("overview", ":ns prod<enter>", "nothing of TiDB Operator is seen in namespace \"prod\"");
    said("overview", ":ns shop<enter>", "only namespace shop, in every cluster");
    // The Database that has a part in it comes in front; every list keeps to it, what is judged does not.
    let small = (120, 36);
    shows("overview", ":ns shop<enter>", small, &["orders", "<ns shop>"], &[]);
    shows("overview", ":ns shop<enter>:pods<enter>", small, &["orders-pd-0", "orders-tikv-0"], &["basic-"]);
    shows("overview", ":ns db<enter>:pods<enter>", small, &["basic-pd-0"], &["orders-"]);
    shows("overview", ":ns shop<enter>:tc<enter>", small, &["shop/orders"], &["db/basic"]);
    shows("overview", ":ns shop<enter>:db<enter>", small, &["orders"], &["basic "]);
    shows("overview", ":ns shop<enter>:pd<enter>", small, &["orders-pd-0"], &["basic-pd"]);
    shows("findings", ":ns shop<enter>:check<enter>", small, &["unseen"], &["east/db/basic"]);
    shows("overview", ":ns db<enter>:ns<enter>", small, &["TIDBCLUSTERS", "east, north"], &[]);
    // One cluster and one namespace at once.
    check("overview", ":ns db<enter>2:pods<enter>", "pods <north> ns db", "");
    check("overview", ":ns db<enter>2<esc>", "overview ns db", "");
}

#[test]
fn a_table_says_how_old_it_is_where_it_is_not_live() {
    let wide = (120, 36);
    shows("pods", "", wide, &["→ pods(13) ─ north: stale 41s, reconnecting"], &[]);
    for view in ["members", "stores", "tidbclusters"] {
        shows(view, "", wide, &["─ north: stale 41s, reconnecting"], &[]);
    }
    // What is live has no age, and what has no rows here no word.
    shows("healthy", ":pods<enter>", wide, &["pods("], &["stale", "reconnecting"]);
    shows("pods", "1", wide, &["pods("], &["─ north:"]);
    shows("overview", ":ns shop<enter>:pods<enter>", wide, &["<ns shop>"], &["─ north:"]);
}

#[test]
fn a_plan_says_what_restarts_and_what_clients_feel() {
    let restarts = "restarts PD 1, TiKV 1 pods of east/shop/orders, one at a time";
    shows(
        "plan",
        "",
        (120, 36),
        &[restarts, "PD: its only member restarts", "data: the only TiKV store restarts"],
        &[],
    );
    shows("plan", "", (120, 36), &["min; how long it takes is not known beforehand"], &[]);
    // Where there is little room the card of the step has it.
    shows("plan", "", (80, 24), &["restarts PD 1, TiKV 1"], &["its only member"]);
    shows("plan", "jj<pgdn>", (80, 24), &["PD: its only member restarts"], &[]);
}
