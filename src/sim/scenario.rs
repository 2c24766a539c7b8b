//! A simulated fleet and its troubles as data: the YAML documents in `assets/scenarios/`.
//!
//! Strict about its own fields (an unknown one is an error with line and column); a TidbCluster's `spec` is taken as it
//! stands, for the simulated API and operator to judge. It starts nothing: `from_scenario` turns a scenario into objects.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;

/// Name and text of the scenarios in the binary.
const EMBEDDED: &[(&str, &str)] = &[
    ("default", include_str!("../../assets/scenarios/default.yaml")),
    ("empty", include_str!("../../assets/scenarios/empty.yaml")),
    ("half-migrated", include_str!("../../assets/scenarios/half-migrated.yaml")),
    ("quorum-at-risk", include_str!("../../assets/scenarios/quorum-at-risk.yaml")),
    ("tls", include_str!("../../assets/scenarios/tls.yaml")),
    ("unreachable", include_str!("../../assets/scenarios/unreachable.yaml")),
];

/// The names of the embedded scenarios.
pub fn names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|(name, _)| *name)
}

#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("there is no scenario `{asked}`; the known ones are: {known}")]
    Unknown { asked: String, known: String },
    #[error("scenario `{name}` cannot be read: {reason}")]
    Malformed { name: String, reason: String },
}

/// One document.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// One sentence for a person who chooses.
    pub description: String,
    pub kube_clusters: Vec<KubeClusterSpec>,
    pub tidb_clusters: Vec<TidbClusterSpec>,
    pub databases: Vec<DatabaseSpec>,
    #[serde(default)]
    pub troubles: Vec<Trouble>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubeClusterSpec {
    /// The kubeconfig context.
    pub name: String,
    pub version: String,
    /// The DNS domain that the cluster really uses.
    pub domain: String,
    pub operator: String,
    #[serde(default)]
    pub crd: Crd,
    /// Whether cert-manager is installed.
    #[serde(default)]
    pub cert_manager: bool,
    #[serde(default)]
    pub state: ServerState,
    /// Names of the KubeClusters whose DNS names resolve from here.
    #[serde(default)]
    pub reaches: Vec<String>,
    /// The first one is the context's user.
    #[serde(default = "admin_only")]
    pub users: Vec<UserSpec>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Crd {
    #[serde(default = "yes")]
    pub installed: bool,
    /// Whether the TidbCluster schema knows `spec.acrossK8s`.
    #[serde(default = "yes")]
    pub across_k8s: bool,
    /// Whether the resources of TiDB Operator v2 are there.
    #[serde(default)]
    pub operator_v2: bool,
}

impl Default for Crd {
    fn default() -> Self {
        Self { installed: true, across_k8s: true, operator_v2: false }
    }
}

/// What answers at the API server's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ServerState {
    #[default]
    Up,
    /// Nothing: the port is closed.
    Dead,
    /// Connections are accepted and never answered.
    Hanging,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserSpec {
    pub name: String,
    pub access: Access,
}

/// `NAME` (may do everything), `NAME:read-only`, or `NAME:bound` (what the Roles in the cluster give).
impl FromStr for UserSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, access) = match text.rsplit_once(':') {
            Some((name, "admin")) => (name, Access::Admin),
            Some((name, "read-only")) => (name, Access::ReadOnly),
            Some((name, "bound")) => (name, Access::Bound),
            // A name may have colons of its own, as that of a service account has.
            Some(_) | None => (text, Access::Admin),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@:".contains(c);
        if name.is_empty() || name.len() > 100 || !name.chars().all(plain) {
            return Err(format!(
                "expected a name of letters, digits and -_.@: with an access (admin, read-only, bound) behind a colon, found {text:?}"
            ));
        }
        Ok(Self { name: name.to_owned(), access })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Access {
    Admin,
    ReadOnly,
    /// What the Roles in the cluster give.
    Bound,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TidbClusterSpec {
    pub kube_cluster: String,
    pub namespace: String,
    pub name: String,
    pub spec: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatabaseSpec {
    pub name: String,
    /// PD's cluster id, a u64.
    pub cluster_id: u64,
    /// `KUBECLUSTER/NAMESPACE/NAME`; the first one bootstraps, the others join.
    pub tidb_clusters: Vec<String>,
    /// Pod name → peerURL that etcd holds instead of the one the pod would advertise.
    #[serde(default)]
    pub stale_peer_urls: BTreeMap<String, String>,
}

/// Something that is broken from the beginning.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Trouble {
    /// The container exits at each start.
    CrashLoop { kube_cluster: String, namespace: String, pod: String },
    /// No other KubeCluster reaches this port of its pods.
    ClosedPort { kube_cluster: String, port: u16 },
}

impl Scenario {
    /// An embedded scenario.
    pub fn named(name: &str) -> Result<Scenario, ScenarioError> {
        let Some((_, text)) = EMBEDDED.iter().find(|(known, _)| *known == name) else {
            return Err(ScenarioError::Unknown {
                asked: name.to_owned(),
                known: names().collect::<Vec<_>>().join(", "),
            });
        };
        Scenario::parse(name, text)
    }

    /// A scenario from its text; `name` only appears in the error.
    pub fn parse(name: &str, text: &str) -> Result<Scenario, ScenarioError> {
        let malformed = |reason: String| ScenarioError::Malformed { name: name.to_owned(), reason };
        let scenario: Scenario = serde_saphyr::from_str(text).map_err(|error| malformed(error.to_string()))?;
        scenario.check().map_err(malformed)?;
        Ok(scenario)
    }

    /// Puts these users in front of everybody's kubeconfig; whom a KubeCluster knows already stays as they are there.
    pub fn add_users(&mut self, users: &[UserSpec]) {
        for kube in &mut self.kube_clusters {
            let new: Vec<UserSpec> =
                users.iter().filter(|user| kube.users.iter().all(|known| known.name != user.name)).cloned().collect();
            kube.users.splice(0..0, new);
        }
    }

    fn check(&self) -> Result<(), String> {
        let known = |name: &str| self.kube_clusters.iter().any(|kube| kube.name == name);
        for kube in &self.kube_clusters {
            if let Some(missing) = kube.reaches.iter().find(|name| !known(name)) {
                return Err(format!("kubeCluster `{}` reaches `{missing}`, which is not defined", kube.name));
            }
            if kube.users.is_empty() {
                return Err(format!("kubeCluster `{}` has no user", kube.name));
            }
        }
        if let Some(tc) = self.tidb_clusters.iter().find(|tc| !known(&tc.kube_cluster)) {
            return Err(format!(
                "tidbCluster `{}` is in kubeCluster `{}`, which is not defined",
                tc.name, tc.kube_cluster
            ));
        }
        let paths: Vec<String> = self.tidb_clusters.iter().map(TidbClusterSpec::path).collect();
        for database in &self.databases {
            if database.tidb_clusters.is_empty() {
                return Err(format!("database `{}` has no tidbClusters", database.name));
            }
            if let Some(missing) = database.tidb_clusters.iter().find(|path| !paths.contains(path)) {
                return Err(format!("database `{}` names `{missing}`, which is not defined", database.name));
            }
        }
        Ok(())
    }
}

impl TidbClusterSpec {
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.kube_cluster, self.namespace, self.name)
    }
}

