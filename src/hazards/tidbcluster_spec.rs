//! `domain.md` §5.1: how the objects are written. Hazards 3, 4, 8 to 10, 14, 15 and 70; 1 and 2 are in [`crate::hazards::cluster_domain`].
//!
//! One function per hazard. Where the answer needs two KubeClusters at once, [`fleet`] gives it. Not here: CRD and operator
//! ([`crate::hazards::kube_cluster_and_operator`]), volumes ([`crate::hazards::volume_claims`]).

use crate::fleet::advice::{Advice, RunLine};
use crate::fleet::hazard_id::HazardId;
use std::collections::BTreeMap;

use crate::fleet::database::{Database, referenced};
use crate::fleet::rollout::{ComponentRollout, Held, held_in, moves, rollout};
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::{Fleet, ObjectRef};
use crate::hazards::check_context::{CheckContext, Part};
use crate::hazards::{Finding, OfDatabase, Severity, Subject};
use crate::pluralize::counted;

pub(super) const ALL: &[OfDatabase] =
    &[across_k8s_missing, config_not_rolled, tiproxy, microservices, failover_on, paused, suspended];

/// What is judged over all Databases at once.
pub(super) fn fleet(fleet: &Fleet, databases: &[Database]) -> Vec<Finding> {
    duplicate_triple(fleet, databases)
}

/// 3. Name, namespace and DNS domain together must be unique among TidbClusters that may meet.
fn duplicate_triple(fleet: &Fleet, databases: &[Database]) -> Vec<Finding> {
    /// Name, namespace, domain.
    type Triple = (String, String, String);
    let mut by_triple: BTreeMap<Triple, Vec<(ObjectRef, &TidbCluster)>> = BTreeMap::new();
    for (of, tc) in fleet.tidb_clusters().filter(|(of, _)| fleet.same_cluster_as(&of.context).is_none()) {
        let real = || fleet.clusters.get(&of.context).and_then(|cluster| cluster.cluster_domain().map(str::to_owned));
        let domain = tc.domain().map(ToOwned::to_owned).or_else(real);
        // Without a domain nothing says that the two would collide.
        let Some(domain) = domain else { continue };
        by_triple.entry((of.namespace.clone(), of.name.clone(), domain)).or_default().push((of, tc));
    }
    let mut all = Vec::new();
    for ((namespace, name, domain), same) in by_triple {
        let opened = same.iter().any(|(_, tc)| tc.across_k8s() || tc.spec.cluster.is_some());
        if same.len() < 2 || !opened {
            continue;
        }
        let of = databases.iter().find(|database| database.tidb_clusters.contains(&same[0].0));
        let sentence = format!("{} TidbClusters are called {namespace}/{name} in the DNS domain {domain}", same.len());
        let mut found = Finding::new(HazardId::DuplicateTriple, of.map(|database| database.name.as_str()), sentence);
        for (of, _) in &same {
            let seen = fleet.clusters.get(&of.context).and_then(|cluster| cluster.heard);
            let subject = Subject::tidb_cluster(of);
            found = found.saw(
                &subject,
                "metadata.name, metadata.namespace, DNS domain",
                format!("{name}, {namespace}, {domain}"),
                seen,
            );
            found = found.on(subject);
        }
        all.push(
            found.then("give one of them another namespace or name before they meet; a running one cannot be renamed"),
        );
    }
    all
}

/// 4. A part of a spanning Database without acrossK8s.
fn across_k8s_missing(scene: &CheckContext<'_>) -> Vec<Finding> {
    let away = |part: &Part<'_>| {
        let joined = referenced(scene.fleet, part.of, part.tc);
        joined.is_some_and(|of| of.context != part.of.context)
    };
    let missing = scene.parts.iter().filter(|part| (scene.spans() || away(part)) && !part.tc.across_k8s());
    missing
        .map(|part| {
            scene
                .find_at(
                    HazardId::AcrossK8sMissing,
                    part,
                    "acrossK8s is not set, though the Database spans several KubeClusters",
                )
                .saw(&part.subject(), "spec.acrossK8s", shown(part.tc.spec.across_k8s), part.seen())
                // With its domain all names stay as they are, and the field alone is what lacks.
                .then(match part.tc.domain() {
                    Some(_) => Advice::from(part.patch("{\"acrossK8s\":true}")),
                    None => scene.migrate(part).into(),
                })
        })
        .collect()
}

