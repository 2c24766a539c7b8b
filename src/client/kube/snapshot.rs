//! One fresh, bounded look at every context in parallel: what `status` and each decision of a run stand on.
//!
//! Gives [`Change`]s, so that a look and a watch feed the same [`Fleet::apply`]. A context that does not answer
//! costs its own deadline and yields its own sentence; a right that is missing becomes a sentence, never an exit.
//! Not here: keeping up afterwards ([`crate::client::kube::watch`]), what is believed from one look to the next, and for how long
//! ([`crate::client::kube::snapshot_cache`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;

use crate::client::kube::access_gaps::{Facts, Gaps};
use crate::client::kube::pending_clusters_notice::Awaited;
use crate::client::kube::resources::{self, Kind};
use crate::client::kube::snapshot_cache::{FACTS_KEPT, SAID_KEPT, Stamp, VIEWS_KEPT};
use crate::client::wire::deadline::Within;
use crate::client::wire::link::{Link, Links};
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::wire::user_agent;
use crate::client::{now, pd};
use crate::fleet::dns::Dns;
use crate::fleet::pd::PdView;
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::{Pod, StatefulSet};
use crate::fleet::{Change, Crd, Fleet, Freshness, Keyed as _, OperatorPods, What};

/// How much of a cluster a look asks anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All of it.
    Whole,
    /// What moves while a run works: its objects, and PD. What the cluster itself is was asked at most [`FACTS_KEPT`] ago.
    Moving,
    /// Whether a run still waits: PD's answers too are those of before, for [`VIEWS_KEPT`] and while no PD pod has changed, or
    /// for [`SAID_KEPT`] while objects move.
    Glance,
}

impl Links {
    /// Looks at the named contexts (`None`: all of them). Bounded by `limits.look` and then `limits.pd`.
    pub async fn look(&self, contexts: Option<&BTreeSet<String>>) -> Vec<Change> {
        self.look_at_depth(contexts, Depth::Whole).await
    }

    pub(in crate::client) async fn look_at_depth(
        &self,
        contexts: Option<&BTreeSet<String>>,
        depth: Depth,
    ) -> Vec<Change> {
        let wanted = || self.iter().filter(|link| contexts.is_none_or(|contexts| contexts.contains(link.context())));
        let awaited = Awaited::of(wanted().map(|link| link.context()));
        let tasks: Vec<_> = wanted()
            .map(|link| {
                let (link, shared) = (Arc::clone(link), Arc::clone(link));
                // A task of its own: a panic over one context's strange data stays with that context.
                (shared, tokio::spawn(user_agent::inherited(async move { look_at(&link, depth).await })))
            })
            .collect();
        let awaited = &awaited;
        let looks = tasks.into_iter().map(|(link, task)| async move {
            let ended = Owned(task).join().await;
            awaited.answered(link.context());
            match ended {
                Ok(changes) => changes,
                Err(_) => vec![
                    configured(&link),
                    connection(&link, Freshness::Unreachable, Some("an internal fault ended the look at it".into())),
                ],
            }
        });
        let options = self.iter().next().map(|link| link.options());
        let longest = options.map(|options| options.limits.look + options.limits.pd).unwrap_or_default();
        // A run looks again and again, and tells itself what it waits for.
        let tell = options.and_then(|options| options.awaited).filter(|_| depth == Depth::Whole);
        awaited.during(tell, longest, join_all(looks)).await.into_iter().flatten().collect()
    }
}

/// A look that nobody waits for any more stops.
struct Owned<T>(tokio::task::JoinHandle<T>);

impl<T> Owned<T> {
    async fn join(mut self) -> Result<T, tokio::task::JoinError> {
        (&mut self.0).await
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Folds changes into a fleet.
pub fn assemble(changes: impl IntoIterator<Item = Change>) -> Fleet {
    let mut fleet = Fleet::default();
    for change in changes {
        fleet.apply(change);
    }
    fleet
}

pub(in crate::client) fn change(link: &Link, what: What) -> Change {
    Change { context: link.context().to_owned(), at: now(), what }
}

pub(in crate::client) fn configured(link: &Link) -> Change {
    change(link, What::Configured { server: link.configured_server().to_owned(), read_only: link.read_only() })
}

fn connection(link: &Link, freshness: Freshness, message: Option<String>) -> Change {
    change(link, What::Connection { freshness, message })
}

async fn look_at(link: &Link, depth: Depth) -> Vec<Change> {
    let limit = link.limits().look;
    let mut changes = vec![configured(link), change(link, What::Trust(link.configured_trust()))];
    let seen = match tokio::time::timeout(limit, objects(link, depth)).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(trouble)) => {
            changes.push(connection(link, trouble.freshness(), Some(trouble.sentence)));
            return changes;
        }
        Err(_) => {
            let trouble = link.too_late(limit, true);
            changes.push(connection(link, trouble.freshness(), Some(trouble.sentence)));
            return changes;
        }
    };
    changes.extend(seen.facts.changes.iter().cloned().map(|what| change(link, what)));
    let (freshness, message) = seen.facts.gaps.verdict();
    changes.push(connection(link, freshness, message));
    let pods: Vec<&Pod> = seen.pods.iter().filter(|pod| pd::is_running_pd(pod)).collect();
    let moved = link.views.moved(seen.stamp);
    let kept = match depth {
        // While objects move, it is they that are waited for.
        Depth::Glance if moved => link.views.said(&pods, SAID_KEPT),
        Depth::Glance => link.views.kept(&pods, VIEWS_KEPT),
        Depth::Whole | Depth::Moving => None,
    };
    let views = match kept {
        Some(views) => views,
        None => {
            let asked = ask_pods(link, &seen, &pods).await;
            link.views.keep(&asked);
            asked.into_iter().map(|(pod, view)| (pod.key(), view)).collect()
        }
    };
    let told = views.into_iter().map(|(pod, view)| What::Pd { pod, view: Box::new(view) });
    changes.extend(told.map(|what| change(link, what)));
    changes
}

