//! What the Secret with a Job's kubeconfig says: its contexts, and until when their tokens live. Reads only.
//!
//! The tokens themselves do not leave this file. Not here: making them ([`crate::client::write::service_account_token`]).

use std::collections::BTreeMap;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use jiff::Timestamp;
use serde_json::Value;

use super::manifest::KUBECONFIG;
use crate::client::kube::kubeconfig::parse;
use crate::client::wire::link::Link;
use crate::client::wire::request_error::RequestErrorKind;

/// By context; `None`: its credentials say no end.
pub type Access = BTreeMap<String, Option<Timestamp>>;

/// Why nothing is known of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It is not there, or is none: a Job would wait for ever. One sentence.
    Bad(String),
    /// It may not be read from here, or could not be. One sentence.
    Unseen(String),
}

/// Reads the Secret of that name.
pub async fn of(link: &Link, namespace: &str, secret: &str) -> Result<Access, Unknown> {
    let place = format!("{}/{namespace}", link.context());
    let found: Value = match link.get(&format!("/api/v1/namespaces/{namespace}/secrets/{secret}")).await {
        Ok(found) => found,
        Err(trouble) if trouble.kind == RequestErrorKind::Missing => {
            return Err(Unknown::Bad(format!(
                "there is no Secret {secret} in {place}; `tidepilot rbac RUNBOOK --service-account NAMESPACE/NAME --kubeconfig-out FILE` makes its kubeconfig"
            )));
        }
        Err(trouble) => return Err(Unknown::Unseen(trouble.sentence)),
    };
    let bad = |why: &str| Unknown::Bad(format!("Secret {secret} in {place} {why}"));
    let data = found["data"][KUBECONFIG].as_str().ok_or_else(|| bad("has no key kubeconfig"))?;
    let bytes = BASE64_STANDARD.decode(data.trim()).ok().ok_or_else(|| bad("is not base64"))?;
    let parsed = parse(bytes, Path::new(KUBECONFIG)).map_err(|_| bad("holds no kubeconfig that can be read"))?;
    let mut access = Access::new();
    for context in &parsed.contexts {
        let user = context.context.as_ref().and_then(|context| context.user.as_ref());
        let user = parsed.auth_infos.iter().find(|one| Some(&one.name) == user);
        // A secret value is only written out.
        let written = serde_json::to_value(user.and_then(|user| user.auth_info.as_ref())).unwrap_or_default();
        access.insert(context.name.clone(), written["token"].as_str().and_then(end_of));
    }
    Ok(access)
}

/// Until when a token of Kubernetes (a JWT) lives, as it says itself; its signature is the server's business.
pub(crate) fn end_of(token: &str) -> Option<Timestamp> {
    let body = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&body).ok()?;
    Timestamp::from_second(claims["exp"].as_i64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_until_when_it_lives() {
        // {"exp":1796000000,"sub":"x"}
        let token = "eyJhbGciOiJub25lIn0.eyJleHAiOjE3OTYwMDAwMDAsInN1YiI6IngifQ.c2ln";
        assert_eq!(end_of(token), Timestamp::from_second(1_796_000_000).ok());
        for none in ["", "opaque", "a.b.c", "a.e30.c"] {
            assert_eq!(end_of(none), None, "{none}");
        }
    }
}
