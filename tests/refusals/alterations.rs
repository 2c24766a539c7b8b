//! One thing that is wrong, each under its name; many runbooks have a check for it.
//!
//! An alteration changes what was seen, or what was asked for; where it fits nothing it changes nothing.

use serde_json::{Value, json};
use tidepilot::fleet::certificate::FACTS_KEY;
use tidepilot::fleet::extras::{Claim, RegionCheck};
use tidepilot::fleet::object::{ObjectKind, Sight};
use tidepilot::fleet::pd::{EtcdMember, MemberId, PdAnswer};
use tidepilot::fleet::tidbcluster::TidbCluster;
use tidepilot::fleet::{Crd, Freshness, Keyed, KubeCluster, ObjectKey};
use tidepilot::runbook::Observation;

use super::Inputs;

type Alteration = fn(&mut Observation, &mut Inputs);

fn clusters(seen: &mut Observation) -> impl Iterator<Item = &mut KubeCluster> {
    seen.fleet.clusters.values_mut()
}

/// Changes every TidbCluster as its JSON.
fn tidb_clusters(seen: &mut Observation, change: impl Fn(&mut Value)) {
    for tc in clusters(seen).flat_map(|cluster| cluster.tidb_clusters.values_mut()) {
        let mut value = serde_json::to_value(&*tc).expect("plain data");
        change(&mut value);
        *tc = serde_json::from_value(value).expect("still a TidbCluster");
    }
}

fn spec(seen: &mut Observation, field: &str, value: &Value) {
    tidb_clusters(seen, |tc| tc["spec"][field] = value.clone());
}

/// A field of every component.
fn components(seen: &mut Observation, field: &str, value: &Value) {
    tidb_clusters(seen, |tc| {
        for component in ["pd", "tikv", "tidb", "tiflash"] {
            if tc["spec"][component].is_object() {
                tc["spec"][component][field] = value.clone();
            }
        }
    });
}

fn answers(seen: &mut Observation) -> impl Iterator<Item = &mut PdAnswer> {
    clusters(seen).flat_map(|cluster| cluster.pd.values_mut()).filter_map(|view| view.answer.as_mut().ok())
}

/// A member more, in everybody's list.
fn member(seen: &mut Observation, name: &str, url: &str) {
    let added = EtcdMember {
        id: MemberId(77),
        name: name.into(),
        peer_urls: vec![url.into()],
        client_urls: if name.is_empty() { Vec::new() } else { vec![url.replace("2380", "2379")] },
    };
    answers(seen).for_each(|answer| answer.members.push(added.clone()));
}

/// A second TidbCluster beside each, made from it.
fn another(seen: &mut Observation, change: impl Fn(&mut Value)) {
    for cluster in clusters(seen) {
        let all: Vec<TidbCluster> = cluster.tidb_clusters.values().cloned().collect();
        for tc in all {
            let mut value = serde_json::to_value(tc).expect("plain data");
            change(&mut value);
            let made: TidbCluster = serde_json::from_value(value).expect("still a TidbCluster");
            cluster.tidb_clusters.insert(made.key(), made);
        }
    }
}

/// A KubeCluster more, with the TidbClusters of every other one.
fn elsewhere(seen: &mut Observation, change: impl Fn(&mut KubeCluster)) {
    let all: Vec<KubeCluster> = clusters(seen).map(|cluster| cluster.clone()).collect();
    let mut more = KubeCluster { context: "more".into(), uid: Some("more".into()), ..all[0].clone() };
    more.tidb_clusters = all.iter().flat_map(|cluster| cluster.tidb_clusters.clone()).collect();
    more.pd.clear();
    more.pods.clear();
    change(&mut more);
    seen.fleet.clusters.insert(more.context.clone(), more);
}

fn secrets(seen: &mut Observation, change: impl Fn(&str, &mut Sight)) {
    for cluster in clusters(seen) {
        for ((kind, key), sight) in &mut cluster.objects {
            if *kind == ObjectKind::Secret {
                change(&key.name, sight);
            }
        }
    }
}

fn certificate(seen: &mut Observation, change: impl Fn(&str, &mut Value)) {
    secrets(seen, |name, sight| {
        if let Sight::Present(secret) = sight {
            change(name, &mut secret[FACTS_KEY]);
        }
    });
}

fn sights(seen: &mut Observation, wanted: ObjectKind, with: &Sight) {
    for cluster in clusters(seen) {
        cluster
            .objects
            .iter_mut()
            .filter(|((kind, _), _)| *kind == wanted)
            .for_each(|(_, sight)| *sight = with.clone());
    }
}

