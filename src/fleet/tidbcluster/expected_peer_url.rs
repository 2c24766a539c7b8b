//! What PD's pods are called, and the peerURL that each should have: the rule that drift is measured against.
//!
//! Not here: which member has another one ([`crate::fleet::database`]), where the domain itself is in doubt
//! ([`crate::fleet::cluster_domain_evidence`]), what may be sent at all ([`crate::fleet::peer_url_check`]).

use super::TidbCluster;

impl TidbCluster {
    /// `<pod>.<tc>-pd-peer.<ns>.svc[.<domain>]`: what a PD pod of this TidbCluster is called in DNS.
    pub fn pd_host(&self, pod: &str, domain: Option<&str>) -> String {
        let base = format!("{pod}.{}-pd-peer.{}.svc", self.name(), self.namespace());
        match domain {
            Some(domain) => format!("{base}.{domain}"),
            None => base,
        }
    }

    /// The etcd name which the operator expects of a PD pod (`domain.md` §2.4).
    pub fn pd_name(&self, pod: &str) -> String {
        match (self.domain(), self.across_k8s()) {
            (Some(domain), _) => self.pd_host(pod, Some(domain)),
            (None, true) => self.pd_host(pod, None),
            (None, false) => pod.to_owned(),
        }
    }

    /// The peerURL that a PD pod should have under the spec as it stands; `tls` is what PD runs with, whatever the spec asks for.
    pub fn expected_peer_url(&self, pod: &str, tls: bool) -> String {
        let scheme = if tls { "https" } else { "http" };
        format!("{scheme}://{}:2380", self.pd_host(pod, self.plain_domain().as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_urls_follow_the_spec() {
        let cases = [
            (json!({}), "basic-pd-0", "http://basic-pd-0.basic-pd-peer.db.svc:2380"),
            (json!({"clusterDomain": ""}), "basic-pd-0", "http://basic-pd-0.basic-pd-peer.db.svc:2380"),
            (
                json!({"acrossK8s": true}),
                "basic-pd-0.basic-pd-peer.db.svc",
                "http://basic-pd-0.basic-pd-peer.db.svc:2380",
            ),
            (
                json!({"clusterDomain": "a.com", "tlsCluster": {"enabled": true}}),
                "basic-pd-0.basic-pd-peer.db.svc.a.com",
                "https://basic-pd-0.basic-pd-peer.db.svc.a.com:2380",
            ),
        ];
        for (spec, name, url) in cases {
            let object = json!({"metadata": {"name": "basic", "namespace": "db"}, "spec": spec});
            let tc: TidbCluster = serde_json::from_value(object).expect("shape");
            assert_eq!(tc.pd_name("basic-pd-0"), name);
            assert_eq!(tc.expected_peer_url("basic-pd-0", tc.tls()), url);
        }
    }
}
