//! An observation of the simulated world, from its objects and from what its PDs answer.
//!
//! As `client::kube::snapshot` and `client::kube::snapshot_extras` make it, but straight from the stores: the same slim types by serde, kept
//! from one look to the next while their object is the same. Everything is seen; what happens when something is not is
//! for other tests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tidepilot::client::kube::objects::redacted;
use tidepilot::fleet::certificate_facts::SecretFacts;
use tidepilot::fleet::closer_look::{Controller, Event, Operator, Served};
use tidepilot::fleet::corefile;
use tidepilot::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use tidepilot::fleet::pd::{EtcdMember, MemberId, MembershipApi, NoAnswer, PdAnswer, PdView, Store};
use tidepilot::fleet::pd_details::{PdDetails, PlacementRule};
use tidepilot::fleet::region_health_counts::RegionCheck;
use tidepilot::fleet::tidbcluster::TidbCluster;
use tidepilot::fleet::tls::wanted_of;
use tidepilot::fleet::volume_claim::Claim;
use tidepilot::fleet::workload::{Pod, StatefulSet};
use tidepilot::fleet::{Change, Crd, Fleet, Freshness, Keyed, ObjectKey, ObjectRef, What};
use tidepilot::runbook::action_types::ProbeLine;
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::ProbePeerUrl;
use tidepilot::runbook::actions::network_probe_result::{Port, RouteProbe, probe_at};
use tidepilot::sim::in_memory::{Bare, PdRequest};

/// Decoded objects by the address of what they were decoded from, which is kept with them.
type Decoded<T> = HashMap<usize, (Arc<Value>, Arc<T>)>;

#[derive(Clone, Default)]
pub struct Cache {
    tidb_clusters: Decoded<TidbCluster>,
    pods: Decoded<Pod>,
    stateful_sets: Decoded<StatefulSet>,
}

/// Decodes what was not decoded before; what is not there any more is forgotten.
fn decoded<T: for<'de> Deserialize<'de> + Clone>(
    cache: &Decoded<T>,
    kept: &mut Decoded<T>,
    objects: impl Iterator<Item = Arc<Value>>,
) -> Vec<T> {
    objects
        .map(|object| {
            let address = Arc::as_ptr(&object).addr();
            let known = cache.get(&address).map(|(_, known)| known.clone());
            let known = known.unwrap_or_else(|| Arc::new(T::deserialize(&*object).expect("the API's shape")));
            kept.insert(address, (object, known.clone()));
            (*known).clone()
        })
        .collect()
}

