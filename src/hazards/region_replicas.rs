//! Copies of each region: how many there are, whether they are in order, whether there are stores enough for them, and whether the
//! loss of one KubeCluster leaves enough of them. Hazards 52, 54, 55, 71 and 81.
//!
//! The arithmetic is that of leaving and of suspending ([`crate::fleet::removal_impact`]). Not here: stores that are still there after
//! their TidbCluster ([`crate::hazards::tidbcluster_removal`]), PD's own members ([`crate::hazards::membership`]).

use crate::fleet::hazard_id::HazardId;
use std::collections::{BTreeMap, BTreeSet};

use crate::fleet::database::StoreRow;
use crate::fleet::pd_details::location_labels;
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::region_health_counts::RegionCheck;
use crate::fleet::removal_impact::without;
use crate::fleet::tidbcluster::Component;
use crate::hazards::check_context::{CheckContext, Part};
use crate::hazards::{Finding, OfDatabase, Severity, Subject};
use crate::pluralize::{counted, is};

pub(super) const ALL: &[OfDatabase] = &[too_few_copies, copies_not_spread, regions, too_few_tikv, tiflash_replicas];

/// 71. As PD has it now; spec.pd.config counts only at its first start.
fn too_few_copies(scene: &CheckContext<'_>) -> Vec<Finding> {
    let Some(count) = scene.database.max_replicas.filter(|count| *count < 3) else { return Vec::new() };
    let (severity, what) = match count {
        2 => (Severity::Medium, "two copies of each region: with one of them lost the other has no majority"),
        _ => (Severity::High, "one copy of each region: what is lost with a store is lost for good"),
    };
    let whole = Subject::of_pd(SubjectKind::Database, &scene.database.name);
    vec![
        scene
            .find(HazardId::TooFewCopies, format!("max-replicas is {count}: {what}"))
            .severity(severity)
            .on(whole.clone())
            .saw(&whole, "GET /pd/api/v1/config/replicate, max-replicas", count.to_string(), scene.pd_seen())
            .then(format!(
                "with three stores or more Up: {}; watch the disks while PD makes the copies",
                pd_ctl(scene, "config set max-replicas 3")
            )),
    ]
}

/// Through the first TidbCluster that has PD.
fn pd_ctl(scene: &CheckContext<'_>, what: &str) -> String {
    let with = scene.parts.iter().find(|part| part.tc.spec.pd.as_ref().is_some_and(|pd| pd.replicas > 0));
    with.map_or_else(|| format!("pd-ctl {what}"), |part| part.pd_ctl(what))
}

/// Up TiKV stores of each KubeCluster.
fn by_context<'a>(scene: &CheckContext<'a>) -> BTreeMap<&'a str, Vec<&'a StoreRow>> {
    let mut all: BTreeMap<&str, Vec<&StoreRow>> = BTreeMap::new();
    let up = scene.database.stores.iter().filter(|row| !row.store.tiflash && row.store.is_up());
    for (context, row) in up.filter_map(|row| Some((row.place.context()?, row))) {
        all.entry(context).or_default().push(row);
    }
    all
}

/// Whether this label has no value in common between any two KubeClusters, and no store lacks it.
fn tells_apart(label: &str, places: &BTreeMap<&str, Vec<&StoreRow>>) -> bool {
    let values = |rows: &[&StoreRow]| -> Option<BTreeSet<String>> {
        rows.iter().map(|row| row.store.labels.get(label).cloned()).collect()
    };
    let sets: Option<Vec<BTreeSet<String>>> = places.values().map(|rows| values(rows)).collect();
    sets.is_some_and(|sets| {
        let all: BTreeSet<&String> = sets.iter().flatten().collect();
        all.len() == sets.iter().map(BTreeSet::len).sum::<usize>()
    })
}

