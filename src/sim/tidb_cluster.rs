//! Reading a TidbCluster object as the operator reads it: defaults, effective images, names.
//!
//! A thin view over the JSON, no copy of the custom resource's types. It changes nothing except `fill_defaults`, which
//! writes into spec what the real operator writes there (domain.md §1.5).

use serde_json::{Map, Value, json};

use super::components::{Component, SYNC_ORDER, fqdn};
use super::toml_text;

/// `pd`, `tikv` … of one TidbCluster, with the object itself.
#[derive(Clone, Debug)]
pub struct TidbCluster {
    pub object: Value,
}

impl TidbCluster {
    pub fn new(object: Value) -> Self {
        Self { object }
    }

    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub fn namespace(&self) -> &str {
        self.object["metadata"]["namespace"].as_str().unwrap_or_default()
    }

    pub fn uid(&self) -> &str {
        self.object["metadata"]["uid"].as_str().unwrap_or_default()
    }

    /// The `app.kubernetes.io/instance` value: the TidbCluster's own label wins over its name.
    pub fn instance(&self) -> &str {
        self.object["metadata"]["labels"]["app.kubernetes.io/instance"].as_str().unwrap_or(self.name())
    }

    pub fn spec(&self) -> &Value {
        &self.object["spec"]
    }

    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.object["metadata"]["annotations"][name].as_str()
    }

    pub fn domain(&self) -> Option<&str> {
        self.spec()["clusterDomain"].as_str().filter(|domain| !domain.is_empty())
    }

    pub fn across(&self) -> bool {
        self.spec()["acrossK8s"] == true
    }

    pub fn tls(&self) -> bool {
        self.spec()["tlsCluster"]["enabled"] == true
    }

    pub fn scheme(&self) -> &'static str {
        if self.tls() { "https" } else { "http" }
    }

    pub fn paused(&self) -> bool {
        self.spec()["paused"] == true
    }

    pub fn component(&self, component: Component) -> Option<&Map<String, Value>> {
        self.spec()[component.key()].as_object()
    }

    pub fn replicas(&self, component: Component) -> u32 {
        self.spec()[component.key()]["replicas"].as_u64().and_then(|count| count.try_into().ok()).unwrap_or(0)
    }

    /// The component's own suspendAction counts in place of the TidbCluster's (`component_spec.go`).
    pub fn suspended(&self, component: Component) -> bool {
        let own = &self.spec()[component.key()]["suspendAction"];
        let action = if own.is_object() { own } else { &self.spec()["suspendAction"] };
        action["suspendStatefulSet"] == true
    }

    /// Empty means InPlace (domain.md §1.2). TiProxy's ConfigMap is written in place whatever the spec says.
    pub fn rolling_config(&self, component: Component) -> bool {
        if component == Component::TiProxy {
            return false;
        }
        let own = &self.spec()[component.key()]["configUpdateStrategy"];
        let strategy = own.as_str().or(self.spec()["configUpdateStrategy"].as_str());
        strategy == Some("RollingUpdate")
    }

    pub fn version(&self, component: Component) -> &str {
        let own = self.spec()[component.key()]["version"].as_str();
        own.or(self.spec()["version"].as_str()).unwrap_or("latest")
    }

    pub fn image(&self, component: Component) -> String {
        let base = self.spec()[component.key()]["baseImage"].as_str().unwrap_or(component.base_image());
        format!("{base}:{}", self.version(component))
    }

    pub fn pod_fqdn(&self, component: Component, pod: &str) -> String {
        fqdn(pod, &component.peer_service(self.name()), self.namespace(), self.domain())
    }

    /// The name that PD `ordinal` is expected to have in etcd (domain.md §2.4).
    pub fn pd_name(&self, ordinal: u32) -> String {
        let pod = Component::Pd.pod(self.name(), ordinal);
        if self.domain().is_some() || self.across() { self.pod_fqdn(Component::Pd, &pod) } else { pod }
    }

    /// Whether a member with this client URL counts as this TidbCluster's own. The domain is optional in the pattern, so a
    /// freshly added one still recognises the members that do not have it yet (domain.md §1.5).
    pub fn owns_client_url(&self, url: &str) -> bool {
        let Some(host) = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"))
            .and_then(|rest| rest.strip_suffix(":2379"))
        else {
            return false;
        };
        let Some((pod, rest)) = host.split_once('.') else { return false };
        let plain = format!("{}.{}.svc", Component::Pd.peer_service(self.name()), self.namespace());
        let prefix = format!("{}-", Component::Pd.stateful_set(self.name()));
        let ours = pod.strip_prefix(&prefix).is_some_and(|digits| digits.parse::<u32>().is_ok());
        ours && (rest == plain || self.domain().is_some_and(|domain| rest == format!("{plain}.{domain}")))
    }

    /// Whether a store at this host is this TidbCluster's own.
    pub fn owns_store(&self, component: Component, host: &str) -> bool {
        let Some((pod, rest)) = host.split_once('.') else { return false };
        let plain = format!("{}.{}.svc", component.peer_service(self.name()), self.namespace());
        pod.starts_with(&format!("{}-", component.stateful_set(self.name())))
            && (rest == plain || self.domain().is_some_and(|domain| rest == format!("{plain}.{domain}")))
    }

    /// What the operator refuses inside its loop, in its manner.
    pub fn validate(&self) -> Result<(), String> {
        for component in SYNC_ORDER {
            let Some(spec) = self.component(component) else { continue };
            let key = component.key();
            if spec.get("replicas").is_none_or(|replicas| !replicas.is_u64()) {
                return Err(format!("spec.{key}.replicas: Required value"));
            }
            let storage = spec.get("requests").is_some_and(|requests| requests["storage"].is_string());
            if matches!(component, Component::Pd | Component::TiKv) && !storage {
                return Err(format!("spec.{key}.requests.storage: Required value: storage request must be specified"));
            }
        }
        for (index, address) in self.spec()["pdAddresses"].as_array().into_iter().flatten().enumerate() {
            let text = address.as_str().unwrap_or_default();
            if !text.starts_with("http://") && !text.starts_with("https://") {
                return Err(format!("spec.pdAddresses[{index}]: Invalid value: \"{text}\": must be an http(s) URL"));
            }
        }
        Ok(())
    }

    /// Makes of spec what TiDB Operator writes back at its first sync: `SetTidbClusterDefault`, the CRD's defaults, and
    /// what Go's marshalling does on the way (`pkg/apis/pingcap/v1alpha1`, 1.6): every `config` is a TOML text, and fields
    /// that are left out when empty are gone.
    pub fn fill_defaults(&mut self) {
        let namespace = self.namespace().to_owned();
        let spec = &mut self.object["spec"];
        set_missing(spec, "tlsCluster", json!({}));
        set_missing(spec, "enablePVReclaim", json!(false));
        set_missing(spec, "pvReclaimPolicy", json!("Retain"));
        set_missing(spec, "imagePullPolicy", json!("IfNotPresent"));
        set_missing(spec, "discovery", json!({}));
        if spec["cluster"].is_object() {
            set_missing(&mut spec["cluster"], "namespace", json!(namespace));
        }
        for component in SYNC_ORDER {
            let own = &mut spec[component.key()];
            if !own.is_object() {
                continue;
            }
            // The CRD gives an image also where no version says which.
            set_missing(own, "baseImage", json!(component.base_image()));
            let scales = json!({"scaleInParallelism": 1, "scaleOutParallelism": 1});
            match component {
                Component::Pd => {
                    set_missing(own, "maxFailoverCount", json!(3));
                    set_missing(own, "initWaitTime", json!(0));
                    set_missing(own, "startTimeout", json!(30));
                    set_missing(own, "spareVolReplaceReplicas", json!(1));
                }
                Component::TiKv => {
                    set_missing(own, "maxFailoverCount", json!(3));
                    set_missing(own, "scalePolicy", scales);
                    set_missing(own, "spareVolReplaceReplicas", json!(1));
                }
                Component::TiDb | Component::TiFlash => {
                    set_missing(own, "maxFailoverCount", json!(3));
                    set_missing(own, "scalePolicy", scales);
                }
                Component::TiProxy | Component::Pump | Component::TiCdc => {}
            }
            for field in ["requests", "limits"] {
                for amount in own[field].as_object_mut().into_iter().flat_map(|amounts| amounts.values_mut()) {
                    *amount = json!(shortest(amount));
                }
            }
            if !own["config"].is_null() {
                own["config"] = written_config(component, &own["config"]);
            }
            drop_empty(own, &["mode", "suspendAction"]);
            drop_nulls(own);
        }
        drop_empty(spec, &["paused", "acrossK8s", "clusterDomain", "configUpdateStrategy"]);
        drop_empty(&mut spec["cluster"], &["clusterDomain"]);
        drop_empty(&mut spec["tlsCluster"], &["enabled"]);
        drop_empty(&mut spec["suspendAction"], &["suspendStatefulSet"]);
        drop_nulls(spec);
    }
}

