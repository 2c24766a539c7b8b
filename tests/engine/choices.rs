//! What a person may choose when a run has stopped: retry, done by hand, skip, undo, abandon — and what is refused.
//!
//! On the model world; every refusal has to leave the journal as it was.

use crate::model;
use crate::model::{Bed, Branch, Course, Ended, Fate, choose, drive, opened};
use tidepilot::runbook::run::engine::{LATE_WRITE_S, Run, Stop};
use tidepilot::runbook::run::journal_lines::decode;
use tidepilot::runbook::run::open_run_status::{Drives, Standing};
use tidepilot::runbook::run::pause_choices::{BadChoice, Resolution};
use tidepilot::runbook::run::record::{Choice, Event, How, Outcome, PauseReason};

const NEW: &str = "http://basic-pd-2.basic-pd-peer.db.svc.a.com:2380";

fn by_hand(step: &str) -> Resolution {
    Resolution::ByHand { step: step.into() }
}

fn skip(step: &str) -> Resolution {
    Resolution::Skip { step: step.into(), reason: "seen to by hand".into() }
}

/// Goes until somebody else's URL on pd-2 stops the run at its first update.
fn stopped_at_foreign() -> Bed {
    let mut bed = opened(Branch::Domain);
    let meddle = |_: usize, world: &mut model::World| {
        if world.effects == ["patch"] {
            world.their_url(2, "http://somebody-else:2380");
        }
    };
    let end = drive(&mut bed, Course { after: Some(&meddle), ..Course::default() });
    assert!(matches!(end, Ended::Stopped(Stop::Paused(PauseReason::Foreign { .. }))), "{end:?}");
    bed
}

fn refused(bed: &mut Bed, wish: &Resolution) -> BadChoice {
    let before = bed.disk.0.clone();
    let why = choose(bed, wish).expect_err("refused");
    assert_eq!(bed.disk.0, before, "a refused choice wrote something");
    why
}

fn how(bed: &Bed, wanted: &str) -> Option<How> {
    bed.disk.events().into_iter().find_map(|event| match event {
        Event::Completed { step, how, .. } if step == wanted => Some(how),
        _ => None,
    })
}

fn report_of(bed: &Bed) -> String {
    let records = decode(&bed.disk.0).expect("whole lines").records;
    tidepilot::report::run_report::so_far(&records).expect("it was opened")
}

#[test]
fn the_head_of_the_report_says_what_a_run_stopped_at_and_what_was_left_out() {
    let mut bed = stopped_at_foreign();
    let report = report_of(&bed);
    assert!(report.contains("| stopped at | update\\[basic-pd-2\\]: somebody else"), "{report}");
    choose(&mut bed, &skip("update[basic-pd-2]")).expect("may be left out");
    let report = report_of(&bed);
    assert!(report.contains("| left out | update\\[basic-pd-2\\]: seen to by hand |"), "{report}");
}

/// No plan of it was shown, so its one question shows what it changes, of every step that it is about.
#[test]
fn the_question_before_an_undo_has_the_values_before_and_after() {
    let mut bed = opened(Branch::Domain);
    done(&mut bed);
    choose(&mut bed, &Resolution::Undo).expect("a run that is done can be put back");
    let end = drive(&mut bed, Course { silent: true, ..Course::default() });
    let Ended::Stopped(Stop::AtGate(gate)) = &end else { panic!("{end:?}") };
    let old = "http://basic-pd-2.basic-pd-peer.db.svc:2380";
    let wanted = format!("update[basic-pd-2] peerUrls [\"{NEW}\"] → [\"{old}\"]");
    assert!(gate.question.contains("Put back: ") && gate.question.contains(&wanted), "{}", gate.question);
}

fn done(bed: &mut Bed) {
    let end = drive(bed, Course::default());
    assert!(matches!(end, Ended::Stopped(Stop::Finished(Outcome::Done))), "{end:?}");
}

