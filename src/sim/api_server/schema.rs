//! Which fields a TidbCluster's spec may have, and of which type: an own list, top level and one level below. The built-in kinds:
//! [`super::built_in`].
//!
//! It prunes or refuses unknown fields and names wrong types, as the server does from the CRD's schema. Deeper levels
//! (affinity, config, ...) are left open, and status is the operator's own affair. Source: domain.md §1.2.

use serde_json::{Map, Value, json};

use super::built_in;
use super::status::{Cause, Refusal};
use crate::sim::object_store::{Resource, Store};

/// The JSON types a field can be asked to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Bool,
    Int,
    Text,
    List,
    Object,
    /// TOML text or an object: the schema preserves what it finds.
    Any,
}

use Type::{Any, Bool, Int, List, Object, Text};

type Fields = &'static [(&'static str, Type)];

const SPEC: Fields = &[
    ("acrossK8s", Bool),
    ("affinity", Object),
    ("annotations", Object),
    ("cluster", Object),
    ("clusterDomain", Text),
    ("configUpdateStrategy", Text),
    ("discovery", Object),
    ("dnsConfig", Object),
    ("dnsPolicy", Text),
    ("enableDynamicConfiguration", Bool),
    ("enablePVCReplace", Bool),
    ("enablePVReclaim", Bool),
    ("helper", Object),
    ("hostNetwork", Bool),
    ("imagePullPolicy", Text),
    ("imagePullSecrets", List),
    ("labels", Object),
    ("nodeSelector", Object),
    ("paused", Bool),
    ("pd", Object),
    ("pdAddresses", List),
    ("pdms", List),
    ("podManagementPolicy", Text),
    ("podSecurityContext", Object),
    ("preferIPv6", Bool),
    ("priorityClassName", Text),
    ("pump", Object),
    ("pvReclaimPolicy", Text),
    ("recoveryMode", Bool),
    ("schedulerName", Text),
    ("serviceAccount", Text),
    ("services", List),
    ("startScriptV2FeatureFlags", List),
    ("startScriptVersion", Text),
    ("statefulSetUpdateStrategy", Text),
    ("suspendAction", Object),
    ("ticdc", Object),
    ("tidb", Object),
    ("tiflash", Object),
    ("tikv", Object),
    ("timezone", Text),
    ("tiproxy", Object),
    ("tlsCluster", Object),
    ("tolerations", List),
    ("topologySpreadConstraints", List),
    ("version", Text),
];

/// What every component has.
const COMPONENT: Fields = &[
    ("additionalContainers", List),
    ("additionalVolumeMounts", List),
    ("additionalVolumes", List),
    ("affinity", Object),
    ("annotations", Object),
    ("automountServiceAccountToken", Bool),
    ("claims", List),
    ("configUpdateStrategy", Text),
    ("dnsConfig", Object),
    ("dnsPolicy", Text),
    ("env", List),
    ("envFrom", List),
    ("hostNetwork", Bool),
    ("image", Text),
    ("imagePullPolicy", Text),
    ("imagePullSecrets", List),
    ("initContainers", List),
    ("labels", Object),
    ("limits", Object),
    ("nodeSelector", Object),
    ("podManagementPolicy", Text),
    ("podSecurityContext", Object),
    ("priorityClassName", Text),
    ("readinessProbe", Object),
    ("requests", Object),
    ("schedulerName", Text),
    ("securityContext", Object),
    ("statefulSetUpdateStrategy", Text),
    ("suspendAction", Object),
    ("terminationGracePeriodSeconds", Int),
    ("tolerations", List),
    ("topologySpreadConstraints", List),
    ("version", Text),
];

/// What the database components have on top; not every one has each.
const DATABASE: Fields = &[
    ("baseImage", Text),
    ("config", Any),
    ("replicas", Int),
    ("serviceAccount", Text),
    ("storageClassName", Text),
    ("storageVolumes", List),
    ("volumeAttributesClassName", Text),
];

