//! Looking from inside: fixed programs in the *other* PD pods, to see whether a new peerURL resolves and answers.
//!
//! `/health` cannot show a bad peerURL and etcd does not check one, so this is the only proof beforehand. Argument
//! vectors are fixed and never pass a shell; they need a [`ProbePermit`], which a read-only context never gives.
//! Not here: what a bad probe means for a run; the ways between KubeClusters ([`crate::client::kube::cross_cluster_probe`]).

use futures::future::join_all;

use crate::client::wire::deadline::seconds;
use crate::client::wire::link::{Link, Links};
use crate::client::wire::permit::ProbePermit;
use crate::client::wire::read_only_gate::Mark;
use crate::client::wire::websocket_channels::{Output, read_exec};
use crate::client::{encode, pd, plain};
use crate::fleet::database::{host, parts_of};
use crate::fleet::tls_toggle::{pod_speaks_tls, speaks_tls};
use crate::fleet::workload::Pod;
use crate::fleet::{Fleet, ObjectKey, ObjectRef, peer_url_check};
use crate::runbook::action_types::{ProbeLine, leads_to, version_request};
use crate::runbook::actions::Action;
use crate::runbook::actions::ProbePeerUrl;

/// The container of a PD pod.
const PD: &str = "pd";

/// Probes the URL of [`Action::ProbePeerUrl`] from every other running PD pod of its Database, also in the other
/// KubeClusters, where a name may resolve to nothing or to something else (hazard 36); or from the pod
/// itself when there is no other. Empty for other actions and when there is nowhere to look from: that is no proof.
pub async fn probe(links: &Links, permit: &ProbePermit, action: &Action, fleet: &Fleet) -> Vec<ProbeLine> {
    let Action::ProbePeerUrl(ProbePeerUrl { target, pod, url, .. }) = action else { return Vec::new() };
    let (Some(cluster), Some(tc)) = (fleet.clusters.get(&target.context), fleet.tidb_cluster(target)) else {
        return Vec::new();
    };
    let running = |of: &ObjectRef| -> Vec<(String, &Pod)> {
        let found = fleet.clusters.get(&of.context).zip(fleet.tidb_cluster(of));
        let pods = found.into_iter().flat_map(|(cluster, tc)| {
            cluster.pods.values().filter(move |pod| pd::is_running_pd(pod) && pd::owner(pod, [tc]).is_some())
        });
        pods.map(|pod| (of.context.clone(), pod)).collect()
    };
    let own = cluster.pods.get(&ObjectKey::new(&target.namespace, pod));
    let own = own.filter(|own| pd::is_running_pd(own) && pd::owner(own, [tc]).is_some());
    let expected = own.map(|pod| pod.status.addresses()).unwrap_or_default();
    let all = parts_of(fleet, target);
    let mut from: Vec<(String, &Pod)> = all.iter().flat_map(running).collect();
    from.retain(|(context, other)| {
        *context != target.context || other.metadata.namespace != target.namespace || other.metadata.name != *pod
    });
    if from.is_empty() {
        from.extend(own.map(|own| (target.context.clone(), own)));
    }
    let tls = speaks_tls(cluster, tc, pod);
    let lines = from.into_iter().map(|(context, from)| {
        let at = ObjectRef::new(context, &from.metadata.namespace, &from.metadata.name);
        looked(links, permit, tls, at, url, expected.clone())
    });
    join_all(lines).await
}

/// What a later probe needs, tried now, where it cannot fail for another reason: every running PD pod of the Database
/// looks at its own peerURL of today. A pod that misses a program says so in its line.
pub async fn rehearse(links: &Links, permit: &ProbePermit, target: &ObjectRef, fleet: &Fleet) -> Vec<ProbeLine> {
    let all = parts_of(fleet, target);
    let parts = all.iter().filter_map(|of| Some((of, fleet.clusters.get(&of.context)?, fleet.tidb_cluster(of)?)));
    let pods = parts.flat_map(|(of, cluster, tc)| {
        let own = cluster.pods.values().filter(move |pod| pd::is_running_pd(pod) && pd::owner(pod, [tc]).is_some());
        own.map(move |pod| (of, tc, pod))
    });
    let lines = pods.map(|(of, tc, pod)| async move {
        let at = ObjectRef::new(&of.context, &of.namespace, &pod.metadata.name);
        let tls = pod_speaks_tls(pod, tc);
        let url = tc.expected_peer_url(&pod.metadata.name, tls);
        looked(links, permit, tls, at, &url, pod.status.addresses()).await
    });
    join_all(lines).await
}