#[test]
fn retry_is_asked_anew_by_looking() {
    let mut bed = stopped_at_foreign();
    let end = drive(&mut bed, Course::default());
    assert!(matches!(end, Ended::Stopped(Stop::Paused(PauseReason::Foreign { .. }))), "still so: {end:?}");
    bed.world.their_url(2, "http://basic-pd-2.basic-pd-peer.db.svc:2380");
    bed.world.forget_theirs();
    done(&mut bed);
    assert_eq!(how(&bed, "update[basic-pd-2]"), Some(How::Performed));
}

#[test]
fn what_was_refused_is_sent_again_after_a_retry() {
    let mut bed = opened(Branch::Domain);
    // Somebody is in the way at the very moment of sending, and goes away again.
    let meddle = |number: usize, world: &mut model::World| {
        if number == 2 {
            world.their_spec("across", |world| world.across = Some(false));
        }
    };
    let end = drive(&mut bed, Course { after: Some(&meddle), ..Course::default() });
    assert!(matches!(&end, Ended::Stopped(Stop::Paused(_))), "{end:?}");
    assert!(bed.world.effects.is_empty(), "nothing was overwritten");
    // Nothing came of the attempt, so it keeps nobody out, and there is nothing to put back.
    let records = decode(&bed.disk.0).expect("readable").records;
    assert!(records.iter().any(|record| matches!(&record.event, Event::Intent { .. })), "an attempt was made");
    let standing = Standing::of(&records, true, Drives::Nobody).expect("a run");
    assert!(!standing.sent && !standing.half_done() && !standing.keeps_out("another", false), "{standing:?}");
    assert!(matches!(refused(&mut bed, &Resolution::Undo), BadChoice::NothingToUndo(_)));
    bed.world.across = None;
    bed.world.forget_theirs();
    done(&mut bed);
}

#[test]
fn by_hand_completes_only_what_the_world_shows() {
    let mut bed = stopped_at_foreign();
    choose(&mut bed, &by_hand("update[basic-pd-2]")).expect("may be claimed");
    let end = drive(&mut bed, Course::default());
    assert!(matches!(end, Ended::Stopped(Stop::Paused(PauseReason::Foreign { .. }))), "not so: {end:?}");
    assert_eq!(how(&bed, "update[basic-pd-2]"), None);
    bed.world.their_url(2, NEW);
    choose(&mut bed, &by_hand("update[basic-pd-2]")).expect("may be claimed");
    done(&mut bed);
    assert_eq!(how(&bed, "update[basic-pd-2]"), Some(How::ByHand));
    assert!(!bed.world.effects.iter().any(|effect| effect.contains("pd-2")), "{:?}", bed.world.effects);
    // And a claim of what is not so is told, not sent.
    let mut bed = opened(Branch::Domain);
    choose(&mut bed, &by_hand("set-domain")).expect("may be claimed");
    let end = drive(&mut bed, Course::default());
    let Ended::Stopped(Stop::Paused(PauseReason::NotReady { sentence })) = &end else { panic!("{end:?}") };
    assert!(sentence.contains("the world does not show it") && bed.world.effects.is_empty(), "{sentence}");
    // After that a plain retry does it.
    done(&mut bed);
}

#[test]
fn skipping_takes_a_reason_and_a_step_that_nothing_stands_on() {
    let mut bed = stopped_at_foreign();
    choose(&mut bed, &skip("update[basic-pd-2]")).expect("may be skipped");
    // A member that was left as it is keeps the run from calling everything right, until a person does.
    let end = drive(&mut bed, Course::default());
    assert!(matches!(end, Ended::Stopped(Stop::Paused(PauseReason::TimedOut { .. }))), "{end:?}");
    choose(&mut bed, &skip("no-drift")).expect("may be skipped");
    done(&mut bed);
    assert_eq!(how(&bed, "update[basic-pd-2]"), Some(How::Skipped { reason: "seen to by hand".into() }));
    assert_eq!(bed.world.pds[2].urls, ["http://somebody-else:2380"]);
    // Nobody is told that what was left out was verified.
    let records = decode(&bed.disk.0).expect("readable").records;
    let run = Run::replay(model::runbook(), &records).expect("replays");
    assert_eq!((run.skipped(), run.completed()), (2, run.plan.steps.len()));

    let mut bed = stopped_at_foreign();
    let no_reason = Resolution::Skip { step: "update[basic-pd-2]".into(), reason: "  ".into() };
    assert_eq!(refused(&mut bed, &no_reason), BadChoice::NoReason);
    assert!(matches!(refused(&mut bed, &skip("set-domain")), BadChoice::Completed { .. }));
    let BadChoice::UnknownStep { known, .. } = refused(&mut bed, &skip("updat")) else { panic!("another reason") };
    assert!(known.contains("update[basic-pd-2]") && !known.contains("set-domain"), "{known}");

    let mut bed = opened(Branch::Domain);
    assert!(matches!(refused(&mut bed, &skip("set-domain")), BadChoice::Irreversible { .. }));
    let mut bed = opened(Branch::SameDomain);
    let BadChoice::Needed { later, .. } = refused(&mut bed, &skip("set-across-k8s")) else { panic!("another reason") };
    assert_eq!(later, "wait-rollout");
}

