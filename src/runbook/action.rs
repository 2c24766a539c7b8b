//! The closed set of things a runbook step can do, as data: nothing else touches the world.
//!
//! Here: what each action is, whether it can be undone, its exact requests and the kubectl/curl line a person
//! would type. Not here: carrying it out (`client::apply`), judging whether it is done ([`super::judge`]).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fleet::ObjectRef;
use crate::fleet::pd::{MemberId, MembershipApi};

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
    /// The pod IP that the name should resolve to.
    pub expected_ip: Option<String>,
    /// It answered on the peer port.
    pub reached: bool,
    /// One sentence: what happened.
    pub detail: String,
}

impl ProbeLine {
    /// Resolves to the right pod and answers.
    pub fn good(&self) -> bool {
        self.reached && self.expected_ip.as_ref().is_some_and(|ip| self.resolved == [ip.clone()])
    }
}

impl Action {
    pub fn target(&self) -> &ObjectRef {
        match self {
            Action::PatchTidbCluster { target, .. }
            | Action::WaitRollout { target, .. }
            | Action::ProbePeerUrl { target, .. }
            | Action::UpdatePeerUrl { target, .. } => target,
        }
    }

    /// Whether it sends anything that changes the world. Only such actions get an Intent.
    pub fn writes(&self) -> bool {
        match self {
            Action::PatchTidbCluster { .. } | Action::UpdatePeerUrl { .. } => true,
            Action::WaitRollout { .. } | Action::ProbePeerUrl { .. } => false,
        }
    }

    /// The floor which the document cannot lower. Setting `clusterDomain` has no way back (hazard 2).
    pub fn reversibility(&self) -> Reversibility {
        match self {
            Action::PatchTidbCluster { merge, .. } if merge.pointer("/spec/clusterDomain").is_some() => {
                Reversibility::Irreversible
            }
            Action::PatchTidbCluster { .. } | Action::UpdatePeerUrl { .. } => Reversibility::Compensable,
            Action::WaitRollout { .. } | Action::ProbePeerUrl { .. } => Reversibility::Free,
        }
    }

    /// The exact requests. `resource_version` is the one last seen; the one sent is read anew just before.
    pub fn requests(&self, field_manager: &str, resource_version: &str, api: Option<MembershipApi>) -> Vec<Request> {
        match self {
            Action::PatchTidbCluster { target, .. } => vec![Request {
                context: target.context.clone(),
                pod: None,
                method: "PATCH".into(),
                path: format!("{}?fieldManager={field_manager}&fieldValidation=Strict", tidb_cluster_path(target)),
                content_type: "application/merge-patch+json".into(),
                body: self.patch_body(resource_version).unwrap_or(Value::Null),
            }],
            Action::UpdatePeerUrl { target, id, pod, to, .. } => {
                let (method, path, body) = update_request(*id, to, api.unwrap_or(MembershipApi::V3));
                vec![Request {
                    context: target.context.clone(),
                    pod: Some(format!("{}/{pod}", target.namespace)),
                    method: method.into(),
                    path,
                    content_type: "application/json".into(),
                    body,
                }]
            }
            Action::WaitRollout { .. } | Action::ProbePeerUrl { .. } => Vec::new(),
        }
    }

    /// The merge patch body with the condition which the server checks.
    pub fn patch_body(&self, resource_version: &str) -> Option<Value> {
        let Action::PatchTidbCluster { uid, merge, .. } = self else { return None };
        let mut body = merge.clone();
        let root = body.as_object_mut()?;
        let metadata = root.entry("metadata").or_insert_with(|| json!({}));
        metadata["uid"] = json!(uid);
        metadata["resourceVersion"] = json!(resource_version);
        Some(body)
    }

    /// The line that a person would type instead; quoted so that it can be pasted.
    pub fn command(&self, api: Option<MembershipApi>, tls: bool) -> String {
        match self {
            Action::PatchTidbCluster { target, merge, .. } => format!(
                "kubectl --context {} -n {} patch tidbcluster {} --type merge -p {}",
                quote(&target.context),
                quote(&target.namespace),
                quote(&target.name),
                quote(&merge.to_string())
            ),
            Action::UpdatePeerUrl { target, id, pod, to, .. } => {
                let (method, path, body) = update_request(*id, to, api.unwrap_or(MembershipApi::V3));
                let (scheme, certs) =
                    if tls { ("https", " --cacert ca.crt --cert tls.crt --key tls.key") } else { ("http", "") };
                format!(
                    "kubectl --context {} -n {} port-forward pod/{} 2379:2379 & curl{certs} -X {method} -H 'Content-Type: application/json' -d {} {}",
                    quote(&target.context),
                    quote(&target.namespace),
                    quote(pod),
                    quote(&body.to_string()),
                    quote(&format!("{scheme}://127.0.0.1:2379{path}"))
                )
            }
            Action::WaitRollout { target, .. } => format!(
                "kubectl --context {} -n {} get statefulset,pod -l {} -w",
                quote(&target.context),
                quote(&target.namespace),
                quote(&format!("app.kubernetes.io/instance={}", target.name))
            ),
            Action::ProbePeerUrl { target, url, .. } => format!(
                "kubectl --context {} -n {} exec <another PD pod> -c pd -- wget -qO- -T 5 {}",
                quote(&target.context),
                quote(&target.namespace),
                quote(&format!("{url}/version"))
            ),
        }
    }
}

/// API path of a TidbCluster.
pub fn tidb_cluster_path(of: &ObjectRef) -> String {
    format!("/apis/pingcap.com/v1alpha1/namespaces/{}/tidbclusters/{}", of.namespace, of.name)
}

/// Method, path and body of a membership update (`domain.md` §3.2, §3.3).
pub fn update_request(id: MemberId, to: &[String], api: MembershipApi) -> (&'static str, String, Value) {
    match api {
        MembershipApi::V2 => ("PUT", format!("/v2/members/{}", id.hex()), json!({"peerURLs": to})),
        MembershipApi::V3 => ("POST", "/v3/cluster/member/update".into(), json!({"ID": id.decimal(), "peerURLs": to})),
    }
}

/// POSIX shell quoting.
pub fn quote(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_quoting() {
        for (text, quoted) in [("a-b", "a-b"), ("", "''"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$x", "'$x'")] {
            assert_eq!(quote(text), quoted);
        }
    }

    #[test]
    fn the_patch_carries_its_condition() {
        let action = Action::PatchTidbCluster {
            target: ObjectRef::new("east", "db", "basic"),
            uid: "u1".into(),
            merge: json!({"spec": {"acrossK8s": true}}),
        };
        let body = action.patch_body("77").expect("a patch");
        assert_eq!(body, json!({"spec": {"acrossK8s": true}, "metadata": {"uid": "u1", "resourceVersion": "77"}}));
        assert_eq!(action.reversibility(), Reversibility::Compensable);
        assert!(action.command(None, false).contains("-p '{\"spec\":{\"acrossK8s\":true}}'"));
    }

    #[test]
    fn updates_use_hex_for_v2_and_decimal_for_v3() {
        let to = vec!["http://a:2380".to_owned()];
        let id = MemberId(11_669_882_833_499_745_300);
        assert_eq!(update_request(id, &to, MembershipApi::V2).1, "/v2/members/a1f3c09b7d2e6c14");
        assert_eq!(update_request(id, &to, MembershipApi::V3).2["ID"], "11669882833499745300");
    }
}
