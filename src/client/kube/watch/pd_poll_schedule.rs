//! Which PD pod is asked next, and how much: everything while something moves, and only whether it moved while all is well.
//!
//! At rest a Database costs about one request a second: of each TidbCluster one pod is asked for the membership, the one that is
//! etcd's leader for the health of all members too, and now and then for the stores. Everything is asked of every pod once a
//! minute (where they are more than the streams to one API server, more seldom), and at once as soon as anything is not as it was. Pure: moments come as arguments. Not here: asking ([`super::pd_poll`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::client::kube::watch::State;
use crate::client::pd;
use crate::client::pd::unchanged_check::{Depth, Light};
use crate::client::wire::link::streams::{STREAMS, TUNNELS_KEPT};
use crate::fleet::pd::{PdAnswer, PdView};
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::Pod;
use crate::fleet::{Keyed as _, ObjectKey, in_namespace};

/// Whole looks at rest, in rounds: slow facts are a minute old, more only in a crowd.
const WHOLE: u32 = 20;
/// Looks at the stores at rest, in rounds.
const STORES: u32 = 10;
/// Of a TidbCluster that etcd's leader is not in, in rounds.
const FOLLOWING: u32 = 5;
/// For so many rounds after something moved everything is asked.
const STIRRED: u32 = 4;

/// Pods of one TidbCluster: namespace and instance.
pub(super) type Group = (String, Option<String>);

pub(super) fn group_of(pod: &Pod) -> Group {
    (pod.metadata.namespace.clone(), pod.instance().map(str::to_owned))
}

/// What a pod is asked in its turn.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Question {
    Whole,
    Light { before: Box<PdAnswer>, depth: Depth },
}

/// A pod, the TidbCluster that it belongs to, and what it is asked.
pub(super) struct Turn {
    pub pod: Pod,
    pub owner: Option<TidbCluster>,
    pub question: Question,
}

/// What is known of one pod.
struct Place {
    uid: String,
    group: Group,
    busy: bool,
    /// It was never asked.
    new: bool,
    /// When it was last asked everything, and when it is to be asked again.
    asked: Instant,
    whole: Instant,
    /// When it is only asked whether it moved; of those alone that speak for others.
    light: Option<Instant>,
    stores: Instant,
    /// Its last answer, where all was well.
    calm: Option<PdView>,
    leads: bool,
    /// It is the one to ask for its TidbCluster's sake.
    speaks: bool,
}

impl Place {
    fn new(pod: &Pod, now: Instant) -> Self {
        Self {
            uid: pod.metadata.uid.clone(),
            group: group_of(pod),
            busy: false,
            new: true,
            asked: now,
            whole: now,
            light: None,
            stores: now,
            calm: None,
            leads: false,
            speaks: false,
        }
    }

    /// When it is to be asked again, if it was asked before.
    fn due(&self) -> Instant {
        self.light.map_or(self.whole, |light| light.min(self.whole))
    }
}

/// Everything that is known of the pods of one KubeCluster.
pub(super) struct Rounds {
    every: Duration,
    places: BTreeMap<ObjectKey, Place>,
    /// As of which the places are those of the pods.
    pods_version: Option<u64>,
    stirred: BTreeMap<Group, Instant>,
}

/// What an answer leads to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct News {
    /// To be told.
    pub view: Option<PdView>,
    /// A PD cluster in which something moved: other KubeClusters may have members of it.
    pub moved: Option<u64>,
}

impl Rounds {
    pub fn new(every: Duration) -> Self {
        Self { every, places: BTreeMap::new(), pods_version: None, stirred: BTreeMap::new() }
    }

    /// Everybody is asked everything now.
    pub fn all_anew(&mut self, now: Instant) {
        for place in self.places.values_mut() {
            place.whole = now;
        }
    }

    /// Something of these moved: everything is asked for a while, at the usual pace.
    pub fn stir(&mut self, group: &Group, now: Instant) {
        self.stirred.insert(group.clone(), now + self.every * STIRRED);
        for place in of_group(&mut self.places, group) {
            place.light = None;
            place.whole = place.whole.min((place.asked + self.every).max(now));
        }
    }

