//! What a rehearsal is there for, said until the first key.

use super::{App, status_level};
use crate::fleet::ObjectRef;
use crate::fleet::database::Database;
use crate::fleet::problem::ProblemKind;
use crate::runbook::run::open_run_status::Standing;
use status_level::Level;

impl App {
    /// What a rehearsal is there for, until the first key. What is broken or half done comes first; else the TidbCluster without a
    /// cluster domain, and the words that begin.
    pub fn first_job(&self) -> Option<String> {
        if self.begun || !self.options.simulated {
            return None;
        }
        let at_risk = |database: &Database| matches!(status_level::quorum_level(database), Level::Bad | Level::Working);
        if self.databases().iter().any(at_risk) {
            return Some("try !: what is wrong, and what helps".to_owned());
        }
        if self.runs_left().any(Standing::half_done) {
            return Some("try R: a run is open".to_owned());
        }
        let runbook = self.runbooks.iter().find(|runbook| runbook.id == "migrate-cluster-domain")?;
        // Of one that is ill its checks would refuse.
        let well = |of: &ObjectRef| {
            let own = self.databases().iter().find(|database| database.tidb_clusters.contains(of));
            own.is_none_or(|own| own.problems.iter().all(|problem| problem.kind == ProblemKind::PeerUrl))
        };
        let (of, _) = self.fleet.tidb_clusters().find(|(of, tc)| tc.domain().is_none() && well(of))?;
        Some(format!("try :run {} on {of}", runbook.id))
    }
}
