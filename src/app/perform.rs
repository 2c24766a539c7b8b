//! What each command does to the state. Writes leave from here only as effects, and only after a question was
//! answered on a button or by typing; read-only refuses before the question is put.

use tui_input::Input;

use super::keymap::{Command, Scope};
use super::message::Effect;
use super::rows::{Item, Order};
use super::run_view::RunView;
use super::words::Level;
use super::{App, Dialog, View};
use crate::counted::counted;
use crate::fleet::ObjectRef;
use crate::runbook::plan::overrule::Accepted;
use crate::runbook::plan::{Confirm, Plan, PlannedStep};
use crate::runbook::run::standing::{Drives, Standing};
use crate::runbook::run::view::ResolutionOffer;

impl App {
    /// `at`: position of the key in its binding.
    pub(super) fn perform(&mut self, command: Command, at: usize, effects: &mut Vec<Effect>) {
        if let Some(why) = self.idle(command) {
            return self.say(Level::Unknown, why);
        }
        let page = usize::from(self.size.1.saturating_sub(6)).max(1);
        match command {
            Command::Up => self.up_or_down(-1),
            Command::Down => self.up_or_down(1),
            Command::PageUp => self.step(-signed(page)),
            Command::PageDown => self.step(signed(page)),
            Command::HalfUp => self.step(-signed(page / 2)),
            Command::HalfDown => self.step(signed(page / 2)),
            Command::Top if self.view_scope() == Scope::Plan && self.dialog.is_none() => self.choose_step(0),
            Command::Bottom if self.view_scope() == Scope::Plan && self.dialog.is_none() => {
                self.choose_step(usize::MAX)
            }
            Command::Top => self.step(isize::MIN / 2),
            Command::Bottom => self.step(isize::MAX / 2),
            Command::Left => self.turn(false),
            Command::Right => self.turn(true),
            Command::Open => self.open(effects),
            Command::Back => self.back(),
            Command::Close => self.close(),
            Command::Palette => self.dialog = Some(Dialog::Palette { input: Input::default(), stem: None }),
            Command::Filter => {
                let input = Input::new(self.screen().filter.clone());
                self.dialog = Some(Dialog::Filter { input });
            }
            Command::Help => self.dialog = Some(Dialog::Help { scroll: 0, of: self.view_scope() }),
            Command::Copy => self.dialog = Some(Dialog::Copy { at: 0, items: self.copyable() }),
            Command::Save => effects.push(Effect::Save),
            Command::Logs
            | Command::PreviousLogs
            | Command::Events
            | Command::Yaml
            | Command::Describe
            | Command::Diff => self.on_object(command, effects),
            Command::Forward => self.ask_forward(effects),
            Command::Shell => self.choose_shell(),
            Command::EndForward => self.end_forward(effects),
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
            Command::Sort => self.sort_by_next(),
            Command::ReverseSort => match &mut self.screen_mut().order {
                Some(order) => order.reversed = !order.reversed,
                None => self.say(Level::Unknown, "nothing is ordered yet: s orders by a column"),
            },
            Command::Inspector => {
                let shown = self.inspector.unwrap_or(self.size.0 >= 140);
                self.inspector = Some(!shown);
                if !shown && self.size.0 < 100 {
                    self.say(
                        Level::Unknown,
                        "there is room beside the table from 100 columns on; enter opens the page",
                    );
                }
            }
            Command::Wide => {
                self.wide = !self.wide;
                self.say(Level::Done, if self.wide { "every column" } else { "the columns that fit well" });
            }
            Command::Runs => {
                effects.push(Effect::ListRuns);
                self.go(View::Runs);
            }
            Command::Refresh => {
                effects.push(Effect::Refresh);
                if matches!(self.view(), View::Findings | View::Certificates) {
                    self.looked_closer = None;
                }
                match (self.view(), &self.approving) {
                    (View::Runs | View::Approvals, _) => effects.push(Effect::ListRuns),
                    (View::Approval, Some(approving)) => {
                        let run = approving.run.clone();
                        self.look_at_approval(&run, effects);
                    }
                    _ => {}
                }
                self.say(Level::Done, "asking every cluster again");
            }
            Command::FaultsOnly => {
                self.faults_only = !self.faults_only;
                self.say(Level::Done, if self.faults_only { "showing faults only" } else { "showing everything" });
            }
            Command::AllClusters => (self.focus, self.namespace) = (None, None),
            Command::Focus => match self.cluster_at(at).map(|cluster| cluster.context.clone()) {
                Some(context) => self.focus = Some(context),
                None => self.say(Level::Unknown, format!("there is no cluster {}", at + 1)),
            },
            Command::PreviousDatabase => self.turn_database(false),
            Command::NextDatabase => self.turn_database(true),
            Command::Runbooks => {
                self.take_hint();
                self.go(View::Runbooks);
            }
            Command::Findings => self.go(View::Findings),
            Command::Certificates => self.go(View::Certificates),
            Command::Approvals => {
                effects.push(Effect::ListRuns);
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

    fn up_or_down(&mut self, by: isize) {
        match self.scope() {
            Scope::Choices => {
                let (at, count) = match &mut self.dialog {
                    Some(Dialog::Choices { at, offers }) => (at, offers.len()),
                    Some(Dialog::Copy { at, items }) => (at, items.len()),
                    Some(Dialog::Pick { at, items, .. }) => (at, items.len()),
                    _ => return,
                };
                *at = at.saturating_add_signed(by).min(count.saturating_sub(1));
            }
            Scope::Palette => self.earlier(by < 0),
            Scope::Plan => self.choose_step(self.chosen_step().saturating_add_signed(by)),
            Scope::Form => {
                if let Some(form) = &mut self.form {
                    form.at = form.at.saturating_add_signed(by).min(form.fields.len().saturating_sub(1));
                }
            }
            _ => self.step(by),
        }
    }

    fn step(&mut self, by: isize) {
        if let Some(Dialog::Help { scroll, .. }) = &mut self.dialog {
            *scroll = scroll.saturating_add_signed(by);
            return;
        }
        match self.view_scope() {
            Scope::Matrix | Scope::List => {
                let rows = self.rows();
                let Some(at) = self.cursor(&rows) else { return };
                let at = at.saturating_add_signed(by).min(rows.len() - 1);
                let screen = self.screen_mut();
                screen.row = at;
                screen.key = Some(rows[at].key.clone());
            }
            // The journal of a run and logs are read from their end: scroll counts lines back from there.
            Scope::Run | Scope::Logs => {
                let screen = self.screen_mut();
                screen.scroll = screen.scroll.saturating_add_signed(by.saturating_neg());
                let at_end = screen.scroll == 0;
                self.closeup.follow = at_end;
            }
            _ => {
                let screen = self.screen_mut();
                screen.scroll = screen.scroll.saturating_add_signed(by);
            }
        }
    }

    /// What is chosen in the plan: 0 are its checks, then its steps.
    pub fn chosen_step(&self) -> usize {
        let steps = self.plan.as_ref().map_or(0, |plan| plan.steps.len());
        self.screen().row.min(steps)
    }

    pub(super) fn choose_step(&mut self, number: usize) {
        let steps = self.plan.as_ref().map_or(0, |plan| plan.steps.len());
        let screen = self.screen_mut();
        (screen.row, screen.scroll) = (number.min(steps), 0);
    }

    /// The step that a question is about: that of its gate, or the only one of a plan that is started.
    pub fn asked_step(&self) -> Option<&PlannedStep> {
        let Some(Dialog::Ask { effect, .. } | Dialog::Typed { effect, .. }) = &self.dialog else { return None };
        match &**effect {
            Effect::Answer { gate, .. } => {
                let run = self.run.as_ref()?;
                let open = run.gate.as_ref().filter(|open| open.id == *gate)?;
                run.plan.as_ref()?.steps.iter().find(|step| step.id == open.step)
            }
            Effect::Start(plan) => {
                self.only_gate(plan)?;
                self.plan.as_ref()?.steps.iter().find(|step| step.action.writes() && !step.already_so)
            }
            _ => None,
        }
    }

    /// Marks the row under the cursor, or takes its mark away, and goes on to the next.
    fn mark(&mut self) {
        let Some(row) = self.row() else { return };
        let marks = &mut self.screen_mut().marks;
        if !marks.remove(&row.key) {
            marks.insert(row.key);
        }
        self.step(1);
    }

    /// Orders by the next column, and after the last one as the view itself does.
    fn sort_by_next(&mut self) {
        let columns = self.view().spec().columns;
        if columns.is_empty() {
            self.say(Level::Unknown, "there is no column to order by here");
            return;
        }
        let next = self.screen().order.map_or(0, |order| order.column + 1);
        self.screen_mut().order = (next < columns.len()).then_some(Order { column: next, reversed: false });
        match columns.get(next) {
            Some(column) => self.say(Level::Done, format!("ordered by {}; o turns it round", column.title)),
            None => self.say(Level::Done, "in the order of the view"),
        }
    }

    fn turn(&mut self, forward: bool) {
        let columns = self.matrix().columns.len().max(1);
        let at = self.column(columns);
        self.screen_mut().column = if forward { (at + 1) % columns } else { (at + columns - 1) % columns };
    }

    fn turn_database(&mut self, forward: bool) {
        let count = self.databases().len();
        let Some(at) = self.database_index() else { return };
        let next = if forward { (at + 1) % count } else { (at + count - 1) % count };
        self.choose_database(next);
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
            Item::Runbook(index) => self.open_form(*index),
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
    fn open_run(&mut self, run: Standing) {
        let current = self.run.as_ref().is_some_and(|shown| shown.id() == run.run && (shown.driving || !run.open));
        self.go(if current { View::Run } else { View::Detail(super::Subject::Run(run.run)) });
    }

    pub(super) fn open_form(&mut self, index: usize) {
        let Some(runbook) = self.runbooks.get(index).cloned() else { return };
        let target = self.pointed_at();
        self.form = Some(self.filled_form(runbook, target.as_ref()));
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

    fn back(&mut self) {
        if !self.screen().filter.is_empty() {
            self.screen_mut().filter.clear();
        } else if self.faults_only && matches!(self.view_scope(), Scope::Matrix | Scope::List) {
            self.faults_only = false;
        } else if self.screens.len() > 1 {
            self.screens.pop();
        } else if self.focus.is_some() {
            self.focus = None;
        } else if self.namespace.is_some() {
            self.namespace = None;
        } else {
            self.say(Level::Done, "this is the first view; :q or ctrl-c quits");
        }
    }

    fn close(&mut self) {
        if self.screens.len() > 1 {
            self.screens.pop();
        } else {
            self.say(Level::Done, ":q or ctrl-c quits");
        }
    }

    pub(super) fn interrupt(&mut self, effects: &mut Vec<Effect>) {
        let driving = self.run.as_ref().is_some_and(|run| run.driving);
        if driving && !self.pause_asked {
            self.pause(effects);
        } else {
            effects.push(Effect::Quit);
        }
    }

    fn pause(&mut self, effects: &mut Vec<Effect>) {
        if self.run.as_ref().is_some_and(|run| run.driving) {
            self.pause_asked = true;
            effects.push(Effect::PauseRun);
            self.say(
                Level::Working,
                "pausing after what is under way is verified; ctrl-c quits now, and the run can be resumed",
            );
        } else {
            self.say(Level::Done, "no run is under way");
        }
    }

    fn ask_start(&mut self) {
        if let Some(why) = self.cannot_start() {
            self.say(Level::Bad, why);
            return;
        }
        let Some(plan) = self.plan.clone() else { return };
        let question = match plan.changes() {
            1 if self.only_gate(&plan).is_some() => {
                let step = plan.steps.iter().find(|step| step.action.writes()).map(|step| step.title.clone());
                format!("{} on {}: it is sent at once, and nothing else asks.", step.unwrap_or_default(), plan.target)
            }
            0 => format!("Every step on {} is already so: the run only looks and says so.", plan.target),
            n => format!("{} will be sent for {}. Gates on the way still ask.", counted(n, "change"), plan.target),
        };
        self.dialog = Some(Dialog::Ask {
            title: plan.title.clone(),
            question,
            yes: "Start".into(),
            go: false,
            effect: Box::new(Effect::Start(plan)),
        });
    }

    /// The gate of a plan with one change, where a plain yes answers it: the question before the start says the same, and
    /// once is enough.
    fn only_gate(&self, plan: &Plan) -> Option<String> {
        let mut changes = plan.steps.iter().filter(|step| step.action.writes() && !step.already_so);
        let (only, None) = (changes.next()?, changes.next()) else { return None };
        match &only.confirm {
            Confirm::Plain { gate } if only.approvers <= 1 && plan.changes() == 1 => Some(gate.clone()),
            _ => None,
        }
    }

    fn ask_resume(&mut self, run: Standing) {
        let current = self.run.as_ref().is_some_and(|shown| shown.id() == run.run);
        if current && (self.run.as_ref().is_some_and(|shown| shown.driving) || !run.open) {
            self.go(View::Run);
        } else if !run.open {
            self.say(Level::Done, format!("run {} is over: {}", run.run, run.state));
        } else if !run.here || run.drives == Drives::Here {
            // Nothing of it can be done from this console: its page has the command that takes it over.
            self.say(Level::Unknown, run.refusal());
        } else if self.options.read_only {
            self.say(Level::Bad, "read-only: this session cannot resume a run; leave out --read-only to arm it");
        } else if let Some(of) = ObjectRef::parse(&run.target).ok().filter(|of| self.is_read_only(&of.context)) {
            self.say(Level::Bad, format!("read-only: the configuration allows no writes to {}", of.context));
        } else if let Some(other) = self.run.as_ref().filter(|shown| shown.driving) {
            let text = format!("run {} is under way; one at a time", other.id());
            self.say(Level::Bad, text);
        } else if !run.offers.is_empty() {
            // To end it, or to put it back, must not take sending more of it first.
            let dead_end = run.dead_end.is_some();
            let goes_on = |offer: &ResolutionOffer| {
                !matches!(offer, ResolutionOffer::Retry | ResolutionOffer::ByHand { .. } | ResolutionOffer::Skip { .. })
            };
            let offers = run.offers.into_iter().filter(|offer| !dead_end || goes_on(offer)).collect();
            self.picked = Some(run.run);
            self.dialog = Some(Dialog::Choices { at: 0, offers });
        } else {
            self.dialog = Some(Dialog::Ask {
                title: format!("{} on {}", run.runbook, run.target),
                question: format!(
                    "Resume run {}? {} of {} completed; it first looks at what is so now.",
                    run.run,
                    run.completed,
                    counted(run.steps, "step")
                ),
                yes: "Resume".into(),
                go: false,
                effect: Box::new(Effect::Resume { run: run.run, wish: None }),
            });
        }
    }

    /// Enter in a prompt, a form or on a button.
    fn accept(&mut self, effects: &mut Vec<Effect>) {
        match self.dialog.take() {
            Some(Dialog::Filter { .. }) => {}
            Some(Dialog::Palette { input, .. }) => self.command_line(input.value(), effects),
            Some(Dialog::Ask { go: true, effect, .. }) => self.commit(*effect, effects),
            Some(Dialog::Ask { .. } | Dialog::Help { .. }) => {}
            Some(Dialog::Typed { effect, question, text, input, .. }) => {
                let unsent = self.run.as_ref().is_some_and(|run| !run.has_written());
                if let (Effect::Answer { gate, .. }, "no", true) = (&*effect, input.value().trim(), unsent) {
                    self.commit(Effect::Decline { gate: gate.clone() }, effects);
                } else if input.value() == text {
                    self.commit(*effect, effects);
                } else {
                    self.dialog = Some(Dialog::Typed { effect, question, text, input, wrong: true });
                }
            }
            Some(Dialog::Choices { at, offers }) => {
                if let Some(offer) = offers.get(at) {
                    self.choose(offer);
                }
            }
            // What became of it is said by whoever does it.
            Some(Dialog::Copy { at, items }) => {
                effects.extend(items.into_iter().nth(at).map(|item| Effect::Copy(item.text)));
            }
            Some(Dialog::Pick { at, items, .. }) => {
                if let Some(pick) = items.into_iter().nth(at) {
                    self.picked_one(pick.then, effects);
                }
            }
            Some(Dialog::Reason { offer, input, .. }) => self.reasoned(offer, input),
            Some(Dialog::Overrule { check, sentence, input, .. }) => self.overruled(check, sentence, input, effects),
            None => self.submit(effects),
        }
    }

    fn yes(&mut self, effects: &mut Vec<Effect>) {
        if let Some(Dialog::Ask { effect, .. }) = self.dialog.take() {
            self.commit(*effect, effects);
        }
    }

    /// An explicit no: at a gate before which nothing was sent it ends the run, elsewhere it is "not yet".
    fn no(&mut self, effects: &mut Vec<Effect>) {
        let Some(Dialog::Ask { effect, .. }) = self.dialog.take() else { return };
        if let Effect::Answer { gate, .. } = *effect
            && self.run.as_ref().is_some_and(|run| !run.has_written())
        {
            self.commit(Effect::Decline { gate }, effects);
        }
    }

    /// A question was answered with yes: the only way by which a write leaves.
    fn commit(&mut self, effect: Effect, effects: &mut Vec<Effect>) {
        if self.options.read_only {
            self.say(Level::Bad, "read-only: nothing was sent");
            return;
        }
        match &effect {
            Effect::Start(plan) => {
                self.answered = self.only_gate(plan);
                // The header tells of the Database that the run is about.
                self.chosen = Some(plan.target.clone());
                self.checked_here.take();
                self.run = Some(RunView::driving(Some(plan.clone()), ""));
                self.leave_form();
                self.go(View::Run);
            }
            Effect::Resume { run, .. } => {
                self.answered = None;
                self.run = Some(RunView::driving(None, run));
                self.go(View::Run);
            }
            Effect::Answer { gate, .. } | Effect::Decline { gate } => {
                if let Some(run) = self.run.as_mut().filter(|run| run.gate.as_ref().is_some_and(|g| g.id == *gate)) {
                    run.gate = None;
                }
            }
            Effect::Approve { .. } => self.approval_leaves(),
            Effect::Shell { of, container } => self.shell_leaves(of, container),
            Effect::Quit
            | Effect::Copy(_)
            | Effect::Save
            | Effect::Write { .. }
            | Effect::Plan { .. }
            | Effect::AskApproval { .. }
            | Effect::PauseRun
            | Effect::ListRuns
            | Effect::Refresh
            | Effect::Closeup { .. }
            | Effect::Forward { .. }
            | Effect::EndForward { .. }
            | Effect::LookCloser => {}
        }
        effects.push(effect);
    }

    /// Once a run has begun, esc must not lead back to its plan: that one is spent.
    fn leave_form(&mut self) {
        self.screens.retain(|screen| !matches!(screen.view, View::Form | View::Plan));
        self.form = None;
        self.plan = None;
    }

    fn cancel(&mut self) {
        match self.dialog.take() {
            Some(Dialog::Filter { .. }) => self.screen_mut().filter.clear(),
            Some(
                Dialog::Palette { .. }
                | Dialog::Help { .. }
                | Dialog::Ask { .. }
                | Dialog::Typed { .. }
                | Dialog::Choices { .. }
                | Dialog::Copy { .. }
                | Dialog::Pick { .. }
                | Dialog::Reason { .. }
                | Dialog::Overrule { .. },
            ) => {}
            None => self.back(),
        }
    }

    fn submit(&mut self, effects: &mut Vec<Effect>) {
        let Some(form) = &mut self.form else { return };
        if form.at + 1 < form.fields.len() {
            form.at += 1;
            return;
        }
        if let Some(missing) = form.missing() {
            form.at = missing;
            form.error = Some(format!("{} is needed", form.fields[missing].info.name));
            return;
        }
        self.plan_with(Accepted::new(), effects);
    }

    /// Asks for the plan of what the form holds.
    pub(super) fn plan_with(&mut self, accepted: Accepted, effects: &mut Vec<Effect>) {
        let Some(form) = &self.form else { return };
        effects.push(Effect::Plan { runbook: form.runbook.id.clone(), inputs: form.inputs(), accepted });
        self.planning = true;
        self.plan = None;
        self.go(View::Plan);
        self.screen_mut().scroll = 0;
    }
}

fn signed(lines: usize) -> isize {
    isize::try_from(lines).unwrap_or(isize::MAX / 2)
}
