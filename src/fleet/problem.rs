//! What is wrong, with its kind: the one judgement that `status`, `check` and the console share.
//!
//! Each kind names the findings that say the same; where none of them was made, `check` makes one of the problem itself, so
//! what is wrong in one face is never right in another. Not here: who finds problems ([`super::database`],
//! [`super::kube_cluster_problems`]), hazards that nobody would call wrong yet ([`crate::hazards`]).

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::hazard_id::HazardId;
use super::problem_subject::Subject;

/// What kind of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// The operator says that a TidbCluster is not Ready.
    NotReady,
    /// A component that Ready leaves out has not settled.
    OutsideReady,
    /// Two contexts claim to be one Kubernetes cluster, and are not.
    OneUidTwice,
    /// A TidbCluster claims the PD cluster id of another Database, and no PD of that one confirms it.
    IdNotConfirmed,
    /// No pod of the operator runs in a KubeCluster with TidbClusters.
    OperatorDown,
    /// `spec.paused`: the operator does nothing.
    Paused,
    /// It was to join another and is a Database of its own.
    OwnDatabase,
    /// Its reference leads back to itself.
    LeadsBack,
    /// TLS was switched while the pods ran.
    TlsToggled,
    /// The certificate that PD serves is not accepted by the CA of its own TidbCluster.
    PdCertificate,
    /// What witnesses say of a DNS domain does not agree.
    DomainInDoubt,
    /// PD pods list different members or peerURLs.
    ListsDiffer,
    /// A PD pod belongs to another PD cluster than its neighbours.
    OtherCluster,
    /// A member that was added and never started.
    NeverStarted,
    /// A member's peerURL is not the one of its pod.
    PeerUrl,
    MemberUnhealthy,
    NoLeader,
    NoQuorum,
    /// A store is neither Up nor Tombstone.
    StoreNotUp,
}

impl ProblemKind {
    #[cfg(test)]
    const ALL: [ProblemKind; 19] = [
        ProblemKind::NotReady,
        ProblemKind::OutsideReady,
        ProblemKind::OneUidTwice,
        ProblemKind::IdNotConfirmed,
        ProblemKind::OperatorDown,
        ProblemKind::Paused,
        ProblemKind::OwnDatabase,
        ProblemKind::LeadsBack,
        ProblemKind::TlsToggled,
        ProblemKind::PdCertificate,
        ProblemKind::DomainInDoubt,
        ProblemKind::ListsDiffer,
        ProblemKind::OtherCluster,
        ProblemKind::NeverStarted,
        ProblemKind::PeerUrl,
        ProblemKind::MemberUnhealthy,
        ProblemKind::NoLeader,
        ProblemKind::NoQuorum,
        ProblemKind::StoreNotUp,
    ];

    /// The finding that is made where none of those that say it is there.
    pub fn hazard(self) -> HazardId {
        self.hazards()[0]
    }

