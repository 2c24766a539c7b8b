//! What is folded away and how it is shown; what is lit for a moment; how far a store is that leaves.

use crate::fixture::{self, earlier, options, plan, press, scene};
use crate::questions::screen_of;
use tidepilot::app::message::{Message, RunMessage};
use tidepilot::fleet::{Change, Freshness, What};
use tidepilot::runbook::plan::{CheckResult, CheckState};

#[test]
fn checks_that_passed_are_a_number_until_they_are_asked_for() {
    let mut app = scene("plan", options());
    let mut plan = plan(false);
    let more =
        (0..5).map(|n| CheckResult::new(format!("c{n}"), CheckState::Passed, "").titled(format!("Check {n} holds")));
    plan.checks.extend(more);
    app.update(Message::Run(RunMessage::Planned(Box::new(plan))), fixture::now());
    let folded = screen_of(&mut app, (150, 42));
    assert!(folded.contains("z names those that passed") && !folded.contains("Check 3 holds"), "{folded}");
    // What warns is shown whole all the same.
    assert!(folded.contains("no backup of the last 24 h"), "{folded}");
    press(&mut app, "z");
    let unfolded = screen_of(&mut app, (150, 42));
    assert!(unfolded.contains("Check 3 holds") && !unfolded.contains("z names"), "{unfolded}");
    press(&mut app, "z");
    assert_eq!(screen_of(&mut app, (150, 42)), folded);
}

#[test]
fn what_yaml_and_differences_leave_out_is_there_with_z() {
    for (name, folded, shown) in
        [("yaml", "z shows them", "manager: kubectl"), ("difference", "equal and folded", "spec.acrossK8s  true")]
    {
        let mut app = scene(name, options());
        let text = screen_of(&mut app, (150, 42));
        assert!(text.contains(folded) && !text.contains(shown), "{name}:\n{text}");
        press(&mut app, "z");
        let text = screen_of(&mut app, (150, 42));
        assert!(!text.contains(folded) && text.contains(shown), "{name}:\n{text}");
    }
}

#[test]
fn the_request_of_a_run_s_step_is_shown_whole_at_any_width() {
    for size in [(80, 24), (150, 30)] {
        let mut app = scene("run", options());
        press(&mut app, " ");
        let text = screen_of(&mut app, size);
        assert!(text.contains("PUT east") && !text.contains("Journal"), "{size:?}:\n{text}");
        press(&mut app, " ");
        let text = screen_of(&mut app, size);
        assert!(text.contains("Journal"), "{size:?}:\n{text}");
    }
}

#[test]
fn a_cluster_that_comes_back_is_lit_for_two_seconds() {
    let mut app = scene("overview", options());
    let live = What::Connection { freshness: Freshness::Live, message: None };
    app.update(
        Message::Fleet(Change { context: "north".into(), at: fixture::now(), what: live.clone() }),
        fixture::now(),
    );
    assert!(app.is_back("north") && !app.is_back("east"));
    app.update(Message::Tick, earlier(-1));
    assert!(app.is_back("north"));
    app.take_dirty();
    app.update(Message::Tick, earlier(-3));
    assert!(!app.is_back("north") && app.take_dirty(), "it is drawn once more without the light");
    // Seen for the first time is not back.
    let mut app = scene("connecting", options());
    app.update(Message::Fleet(Change { context: "east".into(), at: fixture::now(), what: live }), fixture::now());
    assert!(!app.is_back("east"));
}

#[test]
fn a_store_that_leaves_tells_how_far_it_is() {
    let mut app = scene("healthy", options());
    let mut look = |ago: i64, peers: i64| {
        for mut change in fixture::healthy() {
            let What::Pd { view, .. } = &mut change.what else { continue };
            view.at = earlier(ago);
            let Ok(answer) = &mut view.answer else { continue };
            let store = answer.stores.first_mut().expect("a store");
            (store.state, store.region_count) = ("Offline".into(), peers);
            app.update(Message::Fleet(change), fixture::now());
        }
    };
    look(300, 1200);
    look(180, 1000);
    press(&mut app, ":stores<enter>");
    let text = screen_of(&mut app, (150, 42));
    assert!(text.contains("leaves: 1000 region peers left, about 10 min at the pace seen"), "{text}");
}
