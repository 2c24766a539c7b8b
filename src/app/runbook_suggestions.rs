//! What helps with the object under the cursor: the findings about it, the runbooks whose inputs it fills, and the runbook
//! that a finding names, with its inputs.
//!
//! Not here: the form itself ([`super::form`]), what findings say (`hazards`).

use std::collections::BTreeMap;

use super::form::{FilledBy, Form};
use super::keymap::Scope;
use super::message::{InputKind, RunbookInfo};
use super::selected_object::{member_pod, store_pod};
use super::{App, Subject, View};
use crate::fleet::ObjectRef;
use crate::fleet::database::{Member, StoreRow};
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::workload::Pod;
use crate::hazards::Finding;

/// What an object can say for the inputs of a runbook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub tidb_cluster: Option<ObjectRef>,
    pub pod: Option<String>,
    pub component: Option<String>,
    /// That pod starts, ends and starts again.
    pub ill: bool,
    /// Inputs that a finding names outright.
    pub named: BTreeMap<String, String>,
    /// The runbook that a finding names.
    pub runbook: Option<String>,
}

/// Whether a runbook that asks for a component takes that of the pod.
fn takes(runbook: &RunbookInfo, known: &Known) -> bool {
    let Some(component) = &known.component else { return true };
    runbook.inputs.iter().filter(|input| input.name == "component").all(|input| match &input.kind {
        InputKind::Choice(options) => options.contains(component),
        _ => true,
    })
}

impl App {
    /// What the inspector shows: of a list the row under the cursor.
    pub fn inspected(&self) -> Option<Subject> {
        self.subject(&self.row()?)
    }

    /// What the object under the cursor says for a form.
    pub fn known(&self) -> Known {
        let subject = match self.view() {
            View::Detail(subject) => Some(subject.clone()),
            _ => self.inspected(),
        };
        let mut known = Known::default();
        match subject {
            Some(Subject::Finding(key)) => {
                if let Some(finding) = self.finding(&key) {
                    if let Some(line) = finding.what_to_do.line() {
                        known.runbook = Some(line.runbook.to_owned());
                        known.named =
                            line.inputs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
                    }
                    let about = finding.subjects.iter().find(|subject| !subject.name.is_empty());
                    if let Some(about) = about.filter(|about| !about.context.is_empty()) {
                        let of = ObjectRef::new(&about.context, &about.namespace, &about.name);
                        match about.kind {
                            SubjectKind::TidbCluster => known.tidb_cluster = Some(of),
                            SubjectKind::Pod => self.of_pod(&of, &mut known),
                            _ => {}
                        }
                    }
                }
            }
            Some(Subject::Pod(of)) => self.of_pod(&of, &mut known),
            Some(Subject::TidbCluster(of)) => known.tidb_cluster = Some(of),
            Some(Subject::Member(id)) => {
                let pod = self.database().and_then(|database| member_pod(database.member(id)?));
                if let Some(of) = pod {
                    self.of_pod(&of, &mut known);
                }
            }
            Some(Subject::Store(id)) => {
                let row = self.database().and_then(|all| all.stores.iter().find(|row| row.store.id == id));
                if let Some(of) = row.and_then(store_pod) {
                    self.of_pod(&of, &mut known);
                }
            }
            Some(Subject::Certificate(key)) => {
                known.tidb_cluster = self.certificate(&key).map(|one| one.of.clone());
            }
            Some(Subject::Cluster(_) | Subject::Sentence(_) | Subject::Run(_)) | None => {}
        }
        known
    }

    pub(super) fn of_pod(&self, of: &ObjectRef, known: &mut Known) {
        known.pod = Some(of.name.clone());
        let Some(cluster) = self.fleet.clusters.get(&of.context) else { return };
        let pod = cluster.pods.get(&of.key());
        known.component = pod.and_then(|pod| pod.component()).map(str::to_owned);
        known.ill = pod.is_some_and(Pod::loops);
        let own = pod.and_then(|pod| pod.instance());
        let tc = own.map(|name| ObjectRef::new(&of.context, &of.namespace, name));
        known.tidb_cluster = tc.filter(|tc| self.fleet.tidb_cluster(tc).is_some());
    }

