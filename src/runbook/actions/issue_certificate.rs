//! Makes a certificate, signed by the CA in another Secret, and stores it as a Secret.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::action_types::{Replaced, Request, Signer};
use super::super::before_after_image::Image;
use super::issued_certificate_check::{Issues, certificate_for, faults, judged, never_shown, signed, signed_by};
use super::with_error::BadWith;
use super::{ActionKind, Does, WayBack, document, schema_of};
use crate::fleet::ObjectRef;
use crate::fleet::certificate_facts::{SecretFacts, Usage, fingerprint};
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind, uid};
use crate::fleet::pd::MembershipApi;
use crate::fleet::tls::{Wanted, troubles};
use crate::runbook::Observation;
use crate::runbook::actions::api_request_parts::{Sending, issued_secret};
use crate::runbook::actions::judge_types::{Judged, Look};
use crate::runbook::actions::openssl_commands;
use crate::runbook::actions::right_types::{Need, Reach, of_object};
use crate::runbook::actions::script_writer::Script;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssueCertificate {
    pub target: ObjectRef,
    pub authority: ObjectRef,
    pub common_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// DNS names and addresses.
    pub hosts: Vec<String>,
    pub usages: BTreeSet<Usage>,
    pub days: u32,
    pub signer: Signer,
    /// What stands there and gives way; `None`: nothing may stand there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaced>,
}

/// Its `with`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct With {
    /// The Secret that is made.
    target: ObjectRef,
    /// The Secret with the CA.
    authority: ObjectRef,
    /// CN of the subject.
    common_name: String,
    /// O of the subject.
    #[serde(default)]
    organization: Option<String>,
    /// DNS names and addresses that it is for.
    hosts: Vec<String>,
    /// `server auth`, `client auth`.
    usages: BTreeSet<Usage>,
    /// How long it is valid.
    days: u32,
    /// `builtin` or `cfssl`.
    signer: String,
    /// Of the files of cfssl, on this machine.
    #[serde(default)]
    folder: Option<String>,
    /// What stands there gives way.
    #[serde(default)]
    replace: bool,
}

impl ActionKind for IssueCertificate {
    fn read(with: Value, seen: &Observation) -> Result<Self, BadWith> {
        let With { target, authority, common_name, organization, hosts, usages, days, signer, folder, replace } =
            document(with)?;
        certificate_for(&common_name, days)?;
        if usages.is_empty() {
            return BadWith::refused("a certificate without `usages` would be good for anything");
        }
        let signer = signed_by(&signer, folder)?;
        let replaces = if replace { replaced(&target, seen)? } else { None };
        Ok(Self { target, authority, common_name, organization, hosts, usages, days, signer, replaces })
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        let (signer, folder) = signed(&self.signer);
        json!({"target": self.target, "authority": self.authority, "commonName": self.common_name,
            "organization": self.organization, "hosts": self.hosts, "usages": self.usages, "days": self.days,
            "signer": signer, "folder": folder, "replace": self.replaces.is_some()})
    }

    fn target(&self) -> &ObjectRef {
        &self.target
    }

    fn does(&self) -> Does<'_> {
        Does::Makes(ObjectKind::Secret)
    }

    /// The key that is replaced is kept nowhere.
    fn way_back(&self) -> WayBack {
        if self.replaces.is_some() { WayBack::Lasting } else { WayBack::Deletes }
    }

    fn unfamiliar(&self) -> Option<String> {
        None
    }

    fn objects(&self) -> Vec<ObjectId> {
        vec![ObjectId::new(ObjectKind::Secret, &self.authority), ObjectId::new(ObjectKind::Secret, &self.target)]
    }

    fn rights(&self, _: &Reach) -> Vec<Need> {
        let secret = |of: &ObjectRef, verb: &str| of_object(ObjectKind::Secret, of, verb);
        let mut needs = vec![Need::required(secret(&self.authority, "get"), "the CA that signs")];
        let why = "the Secret is looked at, then made";
        match self.replaces {
            Some(_) => needs.extend(["get", "patch"].map(|verb| Need::required(secret(&self.target, verb), why))),
            None => needs.extend(Need::made(ObjectKind::Secret, &self.target, why)),
        }
        needs
    }

    fn judge(&self, look: &Look<'_>) -> Judged {
        judged(self, look)
    }

    fn images(&self) -> (Option<Image>, Option<Image>) {
        (None, None)
    }

    fn requests(&self, sending: &Sending<'_>) -> Vec<Request> {
        let target = &self.target;
        let Some(replaces) = &self.replaces else {
            return vec![sending.create(ObjectKind::Secret, target, true, issued_secret(target, &never_shown()))];
        };
        vec![Request {
            context: target.context.clone(),
            pod: None,
            method: "PATCH".into(),
            path: format!(
                "{}?fieldManager={}&fieldValidation=Strict",
                ObjectId::new(ObjectKind::Secret, target).path(),
                sending.field_manager
            ),
            content_type: "application/merge-patch+json".into(),
            body: json!({
                "metadata": {"uid": replaces.uid, "resourceVersion": sending.resource_version},
                "data": never_shown(),
            }),
        }]
    }

    fn command(&self, _: Option<MembershipApi>, _: bool) -> String {
        openssl_commands::certificate(self)
    }

    fn script(&self, script: &mut Script<'_>) {
        let _ = writeln!(script.out, "{}", script.line);
    }

    fn told(&self) -> String {
        format!("Issue the certificate in Secret {}, signed by Secret {}", self.target, self.authority)
    }

    fn deed(&self) -> String {
        let does = if self.replaces.is_some() { "replaces the" } else { "makes a" };
        format!("{does} certificate in Secret {}", self.target)
    }
}

impl Issues for IssueCertificate {
    fn secret(&self) -> &ObjectRef {
        &self.target
    }

    fn authority(&self) -> Option<&ObjectRef> {
        Some(&self.authority)
    }

    fn replaces(&self) -> Option<&Replaced> {
        self.replaces.as_ref()
    }

    fn asked_for(&self) -> Value {
        json!({"commonName": self.common_name, "hosts": self.hosts, "usages": self.usages, "days": self.days})
    }

    fn faults(&self, facts: &SecretFacts, now: Timestamp) -> Vec<String> {
        let wanted = Wanted {
            secret: self.target.name.clone(),
            title: "certificate".into(),
            common_name: None,
            dns_names: self.hosts.clone(),
            ip_addresses: Vec::new(),
            essential: BTreeSet::new(),
            operator: None,
            usages: self.usages.clone(),
        };
        faults(troubles(&wanted, facts, now), &self.common_name, facts)
    }
}

/// The certificate that the plan's look saw there; none where no Secret is.
fn replaced(target: &ObjectRef, seen: &Observation) -> Result<Option<Replaced>, BadWith> {
    let not_seen = |why: &str| Err(BadWith::NotSeen(format!("Secret {target}, which is to be replaced, {why}")));
    match seen.fleet.sight(&ObjectId::new(ObjectKind::Secret, target)) {
        Some(Lookup::Present(secret)) => {
            Ok(Some(Replaced { uid: uid(secret).to_owned(), fingerprint: fingerprint(secret) }))
        }
        Some(Lookup::Absent) => Ok(None),
        Some(Lookup::Unseen(why)) => not_seen(&format!("cannot be read: {why}")),
        None => not_seen("was not looked at"),
    }
}