/// Every running PD pod's own answers, with what all of a TidbCluster share from one of them.
async fn ask_pods<'a>(link: &Link, seen: &'a Seen, pods: &[&'a Pod]) -> Vec<(&'a Pod, PdView)> {
    let deadline = Within::from(link.limits().pd);
    let turn = pd::HealthTurn::default();
    let asked = pods.iter().map(|pod| async {
        let owner = pd::owner(pod, &seen.tidb_clusters);
        let mut view = pd::ask_member(link, pod, owner).await;
        if turn.take(pod, &view, pods) {
            pd::add_health(link, pod, owner, &mut view, deadline).await;
        }
        (*pod, owner, view)
    });
    let mut views = join_all(asked).await;
    ask_others(link, &mut views, deadline).await;
    views.into_iter().map(|(pod, _, view)| (pod, view)).collect()
}

/// Where the pod that was to tell what all of a TidbCluster share did not, the next one does.
async fn ask_others(link: &Link, views: &mut [(&Pod, Option<&TidbCluster>, PdView)], deadline: Within) {
    let of = |pod: &Pod| (pod.metadata.namespace.clone(), pod.instance().map(str::to_owned));
    let told = |view: &PdView| view.answer.as_ref().is_ok_and(|answer| answer.pd_leads.is_some());
    let mut known: BTreeSet<_> = views.iter().filter(|(.., view)| told(view)).map(|(pod, ..)| of(pod)).collect();
    for (pod, owner, view) in views {
        if known.contains(&of(pod)) || deadline.left().is_zero() {
            continue;
        }
        pd::add_told(link, pod, *owner, view, deadline).await;
        if told(view) {
            known.insert(of(pod));
        }
    }
}

struct Seen {
    facts: Facts,
    tidb_clusters: Vec<TidbCluster>,
    pods: Vec<Pod>,
    /// Of all objects.
    stamp: Stamp,
}

async fn objects(link: &Link, depth: Depth) -> Result<Seen, RequestError> {
    let kept = match depth {
        Depth::Whole => None,
        Depth::Moving | Depth::Glance => link.facts.kept(FACTS_KEPT),
    };
    let version = match &kept {
        Some(_) => None,
        // Alone and first: a cluster that does not answer this is asked nothing else.
        None => Some(resources::version(link).await?),
    };
    let (facts, definition, tidb_clusters, pods, stateful_sets) = futures::join!(
        known(link, kept, version),
        definition(link),
        resources::list::<TidbCluster>(link),
        resources::list::<Pod>(link),
        resources::list::<StatefulSet>(link),
    );
    let mut facts = facts?;
    facts.finish(link, definition, tidb_clusters.as_ref().err()).await?;
    let no_crd = matches!(facts.crd, Crd::Missing | Crd::OperatorV2Only);
    let tidb_clusters = facts.take(tidb_clusters, no_crd)?;
    let pods = facts.take(pods, false)?;
    let stateful_sets = facts.take(stateful_sets, false)?;
    let all = tidb_clusters.iter().map(|tc| &tc.metadata);
    let all = all.chain(pods.iter().map(|pod| &pod.metadata)).chain(stateful_sets.iter().map(|set| &set.metadata));
    let stamp = Stamp::of(all);
    Ok(Seen { facts, tidb_clusters, pods, stamp })
}

/// What is known of the cluster itself: from before, or by asking.
async fn known(link: &Link, kept: Option<Facts>, version: Option<String>) -> Result<Facts, RequestError> {
    match (kept, version) {
        (Some(kept), _) => Ok(kept),
        (None, version) => {
            let read = facts(link, version.unwrap_or_default()).await?;
            link.facts.keep(read.clone());
            Ok(read)
        }
    }
}

