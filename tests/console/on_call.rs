//! What a person who knew none of it stumbled over in a night on call.

use crate::fixture::{self, options, press, scene};
use crate::keys::{place, said, sent};
use crate::questions::screen_of;
use tidepilot::app::App;
use tidepilot::app::message::Message;
use tidepilot::app::views::Item;
use tidepilot::console::export_markdown;
use tidepilot::fleet::What;
use tidepilot::fleet::problem_subject::SubjectKind;
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::run::open_run_status::{Drives, Standing};

#[test]
fn marking_a_row_leaves_the_cursor_where_it_is() {
    let mut app = scene("tidbclusters", options());
    let before = app.screen().row;
    press(&mut app, " ");
    assert_eq!(app.screen().row, before);
    assert_eq!(app.screen().marks.len(), 1);
    // The pair that is compared is the two rows that were pointed at.
    press(&mut app, "j D");
    let marked: Vec<String> = {
        let mut app = scene("tidbclusters", options());
        press(&mut app, " j ");
        app.screen().marks.iter().cloned().collect()
    };
    let mut first_two: Vec<String> =
        scene("tidbclusters", options()).rows().iter().take(2).map(|row| row.key.clone()).collect();
    first_two.sort();
    assert_eq!(marked, first_two);
}

/// Somebody's open run on the Database of the plan that is shown.
fn with_open_run(drives: Drives, sent: bool) -> (App, String) {
    let mut app = scene("plan", options());
    let target = app.plan.as_ref().expect("a plan").target.to_string();
    let id = "20261120-115900-0e0e".to_owned();
    let run = Standing {
        run: id.clone(),
        runbook: "upgrade-cluster".into(),
        target,
        opened: fixture::earlier(60),
        state: "paused".into(),
        open: true,
        sent,
        drives,
        steps: 4,
        here: true,
        ..Standing::default()
    };
    app.update(Message::Runs(vec![run]), fixture::now());
    (app, id)
}

#[test]
fn a_plan_beside_an_open_run_is_refused_and_enter_leads_to_that_run() {
    let (mut app, id) = with_open_run(Drives::Nobody, true);
    let shown = screen_of(&mut app, (150, 42));
    assert!(shown.contains(&format!("✖ refused: run {id} is open and paused; enter shows that run")), "{shown}");
    let effects = press(&mut app, "<enter>");
    assert!(app.dialog.is_none() && sent(&effects).is_empty(), "nothing is asked or sent");
    assert_eq!(place(&app), format!("run {id}"));

    let (mut app, id) = with_open_run(Drives::Holds("ann on laptop".into()), false);
    let shown = screen_of(&mut app, (150, 42));
    assert!(shown.contains(&format!("✖ refused: ann on laptop holds the Database, run {id} is open")), "{shown}");

    // One that sent nothing and that nobody drives keeps no other runbook out.
    let (mut app, _) = with_open_run(Drives::Nobody, false);
    press(&mut app, "<enter>");
    assert!(app.dialog.is_some(), "it can be started");
}

fn suspending(stop: bool) -> App {
    let mut app = scene("plan", options());
    let plan = app.plan.as_mut().expect("a plan");
    let Action::PatchTidbCluster(patch) = &mut plan.steps[0].action else { panic!("the first step patches") };
    patch.merge = serde_json::json!({"spec": {"suspendAction": {"suspendStatefulSet": true}}});
    plan.inputs.insert("stopDatabase".into(), stop.into());
    app
}

