//! Facts: what an expression can ask of an observation, and the shape it gets.
//!
//! A fact is a pure projection of one fresh [`Observation`]; within one look it is made once ([`crate::runbook::plan::bind::Facts`]), never kept for the next. What could not
//! be seen is an error ([`Unseen`]) or an absent field, never an empty list that looks like "all fine".
//! Not here: how an observation is taken (`client::look`).

mod monitoring;
mod places;
pub mod tls;
mod whole;

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Observation;
use crate::fleet::database::{Database, Member, database_of, referenced};
use crate::fleet::dns::Dns;
use crate::fleet::extras::Extra;
use crate::fleet::kin::{Kin, kin};
use crate::fleet::lead::Lead;
use crate::fleet::object::{Lookup, ObjectId, ObjectKind};
use crate::fleet::pd::{PdAnswer, PdView};
use crate::fleet::peer_url::readable;
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::{Crd, Fleet, KubeCluster, ObjectRef, rollout};
use crate::runbook::actions::network::{probe_at, probe_objects};

/// The closed set of queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Query {
    /// The TidbCluster as the API has it: `metadata`, `spec`, `status`.
    #[serde(rename = "k8s.tidb-cluster")]
    TidbCluster,
    /// One entry per component: `component, title, replicas, strategy, hasConfig, held, maxFailoverCount`; `held` is why the
    /// patch that opens the TidbCluster would not restart its pods, empty where it does.
    #[serde(rename = "tidb.components")]
    Components,
    /// One entry per component: `component, settled, reason, revision, replicas, updated, ready`.
    #[serde(rename = "tidb.rollout")]
    Rollout,
    /// `members[], agree, asked, answered, silent[]{pod,here,ill}, gaps[], healthy, size, quorate, lost, hasLeader, nameless, foreign, joining,
    /// doubts[]{of,changed,sentence,back}, ghosts, api, stores[]?`. A member's `drift` is absent where nobody can tell.
    #[serde(rename = "pd.membership")]
    Membership,
    /// `clusterDomain?, clusterDomains[], dns{}, dnsDoubts[], others[]{context,domains[],likeness,sentence}, crdAcrossK8s?,
    /// operatorVersion?, version?, crd`. For `servesDomain(kube, domain)` ([`serves_domain`]).
    #[serde(rename = "k8s.cluster")]
    KubeCluster,
    /// `tidbClusters[], notLive[], notSeen[], sameName[]{ref,clusterDomain}, sameCluster[], otherOperators[], rolling[],
    /// joined[], suspended[]{of,here,component,title}`; `suspended` has all that a suspendAction asks for, gone or still going;
    /// `doubts[]{of,changed,sentence,back}`;
    /// `tlsToggled[]`: what to do about each TidbCluster whose TLS was switched while it runs.
    #[serde(rename = "fleet.database")]
    Database,
    /// The place of a TidbCluster that need not be there: `context, namespace, name, exists, namespaceExists?, databaseId`
    /// (empty: none yet), `sameName[]{ref,clusterDomain}, sameCluster[], notLive[], tlsToggled[]` (as in `fleet.database`).
    #[serde(rename = "k8s.place")]
    Place,
    /// Every component of every TidbCluster in upgrade order: `components[], tidbClusters[], versions[], unsettled[], moving[],
    /// ill[]{of,here,component,title,pod,why}`; `moving` is what of `unsettled` ends by waiting, `ill` the pods that start and end
    /// again.
    #[serde(rename = "database.parts")]
    Parts,
    /// What is left without this TidbCluster: `stores[]?, left, needed?, short[]?, atRisk?, tolerated?, members[],
    /// membersLeft, healthyLeft, dependents[], referrers[], unseen[], pods, setReplicas, replicas, zero{}, …`.
    #[serde(rename = "database.without")]
    Without,
    /// `checks{}, ill?, gaps[]`: regions that miss something, as PD's leader counts them.
    #[serde(rename = "pd.placement")]
    Placement,
    /// Volume claims, also of a TidbCluster that is gone: `claims[]{name, volume, phase, reclaimPolicy, component}?, pods`.
    #[serde(rename = "k8s.claims")]
    Claims,
    /// The probe pod that stands for the place of a TidbCluster: `context, namespace, name, namespaceExists?, left[]?
    /// (Pod and Service that are there, with who made them), ready, trouble`.
    #[serde(rename = "net.probe-pod")]
    ProbePod,
    /// Warnings about a TidbCluster and its pods since it was made: `warnings[]?{kind,name,reason,message}`.
    #[serde(rename = "k8s.events")]
    Events,
    /// Where the parts of a Database's monitoring go, and whether they run: `members[]{ref, place, domain, local, store,
    /// running?, version?}, query{place, running?}`.
    #[serde(rename = "fleet.monitoring")]
    Monitoring,
    /// What the Secrets with the certificates of a TidbCluster say, which need not be there: `at, secrets[]{secret, state,
    /// sentence?, facts?}, expiring[], unfit[], troubles[]?` (of a TidbCluster that is there). For `tlsTroubles` ([`crate::runbook::facts::tls`]).
    #[serde(rename = "tls.certificates")]
    Certificates,
    /// The certificates with which the components of the whole Database speak with each other:
    /// `secrets[]{of, secret, state, outside, facts?}`; `due[]`: those of this TidbCluster to be replaced for it or
    /// because they end soon; whose common names are let in: `doors[]{of, component, allowed[], list}`.
    #[serde(rename = "tls.trust")]
    Trust,
    /// Whether the running PD pods of a TidbCluster serve the certificate that their Secret holds: `late[]`, a sentence for each
    /// that does not, or that could not be asked.
    #[serde(rename = "tls.served")]
    Served,
    /// `version`: the newest API version of cert-manager that can be used; empty where there is none.
    #[serde(rename = "k8s.cert-manager")]
    CertManager,
    /// `denied[]`: rights that this run needs and the user lacks.
    #[serde(rename = "k8s.rights")]
    Rights,
}

