//! Delivers what waits for one receiver: how many bundles may wait, how often and with which pauses one is tried, and one try, an
//! HTTP request or a command, bounded in time. What failed is said without the address and without what was answered: either
//! may hold what is nobody's business.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[cfg(unix)]
use process_wrap::tokio::ProcessSession;
use process_wrap::tokio::{KillOnDrop, TokioCommandWrap};
use reqwest::{Client, StatusCode, Url, header, redirect};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{mpsc, oneshot};

use super::Say;
use super::notification::News;
use super::payloads;
use super::receiver::Receiver;
use crate::client::kube::exec_plugin::Group;

/// Bundles that wait for one receiver.
pub const WAITING: usize = 64;
/// Tries of one bundle, and the first pause between two; each further pause is twice as long.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(250);
/// Longest time of one try.
const TRY: Duration = Duration::from_secs(10);

/// What one receiver's task is to do.
pub enum Order {
    Tell(Vec<News>),
    /// Answered when everything before it is delivered or given up.
    End(oneshot::Sender<()>),
}

/// Says that something was not delivered, and why.
pub fn lost(say: &Say, to: &str, why: &str) {
    tracing::warn!(to, why, "notification not delivered");
    say(&format!("warning: a notification could not be delivered to {to}: {why}"));
}

/// Delivers one after the other until nobody can order any more.
pub async fn deliver(mut sender: Sender, mut queue: mpsc::Receiver<Order>, dropped: Arc<AtomicUsize>, say: Say) {
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

/// Why it was not taken; the end of a sentence.
#[derive(Debug)]
pub struct Failed {
    pub why: String,
    /// Whether it may be taken later.
    pub again: bool,
}

fn failed(why: impl Into<String>) -> Failed {
    Failed { why: why.into(), again: true }
}

/// Who sends to this receiver.
pub struct Sender {
    receiver: Receiver,
    client: Option<Client>,
}

impl Sender {
    pub fn new(receiver: Receiver) -> Self {
        Self { receiver, client: None }
    }

    pub fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// Sends it once.
    pub async fn send(&mut self, news: &[News]) -> Result<(), Failed> {
        match self.receiver.clone() {
            Receiver::Alertmanager(url) => self.post(url, &payloads::alerts(news)).await,
            Receiver::Chat(url) => self.post(url, &payloads::chat(news)).await,
            Receiver::Command(command) => {
                let document = payloads::document(news).to_string() + "\n";
                match tokio::time::timeout(TRY, hand_to(&command, &document)).await {
                    Ok(ended) => ended,
                    Err(_) => Err(failed(format!("it took longer than {} s and was ended", TRY.as_secs()))),
                }
            }
        }
    }

    async fn post(&mut self, url: Url, body: &Value) -> Result<(), Failed> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => self.client.insert(client()?).clone(),
        };
        let request = client.post(url).header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        let answer = request.send().await.map_err(|error| {
            failed(match (error.is_timeout(), error.is_connect()) {
                (true, _) => format!("no answer within {} s", TRY.as_secs()),
                (false, true) => "it cannot be reached".to_owned(),
                (false, false) => "the connection broke".to_owned(),
            })
        })?;
        let status = answer.status();
        match status.is_success() {
            true => Ok(()),
            // What is refused as it is will be refused again.
            false => Err(Failed {
                why: format!("it answered {status}"),
                again: status.is_server_error()
                    || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status),
            }),
        }
    }
}

fn client() -> Result<Client, Failed> {
    // A redirect would carry what is said, and to whom, somewhere else.
    Client::builder()
        .timeout(TRY)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("tidepilot/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|_| Failed { why: "no HTTPS client can be made on this machine".to_owned(), again: false })
}

/// Runs a person's own command with the document as its standard input. What it prints would stand in the middle of what
/// this process prints, so it goes nowhere.
async fn hand_to(command: &str, document: &str) -> Result<(), Failed> {
    let mut wrapped = TokioCommandWrap::with_new("sh", |sh| {
        sh.args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    });
    // A session of its own: Ctrl-C at a run's terminal is not for it, and all of it ends together.
    #[cfg(unix)]
    wrapped.wrap(ProcessSession);
    wrapped.wrap(KillOnDrop);
    let mut child = wrapped.spawn().map_err(|error| failed(format!("it could not be started: {}", error.kind())))?;
    // The shell's children too, also when it is given up or this process ends.
    let _group = Group::of(child.id());
    if let Some(mut input) = child.stdin().take() {
        // Whoever does not read all of it may do so.
        let _ = input.write_all(document.as_bytes()).await;
    }
    let status = Box::into_pin(child.wait()).await.map_err(|error| failed(format!("it was lost: {}", error.kind())))?;
    if status.success() { Ok(()) } else { Err(failed(format!("it ended with {status}"))) }
}
