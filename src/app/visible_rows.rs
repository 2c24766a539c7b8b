//! The rows of the view in front: filtered, ordered, kept until something changes; and what the row under the cursor is.
//!
//! Used by `update` to move the cursor and to act on the row under it, and by the face to draw: both see the same
//! rows. Not here: what each view lists ([`super::views`]), how a row looks (`console`).

use std::sync::Arc;

use super::change_highlight::Seen;
use super::filter::Filter;
use super::overview_matrix::{Matrix, matrix};
use super::status_level::Level;
use super::{App, Subject, View};
use crate::fleet;
use crate::fleet::ObjectRef;
use crate::fleet::database::Database;
use crate::fleet::kube_cluster_problems;
use crate::hazards::{Finding, says};
use crate::runbook::run::open_run_status::{self, Standing};

pub use super::views::{Item, Problem, Row};

/// By which column a view is ordered, and whether the other way round than that column begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    pub column: usize,
    pub reversed: bool,
}

/// What was computed, and for what: good until the state has moved.
#[derive(Debug, Default)]
pub(super) struct Kept {
    listed: Option<Listed>,
    matrix: Option<(MatrixOf, Arc<Matrix>)>,
    /// How often each was computed.
    pub counts: Counts,
}

/// The rows of a view, and what is told of all of them.
#[derive(Debug)]
struct Listed {
    of: RowsOf,
    rows: Arc<Vec<Row>>,
    /// How many there are without filter and faults-only.
    all: usize,
    /// Columns of the screen that each column of the table wants, once the face has measured them.
    widths: Option<Arc<[usize]>>,
}

