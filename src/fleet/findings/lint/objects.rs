//! The rules for TidbCluster documents.

use serde_json::Value;

use super::super::Finding;
use super::super::objects::failover_applies;
use super::at;
use super::documents::{Document, Set};
use super::{Location, Subject};
use crate::fleet::rollout::{Held, held};
use crate::fleet::tidbcluster::Component;
use crate::fleet::version::Version;

pub(super) fn judge(set: &Set) -> Vec<Finding> {
    let mut all = Vec::new();
    for document in &set.documents {
        all.extend(variables(document));
    }
    for forgotten in &set.forgotten {
        let name = &forgotten.variable.name;
        let subject = Subject::of_pd("variable", name);
        let sentence =
            format!("nothing sets the variable {name}, although others beside it are set: an empty text is applied");
        let mut finding =
            Finding::new("unreplaced-variable", None, sentence).saw(&subject, "assignment", "(none)", None);
        finding.location = Some(Location { file: forgotten.file.clone(), line: forgotten.variable.line });
        all.push(finding.on(subject).then(format!("set {name}, or correct its spelling here")));
    }
    // A fragment without a name is an example of one field, not an object.
    let clusters: Vec<&Document> = set.of_kind("TidbCluster").filter(|document| !document.name().is_empty()).collect();
    for document in &clusters {
        let rules: [fn(&Document) -> Vec<Finding>; 8] =
            [across, failover, rolled, reclaim, tiproxy_and_microservices, common_names, one_pd, addresses];
        all.extend(rules.iter().flat_map(|rule| rule(document)));
    }
    all.extend(references(&clusters));
    all.extend(triples(&clusters));
    all
}

fn components(document: &Document) -> impl Iterator<Item = (Component, &Value)> {
    Component::ALL.into_iter().filter_map(|component| Some((component, document.at(&["spec", component.key()])?)))
}

fn domain(document: &Document) -> Option<&str> {
    document.text_at(&["spec", "clusterDomain"]).filter(|domain| !domain.is_empty())
}

fn opened(document: &Document) -> bool {
    let across = document.at(&["spec", "acrossK8s"]).and_then(Value::as_bool) == Some(true);
    across || document.at(&["spec", "clusterDomain"]).is_some() || document.at(&["spec", "cluster"]).is_some()
}

/// 12. Empty names, and variables that nobody will replace.
fn variables(document: &Document) -> Vec<Finding> {
    let mut all = Vec::new();
    if document.kind() == "TidbCluster" {
        let fields: [&[&str]; 5] = [
            &["metadata", "name"],
            &["spec", "clusterDomain"],
            &["spec", "cluster", "name"],
            &["spec", "cluster", "namespace"],
            &["spec", "cluster", "clusterDomain"],
        ];
        for path in fields {
            // `key:` with nothing behind it is null, and as empty as "".
            let parent = path[..path.len() - 1].iter().try_fold(&document.value, |value, key| value.get(*key));
            let value = parent.and_then(|parent| parent.get(path[path.len() - 1]));
            if value.is_some_and(|value| value.is_null() || value.as_str() == Some("")) {
                let sentence = format!("{} is empty: a variable was not set", path.join("."));
                all.push(
                    at(document, "unreplaced-variable", path, "\"\"", sentence).then("write the real value there"),
                );
            }
        }
    }
    // In shell text the reader's shell replaces them; in a file that is applied, nobody does.
    if !document.in_shell {
        for (index, line) in document.text.lines().enumerate() {
            let code = line.split(" #").next().unwrap_or_default();
            if code.trim_start().starts_with('#') || !(code.contains("${") || code.contains("$(")) {
                continue;
            }
            let sentence = format!("a variable is not replaced: {}", code.trim());
            let mut finding = at(document, "unreplaced-variable", &[], code.trim(), sentence);
            finding.location = Some(Location { file: document.file.clone(), line: document.first_line + index });
            all.push(finding.then("kubectl replaces nothing: write the value, or pipe the file through envsubst"));
        }
    }
    all
}

/// 4. Opened by a domain or a reference, without acrossK8s.
fn across(document: &Document) -> Vec<Finding> {
    let across = document.at(&["spec", "acrossK8s"]).and_then(Value::as_bool);
    if !opened(document) || across == Some(true) {
        return Vec::new();
    }
    let path = ["spec", "acrossK8s"];
    let value = across.map_or("(absent)".to_owned(), |across| across.to_string());
    let sentence = "acrossK8s is not true, though the object names a domain or another TidbCluster";
    vec![
        at(document, "across-k8s-missing", &path, value, sentence)
            .then("acrossK8s: true (TiDB Operator 1.3 and later)"),
    ]
}

/// 14.
fn failover(document: &Document) -> Vec<Finding> {
    if !opened(document) {
        return Vec::new();
    }
    let counted = components(document).filter(|(component, _)| failover_applies(*component));
    counted
        .filter_map(|(component, spec)| {
            let count = spec.get("maxFailoverCount").and_then(Value::as_i64);
            let value = match count {
                Some(0) => return None,
                Some(count) => count.to_string(),
                None => "(absent: 3)".into(),
            };
            let path = ["spec", component.key(), "maxFailoverCount"];
            let sentence = format!("failover is on for {}", component.title());
            Some(at(document, "failover-on", &path, value, sentence).then("maxFailoverCount: 0"))
        })
        .collect()
}