fn yes() -> bool {
    true
}

fn admin_only() -> Vec<UserSpec> {
    vec![UserSpec { name: "admin".to_owned(), access: Access::Admin }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_scenario_reads() {
        for name in names() {
            let scenario = Scenario::named(name).expect("an embedded scenario");
            assert!(!scenario.kube_clusters.is_empty(), "{name}");
        }
    }

    #[test]
    fn users_are_read_with_their_access() {
        let read = |text: &str| text.parse::<UserSpec>().map(|user| (user.name, user.access));
        assert_eq!(read("alice"), Ok(("alice".into(), Access::Admin)));
        assert_eq!(read("bob:bound"), Ok(("bob".into(), Access::Bound)));
        assert_eq!(read("eve:read-only"), Ok(("eve".into(), Access::ReadOnly)));
        let robot = "system:serviceaccount:pingcap:deploy";
        assert_eq!(read(robot), Ok((robot.into(), Access::Admin)));
        assert_eq!(read(&format!("{robot}:bound")), Ok((robot.into(), Access::Bound)));
        for wrong in ["", ":bound", "a b", "a/../b", "a\u{1b}"] {
            assert!(read(wrong).is_err_and(|why| why.contains("read-only")), "{wrong:?}");
        }
    }

    #[test]
    fn whoever_is_known_keeps_their_access() {
        let mut scenario = Scenario::named("default").expect("embedded");
        let users = ["admin:bound", "alice"].map(|text| text.parse().expect("a user"));
        scenario.add_users(&users);
        for kube in &scenario.kube_clusters {
            let names: Vec<(&str, Access)> = kube.users.iter().map(|user| (user.name.as_str(), user.access)).collect();
            assert_eq!(names, [("alice", Access::Admin), ("admin", Access::Admin)]);
        }
    }

    #[test]
    fn unknown_names_and_fields_are_refused() {
        let error = Scenario::named("nope").expect_err("no such scenario").to_string();
        assert!(error.contains("default") && error.contains("half-migrated"), "{error}");
        let error =
            Scenario::parse("x", "description: d\nkubeClustres: []\n").expect_err("a misspelt field").to_string();
        assert!(error.contains("kubeClustres"), "{error}");
    }
}