    /// The findings that say it: the first is the one that is made where none of them is there.
    pub fn hazards(self) -> &'static [HazardId] {
        match self {
            ProblemKind::NotReady => &[HazardId::NotReady, HazardId::ReadyTooEarly],
            ProblemKind::OutsideReady => &[HazardId::ComponentNotSettled, HazardId::OutsideReady],
            ProblemKind::OneUidTwice => &[HazardId::OneUidTwice],
            ProblemKind::IdNotConfirmed => &[HazardId::ClusterIdNotConfirmed],
            ProblemKind::OperatorDown => &[HazardId::OperatorDown],
            ProblemKind::Paused => &[HazardId::Paused],
            ProblemKind::OwnDatabase => &[HazardId::WrongClusterReference, HazardId::SecondBootstrap],
            ProblemKind::LeadsBack => &[HazardId::WrongClusterReference],
            ProblemKind::TlsToggled => &[HazardId::TlsToggled],
            ProblemKind::PdCertificate => &[
                HazardId::CertificateUnusable,
                HazardId::DifferentCa,
                HazardId::SanMissing,
                HazardId::SanIncomplete,
                HazardId::CertificateExpiry,
                HazardId::TlsSecretMissing,
                HazardId::CertificateLooksSelfSigned,
                HazardId::TlsToggled,
            ],
            ProblemKind::DomainInDoubt => {
                &[HazardId::ClusterDomainChanged, HazardId::WrongClusterDomain, HazardId::ClusterDomainMissing]
            }
            ProblemKind::ListsDiffer | ProblemKind::OtherCluster => &[HazardId::MembershipInDoubt],
            ProblemKind::NeverStarted => &[HazardId::NamelessMember],
            ProblemKind::PeerUrl => &[
                HazardId::PeerUrlUnexpected,
                HazardId::PeerUrlsHalfUpdated,
                HazardId::MalformedPeerUrl,
                HazardId::PeerUrlWrongScheme,
                HazardId::TlsToggled,
                HazardId::ClusterDomainChanged,
            ],
            ProblemKind::MemberUnhealthy => &[HazardId::PdMemberUnhealthy, HazardId::NamelessMember],
            ProblemKind::NoLeader => &[HazardId::PdNoLeader],
            ProblemKind::NoQuorum => &[HazardId::PdMemberUnhealthy],
            ProblemKind::StoreNotUp => &[HazardId::StoreNotUp],
        }
    }

    /// The runbook that helps, in the place of `LINE` in [`Self::what_to_do`].
    pub fn runbook(self) -> Option<&'static str> {
        match self {
            ProblemKind::PdCertificate => Some("renew-certificates"),
            ProblemKind::PeerUrl => Some("repair-peer-urls"),
            ProblemKind::NotReady
            | ProblemKind::OutsideReady
            | ProblemKind::OneUidTwice
            | ProblemKind::IdNotConfirmed
            | ProblemKind::OperatorDown
            | ProblemKind::Paused
            | ProblemKind::OwnDatabase
            | ProblemKind::LeadsBack
            | ProblemKind::TlsToggled
            | ProblemKind::DomainInDoubt
            | ProblemKind::ListsDiffer
            | ProblemKind::OtherCluster
            | ProblemKind::NeverStarted
            | ProblemKind::MemberUnhealthy
            | ProblemKind::NoLeader
            | ProblemKind::NoQuorum
            | ProblemKind::StoreNotUp => None,
        }
    }

    /// What helps, where only the problem itself is known. `CONTEXT`, `NAMESPACE` and `NAME` stand for those of the object that it is
    /// about, `LINE` for the line that plans the runbook for it.
    pub fn what_to_do(self) -> &'static str {
        match self {
            ProblemKind::NotReady | ProblemKind::OutsideReady => {
                "look at the pods that are missing, at their events, and at the operator's log: kubectl --context CONTEXT -n NAMESPACE get pods -l app.kubernetes.io/instance=NAME"
            }
            ProblemKind::OneUidTwice => {
                "find out which of them is meant (kubectl --context CONTEXT cluster-info), and leave the other out with --context"
            }
            ProblemKind::IdNotConfirmed => {
                "ask who created it: a Database restored with another's id, a copied object, or one that does not tell the truth"
            }
            ProblemKind::OperatorDown => {
                "bring it back: kubectl get deployment -A -l app.kubernetes.io/component=controller-manager"
            }
            ProblemKind::Paused => "set spec.paused to false when what it was paused for is done",
            ProblemKind::OwnDatabase => {
                "delete it and its claims before data is written, then join with the right reference"
            }
            ProblemKind::LeadsBack => {
                "name the TidbCluster to join in spec.cluster, or leave it out of the initial one"
            }
            ProblemKind::TlsToggled => "put tlsCluster back as the pods run",
            ProblemKind::PdCertificate => {
                "look at what PD serves: `tidepilot check` names the certificate that is wrong; LINE makes it anew"
            }
            ProblemKind::DomainInDoubt => {
                "restart no PD and change no peerURL until clusterDomain is the one that the cluster serves"
            }
            ProblemKind::ListsDiffer | ProblemKind::OtherCluster => {
                "look again in 20 s before anything is sent; never repeat a change that timed out with another value"
            }
            ProblemKind::NeverStarted => "remove it by its id while quorum stands without it",
            ProblemKind::PeerUrl => "restart no PD before its peerURL is right: LINE",
            ProblemKind::MemberUnhealthy | ProblemKind::NoQuorum => {
                "bring its pod back before anything else is changed; look at its log and its events"
            }
            ProblemKind::NoLeader => "look again in a minute; if it stays so, check the network between the PD pods",
            ProblemKind::StoreNotUp => {
                "bring its pod back, or wait until it is emptied where it was to leave; change nothing else meanwhile"
            }
        }
    }
}

/// One thing that is wrong. In JSON it is its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    /// The objects that it is about, the nearest first; never none.
    pub about: Vec<Subject>,
    pub sentence: String,
    /// Since when, where that is told.
    pub since: Option<Timestamp>,
}

impl Problem {
    pub fn new(kind: ProblemKind, about: Subject, sentence: impl Into<String>) -> Self {
        Self { kind, about: vec![about], sentence: sentence.into(), since: None }
    }

    /// The same, with the time since when.
    pub fn since(mut self, since: Option<Timestamp>) -> Self {
        self.since = since;
        self
    }

    pub fn and(mut self, about: Subject) -> Self {
        self.about.push(about);
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_finding() {
        for kind in ProblemKind::ALL {
            assert_eq!(kind.hazards().first(), Some(&kind.hazard()), "{kind:?}");
        }
    }
}
