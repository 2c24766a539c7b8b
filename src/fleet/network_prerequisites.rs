//! What the networks of several KubeClusters have to do for one Database to span them, and what is seen of each of it.
//!
//! The list is the one of the vendor's guides for EKS and GKE (`domain.md` §4.1, §4.2). Most of it no API server shows: routes,
//! firewalls and another DNS are proved only by pods that try (`verify-network`), so that most is unknown until then.
//! Pure. Not here: the text of a Corefile ([`super::dns_forward_zones`] has the zones), trying.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::database::{Database, Member, StoreRow};
use super::database_invariants::Holding;
use super::dns_forward_zones::{Forwards, NoZones, forwards};
use super::kubectl_quoting::quote;
use super::{Fleet, KubeCluster, ObjectRef};
use crate::pluralize::counted;

/// For how long what pods saw is believed: routes, firewalls and DNS are changed by people who do not tell PD.
const BELIEVED: SignedDuration = SignedDuration::from_hours(BELIEVED_DAYS * 24);
const BELIEVED_DAYS: i64 = 7;

/// What is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// A TiDB Operator is at work in each KubeCluster.
    Operator,
    /// It is known which DNS domain each KubeCluster serves.
    DnsDomain,
    /// Names of one KubeCluster are sent on to the DNS of the other; one way.
    DnsForward,
    /// No address is that of a pod in both.
    PodRanges,
    /// PD members of both form one cluster already.
    PdConnected,
    /// Every name and port was tried from inside, one way.
    Ports,
}

impl Requirement {
    /// As JSON has it.
    pub fn id(self) -> &'static str {
        match self {
            Requirement::Operator => "operator",
            Requirement::DnsDomain => "dns-domain",
            Requirement::DnsForward => "dns-forward",
            Requirement::PodRanges => "pod-ranges",
            Requirement::PdConnected => "pd-connected",
            Requirement::Ports => "ports",
        }
    }

    /// Whether there and back are two things.
    pub fn is_one_way(self) -> bool {
        matches!(self, Requirement::DnsForward | Requirement::Ports)
    }

    /// What has to be so, in few words.
    pub fn title(self) -> &'static str {
        match self {
            Requirement::Operator => "a TiDB Operator is at work",
            Requirement::DnsDomain => "the DNS domain is known",
            Requirement::DnsForward => "names are sent on to the other's DNS",
            Requirement::PodRanges => "pod address ranges do not overlap",
            Requirement::PdConnected => "PD members of both form one cluster",
            Requirement::Ports => "every name and port answers",
        }
    }
}

/// One requirement at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Prerequisite {
    pub id: Requirement,
    /// The context of a KubeCluster.
    pub from: String,
    /// Of the other one; `None` where it is about one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(flatten)]
    pub holding: Holding,
    /// What was seen, where it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// A command that helps, where it does not hold or is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// What a run of `verify-network` saw, one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub run: String,
    pub at: Timestamp,
    pub from: ObjectRef,
    pub to: ObjectRef,
    /// What was not as it has to be; one sentence.
    pub trouble: Option<String>,
}

/// Everything that these places need of each other, in order. `database`: whose they are, where there is one. `places`: its
/// TidbClusters and those that are to join, a name being empty where it is not known. `proofs`: the newest counts, for a week before `now`.
pub fn prerequisites(
    fleet: &Fleet,
    database: Option<&Database>,
    places: &[ObjectRef],
    proofs: &[Proof],
    now: Timestamp,
) -> Vec<Prerequisite> {
    let contexts: BTreeSet<&str> = places.iter().map(|place| place.context.as_str()).collect();
    let clusters: Vec<&KubeCluster> = contexts.iter().filter_map(|context| fleet.clusters.get(*context)).collect();
    let mut all = Vec::new();
    for cluster in &clusters {
        all.push(operator(cluster));
        all.push(domain(cluster));
    }
    for one in forwards(fleet, places) {
        let name = database.map(|database| database.name.as_str());
        let from = fleet.clusters.get(&one.from);
        // Whoever reached each name from inside was told its address by somebody.
        let tried = ports(places, (&one.from, &one.to), proofs, now).seen;
        all.push(forward(&one, from.is_some_and(|from| from.dns.read), tried, name));
    }
    for (at, one) in clusters.iter().enumerate() {
        for other in &clusters[at + 1..] {
            let there = ports(places, (&one.context, &other.context), proofs, now);
            let back = ports(places, (&other.context, &one.context), proofs, now);
            all.push(ranges(one, other, there.holding == Holding::Holds && back.holding == Holding::Holds));
            all.extend(database.map(|of| connected(&of.members, &of.stores, (&one.context, &other.context))));
            all.extend([there, back]);
        }
    }
    all
}

