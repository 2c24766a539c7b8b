//! The command line's face of a run: prints its news, answers its gates by flags or by the person at the terminal, hands
//! Ctrl-C on, and says how it ended. `run`, `runs resume` and all others that drive a run use it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use tokio::sync::{mpsc, watch};

use super::notify::NotifyArgs;
use super::shared_options::Connect;
use super::signals::{Asked, Signals, asked};
use super::{complain, note, print};
use crate::app::driver::run_notifications::{RunTeller, UNANSWERED};
use crate::app::driver::{GateAnswer, Reply, RunChannels, now};
use crate::app::exit_codes::Exit;
use crate::app::message::{RunEnd, RunMessage};
use crate::fleet::kubectl_quoting::quote;
use crate::report;
use crate::runbook::plan::{Confirm, Gate, Plan, ambiguous, answers};
use crate::runbook::run::record::{Event, Record};

/// Before a sentence that others have followed is printed anew.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// Sentences of one wait that are kept.
const MOST_SAID: usize = 200;

#[derive(Args, Clone, Debug)]
pub struct FaceArgs {
    /// Answer every plain question, also of a step at which only a person can look: that one is recorded as asserted
    #[arg(long)]
    pub yes: bool,
    /// Answer every gate that asks for exactly this text; repeatable
    #[arg(long, value_name = "TEXT")]
    pub confirm: Vec<String>,
    /// How long to wait at a step that needs a second person (`runs approve`), before the run stops there
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub await_approval: u64,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = RunOutput::Text)]
    pub output: RunOutput,
    #[command(flatten)]
    pub notify: NotifyArgs,
}

