//! Which lists inside objects are really maps: their items have a key and are merged one by one.
//!
//! Shared by strategic merge patch and server-side apply. A short table of the usual ones; every other list is taken
//! or left as a whole. Custom resources without list types have only atomic lists, owner references aside.

use serde_json::Value;

/// The key of a list's items, when the list is one of the merged ones and every item has the key.
pub(super) fn merge_key(custom: bool, field: &str, items: &[Value]) -> Option<&'static str> {
    let key = match field {
        "ownerReferences" => "uid",
        _ if custom => return None,
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "secrets" => "name",
        "ports" if items.iter().any(|item| item.get("containerPort").is_some()) => "containerPort",
        "ports" => "port",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "conditions" => "type",
        "hostAliases" => "ip",
        "topologySpreadConstraints" => "topologyKey",
        _ => return None,
    };
    items.iter().all(|item| item.get(key).is_some()).then_some(key)
}
