//! Where the Database of a plan is locked: in which places, under which names, and which other names it may have there.
//!
//! Looks, and takes nothing. Not here: taking the leases ([`super::acquire_lease`], `client::share::lease`).

use std::collections::BTreeSet;

use super::Driver;
use crate::client;
use crate::client::share::lease::Place;
use crate::client::share::run_record_configmaps::Head;
use crate::fleet::database::{Database, database_of};
use crate::fleet::{Fleet, ObjectRef};
use crate::runbook::plan::Plan;
use crate::runbook::run::journal_lines::line_hash;
use crate::runbook::run::record::{Event, Record};

impl Driver {
    /// Where the plan's Database is locked, and under which names.
    #[expect(clippy::too_many_lines, reason = "every name under which a lease may lie is decided from the same facts")]
    pub(super) async fn ground(&self, plan: &Plan, records: &[Record]) -> Result<Ground, String> {
        let contexts: BTreeSet<String> = plan.contexts.iter().cloned().collect();
        // With them the read-only ones: what is protected under one name is protected under every other.
        let protected = self.links.iter().filter(|link| link.read_only()).map(|link| link.context().to_owned());
        let looked = contexts.iter().cloned().chain(protected).collect();
        let fleet = client::assemble(self.links.look(Some(&looked)).await);
        if let Some(sentence) = self.read_only_elsewhere(&fleet, &plan.contexts) {
            return Err(sentence);
        }
        for (context, uid) in &plan.kube_clusters {
            let found = fleet.clusters.get(context).and_then(|cluster| cluster.uid.as_ref());
            if let Some(found) = found.filter(|found| *found != uid) {
                return Err(format!(
                    "context {context} is another Kubernetes cluster now: expected kube-system uid {uid}, found {found}"
                ));
            }
        }
        let leased = records.iter().rev().find_map(|record| match &record.event {
            Event::Leased { database, fences, .. } => Some((database, fences)),
            _ => None,
        });
        // A TidbCluster that is to join is of the Database that it joins before it is there: its lock is that one's.
        let joins = plan.database.is_none().then(|| joined(plan, &fleet)).flatten();
        let database = joins.as_ref().map_or_else(|| database_of(&fleet, &plan.target), |of| database_of(&fleet, of));
        let id = database.as_ref().and_then(|database| database.id.clone());
        let leased_id = leased.map(|(id, _)| id.clone());
        let known_id = id.clone();
        // A Database that is not there yet has no id: the place where it is to be keeps two runs apart, and the run
        // keeps the name under which it began.
        let unborn = || {
            let there = fleet.tidb_cluster(&plan.target).is_some_and(|tc| tc.spec.pd.is_some());
            (plan.database.is_none() && !there).then(|| unborn_id(&plan.target))
        };
        let id = match plan.database {
            Some(_) => id.or(leased_id),
            None => leased_id.or(id),
        };
        let id = id.or_else(unborn).ok_or_else(|| {
            let silent = fleet.clusters.get(&plan.target.context).filter(|cluster| !cluster.freshness.is_live());
            if let Some(cluster) = silent {
                let told = cluster.message.as_deref().unwrap_or("no answer");
                return format!("{} does not answer: {told}; nothing was sent", plan.target.context);
            }
            format!(
                "PD's cluster id of {} is not known, so its lease has no name yet; wait until PD answers (or use --local-only)",
                plan.target
            )
        })?;
        let mut members = members(&fleet, joins.as_ref().unwrap_or(&plan.target));
        let made: Vec<ObjectRef> = plan.makes_tidb_clusters().collect();
        for of in [&plan.target].into_iter().chain(&made) {
            if !members.contains(of) {
                members.push(of.clone());
            }
        }
        let mut all: Vec<(String, String)> =
            members.iter().map(|of| (of.context.clone(), of.namespace.clone())).collect();
        // A member that is out of sight now is still a member.
        all.extend(
            leased.iter().flat_map(|(_, fences)| fences.iter()).map(|f| (f.context.clone(), f.namespace.clone())),
        );
        let places = places(&fleet, plan, all);
        // Whoever began before PD had an id goes on under the name of that time; whoever begins later takes PD's id.
        let mut beside = Vec::new();
        for place in &places {
            let here = members.iter().filter(|of| of.namespace == place.namespace && same_place(&fleet, of, place));
            let mut names: BTreeSet<String> = here.map(unborn_id).collect();
            names.extend(known_id.clone());
            names.remove(&id);
            beside.extend(names.into_iter().map(|name| (place.clone(), name)));
        }
        // Whoever makes another TidbCluster of that name there, of whatever Database, is kept out too.
        let also = made.iter().filter_map(|of| {
            let place = places.iter().find(|place| of.namespace == place.namespace && same_place(&fleet, of, place))?;
            Some((place.clone(), unborn_id(of)))
        });
        let also: Vec<_> = also.filter(|(_, name)| *name != id).collect();
        beside.retain(|lease| !also.contains(lease));
        let own = members.iter().map(|of| (of.namespace.clone(), of.name.clone())).collect();
        Ok(Ground { database: id, places, also, beside, own })
    }
}

