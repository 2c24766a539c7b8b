//! Which DNS domains a Kubernetes cluster serves for its own Services and pods: what is certain, what is open, what is not so.
//!
//! Known from CoreDNS's configuration ([`super::corefile`]) and from pods that were asked. A configuration is a reading: where
//! something in it may serve a domain in another way, the answer is that it is not known. Not here: which domain a
//! TidbCluster should have ([`super::domain_witness`]), looking (`client::resources`, `client::probe`). Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is known of one KubeCluster's domains. The default: nothing was read and nobody was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dns {
    /// Served for certain: that of the pods' own search list first, then as the Corefile has them. Lower case, no dot at the end.
    pub domains: Vec<String>,
    /// Zones that something else than the `kubernetes` plugin may answer for.
    pub doubts: Vec<Doubt>,
    /// CoreDNS's configuration was read.
    pub read: bool,
    /// What a pod found when it asked for a name under the domain.
    pub tried: BTreeMap<String, bool>,
}

/// Why it is not known whether a zone is served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Doubt {
    /// The zone with everything below it; empty: any.
    pub zone: String,
    /// `rewrite name suffix .eu.example .east.local`
    pub why: String,
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
            (true, true) => Served::Unknown("CoreDNS's configuration has no `kubernetes` line".into()),
            (false, _) => Served::Unknown("CoreDNS's configuration (kube-system/coredns) could not be read".into()),
        }
    }

    /// A name without a domain leads a pod into its own cluster's domain, so two clusters understand each other
    /// without `clusterDomain` only where they have one in common.
    pub fn like(&self, other: &Dns) -> Likeness {
        if self.domains.iter().any(|domain| other.domains.contains(domain)) {
            return Likeness::Share;
        }
        let lacks = |of: &Dns, domains: &[String]| domains.iter().all(|domain| of.serves(domain) == Served::No);
        let known = !self.domains.is_empty() && !other.domains.is_empty();
        match known && lacks(self, &other.domains) && lacks(other, &self.domains) {
            true => Likeness::Differ,
            false => Likeness::Unknown,
        }
    }

    /// A pod's own search list says so, which is what counts for it.
    pub fn put_first(&mut self, domain: &str) {
        let domain = normal(domain);
        self.domains.retain(|known| *known != domain);
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
            doubts: doubts.iter().map(|zone| Doubt { zone: (*zone).into(), why: "rewrite".into() }).collect(),
            read: true,
            tried: BTreeMap::new(),
        }
    }

    #[test]
    fn two_clusters_share_differ_or_are_not_known() {
        use Likeness::{Differ, Share, Unknown};
        let cases = [
            (dns(&["a"], &[]), dns(&["b"], &[]), Differ),
            (dns(&["a"], &[]), dns(&["b", "a"], &[]), Share),
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
