//! What is wrong with KubeClusters as such, and what could not be seen of them: what concerns no single Database.
//!
//! Not here: what is wrong with a Database ([`super::database`]).

use super::not_seen::{NotSeen, NotSeenKind};
use super::problem::{Problem, ProblemKind};
use super::problem_subject::Subject;
use super::{Crd, Fleet};
use crate::pluralize::counted;

/// What is wrong, each once for its KubeCluster.
pub fn problems(fleet: &Fleet) -> Vec<Problem> {
    let with =
        fleet.clusters.values().filter(|cluster| cluster.freshness.answers() && !cluster.tidb_clusters.is_empty());
    let twice = fleet.contradictions().into_iter().map(|(a, b)| {
        let (one, other) = (&a.context, &b.context);
        let sentence = format!(
            "the contexts {one} and {other} both claim to be one Kubernetes cluster (uid {}), and what is seen in them differs: one is a copy of the other, or does not tell the truth",
            a.uid.as_deref().unwrap_or("not known")
        );
        Problem::new(ProblemKind::OneUidTwice, Subject::cluster(one), sentence).and(Subject::cluster(other))
    });
    let down = with.filter(|cluster| fleet.same_cluster_as(&cluster.context).is_none()).filter_map(|cluster| {
        let why = cluster.operator().err()?;
        let context = &cluster.context;
        let sentence =
            format!("TiDB Operator in KubeCluster {context} is {why}: nothing that is changed there takes effect");
        Some(Problem::new(ProblemKind::OperatorDown, Subject::cluster(context), sentence))
    });
    twice.chain(down).collect()
}

/// What could not be seen, each with its context.
pub fn unseen(fleet: &Fleet) -> Vec<NotSeen> {
    let dark = fleet.clusters.values().filter_map(|cluster| {
        let context = &cluster.context;
        if !cluster.freshness.is_live() {
            let why = cluster.message.as_deref().unwrap_or("no answer yet");
            let sentence = format!("KubeCluster {context} is {}: {why}", cluster.freshness.word());
            return Some(NotSeen::new(NotSeenKind::KubeClusterNotLive, [Subject::cluster(context)], sentence));
        }
        (cluster.crd == Crd::Unknown).then(|| {
            let sentence = format!("KubeCluster {context}: whether TidbClusters are served could not be read");
            NotSeen::new(NotSeenKind::CustomResourceUnread, [Subject::cluster(context)], sentence)
        })
    });
    dark.chain(nothing(fleet)).collect()
}

/// Nothing found is nothing seen: a mistyped namespace must not pass for "all well", nor a cluster that does not answer
/// for a mistyped namespace.
fn nothing(fleet: &Fleet) -> Option<NotSeen> {
    if fleet.tidb_clusters().next().is_some() {
        return None;
    }
    let all = fleet.clusters.len();
    let seen = fleet.clusters.values().filter(|c| c.freshness.is_live() && c.crd != Crd::Unknown).count();
    let sentence = match seen {
        _ if seen == all => "no TidbCluster was found; is the namespace or the context right?".to_owned(),
        0 => "no TidbCluster is known: no KubeCluster could be looked at".to_owned(),
        _ => {
            format!(
                "no TidbCluster is known: only {seen} of {} could be looked at, and there is none",
                counted(all, "KubeCluster")
            )
        }
    };
    Some(NotSeen::new(NotSeenKind::NoTidbCluster, [], sentence))
}
