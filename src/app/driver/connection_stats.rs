//! Tells a face how the connections fare: once a second at most, and only what has moved since.
//!
//! Nothing is asked of a cluster for its sake.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::app::connection_stats::WeatherNews;
use crate::app::message::Message;
use crate::client::Links;

const EVERY: Duration = Duration::from_secs(1);

/// Until nobody listens any more.
pub(super) async fn tell(links: Links, messages: mpsc::Sender<Message>) {
    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    loop {
        let mut news = Vec::new();
        for link in links.iter() {
            let count = link.traffic.count();
            if told.insert(link.context().to_owned(), count).unwrap_or_default() != count {
                let (weather, asked) = link.traffic.take();
                news.push(WeatherNews { context: link.context().to_owned(), weather, asked });
            }
        }
        if !news.is_empty() && messages.send(Message::Weather(news)).await.is_err() {
            return;
        }
        tokio::time::sleep(EVERY).await;
    }
}