/// Where a Database is locked, and what is known of who else may be there.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    /// PD's cluster id, or the name that stands for it until PD has one.
    pub database: String,
    /// In the order of taking.
    pub places: Vec<Place>,
    /// Leases under other names that are taken with them: of a TidbCluster that the run makes, where it will be.
    pub also: Vec<(Place, String)>,
    /// Other names of the same Database, where leases under them would lie.
    pub beside: Vec<(Place, String)>,
    /// Namespaces and names of its TidbClusters.
    own: BTreeSet<(String, String)>,
}

impl Ground {
    /// Whether an open run found in one of the places is about this Database: by its id, by the name it had before, or by
    /// the TidbCluster itself, whatever its Database was called then.
    pub(super) fn owns(&self, head: &Head) -> bool {
        let named = |name: &String| *name == head.database;
        named(&self.database)
            || self.beside.iter().any(|(_, name)| named(name))
            || self.own.contains(&(head.namespace.clone(), head.name().to_owned()))
    }
}

/// Whether a TidbCluster lies in the KubeCluster of a place, under whatever context.
fn same_place(fleet: &Fleet, of: &ObjectRef, place: &Place) -> bool {
    let uid = |context: &str| fleet.clusters.get(context).and_then(|cluster| cluster.uid.clone());
    of.context == place.context || uid(&of.context).is_some_and(|uid| uid == place.kube_uid)
}

/// The TidbCluster of another one's Database that a plan names: there it joins what is planned here.
fn joined(plan: &Plan, fleet: &Fleet) -> Option<ObjectRef> {
    let named = plan.inputs.values().filter_map(|value| serde_json::from_value::<ObjectRef>(value.clone()).ok());
    named.filter(|of| *of != plan.target).find(|of| fleet.tidb_cluster(of).is_some())
}

/// Fits a label: 63 characters with room for a prefix.
fn unborn_id(of: &ObjectRef) -> String {
    let id = format!("new-{}-{}", of.namespace, of.name);
    match id.len() {
        0..=50 => id,
        _ => format!("{}-{}", &id[..40], &line_hash(&id)[..9]),
    }
}

/// The TidbClusters of the target's Database. Who only says that it belongs there is no place for a lease: everybody may say
/// so, and keep the lease there for ever.
fn members(fleet: &Fleet, target: &ObjectRef) -> Vec<ObjectRef> {
    let ours = |database: Database| {
        let word = database.unconfirmed;
        database.tidb_clusters.into_iter().filter(|of| of == target || !word.contains(of)).collect()
    };
    database_of(fleet, target).map_or_else(|| vec![target.clone()], ours)
}

fn places(fleet: &Fleet, plan: &Plan, all: Vec<(String, String)>) -> Vec<Place> {
    let uid = |context: &String| {
        let seen = fleet.clusters.get(context).and_then(|cluster| cluster.uid.clone());
        // Where the uid may not be read, the name has to do; it sorts behind every uid.
        seen.or_else(|| plan.kube_clusters.get(context).cloned()).unwrap_or_else(|| format!("~{context}"))
    };
    let all = all.into_iter().map(|(context, namespace)| Place { kube_uid: uid(&context), namespace, context });
    let mut places: Vec<Place> = all.collect();
    places.sort();
    // Two contexts may lead to one cluster.
    places.dedup_by(|a, b| (&a.kube_uid, &a.namespace) == (&b.kube_uid, &b.namespace));
    places
}
