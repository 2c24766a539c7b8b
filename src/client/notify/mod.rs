//! `--notify`: tells people who do not sit at a terminal. Never holds anything up: news go into a bounded queue of each
//! receiver, a task of its own delivers them with bounded tries, and one line says what could not be delivered.
//!
//! Not here: what is worth telling (`app/driver/run_notifications.rs`, `cli/notify.rs`). Neighbours: [`notification`] (what is told),
//! [`receiver`] (to whom), [`payloads`] (in which form), [`delivery`] (how often and with which pauses it is tried, and one try).

mod delivery;
pub mod notification;
pub mod payloads;
pub mod receiver;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use delivery::{Order, Sender, WAITING, deliver, lost};
use notification::News;
use receiver::Receiver;

/// How long the end of a process waits for what is on its way.
pub const GRACE: Duration = Duration::from_secs(5);

/// Says one line.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

struct Line {
    receiver: Receiver,
    orders: mpsc::Sender<Order>,
    dropped: Arc<AtomicUsize>,
}

/// Tells everybody who was named. Cheap to clone; without receivers it does nothing.
#[derive(Clone, Default)]
pub struct Notifier(Option<Arc<Inner>>);

struct Inner {
    lines: Vec<Line>,
    say: Say,
}

impl Notifier {
    /// Begins to deliver to these. Needs a runtime of tokio.
    pub fn new(receivers: Vec<Receiver>, say: Say) -> Self {
        if receivers.is_empty() {
            return Self::default();
        }
        let lines = receivers.into_iter().map(|receiver| {
            let (orders, queue) = mpsc::channel(WAITING);
            let dropped = Arc::new(AtomicUsize::new(0));
            tokio::spawn(deliver(Sender::new(receiver.clone()), queue, Arc::clone(&dropped), Arc::clone(&say)));
            Line { receiver, orders, dropped }
        });
        Self(Some(Arc::new(Inner { lines: lines.collect(), say })))
    }

    /// Whether there is anybody to tell.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Puts it into every queue, and returns at once. What finds a full queue is counted as not delivered.
    pub fn tell(&self, news: &[News]) {
        for line in self.0.iter().flat_map(|inner| &inner.lines) {
            let keeps = line.receiver.keeps_state();
            let own: Vec<News> = news.iter().filter(|one| keeps || one.kind.is_message()).cloned().collect();
            if !own.is_empty() && line.orders.try_send(Order::Tell(own)).is_err() {
                line.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits until everything is delivered or given up, for [`GRACE`] at most.
    pub async fn end(&self) {
        let Some(inner) = &self.0 else { return };
        let waiting = inner.lines.iter().map(|line| async {
            let ended = async {
                let (done, ended) = oneshot::channel();
                if line.orders.send(Order::End(done)).await.is_ok() {
                    let _ = ended.await;
                }
            };
            if tokio::time::timeout(GRACE, ended).await.is_err() {
                let to = line.receiver.shown();
                lost(&inner.say, &to, &format!("it took nothing within {} s of the end", GRACE.as_secs()));
            }
        });
        futures::future::join_all(waiting).await;
    }
}
