//! `pods/log` as the kubelet answers it: which container, which run, from where on, how many lines, and on as they come.
//!
//! The lines are in `sim::logs`. Refusals are the kubelet's own words; a container that waits to start is a 400.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::watch;

use super::connection::Server;
use super::reply::{self, Reply};
use super::router::Call;
use super::status::Refusal;
use super::streams;
use crate::sim::logs::{Entry, Log};

/// A pod's annotation with what `pods/log` answers, whatever its containers print.
pub const LOG_ANNOTATION: &str = "demo.tidepilot/log";

pub(super) fn log(call: &Call) -> Result<Reply, Refusal> {
    let pod = streams::pod(call)?;
    let asked = Asked::of(call)?;
    let container = container(call, &pod)?;
    if pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty) && pod["status"]["phase"] == "Pending" {
        return Err(Refusal::bad_request(format!("pod {} does not have a host assigned", call.name())));
    }
    let log = match pod["metadata"]["annotations"][LOG_ANNOTATION].as_str() {
        Some(text) => Arc::new(Log::ended(text)),
        None => {
            begun(call, &pod, &container, asked.previous)?;
            let log = call.server.config.pods.log(call.namespace(), call.name(), &container, asked.previous);
            log.ok_or_else(|| gone(call, &container))?
        }
    };
    let (mut entries, next, over) = log.since(0);
    if let Some(since) = asked.since {
        entries.retain(|entry| entry.at >= since);
    }
    if let Some(tail) = asked.tail {
        entries.drain(..entries.len().saturating_sub(tail));
    }
    let body = VecDeque::from_iter(entries.iter().map(|entry| asked.line(entry)));
    if !asked.follow || over {
        let mut whole = Vec::from(body).concat();
        whole.truncate(asked.limit.unwrap_or(usize::MAX));
        return Ok(reply::text(200, whole));
    }
    let changed = log.changed();
    let room = asked.limit.unwrap_or(usize::MAX);
    let following = Following { server: call.server.clone(), log, changed, next, queue: body, asked, room };
    Ok(reply::text_stream(futures::stream::unfold(following, Following::step)))
}

/// What the query asks for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    follow: bool,
    previous: bool,
    timestamps: bool,
    since: Option<Timestamp>,
    tail: Option<usize>,
    limit: Option<usize>,
}

impl Asked {
    fn of(call: &Call) -> Result<Asked, Refusal> {
        let query = &call.query;
        let odd = |name: &str, why: &str| Refusal::bad_request(format!("invalid value for {name}: {why}"));
        let number = |name: &str, least: u64| match query.get(name).map(str::parse::<u64>) {
            None => Ok(None),
            Some(Ok(number)) if number >= least => Ok(Some(number)),
            Some(_) => Err(odd(name, &format!("must be greater than or equal to {least}"))),
        };
        let since_seconds = number("sinceSeconds", 1)?;
        let since_time = query.get("sinceTime").map(str::parse::<Timestamp>).transpose();
        let since_time = since_time.map_err(|error| odd("sinceTime", &error.to_string()))?;
        if since_seconds.is_some() && since_time.is_some() {
            return Err(odd("sinceSeconds", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
        }
        let ago = since_seconds.and_then(|seconds| {
            let seconds = SignedDuration::from_secs(seconds.try_into().ok()?);
            crate::sim::logs::clock().checked_sub(seconds).ok()
        });
        let size = |number: Option<u64>| number.map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        Ok(Asked {
            follow: query.flag("follow"),
            previous: query.flag("previous"),
            timestamps: query.flag("timestamps"),
            since: since_time.or(ago),
            tail: size(number("tailLines", 0)?),
            limit: size(number("limitBytes", 1)?),
        })
    }

    fn line(self, entry: &Entry) -> Vec<u8> {
        match self.timestamps {
            true => format!("{} {}\n", entry.at.strftime("%Y-%m-%dT%H:%M:%S%.9fZ"), entry.text).into_bytes(),
            false => format!("{}\n", entry.text).into_bytes(),
        }
    }
}

/// The container that is meant: the only one, or the one that is named.
fn container(call: &Call, pod: &Value) -> Result<String, Refusal> {
    let names = |field: &str| -> Vec<&str> {
        let all = pod["spec"][field].as_array();
        all.into_iter().flatten().filter_map(|container| container["name"].as_str()).collect()
    };
    let own = names("containers");
    let pod_name = call.name();
    match (call.query.get("container"), own.as_slice()) {
        (Some(name), _) if own.contains(&name) || names("initContainers").contains(&name) => Ok(name.to_owned()),
        (Some(name), _) => Err(Refusal::bad_request(format!("container {name} is not valid for pod {pod_name}"))),
        (None, [one]) => Ok((*one).to_owned()),
        (None, several) => Err(Refusal::bad_request(format!(
            "a container name must be specified for pod {pod_name}, choose one of: [{}]",
            several.join(" ")
        ))),
    }
}

/// Whether that run of the container has begun.
fn begun(call: &Call, pod: &Value, container: &str, previous: bool) -> Result<(), Refusal> {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let status = statuses.into_iter().flatten().find(|status| status["name"] == container);
    let pod_name = call.name();
    let waiting = |why: &str| {
        Refusal::bad_request(format!("container {container:?} in pod {pod_name:?} is waiting to start: {why}"))
    };
    let Some(status) = status else { return Err(waiting("ContainerCreating")) };
    let ended = status["lastState"]["terminated"].is_object();
    if previous && !ended && !status["state"]["terminated"].is_object() {
        return Err(gone(call, container));
    }
    match status["state"]["waiting"]["reason"].as_str() {
        Some(reason) if !ended => Err(waiting(reason)),
        _ => Ok(()),
    }
}

fn gone(call: &Call, container: &str) -> Refusal {
    Refusal::bad_request(format!("previous terminated container {container:?} in pod {:?} not found", call.name()))
}

/// A client that stays for what comes.
struct Following {
    server: Arc<Server>,
    log: Arc<Log>,
    changed: watch::Receiver<()>,
    next: u64,
    queue: VecDeque<Vec<u8>>,
    asked: Asked,
    /// Bytes that may still be sent.
    room: usize,
}

impl Following {
    async fn step(mut self) -> Option<(io::Result<Bytes>, Following)> {
        loop {
            self.server.config.faults.answering().await;
            if self.room == 0 {
                return None;
            }
            if let Some(mut line) = self.queue.pop_front() {
                line.truncate(self.room);
                self.room -= line.len();
                return Some((Ok(line.into()), self));
            }
            // Marked before reading, so that no line falls between the two.
            self.changed.mark_unchanged();
            let (entries, next, over) = self.log.since(self.next);
            self.next = next;
            self.queue.extend(entries.iter().map(|entry| self.asked.line(entry)));
            if !self.queue.is_empty() {
                continue;
            }
            if over || self.changed.changed().await.is_err() {
                return None;
            }
        }
    }
}
