//! `domain.md` §5.2: certificates, and TLS that was switched. Hazards 20 to 25.
//!
//! Names and ports can only be tried from inside a pod (`verify-network`); what shows from outside are the Secrets, as far as
//! `fleet::tls` judges them. Not here: peerURLs of the wrong scheme ([`crate::hazards::peer_urls`]), what to do
//! ([`crate::hazards::certificate_remedy`]).

use crate::fleet::ObjectRef;
use crate::fleet::certificate_facts::{CertificateFacts, SecretFacts, colons};
use crate::fleet::hazard_id::HazardId;
use crate::fleet::object_kind::{ObjectId, ObjectKind};
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::tls::{CertificateFaultKind, TroubleOf, operator_asks, troubles_of};
use crate::hazards::certificate_remedy::cure;
use crate::hazards::check_context::{CheckContext, Part};
use crate::hazards::{Finding, OfDatabase, Severity, Subject};

pub(super) const ALL: &[OfDatabase] = &[certificates, toggled];

/// 20 to 24. What is wrong with the certificates: one judge for this, for preflights and for what was just issued.
fn certificates(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for TroubleOf { of, trouble } in troubles_of(scene.fleet, &scene.database.tidb_clusters, scene.now) {
        let Some(part) = scene.parts.iter().find(|part| *part.of == of) else { continue };
        // Switched on where PD runs without: to issue what is asked for would lead deeper into it.
        if scene.database.toggled(&of).is_some_and(|toggle| !toggle.proper) {
            continue;
        }
        let at = ObjectRef::new(&of.context, &of.namespace, &trouble.secret);
        // What nobody looked at is said once, as unseen.
        let Some(sight) = scene.fleet.sight(&ObjectId::new(ObjectKind::Secret, &at)) else { continue };
        let facts = sight.present().and_then(SecretFacts::of).unwrap_or_default();
        let subject = Subject::object(SubjectKind::Secret, &at);
        let remedy = cure(scene, part, &trouble);
        let found = scene.find(named(trouble.kind), trouble.sentence).on(subject.clone()).on(part.subject());
        let (field, value) = shown(trouble.kind, &facts);
        let mut found = found.saw(&subject, field, value, part.seen()).then(remedy);
        if blinds(&facts, &trouble.secret, part) && trouble.kind == CertificateFaultKind::EssentialName {
            found = found.first();
            found.why = "TiDB Operator asks PD by this name alone: without it status.pd.synced stays false and nothing rolls, whatever Ready says.";
        }
        all.push(match trouble.kind {
            CertificateFaultKind::Unseen => found.unknown(),
            // In order today.
            CertificateFaultKind::Expiring | CertificateFaultKind::CaExpiring => found.severity(Severity::Medium),
            // PD and TiDB serve on; what the operator asks TiKV is refused.
            CertificateFaultKind::ClientName | CertificateFaultKind::ShortKey | CertificateFaultKind::CaShortKey => {
                found.severity(Severity::Medium)
            }
            CertificateFaultKind::OtherName
            | CertificateFaultKind::LooksSelfSigned
            | CertificateFaultKind::SeveralNames
            | CertificateFaultKind::CaExpired
            | CertificateFaultKind::Unreadable
            | CertificateFaultKind::OtherKeyId
            | CertificateFaultKind::NoAuthority
            | CertificateFaultKind::NoKeyIds
            | CertificateFaultKind::CaNoKeyId
            | CertificateFaultKind::Absent
            | CertificateFaultKind::Keys
            | CertificateFaultKind::EssentialName
            | CertificateFaultKind::Usage
            | CertificateFaultKind::CommonName
            | CertificateFaultKind::Authority
            | CertificateFaultKind::KeyMismatch
            | CertificateFaultKind::Chain
            | CertificateFaultKind::Expired
            | CertificateFaultKind::NotYetValid => found,
        });
    }
    all
}

/// Whether it is PD's certificate and lacks the name by which the operator asks.
fn blinds(facts: &SecretFacts, secret: &str, part: &Part<'_>) -> bool {
    let asked = operator_asks(part.tc.name(), part.tc.namespace(), part.tc.domain());
    secret == format!("{}-pd-cluster-secret", part.tc.name())
        && facts.certificate.as_ref().is_some_and(|certificate| !certificate.names(&asked))
}

fn named(kind: CertificateFaultKind) -> HazardId {
    match kind {
        CertificateFaultKind::Unseen | CertificateFaultKind::Absent | CertificateFaultKind::Keys => {
            HazardId::TlsSecretMissing
        }
        CertificateFaultKind::EssentialName => HazardId::SanMissing,
        CertificateFaultKind::OtherName => HazardId::SanIncomplete,
        CertificateFaultKind::CommonName | CertificateFaultKind::ClientName | CertificateFaultKind::SeveralNames => {
            HazardId::CommonNameMismatch
        }
        CertificateFaultKind::Authority | CertificateFaultKind::Chain => HazardId::DifferentCa,
        CertificateFaultKind::Expired
        | CertificateFaultKind::NotYetValid
        | CertificateFaultKind::Expiring
        | CertificateFaultKind::CaExpired
        | CertificateFaultKind::CaExpiring => HazardId::CertificateExpiry,
        CertificateFaultKind::Usage
        | CertificateFaultKind::KeyMismatch
        | CertificateFaultKind::Unreadable
        | CertificateFaultKind::OtherKeyId
        | CertificateFaultKind::NoAuthority
        | CertificateFaultKind::ShortKey
        | CertificateFaultKind::CaShortKey => HazardId::CertificateUnusable,
        CertificateFaultKind::NoKeyIds | CertificateFaultKind::CaNoKeyId => HazardId::CertificateWithoutKeyIds,
        CertificateFaultKind::LooksSelfSigned => HazardId::CertificateLooksSelfSigned,
    }
}

