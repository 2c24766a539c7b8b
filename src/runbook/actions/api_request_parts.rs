//! What requests and the lines that people type are made of: paths, bodies, quoting.
//!
//! What is printed in a plan is what is sent; `client::write` takes its requests from there. Pure. Not here: the requests and
//! lines of each action ([`crate::runbook::actions`]), what goes to PD ([`super::pd_requests`]), sending, and the script of what is left of a run ([`crate::runbook::run::remaining_script`]).

use serde_json::{Value, json};

use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::{place, quote};
use crate::fleet::object_kind::ObjectKind;
use crate::fleet::pd::MembershipApi;
use crate::runbook::action_types::Request;

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
