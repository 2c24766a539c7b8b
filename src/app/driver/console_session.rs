//! The console's other half: its effects in, watched changes and a run's news out, on one ordered channel.
//!
//! Not here: what a key does (`app::update`), the terminal (`console`). One run at a time; plans and runs are tasks,
//! so that nothing ever waits for a cluster before the next message.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::approve::Asked;
use super::logs_and_events;
use super::port_forwards::Forwards;
use super::run_notifications::{RunTeller, UNANSWERED};
use super::runs_polling::look_for_runs;
use super::save_to_file;
use super::shells::{Attached, attach};
use super::{Driver, GateAnswer, Reply, RunChannels};
use crate::app::exit_codes::Exit;
use crate::app::message::{ApprovalNews, Effect, Message, RunEnd, RunMessage};
use crate::client::assemble;
use crate::client::journal;
use crate::client::kube::watch::watch as watch_clusters;
use crate::fleet::closer_look::Extras;
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::Pod;
use crate::fleet::{Change, What};
use crate::runbook::plan::Plan;
use crate::runbook::plan::overrule::Accepted;
use crate::runbook::recorded_text_translation;
use crate::runbook::run::pause_choices::Resolution;

/// Longest wait for a run to come to a safe stop when the console closes; its journal is safe either way.
const LAST_WAIT: Duration = Duration::from_secs(20);

/// The run under way.
struct Driving {
    replies: mpsc::Sender<Reply>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A task of which only the newest counts: an older one must not answer over it, nor take the terminal later.
#[derive(Default)]
struct Newest(Option<JoinHandle<()>>);

impl Newest {
    fn put(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.stop();
        self.0 = Some(tokio::spawn(task));
    }

    fn stop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

/// What a session has under way.
struct Session {
    driver: Driver,
    messages: mpsc::Sender<Message>,
    shells: mpsc::Sender<Attached>,
    /// Asks for a look at the open runs.
    look: watch::Sender<()>,
    driving: Option<Driving>,
    planning: Newest,
    foreseeing: Newest,
    closer: Newest,
    counting: Newest,
    attaching: Newest,
    reading: Newest,
    recalling: Newest,
    close: Option<logs_and_events::Looking>,
    forwards: Forwards,
    approving: tokio::task::JoinSet<()>,
    /// What this person was shown last: an approval is of that, whatever the record says by then.
    shown: Arc<Mutex<Option<Asked>>>,
}

/// Serves one console session until [`Effect::Quit`] or the end of `effects`.
///
/// `shells`: where an open shell goes, to be lent the terminal.
pub async fn session(
    driver: Driver,
    messages: mpsc::Sender<Message>,
    mut effects: mpsc::Receiver<Effect>,
    shells: mpsc::Sender<Attached>,
) {
    let (changes, changed) = mpsc::channel(256);
    let watching = watch_clusters(&driver.links, changes);
    let moving = Arc::new(Notify::new());
    let (hears, heard) = watch::channel(0);
    let forwarding = tokio::spawn(forward(changed, messages.clone(), hears, Arc::clone(&moving)));
    let telling = tokio::spawn(super::connection_stats::tell(driver.links.clone(), messages.clone()));
    let (look, looks) = watch::channel(());
    let looking = tokio::spawn(look_for_runs(driver.clone(), messages.clone(), looks, (moving, heard)));
    let mut session = Session {
        driver,
        messages,
        shells,
        look,
        driving: None,
        planning: Newest::default(),
        foreseeing: Newest::default(),
        closer: Newest::default(),
        counting: Newest::default(),
        attaching: Newest::default(),
        reading: Newest::default(),
        recalling: Newest::default(),
        close: None,
        forwards: Forwards::default(),
        approving: tokio::task::JoinSet::new(),
        shown: Arc::default(),
    };
    while let Some(effect) = effects.recv().await {
        match effect {
            Effect::Quit => break,
            Effect::Refresh => watching.refresh(),
            effect => session.serve(effect).await,
        }
    }
    session.end(&forwarding).await;
    looking.abort();
    telling.abort();
    drop(watching);
}

/// Hands on what is seen of the fleet, and wakes who waits for it to move.
async fn forward(
    mut changed: mpsc::Receiver<Change>,
    messages: mpsc::Sender<Message>,
    hears: watch::Sender<u64>,
    moves: Arc<Notify>,
) {
    while let Some(change) = changed.recv().await {
        hears.send_modify(|count| *count += 1);
        if matches!(change.what, What::TidbCluster(_)) {
            moves.notify_one();
        }
        if messages.send(Message::Fleet(change)).await.is_err() {
            break;
        }
    }
}

impl Session {
    async fn serve(&mut self, effect: Effect) {
        match effect {
            // The terminal copies by itself, and puts a view into words; the end and the watches are the loop's.
            Effect::Copy(_) | Effect::Save | Effect::Quit | Effect::Refresh => {}
            Effect::Write { name, text } => {
                let (level, sentence) = save_to_file::write(&name, &text).await;
                self.say(Message::Said(level, sentence)).await;
            }
            Effect::LookCloser => {
                self.closer.put(look_closer(self.driver.clone(), self.messages.clone()));
            }
            Effect::CountRegions { context, pod, tidb_cluster } => {
                let (driver, messages) = (self.driver.clone(), self.messages.clone());
                self.counting.put(count_regions(driver, messages, context, pod, tidb_cluster));
            }
            Effect::Closeup { id, ask } => {
                // What is no longer in sight is no longer asked for.
                drop(self.close.take());
                self.close = ask.map(|ask| logs_and_events::begin(&self.driver, id, &ask, &self.messages));
            }
            Effect::Forward { id, of, port, here } => {
                self.forwards.begin(&self.driver, id, (&of, port, here), &self.messages).await;
            }
            Effect::Shell { of, container } => {
                let (driver, messages, shells) = (self.driver.clone(), self.messages.clone(), self.shells.clone());
                self.attaching.put(async move { attach(&driver, &of, &container, &shells, &messages).await });
            }
            Effect::EndForward { id } => self.forwards.end(id),
            Effect::Seal => self.driver.links.iter().for_each(|link| link.seal()),
            Effect::ListRuns => self.look.send_replace(()),
            Effect::ReadRun { run } => self.recall(run),
            Effect::Foresee { id, runbook, inputs } => {
                self.foreseeing.put(foresee(self.driver.clone(), self.messages.clone(), id, runbook, inputs));
            }
            Effect::Plan { runbook, inputs, accepted } => {
                self.foreseeing.stop();
                self.planning.put(plan(self.driver.clone(), self.messages.clone(), (runbook, inputs, accepted)));
            }
            Effect::Start(_) | Effect::Resume { .. }
                if self.driving.as_ref().is_some_and(|d| !d.task.is_finished()) =>
            {
                let sentence =
                    "a run is under way in this console already, one at a time: `:progress` shows it, p there pauses it"
                        .to_owned();
                self.say(Message::Fault(sentence)).await;
            }
            Effect::Start(plan) => self.start(*plan),
            Effect::Resume { run, wish } => self.resume(run, wish).await,
            Effect::Answer { gate, text } => self.reply(gate, GateAnswer::Text(text.unwrap_or_default())).await,
            Effect::Decline { gate } => self.reply(gate, GateAnswer::No).await,
            Effect::AskApproval { run } => self.ask_approval(run),
            Effect::Approve { run, question } => self.approve(run, &question),
            Effect::PauseRun => {
                if let Some(driving) = &self.driving {
                    let _ = driving.stop.send(true);
                }
            }
        }
    }

