//! Every shipped runbook × every journal boundary × {killed, torn last line, answer lost, request lost, applied late,
//! delivered twice}, on the simulated world without sockets.
//!
//! A case has to end as the undisturbed run did: same outcome, same effects, same world; no effect without its Intent and
//! none without a way back twice. `tests/crash_points.rs` looks deeper into one runbook (pairs of crashes, undo from
//! everywhere, on the model world); a runbook without a row here fails the test.

mod bare;
mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bare::scenarios::{alone, spanning};
use bare::{Bed, Course, Effected, Point, accounted, drive, effects, world};
use model::{Ended, FATES, Fate, all_of};
use serde_json::Value;
use tidepilot::runbook::choices::Wish;
use tidepilot::runbook::definition::{Runbook, SHIPPED};
use tidepilot::runbook::engine::Stop;
use tidepilot::runbook::record::Outcome;
use tidepilot::sim::bare::Bare;
use tidepilot::sim::scenario::Scenario;

/// One journey: a runbook with inputs on a scenario.
struct Row {
    name: &'static str,
    scenario: fn(bool) -> Scenario,
    tls: bool,
    runbook: &'static str,
    inputs: &'static [(&'static str, &'static str)],
    /// Also its way back is walked, from its end.
    undo: bool,
    /// What has to be so in the end, in words of the world that is left.
    ends: fn(&BTreeMap<String, Value>) -> bool,
}

const ROWS: &[Row] = &[
    Row {
        name: "migrate with a domain",
        scenario: alone,
        tls: false,
        runbook: "migrate-cluster-domain",
        inputs: &[("tidbCluster", "legacy/pingcap/basic"), ("clusterDomain", "cluster1.com")],
        undo: false,
        ends: |world| {
            world["legacy/tidbclusters/pingcap/basic"]["spec"]["clusterDomain"] == "cluster1.com"
                && world["database basic"].to_string().matches(".svc.cluster1.com:2380").count() == 3
        },
    },
    Row {
        name: "migrate with acrossK8s only",
        scenario: alone,
        tls: false,
        runbook: "migrate-cluster-domain",
        inputs: &[("tidbCluster", "legacy/pingcap/basic")],
        undo: true,
        ends: |world| world["legacy/tidbclusters/pingcap/basic"]["spec"]["acrossK8s"] == true,
    },
    Row {
        name: "migrate under TLS",
        scenario: alone,
        tls: true,
        runbook: "migrate-cluster-domain",
        inputs: &[("tidbCluster", "legacy/pingcap/basic"), ("clusterDomain", "cluster1.com")],
        undo: false,
        ends: |world| world["database basic"].to_string().matches("https://").count() == 3,
    },
    Row {
        name: "transfer the lead",
        scenario: spanning,
        tls: false,
        runbook: "transfer-pd-leader",
        inputs: &[("tidbCluster", "east/prod/prod-east"), ("pod", "prod-west-pd-0")],
        undo: false,
        ends: |_| true,
    },
];

/// What an undisturbed journey came to.
struct Reference {
    outcome: Outcome,
    effects: Vec<Effected>,
    world: BTreeMap<String, Value>,
}

struct Case<'a> {
    name: String,
    bed: Bed,
    runbook: &'a Runbook,
    fate: Option<(usize, Fate)>,
    reference: &'a Reference,
}

fn judge(case: &Case<'_>) -> Result<(), String> {
    let mut bed = case.bed.fork();
    let end = drive(&mut bed, case.runbook, Course { fate: case.fate, points: None });
    let check = || {
        match &end {
            Ended::Stopped(Stop::Finished(outcome)) if *outcome == case.reference.outcome => {}
            Ended::Stopped(_) | Ended::Crashed => return Err(format!("ended as {end:?}")),
        }
        accounted(&bed)?;
        if effects(&bed) != case.reference.effects {
            return Err(format!("other effects: {:#?}", bed.effects));
        }
        differences(&case.reference.world, &world(&bed))
    };
    check().map_err(|why| format!("{}: {why}", case.name))
}

fn differences(wanted: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>) -> Result<(), String> {
    let places: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let different: Vec<String> = places
        .into_iter()
        .filter(|place| wanted.get(*place) != found.get(*place))
        .map(|place| format!("{place}: {:?} instead of {:?}", found.get(place), wanted.get(place)))
        .collect();
    if different.is_empty() { Ok(()) } else { Err(different.join("\n")) }
}

