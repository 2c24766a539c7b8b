//! Tokens of ServiceAccounts: TokenRequest makes one, and whoever shows it is that account until it ends.
//!
//! A token has the shape of a JWT, since clients read its end; the signature is a number that only this server knows.
//! Not here: the users that a scenario has (`super::auth`).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::auth::{Rules, User};
use super::patch::decode_object;
use super::reply::{self, Reply};
use super::router::Call;
use super::status::Refusal;

/// What was given out: the account, and until when.
#[derive(Debug, Default)]
pub(super) struct Issued(Mutex<BTreeMap<String, (String, String, Timestamp)>>);

impl Issued {
    /// Whose token this is; `None`: nobody's, or it has ended.
    pub(super) fn user(&self, token: &str, now: Timestamp) -> Option<User> {
        let issued = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (namespace, account, _) = issued.get(token).filter(|(_, _, end)| *end > now)?;
        Some(User {
            name: format!("system:serviceaccount:{namespace}:{account}"),
            groups: vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")],
            rules: Rules::Bound,
        })
    }
}

/// Answers a POST to `serviceaccounts/NAME/token`.
pub(super) fn create(call: &Call, now: Timestamp) -> Result<Reply, Refusal> {
    let (namespace, account) = (call.namespace(), call.name());
    if call.store().find("serviceaccounts", namespace, account).is_none() {
        return Err(Refusal::not_found(call.target.kind, account));
    }
    let mut review: Value = decode_object(&call.body)?;
    let seconds = review["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
    if seconds < 600 {
        return Err(Refusal::bad_request("spec.expirationSeconds: may not specify a duration less than 10 minutes"));
    }
    let end = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let name = format!("system:serviceaccount:{namespace}:{account}");
    let token = format!(
        "{}.{}.{:016x}",
        part(&json!({"alg": "none"})),
        part(&json!({"exp": end.as_second(), "sub": name})),
        rand::random::<u64>()
    );
    let mut issued = call.server.issued.0.lock().unwrap_or_else(PoisonError::into_inner);
    issued.insert(token.clone(), (namespace.to_owned(), account.to_owned(), end));
    review["apiVersion"] = json!("authentication.k8s.io/v1");
    review["kind"] = json!("TokenRequest");
    review["status"] = json!({"token": token, "expirationTimestamp": end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()});
    Ok(reply::json(201, &review))
}
