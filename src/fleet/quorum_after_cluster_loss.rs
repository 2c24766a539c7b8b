//! What losing one KubeCluster would do to PD's quorum, for every one that is seen and for whatever is not.
//!
//! A member whose place is not known may run in any KubeCluster, in the one that is lost too: it counts against each.
//! [`Losses`] is made over all members or not at all, and has no way to be said without what it does not know. Not here:
//! how many may fail one by one ([`super::quorum`]), what else a TidbCluster takes with it ([`super::removal_impact`]).

use std::collections::BTreeMap;

use serde::Serialize;

use super::database::member_and_store::Member;
use super::quorum::Quorum;

/// What losing one KubeCluster would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    Survives,
    /// It depends on members whose place is not known.
    Unknown,
    Fatal,
}

/// The same for all KubeClusters of a Database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Losses {
    /// By context; every KubeCluster with a TidbCluster of the Database that is seen.
    kube_clusters: BTreeMap<String, Loss>,
    /// Of one that is not seen; `None` where every member has its place.
    elsewhere: Option<Loss>,
    /// Members that are in no connected context.
    unplaced: usize,
    members: usize,
    /// Without a quorum that stands there is nothing to lose.
    #[serde(skip)]
    stands: bool,
}

impl Losses {
    /// Counts every member: `contexts` are those with a TidbCluster of the Database.
    pub fn of<'a>(quorum: Quorum, members: &[Member], contexts: impl Iterator<Item = &'a str>) -> Self {
        // Votes are what quorum counts, so votes are what can be lost of it.
        let healthy = || members.iter().filter(|member| member.votes == Some(true));
        let adrift = healthy().filter(|member| !member.place.is_known()).count();
        let mut placed: BTreeMap<String, usize> = contexts.map(|context| (context.to_owned(), 0)).collect();
        for context in healthy().filter_map(|member| member.place.context().map(str::to_owned)) {
            *placed.entry(context).or_insert(0) += 1;
        }
        let losing = |placed: usize| match (quorum.stands_without(placed), quorum.stands_without(placed + adrift)) {
            (false, _) => Loss::Fatal,
            (true, false) => Loss::Unknown,
            (true, true) => Loss::Survives,
        };
        // One that never started runs nowhere.
        let unplaced = members.iter().filter(|member| !member.place.is_known() && !member.name.is_empty()).count();
        Self {
            kube_clusters: placed.into_iter().map(|(context, count)| (context, losing(count))).collect(),
            elsewhere: (unplaced > 0).then(|| losing(0)),
            unplaced,
            members: members.len(),
            stands: quorum.stands(),
        }
    }

    fn with(&self, loss: Loss) -> impl Iterator<Item = &str> {
        self.kube_clusters.iter().filter(move |(_, one)| **one == loss).map(|(context, _)| context.as_str())
    }

    /// What losing each KubeCluster would do, by context; none while no quorum is known to stand.
    pub fn each(&self) -> impl Iterator<Item = (&str, Loss)> {
        self.kube_clusters.iter().filter(|_| self.stands).map(|(context, loss)| (context.as_str(), *loss))
    }

    /// Whether every KubeCluster, seen or not, is known to be one that PD can do without.
    pub fn any_may_go(&self) -> bool {
        self.stands && self.worst() == Some(Loss::Survives)
    }

    /// Whether all members are in one KubeCluster, and nowhere else.
    pub fn of_one(&self) -> bool {
        self.elsewhere.is_none() && self.kube_clusters.len() == 1
    }

    /// The worst of all; `None` where there is none.
    pub fn worst(&self) -> Option<Loss> {
        self.kube_clusters.values().copied().chain(self.elsewhere).max()
    }

    /// `losing cluster east: no quorum`, always with what is not known. `None` while no quorum is known to stand.
    pub fn sentence(&self) -> Option<String> {
        if !self.stands {
            return None;
        }
        let fatal: Vec<&str> = self.with(Loss::Fatal).collect();
        let known = match fatal.as_slice() {
            [] => None,
            [one] => Some(format!("losing cluster {one}: no quorum")),
            many => Some(format!("losing any of {}: no quorum", many.join(", "))),
        };
        let open = self.with(Loss::Unknown).next().is_some() || self.elsewhere == Some(Loss::Unknown);
        let are = if self.unplaced == 1 { "is" } else { "are" };
        let adrift = format!("{} of {} members {are} in no connected context", self.unplaced, self.members);
        Some(match (known, open) {
            (None, true) => format!("what losing a cluster would do is not known: {adrift}"),
            (Some(known), true) => format!("{known}; what losing another would do is not known: {adrift}"),
            (Some(known), false) => known,
            (None, false) => "PD survives the loss of any one cluster".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ObjectRef;
    use crate::fleet::database::Place;

    /// `e` in east, `w` in west, `n` in north, `?` in no connected context; a capital letter is not healthy.
    fn losses(members: &str) -> Losses {
        let members: Vec<Member> = members
            .chars()
            .map(|one| Member {
                place: match one.to_ascii_lowercase() {
                    'e' => Place::new(ObjectRef::new("east", "db", "basic"), "pd"),
                    'w' => Place::new(ObjectRef::new("west", "db", "basic"), "pd"),
                    'n' => Place::new(ObjectRef::new("north", "db", "basic"), "pd"),
                    _ => Place::default(),
                },
                name: "pd".into(),
                votes: Some(one.is_lowercase() || one == '?'),
                ..Member::default()
            })
            .collect();
        let healthy = members.iter().filter(|member| member.votes == Some(true)).count();
        let contexts: Vec<String> =
            members.iter().filter_map(|member| member.place.context().map(str::to_owned)).collect();
        Losses::of(Quorum::new(members.len(), healthy), &members, contexts.iter().map(String::as_str))
    }

    #[test]
    fn members_without_a_place_count_against_every_cluster() {
        let unknown = |n, of| {
            let are = if n == 1 { "is" } else { "are" };
            format!("what losing a cluster would do is not known: {n} of {of} members {are} in no connected context")
        };
        let any = "PD survives the loss of any one cluster".to_owned();
        let cases = [
            ("eew", "losing cluster east: no quorum".to_owned()),
            ("ewn", any.clone()),
            ("eewwn", any.clone()),
            ("w??", unknown(2, 3)),
            ("ew?", unknown(1, 3)),
            // Nobody knows where it is, and all the same no cluster can take the quorum along.
            ("eewwnn?", any),
            ("eew??", unknown(2, 5)),
            ("ee?", "losing cluster east: no quorum".to_owned()),
            ("eee??", "losing cluster east: no quorum".to_owned()),
            ("eeew??", format!("losing cluster east: no quorum; {}", unknown(2, 6).replace(" a cluster", " another"))),
            ("???", unknown(3, 3)),
            ("eeW", "losing cluster east: no quorum".to_owned()),
            ("Ewn", "losing any of north, west: no quorum".to_owned()),
        ];
        for (members, said) in cases {
            assert_eq!(losses(members).sentence().as_deref(), Some(said.as_str()), "{members}");
        }
        assert_eq!(losses("EWn").sentence(), None);
    }

    #[test]
    fn hiding_a_member_s_place_never_makes_it_better() {
        let places = ['e', 'w', 'n', 'E'];
        for count in 1..=5_u32 {
            for all in 0..4_usize.pow(count) {
                let members: Vec<char> = (0..count).map(|i| places[all / 4_usize.pow(i) % 4]).collect();
                let whole = losses(&members.iter().collect::<String>());
                for hidden in ['e', 'w', 'n'] {
                    let part: String = members.iter().map(|one| if *one == hidden { '?' } else { *one }).collect();
                    let (seen, all) = (losses(&part), whole.worst());
                    assert!(seen.worst() >= all.map(|worst| worst.min(Loss::Unknown)), "{members:?} {part}");
                    assert!(!seen.any_may_go() || whole.any_may_go(), "{members:?} {part}");
                }
            }
        }
    }
}
