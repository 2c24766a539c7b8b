//! How members find a leader and agree: links between them, elections, PD's own leadership, proposals.

use tokio::sync::oneshot;

use super::{CAMPAIGN_MS, Change, Database, ELECTION_MS, Pending, Process, Proposal, urls};
use crate::sim::world::PodKey;

impl Database {
    /// Whether a member follows etcd's present leader.
    pub fn in_touch(&self, id: u64) -> bool {
        self.leader.is_some_and(|leader| leader == id || self.linked(leader, id)) && self.lives(id)
    }

    /// Whether a process is there and runs.
    pub(super) fn lives(&self, id: u64) -> bool {
        self.processes.contains_key(&id) && !self.frozen.contains(&id)
    }

    fn linked(&self, one: u64, other: u64) -> bool {
        self.links.contains(&(one.min(other), one.max(other)))
    }

    /// Whom a member takes for etcd's leader: for a while after its end still the old one.
    pub fn followed(&self, id: u64, now_ms: u64) -> Option<u64> {
        self.leader.filter(|_| self.in_touch(id)).or(self.waning(now_ms).map(|(leader, _)| leader))
    }

    /// Connects what can connect, elects, publishes names, applies what waited. `resolves` gives the pod that the pod of one
    /// process reaches under a peerURL.
    pub fn tick(&mut self, now_ms: u64, resolves: &dyn Fn(&PodKey, &str) -> Option<PodKey>) {
        self.connect(resolves);
        self.check_leader(now_ms);
        if self.leader.is_none() && self.election_at_ms.is_some_and(|at| now_ms >= at) {
            self.elect();
        }
        self.campaign(now_ms);
        self.hear(now_ms);
        let Some(leader) = self.leader else { return };
        let followers: Vec<u64> = self.processes.keys().copied().filter(|id| self.in_touch(*id)).collect();
        for id in &followers {
            self.publish(*id);
        }
        for Pending { change, done } in std::mem::take(&mut self.pending) {
            self.commit(leader, change);
            let _ = done.send(());
        }
        self.spread();
    }

    /// PD leads where etcd does, as soon as the key of the last leader is gone.
    fn campaign(&mut self, now_ms: u64) {
        if self.leader.is_some() && self.pd_leader != self.leader && now_ms >= self.campaign_at_ms {
            self.pd_leader = self.leader;
            self.unheard = true;
        }
    }

    fn connect(&mut self, resolves: &dyn Fn(&PodKey, &str) -> Option<PodKey>) {
        let ids: Vec<u64> = self.processes.keys().copied().collect();
        for (index, one) in ids.iter().enumerate() {
            for other in &ids[index + 1..] {
                if !self.linked(*one, *other)
                    && self.tls_of(*one) == self.tls_of(*other)
                    && (self.dials(*one, *other, resolves) || self.dials(*other, *one, resolves))
                {
                    self.links.insert((*one, *other));
                }
            }
        }
    }

    fn dials(&self, from: u64, to: u64, resolves: &dyn Fn(&PodKey, &str) -> Option<PodKey>) -> bool {
        let (Some(source), Some(target), Some(member)) =
            (self.processes.get(&from), self.processes.get(&to), self.member(to))
        else {
            return false;
        };
        // A TLS listener takes no plain connection, nor the other way round, whatever the member's URL says.
        let mut urls = member.peer_urls.iter().filter(|url| url.starts_with("https:") == target.tls());
        urls.any(|url| resolves(&source.pod, url).as_ref() == Some(&target.pod))
    }

    /// Whom running members have no connection to: the pod, the id and URL of the other.
    pub fn out_of_reach(&self) -> impl Iterator<Item = (&PodKey, u64, &str)> {
        let far =
            move |one: u64| self.members.iter().filter(move |member| member.id != one && !self.linked(one, member.id));
        self.processes.iter().flat_map(move |(id, process)| {
            far(*id).map(move |member| (&process.pod, member.id, member.peer_urls.first().map_or("", String::as_str)))
        })
    }

