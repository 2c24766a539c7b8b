//! The world in memory: one TidbCluster, its PD members, what is applied and by whom.

use super::*;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tidepilot::fleet::pd::{EtcdMember, MemberId, MembershipApi, PdAnswer, PdView};
use tidepilot::fleet::{Change, Crd, Fleet, Freshness, ObjectKey, What};
use tidepilot::runbook::Observation;
use tidepilot::runbook::action_types::Answer;
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::{PatchTidbCluster, UpdatePeerUrl};

/// One PD member.
#[derive(Clone, Debug, PartialEq)]
pub struct Pd {
    pub id: u64,
    pub urls: Vec<String>,
    /// Still in the membership.
    pub listed: bool,
}

#[derive(Clone, Debug)]
pub struct World {
    pub uid: &'static str,
    /// Empty: it may not be read.
    pub kube_uid: &'static str,
    /// PD's cluster id.
    pub database: u64,
    pub exists: bool,
    pub domain: Option<String>,
    pub across: Option<bool>,
    pub paused: Option<bool>,
    /// Of the TidbCluster: moves with each change of its spec.
    pub(super) version: u64,
    /// Template revisions of PD: wanted, and carried by every pod.
    wanted: u32,
    carried: u32,
    looks_since: u32,
    /// The spec that the pods were started with: it makes their names.
    started: (Option<String>, bool),
    pub pds: Vec<Pd>,
    pub leader: usize,
    /// So many PDs, the last ones, say that they are not healthy.
    pub ill: usize,
    pub now: Timestamp,
    /// Our writes that changed something, in order.
    pub effects: Vec<String>,
    /// How often ours set the domain: there is no rollback from that.
    pub irreversible: u32,
    /// Fields that somebody else set last.
    theirs: BTreeSet<String>,
    /// What ours put over a value of somebody else.
    pub overwritten: Vec<String>,
    /// Writes which the server applies some looks later, with the version they were sent under.
    pub(super) late: Vec<(u32, u64, Action)>,
}

impl World {
    pub(super) fn new() -> Self {
        let url = |i: usize| format!("http://basic-pd-{i}.basic-pd-peer.db.svc:2380");
        Self {
            uid: "tc-uid",
            kube_uid: "kube-uid",
            database: 42,
            exists: true,
            domain: None,
            across: None,
            paused: None,
            version: 7,
            wanted: 1,
            carried: 1,
            looks_since: 0,
            started: (None, false),
            pds: (0..PODS).map(|i| Pd { id: i as u64 + 1, urls: vec![url(i)], listed: true }).collect(),
            leader: 0,
            ill: 0,
            now: Timestamp::UNIX_EPOCH,
            effects: Vec::new(),
            irreversible: 0,
            theirs: BTreeSet::new(),
            overwritten: Vec::new(),
            late: Vec::new(),
        }
    }

    /// The pods begin to restart.
    pub fn roll(&mut self) {
        self.version += 1;
        self.wanted += 1;
        self.looks_since = 0;
    }

    /// Somebody else's change to the spec. To set what is set already is no change.
    pub fn their_spec(&mut self, field: &str, change: impl FnOnce(&mut Self)) {
        let before = (self.fields(), self.paused);
        change(self);
        if before != (self.fields(), self.paused) {
            self.theirs.insert(field.to_owned());
            self.roll();
        }
    }

    /// Somebody else's changes count as nobody's from here on.
    pub fn forget_theirs(&mut self) {
        self.theirs.clear();
    }

    /// Somebody else removes a member; the lead moves on if it had it.
    pub fn remove(&mut self, index: usize) {
        self.pds[index].listed = false;
        while !self.pds[self.leader].listed {
            self.leader = (self.leader + 1) % PODS;
        }
    }

    /// Somebody else's change to a member's peerURL.
    pub fn their_url(&mut self, index: usize, url: &str) {
        if self.pds[index].urls != [url] {
            self.pds[index].urls = vec![url.to_owned()];
            self.theirs.insert(format!("url {index}"));
        }
    }

