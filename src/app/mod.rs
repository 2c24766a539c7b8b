//! The core: messages in, effects out, and the driver which carries the effects out.
//!
//! [`App`] is plain data: what is known, where the person is, which dialog is open. [`App::update`] is the only
//! thing that moves it, and it has no clock and no I/O. Not here: drawing (`console`), acting (`driver`).
//!
//! Neighbours: [`message`] (what goes in and out), [`keymap`] (what keys mean), [`visible_rows`] and [`overview_matrix`] (what a view
//! lists, for the cursor and for drawing alike), [`form`], [`palette`] and [`run_view`] (state of single screens).

pub mod approval_request;
pub mod approvals;
mod change_highlight;
pub mod change_history;
pub mod clipboard_items;
mod cluster_focus;
mod command_dispatch;
mod confirmation;
pub mod connection_stats;
pub mod console_docs;
mod current_database;
mod demo_hint;
mod derived_cache;
pub mod driver;
pub mod exit_codes;
pub mod filter;
pub mod form;
pub mod form_preview;
pub mod help;
mod key_names;
pub mod keymap;
pub mod kubectl_k9s_aliases;
mod leader_change_grace;
mod log_container;
pub mod logs_and_events;
pub mod message;
mod mouse;
pub mod namespace_filter;
mod navigation;
mod overrule;
pub mod overview_matrix;
pub mod palette;
pub mod palette_run_command;
pub mod port_forwards;
mod problem_counts;
mod prompt;
pub mod region_counts_refresh;
mod restart_impact;
pub mod run_choices;
pub mod run_journal_loading;
pub mod run_view;
pub mod runbook_suggestions;
mod runs_refresh;
mod screen;
pub mod search;
pub mod selected_object;
mod shells;
pub mod sorting;
pub mod start_blockers;
pub mod status_level;
mod store_drain_eta;
pub mod suspension;
mod update;
pub mod url_display;
pub mod views;
pub mod visible_rows;
pub mod whole_run;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;

use jiff::Timestamp;

use crate::fleet::certificate_list::Certificate;
use crate::fleet::connection_health::Weather;
use crate::fleet::database::Database;
use crate::fleet::database::incremental_rebuild::KeptDatabases;
use crate::fleet::{self, Fleet, KubeCluster, ObjectRef};
use crate::hazards::Checked;
use crate::runbook::plan::Plan;
use crate::runbook::run::open_run_status::Standing;
use approvals::Approving;
use form::Form;
use keymap::Scope;
use message::RunbookInfo;
use run_view::RunView;
use runbook_suggestions::Known;
use status_level::Level;
use visible_rows::Kept;

pub use clipboard_items::Copyable;
pub use restart_impact::Restart;
pub use screen::{Dialog, Flash, Screen, Told};
pub use views::{Subject, View};

/// What the command line decided for the whole session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppOptions {
    /// The transport refuses writes; the console says so and does not offer them.
    pub read_only: bool,
    /// The fleet is the embedded one.
    pub simulated: bool,
    /// Nothing but ASCII on the screen.
    pub ascii: bool,
    /// `false` under `NO_COLOR`: modifiers and glyphs only.
    pub color: bool,
    /// The terminal tells of the mouse; its own selection then takes shift.
    pub mouse: bool,
    /// The time stands in the header, and moves once a minute.
    pub clock: bool,
}

