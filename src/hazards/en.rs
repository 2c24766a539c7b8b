//! The catalogue in English: of each hazard what it is, what helps in general, and where it is known from.
//!
//! A table and nothing else. What helps in one case is the finding's own ([`crate::hazards::cure`]); the reason why it is a hazard is the
//! catalogue's.

/// A hazard in words.
pub struct Words {
    /// What it is: a clause without a full stop.
    pub title: &'static str,
    pub remedy: &'static str,
    pub source: &'static str,
}

pub fn of(id: &str) -> Option<Words> {
    let (_, title, remedy, source) = TABLE.iter().find(|(known, ..)| *known == id)?;
    Some(Words { title, remedy, source })
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
static TABLE: &[(&str, &str, &str, &str)] = &[
    ("wrong-cluster-domain", "clusterDomain is not the domain that the Kubernetes cluster serves", "set the domain that the Kubernetes cluster serves", ACROSS),
    ("cluster-domain-changed", "clusterDomain was changed after PD had started", "put the former clusterDomain back", OPERATOR),
    ("duplicate-triple", "two TidbClusters have the same name, namespace and clusterDomain", "give one of the two another name or namespace", OPERATOR),
    ("across-k8s-missing", "acrossK8s is not set on a TidbCluster that spans Kubernetes clusters", "set acrossK8s: true", ACROSS),
    ("crd-or-operator-too-old", "the CRD or TiDB Operator is too old for acrossK8s", "upgrade the CRD first, then TiDB Operator", "release notes of TiDB Operator 1.3.0"),
    ("operator-versions-differ", "TiDB Operator has different versions in the Kubernetes clusters", "bring TiDB Operator to one version everywhere", OPERATOR),
    ("operator-upgraded-before-across-k8s", "TiDB Operator was upgraded from before 1.3.0 without acrossK8s being set first", "set acrossK8s before TiDB Operator is upgraded", "release notes of TiDB Operator 1.3.0"),
    ("config-not-rolled", "a change of the configuration does not restart the pods", "set configUpdateStrategy: RollingUpdate, and give each component a config", OPERATOR),
    ("tiproxy-with-across-k8s", "acrossK8s and TiProxy are used together", "remove TiProxy from this TidbCluster", OPERATOR),
    ("pd-microservices-across-k8s", "acrossK8s and PD microservices are used together", "use a TidbCluster without PD microservices", "tikv/pd#9486"),
    ("wrong-cluster-reference", "spec.cluster names the wrong TidbCluster, or none that exists", "set name, namespace and clusterDomain of the TidbCluster to join in spec.cluster", ACROSS),
    ("unreplaced-variable", "a variable or placeholder was not replaced", "write the value itself", ACROSS),
    ("join-with-data", "the TidbCluster that is to join has data of its own", "two Databases cannot be merged: migrate the data by backup and restore", ACROSS),
    ("failover-on", "automatic failover is on", "set maxFailoverCount: 0", "PingCAP documentation: automatic failover; TiDB Operator, release-1.6"),
    ("paused", "the TidbCluster is paused", "set spec.paused to false once it is known why it was set", OPERATOR),
    ("rejected-by-operator", "TiDB Operator refuses the object", "correct the spec as the Event FailedValidation says", OPERATOR),
    ("partial-list-patch", "a merge patch holds only a part of a list", "send the whole list", "RFC 7386 (JSON merge patch)"),
    ("remote-name-does-not-resolve", "DNS names of another Kubernetes cluster do not resolve", "mend the DNS forwarding, and verify it with verify-network", ACROSS),
    ("port-blocked", "a port between the Kubernetes clusters is blocked", "open the port in both directions, and verify it with verify-network", ACROSS),
    ("san-missing", "a certificate lacks a DNS name (SAN) that PD's peers check", "issue the certificate again with these names (renew-certificates)", TLS),
    ("different-ca", "the members' certificates come from different CAs", "issue the certificates again from one CA", TLS),
    ("common-name-mismatch", "a certificate's common name is not among the allowed ones", "make the common name one that is allowed, or add it to cert-allowed-cn", TLS),
    ("certificate-expiry", "a certificate has expired, or expires soon", "renew the certificate (renew-certificates)", "PingCAP documentation: renew and replace the TLS certificate"),
    ("tls-secret-missing", "a Secret with a TLS certificate is missing", "issue the certificates and store the Secret (issue-certificates)", TLS),
    ("tls-toggled", "TLS was switched on or off on a running TidbCluster", "go back in the order that the finding gives", TLS),
    ("cert-manager-v1alpha2", "a manifest uses cert-manager's API v1alpha2", "use cert-manager.io/v1", "release notes of cert-manager 1.6"),
    ("single-pd-join", "a TidbCluster joins a Database with a single PD", "scale PD to three first", "etcd documentation: runtime reconfiguration"),
    ("nameless-member", "a PD member has never started", "start its pod, or remove the member by its id while quorum stands without it", PD),
    ("duplicate-pd-name", "two PD members have the same name", "find out which of the members has a pod, and remove the other", PD),
    ("uneven-pd-spread", "the number of PD members, or their spread, is bad for quorum", "use an odd number of PD members, spread over the Kubernetes clusters", "etcd documentation: failure modes"),
    ("pd-rolling-in-two", "PD restarts in two Kubernetes clusters at the same time", "let one restart end before the other begins", OPERATOR),
    ("single-pd-unsynced", "TiDB Operator cannot reach PD and may restart all of it", "restore the operator's connection to PD first", OPERATOR),
    ("no-v2-members", "PD 8.4 and later has no /v2/members", "use the v3 API of etcd; tidepilot chooses by itself", "tikv/pd#8536"),
    ("malformed-peer-url", "a peerURL is malformed", "correct it before any member restarts (repair-peer-urls)", "etcd-io/etcd#9173"),
    ("literal-variable-in-peer-url", "a shell variable in single quotes goes into a peerURL as it stands", "use double quotes, or migrate-cluster-domain", ACROSS),
    ("peer-url-leads-elsewhere", "a peerURL resolves to another address than its pod's", "correct the peerURL (repair-peer-urls)", PD),
    ("peer-urls-half-updated", "only some of the peerURLs have been updated", "update the others (repair-peer-urls)", ACROSS),
    ("peer-url-shared", "two members have the same peerURL", "correct the peerURL (repair-peer-urls)", PD),
    ("membership-in-doubt", "the result of a membership change is not known", "read the member list from two members before anything is sent again", PD),
    ("peer-url-wrong-scheme", "a peerURL's scheme (http, https) does not fit the TLS setting", "correct the peerURL (repair-peer-urls)", PD),
    ("member-id-confused", "a member id in hexadecimal is taken for a decimal one, or the other way round", "compare both forms of the id, which tidepilot shows", PD),
    ("tunnel-to-wrong-pd", "a port-forward leads to another PD than the one meant", "forward to one PD pod, not to the Service", "Kubernetes documentation: kubectl port-forward"),
    ("member-of-another-cluster", "the member belongs to another Kubernetes cluster", "work from the context in which its pod runs", PD),
    ("discovery-unavailable", "the discovery service is unavailable", "bring the discovery pod back", OPERATOR),
    ("second-bootstrap", "the initial TidbCluster has bootstrapped a second Database", "stop writing, and restore from a backup or from the members that are left", OPERATOR),
    ("asymmetric-health", "a member is healthy from one place and unhealthy from another", "look at the network between the PD pods, in both directions", PD),
    ("whole-version-patched", "spec.version is patched directly", "upgrade component by component with upgrade-cluster", OPERATOR),
    ("ready-too-early", "Ready says True before the change has happened", "wait for the end of the rolling restart by its StatefulSet's revisions", OPERATOR),
    ("upgrade-out-of-order", "components are upgraded in the wrong order", "upgrade in the order PD, TiFlash, TiKV, TiDB (upgrade-cluster)", UPGRADE),
    ("downgrade", "a version is older than the one that has run", "a downgrade is not supported: go back to the later version", UPGRADE),
    ("force-upgrade-left", "the annotation force-upgrade was left on", "remove the annotation", UPGRADE),
    ("regions-unhealthy", "some regions are unhealthy", "wait until the Regions have recovered, then restart", UPGRADE),
    ("tiflash-metadata", "TiFlash may lose its metadata", "upgrade TiDB Operator first", "release notes of TiDB Operator 1.3.1; pingcap/tidb-operator#4434"),
    ("too-few-tikv", "there are fewer TiKV stores than replicas of a region", "scale TiKV out", SCALE),
    ("tiflash-replicas-remain", "tables still have TiFlash replicas", "set the TiFlash replicas of these tables to 0 first", SCALE),
    ("deleted-too-early", "a pod is gone while its store or member still counts", "bring the pod back, or remove store and member once that is certain", SCALE),
    ("ghost-member", "a PD member has no pod", "remove the member once it is certain (repair-peer-urls)", OPERATOR),
    ("majority-in-leaving", "most PD members are in the TidbCluster that is to leave", "scale PD out in a TidbCluster that stays", "etcd documentation: runtime reconfiguration"),
    ("reference-deleted", "the TidbCluster that spec.cluster names was deleted", "point spec.cluster at a TidbCluster that exists", OPERATOR),
    ("old-claims", "PersistentVolumeClaims of a former TidbCluster are still there", "delete the old PersistentVolumeClaims once their data is not needed", OPERATOR),
    ("reclaim-policy-delete", "the reclaim policy of the volumes is Delete", "set pvReclaimPolicy: Retain", "Kubernetes documentation: persistent volumes"),
    ("outside-ready", "a component is not part of Ready", "look at the pods of this component by themselves", OPERATOR),
    ("silent-eviction", "region leaders are being moved away from a store", "wait; see how many leaders are left on the store", OPERATOR),
    ("operator-down", "TiDB Operator does not run", "start TiDB Operator again", OPERATOR),
    ("rights-differ", "permissions differ between the Kubernetes clusters", "grant what `tidepilot rbac` prints", "Kubernetes documentation: RBAC"),
    ("wrong-context", "two contexts lead to one Kubernetes cluster", "write --context and -n with every command", "Kubernetes documentation: configure access to multiple clusters"),
    ("waits-for-discovery-pod", "a wait for pods to go counts the discovery pod", "leave discovery out of the selector", ACROSS),
    ("across-without-domain-old-operator", "acrossK8s without clusterDomain under an older TiDB Operator", "set clusterDomain, or upgrade TiDB Operator", "pingcap/tidb-operator#4721"),
    ("overlapping-changes", "scaling and a rolling restart overlap", "wait until one of the two has ended", "pingcap/tidb-operator#2631, #6155"),
    ("suspended", "a component is suspended", "remove suspendAction when it is not needed any more (resume-cluster)", "PingCAP documentation: suspend and resume a TiDB cluster"),
    ("too-few-copies", "there are too few copies of each region", "set max-replicas to 3", "PD documentation: replication.max-replicas"),
    ("volumes-reclaimed", "volumes of scaled-in pods are deleted (enablePVReclaim)", "set enablePVReclaim: false", "pingcap/tidb-operator#3893, #908"),
    ("no-version", "a version is no image tag, or names none for sure", "name a whole version, for example v8.5.4", OPERATOR),
    ("no-dns-name", "a name is no DNS name", "use a DNS name", "RFC 1123"),
    ("duplicate-key", "a key stands twice in one mapping", "keep one of the two", "YAML 1.2: keys of a mapping are unique"),
    ("failover-left-over", "pods made by failover are left over", "clear the record in status once the failed node is not needed any more", "pingcap/tidb-operator#2161, #2160"),
    ("eviction-unknown-to-pd", "PD does not know of a leader eviction that the operator waits for", "add the eviction scheduler in PD, or remove the pod's annotation", "pingcap/tidb-operator#5614, #5613"),
    ("scale-in-without-store-id", "a pod that is to be scaled in has no store-id label", "add the label store-id to the pod", "pingcap/tidb-operator#4886, #4644"),
    ("resolver-differs", "TiKV and TiFlash use another DNS resolver than PD", "set GRPC_DNS_RESOLVER=native for TiKV and TiFlash", "pingcap/tidb-operator#3948, #5146, #5372, #5678"),
    ("unknown-component", "there is a component that tidepilot does not know", "look at this component by other means", "pingcap/tidb-operator#7063"),
    ("copies-not-spread", "replicas are not kept apart by Kubernetes cluster", "set location-labels that tell the Kubernetes clusters apart", "PD documentation: schedule replicas by topology labels"),
    ("unknown-field", "a field is misspelt", "correct its spelling", "Kubernetes documentation: field pruning and field validation"),
    ("pd-member-unhealthy", "a PD member is unhealthy", "bring its pod back", PD),
    ("certificate-unusable", "a certificate cannot be used", "issue the certificate again (renew-certificates)", TLS),
    ("san-incomplete", "a certificate lacks some of the usual DNS names (SANs)", "issue the certificate again with all names (renew-certificates)", TLS),
    ("certificate-looks-self-signed", "a certificate looks self-signed to OpenSSL", "issue the certificate again (renew-certificates)", "OpenSSL, X509_verify_cert error 18"),
    ("certificate-without-key-ids", "a certificate has no key identifiers", "issue the certificate again (renew-certificates)", "RFC 5280, 4.2.1.1"),
    ("pd-no-leader", "PD has no leader", "bring back enough PD members for a majority", PD),
    ("cluster-domain-missing", "clusterDomain is missing", "set the domain that the Kubernetes cluster serves", ACROSS),
    ("peer-url-unexpected", "a peerURL is not the expected one", "correct the peerURL (repair-peer-urls)", ACROSS),
    ("one-uid-twice", "one UID appears in two contexts", "find out whether the two contexts are one Kubernetes cluster", OWN),
    ("cluster-id-not-confirmed", "no PD member confirms the cluster id", "restore the connection to PD, then judge again", OWN),
    ("run-records-unguarded", "no admission policy guards run records", "apply assets/rbac/run-records-policy.yaml", "tidepilot's threat model"),
    ("store-not-up", "a store is not Up", "bring its pod back", PD),
    ("component-not-settled", "a component has not reached what its spec asks for", "look at the pods and Events of the component", OPERATOR),
    ("not-ready", "TiDB Operator reports that something is not ready", "look at the conditions of the TidbCluster", OPERATOR),
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
        let texts = TABLE.iter().flat_map(|(_, title, remedy, source)| [title, remedy, source]);
        assert!(texts.into_iter().all(|text| !text.is_empty() && !text.ends_with('.')));
    }
}
