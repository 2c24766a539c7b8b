//! What the `:` prompt and the fields of a form do with tab, the arrows and enter.
//!
//! Not here: what the words are ([`super::palette`]) and what commands do ([`super::command_dispatch`]).

use tui_input::Input;

use super::form::Form;
use super::keymap::Command;
use super::kubectl_k9s_aliases::Leads;
use super::message::Effect;
use super::palette::{Target, arguments, candidates, nowhere, resolve};
use super::runbook_suggestions::Known;
use super::status_level::Level;
use super::{App, Dialog, View};
use crate::fleet::database::{Database, find_by_name};

impl App {
    pub(super) fn complete(&mut self, forward: bool) {
        if let Some(Dialog::Palette { input, stem }) = &self.dialog {
            let stem = stem.clone().unwrap_or_else(|| input.value().to_owned());
            let found = candidates(self, &stem);
            let Some(last) = found.len().checked_sub(1) else { return };
            let next = match (found.iter().position(|one| one.text == input.value()), forward) {
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
            self.dialog = Some(Dialog::Palette { input: Input::new(found[next].text.clone()), stem: Some(stem) });
            return;
        }
        let suggestions = self.suggestions();
        if let Some(field) = self.form.as_mut().and_then(Form::field_mut) {
            field.cycle(&suggestions, forward);
        }
    }

    pub(super) fn earlier(&mut self, back: bool) {
        let Some(Dialog::Palette { input, .. }) = &self.dialog else { return };
        let at = self.history.iter().rposition(|line| line == input.value());
        let next = match (at, back) {
            (None, true) => self.history.len().checked_sub(1),
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) => Some(at + 1),
            (None, false) => None,
        };
        let text = next.and_then(|next| self.history.get(next)).cloned().unwrap_or_default();
        self.dialog = Some(Dialog::Palette { input: Input::new(text), stem: None });
    }

    pub(super) fn command_line(&mut self, text: &str, effects: &mut Vec<Effect>) {
        if text.trim().is_empty() {
            return;
        }
        let Some((target, argument)) = resolve(self, text) else {
            self.say(Level::Bad, nowhere(text));
            return;
        };
        self.history.retain(|line| line != text);
        self.history.push(text.to_owned());
        if self.history.len() > 50 {
            self.history.remove(0);
        }
        match (target, argument) {
            (Target::View(View::Databases), Some(name)) => match find_by_name::position(self.databases(), &name) {
                Ok(index) => {
                    self.choose_database(index);
                    self.switch(View::Overview);
                }
                Err(unknown) => self.say(Level::Bad, format!("{unknown}; :db lists them")),
            },
            (Target::View(View::Clusters), Some(name)) => {
                if self.fleet.clusters.contains_key(&name) {
                    self.focus_on(name);
                } else {
                    self.say(Level::Bad, format!("no context {name:?}; :ctx lists them"));
                }
            }
            (Target::View(View::Namespaces), Some(name)) => {
                self.show_namespace((name != "all").then_some(name));
            }
            (Target::View(View::Runbooks), Some(line)) => self.open_asked(&line),
            (Target::View(view), Some(argument)) if self.leads_to(&view, &argument, effects) => {}
            (Target::Other(leads), Some(pod)) if leads.about_a_pod() => self.other_of_pod(leads, &pod, effects),
            (Target::Other(leads), _) => self.follow_other(leads, effects),
            (Target::View(view), _) if view == *self.view() => self.is_in_front(&view, effects),
            (Target::View(view), _) => {
                // Nothing is pointed at by a word.
                self.hint = Known::default();
                if matches!(view, View::Runs | View::Approvals) {
                    self.ask_for_runs(effects);
                }
                self.switch(view);
            }
            (Target::Faults, _) => self.faults_only = !self.faults_only,
            (Target::AllClusters, _) => (self.focus, self.namespace) = (None, None),
            (Target::Refresh, _) => self.perform(Command::Refresh, 0, effects),
            (Target::ReadOnly, _) => self.seal(effects),
            (Target::Help, _) => self.perform(Command::Help, 0, effects),
            (Target::Quit, _) => self.leave(effects),
        }
    }

    /// `:logs NAME`: from the page of that pod. What names none, or several, lists those that fit.
    fn other_of_pod(&mut self, leads: Leads, pod: &str, effects: &mut Vec<Effect>) {
        let name = pod.strip_prefix("pod ").unwrap_or(pod).trim();
        self.leads_to(&View::Pods, name, effects);
        if self.on_page_of_pod(name) {
            return self.follow_other(leads, effects);
        }
        let text = format!("no single pod is called {name:?}: these fit; the word works for the one under the cursor");
        self.say(Level::Unknown, text);
    }

    /// A word that leads to where one is says so.
    fn is_in_front(&mut self, view: &View, effects: &mut Vec<Effect>) {
        if matches!(view, View::Runs | View::Approvals) {
            self.ask_for_runs(effects);
        }
        self.say(Level::Done, format!("{} is in front already: {}", view.title(), view.spec().about));
    }

    /// `:pods NAME`, `:pd ID`, `:stores ID`, `:tc NAME`, `:runs ID`: to that object, in the view that lists it. What is the
    /// name of nothing there filters the view.
    fn leads_to(&mut self, view: &View, argument: &str, effects: &mut Vec<Effect>) -> bool {
        let names = arguments(self, &Target::View(view.clone()));
        if !matches!(view, View::Pods | View::Members | View::Stores | View::TidbClusters | View::Runs) {
            return false;
        }
        let called = |name: &str| name == argument || name.rsplit('/').next() == Some(argument);
        let found: Vec<&(String, String)> = names.iter().filter(|(name, _)| called(name)).collect();
        let key = match found.as_slice() {
            [(name, _)] => Some(name.clone()),
            _ => found.iter().find(|(name, _)| name == argument).map(|(name, _)| name.clone()),
        };
        self.hint = Known::default();
        // A list is of the Database that was chosen, not of the one that a plan or a run brought in front.
        self.leave_work();
        // A member of another Database brings that one in front.
        if *view == View::Members
            && let Some(key) = &key
        {
            let holds = |database: &Database| database.members.iter().any(|member| member.id.hex() == *key);
            if let Some(index) = self.databases().iter().position(holds) {
                self.choose_database(index);
            }
        }
        // What would hide it.
        (self.focus, self.namespace, self.faults_only) = (None, None, false);
        self.switch(view.clone());
        if *view == View::Runs {
            self.ask_for_runs(effects);
        }
        let screen = self.screen_mut();
        match key {
            Some(key) => {
                screen.filter.clear();
                screen.key = Some(key);
                if self.idle(Command::Open).is_none() {
                    self.perform(Command::Open, 0, effects);
                }
            }
            None => screen.filter = argument.to_owned(),
        }
        true
    }
}
