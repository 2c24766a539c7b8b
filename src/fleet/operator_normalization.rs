//! A TidbCluster's spec as TiDB Operator writes it back: what is the same although it no longer reads the same.
//!
//! At its first sync, within a second of the object's creation and at any later one, the operator writes the whole object:
//! each component's `config` becomes a TOML text (`{}` is `""`), its defaults are filled in (`pkg/apis/pingcap/v1alpha1/
//! defaulting`), quantities come in their shortest form, and what Go leaves out when it is empty is gone (`paused: false`,
//! `tlsCluster: {enabled: false}`). Whoever compares what was sent with what is there compares through here. Pure. Not
//! here: what follows from a difference (`runbook::actions`, `runbook::plan::digest`).

use serde_json::{Map, Value, json};

use super::component::Component;

/// A component's `config` as a tree, whether it is an object or TOML text; of TiFlash, which keeps two of them below it
/// (`config` and `proxy`), each. A text that is no TOML stays a text.
pub fn config(value: &Value) -> Value {
    let tree = |value: &Value| match value {
        Value::String(text) => toml::from_str::<Value>(text).unwrap_or_else(|_| value.clone()),
        other => other.clone(),
    };
    match value {
        Value::Object(parts) if parts.keys().all(|part| part == "config" || part == "proxy") => {
            Value::Object(parts.iter().map(|(part, value)| (part.clone(), tree(value))).collect())
        }
        other => tree(other),
    }
}

/// A TidbCluster with every `config` as a tree and every quantity as a number. Any other object is as it was.
pub fn normal(object: &Value) -> Value {
    let mut object = object.clone();
    if object.get("kind").and_then(Value::as_str) != Some("TidbCluster") {
        return object;
    }
    for component in Component::ALL {
        let Some(Value::Object(spec)) = object.pointer_mut(&format!("/spec/{}", component.key())) else { continue };
        if let Some(config) = spec.get_mut("config") {
            *config = self::config(config);
        }
        for field in ["requests", "limits"] {
            let Some(Value::Object(amounts)) = spec.get_mut(field) else { continue };
            for amount in amounts.values_mut() {
                if let Some(number) = quantity(amount) {
                    *amount = json!(number);
                }
            }
        }
    }
    object
}

/// A Kubernetes quantity as a number: `1024Mi` and `1Gi` are the same, and so are `0.5` and `500m`.
pub fn quantity(value: &Value) -> Option<f64> {
    const UNITS: [(&str, f64); 16] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("", 1.0),
    ];
    let text = match value {
        Value::Number(number) => return number.as_f64(),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    UNITS.iter().find_map(|(unit, times)| {
        let number = text.strip_suffix(unit).filter(|number| !number.is_empty())?;
        number.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number * times)
    })
}

/// What Go leaves out of an object that it writes.
pub fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(empty),
        Value::Number(_) => false,
    }
}

/// What stands in a field (a JSON pointer) of a TidbCluster in `namespace` where nobody set it. `None`: nothing does.
pub fn default_of(pointer: &str, namespace: &str) -> Option<Value> {
    let keys: Vec<&str> = pointer.split('/').skip(1).collect();
    let fails_over = |component: Component| {
        matches!(component, Component::Pd | Component::Tikv | Component::Tidb | Component::Tiflash)
    };
    let of = |key: &str| Component::ALL.into_iter().find(|component| component.key() == key);
    Some(match keys.as_slice() {
        ["spec", "tlsCluster"] => json!({}),
        ["spec", "enablePVReclaim"] => json!(false),
        ["spec", "pvReclaimPolicy"] => json!("Retain"),
        ["spec", "imagePullPolicy"] => json!("IfNotPresent"),
        ["spec", "cluster", "namespace"] => json!(namespace),
        ["spec", component, "maxFailoverCount"] if of(component).is_some_and(fails_over) => json!(3),
        ["spec", component, "baseImage"] => json!(base_image(of(component)?)),
        ["spec", "pd", "startTimeout"] => json!(30),
        ["spec", "pd", "initWaitTime"] => json!(0),
        ["spec", "pd" | "tikv", "spareVolReplaceReplicas"] => json!(1),
        ["spec", "tikv" | "tidb" | "tiflash", "scalePolicy"] => {
            json!({"scaleInParallelism": 1, "scaleOutParallelism": 1})
        }
        ["spec", "tikv" | "tidb" | "tiflash", "scalePolicy", "scaleInParallelism" | "scaleOutParallelism"] => json!(1),
        _ => return None,
    })
}

fn base_image(component: Component) -> String {
    match component {
        Component::Pump => "pingcap/tidb-binlog".to_owned(),
        other => format!("pingcap/{}", other.key()),
    }
}

/// Whether a field that should be `asked` may read `found` without anybody but the operator having written it.
pub fn same(pointer: &str, namespace: &str, asked: &Value, found: &Value) -> bool {
    if asked == found {
        return true;
    }
    // What Go leaves out may be gone; but a value that is written out where nothing was, somebody wrote, unless it is a
    // default. An empty map is what the operator leaves of a struct.
    if asked.is_null() {
        let nothing_in_it = matches!(found, Value::Object(map) if map.is_empty());
        return nothing_in_it || default_of(pointer, namespace).as_ref() == Some(found);
    }
    if empty(asked) && empty(found) {
        return true;
    }
    match pointer.split('/').collect::<Vec<_>>().as_slice() {
        ["", "spec", _, "config"] => within(&config(asked), &config(found)),
        ["", "spec", _, "requests" | "limits", _] => quantity(asked).is_some() && quantity(asked) == quantity(found),
        _ => false,
    }
}