/// TiFlash keeps two texts in its `config`.
fn written_config(component: Component, config: &Value) -> Value {
    let text = |config: &Value| json!(toml_text::write(&toml_text::read(config)));
    match (component, config) {
        (Component::TiFlash, Value::Object(parts)) => {
            Value::Object(parts.iter().map(|(part, config)| (part.clone(), text(config))).collect())
        }
        (Component::TiDb, config) => {
            let mut tree = Value::Object(toml_text::read(config));
            if tree["log"]["file"]["max-backups"].is_null() {
                tree["log"]["file"]["max-backups"] = json!(3);
            }
            text(&tree)
        }
        (_, config) => text(config),
    }
}

/// A quantity as the API writes it: `1024Mi` is `1Gi`, and a number is a text.
fn shortest(amount: &Value) -> String {
    let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
    let units = ["Ki", "Mi", "Gi", "Ti", "Pi"];
    let Some((at, unit)) = units.iter().enumerate().find(|(_, unit)| text.ends_with(**unit)) else { return text };
    let Ok(mut number) = text.trim_end_matches(unit).parse::<u64>() else { return text };
    let mut at = at;
    while number > 0 && number.is_multiple_of(1024) && at + 1 < units.len() {
        number /= 1024;
        at += 1;
    }
    format!("{number}{}", units[at])
}

