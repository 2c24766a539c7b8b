//! TiDB Operator's reconcile loop over one KubeCluster: from TidbClusters to objects, in the order of the real one.
//!
//! A pass stops at the first component that errs or waits, so everything behind it is left alone, as in truth (domain.md
//! §2.1). Status and condition are in `status`, rolling, scaling and suspending in `upgrade`, `scale` and `suspend`, id labels in `meta`; pods are
//! not made here.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::components::{Component, SYNC_ORDER};
use super::manifests;
use super::tidb_cluster::TidbCluster;
use super::world::{State, World};

mod meta;
mod scale;
mod status;
mod suspend;
mod upgrade;

/// How often what belongs to nobody is looked for.
const ORPHANS_MS: u64 = 10_000;

/// The operator looks at everything again after this long.
const RESYNC_MS: u64 = 30_000;

/// Why a pass ended early. The text is what the real operator only logs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Stopped(String);

impl Stopped {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// What one pass works with.
pub struct Pass<'a> {
    pub world: &'a World,
    pub state: &'a mut State,
    pub kube: usize,
}

/// One pass over all TidbClusters of a KubeCluster.
pub fn tick(world: &World, state: &mut State, kube: usize) {
    for object in world.kubes[kube].store.snapshot("tidbclusters", None).1 {
        reconcile(&mut Pass { world, state, kube }, &object);
    }
    if state.now_ms.is_multiple_of(ORPHANS_MS) {
        collect_orphans(world, kube);
    }
}

/// What a pass made for a TidbCluster that was deleted while it was being looked at: a real cluster's garbage collector
/// finds it a little later.
fn collect_orphans(world: &World, kube: usize) {
    let store = &world.kubes[kube].store;
    for plural in ["pods", "services", "deployments", "statefulsets", "configmaps"] {
        // The objects first and the owners after them: one that is made meanwhile is no orphan.
        let objects = store.snapshot(plural, None).1;
        let owners = store.snapshot("tidbclusters", None).1;
        let there: HashSet<Option<&str>> = owners.iter().map(|tc| tc["metadata"]["uid"].as_str()).collect();
        for object in objects {
            let owner = &object["metadata"]["ownerReferences"][0];
            if owner["kind"] == "TidbCluster" && !there.contains(&owner["uid"].as_str()) {
                let (namespace, name) = super::object_store::identity(&object);
                store.remove(plural, &namespace, &name);
            }
        }
    }
}

fn reconcile(pass: &mut Pass<'_>, before: &Value) {
    let mut tc = TidbCluster::new(before.clone());
    if tc.paused() || before["metadata"]["deletionTimestamp"].is_string() {
        return;
    }
    tc.fill_defaults();
    if let Err(reason) = tc.validate() {
        // Status stays as it was, Ready included: the Event is the only sign (domain.md §1.5).
        let known = !pass.state.now_ms.is_multiple_of(RESYNC_MS) && warned(pass, &tc, &reason);
        if !known {
            pass.world.event(pass.kube, before, "tidb-controller-manager", "Warning", "FailedValidation", &reason);
        }
        return;
    }
    if !tc.object["status"].is_object() {
        tc.object["status"] = json!({});
    }
    // The reason is in the operator's log only; nobody sees it from outside.
    let _ = sync(pass, &mut tc);
    status::conditions(&mut tc);
    if tc.object == *before {
        return;
    }
    let (namespace, name) = (tc.namespace().to_owned(), tc.name().to_owned());
    pass.world.kubes[pass.kube].store.edit("tidbclusters", &namespace, &name, |live| {
        // A conflict: somebody wrote in between, the next pass starts from that.
        if live["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"] {
            *live = tc.object;
        }
    });
}

fn warned(pass: &Pass<'_>, tc: &TidbCluster, reason: &str) -> bool {
    let events = pass.world.kubes[pass.kube].store.snapshot("events", Some(tc.namespace())).1;
    events.iter().any(|event| event["involvedObject"]["uid"] == tc.uid() && event["message"] == reason)
}

fn sync(pass: &mut Pass<'_>, tc: &mut TidbCluster) -> Result<(), Stopped> {
    let store = &pass.world.kubes[pass.kube].store;
    for (plural, object) in manifests::discovery(tc) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let old = store.find(plural, tc.namespace(), name);
        if old.is_some_and(|old| plural != "deployments" || volumes(&old) == volumes(&object)) {
            continue;
        }
        // Another template: the Deployment's strategy is Recreate, so the pods of the old one go first.
        if plural == "deployments" {
            for pod in store.snapshot("pods", Some(tc.namespace())).1 {
                if pod["metadata"]["labels"] == discovery_labels(&object) {
                    store.remove("pods", tc.namespace(), pod["metadata"]["name"].as_str().unwrap_or_default());
                }
            }
        }
        store.put(plural, object);
    }
    for component in SYNC_ORDER {
        sync_component(pass, tc, component)?;
    }
    meta::label(pass, tc);
    Ok(())
}

