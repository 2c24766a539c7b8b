//! Approvals of a second person: a ConfigMap each, beside the run's record; written by the approver, read by the driver.
//!
//! An object of its own, because the record belongs to whoever has the lease; the approver needs no lease and is kept
//! out by none. It is immutable, so what was approved cannot be edited afterwards. Whose it is: the name in it is the
//! API server's answer to the approver's own question (SelfSubjectReview). Nothing in an object tells who created it
//! (managedFields name a tool, not a person), so that answer is as good as the approver's tidepilot, unless the
//! cluster has the admission policy `assets/rbac/approvals-policy.yaml`. [`vouched_for`] finds out whether it has, by
//! asking the server to rehearse an approval in a made-up name. Not here: which approval counts (`runbook::approval`).

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::access::WritePermit;
use super::apply::{NotStored, Own, rehearse_store, store};
use super::identity::Identity;
use super::lease::RUN;
use super::link::Link;
use super::pages::{self, MANY};
use super::trouble::{Trouble, TroubleKind};
use super::{encode, plain};
use crate::runbook::approval::{Approval, Vouched};

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label by which approvals are listed and the admission policy knows them; its value is the run.
const APPROVAL: &str = "tidepilot/approval";

/// Leaves an approval in the cluster. `Ok(false)`: this user's approval was there already.
pub async fn publish(link: &Link, permit: &WritePermit, namespace: &str, approval: &Approval) -> Result<bool, String> {
    let object = object(namespace, approval, &approval.user);
    match store(link, permit, Own::ConfigMap, &object, link.limits().request).await {
        Ok(_) => Ok(true),
        Err(not_stored) if not_stored.conflict() => {
            let there = find(link, namespace, &approval.run).await.map_err(|trouble| trouble.sentence)?;
            let same = |other: &Approval| {
                (&other.gate, other.attempt, &other.user, &other.plan)
                    == (&approval.gate, approval.attempt, &approval.user, &approval.plan)
            };
            match there.iter().any(same) {
                true => Ok(false),
                false => Err(format!("{} holds another approval already; delete it first", approval.object)),
            }
        }
        Err(NotStored::Trouble(trouble)) => Err(trouble.sentence),
        Err(NotStored::Lost(lost)) => Err(lost.to_string()),
    }
}

/// Every approval of a run that can be read. Reads only.
pub async fn find(link: &Link, namespace: &str, run: &str) -> Result<Vec<Approval>, Trouble> {
    let selector = format!("{MANAGED_BY}=tidepilot,{APPROVAL}={run}");
    let path = format!("{}?labelSelector={}", Own::ConfigMap.path(namespace), encode(&selector));
    let listed = pages::list::<Value>(link, &path, MANY).await?;
    Ok(listed.items.iter().filter_map(read).collect())
}

/// Whether the server itself refuses an approval in another name than the asker's. Two rehearsals: one in a made-up
/// name, which has to be refused, and one in our own, which has to be taken (else something else refuses).
pub async fn vouched_for(link: &Link, permit: &WritePermit, namespace: &str, who: &Identity, run: &str) -> bool {
    let rehearsed = async |user: &str| {
        let trial = Approval {
            run: run.to_owned(),
            gate: "rehearsal".into(),
            attempt: 0,
            plan: String::new(),
            user: user.to_owned(),
            host: String::new(),
            at: super::now(),
            object: object_name(run, "rehearsal", 0, user),
            vouched: Vouched::Review,
        };
        rehearse_store(link, permit, Own::ConfigMap, &object(namespace, &trial, user)).await
    };
    let refused = matches!(
        rehearsed(&format!("not {}", who.user)).await,
        Err(Trouble { kind: TroubleKind::Forbidden | TroubleKind::Refused, sent: true, .. })
    );
    refused && rehearsed(&who.user).await.is_ok()
}

/// The name of the object: one for each run, gate, attempt and user.
pub fn object_name(run: &str, gate: &str, attempt: u32, user: &str) -> String {
    let hash = Sha256::digest(json!([gate, attempt, user]).to_string().as_bytes());
    let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("tidepilot-approval-{}-{hash}", run.to_ascii_lowercase().replace('_', "-"))
}

fn object(namespace: &str, approval: &Approval, user: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
        "metadata": {
            "name": approval.object, "namespace": namespace,
            "labels": {MANAGED_BY: "tidepilot", RUN: approval.run, APPROVAL: approval.run},
        },
        "data": {
            "run": approval.run, "gate": approval.gate, "attempt": approval.attempt.to_string(),
            "plan": approval.plan, "user": user, "host": approval.host, "at": approval.at.to_string(),
            "identity": if approval.vouched == Vouched::Kubeconfig { "kubeconfig" } else { "review" },
        },
    })
}

/// What an object says; `None` where it is not an approval that can be read.
pub(super) fn read(object: &Value) -> Option<Approval> {
    let text = |name: &str| object["data"][name].as_str().map(plain);
    Some(Approval {
        run: text("run")?,
        gate: text("gate")?,
        attempt: text("attempt")?.parse().ok()?,
        plan: text("plan")?,
        user: text("user").filter(|user| !user.is_empty())?,
        host: text("host").unwrap_or_default(),
        at: text("at")?.parse().ok()?,
        object: object["metadata"]["name"].as_str().map(plain)?,
        vouched: if text("identity").as_deref() == Some("kubeconfig") { Vouched::Kubeconfig } else { Vouched::Review },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let approval = Approval {
            run: "20261127-101500-ab12".into(),
            gate: "domain/set".into(),
            attempt: 2,
            plan: "digest".into(),
            user: "bob".into(),
            host: "bobs-laptop".into(),
            at: "2026-11-27T10:15:00Z".parse().expect("a time"),
            object: object_name("20261127-101500-ab12", "domain/set", 2, "bob"),
            vouched: Vouched::Review,
        };
        let there = object("db", &approval, "bob");
        assert_eq!(read(&there), Some(approval));
        assert_eq!(there["immutable"], true);
        let mut nobody = there.clone();
        nobody["data"]["user"] = json!("");
        assert_eq!(read(&nobody), None);
        assert_ne!(object_name("r", "g", 1, "ann"), object_name("r", "g", 1, "bob"));
    }
}
