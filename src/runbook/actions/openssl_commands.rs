//! The lines with which a person would issue a certificate by hand: openssl, or cfssl where that was chosen, and kubectl.
//!
//! Pure text. Every line brings along what it needs and ends with its files gone again. Here as well: the files that cfssl takes, for
//! the run that lets it sign too. Not here: other actions' lines ([`crate::runbook::actions::api_request_parts`]), issuing (`client::write`).

use serde_json::{Value, json};

use crate::fleet::ObjectRef;
use crate::fleet::certificate_facts::Usage;
use crate::fleet::kubectl_quoting::{place, quote};
use crate::runbook::action_types::Signer;
use crate::runbook::actions::IssueCertificate;

/// What stands in the subject of a CA beside common name and organization, as the vendor's `ca-csr.json` has it: no certificate
/// that it signs is called like it. OpenSSL takes a certificate of its CA's name for self-signed where no key ids are,
/// and Go's x509, which cfssl and cert-manager use, leaves them out exactly there.
pub const AUTHORITY_SUBJECT: [(&str, &str); 4] = [("C", "US"), ("ST", "Beijing"), ("L", "CA"), ("OU", "TiDB")];

/// Everything happens in a private folder that goes away.
const ROOM: &str = "(umask 077; cd \"$(mktemp -d)\" && trap 'rm -rf \"$PWD\"' EXIT";

pub(in crate::runbook) fn ca(
    target: &ObjectRef,
    common_name: &str,
    organization: Option<&str>,
    days: u32,
    signer: &Signer,
) -> String {
    let made = match signer {
        Signer::Builtin => format!(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days {days} -subj {} -addext keyUsage=critical,digitalSignature,keyCertSign,cRLSign -keyout tls.key -out tls.crt",
            quote(&format!(
                "{}{}",
                AUTHORITY_SUBJECT.map(|(key, value)| format!("/{key}={value}")).concat(),
                subject(common_name, organization)
            ))
        ),
        Signer::Cfssl { .. } => format!(
            "printf %s {} > request.json && cfssl gencert -initca request.json | cfssljson -bare out && mv out.pem tls.crt && mv out-key.pem tls.key",
            quote(&cfssl_authority(common_name, organization, days).to_string())
        ),
    };
    format!("{ROOM} && {made} && cp tls.crt ca.crt && {})", stored(target, false))
}

pub(in crate::runbook) fn certificate(action: &IssueCertificate) -> String {
    let IssueCertificate { target, authority, common_name, organization, hosts, usages, days, signer, replaces } =
        action;
    let fetched: Vec<String> = [("tls.crt", "signer.crt"), ("tls.key", "signer.key"), ("ca.crt", "ca.crt")]
        .into_iter()
        .map(|(key, file)| {
            let path = quote(&format!("{{.data.{}}}", key.replace('.', "\\.")));
            format!(
                "kubectl {} get secret {} -o jsonpath={path} | base64 -d > {file}",
                place(authority),
                quote(&authority.name)
            )
        })
        .collect();
    let made = match signer {
        Signer::Builtin => {
            let words: Vec<&str> = usages
                .iter()
                .map(|usage| match usage {
                    Usage::Server => "serverAuth",
                    Usage::Client => "clientAuth",
                })
                .collect();
            let names: Vec<String> = hosts
                .iter()
                .map(|host| {
                    if host.contains(':') || host.parse::<core::net::IpAddr>().is_ok() {
                        format!("IP:{host}")
                    } else {
                        format!("DNS:{host}")
                    }
                })
                .collect();
            let mut extensions = format!(
                "basicConstraints=critical,CA:FALSE\\nkeyUsage=critical,digitalSignature,keyEncipherment\\nsubjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid\\nextendedKeyUsage={}",
                words.join(",")
            );
            if !names.is_empty() {
                extensions.push_str(&format!("\\nsubjectAltName={}", names.join(",")));
            }
            format!(
                "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj {} -keyout tls.key -out request.pem && printf {} > extensions && openssl x509 -req -in request.pem -CA signer.crt -CAkey signer.key -CAcreateserial -days {days} -extfile extensions -out tls.crt",
                quote(&subject(common_name, organization.as_deref())),
                quote(&extensions)
            )
        }
        Signer::Cfssl { .. } => format!(
            "printf %s {} > config.json && printf %s {} > request.json && cfssl gencert -ca=signer.crt -ca-key=signer.key -config=config.json -profile={} request.json | cfssljson -bare out && mv out.pem tls.crt && mv out-key.pem tls.key",
            quote(&cfssl_config(*days).to_string()),
            quote(&cfssl_request(common_name, organization.as_deref(), hosts).to_string()),
            profile(usages.contains(&Usage::Server), usages.contains(&Usage::Client)),
        ),
    };
    format!("{ROOM} && {} && {made} && {})", fetched.join(" && "), stored(target, replaces.is_some()))
}

