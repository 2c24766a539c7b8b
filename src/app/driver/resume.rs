//! Going on with a run whose journal is on this machine: resumed, undone, given up; and what is done first where its last
//! patch may still be on its way.
//!
//! Not here: other people's runs ([`super::take_over`]), the steps themselves ([`super::Driver`]).

use super::acquire_lease::Acquire;
use super::local_runs::replay;
use super::run_journal::RunJournal;
use super::{Driver, RunChannels, TOOL, ask, end, need, now, open_runs, tell};
use crate::app::exit_codes::Exit;
use crate::app::message::{RunEnd, RunMessage};
use crate::client::journal::{self, Journal};
use crate::client::wire::permit::WritePermit;
use crate::client::wire::user_agent;
use crate::client::write;
use crate::fleet::ObjectRef;
use crate::runbook::run::engine::Run;
use crate::runbook::run::pause_choices::{BadChoice, Resolution};
use crate::runbook::run::record::{Choice, Event, Record};

impl Driver {
    /// Goes on with a run whose journal is on this machine.
    pub async fn resume(&self, run: &str, channels: RunChannels) -> RunEnd {
        self.resume_with(run, None, channels).await
    }

    /// Goes on with a run as a person chose. A choice that is refused leaves the journal as it was.
    pub async fn resume_with(&self, run: &str, wish: Option<&Resolution>, channels: RunChannels) -> RunEnd {
        self.catch_up_and_say(run, &channels).await;
        // To give a run up sends nothing: what was done elsewhere since is fetched first.
        if matches!(wish, Some(Resolution::Abandon { .. })) && !self.local_only {
            self.bring_up(run).await;
        }
        let (journal, records) = match Journal::open(&self.runs, run) {
            Ok(opened) => opened,
            Err(error @ journal::LedgerError::Held { .. }) => {
                return end(run, Exit::AnotherRun, format!("{error}{}", self.driven_by(run)));
            }
            Err(error) => return end(run, Exit::Refused, format!("{error}{}", self.on_record(run, &error).await)),
        };
        let mut replayed = match replay(&records, self.lang()) {
            Ok(replayed) => replayed,
            Err(sentence) => return end(run, Exit::Refused, sentence),
        };
        let mut channels = channels;
        // To give it up sends nothing, and what is over is only told.
        let sends = match wish {
            Some(Resolution::Abandon { .. }) => false,
            Some(_) => true,
            None => replayed.outcome().is_none(),
        };
        if sends && let Err(ended) = self.ask_before_going_on(&mut replayed, &records, &mut channels).await {
            return ended;
        }
        let runbook = replayed.plan.runbook.clone();
        user_agent::during(&runbook, run, Box::pin(self.go_on(run, replayed, journal, wish, channels))).await
    }

    async fn go_on(
        &self,
        run: &str,
        replayed: Run,
        mut journal: Journal,
        wish: Option<&Resolution>,
        mut channels: RunChannels,
    ) -> RunEnd {
        let choice = match wish.map(|wish| replayed.choose(wish, now())).transpose() {
            Ok(choice) => choice,
            // To ask for the undo again is to go on with it.
            Err(BadChoice::Undoing) => None,
            Err(why) => return end(run, Exit::Refused, format!("refused, nothing was changed: {why}")),
        };
        if choice.is_some()
            && replayed.outcome().is_some()
            && let Some(other) = self.open_run_on(&replayed.plan.target, &replayed.plan.runbook, |_| true).await
        {
            let sentence = format!("{}; finish or abandon it first", other.refusal());
            return end(&other.run, Exit::AnotherRun, sentence);
        }
        if replayed.outcome().is_some() && choice.is_none() {
            // Over; at most its copy in the cluster does not know it yet.
            self.repair(&replayed.plan, run, &mut journal, &channels).await;
            return self.drive(replayed, journal, None, Vec::new(), channels).await;
        }
        if let Err(sentence) = WritePermit::for_run(&self.links, run, &replayed.plan.contexts) {
            return end(run, Exit::Refused, sentence);
        }
        // Giving up and going back need nobody's approval.
        let forward = !matches!(&choice, Some(Event::Chosen { choice: Choice::Undo { .. } | Choice::Abandon { .. } }));
        if forward
            && replayed.undoing().is_none()
            && let Some(sentence) = self.nobody_first(&replayed.plan, replayed.guarded()).await
        {
            return end(run, Exit::Refused, sentence);
        }
        let confirmed = match self.ask_before_undo(&replayed, choice.as_ref(), &mut channels).await {
            Ok(confirmed) => confirmed,
            Err(ended) => return ended,
        };
        // To undo a run that is closed is to open it anew: nobody else's may be open.
        let taking = if replayed.outcome().is_some() { Acquire::New } else { Acquire::Resume };
        match Box::pin(self.guard(&replayed.plan, run, &mut journal, taking, &channels)).await {
            Ok(guarded) => {
                let first = [Event::Resumed { tool: TOOL.into(), moves: None }]
                    .into_iter()
                    .chain(choice)
                    .chain(confirmed)
                    .collect();
                self.drive(replayed, journal, guarded, first, channels).await
            }
            // No lease lies where there is no namespace, and nothing is sent any more: the run stops at its first look, or is
            // given up.
            Err(_) if open_runs::ends(choice.as_ref()) && self.nothing_left(&replayed).await => {
                let first = [Event::Resumed { tool: TOOL.into(), moves: None }].into_iter().chain(choice).collect();
                self.drive(replayed, journal, None, first, channels).await
            }
            Err(barred) => barred.end(run),
        }
    }

