//! Names and versions as the objects have them: variables that were never replaced, tags that are none, names that DNS cannot carry.
//!
//! Hazards 12, 73 and 74; what a text can be is [`crate::hazards::lint::name_and_version_syntax`]'s, what a placeholder looks like
//! [`crate::hazards::lint::placeholders`]'.

use crate::fleet::dns::normal;
use crate::fleet::hazard_id::HazardId;
use crate::hazards::check_context::CheckContext;
use crate::hazards::lint::name_and_version_syntax::{VersionFault, domain_fault, version_fault};
use crate::hazards::lint::placeholders::any_placeholder;
use crate::hazards::{Finding, OfDatabase, Severity};

pub(super) const ALL: &[OfDatabase] = &[unreplaced_variable, no_version, no_dns_name];

/// 12. An empty domain or a variable that no shell replaced.
fn unreplaced_variable(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in &scene.parts {
        let spec = &part.tc.spec;
        let reference = spec.cluster.as_ref();
        let texts = [
            ("spec.clusterDomain", spec.cluster_domain.as_deref()),
            ("spec.version", spec.version.as_deref()),
            ("spec.cluster.name", reference.map(|to| to.name.as_str())),
            ("spec.cluster.namespace", reference.and_then(|to| to.namespace.as_deref())),
            ("spec.cluster.clusterDomain", reference.and_then(|to| to.cluster_domain.as_deref())),
        ];
        for (field, value) in texts.into_iter().filter_map(|(field, value)| Some((field, value?))) {
            let sentence = match value {
                "" => format!("{field} is an empty text: a variable was not set when the YAML was applied"),
                value if any_placeholder(value).is_some() => {
                    format!("{field} is {value:?}: a variable was never replaced")
                }
                _ => continue,
            };
            all.push(
                scene
                    .find_at(HazardId::UnreplacedVariable, part, sentence)
                    .saw(&part.subject(), field, format!("{value:?}"), part.seen())
                    .then(format!(
                        "write the real value there; check the YAML first: tidepilot check --file FILE (object: {})",
                        part.of
                    )),
            );
        }
    }
    all
}

/// 73.
fn no_version(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in &scene.parts {
        let own = part.tc.components().filter_map(|(component, spec)| {
            Some((format!("spec.{}.version", component.key()), spec.version.as_deref()?))
        });
        let general = part.tc.spec.version.as_deref().map(|version| ("spec.version".to_owned(), version));
        for (field, version) in general.into_iter().chain(own) {
            // What is empty or a variable is a finding of its own.
            if version.is_empty() || any_placeholder(version).is_some() {
                continue;
            }
            let (severity, sentence) = match version_fault(version) {
                Some(VersionFault::NoTag) => {
                    (Severity::High, format!("{field} is {version:?}, and no image can have that tag"))
                }
                Some(VersionFault::NoVersion) => (
                    Severity::Medium,
                    format!(
                        "{field} is {version:?}, which says nothing about the version: what runs depends on when it was pulled"
                    ),
                ),
                None => continue,
            };
            all.push(
                scene
                    .find_at(HazardId::NoVersion, part, sentence)
                    .severity(severity)
                    .saw(&part.subject(), &field, format!("{version:?}"), part.seen())
                    .then("write the whole version that runs, such as v8.5.4: the image in the pods' status tells which; to name another one is an upgrade"),
            );
        }
    }
    all
}

/// 74.
fn no_dns_name(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in &scene.parts {
        let reference = part.tc.spec.cluster.as_ref().and_then(|to| to.cluster_domain.as_deref());
        let domains = [("spec.clusterDomain", part.tc.domain()), ("spec.cluster.clusterDomain", reference)];
        for (field, domain) in domains.into_iter().filter_map(|(field, domain)| Some((field, domain?))) {
            let Some(fault) = domain_fault(domain).filter(|_| !domain.is_empty() && any_placeholder(domain).is_none())
            else {
                continue;
            };
            // DNS takes it for the plain form, so nothing is lost by going back to it.
            let plain = normal(domain);
            let then = match (domain_fault(&plain), field) {
                (None, "spec.clusterDomain") => {
                    format!("put the plain form back: {}", part.patch(&format!("{{\"clusterDomain\":{plain:?}}}")))
                }
                (None, _) => part.patch(&format!("{{\"cluster\":{{\"clusterDomain\":{plain:?}}}}}")),
                (Some(_), _) => "the plain domain that the cluster's DNS serves, such as cluster.local; a TidbCluster that has started under another one is not changed, but made anew".to_owned(),
            };
            all.push(
                scene
                    .find_at(HazardId::NoDnsName, part, format!("{field} is {domain:?}, which {fault}"))
                    .saw(&part.subject(), field, format!("{domain:?}"), part.seen())
                    .then(then),
            );
        }
    }
    all
}
