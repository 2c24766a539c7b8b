//! One simulated Database as PD sees it: etcd membership with a view per member, links, leader, stores.
//!
//! Pure state that moves with the world's tick: no sockets (`server`), no HTTP (`etcd_http`, `api`), no Kubernetes objects. What
//! it keeps true to life: reads are node-local, a write needs a majority, a peerURL that resolves nowhere shows only when
//! connections must be made anew, and a malformed one kills every other member (facts-etcd.md 2-5; domain.md §3.4).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use tokio::sync::oneshot;

use super::world::PodKey;

pub mod api;
pub mod etcd_http;
mod etcd_v3;
mod raft;
pub mod server;
pub mod stores;
pub mod urls;

use stores::Store;

/// How long etcd takes to elect after its leader is gone (measured: 2.5 s with PD 8.5.4, 3.4 s with 7.5.7).
const ELECTION_MS: u64 = 3_000;

/// How long PD is without a leader after etcd has one, where the old leader did not hand over: the lease of its leader key
/// has to run out (measured: 11.0 s and 11.4 s after the kill).
const CAMPAIGN_MS: u64 = 8_000;

/// A member as the raft log knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: u64,
    /// Empty until the process published it.
    pub name: String,
    pub peer_urls: Vec<String>,
    pub client_urls: Vec<String>,
}

/// A running PD process.
#[derive(Clone, Debug)]
pub struct Process {
    pub pod: PodKey,
    pub name: String,
    pub client_url: String,
    /// `v8.5.7`
    pub version: String,
    /// What this member has applied.
    pub view: Vec<Member>,
    /// Whether it reached a majority since its start; before that its client port hangs.
    pub joined: bool,
    pub started_s: u64,
}

impl Process {
    /// PD from v8.5 on asks `/ping` of the leader as well, so that without one it calls nobody healthy; its errors carry
    /// a code.
    pub fn pings_the_leader(&self) -> bool {
        self.release() >= (8, 5)
    }

    /// Major and minor; what cannot be read counts as new.
    fn release(&self) -> (u64, u64) {
        let mut parts = self.version.trim_start_matches('v').split('.').map(|part| part.parse::<u64>().ok());
        (parts.next().flatten().unwrap_or(u64::MAX), parts.next().flatten().unwrap_or(0))
    }

    /// Whether it was started with TLS: its ports speak nothing else then.
    pub fn tls(&self) -> bool {
        self.client_url.starts_with("https:")
    }

    /// PD up to v8.3 switches etcd's v2 API on.
    pub fn serves_v2(&self) -> bool {
        self.release() < (8, 4)
    }

    pub fn etcd_version(&self) -> &'static str {
        if self.release() < (7, 5) {
            "3.4.3"
        } else if self.serves_v2() {
            "3.4.31"
        } else {
            "3.5.15"
        }
    }
}

/// A change of membership, as it stands in the raft log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    PeerUrls { id: u64, urls: Vec<String> },
    Add(Member),
    Remove { id: u64 },
}

/// What became of a proposed change.
#[derive(Debug)]
pub enum Proposal {
    Committed,
    /// No majority. The receiver fires if the change is applied after all; it is dropped when it never will be.
    Waiting(oneshot::Receiver<()>),
}

#[derive(Debug)]
struct Pending {
    change: Change,
    done: oneshot::Sender<()>,
}

/// One Database.
#[derive(Debug)]
pub struct Database {
    pub name: String,
    pub cluster_id: u64,
    pub etcd_id: u64,
    pub members: Vec<Member>,
    pub removed: BTreeSet<u64>,
    pub processes: BTreeMap<u64, Process>,
    /// Pairs (smaller id first) with a connection. One made lasts as long as both processes.
    links: BTreeSet<(u64, u64)>,
    /// etcd's leader.
    pub leader: Option<u64>,
    last_leader: Option<u64>,
    /// Simulated time at which a lost leader is replaced.
    election_at_ms: Option<u64>,
    /// PD's leader: etcd's, once it has the leader key.
    pub pd_leader: Option<u64>,
    /// Simulated time from which etcd's leader may be PD's.
    campaign_at_ms: u64,
    /// A leader of PD has been made that no store has told of itself yet.
    unheard: bool,
    /// Region leaders that no store has, for none was there to take them over.
    leaderless: u64,
    /// The longest time that a store takes to tell a new leader of itself.
    pub heartbeat_ms: u64,
    /// Processes that are stopped and answer nothing (SIGSTOP).
    pub frozen: BTreeSet<u64>,
    pub term: u64,
    pending: Vec<Pending>,
    /// Members that were given a malformed URL: at its log entry every other member panics.
    poisoned: BTreeSet<u64>,
    /// Processes that died of it and were not yet seen by the kubelet.
    pub panicked: BTreeSet<u64>,
    pub stores: BTreeMap<u64, Store>,
    pub next_store: u64,
    pub max_replicas: u64,
    /// `replication.location-labels`; stores carry such labels only where there are any.
    pub location_labels: Vec<String>,
    pub bootstrapped_at: String,
    /// Lists that PD keeps in a map come in another order at each call.
    turns: usize,
}