impl FaceArgs {
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.await_approval)
    }

    /// Whether there is a person at a terminal to be asked.
    pub(super) fn asks(&self) -> bool {
        self.output == RunOutput::Text && std::io::stdin().is_terminal()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RunOutput {
    Text,
    /// The journal's records, one a line
    Json,
}

/// Says how it ended, with what helps where it has stopped. What came to its end is a result; everything else, and all
/// that is said beside JSON lines, goes to stderr.
pub async fn finish(end: &RunEnd, face: &FaceArgs, connect: &Connect, teller: &RunTeller) -> ExitCode {
    let said = connect.with_kubeconfig(&report::run_lines::end(end, &connect.repeated()));
    let ended = [Exit::Done, Exit::Undone, Exit::NotGood].contains(&end.code);
    match face.output {
        RunOutput::Text if ended => print(&(said + "\n")),
        RunOutput::Text | RunOutput::Json => complain(&said),
    }
    // The run is over and its lease given back: only this process waits, and not for a person who wants it to end.
    let mut signals = Signals::register().ok();
    tokio::select! {
        () = teller.finish() => {}
        _ = asked(&mut signals) => {}
    }
    ExitCode::from(end.code.code())
}

/// A record as a line: progress, save a matrix, which is what was asked for.
pub(super) fn told(record: &Record) {
    let line = report::run_lines::line(record) + "\n";
    match &record.event {
        Event::Completed { evidence, .. } if !report::run_lines::matrix(evidence).is_empty() => print(&line),
        _ => note(&line),
    }
}

/// Runs one drive with this face: prints the news, answers gates, hands Ctrl-C on, and says which `--confirm` was of no use.
pub async fn drive<F, Drive>(face: &FaceArgs, teller: &mut RunTeller, start: F) -> RunEnd
where
    F: FnOnce(RunChannels) -> Drive,
    Drive: Future<Output = RunEnd> + Send + 'static,
{
    let (end, unused) = drive_to_hand_over(face, teller, start).await;
    // Where it was refused before any gate, the reason is another.
    if !matches!(end.code, Exit::Refused | Exit::AnotherRun) {
        warn_of_unused(&unused);
    }
    end
}

pub(super) fn warn_of_unused(unused: &BTreeSet<String>) {
    for text in unused {
        complain(&format!("warning: --confirm {text} answered no gate of this call"));
    }
}

/// The same for what goes on elsewhere with the same answers. Also tells which `--confirm` answered nothing here.
#[expect(clippy::too_many_lines, reason = "one loop: all that it waits for changes the same run")]
pub(super) async fn drive_to_hand_over<F, Drive>(
    face: &FaceArgs,
    teller: &mut RunTeller,
    start: F,
) -> (RunEnd, BTreeSet<String>)
where
    F: FnOnce(RunChannels) -> Drive,
    Drive: Future<Output = RunEnd> + Send + 'static,
{
    let (news, mut heard) = mpsc::channel(64);
    let (reply, replies) = mpsc::channel(4);
    let (stop, stopped) = watch::channel(false);
    // Once, before anything is sent: a signal that comes while news are being printed is not lost.
    let mut signals = Signals::register().ok();
    let driving = tokio::spawn(start(RunChannels { news, replies, stop: stopped }));
    let mut unused: BTreeSet<String> = face.confirm.iter().cloned().collect();
    let mut said = Said::default();
    loop {
        tokio::select! {
            message = heard.recv() => {
              if let Some(message) = &message { teller.hear(message); }
              match message {
                None => break,
                Some(RunMessage::Record(record)) => {
                    said = Said::default();
                    match face.output {
                        RunOutput::Text => told(&record),
                        RunOutput::Json => print(&(report::run_lines::json(&record).unwrap_or_default() + "\n")),
                    }
                }
                Some(RunMessage::Waiting(sentence)) => {
                    if face.output == RunOutput::Text && said.is_new(&sentence, Instant::now()) {
                        note(&(report::run_lines::waiting(now(), &sentence) + "\n"));
                    }
                }
                Some(RunMessage::Gate(gate)) => {
                    for given in &face.confirm {
                        if let Some(why) = ambiguous(gate.text.as_deref(), gate.short.as_deref(), given) {
                            unused.remove(given);
                            complain(&report::plain(&format!("--confirm {given} is no answer: {why}")));
                        }
                    }
                    let by_flag = flagged(face, &gate, &mut unused);
                    if by_flag.is_none() {
                        teller.waits(&gate, if face.asks() { UNANSWERED } else { Duration::ZERO });
                    }
                    let said = tokio::select! {
                        said = answer(face, &gate, by_flag) => said,
                        // At a question nothing is under way: it is left unanswered, and the run stays open.
                        _ = asked(&mut signals) => {
                            note("\n");
                            let _ = stop.send(true);
                            GateAnswer::NotYet
                        }
                    };
                    let _ = reply.send(Reply { gate: gate.id, said }).await;
                }
                Some(RunMessage::Planned(plan)) => {
                    if face.output == RunOutput::Text {
                        note(&report::plan::recorded(&plan));
                    }
                }
                Some(RunMessage::NoPlan(_) | RunMessage::Ended(_)) => {}
            }}
            signal = asked(&mut signals) => {
                if signal == Asked::Interrupt && *stop.borrow() {
                    complain("left at once; what is under way is in the journal, and `tidepilot runs resume` looks before it continues");
                    std::process::exit(i32::from(Exit::Paused.code()));
                }
                complain("stopping: what is under way is looked at once more, for a second or two; Ctrl-C again leaves at once");
                let _ = stop.send(true);
            }
        }
    }
    let end = driving.await.unwrap_or_else(|error| RunEnd {
        run: String::new(),
        code: Exit::Internal,
        sentence: format!("the driver broke: {error}; the journal has everything up to there"),
        ..RunEnd::default()
    });
    teller.ended(&end);
    (end, unused)
}

/// What was said of a wait: a connection that comes and goes must not print its two sentences for ever.
#[derive(Default)]
pub(super) struct Said {
    last: String,
    at: BTreeMap<String, Instant>,
}

impl Said {
    /// The last sentence is not said again, any other one once in a while.
    pub fn is_new(&mut self, sentence: &str, now: Instant) -> bool {
        if sentence == self.last {
            return false;
        }
        sentence.clone_into(&mut self.last);
        if self.at.get(sentence).is_some_and(|at| now.duration_since(*at) < SAY_AGAIN) {
            return false;
        }
        if self.at.len() >= MOST_SAID {
            self.at.clear();
        }
        self.at.insert(sentence.to_owned(), now);
        true
    }
}

/// What the flags answer.
pub(super) fn flagged(face: &FaceArgs, gate: &Gate, unused: &mut BTreeSet<String>) -> Option<GateAnswer> {
    match &gate.text {
        Some(text) if face.confirm.iter().any(|given| gate.takes(given)) => {
            unused.retain(|given| !gate.takes(given));
            Some(GateAnswer::Option { text: text.clone(), option: "--confirm" })
        }
        None if face.yes => Some(GateAnswer::Option { text: String::new(), option: "--yes" }),
        Some(_) | None => None,
    }
}

/// Where the run will stop for a person, since nothing that was given answers there.
pub(super) fn stops(plan: &Plan, face: &FaceArgs) -> Vec<String> {
    let mut gates = BTreeSet::new();
    let mut all = Vec::new();
    for step in plan.steps.iter().filter(|step| !step.already_so) {
        let (gate, needs) = match &step.confirm {
            Confirm::None => continue,
            Confirm::Plain { gate } if !face.yes => (gate, "--yes".to_owned()),
            Confirm::Typed { gate, text, short }
                if !face.confirm.iter().any(|given| answers(Some(text), short.as_deref(), given)) =>
            {
                (gate, format!("--confirm {}", quote(text)))
            }
            Confirm::Plain { .. } | Confirm::Typed { .. } => continue,
        };
        if gates.insert(gate.clone()) {
            all.push(format!("it will stop before {} and wait for a person ({needs} answers now)", step.id));
        }
    }
    all
}

/// Flags answer first; then a person, if there is one.
pub(super) async fn answer(face: &FaceArgs, gate: &Gate, by_flag: Option<GateAnswer>) -> GateAnswer {
    if let Some(said) = by_flag {
        return said;
    }
    if !face.asks() {
        return GateAnswer::NotYet;
    }
    loop {
        match prompted(&gate.question, gate.text.is_some()).await {
            GateAnswer::Text(given) if gate.text.is_some() && !gate.takes(&given) => {
                note(&format!("that is not {}\n", report::plain(gate.text.as_deref().unwrap_or_default())));
            }
            said => return said,
        }
    }
}

/// Asks the person at the terminal, until the answer is one. An empty line leaves the question open; `no` is an answer.
pub(super) async fn prompted(question: &str, typed: bool) -> GateAnswer {
    loop {
        forget_typed();
        note(&format!("{} {} ", report::plain(question), if typed { "(or no) >" } else { "[y/n, Enter: not yet]" }));
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|_| line)
        });
        let Ok(Ok(line)) = line.await else { return GateAnswer::NotYet };
        match said(&line, typed) {
            Some(said) => return said,
            None => note("answer y or n; Enter alone leaves the question open\n"),
        }
    }
}

