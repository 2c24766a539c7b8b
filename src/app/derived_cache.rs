//! What is computed of the fleet when it is asked for, and kept until the fleet moves: Databases, findings, certificates.
//!
//! Not here: the arithmetic (`fleet`, `hazards`), the rows of a view (`rows`).

use jiff::Timestamp;

use super::status_level::Level;
use super::{App, views};
use crate::fleet::certificate_list::{Certificate, certificates};
use crate::fleet::database::Database;
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::upgrade_order::versions;
use crate::fleet::{self, ObjectRef};
use crate::hazards::{Checked, Finding, check_among};
use crate::runbook::run::open_run_status::{Standing, into_findings};

impl App {
    pub fn databases(&self) -> &[Database] {
        self.databases.get_or_init(|| {
            self.kept.borrow_mut().counts.databases += 1;
            self.former.borrow_mut().databases(&self.fleet)
        })
    }

    /// What is wrong or risky in all Databases.
    pub fn checked(&self) -> &Checked {
        self.checked.get_or_init(|| self.check(None))
    }

    fn check(&self, only: Option<&str>) -> Checked {
        let mut checked = check_among(&self.fleet, self.databases(), only, self.now);
        let open: Vec<Standing> = self.runs.iter().filter(|run| run.open).cloned().collect();
        into_findings(&open, self.databases(), &mut checked.findings);
        self.settle(&mut checked.findings);
        checked
    }

    /// What is wrong or risky about a pod, and perhaps about others. It is drawn beside the table with each change, so of the
    /// Database on the screen no other is judged.
    pub(super) fn checked_about(&self, pod: Option<&ObjectRef>) -> &Checked {
        let here = self.database().filter(|database| {
            let own = |pod: &ObjectRef| {
                let of = |tc: &&ObjectRef| (&tc.context, &tc.namespace) == (&pod.context, &pod.namespace);
                database.tidb_clusters.iter().find(of).is_some()
            };
            pod.is_none_or(own)
        });
        match here {
            Some(database) if self.checked.get().is_none() => {
                self.checked_here.get_or_init(|| self.check(Some(database.id.as_deref().unwrap_or(&database.name))))
            }
            Some(_) | None => self.checked(),
        }
    }

    /// The name of the Database on the screen, where no TidbCluster of it asks for TLS: it has no certificate to show.
    pub fn runs_without_tls(&self) -> Option<&str> {
        let database = self.database()?;
        let mut parts = database.tidb_clusters.iter().filter_map(|of| self.fleet.tidb_cluster(of));
        (!parts.any(TidbCluster::tls)).then_some(database.name.as_str())
    }

    /// What is wrong with KubeClusters as such.
    pub(super) fn around(&self) -> &[fleet::problem::Problem] {
        self.around.get_or_init(|| fleet::kube_cluster_problems::problems(&self.fleet))
    }

    /// What was computed of the fleet, of the runs, or of the choice of a Database, is good no more.
    pub(super) fn forget_computed(&mut self) {
        if let Some(before) = self.databases.take() {
            self.former.get_mut().keep(before);
        }
        self.checked.take();
        self.checked_here.take();
        self.around.take();
        self.certificates.take();
        self.versions.take();
    }

    /// The finding with this row key.
    pub fn finding(&self, key: &str) -> Option<&Finding> {
        let all = &self.checked().findings;
        (0..all.len()).find(|at| views::findings::key(all, *at) == key).and_then(|at| all.get(at))
    }

    /// When certificates, and what else is not watched, were last asked for.
    pub fn looked_closer(&self) -> Option<Timestamp> {
        self.looked_closer
    }

    /// The certificates of all TidbClusters with TLS, the one that ends first on top.
    pub fn certificates(&self) -> &[Certificate] {
        self.certificates.get_or_init(|| {
            let all: Vec<ObjectRef> = self.fleet.tidb_clusters().map(|(of, _)| of).collect();
            certificates(&self.fleet, &all, self.now)
        })
    }

    /// The certificate with this row key.
    pub fn certificate(&self, key: &str) -> Option<&Certificate> {
        self.certificates().iter().find(|certificate| views::certificates::key(certificate) == key)
    }

    /// Position of the Database on the screen.
    pub fn database_index(&self) -> Option<usize> {
        let all = self.databases();
        // Over what is about none of them no other one is named.
        if self.of_no_database().is_some() {
            return None;
        }
        let chosen = self.chosen.as_ref();
        let at = chosen.and_then(|of| all.iter().position(|database| database.tidb_clusters.contains(of)));
        at.or((!all.is_empty()).then_some(0))
    }

    /// How many other Databases have something wrong: the one on the screen is not all there is.
    pub fn others_wrong(&self) -> usize {
        let here = self.database_index();
        let others = (0..self.databases().len()).filter(|index| Some(*index) != here);
        others.filter(|index| self.database_level(*index) == Level::Bad).count()
    }

    /// The Database on the screen.
    pub fn database(&self) -> Option<&Database> {
        self.databases().get(self.database_index()?)
    }

    /// What the Database on the screen runs or is told to run; more than one while it is between them.
    pub fn versions(&self) -> &[String] {
        self.versions
            .get_or_init(|| self.database().map(|database| versions(&self.fleet, database)).unwrap_or_default())
    }
}
