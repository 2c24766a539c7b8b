//! What each view lists: one [`Row`] per line that the cursor can stand on, filtered.
//!
//! Used by `update` to move the cursor and to act on the row under it, and by the face to draw: both see the same
//! rows. Not here: how a row looks (`console`).

use super::matrix::{MatrixRow, matrix, pod_words, store_level};
use super::words::{Level, freshness_level};
use super::{App, Subject, View};
use crate::fleet::database::Database;
use crate::fleet::expiry::{Certificate, Held};
use crate::fleet::standing as clusters;
use crate::fleet::{self, ObjectRef};
use crate::hazards::{Finding, Severity};
use crate::runbook::standing::{self, Standing};

/// One line that the cursor can stand on.
#[derive(Clone, Debug)]
pub struct Row {
    /// Stays the same while the thing stays the same.
    pub key: String,
    /// What the filter looks at.
    pub hay: String,
    pub level: Level,
    /// What `c` copies.
    pub copy: String,
    pub item: Item,
}

/// What a row stands for; indexes are into the list it comes from.
#[derive(Clone, Debug)]
pub enum Item {
    Instance(MatrixRow),
    Database(usize),
    Cluster(String),
    Member(usize),
    Store(usize),
    TidbCluster(ObjectRef),
    Problem(Problem),
    /// Index into what `check` found.
    Finding(usize),
    /// Index into the certificates of the fleet.
    Certificate(usize),
    Runbook(usize),
    Run(usize),
}

/// One sentence of the problems view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub level: Level,
    /// Name of the Database, or `fleet`.
    pub of: String,
    pub sentence: String,
}

impl App {
    /// The rows of the view in front, under filter, focus and faults-only.
    pub fn rows(&self) -> Vec<Row> {
        let filter = Filter::new(&self.screen().filter);
        let mut rows = self.all_rows();
        let faults = self.faults_only
            && !matches!(self.view(), View::Runbooks | View::Runs | View::Approvals | View::Problems | View::Findings);
        rows.retain(|row| filter.takes(&row.hay) && (!faults || row.level.is_fault()));
        // What is called so comes before what only speaks of it.
        if *self.view() == View::Runbooks && !self.screen().filter.is_empty() {
            rows.sort_by_key(|row| !filter.takes(&row.key));
        }
        rows
    }

    /// The rows of the view in front before filter and faults-only.
    pub fn all_rows(&self) -> Vec<Row> {
        match self.view() {
            View::Overview => matrix(self).rows.into_iter().map(instance_row).collect(),
            View::Databases => self.database_rows(),
            View::Clusters => self.cluster_rows(),
            View::Members => self.member_rows(),
            View::Stores => self.store_rows(),
            View::TidbClusters => self.tidb_cluster_rows(),
            View::Problems => self.problem_rows(),
            View::Findings => self.finding_rows(),
            View::Certificates => self.certificate_rows(),
            View::Runbooks => self.runbook_rows(),
            View::Runs => self.run_rows(),
            View::Approvals => self.approval_rows(),
            View::Form | View::Plan | View::Run | View::Approval | View::Detail(_) => Vec::new(),
        }
    }

    /// Where the cursor is among these rows.
    pub fn cursor(&self, rows: &[Row]) -> Option<usize> {
        let screen = self.screen();
        let last = rows.len().checked_sub(1)?;
        let at = screen.key.as_ref().and_then(|key| rows.iter().position(|row| row.key == *key));
        Some(at.unwrap_or(screen.row.min(last)))
    }

    fn database_rows(&self) -> Vec<Row> {
        let rows = self.databases().iter().enumerate().map(|(index, database)| {
            let id = database.id.clone().unwrap_or_default();
            let key = database.tidb_clusters.first().map(ObjectRef::to_string).unwrap_or_default();
            Row {
                hay: format!("{} {id} {key}", database.name),
                level: self.database_level(index),
                copy: if id.is_empty() { database.name.clone() } else { id },
                item: Item::Database(index),
                key,
            }
        });
        rows.collect()
    }

    /// How much is wrong with the KubeClusters that a Database is in.
    fn wrong_around(&self, database: &Database) -> usize {
        let near = clusters::problems(&self.fleet);
        let here = |problem: &&fleet::problem::Problem| {
            problem.about.iter().any(|about| database.tidb_clusters.iter().any(|of| of.context == about.context))
        };
        near.iter().filter(here).count()
    }

