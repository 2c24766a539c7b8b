//! Whether two contexts lead to one Kubernetes cluster.
//!
//! The uid of namespace `kube-system` is what a server says of itself: a copy made from one etcd snapshot says the same, and so
//! can anybody. Two contexts are one only where an object of both, or the certificate authority of both servers, says so
//! too; only then may one of them be left out. Pure. Neighbour: [`super::kube_cluster_problems`], which tells a contradiction.

use super::{Fleet, KubeCluster};

/// How two contexts stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kin {
    /// One Kubernetes cluster: what is seen in the one is what is seen in the other.
    Same,
    /// Two, or nothing says that they are one.
    Apart,
    /// They claim to be one, and what is seen in them says that they are not.
    Contradiction,
}

/// Judges two contexts by what is known of them now.
pub fn kin(a: &KubeCluster, b: &KubeCluster) -> Kin {
    let one_uid = match (&a.uid, &b.uid) {
        (Some(a), Some(b)) if a != b => return Kin::Apart,
        (Some(_), Some(_)) => true,
        (Some(_) | None, Some(_) | None) => false,
    };
    let trust = a.trust.is_some() && a.trust == b.trust;
    // Where both name one server and one authority, and let us in, the kubeconfig says that they are one. Not where both show
    // something and nothing in common: a gate for many clusters chooses by who asks.
    let let_in = a.freshness.answers() && b.freshness.answers();
    let mut door = let_in && trust && !a.server.is_empty() && a.server == b.server;
    let common = || a.tidb_clusters.iter().filter_map(|(key, tc)| Some((tc, b.tidb_clusters.get(key)?)));
    let told = |uid: &String| !uid.is_empty();
    let shared = common().any(|(ours, theirs)| told(&ours.metadata.uid) && ours.metadata.uid == theirs.metadata.uid);
    let clash = common().any(|(ours, theirs)| {
        told(&ours.metadata.uid) && told(&theirs.metadata.uid) && ours.metadata.uid != theirs.metadata.uid
    });
    door &= shared || a.tidb_clusters.is_empty() || b.tidb_clusters.is_empty();
    let claim = one_uid || door;
    if clash || (shared && strange_pods(a, b)) {
        return if claim { Kin::Contradiction } else { Kin::Apart };
    }
    if shared || door {
        return Kin::Same;
    }
    // Both were asked, and what one has the other has not: one authority may serve many.
    let listed = a.listed && b.listed && a.freshness.is_live() && b.freshness.is_live();
    let something = !a.tidb_clusters.is_empty() || !b.tidb_clusters.is_empty();
    match (one_uid, listed && something) {
        (true, true) => Kin::Contradiction,
        (true, false) if trust => Kin::Same,
        (true | false, _) => Kin::Apart,
    }
}

/// Pods of the same names, several and none of them the same: a copy whose pods were made anew. In a rolling restart that two
/// looks catch at different moments most are the same.
fn strange_pods(a: &KubeCluster, b: &KubeCluster) -> bool {
    let both: Vec<bool> = a
        .pods
        .iter()
        .filter_map(|(key, pod)| Some((&pod.metadata.uid, &b.pods.get(key)?.metadata.uid)))
        .filter(|(ours, theirs)| !ours.is_empty() && !theirs.is_empty())
        .map(|(ours, theirs)| ours == theirs)
        .collect();
    both.len() >= 3 && both.iter().all(|same| !same)
}

impl Fleet {
    /// Another context that leads to the same Kubernetes cluster and is read-only: what must not be written under one name
    /// must not be under any.
    pub fn read_only_as(&self, context: &str) -> Option<&str> {
        let own = self.clusters.get(context)?;
        let others = self.clusters.values().filter(|other| other.context != context && other.read_only);
        // Where two only claim to be one, the claim is enough to hold back.
        let same = |other: &&KubeCluster| matches!(kin(own, other), Kin::Same | Kin::Contradiction);
        others.into_iter().find(same).map(|other| other.context.as_str())
    }

    /// The context under which the objects of this one's Kubernetes cluster are shown, where it is another: of several,
    /// the first by name of those that see most (hazard 66).
    pub fn same_cluster_as(&self, context: &str) -> Option<&str> {
        let own = self.clusters.get(context)?;
        // One that sees less must not stand for one that sees more.
        let rank = |cluster: &KubeCluster| {
            (cluster.uid.is_none(), !cluster.freshness.answers(), cluster.tidb_clusters.is_empty())
        };
        let same = |other: &&KubeCluster| other.context == context || kin(own, other) == Kin::Same;
        let first = self.clusters.values().filter(same).min_by_key(|other| (rank(other), &other.context))?;
        (first.context != context).then_some(first.context.as_str())
    }