/// cfssl's `ca-config.json`: one profile for each way in which the certificates are used.
pub fn cfssl_config(days: u32) -> Value {
    let expiry = format!("{}h", u64::from(days) * 24);
    let profile = |usages: &[Usage]| {
        let words = ["signing", "key encipherment"].into_iter().chain(usages.iter().map(|usage| usage.word()));
        json!({"expiry": expiry, "usages": words.collect::<Vec<_>>()})
    };
    json!({"signing": {"default": {"expiry": expiry}, "profiles": {
        "internal": profile(&[Usage::Server, Usage::Client]),
        "server": profile(&[Usage::Server]),
        "client": profile(&[Usage::Client]),
    }}})
}

/// cfssl's request of a certificate.
pub fn cfssl_request(common_name: &str, organization: Option<&str>, hosts: &[String]) -> Value {
    let names = organization.map(|organization| ("O".to_owned(), json!(organization)));
    asked_of_cfssl(common_name, hosts, names.into_iter().collect())
}

/// cfssl's request of a CA.
pub fn cfssl_authority(common_name: &str, organization: Option<&str>, days: u32) -> Value {
    let names = organization.map(|organization| ("O".to_owned(), json!(organization))).into_iter();
    let names = names.chain(AUTHORITY_SUBJECT.map(|(key, value)| (key.to_owned(), json!(value))));
    let mut request = asked_of_cfssl(common_name, &[], names.collect());
    request["ca"] = json!({"expiry": format!("{}h", u64::from(days) * 24)});
    request
}

fn asked_of_cfssl(common_name: &str, hosts: &[String], names: serde_json::Map<String, Value>) -> Value {
    let mut request = json!({"CN": common_name, "hosts": hosts, "key": {"algo": "ecdsa", "size": 256}});
    if !names.is_empty() {
        request["names"] = json!([names]);
    }
    request
}

/// The profile of cfssl's configuration for these uses.
pub fn profile(server: bool, client: bool) -> &'static str {
    match (server, client) {
        (true, true) => "internal",
        (true, false) => "server",
        (false, _) => "client",
    }
}

fn subject(common_name: &str, organization: Option<&str>) -> String {
    let organization = organization.map(|name| format!("/O={name}")).unwrap_or_default();
    format!("{organization}/CN={common_name}")
}

fn stored(target: &ObjectRef, replaces: bool) -> String {
    let made = format!(
        "kubectl {} create secret generic {} --type=kubernetes.io/tls --from-file=ca.crt --from-file=tls.crt --from-file=tls.key",
        place(target),
        quote(&target.name)
    );
    match replaces {
        true => format!("{made} --dry-run=client -o yaml | kubectl {} replace -f -", place(target)),
        false => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before a run nothing lies in cfssl's folder, so the line brings along what it needs.
    #[test]
    fn a_line_for_cfssl_needs_no_file_that_is_not_there() {
        let signer = Signer::Cfssl { folder: "./certificates".to_owned() };
        let target = ObjectRef::new("east", "db", "x");
        let authority = ca(&target, "TiDB", Some("it's"), 30, &signer);
        assert!(
            authority.contains(r#""ca":{"expiry":"720h"}"#) && authority.contains("-initca request.json"),
            "{authority}"
        );
        let issue = IssueCertificate {
            target: target.clone(),
            authority: target,
            common_name: "TiDB".to_owned(),
            organization: None,
            hosts: vec!["*.x-pd-peer".to_owned()],
            usages: [Usage::Client].into(),
            days: 30,
            signer,
            replaces: None,
        };
        let line = certificate(&issue);
        assert!(line.contains("-config=config.json -profile=client request.json"), "{line}");
        for line in [authority, line] {
            assert!(!line.contains("certificates/") && line.contains("printf %s '{"), "{line}");
        }
    }
}
