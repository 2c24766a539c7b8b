//! The docs lint: the catalogue's rules over what a person is about to apply. YAML, or shell text with YAML in it.
//!
//! Takes texts, not files (whoever reads them is `cli::check`), and knows nothing of a live fleet: a reference is judged
//! only against the other documents of the same set. Findings carry file and line. Not here: objects that are applied
//! already (the rest of [`super`]).
//!
//! Reading order: [`shell`] (text → commands and here-documents, variables replaced as a shell would) → [`documents`]
//! (texts → a set of objects with their lines) → [`objects`], [`certificates`], [`commands`] (the rules).

mod certificates;
mod commands;
mod documents;
mod objects;
mod shell;

use super::{Checked, Finding, Location, Subject};
use documents::Document;

/// One text to judge.
#[derive(Clone, Debug)]
pub struct Text {
    /// As findings name it.
    pub file: String,
    pub text: String,
}

/// Judges a set of texts that belong together.
pub fn lint(texts: &[Text]) -> Checked {
    let set = documents::read(texts);
    let mut checked = Checked { unseen: set.unreadable.clone(), ..Checked::default() };
    checked.findings.extend(objects::judge(&set));
    checked.findings.extend(certificates::judge(&set));
    checked.findings.extend(commands::judge(&set));
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
    // What was read, in the place of Databases: nothing at all is no all-clear.
    checked.databases = texts.iter().map(|text| text.file.clone()).collect();
    if set.documents.is_empty() && set.commands.is_empty() {
        checked
            .unseen
            .push("nothing was found to judge: no YAML object, no here-document, no kubectl or curl line".into());
    }
    checked
}

/// A finding about a field of a document.
fn at(
    document: &Document,
    id: &'static str,
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
mod tests;
