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
use crate::client::wire::permit::WritePermit;
use crate::client::write::{fence, objects, version_of};
use crate::client::{certificates, now};
use crate::fleet::ObjectRef;
use crate::fleet::certificate::{fingerprint, kept_by};
use crate::fleet::object::{ObjectId, ObjectKind, uid};
use crate::runbook::action::{Answer, Replaced, Signer};
use crate::runbook::actions::Action;
use crate::runbook::actions::requests::issued_secret;
use crate::runbook::actions::{IssueCa, IssueCertificate};
use serde_json::Value;

/// Carries out `IssueCa` and `IssueCertificate`.
pub(super) async fn issue(links: &Links, link: &Link, permit: &WritePermit, action: &Action) -> Result<Answer, String> {
    let mut made = made(links, action).await?;
    let replaced = match action {
        Action::IssueCertificate(IssueCertificate { target, replaces: Some(replaces), .. }) => {
            Some(replaced(link, target, replaces).await?)
        }
        _ => None,
    };
    if let Some((_, old)) = &replaced {
        made = made.trusting(old.get("ca.crt").map_or(&[], Vec::as_slice), now());
    }
    let faults = action.faults_of_issued(&certificates::facts(&made.values()), now());
    if let Some(fault) = faults.first() {
        return Err(format!("what was made is not what was asked for, so it was not stored: {fault}"));
    }
    let body = match &replaced {
        None => issued_secret(action.target(), &made.data()),
        Some((version, _)) => {
            let planned = action.requests("", version, None).into_iter().next();
            let mut body = planned.ok_or("the action has no request")?.body;
            body["data"] = made.data();
            body
        }
    };
    let until = fence(permit).await?;
    objects::answer(link, objects::send(link, permit.run(), action, &body, Some(until)).await)
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

async fn made(links: &Links, action: &Action) -> Result<Material, String> {
    match action {
        Action::IssueCa(IssueCa { target, common_name, organization, days, signer }) => {
            let organization = organization.as_deref();
            let ask = Ask { common_name, organization, hosts: &[], usages: Default::default(), days: *days };
            match signer {
                Signer::Builtin => signing::authority(&ask, now()),
                Signer::Cfssl { folder } => cfssl::authority(&ask, Path::new(folder), &target.name).await,
            }
        }
        Action::IssueCertificate(IssueCertificate {
            target,
            authority,
            common_name,
            organization,
            hosts,
            usages,
            days,
            signer,
            ..
        }) => {
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
                Signer::Builtin => signing::certificate(&ask, &authority.to_string(), &values, now()),
                Signer::Cfssl { folder } => cfssl::certificate(&ask, Path::new(folder), &target.name, &values).await,
            }
        }
        _ => Err("this action makes no certificate".into()),
    }
}
