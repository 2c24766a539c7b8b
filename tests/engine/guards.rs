//! What holds an effect back, one rule at a time, on the model world: each case fails when its rule is taken out.
//!
//! Not here: the same rules under every crash and every move (`tests/engine/crash_points.rs`, `tests/engine/world_moves.rs`).

use crate::model::{Bed, Branch, Course, Ended, World, drive, opened};
use jiff::SignedDuration;
use tidepilot::runbook::run::engine::Stop;
use tidepilot::runbook::run::record::{Event, Outcome, PauseReason};

/// The number of the first record that fits, in a run without trouble.
fn record(fits: impl Fn(&Event) -> bool) -> usize {
    let mut bed = opened(Branch::Domain);
    drive(&mut bed, Course::default());
    bed.disk.events().iter().position(fits).expect("there is such a record")
}

/// Drives, with one change of the world right behind a record.
fn with_change(number: usize, change: impl Fn(&mut World) + Sync) -> (Bed, Ended) {
    let mut bed = opened(Branch::Domain);
    let act = |at: usize, world: &mut World| {
        if at == number {
            change(world);
        }
    };
    let end = drive(&mut bed, Course { after: Some(&act), ..Course::default() });
    (bed, end)
}

fn probe(event: &Event) -> bool {
    matches!(event, Event::Completed { step, .. } if step == "probe[basic-pd-2]")
}

#[test]
fn a_proof_that_has_grown_old_is_taken_again() {
    let proved = record(probe);
    for (seconds, times) in [(20, 1), (61, 2)] {
        let (bed, end) = with_change(proved, |world| world.now += SignedDuration::from_secs(seconds));
        assert!(matches!(end, Ended::Stopped(Stop::Finished(Outcome::Done))), "{end:?}");
        let events = bed.disk.events();
        let sent =
            events.iter().position(|event| matches!(event, Event::Intent { step, .. } if step == "update[basic-pd-2]"));
        let before = &events[..sent.expect("it was sent")];
        assert_eq!(before.iter().filter(|event| probe(event)).count(), times, "after {seconds} s");
    }
}

#[test]
fn another_database_under_the_same_names_pauses_the_run() {
    let patched = record(|event| matches!(event, Event::Completed { step, .. } if step == "set-domain"));
    let (bed, end) = with_change(patched, |world| world.database = 43);
    let Ended::Stopped(Stop::Paused(PauseReason::Refused { sentence })) = &end else { panic!("{end:?}") };
    assert!(sentence.contains("expected PD cluster id 42, found 43"), "{sentence}");
    assert_eq!(bed.world.effects, ["patch"], "nothing more was sent");
}

#[test]
fn a_context_that_does_not_say_which_cluster_it_is_waits() {
    let proved = record(probe);
    let (mut bed, end) = with_change(proved, |world| world.kube_uid = "");
    let Ended::Stopped(Stop::Paused(PauseReason::TimedOut { sentence })) = &end else { panic!("{end:?}") };
    assert!(sentence.contains("does not tell which Kubernetes cluster it is"), "{sentence}");
    assert_eq!(bed.world.effects, ["patch"], "nothing more was sent");
    bed.world.kube_uid = "kube-uid";
    let end = drive(&mut bed, Course::default());
    assert!(matches!(end, Ended::Stopped(Stop::Finished(Outcome::Done))), "{end:?}");
}

/// The rights were asked for the plan; a run that demanded to know them again before each write would wait for ever.
#[test]
fn rights_are_not_asked_again_before_each_write() {
    let (bed, end) = with_change(usize::MAX, |_| {});
    assert!(matches!(end, Ended::Stopped(Stop::Finished(Outcome::Done))), "{end:?}");
    assert_eq!(bed.world.effects.len(), 4);
}
