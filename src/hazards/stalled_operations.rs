//! What waits for something that does not come by itself: hazards 76 to 80, each met in public (tidb-operator#2161, #2160, #5614,
//! #5613, #4886, #4644, #3948, #5146, #5372, #5678, #7063); and leaders or regions that are being moved away (63), which only looks so.
//!
//! All of it shows in the objects beside what PD tells. Not here: versions, and what rolls too early or twice ([`crate::hazards::upgrade`]).

use crate::fleet::ObjectRef;
use crate::fleet::hazard_id::HazardId;
use crate::fleet::pd::Store;
use crate::fleet::pd_details::EVICT_LEADER_SCHEDULER;
use crate::fleet::pd_leader_state::Lead;
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::rollout::{after_failover, component_pods};
use crate::fleet::tidbcluster::{Component, ComponentSpec, GRPC_RESOLVER};
use crate::fleet::workload::{EVICT_LEADER, Pod};
use crate::hazards::check_context::{CheckContext, Part};
use crate::hazards::{Finding, OfDatabase, Subject};
use crate::pluralize::counted;

pub(super) const ALL: &[OfDatabase] = &[
    eviction,
    failover_left_over,
    eviction_unknown_to_pd,
    scale_in_without_store_id,
    resolver_differs,
    unknown_component,
];

/// `pkg/manager/member/tikv_upgrader.go` of TiDB Operator 1.6; older ones wrote the second.
const EVICTING: [&str; 2] = ["evictLeaderBeginTime", "tidb.pingcap.com/evictLeaderBeginTime"];
const STORE_ID: &str = "tidb.pingcap.com/store-id";

const STORES: [Component; 2] = [Component::Tikv, Component::Tiflash];

fn pod_subject(part: &Part<'_>, pod: &Pod) -> Subject {
    Subject::object(SubjectKind::Pod, &ObjectRef::new(&part.of.context, &part.of.namespace, &pod.metadata.name))
}

/// 63. Leaders or regions are being moved away, which takes long and looks stuck.
fn eviction(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut said = Vec::new();
    let mut evidence = Vec::new();
    for part in &scene.parts {
        let own = part.cluster.pods_of(part.tc);
        for (pod, value) in own.filter_map(|pod| Some((pod, pod.metadata.annotations.get(EVICT_LEADER)?))) {
            let at = ObjectRef::new(&part.of.context, &part.of.namespace, &pod.metadata.name);
            said.push(format!("leaders are asked to leave {at}"));
            evidence.push((
                Subject::object(SubjectKind::Pod, &at),
                format!("metadata.annotations[{EVICT_LEADER}]"),
                value.clone(),
                part.seen(),
            ));
        }
    }
    let whole = Subject::of_pd(SubjectKind::Database, &scene.database.name);
    if let Some((_, details)) = scene.details {
        let rolls =
            scene.parts.iter().any(|part| part.tc.status.tikv.phase.as_deref().is_some_and(|phase| phase != "Normal"));
        let evicts = details.schedulers.iter().flatten().any(|name| name.starts_with(EVICT_LEADER_SCHEDULER));
        if evicts {
            said.push(match rolls {
                true => "leaders are being moved off a TiKV store, for up to 25 hours".to_owned(),
                false => {
                    "PD keeps leaders off a TiKV store, though no TiKV is being changed: the scheduler was left behind"
                        .to_owned()
                }
            });
            evidence.push((
                whole.clone(),
                "GET /pd/api/v1/schedulers".into(),
                EVICT_LEADER_SCHEDULER.into(),
                Some(details.at),
            ));
        }
        for removal in details.removing.iter().flatten() {
            let store = removal.store_id.map_or("stores".to_owned(), |id| format!("store {id}"));
            let left = removal.left_seconds.filter(|left| left.is_finite() && *left > 0.0);
            let eta = left.map_or("no estimate".to_owned(), |left| format!("about {left:.0} s left"));
            said.push(format!("{store} being emptied: {:.0} %, {eta}", removal.progress * 100.0));
            evidence.push((
                whole.clone(),
                "GET /pd/api/v1/stores/progress".into(),
                format!("{:.2}", removal.progress),
                Some(details.at),
            ));
        }
    }
    if said.is_empty() {
        return Vec::new();
    }
    let mut found = scene.find(HazardId::SilentEviction, said.join("; ")).on(whole);
    for (subject, field, value, seen) in evidence {
        found = found.saw(&subject, &field, value, seen);
    }
    vec![found.then("let it go on while the counts fall (tidepilot status --watch); a mark that was left behind: tidepilot diagnose")]
}