/// 8.
fn rolled(document: &Document) -> Vec<Finding> {
    let general = document.text_at(&["spec", "configUpdateStrategy"]).filter(|strategy| !strategy.is_empty());
    let mut all = Vec::new();
    let mut told = false;
    for (component, spec) in components(document) {
        let own = spec.get("configUpdateStrategy").and_then(Value::as_str);
        let has_config = spec.get("config").is_some_and(|config| !config.is_null());
        match held(component, own.or(general).unwrap_or("InPlace"), has_config) {
            Some(Held::InPlace) if own.is_some() => {
                let path = ["spec", component.key(), "configUpdateStrategy"];
                let sentence = format!("a change of {}'s configuration will not restart its pods", component.title());
                all.push(
                    at(document, "config-not-rolled", &path, own.unwrap_or_default(), sentence)
                        .then("configUpdateStrategy: RollingUpdate"),
                );
            }
            // It is one field that is wrong for all of them.
            Some(Held::InPlace) if !told => {
                told = true;
                let path = ["spec", "configUpdateStrategy"];
                let value = general.unwrap_or("(absent: InPlace)");
                let sentence = "a change of the configuration will not restart any pod";
                all.push(
                    at(document, "config-not-rolled", &path, value, sentence)
                        .then("configUpdateStrategy: RollingUpdate"),
                );
            }
            Some(Held::NoConfig) => {
                let path = ["spec", component.key(), "config"];
                let sentence = format!(
                    "{} has no config: a change of its start script will not restart its pods",
                    component.title()
                );
                all.push(at(document, "config-not-rolled", &path, "(absent)", sentence).then("config: {} is enough"));
            }
            Some(Held::InPlace) | None => {}
        }
    }
    all
}

/// 61.
fn reclaim(document: &Document) -> Vec<Finding> {
    let path = ["spec", "pvReclaimPolicy"];
    match document.text_at(&path) {
        Some(policy @ ("Delete" | "Recycle")) => {
            let sentence = format!("pvReclaimPolicy is {policy}: deleting a claim destroys its data");
            vec![at(document, "reclaim-policy-delete", &path, policy, sentence).then("pvReclaimPolicy: Retain")]
        }
        _ => Vec::new(),
    }
}

/// 9 and 10.
fn tiproxy_and_microservices(document: &Document) -> Vec<Finding> {
    let mut all = Vec::new();
    if !opened(document) {
        return all;
    }
    if document.at(&["spec", "tiproxy"]).is_some() {
        let sentence = "TiProxy together with acrossK8s, which the operator refuses";
        all.push(
            at(document, "tiproxy-with-across-k8s", &["spec", "tiproxy"], "present", sentence)
                .then("leave spec.tiproxy out"),
        );
    }
    let listed = document.at(&["spec", "pdms"]).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let mode = document.text_at(&["spec", "pd", "mode"]) == Some("ms");
    if listed || mode {
        let path: &[&str] = if listed { &["spec", "pdms"] } else { &["spec", "pd", "mode"] };
        let sentence = "PD as microservices in a TidbCluster opened for others";
        all.push(
            at(document, "pd-microservices-across-k8s", path, "present", sentence).then("leave pdms and pd.mode out"),
        );
    }
    all
}

/// 22. More than one common name.
fn common_names(document: &Document) -> Vec<Finding> {
    let mut all = Vec::new();
    for (component, spec) in components(document) {
        let names = match spec.get("config") {
            Some(Value::Object(config)) => {
                let listed = config.get("security").and_then(|security| security.get("cert-allowed-cn"));
                listed.and_then(Value::as_array).map_or(0, Vec::len)
            }
            Some(Value::String(toml)) => listed_in_toml(toml),
            _ => 0,
        };
        let own = spec.get("version").and_then(Value::as_str).or(document.text_at(&["spec", "version"]));
        let newer = own.and_then(Version::parse).is_some_and(|version| version >= Version::new(8, 4, 0));
        if names < 2 || (newer && component == Component::Pd) {
            continue;
        }
        let path = ["spec", component.key(), "config", "security", "cert-allowed-cn"];
        let sentence = format!(
            "{} allows {names} common names; PD up to 8.3 takes only one for all certificates",
            component.title()
        );
        all.push(
            at(document, "common-name-mismatch", &path, format!("{names} names"), sentence)
                .then("one common name for all certificates"),
        );
    }
    all
}

/// Names in `cert-allowed-cn = ["a", "b"]` of a TOML text.
fn listed_in_toml(toml: &str) -> usize {
    let line = toml.lines().find(|line| line.trim_start().starts_with("cert-allowed-cn"));
    line.map_or(0, |line| line.matches('"').count().max(line.matches('\'').count()) / 2)
}

