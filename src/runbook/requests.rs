//! An action as it goes over the wire, and as a person would type it: exact requests, kubectl and curl lines.
//!
//! What is printed in a plan is what is sent; `client::apply` takes its requests from here. Pure. Not here: sending,
//! and the script of what is left of a run ([`super::remaining`]).

use serde_json::{Value, json};

use super::action::{Action, Request};
use super::forward;
use super::issuing;
use super::network::probe_at;
use crate::fleet::ObjectRef;
use crate::fleet::object::{ObjectId, ObjectKind};
use crate::fleet::pd::{MemberId, MembershipApi};
use crate::fleet::tls;

impl Action {
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
            Action::CreateObject { target, object_kind, object } => vec![Request {
                context: target.context.clone(),
                pod: None,
                method: "POST".into(),
                path: format!(
                    "{}?fieldManager={field_manager}&fieldValidation=Strict",
                    object_kind.collection(&target.namespace)
                ),
                content_type: "application/json".into(),
                body: object.clone(),
            }],
            Action::DeleteObject { target, object_kind, uid, .. } => vec![Request {
                context: target.context.clone(),
                pod: None,
                method: "DELETE".into(),
                path: ObjectId::new(*object_kind, target).path(),
                content_type: "application/json".into(),
                body: delete_options(uid.as_deref().unwrap_or("the uid that is read just before")),
            }],
            Action::CopySecret { from, target, keys } => vec![Request {
                context: target.context.clone(),
                pod: None,
                method: "POST".into(),
                path: format!("{}?fieldManager={field_manager}", ObjectKind::Secret.collection(&target.namespace)),
                content_type: "application/json".into(),
                body: copied_secret(
                    target,
                    &json!(
                        keys.iter()
                            .map(|key| (key.clone(), json!(format!("(as in {from})"))))
                            .collect::<serde_json::Map<_, _>>()
                    ),
                ),
            }],
            Action::IssueCertificate { target, replaces: Some(replaces), .. } => {
                let id = ObjectId::new(ObjectKind::Secret, target);
                vec![Request {
                    context: target.context.clone(),
                    pod: None,
                    method: "PATCH".into(),
                    path: format!("{}?fieldManager={field_manager}&fieldValidation=Strict", id.path()),
                    content_type: "application/merge-patch+json".into(),
                    body: json!({
                        "metadata": {"uid": replaces.uid, "resourceVersion": resource_version},
                        "data": never_shown(),
                    }),
                }]
            }
            Action::IssueCa { target, .. } | Action::IssueCertificate { target, .. } => {
                vec![Request {
                    context: target.context.clone(),
                    pod: None,
                    method: "POST".into(),
                    path: format!(
                        "{}?fieldManager={field_manager}&fieldValidation=Strict",
                        ObjectKind::Secret.collection(&target.namespace)
                    ),
                    content_type: "application/json".into(),
                    body: issued_secret(target, &never_shown()),
                }]
            }
            Action::TransferPdLeader { target, to } => vec![pd_request(target, "POST", transfer_path(to))],
            Action::RemovePdMember { target, id } => vec![pd_request(target, "DELETE", member_path(*id))],
            Action::WaitRollout { .. }
            | Action::ProbePeerUrl { .. }
            | Action::NetProbe { .. }
            | Action::Await { .. }
            | Action::Manual { .. } => Vec::new(),
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
                let call = format!("{method} {} {}", quote(&path), quote(&body.to_string()));
                forward::line(target, pod, &call, tls)
            }
            Action::WaitRollout { target, .. } => format!(
                "kubectl --context {} -n {} get statefulset,pod -l {} -w",
                quote(&target.context),
                quote(&target.namespace),
                quote(&format!("app.kubernetes.io/instance={}", target.name))
            ),
            Action::ProbePeerUrl { target, url, .. } => format!(
                "kubectl --context {} -n {} exec ANOTHER-PD-POD -c pd -- wget -qO- -T 5 {}",
                quote(&target.context),
                quote(&target.namespace),
                quote(&format!("{url}/version"))
            ),
            Action::NetProbe { places, .. } => {
                let from = places.first().map_or_else(|| self.target().clone(), probe_at);
                format!(
                    "kubectl {} exec {} -c probe -- nc -z -w 4 NAME-OF-ANOTHER-PROBE-POD PORT",
                    place(&from),
                    quote(&from.name)
                )
            }
            Action::CreateObject { target, object, .. } => {
                let manifest = manifest(object);
                let end = end_of(&manifest);
                format!("kubectl --context {} create -f - <<'{end}'\n{manifest}{end}", quote(&target.context))
            }
            // kubectl has no precondition: look at the uid first.
            Action::DeleteObject { target, object_kind, .. } => {
                format!("kubectl {} delete {} {}", place(target), object_kind.resource(), quote(&target.name))
            }
            Action::CopySecret { from, target, keys } => {
                let data: Vec<String> =
                    keys.iter().map(|key| json!(key).to_string()).map(|key| format!("{key}: .data[{key}]")).collect();
                let filter = format!(
                    "{{apiVersion, kind, type, metadata: {{name: {}, namespace: {}}}, data: {{{}}}}}",
                    json!(target.name),
                    json!(target.namespace),
                    data.join(", ")
                );
                format!(
                    "kubectl {} get secret {} -o json | jq {} | kubectl --context {} create -f -",
                    place(from),
                    quote(&from.name),
                    quote(&filter),
                    quote(&target.context)
                )
            }
            Action::IssueCa { target, common_name, organization, days, signer } => {
                issuing::ca(target, common_name, organization.as_deref(), *days, signer)
            }
            Action::IssueCertificate { .. } => issuing::certificate(self),
            Action::TransferPdLeader { target, to } => asked(target, "POST", &transfer_path(to), tls),
            Action::RemovePdMember { target, id } => asked(target, "DELETE", &member_path(*id), tls),
            Action::Await { target } => format!(
                "kubectl {} get tidbcluster,statefulset,pod -l {} -w",
                place(target),
                quote(&format!("app.kubernetes.io/instance={}", target.name))
            ),
            Action::Manual { command, .. } => command.clone(),
        }
    }
}