    /// The same for whoever belongs to this PD cluster.
    pub fn stir_cluster(&mut self, id: u64, now: Instant) {
        let of = |place: &Place| place.calm.as_ref().and_then(|view| view.answer.as_ref().ok()?.cluster_id) == Some(id);
        let groups: BTreeSet<Group> =
            self.places.values().filter(|place| of(place)).map(|place| place.group.clone()).collect();
        groups.iter().for_each(|group| self.stir(group, now));
    }

    /// The pods whose turn it is, those that wait for longest first. `patient`: one without an owner waits.
    pub fn turns(&mut self, state: &State, now: Instant, room: usize, patient: bool) -> Vec<Turn> {
        if self.pods_version.replace(state.pods_version) != Some(state.pods_version) {
            self.meet(state, now);
        }
        let due = self.places.iter().filter(|(_, place)| !place.busy && (place.new || place.due() <= now));
        let mut ready: Vec<(Option<Instant>, &Pod)> =
            due.filter_map(|(key, place)| Some(((!place.new).then(|| place.due()), state.pods.get(key)?))).collect();
        ready.sort_by_key(|(due, _)| *due);
        let mut turns = Vec::new();
        for (_, pod) in ready {
            if turns.len() == room {
                break;
            }
            let namespace = &pod.metadata.namespace;
            let owner = pd::owner(pod, in_namespace(&state.tidb_clusters, namespace).map(|(_, tc)| tc));
            if patient && owner.is_none() {
                continue;
            }
            let question = self.question(pod, now);
            turns.push(Turn { pod: pod.clone(), owner: owner.cloned(), question });
        }
        turns
    }

    /// Makes the places those of the pods.
    fn meet(&mut self, state: &State, now: Instant) {
        self.places.retain(|key, place| state.pods.get(key).is_some_and(|pod| pod.metadata.uid == place.uid));
        for (key, pod) in &state.pods {
            if !self.places.contains_key(key) {
                self.places.insert(key.clone(), Place::new(pod, now));
            }
        }
    }

    fn question(&mut self, pod: &Pod, now: Instant) -> Question {
        let place = self.places.entry(pod.key()).or_insert_with(|| Place::new(pod, now));
        place.new = false;
        place.busy = true;
        let before = place.calm.as_ref().and_then(|view| view.answer.as_ref().ok());
        match before.filter(|_| place.whole > now) {
            Some(before) => {
                let pd = place.leads && before.version.is_some();
                let depth = Depth { health: pd, stores: pd && place.stores <= now };
                Question::Light { before: Box::new(before.clone()), depth }
            }
            None => {
                place.asked = now;
                Question::Whole
            }
        }
    }

