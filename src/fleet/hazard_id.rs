//! The names of the hazards, as a type: what is wrong here names the findings that say the same ([`super::problem`]), and the room
//! above has all that is known of each ([`crate::hazards::catalogue`]).

use serde::{Serialize, Serializer};

macro_rules! hazard_ids {
    ($($variant:ident = $word:literal,)*) => {
        /// Which hazard; its name never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum HazardId {
            $($variant,)*
        }

        impl HazardId {
            /// As it is printed and written.
            pub const fn word(self) -> &'static str {
                match self {
                    $(HazardId::$variant => $word,)*
                }
            }
        }
    };
}

hazard_ids! {
    WrongClusterDomain = "wrong-cluster-domain",
    ClusterDomainChanged = "cluster-domain-changed",
    DuplicateTriple = "duplicate-triple",
    AcrossK8sMissing = "across-k8s-missing",
    CrdOrOperatorTooOld = "crd-or-operator-too-old",
    OperatorVersionsDiffer = "operator-versions-differ",
    OperatorUpgradedBeforeAcrossK8s = "operator-upgraded-before-across-k8s",
    ConfigNotRolled = "config-not-rolled",
    TiproxyWithAcrossK8s = "tiproxy-with-across-k8s",
    PdMicroservicesAcrossK8s = "pd-microservices-across-k8s",
    WrongClusterReference = "wrong-cluster-reference",
    UnreplacedVariable = "unreplaced-variable",
    JoinWithData = "join-with-data",
    FailoverOn = "failover-on",
    Paused = "paused",
    RejectedByOperator = "rejected-by-operator",
    PartialListPatch = "partial-list-patch",
    RemoteNameDoesNotResolve = "remote-name-does-not-resolve",
    PortBlocked = "port-blocked",
    SanMissing = "san-missing",
    DifferentCa = "different-ca",
    CommonNameMismatch = "common-name-mismatch",
    CertificateExpiry = "certificate-expiry",
    TlsSecretMissing = "tls-secret-missing",
    TlsToggled = "tls-toggled",
    CertManagerV1alpha2 = "cert-manager-v1alpha2",
    SinglePdJoin = "single-pd-join",
    NamelessMember = "nameless-member",
    DuplicatePdName = "duplicate-pd-name",
    UnevenPdSpread = "uneven-pd-spread",
    PdRollingInTwo = "pd-rolling-in-two",
    SinglePdUnsynced = "single-pd-unsynced",
    NoV2Members = "no-v2-members",
    MalformedPeerUrl = "malformed-peer-url",
    LiteralVariableInPeerUrl = "literal-variable-in-peer-url",
    PeerUrlLeadsElsewhere = "peer-url-leads-elsewhere",
    PeerUrlsHalfUpdated = "peer-urls-half-updated",
    PeerUrlShared = "peer-url-shared",
    MembershipInDoubt = "membership-in-doubt",
    PeerUrlWrongScheme = "peer-url-wrong-scheme",
    MemberIdConfused = "member-id-confused",
    TunnelToWrongPd = "tunnel-to-wrong-pd",
    MemberOfAnotherCluster = "member-of-another-cluster",
    DiscoveryUnavailable = "discovery-unavailable",
    SecondBootstrap = "second-bootstrap",
    AsymmetricHealth = "asymmetric-health",
    WholeVersionPatched = "whole-version-patched",
    ReadyTooEarly = "ready-too-early",
    UpgradeOutOfOrder = "upgrade-out-of-order",
    Downgrade = "downgrade",
    ForceUpgradeLeft = "force-upgrade-left",
    RegionsUnhealthy = "regions-unhealthy",
    TiflashMetadata = "tiflash-metadata",
    TooFewTikv = "too-few-tikv",
    TiflashReplicasRemain = "tiflash-replicas-remain",
    DeletedTooEarly = "deleted-too-early",
    GhostMember = "ghost-member",
    MajorityInLeaving = "majority-in-leaving",
    ReferenceDeleted = "reference-deleted",
    OldClaims = "old-claims",
    ReclaimPolicyDelete = "reclaim-policy-delete",
    OutsideReady = "outside-ready",
    SilentEviction = "silent-eviction",
    OperatorDown = "operator-down",
    RightsDiffer = "rights-differ",
    WrongContext = "wrong-context",
    WaitsForDiscoveryPod = "waits-for-discovery-pod",
    AcrossWithoutDomainOldOperator = "across-without-domain-old-operator",
    OverlappingChanges = "overlapping-changes",
    Suspended = "suspended",
    TooFewCopies = "too-few-copies",
    VolumesReclaimed = "volumes-reclaimed",
    NoVersion = "no-version",
    NoDnsName = "no-dns-name",
    DuplicateKey = "duplicate-key",
    FailoverLeftOver = "failover-left-over",
    EvictionUnknownToPd = "eviction-unknown-to-pd",
    ScaleInWithoutStoreId = "scale-in-without-store-id",
    ResolverDiffers = "resolver-differs",
    UnknownComponent = "unknown-component",
    CopiesNotSpread = "copies-not-spread",
    UnknownField = "unknown-field",
    PdMemberUnhealthy = "pd-member-unhealthy",
    CertificateUnusable = "certificate-unusable",
    SanIncomplete = "san-incomplete",
    CertificateLooksSelfSigned = "certificate-looks-self-signed",
    CertificateWithoutKeyIds = "certificate-without-key-ids",
    PdNoLeader = "pd-no-leader",
    ClusterDomainMissing = "cluster-domain-missing",
    PeerUrlUnexpected = "peer-url-unexpected",
    OneUidTwice = "one-uid-twice",
    ClusterIdNotConfirmed = "cluster-id-not-confirmed",
    RunRecordsUnguarded = "run-records-unguarded",
    StoreNotUp = "store-not-up",
    ComponentNotSettled = "component-not-settled",
    NotReady = "not-ready",
}

impl std::fmt::Display for HazardId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

impl Serialize for HazardId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.word())
    }
}
