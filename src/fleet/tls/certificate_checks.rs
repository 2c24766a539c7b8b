//! What is wrong with the certificates that a TidbCluster has: keys of the Secret, names, uses, times (too soon at [`SOON`]), the
//! signer; then all of one Database.
//!
//! Judged by names, uses, times and fingerprints only ([`SecretFacts`]). Pure. Not here: which certificates are needed
//! ([`super::required_certificates`]), whether those of a Database fit each other ([`super::ca_trust`]), what only OpenSSL refuses
//! ([`super::openssl_strictness`]).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::certificate_fault_kinds::{CertificateFault, CertificateFaultKind, TroubleOf};
use super::required_certificates::{Purpose, Wanted, secret, wanted_of};
use super::{ca_trust, openssl_strictness};
use crate::fleet::certificate_facts::{CertificateFacts, SecretFacts};
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::version::Version;
use crate::fleet::{Fleet, ObjectRef};
use crate::pluralize::counted;

/// The keys that every one of these Secrets must have.
pub const KEYS: [&str; 3] = ["ca.crt", "tls.crt", "tls.key"];

/// A certificate that ends sooner than this wants to be renewed (`renewBefore` of the documents: 360 h).
pub const SOON: SignedDuration = SignedDuration::from_hours(360);

/// Everything wrong with what was seen at the place of one Secret. `None`: nobody looked.
pub fn troubles_at(wanted: &Wanted, sight: Option<&Lookup>, now: Timestamp) -> Vec<CertificateFault> {
    let one = |kind, sentence: String| vec![CertificateFault { kind, secret: wanted.secret.clone(), sentence }];
    let named = format!("Secret {} ({})", wanted.secret, wanted.title);
    match sight {
        None => one(CertificateFaultKind::Unseen, format!("{named} was not looked at")),
        Some(Lookup::Unseen(why)) => one(CertificateFaultKind::Unseen, format!("{named} cannot be read: {why}")),
        Some(Lookup::Absent) => one(
            CertificateFaultKind::Absent,
            format!("{named} is not there: pods that mount it stay in ContainerCreating; issue it first"),
        ),
        Some(Lookup::Present(secret)) => match SecretFacts::of(secret) {
            Some(facts) => troubles(wanted, &facts, now),
            None => one(CertificateFaultKind::Unseen, format!("{named} was seen without its certificates")),
        },
    }
}

/// Everything wrong with one Secret.
#[expect(clippy::too_many_lines, reason = "one check after the other, in the order in which they are told")]
pub fn troubles(wanted: &Wanted, facts: &SecretFacts, now: Timestamp) -> Vec<CertificateFault> {
    let mut found = Vec::new();
    let mut say = |kind, what: String| {
        let sentence = format!("Secret {} ({}): {what}", wanted.secret, wanted.title);
        found.push(CertificateFault { kind, secret: wanted.secret.clone(), sentence });
    };
    let lacking: Vec<&str> = KEYS.into_iter().filter(|key| !facts.keys.contains(*key)).collect();
    if !lacking.is_empty() {
        let keys: Vec<&str> = facts.keys.iter().map(String::as_str).collect();
        say(CertificateFaultKind::Keys, format!("has no key {}; its keys are {}", lacking.join(", "), list(&keys)));
    }
    for sentence in &facts.unreadable {
        say(CertificateFaultKind::Unreadable, sentence.clone());
    }
    let Some(certificate) = &facts.certificate else { return found };
    let missing: Vec<String> = wanted.hosts().into_iter().filter(|host| !certificate.names(host)).collect();
    let (essential, other): (Vec<&str>, Vec<&str>) =
        missing.iter().map(String::as_str).partition(|host| wanted.essential.contains(*host));
    let asked = wanted.operator.as_deref().filter(|name| missing.iter().any(|lacking| lacking == name));
    let asked = asked.map(|name| format!(" (TiDB Operator asks PD by {name} and reaches it by no other)"));
    let lacks = format!("its certificate lacks the name {}{}", essential.join(", "), asked.unwrap_or_default());
    match (essential.is_empty(), other.is_empty()) {
        (true, true) => {}
        (true, false) => {
            say(CertificateFaultKind::OtherName, format!("its certificate lacks the name {}", other.join(", ")))
        }
        (false, true) => say(CertificateFaultKind::EssentialName, lacks),
        (false, false) => {
            say(
                CertificateFaultKind::EssentialName,
                format!("{lacks}; other forms lack as well: {}", other.join(", ")),
            );
        }
    }
    for usage in wanted.usages.iter().filter(|usage| !certificate.allows(**usage)) {
        say(CertificateFaultKind::Usage, format!("its certificate may not be used for {}", usage.word()));
    }
    if let Some(name) = wanted.common_name.as_ref().filter(|name| **name != certificate.common_name) {
        say(
            CertificateFaultKind::CommonName,
            format!("expected common name {name:?}, found {:?}", certificate.common_name),
        );
    }
    if let Some((kind, what)) = validity(certificate.not_before, certificate.not_after, now) {
        say(kind, format!("its certificate {what}"));
    }
    if facts.key_matches == Some(false) {
        say(CertificateFaultKind::KeyMismatch, "tls.key is not the key of tls.crt".into());
    }
    if certificate.looks_self_signed {
        say(
            CertificateFaultKind::LooksSelfSigned,
            format!(
                "its certificate and the CA that signed it have one subject ({}), and no key ids tell them apart: OpenSSL takes it for self-signed (error 18), so mysql, curl and other programs with OpenSSL refuse it, though PD (Go) does not; sign it again built in, or under another organization than the CA's",
                certificate.subject
            ),
        );
    }
    match &facts.signed_by {
        None if !facts.authorities.is_empty() => {
            say(
                CertificateFaultKind::Chain,
                format!(
                    "tls.crt is signed by {}, and its ca.crt holds {}",
                    certificate.signer(),
                    facts.authorities.iter().map(CertificateFacts::called).collect::<Vec<_>>().join(", ")
                ),
            );
        }
        None => {}
        Some(_) => of_the_signer(facts, now).into_iter().for_each(|(kind, what)| say(kind, what)),
    }
    for (kind, what) in openssl_strictness::minds(certificate, facts) {
        say(kind, what);
    }
    found
}