/// How often lists were computed since the start, and rows measured and laid out for them; how often Databases were looked for, and how
/// many of them were made anew. Tests hold them to once for a change, and to what is in sight or has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub rows: usize,
    pub matrices: usize,
    pub measured: usize,
    pub laid_out: usize,
    pub databases: usize,
    pub made: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct RowsOf {
    change: u64,
    view: View,
    filter: String,
    order: Option<Order>,
    focus: Option<String>,
    faults_only: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct MatrixOf {
    change: u64,
    focus: Option<String>,
    database: Option<usize>,
}

impl App {
    /// The rows of the view in front, under filter, focus and faults-only.
    pub fn rows(&self) -> Arc<Vec<Row>> {
        self.listed().0
    }

    /// How many rows the view in front has before filter and faults-only.
    pub fn count_all(&self) -> usize {
        self.listed().1
    }

    fn listed(&self) -> (Arc<Vec<Row>>, usize) {
        let screen = self.screen();
        let of = RowsOf {
            change: self.change,
            view: screen.view.clone(),
            filter: screen.filter.clone(),
            order: screen.order,
            focus: self.narrowed(),
            faults_only: self.faults_only,
        };
        if let Some(listed) = self.kept.borrow().listed.as_ref().filter(|listed| listed.of == of) {
            return (Arc::clone(&listed.rows), listed.all);
        }
        let spec = screen.view.spec();
        let mut rows = (spec.rows)(self);
        let all = rows.len();
        let seen = Seen { view: screen.view.clone(), database: self.database_index(), focus: self.narrowed() };
        self.changes.borrow_mut().note(seen, &rows, spec.columns, self.now);
        rows.retain(|row| self.row_in_namespace(row));
        if self.faults_only && spec.faults {
            rows.retain(|row| row.level.is_fault());
        }
        let filter = Filter::new(&screen.filter, spec.columns);
        filter.keep(&mut rows);
        if let Some(order) = screen.order {
            match screen.view {
                View::Overview => sort_instances(&mut rows, order),
                _ => sort(&mut rows, order),
            }
        } else if screen.view == View::Runbooks && !screen.filter.is_empty() {
            // What is called so comes before what only speaks of it.
            rows.sort_by_key(|row| !filter.names(&row.key));
        }
        let rows = Arc::new(rows);
        let mut kept = self.kept.borrow_mut();
        kept.counts.rows += 1;
        kept.listed = Some(Listed { of, rows: Arc::clone(&rows), all, widths: None });
        (rows, all)
    }

    /// What each column of the table in front wants, measured by the face once for a list, however often that is drawn.
    pub fn widths(&self, measure: impl FnOnce(&[Row]) -> Vec<usize>) -> Arc<[usize]> {
        let rows = self.rows();
        let mut kept = self.kept.borrow_mut();
        let known = kept.listed.as_ref().and_then(|listed| listed.widths.clone());
        known.unwrap_or_else(|| {
            let widths: Arc<[usize]> = measure(&rows).into();
            kept.counts.measured += rows.len();
            if let Some(listed) = &mut kept.listed {
                listed.widths = Some(Arc::clone(&widths));
            }
            widths
        })
    }

    /// The face has laid out so many rows.
    pub fn note_laid_out(&self, rows: usize) {
        self.kept.borrow_mut().counts.laid_out += rows;
    }

    /// The overview's matrix under the present focus.
    pub fn matrix(&self) -> Arc<Matrix> {
        let of = MatrixOf { change: self.fleet_change, focus: self.narrowed(), database: self.database_index() };
        if let Some((kept, matrix)) = &self.kept.borrow().matrix
            && *kept == of
        {
            return Arc::clone(matrix);
        }
        let made = Arc::new(matrix(self));
        let mut kept = self.kept.borrow_mut();
        kept.counts.matrices += 1;
        kept.matrix = Some((of, Arc::clone(&made)));
        made
    }

    /// How often rows, matrix and Databases were computed, and how much for drawing them.
    pub fn counts(&self) -> Counts {
        Counts { made: self.former.borrow().made(), ..self.kept.borrow().counts }
    }

    /// Where the cursor is among these rows.
    pub fn cursor(&self, rows: &[Row]) -> Option<usize> {
        let screen = self.screen();
        let last = rows.len().checked_sub(1)?;
        let Some(key) = &screen.key else { return Some(screen.row.min(last)) };
        // Mostly it is where it was.
        let there = rows.get(screen.row).is_some_and(|row| row.key == *key);
        let at = if there { Some(screen.row) } else { rows.iter().position(|row| row.key == *key) };
        Some(at.unwrap_or(screen.row.min(last)))
    }

    /// The row under the cursor.
    pub fn row(&self) -> Option<Row> {
        let rows = self.rows();
        rows.get(self.cursor(&rows)?).cloned()
    }

    /// Whether what a context shows is what is so now.
    pub fn is_live(&self, context: &str) -> bool {
        self.fleet.clusters.get(context).is_some_and(|cluster| cluster.freshness.is_live())
    }

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

    /// The open runs that this console does not drive itself.
    pub fn runs_left(&self) -> impl Iterator<Item = &Standing> {
        let own = self.run.as_ref().filter(|run| run.driving).map(|run| run.id().to_owned());
        self.runs.iter().filter(move |run| run.open && own.as_ref() != Some(&run.run))
    }

    /// Those of them that are about the Database of a TidbCluster.
    pub fn runs_open_on(&self, of: &ObjectRef) -> Vec<&Standing> {
        let database = self.databases().iter().find(|database| database.tidb_clusters.contains(of));
        let about = |run: &&Standing| match database {
            Some(database) => run.concerns(database),
            None => run.target == of.to_string(),
        };
        self.runs_left().filter(about).collect()
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
            Item::Pod(of) => Some(Subject::Pod(of.clone())),
            Item::Forward(index) => Some(Subject::Pod(self.forwards.get(*index)?.pod.clone())),
            Item::Happened { told, .. } => Some(Subject::Sentence(told.clone())),
            Item::Database(_) | Item::Namespace(_) | Item::Runbook { .. } | Item::Run(_) | Item::Line => None,
        }
    }

    /// The cluster that a row is of.
    pub fn context_of<'a>(&'a self, row: &'a Row) -> Option<&'a str> {
        match &row.item {
            Item::Pod(of) | Item::TidbCluster(of) => Some(&of.context),
            Item::Cluster(context) => Some(context),
            Item::Member(index) => self.database()?.members.get(*index)?.place.context(),
            Item::Store(index) => self.database()?.stores.get(*index)?.place.context(),
            Item::Certificate(index) => Some(&self.certificates().get(*index)?.of.context),
            Item::Forward(index) => Some(&self.forwards.get(*index)?.pod.context),
            Item::Happened { about, .. } => Some(&about.as_ref()?.context),
            Item::Instance(_)
            | Item::Database(_)
            | Item::Namespace(_)
            | Item::Problem(_)
            | Item::Finding(_)
            | Item::Runbook { .. }
            | Item::Run(_)
            | Item::Line => None,
        }
    }

    /// The matrix column under the cursor.
    pub fn column(&self, columns: usize) -> usize {
        self.screen().column.min(columns.saturating_sub(1))
    }
}

/// Instances stay below their component: in their order (column 0), or the worst first.
fn sort_instances(rows: &mut [Row], order: Order) {
    let component = |row: &Row| match &row.item {
        Item::Instance(instance) => Some(instance.component),
        _ => None,
    };
    for part in rows.chunk_by_mut(|one, other| component(one) == component(other)) {
        if order.column > 0 {
            part.sort_by_key(|row| std::cmp::Reverse(row.level));
        }
        if order.reversed {
            part.reverse();
        }
    }
}

/// Numbers begin with the greatest, words with A. Rows that are equal keep their order.
fn sort(rows: &mut [Row], order: Order) {
    let cell = |row: &Row| {
        let cell = row.cells.get(order.column);
        (cell.and_then(|cell| cell.number), cell.map(|cell| cell.text().to_lowercase()).unwrap_or_default())
    };
    rows.sort_by(|one, other| {
        let ((number, text), (other_number, other_text)) = (cell(one), cell(other));
        let so = other_number.cmp(&number).then_with(|| text.cmp(&other_text));
        if order.reversed { so.reverse() } else { so }
    });
}
