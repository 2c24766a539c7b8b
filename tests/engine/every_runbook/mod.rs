//! Every shipped runbook × every journal boundary × {killed, torn last line, answer lost, request lost, applied late,
//! delivered twice}, on the simulated world without sockets.
//!
//! A case of a long row (`far`) goes on for some steps, and has done what the undisturbed run did up to there; one in
//! eight goes on to the end, as all cases of the others do, and has to end as the undisturbed run did: same outcome, same
//! effects, same world; no effect without its Intent and none without a rollback twice. `tests/engine/crash_points.rs` looks deeper into one runbook (pairs of crashes, undo from
//! everywhere, on the model world); a runbook without a row here fails the test.

mod rows;

use crate::faces;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use self::rows::{ROWS, Row};
use crate::bare::{Bed, Course, Effected, Point, accounted, drive, live_on, world};
use crate::model::{Ended, FATES, Fate, all_of};
use serde_json::{Value, json};
use tidepilot::fleet::object_kind::{ObjectId, ObjectKind};
use tidepilot::runbook::action_types::Answer;
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::right_types::{Reach, Right};
use tidepilot::runbook::actions::{CreateObject, PatchTidbCluster};
use tidepilot::runbook::before_after_image::Image;
use tidepilot::runbook::language::document::{Runbook, SHIPPED};
use tidepilot::runbook::plan::provenance::{Known, Provenance};
use tidepilot::runbook::plan::required_rights::needs;
use tidepilot::runbook::plan::{Condition, Confirm, Document, Plan};
use tidepilot::runbook::run::engine::{Run, Stop};
use tidepilot::runbook::run::pause_choices::Resolution;
use tidepilot::runbook::run::record::Outcome;
use tidepilot::sim::api_server::{Ask as Asked, Rule, Rules};
use tidepilot::sim::in_memory::Bare;

/// Of a long journey, every so many cases go on to the end.
const WHOLE: usize = 8;

/// What an undisturbed journey came to.
struct Reference {
    outcome: Outcome,
    /// In their order.
    effects: Vec<Effected>,
    world: BTreeMap<String, Value>,
}

struct Case<'a> {
    name: String,
    bed: Bed,
    runbook: &'a Runbook,
    /// The process that lives on, with the answer that it gets; else a new one reads the journal.
    live: Option<(Run, Answer)>,
    /// Completed steps after which it has gone far enough.
    steps: Option<usize>,
    reference: &'a Reference,
}