fn new(id: Requirement, from: &str, to: Option<&str>, holding: Result<String, Holding>) -> Prerequisite {
    let (holding, seen) = match holding {
        Ok(seen) => (Holding::Holds, Some(seen)),
        Err(holding) => (holding, None),
    };
    Prerequisite { id, from: from.to_owned(), to: to.map(str::to_owned), holding, seen, command: None }
}

fn operator(cluster: &KubeCluster) -> Prerequisite {
    let context = &cluster.context;
    let holding = match cluster.operator() {
        Ok(Some(version)) => Ok(version.to_owned()),
        Ok(None) => {
            Err(Holding::Unknown("no tidb-controller-manager was seen, which may lie in what may not be read".into()))
        }
        Err(why) => Err(Holding::Broken(format!("tidb-controller-manager is {why}"))),
    };
    new(Requirement::Operator, context, None, holding)
}

fn domain(cluster: &KubeCluster) -> Prerequisite {
    let holding = match cluster.dns.first() {
        Some(domain) => Ok(domain.to_owned()),
        None => Err(Holding::Unknown(
            "its CoreDNS (ConfigMap kube-system/coredns) was not read, or has no such zone".into(),
        )),
    };
    new(Requirement::DnsDomain, &cluster.context, None, holding)
}

/// `read`: its Corefile was. `tried`: pods resolved the names, as was seen.
fn forward(one: &Forwards, read: bool, tried: Option<String>, database: Option<&str>) -> Prerequisite {
    let holding = match &one.zones {
        Err(NoZones::Clash(why)) => Err(Holding::Broken(why.clone())),
        Err(NoZones::NotKnown(why)) => Err(Holding::Unknown(why.clone())),
        Ok(zones) => {
            let open: Vec<&str> = zones.iter().filter(|zone| !zone.forwarded).map(|zone| zone.name.as_str()).collect();
            match (open.is_empty(), read, tried) {
                (true, _, _) => {
                    let zones: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
                    Ok(format!("the Corefile of {} forwards {}", one.from, zones.join(", ")))
                }
                (false, _, Some(tried)) => Ok(tried),
                (false, true, None) => Err(Holding::Unknown(format!(
                    "the Corefile of {} does not forward {}; another DNS behind it may (Cloud DNS, NodeLocal DNS)",
                    one.from,
                    open.join(", ")
                ))),
                (false, false, None) => Err(Holding::Unknown(format!("the Corefile of {} was not read", one.from))),
            }
        }
    };
    let unproved = matches!(holding, Err(Holding::Unknown(_)));
    let command = database.filter(|_| unproved).map(|database| {
        let (database, from, to) = (quote(database), quote(&one.from), quote(&one.to));
        format!("tidepilot render coredns {database} --for {from} --dns {to}=ADDRESS")
    });
    Prerequisite { command, ..new(Requirement::DnsForward, &one.from, Some(&one.to), holding) }
}

