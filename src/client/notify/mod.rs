//! `--notify`: tells people who do not sit at a terminal. Never holds anything up: news go into a bounded queue of each
//! receiver, a task of its own delivers them with bounded tries, and one line says what could not be delivered.
//!
//! Not here: what is worth telling (`app/driver/run_notifications.rs`, `cli/notify.rs`). Neighbours: [`notification`] (what is told),
//! [`receiver`] (to whom), [`payloads`] (in which form), [`delivery`] (one try).

mod delivery;
pub mod notification;
pub mod payloads;
pub mod receiver;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use delivery::Sender;
use notification::News;
use receiver::Receiver;

/// Bundles that wait for one receiver.
const WAITING: usize = 64;
/// Tries of one bundle, and the first pause between two; each further pause is twice as long.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(250);
/// How long the end of a process waits for what is on its way.
pub const GRACE: Duration = Duration::from_secs(5);

/// Says one line.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

enum Order {
    Tell(Vec<News>),
    /// Answered when everything before it is delivered or given up.
    End(oneshot::Sender<()>),
}

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

fn lost(say: &Say, to: &str, why: &str) {
    tracing::warn!(to, why, "notification not delivered");
    say(&format!("warning: a notification could not be delivered to {to}: {why}"));
}

/// Delivers one after the other until nobody can order any more.
async fn deliver(mut sender: Sender, mut queue: mpsc::Receiver<Order>, dropped: Arc<AtomicUsize>, say: Say) {
    let to = sender.receiver().shown();
    while let Some(order) = queue.recv().await {
        match order {
            Order::Tell(news) => match try_for_a_while(&mut sender, &news).await {
                Ok(tries) => tracing::info!(to, tries, news = news.len(), "notified"),
                Err(why) => lost(&say, &to, &why),
            },
            Order::End(done) => {
                // Nobody listens where the grace is over.
                let _ = done.send(());
            }
        }
        match dropped.swap(0, Ordering::Relaxed) {
            0 => {}
            count => lost(&say, &to, &format!("{count} found its queue full")),
        }
    }
}

/// Tries until it is taken; gives how many tries that took. `Err`: why the last one failed.
async fn try_for_a_while(sender: &mut Sender, news: &[News]) -> Result<u32, String> {
    let (mut pause, mut tries) = (PAUSE, 1);
    loop {
        match sender.send(news).await {
            Ok(()) => return Ok(tries),
            Err(failed) if failed.again && tries < TRIES => {
                tokio::time::sleep(pause).await;
                pause *= 2;
                tries += 1;
            }
            Err(failed) if tries == 1 => return Err(failed.why),
            Err(failed) => return Err(format!("{}, also when tried again", failed.why)),
        }
    }
}