    /// When somebody is due next, later than `now`.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let waiting = self.places.values().filter(|place| !place.busy);
        waiting.map(Place::due).filter(|at| *at > now).min()
    }

    /// Takes a whole answer in. `speaks`: it is the pod to ask for its TidbCluster's sake.
    pub fn answered(&mut self, state: &State, pod: &Pod, view: PdView, speaks: bool, now: Instant) -> News {
        let key = pod.key();
        let mut news = News::default();
        let Some(place) = self.places.get_mut(&key).filter(|place| place.uid == pod.metadata.uid) else { return news };
        let group = place.group.clone();
        let before = place.calm.take().and_then(|view| view.answer.ok());
        place.busy = false;
        place.whole = now + self.every;
        place.light = None;
        place.leads = pd::is_leader(&view);
        if let (Some(before), Ok(answer)) = (&before, &view.answer)
            && (&before.members, before.leader) != (&answer.members, answer.leader)
        {
            news.moved = answer.cluster_id;
        }
        if is_calm(&view) {
            place.calm = Some(view.clone());
            place.speaks = speaks;
            place.stores = now + self.every * STORES;
        } else {
            self.stir(&group, now);
        }
        if news.moved.is_some() {
            self.stir(&group, now);
        }
        news.view = Some(view);
        self.rest(state, &group, now);
        news
    }

    /// Takes a light answer in.
    pub fn compared(&mut self, pod: &Pod, light: Light, now: Instant) -> News {
        let mut news = News::default();
        let every = self.every;
        let Some(place) = self.places.get_mut(&pod.key()).filter(|place| place.uid == pod.metadata.uid) else {
            return news;
        };
        place.busy = false;
        place.light = Some(now + every * if place.leads { 1 } else { FOLLOWING });
        if place.stores <= now {
            place.stores = now + every * STORES;
        }
        match light {
            Light::Same => {}
            Light::Stores(stores) => {
                // The time stays that of the whole look: the rest of it is as old as that.
                if let Some(Ok(answer)) = place.calm.as_mut().map(|view| view.answer.as_mut()) {
                    answer.stores = stores;
                }
                news.view = place.calm.clone();
            }
            Light::Moved => {
                news.moved = place.calm.as_ref().and_then(|view| view.answer.as_ref().ok()?.cluster_id);
                let group = place.group.clone();
                self.stir(&group, now);
                // Everybody at once: what one of them says alone would contradict the others.
                for place in of_group(&mut self.places, &group) {
                    place.whole = now;
                }
            }
        }
        news
    }

    /// Lets a TidbCluster rest where every pod of it is well and all of them say the same.
    fn rest(&mut self, state: &State, group: &Group, now: Instant) {
        if self.stirred.get(group).is_some_and(|until| *until > now) {
            return;
        }
        self.stirred.remove(group);
        let mut all: Option<&PdAnswer> = None;
        let here = in_namespace(&state.pods, &group.0);
        for (key, pod) in here.filter(|(_, pod)| pod.instance() == group.1.as_deref()) {
            // One that is being asked is as it last was until it answers.
            let place = self.places.get(key).filter(|place| place.uid == pod.metadata.uid);
            let Some(Ok(answer)) = place.and_then(|place| place.calm.as_ref()).map(|view| view.answer.as_ref()) else {
                return self.at_the_usual_pace(group);
            };
            if all.is_some_and(|one| {
                (&one.members, one.leader, one.term) != (&answer.members, answer.leader, answer.term)
            }) {
                return self.at_the_usual_pace(group);
            }
            all = Some(answer);
        }
        // Where they are more than there are streams, a round of all takes the tunnels from each other: each asks for a new one.
        let crowd = match self.places.len() {
            0..=STREAMS => 1,
            more => u32::try_from(more.div_ceil(TUNNELS_KEPT)).unwrap_or(u32::MAX),
        };
        for place in of_group(&mut self.places, group).filter(|place| !place.busy) {
            let seldom = if place.speaks { 1 } else { crowd };
            place.whole = place.asked + self.every * WHOLE * seldom;
            place.light = place.speaks.then(|| now + self.every * if place.leads { 1 } else { FOLLOWING });
        }
    }

    fn at_the_usual_pace(&mut self, group: &Group) {
        let every = self.every;
        for place in of_group(&mut self.places, group).filter(|place| !place.busy) {
            place.whole = place.whole.min(place.asked + every);
            place.light = None;
        }
    }
}

/// Those of one TidbCluster, without a walk through all others.
fn of_group<'a>(places: &'a mut BTreeMap<ObjectKey, Place>, group: &'a Group) -> impl Iterator<Item = &'a mut Place> {
    let from = places.range_mut(ObjectKey::new(&group.0, "")..);
    let here = from.take_while(|(key, _)| key.namespace == group.0);
    here.map(|(_, place)| place).filter(|place| place.group == *group)
}

/// Whether nothing of this answer is to be looked at more closely.
fn is_calm(view: &PdView) -> bool {
    let Ok(answer) = &view.answer else { return false };
    let stores = answer.stores.iter().all(|store| store.is_up() || store.is_gone());
    answer.healthy == Some(true)
        && answer.term.is_some()
        && answer.self_id.is_some()
        && answer.gaps.is_empty()
        && answer.pd_leads != Some(false)
        && answer.health.values().all(|healthy| *healthy)
        && answer.members.iter().all(|member| !member.nameless())
        && stores
}
