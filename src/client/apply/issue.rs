//! Makes a certificate and stores it as a Secret: a creation whose values exist only here, from the signing to the answer.
//!
//! What was made is proved before it leaves, by the very rules that judge it afterwards. The server refuses a second
//! Secret of the same name. Not here: how it is signed (`client::signing`, `client::cfssl`).

use std::path::Path;

use super::super::access::WritePermit;
use super::super::link::{Link, Links};
use super::super::signing::{Ask, Material};
use super::super::{certificates, cfssl, now, signing};
use super::{fence, objects};
use crate::fleet::object::{ObjectId, ObjectKind};
use crate::runbook::action::{Action, Answer, Signer};
use crate::runbook::requests::issued_secret;
use serde_json::Value;

/// Carries out `IssueCa` and `IssueCertificate`.
pub(super) async fn issue(links: &Links, link: &Link, permit: &WritePermit, action: &Action) -> Result<Answer, String> {
    let made = made(links, action).await?;
    let faults = action.faults_of_issued(&certificates::facts(&made.values()), now());
    if let Some(fault) = faults.first() {
        return Err(format!("what was made is not what was asked for, so it was not stored: {fault}"));
    }
    fence(permit).await?;
    let body = issued_secret(action.target(), &made.data());
    objects::answer(link, objects::post(link, permit.run(), action, &body, false).await)
}

async fn made(links: &Links, action: &Action) -> Result<Material, String> {
    match action {
        Action::IssueCa { target, common_name, organization, days, signer } => {
            let organization = organization.as_deref();
            let ask = Ask { common_name, organization, hosts: &[], usages: Default::default(), days: *days };
            match signer {
                Signer::Builtin => signing::authority(&ask, now()),
                Signer::Cfssl { folder } => cfssl::authority(&ask, Path::new(folder), &target.name).await,
            }
        }
        Action::IssueCertificate { target, authority, common_name, organization, hosts, usages, days, signer } => {
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
        Action::PatchTidbCluster { .. }
        | Action::WaitRollout { .. }
        | Action::ProbePeerUrl { .. }
        | Action::NetProbe { .. }
        | Action::UpdatePeerUrl { .. }
        | Action::CreateObject { .. }
        | Action::DeleteObject { .. }
        | Action::CopySecret { .. }
        | Action::TransferPdLeader { .. }
        | Action::RemovePdMember { .. }
        | Action::Await { .. }
        | Action::Manual { .. } => Err("this action makes no certificate".into()),
    }
}
