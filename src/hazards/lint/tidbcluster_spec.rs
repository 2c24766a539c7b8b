//! The rules for one document: what its own fields say. What documents say of one another is [`crate::hazards::lint::references`].

use crate::fleet::hazard_id::HazardId;
use serde_json::Value;

use super::super::tidbcluster_spec::failover_applies;
use super::super::{Finding, Severity};
use super::at;
use super::name_and_version_syntax::{VersionFault, domain_fault, max_replicas, name_fault, version_fault};
use super::placeholders::{self, name_placeholder};
use super::text_fields::NAMES;
use super::unknown_fields;
use super::yaml_documents::{Document, Set};
use super::{Location, Subject};
use crate::fleet::certificate_facts::allowed_names;
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::rollout::{Held, held};
use crate::fleet::tidbcluster::Component;
use crate::fleet::version::Version;
use crate::pluralize::counted;

pub(super) fn judge(set: &Set) -> Vec<Finding> {
    let mut all = Vec::new();
    for document in &set.documents {
        all.extend(placeholders::judge(document));
    }
    for forgotten in &set.forgotten {
        let name = &forgotten.variable.name;
        let subject = Subject::of_pd(SubjectKind::Variable, name);
        let sentence =
            format!("nothing sets the variable {name}, although others beside it are set: an empty text is applied");
        let mut finding =
            Finding::new(HazardId::UnreplacedVariable, None, sentence).saw(&subject, "assignment", "(none)", None);
        finding.location = Some(Location { file: forgotten.file.clone(), line: forgotten.variable.line });
        all.push(finding.on(subject).then(format!("set {name}, or correct its spelling here")));
    }
    for twice in &set.twice {
        let subject = Subject::of_pd(SubjectKind::Key, &twice.key);
        let sentence =
            format!("{} stands twice in one mapping; the last one counts, and the others are lost", twice.key);
        let mut finding = Finding::new(HazardId::DuplicateKey, None, sentence).saw(&subject, "key", &twice.key, None);
        finding.location = Some(Location { file: twice.file.clone(), line: twice.line });
        all.push(finding.on(subject).then(format!("leave one {}", twice.key)));
    }
    // A fragment without a name is an example of one field, not an object.
    for document in set.tidb_clusters().filter(|document| !document.name().is_empty()) {
        let rules: [fn(&Document) -> Vec<Finding>; 15] = [
            names,
            versions,
            across,
            failover,
            rolled,
            reclaim,
            tiproxy_and_microservices,
            common_names,
            one_pd,
            addresses,
            force_upgrade,
            standing_still,
            reclaims_volumes,
            copies,
            unknown_fields::judge,
        ];
        all.extend(rules.iter().flat_map(|rule| rule(document)));
    }
    all
}

fn components(document: &Document) -> impl Iterator<Item = (Component, &Value)> {
    Component::ALL.into_iter().filter_map(|component| Some((component, document.at(&["spec", component.key()])?)))
}

pub(super) fn domain(document: &Document) -> Option<&str> {
    document.text_at(&["spec", "clusterDomain"]).filter(|domain| !domain.is_empty())
}

pub(super) fn is_true(document: &Document, path: &[&str]) -> bool {
    document.at(path).and_then(Value::as_bool) == Some(true)
}

/// Meant for several KubeClusters. A reference without a domain alone is a TidbCluster beside another one in the same
/// KubeCluster.
fn opened(document: &Document) -> bool {
    is_true(document, &["spec", "acrossK8s"])
        || document.at(&["spec", "clusterDomain"]).is_some()
        || document.text_at(&["spec", "cluster", "clusterDomain"]).is_some_and(|domain| !domain.is_empty())
}