fn judge(case: &Case<'_>) -> Result<(), String> {
    let mut bed = case.bed.fork();
    let course = Course { points: None, steps: case.steps };
    let end = match &case.live {
        Some((run, answer)) => live_on(&mut bed, run.clone(), answer.clone(), course),
        None => drive(&mut bed, case.runbook, course),
    };
    let check = || {
        accounted(&bed)?;
        match &end {
            Ended::Stopped(Stop::Finished(outcome)) if *outcome == case.reference.outcome => {}
            // Far enough: up to here it has to be what the undisturbed run did, in the same order.
            Ended::Crashed if case.steps.is_some() => {
                let so_far = case.reference.effects.get(..bed.effects.len());
                let same = so_far == Some(&bed.effects[..]);
                return if same { Ok(()) } else { Err(format!("other effects: {:#?}", bed.effects)) };
            }
            Ended::Stopped(_) | Ended::Crashed => return Err(format!("ended as {end:?}")),
        }
        let sorted = |effects: &[Effected]| {
            let mut sorted = effects.to_vec();
            sorted.sort();
            sorted
        };
        // The order of a for-each may be another one: who leads is asked when its time has come.
        if sorted(&bed.effects) != sorted(&case.reference.effects) {
            return Err(format!("other effects: {:#?}", bed.effects));
        }
        let records =
            tidepilot::runbook::run::journal_lines::decode(&bed.disk.0).map_err(|why| why.to_string())?.records;
        faces::agree(case.runbook, &records, &bed.disk.0)?;
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
        Point::Write { bed, action, seen, .. } => FATES
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
fn walk(
    name: &str,
    mut bed: Bed,
    runbook: &Runbook,
    outcome: Outcome,
    far: Option<usize>,
) -> (usize, Vec<String>, Bed) {
    let mut points = Vec::new();
    let end = drive(&mut bed, runbook, Course { points: Some(&mut points), ..Course::default() });
    assert!(
        matches!(end, Ended::Stopped(Stop::Finished(found)) if found == outcome),
        "{name} ended as {end:?}\n{}",
        bed.disk.0.lines().skip(1).collect::<Vec<_>>().join("\n")
    );
    accounted(&bed).unwrap_or_else(|why| panic!("{name}: {why}"));
    let reference = Reference { outcome, effects: bed.effects.clone(), world: world(&bed) };
    let mut cases = Vec::new();
    let mut case = |death: String, bed: Bed, live| {
        let steps = far.filter(|_| cases.len() % WHOLE != 0);
        cases.push(Case { name: format!("{name}, {death}"), bed, runbook, live, steps, reference: &reference });
    };
    for point in &points {
        for (death, dead) in deaths(point) {
            case(death, dead, None);
        }
        // The process lives on, and only the answer or the request fares badly.
        if let Point::Write { bed, run, action, seen } = point {
            for fate in FATES.into_iter().filter(|fate| *fate != Fate::Answered) {
                let mut bed = bed.fork();
                let answer = bed.send(action, seen, fate);
                let name = format!("{fate:?} behind record {}", bed.disk.lines() - 1);
                case(name, bed, Some((run.clone(), answer)));
            }
        }
    }
    drop(points);
    let failed = all_of(&cases, judge);
    (cases.len(), failed, bed)
}

/// Every case of the rows of these runbooks; the count is printed.
#[expect(clippy::print_stdout, reason = "how many cases there were is what one reads a matrix for")]
fn every_boundary_of(runbooks: &[&str]) {
    let begun = Instant::now();
    let (mut count, mut failed) = (0, Vec::new());
    for row in ROWS.iter().filter(|row| runbooks.contains(&row.runbook)) {
        let begun = Instant::now();
        let (mut bed, runbook, inputs) = begin(row);
        bed.open(&runbook, &inputs).unwrap_or_else(|why| panic!("{}: {why}", row.name));
        let (mut cases, bad, mut bed) = walk(row.name, bed, &runbook, Outcome::Done, row.far);
        failed.extend(bad);
        let left = world(&bed);
        assert!((row.ends)(&left), "{}: not what it should have come to: {:#?}", row.name, left.keys());
        let again = bed.plan(&runbook, &inputs).unwrap_or_else(|why| panic!("{} again: {why}", row.name));
        let open: Vec<&str> = again.steps.iter().filter(|s| !s.already_so).map(|s| s.id.as_str()).collect();
        // A look at the network is taken anew whenever it is asked for.
        let anew = row.runbook == "verify-network";
        assert!(anew || open.is_empty(), "{}: the second time there is still something to do: {open:?}", row.name);
        if row.undo {
            bed.choose(&runbook, &Resolution::Undo).unwrap_or_else(|why| panic!("{}: {why}", row.name));
            let name = format!("undo of {}", row.name);
            let (more, bad, _) = walk(&name, bed, &runbook, Outcome::Undone, row.far);
            cases += more;
            failed.extend(bad);
        }
        assert!(cases >= 15, "{}: only {cases} cases", row.name);
        println!("{}: {cases} cases in {:?}", row.name, begun.elapsed());
        count += cases;
    }
    println!("{count} cases, {} failed, {:?}", failed.len(), begun.elapsed());
    assert!(failed.is_empty(), "{} of {count} cases failed:\n{}", failed.len(), failed.join("\n"));
    assert!(count > 0, "no row for {runbooks:?}");
}

#[test]
fn opening_a_tidb_cluster() {
    every_boundary_of(&["migrate-cluster-domain", "enable-across-k8s", "repair-peer-urls"]);
}

#[test]
fn building() {
    every_boundary_of(&["deploy-initial-cluster", "join-cluster"]);
}

#[test]
fn looking_across() {
    every_boundary_of(&["verify-network"]);
}

#[test]
fn issuing() {
    every_boundary_of(&["issue-ca", "issue-certificates", "renew-certificates"]);
}

#[test]
fn monitoring() {
    every_boundary_of(&["monitor-across-clusters"]);
}

#[test]
fn everyday_work() {
    every_boundary_of(&["restart-component", "suspend-cluster", "resume-cluster", "transfer-pd-leader"]);
}

#[test]
fn upgrading() {
    every_boundary_of(&["upgrade-cluster"]);
}

#[test]
fn leaving() {
    every_boundary_of(&["leave-cluster"]);
}

/// The bed of a row before its first step, with its runbook and inputs.
fn begin(row: &Row) -> (Bed, Runbook, BTreeMap<String, String>) {
    let bare = Bare::new(&(row.scenario)(row.tls), 1).expect("a scenario that becomes quiet");
    (row.prepare)(&bare);
    let runbook = Runbook::shipped(row.runbook).expect("ships");
    let inputs = row.inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    (Bed::new(bare), runbook, inputs)
}

/// The rules of the ready-made roles that an operator is given.
fn ready_made() -> Rules {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/rbac");
    let texts =
        ["read-only.yaml", "operator.yaml"].map(|name| std::fs::read_to_string(folder.join(name)).expect("ships"));
    let documents = texts.iter().flat_map(|text| text.split("\n---\n"));
    let roles = documents.map(|text| serde_saphyr::from_str::<Value>(text).expect("a role"));
    let all = roles.flat_map(|role| role["rules"].as_array().cloned().unwrap_or_default());
    let rules = all.map(|rule| {
        let words = |field: &str| -> Vec<String> {
            let list = rule[field].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Rule {
            verbs: words("verbs"),
            groups: words("apiGroups"),
            resources: words("resources"),
            namespaces: Vec::new(),
            names: words("resourceNames"),
        }
    });
    Rules::Only(rules.collect())
}

#[test]
fn the_ready_made_roles_are_enough_for_every_row_and_its_way_back() {
    let rules = ready_made();
    let mut lacking = BTreeSet::new();
    let mut asked = 0;
    for row in ROWS {
        let (mut bed, runbook, inputs) = begin(row);
        let plan = bed.plan(&runbook, &inputs).unwrap_or_else(|why| panic!("{}: {why}", row.name));
        let reach = Reach {
            tidb_clusters: vec![(plan.target.clone(), row.tls)],
            journal_in: Some(plan.target.clone()),
            claims_in: plan.contexts.iter().cloned().collect(),
            reads: bed.reads(&runbook, &plan.inputs),
            ..Reach::default()
        };
        let rights = needs(&plan.contexts, plan.steps.iter().map(|step| &step.action), &reach);
        let mut rights: Vec<Right> = rights.into_iter().map(|need| need.right).collect();
        let right = |verb: &str, id: &ObjectId| Right {
            verb: verb.into(),
            group: id.kind.group().into(),
            resource: id.kind.plural().into(),
            namespace: id.namespace.clone(),
            name: id.name.clone(),
            ..Right::default()
        };
        // What was made is deleted on the rollback; what was made last in a list of objects is what is made.
        let made = plan.steps.iter().filter(|step| step.action.writes() && step.after != Image::Absent);
        let made = made.filter_map(|step| step.action.objects().pop());
        rights.extend(made.map(|id| right("delete", &id)));
        asked += rights.len();
        lacking.extend(rights.into_iter().filter_map(|right| {
            let ask = Asked {
                verb: &right.verb,
                group: &right.group,
                resource: &right.resource,
                subresource: &right.subresource,
                namespace: &right.namespace,
                name: &right.name,
            };
            (!rules.allow(&ask)).then(|| format!("{}: {right:?}", row.runbook))
        }));
    }
    assert!(lacking.is_empty(), "{lacking:#?}");
    assert!(asked > 200, "only {asked} rights were asked for");
}

/// What a run that somebody left open is held against: every plan of a shipped runbook is its document's, and a plan with
/// anything else under the same name is not.
#[test]
fn a_plan_is_its_documents_or_foreign() {
    for row in ROWS {
        let (mut bed, runbook, inputs) = begin(row);
        let plan = bed.plan(&runbook, &inputs).unwrap_or_else(|why| panic!("{}: {why}", row.name));
        let none = BTreeSet::new();
        let found = Provenance::of(&plan, Some(&runbook), &[], &none);
        // Where metrics are pushed to, and which Secret is read, is an input of whoever opened it: nothing vouches for that.
        if ["monitor with object storage and Grafana", "monitor by remote write", "monitor by federation"]
            .contains(&row.name)
        {
            assert!(matches!(found, Provenance::Foreign { .. }), "{}: {found:?}", row.name);
            continue;
        }
        assert_eq!(found, Provenance::Shipped, "{}", row.name);
        let foreign = |change: &dyn Fn(&mut Plan)| {
            let mut planted = plan.clone();
            change(&mut planted);
            let found = Provenance::of(&planted, Some(&runbook), &[], &none);
            assert!(matches!(found, Provenance::Foreign { .. }), "{}: {found:?}", row.name);
        };
        let odd = || Condition { check: "true".into(), say: None };
        let at = plan.steps.iter().position(|step| step.action.writes()).expect("it changes something");
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"hostPID": true, "containers": []}});
        foreign(&|plan| {
            let target = plan.target.clone();
            plan.steps[at].action =
                Action::CreateObject(CreateObject { target, object_kind: ObjectKind::Pod, object: pod.clone() });
        });
        foreign(&|plan| {
            let mut more = plan.steps[at].clone();
            more.id = "more".into();
            plan.steps.push(more);
        });
        foreign(&|plan| plan.steps[at].until.push(odd()));
        foreign(&|plan| plan.steps[at].post.push(odd()));
        foreign(&|plan| {
            plan.document = Some(Document { file: "x.yaml".into(), fork: true, text: "runbook: v1".into() })
        });
        if plan.steps[at].confirm != Confirm::None {
            foreign(&|plan| plan.steps[at].confirm = Confirm::None);
        }
        // Where the document leaves the whole of `spec` open, what stands there is typed at least.
        let step =
            runbook.phases.iter().flat_map(|phase| &phase.steps).find(|step| plan.steps[at].id.starts_with(&step.id));
        let written = step.is_some_and(|step| step.with["merge"]["spec"].is_object());
        if let (true, Action::PatchTidbCluster(PatchTidbCluster { merge, .. })) = (written, &plan.steps[at].action) {
            let mut merge = merge.clone();
            merge["spec"]["pvReclaimPolicy"] = json!("Delete");
            foreign(&|plan| {
                if let Action::PatchTidbCluster(PatchTidbCluster { merge: sent, .. }) = &mut plan.steps[at].action {
                    sent.clone_from(&merge);
                }
            });
        }
    }
    let (mut bed, runbook, inputs) = begin(&ROWS[0]);
    let plan = bed.plan(&runbook, &inputs).expect("it is planned");
    assert!(matches!(Provenance::of(&plan, None, &[], &BTreeSet::new()), Provenance::Foreign { .. }));
    let text = SHIPPED.iter().find(|(id, _)| *id == runbook.id).expect("it is shipped").1;
    let document = Document { file: "mine.yaml".into(), fork: true, text: text.into() };
    let forked = Plan { document: Some(document), ..plan };
    let here = [Known { file: "mine.yaml", text, runbook: &runbook }];
    assert_eq!(
        Provenance::of(&forked, Some(&runbook), &here, &BTreeSet::new()),
        Provenance::Here { file: "mine.yaml".into() }
    );
}

