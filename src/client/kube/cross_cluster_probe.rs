//! Looking from one KubeCluster into the others: names, then ports, from the probe pod at each place.
//!
//! Fixed argument vectors, no shell, under a [`ProbePermit`] as in [`crate::client::kube::pod_probe`]. A trial that itself fails is
//! [`Port::Unknown`]. Not here: making and deleting the pods (actions of the run), what a bad way means.

use futures::future::join_all;
use serde::Deserialize;

use crate::client::kube::pod_probe::{addresses, domain_in, exec, last_words};
use crate::client::wire::link::Links;
use crate::client::wire::permit::ProbePermit;
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use crate::fleet::workload::Pod;
use crate::fleet::{Fleet, ObjectRef};
use crate::runbook::action_types::leads_to;
use crate::runbook::actions::Action;
use crate::runbook::actions::NetProbe;
use crate::runbook::actions::network_probe_result::{Port, RouteProbe, probe_at};

/// The container of a probe pod in which programs are run; the others listen.
const CONTAINER: &str = "probe";
/// Seconds that a connection may take.
const PATIENCE: &str = "4";

/// Every way of [`Action::NetProbe`], all at once. Empty for other actions.
pub async fn cross(links: &Links, permit: &ProbePermit, action: &Action, fleet: &Fleet) -> Vec<RouteProbe> {
    let Action::NetProbe(NetProbe { places, ports, .. }) = action else { return Vec::new() };
    let pods: Vec<ObjectRef> = places.iter().map(probe_at).collect();
    let hosts = join_all(pods.iter().map(|pod| host(links, permit, pod))).await;
    let pairs = pods.iter().flat_map(|from| pods.iter().zip(&hosts).map(move |to| (from, to)));
    let ways = pairs.filter(|(from, (to, _))| from != to).map(|(from, (to, host))| async move {
        let mut way = RouteProbe {
            from: from.clone(),
            to: to.clone(),
            host: String::new(),
            resolved: Vec::new(),
            expected: pod_addresses(fleet, to),
            ports: ports.iter().map(|port| (*port, Port::Unknown)).collect(),
            detail: String::new(),
        };
        way.detail = match host {
            Ok(host) => look(links, permit, host, &mut way).await.err().unwrap_or_default(),
            Err(why) => why.clone(),
        };
        way
    });
    join_all(ways).await
}

/// The pod's name in DNS, with the domain that its own resolver has.
async fn host(links: &Links, permit: &ProbePermit, pod: &ObjectRef) -> Result<String, String> {
    let domain = domain_in(links.need(&pod.context)?, permit, pod, CONTAINER).await?;
    Ok(format!("{0}.{0}.{1}.svc.{domain}", pod.name, pod.namespace))
}

fn pod_addresses(fleet: &Fleet, pod: &ObjectRef) -> Vec<String> {
    let object = fleet.sight(&ObjectId::new(ObjectKind::Pod, pod)).and_then(Lookup::present);
    let pod = object.and_then(|object| Pod::deserialize(object).ok());
    pod.map(|pod| pod.status.addresses()).unwrap_or_default()
}

async fn look(links: &Links, permit: &ProbePermit, host: &str, way: &mut RouteProbe) -> Result<(), String> {
    way.host = host.to_owned();
    let link = links.need(&way.from.context)?;
    let asked = exec(link, permit, &way.from, CONTAINER, &["nslookup", host]).await?;
    way.resolved = addresses(&asked.stdout);
    if way.resolved.is_empty() {
        return Err(format!("{host} does not resolve in {}: {}", way.from.context, last_words(&asked)));
    }
    let from = &way.from;
    let tried = join_all(way.ports.keys().copied().map(|port| async move {
        let number = port.to_string();
        let argv = ["nc", "-z", "-w", PATIENCE, host, &number];
        (port, exec(link, permit, from, CONTAINER, &argv).await)
    }))
    .await;
    let mut strange = None;
    for (port, output) in tried {
        let found = match output.as_ref().map(|output| output.exit_code) {
            Ok(Some(0)) => Port::Open,
            Ok(Some(1)) => Port::Closed,
            // The program is not there, or was ended: nothing is known.
            Ok(_) => Port::Unknown,
            Err(_) => Port::Unknown,
        };
        if found == Port::Unknown {
            strange = Some(output.map_or_else(|why| why, |output| format!("nc {port}: {}", last_words(&output))));
        }
        way.ports.insert(port, found);
    }
    let resolved = way.resolved.join(", ");
    match strange {
        Some(strange) => Err(strange),
        None if way.expected.is_empty() => Err(format!("{host} is {resolved}, but the pod's own IP is not known")),
        None if leads_to(&way.resolved, &way.expected) => Ok(()),
        None => {
            let expected = way.expected.join(", ");
            Err(format!("{host} resolves to {resolved} in {}, expected {expected}", way.from.context))
        }
    }
}
