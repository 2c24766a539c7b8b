//! Whether the certificates of one Database fit each other: one CA (hazard 21), and common names that are let in (hazard 22).
//!
//! Of two CAs the one that more Secrets trust is the Database's; a Secret that stands apart from it is named, and the others
//! are not. Pure. Not here: one certificate by itself ([`super::certificate_checks`]), what to do about it (`hazards::certificate_remedy`).

use std::collections::{BTreeMap, BTreeSet};

use super::certificate_fault_kinds::{CertificateFault, CertificateFaultKind, TroubleOf};
use super::required_certificates::{Purpose, between, secret, wanted_of};
use crate::fleet::certificate_facts::{CertificateFacts, SecretFacts, kept_by};
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::{Fleet, ObjectRef};
use crate::pluralize::counted;

/// One Secret of the components among each other, as it was seen.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    pub of: &'a ObjectRef,
    pub secret: String,
    pub facts: SecretFacts,
}

/// Every Secret of these TidbClusters that could be read.
pub fn seen<'a>(fleet: &Fleet, tidb_clusters: &'a [ObjectRef]) -> Vec<Seen<'a>> {
    let parts = tidb_clusters.iter().filter_map(|of| Some((of, fleet.tidb_cluster(of)?)));
    parts
        .flat_map(|(of, tc)| {
            let names = wanted_of(tc).into_iter().map(|wanted| wanted.secret).filter(|name| between(name));
            names.filter_map(move |secret| Some(Seen { of, facts: facts_of(fleet, of, &secret)?, secret }))
        })
        .collect()
}

fn sight<'a>(fleet: &'a Fleet, of: &ObjectRef, secret: &str) -> Option<&'a Lookup> {
    fleet.sight(&ObjectId::new(ObjectKind::Secret, &ObjectRef::new(&of.context, &of.namespace, secret)))
}

fn facts_of(fleet: &Fleet, of: &ObjectRef, secret: &str) -> Option<SecretFacts> {
    sight(fleet, of, secret).and_then(Lookup::present).and_then(SecretFacts::of)
}

/// Where the Secret of a CA lies: the TidbCluster that it is called after, and the public key in it.
pub fn authorities(fleet: &Fleet, tidb_clusters: &[ObjectRef]) -> Vec<(ObjectRef, CertificateFacts)> {
    let held = |of: &ObjectRef| facts_of(fleet, of, &super::authority_secret(&of.name))?.certificate;
    let mut found: Vec<(ObjectRef, CertificateFacts)> =
        tidb_clusters.iter().filter_map(|of| Some((of.clone(), held(of)?))).collect();
    // The one that was there first is where the CA belongs.
    found.sort_by_key(|(of, _)| fleet.tidb_cluster(of).is_some_and(joins));
    found
}

/// Whether every place of a CA was looked at and is empty.
pub fn no_authority(fleet: &Fleet, tidb_clusters: &[ObjectRef]) -> bool {
    let absent = |of: &ObjectRef| matches!(sight(fleet, of, &super::authority_secret(&of.name)), Some(Lookup::Absent));
    tidb_clusters.iter().all(absent)
}

/// Whether it joined another.
pub fn joins(tc: &TidbCluster) -> bool {
    tc.spec.cluster.as_ref().is_some_and(|reference| !reference.name.is_empty())
}

/// A Certificate of cert-manager that keeps one of the Secrets of this TidbCluster: this one's first.
pub fn keeper(fleet: &Fleet, of: &ObjectRef, first: &str) -> Option<(String, String)> {
    let kept = |name: &str| sight(fleet, of, name).and_then(Lookup::present).and_then(kept_by).map(str::to_owned);
    let mut names = super::every_secret(&of.name);
    names.sort_by_key(|name| name != first);
    names.into_iter().find_map(|name| Some((kept(&name)?, name))).map(|(certificate, name)| (name, certificate))
}

