//! What interrupted work lies around, from observation alone: no journal is needed, whoever began it.
//!
//! Each finding says what was found, where, and which runbook or command finishes or undoes it. What cannot be seen
//! is said as such, never taken for fine. Not here: problems which nobody's work left behind (`fleet::database`);
//! Leases, which take two looks to judge (`client::share::orphaned_leases`).

use serde::Serialize;

use super::advice::Advice;
use super::database::{Database, Member, databases};
use super::kubectl_quoting::kubectl;
use super::not_seen::{NotSeen, NotSeenKind, NotSeenList};
use super::pd_details::{details, moves_leaders};
use super::pd_leader_state::Lead;
use super::problem_subject::{Subject, SubjectKind};
use super::rollout::{ComponentRollout, component_pods, rollout};
use super::tidbcluster::TidbCluster;
use super::tls_toggle::{FORCE_UPGRADE, forced};
use super::workload::EVICT_LEADER;
use super::{Fleet, KubeCluster, ObjectRef, kube_cluster_problems, remedy_commands};

/// Pod annotations with which work on one pod is asked for (`domain.md` §1.4).
const POD_MARKS: [&str; 4] =
    [EVICT_LEADER, "tidb.pingcap.com/pd-transfer-leader", "tidb.pingcap.com/tidb-graceful-shutdown", "runmode"];

/// One piece of interrupted work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leftover {
    /// `half-updated-peer-urls`, `paused`, …
    pub kind: &'static str,
    pub database: String,
    /// The object it is about.
    pub at: String,
    /// What was found.
    pub sentence: String,
    /// What finishes or undoes it: a runbook's command line, or a kubectl line.
    pub remedy: Advice,
}

/// The answer of one look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// Names of the Databases that were looked at.
    pub databases: Vec<String>,
    pub leftovers: Vec<Leftover>,
    /// What could not be seen.
    #[serde(flatten)]
    pub unseen: NotSeenList,
}

/// Looks over the Databases of this name or id; `None`: all.
pub fn diagnose(fleet: &Fleet, only: Option<&str>) -> Diagnosis {
    let mut found = Diagnosis::default();
    let named = |db: &Database| only.is_none_or(|only| db.is_called(only));
    for database in databases(fleet).into_iter().filter(named) {
        found.databases.push(database.name.clone());
        found.unseen.extend(database.unseen.iter().map(|unseen| unseen.within(&database.name)));
        toggles(&database, &mut found.leftovers);
        members(fleet, &database, &mut found.leftovers);
        schedulers(fleet, &database, &mut found);
        for of in &database.tidb_clusters {
            let (Some(cluster), Some(tc)) = (fleet.clusters.get(&of.context), fleet.tidb_cluster(of)) else { continue };
            marks(&database, of, tc, &mut found.leftovers);
            pods(&database, of, cluster, tc, &mut found.leftovers);
        }
    }
    found.unseen.extend(kube_cluster_problems::unseen(fleet));
    found
}

/// TLS that was switched: it comes first, since whatever waits beside it waits for that.
fn toggles(database: &Database, found: &mut Vec<Leftover>) {
    found.extend(database.tls_toggled.iter().map(|toggle| Leftover {
        kind: "tls-toggled",
        database: database.name.clone(),
        at: toggle.of.to_string(),
        sentence: toggle.sentence(),
        remedy: toggle.cure().into(),
    }));
}

/// Schedulers that somebody's work on a store left inside PD. Only a closer look tells them.
fn schedulers(fleet: &Fleet, database: &Database, found: &mut Diagnosis) {
    let told = details(fleet, database).and_then(|details| details.schedulers.as_ref());
    let Some(told) = told else {
        if !database.members.is_empty() {
            let whole = Subject::of_pd(SubjectKind::Database, &database.name);
            let sentence = "which schedulers PD runs is not known";
            found.unseen.push(NotSeen::new(NotSeenKind::SchedulersUnread, [whole], sentence).within(&database.name));
        }
        return;
    };
    for name in told.iter().filter(|name| moves_leaders(name)) {
        found.leftovers.push(Leftover {
            kind: "pd-scheduler",
            database: database.name.clone(),
            at: name.clone(),
            sentence: format!("PD runs {name}: leaders are kept away from (or on) a store for somebody's work on it"),
            remedy: format!("when nobody restarts that store now: pd-ctl scheduler remove {name}").into(),
        });
    }
}