/// 8. A change of the spec that restarts nothing.
fn config_not_rolled(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| scene.spans() || part.opened()) {
        let mut fields: Vec<(String, String)> = Vec::new();
        let (mut in_place, mut bare) = (Vec::new(), Vec::new());
        for (component, _) in part.tc.components() {
            match held_in(part.tc, component) {
                Some(Held::InPlace) => {
                    let strategy = part.tc.config_update_strategy(component).to_owned();
                    in_place.push(component.title());
                    fields.push((format!("configUpdateStrategy of {}", component.title()), strategy));
                }
                Some(Held::NoConfig) => {
                    bare.push(component.title());
                    fields.push((format!("spec.{}.config", component.key()), "(absent)".into()));
                }
                None => {}
            }
        }
        if fields.is_empty() {
            continue;
        }
        let said = [(Held::InPlace.words(), in_place), (Held::NoConfig.words(), bare)];
        let said: Vec<String> = said
            .iter()
            .filter(|(_, titles)| !titles.is_empty())
            .map(|(why, titles)| format!("{} ({why})", titles.join(", ")))
            .collect();
        let sentence = format!("changes do not restart the pods of {}", said.join(" and "));
        let mut found = scene.find_at(HazardId::ConfigNotRolled, part, sentence);
        for (field, value) in &fields {
            found = found.saw(&part.subject(), field, value, part.seen());
        }
        all.push(found.then(format!("{} # this itself is a rolling restart", part.patch(&rolls(part).to_string()))));
    }
    all
}

/// What makes every change of a component restart its pods: a strategy of its own counts before the common one.
fn rolls(part: &Part<'_>) -> serde_json::Value {
    let mut spec = serde_json::Map::new();
    for (component, own) in part.tc.components() {
        let mut change = serde_json::Map::new();
        match held_in(part.tc, component) {
            Some(Held::InPlace) if own.config_update_strategy.is_some() => {
                change.insert("configUpdateStrategy".into(), "RollingUpdate".into());
            }
            Some(Held::InPlace) => drop(spec.insert("configUpdateStrategy".into(), "RollingUpdate".into())),
            Some(Held::NoConfig) | None => {}
        }
        // The strategy alone would show next that there is no ConfigMap to roll by.
        let scripted = matches!(component, Component::Pd | Component::Tikv | Component::Tidb);
        if scripted && own.config.is_none() {
            change.insert("config".into(), serde_json::json!({}));
        }
        if !change.is_empty() {
            spec.insert(component.key().into(), change.into());
        }
    }
    spec.into()
}

/// 9. TiProxy ends the operator's pass before TiFlash, TiKV and TiDB.
fn tiproxy(scene: &CheckContext<'_>) -> Vec<Finding> {
    let with = scene.parts.iter().filter_map(|part| Some((part, part.tc.spec.tiproxy.as_ref()?)));
    with.filter(|(part, _)| part.tc.across_k8s())
        .map(|(part, spec)| {
            scene
                .find_at(
                    HazardId::TiproxyWithAcrossK8s,
                    part,
                    "TiProxy is asked for together with acrossK8s, which the operator refuses",
                )
                .saw(&part.subject(), "spec.tiproxy.replicas", spec.replicas.to_string(), part.seen())
                .then(format!("take TiProxy out of the object: {}", part.patch("{\"tiproxy\":null}")))
        })
        .collect()
}

/// 10. PD microservices across KubeClusters.
fn microservices(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.opened()) {
        let listed = part.tc.spec.pdms.as_ref().filter(|list| !list.is_empty()).map(Vec::len);
        let mode = part.tc.spec.pd.as_ref().and_then(|pd| pd.mode.as_deref()).filter(|mode| *mode == "ms");
        let mut found = match (listed, mode) {
            (None, None) => continue,
            _ => scene.find_at(
                HazardId::PdMicroservicesAcrossK8s,
                part,
                "PD runs as microservices in a TidbCluster opened for others",
            ),
        };
        if let Some(count) = listed {
            found = found.saw(&part.subject(), "spec.pdms", counted(count, "entry"), part.seen());
        }
        if let Some(mode) = mode {
            found = found.saw(&part.subject(), "spec.pd.mode", mode, part.seen());
        }
        all.push(found.then("go back to PD without microservices; the vendor does not support this combination"));
    }
    all
}

