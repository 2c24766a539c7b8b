//! Asking PD over and over, pod by pod: a bounded number at once, the longest unasked first, as soon as a pod is known.
//!
//! A cluster that lists thousands of PD pods which do not answer keeps no other cluster from being asked, and in its own
//! each still has its turn. Not here: whose turn it is ([`super::pd_poll_schedule`]), what is asked ([`crate::client::pd`]).

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::broadcast::error::RecvError;

use crate::client::kube::watch::pd_poll_schedule::{News, Question, Rounds, Turn};
use crate::client::kube::watch::{Closed, Context, Shared, state};
use crate::client::pd;
use crate::client::pd::unchanged_check::{self, Light};
use crate::client::wire::deadline::Within;
use crate::client::wire::link::Link;
use crate::fleet::pd::PdView;
use crate::fleet::workload::Pod;
use crate::fleet::{Keyed as _, What, in_namespace};

/// PD pods of one cluster that are asked at the same time; the others wait for their turn.
const ASKED_AT_ONCE: usize = 48;

/// How long a pod waits for the TidbCluster that it belongs to: with TLS, only that one says by which certificate PD is
/// asked. A pod that has none is asked without.
const OWNERLESS: Duration = Duration::from_millis(300);
/// Longest time without a look at what is due.
const LONGEST: Duration = Duration::from_secs(5);

/// What came of one turn.
enum Outcome {
    Whole { view: PdView, speaks: bool },
    Light(Light),
}

/// Asks the running PD pods in their turn, each at its own pace: a slow one delays no other.
pub(super) async fn poll_pd(mut context: Context, shared: &Shared) -> Result<(), Closed> {
    let link = Arc::clone(&context.link);
    let mut rounds = Rounds::new(link.limits().pd_every);
    let mut asking = FuturesUnordered::new();
    let mut elsewhere = context.moved.subscribe();
    let begun = tokio::time::Instant::now();
    let news = Arc::clone(&state(shared).news);
    loop {
        let instant = tokio::time::Instant::now();
        let patient = instant < begun + OWNERLESS;
        let room = ASKED_AT_ONCE.saturating_sub(asking.len());
        let turns = {
            let mut state = state(shared);
            for group in std::mem::take(&mut state.stirred) {
                rounds.stir(&group, instant);
            }
            if room > 0 { rounds.turns(&state, instant, room, patient) } else { Vec::new() }
        };
        asking.extend(turns.into_iter().map(|turn| answer(&link, shared, turn)));
        let mut until = rounds.next(instant).unwrap_or(instant + LONGEST).min(instant + LONGEST);
        if patient {
            until = until.min(begun + OWNERLESS);
        }
        tokio::select! {
            Some((pod, outcome)) = asking.next() => {
                let told = take(&mut rounds, shared, &pod, outcome);
                if let Some(id) = told.moved {
                    // Nobody there is fine: then no other KubeCluster is watched.
                    let _ = context.moved.send((link.context().to_owned(), id));
                }
                if let Some(view) = told.view {
                    context.say(What::Pd { pod: pod.key(), view: Box::new(view) }).await?;
                }
            }
            () = tokio::time::sleep_until(until) => {}
            () = news.notified() => {}
            told = elsewhere.recv() => match told {
                Ok((context, id)) if context != link.context() => rounds.stir_cluster(id, tokio::time::Instant::now()),
                // More than fit: whatever it was, it is seen in the next whole look.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(Closed),
            },
            woken = context.wake.changed() => match woken {
                Ok(()) => rounds.all_anew(tokio::time::Instant::now()),
                Err(_) => return Err(Closed),
            }
        }
    }
}

async fn answer(link: &Link, shared: &Shared, turn: Turn) -> (Pod, Outcome) {
    let Turn { pod, owner, question } = turn;
    let owner = owner.as_ref();
    match question {
        Question::Light { before, depth } => {
            let light = unchanged_check::look(link, &pod, owner, &before, depth).await;
            (pod, Outcome::Light(light))
        }
        Question::Whole => {
            let deadline = Within::from(link.limits().pd);
            let mut view = pd::ask(link, &pod, owner).await;
            let speaks = {
                let state = state(shared);
                let near = || in_namespace(&state.pods, &pod.metadata.namespace).map(|(_, pod)| pod);
                // Of one pod only: etcd's leader, or where it runs elsewhere the first.
                pd::leads(&pod, &view, near()) == Some(true) && (pd::is_leader(&view) || pd::is_first(&pod, near()))
            };
            if speaks {
                pd::add_health(link, &pod, owner, &mut view, deadline).await;
            }
            (pod, Outcome::Whole { view, speaks })
        }
    }
}

fn take(rounds: &mut Rounds, shared: &Shared, pod: &Pod, outcome: Outcome) -> News {
    let now = tokio::time::Instant::now();
    let mut state = state(shared);
    let answered = match &outcome {
        Outcome::Whole { view, .. } => view.answer.is_ok(),
        Outcome::Light(light) => *light != Light::Moved,
    };
    // What comes through a tunnel came through the API server.
    if answered {
        state.heard = now;
    } else {
        state.doubted(now);
    }
    match outcome {
        Outcome::Whole { view, speaks } => {
            let mut news = rounds.answered(&state, pod, view, speaks, now);
            // Only of the pod that is still there: Fleet drops views of pods that are gone.
            let there = state.pods.get(&pod.key()).is_some_and(|there| there.metadata.uid == pod.metadata.uid);
            news.view = news.view.filter(|_| there);
            news
        }
        Outcome::Light(light) => rounds.compared(pod, light, now),
    }
}
