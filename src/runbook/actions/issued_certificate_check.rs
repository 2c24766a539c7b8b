//! What the two actions that make certificates have in common: their limits, and what a good one is.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::action_types::{Replaced, Signer};
use super::super::before_after_image::Image;
use super::Action;
use super::with_error::BadWith;
use crate::fleet::ObjectRef;
use crate::fleet::certificate_facts::{SecretFacts, fingerprint, kept_by};
use crate::fleet::managed_fields::last_writer_of_object;
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind, uid};
use crate::fleet::tls::{CertificateFault, KEYS};
use crate::invalid_value::Misread;
use crate::runbook::actions::judge_types::{Judged, Look, deleting};

/// Longest life of a certificate, in days: a hundred years.
const MOST_DAYS: u32 = 36_500;

/// An action that makes a certificate.
pub(super) trait Issues {
    fn secret(&self) -> &ObjectRef;
    /// Whose CA signs; `None`: it is one itself.
    fn authority(&self) -> Option<&ObjectRef>;
    fn replaces(&self) -> Option<&Replaced>;
    /// For people: what the certificate is to say.
    fn asked_for(&self) -> Value;
    /// What is wrong with a Secret that it made, or that stands in its place.
    fn faults(&self, facts: &SecretFacts, now: Timestamp) -> Vec<String>;
}

impl Action {
    /// What is wrong with a Secret that such an action made, or that stands in its place; empty: it is good. One that expires
    /// soon is good still.
    pub fn faults_of_issued(&self, facts: &SecretFacts, now: Timestamp) -> Vec<String> {
        match self {
            Action::IssueCa(issue) => issue.faults(facts, now),
            Action::IssueCertificate(issue) => issue.faults(facts, now),
            _ => Vec::new(),
        }
    }
}

pub(super) fn faults(troubles: Vec<CertificateFault>, common_name: &str, facts: &SecretFacts) -> Vec<String> {
    let lasting = troubles.into_iter().filter(|trouble| !trouble.kind.only_warns());
    let mut faults: Vec<String> = lasting.map(|trouble| trouble.sentence).collect();
    match &facts.certificate {
        Some(found) if found.common_name != *common_name => {
            faults.push(format!("expected common name {common_name:?}, found {:?}", found.common_name));
        }
        None if faults.is_empty() => faults.push("it holds no certificate".into()),
        Some(_) | None => {}
    }
    faults
}

/// A certificate is done when there is a good one, whoever made it: signed by the CA that was asked for, and with all that was
/// asked for. One that is to be replaced is done when it is another one than that.
#[expect(clippy::too_many_lines, reason = "one judgement, in the order in which its parts may be believed")]
pub(super) fn judged(action: &impl Issues, look: &Look<'_>) -> Judged {
    let to = ObjectId::new(ObjectKind::Secret, action.secret());
    let authority = action.authority().map(|of| ObjectId::new(ObjectKind::Secret, of));
    let found = match look.sight(&to) {
        Ok(Lookup::Absent) => None,
        Ok(Lookup::Present(found)) => Some(found),
        Ok(Lookup::Unseen(why)) => return Judged::Waiting(why.clone()),
        Err(judged) => return judged,
    };
    let signer = match authority.as_ref().map(|authority| (authority, look.sight(authority))) {
        None => None,
        Some((_, Ok(Lookup::Present(secret)))) => SecretFacts::of(secret),
        Some((authority, Ok(Lookup::Absent))) => {
            return Judged::Waiting(format!("{authority}, the CA that is to sign, is not there"));
        }
        Some((_, Ok(Lookup::Unseen(why)))) => return Judged::Waiting(why.clone()),
        Some((_, Err(judged))) => return judged,
    };
    let after = Image::Issued(action.asked_for());
    let Some(found) = found else {
        return Judged::NotDone { before: Image::Absent, after };
    };
    if deleting(found) {
        return Judged::Waiting(format!("{to} is being deleted"));
    }
    let Some(facts) = SecretFacts::of(found) else {
        return Judged::Waiting(format!("{to} was seen without what its certificate says"));
    };
    let mut faults = action.faults(&facts, look.seen.at);
    if authority.is_some() {
        let known = |key: &String| {
            signer.as_ref().is_some_and(|ca| {
                ca.signed_by.as_ref() == Some(key) || ca.certificate.as_ref().is_some_and(|own| own.public_key == *key)
            })
        };
        if !facts.signed_by.as_ref().is_some_and(known) {
            faults.push("it is signed by another CA".into());
        }
    }
    let certificate = facts.certificate.as_ref();
    if let Some(replaces) = action.replaces()
        && fingerprint(found) == replaces.fingerprint
    {
        if let Some(name) = kept_by(found) {
            return Judged::Refuse(format!(
                "cert-manager keeps {to} (Certificate {name}) and would put its own back: change that Certificate instead"
            ));
        }
        if uid(found) == replaces.uid {
            // Under the name of what is asked for, so that a plan shows the one against the other.
            let before = Image::Issued(json!({
                "commonName": certificate.map(|certificate| &certificate.common_name),
                "fingerprint": replaces.fingerprint,
                "notAfter": certificate.map(|certificate| certificate.not_after),
            }));
            return Judged::NotDone { before, after };
        }
    }
    let evidence = json!({
        "uid": uid(found),
        "fingerprint": certificate.map(|certificate| &certificate.fingerprint),
        "notAfter": certificate.map(|certificate| certificate.not_after),
    });
    if faults.is_empty() {
        return Judged::Done { evidence };
    }
    let who = last_writer_of_object(found).map_or_else(String::new, |who| format!(" ({who})"));
    Judged::Foreign {
        sentence: format!("{to} exists already and is not what is wanted: {}{who}", faults.join("; ")),
        before: Image::Absent,
        ours: after,
        theirs: Image::from(json!({"seen": evidence, "faults": faults})),
    }
}

pub(super) fn certificate_for(common_name: &str, days: u32) -> Result<(), Misread> {
    // The longest that X.509 takes.
    if common_name.is_empty() || common_name.len() > 64 || common_name.chars().any(char::is_control) {
        return Err(Misread::new("a common name of 1 to 64 characters", common_name));
    }
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(Misread::plain(format!("1 to {MOST_DAYS} days"), days.to_string()));
    }
    Ok(())
}

/// The signer that a document names.
pub(super) fn signed_by(signer: &str, folder: Option<String>) -> Result<Signer, BadWith> {
    match (signer, folder.filter(|folder| !folder.trim().is_empty())) {
        ("builtin", _) => Ok(Signer::Builtin),
        ("cfssl", Some(folder)) => Ok(Signer::Cfssl { folder }),
        ("cfssl", None) => BadWith::refused("cfssl needs a folder for its files"),
        (other, _) => Err(Misread::new("signer builtin or cfssl", other).into()),
    }
}

/// The same as a document has it.
pub(super) fn signed(signer: &Signer) -> (&'static str, Option<&str>) {
    match signer {
        Signer::Builtin => ("builtin", None),
        Signer::Cfssl { folder } => ("cfssl", Some(folder)),
    }
}

/// In the place of a certificate's values.
pub(super) fn never_shown() -> Value {
    let made = |key: &str| (key.to_owned(), json!("(made when it is sent; never shown)"));
    Value::Object(KEYS.into_iter().map(made).collect())
}
