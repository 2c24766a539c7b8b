//! The input form of a runbook: fields, suggestions from the fleet, and what is still missing.
//!
//! Not here: judging the values, which is the plan's affair.

use std::collections::BTreeMap;

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyModifiers};
use tui_input::Input;

use super::App;
use super::message::{InputInfo, InputKind, RunbookInfo};
use super::update::edit;
use crate::fleet::ObjectRef;
use crate::fleet::dns::Likeness;

#[derive(Clone, Debug)]
pub struct Form {
    pub runbook: RunbookInfo,
    pub fields: Vec<Field>,
    /// The field in focus.
    pub at: usize,
    /// Why the form could not go on; one sentence.
    pub error: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Field {
    pub info: InputInfo,
    pub input: Input,
    /// What was typed before suggestions were put in its place; they are filtered by it while they are cycled.
    stem: Option<String>,
    /// Who filled it in, as long as the person has not: a key that writes takes the place of all of it.
    filled: Option<FilledBy>,
    /// The person has typed or erased here: from then on nothing is filled in any more.
    touched: bool,
}

/// Where a value comes from that nobody typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilledBy {
    /// The runbook's own usual value.
    Default,
    /// What was under the cursor, or what a finding or a line named.
    Cursor,
    /// What the fleet says fits.
    Fleet,
}

impl FilledBy {
    pub fn words(self) -> &'static str {
        match self {
            FilledBy::Default => "the usual value",
            FilledBy::Cursor => "from the cursor or the line",
            FilledBy::Fleet => "proposed: what its cluster serves",
        }
    }
}

impl Form {
    /// A form whose first TidbCluster field is filled with `target`.
    pub fn new(runbook: RunbookInfo, target: Option<&ObjectRef>) -> Self {
        let mut target = target.map(ObjectRef::to_string);
        let fields = runbook
            .inputs
            .iter()
            .map(|info| {
                let known = if info.kind == InputKind::TidbCluster { target.take() } else { None };
                let mut field =
                    Field { info: info.clone(), input: Input::default(), stem: None, filled: None, touched: false };
                match (known, &info.default) {
                    (Some(known), _) => field.fill(known, FilledBy::Cursor),
                    (None, Some(usual)) => field.fill(usual.clone(), FilledBy::Default),
                    (None, None) => {}
                }
                field
            })
            .collect::<Vec<_>>();
        let at = fields.iter().position(|field: &Field| field.input.value().is_empty()).unwrap_or(0);
        Self { runbook, fields, at, error: None }
    }

    pub fn field(&self) -> Option<&Field> {
        self.fields.get(self.at)
    }

    pub fn field_mut(&mut self) -> Option<&mut Field> {
        self.fields.get_mut(self.at)
    }

    /// The values as they are typed, without surrounding space; empty ones are left out.
    pub fn inputs(&self) -> BTreeMap<String, String> {
        let filled = self.fields.iter().map(|field| (field.info.name.clone(), field.input.value().trim().to_owned()));
        filled.filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The first field that must be filled and is not.
    pub fn missing(&self) -> Option<usize> {
        self.fields.iter().position(|field| field.info.required && field.input.value().trim().is_empty())
    }

    /// The TidbCluster that a DNS domain is for, where it is named in full: the one that is made, else the one that the form
    /// is about.
    pub fn place(&self) -> Option<ObjectRef> {
        let named = |kind: InputKind| self.fields.iter().find(|field| field.info.kind == kind);
        let field = named(InputKind::NewTidbCluster).or_else(|| named(InputKind::TidbCluster))?;
        ObjectRef::parse(field.input.value().trim()).ok()
    }
}

impl Field {
    /// Puts a value in for the person; never over what the person typed or erased.
    pub fn fill(&mut self, value: String, by: FilledBy) {
        if !self.touched {
            self.filled = (!value.is_empty()).then_some(by);
            self.input = Input::new(value);
        }
    }

    /// Who filled in what stands there, while that is so.
    pub fn filled(&self) -> Option<FilledBy> {
        self.filled
    }

