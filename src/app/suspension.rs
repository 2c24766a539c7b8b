//! What a suspendAction has taken away: said where pods, PD and stores would else only be missing.
//!
//! Not here: what is suspended (`fleet::rollout`), what a plan suspends ([`super::restart_impact`]).

use super::App;
use super::status_level::{Level, quorum_level, quorum_loss, quorum_short};
use crate::fleet::ObjectRef;
use crate::fleet::database::Database;
use crate::fleet::rollout::{rollout, suspended_words};
use crate::fleet::tidbcluster::Component;

impl App {
    /// Of a TidbCluster: `suspended`, `TiKV, TiDB suspended`, `being suspended`; `None` where nothing is asked to be.
    pub fn suspended(&self, of: &ObjectRef) -> Option<String> {
        let (cluster, tc) = (self.fleet.clusters.get(&of.context)?, self.fleet.tidb_cluster(of)?);
        if !tc.components().any(|(component, _)| tc.asks_to_suspend(component)) {
            return None;
        }
        if rollout(cluster, tc).iter().all(|part| part.suspended) {
            return Some("suspended".to_owned());
        }
        Some(suspended_words(cluster, tc).unwrap_or_else(|| "being suspended".to_owned()))
    }

    /// Whether every PD of a Database is suspended, and every KubeCluster is seen: then there is none to ask, and no SQL.
    pub fn stands_still(&self, database: &Database) -> bool {
        // A part that nobody sees may run.
        if self.fleet.clusters.values().any(|cluster| !cluster.freshness.is_live()) {
            return false;
        }
        let mut with_pd = database.tidb_clusters.iter().filter_map(|of| {
            let (cluster, tc) = (self.fleet.clusters.get(&of.context)?, self.fleet.tidb_cluster(of)?);
            let pd = tc.asks_to_suspend(Component::Pd);
            tc.component(Component::Pd)?;
            Some(pd && rollout(cluster, tc).iter().any(|part| part.component == Component::Pd && part.suspended))
        });
        // One without PD says nothing of it.
        with_pd.next().is_some_and(|first| first) && with_pd.all(|suspended| suspended)
    }

    /// How PD stands in few words; of one that is suspended that it is.
    pub fn pd_words(&self, database: &Database) -> (Level, String) {
        match self.stands_still(database) {
            true => (Level::Working, "SUSPENDED".to_owned()),
            false => (quorum_level(database), quorum_short(database)),
        }
    }

    /// What the loss of a KubeCluster would mean; of a Database that is suspended what that means.
    pub fn loss_words(&self, database: &Database) -> String {
        match self.stands_still(database) {
            true => "no SQL until resume-cluster; the data stays on the volumes".to_owned(),
            false => quorum_loss(database),
        }
    }
}
