//! The docs lint: the catalogue's rules over what a person is about to apply. YAML, or shell text with YAML in it.
//!
//! Takes texts, not files (whoever reads them is `cli::check`), and knows nothing of a live fleet: a reference is judged
//! only against the other documents of the same set. Findings carry file and line. Not here: objects that are applied
//! already (the rest of [`super`]).
//!
//! Reading order: [`shell_variables`] (what shell text sets) → [`shell_text`] (text → commands and here-documents, variables replaced
//! as a shell would) → [`yaml_documents`] (texts → a set of objects with their lines) → the rules: [`tidbcluster_spec`] (one TidbCluster,
//! over the tables of [`name_and_version_syntax`]), [`unknown_fields`], [`placeholders`], [`references`] (several), [`certificates`], [`command_rules`].

mod certificates;
mod command_rules;
mod embedded_objects;
mod kustomize;
mod limits;
pub(super) mod name_and_version_syntax;
pub(super) mod placeholders;
mod references;
mod shell_quotes;
mod shell_text;
mod shell_variables;
mod tidbcluster_spec;
pub mod unknown_fields;
mod yaml_documents;

use crate::fleet::hazard_id::HazardId;
use crate::fleet::not_seen::{NotSeen, NotSeenKind};
use crate::hazards::{Checked, Finding, Location, Subject};
use limits::cut;
use yaml_documents::{Document, Set};

/// One text to judge.
#[derive(Clone, Debug)]
pub struct Text {
    /// As findings name it.
    pub file: String,
    pub text: String,
}

/// Judges a set of texts that belong together.
pub fn lint(texts: &[Text]) -> Checked {
    let mut set = yaml_documents::read(texts);
    kustomize::apply(&mut set);
    let unread =
        set.unreadable.iter().map(|why| NotSeen::new(NotSeenKind::FileUnreadable, [], why)).collect::<Vec<_>>();
    let mut checked = Checked { unseen: unread.into(), ..Checked::default() };
    checked.findings.extend(tidbcluster_spec::judge(&set));
    checked.findings.extend(references::judge(&set));
    checked.findings.extend(certificates::judge(&set));
    checked.findings.extend(command_rules::judge(&set));
    let place = |finding: &Finding| finding.location.as_ref().map(|at| (at.file.clone(), at.line));
    checked.findings.sort_by(|a, b| {
        (place(a), std::cmp::Reverse(a.severity), a.id(), &a.sentence).cmp(&(
            place(b),
            std::cmp::Reverse(b.severity),
            b.id(),
            &b.sentence,
        ))
    });
    checked.findings.dedup();
    checked.notes.extend(set.tidb_clusters().filter_map(tidbcluster_spec::not_rolled));
    checked.notes.extend(placeholders::notes(&set));
    checked.notes.extend(set.notes.iter().cloned());
    // What was read, in the place of Databases: nothing at all is no all-clear.
    checked.databases = texts.iter().map(|text| text.file.clone()).collect();
    checked.unseen.extend(not_judged(&set).into_iter().map(|why| NotSeen::new(NotSeenKind::FileNotJudged, [], why)));
    let parts = set.tidb_clusters().filter(|document| !document.name().is_empty() && document.is_part());
    checked.notes.extend(parts.map(|document| {
        format!(
            "{}:{}: this is a part of an object (TidbCluster {}), a patch perhaps: what it leaves out is not judged",
            document.file,
            document.first_line,
            document.name()
        )
    }));
    checked
}

/// What nobody judged: an all-clear about it would be none.
fn not_judged(set: &Set) -> Vec<String> {
    let mut all = Vec::new();
    if set.documents.is_empty() && set.commands.is_empty() {
        if set.unreadable.is_empty() {
            all.push(
                "nothing was found to judge: no YAML object, no here-document, no kubectl or curl line".to_owned(),
            );
        }
        return all;
    }
    let group = |document: &Document| document.api_version().split('/').next().unwrap_or_default().to_owned();
    let kinds = |of: &mut dyn Iterator<Item = &Document>| {
        let mut kinds: Vec<&str> =
            of.map(|document| if document.kind().is_empty() { "(no kind)" } else { document.kind() }).collect();
        kinds.sort_unstable();
        kinds.dedup();
        // A kind is whatever somebody wrote there.
        cut(&kinds.join(", "), 600).to_owned()
    };
    let second = kinds(&mut set.documents.iter().filter(|document| group(document) == "core.pingcap.com"));
    if !second.is_empty() {
        all.push(format!(
            "objects of TiDB Operator v2 are not judged ({second}): only TidbClusters of Operator v1 span KubeClusters with acrossK8s"
        ));
    }
    let judged = |document: &Document| {
        document.is_tidb_cluster()
            || matches!(document.kind(), "Certificate" | "Issuer" | "ClusterIssuer")
            || document.at(&["hosts"]).is_some()
    };
    let none = set.commands.is_empty() && !set.documents.iter().any(judged);
    if none && second.is_empty() {
        let found = kinds(&mut set.documents.iter());
        all.push(format!(
            "nothing in it is judged: {found}; TidbClusters, Certificates and Issuers are, and shell text that changes them"
        ));
    }
    all
}

/// A finding about a field of a document.
fn at(
    document: &Document,
    id: HazardId,
    path: &[&str],
    value: impl Into<String>,
    sentence: impl Into<String>,
) -> Finding {
    let subject = document.subject();
    let mut finding = Finding::new(id, None, sentence).saw(&subject, &path.join("."), value, None).on(subject);
    finding.location = Some(Location { file: document.file.clone(), line: document.line(path) });
    finding
}

#[cfg(test)]
mod limits_tests;
#[cfg(test)]
mod tests;
mod text_fields;
#[cfg(test)]
mod whole_file_tests;
