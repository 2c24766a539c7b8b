//! `pd.membership`: PD's members, as all PD pods of the Database tell them.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Doubt, Unseen, doubts, of_database};
use crate::fleet::database::{Database, Member, StoreRow};
use crate::fleet::ghost_member::ghost;
use crate::fleet::pd::{MembershipApi, PdAnswer, PdView};
use crate::fleet::pd_leader_state::Lead;
use crate::fleet::peer_url_check::readable;
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::{Fleet, KubeCluster, ObjectKey, ObjectRef, rollout};

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MembershipFact {
    members: Vec<MemberFact>,
    /// Every PD pod that answered lists the same members and peerURLs.
    agree: bool,
    /// PD pods of the whole Database, with members that run where nobody looked.
    asked: usize,
    /// Those of them that answered.
    answered: usize,
    /// PD pods without an answer.
    silent: Vec<SilentPod>,
    /// What an answer left out, a sentence each.
    gaps: BTreeSet<String>,
    /// Members known to be healthy.
    healthy: usize,
    /// Voting members, those that never started among them.
    size: usize,
    /// Further members that may fail before writes stop.
    tolerate: usize,
    /// A majority is healthy and there is a leader.
    quorate: bool,
    /// The majority is gone.
    lost: bool,
    has_leader: bool,
    /// How membership is written: `v2`, `v3`, or null where no pod told.
    #[schemars(with = "Option<String>")]
    api: Option<MembershipApi>,
    /// Ids (hex) of members that never started.
    nameless: Vec<String>,
    /// Names of members that run in no connected context.
    foreign: Vec<String>,
    /// PD pods that are no member yet, `CONTEXT/POD`.
    joining: Vec<String>,
    doubts: Vec<Doubt>,
    /// Ids (hex) of members whose pod nobody wants any more.
    ghosts: Vec<String>,
    /// Absent where there should be some and nobody told any.
    #[serde(skip_serializing_if = "Option::is_none")]
    stores: Option<Vec<StoreFact>>,
    /// How many copies PD keeps of each region (max-replicas); null where it did not tell.
    max_replicas: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct MemberFact {
    /// Hexadecimal, as etcd prints it.
    id: String,
    name: String,
    /// Empty where it runs in no connected context.
    pod: String,
    /// Of the TidbCluster that was asked about.
    here: bool,
    peer_urls: Vec<String>,
    client_urls: Vec<String>,
    leader: bool,
    /// Null where nobody could tell.
    healthy: Option<bool>,
    /// The pod is Ready.
    ready: bool,
    /// The name that PD would have by its TidbCluster's spec.
    expected_name: String,
    /// Every peerURL can be read as one.
    readable: bool,
    /// Its pod is known by name.
    placed: bool,
    /// Its pod is there.
    present: bool,
    /// Empty where nobody can tell.
    expected_peer_url: String,
    /// `CONTEXT/NAMESPACE/NAME` of its TidbCluster; empty where that is not known.
    of: String,
    /// The same as an object; null where that is not known.
    tidb_cluster: Option<ObjectRef>,
    /// A peerURL differs from the expected one. Absent where nobody can tell which is right, so that a gate on it stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<bool>,
}

#[derive(Serialize, JsonSchema)]
struct SilentPod {
    pod: String,
    /// Of the TidbCluster that was asked about.
    here: bool,
    /// It starts and ends again.
    ill: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StoreFact {
    id: String,
    address: String,
    /// As PD says it: `Up`, `Offline`, `Disconnected`, `Down`, `Tombstone`.
    state: String,
    tiflash: bool,
    /// Of the TidbCluster that was asked about.
    here: bool,
    /// Empty where it is not known.
    pod: String,
    /// How many regions it leads; null where PD did not tell.
    leaders: Option<i64>,
    /// PD has heard of it since its pod was made: for 20 s `Up` is still said of the pod that was there before. Null where
    /// one of the two times is not known.
    heard_since: Option<bool>,
}

/// `asked` counts the PD pods of the whole Database: agreement among those who happen to answer is none.
pub(super) fn membership(
    fleet: &Fleet,
    of: &ObjectRef,
    cluster: &KubeCluster,
    tc: &TidbCluster,
) -> Result<MembershipFact, Unseen> {
    let database = of_database(fleet, of)?;
    if database.members.is_empty() {
        return Err(Unseen(
            database.unseen.last().map(ToString::to_string).unwrap_or_else(|| "PD returned no members".into()),
        ));
    }
    let mut silent = Vec::new();
    let mut views: Vec<Option<&PdView>> = Vec::new();
    for part in &database.tidb_clusters {
        let Some((cluster, tc)) = fleet.clusters.get(&part.context).zip(fleet.tidb_cluster(part)) else { continue };
        for pod in rollout::component_pods(cluster, tc, Component::Pd) {
            let view = cluster.pd.get(&pod.metadata.key());
            if view.is_none_or(|view| view.answer.is_err()) {
                silent.push(SilentPod { pod: pod.metadata.name.clone(), here: part == of, ill: pod.loops() });
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
    // Those that run where nobody looked were not asked, and should have been.
    let foreign: Vec<String> = database
        .members
        .iter()
        .filter(|member| !member.place.is_known() && !member.name.is_empty())
        .map(|member| member.name.clone())
        .collect();
    let ids = |which: &dyn Fn(&Member) -> bool| {
        database.members.iter().filter(|member| which(member)).map(|member| member.id.hex()).collect()
    };
    Ok(MembershipFact {
        members: database.members.iter().map(|member| told(fleet, member, of)).collect(),
        agree: database.agree,
        asked: views.len() + foreign.len(),
        answered: answers.len(),
        silent,
        gaps: answers.iter().flat_map(|answer| answer.gaps.iter().cloned()).collect(),
        healthy: database.members.iter().filter(|member| member.healthy == Some(true)).count(),
        size: database.quorum.members,
        tolerate: database.quorum.tolerate,
        quorate: database.quorum.stands() && database.leader().is_some(),
        lost: database.lead == Lead::Lost,
        has_leader: database.leader().is_some() && database.lead.leads(),
        api,
        nameless: ids(&|member| member.name.is_empty()),
        foreign,
        joining: joining(fleet, &database),
        doubts: doubts(&database),
        ghosts: ids(&|member| ghost(fleet, member).is_some()),
        stores: stores(fleet, &database, of, tc),
        max_replicas: database.max_replicas,
    })
}

fn told(fleet: &Fleet, member: &Member, asked: &ObjectRef) -> MemberFact {
    let owner = member.place.of();
    let tc = owner.and_then(|owner| fleet.tidb_cluster(owner));
    let pod = member.place.pod().unwrap_or_default().to_owned();
    MemberFact {
        id: member.id.hex(),
        name: member.name.clone(),
        here: owner == Some(asked),
        peer_urls: member.peer_urls.clone(),
        client_urls: member.client_urls.clone(),
        leader: member.leader,
        // For a gate one that knows no leader is as good as none.
        healthy: member.healthy.or(member.leaderless.then_some(false)),
        ready: member.ready.unwrap_or(false),
        expected_name: tc.map_or_else(String::new, |tc| tc.pd_name(&pod)),
        readable: !member.peer_urls.is_empty() && member.peer_urls.iter().all(|url| readable(url)),
        placed: member.place.is_known(),
        present: member.pod_phase.is_some(),
        expected_peer_url: member.expected_peer_url.clone().unwrap_or_default(),
        of: owner.map(ToString::to_string).unwrap_or_default(),
        tidb_cluster: owner.cloned(),
        // Where the domain is in doubt nobody knows which URL is right.
        drift: (!member.place.is_known() || member.expected_peer_url.is_some()).then_some(member.drift),
        pod,
    }
}

/// PD pods that are no member yet, or that nobody has told of.
fn joining(fleet: &Fleet, database: &Database) -> Vec<String> {
    let pods = database
        .tidb_clusters
        .iter()
        .filter_map(|of| Some((of, fleet.clusters.get(&of.context)?, fleet.tidb_cluster(of)?)));
    let known = |of: &ObjectRef, pod: &str| {
        database
            .members
            .iter()
            .any(|member| !member.name.is_empty() && member.place.pod() == Some(pod) && member.place.of() == Some(of))
    };
    pods.flat_map(|(of, cluster, tc)| {
        let all = rollout::component_pods(cluster, tc, Component::Pd).into_iter();
        all.filter(|pod| !known(of, &pod.metadata.name))
            .map(|pod| format!("{}/{}", of.context, pod.metadata.name))
            .collect::<Vec<_>>()
    })
    .collect()
}

/// Whether a store's last heartbeat came after its pod was made.
fn heard_since(fleet: &Fleet, row: &StoreRow) -> Option<bool> {
    let (of, pod) = row.place.of().zip(row.place.pod())?;
    let pod = fleet.clusters.get(&of.context)?.pods.get(&ObjectKey::new(&of.namespace, pod))?;
    Some(row.store.load.last_heartbeat? > pod.metadata.creation_timestamp?)
}

/// The stores as PD lists them, else as the operator does. `None` where there should be some and nobody told any:
/// an empty list would pass for "all of them are Up".
fn stores(fleet: &Fleet, database: &Database, of: &ObjectRef, tc: &TidbCluster) -> Option<Vec<StoreFact>> {
    let told = database.stores.iter().map(|row| StoreFact {
        id: row.store.id.to_string(),
        address: row.store.address.clone(),
        state: row.store.state.clone(),
        tiflash: row.store.tiflash,
        here: row.place.of() == Some(of),
        pod: row.place.pod().unwrap_or_default().to_owned(),
        leaders: Some(row.store.leader_count),
        heard_since: heard_since(fleet, row),
    });
    let told: Vec<StoreFact> = told.collect();
    let own = [(&tc.status.tikv, false), (&tc.status.tiflash, true)];
    let seen = own.into_iter().flat_map(|(status, tiflash)| {
        status.stores.values().map(move |store| StoreFact {
            id: store.id.clone(),
            address: store.ip.clone(),
            state: store.state.clone(),
            tiflash,
            here: true,
            pod: String::new(),
            leaders: None,
            heard_since: None,
        })
    });
    let seen: Vec<StoreFact> = seen.collect();
    let wanted =
        tc.components().any(|(c, spec)| matches!(c, Component::Tikv | Component::Tiflash) && spec.replicas > 0);
    match (told.is_empty(), seen.is_empty()) {
        (false, _) => Some(told),
        (true, false) => Some(seen),
        (true, true) => (!wanted).then(Vec::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::database::{Place, database_of};
    use crate::runbook::language::sample_fleet_data;
    use jiff::Timestamp;

    #[test]
    fn up_is_said_of_the_pod_before_until_its_store_is_heard_of_again() {
        let of = ObjectRef::new("sample", "db", "basic");
        let mut fleet = sample_fleet_data::observations().remove(0).fleet;
        let database = database_of(&fleet, &of).expect("a Database");
        let mut row = database.stores[0].clone();
        row.place = Place::new(of, "basic-pd-0");
        let mut heard = |heard: Option<i64>, made: Option<i64>| {
            let at = |second: i64| Timestamp::from_second(second).ok();
            row.store.load.last_heartbeat = heard.and_then(at);
            let cluster = fleet.clusters.get_mut("sample").expect("it is there");
            let pod = cluster.pods.get_mut(&ObjectKey::new("db", "basic-pd-0")).expect("it is there");
            pod.metadata.creation_timestamp = made.and_then(at);
            heard_since(&fleet, &row)
        };
        assert_eq!(heard(Some(100), Some(105)), Some(false), "of the one before");
        assert_eq!(heard(Some(110), Some(105)), Some(true));
        assert_eq!((heard(None, Some(105)), heard(Some(110), None)), (None, None));
    }
}
