//! What a person who knew none of it stumbled over in a night on call.

use crate::fixture::{self, options, press, scene};
use crate::keys::{place, said};
use crate::questions::screen_of;
use tidepilot::app::App;
use tidepilot::app::message::Message;
use tidepilot::app::views::Item;
use tidepilot::console::saved;
use tidepilot::fleet::What;
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::run::standing::{Drives, Standing};

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
    assert!(app.dialog.is_none() && effects.is_empty(), "nothing is asked or sent");
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
        app.checked().findings[index].subjects.first().is_some_and(|one| matches!(one.kind, "member" | "store"))
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
    let text = saved::text(&app);
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
