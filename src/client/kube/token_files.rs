//! What one context of a kubeconfig needs before it can connect: its files read, and its token.
//!
//! kube reads the files that a kubeconfig names on the thread it stands on, without a bound, and panics on a token with a line
//! end; so it is given the contents, and the token is ours. Not here: exec plugins ([`crate::client::kube::exec_plugin`]),
//! the proxy ([`crate::client::wire::proxy`]), the connection ([`crate::client::wire::link`]).

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderValue;
use kube::config::Kubeconfig;

use crate::files::{Allowed, CREDENTIAL_LIMIT, read_async};

/// Tokens of a user's entry, taken out of it.
pub(in crate::client) struct Login {
    /// As a header; `Err`: why it cannot be one.
    pub token: Option<Result<HeaderValue, String>>,
    /// Counts before the token, as in client-go.
    pub token_file: Option<PathBuf>,
}

/// Takes token and token file out of the (only) user's entry.
pub(in crate::client) fn login_of(kubeconfig: &mut Kubeconfig) -> Login {
    let mut login = Login { token: None, token_file: None };
    for named in &mut kubeconfig.auth_infos {
        let Some(user) = &mut named.auth_info else { continue };
        // A name and a password count first; what kube makes of them is right.
        if user.username.is_some() && user.password.is_some() {
            continue;
        }
        let written = serde_json::to_value(&*user).unwrap_or_default();
        let text = |field: &str| written.get(field).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
        login.token = text("token").map(|token| {
            header(token).ok_or_else(|| {
                format!(
                    "the token of user {:?} has a line end or another control character in it, which no HTTP header can \
                     carry: take it out of the kubeconfig",
                    named.name
                )
            })
        });
        login.token_file = text("tokenFile").map(PathBuf::from);
        user.token = None;
        user.token_file = None;
    }
    login
}

fn header(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The token in a file; the white space around it is not part of it, as in client-go.
pub(in crate::client) async fn token_in(file: &Path) -> Result<HeaderValue, String> {
    let bytes = read_async(file.to_owned(), Allowed::Plain, CREDENTIAL_LIMIT).await;
    let bytes = bytes.map_err(|error| format!("tokenFile {error}"))?;
    let text = String::from_utf8_lossy(&bytes);
    match text.trim() {
        "" => Err(format!("tokenFile {} is empty", file.display())),
        token => header(token).ok_or_else(|| {
            format!(
                "tokenFile {} holds what no token has (more than one line, or bytes that are no text)",
                file.display()
            )
        }),
    }
}

/// Reads the files that the kubeconfig names, and puts their contents in their places.
pub(in crate::client) async fn inlined(kubeconfig: &mut Kubeconfig) -> Result<(), String> {
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        let file = cluster.certificate_authority.take();
        if empty(cluster.certificate_authority_data.as_deref()) {
            cluster.certificate_authority_data = content("certificate-authority", file).await?;
        }
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        let file = user.client_certificate.take();
        if empty(user.client_certificate_data.as_deref()) {
            user.client_certificate_data = content("client-certificate", file).await?;
        }
        let file = user.client_key.take();
        if user.client_key_data.is_none() {
            user.client_key_data = content("client-key", file).await?.map(Into::into);
        }
    }
    Ok(())
}

fn empty(data: Option<&str>) -> bool {
    data.is_none_or(str::is_empty)
}

/// The base64 of a file that a field names.
async fn content(field: &str, file: Option<String>) -> Result<Option<String>, String> {
    let Some(file) = file.filter(|file| !file.is_empty()) else { return Ok(None) };
    let bytes = read_async(PathBuf::from(file), Allowed::Plain, CREDENTIAL_LIMIT).await;
    bytes.map(|bytes| Some(BASE64_STANDARD.encode(bytes))).map_err(|error| format!("{field} {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(entry: serde_json::Value) -> Login {
        let config = serde_json::json!({"users": [{"name": "me", "user": entry}]});
        let mut config: Kubeconfig = serde_json::from_value(config).expect("a kubeconfig");
        login_of(&mut config)
    }

    #[test]
    fn a_token_that_is_no_header_is_one_sentence() {
        let token = |text: &str| user(serde_json::json!({"token": text})).token.expect("there is one");
        assert_eq!(token("abc").expect("fine"), "Bearer abc");
        for text in ["abc\n", "abc\r\n", "a\nb", "\u{7f}"] {
            let why = token(text).expect_err("refused");
            assert!(why.contains("token of user \"me\"") && !why.contains("abc"), "{why}");
        }
    }

    #[tokio::test]
    async fn a_token_file_may_end_in_white_space() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = dir.path().join("token");
        for (text, expected) in
            [("abc\n", Some("Bearer abc")), (" abc \r\n", Some("Bearer abc")), ("\n", None), ("a\nb\n", None)]
        {
            std::fs::write(&file, text).expect("written");
            let found = token_in(&file).await;
            assert_eq!(found.ok().as_ref().map(|value| value.to_str().expect("text")), expected, "{text:?}");
        }
    }
}