    /// Whether the object under the cursor fills inputs of this runbook, and how much of it it is about.
    pub fn fits(&self, runbook: &RunbookInfo, known: &Known) -> usize {
        if known.runbook.as_ref() == Some(&runbook.id) {
            return 10;
        }
        let target = runbook.inputs.iter().any(|input| input.kind == InputKind::TidbCluster);
        if !target || known.tidb_cluster.is_none() {
            return 0;
        }
        // Discovery and backup pods are of the TidbCluster, but no runbook is about them.
        if !takes(runbook, known) {
            return 1;
        }
        // A runbook of PD members is no help with a store.
        let pd = known.component.as_deref() == Some("pd");
        let pod = runbook.inputs.iter().any(|input| input.name == "pod");
        let of_members = runbook.id.contains("pd-leader") || runbook.id.contains("peer-urls");
        // What helps a pod that starts and ends again is to restart it, and it is the last one to lead.
        if known.ill && runbook.id == "restart-component" {
            return 5;
        }
        match (pod, of_members) {
            (_, true) if known.component.is_some() && !pd => 0,
            (true, true) if known.ill => 2,
            (true, true) if known.pod.is_some() => 4,
            (true, _) if known.pod.is_some() => 3,
            (_, true) => 2,
            _ => 1,
        }
    }

    /// The ids of the runbooks that help with what is under the cursor, the nearest first.
    pub fn runbooks_for_cursor(&self) -> Vec<String> {
        let known = self.known();
        let mut fitting: Vec<(usize, &RunbookInfo)> =
            self.runbooks.iter().map(|runbook| (self.fits(runbook, &known), runbook)).collect();
        fitting.retain(|(fits, _)| *fits > 1);
        fitting.sort_by_key(|(fits, _)| std::cmp::Reverse(*fits));
        fitting.into_iter().map(|(_, runbook)| runbook.id.clone()).collect()
    }

    /// The findings about one pod and what lives in it.
    pub fn findings_about(
        &self,
        pod: Option<&ObjectRef>,
        member: Option<&Member>,
        store: Option<&StoreRow>,
    ) -> Vec<&Finding> {
        let id = member.map(|member| member.id.hex());
        let store = store.map(|row| row.store.id.to_string());
        let about = |finding: &&Finding| {
            finding.subjects.iter().any(|subject| match subject.kind {
                SubjectKind::Pod => pod.is_some_and(|of| {
                    (&subject.context, &subject.namespace, &subject.name) == (&of.context, &of.namespace, &of.name)
                }),
                SubjectKind::Member => {
                    id.as_ref() == Some(&subject.name) || member.is_some_and(|member| member.name == subject.name)
                }
                SubjectKind::Store => store.as_ref() == Some(&subject.name),
                _ => false,
            })
        };
        self.checked_about(pod).findings.iter().filter(about).take(4).collect()
    }

    /// What was under the cursor when runbooks were asked for.
    pub fn hint(&self) -> &Known {
        &self.hint
    }

    /// What is known where the list of runbooks was asked for: of the view behind it.
    pub(super) fn take_hint(&mut self) {
        if let Some(known) = self.known_here().filter(|_| *self.view() != View::Runbooks) {
            self.hint = known;
        }
    }

    /// What is under the cursor of a list, the matrix or a page; `None`: there is something else in front.
    pub(super) fn known_here(&self) -> Option<Known> {
        matches!(self.view_scope(), Scope::Matrix | Scope::List | Scope::Text).then(|| self.known())
    }

    /// Whether a runbook may be about the pod that is known alone, or about all like it: two things to offer.
    pub fn about_one_or_all(&self, runbook: &RunbookInfo) -> bool {
        let may = |name: &str| runbook.inputs.iter().any(|input| input.name == name && !input.required);
        let known = self.hint();
        let whole = known.pod.is_some() && known.component.is_some() && known.tidb_cluster.is_some();
        may("pod") && whole && takes(runbook, known)
    }

    /// A form that begins with what is known. `alone`: it is about the pod under the cursor, or about every one like it.
    pub(super) fn filled_form(&self, runbook: RunbookInfo, pointed: Option<&ObjectRef>, alone: Option<bool>) -> Form {
        let known = &self.hint;
        let own = known.runbook.as_ref() == Some(&runbook.id);
        let mut form = Form::new(runbook, known.tidb_cluster.as_ref().or(pointed));
        for field in &mut form.fields {
            let all = field.info.name == "pod" && alone == Some(false);
            let named = known.named.get(&field.info.name).filter(|_| own && !all);
            let value = named.cloned().or_else(|| match field.info.name.as_str() {
                "pod" => known.pod.clone().filter(|_| field.info.required || alone == Some(true)),
                "component" => known.component.clone(),
                _ => None,
            });
            if let Some(value) = value.filter(|value| field.takes(value)) {
                field.fill(value, FilledBy::Cursor);
            }
        }
        // Where nothing is left to say, enter plans.
        let last = form.fields.len().saturating_sub(1);
        form.at = form.fields.iter().position(|field| field.input.value().is_empty()).unwrap_or(last);
        form
    }
}
