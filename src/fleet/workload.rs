//! Slim projections of what the operator makes of a TidbCluster: pods and StatefulSets, only the fields that we show or judge.
//!
//! Here the pods, in [`stateful_set`] what makes them. Deserialised straight from the API's JSON, as [`super::tidbcluster`]. Not here: judgements about them ([`super::rollout`]).

mod stateful_set;

pub use stateful_set::{
    PodTemplate, PodTemplateSpec, StatefulSet, StatefulSetSpec, StatefulSetStatus, TemplateContainer,
};

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::tidbcluster::{Meta, null_default, tight};
use super::{Keyed, ObjectKey};
use crate::pluralize::total;

/// Annotation of a TiKV pod: the operator is asked to take the leaders off it (`domain.md` §1.4).
pub const EVICT_LEADER: &str = "tidb.pingcap.com/evict-leader";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    #[serde(deserialize_with = "unmanaged")]
    pub metadata: Meta,
    pub spec: PodSpec,
    #[serde(deserialize_with = "null_default")]
    pub status: PodStatus,
}

/// Nobody asks who owns which field of a pod, and it takes as much room as the rest of it.
fn unmanaged<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Meta, D::Error> {
    Ok(Meta { managed_fields: Vec::new(), ..Meta::deserialize(input)? })
}

/// Of a pod and of a template: what a component was started with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodSpec {
    /// Those with certificates only. `None`: not told, which is not "none of them".
    #[serde(deserialize_with = "certificates_only", skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<Volume>>,
    #[serde(rename = "nodeName", skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// Not written out: what is compared and kept of a pod has no use for them.
    #[serde(deserialize_with = "tight", skip_serializing)]
    pub containers: Vec<Container>,
}

/// A container: what a port-forward and a shell can lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Container {
    pub name: String,
    #[serde(deserialize_with = "tight")]
    pub ports: Vec<ContainerPort>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    pub container_port: u16,
    #[serde(deserialize_with = "null_default")]
    pub protocol: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    pub name: String,
}

/// Ten thousand pods have ten volumes each, and only these are looked at.
fn certificates_only<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Vec<Volume>>, D::Error> {
    let all = Option::<Vec<Volume>>::deserialize(input)?;
    Ok(all.map(|mut all| {
        all.retain(|volume| volume.name.ends_with("-tls"));
        all.shrink_to_fit();
        all
    }))
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    pub phase: String,
    #[serde(rename = "podIP", skip_serializing_if = "Option::is_none")]
    pub pod_ip: Option<String>,
    /// More than one with dual stack.
    #[serde(rename = "podIPs", deserialize_with = "tight", skip_serializing_if = "Vec::is_empty")]
    pub pod_ips: Vec<PodIp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(deserialize_with = "tight")]
    pub conditions: Vec<PodCondition>,
    #[serde(deserialize_with = "tight")]
    pub container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodIp {
    pub ip: String,
}

impl PodStatus {
    /// Every address of the pod, as Rust writes them.
    pub fn addresses(&self) -> Vec<String> {
        let told = self.pod_ips.iter().map(|one| &one.ip).chain(&self.pod_ip);
        let mut all: Vec<String> = told.filter_map(|ip| ip.parse::<IpAddr>().ok()).map(|ip| ip.to_string()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodCondition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    /// Why it cannot be scheduled, for example.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub message: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    pub name: String,
    pub ready: bool,
    pub restart_count: i64,
    #[serde(deserialize_with = "null_default")]
    pub state: ContainerState,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub image: String,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "LastState::is_empty")]
    pub last_state: LastState,
}

/// In which of three states a container is; none of them is one that was just made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// `CrashLoopBackOff` and the like; boxed, since few wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Box<Waiting>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminated: Option<Box<Terminated>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Waiting {
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub message: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    pub started_at: Option<jiff::Timestamp>,
}

impl ContainerState {
    /// Why it does not run, as the node says.
    fn reason(&self) -> Option<&str> {
        let waiting = self.waiting.as_ref().map(|why| why.reason.as_str());
        waiting.or_else(|| self.terminated.as_ref().map(|end| end.reason.as_str())).filter(|reason| !reason.is_empty())
    }
}

/// How the container before this one ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastState {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminated: Option<Terminated>,
}

impl LastState {
    fn is_empty(&self) -> bool {
        self.terminated.is_none()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    pub exit_code: i64,
    #[serde(deserialize_with = "null_default")]
    pub reason: String,
    #[serde(deserialize_with = "null_default")]
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<jiff::Timestamp>,
}

impl Waiting {
    /// The way of every pod, and no trouble.
    pub fn usual(&self) -> bool {
        matches!(self.reason.as_str(), "ContainerCreating" | "PodInitializing" | "")
    }

    /// `ErrImagePull …`
    pub fn words(&self) -> String {
        format!("{} {}", self.reason, self.message).trim().to_owned()
    }
}

impl Terminated {
    /// The end of what it logged: the kubelet puts that into the message, where the container writes none of its own. How
    /// often it has ended is not in it, so that each look does not seem a new one.
    fn last_line(&self) -> Option<&str> {
        self.message.lines().map(str::trim).rfind(|line| !line.is_empty())
    }

    /// `exit 137, OOMKilled: …`
    pub fn words(&self) -> String {
        let mut words = format!("exit {}", self.exit_code);
        for (sign, text) in [(", ", &self.reason), (": ", &self.message)] {
            if !text.is_empty() {
                words.push_str(sign);
                words.push_str(text.trim());
            }
        }
        words
    }
}

impl Pod {
    pub fn component(&self) -> Option<&str> {
        self.metadata.labels.get("app.kubernetes.io/component").map(String::as_str)
    }