fn members(fleet: &Fleet, database: &Database, found: &mut Vec<Leftover>) {
    let mut add = |kind, at: String, sentence: String, remedy: Advice| {
        found.push(Leftover { kind, database: database.name.clone(), at, sentence, remedy });
    };
    for of in &database.tidb_clusters {
        let (Some(cluster), Some(tc)) = (fleet.clusters.get(&of.context), fleet.tidb_cluster(of)) else { continue };
        let own: Vec<&Member> = database.members.iter().filter(|member| member.place.of() == Some(of)).collect();
        let stale: Vec<&str> = own.iter().filter(|m| m.drift).filter_map(|m| m.place.pod()).collect();
        // Drift without acrossK8s or a domain is not this procedure's: `status` shows it.
        if !stale.is_empty() && (tc.across_k8s() || tc.domain().is_some()) {
            let (kind, begun) = if stale.len() < own.len() {
                ("half-updated-peer-urls", "some peerURLs were corrected, and these were not")
            } else {
                ("peer-urls-not-updated", "the TidbCluster was opened for other clusters, and no peerURL was corrected")
            };
            let remedy = remedy_commands::correct_peer_urls(fleet, database, of, tc);
            add(kind, of.to_string(), format!("{begun}: {}", stale.join(", ")), remedy.into());
        }
        // Where TLS was switched it never comes to its end, and that is said.
        let toggled = database.toggled(of).is_some();
        // What is being deleted does not roll, and of a cluster that is not live it is said that it is not seen.
        let rolls = cluster.freshness.is_live() && tc.metadata.deletion_timestamp.is_none() && !toggled;
        let open = rollout(cluster, tc).into_iter().find(|component| !component.settled && rolls);
        // Nothing rolls where a pod starts and ends again: no waiting brings that to an end.
        let loops = |open: &ComponentRollout| {
            component_pods(cluster, tc, open.component)
                .into_iter()
                .find(|pod| pod.loops() && pod.status_word() == "CrashLoopBackOff")
        };
        if let Some((open, pod)) = open.as_ref().and_then(|open| Some((open, loops(open)?))) {
            let (at, name) = (ObjectRef::new(&of.context, &of.namespace, &pod.metadata.name), &pod.metadata.name);
            let why = pod.trouble().map(|why| format!(": {why}")).unwrap_or_default();
            let sentence = format!("{}, since {name} starts and ends again{why}", open.reason);
            let restarts = database.lead == Lead::Leads;
            let remedy = remedy_commands::crash_loop(of, open.component, name, restarts);
            add("crash-loop", at.to_string(), sentence, remedy);
        } else if let Some(open) = open {
            let sentence = format!("a rolling change has not come to its end: {}", open.reason);
            let remedy = match tc.paused() {
                true => remedy_commands::unpause(of),
                false => format!("{} # wait for it, or find out what holds it", remedy_commands::watch(of)),
            };
            add("unfinished-rollout", of.to_string(), sentence, remedy.into());
        }
    }
    for member in database.members.iter().filter(|member| member.name.is_empty()) {
        let sentence = format!(
            "PD member {} ({}) was added and never started; no other can join while it is there",
            member.id,
            member.peer_urls.join(", ")
        );
        let remedy = remedy_commands::remove_unused(fleet, database, member);
        add("nameless-member", member.id.to_string(), sentence, remedy);
    }
    if !database.members.is_empty() && !database.agree {
        let sentence =
            "the PD pods list different members or peerURLs: a change of the membership has not reached all".to_owned();
        add(
            "membership-in-doubt",
            database.name.clone(),
            sentence,
            "tidepilot diagnose # look again in 20 s, before anything is sent".into(),
        );
    }
}

fn marks(database: &Database, of: &ObjectRef, tc: &TidbCluster, found: &mut Vec<Leftover>) {
    let mut add = |kind, sentence: String, remedy: String| {
        let (database, at) = (database.name.clone(), of.to_string());
        found.push(Leftover { kind, database, at, sentence, remedy: remedy.into() });
    };
    if tc.paused() {
        let sentence = "spec.paused is true: the operator does nothing here".to_owned();
        add("paused", sentence, remedy_commands::unpause(of));
    }
    if forced(tc) {
        let sentence =
            format!("the annotation {FORCE_UPGRADE}=true is left set: pods restart without any safety check");
        add("force-upgrade", sentence, remedy_commands::unforce(database, of));
    }
}

