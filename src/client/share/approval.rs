//! Approvals of a second person: a ConfigMap each, beside the run's record; written by the approver, read by the driver.
//!
//! An object of its own, because the record belongs to whoever has the lease; the approver needs no lease and is kept
//! out by none. It is immutable, so what was approved cannot be edited afterwards. Whose it is: the name in it is the
//! API server's answer to the approver's own question (SelfSubjectReview). Nothing in an object tells who created it
//! (managedFields name a tool, not a person), so that answer is as good as the approver's tidepilot, unless the
//! cluster has the admission policy `assets/rbac/approvals-policy.yaml`. [`policy_holds`] finds out whether it has, by
//! asking the server to rehearse an approval in a made-up name, and [`policy_since`] since when: only what was written
//! after that is vouched for. Not here: which approval counts (`runbook::run::approval_validity`).

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::kube::identity::Identity;
use crate::client::kube::list_pagination::{self, MANY};
use crate::client::share::lease::RUN;
use crate::client::wire::link::Link;
use crate::client::wire::permit::WritePermit;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::write::store_object::{ManagedKind, NotStored, rehearse_store, store};
use crate::client::{encode, plain};
use crate::fleet::kubectl_quoting::kubectl_in;
use crate::runbook::plan::required_rights::APPROVALS_POLICY as POLICY;
use crate::runbook::run::approval_validity::{Approval, IdentityProof};
use crate::runbook::run::who_counts_as_person::NamedBy;

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label by which approvals are listed and the admission policy knows them; its value is the run.
const APPROVAL: &str = "tidepilot/approval";
/// What an approval says; anything else in one was put there by a newer version or by hand.
const KEYS: [&str; 10] = ["run", "gate", "step", "attempt", "plan", "question", "user", "host", "at", "identity"];

/// Leaves an approval in the cluster. `Ok(false)`: this user's approval was there already.
pub async fn publish(link: &Link, permit: &WritePermit, namespace: &str, approval: &Approval) -> Result<bool, String> {
    let object = object(namespace, approval, &approval.user);
    match store(link, permit, ManagedKind::ConfigMap, &object, link.limits().request).await {
        Ok(_) => Ok(true),
        Err(not_stored) if not_stored.conflict() => {
            let there = look(link, namespace, &approval.object).await.map_err(|trouble| trouble.sentence)?;
            match there {
                Some(there) if same(&there, approval) => Ok(false),
                Some(there) => Err(format!(
                    "{} is there and says something else ({} of {} for attempt {} of {}); delete it first: {} -n {namespace} delete configmap {}",
                    approval.object,
                    if there.plan == approval.plan { "the approval" } else { "an approval of another plan" },
                    there.user,
                    there.attempt,
                    there.step.as_deref().unwrap_or("an item that it does not name"),
                    kubectl_in(link.context()),
                    approval.object
                )),
                None => Err(format!(
                    "a ConfigMap {} is there that is no approval; look whose it is, and delete it first",
                    approval.object
                )),
            }
        }
        Err(NotStored::RequestError(trouble)) => Err(trouble.sentence),
        Err(NotStored::Lost(lost)) => Err(lost.to_string()),
    }
}

fn same(there: &Approval, ours: &Approval) -> bool {
    let about = |approval: &Approval| {
        let Approval { run, gate, step, attempt, plan, question, user, named_by, immutable, unknown, .. } =
            approval.clone();
        (run, gate, step, attempt, plan, question, (user, named_by, immutable, unknown))
    };
    about(there) == about(ours)
}

/// Every approval of a run that can be read. Reads only.
pub async fn find(link: &Link, namespace: &str, run: &str) -> Result<Vec<Approval>, RequestError> {
    let selector = format!("{MANAGED_BY}=tidepilot,{APPROVAL}={run}");
    let path = format!("{}?labelSelector={}", ManagedKind::ConfigMap.path(namespace), encode(&selector));
    let listed = list_pagination::list::<Value>(link, &path, MANY).await?;
    Ok(listed.items.iter().filter_map(read).collect())
}

