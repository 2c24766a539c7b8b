//! The resource kinds a simulated API server knows, as one table.
//!
//! It is *not* discovery (see `api_server/discovery.rs`) and knows no object: a plural name in, its group, version
//! and kind out. Kinds behind a CustomResourceDefinition are in the table too; whether a cluster serves them depends
//! on the CRD object in its store.

/// One resource kind, as discovery would name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub kind: &'static str,
    pub namespaced: bool,
    pub short: &'static [&'static str],
}

impl Resource {
    /// `v1` or `apps/v1`, as objects carry it.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `pods` or `statefulsets.apps`, as error messages name it.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Whether this kind exists only where a CustomResourceDefinition object says so.
    pub fn custom(&self) -> bool {
        matches!(self.group, "pingcap.com" | "core.pingcap.com" | "cert-manager.io")
    }

    /// Whether `…/status` is a path of its own. TidbCluster and its siblings have none (domain.md §1.1).
    pub fn has_status(&self) -> bool {
        matches!(
            self.plural,
            "pods"
                | "services"
                | "nodes"
                | "namespaces"
                | "persistentvolumes"
                | "persistentvolumeclaims"
                | "statefulsets"
                | "deployments"
                | "replicasets"
                | "jobs"
                | "poddisruptionbudgets"
                | "customresourcedefinitions"
                | "certificates"
                | "issuers"
                | "clusters"
                | "pdgroups"
        )
    }

    /// Whether the server counts spec changes in `metadata.generation`.
    pub fn has_generation(&self) -> bool {
        self.custom()
            || matches!(
                self.plural,
                "statefulsets"
                    | "deployments"
                    | "replicasets"
                    | "jobs"
                    | "customresourcedefinitions"
                    | "poddisruptionbudgets"
            )
    }
}

const fn kind(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
    short: &'static [&'static str],
) -> Resource {
    Resource { group, version, plural, kind, namespaced, short }
}

const ADMISSION: &str = "admissionregistration.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Every kind, grouped as discovery lists them.
pub const RESOURCES: &[Resource] = &[
    kind("", "v1", "configmaps", "ConfigMap", true, &["cm"]),
    kind("", "v1", "endpoints", "Endpoints", true, &["ep"]),
    kind("", "v1", "events", "Event", true, &["ev"]),
    kind("", "v1", "namespaces", "Namespace", false, &["ns"]),
    kind("", "v1", "nodes", "Node", false, &["no"]),
    kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true, &["pvc"]),
    kind("", "v1", "persistentvolumes", "PersistentVolume", false, &["pv"]),
    kind("", "v1", "pods", "Pod", true, &["po"]),
    kind("", "v1", "secrets", "Secret", true, &[]),
    kind("", "v1", "serviceaccounts", "ServiceAccount", true, &["sa"]),
    kind("", "v1", "services", "Service", true, &["svc"]),
    kind("apps", "v1", "deployments", "Deployment", true, &["deploy"]),
    kind("apps", "v1", "replicasets", "ReplicaSet", true, &["rs"]),
    kind("apps", "v1", "statefulsets", "StatefulSet", true, &["sts"]),
    kind("apps", "v1", "controllerrevisions", "ControllerRevision", true, &[]),
    kind("batch", "v1", "jobs", "Job", true, &[]),
    kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true, &["pdb"]),
    kind("storage.k8s.io", "v1", "storageclasses", "StorageClass", false, &["sc"]),
    kind("coordination.k8s.io", "v1", "leases", "Lease", true, &[]),
    kind(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", false, &[]),
    kind(RBAC, "v1", "clusterroles", "ClusterRole", false, &[]),
    kind(RBAC, "v1", "rolebindings", "RoleBinding", true, &[]),
    kind(RBAC, "v1", "roles", "Role", true, &[]),
    kind(ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", false, &[]),
    kind(ADMISSION, "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", false, &[]),
    kind(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        false,
        &["crd", "crds"],
    ),
    kind("pingcap.com", "v1alpha1", "tidbclusters", "TidbCluster", true, &["tc"]),
    kind("pingcap.com", "v1alpha1", "tidbmonitors", "TidbMonitor", true, &["tm"]),
    kind("core.pingcap.com", "v1alpha1", "clusters", "Cluster", true, &[]),
    kind("core.pingcap.com", "v1alpha1", "pdgroups", "PDGroup", true, &[]),
    kind("cert-manager.io", "v1", "certificates", "Certificate", true, &["cert", "certs"]),
    kind("cert-manager.io", "v1", "issuers", "Issuer", true, &[]),
];

/// The kind of a plural name, when the simulator knows it.
pub fn find(plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|known| known.plural == plural)
}

/// The kind of a plural name.
///
/// # Panics
/// When the name is not in [`RESOURCES`]: the caller made it up.
pub fn resource(plural: &str) -> &'static Resource {
    match find(plural) {
        Some(found) => found,
        None => panic!("no resource {plural:?} in the simulator's table: add it to RESOURCES"),
    }
}