/// 76. The pods that failover made stay, and hold scaling back, until the operator is told that the failed ones are done with.
fn failover_left_over(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in &scene.parts {
        for (component, spec) in part.tc.components() {
            let status = part.tc.component_status(component);
            let named = [("failureMembers", &status.failure_members), ("failureStores", &status.failure_stores)];
            let count: usize = named.iter().map(|(_, failed)| failed.len()).sum();
            if count == 0 {
                continue;
            }
            let title = component.title();
            let sentence = format!(
                "failover is still recorded for {title} ({count}): the pods that it made stay beside the {} of the spec, and the operator does not scale {title} in",
                spec.replicas
            );
            let mut found = scene.find_at(HazardId::FailoverLeftOver, part, sentence);
            for (field, failed) in named.iter().filter(|(_, failed)| !failed.is_empty()) {
                let names = failed.keys().cloned().collect::<Vec<_>>().join(", ");
                found = found.saw(&part.subject(), &format!("status.{}.{field}", component.key()), names, part.seen());
            }
            all.push(found.then(match component {
                Component::Tikv | Component::Tiflash => format!(
                    "when the failed ones are Up again or are not to come back: {} # and take it out again afterwards",
                    part.patch(&format!("{{\"{}\":{{\"recoverFailover\":true}}}}", component.key()))
                ),
                Component::Pd | Component::Tidb | Component::Tiproxy | Component::Pump | Component::Ticdc => {
                    after_failover(component)
                }
            }));
        }
    }
    all
}

/// 77. The operator has marked a pod and waits until its leaders have left; PD has no scheduler that would move them.
fn eviction_unknown_to_pd(scene: &CheckContext<'_>) -> Vec<Finding> {
    // Where nobody told the schedulers, nothing is known of them; that is said as unseen.
    let Some((schedulers, at)) =
        scene.details.and_then(|(_, details)| Some((details.schedulers.as_ref()?, details.at)))
    else {
        return Vec::new();
    };
    if schedulers.iter().any(|name| name.starts_with(EVICT_LEADER_SCHEDULER)) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.live()) {
        for pod in component_pods(part.cluster, part.tc, Component::Tikv) {
            let marks = &pod.metadata.annotations;
            let Some((key, since)) = EVICTING.iter().find_map(|key| Some((key, marks.get(*key)?))) else { continue };
            let name = &pod.metadata.name;
            let subject = pod_subject(part, pod);
            all.push(
                scene
                    .find_at(
                        HazardId::EvictionUnknownToPd,
                        part,
                        format!("the operator waits until the leaders have left {name}, and PD moves none: it has no evict-leader scheduler"),
                    )
                    .on(subject.clone())
                    .saw(&subject, &format!("metadata.annotations[{key}]"), since, part.seen())
                    .saw(
                        &Subject::of_pd(SubjectKind::Database, &scene.database.name),
                        "GET /pd/api/v1/schedulers",
                        schedulers.join(", "),
                        Some(at),
                    )
                    .then(format!("take the mark off, whereupon the operator asks PD anew: {} annotate pod {name} {key}-", part.kubectl())),
            );
        }
    }
    all
}

/// The store of a pod that PD still counts.
fn store_of<'a>(scene: &CheckContext<'a>, part: &Part<'_>, pod: &Pod) -> Option<&'a Store> {
    let own = |row: &&crate::fleet::database::StoreRow| {
        row.place.of() == Some(part.of) && row.place.pod() == Some(pod.metadata.name.as_str())
    };
    scene.database.stores.iter().filter(own).map(|row| &row.store).find(|store| !store.is_gone())
}

