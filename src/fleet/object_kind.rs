//! Objects that a plan names besides what is listed and watched: which kinds there are, where they lie, how two compare.
//!
//! The kinds are a closed set: nothing else can be created, deleted or copied by a run. What was seen of one object is
//! a [`Lookup`]; a Secret's values never get here, only their fingerprints. Pure. Not here: reading them
//! (`client::kube::objects`), judging an action by them (`runbook::actions`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::operator_normalization::{empty, normal};
use super::{ObjectKey, ObjectRef};

/// The kinds that a run may handle one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ObjectKind {
    Namespace,
    TidbCluster,
    TidbMonitor,
    Issuer,
    Certificate,
    /// cert-manager before 1.6 (`v1alpha2`, `domain.md` §4.2).
    IssuerV1alpha2,
    CertificateV1alpha2,
    Secret,
    ConfigMap,
    Service,
    Deployment,
    ServiceAccount,
    Role,
    RoleBinding,
    Pod,
    PersistentVolumeClaim,
}

impl ObjectKind {
    pub const ALL: [ObjectKind; 16] = [
        ObjectKind::Namespace,
        ObjectKind::TidbCluster,
        ObjectKind::TidbMonitor,
        ObjectKind::Issuer,
        ObjectKind::Certificate,
        ObjectKind::IssuerV1alpha2,
        ObjectKind::CertificateV1alpha2,
        ObjectKind::Secret,
        ObjectKind::ConfigMap,
        ObjectKind::Service,
        ObjectKind::Deployment,
        ObjectKind::ServiceAccount,
        ObjectKind::Role,
        ObjectKind::RoleBinding,
        ObjectKind::Pod,
        ObjectKind::PersistentVolumeClaim,
    ];

    /// Group (empty: core), version, `kind`, plural.
    fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            ObjectKind::Namespace => ("", "v1", "Namespace", "namespaces"),
            ObjectKind::TidbCluster => ("pingcap.com", "v1alpha1", "TidbCluster", "tidbclusters"),
            ObjectKind::TidbMonitor => ("pingcap.com", "v1alpha1", "TidbMonitor", "tidbmonitors"),
            ObjectKind::Issuer => ("cert-manager.io", "v1", "Issuer", "issuers"),
            ObjectKind::Certificate => ("cert-manager.io", "v1", "Certificate", "certificates"),
            ObjectKind::IssuerV1alpha2 => ("cert-manager.io", "v1alpha2", "Issuer", "issuers"),
            ObjectKind::CertificateV1alpha2 => ("cert-manager.io", "v1alpha2", "Certificate", "certificates"),
            ObjectKind::Secret => ("", "v1", "Secret", "secrets"),
            ObjectKind::ConfigMap => ("", "v1", "ConfigMap", "configmaps"),
            ObjectKind::Service => ("", "v1", "Service", "services"),
            ObjectKind::Deployment => ("apps", "v1", "Deployment", "deployments"),
            ObjectKind::ServiceAccount => ("", "v1", "ServiceAccount", "serviceaccounts"),
            ObjectKind::Role => ("rbac.authorization.k8s.io", "v1", "Role", "roles"),
            ObjectKind::RoleBinding => ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
            ObjectKind::Pod => ("", "v1", "Pod", "pods"),
            ObjectKind::PersistentVolumeClaim => ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
        }
    }

    pub fn group(self) -> &'static str {
        self.names().0
    }

    /// The value of `kind:`.
    pub fn kind(self) -> &'static str {
        self.names().2
    }

    pub fn plural(self) -> &'static str {
        self.names().3
    }

    /// The value of `apiVersion:`.
    pub fn api_version(self) -> String {
        match self.names() {
            ("", version, _, _) => version.to_owned(),
            (group, version, _, _) => format!("{group}/{version}"),
        }
    }

    /// Name for `kubectl get`: with its group where there is one.
    pub fn resource(self) -> String {
        match self.names() {
            ("", _, _, plural) => plural.to_owned(),
            (group, version, _, plural) => format!("{plural}.{version}.{group}"),
        }
    }

    pub fn namespaced(self) -> bool {
        self != ObjectKind::Namespace
    }

    /// API path of the collection in a namespace.
    pub fn collection(self, namespace: &str) -> String {
        let (group, version, _, plural) = self.names();
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        match self.namespaced() {
            true => format!("{root}/namespaces/{namespace}/{plural}"),
            false => format!("{root}/{plural}"),
        }
    }

    /// The kind of a manifest, by its `apiVersion` and `kind`.
    pub fn of(manifest: &Value) -> Option<Self> {
        let text = |field: &str| manifest.get(field).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        Self::ALL.into_iter().find(|known| known.kind() == kind && known.api_version() == version)
    }
}