fn managed(object: &Arc<Value>) -> bool {
    object["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "tidb-operator"
}

fn snapshot(bare: &Bare, context: &str, plural: &str) -> Vec<Arc<Value>> {
    bare.store(context).map(|store| store.snapshot(plural, None).1).unwrap_or_default()
}

pub fn look(
    bare: &Bare,
    cache: &mut Cache,
    now: Timestamp,
    contexts: Option<&[String]>,
    wanted: &BTreeSet<ObjectId>,
) -> Fleet {
    let mut fleet = Fleet::default();
    let mut kept = Cache::default();
    let all: Vec<(&str, &str)> = bare.contexts().collect();
    for (context, version) in all {
        if contexts.is_some_and(|contexts| !contexts.iter().any(|wanted| wanted == context)) {
            continue;
        }
        let mut say = |what| fleet.apply(Change { context: context.to_owned(), at: now, what });
        say(What::Configured { server: format!("https://{context}"), read_only: false });
        for what in about(bare, context, version) {
            say(what);
        }
        let tcs = snapshot(bare, context, "tidbclusters").into_iter();
        let tcs = decoded(&cache.tidb_clusters, &mut kept.tidb_clusters, tcs);
        let pods = snapshot(bare, context, "pods").into_iter().filter(managed);
        let pods = decoded(&cache.pods, &mut kept.pods, pods);
        let sets = snapshot(bare, context, "statefulsets").into_iter().filter(managed);
        let sets = decoded(&cache.stateful_sets, &mut kept.stateful_sets, sets);
        let asked: Vec<(ObjectKey, PdView, Option<PdDetails>)> = pods
            .iter()
            .filter(|pod| pod.component() == Some("pd") && pod.status.phase == "Running")
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .map(|pod| {
                let view = PdView { at: now, answer: answer(bare, context, pod) };
                let leads = view.answer.as_ref().is_ok_and(|a| a.leader.is_some() && a.leader == a.self_id);
                (pod.key(), view, leads.then(|| details(bare, context, pod, now)))
            })
            .collect();
        let secrets: BTreeSet<ObjectId> = tcs
            .iter()
            .flat_map(|tc| {
                wanted_of(tc).into_iter().map(|wanted| ObjectRef::new(context, tc.namespace(), wanted.secret))
            })
            .map(|at| ObjectId::new(ObjectKind::Secret, &at))
            .collect();
        say(What::TidbClusters(tcs));
        say(What::Pods(pods));
        say(What::StatefulSets(sets));
        for (pod, view, details) in asked {
            say(What::Pd { pod: pod.clone(), view: Box::new(view) });
            if let Some(details) = details {
                say(What::PdDetails { pod, details: Box::new(details) });
            }
        }
        objects(bare, now, &mut fleet, &secrets);
    }
    objects(bare, now, &mut fleet, wanted);
    *cache = kept;
    fleet
}

/// What is to be known of a cluster itself.
fn about(bare: &Bare, context: &str, version: &str) -> Vec<What> {
    let get = |plural: &str, namespace: &str, name: &str| bare.store(context)?.get(plural, namespace, name);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let uid = get("namespaces", "", "kube-system").and_then(|found| text(found.pointer("/metadata/uid")));
    let crd = match get("customresourcedefinitions", "", "tidbclusters.pingcap.com") {
        None => Crd::Missing,
        Some(crd) => {
            let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
            Crd::Served { across_k8s: crd.pointer(spec).map(|spec| spec.get("acrossK8s").is_some()) }
        }
    };
    let operator = get("deployments", "tidb-admin", "tidb-controller-manager");
    let image = operator.as_ref().and_then(|found| text(found.pointer("/spec/template/spec/containers/0/image")));
    let number = |at: &str| operator.as_ref().and_then(|found| found.pointer(at)?.as_i64()).unwrap_or(0);
    let controller = Controller {
        key: ObjectKey::new("tidb-admin", "tidb-controller-manager"),
        image: image.clone().unwrap_or_default(),
        component: "controller-manager".into(),
        wanted: number("/spec/replicas"),
        available: number("/status/availableReplicas"),
    };
    let corefile = get("configmaps", "kube-system", "coredns").and_then(|found| text(found.pointer("/data/Corefile")));
    let dns = corefile.map(|text| corefile::read(&text));
    let claims = snapshot(bare, context, "persistentvolumeclaims").into_iter().filter(managed).map(|object| {
        let mut claim = Claim::deserialize(&*object).expect("the API's shape");
        let volume = claim.spec.volume_name.as_ref().and_then(|name| get("persistentvolumes", "", name));
        claim.reclaim_policy = volume.and_then(|found| text(found.pointer("/spec/persistentVolumeReclaimPolicy")));
        claim
    });
    let manager = get("customresourcedefinitions", "", "certificates.cert-manager.io");
    let manager = manager.and_then(|found| text(found.pointer("/spec/versions/0/name")));
    let mut all = vec![
        What::CertManager(manager.into_iter().collect()),
        What::Connection { freshness: Freshness::Live, message: None },
        What::Identity { uid, version: Some(version.to_owned()) },
        What::Crd(crd),
        What::Operator { version: image.and_then(|image| image.rsplit_once(':').map(|(_, tag)| tag.to_owned())) },
        What::Claims(claims.collect()),
        What::CertManager(match get("customresourcedefinitions", "", "certificates.cert-manager.io") {
            Some(_) => vec!["v1".to_owned()],
            None => Vec::new(),
        }),
        What::Events(warnings(bare, context)),
        What::OperatorState(Box::new(Operator { deployments: vec![controller], webhooks: Some(Vec::new()) })),
    ];
    all.extend(dns.map(What::Dns));
    all
}

/// The warnings about TidbClusters and pods.
fn warnings(bare: &Bare, context: &str) -> Vec<Event> {
    let events = snapshot(bare, context, "events").into_iter().filter(|event| event["type"] == "Warning");
    events
        .map(|event| {
            let text = |at: &str| event.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
            Event {
                kind: text("/involvedObject/kind"),
                object: ObjectKey::new(text("/involvedObject/namespace"), text("/involvedObject/name")),
                reason: text("/reason"),
                message: text("/message"),
                count: event["count"].as_u64().unwrap_or(1),
                last: text("/lastTimestamp").parse().ok(),
            }
        })
        .filter(|event| matches!(event.kind.as_str(), "TidbCluster" | "Pod"))
        .collect()
}

/// Adds what is seen at the places of single objects.
pub fn objects(bare: &Bare, now: Timestamp, fleet: &mut Fleet, wanted: &BTreeSet<ObjectId>) {
    for id in wanted {
        let sight = match bare.ask(&id.context, "GET", &id.path(), "", b"") {
            (200, object) if id.kind == ObjectKind::Secret => Lookup::Present(redacted(object)),
            (200, object) => Lookup::Present(object),
            (404, _) => Lookup::Absent,
            (status, said) => Lookup::Unseen(format!("{status}: {said}")),
        };
        serve(fleet, now, id, &sight);
        let (kind, key) = id.key();
        let what = What::Object { kind, key, sight: Box::new(sight) };
        fleet.apply(Change { context: id.context.clone(), at: now, what });
    }
}

/// No socket is here to shake hands with: PD serves what its Secret holds. (Over real handshakes: `tests/program/lifecycle`.)
fn serve(fleet: &mut Fleet, now: Timestamp, id: &ObjectId, sight: &Lookup) {
    let Some(tc) = id.name.strip_suffix("-pd-cluster-secret") else { return };
    let Some(certificate) = sight.present().and_then(SecretFacts::of).and_then(|facts| facts.certificate) else {
        return;
    };
    let Some(cluster) = fleet.clusters.get(&id.context) else { return };
    let own = format!("{tc}-pd-");
    let pods = cluster.pods.keys().filter(|pod| pod.namespace == id.namespace && pod.name.starts_with(&own));
    let pods: Vec<ObjectKey> = pods.cloned().collect();
    for pod in pods {
        let served = Served { fingerprint: certificate.fingerprint.clone(), not_after: certificate.not_after };
        let what = What::Served { pod, served: Ok(served) };
        fleet.apply(Change { context: id.context.clone(), at: now, what });
    }
}

/// Asks one pod's PD what a look asks.
fn answer(bare: &Bare, context: &str, pod: &Pod) -> Result<PdAnswer, NoAnswer> {
    let ask = |method: &str, path: &str, local: bool| -> Option<Value> {
        let request = PdRequest { method, path, local, body: if method == "POST" { "{}" } else { "" } };
        let (status, body) =
            bare.ask_pd(context, &pod.metadata.namespace, &pod.metadata.name, request).filter(|(s, _)| *s == 200)?;
        let _ = status;
        serde_json::from_str(&body).ok()
    };
    let (api, list) = match ask("GET", "/v2/members", false) {
        Some(list) => (MembershipApi::V2, list),
        None => (MembershipApi::V3, ask("POST", "/v3/cluster/member/list", false).ok_or("PD gave no answer")?),
    };
    let mut members: Vec<EtcdMember> = rows(&list["members"])
        .map(|row| EtcdMember {
            id: match api {
                MembershipApi::V2 => MemberId::from_hex(row["id"].as_str().unwrap_or_default()).expect("an id"),
                MembershipApi::V3 => decimal(&row["ID"]).expect("an id"),
            },
            name: row["name"].as_str().unwrap_or_default().to_owned(),
            peer_urls: texts(&row["peerURLs"]),
            client_urls: texts(&row["clientURLs"]),
        })
        .collect();
    members.sort_by_key(|member| member.id);
    let status = ask("POST", "/v3/maintenance/status", false).unwrap_or_default();
    let id = |value: &Value| decimal(value).filter(|id| id.0 != 0);
    let health = ask("GET", "/health", false).unwrap_or_default();
    let stores = ask("GET", "/pd/api/v1/stores", false).unwrap_or_default();
    let replicate = ask("GET", "/pd/api/v1/config/replicate", true).unwrap_or_default();
    let labels = replicate["location-labels"].as_str().unwrap_or_default().split(',');
    Ok(PdAnswer {
        api: Some(api),
        cluster_id: ask("GET", "/pd/api/v1/cluster", true).and_then(|found| found["id"].as_u64()),
        self_id: id(&status["header"]["member_id"]),
        leader: id(&status["leader"]),
        members,
        healthy: health["health"].as_bool().or_else(|| health["health"].as_str()?.parse().ok()),
        health: ask("GET", "/pd/api/v1/health", true)
            .iter()
            .flat_map(rows)
            .filter_map(|row| Some((MemberId(row["member_id"].as_u64()?), row["health"] == true)))
            .collect(),
        version: ask("GET", "/pd/api/v1/version", true).and_then(|found| Some(found["version"].as_str()?.to_owned())),
        stores: rows(&stores["stores"]).map(store).collect(),
        max_replicas: replicate["max-replicas"].as_u64(),
        location_labels: labels.filter(|label| !label.is_empty()).map(str::to_owned).collect(),
        ..PdAnswer::default()
    })
}

/// A member's id as etcd v3 writes it.
fn decimal(id: &Value) -> Option<MemberId> {
    id.as_str()?.parse().ok().map(MemberId)
}

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn texts(list: &Value) -> Vec<String> {
    rows(list).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn store(row: &Value) -> Store {
    let (meta, status) = (&row["store"], &row["status"]);
    let text = |field: &str| meta[field].as_str().unwrap_or_default().to_owned();
    let label =
        |label: &Value| label["key"] == "engine" && label["value"].as_str().is_some_and(|v| v.starts_with("tiflash"));
    Store {
        id: meta["id"].as_u64().unwrap_or_default(),
        address: text("address"),
        state: text("state_name"),
        version: text("version"),
        tiflash: rows(&meta["labels"]).any(label),
        labels: rows(&meta["labels"])
            .filter_map(|label| Some((label["key"].as_str()?.to_owned(), label["value"].as_str()?.to_owned())))
            .collect(),
        leader_count: status["leader_count"].as_i64().unwrap_or_default(),
        load: Default::default(),
        region_count: status["region_count"].as_i64().unwrap_or_default(),
    }
}

/// What only the leader knows.
fn details(bare: &Bare, context: &str, pod: &Pod, now: Timestamp) -> PdDetails {
    let ask = |path: &str| {
        let request = PdRequest { method: "GET", path, local: false, body: "" };
        bare.ask_pd(context, &pod.metadata.namespace, &pod.metadata.name, request)
    };
    let json = |path: &str| {
        ask(path).filter(|(status, _)| *status == 200).and_then(|(_, body)| serde_json::from_str(&body).ok())
    };
    let rules: Option<Vec<PlacementRule>> =
        json("/pd/api/v1/config/rules").and_then(|found: Value| serde_json::from_value(found).ok());
    let count = |check: RegionCheck| {
        let found: Option<Value> = json(&format!("/pd/api/v1/regions/check/{}", check.word()));
        Some((check, found?["count"].as_u64()?))
    };
    let removing = match ask("/pd/api/v1/stores/progress?action=removing") {
        Some((404, _)) => Some(Vec::new()),
        Some((200, body)) => serde_json::from_str(&body).ok().map(|one| vec![one]),
        _ => None,
    };
    PdDetails {
        at: now,
        rules,
        regions: RegionCheck::ALL.into_iter().filter_map(count).collect(),
        removing,
        schedulers: json("/pd/api/v1/schedulers").map(|found: Value| texts(&found)),
        gaps: Vec::new(),
    }
}

/// What the other PD pods see of a new peerURL.
pub fn probe(bare: &Bare, action: &Action, seen: &Fleet) -> Vec<ProbeLine> {
    let Action::ProbePeerUrl(ProbePeerUrl { target, pod, url, .. }) = action else { return Vec::new() };
    let host = url.split("://").nth(1).and_then(|rest| rest.rsplit_once(':')).map_or("", |(host, _)| host);
    let expected = seen
        .clusters
        .get(&target.context)
        .and_then(|cluster| cluster.pods.get(&ObjectKey::new(&target.namespace, pod))?.status.pod_ip.clone());
    let others = seen.clusters.iter().flat_map(|(context, cluster)| cluster.pd.keys().map(move |key| (context, key)));
    others
        .filter(|(context, key)| *context != &target.context || key.name != *pod)
        .filter(|(context, key)| {
            let cluster = &seen.clusters[*context];
            // Only those of the same Database look.
            let id = |view: &PdView| view.answer.as_ref().ok().and_then(|answer| answer.cluster_id);
            let own = seen.clusters[&target.context].pd.get(&ObjectKey::new(&target.namespace, pod)).and_then(id);
            cluster.pd.get(*key).and_then(id) == own
        })
        .map(|(context, key)| {
            let resolved = bare.resolve(context, &key.namespace, host);
            ProbeLine {
                from: ObjectRef::new(context, &key.namespace, &key.name),
                reached: !resolved.is_empty(),
                resolved,
                expected: expected.iter().cloned().collect(),
                detail: url.clone(),
            }
        })
        .collect()
}

/// Specs of the objects that runbooks make or change, and the members of every Database.
pub fn remains(bare: &Bare) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for (context, _) in bare.contexts() {
        for kind in ObjectKind::ALL {
            // Pods come and go with what is compared already.
            if kind == ObjectKind::Pod {
                continue;
            }
            for object in snapshot(bare, context, kind.plural()) {
                let metadata = &object["metadata"];
                let text = |field: &str| metadata[field].as_str().unwrap_or_default();
                let place = format!("{context}/{}/{}/{}", kind.plural(), text("namespace"), text("name"));
                let labels = metadata["labels"].clone();
                let keys: Vec<&String> = object["data"].as_object().into_iter().flatten().map(|(key, _)| key).collect();
                let mut spec = object["spec"].clone();
                // Drawn by lot for each Service and each claim.
                for lot in ["clusterIP", "volumeName"] {
                    spec.as_object_mut().map(|spec| spec.remove(lot));
                }
                all.insert(place, json!({"spec": spec, "labels": labels, "keys": keys}));
            }
        }
    }
    for (name, (members, _)) in bare.databases() {
        let members: BTreeMap<String, Value> =
            members.into_iter().map(|member| (member.name, json!(member.peer_urls))).collect();
        all.insert(format!("database {name}"), json!(members));
    }
    all
}

/// Every way open: what a wall does to a run is a matter of `tests/program/network.rs`.
pub fn cross(places: &[ObjectRef], ports: &[u16]) -> Vec<RouteProbe> {
    let pods: Vec<ObjectRef> = places.iter().map(probe_at).collect();
    let pairs = pods.iter().flat_map(|from| pods.iter().map(move |to| (from, to))).filter(|(from, to)| from != to);
    pairs
        .map(|(from, to)| RouteProbe {
            from: from.clone(),
            to: to.clone(),
            host: format!("{0}.{0}.{1}.svc", to.name, to.namespace),
            resolved: vec!["10.0.0.1".into()],
            expected: vec!["10.0.0.1".into()],
            ports: ports.iter().map(|port| (*port, Port::Open)).collect(),
            detail: String::new(),
        })
        .collect()
}
