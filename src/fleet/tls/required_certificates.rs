//! Which certificates a TidbCluster needs, from its spec or from what one is asked for. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::fleet::certificate_facts::Usage;
use crate::fleet::tidbcluster::{Component, TidbCluster};

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Between the components.
    Component(Component),
    /// With which the operator, probes and people ask the components.
    ClusterClient,
    /// TiDB towards MySQL clients.
    MysqlServer,
    MysqlClient,
}

/// One certificate that should be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// Name of the Secret.
    pub secret: String,
    /// `PD`, `clients of the components`, …
    pub title: String,
    /// `None`: whatever it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    pub dns_names: Vec<String>,
    pub ip_addresses: Vec<String>,
    /// Of the names, those without which the components cannot speak with each other across KubeClusters.
    #[serde(default)]
    pub essential: BTreeSet<String>,
    /// The one of them by which TiDB Operator asks; PD only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    pub usages: BTreeSet<Usage>,
}

impl Wanted {
    /// DNS names, then addresses.
    pub fn hosts(&self) -> Vec<String> {
        self.dns_names.iter().chain(&self.ip_addresses).cloned().collect()
    }

    /// The same certificate, of which no other name is asked than the essential ones.
    pub fn of_essential_names(mut self) -> Self {
        self.dns_names.retain(|name| self.essential.contains(name));
        self.ip_addresses.clear();
        self
    }
}

/// For what the certificates are: a TidbCluster, there already or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub domain: Option<&'a str>,
    pub common_name: Option<&'a str>,
    pub components: Vec<Component>,
    /// TLS towards MySQL clients as well.
    pub mysql: bool,
}

/// Name of the Secret with the CA of a TidbCluster, as the documents call it.
pub fn authority_secret(name: &str) -> String {
    format!("{name}-ca-secret")
}

/// Names of every Secret that TLS of a TidbCluster of this name may need, its CA's among them.
pub fn every_secret(name: &str) -> Vec<String> {
    let purposes = Component::ALL.into_iter().map(Purpose::Component);
    let purposes = purposes.chain([Purpose::ClusterClient, Purpose::MysqlServer, Purpose::MysqlClient]);
    purposes.map(|purpose| secret(name, purpose)).chain([authority_secret(name)]).collect()
}

pub(super) fn secret(name: &str, purpose: Purpose) -> String {
    match purpose {
        Purpose::Component(component) => format!("{name}-{}-cluster-secret", component.key()),
        Purpose::ClusterClient => format!("{name}-cluster-client-secret"),
        Purpose::MysqlServer => format!("{name}-tidb-server-secret"),
        Purpose::MysqlClient => format!("{name}-tidb-client-secret"),
    }
}

/// The certificates that are needed.
pub fn wanted(asked: &Asked<'_>) -> Vec<Wanted> {
    let mut purposes: Vec<Purpose> = asked.components.iter().copied().map(Purpose::Component).collect();
    purposes.push(Purpose::ClusterClient);
    if asked.mysql {
        purposes.extend([Purpose::MysqlServer, Purpose::MysqlClient]);
    }
    purposes.into_iter().map(|purpose| one(asked, purpose)).collect()
}

/// The same for a TidbCluster as it stands; empty where it has no TLS.
pub fn wanted_of(tc: &TidbCluster) -> Vec<Wanted> {
    if !tc.tls() {
        return Vec::new();
    }
    let with_pods = tc.components().filter(|(_, spec)| spec.replicas > 0).map(|(component, _)| component);
    wanted(&Asked {
        name: tc.name(),
        namespace: tc.namespace(),
        domain: tc.domain(),
        common_name: None,
        components: with_pods.collect(),
        mysql: tc.mysql_tls(),
    })
}

/// The name under which TiDB Operator asks PD (`genClientUrl` in pkg/pdapi of 1.6): without it in PD's certificate
/// `status.pd.synced` stays false, and nothing is rolled any more.
pub fn operator_asks(name: &str, namespace: &str, domain: Option<&str>) -> String {
    match domain {
        Some(domain) => format!("{name}-pd.{namespace}.svc.{domain}"),
        None => format!("{name}-pd.{namespace}"),
    }
}

fn one(asked: &Asked<'_>, purpose: Purpose) -> Wanted {
    let name = asked.name;
    let forms = |hosts: &[String]| -> Vec<String> {
        hosts.iter().flat_map(|host| host_forms(host, asked.namespace, asked.domain)).collect()
    };
    let both = BTreeSet::from([Usage::Server, Usage::Client]);
    let (dns_names, usages, title) = match purpose {
        Purpose::Component(Component::Pump) => (forms(&[format!("*.{name}-pump")]), both, "Pump".to_owned()),
        Purpose::Component(component) => {
            let service = format!("{name}-{}", component.key());
            let hosts = [service.clone(), format!("{service}-peer"), format!("*.{service}-peer")];
            (forms(&hosts), both, component.title().to_owned())
        }
        Purpose::ClusterClient => (Vec::new(), [Usage::Client].into(), "clients of the components".to_owned()),
        Purpose::MysqlServer => {
            let hosts = [format!("{name}-tidb"), format!("*.{name}-tidb"), format!("*.{name}-tidb-peer")];
            (forms(&hosts), [Usage::Server].into(), "TiDB towards MySQL clients".to_owned())
        }
        Purpose::MysqlClient => (Vec::new(), [Usage::Client].into(), "MySQL clients".to_owned()),
    };
    let addresses: &[&str] = if dns_names.is_empty() { &[] } else { &["127.0.0.1", "::1"] };
    // etcd looks the exact name up and compares addresses; the wildcard is for whoever dials a pod (§3.4).
    let longest = |host: String| host_forms(&host, asked.namespace, asked.domain).pop();
    let operator = matches!(purpose, Purpose::Component(Component::Pd))
        .then(|| operator_asks(name, asked.namespace, asked.domain));
    let mut essential: BTreeSet<String> = match purpose {
        Purpose::Component(Component::Pump) => longest(format!("*.{name}-pump")).into_iter().collect(),
        Purpose::Component(component) => {
            let peer = format!("{name}-{}-peer", component.key());
            longest(peer.clone()).into_iter().chain(longest(format!("*.{peer}"))).collect()
        }
        Purpose::ClusterClient | Purpose::MysqlServer | Purpose::MysqlClient => BTreeSet::new(),
    };
    essential.extend(operator.clone());
    Wanted {
        secret: secret(name, purpose),
        title,
        common_name: asked.common_name.map(str::to_owned),
        dns_names,
        ip_addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
        essential,
        operator,
        usages,
    }
}

/// A name as it is written from nearby to far away; the last one is the full one.
fn host_forms(host: &str, namespace: &str, domain: Option<&str>) -> Vec<String> {
    let full = format!("{host}.{namespace}.svc");
    let mut forms = vec![host.to_owned(), format!("{host}.{namespace}"), full.clone()];
    forms.extend(domain.map(|domain| format!("{full}.{domain}")));
    forms
}

/// Whether a Secret is for the components among each other, and not for TiDB's MySQL clients.
pub fn between(name: &str) -> bool {
    !name.ends_with("-tidb-server-secret") && !name.ends_with("-tidb-client-secret")
}
