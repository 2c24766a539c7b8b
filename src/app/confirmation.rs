//! Questions before something leaves, and their answers: start, gate, resume, form.
//!
//! A write leaves from here only, as an effect, and only after a question was answered on a button or by typing; read-only
//! refuses before the question is put. Not here: what stands in the questions of approvals, shells and forwards (their files).

use std::borrow::Cow;

use super::message::Effect;
use super::run_choices::still;
use super::run_view::RunView;
use super::start_blockers::Bar;
use super::status_level::Level;
use super::{App, Dialog, View};
use crate::fleet::ObjectRef;
use crate::pluralize::counted;
use crate::runbook::plan::overrule::Accepted;
use crate::runbook::plan::{Confirm, Plan, PlannedStep};
use crate::runbook::run::concurrent_runs::only_certificates;
use crate::runbook::run::open_run_status::{Drives, Standing};
use crate::runbook::run::view::ResolutionOffer;

impl App {
    /// Makes the session read-only; a run that is under way has to be paused first, for it would stop in the middle.
    pub(super) fn seal(&mut self, effects: &mut Vec<Effect>) {
        if self.options.read_only {
            return self.say(Level::Done, "this session is read-only already");
        }
        if let Some(run) = self.run.as_ref().filter(|run| run.driving) {
            let text = format!("run {} is under way: p in :progress pauses it, then :read-only", run.id());
            return self.say(Level::Bad, text);
        }
        (self.options.read_only, self.sealed) = (true, true);
        effects.extend(self.forwards.drain(..).map(|one| Effect::EndForward { id: one.id }));
        effects.push(Effect::Seal);
        self.say(Level::Done, "read-only from now on; only a new console can send anything that changes something");
    }

