//! The closed set of things a runbook step can do, as data: nothing else touches the world.
//!
//! Here: what each action is, which objects it is about and whether it can be undone. Not here: its requests and the
//! line a person would type ([`super::requests`]), carrying it out (`client::apply`), judging whether it is done
//! ([`super::judge`]).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::network::probe_at;
use crate::fleet::ObjectRef;
use crate::fleet::certificate::{SecretFacts, Usage};
use crate::fleet::object::{ObjectId, ObjectKind};
use crate::fleet::pd::MemberId;
use crate::fleet::tidbcluster::Component;
use crate::fleet::tls::{self, Wanted};

/// One typed action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Action {
    /// A JSON merge patch of named fields of a TidbCluster, with uid and resourceVersion in the body.
    PatchTidbCluster { target: ObjectRef, uid: String, merge: Value },
    /// Sends nothing: waits until the rolling restart has really ended.
    WaitRollout {
        target: ObjectRef,
        /// The step whose patch started it; its Intent holds the revisions from before.
        since: Option<String>,
        /// Only this component; without, all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        component: Option<Component>,
    },
    /// Asks the *other* PD pods to resolve the new name and to reach it. Sends nothing to the member.
    ProbePeerUrl { target: ObjectRef, id: MemberId, pod: String, url: String },
    /// Replaces one member's peerURLs, through v2 or v3 as the server has it.
    UpdatePeerUrl {
        target: ObjectRef,
        id: MemberId,
        pod: String,
        from: Vec<String>,
        to: Vec<String>,
        /// Puts a recorded value back, which need not be the URL expected of the pod today. Only an undo makes
        /// such an action ([`super::undo`]); a document cannot ask for it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restores: bool,
    },
    /// Creates an object that is not there yet; the server refuses a second one of the same name.
    CreateObject { target: ObjectRef, object_kind: ObjectKind, object: Value },
    /// Deletes one object, and no other that may have taken its name: the server checks the uid.
    DeleteObject {
        target: ObjectRef,
        object_kind: ObjectKind,
        /// The uid of the one that is meant; else it is the one that this run made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<String>,
        /// The run that made it. Only an undo makes such an action ([`super::undo`]).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made_by: Option<String>,
    },
    /// Copies named keys of a Secret to a Secret of another name or KubeCluster. The values pass through the client only.
    CopySecret { from: ObjectRef, target: ObjectRef, keys: Vec<String> },
    /// Makes a CA and stores it as a Secret. The key is made when it is sent, and is in no plan and no journal.
    IssueCa {
        target: ObjectRef,
        common_name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organization: Option<String>,
        days: u32,
        signer: Signer,
    },
    /// Makes a certificate, signed by the CA in the Secret `authority`, and stores it as a Secret.
    IssueCertificate {
        target: ObjectRef,
        authority: ObjectRef,
        common_name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organization: Option<String>,
        /// DNS names and addresses.
        hosts: Vec<String>,
        usages: BTreeSet<Usage>,
        days: u32,
        signer: Signer,
        /// What stands there and gives way; `None`: nothing may stand there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<Replaced>,
    },
    /// Asks PD to hand the lead to a member; whether it did is seen afterwards.
    TransferPdLeader { target: ObjectRef, to: String },
    /// Removes a PD member by its id.
    RemovePdMember { target: ObjectRef, id: MemberId },
    /// From a probe pod at each place: does every other one's name resolve, is every port open? Sends nothing that
    /// changes anything.
    NetProbe {
        target: ObjectRef,
        /// Where TidbClusters are or are to be; each has its probe pod ([`super::network::probe_at`]).
        places: Vec<ObjectRef>,
        ports: Vec<u16>,
        /// How long a way that is not open is tried again; seconds.
        patience_s: u64,
    },
    /// Sends nothing: the step is done when its `until` holds.
    Await { target: ObjectRef },
    /// Sends nothing: a person is shown a command, and the step is done when its `until` holds.
    Manual { target: ObjectRef, command: String },
}

