//! Reads a TidbCluster from what API servers really send: nulls, arrays for maps, and only what is used of what is large.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::FieldManager;
use crate::fleet::certificate_facts::allowed_names;

pub(in crate::fleet) fn null_default<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

/// A list, without the room that it was read with: a pod has ten lists, mostly of one entry, and there are thousands of pods.
pub(in crate::fleet) fn tight<'de, D, T>(input: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    let mut all: Vec<T> = null_default(input)?;
    all.shrink_to_fit();
    Ok(all)
}

/// Without kubectl's copy of the whole object: it may hold secrets, and nothing here needs it.
pub(super) fn annotations<'de, D>(input: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let mut all: BTreeMap<String, String> = null_default(input)?;
    all.retain(|key, _| !key.ends_with("/last-applied-configuration"));
    Ok(all)
}

/// Pump's `members` is an array where all others are maps: it is kept by node id.
pub(super) fn object_or_empty<'de, D, T>(input: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    match Value::deserialize(input)? {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| serde_json::from_value(value).map(|v| (key, v)).map_err(serde::de::Error::custom))
            .collect(),
        Value::Array(items) => items
            .into_iter()
            .filter_map(|item| Some((item.get("nodeId")?.as_str()?.to_owned(), item)))
            .map(|(key, value)| serde_json::from_value(value).map(|v| (key, v)).map_err(serde::de::Error::custom))
            .collect(),
        _ => Ok(BTreeMap::new()),
    }
}

/// Which resolver the gRPC of TiKV and TiFlash uses: `native`, or c-ares where it is not set.
pub const GRPC_RESOLVER: &str = "GRPC_DNS_RESOLVER";

pub(super) fn variables<'de, D>(input: D) -> Result<Option<BTreeMap<String, String>>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let list = Option::<Vec<Value>>::deserialize(input)?;
    let text = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(list.map(|all| {
        all.iter()
            .map(|one| {
                let name = text(one, "name");
                let value = if name == GRPC_RESOLVER { text(one, "value") } else { String::new() };
                (name, value)
            })
            .collect()
    }))
}

/// What is left of a spec once all that is known was taken out: whatever has `replicas` runs pods.
pub(super) fn unknown_components<'de, D>(input: D) -> Result<BTreeMap<String, i64>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let rest = BTreeMap::<String, Value>::deserialize(input)?;
    Ok(rest.into_iter().filter_map(|(key, value)| Some((key, value.get("replicas")?.as_i64()?))).collect())
}

pub(super) fn presence<'de, D>(input: D) -> Result<Option<BTreeMap<String, Value>>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    Ok(match Value::deserialize(input)? {
        Value::Null => None,
        config => Some(allowed_names(&config).map_or_else(BTreeMap::new, |names| {
            BTreeMap::from([("security".to_owned(), serde_json::json!({ "cert-allowed-cn": names }))])
        })),
    })
}

/// Reduces `managedFields` to manager and paths on arrival: the full tree would dominate memory.
pub(super) fn managers<'de, D>(input: D) -> Result<Vec<FieldManager>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let Some(entries) = Option::<Vec<Value>>::deserialize(input)? else { return Ok(Vec::new()) };
    Ok(entries
        .iter()
        .filter_map(|entry| {
            // Our own serialised form, on a round trip.
            if entry.get("paths").is_some() {
                return serde_json::from_value(entry.clone()).ok();
            }
            let manager = entry.get("manager")?.as_str()?.to_owned();
            let mut paths = Vec::new();
            for (field, below) in named(entry.pointer("/fieldsV1/f:spec")) {
                paths.push(format!("spec.{field}"));
                paths.extend(named(Some(below)).map(|(inner, _)| format!("spec.{field}.{inner}")));
            }
            let annotations = named(entry.pointer("/fieldsV1/f:metadata/f:annotations"));
            paths.extend(annotations.map(|(key, _)| format!("metadata.annotations[{key}]")));
            // Who writes spec and status with one entry (TiDB Operator does) moves its time with each status: it tells nothing of the spec.
            let told = entry.get("time").filter(|_| entry.pointer("/fieldsV1/f:status").is_none());
            let time = told.and_then(Value::as_str).and_then(|time| time.parse().ok());
            Some(FieldManager { manager, paths, time })
        })
        .collect())
}

/// The fields of one level of `fieldsV1`, without their prefix.
fn named(level: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    let fields = level.and_then(Value::as_object).into_iter().flatten();
    fields.filter_map(|(key, below)| Some((key.strip_prefix("f:")?, below)))
}
