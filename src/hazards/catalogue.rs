//! The catalogue: the 69 hazards of `domain.md` §5 by number, those that were met in use behind them, and the few plain states beside them, each with its name,
//! its severity and how it is seen at all. A hazard that cannot be seen from outside says so, and why.
//!
//! A table and nothing else: what sees each one is in the files that [`crate::hazards`] names.

use serde::Serialize;

use crate::hazards::Severity;

/// One entry.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hazard {
    /// Its number in `domain.md` §5; `None` for what is plainly down.
    pub number: Option<u8>,
    /// Its name, which never changes.
    pub id: &'static str,
    pub severity: Severity,
    pub why: &'static str,
    pub seen: Seeing,
}

/// How a hazard shows itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "how", content = "by", rename_all = "kebab-case")]
pub enum Seeing {
    /// `check` finds it in a running fleet.
    Now,
    /// It lies in what is about to be done: a preflight or the docs lint finds it, named here.
    BeforeAStep(&'static str),
    /// A name or a port, which only a pod can try.
    OnlyFromInside(&'static str),
    /// Nothing outside shows it; the reason, and who is asked instead.
    NotFromOutside(&'static str),
}

impl Seeing {
    pub fn words(self) -> &'static str {
        match self {
            Seeing::Now => "now",
            Seeing::BeforeAStep(_) => "before a step",
            Seeing::OnlyFromInside(_) => "only from inside",
            Seeing::NotFromOutside(_) => "not from outside",
        }
    }

    pub fn by(self) -> &'static str {
        match self {
            Seeing::Now => "tidepilot check",
            Seeing::BeforeAStep(by) | Seeing::OnlyFromInside(by) | Seeing::NotFromOutside(by) => by,
        }
    }
}

use Seeing::{BeforeAStep, NotFromOutside, Now, OnlyFromInside};
use Severity::{High, Info, Low, Medium};

const fn hazard(number: u8, id: &'static str, severity: Severity, seen: Seeing, why: &'static str) -> Hazard {
    Hazard { number: Some(number), id, severity, why, seen }
}

const fn plain(id: &'static str, severity: Severity, why: &'static str) -> Hazard {
    Hazard { number: None, id, severity, why, seen: Now }
}

/// The entry of a name.
pub fn entry(id: &str) -> Option<&'static Hazard> {
    CATALOGUE.iter().find(|hazard| hazard.id == id)
}

/// The entry of a number.
pub fn numbered(number: u8) -> Option<&'static Hazard> {
    CATALOGUE.iter().find(|hazard| hazard.number == Some(number))
}