fn claim(seen: &mut Observation, name: &str) {
    let metadata = json!({"namespace": "prod", "name": format!("pd-{name}-pd-0"), "labels": {
        "app.kubernetes.io/instance": name, "app.kubernetes.io/component": "pd"}});
    let made: Claim = serde_json::from_value(json!({"metadata": metadata})).expect("a claim");
    clusters(seen).for_each(|cluster| {
        cluster.more.claims.get_or_insert_default().insert(made.key(), made.clone());
    });
}

/// One that the runbook does not have is taken out again.
fn set(inputs: &mut Inputs, name: &str, value: &str) {
    inputs.insert(name.to_owned(), value.to_owned());
}

fn operator(seen: &mut Observation, version: Option<&str>) {
    clusters(seen).for_each(|cluster| cluster.operator_version = version.map(str::to_owned));
}

pub const ALTERATIONS: &[(&str, Alteration)] = &[
    // ---- what is asked for ----
    ("without a domain", |_, inputs| drop(inputs.remove("clusterDomain"))),
    ("another domain", |_, inputs| set(inputs, "clusterDomain", "elsewhere.com")),
    ("an old version", |_, inputs| set(inputs, "version", "v7.1.0")),
    ("a version that is older than some operators", |seen, inputs| {
        set(inputs, "version", "v8.5.9");
        operator(seen, Some("v1.4.0"));
    }),
    ("one PD", |_, inputs| set(inputs, "pdReplicas", "1")),
    ("two PDs", |_, inputs| set(inputs, "pdReplicas", "2")),
    ("one TiKV", |_, inputs| set(inputs, "tikvReplicas", "1")),
    ("TiFlash under an old operator", |seen, inputs| {
        set(inputs, "tiflashReplicas", "1");
        operator(seen, Some("v1.3.0"));
        spec(seen, "tiflash", &json!({"replicas": 1, "config": {}, "maxFailoverCount": 0}));
    }),
    ("cfssl without a folder", |_, inputs| set(inputs, "method", "cfssl")),
    ("no component named", |_, inputs| set(inputs, "components", ",")),
    ("a label that Prometheus hides", |_, inputs| set(inputs, "label", "cluster")),
    ("a label that is none", |_, inputs| set(inputs, "label", "kube-cluster")),
    ("old dashboards", |_, inputs| set(inputs, "initializerVersion", "v5.4.1")),
    ("everybody left out", |_, inputs| set(inputs, "leaveOut", "east/prod/prod-east,west/prod/prod-west")),
    ("no storage", |_, inputs| drop(inputs.remove("storage"))),
    ("another common name", |_, inputs| set(inputs, "commonName", "PD")),
    ("a pod that is none", |_, inputs| set(inputs, "pod", "prod-west-pd-7")),
    ("a component that is not there", |_, inputs| set(inputs, "component", "ticdc")),
    ("only a part is suspended", |_, inputs| drop(inputs.remove("stopDatabase"))),
    ("the same cluster twice", |_, inputs| set(inputs, "second", "east/other/x")),
    ("a third place, in a cluster of the first", |_, inputs| set(inputs, "third", "east/other/x")),
    // ---- KubeClusters ----
    ("rights are lacking", |seen, _| seen.denied = Some(vec!["east: may not patch tidbclusters".into()])),
    ("the other KubeClusters do not answer", |seen, inputs| {
        let own = inputs.get("tidbCluster").or(inputs.get("first")).cloned().unwrap_or_default();
        for cluster in clusters(seen).filter(|cluster| !own.starts_with(&cluster.context)) {
            cluster.freshness = Freshness::Unreachable;
            cluster.message = Some("connection refused".into());
        }
    }),
    ("west does not answer", |seen, _| {
        for cluster in clusters(seen).filter(|cluster| cluster.context == "west") {
            cluster.freshness = Freshness::Unreachable;
        }
    }),
    ("a KubeCluster more that does not answer", |seen, _| {
        elsewhere(seen, |cluster| {
            cluster.freshness = Freshness::Unreachable;
            cluster.tidb_clusters.clear();
        });
    }),
    ("one KubeCluster under two contexts", |seen, _| {
        let uid = clusters(seen).next().and_then(|cluster| cluster.uid.clone());
        elsewhere(seen, |cluster| cluster.uid.clone_from(&uid));
        let first = clusters(seen).next().map(|cluster| cluster.uid.clone());
        clusters(seen).for_each(|cluster| cluster.uid.clone_from(first.as_ref().unwrap_or(&None)));
    }),
    ("no CRD", |seen, _| clusters(seen).for_each(|cluster| cluster.crd = Crd::Missing)),
    ("a CRD that cannot be read", |seen, _| {
        clusters(seen).for_each(|cluster| cluster.crd = Crd::Served { across_k8s: None });
    }),
    ("a CRD without acrossK8s", |seen, _| {
        clusters(seen).for_each(|cluster| cluster.crd = Crd::Served { across_k8s: Some(false) });
    }),
    ("operators not known", |seen, _| operator(seen, None)),
    ("operators before 1.3.0", |seen, _| operator(seen, Some("v1.2.4"))),
    ("operators before 1.3.9", |seen, inputs| {
        operator(seen, Some("v1.3.2"));
        inputs.remove("clusterDomain");
        spec(seen, "clusterDomain", &Value::Null);
    }),
    ("operators before 1.3.7", |seen, _| operator(seen, Some("v1.3.6"))),
    ("different operators", |seen, _| {
        if let Some(cluster) = clusters(seen).next() {
            cluster.operator_version = Some("v1.5.0".into());
        }
    }),
    ("domains that cannot be read", |seen, _| clusters(seen).for_each(|cluster| cluster.cluster_domain = None)),
    ("one domain for all, and one namespace", |seen, _| {
        clusters(seen).for_each(|cluster| cluster.cluster_domain = Some("one.local".into()));
    }),
    ("a third place of the same domain and namespace", |seen, inputs| {
        elsewhere(seen, |cluster| cluster.tidb_clusters.clear());
        set(inputs, "third", "more/prod/x");
    }),
    ("a third place without its namespace", |seen, inputs| {
        elsewhere(seen, |cluster| cluster.objects.clear());
        let key = (ObjectKind::Namespace, ObjectKey::new("", "prod"));
        seen.fleet.clusters.get_mut("more").expect("just made").objects.insert(key, Sight::Absent);
        set(inputs, "third", "more/prod/x");
    }),
    ("a third place with somebody's probe pod", |seen, inputs| {
        elsewhere(seen, |_| {});
        let more = seen.fleet.clusters.get_mut("more").expect("just made");
        let made =
            Sight::Present(json!({"metadata": {"name": "x-tidepilot-probe", "labels": {"tidepilot/run": "other"}}}));
        for kind in [ObjectKind::Pod, ObjectKind::Service] {
            more.objects.insert((kind, ObjectKey::new("prod", "x-tidepilot-probe")), made.clone());
        }
        set(inputs, "third", "more/prod/x");
    }),
    ("namespaces are not there", |seen, _| sights(seen, ObjectKind::Namespace, &Sight::Absent)),
    ("somebody's probe pods", |seen, _| {
        let made = json!({"metadata": {"name": "x", "labels": {"tidepilot/run": "other"}}});
        sights(seen, ObjectKind::Pod, &Sight::Present(made));
    }),
    ("cert-manager is not there", |seen, inputs| {
        set(inputs, "method", "cert-manager");
        clusters(seen).for_each(|cluster| cluster.more.cert_manager = Some(Vec::new()));
    }),
    // ---- TidbClusters ----
    ("a TidbCluster of the same name, namespace and domain", |seen, inputs| {
        let domain = inputs.get("clusterDomain").cloned();
        let (context, name) = inputs
            .get("tidbCluster")
            .and_then(|of| Some((of.split('/').next()?.to_owned(), of.rsplit('/').next()?.to_owned())))
            .unwrap_or_default();
        let template: TidbCluster = serde_json::from_value(
            json!({"metadata": {"namespace": if context == "legacy" { "pingcap" } else { "prod" }, "name": name},
            "spec": {"clusterDomain": domain}}),
        )
        .expect("a TidbCluster");
        elsewhere(seen, |cluster| cluster.tidb_clusters = [(template.key(), template.clone())].into());
    }),
    ("a TidbCluster that has joined", |seen, _| {
        another(seen, |tc| {
            let name = tc["metadata"]["name"].clone();
            tc["spec"]["cluster"] = json!({"name": name, "namespace": tc["metadata"]["namespace"]});
            tc["metadata"]["name"] = json!(format!("{}-joined", name.as_str().unwrap_or_default()));
            tc["metadata"]["uid"] = json!("joined");
            tc["spec"]["pd"] = Value::Null;
        });
    }),
    ("a TidbCluster without PD beside each", |seen, _| {
        another(seen, |tc| {
            let name = tc["metadata"]["name"].clone();
            tc["spec"]["cluster"] = json!({"name": name, "namespace": tc["metadata"]["namespace"]});
            tc["metadata"]["name"] = json!(format!("{}-servers", name.as_str().unwrap_or_default()));
            tc["status"]["clusterID"] = Value::Null;
            tc["spec"]["pd"] = Value::Null;
        });
    }),
    ("a TidbCluster with PD that joined each", |seen, _| {
        another(seen, |tc| {
            let name = tc["metadata"]["name"].clone();
            tc["spec"]["cluster"] = json!({"name": name, "namespace": tc["metadata"]["namespace"]});
            tc["metadata"]["name"] = json!(format!("{}-more", name.as_str().unwrap_or_default()));
        });
    }),
    ("the place is taken by another Database", |seen, inputs| {
        let Some(name) = inputs.get("tidbCluster").and_then(|of| of.rsplit('/').next()).map(str::to_owned) else {
            return;
        };
        let made: TidbCluster =
            serde_json::from_value(json!({"metadata": {"namespace": "prod", "name": name, "uid": "u"},
            "spec": {"pd": {"replicas": 1}}, "status": {"clusterID": "99"}}))
            .expect("a TidbCluster");
        if inputs.contains_key("join") {
            seen.fleet.clusters.get_mut("west").expect("west").tidb_clusters.insert(made.key(), made);
        }
    }),
    ("claims of an earlier one", |seen, inputs| {
        let name = inputs.get("tidbCluster").and_then(|of| of.rsplit('/').next()).unwrap_or_default().to_owned();
        claim(seen, &name);
    }),
    ("no claims", |seen, _| clusters(seen).for_each(|cluster| cluster.more.claims = Some(Default::default()))),
    ("claims that may not be listed", |seen, _| clusters(seen).for_each(|cluster| cluster.more.claims = None)),
    ("acrossK8s is not set", |seen, _| spec(seen, "acrossK8s", &Value::Null)),
    ("no domain in spec", |seen, _| spec(seen, "clusterDomain", &Value::Null)),
    ("another domain in spec", |seen, _| spec(seen, "clusterDomain", &json!("other.local"))),
    ("neither acrossK8s nor a domain in spec", |seen, _| {
        spec(seen, "acrossK8s", &Value::Null);
        spec(seen, "clusterDomain", &Value::Null);
    }),
    ("the TidbCluster is gone", |seen, inputs| {
        let own = inputs.get("tidbCluster").and_then(|of| of.rsplit('/').next()).unwrap_or_default().to_owned();
        clusters(seen).for_each(|cluster| cluster.tidb_clusters.retain(|key, _| key.name != own));
    }),
    ("the other TidbClusters are gone", |seen, inputs| {
        let own = inputs.get("tidbCluster").and_then(|of| of.rsplit('/').next()).unwrap_or_default().to_owned();
        clusters(seen).for_each(|cluster| cluster.tidb_clusters.retain(|key, _| key.name == own));
    }),
    ("paused", |seen, _| spec(seen, "paused", &json!(true))),
    ("TiProxy", |seen, _| spec(seen, "tiproxy", &json!({"replicas": 1, "config": {}}))),
    ("TiProxy without acrossK8s", |seen, _| {
        spec(seen, "tiproxy", &json!({"replicas": 1, "config": {}}));
        spec(seen, "acrossK8s", &Value::Null);
    }),
    ("microservices", |seen, _| spec(seen, "pdms", &json!([{"name": "tso"}]))),
    ("failover on", |seen, _| components(seen, "maxFailoverCount", &json!(3))),
    ("InPlace", |seen, _| spec(seen, "configUpdateStrategy", &json!("InPlace"))),
    ("suspended by its own component", |seen, _| {
        components(seen, "suspendAction", &json!({"suspendStatefulSet": true}));
    }),
    ("volumes are reclaimed by the operator", |seen, _| spec(seen, "enablePVReclaim", &json!(true))),
    ("TLS is off", |seen, _| spec(seen, "tlsCluster", &json!({"enabled": false}))),
    ("TLS is on", |seen, _| spec(seen, "tlsCluster", &json!({"enabled": true}))),
    ("force-upgrade", |seen, _| {
        tidb_clusters(seen, |tc| tc["metadata"]["annotations"]["tidb.pingcap.com/force-upgrade"] = json!("true"));
    }),
    ("a GitOps controller owns it", |seen, _| {
        tidb_clusters(seen, |tc| {
            tc["metadata"]["managedFields"] = json!([{"manager": "argocd-controller", "paths": ["spec.pd"]}]);
        });
    }),
    ("PD not in sync", |seen, _| tidb_clusters(seen, |tc| tc["status"]["pd"]["synced"] = json!(false))),
    ("members of other clusters already", |seen, _| {
        tidb_clusters(seen, |tc| tc["status"]["pd"]["peerMembers"] = json!({"x": {"name": "x", "health": true}}));
    }),
    ("versions that differ", |seen, _| {
        if let Some(tc) = clusters(seen).flat_map(|cluster| cluster.tidb_clusters.values_mut()).next() {
            tc.spec.version = Some("v9.0.0".into());
        }
    }),
    ("versions in images", |seen, _| {
        spec(seen, "version", &Value::Null);
        components(seen, "baseImage", &json!("registry.corp/pd:v8.5.4"));
    }),
    ("Pump and TiDB only in west", |seen, _| {
        spec(seen, "pump", &json!({"replicas": 1, "config": {}}));
        for cluster in clusters(seen).filter(|cluster| cluster.context != "west") {
            for tc in cluster.tidb_clusters.values_mut() {
                (tc.spec.pump, tc.spec.tidb) = (None, None);
            }
        }
    }),
    ("component versions of their own", |seen, _| components(seen, "version", &json!("v8.5.4"))),
    // ---- what is rolling ----
    ("a StatefulSet is rolling", |seen, _| {
        for set in clusters(seen).flat_map(|cluster| cluster.stateful_sets.values_mut()) {
            set.status.update_revision = "next".into();
        }
    }),
    ("the other TidbCluster is rolling", |seen, inputs| {
        let own = inputs.get("tidbCluster").and_then(|of| of.rsplit('/').next()).unwrap_or_default().to_owned();
        for set in clusters(seen).flat_map(|cluster| cluster.stateful_sets.values_mut()) {
            if !set.metadata.name.starts_with(&own) {
                set.status.update_revision = "next".into();
            }
        }
    }),
    ("PD is being upgraded", |seen, _| tidb_clusters(seen, |tc| tc["status"]["pd"]["phase"] = json!("Upgrade"))),
    // ---- PD ----
    ("a PD pod does not answer", |seen, _| {
        if let Some(view) = clusters(seen).flat_map(|cluster| cluster.pd.values_mut()).next() {
            view.answer = Err("connection refused".into());
        }
    }),
    ("a PD pod leaves something out", |seen, _| {
        answers(seen).for_each(|answer| answer.gaps = vec!["stores: 500".into()])
    }),
    ("PD pods that do not agree", |seen, _| {
        if let Some(answer) = answers(seen).next() {
            answer.members.pop();
        }
    }),
    ("a PD member is not healthy", |seen, _| {
        answers(seen).for_each(|answer| {
            let last = answer.members.last().map(|member| member.id);
            answer.health.extend(last.map(|id| (id, false)));
        });
    }),
    ("no leader", |seen, _| answers(seen).for_each(|answer| answer.leader = None)),
    ("no PD member is healthy", |seen, _| {
        answers(seen).for_each(|answer| answer.health.values_mut().for_each(|healthy| *healthy = false));
    }),
    ("a member that never started", |seen, _| member(seen, "", "http://new-0.new.prod.svc.east.local:2380")),
    ("members that never started, and no majority without them", |seen, _| {
        member(seen, "", "http://new-0.new.prod.svc.east.local:2380");
        answers(seen).for_each(|answer| answer.health.values_mut().for_each(|healthy| *healthy = false));
    }),
    ("a member that never started, and a pod that is joining", |seen, _| {
        member(seen, "", "http://new-0.new.prod.svc.east.local:2380");
        for cluster in clusters(seen).filter(|cluster| cluster.context == "east") {
            let Some(mut pod) = cluster.pods.values().find(|pod| pod.component() == Some("pd")).cloned() else {
                continue;
            };
            pod.metadata.name = "prod-east-pd-9".into();
            cluster.pods.insert(pod.metadata.key(), pod);
        }
    }),
    ("a member in no context", |seen, _| {
        member(seen, "far-pd-0.far-pd-peer.prod.svc.far.local", "http://far-pd-0.far-pd-peer.prod.svc.far.local:2380");
    }),
    ("a member of the name that a new one would get", |seen, _| {
        let host = "prod-west-pd-0.prod-west-pd-peer.prod.svc.west.local";
        if seen.fleet.clusters.get("west").is_some_and(|west| west.tidb_clusters.is_empty()) {
            member(seen, host, &format!("http://{host}:2380"));
        }
    }),
    ("one PD member only", |seen, _| {
        for answer in answers(seen) {
            answer.members.truncate(1);
            let left: Vec<MemberId> = answer.members.iter().map(|member| member.id).collect();
            answer.health.retain(|id, _| left.contains(id));
            answer.leader = left.first().copied();
        }
    }),
    ("a peerURL that drifted", |seen, _| {
        for answer in answers(seen) {
            for member in answer.members.iter_mut().take(1) {
                let pod =
                    member.peer_urls[0].split("://").nth(1).and_then(|rest| rest.split('.').next()).unwrap_or_default();
                member.peer_urls = vec![format!("http://{pod}.elsewhere.prod.svc:2380")];
            }
        }
    }),
    ("names from before the domain", |seen, _| {
        answers(seen).flat_map(|answer| answer.members.iter_mut()).for_each(|member| {
            member.name = member.name.split('.').next().unwrap_or_default().to_owned();
        });
    }),
    ("a store is down", |seen, _| {
        answers(seen).flat_map(|answer| answer.stores.iter_mut()).for_each(|store| store.state = "Down".into());
    }),
    ("stores that belong to nobody", |seen, _| {
        answers(seen).flat_map(|answer| answer.stores.iter_mut()).take(1).for_each(|store| {
            store.address = "far-tikv-0.far-tikv-peer.prod.svc.far.local:20160".into();
        });
        answers(seen).flat_map(|answer| answer.stores.iter_mut().take(1)).for_each(|store| {
            store.address = "far-tikv-0.far-tikv-peer.prod.svc.far.local:20160".into();
        });
    }),
    ("five replicas wanted", |seen, _| {
        answers(seen).for_each(|answer| answer.max_replicas = Some(5));
        for details in clusters(seen).flat_map(|cluster| cluster.more.pd.values_mut()) {
            details.rules.iter_mut().flatten().for_each(|rule| rule.count = 5);
        }
    }),
    ("rules that cannot be read", |seen, _| {
        answers(seen).for_each(|answer| answer.max_replicas = None);
        clusters(seen).for_each(|cluster| cluster.more.pd.clear());
    }),
    ("regions that lack a replica", |seen, _| {
        for details in clusters(seen).flat_map(|cluster| cluster.more.pd.values_mut()) {
            details.regions.insert(RegionCheck::MissPeer, 12);
        }
    }),
    // ---- certificates ----
    ("certificates are not there", |seen, _| sights(seen, ObjectKind::Secret, &Sight::Absent)),
    ("certificates may not be read", |seen, _| sights(seen, ObjectKind::Secret, &Sight::Unseen("forbidden".into()))),
    ("certificates without names", |seen, _| {
        certificate(seen, |_, facts| facts["certificate"]["dnsNames"] = json!([]))
    }),
    ("certificates end soon", |seen, _| {
        let soon = seen.at.checked_add(jiff::SignedDuration::from_hours(72)).expect("in range").to_string();
        certificate(seen, |_, facts| facts["certificate"]["notAfter"] = json!(soon));
    }),
    ("certificates of another CA", |seen, _| {
        certificate(seen, |name, facts| {
            if name.starts_with("prod-west") || name.ends_with("-ca-secret") {
                facts["signedBy"] = json!("other");
                facts["certificate"]["publicKey"] = json!("other");
                facts["authorities"][0]["publicKey"] = json!("other");
            }
        });
    }),
    ("certificates for MySQL of another CA", |seen, _| {
        let ca = json!({"commonName": "other", "issuer": "other", "dnsNames": [], "ipAddresses": [], "isCa": true,
            "notBefore": "2020-01-01T00:00:00Z", "notAfter": "2090-01-01T00:00:00Z", "fingerprint": "f", "publicKey": "other"});
        secrets(seen, |name, sight| {
            if name.ends_with("-tidb-server-secret") {
                *sight = Sight::Present(json!({FACTS_KEY: {"authorities": [ca]}}));
            }
        });
    }),
    ("cert-manager keeps them", |seen, _| {
        secrets(seen, |_, sight| {
            if let Sight::Present(secret) = sight {
                secret["metadata"]["annotations"] = json!({"cert-manager.io/certificate-name": "x"});
            }
        });
    }),
];
