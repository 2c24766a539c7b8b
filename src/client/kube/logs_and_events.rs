//! Looking closely: events and single objects asked for again and again, logs followed, for as long as somebody looks.
//!
//! Everything ends when its handle is dropped: what is not on the screen is not asked for. Only reads; nothing of it
//! enters the fleet. Logs are in [`follow_logs`]. Not here: what is shown of it (`app::logs_and_events`).

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::client::encode;
use crate::client::kube::list_pagination::{self, Limit};
use crate::client::wire::link::{Link, Links};
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::fleet::controller_revision::Revision;
use crate::fleet::logs_and_events::{Ask, Happening, MOST_LOGS, News, Place, Thing};

mod follow_logs;

/// Between two looks at what is shown.
const EVERY: Duration = Duration::from_secs(3);
const SELDOM: Duration = Duration::from_secs(30);
/// And where the cluster does not answer.
const LONGEST: Duration = Duration::from_secs(30);
/// Events of one namespace that are read.
const EVENTS: Limit = Limit { per_page: 500, pages: 4 };
/// Templates of one namespace that are read: some ten of each StatefulSet are kept.
const REVISIONS: Limit = Limit { per_page: 100, pages: 10 };

/// Looks until it is dropped.
pub struct Closeup {
    _tasks: JoinSet<()>,
}

/// Begins to look. Needs a tokio runtime; returns at once.
pub fn closeup(links: &Links, ask: &Ask, sender: mpsc::Sender<News>) -> Closeup {
    let mut tasks = JoinSet::new();
    match ask {
        Ask::Logs { of, previous } => {
            for (index, of_one) in of.iter().take(MOST_LOGS).enumerate() {
                let Some(link) = links.get(&of_one.pod.context) else { continue };
                tasks.spawn(follow_logs::follow(Arc::clone(link), index, of_one.clone(), *previous, sender.clone()));
            }
        }
        Ask::Events { places, about } => {
            for (index, place) in places.iter().enumerate() {
                let Some(link) = links.get(&place.context) else { continue };
                let look = Look::Events { place: place.clone(), about: about.clone() };
                tasks.spawn(again(Arc::clone(link), index, look, sender.clone()));
            }
        }
        Ask::Revisions(places) => {
            for (index, place) in places.iter().enumerate() {
                let Some(link) = links.get(&place.context) else { continue };
                tasks.spawn(again(Arc::clone(link), index, Look::Revisions(place.clone()), sender.clone()));
            }
        }
        Ask::Objects(things) => {
            for (index, thing) in things.iter().enumerate() {
                let Some(link) = links.get(&thing.of.context) else { continue };
                tasks.spawn(again(Arc::clone(link), index, Look::Object(thing.clone()), sender.clone()));
            }
        }
    }
    Closeup { _tasks: tasks }
}

/// What one context is asked for again and again.
enum Look {
    Events { place: Place, about: Option<Thing> },
    Object(Thing),
    Revisions(Place),
}

impl Look {
    /// Templates are large and seldom new.
    fn every(&self) -> Duration {
        match self {
            Look::Events { .. } | Look::Object(_) => EVERY,
            Look::Revisions(_) => SELDOM,
        }
    }

    /// What is there now, and whether there was an answer.
    async fn once(&self, link: &Link, index: usize) -> (News, bool) {
        match self {
            Look::Events { place, about } => {
                let events = events(link, place, about.as_ref()).await;
                let answered = events.is_ok();
                (News::Events { place: index, events }, answered)
            }
            Look::Object(thing) => {
                let object = link.get::<Value>(&thing.kind.path(&thing.of)).await.map(Box::new);
                let object = object.map_err(|trouble| right_for(trouble, "get", thing.kind.plural()));
                let answered = object.is_ok();
                (News::Object { of: index, object }, answered)
            }
            Look::Revisions(place) => {
                let all = revisions(link, place).await;
                let answered = all.is_ok();
                (News::Revisions { place: index, all }, answered)
            }
        }
    }
}

/// Looks again and again, and says only what has changed.
async fn again(link: Arc<Link>, index: usize, look: Look, sender: mpsc::Sender<News>) {
    let mut last = None;
    let every = look.every();
    let mut wait = every;
    loop {
        let (news, answered) = look.once(&link, index).await;
        if last.as_ref() != Some(&news) {
            if sender.send(news.clone()).await.is_err() {
                return;
            }
            last = Some(news);
        }
        wait = if answered { every } else { (wait * 2).min(LONGEST) };
        tokio::time::sleep(wait).await;
    }
}

async fn events(link: &Link, place: &Place, about: Option<&Thing>) -> Result<Vec<Happening>, String> {
    let mut path = format!("/api/v1/namespaces/{}/events", place.namespace);
    if let Some(thing) = about {
        let selector = format!("involvedObject.kind={},involvedObject.name={}", thing.kind.word(), thing.of.name);
        path = format!("{path}?fieldSelector={}", encode(&selector));
    }
    let listed = list_pagination::list::<Value>(link, &path, EVENTS).await;
    let listed = listed.map_err(|trouble| right_for(trouble, "list", "events"))?;
    let mut events: Vec<Happening> = listed.items.iter().filter_map(Happening::read).collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.last));
    Ok(events)
}

async fn revisions(link: &Link, place: &Place) -> Result<Vec<Revision>, String> {
    let selector = encode("app.kubernetes.io/managed-by=tidb-operator");
    let path = format!("/apis/apps/v1/namespaces/{}/controllerrevisions?labelSelector={selector}", place.namespace);
    let listed = list_pagination::list::<Value>(link, &path, REVISIONS).await;
    let listed = listed.map_err(|trouble| right_for(trouble, "list", "controllerrevisions"))?;
    Ok(listed.items.iter().filter_map(|one| Revision::read(&place.context, &place.namespace, one)).collect())
}

/// The sentence of a trouble; of a refusal, with the right that is missing.
fn right_for(trouble: RequestError, verb: &str, resource: &str) -> String {
    match trouble.kind {
        RequestErrorKind::Forbidden => format!(
            "{}; the right to {verb} {resource} is missing (assets/rbac/read-only.yaml has it)",
            trouble.sentence
        ),
        _ => trouble.sentence,
    }
}