/// A fact that cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unseen(pub String);

/// The objects, beside what is listed anyway, that a query is answered from.
pub fn objects(query: Query, of: &ObjectRef, fleet: &Fleet) -> Vec<ObjectId> {
    match query {
        Query::Place => {
            let namespace = ObjectRef::new(&of.context, "", &of.namespace);
            vec![ObjectId::new(ObjectKind::Namespace, &namespace)]
        }
        Query::Monitoring => vec![monitoring::query_object(of)],
        Query::Certificates => crate::runbook::facts::tls::objects(of),
        Query::Served => vec![crate::runbook::facts::tls::pd_secret(of)],
        Query::Trust => crate::runbook::facts::tls::between(of, fleet).into_iter().map(|(_, id)| id).collect(),
        Query::ProbePod => {
            let namespace = ObjectRef::new(&of.context, "", &of.namespace);
            let both = probe_objects(&probe_at(of)).into_iter();
            both.chain([ObjectId::new(ObjectKind::Namespace, &namespace)]).collect()
        }
        Query::TidbCluster
        | Query::Components
        | Query::Rollout
        | Query::Membership
        | Query::KubeCluster
        | Query::Database
        | Query::Parts
        | Query::Without
        | Query::Placement
        | Query::Claims
        | Query::Events
        | Query::CertManager
        | Query::Rights => Vec::new(),
    }
}

/// What a closer look has to read for a query.
pub fn extras(query: Query) -> &'static [Extra] {
    match query {
        Query::Claims => &[Extra::Claims],
        Query::Events => &[Extra::Events],
        Query::CertManager => &[Extra::CertManager],
        Query::Served => &[Extra::Served],
        Query::Without | Query::Placement => &[Extra::Pd],
        Query::TidbCluster
        | Query::Components
        | Query::Rollout
        | Query::Membership
        | Query::KubeCluster
        | Query::Database
        | Query::Parts
        | Query::Monitoring
        | Query::Certificates
        | Query::Trust
        | Query::Place
        | Query::ProbePod
        | Query::Rights => &[],
    }
}