fn pods(database: &Database, of: &ObjectRef, cluster: &KubeCluster, tc: &TidbCluster, found: &mut Vec<Leftover>) {
    for pod in cluster.pods_of(tc) {
        for mark in POD_MARKS {
            let Some(value) = pod.metadata.annotations.get(mark) else { continue };
            let name = &pod.metadata.name;
            found.push(Leftover {
                kind: "pod-annotation",
                database: database.name.clone(),
                at: format!("{}/{}/{name}", of.context, of.namespace),
                sentence: format!("the pod still carries {mark}={value}"),
                remedy: format!("{} annotate pod {name} {mark}-", kubectl(of)).into(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::pd::{EtcdMember, MemberId, PdAnswer, PdView};
    use crate::fleet::pd_details::PdDetails;
    use crate::fleet::{Change, Freshness, ObjectKey, What};
    use serde_json::{Value, json};

    fn fleet(change: impl Fn(&mut Value, &mut Value, &mut Vec<EtcdMember>)) -> Fleet {
        let url = |i: u64, domain: &str| format!("http://basic-pd-{i}.basic-pd-peer.db.svc{domain}:2380");
        let mut members: Vec<EtcdMember> = (0..3)
            .map(|i| EtcdMember {
                id: MemberId(i + 1),
                name: format!("basic-pd-{i}.basic-pd-peer.db.svc.a.test"),
                peer_urls: vec![url(i, ".a.test")],
                client_urls: Vec::new(),
            })
            .collect();
        let mut tc = json!({"metadata": {"name": "basic", "namespace": "db", "annotations": {}}, "status": {"clusterID": "42"},
            "spec": {"acrossK8s": true, "clusterDomain": "a.test"}});
        let mut pod = json!({"metadata": {"name": "basic-pd-0", "namespace": "db", "annotations": {}, "labels": {
            "app.kubernetes.io/instance": "basic", "app.kubernetes.io/component": "pd"}}});
        change(&mut tc, &mut pod, &mut members);
        let mut fleet = Fleet::default();
        let mut say = |what| fleet.apply(Change { context: "c".into(), at: jiff::Timestamp::UNIX_EPOCH, what });
        say(What::Connection { freshness: Freshness::Live, message: None });
        say(What::TidbClusters(vec![serde_json::from_value(tc).expect("shape")]));
        say(What::Pods(vec![serde_json::from_value(pod).expect("shape")]));
        let answer = PdAnswer { cluster_id: Some(42), leader: Some(MemberId(1)), members, ..PdAnswer::default() };
        let view = Box::new(PdView { at: jiff::Timestamp::UNIX_EPOCH, answer: Ok(answer) });
        say(What::Pd { pod: ObjectKey::new("db", "basic-pd-0"), view });
        fleet
    }

    fn kinds(change: impl Fn(&mut Value, &mut Value, &mut Vec<EtcdMember>)) -> Vec<&'static str> {
        diagnose(&fleet(change), Some("basic")).leftovers.into_iter().map(|leftover| leftover.kind).collect()
    }

    #[test]
    fn what_lies_around_is_named() {
        let stale = |member: &mut EtcdMember, i: usize| {
            member.peer_urls = vec![format!("http://basic-pd-{i}.basic-pd-peer.db.svc:2380")];
        };
        assert_eq!(kinds(|_, _, _| {}), Vec::<&str>::new());
        assert_eq!(kinds(|_, _, members| stale(&mut members[1], 1)), ["half-updated-peer-urls"]);
        let all = |_: &mut Value, _: &mut Value, members: &mut Vec<EtcdMember>| {
            members.iter_mut().enumerate().for_each(|(i, member)| stale(member, i));
        };
        assert_eq!(kinds(all), ["peer-urls-not-updated"]);
        assert_eq!(kinds(|tc, _, _| tc["spec"]["paused"] = json!(true)), ["paused"]);
        let force = |tc: &mut Value| tc["metadata"]["annotations"]["tidb.pingcap.com/force-upgrade"] = json!("true");
        assert_eq!(kinds(|tc, _, _| force(tc)), ["force-upgrade"]);
        let off = |tc: &mut Value| tc["metadata"]["annotations"][FORCE_UPGRADE] = json!("false");
        assert!(kinds(|tc, _, _| off(tc)).is_empty(), "the operator acts on true alone");
        let evict = |pod: &mut Value| pod["metadata"]["annotations"]["tidb.pingcap.com/evict-leader"] = json!("none");
        assert_eq!(kinds(|_, pod, _| evict(pod)), ["pod-annotation"]);
        let added = |_: &mut Value, _: &mut Value, members: &mut Vec<EtcdMember>| {
            members.push(EtcdMember {
                id: MemberId(9),
                name: String::new(),
                peer_urls: vec!["http://x:2380".into()],
                client_urls: Vec::new(),
            });
        };
        assert_eq!(kinds(added), ["nameless-member"]);
        assert!(diagnose(&fleet(|_, _, _| {}), Some("other")).databases.is_empty());
    }

    #[test]
    fn nobody_is_told_to_wait_for_what_is_paused_or_deleted() {
        let rolling = |change: fn(&mut Value)| {
            let fleet = fleet(|tc, _, _| {
                tc["spec"]["pd"] = json!({"replicas": 3});
                change(tc);
            });
            let left = diagnose(&fleet, None).leftovers.into_iter().find(|left| left.kind == "unfinished-rollout");
            left.map(|left| left.remedy)
        };
        assert!(rolling(|_| {}).is_some_and(|remedy| remedy.contains("status --watch")));
        assert!(
            rolling(|tc| tc["spec"]["paused"] = json!(true)).is_some_and(|remedy| remedy.contains("\"paused\":false"))
        );
        assert_eq!(rolling(|tc| tc["metadata"]["deletionTimestamp"] = json!("2026-11-20T11:00:00Z")), None);
    }

    /// Its pod may run where nobody looks, and starts it there when it is removed.
    #[test]
    fn no_member_is_removed_while_a_part_of_the_database_is_not_seen() {
        let member = |id: u64, name: &str| EtcdMember {
            id: MemberId(id),
            name: name.into(),
            peer_urls: vec![format!("http://x-{id}:2380")],
            client_urls: Vec::new(),
        };
        let remedy = |away: bool| {
            let fleet = fleet(|tc, _, members| {
                tc["spec"]["pd"] = json!({"replicas": 3});
                members.push(member(9, ""));
                members.extend(away.then(|| member(10, "far-pd-0.far-pd-peer.db.svc.b.test")));
            });
            let left = diagnose(&fleet, None).leftovers.into_iter().find(|left| left.kind == "nameless-member");
            left.expect("it is told").remedy
        };
        assert!(remedy(false).contains("--set removeUnused=true"), "{}", remedy(false));
        let hidden = remedy(true);
        assert!(hidden.contains("far-pd-0") && hidden.contains("Nothing is removed"), "{hidden}");
        assert!(!hidden.contains("DELETE") && !hidden.contains("removeUnused"), "{hidden}");
    }

    #[test]
    fn what_runs_inside_pd_is_named_or_said_to_be_unknown() {
        let mut fleet = fleet(|_, _, _| {});
        let unknown = diagnose(&fleet, None);
        assert!(unknown.unseen.iter().any(|sentence| sentence.contains("schedulers")), "{unknown:?}");
        let schedulers = ["balance-leader-scheduler", "evict-leader-scheduler"].map(str::to_owned).to_vec();
        let details = Box::new(PdDetails { schedulers: Some(schedulers), ..PdDetails::default() });
        let what = What::PdDetails { pod: ObjectKey::new("db", "basic-pd-0"), details };
        fleet.apply(Change { context: "c".into(), at: jiff::Timestamp::UNIX_EPOCH, what });
        let found = diagnose(&fleet, None);
        let named: Vec<&str> = found.leftovers.iter().map(|leftover| leftover.at.as_str()).collect();
        assert_eq!(named, ["evict-leader-scheduler"]);
        assert!(!found.unseen.iter().any(|sentence| sentence.contains("schedulers")), "{found:?}");
    }
}
