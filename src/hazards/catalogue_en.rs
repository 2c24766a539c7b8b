//! The catalogue in English: of each hazard what it is, what helps in general, and where it is known from.
//!
//! A table and nothing else. What helps in one case is the finding's own ([`crate::hazards::certificate_remedy`]); the reason why it is a hazard is the
//! catalogue's.

use crate::fleet::hazard_id::HazardId;

/// A hazard in words.
pub struct Words {
    /// What it is: a clause without a full stop.
    pub title: &'static str,
    pub remedy: &'static str,
    pub source: &'static str,
}

pub fn of(id: HazardId) -> Option<Words> {
    let (_, title, remedy, source) = TABLE.iter().find(|(known, ..)| *known == id)?;
    Some(Words { title, remedy, source })
}

/// Documents and trackers that are named more than once.
const ACROSS: &str = "PingCAP documentation: deploy a TiDB cluster across multiple Kubernetes clusters";
const TLS: &str = "PingCAP documentation: enable TLS between TiDB components";
const UPGRADE: &str = "PingCAP documentation: upgrade a TiDB cluster on Kubernetes";
const SCALE: &str = "PingCAP documentation: scale a TiDB cluster on Kubernetes";
const OPERATOR: &str = "source of TiDB Operator, release-1.6";
const PD: &str = "source of PD and its embedded etcd";
const OWN: &str = "met while trying tidepilot on real parts";

