//! What became of a Job: whether it runs, what its pod waits for, how it ended. Reads only.
//!
//! What a pod says of its end is its termination message, which tidepilot wrote; whoever may write the status of pods can
//! write it too, so it is told and never acted on. Not here: the run's record ([`crate::client::share::run_record_configmaps`]).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::kube::list_pagination::{self, MANY};
use crate::client::wire::link::Link;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::write::store_object::ManagedKind;
use crate::client::{encode, plain};
use crate::fleet::workload::Pod;

/// Longest termination message that Kubernetes keeps.
const LONGEST_MESSAGE: usize = 4096;

/// How a pod's process ended, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub code: u8,
    pub sentence: String,
}

impl Ended {
    /// As the pod leaves it behind.
    pub fn text(&self) -> String {
        let mut short = self.clone();
        // JSON makes at most six bytes of one.
        let longest = LONGEST_MESSAGE / 8;
        if short.sentence.chars().count() > longest {
            short.sentence = short.sentence.chars().take(longest).chain(['…']).collect();
        }
        serde_json::to_string(&short).unwrap_or_default()
    }
}

/// A Job at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// It was deleted.
    pub gone: bool,
    /// It has ended: no further pod is started.
    pub finished: bool,
    /// What it waits for or what is wrong with it, one sentence.
    pub trouble: Option<String>,
    /// How its last process ended.
    pub ended: Option<Ended>,
    /// Name of its newest pod.
    pub pod: Option<String>,
}

/// Looks at a Job and its pods.
pub async fn look(link: &Link, namespace: &str, name: &str) -> Result<Seen, RequestError> {
    let job: Value = match link.get(&format!("{}/{name}", ManagedKind::Job.path(namespace))).await {
        Ok(job) => job,
        Err(trouble) if trouble.kind == RequestErrorKind::Missing => return Ok(Seen { gone: true, ..Seen::default() }),
        Err(trouble) => return Err(trouble),
    };
    let selector = encode(&format!("job-name={name}"));
    let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}");
    let pods = list_pagination::list::<Pod>(link, &path, MANY).await?.items;
    let mut seen = read(&job, &pods);
    // What only events tell: a volume that is not there, a pod that may not be created.
    let about = match (&seen.pod, &seen.trouble, seen.finished) {
        (_, _, true) => None,
        (None, _, _) => Some(name.to_owned()),
        (Some(pod), trouble, _) if trouble.is_some() || seen.ended.is_none() => Some(pod.clone()),
        (Some(_), _, _) => None,
    };
    if let Some(about) = about
        && let Ok(events) = link
            .get::<Value>(&format!(
                "/api/v1/namespaces/{namespace}/events?fieldSelector={}",
                encode(&format!("involvedObject.name={about},type=Warning"))
            ))
            .await
    {
        // A Job without a pod has a reason where its events name one.
        if let Some(said) = warning(&events, starting(&pods)).filter(|_| seen.trouble.is_none() || seen.pod.is_none()) {
            seen.trouble = Some(said);
        }
    }
    Ok(seen)
}

/// A pod whose process has not begun yet, or no pod at all: only then do old warnings count.
fn starting(pods: &[Pod]) -> bool {
    newest(pods).is_none_or(|pod| pod.status.phase == "Pending")
}

fn warning(events: &Value, starting: bool) -> Option<String> {
    let last = events["items"].as_array()?.last().filter(|_| starting)?;
    let text = |name: &str| last[name].as_str().map(plain);
    Some(format!("{}: {}", text("reason")?, text("message")?))
}

fn newest(pods: &[Pod]) -> Option<&Pod> {
    pods.iter().max_by_key(|pod| pod.metadata.creation_timestamp)
}

/// From the objects alone.
fn read(job: &Value, pods: &[Pod]) -> Seen {
    let conditions = job["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let over = |one: &&Value| one["status"] == "True" && matches!(one["type"].as_str(), Some("Complete" | "Failed"));
    let condition = conditions.iter().find(over);
    let mut seen = Seen { finished: condition.is_some(), ..Seen::default() };
    if let Some(failed) = condition.filter(|one| one["type"] == "Failed") {
        let text = |name: &str| plain(failed[name].as_str().unwrap_or_default());
        seen.trouble = Some(format!("the Job failed ({}): {}", text("reason"), text("message")));
    }
    let Some(pod) = newest(pods) else {
        seen.trouble.get_or_insert_with(|| "the Job has no pod yet".to_owned());
        return seen;
    };
    seen.pod = Some(plain(&pod.metadata.name));
    if let Some((_, waiting)) = pod.waits().filter(|(_, waiting)| !waiting.usual()) {
        seen.trouble = Some(plain(&waiting.words()));
    }
    if let Some(message) = pod.unscheduled() {
        seen.trouble = Some(plain(&format!("not scheduled: {message}")));
    }
    let end = pod.status.container_statuses.first().and_then(|one| one.state.terminated.as_deref());
    let message = end.map(|end| end.message.as_str()).unwrap_or_default();
    // A process that said nothing, or something else: a crash, or the log's last lines.
    seen.ended = serde_json::from_str::<Ended>(message)
        .ok()
        .map(|ended| Ended { sentence: plain_long(&ended.sentence), ..ended });
    if let (Some(code), None) = (end.map(|end| end.exit_code), &seen.ended) {
        let last = message.lines().last().map(plain).unwrap_or_default();
        seen.trouble.get_or_insert(format!("its pod ended with exit code {code}: {last}"));
    }
    seen
}

/// Our own sentence, which may be longer than a server's.
fn plain_long(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Made in this minute.
    fn pod(minute: u8, state: Value) -> Pod {
        let pod = json!({"metadata": {"name": "p", "creationTimestamp": format!("2026-11-30T12:{minute:02}:00Z")},
            "status": {"phase": "Pending", "containerStatuses": [{"name": "tidepilot", "state": state}]}});
        serde_json::from_value(pod).expect("the shape of the API")
    }

    #[test]
    fn what_a_pod_waits_for_is_told_and_the_way_of_every_pod_is_not() {
        let job = json!({});
        let seen = |reason: &str| read(&job, &[pod(2, json!({"waiting": {"reason": reason, "message": "m"}}))]);
        assert_eq!(seen("ContainerCreating").trouble, None);
        assert_eq!(seen("ImagePullBackOff").trouble.as_deref(), Some("ImagePullBackOff m"));
    }

    #[test]
    fn an_end_is_that_of_the_newest_pod() {
        let said = Ended { code: 3, sentence: "stopped at a gate".into() };
        let ended = |text: &str| json!({"terminated": {"exitCode": 3, "message": text}});
        let pods = [pod(2, ended(&said.text())), pod(1, ended("{}"))];
        let job =
            json!({"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "R", "message": "M"}]}});
        let seen = read(&job, &pods);
        assert_eq!((seen.ended, seen.finished), (Some(said), true));
        assert!(seen.trouble.is_some_and(|why| why.contains("the Job failed (R): M")));
        let crashed = read(&json!({}), &[pod(2, json!({"terminated": {"exitCode": 137, "message": "x\nlast"}}))]);
        assert!(crashed.trouble.is_some_and(|why| why.contains("137") && why.contains("last")));
    }

    #[test]
    fn a_long_end_still_fits_into_the_message_of_a_pod() {
        let ended = Ended { code: 5, sentence: "\u{1}".repeat(50_000) };
        assert!(ended.text().len() <= LONGEST_MESSAGE, "{}", ended.text().len());
        assert!(serde_json::from_str::<Ended>(&ended.text()).is_ok());
    }
}