const PD: Fields = &[
    ("dataSubDir", Text),
    ("enableDashboardInternalProxy", Bool),
    ("initWaitTime", Int),
    ("maxFailoverCount", Int),
    ("mode", Text),
    ("mountClusterClientSecret", Bool),
    ("service", Object),
    ("spareVolReplaceReplicas", Int),
    ("startTimeout", Int),
    ("startUpScriptVersion", Text),
    ("tlsClientSecretName", Text),
];

const TIKV: Fields = &[
    ("dataSubDir", Text),
    ("enableNamedStatusPort", Bool),
    ("evictLeaderTimeout", Text),
    ("failover", Object),
    ("logTailer", Object),
    ("maxFailoverCount", Int),
    ("mountClusterClientSecret", Bool),
    ("privileged", Bool),
    ("raftLogVolumeName", Text),
    ("recoverFailover", Bool),
    ("rocksDBLogVolumeName", Text),
    ("scalePolicy", Object),
    ("separateRaftLog", Bool),
    ("separateRocksDBLog", Bool),
    ("spareVolReplaceReplicas", Int),
    ("storeLabels", List),
    ("waitLeaderTransferBackTimeout", Text),
];

const TIDB: Fields = &[
    ("arguments", List),
    ("binlogEnabled", Bool),
    ("bootstrapSQLConfigMapName", Text),
    ("customizedStartupProbe", Object),
    ("initializer", Object),
    ("lifecycle", Object),
    ("maxFailoverCount", Int),
    ("plugins", List),
    ("scalePolicy", Object),
    ("separateSlowLog", Bool),
    ("service", Object),
    ("slowLogTailer", Object),
    ("slowLogVolumeName", Text),
    ("tlsClient", Object),
    ("tokenBasedAuthEnabled", Bool),
];

const TIFLASH: Fields = &[
    ("failover", Object),
    ("initializer", Object),
    ("logTailer", Object),
    ("maxFailoverCount", Int),
    ("privileged", Bool),
    ("recoverFailover", Bool),
    ("scalePolicy", Object),
    ("storageClaims", List),
];

const TICDC: Fields = &[("gracefulShutdownTimeout", Text), ("tlsClientSecretNames", List)];
const TIPROXY: Fields = &[("certLayout", Text), ("sslEnableTiDB", Bool), ("tlsClientSecretName", Text)];
const PUMP: Fields = &[("setTimeZone", Bool)];
const CLUSTER: Fields = &[("clusterDomain", Text), ("name", Text), ("namespace", Text)];
const TLS_CLUSTER: Fields = &[("enableDiscoveryMTLS", Bool), ("enabled", Bool)];
const DISCOVERY: Fields = &[("livenessProbe", Object)];
const HELPER: Fields = &[("image", Text), ("imagePullPolicy", Text)];
const SUSPEND: Fields = &[("suspendStatefulSet", Bool)];
const ROOT: Fields =
    &[("apiVersion", Text), ("kind", Text), ("metadata", Object), ("spec", Object), ("status", Object)];

/// The field lists and required fields of one object in spec; `None` where the schema is left open.
fn inside(field: &str) -> Option<(Vec<Fields>, &'static [&'static str])> {
    let component = |own: Fields| vec![COMPONENT, DATABASE, own];
    Some(match field {
        "pd" => (component(PD), &["replicas"]),
        "tikv" => (component(TIKV), &["replicas"]),
        "tidb" => (component(TIDB), &["replicas"]),
        "tiflash" => (component(TIFLASH), &["replicas", "storageClaims"]),
        "ticdc" => (component(TICDC), &["replicas"]),
        "tiproxy" => (component(TIPROXY), &["replicas"]),
        "pump" => (component(PUMP), &["replicas"]),
        "discovery" => (vec![COMPONENT, DISCOVERY], &[]),
        "cluster" => (vec![CLUSTER], &["name"]),
        "tlsCluster" => (vec![TLS_CLUSTER], &[]),
        "helper" => (vec![HELPER], &[]),
        "suspendAction" => (vec![SUSPEND], &[]),
        _ => return None,
    })
}

