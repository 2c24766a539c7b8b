//! Keeps the ports on this machine that lead into pods, for as long as the session lasts.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Driver;
use crate::app::message::Message;
use crate::client::HandPermit;
use crate::client::wire::local_port_forward::{LocalPort, Room, listen};
use crate::fleet::ObjectRef;
use crate::fleet::port_forward::ForwardNews;

/// News of one port that wait for a console which is busy.
const WAITING: usize = 8;

/// All of a session; they end when this is dropped.
#[derive(Default)]
pub(super) struct Forwards {
    room: Room,
    open: BTreeMap<u64, LocalPort>,
    forwarding: JoinSet<()>,
}

impl Forwards {
    /// Opens one; what comes of it is told under `id`.
    pub async fn begin(
        &mut self,
        driver: &Driver,
        id: u64,
        (of, port, here): (&ObjectRef, u16, Option<u16>),
        messages: &mpsc::Sender<Message>,
    ) {
        let (sender, mut heard) = mpsc::channel(WAITING);
        let messages = messages.clone();
        let told = sender.clone();
        self.forwarding.spawn(async move {
            while let Some(news) = heard.recv().await {
                if messages.send(Message::Forward { id, news }).await.is_err() {
                    return;
                }
            }
        });
        let opened = match HandPermit::for_context(&driver.links, &of.context) {
            Ok(permit) => listen(&driver.links, &permit, &self.room, (of, port, here), sender).await,
            Err(why) => Err(why),
        };
        match opened {
            Ok(port) => drop(self.open.insert(id, port)),
            // The console is gone where nobody hears it.
            Err(why) => drop(told.send(ForwardNews::Over(why)).await),
        }
    }

    pub fn end(&mut self, id: u64) {
        self.open.remove(&id);
        while self.forwarding.try_join_next().is_some() {}
    }
}