/// Answers one query about one TidbCluster. Some are about its place, where it need not be yet.
pub fn fact(query: Query, of: &ObjectRef, seen: &Observation) -> Result<Value, Unseen> {
    let cluster = seen.fleet.clusters.get(&of.context).ok_or_else(|| {
        Unseen(format!("context {} is not connected; it is not in the kubeconfig or not chosen", of.context))
    })?;
    if !cluster.freshness.is_live() {
        let why = cluster.message.as_deref().unwrap_or("no answer");
        return Err(Unseen(format!("KubeCluster {} is {}: {why}", of.context, cluster.freshness.word())));
    }
    let tc = || cluster.tidb_clusters.get(&of.key()).ok_or_else(|| no_such_tc(of, cluster));
    Ok(match query {
        Query::KubeCluster => kube_cluster(&seen.fleet, cluster),
        Query::Place => place(&seen.fleet, of, cluster)?,
        Query::Events => events(of, cluster),
        Query::ProbePod => places::probe_pod(&seen.fleet, of),
        Query::Certificates => crate::runbook::facts::tls::fact(of, seen),
        Query::Trust => crate::runbook::facts::tls::trust(of, seen),
        Query::Served => crate::runbook::facts::tls::served(of, cluster, tc()?, seen),
        Query::CertManager => crate::runbook::facts::tls::cert_manager(cluster)?,
        Query::TidbCluster => serde_json::to_value(tc()?).map_err(|error| Unseen(error.to_string()))?,
        Query::Components => components(tc()?),
        Query::Rollout => serde_json::to_value(rollout::rollout(cluster, tc()?)).map_err(|e| Unseen(e.to_string()))?,
        Query::Membership => membership(&seen.fleet, of, cluster, tc()?)?,
        Query::Database => {
            tc()?;
            database(&seen.fleet, of)
        }
        Query::Parts => {
            tc()?;
            whole::parts(&seen.fleet, of)?
        }
        Query::Without => whole::without(&seen.fleet, of, tc()?)?,
        Query::Placement => {
            tc()?;
            whole::placement(&seen.fleet, of)?
        }
        Query::Monitoring => {
            tc()?;
            monitoring::monitoring(&seen.fleet, of)?
        }
        Query::Claims => whole::claims(of, cluster),
        Query::Rights => match &seen.denied {
            Some(denied) => json!({ "denied": denied }),
            None => return Err(Unseen("the rights of this user were not asked".into())),
        },
    })
}

fn no_such_tc(of: &ObjectRef, cluster: &KubeCluster) -> Unseen {
    let known: Vec<String> = cluster.tidb_clusters.keys().map(|key| format!("{}/{key}", of.context)).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let why = cluster.message.as_deref().map(|m| format!(" ({m})")).unwrap_or_default();
    Unseen(format!("there is no TidbCluster {of}; in this KubeCluster there are: {known}{why}"))
}

fn place(fleet: &Fleet, of: &ObjectRef, cluster: &KubeCluster) -> Result<Value, Unseen> {
    let mut value = json!({
        "context": of.context, "namespace": of.namespace, "name": of.name,
        "exists": cluster.tidb_clusters.contains_key(&of.key()),
    });
    match objects(Query::Place, of, fleet).first().and_then(|id| fleet.sight(id)) {
        Some(Lookup::Absent) => value["namespaceExists"] = json!(false),
        Some(Lookup::Present(_)) => value["namespaceExists"] = json!(true),
        // Not for us to see: absent, so that a check on it stops.
        Some(Lookup::Unseen(_)) | None => {}
    }
    let id = cluster.tidb_clusters.get(&of.key()).and_then(|tc| tc.status.cluster_id.clone());
    value["databaseId"] = json!(id.unwrap_or_default());
    value["tlsToggled"] = tls_toggled(database_of(fleet, of).as_ref());
    value["sameName"] = same_name(fleet, of);
    value["sameCluster"] = same_cluster(fleet, of);
    let not_live = fleet.clusters.values().filter(|cluster| !cluster.freshness.is_live());
    value["notLive"] = not_live.map(|cluster| json!(cluster.context)).collect();
    Ok(value)
}

/// What was found, and the one way out.
fn tls_toggled(database: Option<&Database>) -> Value {
    let all = database.into_iter().flat_map(|database| &database.tls_toggled);
    all.map(|toggle| json!(format!("{}: {}; {}", toggle.of, toggle.sentence(), toggle.advice()))).collect()
}

