//! The console's other half: its effects in, watched changes and a run's news out, on one ordered channel.
//!
//! Not here: what a key does (`app::update`), the terminal (`console`). One run at a time; plans and runs are tasks,
//! so that nothing ever waits for a cluster before the next message.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::approve::Asked;
use super::closeup;
use super::forwards::Forwards;
use super::saved;
use super::shells::{Attached, attach};
use super::telling::{RunTeller, UNANSWERED};
use super::turns::Known;
use super::{Driver, GateAnswer, Reply, RunChannels, journals};
use crate::app::exit::Exit;
use crate::app::message::{ApprovalNews, Effect, Message, RunEnd, RunMessage};
use crate::client::assemble;
use crate::client::journal;
use crate::client::kube::watch::watch as watch_clusters;
use crate::fleet::What;
use crate::fleet::extras::Extras;
use crate::runbook::reworded;
use crate::runbook::run::standing::{Drives, Standing};

/// Longest wait for a run to come to a safe stop when the console closes; its journal is safe either way.
const LAST_WAIT: Duration = Duration::from_secs(20);

/// Between two looks for open runs, while there are any or a TidbCluster moves; and at rest.
const RUNS_EVERY: Duration = Duration::from_secs(10);
const RUNS_AT_REST: Duration = Duration::from_secs(60);