/// 78. The operator takes no store out whose pod does not carry its id, and says so only in its log.
fn scale_in_without_store_id(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.live() && !part.tc.paused()) {
        if part.tc.delete_slots().next().is_some() {
            continue;
        }
        for component in STORES {
            let Some(spec) = part.tc.component(component) else { continue };
            let leaves = |pod: &&Pod| pod.ordinal().is_some_and(|ordinal| i64::from(ordinal) >= spec.replicas);
            for pod in component_pods(part.cluster, part.tc, component).into_iter().filter(leaves) {
                let Some(store) = store_of(scene, part, pod) else { continue };
                if pod.metadata.labels.get(STORE_ID).is_some_and(|id| !id.is_empty()) {
                    continue;
                }
                let name = &pod.metadata.name;
                let subject = pod_subject(part, pod);
                all.push(
                    scene
                        .find_at(
                            HazardId::ScaleInWithoutStoreId,
                            part,
                            format!(
                                "{name} is to leave, but carries no store id: the operator does not take store {} out",
                                store.id
                            ),
                        )
                        .on(subject.clone())
                        .saw(&subject, &format!("metadata.labels[{STORE_ID}]"), "(absent)", part.seen())
                        .saw(
                            &Subject::of_pd(SubjectKind::Store, store.id.to_string()),
                            "state_name, address",
                            format!("{}, {}", store.state, store.address),
                            scene.pd_seen(),
                        )
                        .then(format!("{} label pod {name} {STORE_ID}={}", part.kubectl(), store.id)),
                );
            }
        }
    }
    all
}

fn resolves_natively(spec: &ComponentSpec) -> bool {
    spec.env.as_ref().and_then(|env| env.get(GRPC_RESOLVER)).is_some_and(|value| value == "native")
}

/// 79. PD is well, and not one store here has ever come to it: TiKV and TiFlash ask DNS in another way than PD does.
fn resolver_differs(scene: &CheckContext<'_>) -> Vec<Finding> {
    if scene.database.lead != Lead::Leads {
        return Vec::new();
    }
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.live() && part.opened()) {
        for component in STORES {
            let Some(spec) = part.tc.component(component).filter(|spec| !resolves_natively(spec)) else { continue };
            let came =
                scene.database.stores.iter().any(|row| {
                    row.place.of() == Some(part.of) && row.store.tiflash == (component == Component::Tiflash)
                });
            let looping: Vec<&Pod> =
                component_pods(part.cluster, part.tc, component).into_iter().filter(|pod| pod.loops()).collect();
            if came || looping.is_empty() {
                continue;
            }
            let (title, key) = (component.title(), component.key());
            let sentence = format!(
                "PD answers, and no {title} here has come to it: its pods end and start again. {title} resolves names through c-ares, PD does not: a name that CoreDNS rewrites or forwards may exist for one of them only"
            );
            let mut found = scene.find_at(HazardId::ResolverDiffers, part, sentence);
            for pod in &looping {
                let value = format!("{}, {} restarts", pod.status_word(), pod.restarts());
                found = found.saw(&pod_subject(part, pod), "status", value, part.seen());
            }
            let field = format!("spec.{key}.env[{GRPC_RESOLVER}]");
            let set = spec.env.as_ref().and_then(|env| env.get(GRPC_RESOLVER));
            found = found.saw(&part.subject(), &field, set.map_or("(absent)", String::as_str), part.seen());
            let log = format!("{} logs {} --previous", part.kubectl(), looping[0].metadata.name);
            // A merge patch replaces the whole list.
            let cure = match spec.env.as_ref().is_none_or(std::collections::BTreeMap::is_empty) {
                true => part.patch(&format!(
                    "{{\"{key}\":{{\"env\":[{{\"name\":\"{GRPC_RESOLVER}\",\"value\":\"native\"}}]}}}}"
                )),
                false => format!(
                    "{} edit tidbcluster {} # add {GRPC_RESOLVER}=native to spec.{key}.env",
                    part.kubectl(),
                    part.of.name
                ),
            };
            all.push(found.then(format!("if its log tells of DNS ({log}): {cure}")));
        }
    }
    all
}

/// 80. Whether it runs as asked is not known, and so nothing that waits for the whole TidbCluster is.
fn unknown_component(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in &scene.parts {
        for (key, replicas) in part.tc.spec.unknown.iter().filter(|(_, replicas)| **replicas > 0) {
            all.push(
                scene
                    .find_at(
                        HazardId::UnknownComponent,
                        part,
                        format!("spec.{key} asks for {} of a component that tidepilot does not know: whether everything is there is not known", counted(*replicas, "pod")),
                    )
                    .saw(&part.subject(), &format!("spec.{key}.replicas"), replicas.to_string(), part.seen())
                    .unknown()
                    .then(format!(
                        "look at it yourself: {} get pods -l app.kubernetes.io/instance={},app.kubernetes.io/component={key}; no runbook waits for it, and suspending or leaving does not count it",
                        part.kubectl(),
                        part.tc.instance()
                    )),
            );
        }
    }
    all
}
