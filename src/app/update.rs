//! `update`: one message in, effects out. Routing only; what commands do is in [`super::command_dispatch`].

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use jiff::Timestamp;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::keymap::{Command, lookup};
use super::message::{Effect, Message, RunEnd, RunMessage};
use super::run_view::RunView;
use super::status_level::{Level, freshness_level};
use super::{App, Dialog, Flash, Subject, View};
use crate::fleet::database::incremental_rebuild::namespace;
use crate::fleet::{Change, Freshness, ObjectRef, What};
use crate::runbook::plan::Gate;

/// Longest text a field takes: a paste must not fill the memory.
const FIELD: usize = 400;

/// Between two closer looks of one session.
const CLOSER_EVERY: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);

impl App {
    /// Folds one message in. `now` is the time at which it arrived.
    pub fn update(&mut self, message: Message, now: Timestamp) -> Vec<Effect> {
        self.now = now;
        // Whether lists are others for a key depends on what the key means.
        self.change += u64::from(!matches!(message, Message::Key(_) | Message::Pointed(_)));
        let mut effects = Vec::new();
        let was_dirty = std::mem::replace(&mut self.dirty, true);
        match message {
            Message::Key(key) if key.kind != KeyEventKind::Release => self.key(key, &mut effects),
            Message::Key(_) => self.dirty = was_dirty,
            Message::Pointed(at) => self.pointed(at, &mut effects),
            Message::Resize => {}
            Message::Tick => {
                self.tick();
                self.dirty |= was_dirty;
            }
            Message::Fleet(change) => {
                self.note_connection(&change);
                self.edited.note(&self.fleet, &change);
                if let What::Pd { pod, view } = &change.what {
                    self.leaving.note(view);
                    self.leads.note(ObjectRef::new(&change.context, &pod.namespace, &pod.name), view);
                }
                let about = namespace(&self.fleet, &change);
                if self.fleet.moves(change) {
                    self.former.get_mut().note(about);
                    self.fleet_change += 1;
                    self.forget_computed();
                } else {
                    // The same once more, only later: what was computed is good, and nothing on the screen is other.
                    self.as_before(was_dirty);
                }
            }
            Message::Runbooks(all) => self.runbooks = all,
            Message::BrokenRunbooks(all) => self.broken_runbooks = all,
            Message::Runs(mut all) => {
                all.iter_mut().for_each(|run| run.seen(&self.fleet));
                self.runs = all;
                self.list_own();
            }
            Message::RunsLooked { began } => self.runs_looked_for(began, was_dirty),
            Message::WholeRun { run, read } => self.whole_run_news(&run, read, was_dirty),
            Message::Run(message) => self.run_message(message, &mut effects),
            Message::Foreseen { id, plan } => self.foreseen(id, plan),
            Message::Approval(news) => self.approval_news(news, &mut effects),
            Message::Closeup { id, news } => self.closeup_news(id, news),
            Message::Forward { id, news } => self.forward_news(id, news, was_dirty),
            Message::Weather(all) => {
                if !self.weather_news(all) {
                    self.as_before(was_dirty);
                }
            }
            Message::Shell(level, sentence) => self.shell_news(level, sentence),
            Message::Said(level, sentence) => self.say(level, sentence),
            Message::Fault(sentence) => {
                self.tell(Level::Bad, "fault", sentence.clone());
                self.flash = Some(Flash { level: Level::Bad, text: sentence, until: None });
            }
        }
        self.look_at_what_is_in_front(&mut effects);
        effects
    }

    /// What the view in front needs that is not watched.
    fn look_at_what_is_in_front(&mut self, effects: &mut Vec<Effect>) {
        self.follow_work();
        self.keep_runs_fresh(effects);
        self.read_run_in_front(effects);
        self.look_closer(effects);
        self.count_regions(effects);
        self.look_closely(effects);
    }

    /// Nothing on the screen is other than before.
    pub(super) fn as_before(&mut self, was_dirty: bool) {
        self.change -= 1;
        self.dirty = was_dirty;
    }

    /// A connection that changes is worth a line of the log.
    fn note_connection(&mut self, change: &Change) {
        let What::Connection { freshness, message } = &change.what else { return };
        let known = self.fleet.clusters.get(&change.context).map(|cluster| &cluster.freshness);
        if known.is_some_and(|known| std::mem::discriminant(known) == std::mem::discriminant(freshness)) {
            return;
        }
        let lost = |known: &Freshness| !matches!(known, Freshness::Live | Freshness::NeverSeen);
        if freshness.is_live() && known.is_some_and(lost) {
            self.note_back(&change.context);
        }
        let why = message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        let sentence = format!("{} is {}{why}", change.context, freshness.word());
        self.tell(freshness_level(freshness), "cluster", sentence);
    }

