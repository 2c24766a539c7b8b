//! Every PD member and store joined to its pod, TidbCluster and KubeCluster.
//!
//! The join is made from evidence in this order: the member id that a pod says is its own; then names and URLs in
//! the forms TiDB Operator gives them (`domain.md` §2.4). Two candidates are no answer. Not here: which TidbClusters are
//! one Database ([`super::grouping`]), what is wrong with a member ([`super::database_problems`]).

use std::collections::BTreeMap;

use super::pod_hostnames::{domain_in, host, pod_of};
use super::{Member, Place, StoreRow};
use crate::fleet::dns::{Served, normal, same_name};
use crate::fleet::pd::{EtcdMember, MemberId, PdAnswer, PdWay, Store};
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
    let gone = place.as_ref().is_some_and(|(of, cluster, _, pod)| gone(cluster, &ObjectKey::new(&of.namespace, pod)));
    let own_health = own_health.filter(|_| !gone);
    let healthy = match (own_health, told.is_empty()) {
        // Others follow a leader for seconds after its end, and a pod that is deleted by force outlives its object.
        _ if gone => Some(false),
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
        leader: leader == Some(member.id) && !gone,
        healthy,
        votes: own_health.or(healthy),
        answered: itself.is_some() && !gone,
        pd_access: itself.map(|(_, _, answer)| answer.way.clone()).filter(|way| *way != PdWay::PortForward),
        gone,
        ..Member::default()
    };
    if let Some((of, cluster, _, pod_name)) = place {
        let pod = cluster.pods.get(&ObjectKey::new(&of.namespace, &pod_name));
        joined.pod_phase = pod.map(|pod| pod.status_word());
        joined.ready = pod.map(|pod| pod.ready());
        joined.place = Place::new(of.clone(), pod_name);
    }
    joined
}

/// Whether a member has no pod that runs, as a cluster that shows all of its pods tells: whatever PD says of it is of a
/// moment ago.
fn gone(cluster: &KubeCluster, pod: &ObjectKey) -> bool {
    cluster.freshness.is_live()
        && cluster
            .pods
            .get(pod)
            .is_none_or(|pod| matches!(pod.status.phase.as_str(), "Pending" | "Failed" | "Succeeded"))
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
                    let pod = &host.split('.').next()?.to_ascii_lowercase();
                    let forms = [
                        tc.pd_host(pod, tc.domain()),
                        if exact { String::new() } else { tc.pd_host(pod, None) },
                        if exact { String::new() } else { pod.clone() },
                    ];
                    (pod_of(tc, Component::Pd, pod) && forms.iter().any(|form| same_name(form, host)))
                        .then(|| pod.clone())
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
    if found.is_empty() {
        found = moved(known, Component::Pd, &hosts);
        found.retain(|(of, _, _, pod)| {
            !views.iter().any(|(other, key, answer)| *other == *of && key.name == *pod && answer.self_id.is_some())
        });
    }
    if found.len() == 1 { found.pop() } else { None }
}