/// 81. All copies of a region may lie in one KubeCluster; or, where there are three or more, so many that losing it stops them.
fn copies_not_spread(scene: &CheckContext<'_>) -> Vec<Finding> {
    let places = by_context(scene);
    let strangers = scene.database.stores.iter().any(|row| !row.place.is_known() && !row.store.is_gone());
    // What lies out of sight may be what keeps them apart.
    if places.len() < 2 || strangers {
        return Vec::new();
    }
    let Some(labels) = location_labels(scene.fleet, scene.database) else { return Vec::new() };
    // Rules that pin copies to places have their own arithmetic, which the loss of each part is put through below.
    let pinned = scene
        .details
        .and_then(|(_, details)| details.rules.as_ref())
        .is_some_and(|rules| rules.iter().any(|rule| !rule.tiflash() && !rule.label_constraints.is_empty()));
    let apart = labels.iter().any(|label| tells_apart(label, &places));
    let heavy = if places.len() >= 3 { heavy(scene) } else { None };
    let sentence = match (apart || pinned, &heavy) {
        (false, _) => format!(
            "no location label tells {} apart: all copies of a region may lie in one of them, and are lost with it",
            places.keys().copied().collect::<Vec<_>>().join(" and ")
        ),
        (true, Some((context, copies))) => format!(
            "{copies} copies of one region may lie in {context}: losing that KubeCluster stops these regions, though there are {} KubeClusters with TiKV",
            places.len()
        ),
        (true, None) => return Vec::new(),
    };
    let whole = Subject::of_pd(SubjectKind::Database, &scene.database.name);
    let said = if labels.is_empty() { "(none)".to_owned() } else { labels.join(", ") };
    let mut found = scene.find(HazardId::CopiesNotSpread, sentence).on(whole.clone()).saw(
        &whole,
        "GET /pd/api/v1/config/replicate, location-labels",
        said,
        scene.pd_seen(),
    );
    for row in places.values().flatten().take(12) {
        let labels: Vec<String> = row.store.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let labels = if labels.is_empty() { "(none)".to_owned() } else { labels.join(", ") };
        let place = row.place.context().unwrap_or_default();
        found = found.saw(
            &Subject::of_pd(SubjectKind::Store, row.store.id.to_string()),
            &format!("labels, in {place}"),
            labels,
            scene.pd_seen(),
        );
    }
    let ctl = pd_ctl(scene, "config set location-labels");
    vec![found.then(format!(
        "give the nodes of each KubeCluster a topology.kubernetes.io/zone (or region) of its own, which TiDB Operator copies to its stores, and name that label first: {ctl} zone,host; PD moves the copies by itself"
    ))]
}

/// The KubeCluster whose loss takes more copies of a region than it can lose, with how many.
fn heavy<'a>(scene: &'a CheckContext<'_>) -> Option<(&'a str, u64)> {
    scene.parts.iter().find_map(|part| {
        let risk = without(scene.fleet, scene.database, part.of, part.tc).at_risk?;
        (risk.tolerated > 0 && risk.replicas > risk.tolerated).then_some((part.of.context.as_str(), risk.replicas))
    })
}

/// 52. Regions lack peers, or stores are away.
fn regions(scene: &CheckContext<'_>) -> Vec<Finding> {
    let whole = Subject::of_pd(SubjectKind::Database, &scene.database.name);
    let mut said = Vec::new();
    let mut evidence = Vec::new();
    if let Some((_, details)) = scene.details {
        let leaving = details.removing.as_ref().is_some_and(|all| !all.is_empty())
            || scene.database.stores.iter().any(|row| row.store.is_leaving());
        for (check, count) in details.regions.iter().filter(|(_, count)| **count > 0) {
            let counts = match check {
                RegionCheck::MissPeer | RegionCheck::DownPeer => true,
                // A store that is being emptied has such peers until it is empty.
                RegionCheck::OfflinePeer => !leaving,
                // Comes and goes with every move of a region.
                RegionCheck::PendingPeer => false,
            };
            if counts {
                said.push(format!("{} with {}", counted(*count, "region"), check.word()));
                let field = format!("GET /pd/api/v1/regions/check/{}", check.word());
                evidence.push((whole.clone(), field, count.to_string(), Some(details.at)));
            }
        }
    }
    let away = scene.database.stores.iter().filter(|row| row.store.is_away());
    for row in away {
        said.push(format!("store {} is {}", row.store.id, row.store.state));
        let subject = Subject::of_pd(SubjectKind::Store, row.store.id.to_string());
        evidence.push((subject, "state_name".into(), row.store.state.clone(), scene.pd_seen()));
    }
    if said.is_empty() {
        return Vec::new();
    }
    let mut found = scene.find(HazardId::RegionsUnhealthy, said.join(", ")).on(whole);
    for (subject, field, value, seen) in evidence {
        found = found.saw(&subject, &field, value, seen);
    }
    vec![found.then("start no upgrade and no exit until these are zero and every store is Up")]
}

