//! Which DNS domains a Kubernetes cluster serves for its own Services and pods: what is certain, what is open, what is not so.
//!
//! Known from CoreDNS's configuration ([`super::corefile`]) and from pods that were asked. A configuration is a reading: where
//! something in it may serve a domain in another way, the answer is that it is not known. Not here: which domain a
//! TidbCluster should have ([`super::cluster_domain_evidence`]), looking (`client::kube::resources`, `client::kube::pod_probe`). Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is known of one KubeCluster's domains. The default: nothing was read and nobody was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dns {
    /// Served for certain: that of the pods' own search list first, then as the Corefile has them. Lower case, no dot at the end.
    pub domains: Vec<String>,
    /// What the pods' own search list says, where one was asked: a name without a domain leads there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Zones that something else than the `kubernetes` plugin may answer for.
    pub doubts: Vec<Doubt>,
    /// CoreDNS's configuration was read.
    pub read: bool,
    /// What a pod found when it asked for a name under the domain.
    pub tried: BTreeMap<String, bool>,
}

/// Why it is not known whether a zone is served.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Doubt {
    /// The zone with everything below it; empty: any.
    pub zone: String,
    /// `rewrite name suffix .eu.example .east.local`
    pub why: String,
    /// Queries are sent on to somebody else's DNS, as to that of the other clusters of a Database.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
}

/// Whether a domain is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    Yes,
    No,
    /// One sentence, without a full stop.
    Unknown(String),
}

/// How the domains of two KubeClusters stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// They serve one domain in common.
    Share,
    /// Both are known wholly, and they have none in common.
    Differ,
    Unknown,
}

impl Dns {
    /// One domain, known for certain.
    pub fn of(domain: &str) -> Self {
        Self { domains: vec![normal(domain)], read: true, ..Self::default() }
    }

    /// The domain of its pods: the first one that is served.
    pub fn first(&self) -> Option<&str> {
        self.domains.first().map(String::as_str)
    }

    pub fn serves(&self, domain: &str) -> Served {
        let domain = normal(domain);
        match self.tried.get(&domain) {
            Some(true) => return Served::Yes,
            Some(false) => return Served::No,
            None => {}
        }
        if self.domains.contains(&domain) {
            return Served::Yes;
        }
        if let Some(doubt) = self.doubts.iter().find(|doubt| below(&domain, &doubt.zone)) {
            return Served::Unknown(format!("CoreDNS has `{}`", doubt.why));
        }
        match (self.read, self.domains.is_empty()) {
            (true, false) => Served::No,
            (true, true) => Served::Unknown("CoreDNS's configuration has no `kubernetes` line with a zone".into()),
            (false, _) => Served::Unknown("CoreDNS's configuration (kube-system/coredns) could not be read".into()),
        }
    }

    /// A name without a domain leads a pod into the domain of its search list, so two clusters understand each other
    /// without `clusterDomain` only where that is one and the same. Which of several domains of a Corefile it is, only a
    /// pod tells. That one sends the other's zone on to it, as the clusters of one Database have to, makes them no more alike.
    pub fn like(&self, other: &Dns) -> Likeness {
        let (own, theirs) = (self.searched(), other.searched());
        if own.is_empty() || theirs.is_empty() {
            return Likeness::Unknown;
        }
        if own == theirs && own.len() == 1 {
            return Likeness::Share;
        }
        let lacks = |of: &Dns, domains: &[&str]| domains.iter().all(|domain| of.never_searches(domain));
        match lacks(self, &theirs) && lacks(other, &own) {
            true => Likeness::Differ,
            false => Likeness::Unknown,
        }
    }

    /// The domains that may stand in the pods' search list.
    fn searched(&self) -> Vec<&str> {
        match &self.search {
            Some(domain) => vec![domain],
            None => self.domains.iter().map(String::as_str).collect(),
        }
    }

    fn never_searches(&self, domain: &str) -> bool {
        let open = |doubt: &Doubt| !doubt.forwarded && below(domain, &doubt.zone);
        match &self.search {
            Some(own) => own != domain,
            None => self.read && !self.domains.iter().any(|own| own == domain) && !self.doubts.iter().any(open),
        }
    }

    /// A pod's own search list says so, which is what counts for it.
    pub fn put_first(&mut self, domain: &str) {
        let domain = normal(domain);
        self.domains.retain(|known| *known != domain);
        self.search = Some(domain.clone());
        self.domains.insert(0, domain);
    }
}