    /// The step that a question is about: that of its gate, or the only one of a plan that is started.
    pub fn asked_step(&self) -> Option<Cow<'_, PlannedStep>> {
        let Some(Dialog::Ask { effect, .. } | Dialog::Typed { effect, .. }) = &self.dialog else { return None };
        match &**effect {
            Effect::Answer { gate, .. } => {
                let run = self.run.as_ref()?;
                let open = run.gate.as_ref().filter(|open| open.id == *gate)?;
                run.asked(&open.step)
            }
            Effect::Start(plan) => {
                self.only_gate(plan)?;
                let mut steps = self.plan.as_ref()?.steps.iter();
                steps.find(|step| step.action.writes() && !step.already_so).map(Cow::Borrowed)
            }
            _ => None,
        }
    }

    /// `:q`: at once, or with a run under way behind one question that says what becomes of it.
    pub(super) fn leave(&mut self, effects: &mut Vec<Effect>) {
        let Some(run) = self.run.as_ref().filter(|run| run.driving) else {
            return effects.push(Effect::Quit);
        };
        let id = run.id();
        let question = format!(
            "Run {id} is under way. It pauses as soon as what is under way is verified, nothing is cut off, and this console ends. `tidepilot runs resume {id}` goes on with it. ctrl-c once more is a yes."
        );
        // What was typed there is there again when the answer is no.
        self.beneath = self.dialog.take();
        self.dialog = Some(Dialog::Ask {
            title: "leave?".into(),
            question,
            yes: "Pause and leave".into(),
            go: false,
            effect: Box::new(Effect::Quit),
        });
    }

    /// ctrl-c: asks as `:q` does; once more is the answer, and once it pauses the console ends at once.
    pub(super) fn interrupt(&mut self, effects: &mut Vec<Effect>) {
        let asked = matches!(&self.dialog, Some(Dialog::Ask { effect, .. }) if **effect == Effect::Quit);
        if self.pause_asked {
            effects.push(Effect::Quit);
        } else if asked {
            self.yes(effects);
        } else {
            self.leave(effects);
        }
    }

    pub(super) fn pause(&mut self, effects: &mut Vec<Effect>) {
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

    pub(super) fn ask_start(&mut self) {
        if let Some(bar) = self.bar() {
            let (level, sentence) = (bar.level(), bar.sentence());
            if let Bar::OpenRun(run) = bar {
                self.open_run(run.clone());
            }
            return self.say(level, sentence);
        }
        let Some(plan) = self.plan.clone() else { return };
        let question = match plan.changes() {
            1 if self.only_gate(&plan).is_some() => {
                let step = plan.steps.iter().find(|step| step.action.writes()).map(|step| step.title.clone());
                format!("{} on {}: it is sent at once, and nothing else asks.", step.unwrap_or_default(), plan.target)
            }
            0 => {
                let left = plan.steps.iter().filter(|step| !step.already_so).count();
                let looks = counted(left, "step");
                format!("Nothing is left to send on {}: only what looks is carried out, {looks}.", plan.target)
            }
            n => format!("{} will be sent for {}. Gates on the way still ask.", counted(n, "change"), plan.target),
        };
        let question = match self.outage(&plan) {
            Some(outage) => format!("{outage}. {question}"),
            None => question,
        };
        let question = match self.felt_at_once(&plan) {
            Some(felt) => format!("{felt} {question}"),
            None => question,
        };
        self.dialog = Some(Dialog::Ask {
            title: plan.title.clone(),
            question,
            yes: "Start".into(),
            go: false,
            effect: Box::new(Effect::Start(plan)),
        });
    }

    /// The open run that a start would be refused for. One that may wait beside certificates keeps those out no more.
    pub fn kept_out(&self) -> Option<&Standing> {
        let plan = self.plan.as_ref().filter(|plan| !only_certificates(plan))?;
        let target = plan.target.to_string();
        let bars = |run: &&Standing| {
            let driven = matches!(run.drives, Drives::Here | Drives::Holds(_));
            driven || run.keeps_out(&plan.runbook, run.target == target)
        };
        self.runs_open_on(&plan.target).into_iter().find(bars)
    }

    /// The gate of a plan with one change, where a plain yes answers it: the question before the start says the same, and
    /// once is enough.
    pub(super) fn only_gate(&self, plan: &Plan) -> Option<String> {
        let mut changes = plan.steps.iter().filter(|step| step.action.writes() && !step.already_so);
        let (only, None) = (changes.next()?, changes.next()) else { return None };
        match &only.confirm {
            Confirm::Plain { gate } if only.approvers <= 1 && plan.changes() == 1 => Some(gate.clone()),
            _ => None,
        }
    }

    pub(super) fn ask_resume(&mut self, run: Standing) {
        let current = self.run.as_ref().is_some_and(|shown| shown.id() == run.run);
        if current && (self.run.as_ref().is_some_and(|shown| shown.driving) || !run.open) {
            self.go(View::Run);
        } else if !run.open && !run.offers.contains(&ResolutionOffer::Undo) {
            self.say(Level::Done, format!("run {} is over: {}", run.run, run.state));
        } else if !run.here || run.drives == Drives::Here {
            // Nothing of it can be done from this console: its page has the command that takes it over.
            self.say(Level::Unknown, run.refusal());
        } else if self.options.read_only {
            self.say(Level::Bad, self.read_only_words("resume a run"));
        } else if let Some(of) = ObjectRef::parse(&run.target).ok().filter(|of| self.is_read_only(&of.context)) {
            self.say(Level::Bad, format!("read-only: the configuration allows no writes to {}", of.context));
        } else if let Some(other) = self.run.as_ref().filter(|shown| shown.driving) {
            let text =
                format!("run {} is under way, one at a time: `:progress` shows it, p there pauses it", other.id());
            self.say(Level::Bad, text);
        } else if !run.offers.is_empty() {
            // To end it, or to put it back, must not take sending more of it first.
            let dead_end = run.dead_end.is_some();
            let sends_more = |offer: &ResolutionOffer| {
                matches!(offer, ResolutionOffer::Retry | ResolutionOffer::ByHand { .. } | ResolutionOffer::Skip { .. })
            };
            let mut offers: Vec<ResolutionOffer> =
                run.offers.into_iter().filter(|offer| !(dead_end && sends_more(offer))).collect();
            if !run.open {
                still(&mut offers);
            }
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
    pub(super) fn accept(&mut self, effects: &mut Vec<Effect>) {
        match self.dialog.take() {
            Some(Dialog::Filter { .. }) => {}
            Some(Dialog::Palette { input, .. }) => self.command_line(input.value(), effects),
            Some(Dialog::Ask { go: true, effect, .. }) => self.commit(*effect, effects),
            Some(Dialog::Ask { .. }) => self.give_back(),
            Some(Dialog::Help { .. }) => {}
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
            Some(Dialog::Port { of, port, name, input, .. }) => self.forward_at(of, port, name, input, effects),
            Some(Dialog::Reason { offer, input, .. }) => self.reasoned(offer, input),
            Some(Dialog::Overrule { check, sentence, input, .. }) => self.overruled(check, sentence, input, effects),
            None => self.submit(effects),
        }
    }

    pub(super) fn yes(&mut self, effects: &mut Vec<Effect>) {
        if let Some(Dialog::Ask { effect, .. }) = self.dialog.take() {
            self.commit(*effect, effects);
        }
    }

    /// An explicit no: at a gate before which nothing was sent it ends the run, elsewhere it is "not yet".
    pub(super) fn no(&mut self, effects: &mut Vec<Effect>) {
        let Some(Dialog::Ask { effect, .. }) = self.dialog.take() else { return };
        if let Effect::Answer { gate, .. } = *effect
            && self.run.as_ref().is_some_and(|run| !run.has_written())
        {
            return self.commit(Effect::Decline { gate }, effects);
        }
        self.give_back();
    }

    /// What lay beneath the question whether to leave is in front again; a button that was in focus there is so no more.
    fn give_back(&mut self) {
        self.dialog = self.beneath.take();
        if let Some(Dialog::Ask { go, .. }) = &mut self.dialog {
            *go = false;
        }
    }

    /// A question was answered with yes: the only way by which a write leaves.
    pub(super) fn commit(&mut self, effect: Effect, effects: &mut Vec<Effect>) {
        if self.options.read_only {
            self.say(Level::Bad, "read-only: nothing was sent");
            return;
        }
        self.beneath = None;
        match &effect {
            Effect::Quit if self.run.as_ref().is_some_and(|run| run.driving) => {
                self.leaves = true;
                self.pause(effects);
                let text = "pausing after what is under way is verified, then this console ends; ctrl-c ends it now";
                return self.say(Level::Working, text);
            }
            Effect::Start(plan) => {
                self.answered = self.only_gate(plan);
                // The header tells of the Database that the run is about.
                self.choose_part(Some(plan.target.clone()));
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
            | Effect::ReadRun { .. }
            | Effect::Refresh
            | Effect::Closeup { .. }
            | Effect::Forward { .. }
            | Effect::EndForward { .. }
            | Effect::Seal
            | Effect::Foresee { .. }
            | Effect::LookCloser
            | Effect::CountRegions { .. } => {}
        }
        effects.push(effect);
    }

    /// Once a run has begun, esc must not lead back to its plan: that one is spent.
    pub(super) fn leave_form(&mut self) {
        self.screens.retain(|screen| !matches!(screen.view, View::Form | View::Plan));
        self.form = None;
        self.plan = None;
    }

    pub(super) fn cancel(&mut self) {
        match self.dialog.take() {
            Some(Dialog::Filter { .. }) => self.screen_mut().filter.clear(),
            Some(Dialog::Ask { .. }) => self.give_back(),
            Some(
                Dialog::Palette { .. }
                | Dialog::Help { .. }
                | Dialog::Typed { .. }
                | Dialog::Choices { .. }
                | Dialog::Copy { .. }
                | Dialog::Pick { .. }
                | Dialog::Port { .. }
                | Dialog::Reason { .. }
                | Dialog::Overrule { .. },
            ) => {}
            None => self.back(),
        }
    }

    pub(super) fn submit(&mut self, effects: &mut Vec<Effect>) {
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
