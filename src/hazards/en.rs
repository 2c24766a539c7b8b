//! What helps with each hazard in general, and where it is known from.
//!
//! A table and nothing else. What helps in one case is the finding's own ([`crate::hazards::cure`]); the reason why it is a hazard is the
//! catalogue's.

/// Remedy and source of a hazard.
pub fn of(id: &str) -> Option<(&'static str, &'static str)> {
    TABLE.iter().find(|(known, ..)| *known == id).map(|(_, remedy, source)| (*remedy, *source))
}

/// Documents and trackers that are named more than once.
const ACROSS: &str = "PingCAP documentation: deploy a TiDB cluster across multiple Kubernetes clusters";
const TLS: &str = "PingCAP documentation: enable TLS between TiDB components";
const UPGRADE: &str = "PingCAP documentation: upgrade a TiDB cluster on Kubernetes";
const SCALE: &str = "PingCAP documentation: scale a TiDB cluster on Kubernetes";
const OPERATOR: &str = "source of TiDB Operator, release-1.6";
const PD: &str = "source of PD and its embedded etcd";
const OWN: &str = "met while trying tidepilot on real parts";

#[rustfmt::skip]
static TABLE: &[(&str, &str, &str)] = &[
    ("wrong-cluster-domain", "set the domain that the Kubernetes cluster serves", ACROSS),
    ("cluster-domain-changed", "put the former clusterDomain back", OPERATOR),
    ("duplicate-triple", "give one of the two another name or namespace", OPERATOR),
    ("across-k8s-missing", "set acrossK8s: true", ACROSS),
    ("crd-or-operator-too-old", "upgrade the CRD first, then TiDB Operator", "release notes of TiDB Operator 1.3.0"),
    ("operator-versions-differ", "bring TiDB Operator to one version everywhere", OPERATOR),
    ("operator-upgraded-before-across-k8s", "set acrossK8s before TiDB Operator is upgraded", "release notes of TiDB Operator 1.3.0"),
    ("config-not-rolled", "set configUpdateStrategy: RollingUpdate, and give each component a config", OPERATOR),
    ("tiproxy-with-across-k8s", "remove TiProxy from this TidbCluster", OPERATOR),
    ("pd-microservices-across-k8s", "use a TidbCluster without PD microservices", "tikv/pd#9486"),
    ("wrong-cluster-reference", "set name, namespace and clusterDomain of the TidbCluster to join in spec.cluster", ACROSS),
    ("unreplaced-variable", "write the value itself", ACROSS),
    ("join-with-data", "two Databases cannot be merged: migrate the data by backup and restore", ACROSS),
    ("failover-on", "set maxFailoverCount: 0", "PingCAP documentation: automatic failover; TiDB Operator, release-1.6"),
    ("paused", "set spec.paused to false once it is known why it was set", OPERATOR),
    ("rejected-by-operator", "correct the spec as the Event FailedValidation says", OPERATOR),
    ("partial-list-patch", "send the whole list", "RFC 7386 (JSON merge patch)"),
    ("remote-name-does-not-resolve", "mend the DNS forwarding, and verify it with verify-network", ACROSS),
    ("port-blocked", "open the port in both directions, and verify it with verify-network", ACROSS),
    ("san-missing", "issue the certificate again with these names (renew-certificates)", TLS),
    ("different-ca", "issue the certificates again from one CA", TLS),
    ("common-name-mismatch", "make the common name one that is allowed, or add it to cert-allowed-cn", TLS),
    ("certificate-expiry", "renew the certificate (renew-certificates)", "PingCAP documentation: renew and replace the TLS certificate"),
    ("tls-secret-missing", "issue the certificates and store the Secret (issue-certificates)", TLS),
    ("tls-toggled", "go back in the order that the finding gives", TLS),
    ("cert-manager-v1alpha2", "use cert-manager.io/v1", "release notes of cert-manager 1.6"),
    ("single-pd-join", "scale PD to three first", "etcd documentation: runtime reconfiguration"),
    ("nameless-member", "start its pod, or remove the member by its id while quorum stands without it", PD),
    ("duplicate-pd-name", "find out which of the members has a pod, and remove the other", PD),
    ("uneven-pd-spread", "use an odd number of PD members, spread over the Kubernetes clusters", "etcd documentation: failure modes"),
    ("pd-rolling-in-two", "let one restart end before the other begins", OPERATOR),
    ("single-pd-unsynced", "restore the operator's connection to PD first", OPERATOR),
    ("no-v2-members", "use the v3 API of etcd; tidepilot chooses by itself", "tikv/pd#8536"),
    ("malformed-peer-url", "correct it before any member restarts (repair-peer-urls)", "etcd-io/etcd#9173"),
    ("literal-variable-in-peer-url", "use double quotes, or migrate-cluster-domain", ACROSS),
    ("peer-url-leads-elsewhere", "correct the peerURL (repair-peer-urls)", PD),
    ("peer-urls-half-updated", "update the others (repair-peer-urls)", ACROSS),
    ("peer-url-shared", "correct the peerURL (repair-peer-urls)", PD),
    ("membership-in-doubt", "read the member list from two members before anything is sent again", PD),
    ("peer-url-wrong-scheme", "correct the peerURL (repair-peer-urls)", PD),
    ("member-id-confused", "compare both forms of the id, which tidepilot shows", PD),
    ("tunnel-to-wrong-pd", "forward to one PD pod, not to the Service", "Kubernetes documentation: kubectl port-forward"),
    ("member-of-another-cluster", "work from the context in which its pod runs", PD),
    ("discovery-unavailable", "bring the discovery pod back", OPERATOR),
    ("second-bootstrap", "stop writing, and restore from a backup or from the members that are left", OPERATOR),
    ("asymmetric-health", "look at the network between the PD pods, in both directions", PD),
    ("whole-version-patched", "upgrade component by component with upgrade-cluster", OPERATOR),
    ("ready-too-early", "wait for the end of the rolling restart by its StatefulSet's revisions", OPERATOR),
    ("upgrade-out-of-order", "upgrade in the order PD, TiFlash, TiKV, TiDB (upgrade-cluster)", UPGRADE),
    ("downgrade", "a downgrade is not supported: go back to the later version", UPGRADE),
    ("force-upgrade-left", "remove the annotation", UPGRADE),
    ("regions-unhealthy", "wait until the Regions have recovered, then restart", UPGRADE),
    ("tiflash-metadata", "upgrade TiDB Operator first", "release notes of TiDB Operator 1.3.1; pingcap/tidb-operator#4434"),
    ("too-few-tikv", "scale TiKV out", SCALE),
    ("tiflash-replicas-remain", "set the TiFlash replicas of these tables to 0 first", SCALE),
    ("deleted-too-early", "bring the pod back, or remove store and member once that is certain", SCALE),
    ("ghost-member", "remove the member once it is certain (repair-peer-urls)", OPERATOR),
    ("majority-in-leaving", "scale PD out in a TidbCluster that stays", "etcd documentation: runtime reconfiguration"),
    ("reference-deleted", "point spec.cluster at a TidbCluster that exists", OPERATOR),
    ("old-claims", "delete the old PersistentVolumeClaims once their data is not needed", OPERATOR),
    ("reclaim-policy-delete", "set pvReclaimPolicy: Retain", "Kubernetes documentation: persistent volumes"),
    ("outside-ready", "look at the pods of this component by themselves", OPERATOR),
    ("silent-eviction", "wait; see how many leaders are left on the store", OPERATOR),
    ("operator-down", "start TiDB Operator again", OPERATOR),
    ("rights-differ", "grant what `tidepilot rbac` prints", "Kubernetes documentation: RBAC"),
    ("wrong-context", "write --context and -n with every command", "Kubernetes documentation: configure access to multiple clusters"),
    ("waits-for-discovery-pod", "leave discovery out of the selector", ACROSS),
    ("across-without-domain-old-operator", "set clusterDomain, or upgrade TiDB Operator", "pingcap/tidb-operator#4721"),
    ("overlapping-changes", "wait until one of the two has ended", "pingcap/tidb-operator#2631, #6155"),
    ("suspended", "remove suspendAction when it is not needed any more (resume-cluster)", "PingCAP documentation: suspend and resume a TiDB cluster"),
    ("too-few-copies", "set max-replicas to 3", "PD documentation: replication.max-replicas"),
    ("volumes-reclaimed", "set enablePVReclaim: false", "pingcap/tidb-operator#3893, #908"),
    ("no-version", "name a whole version, for example v8.5.4", OPERATOR),
    ("no-dns-name", "use a DNS name", "RFC 1123"),
    ("duplicate-key", "keep one of the two", "YAML 1.2: keys of a mapping are unique"),
    ("failover-left-over", "clear the record in status once the failed node is not needed any more", "pingcap/tidb-operator#2161, #2160"),
    ("eviction-unknown-to-pd", "add the eviction scheduler in PD, or remove the pod's annotation", "pingcap/tidb-operator#5614, #5613"),
    ("scale-in-without-store-id", "add the label store-id to the pod", "pingcap/tidb-operator#4886, #4644"),
    ("resolver-differs", "set GRPC_DNS_RESOLVER=native for TiKV and TiFlash", "pingcap/tidb-operator#3948, #5146, #5372, #5678"),
    ("unknown-component", "look at this component by other means", "pingcap/tidb-operator#7063"),
    ("copies-not-spread", "set location-labels that tell the Kubernetes clusters apart", "PD documentation: schedule replicas by topology labels"),
    ("pd-member-unhealthy", "bring its pod back", PD),
    ("certificate-unusable", "issue the certificate again (renew-certificates)", TLS),
    ("san-incomplete", "issue the certificate again with all names (renew-certificates)", TLS),
    ("certificate-looks-self-signed", "issue the certificate again (renew-certificates)", "OpenSSL, X509_verify_cert error 18"),
    ("certificate-without-key-ids", "issue the certificate again (renew-certificates)", "RFC 5280, 4.2.1.1"),
    ("pd-no-leader", "bring back enough PD members for a majority", PD),
    ("cluster-domain-missing", "set the domain that the Kubernetes cluster serves", ACROSS),
    ("peer-url-unexpected", "correct the peerURL (repair-peer-urls)", ACROSS),
    ("one-uid-twice", "find out whether the two contexts are one Kubernetes cluster", OWN),
    ("cluster-id-not-confirmed", "restore the connection to PD, then judge again", OWN),
    ("run-records-unguarded", "apply assets/rbac/run-records-policy.yaml", "tidepilot's threat model"),
    ("store-not-up", "bring its pod back", PD),
    ("component-not-settled", "look at the pods and Events of the component", OPERATOR),
    ("not-ready", "look at the conditions of the TidbCluster", OPERATOR),
];

#[cfg(test)]
mod tests {
    use super::super::catalogue::CATALOGUE;
    use super::*;

    #[test]
    fn every_hazard_has_a_remedy_and_a_source() {
        let ids: Vec<&str> = TABLE.iter().map(|(id, ..)| *id).collect();
        let known: Vec<&str> = CATALOGUE.iter().map(|hazard| hazard.id).collect();
        let lacking: Vec<&&str> = known.iter().filter(|id| ids.iter().filter(|own| own == id).count() != 1).collect();
        let strange: Vec<&&str> = ids.iter().filter(|id| !known.contains(id)).collect();
        assert!(lacking.is_empty() && strange.is_empty(), "{lacking:?} {strange:?}");
        assert!(TABLE.iter().all(|(_, remedy, source)| !remedy.is_empty() && !source.is_empty()));
    }
}
