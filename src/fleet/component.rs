//! The components of a TidbCluster, by the names that the operator gives them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The components of one TidbCluster in the order in which the operator rolls them (`domain.md` §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    Pd,
    Tiproxy,
    Tiflash,
    Tikv,
    Pump,
    Tidb,
    Ticdc,
}

impl Component {
    pub const ALL: [Component; 7] = [
        Component::Pd,
        Component::Tiproxy,
        Component::Tiflash,
        Component::Tikv,
        Component::Pump,
        Component::Tidb,
        Component::Ticdc,
    ];

    /// The label value, the spec key and the infix of the StatefulSet's name.
    pub fn key(self) -> &'static str {
        match self {
            Component::Pd => "pd",
            Component::Tiproxy => "tiproxy",
            Component::Tiflash => "tiflash",
            Component::Tikv => "tikv",
            Component::Pump => "pump",
            Component::Tidb => "tidb",
            Component::Ticdc => "ticdc",
        }
    }

    /// The name as people write it.
    pub fn title(self) -> &'static str {
        match self {
            Component::Pd => "PD",
            Component::Tiproxy => "TiProxy",
            Component::Tiflash => "TiFlash",
            Component::Tikv => "TiKV",
            Component::Pump => "Pump",
            Component::Tidb => "TiDB",
            Component::Ticdc => "TiCDC",
        }
    }

    /// The operator's Ready says nothing of it (hazard 62).
    pub fn outside_ready(self) -> bool {
        matches!(self, Component::Pump | Component::Ticdc | Component::Tiproxy)
    }

    pub fn parse(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.key() == key)
    }
}
