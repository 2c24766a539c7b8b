//! Makes a CA and stores it as a Secret. The key is made when it is sent, and is in no plan and no journal.

use std::fmt::Write as _;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::action_types::{Request, Signer};
use super::super::before_after_image::Image;
use super::issued_certificate_check::{Issues, certificate_for, faults, judged, never_shown, signed, signed_by};
use super::with_error::BadWith;
use super::{ActionKind, Does, WayBack, document, schema_of};
use crate::fleet::ObjectRef;
use crate::fleet::certificate_facts::SecretFacts;
use crate::fleet::object_kind::{ObjectId, ObjectKind};
use crate::fleet::pd::MembershipApi;
use crate::fleet::tls::authority_troubles;
use crate::runbook::Observation;
use crate::runbook::actions::api_request_parts::{Sending, issued_secret};
use crate::runbook::actions::judge_types::{Judged, Look};
use crate::runbook::actions::openssl_commands;
use crate::runbook::actions::right_types::{Need, Reach};
use crate::runbook::actions::script_writer::Script;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssueCa {
    pub target: ObjectRef,
    pub common_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    pub days: u32,
    pub signer: Signer,
}

/// Its `with`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct With {
    /// The Secret that is made.
    target: ObjectRef,
    /// CN of the subject.
    common_name: String,
    /// O of the subject.
    #[serde(default)]
    organization: Option<String>,
    /// How long it is valid.
    days: u32,
    /// `builtin` or `cfssl`.
    signer: String,
    /// Of the files of cfssl, on this machine.
    #[serde(default)]
    folder: Option<String>,
}

impl ActionKind for IssueCa {
    fn read(with: Value, _: &Observation) -> Result<Self, BadWith> {
        let With { target, common_name, organization, days, signer, folder } = document(with)?;
        certificate_for(&common_name, days)?;
        Ok(Self { target, common_name, organization, days, signer: signed_by(&signer, folder)? })
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        let (signer, folder) = signed(&self.signer);
        json!({"target": self.target, "commonName": self.common_name, "organization": self.organization,
            "days": self.days, "signer": signer, "folder": folder})
    }

    fn target(&self) -> &ObjectRef {
        &self.target
    }

    fn does(&self) -> Does<'_> {
        Does::Makes(ObjectKind::Secret)
    }

    fn way_back(&self) -> WayBack {
        WayBack::Deletes
    }

    fn unfamiliar(&self) -> Option<String> {
        None
    }

    fn objects(&self) -> Vec<ObjectId> {
        vec![ObjectId::new(ObjectKind::Secret, &self.target)]
    }

    fn rights(&self, _: &Reach) -> Vec<Need> {
        Need::made(ObjectKind::Secret, &self.target, "the Secret is looked at, then made")
    }

    fn judge(&self, look: &Look<'_>) -> Judged {
        judged(self, look)
    }

    fn images(&self) -> (Option<Image>, Option<Image>) {
        (None, None)
    }

    fn requests(&self, sending: &Sending<'_>) -> Vec<Request> {
        vec![sending.create(ObjectKind::Secret, &self.target, true, issued_secret(&self.target, &never_shown()))]
    }

    fn command(&self, _: Option<MembershipApi>, _: bool) -> String {
        openssl_commands::ca(&self.target, &self.common_name, self.organization.as_deref(), self.days, &self.signer)
    }

    fn script(&self, script: &mut Script<'_>) {
        let _ = writeln!(script.out, "{}", script.line);
    }

    fn told(&self) -> String {
        format!("Make a CA in Secret {}", self.target)
    }

    fn deed(&self) -> String {
        format!("makes a CA in Secret {}", self.target)
    }
}

impl Issues for IssueCa {
    fn secret(&self) -> &ObjectRef {
        &self.target
    }

    fn authority(&self) -> Option<&ObjectRef> {
        None
    }

    fn replaces(&self) -> Option<&super::super::action_types::Replaced> {
        None
    }

    fn asked_for(&self) -> Value {
        json!({"ca": true, "commonName": self.common_name, "days": self.days})
    }

    fn faults(&self, facts: &SecretFacts, now: Timestamp) -> Vec<String> {
        faults(authority_troubles(&self.target.name, facts, now), &self.common_name, facts)
    }
}
