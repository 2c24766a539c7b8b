//! Observations in which nothing is refused, and the ways in which a case alters one.
//!
//! Two fleets of three KubeClusters (`east`, `west`, `north`): `Spanning` with one Database across the first two, under
//! TLS; `Opened` with a TidbCluster in `east` only, with the namespace and nothing else elsewhere. Not here: which
//! alteration which check is for ([`super::cases`]).

use crate::refusals::bases::Base;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tidepilot::fleet::certificate_facts::FACTS_KEY;
use tidepilot::fleet::dns::Dns;
use tidepilot::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use tidepilot::fleet::pd::{EtcdMember, MemberId, NoAnswer, PdAnswer, Store};
use tidepilot::fleet::pd_details::PdDetails;
use tidepilot::fleet::tidbcluster::{ClusterReference, ComponentSpec, TidbCluster, TlsCluster};
use tidepilot::fleet::volume_claim::Claim;
use tidepilot::fleet::{Crd, Freshness, KubeCluster, ObjectKey, ObjectRef};
use tidepilot::runbook::Observation;
use tidepilot::runbook::action_types::RUN_LABEL;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fleet {
    Spanning,
    Opened,
}

pub const EAST: &str = "east/prod/prod-east";
pub const WEST: &str = "west/prod/prod-west";

pub const fn base(name: &'static str, fleet: Fleet, inputs: &'static [(&'static str, &'static str)]) -> Base {
    Base { name, fleet, inputs }
}

