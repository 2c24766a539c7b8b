//! How an object is named: in its cluster, and in the fleet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::invalid_value::Misread;

/// `namespace/name` inside one KubeCluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    pub namespace: String,
    pub name: String,
}

impl ObjectKey {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// `context/namespace/name`: one object, said so that it cannot be mistaken for one in another KubeCluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    pub context: String,
    pub namespace: String,
    pub name: String,
}

impl ObjectRef {
    pub fn new(context: impl Into<String>, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { context: context.into(), namespace: namespace.into(), name: name.into() }
    }

    /// Reads `CONTEXT/NAMESPACE/NAME`. A context may itself hold slashes (EKS ARNs do), so the last two parts are
    /// the namespace and the name.
    pub fn parse(text: &str) -> Result<Self, Misread> {
        let mut parts = text.rsplitn(3, '/');
        let (name, namespace, context) = (parts.next(), parts.next(), parts.next());
        match (context, namespace, name) {
            (Some(c), Some(ns), Some(n)) if !c.is_empty() && !ns.is_empty() && !n.is_empty() => Ok(Self::new(c, ns, n)),
            _ => Err(Misread::new("CONTEXT/NAMESPACE/NAME", text)),
        }
    }

    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(&self.namespace, &self.name)
    }
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.context, self.namespace, self.name)
    }
}
