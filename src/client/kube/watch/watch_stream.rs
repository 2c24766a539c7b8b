//! One watch from its opening to its end, told in frames ([`crate::client::wire::watch_throttle`]).

use std::time::Duration;

use futures::StreamExt as _;

use crate::client::kube::resources::Event;
use crate::client::kube::watch::{Closed, Context, Followed, Shared, state, tell};
use crate::client::wire::link::Link;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::wire::watch_throttle::Frames;

/// A server sends a bookmark about once a minute: a watch that is silent for longer is opened again.
const SILENT: Duration = Duration::from_secs(75);

/// What came of one watch.
pub(super) struct Heard {
    pub changes: usize,
    pub ended: Option<RequestError>,
}

/// Tells what one watch says, frame by frame, until it ends. What was held back last is told in any case.
pub(super) async fn hear<K: Followed>(
    context: &Context,
    shared: &Shared,
    mut stream: std::pin::Pin<&mut impl futures::Stream<Item = Result<Event<K>, RequestError>>>,
    frames: &mut Frames<K>,
    version: &mut String,
) -> Result<Heard, Closed> {
    let mut heard = Heard { changes: 0, ended: None };
    loop {
        let now = tokio::time::Instant::now();
        let wait = frames.due().unwrap_or(now + SILENT);
        let next = match frames.is_full() {
            true => {
                tokio::time::sleep_until(wait).await;
                None
            }
            false => tokio::time::timeout_at(wait, stream.next()).await.ok(),
        };
        let now = tokio::time::Instant::now();
        if next.is_none() && frames.due().is_none() {
            return Ok(heard);
        }
        if matches!(next, Some(Some(Ok(_)))) {
            state(shared).heard = now;
        }
        match next {
            None => {
                for one in frames.flush(now) {
                    tell::<K>(context, shared, K::one(one)).await?;
                }
            }
            Some(Some(Ok(Event::Bookmark(at)))) => {
                *version = at;
                frames.bookmark(now);
            }
            Some(Some(Ok(Event::Changed(one, at)))) => {
                *version = at;
                heard.changes += 1;
                match frames.take(one, now) {
                    Ok(Some(one)) => tell::<K>(context, shared, K::one(one)).await?,
                    Ok(None) => {}
                    Err(most) => heard.ended = Some(too_many::<K>(&context.link, most)),
                }
            }
            Some(Some(Err(trouble))) => heard.ended = Some(trouble),
            Some(None) => {
                for one in frames.flush(now) {
                    tell::<K>(context, shared, K::one(one)).await?;
                }
                return Ok(heard);
            }
        }
        if heard.ended.is_some() {
            return Ok(heard);
        }
    }
}

fn too_many<K: Followed>(link: &Link, most: usize) -> RequestError {
    let sentence = format!("{} has more than {most} {}; give a namespace with -n", link.server(), K::PLURAL);
    RequestError { kind: RequestErrorKind::Answered, ..RequestError::cut(sentence) }
}
