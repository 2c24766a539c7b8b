//! Fleets for the tests of this room: one healthy Database across two KubeClusters, changed case by case.

use serde_json::{Value, json};

use crate::fleet::closer_look::{Controller, Operator, RecordGuard};
use crate::fleet::corefile;
use crate::fleet::dns::Dns;
use crate::fleet::object_kind::{Lookup, ObjectKind};
use crate::fleet::pd::{EtcdMember, MemberId, MembershipApi, PdAnswer, PdView, Store};
use crate::fleet::pd_details::{PdDetails, PlacementRule};
use crate::fleet::region_health_counts::RegionCheck;
use crate::fleet::{Change, Crd, Fleet, Freshness, ObjectKey, What};
use crate::hazards::{Checked, check};

pub(crate) fn when() -> jiff::Timestamp {
    "2026-11-20T12:00:00Z".parse().expect("a timestamp")
}

/// One KubeCluster with one TidbCluster, as JSON that a case may change.
pub(crate) struct Side {
    pub context: &'static str,
    pub domain: Option<String>,
    /// CoreDNS's configuration, where it is more than that domain.
    pub corefile: Option<&'static str>,
    pub uid: String,
    pub operator: Operator,
    pub records: Option<RecordGuard>,
    pub version: String,
    pub crd: Crd,
    pub tc: Value,
    pub pods: Vec<Value>,
    pub sets: Vec<Value>,
    pub claims: Option<Vec<Value>>,
    pub events: Option<Vec<crate::fleet::closer_look::Event>>,
    pub freshness: Freshness,
    pub secrets: Vec<(String, Lookup)>,
    /// Further TidbClusters.
    pub others: Vec<Value>,
}

/// The whole world of a case.
pub(crate) struct Bed {
    pub east: Side,
    pub west: Side,
    pub members: Vec<EtcdMember>,
    /// What the PD of west lists, where it is not the same.
    pub other_members: Option<Vec<EtcdMember>>,
    pub stores: Vec<Store>,
    pub details: PdDetails,
    pub cluster_id: u64,
    /// Of west, where it is not the same.
    pub other_id: Option<u64>,
    pub leader: Option<u64>,
    pub unhealthy: Vec<(&'static str, u64)>,
    pub max_replicas: u64,
    pub location_labels: Vec<String>,
    /// Contexts whose PD nobody has heard of.
    pub silent: Vec<&'static str>,
}

impl Bed {
    /// Healthy: two PD and two TiKV in east, one PD and two TiKV in west.
    pub fn healthy() -> Self {
        let east = Side::new("east", "prod-east", 2, None);
        let west = Side::new("west", "prod-west", 1, Some(("prod-east", "east.local")));
        let member = |id: u64, context: &str, ordinal: u64| {
            let host = format!("prod-{context}-pd-{ordinal}.prod-{context}-pd-peer.db.svc.{context}.local");
            EtcdMember {
                id: MemberId(id),
                peer_urls: vec![format!("http://{host}:2380")],
                client_urls: vec![format!("http://{host}:2379")],
                name: host,
            }
        };
        let store = |id: u64, context: &str, ordinal: u64| Store {
            id,
            address: format!("prod-{context}-tikv-{ordinal}.prod-{context}-tikv-peer.db.svc.{context}.local:20160"),
            state: "Up".into(),
            version: "8.5.7".into(),
            labels: [("zone".to_owned(), context.to_owned())].into(),
            ..Store::default()
        };
        let rule = PlacementRule {
            group_id: "pd".into(),
            id: "default".into(),
            role: "voter".into(),
            count: 3,
            ..PlacementRule::default()
        };
        Self {
            east,
            west,
            members: vec![member(1, "east", 0), member(2, "east", 1), member(3, "west", 0)],
            other_members: None,
            stores: vec![store(1, "east", 0), store(2, "east", 1), store(4, "west", 0), store(5, "west", 1)],
            details: PdDetails {
                at: when(),
                rules: Some(vec![rule]),
                regions: RegionCheck::ALL.into_iter().map(|check| (check, 0)).collect(),
                removing: Some(Vec::new()),
                schedulers: Some(vec!["balance-leader-scheduler".into()]),
                gaps: Vec::new(),
            },
            cluster_id: 42,
            other_id: None,
            leader: Some(1),
            unhealthy: Vec::new(),
            max_replicas: 3,
            location_labels: vec!["zone".into()],
            silent: Vec::new(),
        }
    }