/// 54. Fewer Up TiKV stores than replicas, now or once the replicas asked for are reached.
fn too_few_tikv(scene: &CheckContext<'_>) -> Vec<Finding> {
    let rules = scene.details.and_then(|(_, details)| details.tikv_needed());
    let needed = scene.database.max_replicas.max(rules);
    let Some(needed) = needed.and_then(|needed| usize::try_from(needed).ok()) else { return Vec::new() };
    if scene.database.stores.is_empty() {
        return Vec::new();
    }
    let up = scene.up(false);
    let leaving: Vec<(&Part<'_>, usize)> = scene
        .parts
        .iter()
        .map(|part| (part, scene.leaving(part, Component::Tikv)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let gone: usize = leaving.iter().map(|(_, count)| count).sum();
    let left = up.saturating_sub(gone);
    if left >= needed {
        return Vec::new();
    }
    let sentence = match gone {
        0 => format!("{} Up, and the placement rules need {needed}", counted(up, "TiKV store")),
        _ => format!(
            "{gone} of {up} Up TiKV stores are to leave; {left} would be left, and the placement rules need {needed}"
        ),
    };
    let whole = Subject::of_pd(SubjectKind::Database, &scene.database.name);
    let mut found = scene
        .find(HazardId::TooFewTikv, sentence)
        .on(whole.clone())
        .saw(&whole, "Up TiKV stores", up.to_string(), scene.pd_seen())
        .saw(
            &whole,
            "max-replicas",
            scene.database.max_replicas.map_or("not known".into(), |n| n.to_string()),
            scene.pd_seen(),
        );
    if let Some(rules) = rules {
        found = found.saw(
            &whole,
            "GET /pd/api/v1/config/rules, counts",
            rules.to_string(),
            scene.details.map(|(_, details)| details.at),
        );
    }
    for (part, _) in &leaving {
        let wanted = part.tc.spec.tikv.as_ref().map_or(0, |tikv| tikv.replicas);
        found = found.on(part.subject()).saw(&part.subject(), "spec.tikv.replicas", wanted.to_string(), part.seen());
    }
    vec![found.then("add TiKV in the KubeClusters that stay before any leaves, or lower the replicas knowingly")]
}

/// 55. Tables want more TiFlash replicas than there will be stores.
fn tiflash_replicas(scene: &CheckContext<'_>) -> Vec<Finding> {
    let Some((_, details)) = scene.details else { return Vec::new() };
    let Some(needed) = details.tiflash_needed().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0) else {
        return Vec::new();
    };
    let gone: usize = scene.parts.iter().map(|part| scene.leaving(part, Component::Tiflash)).sum();
    let left = scene.up(true).saturating_sub(gone);
    if left >= needed {
        return Vec::new();
    }
    let whole = Subject::of_pd(SubjectKind::Database, &scene.database.name);
    let sentence = format!(
        "tables want {}, and {} {} left",
        counted(needed, "TiFlash replica"),
        counted(left, "TiFlash store"),
        is(left)
    );
    vec![
        scene
            .find(HazardId::TiflashReplicasRemain, sentence)
            .on(whole.clone())
            .saw(&whole, "GET /pd/api/v1/config/rules, group tiflash", needed.to_string(), Some(details.at))
            .saw(&whole, "Up TiFlash stores after the change", left.to_string(), scene.pd_seen())
            .then("lower the tables' TiFlash replicas first (ALTER TABLE … SET TIFLASH REPLICA); a stuck TiFlash holds TiKV too"),
    ]
}
