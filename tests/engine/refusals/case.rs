//! What a case is: a check, the bases on which it is made to fail, other inputs, and an alteration of the world; with the names of
//! the bases.
//!
//! Not here: the cases themselves ([`super::cases`]).

use super::worlds::World;

/// One check made to fail on some bases.
pub struct Case {
    pub on: &'static [&'static str],
    pub check: &'static str,
    /// In its sentence; the found value where the sentence has one.
    pub says: &'static str,
    /// Other inputs than the base's; an empty one is left out.
    pub given: &'static [(&'static str, &'static str)],
    pub alter: fn(&mut World),
}

pub const fn case(on: &'static [&'static str], check: &'static str, says: &'static str, alter: fn(&mut World)) -> Case {
    Case { on, check, says, given: &[], alter }
}

/// Only other inputs.
pub const fn given(
    on: &'static [&'static str],
    check: &'static str,
    says: &'static str,
    given: &'static [(&'static str, &'static str)],
) -> Case {
    Case { on, check, says, given, alter: |_| {} }
}

impl Case {
    pub const fn with(self, given: &'static [(&'static str, &'static str)]) -> Self {
        Self { given, ..self }
    }
}

pub const DEPLOY: &str = "deploy-initial-cluster";
pub const ENABLE: &str = "enable-across-k8s";
pub const CA: &str = "issue-ca";
pub const CA_AGAIN: &str = "issue-ca/again";
pub const CERTIFICATES: &str = "issue-certificates";
pub const JOIN: &str = "join-cluster";
pub const JOINED: &str = "join-cluster/joined";
pub const LEAVE: &str = "leave-cluster";
pub const LEAVE_ALL: &str = "leave-cluster/all";
pub const MIGRATE: &str = "migrate-cluster-domain";
pub const MONITOR: &str = "monitor-across-clusters";
pub const RENEW: &str = "renew-certificates";
pub const REPAIR: &str = "repair-peer-urls";
pub const RESTART: &str = "restart-component";
pub const RESTART_TIKV: &str = "restart-component/tikv";
pub const ONE_POD: &[(&str, &str)] = &[("pod", "prod-east-pd-0")];
pub const RESUME: &str = "resume-cluster";
pub const SUSPEND: &str = "suspend-cluster";
pub const SUSPEND_ALL: &str = "suspend-cluster/all";
pub const TRANSFER: &str = "transfer-pd-leader";
pub const UPGRADE: &str = "upgrade-cluster";
pub const NETWORK: &str = "verify-network";

pub const ALL: &[&str] = &[
    DEPLOY,
    ENABLE,
    CA,
    CERTIFICATES,
    JOIN,
    LEAVE,
    MIGRATE,
    MONITOR,
    RENEW,
    REPAIR,
    RESTART,
    RESUME,
    SUSPEND,
    TRANSFER,
    UPGRADE,
    NETWORK,
];
pub const OF_A_DATABASE: &[&str] =
    &[ENABLE, JOIN, LEAVE, MIGRATE, MONITOR, REPAIR, RESTART, RESUME, SUSPEND, TRANSFER, UPGRADE];
/// The two that set acrossK8s where there is a Database already.
pub const OPENING: &[&str] = &[ENABLE, MIGRATE];

pub const FORCE: &str = "tidb.pingcap.com/force-upgrade";
pub const FLASH: &[(&str, &str)] = &[("tiflashReplicas", "1")];
pub const NO_DOMAIN: &[(&str, &str)] = &[("clusterDomain", "")];
pub const UNUSED: &[(&str, &str)] = &[("removeUnused", "true")];
pub const CERT_MANAGER: &[(&str, &str)] = &[("method", "cert-manager")];
pub const CERT_MANAGER_AND_COPY: &[(&str, &str)] = &[("method", "cert-manager"), ("copyTo", "north/prod/prod-north")];
