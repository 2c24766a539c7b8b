//! What is known of one PD member, and of one store.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::fleet::ObjectRef;
use crate::fleet::pd::{MemberId, PdWay, Store};

/// Where a member or a store lives: in a pod of a TidbCluster. All of it is known, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(Option<Home>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Home {
    of: ObjectRef,
    /// Its name; it may be gone.
    pod: String,
}

impl Place {
    pub fn new(of: ObjectRef, pod: impl Into<String>) -> Self {
        Self(Some(Home { of, pod: pod.into() }))
    }

    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// The TidbCluster.
    pub fn of(&self) -> Option<&ObjectRef> {
        self.0.as_ref().map(|home| &home.of)
    }

    /// The name of the pod.
    pub fn pod(&self) -> Option<&str> {
        self.0.as_ref().map(|home| home.pod.as_str())
    }

    /// The pod with its KubeCluster and namespace.
    pub fn pod_there(&self) -> Option<ObjectRef> {
        self.0.as_ref().map(|home| ObjectRef::new(&home.of.context, &home.of.namespace, &home.pod))
    }

    /// The context of the KubeCluster.
    pub fn context(&self) -> Option<&str> {
        self.of().map(|of| of.context.as_str())
    }

    pub fn namespace(&self) -> Option<&str> {
        self.of().map(|of| of.namespace.as_str())
    }
}

/// As JSON has it; what is not known is null.
fn of_member<S: Serializer>(place: &Place, out: S) -> Result<S::Ok, S::Error> {
    let mut map = out.serialize_map(None)?;
    map.serialize_entry("kubeCluster", &place.context())?;
    map.serialize_entry("namespace", &place.namespace())?;
    map.serialize_entry("tidbCluster", &place.of().map(|of| &of.name))?;
    map.serialize_entry("pod", &place.pod())?;
    map.end()
}

fn of_store<S: Serializer>(place: &Place, out: S) -> Result<S::Ok, S::Error> {
    let mut map = out.serialize_map(None)?;
    map.serialize_entry("kubeCluster", &place.context())?;
    map.serialize_entry("tidbCluster", &place.of().map(|of| &of.name))?;
    map.serialize_entry("pod", &place.pod())?;
    map.end()
}

/// A PD member with everything known of it. `None` and empty mean "not known", never "no".
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub id: MemberId,
    pub name: String,
    #[serde(flatten, serialize_with = "of_member")]
    pub place: Place,
    pub pod_phase: Option<String>,
    pub ready: Option<bool>,
    pub peer_urls: Vec<String>,
    pub expected_peer_url: Option<String>,
    pub drift: bool,
    pub client_urls: Vec<String>,
    pub leader: bool,
    pub healthy: Option<bool>,
    /// How its PD was asked; not there where only the API server's port-forward was thought of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pd_access: Option<PdWay>,
    /// Whether it counts for etcd's majority: its own etcd's word, else what PD says of it.
    #[serde(skip)]
    pub votes: Option<bool>,
    /// Its own etcd answered, whatever it said.
    #[serde(skip)]
    pub answered: bool,
    /// No pod of it runs, as a cluster that shows all of its pods tells.
    #[serde(skip)]
    pub gone: bool,
    /// Its own etcd answers and knows no leader, which is no fault of its own: its health is not known until there is one.
    #[serde(skip)]
    pub leaderless: bool,
}

/// A store with the pod that it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreRow {
    #[serde(flatten)]
    pub store: Store,
    #[serde(flatten, serialize_with = "of_store")]
    pub place: Place,
}