    /// The worst that is known of a Database; one that is not wholly seen is never good.
    pub fn database_level(&self, index: usize) -> Level {
        match self.databases().get(index) {
            Some(database) if self.wrong_and_expected(database).0 > 0 => Level::Bad,
            Some(database) if !database.problems.is_empty() => Level::Working,
            Some(database) if database.unseen.is_empty() => Level::Good,
            _ => Level::Unknown,
        }
    }

    fn cluster_rows(&self) -> Vec<Row> {
        let clusters = self.fleet.clusters.values().filter(|cluster| self.in_focus(Some(&cluster.context)));
        let rows = clusters.map(|cluster| Row {
            key: cluster.context.clone(),
            hay: format!(
                "{} {} {} {}",
                cluster.context,
                cluster.server,
                cluster.freshness.word(),
                cluster.message.as_deref().unwrap_or_default()
            ),
            level: freshness_level(&cluster.freshness),
            copy: cluster.context.clone(),
            item: Item::Cluster(cluster.context.clone()),
        });
        rows.collect()
    }

    fn member_rows(&self) -> Vec<Row> {
        let Some(database) = self.database() else { return Vec::new() };
        let members = database.members.iter().enumerate();
        let rows =
            members.filter(|(_, member)| self.in_focus(member.kube_cluster.as_deref())).map(|(index, member)| {
                let level = match member.healthy {
                    Some(false) => Level::Bad,
                    _ if member.name.is_empty() => Level::Bad,
                    None => Level::Unknown,
                    Some(true) if member.drift => Level::Working,
                    Some(true) => Level::Good,
                };
                let marks =
                    [if member.leader { "leader" } else { "" }, if member.drift { "drift" } else { "" }].join(" ");
                Row {
                    key: member.id.hex(),
                    hay: format!(
                        "{} {} {} {} {} {} {marks}",
                        member.id,
                        member.name,
                        member.kube_cluster.as_deref().unwrap_or_default(),
                        member.pod.as_deref().unwrap_or_default(),
                        member.peer_urls.join(" "),
                        member.client_urls.join(" "),
                    ),
                    level,
                    copy: member.id.hex(),
                    item: Item::Member(index),
                }
            });
        rows.collect()
    }

    fn store_rows(&self) -> Vec<Row> {
        let Some(database) = self.database() else { return Vec::new() };
        let stores = database.stores.iter().enumerate();
        let rows = stores.filter(|(_, row)| self.in_focus(row.kube_cluster.as_deref())).map(|(index, row)| Row {
            key: row.store.id.to_string(),
            hay: format!(
                "{} {} {} {} {}",
                row.store.id,
                row.store.address,
                row.store.state,
                row.store.version,
                row.kube_cluster.as_deref().unwrap_or_default()
            ),
            level: store_level(&row.store.state),
            copy: row.store.id.to_string(),
            item: Item::Store(index),
        });
        rows.collect()
    }

