//! What a look keeps for the next one, and how long it is believed: what a cluster is, and what PD's pods answered.
//!
//! Only for looks on which nothing is sent ([`crate::client::kube::snapshot::Depth`] says which believe it). Times are those of the
//! answers: a view that is kept grows old like any other, also while the machine sleeps.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::client::kube::access_gaps::Facts;
use crate::client::wire::suspend_aware_clock::{Clock, Moment};
use crate::fleet::pd::PdView;
use crate::fleet::tidbcluster::Meta;
use crate::fleet::workload::Pod;
use crate::fleet::{Keyed as _, ObjectKey};

/// How long PD's answers are believed by whoever only asks whether there is anything to do.
pub const VIEWS_KEPT: Duration = Duration::from_secs(6);
/// The same while objects move, and whatever has become of PD's pods.
pub const SAID_KEPT: Duration = Duration::from_secs(10);
/// How long version, identity, operator and DNS of a cluster are believed by a look that nothing is sent on.
pub const FACTS_KEPT: Duration = Duration::from_secs(15);

/// What was last learned about a cluster itself, and when.
#[derive(Default)]
pub(in crate::client) struct KeptFacts(Mutex<Option<(Facts, Moment)>>);

impl KeptFacts {
    pub fn keep(&self, facts: Facts) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((facts, Clock::default().moment()));
    }

    pub fn kept(&self, longest: Duration) -> Option<Facts> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(_, read)| Clock::default().since(*read) < longest).map(|(facts, _)| facts.clone())
    }
}

/// Each pod's version, and what its PD answered.
type Views = BTreeMap<ObjectKey, (String, PdView)>;

/// What PD's pods last answered to a look, by the versions of the pods, and when.
#[derive(Default)]
pub(in crate::client) struct KeptViews(Mutex<Last>);

#[derive(Default)]
struct Last {
    views: Option<(Views, Moment)>,
    /// What the last look saw of the objects ([`Stamp`]).
    objects: Option<Stamp>,
}

/// Tells whether any object is another one, or of another version, than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct Stamp(u64);

impl Stamp {
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a Meta>) -> Self {
        let mut hasher = DefaultHasher::new();
        for metadata in objects {
            (&metadata.uid, &metadata.resource_version).hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

impl KeptViews {
    pub fn keep(&self, views: &[(&Pod, PdView)]) {
        let all = views.iter().map(|(pod, view)| (pod.key(), (pod.metadata.resource_version.clone(), view.clone())));
        self.last().views = Some((all.collect(), Clock::default().moment()));
    }

    /// Takes note of the objects of a look; whether any has moved since the one before it.
    pub fn moved(&self, now: Stamp) -> bool {
        self.last().objects.replace(now) != Some(now)
    }

    /// Only where they are of these very pods as they are now, and all of them answered.
    pub fn kept(&self, pods: &[&Pod], longest: Duration) -> Option<Vec<(ObjectKey, PdView)>> {
        let last = self.last();
        let (views, _) = last.young(longest).filter(|(views, _)| views.len() == pods.len())?;
        let of = |pod: &&Pod| {
            let (version, view) = views.get(&pod.key())?;
            (*version == pod.metadata.resource_version && view.answer.is_ok()).then(|| (pod.key(), view.clone()))
        };
        pods.iter().map(of).collect()
    }

    /// Of these pods whatever they said last, also where they have changed since.
    pub fn said(&self, pods: &[&Pod], longest: Duration) -> Option<Vec<(ObjectKey, PdView)>> {
        let last = self.last();
        let (views, _) = last.young(longest)?;
        pods.iter().map(|pod| Some((pod.key(), views.get(&pod.key())?.1.clone()))).collect()
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Last {
    fn young(&self, longest: Duration) -> Option<&(Views, Moment)> {
        self.views.as_ref().filter(|(_, at)| Clock::default().since(*at) < longest)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fleet::pd::PdAnswer;

    const LONG: Duration = Duration::from_secs(60);

    fn pod(name: &str, version: &str) -> Pod {
        let pod = json!({"metadata": {"name": name, "namespace": "db", "resourceVersion": version}});
        serde_json::from_value(pod).expect("a pod")
    }

    fn view(answers: bool) -> PdView {
        let answer = if answers { Ok(PdAnswer::default()) } else { Err("it does not answer".into()) };
        PdView { at: jiff::Timestamp::UNIX_EPOCH, answer }
    }

    #[test]
    fn answers_of_pd_are_kept_only_while_no_pod_has_changed_and_all_answered() {
        let (first, second) = (pod("pd-0", "1"), pod("pd-1", "1"));
        let kept = KeptViews::default();
        assert!(kept.kept(&[&first], LONG).is_none());
        kept.keep(&[(&first, view(true)), (&second, view(true))]);
        assert_eq!(kept.kept(&[&first, &second], LONG).map(|views| views.len()), Some(2));
        assert!(kept.kept(&[&first, &second], Duration::ZERO).is_none(), "too old");
        assert!(kept.kept(&[&first], LONG).is_none(), "one is gone");
        assert!(kept.kept(&[&first, &pod("pd-2", "1")], LONG).is_none(), "one is another");
        assert!(kept.kept(&[&first, &pod("pd-1", "2")], LONG).is_none(), "one has changed");
        kept.keep(&[(&first, view(true)), (&second, view(false))]);
        assert!(kept.kept(&[&first, &second], LONG).is_none(), "one did not answer");
    }

    #[test]
    fn what_was_said_last_is_told_while_objects_move() {
        let (first, second) = (pod("pd-0", "1"), pod("pd-1", "1"));
        let kept = KeptViews::default();
        let stamp = |pods: &[&Pod]| Stamp::of(pods.iter().map(|pod| &pod.metadata));
        assert!(kept.moved(stamp(&[&first])), "nothing was seen before");
        assert!(!kept.moved(stamp(&[&first])));
        kept.keep(&[(&first, view(true)), (&second, view(false))]);
        let changed = pod("pd-0", "2");
        assert!(kept.moved(stamp(&[&changed])));
        assert_eq!(kept.said(&[&changed], LONG).map(|views| views.len()), Some(1));
        assert!(kept.said(&[&changed], Duration::ZERO).is_none(), "too old");
        assert!(kept.said(&[&changed, &pod("pd-2", "1")], LONG).is_none(), "one was never asked");
    }
}
