//! What finishes or undoes something, as the line to type: judged once for all who advise it (`check`, `diagnose`).
//!
//! Pure. Not here: what was found ([`super::interrupted_work`], [`crate::hazards`]).

use super::advice::{Advice, RunLine};
use super::database::{Database, Member};
use super::dns::Likeness;
use super::kubectl_quoting::{kubectl, place, quote};
use super::tidbcluster::{Component, TidbCluster};
use super::tls_toggle::FORCE_UPGRADE;
use super::{Fleet, KubeCluster, ObjectRef};

/// A merge patch of a TidbCluster's spec, as a command line.
pub fn patch(of: &ObjectRef, spec: &str) -> String {
    format!("{} patch tidbcluster {} --type merge -p '{{\"spec\":{spec}}}'", kubectl(of), of.name)
}

/// Lets the operator work again.
pub fn unpause(of: &ObjectRef) -> String {
    patch(of, "{\"paused\":false}")
}

/// Gives a TidbCluster its safety checks back. Taken away while TLS is switched the annotation leaves PD dead, so that
/// comes first.
pub fn unforce(database: &Database, of: &ObjectRef) -> String {
    match database.toggled(of) {
        Some(toggle) => toggle.cure(),
        None => format!("{} annotate tidbcluster {} {FORCE_UPGRADE}-", kubectl(of), of.name),
    }
}

/// Shows why the container of a pod ends again and again; `restarts`: once the reason is gone, it may be started anew alone.
pub fn crash_loop(of: &ObjectRef, component: Component, pod: &str, restarts: bool) -> Advice {
    let log = format!("{} logs {} --previous", kubectl(of), quote(pod));
    if !restarts {
        return log.into();
    }
    let anew = RunLine::run("restart-component").on(of).set("component", component.key()).set("pod", pod);
    Advice::with(format!("{log}; when the reason is gone: {anew}"), Some(anew))
}

/// Shows what is on its way there.
pub fn watch(of: &ObjectRef) -> String {
    format!("tidepilot {} status --watch", place(of))
}

/// Takes a member out which nobody runs.
pub fn remove_unused(fleet: &Fleet, database: &Database, member: &Member) -> Advice {
    // Whoever starts it may be where nobody looks, and nothing is changed in a Database that is not seen whole.
    let away = database.away();
    if !away.is_empty() {
        return format!(
            "connect what is not seen before it is judged, for its pod may run there: {}. Nothing is removed until then",
            away.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        )
        .into();
    }
    let has_pd = |of: &&ObjectRef| fleet.tidb_cluster(of).is_some_and(|tc| tc.spec.pd.is_some());
    match database.tidb_clusters.iter().find(has_pd) {
        Some(of) => {
            let line = RunLine::run("repair-peer-urls").on(of).set("removeUnused", true);
            line.behind(format!("it is removed by its id, {}, while quorum stands without it", member.id.hex()))
        }
        None => format!(
            "if quorum stands without it, remove it by its id: DELETE /pd/api/v1/members/id/{}",
            member.id.decimal()
        )
        .into(),
    }
}

/// Gives a TidbCluster its domain and its names, with the domain where names need one.
pub fn migrate(fleet: &Fleet, database: &Database, of: &ObjectRef) -> RunLine {
    let here = |context: &str| fleet.same_cluster_as(context).unwrap_or(context).to_owned();
    let apart = |cluster: &KubeCluster| {
        database.tidb_clusters.iter().any(|other| {
            let other_cluster = fleet.clusters.get(&other.context);
            here(&other.context) != here(&of.context)
                && other_cluster.is_some_and(|other| cluster.dns.like(&other.dns) == Likeness::Differ)
        })
    };
    let cluster = fleet.clusters.get(&of.context);
    let served = || cluster.filter(|cluster| apart(cluster))?.cluster_domain().map(str::to_owned);
    let domain = fleet.tidb_cluster(of).and_then(TidbCluster::plain_domain).or_else(served);
    let line = RunLine::run("migrate-cluster-domain").on(of);
    match domain {
        Some(domain) => line.set("clusterDomain", domain),
        None => line,
    }
}

/// Corrects the peerURLs of a TidbCluster's own members. Names change at the restart only: before it has come, it is the
/// migration that goes on.
pub fn correct_peer_urls(fleet: &Fleet, database: &Database, of: &ObjectRef, tc: &TidbCluster) -> RunLine {
    let mut own = database.members.iter().filter(|member| member.place.of() == Some(of));
    let renamed =
        |member: &Member| member.name.is_empty() || member.place.pod().is_none_or(|pod| member.name == tc.pd_name(pod));
    match own.all(renamed) {
        true => RunLine::run("repair-peer-urls").on(of),
        false => migrate(fleet, database, of),
    }
}