/// Fields that Go leaves out when they hold nothing.
fn drop_empty(object: &mut Value, fields: &[&str]) {
    let Some(object) = object.as_object_mut() else { return };
    for field in fields {
        if object.get(*field).is_some_and(|value| *value == json!(false) || *value == json!("") || value.is_null()) {
            object.shift_remove(*field);
        }
    }
}

fn set_missing(object: &mut Value, field: &str, value: Value) {
    if object[field].is_null() {
        object[field] = value;
    }
}

/// Indexing with `[field]` leaves nulls behind; the API has none of them.
fn drop_nulls(spec: &mut Value) {
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(spec: Value) -> TidbCluster {
        TidbCluster::new(json!({"metadata": {"namespace": "pingcap", "name": "basic"}, "spec": spec}))
    }

    #[test]
    fn pd_names_follow_domain_and_across() {
        let check = |spec: Value, expected: &str| assert_eq!(basic(spec).pd_name(1), expected);
        check(json!({}), "basic-pd-1");
        check(json!({"acrossK8s": true}), "basic-pd-1.basic-pd-peer.pingcap.svc");
        check(json!({"clusterDomain": "a.b"}), "basic-pd-1.basic-pd-peer.pingcap.svc.a.b");
    }

    #[test]
    fn what_the_operator_writes_back() {
        let mut tc = basic(json!({
            "version": "v8.5.4", "paused": false, "tlsCluster": {"enabled": false},
            "pd": {"replicas": 3, "config": {}, "requests": {"storage": "10240Mi"}},
            "tikv": {"replicas": 3, "config": {"security": {"cert-allowed-cn": ["TiDB"]}}, "requests": {"storage": "1Gi"}},
            "tidb": {"replicas": 2, "config": "# of ours\n[log]\nlevel = 'info'\n"},
        }));
        tc.fill_defaults();
        let spec = tc.spec();
        assert_eq!((&spec["pd"]["config"], &spec["pd"]["requests"]["storage"]), (&json!(""), &json!("10Gi")));
        assert_eq!(spec["tikv"]["config"], "[security]\n  cert-allowed-cn = [\"TiDB\"]\n");
        assert_eq!(spec["tidb"]["config"], "[log]\n  level = \"info\"\n  [log.file]\n    max-backups = 3\n");
        assert_eq!((&spec["tlsCluster"], spec.get("paused")), (&json!({}), None));
        let mut again = tc.clone();
        again.fill_defaults();
        assert_eq!(again.object, tc.object, "and it stays so");
    }

    #[test]
    fn members_are_own_with_and_without_the_new_domain() {
        let check = |domain: Value, url: &str, expected: bool| {
            assert_eq!(basic(json!({"clusterDomain": domain})).owns_client_url(url), expected, "{domain} {url}");
        };
        let plain = "http://basic-pd-0.basic-pd-peer.pingcap.svc:2379";
        let full = "http://basic-pd-0.basic-pd-peer.pingcap.svc.cluster1.com:2379";
        check(json!(null), plain, true);
        check(json!("cluster1.com"), plain, true);
        check(json!("cluster1.com"), full, true);
        check(json!("other.com"), full, false);
        check(json!(null), full, false);
        check(json!("cluster1.com"), "http://other-pd-0.other-pd-peer.pingcap.svc:2379", false);
    }
}
