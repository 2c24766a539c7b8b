//! The one loop of a run: the engine's effects out, what came of them in, until it stops. What is to be done is written
//! down before it is done.
//!
//! The loop touches nothing itself: everything goes through [`Hands`]. The product's are in [`super::run_loop_io`]; tests have
//! hands in memory with a clock of their own, so that what they prove is proved of this loop. Not here: what to do next
//! (`runbook::run::engine` decides), how an end is put in words ([`super::run_end`]).

use std::time::Duration;

use jiff::Timestamp;

use super::GateAnswer;
use super::run_journal::Unwritten;
use super::stall_detection::Clock;
use crate::app::message::RunMessage;
use crate::client::kube::snapshot::Depth;
use crate::runbook::Observation;
use crate::runbook::action_types::{Answer, ProbeLine};
use crate::runbook::actions::Action;
use crate::runbook::actions::network_probe_result::RouteProbe;
use crate::runbook::plan::Gate;
use crate::runbook::run::approval_validity::{Approval, Wanted};
use crate::runbook::run::engine::{About, Effect, Input, Run, Stop};
use crate::runbook::run::pause_choices::Resolution;
use crate::runbook::run::record::{Cause, Event, Outcome, PauseReason, Record};

/// A write leaves only on a look that is younger than this: a process that was stopped in between must not send on what
/// it saw before.
const FRESH_LOOK: Duration = Duration::from_secs(20);
/// A wait of so many looks is short: PD is asked in each of them.
const SHORT_WAIT: u32 = 3;
/// For how long a look says what is so while nothing is done but writing records.
const STILL_SO: Duration = Duration::from_secs(2);

/// Somebody else has the run by now; one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken(pub String);

/// What the loop does to the world, and what it hears of it. `None` of a look: a person asked to stop and it did not
/// come in time.
pub trait Hands: Send {
    /// Wall clock, as it is written into records.
    fn now(&self) -> Timestamp;
    /// Since the driving began, by a clock that nobody can set.
    fn elapsed(&self) -> Duration;
    /// Age of the last look, by a clock that goes on while the machine sleeps.
    fn age_of_look(&self) -> Duration;
    fn stop_asked(&self) -> bool;
    /// A person asked to stop, and has waited for long enough.
    fn hurried(&mut self) -> bool;
    /// Why this process drives the run no longer, where that is known already.
    fn taken(&self) -> Option<Taken>;
    /// Makes one event durable, an Intent in the cluster too; with the record that it became.
    fn append(&mut self, event: Event) -> impl Future<Output = Result<Record, Unwritten>> + Send;
    /// One fresh look at everything that the next decision stands on. [`Depth::Moving`]: nothing is sent on it, so that
    /// what a cluster is need not be asked again.
    fn observe(&mut self, run: &Run, depth: Depth) -> impl Future<Output = Option<Observation>> + Send;
    fn probe(&mut self, action: &Action, seen: &Observation) -> impl Future<Output = Option<Vec<ProbeLine>>> + Send;
    /// Looks from KubeCluster to KubeCluster.
    fn cross(&mut self, action: &Action, seen: &Observation) -> impl Future<Output = Option<Vec<RouteProbe>>> + Send;
    /// Sends one action, once.
    fn perform(&mut self, run: &Run, action: &Action, seen: &Observation) -> impl Future<Output = Answer> + Send;
    /// Waits for a person's answer.
    fn ask(&mut self, gate: &Gate) -> impl Future<Output = Result<GateAnswer, Taken>> + Send;
    /// What second persons left in the cluster.
    fn approvals(&mut self, run: &Run, of: &Wanted) -> impl Future<Output = Result<Vec<Approval>, Taken>> + Send;
    /// Where somebody should look while nothing moves: a piece of a sentence, empty where nothing is found.
    fn look_around(&mut self, run: &Run, seen: &Observation) -> impl Future<Output = String> + Send;
    /// Lets time pass; a wish to stop cuts it short, and so does what is seen to move.
    fn wait(&mut self, run: &Run, time: Duration) -> impl Future<Output = ()> + Send;
    /// Tells the face; never holds the run up for long.
    fn tell(&mut self, message: RunMessage) -> impl Future<Output = ()> + Send;
}

/// How the loop came back.
#[derive(Debug)]
pub enum Ending {
    Stopped(Stop),
    /// A person said no before anything was sent; the run is closed.
    Declined,
    Taken(Taken),
    /// The journal does not take any more, and what cannot be written down is not done.
    Unwritten(Unwritten),
}

/// The next input of the engine; a look is kept beside it, since inputs borrow it.
enum Next {
    Go,
    Observed,
    Input(Input<'static>),
}

/// What follows an effect.
enum Then {
    /// The next effect of the same decision.
    On,
    /// The next effect, and this goes into the engine afterwards.
    Later(Next),
    /// This goes into the engine at once; what else was decided is dropped.
    Instead(Next),
    End(Ending),
}

struct Loop<'a, H> {
    run: &'a mut Run,
    hands: &'a mut H,
    clock: Clock,
    seen: Observation,
    /// What the last look is good for.
    stands: Stands,
    /// How closely is looked next, where that is decided already.
    closer: Option<Depth>,
    /// Waits one after another.
    waits: u32,
    /// The wait that is carried out was decided on a glance.
    glanced: bool,
    declined: bool,
}