    fn tidb_cluster_rows(&self) -> Vec<Row> {
        let all = self.fleet.tidb_clusters().filter(|(of, _)| self.in_focus(Some(&of.context)));
        let rows = all.map(|(of, tc)| {
            let live = self.fleet.clusters.get(&of.context).is_some_and(|cluster| cluster.freshness.is_live());
            let level = match tc.ready_condition() {
                _ if !live => Level::Unknown,
                None => Level::Unknown,
                Some(ready) if ready.status == "True" => Level::Good,
                Some(_) => Level::Working,
            };
            Row {
                key: of.to_string(),
                hay: format!("{of} {}", tc.domain().unwrap_or_default()),
                level,
                copy: of.to_string(),
                item: Item::TidbCluster(of),
            }
        });
        rows.collect()
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
            let bad =
                database.problems.iter().map(|problem| match standing::explained(&self.runs, database, problem) {
                    Some(run) => (Level::Working, format!("{problem} ({})", run.expected())),
                    None => (Level::Bad, problem.sentence.clone()),
                });
            let dark = database.unseen.iter().map(|sentence| (Level::Unknown, sentence.clone()));
            all.extend(bad.chain(dark).map(|(level, sentence)| Problem { level, of: database.name.clone(), sentence }));
        }
        let bad = clusters::problems(&self.fleet).into_iter();
        all.extend(bad.map(|problem| Problem { level: Level::Bad, of: "fleet".into(), sentence: problem.sentence }));
        let fleet = clusters::unseen(&self.fleet).into_iter();
        all.extend(fleet.map(|sentence| Problem { level: Level::Unknown, of: "fleet".into(), sentence }));
        all.sort_by_key(|problem| std::cmp::Reverse(problem.level));
        all
    }

    /// The open runs that this console does not drive itself.
    pub fn runs_left(&self) -> impl Iterator<Item = &Standing> {
        let own = self.run.as_ref().filter(|run| run.driving).map(|run| run.id().to_owned());
        self.runs.iter().filter(move |run| run.open && own.as_ref() != Some(&run.run))
    }

    /// Problems of a Database that no run explains, and those that one does.
    pub fn wrong_and_expected(&self, database: &Database) -> (usize, usize) {
        let expected =
            database.problems.iter().filter(|problem| standing::explained(&self.runs, database, problem).is_some());
        let expected = expected.count();
        (database.problems.len() - expected + self.wrong_around(database), expected)
    }

    fn problem_rows(&self) -> Vec<Row> {
        let rows = self.problems().into_iter().map(|problem| Row {
            key: format!("{} {}", problem.of, problem.sentence),
            hay: format!("{} {}", problem.of, problem.sentence),
            level: problem.level,
            copy: problem.sentence.clone(),
            item: Item::Problem(problem),
        });
        rows.collect()
    }

    /// Findings of all Databases, the worst first, and then what could not be seen.
    fn finding_rows(&self) -> Vec<Row> {
        let checked = self.checked();
        let near = |finding: &Finding| {
            self.focus.is_none()
                || finding.subjects.iter().any(|subject| self.focus.as_deref() == Some(&subject.context))
        };
        let found = checked.findings.iter().enumerate().filter(|(_, finding)| near(finding)).map(|(index, finding)| {
            let subjects: Vec<String> = finding.subjects.iter().map(ToString::to_string).collect();
            let number = finding.hazard.number.map(|number| number.to_string()).unwrap_or_default();
            Row {
                key: finding_key(finding),
                hay: format!(
                    "{} {number} {} {} {} {}",
                    finding.id(),
                    finding.severity.word(),
                    finding.database.as_deref().unwrap_or("fleet"),
                    subjects.join(" "),
                    finding.sentence
                ),
                level: finding_level(finding),
                copy: finding.what_to_do.clone(),
                item: Item::Finding(index),
            }
        });
        let unseen = checked.unseen.iter().map(|sentence| Row {
            key: format!("unseen {sentence}"),
            hay: format!("unseen {sentence}"),
            level: Level::Unknown,
            copy: sentence.clone(),
            item: Item::Problem(Problem { level: Level::Unknown, of: "unseen".into(), sentence: sentence.clone() }),
        });
        found.chain(unseen).collect()
    }

    fn certificate_rows(&self) -> Vec<Row> {
        let all = self.certificates().iter().enumerate();
        let rows = all.filter(|(_, one)| self.in_focus(Some(&one.of.context))).map(|(index, one)| Row {
            key: certificate_key(one),
            hay: format!(
                "{} {} {} {} {}",
                one.of,
                one.secret,
                one.title,
                one.common_name.as_deref().unwrap_or_default(),
                one.issuer.as_deref().unwrap_or_default()
            ),
            level: certificate_level(one),
            copy: format!("{}/{}/{}", one.of.context, one.of.namespace, one.secret),
            item: Item::Certificate(index),
        });
        rows.collect()
    }

    fn runbook_rows(&self) -> Vec<Row> {
        let rows = self.runbooks.iter().enumerate().map(|(index, runbook)| Row {
            key: runbook.id.clone(),
            hay: format!("{} {} {}", runbook.id, runbook.title, runbook.summary),
            level: Level::Done,
            copy: runbook.id.clone(),
            item: Item::Runbook(index),
        });
        rows.collect()
    }

    fn run_rows(&self) -> Vec<Row> {
        let rows = self.runs.iter().enumerate().map(|(index, run)| Row {
            key: run.run.clone(),
            hay: format!("{} {} {} {}", run.run, run.runbook, run.target, run.state),
            level: match (run.half_done(), run.open) {
                (true, _) => Level::Bad,
                (false, true) => Level::Working,
                (false, false) => Level::Done,
            },
            copy: run.run.clone(),
            item: Item::Run(index),
        });
        rows.collect()
    }

    /// What ⏎ on a row looks at.
    pub(super) fn subject(&self, row: &Row) -> Option<Subject> {
        match &row.item {
            Item::Instance(instance) => {
                let cell = instance.cells.get(self.column(instance.cells.len()))?.as_ref();
                let cell = cell.or_else(|| instance.cells.iter().flatten().next())?;
                Some(Subject::Pod(cell.pod.clone()))
            }
            Item::Cluster(context) => Some(Subject::Cluster(context.clone())),
            Item::Member(index) => Some(Subject::Member(self.database()?.members.get(*index)?.id)),
            Item::Store(index) => Some(Subject::Store(self.database()?.stores.get(*index)?.store.id)),
            Item::TidbCluster(of) => Some(Subject::TidbCluster(of.clone())),
            Item::Finding(_) => Some(Subject::Finding(row.key.clone())),
            Item::Certificate(_) => Some(Subject::Certificate(row.key.clone())),
            Item::Problem(problem) => Some(Subject::Sentence(problem.sentence.clone())),
            Item::Database(_) | Item::Runbook(_) | Item::Run(_) => None,
        }
    }

    /// The matrix column under the cursor.
    pub fn column(&self, columns: usize) -> usize {
        self.screen().column.min(columns.saturating_sub(1))
    }
}