/// What a Deployment's pods mount: the part of discovery's template that follows the spec.
fn volumes(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]["volumes"]
}

/// The labels of a discovery Deployment's pods.
fn discovery_labels(deployment: &Value) -> Value {
    let mut labels = deployment["metadata"]["labels"].clone();
    labels["pod-template-hash"] = json!("6d5f8c9b7");
    labels
}

fn sync_component(pass: &mut Pass<'_>, tc: &mut TidbCluster, component: Component) -> Result<(), Stopped> {
    let store = pass.world.kubes[pass.kube].store.clone();
    let key = component.key();
    let set_name = component.stateful_set(tc.name());
    let namespace = tc.namespace().to_owned();
    if tc.component(component).is_none() {
        if !tc.object["status"][key].is_object() {
            tc.object["status"][key] = json!({});
        }
        return Ok(());
    }
    let old = store.find("statefulsets", &namespace, &set_name);
    if suspend::component(pass, tc, component, old.is_some()) {
        return Ok(());
    }
    status::refresh(pass, tc, component, old.as_deref());
    for service in manifests::services(tc, component) {
        put_if_new(&store, "services", service);
    }
    if component == Component::TiProxy && tc.across() {
        return Err(Stopped::new("across k8s is not supported"));
    }
    let config_map = config_map(pass, tc, component, old.as_deref());
    let template = manifests::template(tc, component, &config_map);
    let Some(old) = old else {
        store.put("statefulsets", manifests::stateful_set(tc, component, template));
        let name = tc.object["metadata"]["name"].as_str().unwrap_or_default();
        let message = format!("create StatefulSet {set_name} in {name} successful");
        pass.world.event(pass.kube, &tc.object, "tidb-controller-manager", "Normal", "SuccessfulCreate", &message);
        return Ok(());
    };
    let same_template = old["spec"]["template"] == template;
    let mut set = Value::clone(&old);
    if component == Component::Pd && upgrade::forced(tc, &set, same_template) {
        set["spec"]["template"] = template;
        set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(0);
        tc.object["status"]["pd"]["phase"] = json!("Upgrade");
        write_set(pass, &set);
        return Err(Stopped::new("pd is force upgraded"));
    }
    let outcome = scale::scale(pass, tc, component, &mut set);
    if outcome.is_ok() {
        let moving = tc.object["status"][key]["phase"] == "Upgrade";
        if !same_template || moving {
            // A component that waits for others keeps its old template, and that is no error.
            let gated = upgrade::gated(tc, component);
            if !gated {
                upgrade::upgrade(pass, tc, component, &mut set, same_template)?;
                // Said at once, so that the components behind it wait in this very pass.
                tc.object["status"][key]["phase"] = json!("Upgrade");
                set["spec"]["template"] = template;
            }
        } else {
            set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = set["spec"]["replicas"].clone();
        }
    }
    if set["spec"] != old["spec"] {
        write_set(pass, &set);
    }
    outcome
}

/// Makes or updates the ConfigMap and gives the name to mount.
fn config_map(pass: &Pass<'_>, tc: &TidbCluster, component: Component, set: Option<&Value>) -> String {
    let store = &pass.world.kubes[pass.kube].store;
    let object = match (manifests::config_map(tc, component), set) {
        (Some(object), _) => object,
        // No `config`: nothing is synced, the StatefulSet keeps what it mounts.
        (None, Some(set)) => return mounted_map(set),
        (None, None) if component.script_in_command() => return String::new(),
        (None, None) => manifests::first_config_map(tc, component),
    };
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    // InPlace writes into the map that is mounted, whatever its name: no new name, no restart.
    let in_place = set.map(mounted_map).filter(|name| !name.is_empty() && !tc.rolling_config(component));
    let name = in_place.unwrap_or(name);
    let mut object = object;
    object["metadata"]["name"] = json!(name);
    store.put("configmaps", object);
    name
}

fn mounted_map(set: &Value) -> String {
    let volumes = set["spec"]["template"]["spec"]["volumes"].as_array();
    let volume = volumes.into_iter().flatten().find(|volume| volume["name"] == "config");
    volume.and_then(|volume| volume["configMap"]["name"].as_str()).unwrap_or_default().to_owned()
}

fn put_if_new(store: &super::object_store::Store, plural: &str, object: Value) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    if store.find(plural, text("namespace"), text("name")).is_none() {
        store.put(plural, object);
    }
}

fn write_set(pass: &Pass<'_>, set: &Value) {
    let text = |field: &str| set["metadata"][field].as_str().unwrap_or_default();
    pass.world.kubes[pass.kube].store.edit("statefulsets", text("namespace"), text("name"), |live| {
        if live["spec"] != set["spec"] {
            live["spec"] = set["spec"].clone();
            manifests::note_applied(live);
        }
    });
}