async fn looked(
    links: &Links,
    permit: &ProbePermit,
    tls: bool,
    from: ObjectRef,
    url: &str,
    expected: Vec<String>,
) -> ProbeLine {
    let mut line = ProbeLine { from, resolved: Vec::new(), expected, reached: false, detail: String::new() };
    line.detail = match look_from(links, permit, tls, url, &mut line).await {
        Ok(detail) | Err(detail) => detail,
    };
    line
}

async fn look_from(
    links: &Links,
    permit: &ProbePermit,
    tls: bool,
    url: &str,
    line: &mut ProbeLine,
) -> Result<String, String> {
    peer_url_check::check_form(url, tls).map_err(|bad| bad.to_string())?;
    let host = host(url).unwrap_or_default();
    let link = links.need(&line.from.context)?;
    let pod = line.from.name.clone();
    let asked = exec(link, permit, &line.from, PD, &["nslookup", host]).await?;
    line.resolved = addresses(&asked.stdout);
    if line.resolved.is_empty() {
        return Err(format!("{host} does not resolve in {pod}: {}", last_words(&asked)));
    }
    // The scheme is that of `tls`: `check_form` has seen to it.
    let argv = version_request(url);
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let fetched = exec(link, permit, &line.from, PD, &argv).await?;
    if fetched.exit_code != Some(0) {
        return Err(format!("{url} does not answer {pod}: {}", last_words(&fetched)));
    }
    line.reached = true;
    let resolved = line.resolved.join(", ");
    match leads_to(&line.resolved, &line.expected) {
        true => Ok(format!("{host} is {resolved} and answers {pod}")),
        false if line.expected.is_empty() => {
            Err(format!("{host} resolves to {resolved} in {pod}, but the pod's own IP is not known"))
        }
        false => Err(format!("{host} resolves to {resolved} in {pod}, expected {}", line.expected.join(", "))),
    }
}

/// The cluster domain as a PD pod's resolver has it.
pub async fn resolv_domain(links: &Links, permit: &ProbePermit, pod: &ObjectRef) -> Result<String, String> {
    domain_in(links.need(&pod.context)?, permit, pod, PD).await
}

/// The same in any container: the `svc.<domain>` entry of its search list.
pub(in crate::client) async fn domain_in(
    link: &Link,
    permit: &ProbePermit,
    pod: &ObjectRef,
    container: &str,
) -> Result<String, String> {
    let output = exec(link, permit, pod, container, &["cat", "/etc/resolv.conf"]).await?;
    search_domain(&output.stdout).ok_or_else(|| {
        format!("/etc/resolv.conf of {pod} has no svc.<domain> in its search list: {}", last_words(&output))
    })
}

/// Whether a domain is that of the pod's own cluster: the pod's own name, which no other cluster has, leads to itself there.
/// (`kubernetes.default.svc` would be answered under the domain of every cluster that queries are sent on to.) `name`:
/// without the domain, `basic-pd-0.basic-pd-peer.pingcap.svc`. `Err`: it did not say.
pub async fn serves_domain(
    links: &Links,
    permit: &ProbePermit,
    pod: &ObjectRef,
    (name, own): (&str, &[String]),
    domain: &str,
) -> Result<bool, String> {
    let link = links.need(&pod.context)?;
    let ask = async |domain: &str| {
        // With the dot at the end no search list is gone through.
        let name = format!("{name}.{domain}.");
        let output = exec(link, permit, pod, PD, &["nslookup", &name]).await?;
        told(&output.stdout, &output.stderr, own).ok_or_else(|| format!("{name} in {pod}: {}", last_words(&output)))
    };
    if ask(domain).await? {
        return Ok(true);
    }
    // That the name is not there says something only where it is there under the pod's own domain.
    let own = resolv_domain(links, permit, pod).await?;
    match own == domain || !ask(&own).await? {
        true => Err(format!("{name} does not lead to {pod} under its own domain {own} either")),
        false => Ok(false),
    }
}

/// What `nslookup` said: an address of the pod, or that there is no such name or one of somebody else. A server that does not
/// answer says nothing.
fn told(stdout: &str, stderr: &str, own: &[String]) -> Option<bool> {
    let found = addresses(stdout);
    if !found.is_empty() {
        return Some(leads_to(&found, own));
    }
    let all = format!("{stdout}\n{stderr}");
    let none = all.contains("NXDOMAIN") || all.contains("Name does not resolve") || all.contains("No answer");
    none.then_some(false)
}