impl Database {
    pub fn new(name: &str, cluster_id: u64, etcd_id: u64, now: &str) -> Self {
        Self {
            name: name.to_owned(),
            cluster_id,
            etcd_id,
            members: Vec::new(),
            removed: BTreeSet::new(),
            processes: BTreeMap::new(),
            links: BTreeSet::new(),
            leader: None,
            last_leader: None,
            election_at_ms: None,
            pd_leader: None,
            campaign_at_ms: 0,
            unheard: false,
            leaderless: 0,
            heartbeat_ms: 2_000,
            frozen: BTreeSet::new(),
            term: 2,
            pending: Vec::new(),
            poisoned: BTreeSet::new(),
            panicked: BTreeSet::new(),
            stores: BTreeMap::new(),
            next_store: 1,
            max_replicas: 3,
            location_labels: vec!["zone".to_owned(), "host".to_owned()],
            bootstrapped_at: now.to_owned(),
            turns: 0,
        }
    }

    /// Takes the replication settings of a PD configuration, as PD does at its bootstrap and never again.
    pub fn configure(&mut self, config: &serde_json::Map<String, serde_json::Value>) {
        let Some(replication) = config.get("replication") else { return };
        if let Some(count) = replication.get("max-replicas").and_then(serde_json::Value::as_u64) {
            self.max_replicas = count;
        }
        self.location_labels = match replication.get("location-labels") {
            Some(serde_json::Value::Array(labels)) => {
                labels.iter().filter_map(|label| label.as_str().map(str::to_owned)).collect()
            }
            Some(serde_json::Value::String(labels)) => labels.split(',').map(str::to_owned).collect(),
            _ => Vec::new(),
        };
    }

    /// The same Database in another world: whoever waits for an answer waits in this one.
    pub fn fork(&self) -> Self {
        let pending = |pending: &Pending| Pending { change: pending.change.clone(), done: oneshot::channel().0 };
        Self {
            name: self.name.clone(),
            cluster_id: self.cluster_id,
            etcd_id: self.etcd_id,
            members: self.members.clone(),
            removed: self.removed.clone(),
            processes: self.processes.clone(),
            links: self.links.clone(),
            leader: self.leader,
            last_leader: self.last_leader,
            election_at_ms: self.election_at_ms,
            pd_leader: self.pd_leader,
            campaign_at_ms: self.campaign_at_ms,
            unheard: self.unheard,
            leaderless: self.leaderless,
            heartbeat_ms: self.heartbeat_ms,
            frozen: self.frozen.clone(),
            term: self.term,
            pending: self.pending.iter().map(pending).collect(),
            poisoned: self.poisoned.clone(),
            panicked: self.panicked.clone(),
            stores: self.stores.clone(),
            next_store: self.next_store,
            max_replicas: self.max_replicas,
            location_labels: self.location_labels.clone(),
            bootstrapped_at: self.bootstrapped_at.clone(),
            turns: self.turns,
        }
    }

    /// Counts the calls.
    pub fn turn(&mut self) -> usize {
        self.turns = self.turns.wrapping_add(1);
        self.turns
    }

    pub fn member(&self, id: u64) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    pub fn member_at(&self, pod: &PodKey) -> Option<u64> {
        self.processes.iter().find(|(_, process)| process.pod == *pod).map(|(id, _)| *id)
    }

