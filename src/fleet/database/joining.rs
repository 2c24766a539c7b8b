//! Every PD member and store joined to its pod, TidbCluster and KubeCluster.
//!
//! The join is made from evidence in this order: the member id that a pod says is its own; then names and URLs in
//! the forms TiDB Operator gives them (`domain.md` §2.4). Two candidates are no answer. Not here: which TidbClusters are
//! one Database ([`super::grouping`]), what is wrong with a member ([`super::judging`]).

use std::collections::BTreeMap;

use super::grouping::pod_of;
use super::{Member, StoreRow};
use crate::fleet::pd::{EtcdMember, MemberId, PdAnswer, Store};
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::{KubeCluster, ObjectKey, ObjectRef};

/// Joins one etcd member to pod, TidbCluster and KubeCluster. Where it is may have been told before; how it is, only now.
pub(super) fn join(
    member: &EtcdMember,
    known: &[(&ObjectRef, &KubeCluster, &TidbCluster)],
    views: &[(&ObjectRef, &ObjectKey, &PdAnswer)],
    fresh: &[(&ObjectRef, &ObjectKey, &PdAnswer)],
    leader: Option<MemberId>,
) -> Member {
    let own = views.iter().find(|(_, _, answer)| answer.self_id == Some(member.id));
    let place = match own {
        Some((of, pod, _)) => {
            known.iter().find(|(k, _, _)| k == of).map(|(of, c, tc)| (*of, *c, *tc, pod.name.clone()))
        }
        None => by_name(member, known, views),
    };
    let itself = fresh.iter().find(|(_, _, answer)| answer.self_id == Some(member.id));
    let own_health = itself.and_then(|(_, _, answer)| answer.healthy);
    let told: Vec<bool> = fresh.iter().filter_map(|(_, _, answer)| answer.told(member.id)).collect();
    let healthy = match (own_health, told.is_empty()) {
        (Some(false), _) => Some(false),
        (own, true) => own,
        // One that sees it down is enough: an asymmetric partition is no health.
        (_, false) => Some(told.iter().all(|h| *h)),
    };
    let mut joined = Member {
        id: member.id,
        name: member.name.clone(),
        peer_urls: member.peer_urls.clone(),
        client_urls: member.client_urls.clone(),
        leader: leader == Some(member.id),
        healthy,
        votes: own_health.or(healthy),
        answered: itself.is_some(),
        ..Member::default()
    };
    if let Some((of, cluster, _, pod_name)) = place {
        let pod = cluster.pods.get(&ObjectKey::new(&of.namespace, &pod_name));
        joined.kube_cluster = Some(of.context.clone());
        joined.namespace = Some(of.namespace.clone());
        joined.tidb_cluster = Some(of.name.clone());
        joined.pod_phase = pod.map(|pod| pod.status_word());
        joined.ready = pod.map(|pod| pod.ready());
        joined.pod = Some(pod_name);
    }
    joined
}

/// Finds a member's pod by its name, clientURLs and peerURLs, where the pod itself did not say who it is. Two
/// candidates are no answer. A pod that said it is another member is no candidate.
fn by_name<'a>(
    member: &EtcdMember,
    known: &[(&'a ObjectRef, &'a KubeCluster, &'a TidbCluster)],
    views: &[(&ObjectRef, &ObjectKey, &PdAnswer)],
) -> Option<(&'a ObjectRef, &'a KubeCluster, &'a TidbCluster, String)> {
    let mut hosts: Vec<&str> = vec![member.name.as_str()];
    hosts.extend(member.client_urls.iter().chain(&member.peer_urls).filter_map(|url| host(url)));
    let candidates = |exact: bool| -> Vec<(&'a ObjectRef, &'a KubeCluster, &'a TidbCluster, String)> {
        known
            .iter()
            .filter_map(|(of, cluster, tc)| {
                let pod = hosts.iter().find_map(|host| {
                    let pod = host.split('.').next()?;
                    let forms = [
                        tc.pd_host(pod, tc.domain()),
                        if exact { String::new() } else { tc.pd_host(pod, None) },
                        if exact { String::new() } else { pod.to_owned() },
                    ];
                    (pod_of(tc, Component::Pd, pod) && forms.iter().any(|form| form == host)).then(|| pod.to_owned())
                })?;
                let taken = views.iter().any(|(other, key, answer)| {
                    *other == *of && key.name == pod && answer.self_id.is_some_and(|id| id != member.id)
                });
                (!taken).then_some((*of, *cluster, *tc, pod))
            })
            .collect()
    };
    let mut found = candidates(true);
    if found.is_empty() {
        found = candidates(false);
    }
    if found.len() == 1 { found.pop() } else { None }
}

/// `host` of `scheme://host:port`.
pub fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    Some(rest.split([':', '/']).next().unwrap_or(rest))
}

pub(super) fn join_stores(
    known: &[(&ObjectRef, &KubeCluster, &TidbCluster)],
    views: &[(&ObjectRef, &ObjectKey, &PdAnswer)],
) -> Vec<StoreRow> {
    let stores: BTreeMap<u64, &Store> = views.iter().flat_map(|(_, _, a)| &a.stores).map(|s| (s.id, s)).collect();
    let mut rows: Vec<StoreRow> = stores
        .into_values()
        .map(|store| {
            let host = store.address.split(':').next().unwrap_or_default();
            let pod = host.split('.').next().unwrap_or_default();
            let component = if store.tiflash { Component::Tiflash } else { Component::Tikv };
            let mut owners = known.iter().filter(|(_, _, tc)| {
                let base = format!("{pod}.{}-{}-peer.{}.svc", tc.name(), component.key(), tc.namespace());
                let full = tc.domain().map(|domain| format!("{base}.{domain}"));
                pod_of(tc, component, pod) && (host == base || Some(host) == full.as_deref())
            });
            let owner = match (owners.next(), owners.next()) {
                (Some(one), None) => Some(one),
                _ => None,
            };
            StoreRow {
                store: store.clone(),
                kube_cluster: owner.map(|(of, _, _)| of.context.clone()),
                tidb_cluster: owner.map(|(of, _, _)| of.name.clone()),
                pod: owner.map(|_| pod.to_owned()),
                of: owner.map(|(of, _, _)| (*of).clone()),
            }
        })
        .collect();
    rows.sort_by_cached_key(|row| (place_of(row.of.clone(), row.pod.as_deref()), row.store.id));
    rows
}

/// Where something is, for sorting: by TidbCluster, then by its pods' names and numbers; what has no place comes last.
pub(super) fn place_of(of: Option<ObjectRef>, pod: Option<&str>) -> (bool, Option<ObjectRef>, String, u64) {
    let (name, number) = pod.and_then(|pod| pod.rsplit_once('-')).unwrap_or((pod.unwrap_or_default(), ""));
    (of.is_none(), of, name.to_owned(), number.parse().unwrap_or(u64::MAX))
}