    pub(super) fn tls_of(&self, id: u64) -> Option<bool> {
        self.processes.get(&id).map(Process::tls)
    }

    /// Running members that `id` is connected to, itself included.
    pub(super) fn reach(&self, id: u64) -> usize {
        let near = |other: &&u64| (**other == id || self.linked(id, **other)) && self.lives(**other);
        self.processes.keys().filter(near).count()
    }

    pub(super) fn check_leader(&mut self, now_ms: u64) {
        let holds = |id: u64| self.lives(id) && self.member(id).is_some() && self.reach(id) >= self.quorum();
        if self.leader.is_some_and(holds) {
            return;
        }
        if self.leader.take().is_some() || self.election_at_ms.is_none() {
            // The very first election of a young cluster need not wait for a timeout.
            let young = self.last_leader.is_none();
            self.election_at_ms = Some(now_ms + if young { 0 } else { ELECTION_MS });
            self.campaign_at_ms = now_ms + if young { 0 } else { ELECTION_MS + CAMPAIGN_MS };
            self.pd_leader = None;
        }
    }

    fn elect(&mut self) {
        let able = |id: &u64| self.lives(*id) && self.member(*id).is_some() && self.reach(*id) >= self.quorum();
        // Whoever has the newest log wins: members that were in touch before.
        let mut candidates: Vec<u64> = self.processes.keys().copied().filter(able).collect();
        candidates.sort_by_key(|id| (!self.processes.get(id).is_some_and(|process| process.joined), *id));
        if let Some(winner) = candidates.first().copied() {
            self.leader = Some(winner);
            self.last_leader = Some(winner);
            self.election_at_ms = None;
            self.term += 1;
        }
    }

    /// A member that is in touch writes its name and client URL into the membership.
    fn publish(&mut self, id: u64) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        process.joined = true;
        let (name, client_urls) = (process.name.clone(), vec![process.client_url.clone()]);
        if let Some(member) = self.members.iter_mut().find(|member| member.id == id)
            && (member.name != name || member.client_urls != client_urls)
        {
            member.name = name;
            member.client_urls = client_urls;
        }
    }

    /// Everybody in touch has applied the whole log.
    pub(super) fn spread(&mut self) {
        let followers: Vec<u64> = self.processes.keys().copied().filter(|id| self.in_touch(*id)).collect();
        for id in followers {
            if let Some(process) = self.processes.get_mut(&id) {
                process.view = self.members.clone();
            }
        }
    }

    /// Sends a change through raft, asked of member `at`.
    pub fn propose(&mut self, at: u64, change: Change) -> Proposal {
        if let Some(leader) = self.leader.filter(|_| self.in_touch(at)) {
            self.commit(leader, change);
            self.spread();
            return Proposal::Committed;
        }
        let (done, waiting) = oneshot::channel();
        // Only the old leader has it in its log; what a follower was asked is forgotten (facts-etcd.md 4).
        if self.last_leader == Some(at) && self.processes.contains_key(&at) {
            self.pending.push(Pending { change, done });
        }
        Proposal::Waiting(waiting)
    }

    fn commit(&mut self, _leader: u64, change: Change) {
        match change {
            Change::PeerUrls { id, urls } => {
                let malformed = urls::check_list(&urls).is_err();
                if let Some(member) = self.members.iter_mut().find(|member| member.id == id) {
                    member.peer_urls = urls;
                    if malformed {
                        self.poisoned.insert(id);
                        let victims: Vec<u64> = self.processes.keys().copied().filter(|other| *other != id).collect();
                        self.panicked.extend(victims);
                    }
                }
            }
            Change::Add(member) => {
                self.members.push(member);
                self.members.sort_by_key(|member| member.id);
            }
            Change::Remove { id } => {
                self.members.retain(|member| member.id != id);
                self.removed.insert(id);
            }
        }
    }
}