    /// The contexts that contradict each other, each pair once.
    pub fn contradictions(&self) -> Vec<(&KubeCluster, &KubeCluster)> {
        let all: Vec<&KubeCluster> = self.clusters.values().collect();
        let pairs = all.iter().enumerate().flat_map(|(at, a)| all.iter().skip(at + 1).map(move |b| (*a, *b)));
        pairs.filter(|(a, b)| kin(a, b) == Kin::Contradiction).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Change, Freshness, What};
    use serde_json::json;

    /// `context uid ca server tidbclusters`: `-` is not known; a TidbCluster is `name=uid`, a `!` says that nothing was listed.
    fn fleet(all: &[&str]) -> Fleet {
        let mut fleet = Fleet::default();
        for line in all {
            let words: Vec<&str> = line.split(' ').collect();
            let mut say = |what| {
                fleet.apply(Change { context: words[0].into(), at: jiff::Timestamp::UNIX_EPOCH, what });
            };
            let known = |word: &str| (word != "-").then(|| word.to_owned());
            say(What::Configured { server: words[3].into(), read_only: false });
            say(What::Trust(known(words[2])));
            if words[1] == "401" {
                say(What::Connection { freshness: Freshness::AuthNeeded, message: None });
                continue;
            }
            say(What::Identity { uid: known(words[1]), version: None });
            say(What::Connection { freshness: Freshness::Live, message: None });
            if !words.contains(&"!") {
                let tcs = words[4..].iter().map(|word| {
                    let (name, uid) = word.split_once('=').expect("name=uid");
                    serde_json::from_value(json!({"metadata": {"namespace": "n", "name": name, "uid": uid}}))
                        .expect("the API's shape")
                });
                say(What::TidbClusters(tcs.collect()));
            }
        }
        fleet
    }

    #[test]
    fn one_only_where_something_of_both_says_so() {
        let cases: &[(&[&str], Option<&str>, usize, &str)] = &[
            (&["a u c https://1 x=1", "b u c https://2 x=1"], Some("a"), 0, "two names of one server"),
            (&["a u - https://1 x=1", "b u - https://2 x=1"], Some("a"), 0, "a TidbCluster of both"),
            (&["a u c https://1 x=1", "b u d https://2 x=1"], Some("a"), 0, "through a proxy with its own CA"),
            (&["a u c https://1", "b u c https://2"], Some("a"), 0, "empty, and the CA says so"),
            (&["a u c https://1 x=1", "b u d https://2 y=2"], None, 1, "a copy with another TidbCluster"),
            (&["a u c https://1", "b u d https://2 y=2"], None, 1, "an empty one that claims to be b"),
            (&["a u c https://1 x=1", "b u c https://2 y=2"], None, 1, "the same with its CA"),
            (&["a u c https://1", "b u c https://2 y=2"], None, 1, "and an empty one"),
            (&["a u c https://1 x=1", "b u c https://2 !"], Some("a"), 0, "one may not list, and the CA says so"),
            (&["a u c https://1 !", "b u c https://2 x=1"], Some("b"), 0, "the first may not list"),
            (&["a u c https://1 x=1", "b u d https://2 x=2"], None, 1, "one name, two objects"),
            (&["a u c https://1 x=1", "b u c https://2 x=2"], None, 1, "a copy with its CA"),
            (&["a u c https://1 !", "b u d https://2 y=2"], None, 0, "not listed yet"),
            (&["a u c https://1", "b v c https://1"], None, 0, "another uid is another cluster"),
            (&["a - c https://1", "b u c https://1 x=1"], Some("b"), 0, "one may not say which it is"),
            (&["a u c https://1 x=1", "b - c https://1 x=1"], Some("a"), 0, "the other may not"),
            (&["a - - https://1 x=1", "b u - https://2 x=1"], Some("b"), 0, "only the object says so"),
            (&["a - - https://1", "b u - https://1"], None, 0, "no CA is no proof"),
            (&["a - c https://1", "b u c https://2"], None, 0, "one CA may serve many"),
            (
                &["a - c https://1 x=1", "b - c https://1 y=2"],
                None,
                0,
                "a gate that leads each user to another cluster",
            ),
            (&["a 401 c https://1 x=1", "b u c https://1 x=1"], None, 0, "who is not let in says nothing"),
        ];
        for (all, same, contradictions, what) in cases {
            let fleet = fleet(all);
            let found = fleet.same_cluster_as("a").or(fleet.same_cluster_as("b").map(|_| "a"));
            let found = if fleet.same_cluster_as("a").is_some() { fleet.same_cluster_as("a") } else { found };
            assert_eq!(found, *same, "{what}");
            assert_eq!(fleet.contradictions().len(), *contradictions, "{what}");
        }
    }
}