    pub fn instance(&self) -> Option<&str> {
        self.metadata.labels.get("app.kubernetes.io/instance").map(String::as_str)
    }

    pub fn ready(&self) -> bool {
        self.status.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True")
    }

    /// It starts, ends and starts again: no change that would come to its end by waiting.
    pub fn loops(&self) -> bool {
        let going = self.metadata.deletion_timestamp.is_some();
        !going && !self.ready() && (self.status_word() == "CrashLoopBackOff" || self.restarts() > 0)
    }

    /// How its last container ended that ended, with the container's name.
    pub fn last_end(&self) -> Option<(&str, &Terminated)> {
        let ended = self.status.container_statuses.iter().filter_map(|one| {
            let end = one.last_state.terminated.as_ref()?;
            Some((one.name.as_str(), end))
        });
        ended.max_by_key(|(_, end)| end.finished_at)
    }

    /// A container that waits, with its name, one in trouble first; [`Waiting::usual`] tells whether it is.
    pub fn waits(&self) -> Option<(&str, &Waiting)> {
        let all = &self.status.container_statuses;
        let waits = || all.iter().filter_map(|one| Some((one.name.as_str(), one.state.waiting.as_deref()?)));
        waits().find(|(_, waiting)| !waiting.usual()).or(waits().next())
    }

    /// Why the scheduler finds no node for it, in its own words.
    pub fn unscheduled(&self) -> Option<&str> {
        let said = self.status.conditions.iter().find(|c| c.kind == "PodScheduled" && c.status == "False");
        said.map(|said| said.message.as_str())
    }

    /// What keeps its containers from running, as the kubelet or the scheduler says it.
    pub fn trouble(&self) -> Option<String> {
        let ended = self.status.container_statuses.iter().find_map(|one| {
            let end = one.state.terminated.as_deref().or(one.last_state.terminated.as_ref());
            let end = end.filter(|end| end.exit_code != 0)?;
            let last = end.last_line().unwrap_or("it has logged nothing");
            Some(format!("{} ends again and again with exit code {}: {last}", one.name, end.exit_code))
        });
        let waiting = || self.waits().map(|(name, waiting)| format!("{name}: {}", waiting.words()));
        let unscheduled =
            || self.unscheduled().map(|message| format!("not scheduled: {message}").trim_end().to_owned());
        let over = || {
            let status = &self.status;
            let over = matches!(status.phase.as_str(), "Failed" | "Succeeded");
            let words = || format!("{} {}", status.phase, status.reason.as_deref().unwrap_or_default());
            over.then(|| format!("it has ended ({})", words().trim_end()))
        };
        ended.or_else(waiting).or_else(unscheduled).or_else(over)
    }

    /// The ports that take TCP, each with its name and its container, as the pod tells them.
    pub fn ports(&self) -> impl Iterator<Item = (&str, &ContainerPort)> {
        let tcp = |port: &&ContainerPort| port.container_port > 0 && matches!(port.protocol.as_str(), "" | "TCP");
        let all = self.spec.containers.iter();
        all.flat_map(move |one| one.ports.iter().filter(tcp).map(|port| (one.name.as_str(), port)))
    }

    /// The containers by name, the component's own one first.
    pub fn containers(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.spec.containers.iter().map(|one| one.name.as_str()).collect();
        if names.is_empty() {
            names = self.status.container_statuses.iter().map(|one| one.name.as_str()).collect();
        }
        names.sort_by_key(|name| Some(*name) != self.component());
        names
    }

    /// The image of the component's own container, else of the first.
    pub fn image(&self) -> Option<&str> {
        let all = &self.status.container_statuses;
        let own = all.iter().find(|one| Some(one.name.as_str()) == self.component()).or_else(|| all.first());
        own.map(|one| one.image.as_str()).filter(|image| !image.is_empty())
    }

    pub fn restarts(&self) -> i64 {
        total(self.status.container_statuses.iter().map(|c| c.restart_count))
    }

    /// What kubectl prints under STATUS: the waiting reason, `Terminating`, or the phase.
    pub fn status_word(&self) -> String {
        if self.metadata.deletion_timestamp.is_some() {
            return "Terminating".into();
        }
        let waiting = self.status.container_statuses.iter().find_map(|container| container.state.reason());
        match waiting.or(self.status.reason.as_deref()) {
            Some(reason) => reason.to_owned(),
            None if self.status.phase.is_empty() => "Unknown".into(),
            None => self.status.phase.clone(),
        }
    }

    /// `1` of `basic-pd-1`.
    pub fn ordinal(&self) -> Option<u32> {
        self.metadata.name.rsplit('-').next()?.parse().ok()
    }
}

/// The tag of an image: `v8.5.7` of `registry:5000/pingcap/pd:v8.5.7@sha256:…`.
pub fn image_tag(image: &str) -> Option<&str> {
    let (name, tag) = image.split('@').next()?.rsplit_once(':')?;
    (!name.is_empty() && !tag.contains('/')).then_some(tag)
}

/// Whether an image is of this version, as a spec asks for it. Where the version names a digest, that counts too; a digest
/// that only the image has (somebody pinned it) does not make it another version.
pub fn runs_version(image: &str, version: &str) -> bool {
    match version.contains('@') {
        true => image.strip_suffix(version).is_some_and(|name| name.ends_with(':')),
        false => image_tag(image) == Some(version),
    }
}

impl Keyed for Pod {
    fn key(&self) -> ObjectKey {
        self.metadata.key()
    }
}
