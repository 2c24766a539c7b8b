//! What the components of a TidbCluster are called: StatefulSets, services, pods, ports, labels.
//!
//! One table and small naming functions (domain.md §1.4). It holds no state and looks at no object; `tidb_cluster` reads
//! the resource, `manifests` makes the objects.

use serde_json::{Value, json};

/// A component that TiDB Operator runs as a StatefulSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    Pd,
    TiProxy,
    TiFlash,
    TiKv,
    Pump,
    TiDb,
    TiCdc,
}

use Component::{Pd, Pump, TiCdc, TiDb, TiFlash, TiKv, TiProxy};

/// The order in which one reconcile pass visits them.
pub const SYNC_ORDER: [Component; 7] = [Pd, TiProxy, TiFlash, TiKv, Pump, TiDb, TiCdc];

impl Component {
    /// The field in spec and status, the label value, and the container name.
    pub fn key(self) -> &'static str {
        match self {
            Pd => "pd",
            TiProxy => "tiproxy",
            TiFlash => "tiflash",
            TiKv => "tikv",
            Pump => "pump",
            TiDb => "tidb",
            TiCdc => "ticdc",
        }
    }

    pub fn from_key(key: &str) -> Option<Component> {
        SYNC_ORDER.into_iter().find(|component| component.key() == key)
    }

    /// The image repository where `baseImage` is not set.
    pub fn base_image(self) -> &'static str {
        match self {
            Pd => "pingcap/pd",
            TiProxy => "pingcap/tiproxy",
            TiFlash => "pingcap/tiflash",
            TiKv => "pingcap/tikv",
            Pump => "pingcap/tidb-binlog",
            TiDb => "pingcap/tidb",
            TiCdc => "pingcap/ticdc",
        }
    }

    pub fn stateful_set(self, tc: &str) -> String {
        format!("{tc}-{}", self.key())
    }

    pub fn pod(self, tc: &str, ordinal: u32) -> String {
        format!("{tc}-{}-{ordinal}", self.key())
    }

    /// The headless service behind the pods' DNS names.
    pub fn peer_service(self, tc: &str) -> String {
        match self {
            Pump => format!("{tc}-pump"),
            _ => format!("{tc}-{}-peer", self.key()),
        }
    }

    /// Name prefix of the volume claims; `None` for components without a disk.
    pub fn claim(self) -> Option<&'static str> {
        match self {
            Pd => Some("pd"),
            TiKv => Some("tikv"),
            TiFlash => Some("data0"),
            Pump => Some("data"),
            TiProxy | TiDb | TiCdc => None,
        }
    }

    pub fn claim_name(self, tc: &str, ordinal: u32) -> Option<String> {
        self.claim().map(|claim| format!("{claim}-{}", self.pod(tc, ordinal)))
    }

    /// Whether the start script lies in the container's command, so that a changed one is a changed pod template; the
    /// others have it in their ConfigMap (`pkg/manager/member/*_member_manager.go` of TiDB Operator 1.6).
    pub fn script_in_command(self) -> bool {
        matches!(self, Pump | TiCdc)
    }

    pub fn ports(self) -> &'static [(&'static str, u16)] {
        match self {
            Pd => &[("server", 2380), ("client", 2379)],
            TiProxy => &[("tiproxy", 6000), ("api", 3080)],
            TiFlash => &[
                ("flash", 3930),
                ("proxy", 20170),
                ("proxy-status", 20292),
                ("metrics", 8234),
                ("tcp", 9000),
                ("http", 8123),
                ("internal", 9009),
            ],
            TiKv => &[("server", 20160), ("status", 20180)],
            Pump => &[("pump", 8250)],
            TiDb => &[("server", 4000), ("status", 10080)],
            TiCdc => &[("ticdc", 8301)],
        }
    }

    /// Whether `status.<component>` has a `synced` field.
    pub fn has_synced(self) -> bool {
        !matches!(self, TiDb | Pump)
    }

    /// Whether `status.<component>` has an `image` field.
    pub fn has_image(self) -> bool {
        matches!(self, Pd | TiKv | TiDb | TiFlash)
    }
}

/// The labels that select one component of one TidbCluster.
pub fn labels(instance: &str, component: &str) -> Value {
    json!({
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/instance": instance,
        "app.kubernetes.io/managed-by": "tidb-operator",
        "app.kubernetes.io/name": "tidb-cluster",
    })
}

/// `<pod>.<service>.<namespace>.svc[.<domain>]`.
pub fn fqdn(pod: &str, service: &str, namespace: &str, domain: Option<&str>) -> String {
    match domain {
        Some(domain) => format!("{pod}.{service}.{namespace}.svc.{domain}"),
        None => format!("{pod}.{service}.{namespace}.svc"),
    }
}

/// The ordinal at the end of a pod name.
pub fn ordinal(pod: &str) -> Option<u32> {
    pod.rsplit_once('-').and_then(|(_, digits)| digits.parse().ok())
}
