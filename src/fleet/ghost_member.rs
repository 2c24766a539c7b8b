//! When a PD member is a ghost: it counts for quorum, its pod is gone, and nobody wants that pod any more (hazard 57).
//!
//! Pure. Not here: the finding ([`crate::hazards::membership`]), the line that takes one out ([`super::remedy_commands`]).

use super::Fleet;
use super::database::Member;
use super::rollout::stateful_set;
use super::tidbcluster::Component;

/// How many PD are wanted where this member has no pod, and nobody wants that pod any more (hazard 57); `None`: it is no ghost.
/// The StatefulSet decides: failover adds pods beyond the spec, and with delete-slots any ordinal may be wanted. One that
/// never started is no ghost: its pod may be on its way.
pub fn ghost(fleet: &Fleet, member: &Member) -> Option<i64> {
    let of = member.place.of()?;
    let (cluster, tc) = (fleet.clusters.get(&of.context)?, fleet.tidb_cluster(of)?);
    let ordinal: i64 = member.place.pod()?.rsplit('-').next()?.parse().ok()?;
    let spec = tc.spec.pd.as_ref().map_or(0, |pd| pd.replicas);
    let wanted = stateful_set(cluster, tc, Component::Pd).map_or(spec, |set| spec.max(set.spec.replicas));
    // Only a cluster that shows all of its pods proves that one is not there.
    let away = cluster.freshness.is_live() && member.pod_phase.is_none() && member.healthy != Some(true);
    let numbered = tc.delete_slots().next().is_none();
    (away && numbered && !member.name.is_empty() && ordinal >= wanted).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Freshness;
    use crate::fleet::database::databases;
    use crate::fleet::pd::{EtcdMember, MemberId};
    use crate::hazards::test_fleet::Bed;

    /// One that never started is told of as such: counted twice it would be taken twice off the members that are left.
    #[test]
    fn a_ghost_has_started_once_and_its_cluster_shows_that_its_pod_is_gone() {
        let wanted = |name: &str, live: bool| {
            let mut bed = Bed::healthy();
            let host = "prod-west-pd-1.prod-west-pd-peer.db.svc.west.local";
            bed.members.push(EtcdMember { id: MemberId(9), name: name.into(), ..bed.members[2].clone() });
            let member = bed.members.last_mut().expect("just added");
            member.peer_urls = vec![format!("http://{host}:2380")];
            member.client_urls.clear();
            let mut fleet = bed.fleet();
            if !live {
                fleet.clusters.get_mut("west").expect("it is there").freshness = Freshness::Unreachable;
            }
            let database = databases(&fleet).remove(0);
            ghost(&fleet, database.member(MemberId(9)).expect("it is listed"))
        };
        assert_eq!(wanted("prod-west-pd-1.prod-west-pd-peer.db.svc.west.local", true), Some(1));
        assert_eq!(wanted("prod-west-pd-1.prod-west-pd-peer.db.svc.west.local", false), None);
        assert_eq!(wanted("", true), None);
    }
}