#[test]
fn a_write_in_doubt_is_looked_at_before_it_can_be_skipped() {
    let mut bed = opened(Branch::Domain);
    let points = model::points(&bed);
    let write = points.iter().filter(|point| matches!(point, model::Point::Write { .. })).nth(1).expect("an update");
    let (_, left) = model::deaths(write).into_iter().find(|(name, _)| name.contains("AppliedLate")).expect("a fate");
    bed = left;
    let BadChoice::InDoubt { seconds, .. } = refused(&mut bed, &skip("update[basic-pd-2]")) else {
        panic!("may apply")
    };
    assert!((1..=LATE_WRITE_S).contains(&seconds));
    bed.world.now += jiff::SignedDuration::from_secs(LATE_WRITE_S);
    choose(&mut bed, &skip("update[basic-pd-2]")).expect("it cannot be applied any more");
}

#[test]
fn abandoning_says_what_is_left_and_closes() {
    let mut bed = stopped_at_foreign();
    assert_eq!(refused(&mut bed, &Resolution::Abandon { reason: String::new() }), BadChoice::NoReason);
    choose(&mut bed, &Resolution::Abandon { reason: "another way".into() }).expect("may be given up");
    // The process may die right here: the next one closes it.
    let end = drive(&mut bed, Course::default());
    assert!(matches!(end, Ended::Stopped(Stop::Finished(Outcome::Abandoned))), "{end:?}");
    let left = bed.disk.events().into_iter().find_map(|event| match event {
        Event::Chosen { choice: Choice::Abandon { left, .. } } => Some(left),
        _ => None,
    });
    let left = left.expect("recorded").join("; ");
    let report = report_of(&bed);
    assert!(report.contains("| given up | another way (left: ") && !report.contains("| stopped at |"), "{report}");
    assert!(left.contains("set-domain: done") && left.contains("update[basic-pd-0]: not done"), "{left}");
    assert_eq!(bed.world.effects, ["patch"], "nothing was sent");
    assert_eq!(refused(&mut bed, &skip("update[basic-pd-2]")), BadChoice::Closed("abandoned"));
    assert_eq!(refused(&mut bed, &by_hand("update[basic-pd-2]")), BadChoice::Closed("abandoned"));
}