/// In the place of a certificate's values.
fn never_shown() -> Value {
    let made = |key: &str| (key.to_owned(), json!("(made when it is sent; never shown)"));
    Value::Object(tls::KEYS.into_iter().map(made).collect())
}

/// The word that ends a here-document: no line of its text.
fn end_of(text: &str) -> String {
    let mut end = "EOF".to_owned();
    while text.lines().any(|line| line == end) {
        end.push('_');
    }
    end
}

/// An object as the YAML that people keep.
pub fn manifest(object: &Value) -> String {
    serde_saphyr::to_string(object).unwrap_or_else(|_| object.to_string() + "\n")
}

/// Body of a DELETE with the condition that the server checks.
pub fn delete_options(uid: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
        "preconditions": {"uid": uid},
    })
}

/// A Secret as a copy is made of it: nothing of the original's metadata.
pub fn copied_secret(target: &ObjectRef, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": target.name, "namespace": target.namespace},
        "data": data,
    })
}

/// A Secret with a certificate that a run made.
pub fn issued_secret(target: &ObjectRef, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": target.name, "namespace": target.namespace},
        "data": data,
    })
}

/// PD's own API; any PD pod of the TidbCluster takes it and hands it to the leader.
fn pd_request(target: &ObjectRef, method: &str, path: String) -> Request {
    Request {
        context: target.context.clone(),
        pod: Some(format!("{}/{}-pd-0", target.namespace, target.name)),
        method: method.into(),
        path,
        content_type: "application/json".into(),
        body: Value::Null,
    }
}

/// Path that asks PD to hand the lead to a member.
pub fn transfer_path(to: &str) -> String {
    format!("/pd/api/v1/leader/transfer/{to}")
}

/// Path of a member by its id.
pub fn member_path(id: MemberId) -> String {
    format!("/pd/api/v1/members/id/{}", id.decimal())
}

pub(super) fn place(of: &ObjectRef) -> String {
    format!("--context {} -n {}", quote(&of.context), quote(&of.namespace))
}

/// PD's own API through any PD pod.
fn asked(target: &ObjectRef, method: &str, path: &str, tls: bool) -> String {
    forward::line(target, &format!("{}-pd-0", target.name), &format!("{method} {}", quote(path)), tls)
}

/// The line that lets the operator go on with a paused TidbCluster.
pub fn unpause(of: &ObjectRef) -> String {
    format!(
        "kubectl {} patch tidbcluster {} --type merge -p '{{\"spec\":{{\"paused\":false}}}}'",
        place(of),
        quote(&of.name)
    )
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
    use crate::runbook::action::Reversibility;

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
