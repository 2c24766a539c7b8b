//! What the DNS of each KubeCluster has to send on to the others, so that the pods of a Database resolve each other's names.
//!
//! Pure. Where domains differ it is the whole domain of the other; where they are one and the same (EKS cannot change
//! `cluster.local`) it is the namespaces of the other, which then have to differ (`domain.md` §4.1).

use std::collections::BTreeSet;

use super::dns::below;
use super::{Fleet, KubeCluster, ObjectRef};

/// From one KubeCluster to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwards {
    pub from: String,
    pub to: String,
    /// Zones to be sent on, or why none can be named.
    pub zones: Result<Vec<Zone>, NoZones>,
}

/// One sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoZones {
    #[error("{0}")]
    NotKnown(String),
    /// Names of both are one and the same.
    #[error("{0}")]
    Clash(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub name: String,
    /// Its Corefile sends it on already, to whom is not known.
    pub forwarded: bool,
}

/// Between all KubeClusters of these TidbClusters, in order.
pub fn forwards(fleet: &Fleet, members: &[ObjectRef]) -> Vec<Forwards> {
    let contexts: BTreeSet<&str> = members.iter().map(|member| member.context.as_str()).collect();
    let clusters: Vec<&KubeCluster> = contexts.into_iter().filter_map(|context| fleet.clusters.get(context)).collect();
    let mut all = Vec::new();
    for from in &clusters {
        for to in clusters.iter().filter(|to| to.context != from.context) {
            let zones = zones(from, to, members);
            all.push(Forwards { from: from.context.clone(), to: to.context.clone(), zones });
        }
    }
    all
}

fn zones(from: &KubeCluster, to: &KubeCluster, members: &[ObjectRef]) -> Result<Vec<Zone>, NoZones> {
    let not_known = || NoZones::NotKnown(format!("which DNS domain {} serves is not known", to.context));
    let domain = to.dns.first().ok_or_else(not_known)?.to_owned();
    let names = match from.dns.domains.contains(&domain) {
        false => vec![domain],
        true => {
            let of = |context: &str| -> BTreeSet<&str> {
                let here = members.iter().filter(|member| member.context == context);
                here.map(|member| member.namespace.as_str()).collect()
            };
            let (own, theirs) = (of(&from.context), of(&to.context));
            if let Some(both) = own.intersection(&theirs).next() {
                return Err(NoZones::Clash(format!(
                    "{} and {} serve the same DNS domain {domain}, and this Database has a TidbCluster in namespace {both} \
                     of each: no DNS can tell their names apart; one of them needs another namespace",
                    from.context, to.context
                )));
            }
            theirs.into_iter().map(|namespace| format!("{namespace}.svc.{domain}")).collect()
        }
    };
    let sent_on = |name: &str| {
        from.dns.doubts.iter().any(|doubt| doubt.forwarded && !doubt.zone.is_empty() && below(name, &doubt.zone))
    };
    Ok(names.into_iter().map(|name| Zone { forwarded: sent_on(&name), name }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::corefile;
    use crate::fleet::dns::Dns;
    use crate::fleet::{Change, What};

    fn fleet(domains: &[(&str, Dns)]) -> Fleet {
        let mut fleet = Fleet::default();
        for (context, dns) in domains {
            let what = What::Dns(dns.clone());
            fleet.apply(Change { context: (*context).into(), at: jiff::Timestamp::UNIX_EPOCH, what });
        }
        fleet
    }

    fn said(all: &[Forwards]) -> Vec<String> {
        all.iter()
            .map(|one| match &one.zones {
                Ok(zones) => {
                    let zones: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
                    format!("{}>{}: {}", one.from, one.to, zones.join(" "))
                }
                Err(why) => format!("{}>{}! {why}", one.from, one.to),
            })
            .collect()
    }

    #[test]
    fn whole_domains_where_they_differ_and_namespaces_where_they_do_not() {
        let members =
            [ObjectRef::new("a", "one", "x"), ObjectRef::new("b", "two", "x"), ObjectRef::new("c", "three", "x")];
        let found =
            fleet(&[("a", Dns::of("cluster.local")), ("b", Dns::of("cluster.local")), ("c", Dns::of("c.test"))]);
        assert_eq!(
            said(&forwards(&found, &members)),
            [
                "a>b: two.svc.cluster.local",
                "a>c: c.test",
                "b>a: one.svc.cluster.local",
                "b>c: c.test",
                "c>a: cluster.local",
                "c>b: cluster.local",
            ]
        );
    }

    #[test]
    fn what_cannot_be_told_apart_or_is_not_known_is_said() {
        let members = [ObjectRef::new("a", "db", "x"), ObjectRef::new("b", "db", "y")];
        let same = fleet(&[("a", Dns::of("cluster.local")), ("b", Dns::of("cluster.local"))]);
        assert!(said(&forwards(&same, &members))[0].contains("a>b! a and b serve the same DNS domain"));
        let dark = fleet(&[("a", Dns::of("cluster.local")), ("b", Dns::default())]);
        assert_eq!(
            said(&forwards(&dark, &members)),
            ["a>b! which DNS domain b serves is not known", "b>a: cluster.local"]
        );
    }

    #[test]
    fn a_zone_that_is_sent_on_already_is_marked() {
        let corefile =
            ".:53 {\n  kubernetes a.test\n  forward . /etc/resolv.conf\n}\nb.test:53 {\n  forward . 10.0.0.1\n}\n";
        let members = [ObjectRef::new("a", "db", "x"), ObjectRef::new("b", "db", "y")];
        let found = fleet(&[("a", corefile::read(corefile)), ("b", Dns::of("b.test"))]);
        let all = forwards(&found, &members);
        assert_eq!(all[0].zones, Ok(vec![Zone { name: "b.test".into(), forwarded: true }]));
        assert_eq!(all[1].zones, Ok(vec![Zone { name: "a.test".into(), forwarded: false }]));
    }
}
