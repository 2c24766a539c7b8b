//! The causes that are provoked on the model world: each stops the engine there, and a way that it offers is followed by
//! the same code that the command is.
//!
//! Two of them cannot come about without a fault of our own (what an undo puts back is what was recorded) or of the
//! lease: for these the pause is written into the journal as the driver writes it.

use tidepilot::runbook::run::engine::{Run, Stop};
use tidepilot::runbook::run::journal_lines::decode;
use tidepilot::runbook::run::pause_choices::Resolution;
use tidepilot::runbook::run::record::{Cause, Event, Outcome, PauseReason};
use tidepilot::runbook::run::recovery_commands::WayOn;

use crate::model::{Bed, Branch, Course, Ended, Fate, World, choose, drive, opened, runbook};

/// Provokes, follows, and proves that the run goes on or ends.
pub fn case(cause: Cause) {
    let mut bed = provoked(cause);
    let (found, all) = stopped(&bed);
    assert_eq!(found, cause);
    assert!(!all.is_empty(), "{cause:?} offers nothing");
    follow(cause, &mut bed, &all);
}

/// The last pause's cause, and the ways on that it offers.
fn stopped(bed: &Bed) -> (Cause, Vec<WayOn>) {
    let run = Run::replay(runbook(), &decode(&bed.disk.0).expect("readable").records).expect("replays");
    (run.pause().expect("it has stopped").cause, run.ways_on(bed.world.now))
}

fn provoked(cause: Cause) -> Bed {
    let mut bed = opened(Branch::Domain);
    let after = |number: usize, change: fn(&mut World)| {
        move |at: usize, world: &mut World| {
            if at == number {
                change(world);
            }
        }
    };
    let with = |bed: &mut Bed, act: &(dyn Fn(usize, &mut World) + Sync)| {
        drive(bed, Course { after: Some(act), ..Course::default() })
    };
    match cause {
        Cause::OtherDatabase => {
            let end = with(&mut bed, &after(2, |world| world.database = 43));
            assert!(matches!(end, Ended::Stopped(Stop::Paused(PauseReason::Refused { .. }))), "{end:?}");
        }
        // Behind the Intent and before the answer: the server refuses.
        Cause::NotTaken => {
            let end = with(&mut bed, &after(2, |world| world.their_spec("across", |world| world.across = Some(false))));
            let Ended::Stopped(Stop::Paused(_)) = end else { panic!("{end:?}") };
            // What is there now is somebody else's: that is said first. Put back, the refusal is what is left.
            bed.world.across = None;
            bed.world.forget_theirs();
            pause(
                &mut bed,
                "set-domain",
                Cause::NotTaken,
                PauseReason::Refused { sentence: "set-domain was refused: no".into() },
            );
        }
        Cause::Exhausted => {
            let lost = |_: usize| Fate::RequestLost;
            let end = drive(&mut bed, Course { fate: Some(&lost), ..Course::default() });
            assert!(matches!(end, Ended::Stopped(Stop::Paused(PauseReason::TimedOut { .. }))), "{end:?}");
        }
        Cause::NotByHand => {
            choose(&mut bed, &Resolution::ByHand { step: "set-domain".into() }).expect("may be claimed");
            let end = drive(&mut bed, Course::default());
            assert!(matches!(end, Ended::Stopped(Stop::Paused(PauseReason::NotReady { .. }))), "{end:?}");
        }
        Cause::NotRecorded | Cause::LeaseUnsure => {
            let sentence = "nothing more was sent".to_owned();
            pause(&mut bed, "set-domain", cause, PauseReason::Refused { sentence });
        }
        Cause::Asked
        | Cause::OtherCluster
        | Cause::OtherObject
        | Cause::Foreign
        | Cause::Invariant
        | Cause::Away
        | Cause::StoodStill
        | Cause::TookTooLong
        | Cause::Hopeless => unreachable!("provoked on the simulated fleet"),
    }
    bed
}

fn pause(bed: &mut Bed, step: &str, cause: Cause, reason: PauseReason) {
    bed.disk.append(bed.world.now, Event::Paused { step: step.into(), reason, cause: Some(cause) });
}

fn follow(cause: Cause, bed: &mut Bed, all: &[WayOn]) {
    let offers = |start: &str| all.iter().any(|way| way.command.to_string().starts_with(start));
    match cause {
        // It is another Database for good: the only way is out, and it is the first one.
        Cause::OtherDatabase | Cause::NotRecorded => {
            assert!(
                !all.iter()
                    .any(|way| way.command.to_string().ends_with("resume one") || way.does.contains("tries again"))
            );
            assert!(offers("tidepilot runs abandon"), "{all:?}");
            choose(bed, &Resolution::Abandon { reason: "it is another one now".into() }).expect("may be given up");
            let end = drive(bed, Course::default());
            assert!(matches!(end, Ended::Stopped(Stop::Finished(Outcome::Abandoned))), "{end:?}");
        }
        Cause::NotByHand => {
            assert!(
                offers("kubectl ") && all.iter().any(|way| way.command.to_string().contains("--by-hand set-domain")),
                "{all:?}"
            );
            goes_on(bed, offers("tidepilot runs resume"));
        }
        Cause::NotTaken | Cause::Exhausted | Cause::LeaseUnsure => goes_on(bed, offers("tidepilot runs resume")),
        Cause::Asked
        | Cause::OtherCluster
        | Cause::OtherObject
        | Cause::Foreign
        | Cause::Invariant
        | Cause::Away
        | Cause::StoodStill
        | Cause::TookTooLong
        | Cause::Hopeless => unreachable!("followed on the simulated fleet"),
    }
}

fn goes_on(bed: &mut Bed, offered: bool) {
    assert!(offered, "going on is not offered");
    let end = drive(bed, Course { overwrites: true, ..Course::default() });
    assert!(matches!(end, Ended::Stopped(Stop::Finished(Outcome::Done))), "{end:?}");
}