/// Every other TidbCluster of this name and namespace with its domain: hazard 3 is decided against the domain that is
/// about to be set.
fn same_name(fleet: &Fleet, of: &ObjectRef) -> Value {
    let others = fleet.tidb_clusters().filter(|(other, _)| {
        other != of
            && fleet.same_cluster_as(&other.context).is_none()
            && other.name == of.name
            && other.namespace == of.namespace
    });
    others
        .map(|(other, tc)| json!({"ref": other.to_string(), "clusterDomain": tc.domain().unwrap_or_default()}))
        .collect()
}

/// The other contexts of the same Kubernetes cluster.
fn same_cluster(fleet: &Fleet, of: &ObjectRef) -> Value {
    let Some(own) = fleet.clusters.get(&of.context) else { return json!([]) };
    let others = fleet.clusters.values().filter(|other| other.context != of.context && kin(own, other) == Kin::Same);
    others.map(|c| json!(c.context)).collect()
}

fn events(of: &ObjectRef, cluster: &KubeCluster) -> Value {
    let Some(events) = &cluster.more.events else { return json!({}) };
    // Events outlive their object: those of one of the same name before it do not count.
    let made = cluster.tidb_clusters.get(&of.key()).and_then(|tc| tc.metadata.creation_timestamp);
    let pods = format!("{}-", of.name);
    let ours = events.iter().filter(|event| {
        let named = event.object.name == of.name || (event.kind == "Pod" && event.object.name.starts_with(&pods));
        named && event.object.namespace == of.namespace && event.last >= made
    });
    let told = ours.map(|event| {
        json!({"kind": event.kind, "name": event.object.name, "reason": event.reason, "message": event.message})
    });
    json!({ "warnings": told.collect::<Vec<_>>() })
}

/// What a suspendAction takes away of a TidbCluster.
fn suspended(fleet: &Fleet, of: &ObjectRef, here: bool) -> Vec<Value> {
    let Some(tc) = fleet.tidb_cluster(of) else { return Vec::new() };
    let asked = tc.components().map(|(component, _)| component).filter(|component| tc.asks_to_suspend(*component));
    let shown = |component: Component| json!({"of": of.to_string(), "here": here, "component": component.key(), "title": component.title()});
    asked.map(shown).collect()
}

/// Why setting acrossK8s (and a domain) would restart no pod of a component; empty: it restarts them.
fn held_by_opening(tc: &TidbCluster, component: Component) -> &'static str {
    match rollout::held_in(tc, component) {
        // Its init container's command asks discovery only with acrossK8s: the pod template changes with it.
        Some(rollout::Held::InPlace) if component == Component::Tiflash && !tc.across_k8s() => "",
        held => held.map_or("", rollout::Held::words),
    }
}

fn components(tc: &TidbCluster) -> Value {
    tc.components()
        .map(|(component, spec)| {
            let fails_over =
                matches!(component, Component::Pd | Component::Tikv | Component::Tidb | Component::Tiflash);
            // The operator's default is 3 (`domain.md` §1.2), so absent is not zero.
            let count = if fails_over { spec.max_failover_count.unwrap_or(3) } else { 0 };
            json!({
                "component": component.key(), "title": component.title(), "replicas": spec.replicas,
                "strategy": tc.config_update_strategy(component), "hasConfig": spec.config.is_some(),
                "held": held_by_opening(tc, component), "maxFailoverCount": count, "mode": spec.mode.clone().unwrap_or_default(),
            })
        })
        .collect()
}

