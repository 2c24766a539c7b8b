//! The rows of the view in front: filtered, ordered, kept until something changes; and what the row under the cursor is.
//!
//! Used by `update` to move the cursor and to act on the row under it, and by the face to draw: both see the same
//! rows. Not here: what each view lists ([`super::views`]), how rows are put in order ([`super::sorting`]), how a row looks
//! (`console`), how many problems there are ([`super::problem_counts`]).

use std::sync::Arc;

use super::change_highlight::Seen;
use super::filter::Filter;
use super::overview_matrix::{Matrix, matrix};
use super::sorting::{Order, sort, sort_instances};
use super::{App, Subject, View};
use crate::fleet::ObjectRef;
use crate::runbook::run::open_run_status::Standing;

pub use super::views::{Item, Problem, Row};

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
