//! Slim projections of StatefulSets: how many pods are asked for, from which template, and how far they are.
//!
//! Not here: pods, and what a template's volumes are read as ([`super`]).

use serde::{Deserialize, Serialize};

use super::{Volume, certificates_only};
use crate::fleet::tidbcluster::{Component, Meta, null_default};
use crate::fleet::{Keyed, ObjectKey};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatefulSet {
    pub metadata: Meta,
    pub spec: StatefulSetSpec,
    #[serde(deserialize_with = "null_default")]
    pub status: StatefulSetStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatefulSetSpec {
    pub replicas: i64,
    pub template: PodTemplate,
    /// Told where somebody asks what was changed; what is compared and kept of it elsewhere has no use for it.
    #[serde(rename = "updateStrategy", deserialize_with = "null_default", skip_serializing)]
    update_strategy: UpdateStrategy,
}

impl StatefulSetSpec {
    /// Pods from this ordinal on get the newest template.
    pub fn partition(&self) -> Option<i64> {
        self.update_strategy.rolling_update.partition
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UpdateStrategy {
    #[serde(deserialize_with = "null_default")]
    rolling_update: RollingUpdate,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct RollingUpdate {
    partition: Option<i64>,
}

/// The pods that a StatefulSet makes; only their images and certificates matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    pub spec: PodTemplateSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodTemplateSpec {
    pub containers: Vec<TemplateContainer>,
    #[serde(deserialize_with = "certificates_only", skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<Volume>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateContainer {
    pub name: String,
    pub image: String,
}

impl StatefulSet {
    /// Its pods are on their way from one template to another.
    pub fn rolls(&self) -> bool {
        self.status.current_revision != self.status.update_revision
    }

    /// The image of a component's own container; `None` where the template does not tell.
    pub fn image(&self, component: Component) -> Option<&str> {
        let containers = &self.spec.template.spec.containers;
        containers.iter().find(|container| container.name == component.key()).map(|container| container.image.as_str())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulSetStatus {
    pub observed_generation: i64,
    pub replicas: i64,
    pub ready_replicas: i64,
    pub updated_replicas: i64,
    pub current_revision: String,
    pub update_revision: String,
}

impl Keyed for StatefulSet {
    fn key(&self) -> ObjectKey {
        self.metadata.key()
    }
}
