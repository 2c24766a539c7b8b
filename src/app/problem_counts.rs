//! How many problems there are, which of them are expected, and how bad the worst is: one number for the header and every list.
//!
//! Not here: what is wrong (`fleet::database`, `hazards`), which problems an open run accounts for
//! (`runbook::run::open_run_status`), the lists themselves ([`super::views`]).

use super::status_level::Level;
use super::views::Problem;
use super::{App, View};
use crate::fleet;
use crate::fleet::database::Database;
use crate::fleet::kube_cluster_problems;
use crate::hazards::{Finding, says};
use crate::runbook::run::open_run_status::{self, Standing};

impl App {
    /// How much is wrong with the KubeClusters that a Database is in.
    fn wrong_around(&self, database: &Database) -> usize {
        let near = self.around();
        let here = |problem: &&fleet::problem::Problem| {
            problem.about.iter().any(|about| database.tidb_clusters.iter().any(|of| of.context == about.context))
        };
        near.iter().filter(here).count()
    }

    /// The worst that is known of a Database; one that is not wholly seen is never good.
    pub fn database_level(&self, index: usize) -> Level {
        match self.databases().get(index) {
            Some(database) if self.wrong_problems(database).0 > 0 => Level::Bad,
            Some(database) if !database.problems.is_empty() => Level::Working,
            Some(database) if database.unseen.is_empty() => Level::Good,
            _ => Level::Unknown,
        }
    }

    /// Everything that is wrong or not seen, of every Database and of the fleet.
    pub fn problems(&self) -> Vec<Problem> {
        let mut all = Vec::new();
        for run in self.runs_left() {
            let level = if run.half_done() { Level::Bad } else { Level::Working };
            let of = self.databases().iter().find(|database| run.concerns(database));
            let of = of.map_or_else(|| "runs".to_owned(), |database| database.name.clone());
            all.push(Problem { level, of, sentence: run.refusal() });
        }
        for database in self.databases() {
            let bad = database.problems.iter().map(|problem| match self.expected(database, problem) {
                Some(why) => (Level::Working, format!("{problem} ({why})")),
                None => (Level::Bad, problem.sentence.clone()),
            });
            let dark = database.unseen.iter().map(|one| (Level::Unknown, one.sentence.clone()));
            all.extend(bad.chain(dark).map(|(level, sentence)| Problem { level, of: database.name.clone(), sentence }));
        }
        let bad = self.around().iter().map(|problem| problem.sentence.clone());
        all.extend(bad.map(|sentence| Problem { level: Level::Bad, of: "fleet".into(), sentence }));
        let fleet = kube_cluster_problems::unseen(&self.fleet).into_iter();
        all.extend(fleet.map(|one| Problem { level: Level::Unknown, of: "fleet".into(), sentence: one.sentence }));
        all.sort_by_key(|problem| std::cmp::Reverse(problem.level));
        all
    }

    /// Why a problem is none: a run is at work on it, or it goes by itself.
    pub(super) fn expected(&self, database: &Database, problem: &fleet::problem::Problem) -> Option<String> {
        let run = open_run_status::explained(&self.runs, database, problem).map(Standing::expected);
        run.or_else(|| self.settling(database, problem).map(str::to_owned))
    }

    /// How many problems of a Database, and of the KubeClusters that it is in, are wrong, and how many are expected. For lists of many:
    /// no hazard is looked for.
    pub fn wrong_problems(&self, database: &Database) -> (usize, usize) {
        let expected = database.problems.iter().filter(|problem| self.expected(database, problem).is_some()).count();
        (database.problems.len() - expected + self.wrong_around(database), expected)
    }

    /// Whether a finding says that something is wrong now: risks, and what is not seen, say no such thing.
    pub fn is_wrong(&self, finding: &Finding) -> bool {
        let own = self.databases().iter().filter(|database| finding.database.as_ref() == Some(&database.name));
        own.flat_map(|database| &database.problems).chain(self.around()).any(|problem| says(finding, problem))
    }

    /// The rows of the problems of the Database on the screen that are wrong now and those that are expected; where the list is in
    /// front, all of its rows. One number in the header and beneath it.
    pub fn wrong_rows(&self, database: &Database) -> (usize, usize) {
        let listed = *self.view() == View::Findings;
        let all = if listed { self.checked() } else { self.checked_about(None) };
        let near = |finding: &Finding| match &finding.database {
            Some(name) => *name == database.name,
            None => finding.subjects.iter().any(|of| database.tidb_clusters.iter().any(|tc| tc.context == of.context)),
        };
        let wrong = |finding: &&Finding| (listed || near(finding)) && self.is_wrong(finding);
        let expected = all.findings.iter().filter(wrong).filter(|finding| finding.expected.is_some()).count();
        let bad = all.findings.iter().filter(wrong).count() - expected;
        // What only repeats another finding is left out of the list, and is wrong all the same.
        let least = usize::from(self.wrong_problems(database).0 > 0);
        (bad.max(least), expected)
    }
}