    /// What findings and certificates rest on is not watched: it is asked for while they are on the screen.
    fn look_closer(&mut self, effects: &mut Vec<Effect>) {
        let shown = matches!(
            self.view(),
            View::Findings | View::Certificates | View::Detail(Subject::Finding(_) | Subject::Certificate(_))
        );
        let old = self.looked_closer.is_none_or(|at| self.now.duration_since(at) >= CLOSER_EVERY);
        if shown && old && !self.fleet.clusters.is_empty() {
            self.looked_closer = Some(self.now);
            effects.push(Effect::LookCloser);
        }
    }

    /// Ages move only where something is not live or a run is under way; else nothing on the screen changes.
    fn tick(&mut self) {
        let over = self.flash.as_ref().is_some_and(|flash| flash.until.is_some_and(|until| until <= self.now));
        if over {
            self.flash = None;
        }
        let aging = |freshness: &Freshness| !matches!(freshness, Freshness::Live | Freshness::NeverSeen);
        let ages = self.fleet.clusters.values().any(|cluster| aging(&cluster.freshness));
        let driving = self.run.as_ref().is_some_and(|run| run.driving);
        let minute = self.now.as_second().div_euclid(60);
        let before = self.minute.replace(minute);
        let clock = self.options.clock && before.is_some_and(|before| before != minute);
        let settled = self.leads.ended(self.now);
        if settled {
            self.forget_computed();
        }
        let looked = self.looks_moved();
        self.dirty = over || ages || driving || clock || settled || looked || self.fades();
    }

    fn run_message(&mut self, message: RunMessage, effects: &mut Vec<Effect>) {
        match message {
            RunMessage::Planned(plan) => {
                self.planning = false;
                self.plan = Some(plan);
            }
            RunMessage::NoPlan(sentence) => {
                self.planning = false;
                if *self.view() == View::Plan && self.form.is_some() {
                    self.go(View::Form);
                }
                match &mut self.form {
                    Some(form) => form.error = Some(sentence),
                    None => self.say(Level::Bad, sentence),
                }
            }
            RunMessage::Gate(gate) if gate.text.is_none() && self.answered.as_ref() == Some(&gate.id) => {
                self.answered = None;
                effects.push(Effect::Answer { gate: gate.id, text: None });
            }
            RunMessage::Gate(gate) => {
                let run = self.run.get_or_insert_with(RunView::default);
                run.apply(RunMessage::Gate(gate.clone()), self.now);
                // A question must not take a key meant for something else: it opens by itself only over the run.
                if *self.view() == View::Run && self.dialog.is_none() {
                    self.ask_gate(&gate);
                } else {
                    self.say(Level::Working, "the run waits for you; :progress leads to it");
                }
            }
            RunMessage::Ended(end) => self.run_ended(end, effects),
            RunMessage::Record(_) => {
                self.run.get_or_insert_with(RunView::default).apply(message, self.now);
                self.list_own();
            }
            RunMessage::Waiting(_) => {
                self.run.get_or_insert_with(RunView::default).apply(message, self.now);
            }
        }
    }

    fn run_ended(&mut self, end: RunEnd, effects: &mut Vec<Effect>) {
        self.answered = None;
        if std::mem::take(&mut self.leaves) {
            effects.push(Effect::Quit);
        }
        if std::mem::take(&mut self.pause_asked) {
            // What was asked for has come to its end.
            self.flash = None;
        }
        let open = self.run.as_ref().and_then(|run| run.gate.as_ref()).map(|gate| gate.id.clone());
        if let Some(id) = open {
            self.close_gate(&id);
        }
        if end.asked {
            // What was being waited for has come.
            self.flash = None;
        }
        let told = format!("run {}: {}", end.run, end.sentence);
        let run = self.run.get_or_insert_with(RunView::default);
        run.apply(RunMessage::Ended(end), self.now);
        let (level, _) = run.standing();
        if *self.view() != View::Run {
            self.say(level, told);
        }
    }

    /// The run that this console drives is known better than any list that was read: what it restarts just now.
    fn list_own(&mut self) {
        self.checked.take();
        self.checked_here.take();
        let Some(own) = self.run.as_ref().and_then(RunView::listed) else { return };
        match self.runs.iter_mut().find(|run| run.run == own.run) {
            Some(run) => *run = own,
            None => self.runs.insert(0, own),
        }
    }

    /// Opens the dialog of a gate.
    pub(super) fn ask_gate(&mut self, gate: &Gate) {
        self.dialog = Some(match &gate.text {
            Some(text) => Dialog::Typed {
                effect: Box::new(Effect::Answer { gate: gate.id.clone(), text: Some(text.clone()) }),
                question: gate.question.clone(),
                text: text.clone(),
                input: Input::default(),
                wrong: false,
            },
            None => Dialog::Ask {
                title: self.run.as_ref().map_or_else(|| gate.step.clone(), |run| run.title_of(&gate.step)),
                question: gate.question.clone(),
                yes: "Go on".into(),
                go: false,
                effect: Box::new(Effect::Answer { gate: gate.id.clone(), text: None }),
            },
        });
    }