    pub fn fleet(&self) -> Fleet {
        let mut fleet = Fleet::default();
        self.east.tell(&mut fleet);
        self.west.tell(&mut fleet);
        for (context, pod, id) in
            [("east", "prod-east-pd-0", 1), ("east", "prod-east-pd-1", 2), ("west", "prod-west-pd-0", 3)]
        {
            if self.silent.contains(&context) {
                continue;
            }
            let listed = self.other_members.as_ref().filter(|_| context == "west").unwrap_or(&self.members);
            let cluster_id = self.other_id.filter(|_| context == "west").unwrap_or(self.cluster_id);
            let answer = PdAnswer {
                api: Some(MembershipApi::V3),
                cluster_id: Some(cluster_id),
                self_id: Some(MemberId(id)),
                members: listed.clone(),
                // A list without the leader follows its own first member.
                leader: self
                    .leader
                    .map(|id| listed.iter().find(|m| m.id.0 == id).or(listed.first()).map_or(MemberId(id), |m| m.id)),
                healthy: Some(true),
                health: listed
                    .iter()
                    .map(|m| {
                        (m.id, !self.unhealthy.iter().any(|(by, of)| m.id.0 == *of && (*by == pod || by.is_empty())))
                    })
                    .collect(),
                version: Some("v8.5.7".into()),
                stores: self.stores.clone(),
                max_replicas: Some(self.max_replicas),
                location_labels: self.location_labels.clone(),
                ..PdAnswer::default()
            };
            let pod = ObjectKey::new("db", pod);
            let view = Box::new(PdView { at: when(), answer: Ok(answer) });
            say(&mut fleet, context, What::Pd { pod: pod.clone(), view });
            if id == 1 {
                say(&mut fleet, context, What::PdDetails { pod, details: Box::new(self.details.clone()) });
            }
        }
        fleet
    }

