//! Refusals, as the Kubernetes `Status` objects a real API server sends.
//!
//! One constructor per reason, each with code, reason, message and details as clients match on them.

use serde_json::{Value, json};

use super::auth::{Ask, User};
use super::reply::{self, Reply};
use crate::sim::object_store::Resource;

/// A request that is answered with a `Status` of Failure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
    pub details: Option<Value>,
}

/// One entry of `details.causes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub reason: &'static str,
    pub message: String,
    pub field: String,
}

impl Cause {
    pub(super) fn value(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

fn of(kind: &Resource, name: &str) -> Value {
    let mut details = json!({"name": name});
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    details["kind"] = json!(kind.plural);
    details
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: impl Into<String>, details: Option<Value>) -> Self {
        Refusal { code, reason, message: message.into(), details }
    }

    pub(super) fn value(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason,
        });
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status["code"] = json!(self.code);
        status
    }

    pub(super) fn reply(&self) -> Reply {
        let mut reply = reply::json(self.code, &self.value());
        if self.code == 429 {
            reply.headers_mut().insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("1"));
        }
        reply
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized", None)
    }

    pub(super) fn forbidden(user: &User, ask: &Ask<'_>) -> Self {
        let kind =
            if ask.group.is_empty() { ask.resource.to_owned() } else { format!("{}.{}", ask.resource, ask.group) };
        let subject = if ask.name.is_empty() { kind } else { format!("{kind} {:?}", ask.name) };
        let resource = if ask.subresource.is_empty() {
            ask.resource.to_owned()
        } else {
            format!("{}/{}", ask.resource, ask.subresource)
        };
        let place = if ask.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {:?}", ask.namespace)
        };
        let message = format!(
            "{subject} is forbidden: User {:?} cannot {} resource {resource:?} in API group {:?} {place}{}",
            user.name,
            ask.verb,
            ask.group,
            user.rules.remark(ask)
        );
        let mut details = json!({});
        for (field, value) in [("name", ask.name), ("group", ask.group), ("kind", ask.resource)] {
            if !value.is_empty() {
                details[field] = json!(value);
            }
        }
        Self::new(403, "Forbidden", message, Some(details))
    }

    /// What a server since 1.35 says when only the `create` right for the WebSocket upgrade is missing: a colon, no reason.
    pub(super) fn forbidden_without_words(ask: &Ask<'_>) -> Self {
        let message = format!("{} {:?} is forbidden: ", ask.resource, ask.name);
        Self::new(403, "Forbidden", message, Some(json!({"name": ask.name, "kind": ask.resource})))
    }

    /// `by`: an admission policy and its binding.
    pub(super) fn denied(kind: &Resource, name: &str, by: (&str, &str), reason: &str, why: &str) -> Self {
        let message = format!(
            "{} {name:?} is forbidden: ValidatingAdmissionPolicy '{}' with binding '{}' denied request: {why}",
            kind.qualified(),
            by.0,
            by.1
        );
        let (status, reason) = match reason {
            "Forbidden" => (403, "Forbidden"),
            "Unauthorized" => (401, "Unauthorized"),
            "RequestEntityTooLarge" => (413, "RequestEntityTooLarge"),
            _ => (422, "Invalid"),
        };
        Self::new(status, reason, message, Some(of(kind, name)))
    }

    pub(super) fn not_found(kind: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", kind.qualified()), Some(of(kind, name)))
    }

    /// No such path, kind or subresource at all.
    pub(super) fn unknown_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource", Some(json!({})))
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message, Some(json!({})))
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message, None)
    }

    pub(super) fn already_exists(kind: &Resource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", kind.qualified()), Some(of(kind, name)))
    }

    pub(super) fn conflict(kind: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.qualified());
        Self::new(409, "Conflict", message, Some(of(kind, name)))
    }

    pub(super) fn modified(kind: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// Server-side apply met fields of other managers.
    pub(super) fn apply_conflict(message: String, causes: &[Cause]) -> Self {
        let causes: Vec<Value> = causes.iter().map(Cause::value).collect();
        Self::new(409, "Conflict", message, Some(json!({"causes": causes})))
    }

    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message, None)
    }

    pub(super) fn too_large_body(limit: usize) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"), None)
    }

    pub(super) fn unsupported_media(accepted: &str) -> Self {
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
        Self::new(415, "UnsupportedMediaType", message, None)
    }

    /// Validation failed; one cause each.
    pub(super) fn invalid(kind: &Resource, name: &str, causes: &[Cause]) -> Self {
        let said: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let said = match said.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let subject =
            if kind.group.is_empty() { kind.kind.to_owned() } else { format!("{}.{}", kind.kind, kind.group) };
        let mut details = of(kind, name);
        details["kind"] = json!(kind.kind);
        details["causes"] = causes.iter().map(Cause::value).collect();
        Self::new(422, "Invalid", format!("{subject} {name:?} is invalid: {said}"), Some(details))
    }

    /// A JSON patch that cannot be applied (a failing `test` too): the real server says no more than this.
    pub(super) fn patch_not_applicable() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::new(422, "Invalid", message, Some(json!({})))
    }

    /// The watch cache has not seen such a version yet.
    pub(super) fn too_large_version(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        Self::new(504, "Timeout", message, Some(json!({"causes": [cause], "retryAfterSeconds": 1})))
    }

    /// A failure switched on by `Faults`.
    pub(super) fn fault(code: u16) -> Self {
        let (reason, message) = match code {
            429 => ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "the server was unable to return a response in the time allotted"),
            401 => return Self::unauthorized(),
            _ => {
                ("InternalError", "an error on the server (\"switched on\") has prevented the request from succeeding")
            }
        };
        let details = (code == 429).then(|| json!({"retryAfterSeconds": 1}));
        Self::new(code, reason, message, details)
    }
}