/// The run under way.
struct Driving {
    replies: mpsc::Sender<Reply>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
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
    let (changes, mut changed) = mpsc::channel(256);
    let watching = watch_clusters(&driver.links, changes);
    let forward = messages.clone();
    let moving = Arc::new(Notify::new());
    let moves = Arc::clone(&moving);
    let (hears, heard) = watch::channel(0);
    let forwarding = tokio::spawn(async move {
        while let Some(change) = changed.recv().await {
            hears.send_modify(|count| *count += 1);
            if matches!(change.what, What::TidbCluster(_)) {
                moves.notify_one();
            }
            if forward.send(Message::Fleet(change)).await.is_err() {
                break;
            }
        }
    });
    let telling = tokio::spawn(super::weather::tell(driver.links.clone(), messages.clone()));
    let say = |message| messages.send(message);
    let (look, looks) = watch::channel(());
    let looking = tokio::spawn(look_for_runs(driver.clone(), messages.clone(), looks, (moving, heard)));
    let mut driving: Option<Driving> = None;
    let mut planning: Option<JoinHandle<()>> = None;
    let mut foreseeing: Option<JoinHandle<()>> = None;
    let mut closer: Option<JoinHandle<()>> = None;
    // What this person was shown last: an approval is of that, whatever the record says by then.
    let shown: Arc<Mutex<Option<Asked>>> = Arc::default();
    let mut close: Option<closeup::Looking> = None;
    let mut forwards = Forwards::default();
    let mut attaching: Option<JoinHandle<()>> = None;
    let mut reading: Option<JoinHandle<()>> = None;
    let mut approving = tokio::task::JoinSet::new();
    while let Some(effect) = effects.recv().await {
        match effect {
            Effect::Quit => break,
            // The terminal copies by itself, and puts a view into words.
            Effect::Copy(_) | Effect::Save => {}
            Effect::Write { name, text } => {
                let (level, sentence) = saved::write(&name, &text).await;
                let _ = say(Message::Said(level, sentence)).await;
            }
            Effect::Refresh => watching.refresh(),
            Effect::LookCloser => {
                let (links, messages) = (driver.links.clone(), messages.clone());
                if let Some(older) = closer.take() {
                    older.abort();
                }
                closer = Some(tokio::spawn(async move {
                    // Of a look of its own; only what it adds goes on, so that no watch is overtaken.
                    let fleet = assemble(links.look(None).await);
                    for change in links.closer(&fleet, &Extras::all()).await {
                        if messages.send(Message::Fleet(change)).await.is_err() {
                            break;
                        }
                    }
                }));
            }
            Effect::Closeup { id, ask } => {
                // What is no longer in sight is no longer asked for.
                drop(close.take());
                close = ask.map(|ask| closeup::begin(&driver, id, &ask, &messages));
            }
            Effect::Forward { id, of, port, here } => forwards.begin(&driver, id, (&of, port, here), &messages).await,
            Effect::Shell { of, container } => {
                // Only the newest counts: one that hangs on its way must not take the terminal later.
                let (driver, messages, shells) = (driver.clone(), messages.clone(), shells.clone());
                if let Some(older) = attaching.take() {
                    older.abort();
                }
                attaching =
                    Some(tokio::spawn(async move { attach(&driver, &of, &container, &shells, &messages).await }));
            }
            Effect::EndForward { id } => forwards.end(id),
            Effect::Seal => driver.links.iter().for_each(|link| link.seal()),
            Effect::ListRuns => look.send_replace(()),
            Effect::Foresee { id, runbook, inputs } => {
                stop(&mut foreseeing);
                foreseeing = Some(tokio::spawn(foresee(driver.clone(), messages.clone(), id, runbook, inputs)));
            }
            Effect::Plan { runbook, inputs, accepted } => {
                stop(&mut foreseeing);
                let (driver, messages) = (driver.clone(), messages.clone());
                // Only the newest request counts: an older plan must not be shown over it.
                if let Some(older) = planning.take() {
                    older.abort();
                }
                planning = Some(tokio::spawn(async move {
                    let news = match driver.plan_accepting(&runbook, &inputs, &accepted, true).await {
                        Ok(plan) => RunMessage::Planned(Box::new(plan)),
                        Err(sentence) => RunMessage::NoPlan(sentence),
                    };
                    let _ = messages.send(Message::Run(news)).await;
                }));
            }
            Effect::Start(_) | Effect::Resume { .. } if driving.as_ref().is_some_and(|d| !d.task.is_finished()) => {
                let sentence = "a run is under way in this console already; one at a time".to_owned();
                let _ = say(Message::Fault(sentence)).await;
            }
            Effect::Start(plan) => {
                let begin = driver.clone();
                let teller = RunTeller::new(driver.notifier.clone());
                driving =
                    Some(begin_run(
                        &look,
                        &messages,
                        teller,
                        move |ears| async move { begin.start(*plan, ears).await },
                    ));
            }
            Effect::Resume { run, wish } => {
                // What happened before belongs to the picture.
                let before = journal::read(driver.runs_folder(), &run).unwrap_or_default();
                for record in reworded::records(&before, driver.lang()).into_owned() {
                    let _ = say(Message::Run(RunMessage::Record(Box::new(record)))).await;
                }
                let teller = RunTeller::of(driver.notifier.clone(), driver.runs_folder(), &run);
                let begin = driver.clone();
                driving = Some(begin_run(&look, &messages, teller, move |ears| async move {
                    begin.resume_with(&run, wish.as_ref(), ears).await
                }));
            }
            Effect::Answer { gate, text } => {
                if let Some(driving) = &driving {
                    let reply = Reply { gate, said: GateAnswer::Text(text.unwrap_or_default()) };
                    let _ = driving.replies.send(reply).await;
                }
            }
            Effect::AskApproval { run } => {
                if let Some(older) = reading.take() {
                    older.abort();
                }
                let (driver, messages, shown) = (driver.clone(), messages.clone(), shown.clone());
                reading = Some(tokio::spawn(async move {
                    let asked = driver.asked(&run).await.map_err(|(_, sentence)| sentence);
                    *shown.lock().unwrap_or_else(PoisonError::into_inner) = asked.as_ref().ok().cloned();
                    let asked = asked.map(|asked| Box::new(asked.shown));
                    let _ = messages.send(Message::Approval(ApprovalNews::Asked { run, asked })).await;
                }));
            }
            Effect::Approve { run, question } => {
                let asked = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let asked = asked.filter(|asked| asked.shown.wanted.run == run && asked.shown.question() == question);
                let (driver, messages) = (driver.clone(), messages.clone());
                approving.spawn(async move {
                    let said = match asked {
                        Some(asked) => driver.approve(&asked).await.map_err(|(_, sentence)| sentence),
                        None => Err("what is to be approved is not what was shown last; nothing was sent".to_owned()),
                    };
                    let _ = messages.send(Message::Approval(ApprovalNews::Given { run, said })).await;
                });
            }
            Effect::Decline { gate } => {
                if let Some(driving) = &driving {
                    let _ = driving.replies.send(Reply { gate, said: GateAnswer::No }).await;
                }
            }
            Effect::PauseRun => {
                if let Some(driving) = &driving {
                    let _ = driving.stop.send(true);
                }
            }
        }
    }
    if let Some(driving) = driving {
        let _ = driving.stop.send(true);
        // The console no longer reads; its channel must not hold the run back.
        forwarding.abort();
        let _ = tokio::time::timeout(LAST_WAIT, driving.task).await;
    }
    // An approval that is on its way is not cut off half sent.
    forwarding.abort();
    let _ = tokio::time::timeout(LAST_WAIT, approving.join_all()).await;
    if let Some(attaching) = attaching {
        attaching.abort();
    }
    stop(&mut foreseeing);
    looking.abort();
    telling.abort();
    drop(watching);
}

