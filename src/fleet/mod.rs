//! What **is**: everything we were told about every Kubernetes cluster, as plain data.
//!
//! Pure: no tokio, no HTTP, no clock. [`Fleet::apply`] and [`Fleet::moves`] are the only ways in, one [`Change`] at a time, whether the
//! changes come from a long-lived watch (console) or from one look (`status`, a run). Not here: how we learn it
//! (`client`), what should happen (`runbook`).
//!
//! Neighbours: [`tidbcluster`] and [`workload`] (Kubernetes objects), [`pd`] (what PD says), [`closer_look`] (what only some ask for:
//! [`volume_claim`], [`pd_details`], events, the operator),
//! [`database`] (all joined), [`dns`] and [`corefile`] (which domains a cluster serves),
//! [`quorum`], [`quorum_after_cluster_loss`] and [`rollout`] (arithmetic), [`peer_url_check`] (the check that no server makes), [`certificate_facts`], [`tls`] and [`certificate_list`]
//! (what certificates say and should say, and when they end), [`tls_toggle`] (with TLS or without, and as asked?).

pub mod advice;
pub mod certificate_facts;
pub mod certificate_list;
pub mod component;
mod fleet_update;
pub mod kube_cluster_problems;
pub mod logs_and_events;

pub mod closer_look;
pub mod cluster_domain_evidence;
pub mod connection_health;
pub mod controller_revision;
pub mod corefile;
pub mod database;
pub mod database_invariants;
pub mod dns;
pub mod dns_forward_zones;
mod freshness;
pub mod ghost_member;
pub mod hazard_id;
pub mod interrupted_work;
pub mod kubectl_quoting;
pub mod log_line;
pub mod managed_fields;
pub mod network_prerequisites;
pub mod not_seen;
pub mod object_diff;
pub mod object_kind;
mod object_ref;
pub mod operator_normalization;
pub mod pd;
pub mod pd_details;
pub mod pd_leader_state;
pub mod pd_pod_to_ask;
pub mod peer_url_check;
pub mod port_forward;
pub mod problem;
pub mod problem_subject;
pub mod quorum;
pub mod quorum_after_cluster_loss;
pub mod region_health_counts;
pub mod regions_after_cluster_loss;
pub mod remedy_commands;
pub mod removal_impact;
pub mod rollout;
pub mod same_kube_cluster;
pub mod tidbcluster;
pub mod tls;
pub mod tls_toggle;
pub mod upgrade_order;
pub mod version;
pub mod volume_claim;
pub mod workload;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use closer_look::Extended;
use dns::Dns;
use fleet_update::keyed;
pub use fleet_update::{Change, Keyed, WatchEvent, What};
pub use freshness::Freshness;
use object_kind::{Lookup, ObjectKind};
pub use object_ref::{ObjectKey, ObjectRef};
use pd::PdView;
use tidbcluster::TidbCluster;
use workload::{Pod, StatefulSet};

/// What the KubeCluster knows of TidbClusters (`domain.md` §1.5, §4.5; hazard 5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Crd {
    #[default]
    Unknown,
    /// Operator v1. `across_k8s` is `None` where the schema could not be read.
    #[serde(rename_all = "camelCase")]
    Served {
        across_k8s: Option<bool>,
    },
    Missing,
    /// Only `core.pingcap.com`: TiDB Operator v2 does not support spanning Kubernetes clusters.
    OperatorV2Only,
}

