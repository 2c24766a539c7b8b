//! What makes one entry of a kubeconfig unusable, in words with its field's name, before a library says it in its own.
//!
//! Looked at once the files that it names are read. Not here: tokens (`login`), plugins (`credentials`), what a server answers.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::Uri;
use kube::config::{AuthInfo, Cluster, Kubeconfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

/// The versions of exec plugins that are spoken, as kubectl 1.24 and later speak them.
const SPOKEN: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// Why nothing can be connected with it; `None`: nothing is known against it.
pub(in crate::client) fn unfit(kubeconfig: &Kubeconfig) -> Option<String> {
    let context = kubeconfig.contexts.first().and_then(|named| named.context.as_ref());
    let Some(cluster) = kubeconfig.clusters.first() else {
        let name = context.map(|context| context.cluster.as_str()).unwrap_or_default();
        return Some(format!("it names cluster {name:?}, which the kubeconfig does not have"));
    };
    let of = cluster.cluster.as_ref().map_or_else(
        || Some(format!("cluster {:?} has no server", cluster.name)),
        |one| server(&cluster.name, one).or_else(|| trust(&cluster.name, one)),
    );
    let user = || {
        let named = kubeconfig.auth_infos.first()?;
        login(&named.name, named.auth_info.as_ref()?)
    };
    of.or_else(user)
}

fn server(name: &str, cluster: &Cluster) -> Option<String> {
    let server = cluster.server.as_deref().unwrap_or_default().trim();
    if server.is_empty() {
        return Some(format!("cluster {name:?} has no server"));
    }
    let known = ["https://", "http://"].iter().any(|scheme| server.to_ascii_lowercase().starts_with(scheme));
    if !known {
        return Some(match server.split_once("://") {
            Some((scheme, _)) => format!("the server of cluster {name:?} begins with {scheme}://; expected https://"),
            None => format!("the server of cluster {name:?} has no scheme: write https://{server}"),
        });
    }
    let Ok(uri) = server.parse::<Uri>() else {
        return Some(format!("the server of cluster {name:?} is no URL: {server}"));
    };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| port.bytes().all(|b| b.is_ascii_digit()));
    let bad = port.filter(|port| !port.is_empty() && port.parse::<u16>().is_err());
    bad.map(|port| format!("the server of cluster {name:?} has port {port}; ports end at 65535"))
}

fn trust(name: &str, cluster: &Cluster) -> Option<String> {
    if let Some(host) = cluster.tls_server_name.as_deref().filter(|host| !host.is_empty())
        && ServerName::try_from(host.to_owned()).is_err()
    {
        return Some(format!("the tls-server-name of cluster {name:?} is no DNS name: {host:?}"));
    }
    let data = cluster.certificate_authority_data.as_deref().filter(|data| !data.is_empty())?;
    certificates(&format!("certificate-authority of cluster {name:?}"), data)
}

/// Why base64 holds no certificates.
fn certificates(what: &str, data: &str) -> Option<String> {
    let Some(pem) = decoded(data) else { return Some(format!("the {what} is no base64")) };
    match CertificateDer::pem_slice_iter(&pem).next() {
        Some(Ok(_)) => None,
        Some(Err(_)) => Some(format!("the {what} holds a certificate that cannot be read")),
        None => Some(format!("the {what} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")),
    }
}

fn decoded(data: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(data.trim()).ok()
}

fn login(name: &str, user: &AuthInfo) -> Option<String> {
    if let Some(version) = user.exec.as_ref().and_then(|exec| exec.api_version.as_deref())
        && !SPOKEN.contains(&version)
    {
        return Some(format!(
            "the credential plugin of user {name:?} is asked for apiVersion {version}, which is not spoken any more ({} are): update the plugin and its kubeconfig entry",
            SPOKEN.join(" and ")
        ));
    }
    let text = |data: &Option<String>| data.clone().filter(|data| !data.is_empty());
    let certificate = text(&user.client_certificate_data);
    // A secret value is only written out.
    let written = serde_json::to_value(user).unwrap_or_default();
    let key = text(&written.get("client-key-data").and_then(serde_json::Value::as_str).map(str::to_owned));
    match (certificate, key) {
        (None, None) => None,
        (Some(_), None) => Some(format!("user {name:?} has a client-certificate and no client-key")),
        (None, Some(_)) => Some(format!("user {name:?} has a client-key and no client-certificate")),
        (Some(certificate), Some(key)) => {
            let key_is_one = || {
                let Some(pem) = decoded(&key) else {
                    return Some(format!("the client-key of user {name:?} is no base64"));
                };
                let none = PrivateKeyDer::from_pem_slice(&pem).is_err();
                none.then(|| format!("the client-key of user {name:?} holds no private key in PEM"))
            };
            certificates(&format!("client-certificate of user {name:?}"), &certificate).or_else(key_is_one)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn said(cluster: Value, user: Value) -> Option<String> {
        let config = json!({
            "clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        });
        unfit(&serde_json::from_value(config).expect("a kubeconfig"))
    }

    #[test]
    fn every_fault_is_told_with_the_field_that_has_it() {
        let hello = BASE64_STANDARD.encode(b"hello");
        let server = |server: &str| said(json!({"server": server}), json!({}));
        let with = |cluster: Value| {
            let mut whole = json!({"server": "https://a:6443"});
            whole.as_object_mut().expect("a map").extend(cluster.as_object().expect("a map").clone());
            said(whole, json!({}))
        };
        let user = |user: Value| said(json!({"server": "https://a:6443"}), user);
        let cases = [
            (server(""), "has no server"),
            (server("127.0.0.1:6443"), "write https://127.0.0.1:6443"),
            (server("a"), "write https://a"),
            (server("ftp://a"), "begins with ftp://"),
            (server("https://a:99999"), "port 99999"),
            (with(json!({"tls-server-name": "bad name"})), "tls-server-name"),
            (with(json!({"certificate-authority-data": "!!"})), "is no base64"),
            (with(json!({"certificate-authority-data": hello})), "no certificate in PEM"),
            (user(json!({"client-certificate-data": hello})), "no client-key"),
            (user(json!({"client-key-data": hello})), "no client-certificate"),
            (user(json!({"client-certificate-data": hello, "client-key-data": hello})), "no certificate in PEM"),
            (
                user(json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "x"}})),
                "v1alpha1",
            ),
        ];
        for (found, expected) in cases {
            assert!(found.as_ref().is_some_and(|found| found.contains(expected)), "{expected}: {found:?}");
        }
        for fine in
            ["https://a", "https://a:6443/", "HTTPS://a:6443/k8s/clusters/c", "https://[::1]:6443", "http://a:8080"]
        {
            assert_eq!(server(fine), None, "{fine}");
        }
        assert_eq!(user(json!({"exec": {"apiVersion": SPOKEN[1], "command": "x"}})), None);
        assert!(unfit(&Kubeconfig::default()).expect("a sentence").contains("names cluster"));
    }
}
