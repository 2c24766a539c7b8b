//! What the operator writes into `status`: members, stores, phases, the Ready condition.
//!
//! Read from the Database through the PD address that the operator would use, so a wrong domain shows as `synced: false`
//! (domain.md §1.3, §2.2, §2.8). It changes nothing but the TidbCluster object in hand.

use serde_json::{Map, Value, json};

use super::Pass;
use crate::sim::components::Component;
use crate::sim::dns::{self, is_ready};
use crate::sim::kubelet;
use crate::sim::object_store::now;
use crate::sim::pd::Database;
use crate::sim::pd::stores::StoreState;
use crate::sim::secrets;
use crate::sim::tidb_cluster::TidbCluster;
use crate::sim::world::PodKey;

/// From this version on the operator's own PD URL carries the cluster domain (#5560).
const DOMAIN_IN_URL: (u64, u64, u64) = (1, 5, 3);

/// Refreshes `status.<component>` from the StatefulSet, the pods and PD.
#[expect(clippy::too_many_lines, reason = "one document, field by field")]
pub fn refresh(pass: &Pass<'_>, tc: &mut TidbCluster, component: Component, set: Option<&Value>) {
    let key = component.key();
    let mut status = tc.object["status"][key].as_object().cloned().unwrap_or_default();
    if let Some(set) = set {
        status.insert("statefulSet".to_owned(), set["status"].clone());
        status.insert("phase".to_owned(), json!(phase(pass, tc, component, set)));
        if component.has_image() {
            status.insert("image".to_owned(), kubelet::main_container(&set["spec"]["template"])["image"].clone());
        }
    } else {
        status.entry("phase").or_insert_with(|| json!("Normal"));
    }
    let database = reachable(pass, tc);
    if component.has_synced() {
        status.insert("synced".to_owned(), json!(database.is_some()));
    }
    match component {
        Component::Pd => pd(database, tc, &mut status),
        Component::TiKv | Component::TiFlash => stores(database, tc, component, &mut status),
        Component::TiDb => {
            let before = status.get("members").cloned().unwrap_or_default();
            let members = pods(
                pass,
                tc,
                component,
                &before,
                |name, pod, healthy, since| json!({"name": name, "health": healthy, "lastTransitionTime": since, "node": pod["spec"]["nodeName"]}),
            );
            status.insert("members".to_owned(), members);
        }
        Component::TiProxy => {
            let before = status.get("members").cloned().unwrap_or_default();
            let members = pods(
                pass,
                tc,
                component,
                &before,
                |name, _, healthy, since| json!({"name": name, "health": healthy, "info": "", "lastTransitionTime": since}),
            );
            status.insert("members".to_owned(), members);
        }
        Component::TiCdc => {
            let captures = pods(
                pass,
                tc,
                component,
                &Value::Null,
                |name, _, healthy, _| json!({"podName": name, "id": name, "version": tc.version(component), "isOwner": name.ends_with("-0"), "ready": healthy}),
            );
            status.insert("captures".to_owned(), captures);
        }
        Component::Pump => {}
    }
    if matches!(component, Component::Pd | Component::TiKv | Component::TiFlash)
        && let Some(set) = set
    {
        let claim = component.claim().unwrap_or_default();
        let volumes = volumes(claim, &set["spec"]);
        status.insert("volumes".to_owned(), volumes);
    }
    if let Some(database) = database {
        tc.object["status"]["clusterID"] = json!(database.cluster_id.to_string());
    }
    tc.object["status"][key] = Value::Object(status);
}