/// What is wrong with the copies of the signer in `ca.crt`. Of their times the best counts, wherever it stands; but OpenSSL takes the
/// first of them that is in time, and goes no further where that is no CA.
fn of_the_signer(facts: &SecretFacts, now: Timestamp) -> Vec<(CertificateFaultKind, String)> {
    let no_ca = facts.signers().find_map(|ca| {
        let what = ca.may_not_sign.as_ref()?;
        let called = ca.called();
        let sentence =
            format!("the certificate in its ca.crt that signed it, {called}, {what}: Go and OpenSSL refuse it");
        Some((CertificateFaultKind::NoAuthority, sentence))
    });
    let times = facts.signers().map(|ca| validity(ca.not_before, ca.not_after, now));
    let best = times.min_by_key(|fault| fault.as_ref().map(|(kind, _)| !kind.only_warns())).flatten();
    let time = best.map(|(kind, what)| (of_authority(kind), format!("the CA in its ca.crt {what}")));
    no_ca.into_iter().chain(time).collect()
}

/// Everything wrong with the Secret of a CA from which certificates are to be signed.
pub fn authority_troubles(secret: &str, facts: &SecretFacts, now: Timestamp) -> Vec<CertificateFault> {
    let wanted = Wanted {
        secret: secret.to_owned(),
        title: "CA".to_owned(),
        common_name: None,
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        essential: BTreeSet::new(),
        operator: None,
        usages: BTreeSet::new(),
    };
    // Those who sign by hand often leave ca.crt out: a root is its own.
    let mut facts = facts.clone();
    facts.keys.insert("ca.crt".to_owned());
    // An older copy of itself in ca.crt takes nothing from it.
    facts.authorities.extend(facts.certificate.clone());
    let mut found = troubles(&wanted, &facts, now);
    let unfit = facts.certificate.as_ref().and_then(|certificate| match certificate.is_ca {
        true => certificate.may_not_sign.clone(),
        false => Some("is not that of a CA".to_owned()),
    });
    if let Some(unfit) = unfit {
        let sentence = format!("Secret {secret} (CA): its certificate {unfit}");
        found.push(CertificateFault { kind: CertificateFaultKind::Authority, secret: secret.to_owned(), sentence });
    }
    found
}

/// What is wrong with the validity of a CA that stands in the `ca.crt` of this Secret.
pub fn authority_trouble(secret: &str, ca: &CertificateFacts, now: Timestamp) -> Option<CertificateFault> {
    let (kind, what) = validity(ca.not_before, ca.not_after, now)?;
    let kind = of_authority(kind);
    let sentence = format!("the CA {:?} in ca.crt of Secret {secret} {what}", ca.common_name);
    Some(CertificateFault { kind, secret: secret.to_owned(), sentence })
}

