//! What can be learned of a KubeCluster: the one way in which a [`super::Fleet`] comes to know anything.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::closer_look::{Event, Extra, Operator, RecordGuard, Served};
use super::dns::Dns;
use super::object_kind::{Lookup, ObjectKind};
use super::pd::PdView;
use super::pd_details::PdDetails;
use super::region_health_counts::RegionCounts;
use super::tidbcluster::TidbCluster;
use super::volume_claim::Claim;
use super::workload::{Pod, StatefulSet};
use super::{Crd, Freshness, ObjectKey, OperatorPods};

/// One thing learned about one KubeCluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub context: String,
    pub at: Timestamp,
    pub what: What,
}

/// The kinds of things to learn.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A context exists in the kubeconfig (sent before any network).
    Configured {
        server: String,
        read_only: bool,
    },
    /// Fingerprint of the certificate authority in the kubeconfig.
    Trust(Option<String>),
    /// The connection's state moved.
    Connection {
        freshness: Freshness,
        message: Option<String>,
    },
    /// `kube-system` UID and server version.
    Identity {
        uid: Option<String>,
        version: Option<String>,
    },
    Crd(Crd),
    Operator {
        version: Option<String>,
    },
    OperatorPods(OperatorPods),
    /// What CoreDNS's configuration says.
    Dns(Dns),
    /// The domain of a pod's own search list.
    PodsDomain(String),
    /// Whether a name under a domain had an answer inside a pod.
    NameTried {
        domain: String,
        answered: bool,
    },
    /// The complete set, after a list.
    TidbClusters(Vec<TidbCluster>),
    Pods(Vec<Pod>),
    StatefulSets(Vec<StatefulSet>),
    TidbCluster(WatchEvent<TidbCluster>),
    Pod(WatchEvent<Pod>),
    StatefulSet(WatchEvent<StatefulSet>),
    /// The complete set of claims of TiDB Operator.
    Claims(Vec<Claim>),
    /// The Warning events on TidbClusters and their pods.
    Events(Vec<Event>),
    OperatorState(Box<Operator>),
    /// Served versions of cert-manager's API.
    CertManager(Vec<String>),
    Records(RecordGuard),
    PdDetails {
        pod: ObjectKey,
        details: Box<PdDetails>,
    },
    /// One PD pod was asked how many regions lack something.
    RegionCounts {
        pod: ObjectKey,
        counts: RegionCounts,
    },
    /// One PD pod with TLS was asked for its certificate.
    Served {
        pod: ObjectKey,
        served: Result<Served, String>,
    },
    /// An extra was asked for and could not be had; one sentence. What was known of it is forgotten: it is unknown now.
    Lacking {
        extra: Extra,
        sentence: String,
    },
    /// One object that was asked for by name.
    Object {
        kind: ObjectKind,
        key: ObjectKey,
        sight: Box<Lookup>,
    },
    /// One PD pod was asked.
    Pd {
        pod: ObjectKey,
        view: Box<PdView>,
    },
}

/// A watch event for one object.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchEvent<T> {
    Set(Box<T>),
    Gone(ObjectKey),
}

/// Things kept by `namespace/name`.
pub trait Keyed {
    fn key(&self) -> ObjectKey;
}

impl<T: Keyed + PartialEq> WatchEvent<T> {
    /// Whether anything is other than before.
    pub(super) fn into(self, map: &mut BTreeMap<ObjectKey, T>) -> bool {
        match self {
            WatchEvent::Set(object) => {
                let moved = map.get(&object.key()).is_none_or(|before| *before != *object);
                map.insert(object.key(), *object);
                moved
            }
            WatchEvent::Gone(key) => map.remove(&key).is_some(),
        }
    }
}

pub(super) fn keyed<T: Keyed>(all: Vec<T>) -> BTreeMap<ObjectKey, T> {
    all.into_iter().map(|object| (object.key(), object)).collect()
}