/// One Kubernetes cluster = one kubeconfig context, identified by the UID of its `kube-system` namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KubeCluster {
    pub context: String,
    /// API server URL as the kubeconfig gives it.
    pub server: String,
    /// Fingerprint of the certificate authority that the kubeconfig gives for it; `None` where it gives none.
    pub trust: Option<String>,
    pub uid: Option<String>,
    /// `v1.33.4`
    pub version: Option<String>,
    pub freshness: Freshness,
    /// When this cluster last answered anything.
    pub heard: Option<Timestamp>,
    /// One plain sentence: why it is not live, or what it lacks.
    pub message: Option<String>,
    pub crd: Crd,
    /// Image tag of `tidb-controller-manager`, `v1.6.6`.
    pub operator_version: Option<String>,
    /// Pods of its Deployment; `None` where that was not seen.
    pub operator_pods: Option<OperatorPods>,
    /// The DNS domains that it serves (hazard 1), as far as that is known.
    pub dns: Dns,
    pub read_only: bool,
    /// Whether its TidbClusters were ever listed: none is else not known to be none.
    pub listed: bool,
    pub tidb_clusters: BTreeMap<ObjectKey, TidbCluster>,
    pub pods: BTreeMap<ObjectKey, Pod>,
    pub stateful_sets: BTreeMap<ObjectKey, StatefulSet>,
    /// What each PD pod told us through its own tunnel, by pod.
    pub pd: BTreeMap<ObjectKey, PdView>,
    /// Objects that were asked for one by one; what is not in it was not looked at.
    pub objects: BTreeMap<(ObjectKind, ObjectKey), Lookup>,
    /// What a closer look saw; empty where nobody took one.
    pub more: Extended,
}

/// How many pods of `tidb-controller-manager` there should be and are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OperatorPods {
    pub wanted: i64,
    pub available: i64,
}

/// Every Kubernetes cluster that we are connected to, and what we know of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fleet {
    /// By context name.
    pub clusters: BTreeMap<String, KubeCluster>,
}

impl Fleet {
    /// Folds one change in. A change of a context nobody configured creates it: order of arrival must not matter.
    pub fn apply(&mut self, change: Change) {
        self.moves(change);
    }

    /// The same. Gives whether anything is other than before, times aside: what was computed of the fleet is good while
    /// it is not.
    pub fn moves(&mut self, change: Change) -> bool {
        let Change { context, at, what } = change;
        let known = self.clusters.contains_key(&context);
        let cluster =
            self.clusters.entry(context.clone()).or_insert_with(|| KubeCluster { context, ..KubeCluster::default() });
        if !matches!(what, What::Configured { .. } | What::Trust(_) | What::Connection { .. }) {
            cluster.heard = Some(at);
        }
        let moved = match what {
            What::Configured { server, read_only } => {
                cluster.server = server;
                cluster.read_only = read_only;
                true
            }
            What::Connection { freshness, message } => {
                if freshness.is_live() {
                    cluster.heard = Some(at);
                }
                let moved = put(&mut cluster.freshness, freshness);
                put(&mut cluster.message, message) || moved
            }
            What::Pods(all) => {
                cluster.pods = keyed(all);
                cluster.drop_pd_of_gone_pods();
                true
            }
            What::TidbCluster(one) => one.into(&mut cluster.tidb_clusters),
            What::Pod(one) => {
                if let WatchEvent::Gone(key) = &one {
                    cluster.pd.remove(key);
                    cluster.more.pd.remove(key);
                }
                one.into(&mut cluster.pods)
            }
            What::StatefulSet(one) => one.into(&mut cluster.stateful_sets),
            What::Pd { pod, view } => {
                let moved = cluster.pd.get(&pod).is_none_or(|before| before.answer != view.answer);
                cluster.pd.insert(pod, *view);
                moved
            }
            other => {
                cluster.take(other);
                true
            }
        };
        moved || !known
    }

    /// What was seen at the place of one object; `None`: nobody looked.
    pub fn sight(&self, id: &object_kind::ObjectId) -> Option<&Lookup> {
        self.clusters.get(&id.context)?.objects.get(&id.key())
    }

    pub fn tidb_cluster(&self, of: &ObjectRef) -> Option<&TidbCluster> {
        self.clusters.get(&of.context)?.tidb_clusters.get(&of.key())
    }

