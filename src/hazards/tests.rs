//! Every hazard that shows now, planted one by one in the healthy fleet of [`crate::hazards::test_fleet`], and its near misses.
//!
//! A case names *exactly* what is found: a function that cries wolf beside it fails here too.

use std::collections::BTreeSet;

use serde_json::json;

use crate::fleet::Freshness;
use crate::fleet::hazard_id::HazardId;
use crate::fleet::interrupted_work::diagnose;
use crate::hazards::catalogue::{CATALOGUE, Seeing};
use crate::hazards::fault_injection::{claim, domain, ids, renamed, tls};
use crate::hazards::spec_and_tls_test_cases::CASES;
use crate::hazards::stalled_test_cases::STUCK;
use crate::hazards::test_fleet::{Bed, when};
use crate::hazards::upgrade_and_leave_test_cases::MORE;
use crate::hazards::{Severity, check};

/// Every world that shows something, with what it shows.
pub(crate) fn worlds() -> impl Iterator<Item = (&'static str, Bed, &'static [&'static str])> {
    CASES.iter().chain(MORE).chain(STUCK).map(|(name, plant, expected)| {
        let mut bed = Bed::healthy();
        plant(&mut bed);
        (*name, bed, *expected)
    })
}

#[test]
fn each_case_names_exactly_what_is_planted() {
    let mut wrong = Vec::new();
    for (name, plant, expected) in CASES.iter().chain(MORE).chain(STUCK) {
        let found = ids(*plant);
        if found != *expected {
            wrong.push(format!("{name}: expected {expected:?}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_hazard_that_shows_now_is_planted() {
    let planted: BTreeSet<&str> =
        CASES.iter().chain(MORE).chain(STUCK).flat_map(|(_, _, expected)| expected.iter().copied()).collect();
    let missing: Vec<&str> = CATALOGUE
        .iter()
        .filter(|hazard| hazard.seen == Seeing::Now && !planted.contains(hazard.id.word()))
        // Never more than unknown; planted in a test of its own.
        .filter(|hazard| hazard.id != HazardId::UnknownComponent)
        .map(|h| h.id.word())
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn a_joiner_over_old_claims() {
    let mut bed = Bed::healthy();
    bed.west.tc["status"] = json!({});
    bed.west.pods.clear();
    bed.west.claims = Some(vec![claim("prod-west", "2025-12-31T00:00:00Z")]);
    bed.members.truncate(2);
    let checked = bed.checked();
    assert!(checked.findings.iter().any(|finding| finding.id() == "old-claims"), "{checked:#?}");
}

/// Which URLs are right is not known then, and none is blamed; the finding is about the TidbCluster whose field it is, with
/// the line that puts it back.
#[test]
fn a_peer_url_is_not_blamed_for_the_domain_of_its_tidb_cluster() {
    let back = |context: &str| {
        format!(
            "put the old domain back: kubectl --context {context} -n db patch tidbcluster prod-{context} --type merge -p '{{\"spec\":{{\"clusterDomain\":\"{context}.local\"}}}}'"
        )
    };
    for context in ["east", "west"] {
        for restarted in [false, true] {
            let mut bed = Bed::healthy();
            let (side, members) = if context == "east" { (&mut bed.east, 0..2) } else { (&mut bed.west, 2..3) };
            domain(side, None);
            members.filter(|_| restarted).for_each(|member| renamed(&mut bed, member, ""));
            let (checked, fleet) = (bed.checked(), bed.fleet());
            let [finding] = checked.findings.as_slice() else { panic!("{checked:#?}") };
            assert_eq!((finding.id(), finding.severity), ("cluster-domain-changed", Severity::High));
            assert_eq!((finding.subjects[0].context.as_str(), &*finding.what_to_do), (context, back(context).as_str()));
            let database = &crate::fleet::database::databases(&fleet)[0];
            let there = database.members.iter().filter(|member| member.place.context() == Some(context));
            assert!(there.clone().all(|member| !member.drift && member.expected_peer_url.is_none()));
            let others = database.members.iter().filter(|member| member.place.context() != Some(context));
            assert!(others.clone().all(|member| !member.drift && member.expected_peer_url.is_some()));
            let said: Vec<String> = database.problems.iter().map(ToString::to_string).collect();
            let said = said.join("\n");
            assert!(said.contains("has been removed") && !said.contains("expected"), "{said}");
            assert!(
                !database.unseen.iter().any(|one| one.contains("in no connected context")),
                "{:?}",
                database.unseen
            );
        }
    }
}

/// Of a PD that does not answer others still list the name; of a TidbCluster that nobody sees, too.
#[test]
fn a_name_counts_only_where_its_own_cluster_serves_the_domain() {
    let mut bed = Bed::healthy();
    domain(&mut bed.west, None);
    let changed = |bed: &Bed| {
        let mut fleet = bed.fleet();
        fleet.clusters.get_mut("west").expect("it is there").pd.clear();
        check(&fleet, None, when()).findings.iter().any(|finding| finding.id() == "cluster-domain-changed")
    };
    assert!(changed(&bed));
    bed.west.domain = Some("other.local".into());
    assert!(!changed(&bed), "it may be of a TidbCluster of the same name in a cluster that is not connected");
}

#[test]
fn what_is_dark_is_never_well() {
    let mut bed = Bed::healthy();
    assert!(!bed.checked().dark());
    bed.west.claims = None;
    let checked = bed.checked();
    assert!(checked.dark() && checked.findings.is_empty(), "{checked:#?}");
    let mut bed = Bed::healthy();
    bed.west.domain = None;
    let checked = bed.checked();
    assert!(
        checked.dark() && checked.findings.iter().all(|one| one.unknown || one.severity < Severity::Low),
        "{checked:#?}"
    );
    assert!(checked.findings.iter().all(|finding| finding.unknown) && checked.findings.len() == 1);
    let mut bed = Bed::healthy();
    bed.west.freshness = Freshness::Unreachable;
    assert!(bed.checked().dark());
    // TLS without a look at its Secrets.
    let mut bed = Bed::healthy();
    tls(&mut bed);
    assert!(!bed.checked().dark());
    bed.west.secrets.clear();
    assert!(bed.checked().dark());
    let nothing = check(&crate::fleet::Fleet::default(), None, when());
    assert!(nothing.dark(), "nothing found is nothing seen");
    assert!(check(&Bed::healthy().fleet(), Some("elsewhere"), when()).databases.is_empty());
}

#[test]
fn findings_carry_evidence_and_a_way_on() {
    for (name, plant, expected) in CASES.iter().chain(MORE).chain(STUCK) {
        let mut bed = Bed::healthy();
        plant(&mut bed);
        for finding in bed.checked().findings {
            let whole = !finding.what_to_do.is_empty() && !finding.why.is_empty() && !finding.subjects.is_empty();
            assert!(whole && (finding.unknown || !finding.evidence.is_empty()), "{name}: {finding:#?}");
        }
        assert!(expected.windows(2).all(|pair| pair[0] < pair[1]), "{name}: in order");
    }
}

/// What both see is judged once: the line that `diagnose` shows is the one that `check` shows.
/// A line that stands in the words alone fills no form, and no open run is put in its place.
#[test]
fn the_runbook_that_an_advice_names_is_kept_with_it() {
    let mut runbooks = BTreeSet::new();
    for (name, bed, _) in worlds() {
        for finding in bed.checked().findings {
            let advice = &finding.what_to_do;
            let named = ["tidepilot run ", "tidepilot plan "].iter().any(|begin| advice.contains(begin));
            assert_eq!(advice.line().is_some(), named, "{name}: {advice}");
            if let Some(line) = advice.line() {
                assert!(advice.contains(&line.to_string()), "{name}: {advice}");
                runbooks.insert(line.runbook);
            }
        }
    }
    assert!(runbooks.len() > 4, "{runbooks:?}");
}

#[test]
fn diagnose_advises_what_check_advises() {
    let same = [
        ("paused", "paused"),
        ("force-upgrade", "force-upgrade-left"),
        ("nameless-member", "nameless-member"),
        ("half-updated-peer-urls", "peer-urls-half-updated"),
        ("peer-urls-not-updated", "peer-urls-half-updated"),
    ];
    let mut compared = BTreeSet::new();
    for (name, bed, _) in worlds() {
        let checked = bed.checked();
        for left in diagnose(&bed.fleet(), None).leftovers {
            let Some((kind, id)) = same.iter().find(|(kind, _)| *kind == left.kind) else { continue };
            let advised: Vec<&str> =
                checked.findings.iter().filter(|one| one.id() == *id).map(|one| &*one.what_to_do).collect();
            assert!(
                advised.is_empty() || advised.iter().any(|advice| advice.ends_with(&*left.remedy)),
                "{name}: {advised:?} and {}",
                left.remedy
            );
            compared.extend(advised.first().map(|_| *kind));
        }
    }
    assert_eq!(compared, same.iter().map(|(kind, _)| *kind).collect(), "each of them is planted somewhere");
}

#[test]
fn the_json_of_a_finding() {
    let mut bed = Bed::healthy();
    bed.east.tc["spec"]["pvReclaimPolicy"] = json!("Delete");
    let value = serde_json::to_value(bed.checked()).expect("serialises");
    let finding = &value["findings"][0];
    assert_eq!(finding["id"], "reclaim-policy-delete");
    assert_eq!((&finding["hazard"], &finding["severity"]), (&json!(61), &json!("high")));
    assert_eq!(
        finding["subjects"][0],
        json!({"kind": "TidbCluster", "context": "east", "namespace": "db", "name": "prod-east"})
    );
    assert_eq!(
        finding["evidence"][0],
        json!({"object": "TidbCluster east/db/prod-east", "field": "spec.pvReclaimPolicy", "value": "Delete", "seen": "2026-11-20T12:00:00Z"})
    );
    assert!(finding["whatToDo"].as_str().expect("text").contains("--context east -n db"));
}