fn phase(pass: &Pass<'_>, tc: &TidbCluster, component: Component, set: &Value) -> &'static str {
    let status = &set["status"];
    if set["spec"]["replicas"] != tc.replicas(component) {
        return "Scale";
    }
    let unseen = set["metadata"]["generation"].as_u64() > status["observedGeneration"].as_u64();
    if status["currentRevision"] != status["updateRevision"] || (unseen && status["currentRevision"].is_string()) {
        return "Upgrade";
    }
    let store = &pass.world.kubes[pass.kube].store;
    let outdated = (0..tc.replicas(component)).any(|ordinal| {
        let pod = store.find("pods", tc.namespace(), &component.pod(tc.name(), ordinal));
        pod.is_some_and(|pod| pod["metadata"]["labels"]["controller-revision-hash"] != status["updateRevision"])
    });
    if outdated && status["updateRevision"].is_string() { "Upgrade" } else { "Normal" }
}

/// The Database, when the operator gets an answer from PD. It asks in the scheme of `tlsCluster`, whatever PD runs with: a
/// plain PD closes a TLS hello and a TLS PD closes plain HTTP, and either is `EOF`. With TLS it trusts the CA of its client
/// Secret, and the name that it asks has to stand in PD's certificate.
fn reachable<'a>(pass: &'a Pass<'_>, tc: &TidbCluster) -> Option<&'a Database> {
    let index = kubelet::database_of(pass.world, pass.state, pass.kube, tc)?;
    let database = &pass.state.databases[index];
    let secret = format!("{}-cluster-client-secret", tc.name());
    let client = tc.tls().then(|| secrets::stored(pass.world, pass.kube, tc.namespace(), &secret)).flatten();
    let resolves = |url: &str| {
        let Some(host) = crate::sim::pd::urls::host(url) else { return false };
        let targets = dns::resolve(pass.world, pass.kube, "tidb-admin", host);
        let speaks = |pod: &PodKey| {
            let tls = database.speaks_tls(pod);
            tls == Some(url.starts_with("https:"))
                && (tls == Some(false)
                    || client.as_ref().is_some_and(|client| secrets::let_in(pass.world, client, pod, host)))
        };
        targets.iter().any(|target| target.pod.as_ref().is_some_and(|pod| answers(database, pod) && speaks(pod)))
    };
    let plain = format!("{}.{}", Component::Pd.stateful_set(tc.name()), tc.namespace());
    let own = match tc.domain().filter(|_| pass.world.kubes[pass.kube].operator >= DOMAIN_IN_URL) {
        Some(domain) => format!("{}://{plain}.svc.{domain}:2379", tc.scheme()),
        None => format!("{}://{plain}:2379", tc.scheme()),
    };
    let peers = tc.object["status"]["pd"]["peerMembers"].as_object();
    let peer_answers = || {
        let mut urls = peers.into_iter().flatten().filter_map(|(_, peer)| peer["clientURL"].as_str());
        urls.any(resolves)
    };
    (resolves(&own) || peer_answers()).then_some(database)
}

fn answers(database: &Database, pod: &PodKey) -> bool {
    database.pd_leader.is_some() && database.member_at(pod).is_some_and(|id| database.in_touch(id))
}

fn pd(database: Option<&Database>, tc: &TidbCluster, status: &mut Map<String, Value>) {
    let nobody = json!({"name": "", "id": "", "clientURL": "", "health": false, "lastTransitionTime": null});
    let Some(database) = database else {
        status.entry("leader").or_insert(nobody);
        return;
    };
    let (mut own, mut peers) = (Map::new(), Map::new());
    for member in database.members.iter().filter(|member| !member.name.is_empty()) {
        let url = member.client_urls.first().map(String::as_str).unwrap_or_default();
        let health = database.answers(member.id);
        let list = if tc.owns_client_url(url) { "members" } else { "peerMembers" };
        let old = status.get(list).map(|members| &members[&member.name]);
        let since = old.filter(|old| old["health"] == health).and_then(|old| old["lastTransitionTime"].as_str());
        let entry = json!({
            "name": member.name, "id": member.id.to_string(), "clientURL": url, "health": health,
            "lastTransitionTime": since.map_or_else(now, str::to_owned),
        });
        let target = if list == "members" { &mut own } else { &mut peers };
        target.insert(member.name.clone(), entry);
    }
    let name = database.pd_leader.and_then(|leader| database.member(leader)).map(|leader| leader.name.clone());
    let leader = name.and_then(|name| own.get(&name).or(peers.get(&name)).cloned());
    status.insert("leader".to_owned(), leader.unwrap_or(nobody));
    set_map(status, "members", own);
    set_map(status, "peerMembers", peers);
}

/// Empty maps are left out, as Go's omitempty does.
fn set_map(status: &mut Map<String, Value>, field: &str, entries: Map<String, Value>) {
    if entries.is_empty() {
        status.shift_remove(field);
    } else {
        status.insert(field.to_owned(), Value::Object(entries));
    }
}

fn stores(database: Option<&Database>, tc: &TidbCluster, component: Component, status: &mut Map<String, Value>) {
    let Some(database) = database else { return };
    let (mut own, mut peers, mut tombstones) = (Map::new(), Map::new(), Map::new());
    for store in database.stores.values().filter(|store| store.tiflash == (component == Component::TiFlash)) {
        let id = store.id.to_string();
        let list = match (store.state, tc.owns_store(component, &store.host)) {
            (StoreState::Tombstone, true) => "tombstoneStores",
            (StoreState::Tombstone, false) => continue,
            (_, true) => "stores",
            (_, false) => "peerStores",
        };
        let old = status.get(list).map(|stores| &stores[&id]);
        let since =
            old.filter(|old| old["state"] == store.state.name()).and_then(|old| old["lastTransitionTime"].as_str());
        let entry = json!({
            "id": id, "podName": store.host.split('.').next(), "ip": store.host, "leaderCount": store.leaders,
            "state": store.state.name(), "lastTransitionTime": since.map_or_else(now, str::to_owned),
        });
        match list {
            "stores" => own.insert(id, entry),
            "peerStores" => peers.insert(id, entry),
            _ => tombstones.insert(id, entry),
        };
    }
    if component == Component::TiKv {
        status.insert("bootStrapped".to_owned(), json!(!database.stores.is_empty()));
    }
    set_map(status, "stores", own);
    set_map(status, "peerStores", peers);
    set_map(status, "tombstoneStores", tombstones);
}

fn pods(
    pass: &Pass<'_>,
    tc: &TidbCluster,
    component: Component,
    before: &Value,
    entry: impl Fn(&str, &Value, bool, &str) -> Value,
) -> Value {
    let store = &pass.world.kubes[pass.kube].store;
    let mut members = Map::new();
    for ordinal in 0..tc.replicas(component) {
        let name = component.pod(tc.name(), ordinal);
        let Some(pod) = store.find("pods", tc.namespace(), &name) else { continue };
        let healthy = is_ready(&pod) && !pod["metadata"]["deletionTimestamp"].is_string();
        let old = &before[&name];
        let since =
            old["lastTransitionTime"].as_str().filter(|_| old["health"] == healthy).map_or_else(now, str::to_owned);
        members.insert(name.clone(), entry(&name, &pod, healthy, &since));
    }
    Value::Object(members)
}

fn volumes(claim: &str, spec: &Value) -> Value {
    let count = &spec["replicas"];
    let capacity = &spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"];
    json!({claim: {
        "boundCount": count, "currentCount": count, "modifiedCount": count,
        "currentCapacity": capacity, "modifiedCapacity": capacity,
        "currentStorageClass": "standard", "modifiedStorageClass": "standard",
        "resizedCapacity": capacity, "resizedCount": count, "name": claim,
    }})
}

/// The Ready condition; the first failing reason wins.
pub fn conditions(tc: &mut TidbCluster) {
    let (reason, message) = verdict(tc).unwrap_or(("Ready", "TiDB cluster is fully up and running"));
    let status = if reason == "Ready" { "True" } else { "False" };
    let old = &tc.object["status"]["conditions"][0];
    let time = |field: &str, kept: bool| old[field].as_str().filter(|_| kept).map_or_else(now, str::to_owned);
    let same = old["status"] == status;
    let condition = json!({
        "type": "Ready",
        "status": status,
        "lastUpdateTime": time("lastUpdateTime", same && old["reason"] == reason),
        "lastTransitionTime": time("lastTransitionTime", same),
        "reason": reason,
        "message": message,
    });
    tc.object["status"]["conditions"] = json!([condition]);
}

fn verdict(tc: &TidbCluster) -> Option<(&'static str, &'static str)> {
    let status = &tc.object["status"];
    let rolling = [Component::Pd, Component::TiKv, Component::TiDb, Component::TiFlash].into_iter().any(|component| {
        let set = &status[component.key()]["statefulSet"];
        set["currentRevision"] != set["updateRevision"]
    });
    if rolling {
        return Some(("StatefulSetNotUpToDate", "Statefulset(s) are in progress"));
    }
    let whole = |component: Component, list: &str, good: &dyn Fn(&Value) -> bool| {
        let entries = status[component.key()][list].as_object();
        let count = entries.map_or(0, serde_json::Map::len);
        count == tc.replicas(component) as usize && entries.into_iter().flatten().all(|(_, entry)| good(entry))
    };
    let healthy = |entry: &Value| entry["health"] == true;
    let up = |entry: &Value| entry["state"] == "Up";
    if !whole(Component::Pd, "members", &healthy) {
        return Some(("PDUnhealthy", "PD(s) are not healthy"));
    }
    if !whole(Component::TiKv, "stores", &up) {
        return Some(("TiKVStoreNotUp", "TiKV store(s) are not up"));
    }
    if !whole(Component::TiDb, "members", &healthy) {
        return Some(("TiDBUnhealthy", "TiDB(s) are not healthy"));
    }
    if !whole(Component::TiFlash, "stores", &up) {
        return Some(("TiFlashStoreNotUp", "TiFlash store(s) are not up"));
    }
    if !whole(Component::TiCdc, "captures", &|entry| entry["ready"] == true) {
        return Some(("TiCDCCaptureNotReady", "TiCDC capture(s) are not up"));
    }
    if !whole(Component::TiProxy, "members", &healthy) {
        return Some(("TiProxyUnhealthy", "TiProxy(s) are not healthy"));
    }
    None
}
