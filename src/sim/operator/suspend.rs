//! Taking a component's pods away and bringing them back, as `pkg/manager/suspender` of TiDB Operator 1.6 does.
//!
//! One step a pass: say `Suspend`, delete the StatefulSet, forget what status knew of it. A component that is not `Normal`,
//! or that comes after one that is still going, is left as it is and reconciled as ever.

use serde_json::{Value, json};

use super::Pass;
use crate::sim::components::Component;
use crate::sim::tidb_cluster::TidbCluster;

/// TiProxy is in no order: it waits for all of them.
const ORDER: [Component; 6] =
    [Component::TiDb, Component::TiFlash, Component::TiCdc, Component::TiKv, Component::Pump, Component::Pd];

/// Whether the rest of the pass leaves the component alone.
pub fn component(pass: &Pass<'_>, tc: &mut TidbCluster, component: Component, set: bool) -> bool {
    let key = component.key();
    let suspending = tc.object["status"][key]["phase"] == "Suspend";
    if !tc.suspended(component) {
        if suspending {
            tc.object["status"][key]["phase"] = json!("Normal");
        }
        return suspending;
    }
    if !suspending {
        let can = tc.object["status"][key]["phase"] == "Normal" && !waits(tc, component);
        if can {
            tc.object["status"][key]["phase"] = json!("Suspend");
        }
        return can;
    }
    if set {
        let store = &pass.world.kubes[pass.kube].store;
        store.remove("statefulsets", tc.namespace(), &component.stateful_set(tc.name()));
    } else if let Some(status) = tc.object["status"][key].as_object_mut() {
        status.insert("synced".to_owned(), json!(false));
        for field in ["statefulSet", "members", "stores", "captures", "leader"] {
            status.remove(field);
        }
        if !component.has_synced() {
            status.remove("synced");
        }
    }
    true
}

/// Whether one that has to go first is still going.
fn waits(tc: &TidbCluster, component: Component) -> bool {
    let before = ORDER.into_iter().take_while(|other| *other != component);
    before.filter(|other| tc.component(*other).is_some() && tc.suspended(*other)).any(|other| {
        let status: &Value = &tc.object["status"][other.key()];
        status["phase"] != "Suspend" || status["statefulSet"].is_object()
    })
}