    async fn say(&self, message: Message) {
        let _ = self.messages.send(message).await;
    }

    fn start(&mut self, plan: Plan) {
        let driver = self.driver.clone();
        let teller = RunTeller::new(driver.notifier.clone());
        self.driving = Some(begin_run(&self.look, &self.messages, teller, move |channels| async move {
            driver.start(plan, channels).await
        }));
    }

    async fn resume(&mut self, run: String, wish: Option<Resolution>) {
        let driver = self.driver.clone();
        // What happened before belongs to the picture.
        let before = journal::read(driver.runs_folder(), &run).unwrap_or_default();
        for record in recorded_text_translation::records(&before, driver.lang()).into_owned() {
            self.say(Message::Run(RunMessage::Record(Box::new(record)))).await;
        }
        let teller = RunTeller::of(driver.notifier.clone(), driver.runs_folder(), &run);
        self.driving = Some(begin_run(&self.look, &self.messages, teller, move |channels| async move {
            driver.resume_with(&run, wish.as_ref(), channels).await
        }));
    }

    async fn reply(&self, gate: String, said: GateAnswer) {
        if let Some(driving) = &self.driving {
            let _ = driving.replies.send(Reply { gate, said }).await;
        }
    }

    /// Reads the whole journal of a run.
    fn recall(&mut self, run: String) {
        let (driver, messages) = (self.driver.clone(), self.messages.clone());
        self.recalling.put(async move {
            let read = driver.whole_run(&run).await.map(Box::new);
            let _ = messages.send(Message::WholeRun { run, read }).await;
        });
    }

    fn ask_approval(&mut self, run: String) {
        let (driver, messages, shown) = (self.driver.clone(), self.messages.clone(), self.shown.clone());
        self.reading.put(async move {
            let asked = driver.asked(&run).await.map_err(|(_, sentence)| sentence);
            *shown.lock().unwrap_or_else(PoisonError::into_inner) = asked.as_ref().ok().cloned();
            let asked = asked.map(|asked| Box::new(asked.shown));
            let _ = messages.send(Message::Approval(ApprovalNews::Asked { run, asked })).await;
        });
    }