/// 27. The initial one with one PD.
fn one_pd(document: &Document) -> Vec<Finding> {
    let path = ["spec", "pd", "replicas"];
    let one = document.at(&path).and_then(Value::as_i64) == Some(1);
    if !one || !opened(document) || document.at(&["spec", "cluster"]).is_some() {
        return Vec::new();
    }
    let sentence = "the initial TidbCluster has one PD: while another joins, its quorum hangs on the joiner";
    vec![
        at(document, "single-pd-join", &path, "1", sentence).then("replicas: 3, at least until the others have joined"),
    ]
}

/// 40. Addresses of an existing PD with the other scheme.
fn addresses(document: &Document) -> Vec<Finding> {
    let path = ["spec", "pdAddresses"];
    let tls = document.at(&["spec", "tlsCluster", "enabled"]).and_then(Value::as_bool) == Some(true);
    let scheme = if tls { "https://" } else { "http://" };
    let listed = document.at(&path).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    listed
        .filter(|url| !url.starts_with(scheme))
        .map(|url| {
            let sentence = format!("{url} does not begin with {scheme}, as tlsCluster asks for");
            at(document, "peer-url-wrong-scheme", &path, url, sentence).then(format!("{scheme}HOST:2379"))
        })
        .collect()
}

/// 11 and 25. Within the set: who is initial, and whom the others join.
fn references(clusters: &[&Document]) -> Vec<Finding> {
    let mut all = Vec::new();
    let same = |a: &Document, b: &Document| (a.name(), &a.namespace, domain(a)) == (b.name(), &b.namespace, domain(b));
    let initial = clusters.iter().find(|document| document.at(&["spec", "cluster"]).is_none());
    for document in clusters {
        let path = ["spec", "cluster"];
        let Some(to) = document.at(&path) else {
            let first = initial.is_none_or(|first| same(first, document));
            let across = document.at(&["spec", "acrossK8s"]).and_then(Value::as_bool) == Some(true);
            if !first && across {
                let sentence = "a second TidbCluster without spec.cluster: it bootstraps a Database of its own";
                all.push(
                    at(document, "wrong-cluster-reference", &path, "(absent)", sentence)
                        .then("name the TidbCluster to join: spec.cluster.name, namespace and clusterDomain"),
                );
            }
            continue;
        };
        let part = |key: &str| to.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let namespace = part("namespace").unwrap_or(&document.namespace);
        let others: Vec<&&Document> = clusters.iter().filter(|other| !same(other, document)).collect();
        let matching: Vec<&&&Document> = others
            .iter()
            .filter(|other| {
                Some(other.name()) == part("name")
                    && other.namespace == namespace
                    && domain(other) == part("clusterDomain")
            })
            .collect();
        let named = format!(
            "name {:?}, namespace {namespace:?}, clusterDomain {:?}",
            part("name").unwrap_or_default(),
            part("clusterDomain").unwrap_or_default()
        );
        if part("name").is_none() {
            let sentence = "spec.cluster has no name: there is nothing to join";
            all.push(
                at(document, "wrong-cluster-reference", &path, named, sentence).then("name the TidbCluster to join"),
            );
        } else if matching.is_empty() && !others.is_empty() {
            let sentence = format!("spec.cluster ({named}) is none of the other TidbClusters of this set");
            all.push(
                at(document, "wrong-cluster-reference", &path, named, sentence).then(
                    "its three parts must equal metadata.name, namespace and spec.clusterDomain of the one to join",
                ),
            );
        }
        let tls = |document: &Document| {
            document.at(&["spec", "tlsCluster", "enabled"]).and_then(Value::as_bool) == Some(true)
        };
        if !matching.is_empty() && matching.iter().all(|other| tls(other) != tls(document)) {
            let sentence = "tlsCluster.enabled is not the same as in the TidbCluster that it joins";
            let path = ["spec", "tlsCluster", "enabled"];
            all.push(
                at(document, "tls-toggled", &path, tls(document).to_string(), sentence)
                    .then("the same in all TidbClusters of a Database"),
            );
        }
    }
    all
}

/// 3. One triple twice.
fn triples(clusters: &[&Document]) -> Vec<Finding> {
    let mut all = Vec::new();
    for (index, document) in clusters.iter().enumerate() {
        let twin = clusters[..index].iter().find(|other| {
            // A text for people shows one object in several variants.
            let variants = other.in_shell && document.in_shell && other.file == document.file;
            !variants
                && (other.name(), &other.namespace, domain(other))
                    == (document.name(), &document.namespace, domain(document))
        });
        let Some(twin) = twin else { continue };
        let sentence = format!(
            "{}:{} has the same name, namespace and domain; two such TidbClusters cannot be told apart",
            twin.file, twin.first_line
        );
        let value =
            format!("{}, {}, {}", document.name(), document.namespace, domain(document).unwrap_or("(no domain)"));
        all.push(
            at(document, "duplicate-triple", &["metadata", "name"], value, sentence)
                .then("another namespace or name for one of them"),
        );
    }
    all
}