/// `tried`: pods of both reached each other, which they could not where their ranges overlap.
fn ranges(one: &KubeCluster, other: &KubeCluster, tried: bool) -> Prerequisite {
    let of = |cluster: &KubeCluster| -> BTreeMap<String, String> {
        let pods = cluster.pods.values();
        pods.flat_map(|pod| pod.status.addresses().into_iter().map(|ip| (ip, pod.metadata.name.clone()))).collect()
    };
    let (own, theirs) = (of(one), of(other));
    let both = own.iter().find_map(|(ip, pod)| theirs.get(ip).map(|other| (ip, pod, other)));
    let holding = match both {
        Some((ip, pod, other_pod)) => Err(Holding::Broken(format!(
            "{ip} is pod {pod} in {} and pod {other_pod} in {}: no route can lead to both",
            one.context, other.context
        ))),
        None if tried => Ok("pods of both reached each other".to_owned()),
        None => Err(Holding::Unknown(format!(
            "{} of {} and {} of {} were seen, with no address in common; the ranges themselves no API server shows",
            counted(own.len(), "pod"),
            one.context,
            counted(theirs.len(), "pod"),
            other.context
        ))),
    };
    new(Requirement::PodRanges, &one.context, Some(&other.context), holding)
}

/// What PD itself proves: its leader in one, a healthy member in the other.
fn connected(members: &[Member], stores: &[StoreRow], (one, other): (&str, &str)) -> Prerequisite {
    let of = |context: &str| -> Vec<&Member> {
        members.iter().filter(|member| member.place.context() == Some(context)).collect()
    };
    let leads = |context: &str| of(context).iter().any(|member| member.leader);
    let with = |context: &str, health: bool| of(context).iter().filter(|member| member.healthy == Some(health)).count();
    let ends = match (leads(one), leads(other)) {
        (true, _) => Some((one, other)),
        (_, true) => Some((other, one)),
        (false, false) => None,
    };
    let holding = match ends {
        Some((leader, far)) if with(far, true) > 0 => {
            let up = stores.iter().filter(|row| row.place.context() == Some(far) && row.store.is_up()).count();
            Ok(format!(
                "PD's leader is in {leader}; in {far} it sees {} healthy and {} Up",
                counted(with(far, true), "PD member"),
                counted(up, "store"),
            ))
        }
        Some((leader, far)) if with(far, false) > 0 => {
            Err(Holding::Broken(format!("PD's leader is in {leader}, and no PD member in {far} is healthy")))
        }
        Some((_, far)) if of(far).is_empty() => {
            Err(Holding::Unknown(format!("this Database has no PD member in {far} yet")))
        }
        Some(_) | None => Err(Holding::Unknown("PD's leader is in neither, or its answer was not seen".into())),
    };
    new(Requirement::PdConnected, one, Some(other), holding)
}