    /// Every TidbCluster with its full name, in order.
    pub fn tidb_clusters(&self) -> impl Iterator<Item = (ObjectRef, &TidbCluster)> {
        self.clusters.values().flat_map(|cluster| {
            cluster
                .tidb_clusters
                .iter()
                .map(|(key, tc)| (ObjectRef::new(&cluster.context, &key.namespace, &key.name), tc))
        })
    }
}

impl KubeCluster {
    /// The DNS domain of its pods, where it is known.
    pub fn cluster_domain(&self) -> Option<&str> {
        self.dns.first()
    }

    /// The operator that is at work here: its version, or why there is none.
    pub fn operator(&self) -> Result<Option<&str>, &'static str> {
        match self.operator_pods {
            Some(OperatorPods { wanted: 0, .. }) => Err("scaled to 0"),
            Some(OperatorPods { available: 0, .. }) => Err("not running"),
            Some(_) | None => Ok(self.operator_version.as_deref()),
        }
    }

    /// The pods of one namespace, by name: whoever looks for a TidbCluster's own need not walk through all others.
    pub fn pods_in<'a, 'n>(&'a self, namespace: &'n str) -> impl Iterator<Item = &'a Pod> + use<'a, 'n> {
        in_namespace(&self.pods, namespace).map(|(_, pod)| pod)
    }

    /// The pods of one TidbCluster: those that carry the instance label which TiDB Operator gives them, whatever its name.
    pub fn pods_of<'a, 't>(&'a self, tc: &'t TidbCluster) -> impl Iterator<Item = &'a Pod> + use<'a, 't> {
        self.pods_in(tc.namespace()).filter(move |pod| pod.instance() == Some(tc.instance()))
    }

    /// What the PD pods of one namespace said.
    pub fn pd_in<'a, 'n>(
        &'a self,
        namespace: &'n str,
    ) -> impl Iterator<Item = (&'a ObjectKey, &'a PdView)> + use<'a, 'n> {
        in_namespace(&self.pd, namespace)
    }

    /// What is learned seldom.
    fn take(&mut self, what: What) {
        match what {
            What::Identity { uid, version } => {
                self.uid = uid.or(self.uid.take());
                self.version = version.or(self.version.take());
            }
            What::Crd(crd) => self.crd = crd,
            What::Operator { version } => self.operator_version = version,
            What::Dns(dns) => self.dns = dns,
            What::PodsDomain(domain) => self.dns.put_first(&domain),
            What::NameTried { domain, answered } => drop(self.dns.tried.insert(dns::normal(&domain), answered)),
            What::OperatorPods(pods) => self.operator_pods = Some(pods),
            What::Trust(trust) => self.trust = trust,
            What::TidbClusters(all) => {
                self.listed = true;
                self.tidb_clusters = keyed(all);
            }
            What::StatefulSets(all) => self.stateful_sets = keyed(all),
            What::Object { kind, key, sight } => drop(self.objects.insert((kind, key), *sight)),
            What::Claims(all) => self.more.take_claims(keyed(all)),
            What::Events(all) => self.more.take_events(all),
            What::CertManager(versions) => self.more.take_cert_manager(versions),
            What::Records(guard) => self.more.take_records(guard),
            What::OperatorState(operator) => self.more.take_operator(*operator),
            What::PdDetails { pod, details } => self.more.take_pd(pod, *details),
            What::RegionCounts { pod, counts } => counts.put(self.more.regions.entry(pod).or_default()),
            What::Served { pod, served } => drop(self.more.served.insert(pod, served)),
            What::Lacking { extra, sentence } => self.more.lack(extra, sentence),
            // Those that come all the time are told apart in `Fleet::apply`.
            What::Configured { .. }
            | What::Connection { .. }
            | What::Pods(_)
            | What::TidbCluster(_)
            | What::Pod(_)
            | What::StatefulSet(_)
            | What::Pd { .. } => {}
        }
    }

    fn drop_pd_of_gone_pods(&mut self) {
        let pods = &self.pods;
        self.pd.retain(|pod, _| pods.contains_key(pod));
        self.more.pd.retain(|pod, _| pods.contains_key(pod));
        self.more.regions.retain(|pod, _| pods.contains_key(pod));
    }
}