/// The whole state of the console.
#[derive(Debug)]
pub struct App {
    pub options: AppOptions,
    /// Time of the last message: ages on the screen are counted from it.
    pub now: Timestamp,
    pub fleet: Fleet,
    /// Computed when asked for after the fleet has changed.
    databases: OnceLock<Vec<Database>>,
    /// Those of before the last change.
    former: RefCell<KeptDatabases>,
    checked: OnceLock<Checked>,
    /// Of the Database on the screen alone.
    checked_here: OnceLock<Checked>,
    /// How each connection fares, by context, and what was asked in this session.
    pub weather: BTreeMap<String, Weather>,
    pub requests: connection_stats::Requests,
    /// What is wrong with KubeClusters as such.
    around: OnceLock<Vec<fleet::problem::Problem>>,
    certificates: OnceLock<Vec<Certificate>>,
    /// Of the Database on the screen.
    versions: OnceLock<Vec<String>>,
    /// When a closer look was last asked for: what findings need beyond what is watched.
    looked_closer: Option<Timestamp>,
    /// Any TidbCluster of the Database on the screen; `None`: the first Database.
    chosen: Option<ObjectRef>,
    /// What was chosen before a plan or a run about another one came in front.
    aside: Option<Option<ObjectRef>>,
    /// Only this context is shown.
    pub focus: Option<String>,
    /// Only this namespace is shown, in every cluster.
    pub namespace: Option<String>,
    pub faults_only: bool,
    screens: Vec<Screen>,
    /// What was in front before the palette led here.
    before: Option<View>,
    pub dialog: Option<Dialog>,
    /// What the question whether to leave lies over.
    beneath: Option<Dialog>,
    pub flash: Option<Flash>,
    pub runbooks: Vec<RunbookInfo>,
    /// Those that cannot be used: why.
    pub broken_runbooks: BTreeMap<String, String>,
    pub runs: Vec<Standing>,
    looks: runs_refresh::RunLooks,
    /// When PD was last asked to count regions.
    counting: Option<region_counts_refresh::Counting>,
    /// The journal of the run whose page is in front.
    reading: run_journal_loading::Reading,
    pub form: Option<Form>,
    foreseen: form_preview::Foreseen,
    /// A plan was asked for and has not come.
    pub planning: bool,
    pub plan: Option<Box<Plan>>,
    pub run: Option<RunView>,
    pub approving: Option<Approving>,
    pub closeup: logs_and_events::Closeup,
    /// Ports on this machine that lead into pods.
    pub forwards: Vec<port_forwards::Forward>,
    next_forward: u64,
    /// The run of the list for which a choice is asked, where it is not the one that is shown.
    picked: Option<String>,
    pub history: Vec<String>,
    /// Columns and lines of the terminal, for the length of a page.
    size: (u16, u16),
    pause_asked: bool,
    /// The console ends once the run has paused.
    leaves: bool,
    dirty: bool,
    /// Beside the table what is under the cursor, or not; `None`: as the width has it.
    pub inspector: Option<bool>,
    /// What was under the cursor when runbooks were asked for.
    hint: Known,
    /// The gate that the start of the run has answered already.
    answered: Option<String>,
    /// Columns that have room only in a wide terminal are shown whatever it costs the others.
    pub wide: bool,
    /// A word made the session read-only, for the rest of it.
    sealed: bool,
    /// Counts what came in, and what of it was of the fleet: what was computed before is good until then.
    change: u64,
    fleet_change: u64,
    kept: RefCell<Kept>,
    changes: RefCell<change_highlight::Changes>,
    /// What this session saw change.
    pub edited: change_history::History,
    pub told: VecDeque<Told>,
    /// Stores that PD empties, and what was seen of it.
    leaving: store_drain_eta::Leaving,
    leads: leader_change_grace::Leads,
    /// A key was pressed in this session: whoever sits here has begun.
    begun: bool,
    /// The minute that the clock showed last.
    minute: Option<i64>,
}

impl App {
    #[expect(clippy::too_many_lines, reason = "one line for each field")]
    pub fn new(options: AppOptions) -> Self {
        Self {
            options,
            now: Timestamp::UNIX_EPOCH,
            fleet: Fleet::default(),
            databases: OnceLock::new(),
            former: RefCell::default(),
            checked: OnceLock::new(),
            checked_here: OnceLock::new(),
            weather: BTreeMap::new(),
            requests: connection_stats::Requests::default(),
            around: OnceLock::new(),
            certificates: OnceLock::new(),
            versions: OnceLock::new(),
            looked_closer: None,
            chosen: None,
            aside: None,
            focus: None,
            namespace: None,
            faults_only: false,
            screens: vec![Screen::new(View::Overview)],
            before: None,
            dialog: None,
            beneath: None,
            flash: None,
            runbooks: Vec::new(),
            broken_runbooks: BTreeMap::new(),
            runs: Vec::new(),
            looks: runs_refresh::RunLooks::default(),
            counting: None,
            reading: run_journal_loading::Reading::default(),
            form: None,
            foreseen: form_preview::Foreseen::default(),
            planning: false,
            plan: None,
            run: None,
            approving: None,
            closeup: logs_and_events::Closeup::default(),
            forwards: Vec::new(),
            next_forward: 1,
            picked: None,
            history: Vec::new(),
            size: (80, 24),
            pause_asked: false,
            leaves: false,
            dirty: true,
            inspector: None,
            hint: Known::default(),
            answered: None,
            wide: false,
            sealed: false,
            change: 0,
            fleet_change: 0,
            kept: RefCell::default(),
            changes: RefCell::default(),
            edited: change_history::History::default(),
            told: VecDeque::new(),
            leaving: store_drain_eta::Leaving::default(),
            leads: leader_change_grace::Leads::default(),
            begun: false,
            minute: None,
        }
    }

