//! With TLS or without: how PD of a TidbCluster really runs, and whether its spec has come to ask for the other (hazard 25).
//!
//! `spec.tlsCluster` says what is asked for; the pods show what runs. When it is switched in a running TidbCluster, the operator
//! asks PD in the new scheme, gets EOF and touches no pod, so the two disagree for good; with `force-upgrade` all PD pods
//! restart at once and speak to peers whose URLs have the old scheme. Everything here is told from objects (volumes, the
//! operator's status, clientURLs where PD told them). Pure. Not here: the client's TLS (`client::wire::pd_tls`), certificates
//! ([`super::tls`]).

use crate::fleet::kubectl_quoting::{kubectl, place};
use std::collections::BTreeMap;

use serde::Serialize;

use super::rollout::{component_pods, stateful_set};
use super::tidbcluster::{Component, TidbCluster};
use super::workload::{Pod, Volume};
use super::{KubeCluster, ObjectRef};

/// The volume with PD's own certificate, which the operator mounts with `tlsCluster` only (`getNewPDSetForTidbCluster`).
const PD_TLS: &str = "pd-tls";

/// `domain.md` §1.4.
pub const FORCE_UPGRADE: &str = "tidb.pingcap.com/force-upgrade";

/// Whether the operator acts on it: `true` is the one value that it knows (`domain.md` §2.3), any other is none.
pub fn forced(tc: &TidbCluster) -> bool {
    tc.metadata.annotations.get(FORCE_UPGRADE).is_some_and(|value| value == "true")
}

fn mounts_tls(volumes: Option<&Vec<Volume>>) -> Option<bool> {
    volumes.map(|volumes| volumes.iter().any(|volume| volume.name == PD_TLS))
}

/// What the operator last saw PD's own members with; `None` where it saw none, or different ones.
fn as_reported(tc: &TidbCluster) -> Option<bool> {
    one_scheme(tc.status.pd.members.values().map(|member| member.client_url.as_str()))
}

/// `Some` where every URL has the same of the two schemes.
fn one_scheme<'a>(urls: impl Iterator<Item = &'a str>) -> Option<bool> {
    let mut told = urls.map(|url| match url.split_once("://") {
        Some(("https", _)) => Some(true),
        Some(("http", _)) => Some(false),
        _ => None,
    });
    let first = told.next()??;
    told.all(|other| other == Some(first)).then_some(first)
}

/// Whether a PD pod speaks TLS: as it runs, else as the operator last saw it, else as the spec asks.
pub fn pod_speaks_tls(pod: &Pod, tc: &TidbCluster) -> bool {
    mounts_tls(pod.spec.volumes.as_ref()).or_else(|| as_reported(tc)).unwrap_or(tc.tls())
}

/// The same of a pod that may be away: then as its StatefulSet would make it.
pub fn speaks_tls(cluster: &KubeCluster, tc: &TidbCluster, pod: &str) -> bool {
    let runs = component_pods(cluster, tc, Component::Pd).into_iter().find(|one| one.metadata.name == pod);
    let template = || stateful_set(cluster, tc, Component::Pd).map(|set| set.spec.template.spec.volumes.as_ref());
    let seen = runs.and_then(|pod| mounts_tls(pod.spec.volumes.as_ref())).or_else(|| mounts_tls(template()?));
    seen.or_else(|| as_reported(tc)).unwrap_or(tc.tls())
}

/// `spec.tlsCluster` of a running TidbCluster was switched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Toggle {
    pub of: ObjectRef,
    /// `spec.tlsCluster.enabled`, as it stands.
    pub asked: bool,
    /// What PD last served with. A member publishes its clientURL when it has joined, so the old scheme stands there until a PD with
    /// the other one has served; its peerURL keeps the old one even then.
    pub proper: bool,
    /// PD pods and whether they run with TLS; those whose volumes were not seen are left out.
    pub pods: BTreeMap<String, bool>,
    /// The annotation `force-upgrade` is set.
    pub forced: bool,
    /// `status.pd.synced`: the operator reaches PD all the same, through members elsewhere.
    pub synced: bool,
}

/// Whether TLS of this TidbCluster was switched while it runs. `urls`: the clientURLs of its own members, as far as PD told them.
pub fn toggle(of: &ObjectRef, cluster: &KubeCluster, tc: &TidbCluster, urls: &[&str]) -> Option<Toggle> {
    tc.spec.pd.as_ref()?;
    let pods: BTreeMap<String, bool> = component_pods(cluster, tc, Component::Pd)
        .into_iter()
        .filter_map(|pod| Some((pod.metadata.name.clone(), mounts_tls(pod.spec.volumes.as_ref())?)))
        .collect();
    let asked = tc.tls();
    let synced = tc.status.pd.synced == Some(true);
    let run = |tls: bool| !pods.is_empty() && pods.values().all(|runs| *runs == tls);
    let reported = as_reported(tc).filter(|_| !synced || pods.is_empty());
    let alike = pods.values().next().copied().filter(|first| run(*first));
    // Some pods run with TLS and some without, and nothing else tells: it is the new scheme that was asked for.
    let mixed = (!pods.is_empty()).then_some(!asked);
    let proper = one_scheme(urls.iter().copied()).or(reported).or(alike).or(mixed)?;
    if asked == proper && (pods.is_empty() || run(proper)) {
        return None;
    }
    let forced = forced(tc);
    Some(Toggle { of: of.clone(), asked, proper, pods, forced, synced })
}

