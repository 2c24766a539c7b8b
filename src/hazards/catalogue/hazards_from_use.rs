//! The hazards that were met in use, numbered on from those of `domain.md` §5, and the few plain states beside them.

use super::Seeing::{BeforeAStep, Now};
use super::{Hazard, hazard, plain};
use crate::fleet::hazard_id::HazardId;
use crate::hazards::Severity::{High, Info, Low, Medium};

pub(super) const MET: &[Hazard] = &[
    hazard(
        70,
        HazardId::Suspended,
        Low,
        Now,
        "It was asked for and is easily forgotten: what is suspended serves no requests, its members and stores keep counting, and after 30 minutes PD makes its replicas anew elsewhere.",
    ),
    hazard(
        71,
        HazardId::TooFewCopies,
        High,
        Now,
        "PD keeps as many copies of each region as max-replicas says: with one a lost disk is lost data, with two the loss of one stops what lies on it.",
    ),
    hazard(
        72,
        HazardId::VolumesReclaimed,
        High,
        Now,
        "The operator sets the volumes of pods that were scaled in to Delete and deletes their claims, whatever pvReclaimPolicy says.",
    ),
    hazard(
        73,
        HazardId::NoVersion,
        High,
        Now,
        "An image that cannot be named never starts, and a tag that moves says nothing about the order in which versions have to change.",
    ),
    hazard(
        74,
        HazardId::NoDnsName,
        High,
        Now,
        "Every name of a pod is made from it; PD waits for its own name, does not find it, and exits again and again.",
    ),
    hazard(
        75,
        HazardId::DuplicateKey,
        Medium,
        BeforeAStep("the docs lint"),
        "Only the last of the two counts, or the file is refused: which one was meant is not known.",
    ),
    hazard(
        76,
        HazardId::FailoverLeftOver,
        Medium,
        Now,
        "The pods that failover made stay beside those of the spec, and the operator scales nothing in until the record of the failed ones is cleared.",
    ),
    hazard(
        77,
        HazardId::EvictionUnknownToPd,
        Medium,
        Now,
        "The operator waits until a store has no leaders left, for up to 25 hours, and nothing moves them: the upgrade stands still.",
    ),
    hazard(
        78,
        HazardId::ScaleInWithoutStoreId,
        Medium,
        Now,
        "The operator takes no store out whose pod does not carry its id, and whatever comes after it waits too.",
    ),
    hazard(
        79,
        HazardId::ResolverDiffers,
        Medium,
        Now,
        "TiKV and TiFlash ask DNS through c-ares, PD through Go: a name that one of them finds may be none for the other, and the store never comes.",
    ),
    hazard(
        80,
        HazardId::UnknownComponent,
        Medium,
        Now,
        "What tidepilot does not know it neither counts nor waits for: that everything is there, or gone, cannot be said.",
    ),
    hazard(
        81,
        HazardId::CopiesNotSpread,
        Medium,
        Now,
        "PD keeps copies apart by location labels only: what they do not tell apart may hold all copies of a region, or the most.",
    ),
    hazard(
        82,
        HazardId::UnknownField,
        Medium,
        BeforeAStep("the docs lint"),
        "A field that the CRD does not have is refused, or left out without a word: what it was to set stays as it was.",
    ),
    plain(HazardId::PdMemberUnhealthy, Medium, "Every member that is down brings the loss of quorum nearer."),
    plain(
        HazardId::CertificateUnusable,
        High,
        "A certificate that cannot be read, without its key or its use, or of which OpenSSL does not find the signer, ends every handshake.",
    ),
    plain(
        HazardId::SanIncomplete,
        Low,
        "The components know each other by names that are in it; a program that asks by one of these forms is refused.",
    ),
    plain(
        HazardId::CertificateLooksSelfSigned,
        Medium,
        "Where no key ids are, OpenSSL tells the signer by its name alone: one that is called like the CA counts as self-signed.",
    ),
    plain(
        HazardId::CertificateWithoutKeyIds,
        Low,
        "RFC 5280 asks for the key ids of a certificate and its CA; programs that verify by its strict rules refuse one without.",
    ),
    plain(HazardId::PdNoLeader, High, "Without a leader PD answers nothing, and the Database stops."),
    plain(
        HazardId::ClusterDomainMissing,
        High,
        "A name without a DNS domain leads into the own KubeCluster: no PD, store or server here is reached from another one.",
    ),
    plain(
        HazardId::PeerUrlUnexpected,
        High,
        "The others reach a member at its peerURL: one that leads elsewhere loses the member at its next restart.",
    ),
    plain(
        HazardId::OneUidTwice,
        High,
        "What is done in one of them is taken for done in the other, and which of them is meant is not known.",
    ),
    plain(
        HazardId::ClusterIdNotConfirmed,
        High,
        "Anyone with permission to create a TidbCluster can write any id into it: only PD's own members say who belongs to them.",
    ),
    plain(
        HazardId::RunRecordsUnguarded,
        Info,
        "Anyone with permission to write ConfigMaps there can leave a run under another user's name, for a user with more permissions to take over.",
    ),
    plain(HazardId::StoreNotUp, Medium, "Every store that does not serve leaves its regions a copy short."),
    plain(
        HazardId::ComponentNotSettled,
        Medium,
        "What was asked for has not come to its end, and nothing else says so.",
    ),
    plain(HazardId::NotReady, Medium, "The operator itself says that a part is not as it should be."),
];
