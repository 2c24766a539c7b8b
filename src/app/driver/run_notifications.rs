//! What of a run is told to people elsewhere (`--notify`): that it waits for a person, and how it ended.
//!
//! Hears what the face hears and never answers. Not here: who is told and how (`client::notify`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::now;
use crate::app::exit_codes::Exit;
use crate::app::message::{RunEnd, RunMessage};
use crate::client::journal;
use crate::client::notify::Notifier;
use crate::client::notify::notification::{Kind, News};
use crate::runbook::plan::{Gate, Plan};
use crate::runbook::run::record::{Event, Record};
use crate::runbook::run::view::sentence;

/// How long a question may stand before somebody at the terminal is taken to have gone.
pub const UNANSWERED: Duration = Duration::from_secs(30);

/// Tells of one run.
#[derive(Default)]
pub struct RunTeller {
    notifier: Notifier,
    run: String,
    runbook: String,
    target: String,
    /// A record was written since: there is an end to tell of.
    moved: bool,
    waiting: Option<Waiting>,
}

/// A question that is told of, or will be.
struct Waiting {
    told: Arc<AtomicBool>,
    task: Option<JoinHandle<()>>,
}

impl RunTeller {
    /// Of a run that is begun.
    pub fn new(notifier: Notifier) -> Self {
        Self { notifier, ..Self::default() }
    }

    /// Of a run whose journal may be here.
    pub fn of(notifier: Notifier, folder: &Path, run: &str) -> Self {
        let mut teller = Self { notifier, run: run.to_owned(), ..Self::default() };
        if teller.notifier.is_on()
            && let Some(Event::RunOpened { plan, .. }) =
                journal::read(folder, run).unwrap_or_default().first().map(|record| &record.event)
        {
            teller.learn(plan);
        }
        teller
    }

    fn learn(&mut self, plan: &Plan) {
        plan.runbook.clone_into(&mut self.runbook);
        self.target = plan.target.to_string();
    }

    /// Hears what the face hears. Gates are the face's to tell of: it knows whether a flag answers.
    pub fn hear(&mut self, message: &RunMessage) {
        match message {
            RunMessage::Planned(plan) => self.learn(plan),
            RunMessage::Record(record) => self.record(record),
            RunMessage::NoPlan(_) | RunMessage::Gate(_) | RunMessage::Waiting(_) | RunMessage::Ended(_) => {}
        }
    }

    fn record(&mut self, record: &Record) {
        self.moved = true;
        self.passed();
        match &record.event {
            Event::RunOpened { run, plan, .. } => {
                run.clone_into(&mut self.run);
                self.learn(plan);
            }
            Event::AwaitsApproval { .. } => {
                let mut news = self.news(Kind::GateWaits, "medium", sentence(record));
                news.what_to_do = Some(format!("tidepilot runs approve {}", self.run));
                self.wait(news, Duration::ZERO);
            }
            _ => {}
        }
    }

    /// Nobody has answered this gate yet; told when that is still so `after` a while.
    pub fn waits(&mut self, gate: &Gate, after: Duration) {
        self.passed();
        self.wait(self.news(Kind::GateWaits, "medium", gate.question.clone()), after);
    }

    fn wait(&mut self, news: News, after: Duration) {
        if !self.notifier.is_on() {
            return;
        }
        let told = Arc::new(AtomicBool::new(after.is_zero()));
        if after.is_zero() {
            self.notifier.tell(&[news]);
            self.waiting = Some(Waiting { told, task: None });
            return;
        }
        let (notifier, mark) = (self.notifier.clone(), Arc::clone(&told));
        let task = tokio::spawn(async move {
            tokio::time::sleep(after).await;
            mark.store(true, Ordering::Release);
            notifier.tell(&[news]);
        });
        self.waiting = Some(Waiting { told, task: Some(task) });
    }

    /// What was waited for has come.
    fn passed(&mut self) {
        let Some(waiting) = self.waiting.take() else { return };
        if let Some(task) = waiting.task {
            task.abort();
        }
        if waiting.told.load(Ordering::Acquire) {
            // Under the same labels as it was told with.
            self.notifier.tell(&[self.news(Kind::GatePassed, "medium", "it goes on".to_owned())]);
        }
    }

    /// It ended, or stopped. What did not move was told of when it did.
    pub fn ended(&mut self, end: &RunEnd) {
        if !self.moved {
            return;
        }
        if end.code != Exit::AtGate {
            self.passed();
        }
        let mut news = self.news(Kind::RunEnded, severity(end), end.sentence.clone());
        news.exit_code = Some(end.code.code());
        news.what_to_do = end.ways.first().map(|way| way.command.to_string());
        self.notifier.tell(&[news]);
    }

    /// Waits until what is on its way is delivered, for a bounded time.
    pub async fn finish(&self) {
        self.notifier.end().await;
    }

    fn news(&self, kind: Kind, severity: &'static str, sentence: String) -> News {
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        News {
            kind,
            id: if kind == Kind::RunEnded { "run-ended" } else { "gate-waits" }.to_owned(),
            severity,
            at: now(),
            subject: some(&self.target).unwrap_or_else(|| "a run".to_owned()),
            sentence,
            what_to_do: None,
            database: None,
            run: some(&self.run),
            runbook: some(&self.runbook),
            exit_code: None,
        }
    }
}

fn severity(end: &RunEnd) -> &'static str {
    match end.code {
        Exit::Done | Exit::Undone | Exit::Changes => "info",
        Exit::Paused if end.asked => "low",
        Exit::AtGate | Exit::AnotherRun | Exit::Foreign | Exit::Refused => "medium",
        Exit::Internal | Exit::Paused | Exit::NotGood => "high",
    }
}