/// What the CRD object of a cluster says about the schema: read before a transaction, which holds the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    across_k8s: bool,
}

impl Known {
    pub(super) fn of(store: &Store) -> Known {
        let definition = store.find("customresourcedefinitions", "", "tidbclusters.pingcap.com").unwrap_or_default();
        let versions = definition["spec"]["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let version = versions.iter().find(|version| version["name"] == "v1alpha1");
        let fields = version.and_then(|version| version.pointer("/schema/openAPIV3Schema/properties/spec/properties"));
        // A definition without a schema knows everything.
        Known { across_k8s: fields.is_none_or(|fields| fields.get("acrossK8s").is_some()) }
    }
}

/// What looking at an object brought.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Paths of fields that were dropped, as `spec.clusterDomian`.
    pub unknown: Vec<String>,
    pub invalid: Vec<Cause>,
}

impl Findings {
    /// How each dropped field is named in warnings and refusals.
    pub(super) fn unknown_messages(&self) -> Vec<String> {
        self.unknown.iter().map(|path| format!("unknown field {path:?}")).collect()
    }

    /// `fieldValidation=Strict`: unknown fields refuse the request.
    pub(super) fn strict(&self, kind: &Resource, patching: bool, object: &Value) -> Result<(), Refusal> {
        if self.unknown.is_empty() {
            return Ok(());
        }
        let error = format!("strict decoding error: {}", self.unknown_messages().join(", "));
        if !patching {
            let (name, version) = (kind.kind, kind.version);
            return Err(Refusal::bad_request(format!(
                "{name} in version {version:?} cannot be handled as a {name}: {error}"
            )));
        }
        // A patch is judged by its result: the refusal names no object, and quotes all of it.
        let message = format!("Invalid value: {:?}: {error}", object.to_string());
        let cause = Cause { reason: "FieldValueInvalid", message: message.clone(), field: "patch".into() };
        let mut refusal = Refusal::invalid(kind, "", &[cause]);
        refusal.message = format!(" \"\" is invalid: patch: {message}");
        refusal.details = refusal.details.map(|details| json!({"causes": details["causes"]}));
        Err(refusal)
    }
}

/// Drops what the kind's schema does not know and lists it with the wrong types. Open for every other custom resource.
pub(super) fn check(known: Known, kind: &Resource, object: &mut Value) -> Findings {
    let mut findings = Findings::default();
    if kind.plural != "tidbclusters" {
        findings.unknown = built_in::prune(kind, object);
        return findings;
    }
    prune(object, "", &[ROOT], &[], &mut findings);
    let Some(spec) = object.get_mut("spec") else {
        findings.invalid.push(required("spec"));
        return findings;
    };
    if !known.across_k8s
        && let Some(spec) = spec.as_object_mut()
        && spec.shift_remove("acrossK8s").is_some()
    {
        findings.unknown.push("spec.acrossK8s".into());
    }
    prune(spec, "spec", &[SPEC], &[], &mut findings);
    for (field, value) in spec.as_object_mut().into_iter().flatten() {
        if let Some((fields, required)) = inside(field) {
            prune(value, &format!("spec.{field}"), &fields, required, &mut findings);
        }
    }
    findings
}