/// 74. Names that DNS cannot carry.
fn names(document: &Document) -> Vec<Finding> {
    let mut all = Vec::new();
    for path in NAMES {
        let brace = placeholders::bare_brace(document.at(path)).is_some();
        if let Some(value) = document.at(path).filter(|value| !value.is_string() && !brace) {
            let sentence = format!("{} is {value}, which is no text: the API refuses it", path.join("."));
            all.push(
                at(document, HazardId::NoDnsName, path, value.to_string(), sentence).then("a DNS name, in quotes"),
            );
        }
        let Some(text) = document.text_at(path).filter(|text| !text.is_empty()) else { continue };
        // What is a placeholder is said as such, or is the reader's to replace.
        if name_placeholder(text).is_some() || (document.in_shell && text.contains('$')) {
            continue;
        }
        let fault = match path[path.len() - 1] {
            "clusterDomain" => domain_fault(text),
            "namespace" => name_fault(text, 63).or_else(|| text.contains('.').then_some("has a dot in it")),
            _ => name_fault(text, 253),
        };
        let Some(fault) = fault else { continue };
        let field = path.join(".");
        let sentence = format!("{field} is {text:?}, which {fault}");
        let example = if path[path.len() - 1] == "clusterDomain" { "such as cluster.local" } else { "in lower case" };
        all.push(at(document, HazardId::NoDnsName, path, text, sentence).then(format!("a plain DNS name, {example}")));
    }
    all
}

/// 73. Versions that are none.
fn versions(document: &Document) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut judge = |path: &[&str]| {
        let Some(value) = document.at(path) else { return };
        let field = path.join(".");
        let Some(text) = value.as_str() else {
            let sentence = format!("{field} is {value}, which is no text: the API refuses it");
            all.push(
                at(document, HazardId::NoVersion, path, value.to_string(), sentence).then("quote it, as in \"v8.5.4\""),
            );
            return;
        };
        if name_placeholder(text).is_some() || (document.in_shell && text.contains('$')) || text.is_empty() {
            return;
        }
        let found = match version_fault(text) {
            Some(VersionFault::NoTag) => at(
                document,
                HazardId::NoVersion,
                path,
                text,
                format!("{field} is {text:?}, and no image can have that tag: its pods never start"),
            ),
            Some(VersionFault::NoVersion) => at(
                document,
                HazardId::NoVersion,
                path,
                text,
                format!(
                    "{field} is {text:?}, which says nothing about the version: what runs depends on when it was pulled"
                ),
            )
            .severity(Severity::Medium),
            None => return,
        };
        all.push(found.then("a whole version, such as v8.5.4"));
    };
    judge(&["spec", "version"]);
    for component in Component::ALL {
        // TiProxy has versions of its own, and they are written in the same way.
        judge(&["spec", component.key(), "version"]);
    }
    all
}

/// 4. Opened by a domain or a reference to another KubeCluster, without acrossK8s.
fn across(document: &Document) -> Vec<Finding> {
    let across = document.at(&["spec", "acrossK8s"]).and_then(Value::as_bool);
    if !opened(document) || across == Some(true) || (document.is_part() && across.is_none()) {
        return Vec::new();
    }
    let path = ["spec", "acrossK8s"];
    let value = across.map_or("(absent)".to_owned(), |across| across.to_string());
    let sentence = "acrossK8s is not true, though the object names a domain or another TidbCluster";
    vec![
        at(document, HazardId::AcrossK8sMissing, &path, value, sentence)
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
                None if document.is_part() => return None,
                None => "(absent: 3)".into(),
            };
            let path = ["spec", component.key(), "maxFailoverCount"];
            let sentence = format!("failover is on for {}", component.title());
            Some(at(document, HazardId::FailoverOn, &path, value, sentence).then("maxFailoverCount: 0"))
        })
        .collect()
}