/// A certificate that is replaced, as the plan's look saw it. Its key is kept nowhere, so there is no way back to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Of the Secret.
    pub uid: String,
    /// Of the certificate ([`crate::fleet::certificate::CertificateFacts::fingerprint`]); empty where none could be read.
    pub fingerprint: String,
}

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Signer {
    Builtin,
    /// The user's own `cfssl`; its files are written to the folder.
    Cfssl {
        folder: String,
    },
}

/// What is left of a step when one wants it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reversibility {
    /// Changes nothing.
    Free,
    /// Can be put back by a second action.
    Compensable,
    /// There is no way back.
    Irreversible,
}

/// One request as it would go over the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub context: String,
    /// `pingcap/basic-pd-0` for requests through a tunnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    pub method: String,
    /// Path and query.
    pub path: String,
    pub content_type: String,
    pub body: Value,
}

/// What came back when an action was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// The server took it.
    Accepted { status: u16, detail: String },
    /// The server (or our own check) refused: nothing was changed by this.
    Refused { reason: String },
    /// Timed out or cut off: it may still be applied later.
    Unknown { reason: String },
}

/// What one PD pod saw of a peerURL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeLine {
    /// The pod that looked.
    pub from: ObjectRef,
    pub resolved: Vec<String>,
    /// The addresses of the pod; the name should resolve to them, or to some of them.
    pub expected: Vec<String>,
    /// It answered on the peer port.
    pub reached: bool,
    /// One sentence: what happened.
    pub detail: String,
}

impl ProbeLine {
    /// Resolves to the right pod and answers.
    pub fn good(&self) -> bool {
        self.reached && leads_to(&self.resolved, &self.expected)
    }
}

/// Whether a name that resolves so leads to the pod with these addresses, and nowhere else.
pub fn leads_to(resolved: &[String], pod: &[String]) -> bool {
    !resolved.is_empty() && resolved.iter().all(|address| pod.contains(address))
}

impl Action {
    pub fn target(&self) -> &ObjectRef {
        match self {
            Action::PatchTidbCluster { target, .. }
            | Action::WaitRollout { target, .. }
            | Action::ProbePeerUrl { target, .. }
            | Action::UpdatePeerUrl { target, .. }
            | Action::CreateObject { target, .. }
            | Action::DeleteObject { target, .. }
            | Action::CopySecret { target, .. }
            | Action::IssueCa { target, .. }
            | Action::IssueCertificate { target, .. }
            | Action::TransferPdLeader { target, .. }
            | Action::RemovePdMember { target, .. }
            | Action::NetProbe { target, .. }
            | Action::Await { target }
            | Action::Manual { target, .. } => target,
        }
    }

    /// Whether it sends anything that changes the world. Only such actions get an Intent.
    pub fn writes(&self) -> bool {
        match self {
            Action::PatchTidbCluster { .. }
            | Action::UpdatePeerUrl { .. }
            | Action::CreateObject { .. }
            | Action::DeleteObject { .. }
            | Action::CopySecret { .. }
            | Action::IssueCa { .. }
            | Action::IssueCertificate { .. }
            | Action::TransferPdLeader { .. }
            | Action::RemovePdMember { .. } => true,
            Action::WaitRollout { .. }
            | Action::ProbePeerUrl { .. }
            | Action::NetProbe { .. }
            | Action::Await { .. }
            | Action::Manual { .. } => false,
        }
    }

    /// Whether its step is judged by the step's own `until` and by nothing else.
    pub fn awaits(&self) -> bool {
        matches!(self, Action::Await { .. } | Action::Manual { .. })
    }