/// One approval by the name of its object; `None`: there is none of that name, or it is no approval. Reads only.
pub async fn look(link: &Link, namespace: &str, name: &str) -> Result<Option<Approval>, RequestError> {
    match link.get::<Value>(&format!("{}/{}", ManagedKind::ConfigMap.path(namespace), encode(name))).await {
        Ok(object) => Ok(read(&object)),
        Err(trouble) if trouble.kind == RequestErrorKind::Missing => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// Since when the admission policy and its binding stand as they do, by the server's clock. What was written before could
/// be in anybody's name. `None`: they are not there, or may not be read.
pub async fn policy_since(link: &Link) -> Option<Timestamp> {
    let group = "/apis/admissionregistration.k8s.io/v1";
    let policy: Value = link.get(&format!("{group}/validatingadmissionpolicies/{POLICY}")).await.ok()?;
    let binding: Value = link.get(&format!("{group}/validatingadmissionpolicybindings/{POLICY}")).await.ok()?;
    if binding["spec"]["policyName"] != POLICY {
        return None;
    }
    Some(touched(&policy)?.max(touched(&binding)?))
}

/// When an object was made or last changed, its status aside.
fn touched(object: &Value) -> Option<Timestamp> {
    let made: Timestamp = object["metadata"]["creationTimestamp"].as_str()?.parse().ok()?;
    let fields = object["metadata"]["managedFields"].as_array();
    let times =
        fields.into_iter().flatten().filter(|entry| entry["subresource"].as_str().unwrap_or_default().is_empty());
    let changed = times.filter_map(|entry| entry["time"].as_str()?.parse().ok());
    Some(changed.fold(made, Timestamp::max))
}

/// Whether the server itself refuses an approval in another name than the asker's. Two rehearsals: one in a made-up
/// name, which has to be refused, and one in our own, which has to be taken (else something else refuses).
pub async fn policy_holds(link: &Link, permit: &WritePermit, namespace: &str, who: &Identity, run: &str) -> bool {
    let rehearsed = async |user: &str| {
        let trial = Approval {
            run: run.to_owned(),
            gate: "rehearsal".into(),
            step: Some("rehearsal".into()),
            attempt: 0,
            plan: String::new(),
            question: Some(String::new()),
            user: user.to_owned(),
            named_by: NamedBy::Server,
            host: String::new(),
            at: crate::client::now(),
            created: None,
            object: object_name(run, "rehearsal", 0, "", user),
            immutable: true,
            unknown: None,
            vouched: IdentityProof::Review,
        };
        rehearse_store(link, permit, ManagedKind::ConfigMap, &object(namespace, &trial, user)).await
    };
    let refused = matches!(
        rehearsed(&format!("not {}", who.user)).await,
        Err(RequestError { kind: RequestErrorKind::Forbidden | RequestErrorKind::Refused, sent: true, .. })
    );
    refused && rehearsed(&who.user).await.is_ok()
}

/// The name of the object: one for each run, step, attempt, question and user.
pub fn object_name(run: &str, step: &str, attempt: u32, question: &str, user: &str) -> String {
    let hash = Sha256::digest(json!([step, attempt, question, user]).to_string().as_bytes());
    let hash = hex::encode(&hash[..6]);
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
            "run": approval.run, "gate": approval.gate, "step": approval.step, "attempt": approval.attempt.to_string(),
            "plan": approval.plan, "question": approval.question, "user": user, "host": approval.host,
            "at": approval.at.to_string(), "identity": identity(approval.named_by),
        },
    })
}

fn identity(named_by: NamedBy) -> &'static str {
    match named_by {
        NamedBy::Server => "review",
        NamedBy::Impersonation => "impersonation",
        NamedBy::Kubeconfig => "kubeconfig",
    }
}

/// What an object says; `None` where it is not an approval that can be read.
pub(in crate::client) fn read(object: &Value) -> Option<Approval> {
    let text = |name: &str| object["data"][name].as_str().map(plain);
    let named_by = match text("identity").as_deref() {
        Some("review") => NamedBy::Server,
        Some("impersonation") => NamedBy::Impersonation,
        Some(_) | None => NamedBy::Kubeconfig,
    };
    let keys = object["data"].as_object().into_iter().chain(object["binaryData"].as_object()).flatten();
    let unknown = keys.map(|(key, _)| key).find(|key| !KEYS.contains(&key.as_str()));
    Some(Approval {
        run: text("run")?,
        gate: text("gate")?,
        step: text("step"),
        attempt: text("attempt")?.parse().ok()?,
        plan: text("plan")?,
        question: text("question"),
        user: text("user").filter(|user| !user.is_empty())?,
        named_by,
        host: text("host").unwrap_or_default(),
        at: text("at")?.parse().ok()?,
        created: object["metadata"]["creationTimestamp"].as_str().and_then(|at| at.parse().ok()),
        object: object["metadata"]["name"].as_str().map(plain)?,
        immutable: object["immutable"] == true,
        unknown: unknown.map(|key| plain(key)),
        vouched: if named_by == NamedBy::Kubeconfig { IdentityProof::Kubeconfig } else { IdentityProof::Review },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let name = |user: &str| object_name("20261127-101500-ab12", "set[a]", 2, "hash", user);
        let approval = Approval {
            run: "20261127-101500-ab12".into(),
            gate: "domain/set".into(),
            step: Some("set[a]".into()),
            attempt: 2,
            plan: "digest".into(),
            question: Some("hash".into()),
            user: "bob".into(),
            named_by: NamedBy::Server,
            host: "bobs-laptop".into(),
            at: "2026-11-27T10:15:00Z".parse().expect("a time"),
            created: None,
            object: name("bob"),
            immutable: true,
            unknown: None,
            vouched: IdentityProof::Review,
        };
        let there = object("db", &approval, "bob");
        assert_eq!(read(&there), Some(approval.clone()));
        let mut nobody = there.clone();
        nobody["data"]["user"] = json!("");
        assert_eq!(read(&nobody), None);
        assert_ne!(name("ann"), name("bob"));
        let mut newer = there.clone();
        newer["data"]["notBefore"] = json!("2027-01-01T00:00:00Z");
        newer["immutable"] = json!(false);
        let read = read(&newer).expect("an approval");
        assert_eq!((read.unknown.as_deref(), read.immutable), (Some("notBefore"), false));
        assert!(!same(&read, &approval) && same(&approval, &approval));
    }

    #[test]
    fn a_policy_counts_from_its_last_change() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let policy = json!({"metadata": {"creationTimestamp": "2026-11-01T00:00:00Z", "managedFields": [
            {"time": "2026-11-20T00:00:00Z"}, {"time": "2026-11-28T00:00:00Z", "subresource": "status"}]}});
        assert_eq!(touched(&policy), Some(at("2026-11-20T00:00:00Z")));
        assert_eq!(touched(&json!({"metadata": {}})), None);
    }
}
