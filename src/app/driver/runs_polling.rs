//! What is half done, here and in the clusters, of whomever: said when a console begins, and again and again.
//!
//! Not here: how open runs are found ([`super::open_runs`]), what a console makes of them (`app::update`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};

use super::approval_eligibility::Known;
use super::{Driver, local_runs};
use crate::app::message::Message;
use crate::runbook::run::open_run_status::{Drives, Standing};

/// Between two looks for open runs, while there are any or a TidbCluster moves; and at rest.
const RUNS_EVERY: Duration = Duration::from_secs(10);
const RUNS_AT_REST: Duration = Duration::from_secs(60);

/// No change of the fleet for so long: the first answers are in, those of PD too, which come a few round trips after the
/// lists. Longest wait for that.
const CALM: Duration = Duration::from_millis(100);
const IMPATIENT: Duration = Duration::from_millis(600);

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
        let runs = local_runs::standings(reading.runs_folder(), reading.lang());
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
pub(super) async fn look_for_runs(
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
        let began = super::now();
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
        if messages.send(Message::RunsLooked { began }).await.is_err() {
            return;
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