/// A Database of a private registry: the part that joins it has its images, and no others.
#[test]
fn the_images_of_the_database_that_is_joined_are_no_foreign_words() {
    let mut tried = 0;
    for row in ROWS.iter().filter(|row| row.runbook == "join-cluster") {
        let (mut bed, runbook, inputs) = begin(row);
        let mut plan = bed.plan(&runbook, &inputs).unwrap_or_else(|why| panic!("{}: {why}", row.name));
        let create = plan.steps.iter_mut().find_map(|step| match &mut step.action {
            Action::CreateObject(create) if create.object_kind == ObjectKind::TidbCluster => Some(create),
            _ => None,
        });
        let Some(create) = create else { continue };
        create.object["spec"]["pd"]["baseImage"] = json!("registry.example/pd");
        tried += 1;
        for (image, whose) in [("registry.example/pd", true), ("registry.example/tikv", false), ("pingcap/pd", false)] {
            let found = Provenance::of(&plan, Some(&runbook), &[], &BTreeSet::from([image.to_owned()]));
            assert_eq!(found == Provenance::Shipped, whose, "{}: {image}: {found:?}", row.name);
        }
    }
    assert!(tried > 0, "no plan makes a TidbCluster");
}

#[test]
fn every_shipped_runbook_has_a_row() {
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.runbook).collect();
    let missing: Vec<&str> = SHIPPED.iter().map(|(id, _)| *id).filter(|id| !rows.contains(id)).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}
