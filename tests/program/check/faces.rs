//! One judgement, two faces: what `status` calls wrong `check` finds, of the same object, and the two exit codes agree. Over
//! all scenarios, and over every fault that can be planted in what was seen of each TidbCluster.
//!
//! Faults are put into the folded fleet, so that each stands alone. Not here: what a fault looks like in a running
//! fleet ([`super`]).

use tidepilot::fleet::pd::{MemberId, PdAnswer};
use tidepilot::fleet::problem::Problem;
use tidepilot::fleet::{Crd, Fleet, Freshness, ObjectRef, OperatorPods};
use tidepilot::hazards::{Severity, check};
use tidepilot::report::check::Shown;
use tidepilot::report::status::Status;
use tidepilot::sim::scenario::{self, Scenario};

use super::hidden::look;

fn answers(fleet: &mut Fleet) -> impl Iterator<Item = &mut PdAnswer> {
    fleet.clusters.values_mut().flat_map(|cluster| cluster.pd.values_mut()).filter_map(|view| view.answer.as_mut().ok())
}

/// The id of the first PD of a TidbCluster.
fn first_pd(fleet: &Fleet, of: &ObjectRef) -> Option<MemberId> {
    let pods = fleet.clusters[&of.context].pd.iter();
    let mut own = pods.filter(|(pod, _)| pod.namespace == of.namespace && pod.name == format!("{}-pd-0", of.name));
    own.find_map(|(_, view)| view.answer.as_ref().ok()?.self_id)
}

fn set_url(fleet: &mut Fleet, of: &ObjectRef, urls: &[&str]) {
    let Some(id) = first_pd(fleet, of) else { return };
    for answer in answers(fleet) {
        for member in answer.members.iter_mut().filter(|member| member.id == id) {
            let host =
                member.peer_urls.first().cloned().unwrap_or_default().replace("http://", "").replace(":2380", "");
            member.peer_urls = urls.iter().map(|url| url.replace("HOST", &host)).collect();
        }
    }
}

fn of_tc(fleet: &mut Fleet, of: &ObjectRef, change: impl Fn(&mut serde_json::Value)) {
    let tc = fleet.clusters.get_mut(&of.context).and_then(|cluster| cluster.tidb_clusters.get_mut(&of.key()));
    let tc = tc.expect("a TidbCluster of the fleet");
    let mut value = serde_json::to_value(&*tc).expect("JSON");
    change(&mut value);
    *tc = serde_json::from_value(value).expect("still a TidbCluster");
}

fn set_store(fleet: &mut Fleet, of: &ObjectRef, state: &str) {
    let name = format!("{}-tikv-0.", of.name);
    for answer in answers(fleet) {
        for store in answer.stores.iter_mut().filter(|store| store.address.starts_with(&name)) {
            store.state = state.into();
        }
    }
}

type Plant = fn(&mut Fleet, &ObjectRef);

