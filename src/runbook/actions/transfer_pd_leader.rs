//! Asks PD to transfer its leadership to a member; whether it did is seen afterwards.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::action_types::Request;
use super::super::before_after_image::Image;
use super::with_error::BadWith;
use super::{ActionKind, Does, WayBack, document, schema_of};
use crate::fleet::ObjectRef;
use crate::fleet::database::database_of;
use crate::fleet::object_kind::ObjectId;
use crate::fleet::pd::MembershipApi;
use crate::runbook::Observation;
use crate::runbook::actions::api_request_parts::Sending;
use crate::runbook::actions::judge_types::{Judged, Look};
use crate::runbook::actions::pd_requests::{asked, pd_request, transfer_path};
use crate::runbook::actions::right_types::{Need, Reach};
use crate::runbook::actions::script_writer::Script;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransferPdLeader {
    pub target: ObjectRef,
    pub to: String,
}

/// Its `with`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct With {
    /// The TidbCluster.
    target: ObjectRef,
    /// Name of the member.
    to: String,
}

impl ActionKind for TransferPdLeader {
    fn read(with: Value, _: &Observation) -> Result<Self, BadWith> {
        let With { target, to } = document(with)?;
        Ok(Self { target, to })
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        json!({"target": self.target, "to": self.to})
    }

    fn target(&self) -> &ObjectRef {
        &self.target
    }

    fn does(&self) -> Does<'_> {
        Does::Changes
    }

    fn way_back(&self) -> WayBack {
        WayBack::Stays
    }

    fn unfamiliar(&self) -> Option<String> {
        None
    }

    fn objects(&self) -> Vec<ObjectId> {
        Vec::new()
    }

    fn rights(&self, _: &Reach) -> Vec<Need> {
        Need::pd(&self.target)
    }

    /// Who leads is asked of the whole Database: the lead may have gone to another KubeCluster.
    fn judge(&self, look: &Look<'_>) -> Judged {
        let Self { target, to } = self;
        if let Err(judged) = look.locate(target) {
            return judged;
        }
        let Some(database) = database_of(&look.seen.fleet, target) else {
            return Judged::Waiting(format!("TidbCluster {target} belongs to no Database yet"));
        };
        let leader = database.leader().map(|leader| leader.name.clone());
        match (leader, database.members.iter().any(|member| member.name == *to)) {
            (_, false) => Judged::Refuse(format!("there is no PD member {to} any more")),
            (None, true) => Judged::Waiting("PD has no leader now".into()),
            (Some(leader), true) if leader == *to => Judged::Done { evidence: json!({"leader": leader}) },
            (Some(leader), true) => Judged::NotDone { before: Image::Leader(leader), after: Image::Leader(to.clone()) },
        }
    }

    fn images(&self) -> (Option<Image>, Option<Image>) {
        (None, None)
    }

    fn requests(&self, _: &Sending<'_>) -> Vec<Request> {
        vec![pd_request(&self.target, "POST", transfer_path(&self.to))]
    }

    fn command(&self, _: Option<MembershipApi>, tls: bool) -> String {
        asked(&self.target, "POST", &transfer_path(&self.to), tls)
    }

    fn script(&self, script: &mut Script<'_>) {
        let _ = writeln!(script.out, "{}", script.line);
    }

    fn told(&self) -> String {
        format!("Transfer PD leadership to {} (asked through {})", self.to, self.target)
    }

    fn deed(&self) -> String {
        format!("asks PD of {} to hand its lead to {}", self.target, self.to)
    }
}