    /// A key that edits. What was filled in behaves as if it were selected: a letter takes its place, erasing empties the
    /// field, and the arrows take it as text of one's own.
    pub fn edit(&mut self, event: &TerminalEvent) {
        let TerminalEvent::Key(key) = event else { return };
        if self.filled.take().is_some() {
            match key.code {
                KeyCode::Char(_) if !key.modifiers.contains(KeyModifiers::CONTROL) => self.input = Input::default(),
                KeyCode::Backspace | KeyCode::Delete => self.input = Input::default(),
                _ => {}
            }
        }
        self.touched = true;
        self.stem = None;
        edit(&mut self.input, event);
    }

    /// Whether a value may be put in for the person.
    pub fn takes(&self, value: &str) -> bool {
        match &self.info.kind {
            InputKind::Choice(options) => options.iter().any(|option| option == value),
            _ => true,
        }
    }

    /// The text by which suggestions are filtered.
    pub fn stem(&self) -> &str {
        self.stem.as_deref().unwrap_or(self.input.value())
    }

    /// Puts the next (or previous) suggestion into the field.
    pub fn cycle(&mut self, suggestions: &[String], forward: bool) {
        if suggestions.is_empty() {
            return;
        }
        let stem = self.stem().to_owned();
        let last = suggestions.len() - 1;
        let at = suggestions.iter().position(|one| one == self.input.value());
        let next = match (at, forward) {
            (None, true) => 0,
            (None, false) => last,
            (Some(at), true) => {
                if at == last {
                    0
                } else {
                    at + 1
                }
            }
            (Some(at), false) => at.checked_sub(1).unwrap_or(last),
        };
        self.input = Input::new(suggestions[next].clone());
        (self.stem, self.filled, self.touched) = (Some(stem), None, true);
    }
}

impl App {
    /// Fills in the domain that the place's cluster serves, where leaving it out is known to be wrong: connected clusters
    /// serve different ones. Not while the place itself is being typed, and never over what a person typed or erased.
    pub(super) fn propose_domain(&mut self) {
        let Some(form) = &mut self.form else { return };
        let at_place = form
            .field()
            .is_some_and(|field| matches!(field.info.kind, InputKind::TidbCluster | InputKind::NewTidbCluster));
        if at_place {
            return;
        }
        let cluster = form.place().and_then(|of| self.fleet.clusters.get(&of.context));
        let domain = cluster.and_then(|cluster| {
            let mut others = self.fleet.clusters.values().filter(|other| other.context != cluster.context);
            let differ = others.any(|other| cluster.dns.like(&other.dns) == Likeness::Differ);
            cluster.cluster_domain().filter(|_| differ)
        });
        for field in form.fields.iter_mut().filter(|field| field.info.propose) {
            // What was proposed for another place goes with it.
            if field.filled.is_none_or(|by| by == FilledBy::Fleet) && field.input.value() != domain.unwrap_or_default()
            {
                field.fill(domain.unwrap_or_default().to_owned(), FilledBy::Fleet);
            }
        }
    }

    /// The pods that a form may mean: of the component that it names, else PD's, in the whole Database of its TidbCluster.
    fn pods_for(&self, form: &Form) -> Vec<String> {
        let component = form.fields.iter().find(|field| field.info.name == "component");
        let component = component.map_or("pd", |field| field.input.value().trim());
        let place = form.place();
        let database =
            self.databases().iter().find(|all| place.as_ref().is_some_and(|of| all.tidb_clusters.contains(of)));
        let mut names: Vec<String> = Vec::new();
        for (context, cluster) in &self.fleet.clusters {
            let own = cluster.pods.values().filter(|pod| pod.component() == Some(component)).filter(|pod| {
                let of = ObjectRef::new(context, &pod.metadata.namespace, pod.instance().unwrap_or_default());
                database.is_some_and(|all| all.tidb_clusters.contains(&of))
            });
            names.extend(own.map(|pod| pod.metadata.name.clone()));
        }
        names.sort();
        names.dedup();
        names
    }