/// 14. Failover would replace members that are only out of reach.
fn failover_on(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| scene.spans() || part.opened()) {
        let counted = part.tc.components().filter(|(component, _)| failover_applies(*component));
        let on: Vec<(Component, Option<i64>)> = counted
            .map(|(component, spec)| (component, spec.max_failover_count))
            .filter(|(_, count)| *count != Some(0))
            .collect();
        if on.is_empty() {
            continue;
        }
        let titles: Vec<&str> = on.iter().map(|(component, _)| component.title()).collect();
        let mut found = scene.find_at(HazardId::FailoverOn, part, format!("failover is on for {}", titles.join(", ")));
        for (component, count) in &on {
            let value = count.map_or("(absent: 3)".to_owned(), |count| count.to_string());
            found =
                found.saw(&part.subject(), &format!("spec.{}.maxFailoverCount", component.key()), value, part.seen());
        }
        let body: Vec<String> =
            on.iter().map(|(component, _)| format!("\"{}\":{{\"maxFailoverCount\":0}}", component.key())).collect();
        all.push(found.then(part.patch(&format!("{{{}}}", body.join(",")))));
    }
    all
}

/// Components that the operator fails over.
pub(crate) fn failover_applies(component: Component) -> bool {
    matches!(component, Component::Pd | Component::Tikv | Component::Tidb | Component::Tiflash)
}

/// 15. The operator looks away, or pods have holes in their numbering.
fn paused(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in &scene.parts {
        if part.tc.paused() {
            // What has begun stands half done, and no wait ends.
            let moving = rollout(part.cluster, part.tc)
                .into_iter()
                .find(|one| part.live() && !one.settled && moves(part.cluster, part.tc, one.component));
            let (severity, sentence) = match moving {
                Some(one) => (
                    Severity::Medium,
                    format!("it is paused in the midst of a change, which stands still until then: {}", one.reason),
                ),
                None => (Severity::Low, "it is paused: the operator does nothing here".to_owned()),
            };
            all.push(
                scene
                    .find_at(HazardId::Paused, part, sentence)
                    .severity(severity)
                    .saw(&part.subject(), "spec.paused", "true", part.seen())
                    .then(part.patch("{\"paused\":false}")),
            );
        }
        for (key, value) in part.tc.delete_slots() {
            all.push(
                scene
                    .find_at(
                        HazardId::Paused,
                        part,
                        "AdvancedStatefulSet leaves holes in the numbering of its pods; counts by ordinal do not hold",
                    )
                    .saw(&part.subject(), &format!("metadata.annotations[{key}]"), value, part.seen())
                    .then("count its pods by name before anything is scaled"),
            );
        }
    }
    all
}

/// 70. Asked for, and forgotten as easily: what is suspended serves nobody.
fn suspended(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.live()) {
        let states = rollout(part.cluster, part.tc);
        let asked: Vec<_> = states.iter().filter(|state| part.tc.asks_to_suspend(state.component)).collect();
        if asked.is_empty() {
            continue;
        }
        let title = |state: &&&ComponentRollout| state.component.title();
        let gone: Vec<&str> = asked.iter().filter(|state| state.suspended).map(|state| title(&state)).collect();
        let going: Vec<&str> =
            asked.iter().filter(|state| !state.suspended).map(|state| state.reason.as_str()).collect();
        let mut said = Vec::new();
        if !gone.is_empty() {
            said.push(format!("{} suspended: no pods, the volumes stay", gone.join(", ")));
        }
        said.extend(going.iter().map(ToString::to_string));
        let mut found = scene.find_at(HazardId::Suspended, part, said.join("; "));
        let own = |state: &&&ComponentRollout| {
            part.tc.component(state.component).is_some_and(|spec| spec.suspend_action.is_some())
        };
        for state in asked.iter().filter(own) {
            let field = format!("spec.{}.suspendAction", state.component.key());
            found = found.saw(&part.subject(), &field, "suspendStatefulSet: true", part.seen());
        }
        let whole = asked.iter().any(|state| !own(&state));
        if whole {
            found = found.saw(&part.subject(), "spec.suspendAction", "suspendStatefulSet: true", part.seen());
        }
        let own: Vec<String> = asked
            .iter()
            .filter(own)
            .map(|state| format!("\"{}\":{{\"suspendAction\":null}}", state.component.key()))
            .collect();
        all.push(found.then(match own.is_empty() {
            true => RunLine::run("resume-cluster").on(part.of).behind("when it is to run again"),
            false => format!("when it is to run again: {}", part.patch(&format!("{{{}}}", own.join(",")))).into(),
        }));
    }
    all
}

fn shown(value: Option<bool>) -> String {
    value.map_or("(absent)".into(), |value| value.to_string())
}