impl Served {
    /// The word for expressions and JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Served::Yes => "yes",
            Served::No => "no",
            Served::Unknown(_) => "unknown",
        }
    }
}

impl Likeness {
    pub fn word(self) -> &'static str {
        match self {
            Likeness::Share => "share",
            Likeness::Differ => "differ",
            Likeness::Unknown => "unknown",
        }
    }
}

/// Lower case, without the dot at the end.
pub fn normal(domain: &str) -> String {
    domain.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether two host names are one to DNS: whatever the case of their letters, with or without the dot at the end.
pub fn same_name(one: &str, other: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
}

/// Whether a domain is the zone or lies below it; everything lies below the empty one.
pub fn below(domain: &str, zone: &str) -> bool {
    zone.is_empty() || domain == zone || domain.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(domains: &[&str], doubts: &[&str]) -> Dns {
        Dns {
            domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
            doubts: doubts.iter().map(|zone| doubt(zone, false)).collect(),
            read: true,
            ..Dns::default()
        }
    }

    fn doubt(zone: &str, forwarded: bool) -> Doubt {
        Doubt { zone: zone.into(), why: "rewrite".into(), forwarded }
    }

    /// The documented way to join clusters sends the zone of each on to its own DNS.
    #[test]
    fn zones_that_are_sent_on_make_nobody_alike() {
        let east = Dns { doubts: vec![doubt("b", true)], ..dns(&["a"], &[]) };
        let west = Dns { doubts: vec![doubt("a", true)], ..dns(&["b"], &[]) };
        assert_eq!((east.like(&west), west.like(&east)), (Likeness::Differ, Likeness::Differ));
        assert!(matches!(east.serves("b"), Served::Unknown(_)), "whether it answers is another question");
    }

    #[test]
    fn of_several_domains_a_pod_tells_which_it_is() {
        let (one, two) = (dns(&["a", "c"], &[]), dns(&["b", "c"], &[]));
        assert_eq!(one.like(&two), Likeness::Unknown);
        let asked = |dns: &Dns, domain: &str| {
            let mut dns = dns.clone();
            dns.put_first(domain);
            dns
        };
        assert_eq!(asked(&one, "a").like(&asked(&two, "b")), Likeness::Differ);
        assert_eq!(asked(&one, "C.").like(&asked(&two, "c")), Likeness::Share);
        assert_eq!(asked(&one, "a").like(&two), Likeness::Differ, "b and c are not a");
        assert_eq!(asked(&one, "c").like(&two), Likeness::Unknown);
        assert_eq!(asked(&Dns::default(), "a").like(&asked(&Dns::default(), "b")), Likeness::Differ);
    }

    #[test]
    fn two_clusters_share_differ_or_are_not_known() {
        use Likeness::{Differ, Share, Unknown};
        let cases = [
            (dns(&["a"], &[]), dns(&["b"], &[]), Differ),
            (dns(&["a"], &[]), dns(&["b", "a"], &[]), Unknown),
            (dns(&["a"], &[""]), dns(&["a"], &[]), Share),
            (dns(&["a"], &["b"]), dns(&["b"], &[]), Unknown),
            (dns(&["a"], &["c"]), dns(&["b"], &[]), Differ),
            (dns(&["a"], &[""]), dns(&["b"], &[]), Unknown),
            (dns(&[], &[]), dns(&[], &[]), Unknown),
            (Dns::default(), dns(&["b"], &[]), Unknown),
            (Dns::default(), Dns::default(), Unknown),
            (Dns { read: false, ..dns(&["a"], &[]) }, dns(&["b"], &[]), Unknown),
        ];
        for (one, other, expected) in cases {
            assert_eq!((one.like(&other), other.like(&one)), (expected, expected), "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_a_pod_found_counts_more_than_what_was_read() {
        let mut one = dns(&["a"], &["b"]);
        assert!(matches!(one.serves("x.B."), Served::Unknown(_)));
        assert_eq!((one.serves("A."), one.serves("c")), (Served::Yes, Served::No));
        one.tried = BTreeMap::from([("x.b".into(), true), ("a".into(), false)]);
        assert_eq!((one.serves("x.b"), one.serves("a")), (Served::Yes, Served::No));
        one.put_first("B");
        assert_eq!(one.first(), Some("b"));
    }
}
