//! Hosts, domains and pods by the names that the operator gives them.

use crate::fleet::dns::normal;
use crate::fleet::tidbcluster::{Component, TidbCluster};

/// Whether a pod name is `<tc>-<component>-<ordinal>`.
pub(in crate::fleet) fn pod_of(tc: &TidbCluster, component: Component, pod: &str) -> bool {
    pod.strip_prefix(tc.name())
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_prefix(component.key()))
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|ordinal| !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit()))
}

/// The domain in a host name of a pod of this TidbCluster; `None` where it is not one, or has none.
pub(in crate::fleet) fn domain_in(tc: &TidbCluster, component: Component, host: &str) -> Option<String> {
    let host = normal(host);
    let pod = host.split('.').next().filter(|pod| pod_of(tc, component, pod))?;
    let base = format!("{pod}.{}-{}-peer.{}.svc.", tc.name(), component.key(), tc.namespace());
    host.strip_prefix(&base).map(str::to_owned).filter(|domain| !domain.is_empty())
}

/// `host` of `scheme://host:port`.
pub fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    Some(rest.split([':', '/']).next().unwrap_or(rest))
}