    /// The rollback begins when its first question is answered: nobody's "not yet" leaves a run open for it. `Err`: it was
    /// not, and nothing was changed.
    async fn ask_before_undo(
        &self,
        run: &Run,
        choice: Option<&Event>,
        channels: &mut RunChannels,
    ) -> Result<Option<Event>, RunEnd> {
        let Some(chosen @ Event::Chosen { choice: Choice::Undo { .. } }) = choice else { return Ok(None) };
        let mut trial = run.clone();
        for event in [Event::Resumed { tool: TOOL.into(), moves: None }, chosen.clone()] {
            trial.apply(&Record { seq: 0, at: now(), prev: String::new(), event });
        }
        let Some(gate) = trial.gate_of_undo() else { return Ok(None) };
        loop {
            let said = ask(channels, &gate).await;
            let option = said.option().map(str::to_owned);
            match (said.text(), &gate.text) {
                (None, wanted) => {
                    let need = need(wanted.as_ref());
                    let sentence = format!(
                        "nothing was put back and the run is as it was: {} (`tidepilot runs undo {} {need}`)",
                        gate.question, run.id
                    );
                    return Err(end(&run.id, Exit::AtGate, sentence));
                }
                (Some(typed), Some(wanted)) if typed != *wanted => {}
                (Some(typed), wanted) => {
                    let text = wanted.as_ref().map(|_| typed);
                    return Ok(Some(Event::Confirmed { gate: gate.id, text, option }));
                }
            }
        }
    }

    /// Makes the version void from which a patch was made that may still be on its way: it is refused then, whenever it
    /// comes. One sentence where that could not be done.
    pub(super) async fn hold_back(
        &self,
        run: &Run,
        target: &ObjectRef,
        uid: &str,
        book: &mut RunJournal,
        channels: &RunChannels,
    ) -> Option<String> {
        let moved = async {
            let permit = WritePermit::for_run(&self.links, &run.id, &run.plan.contexts)?;
            let permit = match book.lease() {
                Some(lease) => permit.under(std::sync::Arc::clone(lease)),
                None => permit,
            };
            write::move_version(&self.links, &permit, &run.id, target, uid).await
        };
        let why = moved.await.err()?;
        let sentence = format!(
            "the resourceVersion of {target} could not be moved ({why}), so a patch of it that is still on its way would be stored"
        );
        tell(channels, RunMessage::Waiting(sentence.clone())).await;
        Some(sentence)
    }
}

/// The first record of somebody who goes on, with what is done before anything else.
pub(super) fn moving(event: Event, target: Option<&ObjectRef>) -> Event {
    match event {
        Event::Resumed { tool, .. } => Event::Resumed { tool, moves: target.cloned() },
        Event::TakenOver { tool, by, from, .. } => Event::TakenOver { tool, by, from, moves: target.cloned() },
        other => other,
    }
}
