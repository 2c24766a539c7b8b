//! What a look at the network between KubeClusters gave: every way from one place to another, port by port.
//!
//! Pure data with its verdict and its small table, which report and console both show. Three answers, not two: what
//! nobody could look at is `?`, never open. Not here: looking (`client::kube::cross_cluster_probe`), when it is looked ([`crate::runbook::run::engine`]).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fleet::ObjectRef;
use crate::fleet::object_kind::{ObjectId, ObjectKind};
use crate::pluralize::counted;
use crate::runbook::action_types::leads_to;

/// One port of one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Port {
    Open,
    Closed,
    /// It was not tried, or the trial itself failed.
    Unknown,
}

impl Port {
    fn word(self) -> &'static str {
        match self {
            Port::Open => "open",
            Port::Closed => "CLOSED",
            Port::Unknown => "?",
        }
    }
}

/// From one place to another, as the pod at the first place saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteProbe {
    pub from: ObjectRef,
    pub to: ObjectRef,
    /// The name that was asked for; empty where the other side's domain is not known.
    pub host: String,
    pub resolved: Vec<String>,
    /// The addresses of the pod; the name should resolve to them, or to some of them.
    pub expected: Vec<String>,
    pub ports: BTreeMap<u16, Port>,
    /// One sentence: what is not as it has to be; empty when all is.
    pub detail: String,
}

impl RouteProbe {
    /// The name leads to the pod, and every port answers.
    pub fn good(&self) -> bool {
        self.names_it() && !self.ports.is_empty() && self.ports.values().all(|port| *port == Port::Open)
    }

    fn names_it(&self) -> bool {
        leads_to(&self.resolved, &self.expected)
    }

    /// `east/prod → west/prod`
    pub fn ends(&self) -> String {
        format!("{}/{} → {}/{}", self.from.context, self.from.namespace, self.to.context, self.to.namespace)
    }

    /// What is wrong with it; `None` when nothing is.
    pub fn trouble(&self) -> Option<String> {
        let ports = |wanted: Port| -> Vec<String> {
            self.ports.iter().filter(|(_, port)| **port == wanted).map(|(number, _)| number.to_string()).collect()
        };
        if self.good() {
            return None;
        }
        let mut parts = Vec::new();
        for (what, ports) in [("closed", ports(Port::Closed)), ("not known", ports(Port::Unknown))] {
            if !ports.is_empty() {
                parts.push(format!("{what}: {}", ports.join(", ")));
            }
        }
        if !self.detail.is_empty() {
            parts.push(self.detail.clone());
        }
        Some(format!("{}: {}", self.ends(), parts.join("; ")))
    }

    fn dns(&self) -> &'static str {
        match (self.resolved.is_empty(), self.names_it()) {
            (_, true) => "ok",
            (true, false) => "NONE",
            (false, false) => "WRONG",
        }
    }
}

/// The probe pod that stands for the place of a TidbCluster.
pub fn probe_at(place: &ObjectRef) -> ObjectRef {
    ObjectRef::new(&place.context, &place.namespace, format!("{}-tidepilot-probe", place.name))
}

/// Pod and Service of a probe.
pub fn probe_objects(probe: &ObjectRef) -> [ObjectId; 2] {
    [ObjectId::new(ObjectKind::Pod, probe), ObjectId::new(ObjectKind::Service, probe)]
}

/// The ways in a record's evidence, where it has any.
pub fn ways(evidence: &Value) -> Vec<RouteProbe> {
    evidence.get("ways").and_then(|ways| Vec::deserialize(ways).ok()).unwrap_or_default()
}

/// The verdict in one sentence.
pub fn verdict(ways: &[RouteProbe]) -> String {
    let troubles: Vec<String> = ways.iter().filter_map(RouteProbe::trouble).collect();
    match troubles.as_slice() {
        [] => format!("{}, every name resolves and every port is open", counted(ways.len(), "way")),
        bad => format!("{} of {} not as it has to be: {}", bad.len(), counted(ways.len(), "way"), bad.join("; ")),
    }
}

/// The matrix as lines of text with a head: who asks whom, the name, each port.
pub fn table(ways: &[RouteProbe]) -> Vec<String> {
    let ports: BTreeSet<u16> = ways.iter().flat_map(|way| way.ports.keys().copied()).collect();
    let mut rows = vec![vec!["FROM → TO".to_owned(), "DNS".to_owned()]];
    rows[0].extend(ports.iter().map(u16::to_string));
    for way in ways {
        let cell = |port: &u16| way.ports.get(port).copied().unwrap_or(Port::Unknown).word().to_owned();
        let mut row = vec![way.ends(), way.dns().to_owned()];
        row.extend(ports.iter().map(cell));
        rows.push(row);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &Vec<String>| -> String {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn way(resolved: &[&str], ports: &[(u16, Port)], detail: &str) -> RouteProbe {
        RouteProbe {
            from: ObjectRef::new("east", "prod", "a"),
            to: ObjectRef::new("west", "live", "b"),
            host: "b.b.live.svc.west.local".into(),
            resolved: resolved.iter().map(|ip| (*ip).to_owned()).collect(),
            expected: vec!["10.0.0.1".into(), "fd00::1".into()],
            ports: ports.iter().copied().collect(),
            detail: detail.into(),
        }
    }

    #[test]
    fn only_what_was_seen_open_is_good() {
        let open = [(2379, Port::Open), (2380, Port::Open)];
        let cases = [
            (way(&["10.0.0.1"], &open, ""), true, "ok"),
            (way(&["10.0.0.1"], &[(2379, Port::Open), (2380, Port::Closed)], ""), false, "ok"),
            (way(&["10.0.0.1"], &[(2379, Port::Open), (2380, Port::Unknown)], ""), false, "ok"),
            (way(&["10.0.0.1"], &[], ""), false, "ok"),
            (way(&["10.9.9.9"], &open, "elsewhere"), false, "WRONG"),
            (way(&["10.0.0.1", "10.9.9.9"], &open, "two"), false, "WRONG"),
            (way(&[], &[(2379, Port::Unknown)], "does not resolve"), false, "NONE"),
            (way(&["10.0.0.1", "fd00::1"], &open, ""), true, "ok"),
            (RouteProbe { expected: Vec::new(), ..way(&["10.0.0.1"], &open, "no ip") }, false, "WRONG"),
        ];
        for (way, good, dns) in cases {
            assert_eq!((way.good(), way.dns(), way.trouble().is_none()), (good, dns, good), "{way:?}");
        }
    }

    #[test]
    fn the_matrix_is_read_back_and_shown() {
        let ways = vec![way(&["10.0.0.1"], &[(2379, Port::Open), (20160, Port::Closed)], "")];
        assert_eq!(super::ways(&json!({ "ways": ways })), ways);
        assert_eq!(super::ways(&json!({"uid": "u"})), Vec::new());
        assert_eq!(
            table(&ways),
            [
                format!("{:<21}  DNS  2379  20160", "FROM → TO"),
                format!("{:<21}  ok   open  CLOSED", "east/prod → west/live")
            ]
        );
        assert_eq!(verdict(&ways), "1 of 1 way not as it has to be: east/prod → west/live: closed: 20160");
    }
}