/// What was typed before a question stands there answers nothing.
fn forget_typed() {
    use rustix::termios::{QueueSelector, tcflush};
    // Where that fails it is no terminal, and nobody types.
    let _ = tcflush(std::io::stdin(), QueueSelector::IFlush);
}

/// `None`: it is no answer to this question.
fn said(line: &str, typed: bool) -> Option<GateAnswer> {
    Some(match (typed, line.trim()) {
        (_, "") => GateAnswer::NotYet,
        (true, "no" | "n") => GateAnswer::No,
        (true, text) => GateAnswer::Text(text.to_owned()),
        (false, answer) => match answer.to_lowercase().as_str() {
            "y" | "yes" => GateAnswer::Text(String::new()),
            "n" | "no" => GateAnswer::No,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_answer_is_asked_again() {
        assert_eq!(said("maybe\n", false), None);
        assert_eq!(said("\n", false), Some(GateAnswer::NotYet));
        assert_eq!(said("Yes\n", false), Some(GateAnswer::Text(String::new())));
        assert_eq!(said("n\n", true), Some(GateAnswer::No));
        assert_eq!(said("basic\n", true), Some(GateAnswer::Text("basic".into())));
    }

    #[test]
    fn two_sentences_that_take_turns_are_said_once_a_minute() {
        let (mut said, begun) = (Said::default(), Instant::now());
        let mut printed = 0;
        for second in (0..180).step_by(2) {
            let sentence = if second % 4 == 0 { "waits for a second person" } else { "cannot be read (401)" };
            printed += usize::from(said.is_new(sentence, begun + Duration::from_secs(second)));
        }
        assert!((4..=6).contains(&printed), "{printed}");
        assert!(said.is_new("something else", begun));
    }
}
