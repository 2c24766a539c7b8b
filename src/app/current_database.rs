//! Which Database is in front: the one that was chosen; and while inputs, a plan or a run are in front the one that these are about, so
//! that the header never names another one over them. It goes as they go.
//!
//! Not here: what is computed of it (`computed`), the header (`console::header`).

use super::approvals::Stage;
use super::form::Form;
use super::message::InputKind;
use super::{App, Subject, View};
use crate::fleet::ObjectRef;
use crate::fleet::database::Database;
use crate::runbook::plan::Plan;

impl App {
    /// Chooses a Database for all views.
    pub fn choose_database(&mut self, index: usize) {
        let of = self.databases().get(index).and_then(|database| database.tidb_clusters.first()).cloned();
        self.choose_part(of);
    }

    /// The same by a TidbCluster of it.
    pub(super) fn choose_part(&mut self, of: Option<ObjectRef>) {
        self.aside = None;
        self.put_in_front(of);
    }

    fn put_in_front(&mut self, of: Option<ObjectRef>) {
        let before = self.database_index();
        self.chosen = of;
        // Lists of its rows are those of another one now.
        self.change += u64::from(self.database_index() != before);
        self.checked_here.take();
        // Of another Database they would be another one's.
        self.versions.take();
    }

    /// The TidbClusters that the view in front is about, the nearest first; none where it is about whatever was chosen.
    fn work_about(&self) -> Vec<ObjectRef> {
        match self.view() {
            View::Plan => self.plan.as_deref().map(about).unwrap_or_default(),
            View::Run => self.run.as_ref().and_then(|run| run.plan.as_deref()).map(about).unwrap_or_default(),
            View::Form => self.form.as_ref().map(named).unwrap_or_default(),
            View::Approval => match self.approving.as_ref().map(|approving| &approving.stage) {
                Some(Stage::Shown(asked)) => about(&asked.plan),
                _ => Vec::new(),
            },
            View::Detail(Subject::Run(id)) => {
                let run = self.runs.iter().find(|run| run.run == *id);
                run.and_then(|run| ObjectRef::parse(&run.target).ok()).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn holds(database: &Database, of: &ObjectRef) -> bool {
        database.tidb_clusters.contains(of)
    }

    /// The TidbCluster that the view in front is about and that no Database has: one that is yet to be made, or is not seen.
    pub fn of_no_database(&self) -> Option<ObjectRef> {
        let about = self.work_about();
        let known = about.iter().any(|of| self.databases().iter().any(|database| Self::holds(database, of)));
        about.into_iter().next().filter(|_| !known)
    }

    /// Puts the Database in front that the view in front is about, and back what was chosen before.
    pub(super) fn follow_work(&mut self) {
        let about = self.work_about();
        let known = about.into_iter().find(|of| self.databases().iter().any(|database| Self::holds(database, of)));
        match known {
            Some(of) if !self.database().is_some_and(|database| Self::holds(database, &of)) => {
                let before = self.chosen.take();
                self.aside.get_or_insert(before);
                self.put_in_front(Some(of));
            }
            Some(_) => {}
            None => self.leave_work(),
        }
    }

    /// Puts back what was chosen before a plan or a run brought another one in front.
    pub(super) fn leave_work(&mut self) {
        if let Some(before) = self.aside.take() {
            self.put_in_front(before);
        }
    }
}

/// The target of a plan, then what else its inputs name.
fn about(plan: &Plan) -> Vec<ObjectRef> {
    let named = plan.inputs.values().filter_map(|value| serde_json::from_value::<ObjectRef>(value.clone()).ok());
    std::iter::once(plan.target.clone()).chain(named).collect()
}

/// What the fields of a form name in full.
fn named(form: &Form) -> Vec<ObjectRef> {
    let of = |kind: &InputKind| matches!(kind, InputKind::TidbCluster | InputKind::NewTidbCluster);
    let fields = form.fields.iter().filter(|field| of(&field.info.kind));
    fields.filter_map(|field| ObjectRef::parse(field.input.value().trim()).ok()).collect()
}
