//! Waits for what its step's `until` says; sends nothing.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::action_types::Request;
use super::super::before_after_image::Image;
use super::with_error::BadWith;
use super::{ActionKind, Does, WayBack, document, schema_of};
use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::{place, quote};
use crate::fleet::object_kind::ObjectId;
use crate::fleet::pd::MembershipApi;
use crate::runbook::Observation;
use crate::runbook::actions::api_request_parts::Sending;
use crate::runbook::actions::judge_types::{Judged, Look};
use crate::runbook::actions::right_types::{Need, Reach};
use crate::runbook::actions::script_writer::Script;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Await {
    pub target: ObjectRef,
}

/// Its `with`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct With {
    /// The TidbCluster that the step is about.
    target: ObjectRef,
}

impl ActionKind for Await {
    fn read(with: Value, _: &Observation) -> Result<Self, BadWith> {
        let With { target } = document(with)?;
        Ok(Self { target })
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        json!({"target": self.target})
    }

    fn target(&self) -> &ObjectRef {
        &self.target
    }

    fn does(&self) -> Does<'_> {
        Does::Waits
    }

    fn way_back(&self) -> WayBack {
        WayBack::Unneeded
    }

    fn unfamiliar(&self) -> Option<String> {
        None
    }

    fn objects(&self) -> Vec<ObjectId> {
        Vec::new()
    }

    fn rights(&self, _: &Reach) -> Vec<Need> {
        Vec::new()
    }

    fn judge(&self, look: &Look<'_>) -> Judged {
        look.by_until(&self.target)
    }

    fn images(&self) -> (Option<Image>, Option<Image>) {
        (None, None)
    }

    fn requests(&self, _: &Sending<'_>) -> Vec<Request> {
        Vec::new()
    }

    fn command(&self, _: Option<MembershipApi>, _: bool) -> String {
        format!(
            "kubectl {} get tidbcluster,statefulset,pod -l {} -w",
            place(&self.target),
            quote(&format!("app.kubernetes.io/instance={}", self.target.name))
        )
    }

    fn script(&self, script: &mut Script<'_>) {
        script.waits_for();
    }

    fn told(&self) -> String {
        format!("Wait for {}", self.target)
    }

    fn deed(&self) -> String {
        format!("waits for {}", self.target)
    }
}
