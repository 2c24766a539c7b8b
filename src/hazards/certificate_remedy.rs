//! What to do about a certificate: the command that goes through on the very fleet that shows the trouble, with the CA and
//! the names that the Database has; where no runbook can do it, who can.
//!
//! Nothing is ever deleted: renew-certificates puts a new certificate into the Secret that is there, or makes the one that is
//! not. Not here: what is wrong ([`crate::fleet::tls`]), which hazard it is ([`crate::hazards::tls_certificates`]).

use crate::fleet::advice::{Advice, RunLine};
use crate::fleet::certificate_facts::SecretFacts;
use crate::fleet::kubectl_quoting::kubectl;
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use crate::fleet::tls::{CertificateFault, CertificateFaultKind, authority_secret, between, ca_trust, out_of_time};
use crate::fleet::{Fleet, ObjectRef};
use crate::hazards::check_context::{CheckContext, Part};

/// The common name which renew-certificates takes where none is given.
const USUAL_NAME: &str = "TiDB";

pub(super) fn cure(scene: &CheckContext<'_>, part: &Part<'_>, trouble: &CertificateFault) -> Advice {
    renewed_by(scene, part, trouble).map_or_else(Advice::from, Advice::from)
}

/// The runbook that mends it; `Err`: what helps instead.
fn renewed_by(scene: &CheckContext<'_>, part: &Part<'_>, trouble: &CertificateFault) -> Result<RunLine, String> {
    let of = part.of;
    let kubectl = kubectl(of);
    match trouble.kind {
        CertificateFaultKind::Unseen => {
            return Err(format!("let this user read it: {kubectl} auth can-i get secret/{}", trouble.secret));
        }
        CertificateFaultKind::SeveralNames => {
            return Err(format!(
                "{kubectl} edit tidbcluster {} # in spec.pd.config, security.cert-allowed-cn: leave the one name that the certificates of PD have",
                of.name
            ));
        }
        // A good copy of the same CA beside the TidbClusters takes its place with the next certificate.
        CertificateFaultKind::CaExpired | CertificateFaultKind::NoAuthority if has_better(scene, part, trouble) => {}
        CertificateFaultKind::CaExpired
        | CertificateFaultKind::CaExpiring
        | CertificateFaultKind::NoAuthority
        | CertificateFaultKind::CaShortKey
        | CertificateFaultKind::CaNoKeyId => {
            return Err(format!(
                "make a new CA, put it beside the old one in ca.crt of every Secret of every TidbCluster of {}, store it as {}, and only then issue all certificates anew (renew-certificates with which=all); nothing is deleted",
                scene.database.name,
                authority_secret(&of.name)
            ));
        }
        CertificateFaultKind::Absent
        | CertificateFaultKind::Keys
        | CertificateFaultKind::Unreadable
        | CertificateFaultKind::OtherKeyId
        | CertificateFaultKind::ShortKey
        | CertificateFaultKind::NoKeyIds
        | CertificateFaultKind::EssentialName
        | CertificateFaultKind::OtherName
        | CertificateFaultKind::Usage
        | CertificateFaultKind::CommonName
        | CertificateFaultKind::ClientName
        | CertificateFaultKind::Authority
        | CertificateFaultKind::KeyMismatch
        | CertificateFaultKind::Chain
        | CertificateFaultKind::LooksSelfSigned
        | CertificateFaultKind::Expired
        | CertificateFaultKind::NotYetValid
        | CertificateFaultKind::Expiring => {}
    }
    if let Some((secret, certificate)) = ca_trust::keeper(scene.fleet, of, &trouble.secret) {
        return Err(kept(&kubectl, trouble, &secret, &certificate));
    }
    match place_of_ca(scene, of) {
        Err(instead) => Err(instead),
        Ok((_, home))
            if !between(&trouble.secret) && !signed_from(scene.fleet, of, &trouble.secret, home.as_deref()) =>
        {
            Err(format!(
                "sign it anew where its CA is kept: {} is not signed by the CA of {}",
                trouble.secret, scene.database.name
            ))
        }
        Ok((place, _)) => Ok(renewal(scene, part, &place)),
    }
}

/// The TidbCluster beside which the CA lies that will sign, and the key that the certificates are signed by; or what has to be
/// done first.
fn place_of_ca(scene: &CheckContext<'_>, of: &ObjectRef) -> Result<(ObjectRef, Option<String>), String> {
    let all = &scene.database.tidb_clusters;
    let home = ca_trust::home(scene.fleet, all, &ca_trust::seen(scene.fleet, all));
    let held = ca_trust::authorities(scene.fleet, all);
    // With no certificate to go by, the CA that lies there is the one that will sign.
    let fits = |key: &str| home.as_deref().is_none_or(|home| home == key);
    let place =
        held.iter().filter(|(_, ca)| fits(&ca.public_key)).min_by_key(|(at, _)| at != of).map(|(at, _)| at.clone());
    let place = match place {
        Some(place) => place,
        None if ca_trust::no_authority(scene.fleet, all) => {
            return Err(format!(
                "sign it anew where the CA of {} is kept: no Secret NAME-ca-secret beside its TidbClusters holds it",
                scene.database.name
            ));
        }
        None if !held.is_empty() => {
            let other: Vec<String> =
                held.iter().map(|(at, _)| format!("{} of {at}", authority_secret(&at.name))).collect();
            return Err(format!(
                "put the CA that the certificates are signed by back into {}, or the one that lies there beside it into every ca.crt first; then renew-certificates",
                other.join(", ")
            ));
        }
        // Nobody may look, or nobody has looked: it belongs beside the one that was there first.
        None => first(scene.fleet, all).unwrap_or_else(|| of.clone()),
    };
    Ok((place, home))
}