/// One object in one context. A cluster-scoped one has an empty namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectId {
    pub kind: ObjectKind,
    pub context: String,
    pub namespace: String,
    pub name: String,
}

impl ObjectId {
    pub fn new(kind: ObjectKind, at: &ObjectRef) -> Self {
        let namespace = if kind.namespaced() { at.namespace.clone() } else { String::new() };
        Self { kind, context: at.context.clone(), namespace, name: at.name.clone() }
    }

    pub fn path(&self) -> String {
        format!("{}/{}", self.kind.collection(&self.namespace), self.name)
    }

    pub fn key(&self) -> (ObjectKind, ObjectKey) {
        (self.kind, ObjectKey::new(&self.namespace, &self.name))
    }
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind.namespaced() {
            true => write!(f, "{} {}/{}/{}", self.kind.kind(), self.context, self.namespace, self.name),
            false => write!(f, "{} {}/{}", self.kind.kind(), self.context, self.name),
        }
    }
}

/// What a look saw at the place of one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    Absent,
    /// As the API has it; a Secret with fingerprints in the place of its values.
    Present(Value),
    /// It could not be read; one sentence.
    Unseen(String),
}

impl Lookup {
    pub fn present(&self) -> Option<&Value> {
        match self {
            Lookup::Present(object) => Some(object),
            Lookup::Absent | Lookup::Unseen(_) => None,
        }
    }
}

/// Where `found` is not as `wanted` asks: paths with both values, the additions of servers and of TiDB Operator left out. Lists are
/// compared item by item and must be of one length. A Secret's data is compared by what was written into it, which is
/// not ours to see, so it is left to whoever wrote it.
pub fn differences(wanted: &Value, found: &Value) -> Vec<String> {
    fn walk(at: &str, wanted: &Value, found: &Value, out: &mut Vec<String>) {
        match (wanted, found) {
            (Value::Object(wanted), Value::Object(found)) => {
                for (key, value) in wanted {
                    let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                    walk(&at, value, found.get(key).unwrap_or(&Value::Null), out);
                }
            }
            (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
                for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                    walk(&format!("{at}[{index}]"), wanted, found, out);
                }
            }
            // A server leaves empty parts out.
            (wanted, found) if wanted == found || (empty(wanted) && empty(found)) => {}
            (Value::Number(wanted), Value::Number(found)) if wanted.as_f64() == found.as_f64() => {}
            (wanted, found) => out.push(format!("{at}: expected {wanted}, found {found}")),
        }
    }
    let mut out = Vec::new();
    walk("", &normal(wanted), &normal(found), &mut out);
    out
}

/// Who wrote the object and still owns a part of it (`metadata.managedFields`).
pub fn managers(object: &Value) -> impl Iterator<Item = &str> {
    let fields = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    fields.into_iter().flatten().filter_map(|entry| entry.get("manager").and_then(Value::as_str))
}

/// Whether a field manager of this name wrote the object.
pub fn written_by(object: &Value, manager: &str) -> bool {
    managers(object).any(|known| known == manager)
}

/// `metadata.uid`.
pub fn uid(object: &Value) -> &str {
    object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_and_names() {
        let at = ObjectRef::new("east", "db", "basic");
        let cases = [
            (ObjectKind::Namespace, "/api/v1/namespaces/basic", "namespaces"),
            (ObjectKind::Secret, "/api/v1/namespaces/db/secrets/basic", "secrets"),
            (
                ObjectKind::IssuerV1alpha2,
                "/apis/cert-manager.io/v1alpha2/namespaces/db/issuers/basic",
                "issuers.v1alpha2.cert-manager.io",
            ),
        ];
        for (kind, path, resource) in cases {
            assert_eq!((ObjectId::new(kind, &at).path().as_str(), kind.resource().as_str()), (path, resource));
        }
        for kind in ObjectKind::ALL {
            let manifest = json!({"apiVersion": kind.api_version(), "kind": kind.kind()});
            assert_eq!(ObjectKind::of(&manifest), Some(kind));
        }
        assert_eq!(ObjectKind::of(&json!({"apiVersion": "v1", "kind": "Node"})), None);
    }

    #[test]
    fn what_a_server_adds_is_no_difference() {
        let wanted = json!({"spec": {"pd": {"replicas": 3, "config": {}}, "list": [{"a": 1}]}});
        let same = json!({"spec": {"pd": {"replicas": 3, "baseImage": "x"}, "list": [{"a": 1, "b": 2}]}, "status": {}});
        assert_eq!(differences(&wanted, &same), Vec::<String>::new());
        let other = json!({"spec": {"pd": {"replicas": 1}, "list": []}});
        assert_eq!(
            differences(&wanted, &other),
            ["spec.pd.replicas: expected 3, found 1", "spec.list: expected [{\"a\":1}], found []"]
        );
    }
}