fn stop(task: &mut Option<JoinHandle<()>>) {
    if let Some(task) = task.take() {
        task.abort();
    }
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

/// No change of the fleet for so long: the first answers are in. Longest wait for that.
const CALM: Duration = Duration::from_millis(30);
const IMPATIENT: Duration = Duration::from_millis(300);

/// Says what this machine has: runbooks, and its own runs. Reading them takes more of a processor than all first answers of the
/// clusters, so that these come first. `changes`: counts what was heard of the fleet.
async fn introduce(driver: &Driver, messages: &mpsc::Sender<Message>, mut changes: watch::Receiver<u64>) {
    let first_answers = async {
        let _ = changes.changed().await;
        while tokio::time::timeout(CALM, changes.changed()).await.is_ok_and(|changed| changed.is_ok()) {}
    };
    let _ = tokio::time::timeout(IMPATIENT, first_answers).await;
    let reading = driver.clone();
    let read = move || {
        let runs = journals::standings(reading.runs_folder(), reading.lang());
        let (runbooks, broken) = reading.runbooks();
        [Message::Runbooks(runbooks), Message::BrokenRunbooks(broken), Message::Runs(runs)]
    };
    let Ok(all) = tokio::task::spawn_blocking(read).await else { return };
    for message in all {
        let _ = messages.send(message).await;
    }
}

/// Says again and again, and whenever asked, what is half done: here, and in the clusters, of whomever.
///
/// A run of somebody else begins with a change of a TidbCluster, so that at rest there is hardly a reason to look.
async fn look_for_runs(
    driver: Driver,
    messages: mpsc::Sender<Message>,
    mut asked: watch::Receiver<()>,
    (moving, changes): (Arc<Notify>, watch::Receiver<u64>),
) {
    introduce(&driver, &messages, changes).await;
    let mut last = None;
    let mut renewals: BTreeMap<String, (String, Instant)> = BTreeMap::new();
    let mut known = Known::default();
    loop {
        let mut runs = driver.open_work(None).await.runs;
        runs.iter_mut().for_each(|run| watch_renewal(run, &mut renewals, Instant::now()));
        driver.note_turns(&mut runs, &mut known).await;
        // A list that is as it was draws nothing anew.
        if last.as_ref() != Some(&runs) {
            if messages.send(Message::Runs(runs.clone())).await.is_err() {
                return;
            }
            last = Some(runs);
        }
        let looked = tokio::time::Instant::now();
        let open = last.iter().flatten().any(|run| run.open);
        tokio::select! {
            () = tokio::time::sleep(if open { RUNS_EVERY } else { RUNS_AT_REST }) => {}
            // Not more often for a TidbCluster that changes without pause.
            () = async {
                moving.notified().await;
                tokio::time::sleep_until(looked + RUNS_EVERY).await;
            } => {}
            again = asked.changed() => {
                if again.is_err() {
                    return;
                }
            }
        }
    }
}

/// A lease that does not move for as long as it lives is held by a process that is gone, or stopped.
fn watch_renewal(run: &mut Standing, seen: &mut BTreeMap<String, (String, Instant)>, now: Instant) {
    let (Some((renewed, duration_s)), Drives::Holds(who)) = (run.renewed.take(), run.drives.clone()) else {
        seen.remove(&run.run);
        return;
    };
    let (before, since) = seen.entry(run.run.clone()).or_insert_with(|| (renewed.clone(), now));
    if *before != renewed {
        (*before, *since) = (renewed, now);
    } else if now.duration_since(*since) > Duration::from_secs(duration_s) {
        run.driven(Drives::Gone(who));
    }
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