fn ports(places: &[ObjectRef], (from, to): (&str, &str), proofs: &[Proof], now: Timestamp) -> Prerequisite {
    let own = |of: &ObjectRef, context: &str| {
        of.context == context && places.iter().any(|place| place.context == context && place.namespace == of.namespace)
    };
    let newest =
        proofs.iter().filter(|proof| own(&proof.from, from) && own(&proof.to, to)).max_by_key(|proof| proof.at);
    let holding = match newest {
        Some(Proof { run, at, trouble, .. }) => {
            let when = at.strftime("%Y-%m-%d %H:%MZ");
            match trouble {
                _ if now.duration_since(*at) > BELIEVED => {
                    let saw = trouble.as_deref().unwrap_or("every name and port answered");
                    Err(Holding::Unknown(format!(
                        "what run {run} of verify-network saw at {when} is older than {} ({saw})",
                        counted(BELIEVED_DAYS, "day")
                    )))
                }
                None => Ok(format!("run {run} of verify-network saw it at {when}")),
                Some(why) => Err(Holding::Broken(format!("run {run} of verify-network at {when}: {why}"))),
            }
        }
        None => {
            Err(Holding::Unknown("no run of verify-network that this machine has a journal of has tried it".into()))
        }
    };
    let place = |context: &str| {
        let place = places.iter().find(|place| place.context == context);
        let name = |place: &ObjectRef| if place.name.is_empty() { "NAME".to_owned() } else { place.name.clone() };
        place.map(|place| quote(&format!("{}/{}/{}", place.context, place.namespace, name(place))))
    };
    let command = match (holding.is_err(), place(from), place(to)) {
        (true, Some(first), Some(second)) => {
            Some(format!("tidepilot run verify-network --set first={first} --set second={second}"))
        }
        _ => None,
    };
    Prerequisite { command, ..new(Requirement::Ports, from, Some(to), holding) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::corefile;
    use crate::fleet::database::Place;
    use crate::fleet::dns::Dns;
    use crate::fleet::workload::Pod;
    use crate::fleet::{Change, What};

    fn fleet(all: &[(&str, Dns, &str)]) -> Fleet {
        let mut fleet = Fleet::default();
        for (context, dns, ip) in all {
            let mut pod = Pod::default();
            pod.metadata.namespace = "db".into();
            pod.metadata.name = format!("{context}-pd-0");
            pod.status.pod_ip = Some((*ip).to_owned());
            for what in [What::Dns(dns.clone()), What::Pods(vec![pod])] {
                fleet.apply(Change { context: (*context).into(), at: Timestamp::UNIX_EPOCH, what });
            }
        }
        fleet
    }

    fn places() -> Vec<ObjectRef> {
        vec![ObjectRef::new("a", "db", "x"), ObjectRef::new("b", "db", "y")]
    }

    fn of(all: &[Prerequisite], id: Requirement, from: &str) -> Prerequisite {
        all.iter().find(|one| one.id == id && one.from == from).cloned().expect("it is asked")
    }

    #[test]
    fn what_nothing_shows_is_unknown_with_what_would_prove_it() {
        let forwarding = corefile::read(".:53 {\n  kubernetes a.test\n}\nb.test:53 {\n  forward . 10.0.0.1\n}\n");
        let fleet = fleet(&[("a", forwarding, "10.1.0.1"), ("b", Dns::of("b.test"), "10.2.0.1")]);
        let all = prerequisites(&fleet, None, &places(), &[], Timestamp::UNIX_EPOCH);
        let there = of(&all, Requirement::DnsForward, "a");
        assert_eq!((there.holding, there.command), (Holding::Holds, None));
        let back = of(&all, Requirement::DnsForward, "b");
        assert!(matches!(&back.holding, Holding::Unknown(why) if why.contains("does not forward a.test")), "{back:?}");
        let command = forward(&forwards(&fleet, &places())[1], true, None, Some("x")).command;
        assert_eq!(command.as_deref(), Some("tidepilot render coredns x --for b --dns a=ADDRESS"));
        let ranges = of(&all, Requirement::PodRanges, "a");
        assert!(
            matches!(&ranges.holding, Holding::Unknown(why) if why.contains("1 pod of a and 1 pod of b")),
            "{ranges:?}"
        );
        let ports = of(&all, Requirement::Ports, "b");
        let wanted = "tidepilot run verify-network --set first=b/db/y --set second=a/db/x";
        assert_eq!((matches!(ports.holding, Holding::Unknown(_)), ports.command.as_deref()), (true, Some(wanted)));
        let all = prerequisites(&Fleet::default(), None, &places(), &[], Timestamp::UNIX_EPOCH);
        assert!(all.iter().all(|one| one.holding != Holding::Holds), "of KubeClusters that nobody saw nothing holds");
    }

    #[test]
    fn one_name_or_one_address_for_two_pods_is_broken() {
        let fleet = fleet(&[("a", Dns::of("cluster.local"), "10.1.0.1"), ("b", Dns::of("cluster.local"), "10.1.0.1")]);
        let all = prerequisites(&fleet, None, &places(), &[], Timestamp::UNIX_EPOCH);
        let names = of(&all, Requirement::DnsForward, "a");
        assert!(matches!(&names.holding, Holding::Broken(why) if why.contains("namespace db")), "{names:?}");
        assert_eq!(names.command, None, "no Corefile mends it");
        let ranges = of(&all, Requirement::PodRanges, "a");
        assert!(
            matches!(&ranges.holding, Holding::Broken(why) if why.contains("10.1.0.1 is pod a-pd-0 in a and pod b-pd-0 in b")),
            "{ranges:?}"
        );
    }

    #[test]
    fn pd_proves_itself_from_its_leader_to_the_others_only() {
        let member = |context: &str, leader: bool, healthy: Option<bool>| Member {
            place: Place::new(ObjectRef::new(context, "db", "x"), format!("{context}-pd-0")),
            leader,
            healthy,
            ..Member::default()
        };
        let judged = |members: Vec<Member>| connected(&members, &[], ("a", "b")).holding;
        assert_eq!(judged(vec![member("a", false, Some(true)), member("b", true, Some(true))]), Holding::Holds);
        let sick = judged(vec![member("a", true, Some(true)), member("b", false, Some(false))]);
        assert!(matches!(sick, Holding::Broken(_)), "{sick:?}");
        for members in [
            vec![member("a", false, Some(true)), member("b", false, Some(true))],
            vec![member("a", true, Some(true))],
            vec![member("a", true, Some(true)), member("b", false, None)],
        ] {
            assert!(matches!(judged(members.clone()), Holding::Unknown(_)), "{members:?}");
        }
    }

    #[test]
    fn the_newest_run_that_tried_these_places_counts() {
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        let proof = |run: &str, second: i64, trouble: Option<&str>| Proof {
            run: run.into(),
            at: at(second),
            from: ObjectRef::new("a", "db", "x"),
            to: ObjectRef::new("b", "db", "y"),
            trouble: trouble.map(str::to_owned),
        };
        let proofs = [proof("old", 1, Some("closed: 2380")), proof("new", 2, None)];
        let judged = |from: &str, to: &str, proofs: &[Proof]| ports(&places(), (from, to), proofs, at(3));
        assert_eq!(judged("a", "b", &proofs).holding, Holding::Holds);
        assert!(matches!(judged("b", "a", &proofs).holding, Holding::Unknown(_)), "one way is not the other");
        let dark = fleet(&[("a", Dns::of("a.test"), "10.1.0.1"), ("b", Dns::of("b.test"), "10.2.0.1")]);
        let all = prerequisites(&dark, None, &places(), &proofs, at(3));
        let dns = |from: &str| of(&all, Requirement::DnsForward, from).holding;
        assert_eq!(dns("a"), Holding::Holds, "its pods resolved the names of b, whoever told them");
        assert!(matches!(dns("b"), Holding::Unknown(_)), "{:?}", dns("b"));
        let broken = judged("a", "b", &proofs[..1]).holding;
        assert!(
            matches!(&broken, Holding::Broken(why) if why.contains("run old") && why.contains("closed: 2380")),
            "{broken:?}"
        );
        let elsewhere = Proof { to: ObjectRef::new("b", "other", "y"), ..proof("else", 3, None) };
        assert!(
            matches!(judged("a", "b", &[elsewhere]).holding, Holding::Unknown(_)),
            "another namespace is another name"
        );
        for (run, says) in [("new", "every name and port answered"), ("old", "closed: 2380")] {
            let of = proofs.iter().find(|proof| proof.run == run).cloned().expect("one of the two");
            let week = of.at + BELIEVED;
            let later = |now| ports(&places(), ("a", "b"), std::slice::from_ref(&of), now).holding;
            assert!(!matches!(later(week), Holding::Unknown(_)), "a week is not too long");
            let old = later(week + SignedDuration::from_secs(1));
            assert!(
                matches!(&old, Holding::Unknown(why) if why.contains("older than 7 days") && why.contains(says)),
                "{old:?}"
            );
        }
    }
}