/// A process that died at this point, in each way in which it can.
fn deaths(point: &Point) -> Vec<(String, Bed)> {
    match point {
        Point::Record(bed) => {
            let number = bed.disk.lines() - 1;
            let mut torn = bed.fork();
            torn.disk.0.truncate(torn.disk.0.len() - 7);
            vec![(format!("killed after record {number}"), bed.fork()), (format!("record {number} torn"), torn)]
        }
        Point::Write { bed, action, seen } => FATES
            .into_iter()
            .map(|fate| {
                let mut dead = bed.fork();
                dead.send(action, seen, fate);
                (format!("killed after the write behind record {}, {fate:?}", bed.disk.lines() - 1), dead)
            })
            .collect(),
    }
}

/// Drives one journey undisturbed, then every case of it; gives how many there were and which failed.
fn walk(name: &str, mut bed: Bed, runbook: &Runbook, outcome: Outcome) -> (usize, Vec<String>, Bed) {
    let start = bed.fork();
    let mut points = Vec::new();
    let end = drive(&mut bed, runbook, Course { fate: None, points: Some(&mut points) });
    assert!(
        matches!(end, Ended::Stopped(Stop::Finished(found)) if found == outcome),
        "{name} ended as {end:?}\n{}",
        bed.disk.0.lines().skip(1).collect::<Vec<_>>().join("\n")
    );
    accounted(&bed).unwrap_or_else(|why| panic!("{name}: {why}"));
    let reference = Reference { outcome, effects: effects(&bed), world: world(&bed) };
    let mut cases = Vec::new();
    let mut case = |death: String, bed: Bed, fate| {
        cases.push(Case { name: format!("{name}, {death}"), bed, runbook, fate, reference: &reference });
    };
    for point in &points {
        for (death, dead) in deaths(point) {
            case(death, dead, None);
        }
        // The process lives on, and only the answer or the request fares badly.
        if let Point::Write { bed, .. } = point {
            let number = bed.disk.lines() - 1;
            for fate in FATES.into_iter().filter(|fate| *fate != Fate::Answered) {
                case(format!("{fate:?} behind record {number}"), start.fork(), Some((number, fate)));
            }
        }
    }
    drop(points);
    let failed = all_of(&cases, judge);
    (cases.len(), failed, bed)
}

#[test]
fn every_runbook_at_every_boundary_with_every_fate() {
    let begun = Instant::now();
    let (mut count, mut failed) = (0, Vec::new());
    for row in ROWS {
        let begun = Instant::now();
        let bare = Bare::new(&(row.scenario)(row.tls), 1).expect("a scenario that becomes quiet");
        let runbook = Runbook::shipped(row.runbook).expect("ships");
        let inputs = row.inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut bed = Bed::new(bare);
        bed.open(&runbook, &inputs).unwrap_or_else(|why| panic!("{}: {why}", row.name));
        let (cases, bad, mut bed) = walk(row.name, bed, &runbook, Outcome::Done);
        let left = world(&bed);
        assert!((row.ends)(&left), "{}: not what it should have come to: {left:#?}", row.name);
        let again = bed.plan(&runbook, &inputs).unwrap_or_else(|why| panic!("{} again: {why}", row.name));
        let open: Vec<&str> = again.steps.iter().filter(|s| !s.already_so).map(|s| s.id.as_str()).collect();
        assert!(open.is_empty(), "{}: the second time there is still something to do: {open:?}", row.name);
        (count, failed) = (count + cases, [failed, bad].concat());
        let mut of_it = cases;
        if row.undo {
            bed.choose(&runbook, &Wish::Undo).unwrap_or_else(|why| panic!("{}: {why}", row.name));
            let name = format!("undo of {}", row.name);
            let (cases, bad, _) = walk(&name, bed, &runbook, Outcome::Undone);
            (count, failed, of_it) = (count + cases, [failed, bad].concat(), of_it + cases);
        }
        println!("{}: {of_it} cases in {:?}", row.name, begun.elapsed());
    }
    println!("{count} cases over {} journeys, {} failed, {:?}", ROWS.len(), failed.len(), begun.elapsed());
    assert!(failed.is_empty(), "{} of {count} cases failed:\n{}", failed.len(), failed.join("\n"));
    assert!(count > 300, "only {count} cases ran");
}

#[test]
fn every_shipped_runbook_has_a_row() {
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.runbook).collect();
    let missing: Vec<&str> = SHIPPED.iter().map(|(id, _)| *id).filter(|id| !rows.contains(id)).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}