/// One thing to do, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    PutBack,
    SetForce,
    LeaveForce,
    Restarts,
    Wait,
    TakeForceAway,
}

fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

fn with(tls: bool) -> &'static str {
    if tls { "with TLS" } else { "without TLS" }
}

impl Toggle {
    /// PD pods that run with what cannot work.
    fn restarted(&self) -> Vec<&str> {
        self.pods.iter().filter(|(_, tls)| **tls != self.proper).map(|(pod, _)| pod.as_str()).collect()
    }

    /// What was found.
    pub fn sentence(&self) -> String {
        let switched = if self.asked { "on" } else { "off" };
        let (restarted, proper) = (self.restarted(), scheme(self.proper));
        if restarted.is_empty() {
            let runs = match self.pods.len() {
                0 => format!("PD's members are known by {proper}:// URLs"),
                1 => format!("its PD pod runs {}", with(self.proper)),
                n => format!("all {n} PD pods run {}", with(self.proper)),
            };
            let then = if self.forced {
                "force-upgrade is set, so the operator restarts all PD pods at once, and no PD member reaches another after that"
            } else {
                "the operator cannot reach PD so and changes nothing more, whatever Ready says; the Database serves on"
            };
            return format!("tlsCluster was switched {switched} in a running TidbCluster, but {runs}: {then}");
        }
        let pods = restarted.join(", ");
        let cut =
            format!("PD pods {pods} run {}, while PD's members are known by {proper}:// URLs", with(!self.proper));
        match self.asked == self.proper {
            false => format!(
                "tlsCluster was switched {switched} in a running TidbCluster, and {cut}: no member reaches them"
            ),
            true if self.synced => format!("tlsCluster was put back, and {cut}: the operator restarts them"),
            true => format!(
                "tlsCluster was put back, but {cut}: no member reaches them, and the operator cannot reach PD to restart them"
            ),
        }
    }

