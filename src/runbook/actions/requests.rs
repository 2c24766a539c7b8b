//! What requests and the lines that people type are made of: paths, bodies, quoting.
//!
//! What is printed in a plan is what is sent; `client::write` takes its requests from there. Pure. Not here: the requests and
//! lines of each action ([`crate::runbook::actions`]), sending, and the script of what is left of a run ([`crate::runbook::run::remaining`]).

use serde_json::{Value, json};

use crate::fleet::ObjectRef;
use crate::fleet::object::ObjectKind;
use crate::fleet::pd::{MemberId, MembershipApi};
use crate::runbook::action::Request;
use crate::runbook::actions::forward;
pub(in crate::runbook) use crate::runbook::actions::shell::place;
pub use crate::runbook::actions::shell::quote;

/// What a request is made with beside its action.
pub(in crate::runbook) struct Sending<'a> {
    pub field_manager: &'a str,
    /// The one last seen; the one that is sent is read anew just before.
    pub resource_version: &'a str,
    /// How the membership is changed, where that is known.
    pub api: Option<MembershipApi>,
}

impl Sending<'_> {
    /// The POST that makes an object. `strict`: the server refuses what it does not know.
    pub fn create(&self, kind: ObjectKind, target: &ObjectRef, strict: bool, body: Value) -> Request {
        let validation = if strict { "&fieldValidation=Strict" } else { "" };
        Request {
            context: target.context.clone(),
            pod: None,
            method: "POST".into(),
            path: format!("{}?fieldManager={}{validation}", kind.collection(&target.namespace), self.field_manager),
            content_type: "application/json".into(),
            body,
        }
    }
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
pub(in crate::runbook) fn pd_request(target: &ObjectRef, method: &str, path: String) -> Request {
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

/// PD's own API through any PD pod.
pub(in crate::runbook) fn asked(target: &ObjectRef, method: &str, path: &str, tls: bool) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_use_hex_for_v2_and_decimal_for_v3() {
        let to = vec!["http://a:2380".to_owned()];
        let id = MemberId(11_669_882_833_499_745_300);
        assert_eq!(update_request(id, &to, MembershipApi::V2).1, "/v2/members/a1f3c09b7d2e6c14");
        assert_eq!(update_request(id, &to, MembershipApi::V3).2["ID"], "11669882833499745300");
    }
}