/// Faults, and the least exit code of both faces.
const FAULTS: &[(&str, u8, Plant)] = &[
    ("nothing", 0, |_, _| {}),
    ("the client port", 2, |fleet, of| set_url(fleet, of, &["http://HOST:2379"])),
    ("an IP", 2, |fleet, of| set_url(fleet, of, &["http://10.0.0.7:2380"])),
    ("a foreign host", 2, |fleet, of| set_url(fleet, of, &["http://gone.example:2380"])),
    ("another namespace", 2, |fleet, of| set_url(fleet, of, &["http://x-pd-0.x-pd-peer.other.svc:2380"])),
    ("the other scheme", 2, |fleet, of| set_url(fleet, of, &["https://HOST:2380"])),
    ("no port", 2, |fleet, of| set_url(fleet, of, &["http://HOST"])),
    ("a path", 2, |fleet, of| set_url(fleet, of, &["http://HOST:2380/"])),
    ("a variable", 2, |fleet, of| set_url(fleet, of, &["${member_peer_url}"])),
    ("two of them", 2, |fleet, of| set_url(fleet, of, &["http://HOST:2380", "http://gone.example:2380"])),
    ("none of them", 2, |fleet, of| set_url(fleet, of, &[])),
    ("never started", 2, |fleet, of| {
        let id = first_pd(fleet, of);
        let all = answers(fleet).flat_map(|answer| &mut answer.members);
        all.filter(|member| Some(member.id) == id).for_each(|member| member.name.clear());
    }),
    ("not healthy", 2, |fleet, of| {
        let id = first_pd(fleet, of);
        for answer in answers(fleet) {
            answer.health.iter_mut().filter(|(of, _)| Some(**of) == id).for_each(|(_, well)| *well = false);
        }
    }),
    ("none is healthy", 2, |fleet, _| {
        answers(fleet).for_each(|answer| answer.health.values_mut().for_each(|well| *well = false));
    }),
    ("no leader", 2, |fleet, _| answers(fleet).for_each(|answer| answer.leader = None)),
    ("lists differ", 2, |fleet, of| {
        let id = first_pd(fleet, of);
        for answer in answers(fleet).filter(|answer| answer.self_id == id) {
            answer.members[0].peer_urls = vec!["http://elsewhere:2380".into()];
        }
    }),
    ("one forgot a member", 2, |fleet, of| {
        let id = first_pd(fleet, of);
        answers(fleet).filter(|answer| answer.self_id == id).for_each(|answer| drop(answer.members.pop()));
    }),
    ("not Ready", 2, |fleet, of| {
        of_tc(fleet, of, |tc| {
            tc["status"]["conditions"] =
                serde_json::json!([{"type": "Ready", "status": "False", "reason": "PDUnhealthy", "message": ""}])
        });
    }),
    ("no word of Ready", 3, |fleet, of| of_tc(fleet, of, |tc| tc["status"]["conditions"] = serde_json::json!([]))),
    ("paused", 2, |fleet, of| of_tc(fleet, of, |tc| tc["spec"]["paused"] = true.into())),
    ("Pump has not come", 2, |fleet, of| {
        of_tc(fleet, of, |tc| tc["spec"]["pump"] = serde_json::json!({"replicas": 1}));
    }),
    ("TiCDC has not come", 2, |fleet, of| {
        of_tc(fleet, of, |tc| tc["spec"]["ticdc"] = serde_json::json!({"replicas": 1}));
    }),
    ("versions mix", 0, |fleet, of| of_tc(fleet, of, |tc| tc["spec"]["tikv"]["version"] = "v8.5.8".into())),
    ("suspended", 0, |fleet, of| {
        of_tc(fleet, of, |tc| tc["spec"]["suspendAction"] = serde_json::json!({"suspendStatefulSet": true}));
    }),
    ("a store is down", 2, |fleet, of| set_store(fleet, of, "Down")),
    ("a store is disconnected", 2, |fleet, of| set_store(fleet, of, "Disconnected")),
    ("a store leaves", 2, |fleet, of| set_store(fleet, of, "Offline")),
    ("a store has no state", 2, |fleet, of| set_store(fleet, of, "")),
    ("a reference to nobody", 2, |fleet, of| {
        let gone = serde_json::json!({"name": "nobody", "namespace": "nowhere", "clusterDomain": "gone"});
        of_tc(fleet, of, |tc| tc["spec"]["cluster"] = gone.clone());
    }),
    ("the operator is scaled to 0", 2, |fleet, of| {
        let cluster = fleet.clusters.get_mut(&of.context).expect("a KubeCluster");
        cluster.operator_pods = Some(OperatorPods { wanted: 0, available: 0 });
    }),
    ("the operator does not run", 2, |fleet, of| {
        let cluster = fleet.clusters.get_mut(&of.context).expect("a KubeCluster");
        cluster.operator_pods = Some(OperatorPods { wanted: 1, available: 0 });
        for one in cluster.more.operator.iter_mut().flat_map(|operator| &mut operator.deployments) {
            one.available = 0;
        }
    }),
    ("PD does not answer", 3, |fleet, of| {
        let cluster = fleet.clusters.get_mut(&of.context).expect("a KubeCluster");
        cluster.pd.values_mut().for_each(|view| view.answer = Err("no answer".into()));
    }),
    ("a gap", 3, |fleet, of| {
        let id = first_pd(fleet, of);
        let mut own = answers(fleet).filter(|answer| answer.self_id == id);
        own.by_ref().for_each(|answer| answer.gaps.push("GET /pd/api/v1/stores: no answer".into()));
    }),
    ("unreachable", 3, |fleet, of| go_dark(fleet, of, Freshness::Unreachable)),
    ("forbidden", 3, |fleet, of| go_dark(fleet, of, Freshness::Forbidden)),
    ("not let in", 3, |fleet, of| go_dark(fleet, of, Freshness::AuthNeeded)),
    ("unknown CRD", 3, |fleet, of| fleet.clusters.get_mut(&of.context).expect("a KubeCluster").crd = Crd::Unknown),
];