fn instance_row(instance: MatrixRow) -> Row {
    let label = instance.label();
    let mut hay = format!("{label} {}", instance.component.title());
    let mut copy = label.clone();
    for cell in instance.cells.iter().flatten() {
        let marks = [if cell.leader { "leader" } else { "" }, if cell.drift { "drift" } else { "" }].join(" ");
        hay.push_str(&format!(" {} {} {marks}", cell.word, cell.detail));
        copy = cell.pod.name.clone();
    }
    Row { key: label, hay, level: instance.level(), copy, item: Item::Instance(instance) }
}

/// Stays the same while the finding is about the same things.
pub fn finding_key(finding: &Finding) -> String {
    let subjects: Vec<String> = finding.subjects.iter().map(ToString::to_string).collect();
    format!("{} {} {}", finding.id(), finding.database.as_deref().unwrap_or_default(), subjects.join(","))
}

/// Stays the same while it is the same certificate of the same TidbCluster, renewed or not.
pub fn certificate_key(certificate: &Certificate) -> String {
    format!("{} {} {}", certificate.of, certificate.secret, certificate.title)
}

pub fn certificate_level(certificate: &Certificate) -> Level {
    match certificate.held {
        Held::Unseen => Level::Unknown,
        Held::Absent => Level::Bad,
        Held::Seen if certificate.is_wrong() => Level::Bad,
        Held::Seen if certificate.troubles.is_empty() => Level::Good,
        Held::Seen => Level::Working,
    }
}

pub fn finding_level(finding: &Finding) -> Level {
    match (finding.unknown, finding.severity) {
        (false, _) if finding.expected.is_some() => Level::Working,
        (true, _) => Level::Unknown,
        (false, Severity::High) => Level::Bad,
        (false, Severity::Medium) => Level::Working,
        (false, Severity::Low | Severity::Info) => Level::Done,
    }
}

/// What a pod is worth, for views outside the matrix.
pub fn pod_level(pod: &crate::fleet::workload::Pod) -> Level {
    pod_words(pod).0
}

/// Words that must all be there, in any order and any case; `!word` must not be.
struct Filter(Vec<(bool, String)>);

impl Filter {
    fn new(text: &str) -> Self {
        let words = text.split_whitespace().map(|word| match word.strip_prefix('!') {
            Some(rest) => (false, rest.to_lowercase()),
            None => (true, word.to_lowercase()),
        });
        Self(words.filter(|(_, word)| !word.is_empty()).collect())
    }

    fn takes(&self, hay: &str) -> bool {
        let hay = hay.to_lowercase();
        self.0.iter().all(|(wanted, word)| hay.contains(word) == *wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        for (filter, hay, takes) in [
            ("", "x", true),
            ("pd", "basic-PD-0", true),
            ("pd east", "east basic-pd-0", true),
            ("pd west", "east basic-pd-0", false),
            ("!pd", "basic-pd-0", false),
            ("!", "x", true),
        ] {
            assert_eq!(Filter::new(filter).takes(hay), takes, "{filter:?} on {hay:?}");
        }
    }
}