    /// The image which a write of ours is conditional on: what the sender reads just before it sends.
    pub(super) fn fields(&self) -> (Option<String>, Option<bool>) {
        (self.domain.clone(), self.across)
    }

    /// What our client and the server make of an action. `seen`: the look which it was decided on.
    pub fn send(&mut self, action: &Action, seen: &Seen) -> Answer {
        let refused = |reason: &str| Answer::Refused { reason: reason.into() };
        match action {
            Action::PatchTidbCluster(PatchTidbCluster { uid, .. }) => {
                if !self.exists || uid != self.uid {
                    return refused("another object");
                }
                if seen.fields != self.fields() {
                    return refused("somebody else changed the same fields");
                }
            }
            Action::UpdatePeerUrl(UpdatePeerUrl { id, from, .. }) => {
                match self.pds.iter().find(|pd| pd.id == id.0 && pd.listed) {
                    Some(pd) if pd.urls == *from => {}
                    Some(_) => return refused("the member has other peerURLs"),
                    None => return refused("no such member"),
                }
            }
            _ => panic!("this is not sent in the model world: {action:?}"),
        }
        self.apply(action);
        Answer::Accepted { status: 200, detail: String::new() }
    }

    /// Does to the world what the server would do; counts what changed.
    fn apply(&mut self, action: &Action) {
        match action {
            Action::PatchTidbCluster(PatchTidbCluster { merge, .. }) => {
                let before = self.fields();
                if let Some(domain) = merge.pointer("/spec/clusterDomain") {
                    self.domain = domain.as_str().map(str::to_owned);
                }
                if let Some(across) = merge.pointer("/spec/acrossK8s") {
                    self.across = across.as_bool();
                }
                if before == self.fields() {
                    return;
                }
                if before.0 != self.domain {
                    self.irreversible += 1;
                }
                for (field, changed) in [("domain", before.0 != self.domain), ("across", before.1 != self.across)] {
                    if changed && self.theirs.contains(field) {
                        self.overwritten.push(field.into());
                    }
                }
                self.effects.push(if self.across.is_some() { "patch" } else { "patch back" }.into());
                self.roll();
            }
            Action::UpdatePeerUrl(UpdatePeerUrl { id, pod, to, restores, .. }) => {
                let Some(index) = self.pds.iter().position(|pd| pd.id == id.0 && pd.listed) else { return };
                if self.pds[index].urls == *to {
                    return;
                }
                if self.theirs.contains(&format!("url {index}")) {
                    self.overwritten.push(format!("url {index}"));
                }
                self.pds[index].urls.clone_from(to);
                let verb = if *restores { "restore" } else { "update" };
                self.effects.push(format!("{verb} {pod}{}", if index == self.leader { " (leader)" } else { "" }));
            }
            _ => {}
        }
    }

    fn name(&self, i: usize) -> String {
        match &self.started {
            (Some(domain), _) => format!("basic-pd-{i}.basic-pd-peer.db.svc.{domain}"),
            (None, true) => format!("basic-pd-{i}.basic-pd-peer.db.svc"),
            (None, false) => format!("basic-pd-{i}"),
        }
    }

    fn pass(&mut self) {
        self.now += SignedDuration::from_secs(LOOK_S);
        for (looks, version, action) in std::mem::take(&mut self.late) {
            if looks > 0 {
                self.late.push((looks - 1, version, action));
            } else if matches!(action, Action::UpdatePeerUrl(_)) || version == self.version {
                // The API server refuses a patch under an old resourceVersion; etcd takes whatever comes.
                self.apply(&action);
            }
        }
        if self.wanted != self.carried {
            self.looks_since += 1;
            if self.looks_since == 4 && self.paused != Some(true) {
                self.carried = self.wanted;
                self.started = (self.domain.clone(), self.across.unwrap_or(false));
                // A rolling restart moves the leader.
                self.leader = (self.leader + 1) % PODS;
                while !self.pds[self.leader].listed {
                    self.leader = (self.leader + 1) % PODS;
                }
            }
        }
    }

