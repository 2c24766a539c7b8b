//! Slim projection of a TidbCluster: only the fields that we show or judge.
//!
//! Deserialised straight from the API's JSON (everything else is skipped on arrival) and serialised again in the
//! same shape, so that a runbook expression says `tc.spec.clusterDomain` as the CRD does. Not here: its pods and
//! StatefulSets ([`super::workload`]), judgements about them ([`super::rollout`], [`super::database`]). Source: `domain.md` §1.2–1.4.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod deserialize;
mod expected_peer_url;
mod status;

pub use self::deserialize::GRPC_RESOLVER;
use self::deserialize::{annotations, managers, presence, unknown_components, variables};
pub(super) use self::deserialize::{null_default, tight};
pub use self::status::{ComponentStatus, Condition, MemberStatus, StoreStatus, TidbClusterStatus};
pub use super::component::Component;
use super::{Keyed, ObjectKey};

/// What the annotations end with that [`TidbCluster::delete_slots`] tells (`pd.tidb.pingcap.com/delete-slots`).
const DELETE_SLOTS: &str = ".tidb.pingcap.com/delete-slots";

/// `metadata`, as far as we use it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
    pub creation_timestamp: Option<Timestamp>,
    pub deletion_timestamp: Option<Timestamp>,
    pub generation: i64,
    #[serde(deserialize_with = "null_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "annotations")]
    pub annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "managers")]
    pub managed_fields: Vec<FieldManager>,
}

impl Meta {
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(&self.namespace, &self.name)
    }
}

/// Who owns which fields: the manager's name, the dotted paths below `spec` two levels deep, and its annotations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldManager {
    pub manager: String,
    /// `spec.clusterDomain`, `spec.pd`, `spec.pd.replicas`, `metadata.annotations[tidb.pingcap.com/x]`, …
    pub paths: Vec<String>,
    /// When it last wrote one of them; `None` where that is not told, or is the time of a status that it wrote with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TidbCluster {
    pub metadata: Meta,
    pub spec: TidbClusterSpec,
    #[serde(deserialize_with = "null_default")]
    pub status: TidbClusterStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TidbClusterSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(rename = "acrossK8s", skip_serializing_if = "Option::is_none")]
    pub across_k8s: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cluster: Option<TlsCluster>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// `{suspendStatefulSet: bool}`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend_action: Option<BTreeMap<String, bool>>,
    /// Addresses of an existing PD to join.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pd_addresses: Option<Vec<String>>,
    #[serde(rename = "enablePVReclaim", skip_serializing_if = "Option::is_none")]
    pub enable_pv_reclaim: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_update_strategy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pv_reclaim_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pd: Option<ComponentSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tikv: Option<ComponentSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tidb: Option<ComponentSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiflash: Option<ComponentSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticdc: Option<ComponentSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiproxy: Option<ComponentSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pump: Option<ComponentSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_secrets: Option<Vec<Value>>,
    /// PD microservices; only their presence matters (hazard 10).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pdms: Option<Vec<Value>>,
    /// Components of a newer TiDB Operator that nothing here knows, with the replicas asked for (hazard 80).
    #[serde(flatten, deserialize_with = "unknown_components", skip_serializing)]
    pub unknown: BTreeMap<String, i64>,
}