    /// The view in front.
    pub fn screen(&self) -> &Screen {
        self.screens.last().expect("the stack begins with one screen and never loses it")
    }

    fn screen_mut(&mut self) -> &mut Screen {
        self.screens.last_mut().expect("the stack begins with one screen and never loses it")
    }

    pub fn view(&self) -> &View {
        &self.screen().view
    }

    /// The views from the first to the one in front.
    pub fn path(&self) -> impl Iterator<Item = &View> {
        self.screens.iter().map(|screen| &screen.view)
    }

    /// The cluster that a digit key stands for.
    pub fn cluster_at(&self, index: usize) -> Option<&KubeCluster> {
        self.fleet.clusters.values().nth(index)
    }

    /// Whether something of this context may be shown under the present focus.
    pub fn in_focus(&self, context: Option<&str>) -> bool {
        self.focus.is_none() || self.focus.as_deref() == context
    }

    /// Goes back to a view that is in the stack, or puts it in front.
    pub fn go(&mut self, view: View) {
        match self.screens.iter().position(|screen| screen.view == view) {
            Some(at) => self.screens.truncate(at + 1),
            None => self.screens.push(Screen::new(view)),
        }
        // Esc walks the stack; a loop through many details must not make it endless.
        if self.screens.len() > 16 {
            self.screens.remove(1);
        }
    }

    /// Shows a view in the place of the one in front: esc leads home in one step. What is unfinished (inputs, a plan, a run)
    /// stays behind it.
    pub fn switch(&mut self, view: View) {
        if *self.view() != view {
            self.before = Some(self.view().clone());
        }
        let home = self.screens.iter().rposition(|screen| screen.view.is_work()).unwrap_or(0);
        if let Some(at) = self.screens[..=home].iter().position(|screen| screen.view == view) {
            self.screens.truncate(at + 1);
            return;
        }
        // A view that is left and taken up again keeps its filter, order and cursor.
        let kept = self.screens.iter().position(|screen| screen.view == view).map(|at| self.screens.remove(at));
        self.screens.truncate(home + 1);
        self.screens.push(kept.unwrap_or_else(|| Screen::new(view)));
    }

    /// Whether something on the screen may have changed since the last call.
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    pub fn say(&mut self, level: Level, text: impl Into<String>) {
        let until = self.now.checked_add(jiff::SignedDuration::from_secs(6)).ok();
        let text = text.into();
        self.tell(level, "said", text.clone());
        self.flash = Some(Flash { level, text, until });
    }

    /// Keeps a sentence for the view `log`.
    fn tell(&mut self, level: Level, about: &'static str, sentence: String) {
        self.told.push_back(Told { at: self.now, level, about, sentence });
        if self.told.len() > screen::TOLD {
            self.told.pop_front();
        }
    }

    /// Whether the configuration makes this context read-only.
    pub fn is_read_only(&self, context: &str) -> bool {
        self.options.read_only
            || self.fleet.clusters.get(context).is_some_and(|cluster| cluster.read_only)
            || self.fleet.read_only_as(context).is_some()
    }

    /// Which part of the keymap is in force.
    pub fn scope(&self) -> Scope {
        match &self.dialog {
            Some(Dialog::Help { .. }) => Scope::Help,
            Some(Dialog::Palette { .. }) => Scope::Palette,
            Some(Dialog::Filter { .. }) => Scope::Filter,
            Some(Dialog::Ask { .. }) => Scope::Ask,
            Some(Dialog::Typed { .. } | Dialog::Reason { .. } | Dialog::Overrule { .. } | Dialog::Port { .. }) => {
                Scope::Typed
            }
            Some(Dialog::Choices { .. } | Dialog::Copy { .. } | Dialog::Pick { .. }) => Scope::Choices,
            None => self.view_scope(),
        }
    }

    /// The scope of the view in front, whatever lies over it.
    pub fn view_scope(&self) -> Scope {
        self.view().spec().scope
    }
}