    /// What is wrong with a value as it stands, in words; `None` too while it may still become one. The plan judges it in earnest.
    pub fn wrong(&self, form: &Form, field: &Field) -> Option<String> {
        let value = field.input.value().trim();
        let at_it = form.field().is_some_and(|focus| focus.info.name == field.info.name);
        let known = self.known_values(form, field);
        if value.is_empty() || known.iter().any(|one| one == value || (at_it && one.starts_with(value))) {
            return None;
        }
        let contexts = || self.fleet.clusters.keys().cloned().collect::<Vec<_>>().join(", ");
        let strange = |context: &str| !self.fleet.clusters.contains_key(context);
        match &field.info.kind {
            InputKind::TidbCluster | InputKind::NewTidbCluster => {
                let new = field.info.kind == InputKind::NewTidbCluster;
                match ObjectRef::parse(value) {
                    Err(_) if new && at_it => None,
                    Err(_) => Some("it is written CONTEXT/NAMESPACE/NAME".to_owned()),
                    Ok(of) if strange(&of.context) => {
                        Some(format!("no context is called {:?}; there are {}", of.context, contexts()))
                    }
                    Ok(of) if new => self.fleet.tidb_cluster(&of).map(|_| format!("{of} is there already")),
                    Ok(of) => Some(format!("no TidbCluster {}/{} is seen in {}", of.namespace, of.name, of.context)),
                }
            }
            InputKind::KubeContext => {
                strange(value).then(|| format!("no context is called {value:?}; there are {}", contexts()))
            }
            InputKind::Integer => value.parse::<i64>().is_err().then(|| "it is a whole number".to_owned()),
            InputKind::Choice(options) => Some(format!("it is one of {}", options.join(", "))),
            InputKind::DnsDomain => {
                let place = form.place()?;
                (!known.is_empty()).then(|| format!("{} is known to serve {}", place.context, known.join(", ")))
            }
            InputKind::Version => {
                let digit = value.starts_with(|first: char| first.is_ascii_digit());
                digit.then(|| format!("versions are written with a v: v{value}"))
            }
            InputKind::Text if field.info.name == "pod" && !known.is_empty() => {
                Some(format!("no such pod is seen; there are {}", known.join(", ")))
            }
            InputKind::Text => None,
        }
    }

    /// What the fleet suggests for the field in focus.
    pub fn suggestions(&self) -> Vec<String> {
        let Some((form, field)) = self.form.as_ref().and_then(|form| Some((form, form.field()?))) else {
            return Vec::new();
        };
        let all = self.known_values(form, field);
        let stem = field.stem().to_lowercase();
        let mut fitting: Vec<String> = all.iter().filter(|one| one.to_lowercase().contains(&stem)).cloned().collect();
        // A value already taken whole offers the others, not only itself.
        if fitting.len() == 1 && fitting[0] == field.stem() {
            fitting = all;
        }
        fitting
    }

    /// The values for a field that are seen in the fleet, or that there are at all.
    fn known_values(&self, form: &Form, field: &Field) -> Vec<String> {
        match &field.info.kind {
            InputKind::TidbCluster => self.fleet.tidb_clusters().map(|(of, _)| of.to_string()).collect(),
            InputKind::DnsDomain => {
                let place = form.place();
                let clusters = self.fleet.clusters.values();
                let fitting = clusters.filter(|c| place.as_ref().is_none_or(|of| of.context == c.context));
                let mut domains: Vec<String> = fitting.flat_map(|c| c.dns.domains.iter().cloned()).collect();
                domains.sort();
                domains.dedup();
                domains
            }
            InputKind::NewTidbCluster => {
                // A namespace that has TidbClusters is likelier than one that has none.
                let known = self.fleet.tidb_clusters().map(|(of, _)| format!("{}/{}/", of.context, of.namespace));
                let mut places: Vec<String> =
                    known.chain(self.fleet.clusters.keys().map(|context| format!("{context}/"))).collect();
                places.sort();
                places.dedup();
                places
            }
            InputKind::KubeContext => self.fleet.clusters.keys().cloned().collect(),
            InputKind::Version => {
                let running = self.fleet.tidb_clusters().filter_map(|(_, tc)| tc.spec.version.clone());
                let mut versions: Vec<String> = running.collect();
                versions.sort();
                versions.dedup();
                versions
            }
            InputKind::Choice(options) => options.clone(),
            InputKind::Text if field.info.name == "pod" => self.pods_for(form),
            InputKind::Integer | InputKind::Text => Vec::new(),
        }
    }
}
