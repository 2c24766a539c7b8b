//! The rules for TidbClusters of one set: who is initial, whom the others join, and what they are together.
//!
//! A reference is judged only against the documents that are there; what joins something else may be right.

use crate::fleet::hazard_id::HazardId;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::hazards::Finding;
use crate::hazards::lint::at;
use crate::hazards::lint::name_and_version_syntax::max_replicas;
use crate::hazards::lint::tidbcluster_spec::{domain, is_true};
use crate::hazards::lint::yaml_documents::{Document, Set};
use crate::pluralize::total;

pub(super) fn judge(set: &Set) -> Vec<Finding> {
    let clusters: Vec<&Document> =
        set.tidb_clusters().filter(|document| !document.name().is_empty() && !document.is_part()).collect();
    let mut all = references(&clusters);
    all.extend(nothing_to_join(&clusters));
    all.extend(together(&clusters));
    let named: Vec<&Document> = set.tidb_clusters().filter(|document| !document.name().is_empty()).collect();
    all.extend(triples(&named));
    all
}

fn reference(document: &Document) -> Option<&Value> {
    document.at(&["spec", "cluster"])
}

fn part<'a>(to: &'a Value, key: &str) -> Option<&'a str> {
    to.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Whether a reference names a TidbCluster. Without a domain it means one of the same domain, as in the operator: names are
/// looked up under the pod's own.
fn names(document: &Document, to: &Value, other: &Document) -> bool {
    let namespace = part(to, "namespace").unwrap_or(&document.namespace);
    let domains = match (part(to, "clusterDomain"), domain(other)) {
        (Some(named), Some(theirs)) => named == theirs,
        (Some(named), None) => named == "cluster.local",
        (None, None) => true,
        (None, Some(theirs)) => domain(document).is_none_or(|own| own == theirs),
    };
    Some(other.name()) == part(to, "name") && other.namespace == namespace && domains
}

fn same(a: &Document, b: &Document) -> bool {
    (a.name(), &a.namespace, domain(a)) == (b.name(), &b.namespace, domain(b))
}

fn described(document: &Document, to: &Value) -> String {
    format!(
        "name {:?}, namespace {:?}, clusterDomain {:?}",
        part(to, "name").unwrap_or_default(),
        part(to, "namespace").unwrap_or(&document.namespace),
        part(to, "clusterDomain").unwrap_or_default()
    )
}

/// 11 and 25.
fn references(clusters: &[&Document]) -> Vec<Finding> {
    let mut all = Vec::new();
    let path = ["spec", "cluster"];
    let initial = clusters.iter().find(|document| reference(document).is_none());
    for document in clusters {
        let Some(to) = reference(document) else {
            all.extend(second_bootstrap(clusters, initial, document));
            continue;
        };
        let named = described(document, to);
        let wrong = |sentence: String| at(document, HazardId::WrongClusterReference, &path, named.clone(), sentence);
        if part(to, "name").is_none() {
            all.push(
                wrong("spec.cluster has no name: there is nothing to join".into()).then("name the TidbCluster to join"),
            );
            continue;
        }
        if names(document, to, document) {
            all.push(
                wrong("spec.cluster names this very TidbCluster: its PD would wait for itself for ever".into())
                    .then("leave spec.cluster out of the initial one; the others name the one that is there already"),
            );
            continue;
        }
        let others: Vec<&&Document> = clusters.iter().filter(|other| !same(other, document)).collect();
        let matching: Vec<&&&Document> = others.iter().filter(|other| names(document, to, other)).collect();
        if let Some(circle) = circle(clusters, document) {
            all.push(
                wrong(format!(
                    "spec.cluster leads in a circle ({circle}): each waits for the other, and none of them ever begins"
                ))
                .then("leave spec.cluster out of the one that is to be initial"),
            );
        } else if matching.is_empty() && others.iter().any(|other| reference(other).is_none()) {
            all.push(
                wrong(format!("spec.cluster ({named}) is none of the other TidbClusters of this set")).then(
                    "its three parts must equal metadata.name, namespace and spec.clusterDomain of the one to join",
                ),
            );
        }
        let tls = |document: &Document| is_true(document, &["spec", "tlsCluster", "enabled"]);
        if !matching.is_empty() && matching.iter().all(|other| tls(other) != tls(document)) {
            let sentence = "tlsCluster.enabled is not the same as in the TidbCluster that it joins";
            let path = ["spec", "tlsCluster", "enabled"];
            all.push(
                at(document, HazardId::TlsToggled, &path, tls(document).to_string(), sentence)
                    .then("the same in all TidbClusters of a Database"),
            );
        }
    }
    all
}

/// A second one of the same name or namespace, opened in another domain, that joins nobody and that nobody joins. Two
/// Databases with names and namespaces of their own may well be two Databases.
fn second_bootstrap(clusters: &[&Document], initial: Option<&&Document>, document: &Document) -> Option<Finding> {
    let initial = initial.filter(|initial| !same(initial, document))?;
    let across = is_true(document, &["spec", "acrossK8s"]) && is_true(initial, &["spec", "acrossK8s"]);
    let akin = initial.namespace == document.namespace || initial.name() == document.name();
    let apart = domain(initial).is_some() && domain(document).is_some() && domain(initial) != domain(document);
    let joined = clusters.iter().any(|other| reference(other).is_some_and(|to| names(other, to, document)));
    let sentence = "a second TidbCluster without spec.cluster: it bootstraps a Database of its own";
    (across && akin && apart && !joined).then(|| {
        at(document, HazardId::WrongClusterReference, &["spec", "cluster"], "(absent)", sentence)
            .then("name the TidbCluster to join: spec.cluster.name, namespace and clusterDomain")
    })
}