/// The membership as all PD pods of the Database tell it. `asked` counts the PD pods of this TidbCluster.
fn membership(fleet: &Fleet, of: &ObjectRef, cluster: &KubeCluster, tc: &TidbCluster) -> Result<Value, Unseen> {
    let database =
        database_of(fleet, of).ok_or_else(|| Unseen(format!("TidbCluster {of} belongs to no Database yet")))?;
    if database.members.is_empty() {
        return Err(Unseen(database.unseen.last().cloned().unwrap_or_else(|| "PD returned no members".into())));
    }
    // Every PD pod of the Database, wherever it runs: agreement among those who happen to answer is none.
    let mut silent = Vec::new();
    let mut views: Vec<Option<&PdView>> = Vec::new();
    for part in &database.tidb_clusters {
        let Some((cluster, tc)) = fleet.clusters.get(&part.context).zip(fleet.tidb_cluster(part)) else { continue };
        for pod in rollout::component_pods(cluster, tc, Component::Pd) {
            let view = cluster.pd.get(&pod.metadata.key());
            if view.is_none_or(|view| view.answer.is_err()) {
                silent.push(json!({"pod": pod.metadata.name, "here": part == of, "ill": pod.loops()}));
            }
            views.push(view);
        }
    }
    let answers: Vec<&PdAnswer> = views.iter().flatten().filter_map(|view| view.answer.as_ref().ok()).collect();
    let own = rollout::component_pods(cluster, tc, Component::Pd);
    let api = own
        .iter()
        .filter_map(|pod| cluster.pd.get(&pod.metadata.key())?.answer.as_ref().ok())
        .find_map(|answer| answer.api);
    let members: Vec<Value> = database
        .members
        .iter()
        .map(|member| {
            let owner = member.of();
            let here = owner.as_ref() == Some(of);
            let own_tc = owner.as_ref().and_then(|owner| fleet.tidb_cluster(owner));
            let pod = member.pod.clone().unwrap_or_default();
            // For a gate one that knows no leader is as good as none.
            let healthy = member.healthy.or(member.leaderless.then_some(false));
            let mut value = json!({
                "id": member.id.hex(), "name": member.name, "pod": pod, "here": here,
                "peerUrls": member.peer_urls, "clientUrls": member.client_urls, "leader": member.leader,
                "healthy": healthy, "ready": member.ready.unwrap_or(false),
                "expectedName": own_tc.map_or_else(String::new, |tc| tc.pd_name(&pod)),
                "readable": !member.peer_urls.is_empty() && member.peer_urls.iter().all(|url| readable(url)),
                "placed": member.pod.is_some(), "present": member.pod_phase.is_some(),
                "expectedPeerUrl": member.expected_peer_url.clone().unwrap_or_default(),
                "of": owner.as_ref().map(ToString::to_string).unwrap_or_default(), "tidbCluster": owner,
            });
            // Where the domain is in doubt nobody knows which URL is right: absent, so that a gate on it stops.
            if member.pod.is_none() || member.expected_peer_url.is_some() {
                value["drift"] = json!(member.drift);
            }
            value
        })
        .collect();
    // Those that run where nobody looked were not asked, and should have been.
    let foreign: Vec<&str> = database
        .members
        .iter()
        .filter(|member| member.pod.is_none() && !member.name.is_empty())
        .map(|member| member.name.as_str())
        .collect();
    let mut fact = json!({
        "members": members, "agree": database.agree, "asked": views.len() + foreign.len(), "answered": answers.len(),
        "silent": silent,
        "gaps": answers.iter().flat_map(|answer| &answer.gaps).collect::<BTreeSet<_>>(),
        "healthy": database.members.iter().filter(|m| m.healthy == Some(true)).count(),
        "size": database.quorum.members, "tolerate": database.quorum.tolerate,
        "quorate": database.quorum.stands() && database.leader().is_some(),
        "lost": database.lead == Lead::Lost,
        "hasLeader": database.leader().is_some() && database.lead.leads(), "api": api,
        "nameless": database.members.iter().filter(|m| m.name.is_empty()).map(|m| m.id.hex()).collect::<Vec<_>>(),
        "foreign": foreign,
        "joining": joining(fleet, &database), "doubts": domain_doubts(&database),
        "ghosts": database.members.iter().filter(|m| ghost(fleet, m)).map(|m| m.id.hex()).collect::<Vec<_>>(),
    });
    if let Some(stores) = stores(&database, of, tc) {
        fact["stores"] = stores;
    }
    Ok(fact)
}

/// TidbClusters whose domain is in doubt: `of, changed` (it had another one; else only DNS speaks against it)`, sentence,
/// back` (the command that puts the old one back, or nothing).
fn domain_doubts(database: &Database) -> Value {
    let doubts = database.domain_doubts.iter();
    doubts
        .map(|doubt| {
            json!({
                "of": doubt.of.to_string(), "changed": doubt.old.is_some(), "sentence": doubt.sentence(),
                "back": doubt.back().unwrap_or_default(),
            })
        })
        .collect()
}