pub static CATALOGUE: &[Hazard] = &[
    hazard(
        1,
        "wrong-cluster-domain",
        High,
        Now,
        "PD waits 30 s for its own name, does not find it and exits, again and again.",
    ),
    hazard(
        2,
        "cluster-domain-changed",
        High,
        Now,
        "The operator takes its own PD members for foreign ones and waits for ever; nothing validates the change.",
    ),
    hazard(
        3,
        "duplicate-triple",
        High,
        Now,
        "Nothing tells the members of the two apart, and their DNS names collide.",
    ),
    hazard(
        4,
        "across-k8s-missing",
        Medium,
        Now,
        "Discovery then uses names and a Service that no other KubeCluster can reach.",
    ),
    hazard(
        5,
        "crd-or-operator-too-old",
        Medium,
        Now,
        "An old CRD drops acrossK8s silently; what was asked for does not happen.",
    ),
    hazard(
        6,
        "operator-versions-differ",
        Medium,
        Now,
        "The operators judge the same Database by different rules: gates, names and status differ between versions.",
    ),
    hazard(
        7,
        "operator-upgraded-before-across-k8s",
        High,
        NotFromOutside(
            "no object records with which operator it was built; ask who built it before an operator older than 1.3.0 is upgraded",
        ),
        "A cluster built across KubeClusters by operator 1.3.0-beta.1 or older gets other PD names from the new one unless acrossK8s is set first.",
    ),
    hazard(
        8,
        "config-not-rolled",
        Medium,
        Now,
        "The change goes into a ConfigMap and no pod restarts: a migration or upgrade waits for what never comes.",
    ),
    hazard(
        9,
        "tiproxy-with-across-k8s",
        High,
        Now,
        "The operator ends its pass with an error at TiProxy, so TiFlash, TiKV and TiDB are not reconciled any more.",
    ),
    hazard(
        10,
        "pd-microservices-across-k8s",
        Medium,
        Now,
        "Expected and real names of the microservices never match; the vendor does not support it.",
    ),
    hazard(
        11,
        "wrong-cluster-reference",
        High,
        Now,
        "A joiner that does not find its target bootstraps a Database of its own; two Databases with data cannot be joined.",
    ),
    hazard(
        12,
        "unreplaced-variable",
        High,
        Now,
        "An empty or literal value in a name is applied as it stands, and the cluster is built wrong.",
    ),
    hazard(
        13,
        "join-with-data",
        High,
        BeforeAStep("the preflight of join-cluster"),
        "Joining a Database to one with data of its own is unsupported; the data of one of them is lost.",
    ),
    hazard(
        14,
        "failover-on",
        High,
        Now,
        "A partition between KubeClusters looks like dead members: failover replaces and deletes members that are alive.",
    ),
    hazard(15, "paused", Low, Now, "Nothing happens, or pods are numbered with holes, and nothing says why."),
    hazard(
        16,
        "rejected-by-operator",
        Medium,
        Now,
        "The operator stops at the object and leaves status as it was, so Ready keeps its old value.",
    ),
    hazard(
        17,
        "partial-list-patch",
        Medium,
        NotFromOutside("it lies in a request, not in an object; tidepilot never sends a part of a list"),
        "A merge patch replaces the whole list of PD microservices.",
    ),
    hazard(
        18,
        "remote-name-does-not-resolve",
        Medium,
        OnlyFromInside("the runbook verify-network, and the probe before each peerURL"),
        "Pods of one KubeCluster cannot find those of another; a negative answer may be cached for 30 s.",
    ),
    hazard(
        19,
        "port-blocked",
        High,
        OnlyFromInside("the runbook verify-network: only a pod can try a port of another KubeCluster"),
        "A member joins over 2379 and cannot take part over 2380: quorum is raised by a vote that never comes.",
    ),
    hazard(
        20,
        "san-missing",
        High,
        Now,
        "PD's peers check the exact headless name; without it in the certificate the member never connects.",
    ),
    hazard(21, "different-ca", High, Now, "Mutual TLS between members with different CAs fails."),
    hazard(
        22,
        "common-name-mismatch",
        High,
        Now,
        "A component with a list of common names (cert-allowed-cn, cluster-verify-cn) ends the handshake with every other; PD before 8.4 takes a list of one only.",
    ),
    hazard(
        23,
        "certificate-expiry",
        High,
        Now,
        "An expired certificate ends every new connection between the members.",
    ),
    hazard(24, "tls-secret-missing", Medium, Now, "Pods that mount it stay in ContainerCreating."),
    hazard(25, "tls-toggled", High, Now, "The peerURLs keep their scheme, and no member reaches another."),
    hazard(
        26,
        "cert-manager-v1alpha2",
        Low,
        BeforeAStep("the docs lint"),
        "cert-manager has not served v1alpha2 since 1.6; the manifest is refused.",
    ),
    hazard(
        27,
        "single-pd-join",
        High,
        Now,
        "Adding a second member raises the quorum to two of two; if it does not start, all writes stop, and it cannot even be removed.",
    ),
    hazard(28, "nameless-member", Medium, Now, "While a member has never started, PD refuses every further join."),
    hazard(
        29,
        "duplicate-pd-name",
        Medium,
        Now,
        "PD refuses to start with \"join a duplicated pd\", and names no longer say which member is meant.",
    ),
    hazard(
        30,
        "uneven-pd-spread",
        Medium,
        Now,
        "An even number tolerates no more losses than one less, and a majority in one place falls with it.",
    ),
    hazard(
        31,
        "pd-rolling-in-two",
        High,
        Now,
        "The operators do not look at each other: two PD of three can be down at once.",
    ),
    hazard(
        32,
        "single-pd-unsynced",
        High,
        Now,
        "When the operator cannot reach PD it restarts all of it at once, without transferring PD leadership.",
    ),
    hazard(
        33,
        "no-v2-members",
        Medium,
        BeforeAStep("tidepilot asks each PD whether it has /v2/members, and uses etcd v3 where it has not"),
        "PD from 8.4 on answers 404 to /v2/members; the documented procedure ends there.",
    ),
    hazard(
        34,
        "malformed-peer-url",
        High,
        Now,
        "etcd v3 commits anything; every other member then panics, now or at its next restart.",
    ),
    hazard(
        35,
        "literal-variable-in-peer-url",
        High,
        BeforeAStep("the docs lint; tidepilot builds the request itself"),
        "In single quotes a shell replaces nothing: the text of the variable itself becomes the peerURL.",
    ),
    hazard(
        36,
        "peer-url-leads-elsewhere",
        High,
        OnlyFromInside("the probe before each peerURL, from the other PD pods"),
        "A name that resolves wrongly does no harm until the next restart, and then the member is lost.",
    ),
    hazard(
        37,
        "peer-urls-half-updated",
        Medium,
        Now,
        "A joiner takes the first peerURL of each member; one that only resolves at home makes it fail.",
    ),
    hazard(38, "peer-url-shared", High, Now, "Two members at one address: one of them gets the other's messages."),
    hazard(
        39,
        "membership-in-doubt",
        Medium,
        Now,
        "A change that timed out may still be applied; repeating it with another value makes two changes of one.",
    ),
    hazard(
        40,
        "peer-url-wrong-scheme",
        High,
        Now,
        "etcd accepts http for a member that speaks https; no peer reaches it after a restart.",
    ),
    hazard(
        41,
        "member-id-confused",
        High,
        NotFromOutside("it is a mistake in writing an id down; tidepilot has one type for ids and shows both forms"),
        "The same id is hexadecimal in one API and decimal in another; the wrong member is changed.",
    ),
    hazard(
        42,
        "tunnel-to-wrong-pd",
        Medium,
        BeforeAStep("tidepilot opens its tunnels to pods and asks who answers before each write"),
        "A port-forward to the Service ends at any PD, and a stale one at another than it began with.",
    ),
    hazard(
        43,
        "member-of-another-cluster",
        High,
        BeforeAStep("plans name the owner of each member, and only members with a pod in the context are written"),
        "Any member accepts a change for any id, also for one in another KubeCluster.",
    ),
    hazard(
        44,
        "discovery-unavailable",
        Medium,
        Now,
        "A PD without data asks discovery how to start, and waits for its answer for ever.",
    ),
    hazard(
        45,
        "second-bootstrap",
        High,
        Now,
        "The initial TidbCluster lost its only PD's volume and began a new Database beside the surviving members.",
    ),
    hazard(
        46,
        "asymmetric-health",
        Low,
        Now,
        "A follower that does not reach the leader answers with errors, from one side only.",
    ),
    hazard(
        47,
        "whole-version-patched",
        High,
        BeforeAStep("the preflight and plan of upgrade-cluster: it sets component versions only"),
        "spec.version moves every component of one TidbCluster at once; the order across KubeClusters is lost.",
    ),
    hazard(
        48,
        "ready-too-early",
        Medium,
        Now,
        "Ready is computed before the change is seen, and stays True while an upgrade is held back.",
    ),
    hazard(
        49,
        "upgrade-out-of-order",
        High,
        Now,
        "No operator waits for another: a component runs ahead of one that it depends on.",
    ),
    hazard(50, "downgrade", High, Now, "Going back to an older version is not supported once the newer one has run."),
    hazard(
        51,
        "force-upgrade-left",
        High,
        Now,
        "Every later change restarts PD without any safety whenever the operator cannot reach it.",
    ),
    hazard(
        52,
        "regions-unhealthy",
        Medium,
        Now,
        "Restarting another store takes the last good copies of these regions away.",
    ),
    hazard(53, "tiflash-metadata", High, Now, "TiFlash from 5.4 on may lose its metadata under operator 1.3.0."),
    hazard(
        54,
        "too-few-tikv",
        High,
        Now,
        "With fewer stores than replicas regions cannot be placed; PD and the operator refuse to go on, halfway.",
    ),
    hazard(
        55,
        "tiflash-replicas-remain",
        Medium,
        Now,
        "A TiFlash store that tables still need is never emptied, and TiKV waits behind it.",
    ),
    hazard(
        56,
        "deleted-too-early",
        High,
        Now,
        "Stores and members without pods keep counting for replicas and quorum.",
    ),
    hazard(
        57,
        "ghost-member",
        High,
        Now,
        "A member without a pod counts for quorum; the operator calls its removal a success although it stayed.",
    ),
    hazard(58, "majority-in-leaving", Medium, Now, "When the majority leaves, quorum leaves with it."),
    hazard(
        59,
        "reference-deleted",
        High,
        Now,
        "TidbClusters without PD of their own lose the only one that they know.",
    ),
    hazard(
        60,
        "old-claims",
        High,
        Now,
        "PD and TiKV start with the data of their former life, under an id that is no member's any more.",
    ),
    hazard(
        61,
        "reclaim-policy-delete",
        High,
        Now,
        "The volume is destroyed together with its claim, and the data with it.",
    ),
    hazard(62, "outside-ready", Medium, Now, "Ready does not look at Pump, TiCDC and TiProxy at all."),
    hazard(
        63,
        "silent-eviction",
        Low,
        Now,
        "Moving leaders may take up to 25 hours without a word; somebody may take it for stuck.",
    ),
    hazard(64, "operator-down", Medium, Now, "Changes are accepted and nothing happens."),
    hazard(
        65,
        "rights-differ",
        Medium,
        BeforeAStep("the preflight of every runbook asks for each right in each context; tidepilot rbac prints them"),
        "A runbook that may write here and not there stops halfway.",
    ),
    hazard(66, "wrong-context", High, Now, "What is meant for two clusters is done twice to one."),
    hazard(
        67,
        "waits-for-discovery-pod",
        Medium,
        BeforeAStep("the docs lint; leave-cluster does not count the discovery pod"),
        "The discovery pod carries the same label and stays: waiting for no pods at all never ends.",
    ),
    hazard(
        68,
        "across-without-domain-old-operator",
        Medium,
        Now,
        "The operator expects another PD name than the one PD has, and waits for ever.",
    ),
    hazard(
        69,
        "overlapping-changes",
        Medium,
        Now,
        "Scaling and rolling at once leaves the upgrade waiting for a store that is on its way out.",
    ),
    hazard(
        70,
        "suspended",
        Low,
        Now,
        "It was asked for and is easily forgotten: what is suspended serves no requests, its members and stores keep counting, and after 30 minutes PD makes its replicas anew elsewhere.",
    ),
    hazard(
        71,
        "too-few-copies",
        High,
        Now,
        "PD keeps as many copies of each region as max-replicas says: with one a lost disk is lost data, with two the loss of one stops what lies on it.",
    ),
    hazard(
        72,
        "volumes-reclaimed",
        High,
        Now,
        "The operator sets the volumes of pods that were scaled in to Delete and deletes their claims, whatever pvReclaimPolicy says.",
    ),
    hazard(
        73,
        "no-version",
        High,
        Now,
        "An image that cannot be named never starts, and a tag that moves says nothing about the order in which versions have to change.",
    ),
    hazard(
        74,
        "no-dns-name",
        High,
        Now,
        "Every name of a pod is made from it; PD waits for its own name, does not find it, and exits again and again.",
    ),
    hazard(
        75,
        "duplicate-key",
        Medium,
        BeforeAStep("the docs lint"),
        "Only the last of the two counts, or the file is refused: which one was meant is not known.",
    ),
    hazard(
        76,
        "failover-left-over",
        Medium,
        Now,
        "The pods that failover made stay beside those of the spec, and the operator scales nothing in until the record of the failed ones is cleared.",
    ),
    hazard(
        77,
        "eviction-unknown-to-pd",
        Medium,
        Now,
        "The operator waits until a store has no leaders left, for up to 25 hours, and nothing moves them: the upgrade stands still.",
    ),
    hazard(
        78,
        "scale-in-without-store-id",
        Medium,
        Now,
        "The operator takes no store out whose pod does not carry its id, and whatever comes after it waits too.",
    ),
    hazard(
        79,
        "resolver-differs",
        Medium,
        Now,
        "TiKV and TiFlash ask DNS through c-ares, PD through Go: a name that one of them finds may be none for the other, and the store never comes.",
    ),
    hazard(
        80,
        "unknown-component",
        Medium,
        Now,
        "What tidepilot does not know it neither counts nor waits for: that everything is there, or gone, cannot be said.",
    ),
    hazard(
        81,
        "copies-not-spread",
        Medium,
        Now,
        "PD keeps copies apart by location labels only: what they do not tell apart may hold all copies of a region, or the most.",
    ),
    hazard(
        82,
        "unknown-field",
        Medium,
        BeforeAStep("the docs lint"),
        "A field that the CRD does not have is refused, or left out without a word: what it was to set stays as it was.",
    ),
    plain("pd-member-unhealthy", Medium, "Every member that is down brings the loss of quorum nearer."),
    plain(
        "certificate-unusable",
        High,
        "A certificate that cannot be read, without its key or its use, or of which OpenSSL does not find the signer, ends every handshake.",
    ),
    plain(
        "san-incomplete",
        Low,
        "The components know each other by names that are in it; a program that asks by one of these forms is refused.",
    ),
    plain(
        "certificate-looks-self-signed",
        Medium,
        "Where no key ids are, OpenSSL tells the signer by its name alone: one that is called like the CA counts as self-signed.",
    ),
    plain(
        "certificate-without-key-ids",
        Low,
        "RFC 5280 asks for the key ids of a certificate and its CA; programs that verify by its strict rules refuse one without.",
    ),
    plain("pd-no-leader", High, "Without a leader PD answers nothing, and the Database stops."),
    plain(
        "cluster-domain-missing",
        High,
        "A name without a DNS domain leads into the own KubeCluster: no PD, store or server here is reached from another one.",
    ),
    plain(
        "peer-url-unexpected",
        High,
        "The others reach a member at its peerURL: one that leads elsewhere loses the member at its next restart.",
    ),
    plain(
        "one-uid-twice",
        High,
        "What is done in one of them is taken for done in the other, and which of them is meant is not known.",
    ),
    plain(
        "cluster-id-not-confirmed",
        High,
        "Anyone with permission to create a TidbCluster can write any id into it: only PD's own members say who belongs to them.",
    ),
    plain(
        "run-records-unguarded",
        Info,
        "Anyone with permission to write ConfigMaps there can leave a run under another user's name, for a user with more permissions to take over.",
    ),
    plain("store-not-up", Medium, "Every store that does not serve leaves its regions a copy short."),
    plain("component-not-settled", Medium, "What was asked for has not come to its end, and nothing else says so."),
    plain("not-ready", Medium, "The operator itself says that a part is not as it should be."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_are_there_once_and_in_order() {
        let numbers: Vec<u8> = CATALOGUE.iter().filter_map(|hazard| hazard.number).collect();
        assert_eq!(numbers, (1..=82).collect::<Vec<u8>>());
        let ids: BTreeSet<&str> = CATALOGUE.iter().map(|hazard| hazard.id).collect();
        assert_eq!(ids.len(), CATALOGUE.len());
        for hazard in CATALOGUE {
            let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(hazard.id.chars().all(kebab) && hazard.why.ends_with('.'), "{}", hazard.id);
        }
    }

    /// What says that it is seen now is looked for by a function, and nothing else is.
    #[test]
    fn what_is_seen_now_has_a_function() {
        let code = [
            include_str!("domains.rs"),
            include_str!("tidbcluster_spec.rs"),
            include_str!("names.rs"),
            include_str!("references.rs"),
            include_str!("copies.rs"),
            include_str!("stuck.rs"),
            include_str!("network_tls.rs"),
            include_str!("membership.rs"),
            include_str!("upgrade.rs"),
            include_str!("leaving.rs"),
            include_str!("health.rs"),
            include_str!("../fleet/problem.rs"),
        ]
        .concat();
        for hazard in CATALOGUE {
            let used = code.contains(&format!("\"{}\"", hazard.id));
            assert_eq!(used, hazard.seen == Now, "{}", hazard.id);
        }
    }
}