fn target<'a>(clusters: &[&'a Document], document: &Document) -> Option<&'a Document> {
    let to = reference(document)?;
    clusters.iter().copied().find(|other| !same(other, document) && names(document, to, other))
}

/// `a → b → a`, where the references of a TidbCluster lead back to it.
fn circle(clusters: &[&Document], document: &Document) -> Option<String> {
    let mut way = vec![document.name()];
    let mut at = document;
    while let Some(next) = target(clusters, at) {
        way.push(next.name());
        if same(next, document) {
            return Some(way.join(" → "));
        }
        if way.len() > clusters.len() {
            return None;
        }
        at = next;
    }
    None
}

fn replicas(document: &Document, component: &str) -> i64 {
    document.at(&["spec", component, "replicas"]).and_then(Value::as_i64).unwrap_or(0)
}

/// 11. Neither PD nor anybody to join.
fn nothing_to_join(clusters: &[&Document]) -> Vec<Finding> {
    let addresses = |document: &Document| {
        document.at(&["spec", "pdAddresses"]).and_then(Value::as_array).is_some_and(|list| !list.is_empty())
    };
    let alone = clusters.iter().filter(|document| replicas(document, "pd") == 0 && reference(document).is_none());
    let microservices = |document: &Document| document.at(&["spec", "pdms"]).is_some();
    alone
        .filter(|document| !addresses(document) && !microservices(document))
        .map(|document| {
            let (path, value): (&[&str], &str) = match document.at(&["spec", "pd"]) {
                Some(_) => (&["spec", "pd", "replicas"], "0"),
                None => (&["spec", "pd"], "(absent)"),
            };
            let sentence =
                "no PD of its own and no spec.cluster: there is nothing to join, and nothing here ever starts";
            at(document, HazardId::WrongClusterReference, path, value, sentence)
                .then("spec.cluster with name, namespace and clusterDomain of a TidbCluster with PD; or spec.pd")
        })
        .collect()
}

/// 30 and 54. What the TidbClusters of one Database have together.
fn together(clusters: &[&Document]) -> Vec<Finding> {
    let mut groups: BTreeMap<usize, Vec<&Document>> = BTreeMap::new();
    for document in clusters {
        let mut root = *document;
        for _ in clusters {
            match target(clusters, root) {
                Some(next) => root = next,
                None => break,
            }
        }
        let index = clusters.iter().position(|other| std::ptr::eq(*other, root)).unwrap_or_default();
        groups.entry(index).or_default().push(document);
    }
    let mut all = Vec::new();
    for (index, members) in groups {
        let root = clusters[index];
        // What joins something elsewhere is a part of an unknown whole.
        if reference(root).is_some() || root.at(&["spec", "pdAddresses"]).is_some() {
            continue;
        }
        let sum = |component: &str| total(members.iter().map(|document| replicas(document, component)));
        let (pd, tikv) = (sum("pd"), sum("tikv"));
        // More may join one that is opened, and until then this is the whole.
        if pd > 0 && pd % 2 == 0 {
            let sentence = match pd {
                2 => "2 PD: the loss of either stops everything, as with one; 3 tolerate a loss".to_owned(),
                _ => format!("{pd} PD tolerate no more losses than {}", pd - 1),
            };
            all.push(
                at(root, HazardId::UnevenPdSpread, &["spec", "pd", "replicas"], pd.to_string(), sentence)
                    .then("an odd number of PD in all TidbClusters together"),
            );
        }
        let told = root.at(&["spec", "pd", "config"]).and_then(max_replicas);
        let wanted = told.unwrap_or(3);
        // One PD with one TiKV is a trial, and says so.
        let trial = tikv == 1 && pd <= 1 && told.is_none();
        if tikv > 0 && tikv < wanted && !trial {
            let sentence = format!("{tikv} TiKV for {wanted} copies of each region: they cannot all be placed");
            all.push(
                at(root, HazardId::TooFewTikv, &["spec", "tikv", "replicas"], tikv.to_string(), sentence)
                    .then(format!("{wanted} TiKV or more in all TidbClusters together")),
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
            // A text for people shows one object in several variants; patches are for one object.
            let variants = other.in_shell && document.in_shell && other.file == document.file;
            !variants && !other.is_part() && !document.is_part() && same(other, document)
        });
        let Some(twin) = twin else { continue };
        let sentence = format!(
            "{}:{} has the same name, namespace and domain; two such TidbClusters cannot be told apart",
            twin.file, twin.first_line
        );
        let value =
            format!("{}, {}, {}", document.name(), document.namespace, domain(document).unwrap_or("(no domain)"));
        all.push(
            at(document, HazardId::DuplicateTriple, &["metadata", "name"], value, sentence)
                .then("another namespace or name for one of them"),
        );
    }
    all
}