/// PD pods that are no member yet, or that nobody has told of.
fn joining(fleet: &Fleet, database: &Database) -> Vec<String> {
    let pods = database
        .tidb_clusters
        .iter()
        .filter_map(|of| Some((of, fleet.clusters.get(&of.context)?, fleet.tidb_cluster(of)?)));
    let known = |of: &ObjectRef, pod: &str| {
        database.members.iter().any(|member| {
            !member.name.is_empty() && member.pod.as_deref() == Some(pod) && member.of().as_ref() == Some(of)
        })
    };
    pods.flat_map(|(of, cluster, tc)| {
        let all = rollout::component_pods(cluster, tc, Component::Pd).into_iter();
        all.filter(|pod| !known(of, &pod.metadata.name))
            .map(|pod| format!("{}/{}", of.context, pod.metadata.name))
            .collect::<Vec<_>>()
    })
    .collect()
}

/// A member without a pod, whose pod nobody wants any more (hazard 57). The StatefulSet decides: failover adds pods beyond
/// the spec, and with delete-slots any ordinal may be wanted.
fn ghost(fleet: &Fleet, member: &Member) -> bool {
    let Some(of) = member.of() else { return false };
    let (Some(cluster), Some(tc)) = (fleet.clusters.get(&of.context), fleet.tidb_cluster(&of)) else { return false };
    let slots = tc.metadata.annotations.keys().any(|key| key.ends_with("/delete-slots"));
    let ordinal = member.pod.as_ref().and_then(|pod| pod.rsplit('-').next()?.parse::<i64>().ok());
    let spec = tc.spec.pd.as_ref().map_or(0, |pd| pd.replicas);
    let set = rollout::stateful_set(cluster, tc, Component::Pd).map_or(0, |set| set.spec.replicas);
    !slots
        && member.pod_phase.is_none()
        && member.healthy != Some(true)
        && ordinal.is_some_and(|ordinal| ordinal >= spec.max(set))
}

/// The stores as PD lists them, else as the operator does. `None` where there should be some and nobody told any:
/// an empty list would pass for "all of them are Up".
fn stores(database: &Database, of: &ObjectRef, tc: &TidbCluster) -> Option<Value> {
    let told: Vec<Value> = database
        .stores
        .iter()
        .map(|row| {
            json!({
                "id": row.store.id.to_string(), "address": row.store.address, "state": row.store.state,
                "tiflash": row.store.tiflash, "here": row.of.as_ref() == Some(of),
            })
        })
        .collect();
    let own = [(&tc.status.tikv, false), (&tc.status.tiflash, true)];
    let seen: Vec<Value> = own
        .into_iter()
        .flat_map(|(status, tiflash)| status.stores.values().map(move |store| (store, tiflash)))
        .map(|(store, tiflash)| {
            json!({"id": store.id, "address": store.ip, "state": store.state, "tiflash": tiflash, "here": true})
        })
        .collect();
    let wanted =
        tc.components().any(|(c, spec)| matches!(c, Component::Tikv | Component::Tiflash) && spec.replicas > 0);
    match (told.is_empty(), seen.is_empty()) {
        (false, _) => Some(told.into()),
        (true, false) => Some(seen.into()),
        (true, true) => (!wanted).then(|| json!([])),
    }
}

/// Whether the cluster of a `k8s.cluster` fact serves a domain: `yes`, `no`, `unknown`.
pub(super) fn serves_domain(kube: &Value, domain: &str) -> Result<Value, String> {
    let dns = kube.get("dns").ok_or("expected a k8s.cluster fact")?;
    let dns: Dns = serde_json::from_value(dns.clone()).map_err(|error| format!("a k8s.cluster fact: {error}"))?;
    Ok(json!(dns.serves(domain).word()))
}

/// How its DNS stands to those of the other clusters: `share`, `differ`, `unknown`.
fn other_dns(fleet: &Fleet, own: &KubeCluster) -> Value {
    let here = fleet.same_cluster_as(&own.context).unwrap_or(&own.context);
    let others = fleet
        .clusters
        .values()
        .filter(|other| fleet.same_cluster_as(&other.context).is_none() && other.context != here);
    others
        .map(|other| {
            let domains = other.dns.domains.join(", ");
            let sentence = if domains.is_empty() { "not known".to_owned() } else { domains };
            json!({
                "context": other.context, "domains": other.dns.domains,
                "likeness": own.dns.like(&other.dns).word(), "sentence": format!("{} ({sentence})", other.context),
            })
        })
        .collect()
}

