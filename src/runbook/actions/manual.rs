//! Shows a person a command and waits for what its step's `until` says, or for their word; sends nothing.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::action_types::Request;
use super::super::before_after_image::Image;
use super::with_error::BadWith;
use super::{ActionKind, Does, WayBack, document, schema_of};
use crate::fleet::ObjectRef;
use crate::fleet::object_kind::ObjectId;
use crate::fleet::pd::MembershipApi;
use crate::runbook::Observation;
use crate::runbook::actions::api_request_parts::Sending;
use crate::runbook::actions::judge_types::{Judged, Look};
use crate::runbook::actions::right_types::{Need, Reach};
use crate::runbook::actions::script_writer::{Script, comment};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manual {
    pub target: ObjectRef,
    pub command: String,
}

/// Its `with`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct With {
    /// The TidbCluster that the step is about.
    target: ObjectRef,
    /// The line that the person runs.
    command: String,
}

impl ActionKind for Manual {
    fn read(with: Value, _: &Observation) -> Result<Self, BadWith> {
        let With { target, command } = document(with)?;
        Ok(Self { target, command })
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        json!({"target": self.target, "command": self.command})
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
        self.command.clone()
    }

    fn script(&self, script: &mut Script<'_>) {
        let _ = writeln!(script.out, "# by hand: {}", comment(&self.command));
        script.waits_for();
    }

    fn told(&self) -> String {
        format!("Have a person do this at {}: {}", self.target, self.command)
    }

    fn deed(&self) -> String {
        format!("asks a person to do something on {}", self.target)
    }
}