fn go_dark(fleet: &mut Fleet, of: &ObjectRef, freshness: Freshness) {
    fleet.clusters.get_mut(&of.context).expect("a KubeCluster").freshness = freshness;
}

/// Where the two differ.
fn differing(fleet: &Fleet, now: jiff::Timestamp, least: u8) -> Vec<String> {
    let mut all = Vec::new();
    let status = Status::of(fleet);
    let checked = check(fleet, None, now);
    let problems = status.databases.iter().flat_map(|database| &database.problems).chain(&status.problems);
    for problem in problems {
        let known: Vec<_> = checked.findings.iter().filter(|finding| !finding.unknown).collect();
        let says = |finding: &&&tidepilot::hazards::Finding| problem.kind.hazards().contains(&finding.hazard.id);
        if !known.iter().filter(says).any(|finding| about(problem).any(|one| finding.subjects.contains(one))) {
            all.push(format!("status: {problem:?}, and check has no such finding"));
        }
    }
    for unseen in status.databases.iter().flat_map(|database| &database.unseen).chain(&status.unseen) {
        if !checked.unseen.iter().any(|one| one.ends_with(unseen.sentence.as_str())) {
            all.push(format!("status has not seen {unseen:?}, and check says nothing of it"));
        }
    }
    let shown = Shown::of_fleet(fleet, checked, Severity::Low, now);
    let (status, check) = (status.verdict().exit_code(), shown.exit_code());
    let agree = match status {
        2 => check == 2,
        3 => check == 2 || check == 3,
        _ => true,
    };
    let enough = match least {
        2 => status == 2,
        3 => status == 2 || status == 3,
        _ => true,
    };
    if !agree || !enough {
        all.push(format!("status ends with {status}, check with {check}, expected {least}"));
    }
    all
}

fn about(problem: &Problem) -> impl Iterator<Item = &tidepilot::fleet::problem_subject::Subject> {
    problem.about.iter()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_one_face_is_found_in_the_other() {
    let mut wrong = Vec::new();
    let mut planted = 0;
    for name in scenario::names() {
        let seen = look(Scenario::named(name).expect("embedded"), &[]).await;
        wrong.extend(differing(&seen.fleet, seen.now, 0).into_iter().map(|one| format!("{name}: {one}")));
        let targets: Vec<ObjectRef> = seen.fleet.tidb_clusters().map(|(of, _)| of).collect();
        for of in &targets {
            for (fault, least, plant) in FAULTS {
                let mut fleet = seen.fleet.clone();
                plant(&mut fleet, of);
                // A PD that is down answers nothing that could be changed.
                let least = match *fault {
                    _ if first_pd(&seen.fleet, of).is_none() => 0,
                    // It is known to lead nowhere only where all of the Database is seen.
                    "a reference to nobody" if name == "unreachable" => 3,
                    _ => *least,
                };
                planted += 1;
                let found = differing(&fleet, seen.now, least);
                wrong.extend(found.into_iter().map(|one| format!("{name}, {fault} at {of}: {one}")));
            }
        }
    }
    assert!(planted > 300, "only {planted} were planted");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
