//! What each command does to the state: one place where a command of the keymap finds what it does.
//!
//! Neighbours: `moving` (the cursor and the view), `consent` (questions, answers, and the only way by which a write leaves).

use tui_input::Input;

use super::keymap::{Command, Scope};
use super::message::Effect;
use super::search::Seek;
use super::status_level::Level;
use super::visible_rows::Item;
use super::{App, Dialog, View};
use crate::fleet::ObjectRef;
use crate::runbook::run::open_run_status::Standing;

impl App {
    /// One arm for each command, so that none is forgotten; what takes more than a few lines is a method. `at`: position of the
    /// key in its binding.
    #[expect(clippy::too_many_lines, reason = "one arm for each command, so that none is forgotten")]
    pub(super) fn perform(&mut self, command: Command, at: usize, effects: &mut Vec<Effect>) {
        if let Some(why) = self.idle(command) {
            return self.say(Level::Unknown, why);
        }
        match command {
            Command::Up
            | Command::Down
            | Command::PageUp
            | Command::PageDown
            | Command::HalfUp
            | Command::HalfDown
            | Command::Top
            | Command::Bottom => self.move_by(command),
            Command::Left => self.turn(false),
            Command::Right => self.turn(true),
            Command::Open => self.open(effects),
            Command::Back => self.back(),
            Command::Close => self.close(),
            Command::Last => self.last_view(),
            Command::Palette => self.dialog = Some(Dialog::Palette { input: Input::default(), stem: None }),
            Command::Filter => {
                let input = Input::new(self.screen().filter.clone());
                let selected = !input.value().is_empty();
                self.dialog = Some(Dialog::Filter { input, selected });
            }
            Command::NextMatch => self.seek(Seek::Next),
            Command::PreviousMatch => self.seek(Seek::Previous),
            Command::Help => self.dialog = Some(Dialog::Help { scroll: 0, of: self.view_scope() }),
            Command::Copy => self.dialog = Some(Dialog::Copy { at: 0, items: self.copyable() }),
            Command::Save => effects.push(Effect::Save),
            Command::Logs
            | Command::PreviousLogs
            | Command::Events
            | Command::Yaml
            | Command::Describe
            | Command::Diff => self.on_object(command, effects),
            Command::Forward => self.ask_forward(),
            Command::Shell => self.choose_shell(),
            Command::EndForward => self.end_forward(effects),
            Command::Container => self.choose_container(),
            Command::Follow => {
                self.closeup.follow = !self.closeup.follow;
                if self.closeup.follow {
                    self.screen_mut().scroll = 0;
                }
            }
            Command::Wrap => self.closeup.wrap = !self.closeup.wrap,
            Command::Timestamps => self.closeup.timestamps = !self.closeup.timestamps,
            Command::Mark => self.mark(),
            Command::ClearMarks => self.screen_mut().marks.clear(),
            Command::Sort => self.choose_order(),
            Command::ReverseSort => self.reverse_sort(),
            Command::Inspector => self.toggle_inspector(),
            Command::Wide => {
                self.wide = !self.wide;
                self.say(Level::Done, if self.wide { "every column" } else { "the columns that fit well" });
            }
            Command::Runs => {
                self.ask_for_runs(effects);
                self.go(View::Runs);
            }
            Command::Refresh => {
                self.forget_reading();
                self.refresh(effects);
            }
            Command::FaultsOnly if self.view_scope() == Scope::Logs => {
                self.closeup.grave_only = !self.closeup.grave_only;
                self.screen_mut().scroll = 0;
            }
            Command::FaultsOnly => {
                self.faults_only = !self.faults_only;
                self.say(Level::Done, if self.faults_only { "showing faults only" } else { "showing everything" });
            }
            Command::AllClusters => (self.focus, self.namespace) = (None, None),
            Command::Focus => match self.cluster_at(at).map(|cluster| cluster.context.clone()) {
                Some(context) => self.focus_on(context),
                None => self.say(Level::Unknown, format!("there is no cluster {}", at + 1)),
            },
            Command::PreviousDatabase => self.turn_database(false),
            Command::NextDatabase => self.turn_database(true),
            Command::Runbooks => {
                self.take_hint();
                self.go(View::Runbooks);
            }
            Command::Fold | Command::Request => {
                let screen = self.screen_mut();
                (screen.unfolded, screen.scroll) = (!screen.unfolded, 0);
            }
            Command::Findings => self.go(View::Findings),
            Command::Certificates => self.go(View::Certificates),
            Command::Approvals => {
                self.ask_for_runs(effects);
                self.go(View::Approvals);
            }
            Command::Approve => self.ask_approval(),
            Command::Interrupt => self.interrupt(effects),
            Command::Start => self.ask_start(),
            Command::Overrule => self.ask_overrule(),
            Command::AnswerGate => match self.run.as_ref().and_then(|run| run.gate.clone()) {
                Some(gate) => self.ask_gate(&gate),
                None => self.ask_choice(),
            },
            Command::PauseRun => self.pause(effects),
            Command::Accept => self.accept(effects),
            Command::Cancel => self.cancel(),
            Command::Yes => self.yes(effects),
            Command::No => self.no(effects),
            Command::Switch => {
                if let Some(Dialog::Ask { go, .. }) = &mut self.dialog {
                    *go = !*go;
                }
            }
            Command::Complete => self.complete(true),
            Command::CompleteBack => self.complete(false),
        }
    }