#[test]
fn a_suspension_says_that_the_database_stops() {
    let mut app = suspending(true);
    let plan = app.plan.clone().expect("a plan");
    let shown = screen_of(&mut app, (150, 42));
    for wanted in
        ["✖ THE DATABASE STOPS: no SQL until resume-cluster", "pods of east/shop/orders go", "stays on the volumes"]
    {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    let text = tidepilot::report::plan::text(&plan);
    assert!(
        text.contains("! THE DATABASE STOPS: no SQL until resume-cluster; all pods of east/shop/orders go"),
        "{text}"
    );
    press(&mut app, "<enter>");
    assert!(screen_of(&mut app, (150, 42)).contains("THE DATABASE STOPS"), "the question says it as well");

    let shown = screen_of(&mut suspending(false), (150, 42));
    assert!(!shown.contains("THE DATABASE STOPS") && shown.contains("go until resume-cluster"), "{shown}");
    let shown = screen_of(&mut scene("plan", options()), (150, 42));
    assert!(!shown.contains("resume-cluster"), "{shown}");
}

#[test]
fn the_beginning_of_a_runbook_is_taken_where_it_is_the_only_one() {
    let mut app = scene("overview", options());
    press(&mut app, ":run migr<enter>");
    assert_eq!(place(&app), "inputs");
    said("overview", ":run nothing<enter>", "no runbook");
}

#[test]
fn changes_say_that_a_program_wrote() {
    let shown = crate::questions::shown("changes", "", (150, 60));
    assert!(shown.contains("BY PROGRAM") && shown.contains("Kubernetes notes no person"), "{shown}");
    let shown = crate::questions::shown("changes", "", (100, 60));
    assert!(shown.contains("kubectl-create"), "{shown}");
}

/// A finding about a member or a store stands for its pod.
#[test]
fn a_finding_about_a_member_leads_to_the_log_of_its_pod() {
    let mut app = scene("findings", options());
    let of_pd = |app: &App, index: usize| {
        app.checked().findings[index]
            .subjects
            .first()
            .is_some_and(|one| matches!(one.kind, SubjectKind::Member | SubjectKind::Store))
    };
    let at = app.rows().iter().position(|row| matches!(row.item, Item::Finding(index) if of_pd(&app, index)));
    let at = at.expect("a finding about a member or a store");
    press(&mut app, &"j".repeat(at));
    press(&mut app, "l");
    assert_eq!(place(&app), "logs");
}

#[test]
fn the_ticket_of_all_problems_names_every_database() {
    let mut app = scene("findings", options());
    app.update(Message::Resize, fixture::now());
    let text = export_markdown::text(&app);
    for wanted in ["database basic, PD", "database orders, PD", "* in: basic"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains("* database:"), "{text}");
}

#[test]
fn the_overview_numbers_a_store_whose_pod_is_gone() {
    let mut app = App::new(options());
    for mut change in fixture::fleet() {
        if let What::Pods(pods) = &mut change.what {
            pods.retain(|pod| change.context != "east" || pod.metadata.name != "basic-tikv-1");
        }
        app.update(Message::Fleet(change), fixture::now());
    }
    let shown = screen_of(&mut app, (150, 42));
    let line = shown.lines().find(|line| line.contains("no pod")).unwrap_or_default();
    assert!(line.contains("store "), "{shown}");
}

#[test]
fn a_plan_kept_out_by_an_open_run_offers_the_way_to_that_run() {
    let (mut app, _) = with_open_run(Drives::Nobody, true);
    for size in [(80, 24), (150, 42)] {
        let shown = screen_of(&mut app, size);
        let keys = shown.lines().last().unwrap_or_default().to_owned();
        assert!(keys.contains("⏎ the open run"), "{size:?}: {keys}");
    }
    let (mut app, _) = with_open_run(Drives::Nobody, false);
    let shown = screen_of(&mut app, (80, 24));
    assert!(shown.lines().last().is_some_and(|keys| keys.contains("⏎ start")), "{shown}");
}

#[test]
fn the_first_hint_of_a_rehearsal_fits_what_is_broken() {
    let mut app = App::new(options());
    for mut change in fixture::fleet() {
        if let What::Pd { view, .. } = &mut change.what
            && let Ok(answer) = &mut view.answer
            && answer.members.len() == 3
        {
            let ill = answer.members[2].id;
            answer.health.insert(ill, false);
        }
        app.update(Message::Fleet(change), fixture::now());
    }
    app.update(Message::Runbooks(fixture::runbooks()), fixture::now());
    let hint = app.first_job().unwrap_or_default();
    assert_eq!(hint, "try !: what is wrong, and what helps");
}

#[test]
fn what_made_the_session_read_only_is_named() {
    let mut app = scene("plan", options());
    press(&mut app, ":readonly<enter><enter>");
    let said = app.flash.as_ref().map(|flash| flash.text.clone()).unwrap_or_default();
    assert!(said.contains(":read-only") && !said.contains("--read-only"), "{said}");
    let mut app = scene("plan", tidepilot::app::AppOptions { read_only: true, ..options() });
    press(&mut app, "<enter>");
    let said = app.flash.as_ref().map(|flash| flash.text.clone()).unwrap_or_default();
    assert!(said.contains("without --read-only") && !said.contains(":read-only"), "{said}");
}

#[test]
fn a_long_label_does_not_run_into_what_it_names() {
    let mut app = App::new(options());
    for mut change in fixture::fleet() {
        if let What::Pods(pods) = &mut change.what {
            for pod in pods.iter_mut() {
                let condition = serde_json::json!({"type": "ContainersReady", "status": "False",
                    "message": "containers with unready status: [tikv]"});
                pod.status.conditions.push(serde_json::from_value(condition).expect("a condition"));
            }
        }
        app.update(Message::Fleet(change), fixture::now());
    }
    let shown = screen_of(&mut app, (200, 50));
    // It has a line of its own, and nothing of the sentence is lost at the border.
    assert!(shown.contains("ContainersReady ") && shown.contains("containers with unready status: [tikv]"), "{shown}");
    press(&mut app, "<enter>");
    let shown = screen_of(&mut app, (120, 50));
    assert!(shown.contains("ContainersReady ") && !shown.contains("Readycontainers"), "{shown}");
}

#[test]
fn the_way_back_to_all_clusters_and_the_next_database_stand_in_the_footer() {
    let keys = |name: &str, keys: &str| {
        let shown = crate::questions::shown(name, keys, (130, 36));
        shown.lines().last().unwrap_or_default().to_owned()
    };
    assert!(!keys("overview", "").contains("0 all"), "{}", keys("overview", ""));
    assert!(keys("overview", "").contains("] next"), "{}", keys("overview", ""));
    assert!(keys("overview", "1").contains("0 all"), "{}", keys("overview", "1"));
    assert!(keys("pods", "2").contains("0 all"), "{}", keys("pods", "2"));
    assert!(!keys("healthy", "").contains("] next"), "{}", keys("healthy", ""));
}

/// With `l` for logs, `h` must not be half of a pair.
#[test]
fn columns_are_reached_by_arrows_and_tab_alone() {
    for there in ["<right>", "<tab>"] {
        let mut app = scene("overview", options());
        press(&mut app, there);
        assert_eq!(app.column(app.matrix().columns.len()), 1, "{there}");
    }
    said("overview", "h", "h does nothing here");
}

#[test]
fn a_plan_that_stops_the_database_says_so_in_a_ticket_and_promises_no_whole_way_back() {
    let mut app = suspending(true);
    let ticket = export_markdown::text(&app);
    assert!(ticket.contains("**THE DATABASE STOPS"), "{ticket}");
    let plan = app.plan.as_mut().expect("a plan");
    for step in &mut plan.steps {
        step.reversibility = tidepilot::runbook::action_types::Reversibility::Compensable;
    }
    let text = tidepilot::report::plan::text(plan);
    assert!(text.contains("every change can be put back; the outage until then cannot"), "{text}");
    let shown = screen_of(&mut app, (200, 50));
    assert!(shown.contains("can be put back, but not the outage until then"), "{shown}");
}

/// What the header counts is marked in the list, and is as much.
#[test]
fn the_header_and_the_list_of_problems_have_one_number() {
    for name in ["overview", "findings"] {
        let mut app = scene(name, options());
        let shown = screen_of(&mut app, (120, 36));
        press(&mut app, "!");
        let marked =
            app.rows().iter().filter(|row| row.cells.iter().any(|cell| cell.text().ends_with("  wrong"))).count();
        assert!(marked > 0 && shown.contains(&format!("✖ {marked} wrong")), "{marked}: {shown}");
        let shown = screen_of(&mut app, (120, 36));
        assert!(shown.contains(&format!("✖ {marked} wrong")), "{marked}: {shown}");
    }
}