    fn approve(&mut self, run: String, question: &str) {
        let asked = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let asked = asked.filter(|asked| asked.shown.wanted.run == run && asked.shown.question() == question);
        let (driver, messages) = (self.driver.clone(), self.messages.clone());
        self.approving.spawn(async move {
            let said = match asked {
                Some(asked) => driver.approve(&asked).await.map_err(|(_, sentence)| sentence),
                None => Err("what is to be approved is not what was shown last; nothing was sent".to_owned()),
            };
            let _ = messages.send(Message::Approval(ApprovalNews::Given { run, said })).await;
        });
    }

    /// The run comes to a safe stop, and an approval that is on its way is not cut off half sent.
    async fn end(&mut self, forwarding: &JoinHandle<()>) {
        let driving = self.driving.take();
        if let Some(driving) = &driving {
            let _ = driving.stop.send(true);
        }
        // The console no longer reads; its channel must not hold the run back.
        forwarding.abort();
        if let Some(driving) = driving {
            let _ = tokio::time::timeout(LAST_WAIT, driving.task).await;
        }
        let _ = tokio::time::timeout(LAST_WAIT, std::mem::take(&mut self.approving).join_all()).await;
        self.attaching.stop();
        self.foreseeing.stop();
    }
}

/// Everything that is looked at only when asked for.
async fn look_closer(driver: Driver, messages: mpsc::Sender<Message>) {
    // Of a look of its own; only what it adds goes on, so that no watch is overtaken.
    let fleet = assemble(driver.links.look(None).await);
    for change in driver.links.closer(&fleet, &Extras::all()).await {
        if messages.send(Message::Fleet(change)).await.is_err() {
            break;
        }
    }
}

async fn count_regions(
    driver: Driver,
    messages: mpsc::Sender<Message>,
    context: String,
    pod: Box<Pod>,
    tidb_cluster: Option<Box<TidbCluster>>,
) {
    if let Some(change) = driver.links.count_regions(&context, &pod, tidb_cluster.as_deref()).await {
        let _ = messages.send(Message::Fleet(change)).await;
    }
}

async fn plan(
    driver: Driver,
    messages: mpsc::Sender<Message>,
    (runbook, inputs, accepted): (String, BTreeMap<String, String>, Accepted),
) {
    let news = match driver.plan_accepting(&runbook, &inputs, &accepted, true).await {
        Ok(plan) => RunMessage::Planned(Box::new(plan)),
        Err(sentence) => RunMessage::NoPlan(sentence),
    };
    let _ = messages.send(Message::Run(news)).await;
}

/// Nothing is asked before whoever types has paused for so long.
const TYPING: Duration = Duration::from_millis(400);

/// What would follow from the values of a form, from reads alone.
async fn foresee(
    driver: Driver,
    messages: mpsc::Sender<Message>,
    id: u64,
    runbook: String,
    inputs: BTreeMap<String, String>,
) {
    tokio::time::sleep(TYPING).await;
    let plan = driver.plan(&runbook, &inputs, false).await.map(Box::new);
    let _ = messages.send(Message::Foreseen { id, plan }).await;
}

fn begin_run<F, Drive>(
    look: &watch::Sender<()>,
    messages: &mpsc::Sender<Message>,
    mut teller: RunTeller,
    start: F,
) -> Driving
where
    F: FnOnce(RunChannels) -> Drive + Send + 'static,
    Drive: Future<Output = RunEnd> + Send + 'static,
{
    let (news, mut heard) = mpsc::channel(64);
    let (replies, replied) = mpsc::channel(4);
    let (stop, stopped) = watch::channel(false);
    let (messages, look) = (messages.clone(), look.clone());
    let task = tokio::spawn(async move {
        let running = tokio::spawn(start(RunChannels { news, replies: replied, stop: stopped }));
        while let Some(news) = heard.recv().await {
            match &news {
                RunMessage::Gate(gate) => teller.waits(gate, UNANSWERED),
                other => teller.hear(other),
            }
            // A closed console does not stop the run.
            let _ = messages.send(Message::Run(news)).await;
        }
        let end = running.await.unwrap_or_else(|error| RunEnd {
            run: String::new(),
            code: Exit::Internal,
            sentence: format!("the driver broke: {error}; the journal has everything up to there"),
            ..RunEnd::default()
        });
        teller.ended(&end);
        let _ = messages.send(Message::Run(RunMessage::Ended(end))).await;
        look.send_replace(());
    });
    Driving { replies, stop, task }
}
