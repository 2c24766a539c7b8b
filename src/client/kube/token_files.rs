//! What one context of a kubeconfig needs before it can connect: its files read, its token, its proxy.
//!
//! kube reads the files that a kubeconfig names on the thread it stands on, without a bound, panics on a token with a line
//! end and matches `NO_PROXY` against the proxy; so it is given the contents, and the token and the proxy are ours.
//! Not here: exec plugins ([`crate::client::kube::exec_plugin`]), the connection ([`crate::client::wire::link`]).

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
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

/// The proxy on the way to an API server.
#[derive(Clone, Debug)]
pub(in crate::client) struct Proxy {
    pub uri: Uri,
    /// `proxy-url` of the kubeconfig, or the environment's `HTTPS_PROXY`.
    pub from: &'static str,
}

impl Proxy {
    /// The subject of a sentence about a connection that was not made.
    pub fn named(&self, server: &str) -> String {
        // Without what may be a password.
        let host = self.uri.authority().map_or("", |authority| authority.as_str().rsplit('@').next().unwrap_or(""));
        let scheme = self.uri.scheme_str().unwrap_or("http");
        format!("the proxy {scheme}://{host} ({}) on the way to {server}", self.from)
    }
}

/// The proxy of one server: the kubeconfig's own, else the environment's, which never counts for this machine itself and
/// not where `NO_PROXY` names the server (kubectl's rules). `found`: what kube made of either.
pub(in crate::client) fn proxy_for(own: Option<&str>, server: &Uri, found: Option<Uri>) -> Option<Proxy> {
    match own.filter(|own| !own.is_empty()) {
        Some(_) => found.map(|uri| Proxy { uri, from: "proxy-url of the kubeconfig" }),
        None => from_environment(&Matcher::from_env(), server),
    }
}

fn from_environment(matcher: &Matcher, server: &Uri) -> Option<Proxy> {
    let host = server.host()?.trim_start_matches('[').trim_end_matches(']');
    let here = host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if here {
        return None;
    }
    matcher.intercept(server).map(|proxy| Proxy { uri: proxy.uri().clone(), from: "HTTPS_PROXY" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environments_proxy_is_not_for_this_machine() {
        let matcher = Matcher::builder().https("http://proxy:3128").no("10.0.0.0/8,.inside.example").build();
        let cases = [
            ("https://127.0.0.1:6443", false),
            ("https://127.8.9.1:6443", false),
            ("https://localhost:6443", false),
            ("https://[::1]:6443", false),
            ("https://10.1.2.3:6443", false),
            ("https://k8s.inside.example:6443", false),
            ("https://k8s.example:6443", true),
            ("https://192.168.1.1:6443", true),
        ];
        for (server, expected) in cases {
            let server: Uri = server.parse().expect("a URL");
            assert_eq!(from_environment(&matcher, &server).is_some(), expected, "{server}");
        }
    }

    #[test]
    fn a_proxys_password_is_not_shown() {
        let uri: Uri = "http://me:S3CRET@proxy:3128".parse().expect("a URL");
        let named = Proxy { uri, from: "HTTPS_PROXY" }.named("https://k8s.example");
        assert!(named.contains("http://proxy:3128 (HTTPS_PROXY)") && !named.contains("S3CRET"), "{named}");
    }

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