/// Identity, operator and domain; the CRD follows with [`Facts::finish`].
pub(in crate::client) async fn facts(link: &Link, version: String) -> Result<Facts, RequestError> {
    let found = futures::join!(resources::identity(link), resources::operator_version(link), resources::dns(link));
    told(version, found)
}

/// The same, one after another on the connection that is there already: three more would take as long to open, and each costs a
/// TLS handshake on both sides, when there is most to do.
pub(in crate::client) async fn facts_in_turn(link: &Link, version: String) -> Result<Facts, RequestError> {
    let found = (resources::identity(link).await, resources::operator_version(link).await, resources::dns(link).await);
    told(version, found)
}

type Found = (
    Result<String, RequestError>,
    Result<(Option<String>, Option<OperatorPods>), RequestError>,
    Result<Option<Dns>, RequestError>,
);

fn told(version: String, (uid, operator, domain): Found) -> Result<Facts, RequestError> {
    let mut facts = Facts { changes: Vec::new(), gaps: Gaps::default(), crd: Crd::Unknown };
    let uid = facts.unless_lost(uid, "namespaces/kube-system (which cluster this is)")?;
    facts.changes.push(What::Identity { uid, version: Some(version) });
    let (version, pods) = unless_lost(operator)?.unwrap_or_default();
    facts.changes.push(What::Operator { version });
    facts.changes.extend(pods.map(What::OperatorPods));
    // Not CoreDNS, or not for us to see: the domain stays unknown, which every check that needs it says.
    facts.changes.extend(unless_lost(domain)?.flatten().map(What::Dns));
    Ok(facts)
}

/// `None` where the server answered something else; an error only where it did not answer, or does not know us.
fn unless_lost<T>(result: Result<T, RequestError>) -> Result<Option<T>, RequestError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(trouble) => match trouble.kind {
            RequestErrorKind::Unreachable | RequestErrorKind::AuthNeeded => Err(trouble),
            RequestErrorKind::Forbidden
            | RequestErrorKind::Missing
            | RequestErrorKind::Expired
            | RequestErrorKind::Answered
            | RequestErrorKind::Refused => Ok(None),
        },
    }
}

/// The CRD's state as it was read not long ago, or by asking.
pub(in crate::client) async fn definition(link: &Link) -> Result<Crd, RequestError> {
    match resources::known_crd(link) {
        Some(known) => Ok(known),
        None => resources::crd(link).await,
    }
}

impl Facts {
    fn unless_lost<T>(
        &mut self,
        result: Result<T, RequestError>,
        what: &'static str,
    ) -> Result<Option<T>, RequestError> {
        let found = unless_lost(result)?;
        if found.is_none() {
            self.gaps.lacking(what);
        }
        Ok(found)
    }

    /// Takes the CRD's state in. `unlisted`: why TidbClusters could not be listed.
    pub async fn finish(
        &mut self,
        link: &Link,
        definition: Result<Crd, RequestError>,
        unlisted: Option<&RequestError>,
    ) -> Result<(), RequestError> {
        let gone = unlisted.is_some_and(|trouble| trouble.kind == RequestErrorKind::Missing);
        // What was known from before does not hold where the kind is not served any more.
        let stale = gone && matches!(definition, Ok(Crd::Served { .. }));
        let definition = if stale { resources::crd(link).await } else { definition };
        self.crd = match definition {
            Ok(crd) => crd,
            Err(trouble) if trouble.kind == RequestErrorKind::AuthNeeded => return Err(trouble),
            // Not for us to read, or too slow to wait for: that the kind is served shows all the same.
            Err(_) if unlisted.is_none() => Crd::Served { across_k8s: None },
            Err(_) if gone => Crd::Missing,
            Err(_) => Crd::Unknown,
        };
        match self.crd {
            Crd::Missing => self.gaps.note("no TidbCluster CRD: TiDB Operator v1 is not installed here"),
            Crd::OperatorV2Only => {
                self.gaps.note("only TiDB Operator v2 CRDs (core.pingcap.com), which do not span Kubernetes clusters");
            }
            Crd::Served { .. } | Crd::Unknown => {}
        }
        self.changes.push(What::Crd(self.crd.clone()));
        Ok(())
    }

    /// A complete list becomes a change; one that is forbidden a gap; anything else ends the look.
    fn take<K: Kind>(
        &mut self,
        listed: Result<(Vec<K>, String), RequestError>,
        may_be_missing: bool,
    ) -> Result<Vec<K>, RequestError> {
        match listed {
            Ok((all, _)) => {
                self.changes.push(K::all(all.clone()));
                Ok(all)
            }
            Err(trouble) if trouble.kind == RequestErrorKind::Forbidden => {
                self.gaps.forbidden(K::PLURAL);
                Ok(Vec::new())
            }
            Err(trouble) if trouble.kind == RequestErrorKind::Missing && may_be_missing => {
                self.changes.push(K::all(Vec::new()));
                Ok(Vec::new())
            }
            Err(trouble) => Err(trouble),
        }
    }
}