    /// Feeds in what the operator and the kubelet would notice. A store that is being emptied changes all the time.
    pub fn pulse(&self, now_ms: u64, hasher: &mut impl Hasher) {
        for member in &self.members {
            (member.id, &member.name, &member.client_urls, self.in_touch(member.id)).hash(hasher);
        }
        (self.leader, self.pd_leader, &self.panicked).hash(hasher);
        self.processes.iter().for_each(|(id, process)| (id, process.joined).hash(hasher));
        for store in self.stores.values() {
            (store.id, store.state.name(), store.leaders).hash(hasher);
            store.removing_since_ms.filter(|_| store.state == stores::StoreState::Offline).map(|_| now_ms).hash(hasher);
        }
    }

    /// Members that have to agree.
    pub fn quorum(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// Whether a member is reached at its client port by whoever asks all of them.
    pub fn answers(&self, id: u64) -> bool {
        self.lives(id) && self.processes.get(&id).is_some_and(|process| process.joined)
    }

    /// Whether somebody who asks all members has to wait for one that takes the connection and says nothing.
    pub fn hangs(&self) -> bool {
        self.members.iter().any(|member| self.processes.contains_key(&member.id) && !self.answers(member.id))
    }

    /// Between the loss of etcd's leader and the next election: whom everybody still follows, and until when.
    pub fn waning(&self, now_ms: u64) -> Option<(u64, u64)> {
        let until = self.election_at_ms.filter(|at| self.leader.is_none() && now_ms < *at)?;
        Some((self.last_leader?, until))
    }

    /// A process begins; `false` when it dies at once of a malformed URL in its log.
    pub fn start(&mut self, id: u64, process: Process) -> bool {
        if self.poisoned.iter().any(|poisoned| *poisoned != id) {
            return false;
        }
        self.processes.insert(id, process);
        true
    }

    /// A process ends in order: a leader gives its key back.
    pub fn stop(&mut self, id: u64, now_ms: u64) {
        let led = self.pd_leader == Some(id);
        self.kill(id, now_ms);
        if led {
            self.campaign_at_ms = now_ms;
        }
    }

    /// A process is gone from one moment to the next.
    pub fn kill(&mut self, id: u64, now_ms: u64) {
        self.processes.remove(&id);
        self.frozen.remove(&id);
        self.links.retain(|(one, other)| *one != id && *other != id);
        self.check_leader(now_ms);
    }

    /// Stops a process where it stands (`true`), or lets it go on.
    pub fn freeze(&mut self, id: u64, frozen: bool, now_ms: u64) {
        match frozen {
            true => self.frozen.insert(id),
            false => self.frozen.remove(&id),
        };
        self.check_leader(now_ms);
    }

    /// Hands the leadership over at once; `false` when the target cannot take it.
    pub fn transfer(&mut self, to: u64) -> bool {
        if self.leader.is_none() || !self.in_touch(to) || self.reach(to) < self.quorum() {
            return false;
        }
        if self.leader != Some(to) {
            self.leader = Some(to);
            self.last_leader = Some(to);
            self.pd_leader = Some(to);
            self.unheard = true;
            self.term += 1;
        }
        true
    }

    /// Another member than `from` that could lead, the ones for which `preferred` holds first.
    pub fn successor(&self, from: u64, preferred: impl Fn(&Process) -> bool) -> Option<u64> {
        let able = |id: &u64| *id != from && self.in_touch(*id) && self.reach(*id) >= self.quorum();
        let mut candidates: Vec<_> = self.processes.iter().filter(|(id, _)| able(id)).collect();
        candidates.sort_by_key(|(id, process)| (!preferred(process), **id));
        candidates.first().map(|(id, _)| **id)
    }

    /// Whether the PD in this pod listens with TLS; `None` where none runs.
    pub fn speaks_tls(&self, pod: &PodKey) -> Option<bool> {
        self.tls_of(self.member_at(pod)?)
    }

    /// Gives a member a URL that it has had all along: every member knows it, no connection is touched.
    pub fn seed_peer_url(&mut self, id: u64, url: &str) {
        if let Some(member) = self.members.iter_mut().find(|member| member.id == id) {
            member.peer_urls = vec![url.to_owned()];
        }
        self.spread();
    }
}

#[cfg(test)]
mod tests;