    pub fn checked(&self) -> Checked {
        check(&self.fleet(), None, when())
    }
}

pub(crate) fn say(fleet: &mut Fleet, context: &str, what: What) {
    fleet.apply(Change { context: context.into(), at: when(), what });
}

impl Side {
    fn new(context: &'static str, name: &str, pd: i64, joins: Option<(&str, &str)>) -> Self {
        let domain = format!("{context}.local");
        let component = |replicas: i64| json!({"replicas": replicas, "maxFailoverCount": 0, "config": {}});
        let status = |key: &str, replicas: i64| {
            let mut status = json!({"phase": "Normal", "synced": true, "image": format!("pingcap/{key}:v8.5.7")});
            let rows: serde_json::Map<String, Value> = (0..replicas)
                .map(|i| (i.to_string(), json!({"name": format!("{name}-{key}-{i}"), "id": i.to_string(), "health": true, "state": "Up"})))
                .collect();
            status[if key == "tikv" { "stores" } else { "members" }] = Value::Object(rows);
            status
        };
        let mut tc = json!({
            "metadata": {"name": name, "namespace": "db", "uid": format!("uid-of-{name}"), "resourceVersion": "7", "annotations": {}, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"version": "v8.5.7", "acrossK8s": true, "clusterDomain": domain, "configUpdateStrategy": "RollingUpdate",
                "pvReclaimPolicy": "Retain", "pd": component(pd), "tikv": component(2), "tidb": component(1)},
            "status": {"clusterID": "42", "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": ""}],
                "pd": status("pd", pd), "tikv": status("tikv", 2), "tidb": status("tidb", 1)},
        });
        if let Some((name, domain)) = joins {
            tc["spec"]["cluster"] = json!({"name": name, "namespace": "db", "clusterDomain": domain});
        }
        let labels = |key: &str| json!({"app.kubernetes.io/instance": name, "app.kubernetes.io/component": key, "controller-revision-hash": "r1"});
        let mut pods = Vec::new();
        let mut sets = Vec::new();
        for (key, count) in [("pd", pd), ("tikv", 2), ("tidb", 1)] {
            sets.push(json!({"metadata": {"name": format!("{name}-{key}"), "namespace": "db", "generation": 1},
                "spec": {"replicas": count}, "status": {"observedGeneration": 1, "replicas": count, "readyReplicas": count,
                "updatedReplicas": count, "currentRevision": "r1", "updateRevision": "r1"}}));
            pods.extend((0..count).map(|i| {
                let mut labels = labels(key);
                if key == "tikv" {
                    labels["tidb.pingcap.com/store-id"] = json!("1");
                }
                pod(&format!("{name}-{key}-{i}"), labels)
            }));
        }
        pods.push(pod(&format!("{name}-discovery-0"), labels("discovery")));
        Self {
            context,
            domain: Some(domain),
            corefile: None,
            uid: format!("uid-of-{context}"),
            records: None,
            operator: Operator {
                deployments: vec![Controller {
                    key: ObjectKey::new("tidb-admin", "tidb-controller-manager"),
                    image: "pingcap/tidb-operator:v1.6.6".into(),
                    component: "controller-manager".into(),
                    wanted: 1,
                    available: 1,
                }],
                webhooks: Some(Vec::new()),
            },
            version: "v1.6.6".into(),
            crd: Crd::Served { across_k8s: Some(true) },
            tc,
            pods,
            sets,
            claims: Some(Vec::new()),
            events: Some(Vec::new()),
            freshness: Freshness::Live,
            secrets: Vec::new(),
            others: Vec::new(),
        }
    }

    /// A component's StatefulSet and pods with another revision under way.
    pub fn rolling(&mut self, key: &str) {
        let ends = format!("-{key}");
        for set in &mut self.sets {
            if set["metadata"]["name"].as_str().is_some_and(|name| name.ends_with(&ends)) {
                set["status"]["updateRevision"] = json!("r2");
            }
        }
        self.tc["status"][key]["phase"] = json!("Upgrade");
        self.tc["status"]["conditions"][0] =
            json!({"type": "Ready", "status": "False", "reason": "StatefulSetNotUpToDate", "message": ""});
    }

    fn tell(&self, fleet: &mut Fleet) {
        let mut say = |what| say(fleet, self.context, what);
        say(What::Identity { uid: Some(self.uid.clone()), version: Some("v1.33.4".into()) });
        say(What::Crd(self.crd.clone()));
        say(What::Operator { version: Some(self.version.clone()) });
        match (&self.domain, self.corefile) {
            (_, Some(text)) => say(What::Dns(corefile::read(text))),
            (Some(domain), None) => say(What::Dns(Dns::of(domain))),
            (None, None) => {}
        }
        let all = std::iter::once(&self.tc).chain(&self.others);
        say(What::TidbClusters(all.map(|tc| from(tc.clone())).collect()));
        say(What::Pods(self.pods.iter().cloned().map(from).collect()));
        say(What::StatefulSets(self.sets.iter().cloned().map(from).collect()));
        if let Some(claims) = &self.claims {
            say(What::Claims(claims.iter().cloned().map(from).collect()));
        }
        if let Some(events) = &self.events {
            say(What::Events(events.clone()));
        }
        say(What::OperatorState(Box::new(self.operator.clone())));
        if let Some(guard) = self.records {
            say(What::Records(guard));
        }
        for (name, sight) in &self.secrets {
            let key = ObjectKey::new("db", name);
            say(What::Object { kind: ObjectKind::Secret, key, sight: Box::new(sight.clone()) });
        }
        say(What::Connection { freshness: self.freshness.clone(), message: None });
    }
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the shape of the API")
}

fn pod(name: &str, labels: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "db", "labels": labels, "annotations": {}},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
}