pub fn runbook_of(name: &'static str) -> &'static str {
    name.split('/').next().expect("a split has a first part")
}

/// An observation that a case alters.
pub struct World {
    pub seen: Observation,
    pub at: ObjectRef,
    pub place: ObjectRef,
}

impl World {
    /// `tlsCluster` is switched, and nothing of what runs has changed.
    pub fn toggled(&mut self) {
        let key = ObjectKey::new("prod", "prod-east");
        let tc = self.cluster("east").tidb_clusters.get_mut(&key).expect("a TidbCluster of this fleet");
        let enabled = !tc.tls();
        tc.spec.tls_cluster = Some(TlsCluster { enabled });
    }

    /// It was never switched on: neither does anything run with it.
    pub fn without_tls(&mut self) {
        let at = self.at.clone();
        let tc = self.tc();
        tc.spec.tls_cluster = None;
        for member in tc.status.pd.members.values_mut() {
            member.client_url = member.client_url.replace("https:", "http:");
        }
        for pod in self.cluster(&at.context).pods.values_mut() {
            pod.spec.volumes = Some(Vec::new());
        }
        self.members(|all| {
            let own = all.iter_mut().filter(|member| member.name.starts_with("prod-east-"));
            own.flat_map(|member| &mut member.client_urls).for_each(|url| *url = url.replace("https:", "http:"));
        });
    }

    pub fn cluster(&mut self, context: &str) -> &mut KubeCluster {
        self.seen.fleet.clusters.get_mut(context).expect("a context of this fleet")
    }

    /// The KubeCluster where something is made or changed.
    pub fn kube(&mut self) -> &mut KubeCluster {
        let context = self.place.context.clone();
        self.cluster(&context)
    }

    pub fn operator(&mut self, version: &str) {
        self.kube().operator_version = Some(version.into());
    }

    pub fn crd(&mut self, across_k8s: Option<bool>) {
        self.kube().crd = Crd::Served { across_k8s };
    }

    pub fn tc(&mut self) -> &mut TidbCluster {
        let at = self.at.clone();
        self.cluster(&at.context).tidb_clusters.get_mut(&at.key()).expect("it is there")
    }

    pub fn tikv(&mut self) -> &mut ComponentSpec {
        self.tc().spec.tikv.as_mut().expect("it has TiKV")
    }

    /// Its TiDB is suspended, and nothing is left of it but the spec.
    pub fn suspends_tidb(&mut self) {
        let at = self.at.clone();
        let tc = self.tc();
        tc.status.tidb.phase = Some("Suspend".into());
        tc.spec.tidb.as_mut().expect("it has TiDB").suspend_action =
            Some([("suspendStatefulSet".to_owned(), true)].into());
        let prefix = format!("{}-tidb", at.name);
        let cluster = self.cluster(&at.context);
        cluster.stateful_sets.retain(|key, _| key.name != prefix);
        cluster.pods.retain(|key, _| !key.name.starts_with(&prefix));
    }

    /// The other TidbCluster of the Database.
    pub fn other(&mut self) -> &mut TidbCluster {
        let at = self.at.clone();
        let all = self.seen.fleet.clusters.values_mut();
        let mut all = all.filter(|cluster| cluster.context != at.context).flat_map(|c| c.tidb_clusters.values_mut());
        all.next().expect("the Database has two")
    }

    /// One of these TidbClusters goes from phase Normal to phase Upgrade.
    pub fn rolls(tc: &mut TidbCluster) {
        tc.status.tikv.phase = Some("Upgrade".into());
    }

    pub fn add(&mut self, context: &str, tc: TidbCluster) {
        self.cluster(context).tidb_clusters.insert(tc.metadata.key(), tc);
    }

    /// A TidbCluster without any state, of this name.
    pub fn made(name: &str, spec: Value) -> TidbCluster {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "prod"}, "spec": spec}))
            .expect("its shape")
    }

    /// Another TidbCluster of the same name, namespace and domain.
    pub fn twin(&mut self) {
        let domain = format!("{}.local", self.place.context);
        self.add("north", Self::made(&self.place.name, json!({"clusterDomain": domain})));
    }

    /// A TidbCluster in `north` that refers to this one, with so many PD.
    pub fn refers(&mut self, pd: i64) {
        let mut tc = Self::made("prod-north", json!({"clusterDomain": "north.local", "pd": {"replicas": pd}}));
        let (name, namespace) = (self.at.name.clone(), Some(self.at.namespace.clone()));
        let cluster_domain = Some(format!("{}.local", self.at.context));
        tc.spec.cluster = Some(ClusterReference { name, namespace, cluster_domain });
        self.add("north", tc);
    }

    /// `north`, which has nothing to do with the Database, does not answer.
    pub fn stranger(&mut self) {
        self.cluster("north").freshness = Freshness::Unreachable;
    }

    /// `north`, which has a part of the Database, does not answer.
    pub fn lost(&mut self) {
        self.refers(1);
        self.stranger();
    }

    /// A second context of the same Kubernetes cluster.
    pub fn again(&mut self) {
        // One authority signed both servers: a uid alone is a claim.
        let own = self.kube().context.clone();
        self.cluster(&own).trust = Some("the same CA".into());
        let twice = KubeCluster { context: "zz-again".into(), ..self.kube().clone() };
        self.seen.fleet.clusters.insert("zz-again".into(), twice);
    }

    pub fn sees(&mut self, kind: ObjectKind, at: &str, sight: Lookup) {
        let at = ObjectRef::parse(at).expect("context, namespace, name");
        let (kind, key) = ObjectId::new(kind, &at).key();
        let context = self.cluster(&at.context);
        assert!(context.objects.insert((kind, key), sight).is_some(), "nobody looks at {at}");
    }

    /// A Secret that may not be read.
    pub fn unread_secret(&mut self, at: &str) {
        self.sees(ObjectKind::Secret, at, Lookup::Unseen("may not get secrets".into()));
    }

    fn present(&mut self, at: &str) -> &mut Value {
        let at = ObjectRef::parse(at).expect("context, namespace, name");
        match self.cluster(&at.context).objects.get_mut(&(ObjectKind::Secret, at.key())) {
            Some(Lookup::Present(secret)) => secret,
            other => panic!("{at} is not there: {other:?}"),
        }
    }

    /// What is known of the certificates in a Secret that is there.
    pub fn secret(&mut self, at: &str, alter: impl FnOnce(&mut Value)) {
        alter(&mut self.present(at)[FACTS_KEY]);
    }

    /// A Secret that cert-manager renews.
    pub fn kept(&mut self, at: &str) {
        self.present(at)["metadata"]["annotations"] = json!({"cert-manager.io/certificate-name": "prod-east-pd"});
    }

    /// The probe pod of another run.
    pub fn left(&mut self, at: &str) {
        self.sees(ObjectKind::Pod, at, Lookup::Present(json!({"metadata": {"labels": {RUN_LABEL: "r1"}}})));
    }

    pub fn no_domain_and_no_dns(&mut self) {
        self.kube().dns = Dns::default();
        self.tc().spec.cluster_domain = None;
    }

    pub fn no_domain_under_1_3_8(&mut self) {
        self.operator("v1.3.8");
        self.tc().spec.cluster_domain = None;
    }

    /// So late that every certificate has ended.
    pub fn ages_later(&mut self) {
        self.seen.at += SignedDuration::from_hours(7_000 * 365 * 24);
    }

    pub fn no_namespace(&mut self, context: &str) {
        let key = (ObjectKind::Namespace, ObjectKey::new("", "prod"));
        assert!(self.cluster(context).objects.insert(key, Lookup::Absent).is_some(), "nobody looks at it");
    }

    pub fn old_claim(&mut self) {
        let (key, name) = (self.place.key(), format!("pd-{}-pd-0", self.place.name));
        let labels = json!({"app.kubernetes.io/instance": key.name, "app.kubernetes.io/component": "pd"});
        let claim = json!({"metadata": {"name": name, "namespace": key.namespace, "labels": labels}});
        let claim: Claim = serde_json::from_value(claim).expect("its shape");
        self.kube().more.claims.get_or_insert_default().insert(claim.metadata.key(), claim);
    }

    /// Every answer of a PD pod.
    pub fn answers(&mut self, alter: impl Fn(&mut PdAnswer)) {
        let views = self.seen.fleet.clusters.values_mut().flat_map(|cluster| cluster.pd.values_mut());
        views.filter_map(|view| view.answer.as_mut().ok()).for_each(alter);
    }

    /// The answer of one pod.
    pub fn answer(&mut self, pod: &str) -> &mut Result<PdAnswer, NoAnswer> {
        let mut views = self.seen.fleet.clusters.values_mut().flat_map(|cluster| &mut cluster.pd);
        &mut views.find(|(key, _)| key.name == pod).expect("a PD pod").1.answer
    }

    pub fn silent(&mut self, pod: &str) {
        *self.answer(pod) = Err("no answer".into());
    }

    /// The stores are what no PD pod tells.
    pub fn no_stores_told(&mut self) {
        self.answers(|answer| answer.gaps = vec!["no stores: 503".into()]);
    }

    /// A pod that runs and is not Ready.
    pub fn unready(&mut self, pod: &str) {
        let pods = self.seen.fleet.clusters.values_mut().flat_map(|cluster| cluster.pods.values_mut());
        for one in pods.filter(|one| one.metadata.name == pod) {
            one.status.conditions.iter_mut().for_each(|condition| condition.status = "False".into());
            one.status.container_statuses.iter_mut().for_each(|container| container.ready = false);
        }
    }

    /// TiDB has this one pod in the whole Database.
    pub fn no_tidb_but(&mut self, pod: &str) {
        for cluster in self.seen.fleet.clusters.values_mut() {
            cluster.pods.retain(|key, _| key.name == pod || !key.name.contains("-tidb-"));
        }
    }

    /// PD's leader is the member of this pod, as every PD pod says.
    pub fn led_by(&mut self, pod: &str) {
        let pod = format!("{pod}.");
        self.answers(|answer| {
            let of_pod = answer.members.iter().find(|member| member.name.starts_with(&pod));
            answer.leader = of_pod.map(|member| member.id);
        });
    }

    /// What every PD pod lists as members.
    pub fn members(&mut self, alter: impl Fn(&mut Vec<EtcdMember>)) {
        self.answers(|answer| alter(&mut answer.members));
    }

    /// The member of that pod, in every list.
    pub fn member(&mut self, pod: &str, alter: impl Fn(&mut EtcdMember)) {
        let pod = format!("{pod}.");
        self.members(|all| all.iter_mut().filter(|member| member.name.starts_with(&pod)).for_each(&alter));
    }

    /// One more member in every list.
    pub fn more(&mut self, name: &str) {
        let added =
            EtcdMember { id: MemberId(0xbeef), name: name.into(), peer_urls: Vec::new(), client_urls: Vec::new() };
        self.members(|all| all.push(added.clone()));
    }

    /// Only so many of the members are left, that in `west` among them.
    pub fn few(&mut self, left: usize) {
        self.members(|all| {
            all.sort_by(|a, b| b.name.cmp(&a.name));
            all.truncate(left);
        });
    }

    /// So many of the members are not healthy, those in `east` first.
    pub fn sick(&mut self, many: usize) {
        self.answers(|answer| {
            let mut names: Vec<(&String, MemberId)> = answer.members.iter().map(|m| (&m.name, m.id)).collect();
            names.sort();
            let ids: Vec<MemberId> = names.into_iter().take(many).map(|(_, id)| id).collect();
            // As their own etcd says, and as PD sees them.
            if answer.self_id.is_some_and(|own| ids.contains(&own)) {
                answer.healthy = Some(false);
            }
            answer.health.extend(ids.into_iter().map(|id| (id, false)));
        });
    }

    /// Members whose names begin so are not healthy.
    pub fn unhealthy(&mut self, of: &[&str]) {
        self.answers(|answer| {
            let ids: Vec<MemberId> =
                answer.members.iter().filter(|m| of.iter().any(|of| m.name.starts_with(of))).map(|m| m.id).collect();
            if answer.self_id.is_some_and(|own| ids.contains(&own)) {
                answer.healthy = Some(false);
            }
            answer.health.extend(ids.into_iter().map(|id| (id, false)));
        });
    }

    /// A pod of the place only starts and ends again.
    pub fn loops(&mut self, name: &str) {
        let pod = self.kube().pods.values_mut().find(|pod| pod.metadata.name == name).expect("a pod");
        pod.status.conditions.clear();
        pod.status.container_statuses.iter_mut().for_each(|one| one.restart_count = 9);
    }

    /// One pod lists a peerURL that the others do not.
    pub fn disagree(&mut self, pod: &str) {
        let answer = self.answer(pod).as_mut().expect("it answers");
        answer.members[0].peer_urls = vec!["http://elsewhere:2380".into()];
    }

    pub fn stores(&mut self, alter: impl Fn(&mut Vec<Store>)) {
        self.answers(|answer| alter(&mut answer.stores));
    }

    pub fn details(&mut self, alter: impl Fn(&mut PdDetails)) {
        let all = self.seen.fleet.clusters.values_mut().flat_map(|cluster| cluster.more.pd.values_mut());
        all.for_each(alter);
    }
}