/// Runs one program in a container, bounded.
pub(in crate::client) async fn exec(
    link: &Link,
    permit: &ProbePermit,
    pod: &ObjectRef,
    container: &str,
    argv: &[&str],
) -> Result<Output, String> {
    permit.covers(link.context())?;
    let command: String = argv.iter().map(|word| format!("&command={}", encode(word))).collect();
    let path = format!(
        "/api/v1/namespaces/{}/pods/{}/exec?container={container}&stdout=true&stderr=true{command}",
        pod.namespace, pod.name
    );
    let limit = link.limits().probe;
    let all = async {
        let socket = link.socket(&path, Mark::Probe, limit.into()).await.map_err(|trouble| trouble.sentence)?;
        Ok(read_exec(socket).await)
    };
    match tokio::time::timeout(limit, all).await {
        Ok(output) => output,
        Err(_) => Err(format!("{} in {pod} did not end within {}", argv[0], seconds(limit))),
    }
}

pub(in crate::client) fn last_words(output: &Output) -> String {
    let words = output.stderr.lines().chain(output.stdout.lines()).rfind(|line| !line.trim().is_empty());
    let words = words.map(plain).filter(|words| !words.is_empty()).unwrap_or_else(|| output.message.clone());
    match output.exit_code {
        Some(code) => format!("{words} (exit {code})"),
        None => words,
    }
}

/// The addresses that `nslookup` found. busybox and bind both print the resolver's own first, before a `Name:` line.
pub(in crate::client) fn addresses(output: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut named = false;
    for line in output.lines().map(str::trim) {
        if line.starts_with("Name:") {
            named = true;
            continue;
        }
        let Some(rest) = line.strip_prefix("Address").filter(|_| named) else { continue };
        // `Address: 10.0.0.1`, `Address 1: 10.0.0.1 name.of.it`
        let Some(address) = rest.split_once(':').and_then(|(_, rest)| rest.split_whitespace().next()) else { continue };
        let address = address.split('#').next().unwrap_or(address);
        let Ok(address) = address.parse::<std::net::IpAddr>() else { continue };
        if !found.contains(&address.to_string()) {
            found.push(address.to_string());
        }
    }
    found
}

fn search_domain(resolv_conf: &str) -> Option<String> {
    let search = resolv_conf.lines().map(str::trim).filter_map(|line| line.strip_prefix("search")).next_back()?;
    let domain = search.split_whitespace().find_map(|entry| entry.strip_prefix("svc."))?;
    Some(domain.trim_end_matches('.').to_ascii_lowercase()).filter(|domain| !domain.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_nslookup() {
        let cases: [(&str, &[&str]); 6] = [
            ("Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\nName:\ta.b\nAddress: 10.1.2.3\n", &["10.1.2.3"]),
            (
                "Server:    10.96.0.10\nAddress 1: 10.96.0.10 kube-dns\n\nName:      a.b\nAddress 1: 10.1.2.3 a.b\n",
                &["10.1.2.3"],
            ),
            (
                "Server: x\nAddress: 10.96.0.10#53\n\nName: a\nAddress: 10.1.2.3\nName: a\nAddress: 10.1.2.4\n",
                &["10.1.2.3", "10.1.2.4"],
            ),
            ("Server: x\nAddress: 10.96.0.10:53\n\n** server can't find a.b: NXDOMAIN\n", &[]),
            ("Name: a\nAddress: fd00::1\nAddress: fd00::1\n", &["fd00::1"]),
            ("", &[]),
        ];
        for (output, expected) in cases {
            assert_eq!(addresses(output), expected, "{output}");
        }
    }

    #[test]
    fn what_nslookup_says_of_a_name() {
        let cases = [
            ("Server: x\nAddress: 10.96.0.10:53\n\nName: a\nAddress: 10.96.0.1\n", "", Some(true)),
            ("Server: x\nAddress: 10.96.0.10:53\n\n** server can't find a: NXDOMAIN\n", "", Some(false)),
            ("Server: x\nAddress: 10.96.0.10:53\n\nName: a\nAddress: 10.96.0.7\n", "", Some(false)),
            ("", "nslookup: can't resolve 'a': Name does not resolve\n", Some(false)),
            ("Server: x\n** server can't find a: SERVFAIL\n", "", None),
            (";; connection timed out; no servers could be reached\n", "", None),
            ("", "nslookup: can't resolve 'a': Try again\n", None),
            ("", "", None),
        ];
        for (stdout, stderr, expected) in cases {
            assert_eq!(told(stdout, stderr, &["10.96.0.1".to_owned()]), expected, "{stdout}{stderr}");
        }
    }

    #[test]
    fn domains_of_resolv_conf() {
        let text = "search db.svc.cluster1.com svc.cluster1.com cluster1.com\nnameserver 10.96.0.10\noptions ndots:5\n";
        assert_eq!(search_domain(text).as_deref(), Some("cluster1.com"));
        assert_eq!(search_domain("nameserver 1.1.1.1"), None);
        assert_eq!(search_domain("search example.com"), None);
    }
}