/// What a look is good for, by what came after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// Nothing any more: something was sent or asked, or time has passed.
    Not,
    /// That there is nothing to do yet, and no more.
    ToWait,
    /// The next decision, but nothing is sent on it.
    ToJudge,
    /// Everything.
    ToSend,
}

/// Drives a run until the engine stops or the run is somebody else's. `first`: what the engine hears first, [`Input::Go`]
/// unless an answer to what was sent is known already.
pub async fn drive<H: Hands>(run: &mut Run, hands: &mut H, first: Input<'static>) -> Ending {
    let mut all = Loop {
        run,
        hands,
        clock: Clock::default(),
        seen: Observation::default(),
        stands: Stands::Not,
        closer: None,
        waits: 0,
        glanced: false,
        declined: false,
    };
    let mut next = Next::Input(first);
    loop {
        if let Some(taken) = all.hands.taken() {
            return Ending::Taken(taken);
        }
        let (stop_asked, now) = (all.hands.stop_asked(), all.hands.now());
        let mut effects = match next {
            Next::Go => all.run.advance(Input::Go, stop_asked, now),
            Next::Observed => all.run.advance(Input::Observed(&all.seen), stop_asked, now),
            Next::Input(input) => all.run.advance(input, stop_asked, now),
        };
        next = Next::Go;
        if let Some(depth) = all.too_little_for(&effects) {
            // Nothing leaves on a look that was taken for something else, and nothing is done: it is decided once more.
            (all.stands, all.closer) = (Stands::Not, Some(depth));
            effects = vec![Effect::Observe];
        }
        for effect in effects {
            match all.carry_out(effect).await {
                Then::On => {}
                Then::Later(input) => next = input,
                Then::Instead(input) => {
                    next = input;
                    break;
                }
                Then::End(ending) => return ending,
            }
        }
    }
}

