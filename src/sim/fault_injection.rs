//! What a test or a demo does to a running simulated fleet: stops servers, breaks pods, moves members, prints lines.

use serde_json::json;

use super::api_server::Rules;
use super::scenario::ServerState;
use super::{Member, Sim, SimError, kubelet, pd, world};

impl Sim {
    /// Stops one API server: its port is closed and every connection cut. Its pods live on.
    pub async fn stop_cluster(&mut self, context: &str) -> Result<(), SimError> {
        let index = self.index(context)?;
        if let Some(server) = self.contexts[index].server.take() {
            server.stop().await;
        }
        Ok(())
    }

    /// Starts a stopped API server on its old port, with the state `up`.
    pub async fn restart_cluster(&mut self, context: &str) -> Result<(), SimError> {
        let index = self.index(context)?;
        self.contexts[index].state = ServerState::Up;
        if self.contexts[index].server.is_none() {
            self.serve(index).await?;
        }
        Ok(())
    }

    /// Puts a member into a Database that no process stands for; one without a name has never started. Gives its id.
    pub fn add_member(&self, database: &str, name: &str, peer_url: &str) -> Option<u64> {
        let mut state = self.world.state();
        let id = rand::random::<u64>() | 1;
        let database = state.databases.iter_mut().find(|known| known.name == database)?;
        let client_urls = if name.is_empty() { Vec::new() } else { vec![peer_url.replace(":2380", ":2379")] };
        let member = Member { id, name: name.to_owned(), peer_urls: vec![peer_url.to_owned()], client_urls };
        let leader = database.leader?;
        matches!(database.propose(leader, pd::Change::Add(member)), pd::Proposal::Committed).then_some(id)
    }

    /// Somebody sets the peerURL of a member of a Database. `None`: there is no leader to take it.
    pub fn set_peer_url(&self, database: &str, id: u64, url: &str) -> Option<()> {
        let mut state = self.world.state();
        let database = state.databases.iter_mut().find(|known| known.name == database)?;
        let leader = database.leader?;
        let change = pd::Change::PeerUrls { id, urls: vec![url.to_owned()] };
        matches!(database.propose(leader, change), pd::Proposal::Committed).then_some(())
    }

    /// Gives every user of one KubeCluster other rights. Its server starts again with them, on another port (somebody
    /// else may have been given the old one meanwhile): the kubeconfig has to be written again.
    pub async fn set_rules(&mut self, context: &str, rules: Rules) -> Result<(), SimError> {
        let index = self.index(context)?;
        for user in self.contexts[index].tokens.values_mut() {
            user.groups.clear();
            user.rules = rules.clone();
        }
        self.stop_cluster(context).await?;
        self.contexts[index].address.set_port(0);
        self.restart_cluster(context).await
    }

    /// Closes a port of all pods of one KubeCluster to every other KubeCluster (`true`), or opens it again.
    pub fn close_port(&self, context: &str, port: u16, closed: bool) -> Result<(), SimError> {
        let kube = self.index(context)?;
        let mut state = self.world.state();
        match closed {
            true => state.closed.insert((kube, port)),
            false => state.closed.remove(&(kube, port)),
        };
        Ok(())
    }

    /// Lets a pod's container exit at each start (`true`), or stops that; a running one exits as well.
    pub fn break_pod(&self, context: &str, namespace: &str, pod: &str, broken: bool) -> Result<(), SimError> {
        let kube = self.index(context)?;
        let key = world::PodKey { kube, namespace: namespace.to_owned(), name: pod.to_owned() };
        let mut state = self.world.state();
        if broken {
            state.broken.insert(key)
        } else {
            state.broken.remove(&key)
        };
        drop(state);
        if broken {
            self.world.kubes[kube].store.remove("pods", namespace, pod);
        }
        Ok(())
    }

    /// Kills the process in a pod (SIGKILL); its container starts again after the kubelet's pause. `false`: no such pod.
    pub fn kill_process(&self, context: &str, namespace: &str, pod: &str) -> Result<bool, SimError> {
        let key = world::PodKey { kube: self.index(context)?, namespace: namespace.to_owned(), name: pod.to_owned() };
        Ok(kubelet::kill(&self.world, &mut self.world.state(), &key))
    }

    /// Tells another address of a pod than the one that it has. `false`: no such pod.
    pub fn tell_address(&self, context: &str, namespace: &str, pod: &str, address: &str) -> Result<bool, SimError> {
        let key = world::PodKey { kube: self.index(context)?, namespace: namespace.to_owned(), name: pod.to_owned() };
        if let Some(container) = self.world.state().containers.get_mut(&key) {
            container.ip = Some(address.to_owned());
        }
        let told = self.world.kubes[key.kube].store.edit("pods", namespace, pod, |pod| {
            pod["status"]["podIP"] = json!(address);
            pod["status"]["podIPs"] = json!([{"ip": address}]);
        });
        Ok(told.is_some())
    }

    /// Prints a line into the log of a pod's container.
    pub fn print(&self, context: &str, namespace: &str, pod: &str, line: &str) -> Result<(), SimError> {
        let key = world::PodKey { kube: self.index(context)?, namespace: namespace.to_owned(), name: pod.to_owned() };
        self.world.state().logs.print(&key, line);
        Ok(())
    }

    /// Stops a PD where it stands (`true`: SIGSTOP), or lets it go on. `false`: no PD runs in that pod.
    pub fn freeze_pd(&self, context: &str, namespace: &str, pod: &str, frozen: bool) -> Result<bool, SimError> {
        let key = world::PodKey { kube: self.index(context)?, namespace: namespace.to_owned(), name: pod.to_owned() };
        let mut state = self.world.state();
        let now_ms = state.now_ms;
        let mut found = state.databases.iter_mut().filter_map(|database| Some((database.member_at(&key)?, database)));
        Ok(found.next().is_some_and(|(id, database)| {
            database.freeze(id, frozen, now_ms);
            true
        }))
    }

    /// Hands the lead of a Database over to another member, as `POST /leader/resign` does.
    pub fn hand_over(&self, database: &str) -> bool {
        let mut state = self.world.state();
        let known = state.databases.iter_mut().find(|known| known.name == database);
        known.is_some_and(|known| {
            let next = known.leader.and_then(|leader| known.successor(leader, |_| true));
            next.is_some_and(|next| known.transfer(next))
        })
    }

    /// The longest time, simulated, that a store takes to tell a new leader of PD of itself.
    pub fn set_heartbeat(&self, database: &str, ms: u64) {
        for known in self.world.state().databases.iter_mut().filter(|known| known.name == database) {
            known.heartbeat_ms = ms;
        }
    }
}
