//! What is planted for each hazard, and which findings have to name it: the first table.

use crate::fleet::certificate_facts::FACTS_KEY;
use crate::fleet::closer_look::Event;
use crate::fleet::object_kind::Lookup;
use crate::fleet::pd::{EtcdMember, MemberId};
use crate::fleet::{Crd, ObjectKey};
use crate::hazards::fault_injection::{Plant, domain, member, renamed, stray, tls, tls_but, without_domains};
use crate::hazards::test_fleet::when;
use serde_json::{Value, json};

/// What has to be found when this is planted; several names where one thing really is several.
pub(super) const CASES: &[(&str, Plant, &[&str])] = &[
    ("nothing", |_| {}, &[]),
    ("TLS as it should be", tls, &[]),
    ("another domain", |bed| bed.east.domain = Some("cluster.local".into()), &["wrong-cluster-domain"]),
    (
        "the domain taken away",
        |bed| drop(bed.west.tc["spec"].as_object_mut().expect("spec").remove("clusterDomain")),
        &["cluster-domain-changed"],
    ),
    ("taken away from the initial one", |bed| domain(&mut bed.east, None), &["cluster-domain-changed"]),
    (
        "taken away from both",
        |bed| {
            domain(&mut bed.east, None);
            domain(&mut bed.west, None);
        },
        &["cluster-domain-changed"],
    ),
    (
        "emptied",
        |bed| bed.west.tc["spec"]["clusterDomain"] = json!(""),
        &["cluster-domain-changed", "unreplaced-variable"],
    ),
    (
        "taken away, and PD has restarted without it",
        |bed| {
            domain(&mut bed.west, None);
            renamed(bed, 2, "");
        },
        &["cluster-domain-changed"],
    ),
    (
        "the same where CoreDNS cannot be read",
        |bed| {
            domain(&mut bed.west, None);
            renamed(bed, 2, "");
            bed.west.domain = None;
        },
        &["cluster-domain-changed"],
    ),
    (
        "a letter less",
        |bed| domain(&mut bed.west, Some("west.locl")),
        &["cluster-domain-changed", "wrong-cluster-domain"],
    ),
    (
        "changed to another one that is served",
        |bed| {
            domain(&mut bed.west, Some("alias.west"));
            bed.west.corefile = Some(".:53 {\n kubernetes west.local alias.west\n}");
        },
        &["cluster-domain-changed"],
    ),
    (
        "the same, and PD has restarted under it",
        |bed| {
            domain(&mut bed.west, Some("alias.west"));
            bed.west.corefile = Some(".:53 {\n kubernetes west.local alias.west\n}");
            renamed(bed, 2, ".alias.west");
        },
        &["cluster-domain-changed"],
    ),
    (
        "the initial one changed, and PD has restarted: its joiner still knows",
        |bed| {
            domain(&mut bed.east, Some("alias.east"));
            bed.east.domain = None;
            for member in 0..2 {
                renamed(bed, member, ".alias.east");
                bed.members[member].peer_urls = vec![format!("http://{}:2380", bed.members[member].name)];
            }
        },
        // Whether CoreDNS serves it is unknown beside it.
        &["wrong-cluster-reference"],
    ),
    (
        "in the midst of a migration: the old pods have no domain yet",
        |bed| {
            renamed(bed, 2, "");
            bed.members[2].peer_urls = vec!["http://prod-west-pd-0.prod-west-pd-peer.db.svc:2380".into()];
        },
        &["peer-urls-half-updated"],
    ),
    (
        "a domain beside the kubelets' own",
        |bed| bed.west.corefile = Some(".:53 {\n kubernetes cluster.local west.local in-addr.arpa\n}"),
        &[],
    ),
    (
        "a second server block for the domain",
        |bed| {
            bed.west.corefile = Some(".:53 {\n kubernetes cluster.local\n}\nwest.local:53 {\n kubernetes west.local\n}")
        },
        &[],
    ),
    (
        "a domain by rewriting is not known, and no fault",
        |bed| {
            bed.west.corefile = Some(
                ".:53 {\n rewrite name suffix .west.local .cluster.local answer auto\n kubernetes cluster.local\n}",
            )
        },
        &[],
    ),
    ("no domain where clusters serve different ones", |bed| without_domains(bed), &["cluster-domain-missing"]),
    (
        "no domain where all serve one",
        |bed| {
            without_domains(bed);
            bed.east.domain = Some("cluster.local".into());
            bed.west.domain = Some("cluster.local".into());
        },
        &[],
    ),
    (
        "no domain, and one of them is not known",
        |bed| {
            without_domains(bed);
            bed.east.domain = None;
        },
        &[],
    ),
    (
        "two of one name in one domain",
        |bed| {
            bed.west.domain = Some("east.local".into());
            let mut twin = bed.east.tc.clone();
            twin["status"] = json!({"clusterID": "77"});
            twin["spec"]["pd"] = Value::Null;
            twin["spec"]["tikv"] = Value::Null;
            twin["spec"]["tidb"] = Value::Null;
            bed.west.others.push(twin);
        },
        &["discovery-unavailable", "duplicate-triple", "wrong-cluster-domain"],
    ),
    ("no acrossK8s", |bed| bed.west.tc["spec"]["acrossK8s"] = json!(false), &["across-k8s-missing"]),
    ("an old CRD", |bed| bed.west.crd = Crd::Served { across_k8s: Some(false) }, &["crd-or-operator-too-old"]),
    (
        "an old operator",
        |bed| bed.west.version = "v1.2.4".into(),
        &["crd-or-operator-too-old", "operator-versions-differ"],
    ),
    ("another patch of the operator", |bed| bed.west.version = "v1.6.1".into(), &[]),
    ("another minor of the operator", |bed| bed.west.version = "v1.5.5".into(), &["operator-versions-differ"]),
    ("InPlace", |bed| bed.east.tc["spec"]["configUpdateStrategy"] = json!("InPlace"), &["config-not-rolled"]),
    (
        "TiCDC and Pump that roll whatever the strategy is",
        |bed| {
            for key in ["ticdc", "pump"] {
                bed.east.tc["spec"][key] = json!({"replicas": 0, "configUpdateStrategy": "InPlace"});
            }
            bed.east.tc["spec"]["tiflash"] = json!({"replicas": 0, "maxFailoverCount": 0});
        },
        // It is not there yet.
        &["outside-ready", "ready-too-early"],
    ),
    (
        "TiFlash InPlace",
        |bed| {
            bed.east.tc["spec"]["tiflash"] =
                json!({"replicas": 0, "maxFailoverCount": 0, "configUpdateStrategy": "InPlace"});
        },
        &["config-not-rolled", "ready-too-early"],
    ),
    ("no config", |bed| bed.east.tc["spec"]["tikv"]["config"] = Value::Null, &["config-not-rolled"]),
    (
        "TiProxy",
        |bed| bed.east.tc["spec"]["tiproxy"] = json!({"replicas": 0, "config": {}}),
        &["outside-ready", "tiproxy-with-across-k8s"],
    ),
    ("microservices", |bed| bed.east.tc["spec"]["pd"]["mode"] = json!("ms"), &["pd-microservices-across-k8s"]),
    (
        "a reference with another domain",
        |bed| {
            bed.west.tc["spec"]["cluster"]["clusterDomain"] = json!("eats.local");
        },
        &["wrong-cluster-reference"],
    ),
    (
        "an empty variable",
        |bed| bed.west.tc["spec"]["cluster"]["clusterDomain"] = json!(""),
        &["unreplaced-variable", "wrong-cluster-reference"],
    ),
    (
        "bootstrapped its own",
        |bed| {
            bed.other_id = Some(43);
            bed.west.tc["status"]["clusterID"] = json!("43");
            bed.other_members = Some(vec![bed.members.remove(2)]);
            bed.stores.truncate(2);
        },
        // What is left of each Database has too few stores and an even number of members.
        &["too-few-tikv", "uneven-pd-spread", "wrong-cluster-reference"],
    ),
    (
        "the initial one began anew",
        |bed| {
            bed.cluster_id = 43;
            bed.other_id = Some(42);
            bed.east.tc["status"]["clusterID"] = json!("43");
            bed.other_members = Some(bed.members.clone());
            bed.members.truncate(1);
        },
        &["second-bootstrap"],
    ),
    ("failover left on", |bed| bed.east.tc["spec"]["pd"]["maxFailoverCount"] = json!(3), &["failover-on"]),
    (
        "failover by default",
        |bed| drop(bed.west.tc["spec"]["tikv"].as_object_mut().expect("tikv").remove("maxFailoverCount")),
        &["failover-on"],
    ),
    ("paused", |bed| bed.west.tc["spec"]["paused"] = json!(true), &["paused"]),
    ("one copy", |bed| bed.max_replicas = 1, &["too-few-copies"]),
    ("two copies", |bed| bed.max_replicas = 2, &["too-few-copies"]),
    ("volumes that go", |bed| bed.east.tc["spec"]["enablePVReclaim"] = json!(true), &["volumes-reclaimed"]),
    ("volumes that stay", |bed| bed.east.tc["spec"]["enablePVReclaim"] = json!(false), &[]),
    (
        "a version that is none",
        |bed| bed.east.tc["spec"]["version"] = json!("v8 .5.7"),
        &["no-version", "ready-too-early"],
    ),
    (
        "a tag that moves",
        |bed| bed.east.tc["spec"]["tidb"]["version"] = json!("latest"),
        &["no-version", "ready-too-early"],
    ),
    (
        "a variable of another style",
        |bed| bed.west.tc["spec"]["cluster"]["clusterDomain"] = json!("{{ domain }}"),
        &["unreplaced-variable", "wrong-cluster-reference"],
    ),
    (
        "one component suspended",
        |bed| {
            bed.west.tc["spec"]["ticdc"] = json!({"replicas": 1, "suspendAction": {"suspendStatefulSet": true}});
            bed.west.tc["status"]["ticdc"] = json!({"phase": "Suspend"});
        },
        &["suspended"],
    ),
    (
        "being suspended",
        |bed| bed.west.tc["spec"]["tidb"]["suspendAction"] = json!({"suspendStatefulSet": true}),
        &["ready-too-early", "suspended"],
    ),
    (
        "one component that is not to be suspended with the others",
        |bed| bed.west.tc["spec"]["tidb"]["suspendAction"] = json!({"suspendStatefulSet": false}),
        &[],
    ),
    (
        "a whole TidbCluster suspended",
        |bed| {
            let tc = &mut bed.west.tc;
            tc["spec"]["suspendAction"] = json!({"suspendStatefulSet": true});
            for key in ["pd", "tikv", "tidb"] {
                tc["status"][key] = json!({"phase": "Suspend", "synced": false});
            }
            tc["status"]["conditions"][0] =
                json!({"type": "Ready", "status": "False", "reason": "PDUnhealthy", "message": ""});
            bed.west.pods.retain(|pod| pod["metadata"]["name"] == "prod-west-discovery-0");
            bed.west.sets.clear();
            bed.unhealthy = vec![("", 3)];
            let claim = |component: &str, name: &str| {
                json!({"metadata": {"name": name, "namespace": "db", "creationTimestamp": "2026-01-01T00:00:00Z",
                    "labels": {"app.kubernetes.io/instance": "prod-west", "app.kubernetes.io/component": component}},
                    "spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}})
            };
            bed.west.claims = Some(vec![
                claim("pd", "pd-prod-west-pd-0"),
                claim("tikv", "tikv-prod-west-tikv-0"),
                claim("tikv", "tikv-prod-west-tikv-1"),
            ]);
        },
        &["not-ready", "pd-member-unhealthy", "suspended"],
    ),
    ("rejected", |bed| bed.east.events = Some(vec![event("FailedValidation")]), &["rejected-by-operator"]),
    ("another event", |bed| bed.east.events = Some(vec![event("FailedScaleIn")]), &[]),
    (
        "another CA",
        |bed| {
            tls_but(bed, "/signedBy", json!("other"));
            let Lookup::Present(secret) = &mut bed.west.secrets[0].1 else { panic!("just made") };
            secret[FACTS_KEY]["authorities"][0]["publicKey"] = json!("other");
        },
        &["different-ca"],
    ),
    ("signed by nobody of its own", |bed| tls_but(bed, "/signedBy", Value::Null), &["different-ca"]),
    ("without the names", |bed| tls_but(bed, "/certificate/dnsNames", json!(["x"])), &["san-missing"]),
    (
        "without a short form of a name",
        |bed| {
            tls(bed);
            let Lookup::Present(secret) = &mut bed.west.secrets[0].1 else { panic!("just made") };
            let names = secret[FACTS_KEY]["certificate"]["dnsNames"].as_array_mut().expect("names");
            names.retain(|name| name.as_str().is_some_and(|name| name.contains(".svc")));
        },
        &["san-incomplete"],
    ),
    (
        "another common name",
        |bed| {
            tls_but(bed, "/certificate/commonName", json!("other"));
            bed.east.tc["spec"]["pd"]["config"] = json!({"security": {"cert-allowed-cn": ["TiDB"]}});
        },
        &["common-name-mismatch"],
    ),
    ("expired", |bed| tls_but(bed, "/certificate/notAfter", json!("2026-11-01T00:00:00Z")), &["certificate-expiry"]),
    (
        "expires soon",
        |bed| tls_but(bed, "/certificate/notAfter", json!("2026-11-25T00:00:00Z")),
        &["certificate-expiry"],
    ),
    (
        "a missing Secret",
        |bed| {
            tls(bed);
            bed.west.secrets[1].1 = Lookup::Absent;
        },
        &["tls-secret-missing"],
    ),
    ("a missing key", |bed| tls_but(bed, "/keys", json!(["ca.crt", "tls.crt"])), &["tls-secret-missing"]),
    (
        "TLS switched on",
        |bed| {
            let members = bed.members.clone();
            tls(bed);
            bed.members = members;
        },
        &["tls-toggled"],
    ),
    (
        "every peerURL with the other scheme, and PD serves with its own",
        |bed| {
            let members = bed.members.clone();
            tls(bed);
            for (member, old) in bed.members.iter_mut().zip(members) {
                member.peer_urls = old.peer_urls;
            }
        },
        &["peer-url-wrong-scheme"],
    ),
    (
        "one peerURL with the other scheme",
        |bed| {
            tls(bed);
            bed.members[1].peer_urls[0] = bed.members[1].peer_urls[0].replace("https", "http");
        },
        &["peer-url-wrong-scheme"],
    ),
    (
        "one PD",
        |bed| {
            bed.west.tc = json!({"metadata": {"name": "other", "namespace": "x"}, "spec": {}, "status": {"clusterID": "9",
                "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}});
            bed.members.truncate(1);
            bed.east.tc["spec"]["pd"]["replicas"] = json!(1);
            bed.east.pods.remove(1);
            bed.east.sets[0] = json!({"metadata": {"name": "prod-east-pd", "namespace": "db", "generation": 1}, "spec": {"replicas": 1},
                "status": {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "currentRevision": "r1", "updateRevision": "r1"}});
        },
        &["deleted-too-early", "single-pd-join"],
    ),
    (
        "a member that never started",
        |bed| bed.members.push(EtcdMember { name: String::new(), client_urls: Vec::new(), ..stray("third") }),
        &["nameless-member"],
    ),
    (
        "one name twice",
        |bed| {
            bed.members.extend([
                EtcdMember { id: MemberId(9), peer_urls: vec!["http://x.y.z:2380".into()], ..bed.members[2].clone() },
                member(10, "away-pd-0.away-pd-peer.z.svc.far.local"),
            ])
        },
        &["duplicate-pd-name"],
    ),
    (
        "four members",
        |bed| bed.members.push(member(9, "away-pd-0.away-pd-peer.z.svc.far.local")),
        &["uneven-pd-spread"],
    ),
    (
        "PD rolls on both sides",
        |bed| {
            bed.east.rolling("pd");
            bed.west.rolling("pd");
        },
        &["not-ready", "pd-rolling-in-two"],
    ),
    ("PD rolls on one side", |bed| bed.east.rolling("pd"), &["not-ready"]),
    (
        "the operator cannot reach the only PD",
        |bed| bed.west.tc["status"]["pd"]["synced"] = json!(false),
        &["ready-too-early", "single-pd-unsynced"],
    ),
];

fn event(reason: &str) -> Event {
    Event {
        kind: "TidbCluster".into(),
        object: ObjectKey::new("db", "prod-east"),
        reason: reason.into(),
        message: "spec.pd is wrong".into(),
        count: 3,
        last: Some(when()),
    }
}