/// The public key of the CA that the Database trusts: the one which most Secrets trust, then which lies in the Secret of a
/// CA, which signed most, and which the TidbCluster uses that was there first.
pub fn home(fleet: &Fleet, tidb_clusters: &[ObjectRef], seen: &[Seen<'_>]) -> Option<String> {
    let kept: BTreeSet<String> =
        authorities(fleet, tidb_clusters).into_iter().map(|(_, certificate)| certificate.public_key).collect();
    let signers: BTreeSet<&String> = seen.iter().filter_map(|one| one.facts.signed_by.as_ref()).collect();
    let rank = |key: &String| {
        let signed = seen.iter().filter(|one| one.facts.signed_by.as_ref() == Some(key));
        let first = signed.clone().any(|one| fleet.tidb_cluster(one.of).is_some_and(|tc| !joins(tc)));
        let trusting = seen.iter().filter(|one| one.facts.trusts(key)).count();
        (trusting, kept.contains(key), signed.count(), first)
    };
    signers.into_iter().rev().max_by_key(|key| rank(key)).cloned()
}

/// The Secrets that stand apart from the CA of the Database, by index: they trust others than the rest does, or are signed
/// by whom the rest does not trust. What does not fit its own `ca.crt` is a trouble of its own and not among them.
fn apart(home: &str, seen: &[Seen<'_>]) -> BTreeSet<usize> {
    let whole = |one: &Seen<'_>| one.facts.signed_by.is_some() && !one.facts.authorities.is_empty();
    let rest: Vec<&Seen<'_>> =
        seen.iter().filter(|one| one.facts.signed_by.as_deref() == Some(home) && one.facts.trusts(home)).collect();
    let odd = |one: &Seen<'_>| {
        let signer = one.facts.signed_by.as_deref().unwrap_or_default();
        !one.facts.trusts(home) || rest.iter().any(|other| !other.facts.trusts(signer))
    };
    let mut apart: BTreeSet<usize> =
        seen.iter().enumerate().filter(|(_, one)| whole(one) && odd(one)).map(|(index, _)| index).collect();
    // Two others that the rest trusts, and that do not know each other.
    for (index, one) in seen.iter().enumerate().filter(|(_, one)| whole(one)) {
        let doubts = |(other, of): (usize, &Seen<'_>)| {
            other != index
                && !apart.contains(&other)
                && of.facts.signed_by.as_ref().is_some_and(|key| !one.facts.trusts(key))
        };
        if !apart.contains(&index) && seen.iter().enumerate().any(doubts) {
            apart.insert(index);
        }
    }
    apart
}

/// Secrets that nobody in order loses by: they stand apart from the rest, or do not even fit themselves.
pub fn outside(fleet: &Fleet, tidb_clusters: &[ObjectRef]) -> BTreeSet<(ObjectRef, String)> {
    let seen = seen(fleet, tidb_clusters);
    let apart = home(fleet, tidb_clusters, &seen).map(|home| apart(&home, &seen)).unwrap_or_default();
    let broken = |one: &Seen<'_>| one.facts.signed_by.is_none();
    seen.iter()
        .enumerate()
        .filter(|(index, one)| apart.contains(index) || broken(one))
        .map(|(_, one)| (one.of.clone(), one.secret.clone()))
        .collect()
}

/// One trouble for the Secrets of one TidbCluster which one other CA signed.
pub(super) fn strangers(fleet: &Fleet, tidb_clusters: &[ObjectRef], seen: &[Seen<'_>]) -> Vec<TroubleOf> {
    let Some(home) = home(fleet, tidb_clusters, seen) else { return Vec::new() };
    let apart = apart(&home, seen);
    let mut groups: BTreeMap<(&ObjectRef, &str), Vec<&Seen<'_>>> = BTreeMap::new();
    for one in apart.iter().map(|&index| &seen[index]) {
        groups.entry((one.of, one.facts.signed_by.as_deref().unwrap_or_default())).or_default().push(one);
    }
    let all = || seen.iter().flat_map(|one| &one.facts.authorities);
    let called =
        |key: &str| all().find(|one| one.public_key == key).map_or_else(|| key.to_owned(), CertificateFacts::called);
    let place = authorities(fleet, tidb_clusters).into_iter().find(|(_, one)| one.public_key == home);
    let place =
        place.map_or_else(String::new, |(of, _)| format!(", in Secret {} of {of}", super::authority_secret(&of.name)));
    groups
        .into_iter()
        .map(|((of, signer), odd)| {
            let names: Vec<&str> = odd.iter().map(|one| one.secret.as_str()).collect();
            let (secrets, are) = if names.len() == 1 { ("Secret", "is") } else { ("Secrets", "are") };
            let what = if signer == home {
                "lacks the CA of the Database's other certificates in ca.crt".to_owned()
            } else {
                format!("{are} signed by another CA, {}", called(signer))
            };
            let rest = seen.len() - apart.len();
            let sentence = format!(
                "{secrets} {} of {of} {what}; of the others of the Database {} {}{place}: they cannot speak with each other",
                names.join(", "),
                if rest == 1 { "1 Secret trusts".to_owned() } else { format!("{} trust", counted(rest, "Secret")) },
                called(&home)
            );
            let trouble = CertificateFault { kind: CertificateFaultKind::Authority, secret: names[0].to_owned(), sentence };
            TroubleOf { of: of.clone(), trouble }
        })
        .collect()
}

/// A list of common names, and whose certificates it is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedNames {
    pub of: ObjectRef,
    pub component: Component,
    pub allowed: Vec<String>,
}

/// Every such list of a Database.
pub fn doors(fleet: &Fleet, tidb_clusters: &[ObjectRef]) -> Vec<AllowedNames> {
    let parts = tidb_clusters.iter().filter_map(|of| Some((of, fleet.tidb_cluster(of)?)));
    let lists = parts.flat_map(|(of, tc)| {
        let named = tc.components().map(|(component, spec)| (component, spec.allowed_names()));
        named.map(|(component, allowed)| AllowedNames { of: of.clone(), component, allowed }).collect::<Vec<_>>()
    });
    lists.filter(|door| !door.allowed.is_empty()).collect()
}

/// Who comes to the port that the list guards. PD holds its own against the members on 2380 only (`GenEmbedEtcdConfig` sets
/// AllowedCN in PeerTLSInfo; measured on 7.5.7 and 8.5.4): whoever asks on 2379 may have any name.
fn visitors(keeper: Component) -> &'static [Component] {
    match keeper {
        Component::Pd => &[Component::Pd],
        Component::Tikv => &[Component::Tikv, Component::Tidb, Component::Tiflash, Component::Ticdc],
        Component::Tidb => &[Component::Tidb],
        Component::Tiflash => &[Component::Tiflash, Component::Tidb, Component::Tikv],
        Component::Ticdc => &[Component::Ticdc],
        Component::Tiproxy => &[Component::Tiproxy],
        Component::Pump => &[Component::Pump, Component::Tidb],
    }
}

