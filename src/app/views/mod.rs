//! The table of views: what each is called, what it lists, which keys do something in it.
//!
//! A view is one file here (its rows) and, where a table is not enough, one in `console` (its drawing); this file and
//! `console/views.rs` name them. Palette, title, help, filter, sorting and the tests that go through every view read this table.
//! Not here: how a table is drawn (`console::table`).

mod approvals;
pub mod certificates;
mod changes;
mod clusters;
mod databases;
mod events;
pub mod findings;
pub mod members;
mod messages;
mod namespaces;
mod overview;
mod pods;
mod port_forwards;
mod regions;
mod runbooks;
mod runs;
mod stores;
mod table_model;
mod tidb_clusters;

use super::App;
use super::keymap::Scope;
use crate::fleet::ObjectRef;
use crate::fleet::logs_and_events::{LogOf, Thing};
use crate::fleet::pd::MemberId;

pub use table_model::{
    Cell, Column, Item, Mark, Note, Part, Problem, Row, Tone, column, grouped, middle, number, sentence, state,
};

/// What fills the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    Overview,
    Databases,
    Clusters,
    Namespaces,
    Members,
    Stores,
    /// How many regions lack something.
    Regions,
    TidbClusters,
    /// Who wrote which spec, and when.
    Changes,
    Findings,
    Certificates,
    Runbooks,
    Form,
    Plan,
    Run,
    Runs,
    Approvals,
    /// What the run of [`App::approving`] waits with.
    Approval,
    Detail(Subject),
    Pods,
    Logs {
        of: Vec<LogOf>,
        previous: bool,
    },
    /// `None`: of everything.
    Events(Option<Thing>),
    /// What this program said.
    Log,
    /// Ports on this machine that lead into pods.
    Forwards,
    Yaml(Thing),
    Compare(Thing, Thing),
}

/// The one thing that a detail view is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Pod(ObjectRef),
    Cluster(String),
    TidbCluster(ObjectRef),
    Member(MemberId),
    Store(u64),
    Sentence(String),
    /// By the key of its row.
    Finding(String),
    /// Its row key.
    Certificate(String),
    /// Its id.
    Run(String),
}

/// What is known of a view apart from what is in it.
#[derive(Debug)]
pub struct ViewSpec {
    /// The name on the screen.
    pub title: &'static str,
    /// Its words in the palette, the first is the one that is shown; none: it is reached in another way.
    pub names: &'static [&'static str],
    /// What it shows, for the palette and the help.
    pub about: &'static str,
    /// The part of the keymap that is in force.
    pub scope: Scope,
    /// The columns of its table; none: it is drawn by a file of its own.
    pub columns: &'static [Column],
    /// What it lists, before filter, order and faults-only.
    pub rows: fn(&App) -> Vec<Row>,
    /// What is said where there is no row and nothing is hidden.
    pub empty: &'static str,
    /// Whether "faults only" leaves rows of it out.
    pub faults: bool,
    /// What `c` and other keys do here that is not what they do everywhere; the help tells it.
    pub help: &'static str,
}

/// A view without a list; the others are made from it.
pub(super) const PAGE: ViewSpec = ViewSpec {
    title: "",
    names: &[],
    about: "",
    scope: Scope::Text,
    columns: &[],
    rows: |_| Vec::new(),
    empty: "",
    faults: false,
    help: "",
};

/// A list; the others are made from it.
pub(super) const LIST: ViewSpec = ViewSpec { scope: Scope::List, faults: true, ..PAGE };

const FORM: ViewSpec = ViewSpec { title: "inputs", scope: Scope::Form, ..PAGE };
const PLAN: ViewSpec = ViewSpec { title: "plan", scope: Scope::Plan, ..PAGE };
const RUN: ViewSpec =
    ViewSpec { title: "run", names: &["progress"], about: "the run under way", scope: Scope::Run, ..PAGE };
const APPROVAL: ViewSpec = ViewSpec { title: "approval", scope: Scope::Approval, ..PAGE };
const DETAIL: ViewSpec = ViewSpec { title: "detail", ..PAGE };
const LOGS: ViewSpec = ViewSpec { title: "logs", scope: Scope::Logs, ..PAGE };
const YAML: ViewSpec = ViewSpec { title: "YAML", ..PAGE };
const COMPARE: ViewSpec = ViewSpec { title: "difference", ..PAGE };

impl View {
    /// Every view that needs no argument, in the order of the palette.
    pub const ALL: [View; 22] = [
        View::Overview,
        View::Databases,
        View::Clusters,
        View::Namespaces,
        View::Members,
        View::Stores,
        View::Pods,
        View::TidbClusters,
        View::Events(None),
        View::Changes,
        View::Findings,
        View::Certificates,
        View::Runbooks,
        View::Runs,
        View::Approvals,
        View::Forwards,
        View::Regions,
        View::Log,
        View::Run,
        View::Form,
        View::Plan,
        View::Approval,
    ];

    pub fn spec(&self) -> &'static ViewSpec {
        match self {
            View::Overview => &overview::SPEC,
            View::Databases => &databases::SPEC,
            View::Clusters => &clusters::SPEC,
            View::Namespaces => &namespaces::SPEC,
            View::Members => &members::SPEC,
            View::Stores => &stores::SPEC,
            View::Regions => &regions::SPEC,
            View::TidbClusters => &tidb_clusters::SPEC,
            View::Changes => &changes::SPEC,
            View::Findings => &findings::SPEC,
            View::Certificates => &certificates::SPEC,
            View::Runbooks => &runbooks::SPEC,
            View::Runs => &runs::SPEC,
            View::Approvals => &approvals::SPEC,
            View::Form => &FORM,
            View::Plan => &PLAN,
            View::Run => &RUN,
            View::Approval => &APPROVAL,
            View::Detail(_) => &DETAIL,
            View::Pods => &pods::SPEC,
            View::Logs { .. } => &LOGS,
            View::Events(_) => &events::SPEC,
            View::Log => &messages::SPEC,
            View::Forwards => &port_forwards::SPEC,
            View::Yaml(_) => &YAML,
            View::Compare(..) => &COMPARE,
        }
    }

    pub fn title(&self) -> &'static str {
        self.spec().title
    }

    /// Something unfinished stands in it: the palette goes on from there, and esc comes back to it.
    pub fn is_work(&self) -> bool {
        matches!(self, View::Form | View::Plan | View::Run | View::Approval)
    }
}