/// 8.
fn rolled(document: &Document) -> Vec<Finding> {
    let part = document.is_part();
    let general = document.text_at(&["spec", "configUpdateStrategy"]).filter(|strategy| !strategy.is_empty());
    let mut all = Vec::new();
    let mut told = false;
    let in_place = |value: &str, sentence: &str| {
        let path = ["spec", "configUpdateStrategy"];
        at(document, HazardId::ConfigNotRolled, &path, value, sentence).then("configUpdateStrategy: RollingUpdate")
    };
    for (component, spec) in components(document) {
        let own = spec.get("configUpdateStrategy").and_then(Value::as_str);
        let has_config = spec.get("config").is_some_and(|config| !config.is_null());
        match held(component, own.or(general).unwrap_or("InPlace"), has_config) {
            Some(Held::InPlace) if own.is_some() => {
                let path = ["spec", component.key(), "configUpdateStrategy"];
                let sentence = format!("a change of {}'s configuration will not restart its pods", component.title());
                all.push(
                    at(document, HazardId::ConfigNotRolled, &path, own.unwrap_or_default(), sentence)
                        .then("configUpdateStrategy: RollingUpdate"),
                );
            }
            // It is one field that is wrong for all of them.
            // One that is alone may well have the operator's default: a note ([`not_rolled`]).
            Some(Held::InPlace) if general.is_none() && !opened(document) => {}
            Some(Held::InPlace) if !told && (!part || general.is_some()) => {
                told = true;
                let value = general.unwrap_or("(absent: InPlace)");
                all.push(in_place(value, "a change of the configuration will not restart any pod"));
            }
            Some(Held::NoConfig) if !part => {
                let path = ["spec", component.key(), "config"];
                let sentence = format!(
                    "{} has no config: a change of its start script will not restart its pods",
                    component.title()
                );
                all.push(
                    at(document, HazardId::ConfigNotRolled, &path, "(absent)", sentence).then("config: {} is enough"),
                );
            }
            Some(Held::InPlace | Held::NoConfig) | None => {}
        }
    }
    if part && !told && general == Some("InPlace") {
        all.push(in_place("InPlace", "a change of the configuration will not restart any pod"));
    }
    all
}

/// What is no fault of a TidbCluster that is alone: the operator's default.
pub(super) fn not_rolled(document: &Document) -> Option<String> {
    let bare = !document.name().is_empty() && !document.is_part() && !opened(document);
    let given = |path: &[&str]| document.text_at(path).is_some_and(|strategy| !strategy.is_empty());
    let left = components(document).any(|(component, _)| !given(&["spec", component.key(), "configUpdateStrategy"]));
    (bare && left && !given(&["spec", "configUpdateStrategy"])).then(|| {
        format!(
            "{}:{}: configUpdateStrategy is left out, which is InPlace: a change of the configuration restarts no pod",
            document.file, document.first_line
        )
    })
}

/// 61.
fn reclaim(document: &Document) -> Vec<Finding> {
    let path = ["spec", "pvReclaimPolicy"];
    match document.text_at(&path) {
        Some(policy @ ("Delete" | "Recycle")) => {
            let sentence = format!("pvReclaimPolicy is {policy}: deleting a claim destroys its data");
            vec![at(document, HazardId::ReclaimPolicyDelete, &path, policy, sentence).then("pvReclaimPolicy: Retain")]
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
            at(document, HazardId::TiproxyWithAcrossK8s, &["spec", "tiproxy"], "present", sentence)
                .then("leave spec.tiproxy out"),
        );
    }
    let listed = document.at(&["spec", "pdms"]).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let mode = document.text_at(&["spec", "pd", "mode"]) == Some("ms");
    if listed || mode {
        let path: &[&str] = if listed { &["spec", "pdms"] } else { &["spec", "pd", "mode"] };
        let sentence = "PD as microservices in a TidbCluster opened for others";
        all.push(
            at(document, HazardId::PdMicroservicesAcrossK8s, path, "present", sentence)
                .then("leave pdms and pd.mode out"),
        );
    }
    all
}

/// 22. More than one common name.
fn common_names(document: &Document) -> Vec<Finding> {
    let mut all = Vec::new();
    for (component, spec) in components(document) {
        let names = spec.get("config").and_then(allowed_names).map_or(0, |names| names.len());
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
            at(document, HazardId::CommonNameMismatch, &path, counted(names, "name"), sentence)
                .then("one common name for all certificates"),
        );
    }
    all
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
        at(document, HazardId::SinglePdJoin, &path, "1", sentence)
            .then("replicas: 3, at least until the others have joined"),
    ]
}

