//! Removes a PD member by its id.

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
use crate::fleet::pd::{MemberId, MembershipApi};
use crate::runbook::Observation;
use crate::runbook::actions::api_request_parts::Sending;
use crate::runbook::actions::judge_types::{Judged, Look, views_of};
use crate::runbook::actions::pd_requests::{asked, member_path, pd_request};
use crate::runbook::actions::right_types::{Need, Reach};
use crate::runbook::actions::script_writer::Script;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemovePdMember {
    pub target: ObjectRef,
    pub id: MemberId,
}

/// Its `with`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct With {
    /// The TidbCluster.
    target: ObjectRef,
    /// Of the member, hexadecimal.
    #[schemars(with = "String")]
    id: MemberId,
}

impl ActionKind for RemovePdMember {
    fn read(with: Value, _: &Observation) -> Result<Self, BadWith> {
        let With { target, id } = document(with)?;
        Ok(Self { target, id })
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        json!({"target": self.target, "id": self.id})
    }

    fn target(&self) -> &ObjectRef {
        &self.target
    }

    fn does(&self) -> Does<'_> {
        Does::Changes
    }

    fn way_back(&self) -> WayBack {
        WayBack::Gone
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

    fn judge(&self, look: &Look<'_>) -> Judged {
        let Self { target, id } = self;
        if let Err(judged) = look.locate(target) {
            return judged;
        }
        match views_of(*id, target, look.seen) {
            Err(why) => Judged::Waiting(why),
            Ok(views) if views.values().all(Vec::is_empty) => Judged::Done { evidence: json!({"removed": id.hex()}) },
            Ok(views) if views.values().any(Vec::is_empty) => {
                Judged::Waiting(format!("not every PD pod has seen member {id} go yet"))
            }
            Ok(views) => Judged::NotDone {
                before: Image::Member { id: id.hex(), peer_urls: views.into_values().next().unwrap_or_default() },
                after: Image::Absent,
            },
        }
    }

    fn images(&self) -> (Option<Image>, Option<Image>) {
        (None, None)
    }

    fn requests(&self, _: &Sending<'_>) -> Vec<Request> {
        vec![pd_request(&self.target, "DELETE", member_path(self.id))]
    }

    fn command(&self, _: Option<MembershipApi>, tls: bool) -> String {
        asked(&self.target, "DELETE", &member_path(self.id), tls)
    }

    fn script(&self, script: &mut Script<'_>) {
        let _ = writeln!(script.out, "{}", script.line);
    }

    fn told(&self) -> String {
        format!("Remove PD member {} (asked through {})", self.id.decimal(), self.target)
    }

    fn deed(&self) -> String {
        format!("removes PD member {} of {}", self.id.hex(), self.target)
    }
}