/// `spec.cluster`: the TidbCluster that this one joined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterReference {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_domain: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsCluster {
    pub enabled: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComponentSpec {
    pub replicas: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_failover_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_update_strategy: Option<String>,
    /// TOML text or an object; whether it is there matters (hazard 8), and whose common names it lets in (hazard 22). Its
    /// content may hold secrets, so nothing else of it is kept.
    #[serde(deserialize_with = "presence", skip_serializing_if = "Option::is_none")]
    pub config: Option<BTreeMap<String, Value>>,
    /// TLS towards MySQL clients (TiDB only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client: Option<TlsCluster>,
    /// `ms` for microservices (PD only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend_action: Option<BTreeMap<String, bool>>,
    /// Names of the environment variables; the value only of the one that says how gRPC resolves names (hazard 79): others may
    /// be secrets.
    #[serde(deserialize_with = "variables", skip_serializing)]
    pub env: Option<BTreeMap<String, String>>,
    /// Annotations of the component's pods; a changed one restarts them (`domain.md` §2.9).
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl ComponentSpec {
    /// Common names that it lets in (`cert-allowed-cn`); empty: any that its CA signed.
    pub fn allowed_names(&self) -> Vec<String> {
        let names = self.config.as_ref().and_then(|config| config.get("security")?.get("cert-allowed-cn")?.as_array());
        names.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    }
}

impl TidbCluster {
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    pub fn namespace(&self) -> &str {
        &self.metadata.namespace
    }

    pub fn component(&self, component: Component) -> Option<&ComponentSpec> {
        match component {
            Component::Pd => self.spec.pd.as_ref(),
            Component::Tiproxy => self.spec.tiproxy.as_ref(),
            Component::Tiflash => self.spec.tiflash.as_ref(),
            Component::Tikv => self.spec.tikv.as_ref(),
            Component::Pump => self.spec.pump.as_ref(),
            Component::Tidb => self.spec.tidb.as_ref(),
            Component::Ticdc => self.spec.ticdc.as_ref(),
        }
    }

    pub fn component_status(&self, component: Component) -> &ComponentStatus {
        match component {
            Component::Pd => &self.status.pd,
            Component::Tiproxy => &self.status.tiproxy,
            Component::Tiflash => &self.status.tiflash,
            Component::Tikv => &self.status.tikv,
            Component::Pump => &self.status.pump,
            Component::Tidb => &self.status.tidb,
            Component::Ticdc => &self.status.ticdc,
        }
    }

    /// The components that the spec asks for, in rolling order.
    pub fn components(&self) -> impl Iterator<Item = (Component, &ComponentSpec)> {
        Component::ALL.into_iter().filter_map(|c| self.component(c).map(|spec| (c, spec)))
    }

    /// Whether the spec asks for TLS between the components. What PD runs with is another matter ([`super::tls_toggle`]).
    pub fn tls(&self) -> bool {
        self.spec.tls_cluster.as_ref().is_some_and(|tls| tls.enabled)
    }

    /// TLS towards MySQL clients.
    pub fn mysql_tls(&self) -> bool {
        self.spec.tidb.as_ref().and_then(|tidb| tidb.tls_client.as_ref()).is_some_and(|tls| tls.enabled)
    }

    /// `spec.clusterDomain`, where it is set and not empty.
    pub fn domain(&self) -> Option<&str> {
        self.spec.cluster_domain.as_deref().filter(|domain| !domain.is_empty())
    }

    /// The domain as DNS takes it: lower case, no dot at the end. What is compared or proposed goes by this; the operator
    /// makes PD's names of the text as it stands ([`Self::pd_name`]).
    pub fn plain_domain(&self) -> Option<String> {
        self.domain().map(super::dns::normal)
    }

    pub fn across_k8s(&self) -> bool {
        self.spec.across_k8s.unwrap_or(false)
    }

    pub fn paused(&self) -> bool {
        self.spec.paused.unwrap_or(false)
    }

    /// Whether the operator is asked to take the component's pods away. Its own suspendAction counts in place of the
    /// TidbCluster's, also where it says no (`component_spec.go` of TiDB Operator 1.6, `SuspendAction`).
    pub fn asks_to_suspend(&self, component: Component) -> bool {
        let own = self.component(component).and_then(|spec| spec.suspend_action.as_ref());
        let action = own.or(self.spec.suspend_action.as_ref());
        action.and_then(|action| action.get("suspendStatefulSet")).copied().unwrap_or(false)
    }

    /// Annotations with which AdvancedStatefulSet leaves holes in the numbering of its pods, key and value: where there are
    /// any an ordinal does not tell who leaves.
    pub fn delete_slots(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.metadata.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        all.filter(|(key, value)| key.ends_with(DELETE_SLOTS) && !matches!(value.trim(), "" | "[]"))
    }

    /// The value of the label `app.kubernetes.io/instance` on everything that belongs to it (`domain.md` §1.4).
    pub fn instance(&self) -> &str {
        self.metadata.labels.get("app.kubernetes.io/instance").map_or(self.name(), String::as_str)
    }

    /// `status.conditions[Ready]`: status and reason. Not a proof of anything (`domain.md` §2.2).
    pub fn ready_condition(&self) -> Option<&Condition> {
        self.status.conditions.iter().find(|c| c.kind == "Ready")
    }

    /// The config update strategy that counts for a component; empty means `InPlace` (`domain.md` §1.2).
    pub fn config_update_strategy(&self, component: Component) -> &str {
        self.component(component)
            .and_then(|spec| spec.config_update_strategy.as_deref())
            .or(self.spec.config_update_strategy.as_deref())
            .filter(|strategy| !strategy.is_empty())
            .unwrap_or("InPlace")
    }

    /// The version that a component should run: its own, or the cluster's.
    pub fn component_version(&self, component: Component) -> Option<&str> {
        self.component(component)?.version.as_deref().or(self.spec.version.as_deref())
    }
}

impl Keyed for TidbCluster {
    fn key(&self) -> ObjectKey {
        self.metadata.key()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tc(spec: Value) -> TidbCluster {
        serde_json::from_value(json!({"metadata": {"name": "basic", "namespace": "db"}, "spec": spec})).expect("shape")
    }

    #[test]
    fn config_is_only_a_presence() {
        let with = tc(json!({"pd": {"replicas": 3, "config": "[security]\nsecret = 'x'"}}));
        assert_eq!(with.spec.pd.as_ref().and_then(|pd| pd.config.clone()), Some(BTreeMap::new()));
        assert!(!serde_json::to_string(&with).expect("serialises").contains("secret"));
        let security = json!({"security": {"cert-allowed-cn": ["TiDB"], "secret": "x"}});
        let spec = tc(json!({"pd": {"replicas": 3, "config": security}})).spec.pd.expect("asked for");
        assert_eq!(spec.allowed_names(), ["TiDB"]);
        assert!(!serde_json::to_string(&spec).expect("serialises").contains("secret"));
        let without = tc(json!({"pd": {"replicas": 3, "config": null}}));
        assert_eq!(without.spec.pd.and_then(|pd| pd.config), None);
    }

    #[test]
    fn a_component_is_suspended_by_its_own_action_first() {
        let yes = json!({"suspendStatefulSet": true});
        let no = json!({"suspendStatefulSet": false});
        let cases = [
            (json!({"pd": {}}), false),
            (json!({"suspendAction": yes, "pd": {}}), true),
            (json!({"pd": {"suspendAction": yes}}), true),
            (json!({"suspendAction": yes, "pd": {"suspendAction": no}}), false),
            (json!({"suspendAction": no, "pd": {"suspendAction": yes}}), true),
            (json!({"suspendAction": yes, "pd": {"suspendAction": {}}}), false),
            (json!({"suspendAction": null, "pd": {"suspendAction": null}}), false),
        ];
        for (spec, expected) in cases {
            assert_eq!(tc(spec.clone()).asks_to_suspend(Component::Pd), expected, "{spec}");
        }
    }

    #[test]
    fn strategy_empty_means_in_place() {
        assert_eq!(tc(json!({"pd": {}})).config_update_strategy(Component::Pd), "InPlace");
        assert_eq!(
            tc(json!({"configUpdateStrategy": "RollingUpdate", "pd": {}})).config_update_strategy(Component::Pd),
            "RollingUpdate"
        );
    }

    #[test]
    fn status_survives_null_lists_and_pump_arrays() {
        let tc: TidbCluster = serde_json::from_value(json!({
            "metadata": {"name": "b", "namespace": "n"}, "spec": {},
            "status": {"conditions": null, "pump": {"members": [{"nodeId": "x"}]}, "pd": {"synced": true, "members": null}}
        }))
        .expect("lenient");
        assert!(tc.status.conditions.is_empty());
        assert_eq!(tc.status.pd.synced, Some(true));
    }
}