    /// The one order in which it heals. Without force-upgrade the operator restarts no PD that it cannot reach, so taking it away
    /// first leaves PD dead.
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let back = self.asked != self.proper;
        if back {
            steps.push(Step::PutBack);
        }
        let dead = !self.restarted().is_empty() && !self.synced;
        match (dead, self.forced) {
            (true, false) => steps.push(Step::SetForce),
            (true, true) if !back => steps.push(Step::LeaveForce),
            (false, _) if !back => steps.push(Step::Restarts),
            (true, true) | (false, _) => {}
        }
        if dead || self.forced {
            steps.extend([Step::Wait, Step::TakeForceAway]);
        }
        steps
    }

    fn told(&self, say: impl Fn(Step) -> String) -> String {
        let steps: Vec<String> = self.steps().into_iter().map(say).collect();
        match steps.len() {
            0 | 1 => steps.concat(),
            _ => format!("first {}", steps.join("; then ")),
        }
    }

    /// The cure in words.
    pub fn advice(&self) -> String {
        self.told(|step| match step {
            Step::PutBack => format!("put spec.tlsCluster.enabled back to {}", self.proper),
            Step::SetForce => format!("set the annotation {FORCE_UPGRADE}=true, so that the operator restarts PD"),
            Step::LeaveForce => format!("leave the annotation {FORCE_UPGRADE} set"),
            Step::Restarts => "let the operator restart these pods".to_owned(),
            Step::Wait => "wait until every PD member is healthy".to_owned(),
            Step::TakeForceAway => format!("only then take {FORCE_UPGRADE} away"),
        })
    }

    /// The cure as command lines.
    pub fn cure(&self) -> String {
        let name = &self.of.name;
        let kubectl = kubectl(&self.of);
        let look = format!("tidepilot {} status", place(&self.of));
        self.told(|step| match step {
            Step::PutBack => format!(
                "put it back: {kubectl} patch tidbcluster {name} --type merge -p '{{\"spec\":{{\"tlsCluster\":{{\"enabled\":{}}}}}}}'",
                self.proper
            ),
            Step::SetForce => format!("{kubectl} annotate tidbcluster {name} --overwrite {FORCE_UPGRADE}=true"),
            Step::LeaveForce => "leave force-upgrade set: without it the operator restarts no PD that it cannot reach".to_owned(),
            Step::Restarts => "let the operator restart these pods".to_owned(),
            Step::Wait => format!("wait until every PD member is healthy: {look}"),
            Step::TakeForceAway => format!("only then: {kubectl} annotate tidbcluster {name} {FORCE_UPGRADE}-"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Change, Fleet, What};
    use serde_json::json;

    /// spec, volumes of each PD pod (`t`: with TLS, `p`: without, `?`: not seen), what the operator last saw, its `synced`,
    /// `force-upgrade`, the scheme of the clientURLs that PD tells.
    fn seen(asked: bool, pods: &str, reported: &str, synced: bool, forced: bool, urls: &str) -> Option<Toggle> {
        let member =
            |i: usize| json!({"name": format!("x-pd-{i}"), "clientURL": format!("{reported}://x-pd-{i}:2379")});
        let members: serde_json::Map<_, _> = (0..3).map(|i| (format!("x-pd-{i}"), member(i))).collect();
        let members = if reported.is_empty() { json!({}) } else { json!(members) };
        let mut tc = json!({"metadata": {"name": "x", "namespace": "db", "annotations": {}},
            "spec": {"tlsCluster": {"enabled": asked}, "pd": {"replicas": 3}}, "status": {"pd": {"synced": synced, "members": members}}});
        if forced {
            tc["metadata"]["annotations"][FORCE_UPGRADE] = json!("true");
        }
        let pod = |(i, kind): (usize, char)| {
            let mut pod = json!({"metadata": {"name": format!("x-pd-{i}"), "namespace": "db", "labels": {
                "app.kubernetes.io/instance": "x", "app.kubernetes.io/component": "pd"}}});
            match kind {
                't' => pod["spec"] = json!({"volumes": [{"name": "config"}, {"name": "pd-tls"}]}),
                'p' => pod["spec"] = json!({"volumes": [{"name": "config"}]}),
                _ => {}
            }
            serde_json::from_value(pod).expect("the API's shape")
        };
        let mut fleet = Fleet::default();
        let mut say = |what| fleet.apply(Change { context: "c".into(), at: jiff::Timestamp::UNIX_EPOCH, what });
        say(What::TidbClusters(vec![serde_json::from_value(tc).expect("the API's shape")]));
        say(What::Pods(pods.chars().enumerate().map(pod).collect()));
        let of = ObjectRef::new("c", "db", "x");
        let urls: Vec<String> =
            (0..3).map(|i| format!("{urls}://x-pd-{i}:2379")).filter(|url| !url.starts_with(':')).collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        toggle(&of, &fleet.clusters["c"], fleet.tidb_cluster(&of).expect("it is there"), &urls)
    }

    #[test]
    fn what_agrees_is_no_toggle() {
        for (asked, pods, reported, urls) in [
            (false, "ppp", "http", "http"),
            (true, "ttt", "https", "https"),
            (true, "ttt", "https", ""),
            (true, "???", "", ""),
            (false, "???", "", ""),
            (true, "", "", ""),
            (true, "t", "", ""),
            (false, "p", "", ""),
        ] {
            assert_eq!(seen(asked, pods, reported, true, false, urls), None, "{asked} {pods} {reported} {urls}");
        }
    }

    /// Every state that the real operator was seen to lead into, and the one order that healed it.
    #[test]
    fn each_state_has_its_one_order() {
        let (back, set, wait, away) =
            ("put spec.tlsCluster.enabled back to", "force-upgrade=true", "wait until", "only then take");
        type Case<'a> = (&'a str, bool, &'a str, &'a str, bool, bool, &'a str, &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            ("on", true, "ppp", "http", false, false, "http", &[back]),
            ("on, PD not asked", true, "ppp", "http", false, false, "", &[back]),
            ("on, the operator has not looked yet", true, "ppp", "http", true, false, "", &[back]),
            ("on, nothing but pods", true, "ppp", "", false, false, "", &[back]),
            ("on, pods not seen", true, "???", "http", false, false, "", &[back]),
            ("on, forced, not yet restarted", true, "ppp", "http", false, true, "http", &[back, wait, away]),
            ("on, forced, one restarted", true, "ppt", "http", false, true, "", &[back, wait, away]),
            ("on, all restarted", true, "ttt", "http", false, true, "", &[back, wait, away]),
            ("on, all restarted, the mark taken away", true, "ttt", "http", false, false, "", &[back, set, wait, away]),
            ("put back without the mark", false, "ttt", "http", false, false, "", &[set, wait, away]),
            ("put back with the mark", false, "ttt", "http", false, true, "", &["leave the annotation", wait, away]),
            ("one rolled, reached through others", true, "ppt", "http", true, false, "http", &[back]),
            ("and put back", false, "ppt", "http", true, false, "http", &["let the operator restart"]),
            ("off", false, "ttt", "https", false, false, "https", &[back]),
            ("off, forced and restarted", false, "ppp", "https", false, true, "", &[back, wait, away]),
            ("suspended", true, "", "http", false, false, "", &[back]),
        ];
        for (what, asked, pods, reported, synced, forced, urls, steps) in cases {
            let found =
                seen(*asked, pods, reported, *synced, *forced, urls).unwrap_or_else(|| panic!("{what}: nothing"));
            let advice = found.advice();
            let at: Vec<Option<usize>> = steps.iter().map(|step| advice.find(step)).collect();
            assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{what}: {advice}");
            for other in [back, set, away].iter().filter(|other| !steps.contains(other)) {
                assert!(!advice.contains(other), "{what} says {other}: {advice}");
            }
            assert_eq!(found.proper, *reported == "https" || (reported.is_empty() && pods.starts_with('t')), "{what}");
        }
    }
}
