//! The lines with which a person would issue a certificate by hand: openssl, or cfssl where that was chosen, and kubectl.
//!
//! Pure text. Every line ends with its files gone again but for cfssl's own. Not here: other actions' lines
//! ([`crate::runbook::actions::requests`]), issuing (`client::write`).

use crate::fleet::ObjectRef;
use crate::fleet::certificate::Usage;
use crate::fleet::kubectl::{place, quote};
use crate::runbook::action::Signer;
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
        Signer::Cfssl { folder } => format!(
            "cfssl gencert -initca {} | cfssljson -bare out && mv out.pem tls.crt && mv out-key.pem tls.key",
            file(folder, &format!("{}.json", target.name))
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
        Signer::Cfssl { folder } => format!(
            "cfssl gencert -ca=signer.crt -ca-key=signer.key -config={} -profile={} {} | cfssljson -bare out && mv out.pem tls.crt && mv out-key.pem tls.key",
            file(folder, "ca-config.json"),
            profile(usages.contains(&Usage::Server), usages.contains(&Usage::Client)),
            file(folder, &format!("{}.json", target.name))
        ),
    };
    format!("{ROOM} && {} && {made} && {})", fetched.join(" && "), stored(target, replaces.is_some()))
}

/// One of cfssl's files, as it is found from inside [`ROOM`].
fn file(folder: &str, name: &str) -> String {
    let path = quote(&format!("{folder}/{name}"));
    if folder.starts_with('/') { path } else { format!("\"$OLDPWD\"/{path}") }
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

    #[test]
    fn files_of_cfssl_are_found_from_the_private_folder() {
        for (folder, expected) in [("/etc/ca", "/etc/ca/x.json"), ("./my ca", "\"$OLDPWD\"/'./my ca/x.json'")] {
            assert_eq!(file(folder, "x.json"), expected);
            let signer = Signer::Cfssl { folder: folder.to_owned() };
            let line = ca(&ObjectRef::new("east", "db", "x"), "TiDB", None, 30, &signer);
            assert!(line.contains(&format!("-initca {expected} |")), "{line}");
        }
    }
}
