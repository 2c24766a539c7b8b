//! Databases kept from one change of the fleet to the next: of two hundred only those are made anew that a change can be about.
//!
//! What one Database is made of lies in the namespaces of its TidbClusters, in those of the TidbClusters that they may have
//! joined, and in what is known of KubeClusters as such. Which TidbClusters are one is decided anew each time. The result is
//! always that of [`super::databases`], which the tests hold it to. Not here: how one is made ([`super::assembling`]).

use std::collections::{BTreeMap, BTreeSet};

use super::Database;
use super::assembling::{assemble, by_name, claims};
use super::grouping::{candidates, group};
use crate::fleet::{Change, Fleet, Keyed, ObjectRef, WatchEvent, What};

/// Context and namespace.
pub type Namespace = (String, String);

/// Where something is other than it was.
#[derive(Debug, Default)]
enum Moved {
    /// In these only; in none: everything is as it was.
    Namespaces(BTreeSet<Namespace>),
    /// Anywhere.
    #[default]
    Anywhere,
}

/// The Databases of before, and where something has moved since.
#[derive(Debug, Default)]
pub struct KeptDatabases {
    before: Vec<Database>,
    moved: Moved,
    /// Contexts that show nothing of their own, since another one leads to the same Kubernetes cluster.
    twice: BTreeSet<String>,
    made: usize,
}

impl KeptDatabases {
    /// Notes that something has moved: in one namespace ([`namespace`]), or anywhere.
    pub fn note(&mut self, namespace: Option<Namespace>) {
        match (&mut self.moved, namespace) {
            (Moved::Namespaces(all), Some(namespace)) => {
                all.insert(namespace);
            }
            (moved, None) => *moved = Moved::Anywhere,
            (Moved::Anywhere, Some(_)) => {}
        }
    }

    /// Takes back what [`Self::databases`] gave, before the next change.
    pub fn keep(&mut self, before: Vec<Database>) {
        self.before = before;
    }

    /// Every Database of the fleet, by name.
    pub fn databases(&mut self, fleet: &Fleet) -> Vec<Database> {
        let mut moved = std::mem::replace(&mut self.moved, Moved::Namespaces(BTreeSet::new()));
        let second = |context: &&String| fleet.same_cluster_as(context).is_some();
        let twice: BTreeSet<String> = fleet.clusters.keys().filter(second).cloned().collect();
        if twice != self.twice {
            (moved, self.twice) = (Moved::Anywhere, twice);
        }
        let before = std::mem::take(&mut self.before);
        let mut kept: BTreeMap<Vec<ObjectRef>, Database> = match &moved {
            Moved::Anywhere => BTreeMap::new(),
            Moved::Namespaces(_) => {
                before.into_iter().map(|database| (database.tidb_clusters.clone(), database)).collect()
            }
        };
        let of_one = |tcs: Vec<ObjectRef>| {
            let same = kept.remove(&tcs).filter(|database| !database.claimed && !moved.reaches(fleet, &tcs));
            same.unwrap_or_else(|| {
                self.made += 1;
                assemble(fleet, &tcs)
            })
        };
        let mut all: Vec<Database> = group(fleet).into_iter().map(of_one).collect();
        claims(fleet, &mut all);
        all.sort_by(by_name);
        all
    }

    /// How many Databases were made anew since the start.
    pub fn made(&self) -> usize {
        self.made
    }
}

impl Moved {
    /// Whether what has moved may be part of the Database of these TidbClusters.
    fn reaches(&self, fleet: &Fleet, tcs: &[ObjectRef]) -> bool {
        let Moved::Namespaces(all) = self else { return true };
        let holds = |of: &ObjectRef| {
            all.iter().any(|(context, namespace)| *context == of.context && *namespace == of.namespace)
        };
        let joined = |of: &ObjectRef| {
            let tc = fleet.tidb_cluster(of);
            tc.is_some_and(|tc| candidates(fleet, of, tc).iter().any(holds))
        };
        !all.is_empty() && tcs.iter().any(|of| holds(of) || joined(of))
    }
}

/// The one namespace that a change is about, in a fleet as it is before the change; `None`: it may be about any.
pub fn namespace(fleet: &Fleet, change: &Change) -> Option<Namespace> {
    let cluster = fleet.clusters.get(&change.context)?;
    let namespace = match &change.what {
        What::Pod(WatchEvent::Set(pod)) => &pod.metadata.namespace,
        What::StatefulSet(WatchEvent::Set(set)) => &set.metadata.namespace,
        What::Pod(WatchEvent::Gone(key)) | What::StatefulSet(WatchEvent::Gone(key)) => &key.namespace,
        What::Pd { pod, .. } => &pod.namespace,
        // Another specification may join other TidbClusters, or leave them.
        What::TidbCluster(WatchEvent::Set(tc)) => {
            let before = cluster.tidb_clusters.get(&tc.key())?;
            let same = before.spec == tc.spec && before.metadata.uid == tc.metadata.uid;
            same.then_some(&before.metadata.namespace)?
        }
        _ => return None,
    };
    Some((change.context.clone(), namespace.clone()))
}
