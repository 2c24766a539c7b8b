//! The world moves: between any two records of a run somebody else makes one change, live and across a crash.
//!
//! The run ends done, paused, foreign or refused — and if it goes on, nothing that somebody else set is overwritten
//! and nothing irreversible is done twice. On the model world, both branches and the undo of each. What somebody else
//! takes may also be the lease: here on the model; with two real processes in `tests/program/two_people.rs`.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::model::{Bed, Branch, Course, Ended, Fate, Point, World, accounted, all_of, choose, drive, opened, points};
use jiff::SignedDuration;
use tidepilot::runbook::run::engine::Stop;
use tidepilot::runbook::run::pause_choices::Resolution;
use tidepilot::runbook::run::record::{Outcome, PauseReason};

/// One change by another actor.
#[derive(Clone, Copy)]
struct Move {
    name: &'static str,
    make: fn(&mut World),
}

const MOVES: &[Move] = &[
    Move { name: "the operator rolls again", make: World::roll },
    Move {
        name: "another clusterDomain is set",
        make: |w| w.their_spec("domain", |w| w.domain = Some("b.com".into())),
    },
    Move { name: "our clusterDomain is set", make: |w| w.their_spec("domain", |w| w.domain = Some("a.com".into())) },
    Move { name: "acrossK8s is set to false", make: |w| w.their_spec("across", |w| w.across = Some(false)) },
    Move { name: "the TidbCluster is paused", make: |w| w.their_spec("paused", |w| w.paused = Some(true)) },
    Move { name: "a member is removed", make: |w| w.remove(2) },
    Move { name: "the leader is removed", make: |w| w.remove(w.leader) },
    Move { name: "a member's URL is changed", make: |w| w.their_url(2, "http://somebody-else:2380") },
    Move {
        name: "every member's URL is changed",
        make: |w| (0..3).for_each(|i| w.their_url(i, &format!("http://h{i}:2380"))),
    },
    Move {
        name: "a member gets our URL from somebody else",
        make: |w| w.their_url(0, "http://basic-pd-0.basic-pd-peer.db.svc.a.com:2380"),
    },
    Move {
        name: "a member gets its old URL back from somebody else",
        make: |w| w.their_url(0, "http://basic-pd-0.basic-pd-peer.db.svc:2380"),
    },
    Move {
        name: "a member gets another member's new URL",
        make: |w| w.their_url(2, "http://basic-pd-0.basic-pd-peer.db.svc.a.com:2380"),
    },
    Move { name: "the TidbCluster is deleted", make: |w| w.exists = false },
    Move { name: "the TidbCluster is created anew", make: |w| w.uid = "another-uid" },
    Move { name: "the context is another cluster", make: |w| w.kube_uid = "another-kube" },
    Move { name: "the clock jumps an hour ahead", make: |w| w.now += SignedDuration::from_hours(1) },
    Move { name: "the clock is put back an hour", make: |w| w.now -= SignedDuration::from_hours(1) },
];

fn to_undo(branch: Branch) -> Bed {
    let mut bed = opened(branch);
    drive(&mut bed, Course::default());
    choose(&mut bed, &Resolution::Undo).expect("there is something to put back");
    bed
}

/// How a run ended, in a word; `Err`: not in the allowed set.
fn word(ended: &Ended) -> Result<&'static str, String> {
    Ok(match ended {
        Ended::Stopped(Stop::Finished(Outcome::Done | Outcome::NothingToDo | Outcome::Undone)) => "done",
        Ended::Stopped(Stop::Paused(PauseReason::Foreign { .. })) => "foreign",
        Ended::Stopped(Stop::Paused(PauseReason::Refused { .. })) => "refused",
        Ended::Stopped(Stop::Paused(
            PauseReason::NotReady { .. } | PauseReason::TimedOut { .. } | PauseReason::Asked,
        )) => "paused",
        Ended::Stopped(
            Stop::AtGate(_) | Stop::AwaitsApproval { .. } | Stop::Finished(Outcome::Abandoned | Outcome::LeftOut),
        )
        | Ended::Crashed => {
            return Err(format!("ended as {ended:?}"));
        }
    })
}

fn unharmed(case: &str, bed: &Bed) -> Result<(), String> {
    if !bed.world.overwritten.is_empty() {
        return Err(format!("{case}: {:?} of somebody else were overwritten", bed.world.overwritten));
    }
    if bed.world.irreversible > 1 {
        return Err(format!("{case}: the domain was set {} times", bed.world.irreversible));
    }
    accounted(bed, false).map_err(|why| format!("{case}: {why}"))
}