    pub fn look(&mut self) -> Observation {
        self.pass();
        let rolling = self.wanted != self.carried;
        let mut fleet = Fleet::default();
        let mut say = |what| fleet.apply(Change { context: "one".into(), at: self.now, what });
        say(What::Connection { freshness: Freshness::Live, message: None });
        say(What::Identity {
            uid: Some(self.kube_uid.to_owned()).filter(|uid| !uid.is_empty()),
            version: Some("v1.33.4".into()),
        });
        say(What::Crd(Crd::Served { across_k8s: Some(true) }));
        say(What::Operator { version: Some("v1.6.6".into()) });
        say(What::Dns(tidepilot::fleet::dns::Dns::of("a.com")));
        if self.exists {
            let mut spec = json!({"version": "v7.5.0", "configUpdateStrategy": "RollingUpdate",
                "pd": {"replicas": PODS, "config": {}, "maxFailoverCount": 0}});
            for (key, value) in [
                ("clusterDomain", self.domain.as_ref().map(|domain| json!(domain))),
                ("acrossK8s", self.across.map(|across| json!(across))),
                ("paused", self.paused.map(|paused| json!(paused))),
            ] {
                if let Some(value) = value {
                    spec[key] = value;
                }
            }
            let members: BTreeMap<String, Value> = (0..PODS)
                .filter(|i| self.pds[*i].listed)
                .map(|i| (self.name(i), json!({"name": self.name(i), "health": true})))
                .collect();
            let tc = json!({"metadata": {"name": "basic", "namespace": "db", "uid": self.uid,
                    "resourceVersion": self.version.to_string()},
                "spec": spec,
                "status": {"clusterID": "42", "conditions": [{"type": "Ready", "status": "True"}],
                    "pd": {"synced": true, "phase": if rolling {"Upgrade"} else {"Normal"},
                        "image": "pingcap/pd:v7.5.0", "members": members}}});
            say(What::TidbClusters(vec![serde_json::from_value(tc).expect("shape")]));
            let set = json!({"metadata": {"name": "basic-pd", "namespace": "db", "generation": 1},
                "spec": {"replicas": PODS},
                "status": {"observedGeneration": 1, "replicas": PODS, "readyReplicas": PODS, "updatedReplicas": PODS,
                    "currentRevision": format!("r{}", self.carried), "updateRevision": format!("r{}", self.wanted)}});
            say(What::StatefulSets(vec![serde_json::from_value(set).expect("shape")]));
            let pods = (0..PODS).map(|i| {
                let pod = json!({"metadata": {"name": format!("basic-pd-{i}"), "namespace": "db", "labels": {
                        "app.kubernetes.io/instance": "basic", "app.kubernetes.io/component": "pd",
                        "controller-revision-hash": format!("r{}", self.carried)}},
                    "status": {"phase": "Running", "podIP": format!("10.0.0.{i}"),
                        "conditions": [{"type": "Ready", "status": "True"}]}});
                serde_json::from_value(pod).expect("shape")
            });
            say(What::Pods(pods.collect()));
        } else {
            say(What::TidbClusters(Vec::new()));
        }
        let listed: Vec<EtcdMember> = (0..PODS)
            .filter(|i| self.pds[*i].listed)
            .map(|i| EtcdMember {
                id: MemberId(self.pds[i].id),
                name: self.name(i),
                peer_urls: self.pds[i].urls.clone(),
                client_urls: vec![format!("http://{}:2379", self.name(i))],
            })
            .collect();
        for i in (0..PODS).filter(|i| self.exists && self.pds[*i].listed) {
            let answer = PdAnswer {
                api: Some(MembershipApi::V2),
                cluster_id: Some(self.database),
                self_id: Some(MemberId(self.pds[i].id)),
                members: listed.clone(),
                leader: Some(MemberId(self.pds[self.leader].id)),
                healthy: Some(i + self.ill < PODS),
                ..PdAnswer::default()
            };
            let view = PdView { at: self.now, answer: Ok(answer) };
            say(What::Pd { pod: ObjectKey::new("db", format!("basic-pd-{i}")), view: Box::new(view) });
        }
        Observation { at: self.now, fleet, denied: Some(Vec::new()) }
    }
}