fn prune(value: &mut Value, path: &str, known: &[Fields], needed: &[&str], findings: &mut Findings) {
    let Some(object) = value.as_object_mut() else { return };
    let kind_of = |name: &str| known.iter().copied().flatten().find(|(field, _)| *field == name).map(|(_, kind)| *kind);
    let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let unknown: Vec<String> = object.keys().filter(|name| kind_of(name).is_none()).cloned().collect();
    for name in unknown {
        object.shift_remove(&name);
        findings.unknown.push(at(&name));
    }
    for (name, value) in &*object {
        if let Some(kind) = kind_of(name).filter(|kind| !value.is_null() && !kind.fits(value)) {
            findings.invalid.push(Cause {
                reason: "FieldValueTypeInvalid",
                message: format!(
                    "Invalid value: {:?}: {} in body must be of type {}: {:?}",
                    type_of(value),
                    at(name),
                    kind.name(),
                    type_of(value)
                ),
                field: at(name),
            });
        }
    }
    findings.invalid.extend(
        needed.iter().filter(|name| object.get(**name).is_none_or(Value::is_null)).map(|name| required(&at(name))),
    );
}

fn required(path: &str) -> Cause {
    Cause { reason: "FieldValueRequired", message: "Required value".into(), field: path.to_owned() }
}

impl Type {
    fn fits(self, value: &Value) -> bool {
        match self {
            Bool => value.is_boolean(),
            Int => value.is_i64() || value.is_u64(),
            Text => value.is_string(),
            List => value.is_array(),
            Object => value.is_object(),
            Any => true,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Bool => "boolean",
            Int => "integer",
            Text => "string",
            List => "array",
            Object | Any => "object",
        }
    }

    fn open_api(self) -> Value {
        match self {
            Any => json!({"x-kubernetes-preserve-unknown-fields": true}),
            List => json!({"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": true}}),
            Object => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
            Bool | Int | Text => json!({"type": self.name()}),
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The same lists as a schema, for the CRD object.
pub(super) fn open_api(across_k8s: bool) -> Value {
    let mut properties = Map::new();
    for (name, kind) in SPEC.iter().filter(|(name, _)| across_k8s || *name != "acrossK8s") {
        let mut schema = kind.open_api();
        if let Some((fields, required)) = inside(name) {
            let inner: Map<String, Value> =
                fields.into_iter().flatten().map(|(name, kind)| ((*name).to_owned(), kind.open_api())).collect();
            schema = json!({"type": "object", "properties": inner});
            if !required.is_empty() {
                schema["required"] = json!(required);
            }
        }
        properties.insert((*name).to_owned(), schema);
    }
    json!({"type": "object", "properties": properties})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::object_store::resource;

    fn findings(spec: Value) -> (Findings, Value) {
        let store = Store::new();
        store.put("customresourcedefinitions", super::super::crd::tidbclusters(true));
        let mut object = json!({"metadata": {"name": "x"}, "spec": spec});
        let findings = check(Known::of(&store), resource("tidbclusters"), &mut object);
        (findings, object["spec"].take())
    }

    #[test]
    fn unknown_fields_are_dropped_and_named() {
        let (found, spec) =
            findings(json!({"clusterDomian": "a", "pd": {"replicas": 3, "repliacs": 1, "config": {"x": 1}}}));
        assert_eq!(found.unknown, ["spec.clusterDomian", "spec.pd.repliacs"]);
        assert_eq!(spec, json!({"pd": {"replicas": 3, "config": {"x": 1}}}));
        assert!(found.strict(resource("tidbclusters"), true, &spec).is_err());
    }

    #[test]
    fn wrong_types_and_missing_fields_are_named() {
        let (found, _) = findings(json!({"acrossK8s": "yes", "pd": {"replicas": "3"}, "tikv": {}}));
        let fields: Vec<&str> = found.invalid.iter().map(|cause| cause.field.as_str()).collect();
        assert_eq!(fields, ["spec.acrossK8s", "spec.pd.replicas", "spec.tikv.replicas"]);
    }

    #[test]
    fn an_old_definition_has_no_across_k8s() {
        let store = Store::new();
        store.put("customresourcedefinitions", super::super::crd::tidbclusters(false));
        let mut object = json!({"metadata": {}, "spec": {"acrossK8s": true}});
        assert_eq!(check(Known::of(&store), resource("tidbclusters"), &mut object).unknown, ["spec.acrossK8s"]);
    }
}