#[test]
fn one_change_between_any_two_records() {
    let begun = Instant::now();
    let journeys = [
        ("with a domain", opened(Branch::Domain)),
        ("acrossK8s only", opened(Branch::SameDomain)),
        ("undo with a domain", to_undo(Branch::Domain)),
        ("undo of acrossK8s", to_undo(Branch::SameDomain)),
    ];
    // Right behind each record — before what follows it leaves — and the same across a crash.
    let mut cases = Vec::new();
    for (name, bed) in &journeys {
        for point in points(bed) {
            let at = match point {
                Point::Record(at) => at,
                // The process dies with its write on the server and nothing but the Intent on the disk; only then the
                // other one acts.
                Point::Write { bed: mut left, action, seen } => {
                    let unsent = left.world.clone();
                    seen.send(&mut left, &action, Fate::Answered);
                    let moves_a_url = left.world.pds != unsent.pds;
                    for change in MOVES {
                        let case = format!(
                            "{name}, {}, crash at the write behind record {}",
                            change.name,
                            left.disk.lines() - 1
                        );
                        let mut left = left.clone();
                        (change.make)(&mut left.world);
                        // Put back to the very value from before: to PD, which keeps no versions, that is a write which
                        // never came, and nobody can tell.
                        if !moves_a_url || left.world.pds != unsent.pds {
                            cases.push((case, left, None, *change));
                        }
                    }
                    continue;
                }
            };
            let number = at.disk.lines() - 1;
            for change in MOVES {
                cases.push((
                    format!("{name}, {}, behind record {number}", change.name),
                    bed.clone(),
                    Some(number),
                    *change,
                ));
                let mut left = at.clone();
                (change.make)(&mut left.world);
                cases.push((format!("{name}, {}, crash at record {number}", change.name), left, None, *change));
            }
        }
    }
    let words = std::sync::Mutex::new(BTreeMap::new());
    let failed = all_of(&cases, |(case, bed, live, change)| {
        let mut bed = bed.clone();
        let act = |number: usize, world: &mut World| {
            if Some(number) == *live {
                (change.make)(world);
            }
        };
        let end = drive(&mut bed, Course { after: Some(&act), ..Course::default() });
        unharmed(case, &bed)?;
        let word = word(&end).map_err(|why| format!("{case}: {why}"))?;
        *words.lock().expect("not poisoned").entry((change.name, word)).or_insert(0) += 1;
        if word != "done" {
            // A person who only tries again does no harm either.
            let again = drive(&mut bed, Course::default());
            unharmed(&format!("{case}, resumed after {end:?}, ended as {again:?}"), &bed)?;
            let clock = change.name.starts_with("the clock");
            if clock && !matches!(again, Ended::Stopped(Stop::Finished(_))) {
                return Err(format!("{case}: a clock that jumped leaves the run stuck: {again:?}"));
            }
        }
        Ok(())
    });
    let words = words.into_inner().expect("not poisoned");
    println!("{} moves of {} kinds, {} failed, {:?}", cases.len(), MOVES.len(), failed.len(), begun.elapsed());
    for ((name, word), count) in &words {
        println!("  {name}: {word} {count}");
    }
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
    assert!(cases.len() > 1000, "only {} cases ran", cases.len());
    for word in ["done", "paused", "foreign", "refused"] {
        assert!(words.keys().any(|(_, found)| *found == word), "no case ended {word}: the catalogue is too tame");
    }
}

/// The lease is stolen right behind each record: the process that had it writes nothing more into the journal, and what
/// it was about to send is held by the fence, or slips through late. Whoever took over finishes the run all the same.
#[test]
fn the_lease_is_stolen_behind_any_record() {
    let begun = Instant::now();
    let mut cases = Vec::new();
    for (name, bed) in [
        ("with a domain", opened(Branch::Domain)),
        ("acrossK8s only", opened(Branch::SameDomain)),
        ("undo with a domain", to_undo(Branch::Domain)),
    ] {
        for point in points(&bed) {
            let Point::Record(at) = point else { continue };
            let number = at.disk.lines() - 1;
            for slips in [false, true] {
                let how = if slips { "and its write slips through late" } else { "and the fence holds" };
                cases.push((format!("{name}, stolen behind record {number}, {how}"), bed.clone(), number, slips));
            }
        }
    }
    let failed = all_of(&cases, |(case, bed, number, slips)| {
        let mut bed = bed.clone();
        let first = drive(&mut bed, Course { stolen: Some((*number, *slips)), ..Course::default() });
        let end = match first {
            Ended::Crashed => drive(&mut bed, Course { taken_over: true, ..Course::default() }),
            // It was the last record.
            Ended::Stopped(_) => first,
        };
        unharmed(case, &bed)?;
        match end {
            Ended::Stopped(Stop::Finished(Outcome::Done | Outcome::Undone)) => Ok(()),
            other => Err(format!("{case}: ended as {other:?}")),
        }
    });
    println!("{} stolen leases, {} failed, {:?}", cases.len(), failed.len(), begun.elapsed());
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
    assert!(cases.len() > 80, "only {} cases ran", cases.len());
}