impl<H: Hands> Loop<'_, H> {
    async fn carry_out(&mut self, effect: Effect) -> Then {
        match effect {
            Effect::Append(event) => self.write_down(event).await,
            Effect::Observe => self.observe().await,
            // A person's answer moves nothing in the clusters; how old the look is by then is seen.
            Effect::Ask(gate) => self.ask(gate).await,
            other => {
                self.waits = if matches!(other, Effect::Wait { .. }) { self.waits + 1 } else { 0 };
                self.glanced = self.stands == Stands::ToWait;
                self.stands = Stands::Not;
                self.reach_out(other).await
            }
        }
    }

    /// How closely to look again before these are carried out, where the last look is not enough for them.
    fn too_little_for(&self, effects: &[Effect]) -> Option<Depth> {
        let sends = effects.iter().any(|effect| matches!(effect, Effect::Perform(_)));
        let waits = effects.iter().all(|effect| matches!(effect, Effect::Wait { .. } | Effect::Observe));
        match self.stands {
            Stands::ToWait | Stands::ToJudge if sends => Some(Depth::Whole),
            Stands::ToWait if !waits => Some(Depth::Moving),
            Stands::Not | Stands::ToWait | Stands::ToJudge | Stands::ToSend => None,
        }
    }

    /// Where only records were written since the last look, that look still says what is so: the next step is judged by
    /// it. A write is decided on a look of its own.
    async fn observe(&mut self) -> Then {
        let still = matches!(self.stands, Stands::ToJudge | Stands::ToSend);
        if still && self.hands.age_of_look() < STILL_SO {
            self.stands = Stands::ToJudge;
            return Then::Later(Next::Observed);
        }
        let depth = match self.closer.take() {
            Some(closer) => closer,
            None if self.waits > SHORT_WAIT => Depth::Glance,
            None if self.run.is_to_send() => Depth::Whole,
            None => Depth::Moving,
        };
        match self.hands.observe(self.run, depth).await {
            Some(fresh) => {
                self.seen = fresh;
                self.stands = match depth {
                    Depth::Whole => Stands::ToSend,
                    Depth::Moving => Stands::ToJudge,
                    Depth::Glance => Stands::ToWait,
                };
                Then::Later(Next::Observed)
            }
            None => Then::Later(Next::Input(Input::Hurried)),
        }
    }

    /// What goes out of this process, or takes time.
    async fn reach_out(&mut self, effect: Effect) -> Then {
        let looked = |input: Option<Input<'static>>| Then::Later(Next::Input(input.unwrap_or(Input::Hurried)));
        match effect {
            // Above.
            Effect::Append(_) | Effect::Observe | Effect::Ask(_) => Then::On,
            Effect::Probe { step, action } if matches!(action, Action::NetProbe(_)) => {
                let ways = self.hands.cross(&action, &self.seen).await;
                looked(ways.map(|ways| Input::Crossed { step, ways }))
            }
            Effect::Probe { step, action } => {
                let lines = self.hands.probe(&action, &self.seen).await;
                looked(lines.map(|lines| Input::Probed { step, lines }))
            }
            Effect::Perform(action) => {
                let answer = match self.hands.age_of_look() {
                    age if age > FRESH_LOOK => Answer::Refused {
                        reason: format!("the last look is {} s old, so nothing was sent", age.as_secs()),
                    },
                    _ => self.hands.perform(self.run, &action, &self.seen).await,
                };
                Then::Later(Next::Input(Input::Performed(answer)))
            }
            Effect::FindApprovals(wanted) => match self.hands.approvals(self.run, &wanted).await {
                Ok(found) => Then::Later(Next::Input(Input::Approvals { wanted, found })),
                Err(taken) => Then::End(Ending::Taken(taken)),
            },
            Effect::Wait { seconds, sentence, stalled_s, about } => {
                self.wait(Duration::from_secs(seconds), sentence, Duration::from_secs(stalled_s), about).await
            }
            // Refused by the person: scripts must not take it for done.
            Effect::Stop(Stop::Finished(Outcome::Abandoned)) if self.declined => Then::End(Ending::Declined),
            Effect::Stop(stop) => Then::End(Ending::Stopped(stop)),
        }
    }

    /// If it cannot be written down it is not done (invariant 4).
    async fn write_down(&mut self, event: Event) -> Then {
        let intent = match &event {
            Event::Intent { step, .. } => Some(step.clone()),
            _ => None,
        };
        match (self.hands.append(event).await, intent) {
            (Ok(record), _) => {
                self.took(record).await;
                self.clock = Clock::default();
                self.waits = 0;
                Then::On
            }
            // The Intent is in the file only: to the engine its action was refused, so it never leaves.
            (Err(Unwritten::NotShared(record, why)), _) => {
                self.took(*record).await;
                let reason = format!("nothing was sent: {why}");
                Then::Instead(Next::Input(Input::Performed(Answer::Refused { reason })))
            }
            (Err(Unwritten::Unsure(why)), Some(step)) => {
                let reason = PauseReason::Refused { sentence: format!("nothing more was sent: {why}") };
                let paused = Event::Paused { step, reason: reason.clone(), cause: Some(Cause::LeaseUnsure) };
                match self.hands.append(paused).await {
                    Ok(record) => {
                        self.took(record).await;
                        Then::End(Ending::Stopped(Stop::Paused(reason)))
                    }
                    Err(unwritten) => Then::End(Ending::Unwritten(unwritten)),
                }
            }
            (Err(unwritten), _) => Then::End(Ending::Unwritten(unwritten)),
        }
    }

    /// A record is durable: the engine and the face hear of it.
    async fn took(&mut self, record: Record) {
        self.run.apply(&record);
        self.hands.tell(RunMessage::Record(Box::new(record))).await;
    }

    async fn ask(&mut self, gate: Gate) -> Then {
        let said = match self.hands.ask(&gate).await {
            Ok(said) => said,
            Err(taken) => return Then::End(Ending::Taken(taken)),
        };
        // With no Intent in the journal there is nothing to wait for and nothing to leave behind.
        let abandon = Resolution::Abandon { reason: format!("answered no to: {}", gate.question) };
        if said == GateAnswer::No
            && !self.run.has_written()
            && let Ok(event) = self.run.choose(&abandon, self.hands.now())
        {
            return match self.hands.append(event).await {
                Ok(record) => {
                    self.took(record).await;
                    self.declined = true;
                    Then::Instead(Next::Go)
                }
                Err(unwritten) => Then::End(Ending::Unwritten(unwritten)),
            };
        }
        let option = said.option();
        Then::Later(Next::Input(Input::Answered { gate, text: said.text(), option }))
    }

    async fn wait(&mut self, time: Duration, sentence: String, stalled: Duration, about: About) -> Then {
        let still = self.clock.note(about, &sentence, self.hands.elapsed(), self.hands.now());
        if still.lasts > stalled {
            // A stop is decided on a look of its own as well.
            if self.glanced {
                self.closer = Some(Depth::Moving);
                return Then::Later(Next::Go);
            }
            if about == About::Step && self.clock.signs().is_empty() {
                let found = self.hands.look_around(self.run, &self.seen).await;
                self.clock.found(found);
            }
            let sentence = match about {
                About::Step => format!("{sentence}{}", self.clock.signs()),
                About::Connection | About::Invariant => sentence,
            };
            return Then::Later(Next::Input(Input::Stalled { about, sentence, since: Some(still.since) }));
        }
        if still.to_be_said {
            let found = self.hands.look_around(self.run, &self.seen).await;
            self.clock.found(found);
        }
        let words = self.clock.words(&sentence);
        self.hands.tell(RunMessage::Waiting(words)).await;
        if self.hands.hurried() {
            return Then::Later(Next::Input(Input::Hurried));
        }
        self.hands.wait(self.run, time).await;
        Then::On
    }
}
