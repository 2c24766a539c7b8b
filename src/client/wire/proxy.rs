//! Which proxy stands on the way to an API server: `proxy-url` of the kubeconfig, else `HTTPS_PROXY` and `NO_PROXY`.
//!
//! kube matches `NO_PROXY` against the proxy instead of the server, so the choice is ours. Not here: speaking to it
//! ([`crate::client::wire::link`] and its HTTP stack).

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

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
}