/// 40. Addresses of an existing PD with the other scheme.
fn addresses(document: &Document) -> Vec<Finding> {
    let path = ["spec", "pdAddresses"];
    let tls = is_true(document, &["spec", "tlsCluster", "enabled"]);
    let scheme = if tls { "https://" } else { "http://" };
    let listed = document.at(&path).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    listed
        .filter(|url| !(url.starts_with(scheme) || document.in_shell && url.starts_with('$')))
        .map(|url| {
            let sentence = format!("{url} does not begin with {scheme}, as tlsCluster asks for");
            at(document, HazardId::PeerUrlWrongScheme, &path, url, sentence).then(format!("{scheme}HOST:2379"))
        })
        .collect()
}

/// 51.
fn force_upgrade(document: &Document) -> Vec<Finding> {
    let path = ["metadata", "annotations", "tidb.pingcap.com/force-upgrade"];
    let value = document.at(&path).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let set = value.filter(|value| value == "true");
    set.map(|value| {
        at(
            document,
            HazardId::ForceUpgradeLeft,
            &path,
            value,
            "the annotation force-upgrade is set: PD is restarted without any safety when the operator cannot reach it",
        )
        .then("leave the annotation out; set it by hand in an emergency, and take it away again")
    })
    .into_iter()
    .collect()
}

/// 15 and 70.
fn standing_still(document: &Document) -> Vec<Finding> {
    let mut all = Vec::new();
    // A page that shows these fields shows them.
    if document.in_shell && document.is_part() {
        return all;
    }
    if is_true(document, &["spec", "paused"]) {
        all.push(
            at(
                document,
                HazardId::Paused,
                &["spec", "paused"],
                "true",
                "paused: the operator does nothing with this TidbCluster",
            )
            .then("leave spec.paused out"),
        );
    }
    if is_true(document, &["spec", "suspendAction", "suspendStatefulSet"]) {
        let sentence = "suspendAction: the operator takes all pods of this TidbCluster away";
        all.push(
            at(document, HazardId::Suspended, &["spec", "suspendAction"], "suspendStatefulSet: true", sentence)
                .then("leave spec.suspendAction out, if it is to run"),
        );
    }
    for (component, _) in components(document) {
        let path = ["spec", component.key(), "suspendAction", "suspendStatefulSet"];
        if is_true(document, &path) {
            let sentence = format!("suspendAction: the operator takes all pods of {} away", component.title());
            all.push(
                at(document, HazardId::Suspended, &path[..3], "suspendStatefulSet: true", sentence)
                    .then(format!("leave spec.{}.suspendAction out, if it is to run", component.key())),
            );
        }
    }
    all
}

/// 72.
fn reclaims_volumes(document: &Document) -> Vec<Finding> {
    let path = ["spec", "enablePVReclaim"];
    if !is_true(document, &path) {
        return Vec::new();
    }
    let sentence = "enablePVReclaim is true: the operator deletes the volumes of pods that were scaled in, whatever pvReclaimPolicy says";
    vec![
        at(document, HazardId::VolumesReclaimed, &path, "true", sentence)
            .then("enablePVReclaim: false, and delete claims by hand"),
    ]
}

/// 71. One or two copies of each region.
fn copies(document: &Document) -> Vec<Finding> {
    let path = ["spec", "pd", "config"];
    let Some(count) = document.at(&path).and_then(max_replicas).filter(|count| *count < 3) else { return Vec::new() };
    let (severity, what) = match count {
        2 => (Severity::Medium, "two copies of each region: with one of them lost the other has no majority"),
        _ => (Severity::High, "one copy of each region: what is lost with a store is lost for good"),
    };
    let sentence = format!("max-replicas is {count}: {what}");
    vec![
        at(document, HazardId::TooFewCopies, &path, format!("max-replicas {count}"), sentence)
            .severity(severity)
            .then("max-replicas = 3, or leave it out (PD counts it only at the first start; later: pd-ctl config set max-replicas 3)"),
    ]
}
