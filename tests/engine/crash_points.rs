//! The migration and its undo × every journal boundary × {killed, torn last line, answer lost, request lost, applied
//! late, delivered twice}, and pairs of crashes, on the model world.
//!
//! A "crash" drops everything but the journal's bytes and the world; the run is then read back and driven to its end.
//! `tests/program/migration.rs` does the same with the real binary and kill -9; `tests/engine/world_moves.rs` lets somebody else act.

use crate::faces;
use crate::model;
use std::collections::BTreeSet;
use std::time::Instant;

use crate::model::{
    Bed, Branch, Course, Ended, FATES, Fate, Point, accounted, all_of, choose, deaths, drive, opened, points,
};
use tidepilot::runbook::run::engine::Stop;
use tidepilot::runbook::run::journal_lines::decode;
use tidepilot::runbook::run::pause_choices::Resolution;
use tidepilot::runbook::run::record::{Event, Outcome};

// The plan put the leader of its time (pd-0) last; the restart moved the lead to pd-1, and so pd-1 is last.
const FORTH: &[&str] = &["patch", "update basic-pd-2", "update basic-pd-0", "update basic-pd-1 (leader)"];
const BACK: &[&str] = &["restore basic-pd-1 (leader)", "restore basic-pd-0", "restore basic-pd-2"];

fn ended(case: &str, bed: &Bed, ended: &Ended, outcome: Outcome, effects: &[&str]) -> Result<(), String> {
    let check = || {
        match ended {
            Ended::Stopped(Stop::Finished(found)) if *found == outcome => {}
            Ended::Stopped(_) | Ended::Crashed => return Err(format!("ended as {ended:?}")),
        }
        if bed.world.effects != effects {
            return Err(format!("effects {:?}", bed.world.effects));
        }
        if bed.world.irreversible > 1 || !bed.world.overwritten.is_empty() {
            return Err("an irreversible action twice, or something overwritten".into());
        }
        accounted(bed, true)?;
        let records = decode(&bed.disk.0).map_err(|why| why.to_string())?.records;
        faces::agree(&model::runbook(), &records, &bed.disk.0)
    };
    check().map_err(|why| format!("{case}: {why}"))
}

/// A done run whose undo was chosen and not yet begun.
fn to_undo(branch: Branch) -> Bed {
    let mut bed = opened(branch);
    drive(&mut bed, Course::default());
    choose(&mut bed, &Resolution::Undo).expect("there is something to put back");
    bed
}

/// What is driven, how it has to end, and with which effects.
fn journeys() -> Vec<(&'static str, Bed, Outcome, Vec<&'static str>)> {
    let back: Vec<&str> = FORTH.iter().chain(BACK).copied().collect();
    vec![
        ("with a domain", opened(Branch::Domain), Outcome::Done, FORTH.to_vec()),
        ("acrossK8s only", opened(Branch::SameDomain), Outcome::Done, vec!["patch"]),
        ("undo with a domain", to_undo(Branch::Domain), Outcome::Undone, back),
        ("undo of acrossK8s", to_undo(Branch::SameDomain), Outcome::Undone, vec!["patch", "patch back"]),
    ]
}

#[test]
fn every_journey_without_a_crash() {
    for (name, mut bed, outcome, effects) in journeys() {
        let end = drive(&mut bed, Course::default());
        ended(name, &bed, &end, outcome, &effects).unwrap_or_else(|why| panic!("{why}"));
    }
    // Again: nothing to do, and the plan says so.
    let mut bed = opened(Branch::Domain);
    drive(&mut bed, Course::default());
    let again = model::plan(&mut bed.world, Branch::Domain);
    assert!(again.changes() == 0 && again.steps.iter().all(|step| step.already_so), "{:?}", again.steps);
    // And what was put back is as it was.
    for (branch, domain) in [(Branch::Domain, Some("a.com")), (Branch::SameDomain, None)] {
        let mut bed = to_undo(branch);
        drive(&mut bed, Course::default());
        let fresh = opened(branch).world;
        assert_eq!((&bed.world.pds, bed.world.across.is_some()), (&fresh.pds, domain.is_some()));
        assert_eq!(bed.world.domain.as_deref(), domain, "the domain has no rollback");
    }
}

#[test]
fn every_boundary_and_every_fate() {
    let begun = Instant::now();
    let mut cases = Vec::new();
    let mut records = 0;
    for (name, bed, outcome, effects) in journeys() {
        let mut lived = Vec::new();
        for point in points(&bed) {
            records += usize::from(matches!(point, Point::Record(_)));
            for (death, left) in deaths(&point) {
                cases.push((format!("{name}, {death}"), left, Fate::Answered, usize::MAX, outcome, effects.clone()));
            }
            // The process lives on, and only the answer or the request fares badly.
            if let Point::Write { bed: at, .. } = &point {
                lived.push(at.disk.lines() - 1);
            }
        }
        for number in lived {
            for fate in FATES.into_iter().filter(|fate| *fate != Fate::Answered) {
                let case = format!("{name}, {fate:?} behind record {number}");
                cases.push((case, bed.clone(), fate, number, outcome, effects.clone()));
            }
        }
    }
    let failed = all_of(&cases, |(case, bed, fate, number, outcome, effects)| {
        let mut bed = bed.clone();
        let fates = |at: usize| if at == *number { *fate } else { Fate::Answered };
        let end = drive(&mut bed, Course { fate: Some(&fates), ..Course::default() });
        ended(case, &bed, &end, *outcome, effects)
    });
    println!("{} single crashes over {records} records, {} failed, {:?}", cases.len(), failed.len(), begun.elapsed());
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
    assert!(cases.len() > 150, "only {} cases ran", cases.len());
}