/// The same fault of a CA, which nobody renews in place.
fn of_authority(kind: CertificateFaultKind) -> CertificateFaultKind {
    match kind {
        CertificateFaultKind::Expired => CertificateFaultKind::CaExpired,
        CertificateFaultKind::Expiring => CertificateFaultKind::CaExpiring,
        other => other,
    }
}

/// `1 day ago`, `5 hours ago`: how long something has ended.
pub fn ago(ended: Timestamp, now: Timestamp) -> String {
    let hours = now.duration_since(ended).as_hours().max(0);
    let many = |count: i64, unit: &str| format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" });
    match (hours / 24, hours) {
        (0, 0) => "just now".to_owned(),
        (0, hours) => many(hours, "hour"),
        (days, _) => many(days, "day"),
    }
}

/// What is wrong with a span of time, as the rest of a sentence.
fn validity(from: Timestamp, until: Timestamp, now: Timestamp) -> Option<(CertificateFaultKind, String)> {
    if until <= now {
        return Some((CertificateFaultKind::Expired, format!("expired at {until} ({}): renew it", ago(until, now))));
    }
    if from > now {
        return Some((CertificateFaultKind::NotYetValid, format!("is valid only from {from} on")));
    }
    let left = until.duration_since(now);
    (left < SOON).then(|| {
        (
            CertificateFaultKind::Expiring,
            format!("expires in {}, at {until}: renew it", counted(left.as_hours() / 24, "day")),
        )
    })
}

/// What is wrong with the time of a certificate today, as the rest of a sentence.
pub fn out_of_time(certificate: &CertificateFacts, now: Timestamp) -> Option<String> {
    let (kind, what) = validity(certificate.not_before, certificate.not_after, now)?;
    (!kind.only_warns()).then_some(what)
}

/// Everything wrong with the certificates of these TidbClusters, which are one Database: each by itself, then whether they
/// trust each other's CA (hazard 21) and whose names PD lets in (hazard 22).
pub fn troubles_of(fleet: &Fleet, tidb_clusters: &[ObjectRef], now: Timestamp) -> Vec<TroubleOf> {
    let mut found = Vec::new();
    // The end of one CA is one trouble, however many Secrets hold it.
    let mut ending: BTreeSet<(String, CertificateFaultKind)> = BTreeSet::new();
    for (of, tc) in tidb_clusters.iter().filter_map(|of| Some((of, fleet.tidb_cluster(of)?))) {
        for wanted in wanted_of(tc) {
            let at = ObjectRef::new(&of.context, &of.namespace, &wanted.secret);
            let sight = fleet.sight(&ObjectId::new(ObjectKind::Secret, &at));
            let signer = sight.and_then(Lookup::present).and_then(SecretFacts::of).and_then(|facts| facts.signed_by);
            for trouble in troubles_at(&wanted, sight, now) {
                let of_ca = matches!(
                    trouble.kind,
                    CertificateFaultKind::CaExpired
                        | CertificateFaultKind::CaExpiring
                        | CertificateFaultKind::CaShortKey
                        | CertificateFaultKind::CaNoKeyId
                );
                if !of_ca || ending.insert((signer.clone().unwrap_or_default(), trouble.kind)) {
                    found.push(TroubleOf { of: of.clone(), trouble });
                }
            }
        }
    }
    let seen = ca_trust::seen(fleet, tidb_clusters);
    found.extend(ca_trust::strangers(fleet, tidb_clusters, &seen));
    found.extend(ca_trust::not_let_in(fleet, tidb_clusters, &seen));
    found.extend(tidb_clusters.iter().filter_map(|of| one_name_only(of, fleet.tidb_cluster(of)?)));
    found
}

/// The first PD that takes more than one name in `cert-allowed-cn` (`domain.md` §4.2).
const SEVERAL_NAMES: Version = Version::new(8, 4, 0);

/// A list of common names that PD of that version cannot be given. A version that is no number is judged by nobody.
fn one_name_only(of: &ObjectRef, tc: &TidbCluster) -> Option<TroubleOf> {
    let allowed = tc.component(Component::Pd)?.allowed_names();
    let version = Version::parse(tc.component_version(Component::Pd)?)?;
    if allowed.len() < 2 || version >= SEVERAL_NAMES || !tc.tls() {
        return None;
    }
    let sentence = format!(
        "PD of {of} is {version}, which takes one common name, and its cert-allowed-cn has {}: issue all certificates with one name, and leave only that",
        allowed.join(", ")
    );
    let secret = secret(tc.name(), Purpose::Component(Component::Pd));
    Some(TroubleOf {
        of: of.clone(),
        trouble: CertificateFault { kind: CertificateFaultKind::SeveralNames, secret, sentence },
    })
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests;