/// Secrets whose common name a component does not let in, each once.
pub(super) fn not_let_in(fleet: &Fleet, tidb_clusters: &[ObjectRef], seen: &[Seen<'_>]) -> Vec<TroubleOf> {
    let mut found: Vec<TroubleOf> = Vec::new();
    for AllowedNames { of: at, component, allowed } in doors(fleet, tidb_clusters) {
        for one in seen {
            let Some(certificate) = &one.facts.certificate else { continue };
            let is = |purpose| one.secret == secret(&one.of.name, purpose);
            let client = is(Purpose::ClusterClient) && component != Component::Pd;
            let visits = visitors(component).iter().any(|&visitor| is(Purpose::Component(visitor)));
            let known = found.iter().any(|known| known.of == *one.of && known.trouble.secret == one.secret);
            if known || !(client || visits) || allowed.contains(&certificate.common_name) {
                continue;
            }
            let list = if component == Component::Tidb { "cluster-verify-cn" } else { "cert-allowed-cn" };
            let sentence = format!(
                "Secret {} has the common name {:?}, which {} of {at} does not let in ({list}: {}){}",
                one.secret,
                certificate.common_name,
                component.title(),
                allowed.join(", "),
                if client { "; PD does, which asks no client for a name" } else { "" }
            );
            let kind = if client { CertificateFaultKind::ClientName } else { CertificateFaultKind::CommonName };
            found.push(TroubleOf {
                of: one.of.clone(),
                trouble: CertificateFault { kind, secret: one.secret.clone(), sentence },
            });
        }
    }
    found
}