/// Whose pod it is where the spec has another domain by now: the name is that of a pod here, under a domain that the DNS of this
/// very KubeCluster serves, so the spec has changed and not the place ([`super::super::cluster_domain_evidence`]).
fn moved<'a>(
    known: &[(&'a ObjectRef, &'a KubeCluster, &'a TidbCluster)],
    component: Component,
    hosts: &[&str],
) -> Vec<(&'a ObjectRef, &'a KubeCluster, &'a TidbCluster, String)> {
    known
        .iter()
        .filter_map(|(of, cluster, tc)| {
            let pod = hosts.iter().find_map(|host| {
                let domain = domain_in(tc, component, host)?;
                let pod = host.split('.').next()?.to_ascii_lowercase();
                (cluster.dns.serves(&domain) == Served::Yes).then_some(pod)
            })?;
            Some((*of, *cluster, *tc, pod))
        })
        .collect()
}

pub(super) fn join_stores(
    known: &[(&ObjectRef, &KubeCluster, &TidbCluster)],
    views: &[(&ObjectRef, &ObjectKey, &PdAnswer)],
) -> Vec<StoreRow> {
    let stores: BTreeMap<u64, &Store> = views.iter().flat_map(|(_, _, a)| &a.stores).map(|s| (s.id, s)).collect();
    let mut rows: Vec<StoreRow> = stores
        .into_values()
        .map(|store| {
            let host = normal(store.host());
            let pod = host.split('.').next().unwrap_or_default();
            let component = store.component();
            let owners = known.iter().filter(|(_, _, tc)| {
                let base = format!("{pod}.{}-{}-peer.{}.svc", tc.name(), component.key(), tc.namespace());
                let full = tc.plain_domain().map(|domain| format!("{base}.{domain}"));
                pod_of(tc, component, pod) && (host == base || full.as_ref() == Some(&host))
            });
            let mut owners: Vec<&ObjectRef> = owners.map(|(of, _, _)| *of).collect();
            if owners.is_empty() {
                owners = moved(known, component, &[host.as_str()]).into_iter().map(|(of, ..)| of).collect();
            }
            let owner = if owners.len() == 1 { owners.pop() } else { None };
            StoreRow { store: store.clone(), place: owner.map(|of| Place::new(of.clone(), pod)).unwrap_or_default() }
        })
        .collect();
    rows.sort_by_cached_key(|row| (place_of(&row.place), row.store.id));
    rows
}

/// Where something is, for sorting: by TidbCluster, then by its pods' names and numbers; what has no place comes last.
pub(super) fn place_of(place: &Place) -> (bool, Option<ObjectRef>, String, u64) {
    let (of, pod) = (place.of().cloned(), place.pod());
    let (name, number) = pod.and_then(|pod| pod.rsplit_once('-')).unwrap_or((pod.unwrap_or_default(), ""));
    (of.is_none(), of, name.to_owned(), number.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::fleet::Fleet;
    use crate::fleet::database::{Database, databases};
    use crate::fleet::pd_leader_state::Lead;
    use crate::hazards::test_fleet::{Bed, when};
    use crate::hazards::{Severity, check};

    /// What each living one's own etcd says while it has no leader.
    fn leaderless(fleet: &mut Fleet, followed: bool) {
        for cluster in fleet.clusters.values_mut() {
            for answer in cluster.pd.values_mut().filter_map(|view| view.answer.as_mut().ok()) {
                (answer.healthy, answer.pd_leads) = (Some(false), Some(false));
                answer.leader = answer.leader.filter(|_| followed);
            }
        }
    }

    fn without(bed: &mut Bed, pods: &[&str]) -> Fleet {
        bed.east.pods.retain(|pod| !pods.iter().any(|name| pod["metadata"]["name"] == *name));
        let mut fleet = bed.fleet();
        fleet.clusters.get_mut("east").expect("there").pd.retain(|pod, _| !pods.contains(&pod.name.as_str()));
        fleet
    }

    fn healths(database: &Database) -> Vec<(Option<bool>, bool)> {
        database.members.iter().map(|member| (member.healthy, member.leader)).collect()
    }

    #[test]
    fn a_member_without_a_pod_is_never_healthy() {
        // PD still calls it healthy, and everybody follows it.
        let fleet = without(&mut Bed::healthy(), &["prod-east-pd-0"]);
        let database = &databases(&fleet)[0];
        assert_eq!(healths(database), [(Some(false), false), (Some(true), false), (Some(true), false)]);
        assert_eq!((database.quorum.healthy, database.quorum.tolerate), (2, 0));
        // Its pod is made anew.
        let mut bed = Bed::healthy();
        bed.east.pods[0]["status"] = json!({"phase": "Pending"});
        assert_eq!(databases(&bed.fleet())[0].members[0].healthy, Some(false));
        // Where pods may not be listed, a pod that is not seen says nothing.
        let mut fleet = without(&mut Bed::healthy(), &["prod-east-pd-0"]);
        fleet.clusters.get_mut("east").expect("there").freshness = crate::fleet::Freshness::Forbidden;
        assert_eq!(databases(&fleet)[0].members[0].healthy, Some(true));
    }

    #[test]
    fn the_living_are_not_called_unhealthy_while_they_elect() {
        for followed in [true, false] {
            let mut fleet = without(&mut Bed::healthy(), &["prod-east-pd-0"]);
            leaderless(&mut fleet, followed);
            let database = &databases(&fleet)[0];
            assert_eq!(database.lead, Lead::Electing);
            assert_eq!(healths(database), [(Some(false), false), (None, false), (None, false)]);
            let said: Vec<String> = database.problems.iter().map(ToString::to_string).collect();
            let sick: Vec<&String> = said.iter().filter(|one| one.contains("is not healthy")).collect();
            assert!(sick.len() == 1 && sick[0].contains("prod-east-pd-0"), "{said:?}");
        }
    }

    #[test]
    fn of_a_lost_quorum_those_without_a_pod_are_named() {
        let mut bed = Bed::healthy();
        for set in &mut bed.east.sets {
            if set["metadata"]["name"] == "prod-east-pd" {
                set["status"]["readyReplicas"] = json!(0);
            }
        }
        bed.east.tc["status"]["pd"]["synced"] = json!(false);
        let mut fleet = without(&mut bed, &["prod-east-pd-0", "prod-east-pd-1"]);
        leaderless(&mut fleet, false);
        assert_eq!(databases(&fleet)[0].lead, Lead::Lost);
        let checked = check(&fleet, None, when());
        let found: Vec<_> = checked.findings.iter().filter(|finding| !finding.unknown).collect();
        assert_eq!(found.iter().map(|finding| finding.id()).collect::<Vec<_>>(), ["pd-member-unhealthy"], "{found:#?}");
        let named: Vec<&str> = found[0].subjects.iter().map(|subject| subject.name.as_str()).collect();
        assert_eq!((named, found[0].severity), (vec!["1", "2"], Severity::High));
        let pods = ["prod-east-pd-0", "prod-east-pd-1"];
        assert!(pods.iter().all(|pod| found[0].what_to_do.contains(pod)), "{}", found[0].what_to_do);
    }
}