/// The real loop is dropped at each of its awaits in turn, and a new process goes on from the journal.
#[test]
fn left_behind_at_every_await() {
    let mut cases = Vec::new();
    for (name, bed, outcome, effects) in journeys() {
        for polls in 0.. {
            let mut left = bed.clone();
            match drive(&mut left, Course { polls: Some(polls), ..Course::default() }) {
                Ended::Crashed => {
                    cases.push((format!("{name}, left at await {polls}"), left, outcome, effects.clone()))
                }
                Ended::Stopped(_) => break,
            }
        }
    }
    let failed = all_of(&cases, |(case, bed, outcome, effects)| {
        let mut bed = bed.clone();
        let end = drive(&mut bed, Course::default());
        ended(case, &bed, &end, *outcome, effects)
    });
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
    assert!(cases.len() > 150, "only {} awaits", cases.len());
}

#[test]
fn pairs_of_crashes() {
    let begun = Instant::now();
    let mut cases = Vec::new();
    for (name, bed, outcome, effects) in journeys().into_iter().filter(|(name, ..)| name.ends_with("domain")) {
        for first in points(&bed) {
            // A torn line is the boundary before it; the ways in which a write can go wrong are what differs.
            let ways = match &first {
                Point::Record(_) => 1,
                Point::Write { .. } => FATES.len(),
            };
            for (death, left) in deaths(&first).into_iter().take(ways) {
                cases.push((format!("{name}, {death}"), left, outcome, effects.clone()));
            }
        }
    }
    let count = std::sync::atomic::AtomicUsize::new(0);
    let failed = all_of(&cases, |(case, left, outcome, effects)| {
        let mut failed = Vec::new();
        // Of the second life, one point in a few: each second one is met by some first.
        let seconds = points(left);
        let offset = left.disk.lines() % 6;
        for second in seconds.iter().skip(offset).step_by(6) {
            let which = left.disk.0.len() % 5;
            let mut all = deaths(second);
            let (death, mut bed) = all.swap_remove(which % all.len());
            let end = drive(&mut bed, Course::default());
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            failed.extend(ended(&format!("{case}, then {death}"), &bed, &end, *outcome, effects).err());
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
    });
    let count = count.into_inner();
    println!("{count} pairs of crashes, {} first crashes failed, {:?}", failed.len(), begun.elapsed());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(count > 80, "only {count} pairs ran");
}

/// Undo chosen wherever the way forth can be interrupted, also with a write in doubt.
#[test]
fn undo_from_every_point() {
    let begun = Instant::now();
    let mut cases = Vec::new();
    for branch in [Branch::Domain, Branch::SameDomain] {
        for point in points(&opened(branch)) {
            cases.extend(deaths(&point).into_iter().map(|(death, bed)| (format!("{branch:?}, {death}"), bed)));
        }
    }
    let failed = all_of(&cases, |(case, bed)| {
        let mut bed = bed.clone();
        let parsed = decode(&bed.disk.0).map_err(|why| format!("{case}: {why}"))?;
        bed.disk.0.truncate(parsed.whole_bytes);
        let with_intent: BTreeSet<String> = bed
            .disk
            .events()
            .into_iter()
            .filter_map(|event| if let Event::Intent { step, .. } = event { Some(step) } else { None })
            .collect();
        let way_back = with_intent.iter().any(|step| step != "set-domain");
        match (choose(&mut bed, &Resolution::Undo), way_back) {
            (Ok(()), true) => {}
            (Err(_), false) => return Ok(()),
            (chosen, _) => return Err(format!("{case}: {chosen:?} with Intents of {with_intent:?}")),
        }
        let end = drive(&mut bed, Course::default());
        let (urls, fresh) = (&bed.world.pds, opened(Branch::Domain).world.pds);
        let Ended::Stopped(Stop::Finished(Outcome::Undone)) = end else { return Err(format!("{case}: {end:?}")) };
        if *urls != fresh || !bed.world.overwritten.is_empty() || bed.world.irreversible > 1 {
            return Err(format!("{case}: left as {:?}", bed.world));
        }
        if with_intent.contains("set-across-k8s") && bed.world.across.is_some() {
            return Err(format!("{case}: acrossK8s was left set"));
        }
        // What was found undone already was never done: that is "already so" rightly.
        let records = decode(&bed.disk.0).map_err(|why| why.to_string())?.records;
        faces::agree(&model::runbook(), &records, &bed.disk.0).map_err(|why| format!("{case}: {why}"))
    });
    println!("{} undos from a crash, {} failed, {:?}", cases.len(), failed.len(), begun.elapsed());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_tampered_journal_is_refused() {
    let mut bed = opened(Branch::Domain);
    drive(&mut bed, Course::default());
    let lines: Vec<&str> = bed.disk.0.lines().collect();
    let without_one =
        lines.iter().enumerate().filter(|(i, _)| *i != 2).map(|(_, l)| format!("{l}\n")).collect::<String>();
    assert!(decode(&without_one).is_err(), "a removed line");
    let edited = bed.disk.0.replacen("\"attempt\":1", "\"attempt\":2", 1);
    assert!(edited != bed.disk.0 && decode(&edited).is_err(), "an edited line");
    assert!(decode("{\"hello\": 1}\n").is_err(), "a foreign file");
    assert!(decode("").is_err(), "an empty file");
}
