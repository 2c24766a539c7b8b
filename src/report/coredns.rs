//! `tidepilot render coredns` as text: the stanzas that a KubeCluster's Corefile needs, `ZONE:53 { … forward … }`.
//!
//! Not here: which zones each has to send on ([`crate::fleet::dns_forward_zones`]), reading a Corefile ([`crate::fleet::corefile`]),
//! the command (`cli::render`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::plain;
use crate::fleet::dns_forward_zones::Forwards;

/// The text, and whether nothing is missing in it. What is missing is a comment: the rest can be used as it is.
/// `dns`: addresses of the DNS of each context.
pub fn corefiles(all: &[&Forwards], dns: &BTreeMap<&str, &[String]>) -> (String, bool) {
    let mut out = String::new();
    let mut whole = true;
    let mut last = "";
    for one in all {
        if one.from != last {
            let _ = writeln!(
                out,
                "# KubeCluster {}: add to its Corefile (ConfigMap kube-system/coredns); a reload takes about 30 s",
                plain(&one.from)
            );
            last = &one.from;
        }
        let to = plain(&one.to);
        let zones = match &one.zones {
            Ok(zones) => zones,
            Err(why) => {
                let _ = writeln!(out, "# to {to}: {}", plain(&why.to_string()));
                whole = false;
                continue;
            }
        };
        let Some(addresses) = dns.get(one.to.as_str()) else {
            let names: Vec<String> = zones.iter().map(|zone| plain(&zone.name)).collect();
            let _ = writeln!(out, "# to {to} ({}): give --dns {to}=ADDRESS", names.join(", "));
            whole = false;
            continue;
        };
        for zone in zones {
            let mark = if zone.forwarded { " (its Corefile sends this zone on already: compare)" } else { "" };
            let name = plain(&zone.name);
            let to_whom = addresses.join(" ");
            let _ = writeln!(
                out,
                "# to {to}{mark}\n{name}:53 {{\n    errors\n    cache 30\n    forward . {to_whom} {{\n        force_tcp\n    }}\n}}"
            );
        }
    }
    if all.is_empty() {
        out.push_str(
            "# nothing: all of it is in one KubeCluster (--with CONTEXT/NAMESPACE adds one that is to join)\n",
        );
    }
    (out, whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::dns_forward_zones::{NoZones, Zone};

    /// What is printed is read back by the reader of Corefiles: each zone is sent on.
    #[test]
    fn what_is_printed_is_a_corefile() {
        let zones = Ok(vec![Zone { name: "two.svc.cluster.local".into(), forwarded: false }]);
        let to_b = Forwards { from: "a".into(), to: "b".into(), zones };
        let to_c =
            Forwards { from: "a".into(), to: "c".into(), zones: Err(NoZones::NotKnown("which is not known".into())) };
        let addresses = ["10.0.0.1".to_owned(), "10.0.0.2".to_owned()];
        let (text, whole) = corefiles(&[&to_b, &to_c], &BTreeMap::from([("b", addresses.as_slice())]));
        assert!(!whole && text.contains("# to c: which is not known"), "{text}");
        let read = crate::fleet::corefile::read(&format!(".:53 {{\n  kubernetes cluster.local\n}}\n{text}"));
        assert!(read.doubts.iter().any(|doubt| doubt.forwarded && doubt.zone == "two.svc.cluster.local"), "{read:?}");
        let (text, whole) = corefiles(&[&to_b], &BTreeMap::new());
        assert!(!whole && text.contains("give --dns b=ADDRESS"), "{text}");
    }
}