/// Whether everything that is asked for is there.
fn within(asked: &Value, found: &Value) -> bool {
    match (asked, found) {
        (Value::Object(asked), Value::Object(found)) => {
            let nothing = Value::Object(Map::new());
            asked.iter().all(|(key, value)| within(value, found.get(key).unwrap_or(&nothing)))
        }
        (Value::Number(asked), Value::Number(found)) => asked.as_f64() == found.as_f64(),
        (asked, found) => asked == found || (empty(asked) && empty(found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::object_kind::differences;

    fn cluster(spec: Value) -> Value {
        json!({"apiVersion": "pingcap.com/v1alpha1", "kind": "TidbCluster", "metadata": {"namespace": "db", "name": "x"}, "spec": spec})
    }

    /// What was sent, and what TiDB Operator 1.6.6 made of it.
    #[test]
    fn what_the_operator_writes_back_is_no_difference() {
        let sent = cluster(json!({
            "paused": false, "clusterDomain": "a.com",
            "pd": {"replicas": 3, "config": {}, "requests": {"storage": "1024Mi"}, "nodeSelector": {}},
            "tikv": {"replicas": 3, "config": {"security": {"cert-allowed-cn": ["TiDB"]}, "a.b": 1}, "requests": {"cpu": 0.5}},
            "tidb": {"replicas": 2, "config": {"log": {"level": "info"}}},
            "tiflash": {"replicas": 1, "config": {"config": {"security": {"cert_allowed_cn": ["TiDB"]}}, "proxy": {}}},
        }));
        let found = cluster(json!({
            "clusterDomain": "a.com", "tlsCluster": {}, "enablePVReclaim": false, "discovery": {},
            "pd": {"replicas": 3, "config": "", "requests": {"storage": "1Gi"}, "baseImage": "pingcap/pd", "initWaitTime": 0},
            "tikv": {"replicas": 3, "config": "\"a.b\" = 1\n\n[security]\n  cert-allowed-cn = [\"TiDB\"]\n",
                "requests": {"cpu": "500m"}, "maxFailoverCount": 3},
            "tidb": {"replicas": 2, "config": "[log]\n  level = \"info\"\n  [log.file]\n    max-backups = 3\n"},
            "tiflash": {"replicas": 1, "config": {"config": "[security]\n  cert_allowed_cn = [\"TiDB\"]\n", "proxy": ""}},
        }));
        assert_eq!(differences(&sent, &found), Vec::<String>::new());
        // Where it holds the same text, and where somebody else changed it.
        let text = cluster(json!({"tidb": {"config": "[log]\nlevel = \"info\"\n"}}));
        assert_eq!(differences(&text, &found), Vec::<String>::new());
        let mut other = found.clone();
        other["spec"]["tidb"]["config"] = json!("[log]\n  level = \"debug\"\n");
        other["spec"]["pd"]["requests"]["storage"] = json!("2Gi");
        let differ = differences(&sent, &other);
        assert_eq!(differ.len(), 2, "{differ:?}");
        assert!(differ.iter().any(|one| one.contains("spec.tidb.config.log.level")), "{differ:?}");
    }

    #[test]
    fn a_field_may_read_otherwise_and_be_the_same() {
        let same = |at: &str, asked: Value, found: Value| super::same(at, "db", &asked, &found);
        for (at, asked, found) in [
            ("/spec/paused", json!(false), json!(null)),
            ("/spec/suspendAction/suspendStatefulSet", json!(false), json!(null)),
            ("/spec/suspendAction", json!(null), json!({})),
            ("/spec/tlsCluster", json!(null), json!({})),
            ("/spec/tlsCluster", json!({"enabled": false}), json!({})),
            ("/spec/pd/maxFailoverCount", json!(null), json!(3)),
            ("/spec/tikv/baseImage", json!(null), json!("pingcap/tikv")),
            ("/spec/cluster/namespace", json!(null), json!("db")),
            ("/spec/pd/config", json!({}), json!("")),
            ("/spec/tidb/config", json!({"a": 1}), json!("a = 1\n[log.file]\nmax-backups = 3\n")),
            ("/spec/tikv/requests/storage", json!("1Ti"), json!("1024Gi")),
        ] {
            assert!(same(at, asked.clone(), found.clone()), "{at} {asked} {found}");
        }
        for (at, asked, found) in [
            ("/spec/paused", json!(true), json!(null)),
            ("/spec/clusterDomain", json!("a.com"), json!("b.com")),
            ("/spec/pd/maxFailoverCount", json!(0), json!(3)),
            ("/spec/pd/replicas", json!(null), json!(3)),
            ("/spec/acrossK8s", json!(null), json!(false)),
            ("/spec/tidb/config", json!({"a": 1}), json!("a = 2\n")),
            ("/spec/pump/maxFailoverCount", json!(null), json!(3)),
        ] {
            assert!(!same(at, asked.clone(), found.clone()), "{at} {asked} {found}");
        }
    }

    #[test]
    fn quantities() {
        for (text, expected) in [("1Gi", 1_073_741_824.0), ("500m", 0.5), ("1e3", 1000.0), ("2", 2.0), ("1k", 1000.0)] {
            assert_eq!(quantity(&json!(text)), Some(expected), "{text}");
        }
        assert_eq!((quantity(&json!("x")), quantity(&json!("Gi")), quantity(&json!(2))), (None, None, Some(2.0)));
    }
}