    fn close_gate(&mut self, id: &str) {
        let is_it = |dialog: &Option<Dialog>| match dialog {
            Some(Dialog::Typed { effect, .. } | Dialog::Ask { effect, .. }) => {
                matches!(&**effect, Effect::Answer { gate, .. } if gate == id)
            }
            _ => false,
        };
        if is_it(&self.dialog) {
            self.dialog = None;
        }
        if is_it(&self.beneath) {
            self.beneath = None;
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
        self.flash = None;
        self.begun = true;
        // From the first key on, a Database that appears later does not push away the one being looked at.
        if self.chosen.is_none() && !self.databases().is_empty() {
            self.choose_database(0);
        }
        let scope = self.scope();
        match lookup(scope, &key) {
            Some((command, at)) => self.command(command, at, effects),
            None => {
                self.change += 1;
                if scope.types() {
                    self.type_key(key);
                } else if !self.jump_to(&key) {
                    self.unbound(scope, &key);
                }
            }
        }
        self.propose_domain();
        self.foresee(effects);
        // The rows are those of the Database that is in front from here on.
        self.follow_work();
        self.remember_row();
    }

    /// Lists are computed anew for a command and after it: it asks for rows before it changes what they are made of. One that only
    /// moves leaves them as they are.
    pub(super) fn command(&mut self, command: Command, at: usize, effects: &mut Vec<Effect>) {
        let others = u64::from(!command.only_moves());
        self.change += others;
        self.perform(command, at, effects);
        self.change += others;
    }

    /// The cursor holds on to the thing that it stands on.
    pub(super) fn remember_row(&mut self) {
        let rows = self.rows();
        if let Some(at) = self.cursor(&rows) {
            let key = rows[at].key.clone();
            let screen = self.screen_mut();
            screen.row = at;
            screen.key = Some(key);
        }
    }

    fn type_key(&mut self, key: KeyEvent) {
        let event = TerminalEvent::Key(key);
        let mut filter = None;
        match &mut self.dialog {
            Some(Dialog::Filter { input, selected }) => {
                if std::mem::take(selected) && replaces(&key) {
                    input.reset();
                }
                edit(input, &event);
                filter = Some(input.value().to_owned());
            }
            Some(Dialog::Palette { input, stem }) => {
                edit(input, &event);
                *stem = None;
            }
            Some(Dialog::Typed { input, wrong, .. }) => {
                edit(input, &event);
                *wrong = false;
            }
            Some(Dialog::Port { input, wrong, .. }) => {
                edit(input, &event);
                *wrong = false;
            }
            Some(Dialog::Reason { input, wrong, .. }) => {
                edit(input, &event);
                *wrong = false;
            }
            Some(Dialog::Overrule { input, wrong, .. }) => {
                edit(input, &event);
                wrong.clear();
            }
            Some(
                Dialog::Help { .. }
                | Dialog::Ask { .. }
                | Dialog::Choices { .. }
                | Dialog::Copy { .. }
                | Dialog::Pick { .. },
            ) => {}
            None => {
                if let Some(form) = &mut self.form {
                    form.error = None;
                    if let Some(field) = form.field_mut() {
                        field.edit(&event);
                    }
                }
            }
        }
        if let Some(filter) = filter {
            let changed = self.screen().filter != filter;
            self.screen_mut().filter = filter;
            if self.has_page() {
                return self.seek_typed(changed);
            }
            // Of runbooks the best that fits is on top; elsewhere the cursor stays on its object while that one is there.
            let key = self.screen().key.clone();
            let there = key.is_some_and(|key| self.rows().iter().any(|row| row.key == key));
            if changed && (!there || *self.view() == View::Runbooks) {
                let screen = self.screen_mut();
                (screen.key, screen.row) = (None, 0);
            }
        }
    }
}

/// Whether a key takes the place of a text that is selected: a character, and what takes characters away.
fn replaces(key: &KeyEvent) -> bool {
    let plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    matches!(key.code, KeyCode::Backspace | KeyCode::Delete) || (plain && matches!(key.code, KeyCode::Char(_)))
}

/// One key into a line of input, unless it would grow without end.
pub(super) fn edit(input: &mut Input, event: &TerminalEvent) {
    let typing = matches!(event, TerminalEvent::Key(key) if matches!(key.code, KeyCode::Char(_)));
    if !typing || input.value().chars().count() < FIELD {
        input.handle_event(event);
    }
}