#[rustfmt::skip]
static TABLE: &[(HazardId, &str, &str, &str)] = &[
    (HazardId::WrongClusterDomain, "clusterDomain is not the domain that the Kubernetes cluster serves", "set the domain that the Kubernetes cluster serves", ACROSS),
    (HazardId::ClusterDomainChanged, "clusterDomain was changed after PD had started", "put the former clusterDomain back", OPERATOR),
    (HazardId::DuplicateTriple, "two TidbClusters have the same name, namespace and clusterDomain", "give one of the two another name or namespace", OPERATOR),
    (HazardId::AcrossK8sMissing, "acrossK8s is not set on a TidbCluster that spans Kubernetes clusters", "set acrossK8s: true", ACROSS),
    (HazardId::CrdOrOperatorTooOld, "the CRD or TiDB Operator is too old for acrossK8s", "upgrade the CRD first, then TiDB Operator", "release notes of TiDB Operator 1.3.0"),
    (HazardId::OperatorVersionsDiffer, "TiDB Operator has different versions in the Kubernetes clusters", "bring TiDB Operator to one version everywhere", OPERATOR),
    (HazardId::OperatorUpgradedBeforeAcrossK8s, "TiDB Operator was upgraded from before 1.3.0 without acrossK8s being set first", "set acrossK8s before TiDB Operator is upgraded", "release notes of TiDB Operator 1.3.0"),
    (HazardId::ConfigNotRolled, "a change of the configuration does not restart the pods", "set configUpdateStrategy: RollingUpdate, and give each component a config", OPERATOR),
    (HazardId::TiproxyWithAcrossK8s, "acrossK8s and TiProxy are used together", "remove TiProxy from this TidbCluster", OPERATOR),
    (HazardId::PdMicroservicesAcrossK8s, "acrossK8s and PD microservices are used together", "use a TidbCluster without PD microservices", "tikv/pd#9486"),
    (HazardId::WrongClusterReference, "spec.cluster names the wrong TidbCluster, or none that exists", "set name, namespace and clusterDomain of the TidbCluster to join in spec.cluster", ACROSS),
    (HazardId::UnreplacedVariable, "a variable or placeholder was not replaced", "write the value itself", ACROSS),
    (HazardId::JoinWithData, "the TidbCluster that is to join has data of its own", "two Databases cannot be merged: migrate the data by backup and restore", ACROSS),
    (HazardId::FailoverOn, "automatic failover is on", "set maxFailoverCount: 0", "PingCAP documentation: automatic failover; TiDB Operator, release-1.6"),
    (HazardId::Paused, "the TidbCluster is paused", "set spec.paused to false once it is known why it was set", OPERATOR),
    (HazardId::RejectedByOperator, "TiDB Operator refuses the object", "correct the spec as the Event FailedValidation says", OPERATOR),
    (HazardId::PartialListPatch, "a merge patch holds only a part of a list", "send the whole list", "RFC 7386 (JSON merge patch)"),
    (HazardId::RemoteNameDoesNotResolve, "DNS names of another Kubernetes cluster do not resolve", "mend the DNS forwarding, and verify it with verify-network", ACROSS),
    (HazardId::PortBlocked, "a port between the Kubernetes clusters is blocked", "open the port in both directions, and verify it with verify-network", ACROSS),
    (HazardId::SanMissing, "a certificate lacks a DNS name (SAN) that PD's peers check", "issue the certificate again with these names (renew-certificates)", TLS),
    (HazardId::DifferentCa, "the members' certificates come from different CAs", "issue the certificates again from one CA", TLS),
    (HazardId::CommonNameMismatch, "a certificate's common name is not among the allowed ones", "make the common name one that is allowed, or add it to cert-allowed-cn", TLS),
    (HazardId::CertificateExpiry, "a certificate has expired, or expires within 15 days", "renew the certificate (renew-certificates)", "PingCAP documentation: renew and replace the TLS certificate"),
    (HazardId::TlsSecretMissing, "a Secret with a TLS certificate is missing", "issue the certificates and store the Secret (issue-certificates)", TLS),
    (HazardId::TlsToggled, "TLS was switched on or off on a running TidbCluster", "go back in the order that the finding gives", TLS),
    (HazardId::CertManagerV1alpha2, "a manifest uses cert-manager's API v1alpha2", "use cert-manager.io/v1", "release notes of cert-manager 1.6"),
    (HazardId::SinglePdJoin, "a TidbCluster joins a Database with a single PD", "scale PD to three first", "etcd documentation: runtime reconfiguration"),
    (HazardId::NamelessMember, "a PD member has never started", "start its pod, or remove the member by its id while quorum stands without it", PD),
    (HazardId::DuplicatePdName, "two PD members have the same name", "find out which of the members has a pod, and remove the other", PD),
    (HazardId::UnevenPdSpread, "the number of PD members, or their spread, is bad for quorum", "use an odd number of PD members, spread over the Kubernetes clusters", "etcd documentation: failure modes"),
    (HazardId::PdRollingInTwo, "PD restarts in two Kubernetes clusters at the same time", "let one restart end before the other begins", OPERATOR),
    (HazardId::SinglePdUnsynced, "TiDB Operator cannot reach PD and may restart all of it", "restore the operator's connection to PD first", OPERATOR),
    (HazardId::NoV2Members, "PD 8.4 and later has no /v2/members", "use the v3 API of etcd; tidepilot chooses by itself", "tikv/pd#8536"),
    (HazardId::MalformedPeerUrl, "a peerURL is malformed", "correct it before any member restarts (repair-peer-urls)", "etcd-io/etcd#9173"),
    (HazardId::LiteralVariableInPeerUrl, "a shell variable in single quotes goes into a peerURL as it stands", "use double quotes, or migrate-cluster-domain", ACROSS),
    (HazardId::PeerUrlLeadsElsewhere, "a peerURL resolves to another address than its pod's", "correct the peerURL (repair-peer-urls)", PD),
    (HazardId::PeerUrlsHalfUpdated, "only some of the peerURLs have been updated", "update the others (repair-peer-urls)", ACROSS),
    (HazardId::PeerUrlShared, "two members have the same peerURL", "correct the peerURL (repair-peer-urls)", PD),
    (HazardId::MembershipInDoubt, "the result of a membership change is not known", "read the member list from two members before anything is sent again", PD),
    (HazardId::PeerUrlWrongScheme, "a peerURL's scheme (http, https) does not fit the TLS setting", "correct the peerURL (repair-peer-urls)", PD),
    (HazardId::MemberIdConfused, "a member id in hexadecimal is taken for a decimal one, or the other way round", "compare both forms of the id, which tidepilot shows", PD),
    (HazardId::TunnelToWrongPd, "a port-forward leads to another PD than the one meant", "forward to one PD pod, not to the Service", "Kubernetes documentation: kubectl port-forward"),
    (HazardId::MemberOfAnotherCluster, "the member belongs to another Kubernetes cluster", "work from the context in which its pod runs", PD),
    (HazardId::DiscoveryUnavailable, "the discovery service is unavailable", "bring the discovery pod back", OPERATOR),
    (HazardId::SecondBootstrap, "the initial TidbCluster has bootstrapped a second Database", "stop writing, and restore from a backup or from the members that are left", OPERATOR),
    (HazardId::AsymmetricHealth, "a member is healthy from one place and unhealthy from another", "look at the network between the PD pods, in both directions", PD),
    (HazardId::WholeVersionPatched, "spec.version is patched directly", "upgrade component by component with upgrade-cluster", OPERATOR),
    (HazardId::ReadyTooEarly, "Ready says True before the change has happened", "wait for the end of the rolling restart by its StatefulSet's revisions", OPERATOR),
    (HazardId::UpgradeOutOfOrder, "components are upgraded in the wrong order", "upgrade in the order PD, TiFlash, TiKV, TiDB (upgrade-cluster)", UPGRADE),
    (HazardId::Downgrade, "a version is older than the one that has run", "a downgrade is not supported: go back to the later version", UPGRADE),
    (HazardId::ForceUpgradeLeft, "the annotation force-upgrade was left on", "remove the annotation", UPGRADE),
    (HazardId::RegionsUnhealthy, "some regions are unhealthy", "wait until the Regions have recovered, then restart", UPGRADE),
    (HazardId::TiflashMetadata, "TiFlash may lose its metadata", "upgrade TiDB Operator first", "release notes of TiDB Operator 1.3.1; pingcap/tidb-operator#4434"),
    (HazardId::TooFewTikv, "there are fewer TiKV stores than replicas of a region", "scale TiKV out", SCALE),
    (HazardId::TiflashReplicasRemain, "tables still have TiFlash replicas", "set the TiFlash replicas of these tables to 0 first", SCALE),
    (HazardId::DeletedTooEarly, "a pod is gone while its store or member still counts", "bring the pod back, or remove store and member once that is certain", SCALE),
    (HazardId::GhostMember, "a PD member has no pod", "remove the member once it is certain (repair-peer-urls)", OPERATOR),
    (HazardId::MajorityInLeaving, "most PD members are in the TidbCluster that is to leave", "scale PD out in a TidbCluster that stays", "etcd documentation: runtime reconfiguration"),
    (HazardId::ReferenceDeleted, "the TidbCluster that spec.cluster names was deleted", "point spec.cluster at a TidbCluster that exists", OPERATOR),
    (HazardId::OldClaims, "PersistentVolumeClaims of a former TidbCluster are still there", "delete the old PersistentVolumeClaims once their data is not needed", OPERATOR),
    (HazardId::ReclaimPolicyDelete, "the reclaim policy of the volumes is Delete", "set pvReclaimPolicy: Retain", "Kubernetes documentation: persistent volumes"),
    (HazardId::OutsideReady, "a component is not part of Ready", "look at the pods of this component by themselves", OPERATOR),
    (HazardId::SilentEviction, "region leaders are being moved away from a store", "wait; see how many leaders are left on the store", OPERATOR),
    (HazardId::OperatorDown, "TiDB Operator does not run", "start TiDB Operator again", OPERATOR),
    (HazardId::RightsDiffer, "permissions differ between the Kubernetes clusters", "grant what `tidepilot rbac` prints", "Kubernetes documentation: RBAC"),
    (HazardId::WrongContext, "two contexts lead to one Kubernetes cluster", "write --context and -n with every command", "Kubernetes documentation: configure access to multiple clusters"),
    (HazardId::WaitsForDiscoveryPod, "a wait for pods to go counts the discovery pod", "leave discovery out of the selector", ACROSS),
    (HazardId::AcrossWithoutDomainOldOperator, "acrossK8s without clusterDomain under an older TiDB Operator", "set clusterDomain, or upgrade TiDB Operator", "pingcap/tidb-operator#4721"),
    (HazardId::OverlappingChanges, "scaling and a rolling restart overlap", "wait until one of the two has ended", "pingcap/tidb-operator#2631, #6155"),
    (HazardId::Suspended, "a component is suspended", "remove suspendAction when it is not needed any more (resume-cluster)", "PingCAP documentation: suspend and resume a TiDB cluster"),
    (HazardId::TooFewCopies, "there are too few copies of each region", "set max-replicas to 3", "PD documentation: replication.max-replicas"),
    (HazardId::VolumesReclaimed, "volumes of scaled-in pods are deleted (enablePVReclaim)", "set enablePVReclaim: false", "pingcap/tidb-operator#3893, #908"),
    (HazardId::NoVersion, "a version is no image tag, or names none for sure", "name a whole version, for example v8.5.4", OPERATOR),
    (HazardId::NoDnsName, "a name is no DNS name", "use a DNS name", "RFC 1123"),
    (HazardId::DuplicateKey, "a key stands twice in one mapping", "keep one of the two", "YAML 1.2: keys of a mapping are unique"),
    (HazardId::FailoverLeftOver, "pods made by failover are left over", "clear the record in status once the failed node is not needed any more", "pingcap/tidb-operator#2161, #2160"),
    (HazardId::EvictionUnknownToPd, "PD does not know of a leader eviction that the operator waits for", "add the eviction scheduler in PD, or remove the pod's annotation", "pingcap/tidb-operator#5614, #5613"),
    (HazardId::ScaleInWithoutStoreId, "a pod that is to be scaled in has no store-id label", "add the label store-id to the pod", "pingcap/tidb-operator#4886, #4644"),
    (HazardId::ResolverDiffers, "TiKV and TiFlash use another DNS resolver than PD", "set GRPC_DNS_RESOLVER=native for TiKV and TiFlash", "pingcap/tidb-operator#3948, #5146, #5372, #5678"),
    (HazardId::UnknownComponent, "there is a component that tidepilot does not know", "look at this component by other means", "pingcap/tidb-operator#7063"),
    (HazardId::CopiesNotSpread, "replicas are not kept apart by Kubernetes cluster", "set location-labels that tell the Kubernetes clusters apart", "PD documentation: schedule replicas by topology labels"),
    (HazardId::UnknownField, "a field is misspelt", "correct its spelling", "Kubernetes documentation: field pruning and field validation"),
    (HazardId::PdMemberUnhealthy, "a PD member is unhealthy", "bring its pod back", PD),
    (HazardId::CertificateUnusable, "a certificate cannot be used", "issue the certificate again (renew-certificates)", TLS),
    (HazardId::SanIncomplete, "a certificate lacks some of the usual DNS names (SANs)", "issue the certificate again with all names (renew-certificates)", TLS),
    (HazardId::CertificateLooksSelfSigned, "a certificate looks self-signed to OpenSSL", "issue the certificate again (renew-certificates)", "OpenSSL, X509_verify_cert error 18"),
    (HazardId::CertificateWithoutKeyIds, "a certificate has no key identifiers", "issue the certificate again (renew-certificates)", "RFC 5280, 4.2.1.1"),
    (HazardId::PdNoLeader, "PD has no leader", "bring back enough PD members for a majority", PD),
    (HazardId::ClusterDomainMissing, "clusterDomain is missing", "set the domain that the Kubernetes cluster serves", ACROSS),
    (HazardId::PeerUrlUnexpected, "a peerURL is not the expected one", "correct the peerURL (repair-peer-urls)", ACROSS),
    (HazardId::OneUidTwice, "one UID appears in two contexts", "find out whether the two contexts are one Kubernetes cluster", OWN),
    (HazardId::ClusterIdNotConfirmed, "no PD member confirms the cluster id", "restore the connection to PD, then judge again", OWN),
    (HazardId::RunRecordsUnguarded, "no admission policy guards run records", "apply assets/rbac/run-records-policy.yaml", "tidepilot's threat model"),
    (HazardId::StoreNotUp, "a store is not Up", "bring its pod back", PD),
    (HazardId::ComponentNotSettled, "a component has not reached what its spec asks for", "look at the pods and Events of the component", OPERATOR),
    (HazardId::NotReady, "TiDB Operator reports that something is not ready", "look at the conditions of the TidbCluster", OPERATOR),
];

#[cfg(test)]
mod tests {
    use super::super::catalogue::CATALOGUE;
    use super::*;

    #[test]
    fn every_hazard_has_a_remedy_and_a_source() {
        let ids: Vec<HazardId> = TABLE.iter().map(|(id, ..)| *id).collect();
        let known: Vec<HazardId> = CATALOGUE.iter().map(|hazard| hazard.id).collect();
        let lacking: Vec<&HazardId> =
            known.iter().filter(|id| ids.iter().filter(|own| own == id).count() != 1).collect();
        let strange: Vec<&HazardId> = ids.iter().filter(|id| !known.contains(id)).collect();
        assert!(lacking.is_empty() && strange.is_empty(), "{lacking:?} {strange:?}");
        let texts = TABLE.iter().flat_map(|(_, title, remedy, source)| [title, remedy, source]);
        assert!(texts.into_iter().all(|text| !text.is_empty() && !text.ends_with('.')));
    }
}
