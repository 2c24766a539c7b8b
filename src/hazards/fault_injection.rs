//! What several planted cases share: how a fleet is made ill.

use serde_json::{Value, json};

use crate::fleet::certificate_facts::FACTS_KEY;
use crate::fleet::object_kind::Lookup;
use crate::fleet::pd::{EtcdMember, MemberId};
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::tls::{Wanted, wanted_of};
use crate::hazards::test_fleet::Bed;

pub(crate) type Plant = fn(&mut Bed);

/// Sets `spec.clusterDomain`, or takes it away.
pub(super) fn domain(side: &mut crate::hazards::test_fleet::Side, domain: Option<&str>) {
    match domain {
        Some(domain) => side.tc["spec"]["clusterDomain"] = json!(domain),
        None => drop(side.tc["spec"].as_object_mut().expect("spec").remove("clusterDomain")),
    }
}

/// The member's pod was started with another domain (with its dot): its name and clientURL follow, its peerURL does not.
pub(super) fn renamed(bed: &mut Bed, member: usize, domain: &str) {
    let member = &mut bed.members[member];
    member.name = format!("{}.svc{domain}", member.name.split(".svc").next().expect("a host"));
    member.client_urls = vec![format!("http://{}:2379", member.name)];
}

/// Opened and joined without any domain.
pub(super) fn without_domains(bed: &mut Bed) {
    for side in [&mut bed.east, &mut bed.west] {
        domain(side, None);
    }
    drop(bed.west.tc["spec"]["cluster"].as_object_mut().expect("ref").remove("clusterDomain"));
    for member in 0..bed.members.len() {
        renamed(bed, member, "");
        bed.members[member].peer_urls = vec![format!("http://{}:2380", bed.members[member].name)];
    }
    for store in &mut bed.stores {
        store.address = store.address.replace(".east.local", "").replace(".west.local", "");
    }
}

pub(super) fn ids(plant: Plant) -> Vec<&'static str> {
    let mut bed = Bed::healthy();
    plant(&mut bed);
    let checked = bed.checked();
    let mut ids: Vec<&str> = checked.findings.iter().filter(|f| !f.unknown).map(crate::hazards::Finding::id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

pub(super) fn ghost_host(name: &str) -> String {
    format!("{name}-pd-0.{name}-pd-peer.db.svc.west.local")
}

pub(super) fn member(id: u64, host: &str) -> EtcdMember {
    EtcdMember {
        id: MemberId(id),
        name: host.into(),
        peer_urls: vec![format!("http://{host}:2380")],
        client_urls: vec![format!("http://{host}:2379")],
    }
}

pub(super) fn stray(name: &str) -> EtcdMember {
    member(9, &ghost_host(name))
}

pub(super) fn claim(instance: &str, made: &str) -> Value {
    json!({"metadata": {"name": format!("tikv-{instance}-tikv-0"), "namespace": "db", "creationTimestamp": made,
        "labels": {"app.kubernetes.io/instance": instance, "app.kubernetes.io/component": "tikv"}},
        "spec": {"volumeName": "pv-1"}, "status": {"phase": "Bound"}})
}

/// Mutual TLS with good certificates from one CA.
pub(super) fn tls(bed: &mut Bed) {
    for member in &mut bed.members {
        for urls in [&mut member.peer_urls, &mut member.client_urls] {
            urls.iter_mut().for_each(|url| *url = url.replace("http://", "https://"));
        }
    }
    for side in [&mut bed.east, &mut bed.west] {
        side.tc["spec"]["tlsCluster"] = json!({"enabled": true});
        let tc: TidbCluster = serde_json::from_value(side.tc.clone()).expect("the shape of the API");
        side.secrets =
            wanted_of(&tc).iter().map(|wanted| (wanted.secret.clone(), Lookup::Present(secret(wanted)))).collect();
    }
}

pub(super) fn secret(wanted: &Wanted) -> Value {
    let certificate = |dns_names: &[String], addresses: &[String]| {
        json!({"commonName": "TiDB", "issuer": "TiDB CA", "dnsNames": dns_names, "ipAddresses": addresses,
            "isCa": false, "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2027-01-01T00:00:00Z", "fingerprint": "aa", "publicKey": "bb"})
    };
    json!({"data": {}, FACTS_KEY: {"keys": ["ca.crt", "tls.crt", "tls.key"], "keyMatches": true, "signedBy": "ca", "unreadable": [],
        "certificate": certificate(&wanted.dns_names, &wanted.ip_addresses),
        "authorities": [{"commonName": "TiDB CA", "issuer": "TiDB CA", "dnsNames": [], "ipAddresses": [], "isCa": true,
            "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2036-01-01T00:00:00Z", "fingerprint": "cc", "publicKey": "ca"}]}})
}

/// TLS, and then one Secret of west changed at one place of its facts.
pub(super) fn tls_but(bed: &mut Bed, at: &str, value: Value) {
    tls(bed);
    let Lookup::Present(secret) = &mut bed.west.secrets[0].1 else { panic!("just made") };
    let (parent, field) = at.rsplit_once('/').expect("a path");
    secret.pointer_mut(&format!("/{FACTS_KEY}{parent}")).expect("a place in the facts")[field] = value;
}