    fn refresh(&mut self, effects: &mut Vec<Effect>) {
        effects.push(Effect::Refresh);
        if matches!(self.view(), View::Findings | View::Certificates) {
            self.looked_closer = None;
        }
        self.counting = None;
        match (self.view(), &self.approving) {
            (View::Runs | View::Approvals, _) => self.ask_for_runs(effects),
            (View::Approval, Some(approving)) => {
                let run = approving.run.clone();
                self.look_at_approval(&run, effects);
            }
            _ => {}
        }
        self.say(Level::Done, "asking every cluster again");
    }

    fn toggle_inspector(&mut self) {
        let shown = self.inspector.unwrap_or(self.size.0 >= 140);
        self.inspector = Some(!shown);
        if !shown && self.size.0 < 100 {
            self.say(Level::Unknown, "there is room beside the table from 100 columns on; enter opens the page");
        }
    }

    fn open(&mut self, effects: &mut Vec<Effect>) {
        match self.view() {
            View::Detail(super::Subject::Finding(_)) => return self.open_object(),
            View::Detail(super::Subject::Run(id)) => {
                let run = self.runs.iter().find(|run| run.run == *id).cloned();
                return match run {
                    Some(run) => self.ask_resume(run),
                    None => self.say(Level::Unknown, "it is not listed any more"),
                };
            }
            _ => {}
        }
        let Some(row) = self.row() else { return };
        match &row.item {
            Item::Database(index) => {
                self.choose_database(*index);
                self.go(View::Overview);
            }
            Item::Namespace(namespace) => self.open_namespace(namespace.clone()),
            Item::Runbook { index, pod } => self.open_form(*index, *pod),
            Item::Run(index) => {
                if let Some(run) = self.runs.get(*index).cloned() {
                    if *self.view() == View::Approvals {
                        self.look_at_approval(&run.run, effects);
                    } else {
                        self.open_run(run);
                    }
                }
            }
            _ => {
                if let Some(subject) = self.subject(&row) {
                    self.go(View::Detail(subject));
                }
            }
        }
    }

    /// Shows a run: the one of this console as it goes on, another one as it stands; nothing is asked yet.
    pub(super) fn open_run(&mut self, run: Standing) {
        let current = self.run.as_ref().is_some_and(|shown| shown.id() == run.run && (shown.driving || !run.open));
        self.go(if current { View::Run } else { View::Detail(super::Subject::Run(run.run)) });
    }

    /// `pod`: whether it is to be about the pod under the cursor alone; `None`: as the runbook asks.
    pub(super) fn open_form(&mut self, index: usize, pod: Option<bool>) {
        let Some(runbook) = self.runbooks.get(index).cloned() else { return };
        let target = self.pointed_at();
        self.form = Some(self.filled_form(runbook, target.as_ref(), pod));
        self.go(View::Form);
    }

    /// The TidbCluster that the views behind point at: a form begins with it.
    fn pointed_at(&self) -> Option<ObjectRef> {
        self.screens.iter().rev().find_map(|screen| match &screen.view {
            View::TidbClusters => ObjectRef::parse(screen.key.as_deref()?).ok(),
            View::Detail(super::Subject::TidbCluster(of)) => Some(of.clone()),
            _ => None,
        })
    }
}