    /// The objects, beside what is listed anyway, by which it is judged.
    pub fn objects(&self) -> Vec<ObjectId> {
        match self {
            Action::CreateObject { target, object_kind, .. } | Action::DeleteObject { target, object_kind, .. } => {
                vec![ObjectId::new(*object_kind, target)]
            }
            Action::CopySecret { from, target, .. } => {
                vec![ObjectId::new(ObjectKind::Secret, from), ObjectId::new(ObjectKind::Secret, target)]
            }
            Action::IssueCa { target, .. } => vec![ObjectId::new(ObjectKind::Secret, target)],
            Action::IssueCertificate { authority, target, .. } => {
                vec![ObjectId::new(ObjectKind::Secret, authority), ObjectId::new(ObjectKind::Secret, target)]
            }
            Action::NetProbe { places, .. } => {
                places.iter().map(|place| ObjectId::new(ObjectKind::Pod, &probe_at(place))).collect()
            }
            Action::PatchTidbCluster { .. }
            | Action::WaitRollout { .. }
            | Action::ProbePeerUrl { .. }
            | Action::UpdatePeerUrl { .. }
            | Action::TransferPdLeader { .. }
            | Action::RemovePdMember { .. }
            | Action::Await { .. }
            | Action::Manual { .. } => Vec::new(),
        }
    }

    /// What is wrong with a Secret that such an action made, or that stands in its place; empty: it is good. One that expires
    /// soon is good still.
    pub fn faults_of_issued(&self, facts: &SecretFacts, now: Timestamp) -> Vec<String> {
        let (troubles, common_name) = match self {
            Action::IssueCa { target, common_name, .. } => {
                (tls::authority_troubles(&target.name, facts, now), Some(common_name))
            }
            Action::IssueCertificate { target, common_name, hosts, usages, .. } => {
                let wanted = Wanted {
                    secret: target.name.clone(),
                    title: "certificate".into(),
                    common_name: None,
                    dns_names: hosts.clone(),
                    ip_addresses: Vec::new(),
                    essential: BTreeSet::new(),
                    operator: None,
                    usages: usages.clone(),
                };
                (tls::troubles(&wanted, facts, now), Some(common_name))
            }
            Action::PatchTidbCluster { .. }
            | Action::WaitRollout { .. }
            | Action::ProbePeerUrl { .. }
            | Action::UpdatePeerUrl { .. }
            | Action::CreateObject { .. }
            | Action::DeleteObject { .. }
            | Action::CopySecret { .. }
            | Action::TransferPdLeader { .. }
            | Action::RemovePdMember { .. }
            | Action::NetProbe { .. }
            | Action::Await { .. }
            | Action::Manual { .. } => (Vec::new(), None),
        };
        let lasting = troubles.into_iter().filter(|trouble| !trouble.kind.only_warns());
        let mut faults: Vec<String> = lasting.map(|trouble| trouble.sentence).collect();
        match (common_name, &facts.certificate) {
            (Some(wanted), Some(found)) if found.common_name != *wanted => {
                faults.push(format!("expected common name {wanted:?}, found {:?}", found.common_name));
            }
            (Some(_), None) if faults.is_empty() => faults.push("it holds no certificate".into()),
            (Some(_), Some(_) | None) | (None, _) => {}
        }
        faults
    }

    /// What no undo puts back, though nothing is lost by it: a leader that went elsewhere, an object that is made again.
    pub fn stays(&self) -> bool {
        matches!(self, Action::DeleteObject { .. } | Action::TransferPdLeader { .. })
    }

    /// The floor which the document cannot lower.
    pub fn reversibility(&self) -> Reversibility {
        match self {
            Action::PatchTidbCluster { merge, .. } => patched(merge),
            // Whoever joins is in the membership at once: the way back is to leave again.
            Action::CreateObject { object_kind: ObjectKind::TidbCluster, object, .. }
                if object.pointer("/spec/cluster").is_some() =>
            {
                Reversibility::Irreversible
            }
            Action::DeleteObject { object_kind, made_by: None, .. } => match object_kind {
                ObjectKind::TidbCluster
                | ObjectKind::Namespace
                | ObjectKind::Secret
                | ObjectKind::PersistentVolumeClaim => Reversibility::Irreversible,
                ObjectKind::TidbMonitor
                | ObjectKind::Issuer
                | ObjectKind::Certificate
                | ObjectKind::IssuerV1alpha2
                | ObjectKind::CertificateV1alpha2
                | ObjectKind::ConfigMap
                | ObjectKind::Service
                | ObjectKind::Deployment
                | ObjectKind::ServiceAccount
                | ObjectKind::Role
                | ObjectKind::RoleBinding
                | ObjectKind::Pod => Reversibility::Compensable,
            },
            Action::RemovePdMember { .. } | Action::IssueCertificate { replaces: Some(_), .. } => {
                Reversibility::Irreversible
            }
            Action::UpdatePeerUrl { .. }
            | Action::CreateObject { .. }
            | Action::DeleteObject { .. }
            | Action::CopySecret { .. }
            | Action::IssueCa { .. }
            | Action::IssueCertificate { .. }
            | Action::TransferPdLeader { .. } => Reversibility::Compensable,
            Action::WaitRollout { .. }
            | Action::ProbePeerUrl { .. }
            | Action::NetProbe { .. }
            | Action::Await { .. }
            | Action::Manual { .. } => Reversibility::Free,
        }
    }
}

