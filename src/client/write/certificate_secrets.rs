//! Makes a certificate and stores it as a Secret, new or in the place of an old one: its values exist only here, from the
//! signing to the answer.
//!
//! What was made is proved before it leaves, by the very rules that judge it afterwards. The server refuses a second
//! Secret of the same name, and to replace another version than the one that was looked at. Not here: how it is signed (`client::certificates::signing`, `client::certificates::cfssl`).

use std::collections::BTreeMap;
use std::path::Path;

use crate::client::certificates::signing::{Ask, Material};
use crate::client::certificates::{cfssl, signing};
use crate::client::kube::objects::redacted;
use crate::client::wire::link::{Link, Links};
use crate::client::write::request::Writing;
use crate::client::write::{fence, objects, version_of};
use crate::client::{certificates, now};
use crate::fleet::ObjectRef;
use crate::fleet::certificate_facts::{fingerprint, kept_by};
use crate::fleet::object_kind::{ObjectId, ObjectKind, uid};
use crate::runbook::action_types::{Answer, Replaced, Signer};
use crate::runbook::actions::Action;
use crate::runbook::actions::api_request_parts::issued_secret;
use crate::runbook::actions::{IssueCa, IssueCertificate};
use serde_json::Value;

/// Carries out `IssueCa`.
pub(super) async fn authority(writing: Writing<'_>, ca: &IssueCa) -> Result<Answer, String> {
    let IssueCa { target, common_name, organization, days, signer } = ca;
    let organization = organization.as_deref();
    let ask = Ask { common_name, organization, hosts: &[], usages: Default::default(), days: *days };
    let made = match signer {
        Signer::Builtin => signing::authority(&ask, now()).map_err(|why| why.to_string())?,
        Signer::Cfssl { folder } => {
            cfssl::authority(&ask, Path::new(folder), &target.name).await.map_err(|why| why.to_string())?
        }
    };
    proved(writing.action, &made)?;
    store(writing, &issued_secret(target, &made.data())).await
}

/// Carries out `IssueCertificate`.
pub(super) async fn certificate(
    links: &Links,
    writing: Writing<'_>,
    certificate: &IssueCertificate,
) -> Result<Answer, String> {
    let mut made = made(links, certificate).await?;
    let target = &certificate.target;
    let body = match &certificate.replaces {
        None => {
            proved(writing.action, &made)?;
            issued_secret(target, &made.data())
        }
        Some(replaces) => {
            let (version, old) = replaced(writing.link, target, replaces).await?;
            made = made.trusting(old.get("ca.crt").map_or(&[], Vec::as_slice), now());
            proved(writing.action, &made)?;
            let planned = writing.action.requests("", &version, None).into_iter().next();
            let mut body = planned.ok_or("the action has no request")?.body;
            body["data"] = made.data();
            body
        }
    };
    store(writing, &body).await
}

/// By the very rules that judge it afterwards.
fn proved(action: &Action, made: &Material) -> Result<(), String> {
    match action.faults_of_issued(&certificates::facts(&made.values()), now()).first() {
        Some(fault) => Err(format!("what was made is not what was asked for, so it was not stored: {fault}")),
        None => Ok(()),
    }
}

async fn store(writing: Writing<'_>, body: &Value) -> Result<Answer, String> {
    let until = fence(writing.permit).await?;
    objects::answer(writing.link, writing.send("", Some(body), Some(until)).await)
}

/// The version and the values of the Secret that is replaced. The server checks that it is still that version when the new
/// values come.
async fn replaced(
    link: &Link,
    target: &ObjectRef,
    replaces: &Replaced,
) -> Result<(String, BTreeMap<String, Vec<u8>>), String> {
    let id = ObjectId::new(ObjectKind::Secret, target);
    let found: Value = link.get(&id.path()).await.map_err(|trouble| format!("{id}: {}", trouble.sentence))?;
    let values = certificates::values(&found);
    let found = redacted(found);
    if let Some(name) = kept_by(&found) {
        return Err(format!("cert-manager keeps {id} (Certificate {name}); nothing was sent"));
    }
    if uid(&found) != replaces.uid || fingerprint(&found) != replaces.fingerprint {
        return Err(format!("{id} is another one than planned for; nothing was sent: plan again"));
    }
    Ok((version_of(&found), values))
}

async fn made(links: &Links, certificate: &IssueCertificate) -> Result<Material, String> {
    let IssueCertificate { target, authority, common_name, organization, hosts, usages, days, signer, .. } =
        certificate;
    let id = ObjectId::new(ObjectKind::Secret, authority);
    let secret: Value = links
        .need(&authority.context)?
        .get(&id.path())
        .await
        .map_err(|trouble| format!("{authority}: {}", trouble.sentence))?;
    let values = certificates::values(&secret);
    let organization = organization.as_deref();
    let ask = Ask { common_name, organization, hosts, usages: usages.clone(), days: *days };
    match signer {
        Signer::Builtin => {
            signing::certificate(&ask, &authority.to_string(), &values, now()).map_err(|why| why.to_string())
        }
        Signer::Cfssl { folder } => {
            let made = cfssl::certificate(&ask, Path::new(folder), &target.name, &values).await;
            made.map_err(|why| why.to_string())
        }
    }
}