/// The part of the certificate that shows it.
#[expect(clippy::too_many_lines, reason = "one sentence for each fault")]
fn shown(kind: CertificateFaultKind, facts: &SecretFacts) -> (&'static str, String) {
    let certificate = facts.certificate.as_ref();
    let said = |text: Option<String>| text.unwrap_or_else(|| "(no certificate)".into());
    match kind {
        CertificateFaultKind::Unseen => ("data", "(not seen)".into()),
        CertificateFaultKind::Absent => ("metadata.name", "(not there)".into()),
        CertificateFaultKind::Keys => {
            ("data, names of its keys", facts.keys.iter().cloned().collect::<Vec<_>>().join(", "))
        }
        CertificateFaultKind::EssentialName | CertificateFaultKind::OtherName => {
            let names = certificate.map(|one| one.dns_names.iter().cloned().collect::<Vec<_>>().join(", "));
            ("tls.crt, DNS names", said(names))
        }
        CertificateFaultKind::Usage => {
            let uses = certificate.and_then(|one| one.usages.as_ref());
            let uses = uses.map(|uses| uses.iter().map(|usage| usage.word()).collect::<Vec<_>>().join(", "));
            ("tls.crt, uses", said(uses))
        }
        CertificateFaultKind::CommonName | CertificateFaultKind::ClientName | CertificateFaultKind::SeveralNames => {
            ("tls.crt, common name", said(certificate.map(|one| one.common_name.clone())))
        }
        CertificateFaultKind::Authority | CertificateFaultKind::Chain => {
            let signer = facts.authorities.iter().find(|one| facts.signed_by.as_ref() == Some(&one.public_key));
            let signer = signer.map(CertificateFacts::called).or(certificate.map(CertificateFacts::signer));
            ("tls.crt, signed by", said(signer))
        }
        CertificateFaultKind::KeyMismatch => ("tls.key", "of another certificate".into()),
        CertificateFaultKind::Unreadable => ("data", facts.unreadable.join("; ")),
        CertificateFaultKind::OtherKeyId => {
            let ids = facts
                .other_key_id
                .as_ref()
                .map(|(named, is)| format!("{}, and the CA has {}", colons(named), colons(is)));
            ("tls.crt, authority key id", said(ids))
        }
        CertificateFaultKind::NoAuthority => (
            "ca.crt",
            said(facts.signers().find_map(|one| Some(format!("{} {}", one.called(), one.may_not_sign.as_ref()?)))),
        ),
        CertificateFaultKind::ShortKey | CertificateFaultKind::CaShortKey => {
            let all = certificate.into_iter().chain(facts.signers()).filter_map(|one| one.rsa_bits);
            ("bits of the keys of RSA", all.map(|bits| bits.to_string()).collect::<Vec<_>>().join(", "))
        }
        CertificateFaultKind::NoKeyIds | CertificateFaultKind::CaNoKeyId => {
            let id = |id: &Option<String>| id.as_deref().map_or_else(|| "(absent)".to_owned(), colons);
            let ca = facts
                .signers()
                .next()
                .map_or_else(String::new, |ca| format!("; subject key id of its CA: {}", id(&ca.key_id)));
            ("tls.crt, authority key id", said(certificate.map(|one| format!("{}{ca}", id(&one.authority_key_id)))))
        }
        CertificateFaultKind::LooksSelfSigned => {
            let ids = certificate.map(|one| match &one.authority_key_id {
                None => format!("{}, no authority key id", one.subject),
                Some(id) => format!("{}, authority key id {}, no subject key id", one.subject, colons(id)),
            });
            ("tls.crt, subject and issuer", said(ids))
        }
        CertificateFaultKind::CaExpired | CertificateFaultKind::CaExpiring => {
            let signer = facts.authorities.iter().find(|one| facts.signed_by.as_ref() == Some(&one.public_key));
            ("ca.crt, not after", said(signer.map(|one| one.not_after.to_string())))
        }
        CertificateFaultKind::Expired | CertificateFaultKind::Expiring => {
            ("tls.crt, not after", said(certificate.map(|one| one.not_after.to_string())))
        }
        CertificateFaultKind::NotYetValid => {
            ("tls.crt, not before", said(certificate.map(|one| one.not_before.to_string())))
        }
    }
}

/// 25. TLS was switched in a running TidbCluster. It shows in the objects before anything is lost, and explains what else shows.
fn toggled(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in &scene.parts {
        let Some(toggle) = scene.database.toggled(part.of) else { continue };
        let mut found = scene.find_at(HazardId::TlsToggled, part, toggle.sentence()).first().then(toggle.cure());
        found = found.saw(&part.subject(), "spec.tlsCluster.enabled", toggle.asked.to_string(), part.seen());
        let synced = part.tc.status.pd.synced.map_or("(not told)".to_owned(), |synced| synced.to_string());
        found = found.saw(&part.subject(), "status.pd.synced", synced, part.seen());
        for (pod, tls) in &toggle.pods {
            let at = ObjectRef::new(&part.of.context, &part.of.namespace, pod);
            let value = if *tls { "there" } else { "not there" };
            found = found.saw(&Subject::object(SubjectKind::Pod, &at), "spec.volumes[pd-tls]", value, part.seen());
        }
        for (name, member) in &part.tc.status.pd.members {
            let field = format!("status.pd.members[{name}].clientURL");
            found = found.saw(&part.subject(), &field, &member.client_url, part.seen());
        }
        for member in scene.members(part) {
            let subject = Subject::of_pd(SubjectKind::Member, member.id.hex());
            found = found.saw(&subject, "peerURLs", member.peer_urls.join(", "), scene.pd_seen());
        }
        all.push(found);
    }
    all
}