/// Setting `clusterDomain` has no way back (hazard 2), nor has another version (hazard 50: there is no downgrade), nor
/// another number of instances that hold data. To put a restart mark back would be another restart.
fn patched(merge: &Value) -> Reversibility {
    let has = |at: &str| merge.pointer(at).is_some();
    let holds_data = [Component::Pd, Component::Tikv, Component::Tiflash, Component::Pump];
    let lasting = has("/spec/clusterDomain")
        || has("/spec/version")
        || has("/spec/tlsCluster")
        || holds_data.iter().any(|component| has(&format!("/spec/{}/replicas", component.key())))
        || Component::ALL.iter().any(|component| {
            has(&format!("/spec/{}/version", component.key()))
                || has(&format!("/spec/{}/annotations/{}", component.key(), RESTARTED_AT.replace('/', "~1")))
        });
    if lasting { Reversibility::Irreversible } else { Reversibility::Compensable }
}

/// Stands in a plan where the run's id will be: a label's value, and who made what is deleted.
pub const THIS_RUN: &str = "RUN";
/// Label of what a run makes only for itself: the run's id.
pub const RUN_LABEL: &str = "tidepilot/run";

impl Action {
    /// With the run's id in the places that a plan leaves open.
    pub(super) fn name_run(&mut self, run: &str) {
        match self {
            Action::CreateObject { object, .. } => {
                let label = object.pointer_mut("/metadata/labels").and_then(|labels| labels.get_mut(RUN_LABEL));
                if let Some(label) = label.filter(|label| *label == THIS_RUN) {
                    *label = Value::String(run.to_owned());
                }
            }
            Action::DeleteObject { made_by: Some(made_by), .. } if made_by == THIS_RUN => run.clone_into(made_by),
            Action::DeleteObject { .. }
            | Action::PatchTidbCluster { .. }
            | Action::WaitRollout { .. }
            | Action::ProbePeerUrl { .. }
            | Action::UpdatePeerUrl { .. }
            | Action::CopySecret { .. }
            | Action::IssueCa { .. }
            | Action::IssueCertificate { .. }
            | Action::TransferPdLeader { .. }
            | Action::RemovePdMember { .. }
            | Action::NetProbe { .. }
            | Action::Await { .. }
            | Action::Manual { .. } => {}
        }
    }
}

/// The annotation of a component whose change restarts it (`domain.md` §2.9).
pub const RESTARTED_AT: &str = "tidb.pingcap.com/restartedAt";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_has_no_way_back() {
        let cases = [
            (json!({"spec": {"acrossK8s": true}}), false),
            (json!({"spec": {"clusterDomain": "a.com", "acrossK8s": true}}), true),
            (json!({"spec": {"tikv": {"version": "v8.5.7"}}}), true),
            (json!({"spec": {"tikv": {"replicas": 0}}}), true),
            (json!({"spec": {"tidb": {"replicas": 0}}}), false),
            (json!({"spec": {"tidb": {"annotations": {RESTARTED_AT: "x"}}}}), true),
            (json!({"metadata": {"annotations": {"tidb.pingcap.com/pd-check-quorum-before-upgrade": "true"}}}), false),
        ];
        for (merge, lasting) in cases {
            assert_eq!(patched(&merge) == Reversibility::Irreversible, lasting, "{merge}");
        }
    }
}