#[test]
fn undo_ends_where_there_is_no_way_back_and_never_touches_what_is_not_ours() {
    let mut bed = opened(Branch::Domain);
    assert!(matches!(refused(&mut bed, &Resolution::Undo), BadChoice::NothingToUndo(_)), "nothing was sent");
    let mut bed = stopped_at_foreign();
    let BadChoice::NothingToUndo(why) = refused(&mut bed, &Resolution::Undo) else { panic!("another reason") };
    assert!(why.contains("set-domain"), "{why}");

    let mut bed = opened(Branch::Domain);
    done(&mut bed);
    bed.world.their_url(0, "http://somebody-else:2380");
    choose(&mut bed, &Resolution::Undo).expect("a run that is done can be put back");
    let ends_at = bed.disk.events().into_iter().find_map(|event| match event {
        Event::Chosen { choice: Choice::Undo { ends_at, .. } } => ends_at,
        _ => None,
    });
    assert_eq!(ends_at.as_deref(), Some("set-domain"));
    let end = drive(&mut bed, Course::default());
    assert!(matches!(end, Ended::Stopped(Stop::Paused(PauseReason::Foreign { .. }))), "{end:?}");
    assert_eq!(bed.world.pds[0].urls, ["http://somebody-else:2380"]);
    assert_eq!(refused(&mut bed, &Resolution::Undo), BadChoice::Undoing);
    // The way on: that one stays as somebody else has it, the rest is put back.
    choose(&mut bed, &skip("undo:update[basic-pd-0]")).expect("may be skipped");
    let end = drive(&mut bed, Course::default());
    assert!(matches!(end, Ended::Stopped(Stop::Finished(Outcome::Undone))), "{end:?}");
    assert_eq!(bed.world.pds[0].urls, ["http://somebody-else:2380"]);
    assert_eq!(bed.world.pds[2].urls, ["http://basic-pd-2.basic-pd-peer.db.svc:2380"]);
    assert!(bed.world.overwritten.is_empty() && bed.world.domain.as_deref() == Some("a.com"));
    assert_eq!(refused(&mut bed, &Resolution::Undo), BadChoice::Closed("undone"));
}

#[test]
fn a_second_attempt_of_something_irreversible_asks_again() {
    let mut bed = opened(Branch::Domain);
    let lost = |_: usize| Fate::RequestLost;
    let asked = |bed: &Bed| bed.disk.events().iter().filter(|e| matches!(e, Event::Confirmed { .. })).count();
    let end = drive(&mut bed, Course { fate: Some(&lost), ..Course::default() });
    assert!(matches!(end, Ended::Stopped(Stop::Paused(PauseReason::TimedOut { .. }))), "{end:?}");
    assert_eq!(asked(&bed), 3, "once for each attempt");
    // And where nobody answers, nothing is sent again.
    let end = drive(&mut bed, Course { silent: true, ..Course::default() });
    assert!(bed.world.effects.is_empty() && matches!(end, Ended::Stopped(Stop::AtGate(_))), "{end:?}");
}

#[test]
fn a_broken_invariant_stops_effects_and_then_the_run() {
    let mut bed = opened(Branch::Domain);
    let ill = |number: usize, world: &mut model::World| world.ill = if number >= 2 { 2 } else { 0 };
    let end = drive(&mut bed, Course { after: Some(&ill), ..Course::default() });
    let Ended::Stopped(Stop::Paused(PauseReason::TimedOut { sentence })) = &end else { panic!("{end:?}") };
    assert!(sentence.contains("only 1 of 3 PD members are healthy (not healthy: basic-pd-1"), "{sentence}");
    assert!(!sentence.contains("pd.size"), "an expression is no message: {sentence}");
    let sent = bed.world.effects.len();
    assert!(sent <= 1, "effects left while the majority was not healthy: {:?}", bed.world.effects);
    bed.world.ill = 0;
    done(&mut bed);
}

#[test]
fn an_accepted_write_that_somebody_put_back_is_sent_again_only_over_an_explicit_word() {
    let old = "http://basic-pd-2.basic-pd-peer.db.svc:2380";
    let mut bed = opened(Branch::Domain);
    let meddle = |_: usize, world: &mut model::World| {
        if world.effects.len() == 2 {
            world.their_url(2, old);
        }
    };
    let end = drive(&mut bed, Course { after: Some(&meddle), ..Course::default() });
    assert!(matches!(end, Ended::Stopped(Stop::Paused(PauseReason::TimedOut { .. }))), "{end:?}");
    let end = drive(&mut bed, Course::default());
    let Ended::Stopped(Stop::AtGate(gate)) = &end else { panic!("{end:?}") };
    assert_eq!(gate.text.as_deref(), Some("overwrite update[basic-pd-2]"));
    assert_eq!((bed.world.effects.len(), bed.world.pds[2].urls.as_slice()), (2, [old.to_owned()].as_slice()));
    let end = drive(&mut bed, Course { overwrites: true, ..Course::default() });
    assert!(matches!(end, Ended::Stopped(Stop::Finished(Outcome::Done))), "{end:?}");
    assert_eq!(bed.world.pds[2].urls, [NEW]);
}
