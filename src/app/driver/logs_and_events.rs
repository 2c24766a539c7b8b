//! Carries a close look out for as long as it is in sight, and hands its news to the console.

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Driver;
use crate::app::message::Message;
use crate::client::kube::logs_and_events::{Closeup, closeup};
use crate::fleet::logs_and_events::Ask;

/// News that wait for a console which is busy; beyond them the streams wait.
const WAITING: usize = 64;

/// A look under way; it ends when this is dropped.
pub(super) struct Looking {
    _look: Closeup,
    _forwarding: JoinSet<()>,
}

pub(super) fn begin(driver: &Driver, id: u64, ask: &Ask, messages: &mpsc::Sender<Message>) -> Looking {
    let (sender, mut heard) = mpsc::channel(WAITING);
    let look = closeup(&driver.links, ask, sender);
    let messages = messages.clone();
    let mut forwarding = JoinSet::new();
    forwarding.spawn(async move {
        while let Some(news) = heard.recv().await {
            if messages.send(Message::Closeup { id, news }).await.is_err() {
                return;
            }
        }
    });
    Looking { _look: look, _forwarding: forwarding }
}