fn kube_cluster(fleet: &Fleet, cluster: &KubeCluster) -> Value {
    let mut doubts: Vec<&str> = cluster.dns.doubts.iter().map(|doubt| doubt.why.as_str()).collect();
    if !cluster.dns.read {
        doubts.push("its configuration could not be read");
    }
    let mut value = json!({
        "context": cluster.context, "clusterDomains": cluster.dns.domains, "dns": cluster.dns, "dnsDoubts": doubts,
        "others": other_dns(fleet, cluster),
        "crd": match cluster.crd {
            Crd::Unknown => "unknown",
            Crd::Served { .. } => "served",
            Crd::Missing => "missing",
            Crd::OperatorV2Only => "operator-v2-only",
        },
    });
    if let Crd::Served { across_k8s: Some(known) } = cluster.crd {
        value["crdAcrossK8s"] = json!(known);
    }
    for (name, known) in [
        ("clusterDomain", &cluster.dns.domains.first().cloned()),
        ("operatorVersion", &cluster.operator_version),
        ("version", &cluster.version),
        ("uid", &cluster.uid),
    ] {
        if let Some(known) = known {
            value[name] = json!(known);
        }
    }
    value
}

fn database(fleet: &Fleet, of: &ObjectRef) -> Value {
    let database = database_of(fleet, of);
    let doubts = database.as_ref().map_or_else(|| json!([]), domain_doubts);
    let toggled = tls_toggled(database.as_ref());
    let dark = database.as_ref().map(not_known).unwrap_or_default();
    let members: Vec<ObjectRef> = database.map_or_else(|| vec![of.clone()], |d: Database| d.tidb_clusters);
    let others =
        || fleet.tidb_clusters().filter(|(other, _)| other != of && fleet.same_cluster_as(&other.context).is_none());
    let operator = |context: &str| fleet.clusters.get(context).and_then(|c| c.operator_version.clone());
    let own_operator = operator(&of.context);
    json!({
        "tidbClusters": members.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "notSeen": fleet.clusters.values().filter(|c| !c.freshness.is_live() && !members.iter().any(|m| m.context == c.context))
            .map(|c| c.context.clone()).collect::<Vec<_>>(),
        "notLive": members.iter().filter(|m| fleet.clusters.get(&m.context).is_none_or(|c| !c.freshness.is_live()))
            .map(|m| m.context.clone()).collect::<Vec<_>>(),
        "sameName": same_name(fleet, of), "doubts": doubts, "tlsToggled": toggled,
        "sameCluster": same_cluster(fleet, of),
        "otherOperators": members.iter().filter(|m| m.context != of.context)
            .filter_map(|m| operator(&m.context).filter(|v| Some(v) != own_operator.as_ref()).map(|v| format!("{} has {v}", m.context)))
            .collect::<Vec<_>>(),
        "rolling": members.iter().filter(|m| *m != of).filter_map(|m| {
                let (cluster, other) = (fleet.clusters.get(&m.context)?, fleet.tidb_cluster(m)?);
                let moving = rollout::rollout(cluster, other).into_iter().find(|component| !component.settled)?;
                Some(format!("{m} ({})", moving.reason))
            }).chain(dark.iter().cloned()).collect::<Vec<_>>(),
        "suspended": members.iter().flat_map(|m| suspended(fleet, m, m == of)).collect::<Vec<_>>(),
        "joined": others().filter(|(other, tc)| referenced(fleet, other, tc).as_ref() == Some(of))
            .map(|(other, _)| other.to_string()).chain(dark.iter().cloned()).collect::<Vec<_>>(),
    })
}

/// What stands in a list of troubles for parts of a Database that are not seen: an empty list would pass for "none".
fn not_known(database: &Database) -> Vec<String> {
    database.away().into_iter().map(|what| format!("not known: what runs {what}, in no connected context")).collect()
}