/// The line that renews, with what the Database has where it is not what the runbook takes by itself.
fn renewal(scene: &CheckContext<'_>, part: &Part<'_>, place: &ObjectRef) -> RunLine {
    let of = part.of;
    let mut line = RunLine::run("renew-certificates").on(of);
    let fits = |domain: &String| part.cluster.cluster_domain().is_none_or(|real| real == domain);
    if let Some(domain) = part.tc.plain_domain().filter(fits) {
        line = line.set("clusterDomain", domain);
    }
    if place != of {
        line = line.set("caOf", place);
    }
    if let Some(name) = common_name(scene).filter(|name| name != USUAL_NAME) {
        line = line.set("commonName", name);
    }
    line
}

/// Whether the Secret of a CA holds the one that signed this certificate as one that is in order.
fn has_better(scene: &CheckContext<'_>, part: &Part<'_>, trouble: &CertificateFault) -> bool {
    let at = ObjectRef::new(&part.of.context, &part.of.namespace, &trouble.secret);
    let sight = scene.fleet.sight(&ObjectId::new(ObjectKind::Secret, &at));
    let facts = sight.and_then(Lookup::present).and_then(SecretFacts::of).unwrap_or_default();
    let held = ca_trust::authorities(scene.fleet, &scene.database.tidb_clusters);
    held.iter().any(|(_, ca)| {
        facts.signers().any(|copy| copy.same_authority(ca) && copy.fingerprint != ca.fingerprint)
            && ca.may_not_sign.is_none()
            && out_of_time(ca, scene.now).is_none()
    })
}

/// Where cert-manager keeps Secrets of a TidbCluster, it makes the new ones as well.
fn kept(kubectl: &str, trouble: &CertificateFault, secret: &str, certificate: &str) -> String {
    if secret != trouble.secret {
        return format!(
            "cert-manager keeps certificates of this TidbCluster ({certificate}): look there for the one of Secret {}: {kubectl} get certificate -o wide",
            trouble.secret
        );
    }
    let patch = |what: &str| format!("{kubectl} patch certificate {certificate} --type merge -p '{what}'");
    match trouble.kind {
        CertificateFaultKind::LooksSelfSigned => {
            patch(r#"{"spec":{"subject":{"organizations":["TiDB-certificates"]}}}"#)
        }
        CertificateFaultKind::EssentialName | CertificateFaultKind::OtherName => {
            format!(
                "{kubectl} edit certificate {certificate} # add the names to spec.dnsNames; cert-manager issues it anew"
            )
        }
        CertificateFaultKind::CommonName | CertificateFaultKind::ClientName => {
            format!("{kubectl} edit certificate {certificate} # change spec.commonName; cert-manager issues it anew")
        }
        CertificateFaultKind::Usage => {
            format!(
                "{kubectl} edit certificate {certificate} # add what lacks to spec.usages; cert-manager issues it anew"
            )
        }
        CertificateFaultKind::Authority | CertificateFaultKind::Chain => {
            format!("{kubectl} edit certificate {certificate} # spec.issuerRef: the Issuer with the CA of the Database")
        }
        CertificateFaultKind::Absent
        | CertificateFaultKind::Keys
        | CertificateFaultKind::Unreadable
        | CertificateFaultKind::OtherKeyId
        | CertificateFaultKind::NoAuthority
        | CertificateFaultKind::ShortKey
        | CertificateFaultKind::NoKeyIds
        | CertificateFaultKind::CaShortKey
        | CertificateFaultKind::CaNoKeyId
        | CertificateFaultKind::KeyMismatch
        | CertificateFaultKind::Expired
        | CertificateFaultKind::NotYetValid
        | CertificateFaultKind::Expiring
        | CertificateFaultKind::Unseen
        | CertificateFaultKind::SeveralNames
        | CertificateFaultKind::CaExpired
        | CertificateFaultKind::CaExpiring => {
            format!(
                "{kubectl} describe certificate {certificate} # cert-manager keeps it: why does it not issue a new one?"
            )
        }
    }
}

/// The TidbCluster that was there before the others.
fn first(fleet: &Fleet, all: &[ObjectRef]) -> Option<ObjectRef> {
    all.iter().find(|of| fleet.tidb_cluster(of).is_some_and(|tc| !ca_trust::joins(tc))).cloned()
}

/// Whether a Secret of MySQL's is there and trusts the CA of the Database, or is not there at all.
fn signed_from(fleet: &Fleet, of: &ObjectRef, secret: &str, home: Option<&str>) -> bool {
    let at = ObjectRef::new(&of.context, &of.namespace, secret);
    let facts =
        fleet.sight(&ObjectId::new(ObjectKind::Secret, &at)).and_then(Lookup::present).and_then(SecretFacts::of);
    facts.is_none_or(|facts| home.is_some_and(|home| facts.trusts(home)))
}

/// The name that every list of the Database lets in; where there is no list, the one that most certificates have.
fn common_name(scene: &CheckContext<'_>) -> Option<String> {
    let all = &scene.database.tidb_clusters;
    let doors = ca_trust::doors(scene.fleet, all);
    if let Some(first) = doors.first() {
        let everywhere = |name: &&String| doors.iter().all(|door| door.allowed.contains(name));
        let fitting: Vec<&String> = first.allowed.iter().filter(everywhere).collect();
        return fitting.iter().find(|name| **name == USUAL_NAME).or(fitting.first()).map(|name| (*name).clone());
    }
    let names: Vec<String> = ca_trust::seen(scene.fleet, all)
        .into_iter()
        .filter_map(|one| Some(one.facts.certificate?.common_name))
        .collect();
    let count = |name: &String| names.iter().filter(|other| *other == name).count();
    names.iter().filter(|name| !name.is_empty()).max_by_key(|name| (count(name), *name == USUAL_NAME)).cloned()
}