/// Puts a value in its place; whether it is another one.
fn put<T: PartialEq>(place: &mut T, value: T) -> bool {
    let moved = *place != value;
    *place = value;
    moved
}

/// What is in one namespace, without a walk through all others.
pub fn in_namespace<'a, 'n, T>(
    all: &'a BTreeMap<ObjectKey, T>,
    namespace: &'n str,
) -> impl Iterator<Item = (&'a ObjectKey, &'a T)> + use<'a, 'n, T> {
    all.range(ObjectKey::new(namespace, "")..).take_while(move |(key, _)| key.namespace == namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn say(fleet: &mut Fleet, context: &str, what: What) {
        fleet.apply(Change { context: context.into(), at: at(), what });
    }

    #[test]
    fn a_lost_connection_keeps_what_was_known() {
        let mut fleet = Fleet::default();
        say(&mut fleet, "a", What::Identity { uid: None, version: Some("v1.33.4".into()) });
        say(&mut fleet, "a", What::Connection { freshness: Freshness::Unreachable, message: Some("no answer".into()) });
        assert_eq!(fleet.clusters["a"].version.as_deref(), Some("v1.33.4"));
        assert_eq!(fleet.clusters["a"].freshness, Freshness::Unreachable);
    }

    #[test]
    fn only_what_is_other_than_before_moves_the_fleet() {
        let mut fleet = Fleet::default();
        let mut tell = |seconds: i64, what: What| {
            let at = Timestamp::from_second(seconds).expect("in range");
            let moved = fleet.moves(Change { context: "a".into(), at, what });
            (moved, fleet.clusters["a"].heard.map(Timestamp::as_second))
        };
        let live = || What::Connection { freshness: Freshness::Live, message: None };
        assert_eq!(tell(1, live()), (true, Some(1)));
        assert_eq!(tell(2, live()), (false, Some(2)), "heard again, and nothing is new");
        let key = ObjectKey::new("n", "pd-0");
        let view = |seconds: i64, api| {
            let answer = pd::PdAnswer { cluster_id: Some(api), ..pd::PdAnswer::default() };
            let at = Timestamp::from_second(seconds).expect("in range");
            What::Pd { pod: key.clone(), view: Box::new(PdView { at, answer: Ok(answer) }) }
        };
        assert!(tell(3, view(3, 7)).0 && !tell(4, view(4, 7)).0 && tell(5, view(5, 8)).0);
        let pod = |phase: &str| {
            let status = workload::PodStatus { phase: phase.into(), ..workload::PodStatus::default() };
            let mut pod = Pod { status, ..Pod::default() };
            (pod.metadata.namespace, pod.metadata.name) = ("n".into(), "pd-0".into());
            What::Pod(WatchEvent::Set(Box::new(pod)))
        };
        assert!(tell(6, pod("Running")).0 && !tell(7, pod("Running")).0 && tell(8, pod("Failed")).0);
        assert!(
            tell(9, What::Pod(WatchEvent::Gone(key.clone()))).0
                && !tell(10, What::Pod(WatchEvent::Gone(key.clone()))).0
        );
        assert!(fleet.clusters["a"].pd.is_empty(), "what a pod said goes with it");
    }

    #[test]
    fn references_take_contexts_with_slashes() {
        let parsed = ObjectRef::parse("arn:aws:eks:x:1:cluster/prod/db/basic").expect("three parts or more");
        assert_eq!(parsed, ObjectRef::new("arn:aws:eks:x:1:cluster/prod", "db", "basic"));
        for bad in ["", "a", "a/b", "/b/c", "a//c", "a/b/"] {
            assert!(ObjectRef::parse(bad).is_err(), "{bad}");
        }
    }
}
