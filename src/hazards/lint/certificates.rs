//! The rules for certificates: cert-manager's objects, and the host lists that cfssl signs.

use crate::fleet::hazard_id::HazardId;
use serde_json::Value;

use crate::hazards::Finding;
use crate::hazards::lint::at;
use crate::hazards::lint::yaml_documents::{Document, Set};
use crate::pluralize::counted;

pub(super) fn judge(set: &Set) -> Vec<Finding> {
    let mut all = Vec::new();
    for document in &set.documents {
        all.extend(old_api(document));
        all.extend(hosts(set, document));
    }
    let certificates =
        set.of_kind("Certificate").filter(|document| document.api_version().starts_with("cert-manager.io/"));
    for certificate in certificates {
        all.extend(issuer(set, certificate));
    }
    for issuer in set.of_kind("Issuer") {
        all.extend(ca_secret(set, issuer));
    }
    all
}

/// 26.
fn old_api(document: &Document) -> Vec<Finding> {
    let version = document.api_version();
    let old = version.strip_prefix("cert-manager.io/").is_some_and(|version| version != "v1");
    if !old {
        return Vec::new();
    }
    let sentence = format!("{version} is not served by cert-manager 1.7 and later");
    vec![
        at(document, HazardId::CertManagerV1alpha2, &["apiVersion"], version, sentence)
            .then("cert-manager.io/v1; spec.organization becomes spec.subject.organizations"),
    ]
}

/// 24. A Certificate whose Issuer is in another namespace, or nowhere.
fn issuer(set: &Set, certificate: &Document) -> Vec<Finding> {
    let path = ["spec", "issuerRef", "name"];
    let Some(name) = certificate.text_at(&path) else { return Vec::new() };
    // A ClusterIssuer has no namespace, and lies outside most sets.
    if certificate.text_at(&["spec", "issuerRef", "kind"]) == Some("ClusterIssuer") {
        return Vec::new();
    }
    let called: Vec<&Document> = set.of_kind("Issuer").filter(|issuer| issuer.name() == name).collect();
    if called.iter().any(|issuer| issuer.namespace == certificate.namespace) {
        return Vec::new();
    }
    let sentence = match called.first() {
        Some(issuer) => format!(
            "its Issuer {name} is in namespace {:?}, and the Certificate in {:?}: it is never issued",
            issuer.namespace, certificate.namespace
        ),
        // Only a set that brings Issuers can be said to lack one.
        None if set.of_kind("Issuer").next().is_some() => format!("no document of this set is an Issuer called {name}"),
        None => return Vec::new(),
    };
    vec![
        at(certificate, HazardId::TlsSecretMissing, &path, name, sentence)
            .then("the Issuer in the Certificate's own namespace, under this name"),
    ]
}

/// 24. An Issuer whose CA Secret nothing brings: exported from the first cluster and not renamed.
fn ca_secret(set: &Set, issuer: &Document) -> Vec<Finding> {
    let path = ["spec", "ca", "secretName"];
    let Some(name) = issuer.text_at(&path) else { return Vec::new() };
    let made =
        set.of_kind("Certificate").filter(|one| one.at(&["spec", "isCA"]).and_then(Value::as_bool) == Some(true));
    let made: Vec<&str> = made.filter_map(|one| one.text_at(&["spec", "secretName"])).collect();
    let brought: Vec<&str> = set.of_kind("Secret").map(Document::name).collect();
    let known = made.iter().chain(&brought).any(|known| *known == name);
    if known || (made.is_empty() && brought.is_empty()) {
        return Vec::new();
    }
    let others: Vec<&str> = made.into_iter().chain(brought).collect();
    let sentence = format!("no document brings the CA Secret {name}; there are: {}", others.join(", "));
    vec![
        at(issuer, HazardId::TlsSecretMissing, &path, name, sentence)
            .then(format!("rename the exported Secret to {name}, or name the one that is there")),
    ]
}

/// 20. Host lists that lack the names which other clusters use.
fn hosts(set: &Set, document: &Document) -> Vec<Finding> {
    let paths: [&[&str]; 2] = [&["spec", "dnsNames"], &["hosts"]];
    for path in paths {
        let Some(list) = document.at(path).and_then(Value::as_array) else { continue };
        let names: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        // `X-pd-peer.NS.svc` is the name from which the one with the domain follows.
        let Some(base) = names.iter().find(|name| is_headless(name)) else { continue };
        let (service, namespace) = base.trim_end_matches(".svc").split_once('.').unwrap_or((base, ""));
        // Which domain it is for has to be written somewhere in the set; a certificate alone may well be for one KubeCluster.
        let Some(domain) = domain_of(set, service, namespace) else { continue };
        let wanted = [format!("{base}.{domain}"), format!("*.{base}.{domain}")];
        let missing = wanted.into_iter().find(|name| !names.contains(&name.as_str()));
        if let Some(missing) = missing {
            let sentence = format!("the host list lacks {missing}: PD in another KubeCluster refuses this certificate");
            return vec![
                at(document, HazardId::SanMissing, path, counted(names.len(), "name"), sentence)
                    .then(format!("add {missing}, its wildcard, and the same for the Service itself")),
            ];
        }
    }
    Vec::new()
}

/// The domain of the TidbCluster of a headless Service: its own, the one that another joins it under, or the one that
/// other host lists have for a Service of the same TidbCluster.
fn domain_of<'a>(set: &'a Set, service: &str, namespace: &str) -> Option<&'a str> {
    let ours = |name: &str| !name.is_empty() && service.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
    let here = |own: &str| own.is_empty() || own == namespace;
    let full = |domain: &&str| !domain.is_empty();
    let own = set
        .tidb_clusters()
        .filter(|tc| ours(tc.name()) && here(&tc.namespace))
        .find_map(|tc| tc.text_at(&["spec", "clusterDomain"]).filter(full));
    let joined = || {
        set.tidb_clusters().find_map(|tc| {
            let to = |key| tc.text_at(&["spec", "cluster", key]).filter(full);
            let names = to("name").is_some_and(ours) && to("namespace").unwrap_or(&tc.namespace) == namespace;
            names.then(|| to("clusterDomain"))?
        })
    };
    let component =
        |name: &str| name.strip_suffix("-peer").and_then(|name| name.rsplit_once('-')).map(|(name, _)| name.to_owned());
    let listed = || {
        let lists =
            set.documents.iter().filter_map(|one| one.at(&["spec", "dnsNames"]).or(one.at(&["hosts"]))?.as_array());
        lists.flatten().filter_map(Value::as_str).find_map(|name| {
            let (host, domain) = name.trim_start_matches("*.").split_once(".svc.")?;
            let (other, of) = host.split_once('.')?;
            (of == namespace && component(other).is_some() && component(other) == component(service)).then_some(domain)
        })
    };
    own.or_else(joined).or_else(listed)
}

/// `X-pd-peer.NS.svc`, no wildcard.
fn is_headless(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    matches!(parts.as_slice(), [service, _, "svc"] if service.ends_with("-peer") && !service.starts_with('*'))
}
