//! PersistentVolumeClaims: what a TidbCluster left behind or would start with, and what deletes data. Hazards 60, 61 and 72.
//!
//! Not here: which claims hold data ([`crate::fleet::volume_claim`]), the stores of who leaves
//! ([`crate::hazards::tidbcluster_removal`]).

use std::collections::BTreeMap;

use crate::fleet::hazard_id::HazardId;
use crate::fleet::kubectl_quoting::kubectl;
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::volume_claim::{Claim, DATA};
use crate::fleet::{Fleet, KubeCluster, ObjectRef};
use crate::hazards::check_context::CheckContext;
use crate::hazards::{Finding, OfDatabase, Subject};
use crate::pluralize::{counted, is};

pub(super) const ALL: &[OfDatabase] = &[joiner_with_old_claims, reclaim_policy, volumes_reclaimed];

/// What is judged without a Database: what one left behind.
pub(super) fn fleet(fleet: &Fleet) -> Vec<Finding> {
    old_claims(fleet)
}

fn claim_ref(cluster: &KubeCluster, claim: &Claim) -> Subject {
    let at = ObjectRef::new(&cluster.context, &claim.metadata.namespace, &claim.metadata.name);
    Subject::object(SubjectKind::Claim, &at)
}

/// 60, after a leave: claims of a TidbCluster that is not there any more.
fn old_claims(fleet: &Fleet) -> Vec<Finding> {
    let mut all = Vec::new();
    let clusters = fleet.clusters.values().filter(|cluster| cluster.freshness.is_live());
    for cluster in clusters.filter(|cluster| fleet.same_cluster_as(&cluster.context).is_none()) {
        let mut by_owner: BTreeMap<(&str, &str), Vec<&Claim>> = BTreeMap::new();
        for claim in cluster.more.claims.iter().flat_map(BTreeMap::values) {
            let Some(instance) = claim.instance() else { continue };
            let namespace = claim.metadata.namespace.as_str();
            let owned =
                cluster.tidb_clusters.values().any(|tc| tc.namespace() == namespace && tc.instance() == instance);
            if claim.holds_data() && !owned {
                by_owner.entry((namespace, instance)).or_default().push(claim);
            }
        }
        for ((namespace, instance), claims) in by_owner {
            let was = ObjectRef::new(&cluster.context, namespace, instance);
            let sentence = format!(
                "{} of {was} {} left, and that TidbCluster is gone: one of the same name would start with that data",
                counted(claims.len(), "volume claim"),
                is(claims.len())
            );
            let mut found = Finding::new(HazardId::OldClaims, None, sentence).on(Subject::tidb_cluster(&was));
            for claim in &claims {
                let policy = claim.reclaim_policy.as_deref().unwrap_or("not known");
                let subject = claim_ref(cluster, claim);
                found = found.saw(
                    &subject,
                    "status.phase, reclaim policy of the volume",
                    format!("{}, {policy}", claim.status.phase),
                    cluster.heard,
                );
            }
            let kubectl = kubectl(&was);
            let data = DATA.join(",");
            all.push(found.then(format!("when their data is not needed: {kubectl} delete pvc -l 'app.kubernetes.io/instance={instance},app.kubernetes.io/component in ({data})'")));
        }
    }
    all
}

/// 60, before a join: claims older than a TidbCluster that has not joined yet.
fn joiner_with_old_claims(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.tc.spec.cluster.is_some() && part.tc.status.cluster_id.is_none())
    {
        let Some(created) = part.tc.metadata.creation_timestamp else { continue };
        let claims = part.cluster.more.claims.iter().flat_map(BTreeMap::values);
        let older: Vec<&Claim> = claims
            .filter(|claim| {
                claim.holds_data()
                    && claim.metadata.namespace == part.of.namespace
                    && claim.instance() == Some(part.tc.instance())
            })
            .filter(|claim| claim.metadata.creation_timestamp.is_some_and(|made| made < created))
            .collect();
        if older.is_empty() {
            continue;
        }
        let sentence = format!(
            "it is to join, but {} of it {} older than itself: it starts with old data",
            counted(older.len(), "claim"),
            is(older.len())
        );
        let mut found = scene.find_at(HazardId::OldClaims, part, sentence);
        for claim in &older {
            let made = claim.metadata.creation_timestamp.map(|made| made.to_string()).unwrap_or_default();
            found = found.saw(&claim_ref(part.cluster, claim), "metadata.creationTimestamp", made, part.seen());
        }
        all.push(found.then("delete the TidbCluster, then these claims (their data is lost), and create it again"));
    }
    all
}

/// 61. Deleting a claim destroys the disk.
fn reclaim_policy(scene: &CheckContext<'_>) -> Vec<Finding> {
    let risky = scene.parts.iter().filter_map(|part| {
        let policy =
            part.tc.spec.pv_reclaim_policy.as_deref().filter(|policy| matches!(*policy, "Delete" | "Recycle"))?;
        Some((part, policy))
    });
    risky
        .map(|(part, policy)| {
            scene
                .find_at(
                    HazardId::ReclaimPolicyDelete,
                    part,
                    format!("pvReclaimPolicy is {policy}: deleting a claim destroys its data"),
                )
                .saw(&part.subject(), "spec.pvReclaimPolicy", policy, part.seen())
                .then(part.patch("{\"pvReclaimPolicy\":\"Retain\"}"))
        })
        .collect()
}

/// 72.
fn volumes_reclaimed(scene: &CheckContext<'_>) -> Vec<Finding> {
    let parts = scene.parts.iter().filter(|part| part.tc.spec.enable_pv_reclaim == Some(true));
    let sentence = "enablePVReclaim is true: the operator deletes the volumes of pods that were scaled in, whatever pvReclaimPolicy says";
    parts
        .map(|part| {
            scene
                .find_at(HazardId::VolumesReclaimed, part, sentence)
                .saw(&part.subject(), "spec.enablePVReclaim", "true", part.seen())
                .then(part.patch("{\"enablePVReclaim\":false}"))
        })
        .collect()
}
