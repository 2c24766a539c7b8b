//! A store is down: how many regions that touches, how old the answer is, and where the rest of it stands.

use std::collections::BTreeMap;

use crate::fixture::{self, options, press, scene};
use crate::keys::{check, place, sent};
use crate::questions::screen_of;
use tidepilot::app::App;
use tidepilot::app::message::{Effect, Message};
use tidepilot::fleet::pd_details::PdDetails;
use tidepilot::fleet::region_health_counts::RegionCheck;
use tidepilot::fleet::region_health_counts::RegionCounts;
use tidepilot::fleet::{Change, ObjectKey, What};

/// PD's counts, as they were so many seconds ago.
fn counted(app: &mut App, seconds: i64) {
    let counts = [
        (RegionCheck::DownPeer, 1188),
        (RegionCheck::MissPeer, 0),
        (RegionCheck::OfflinePeer, 0),
        (RegionCheck::PendingPeer, 3),
    ];
    let details = PdDetails { at: fixture::earlier(seconds), regions: BTreeMap::from(counts), ..PdDetails::default() };
    let what = What::PdDetails { pod: ObjectKey::new("db", "basic-pd-0"), details: Box::new(details) };
    app.update(Message::Fleet(Change { context: "east".into(), at: fixture::now(), what }), fixture::now());
}

#[track_caller]
fn shows(app: &mut App, size: (u16, u16), wanted: &[&str]) {
    let shown = screen_of(app, size);
    for wanted in wanted {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
}

#[test]
fn the_page_of_a_store_counts_its_regions_with_their_age() {
    let mut app = scene("stores", options());
    assert_eq!(sent(&press(&mut app, "j<enter>")), "count regions");
    shows(
        &mut app,
        (120, 50),
        &["1,188 regions have a peer on this store", "PD has not been asked yet", "<asking PD>"],
    );
    counted(&mut app, 12);
    shows(
        &mut app,
        (120, 50),
        &[
            "1,188 regions have a peer on this store",
            "1,188 have a peer that its leader has not heard of for minutes",
            "by PD, 12s ago (:regions)",
            "<counted 10s ago>",
        ],
    );
    // Once is enough for a while, and at rest nobody asks.
    assert_eq!(sent(&press(&mut app, "jjkk")), "");
    let later = fixture::now().checked_add(jiff::SignedDuration::from_secs(31)).expect("in range");
    assert_eq!(sent(&app.update(Message::Tick, later)), "count regions");
    press(&mut app, "<esc><esc>");
    let later = later.checked_add(jiff::SignedDuration::from_secs(3_000)).expect("in range");
    assert_eq!(sent(&app.update(Message::Tick, later)), "");
}

#[test]
fn a_word_leads_to_all_counts_and_from_there_to_the_store() {
    check("overview", ":regions<enter>", "regions", "count regions");
    let mut app = scene("overview", options());
    press(&mut app, ":regions<enter>");
    counted(&mut app, 0);
    shows(
        &mut app,
        (120, 36),
        &[
            "store 4",
            "1,188",
            "have a peer on this store (basic-tikv-1), which is Disconnected",
            "down-peer",
            "miss-peer",
        ],
    );
    assert_eq!(press(&mut app, "<enter>").len(), 1, "its events are asked for");
    assert_eq!(place(&app), "store 4");
    assert_eq!(sent(&press(&mut app, "<esc><ctrl-r>")), "refresh; count regions");
}

#[test]
fn the_problem_of_a_store_that_is_away_has_the_number() {
    let mut app = scene("findings", options());
    let at = app.rows().iter().position(|row| row.key.starts_with("store-not-up"));
    press(&mut app, &"j".repeat(at.expect("a finding about the store")));
    press(&mut app, "<enter>");
    shows(&mut app, (150, 50), &["1188 regions with a peer on it", "1,188 regions have a peer on this store"]);
}

#[test]
fn with_most_copies_away_it_says_what_that_means() {
    let mut app = scene("overview", options());
    for change in fixture::fleet() {
        let What::Pd { pod, mut view } = change.what else { continue };
        if let Ok(answer) = &mut view.answer {
            answer.stores.iter_mut().take(2).for_each(|store| store.state = "Down".into());
        }
        let what = What::Pd { pod, view };
        app.update(Message::Fleet(Change { context: change.context, at: fixture::now(), what }), fixture::now());
    }
    press(&mut app, ":regions<enter>");
    shows(&mut app, (150, 36), &["majority", "2 stores are away, and PD keeps 3 copies of a region"]);
}

/// An answer of PD to the question itself: so many checks of four were read.
fn answered(app: &mut App, read: usize, at: jiff::Timestamp) {
    let counts = RegionCheck::ALL[..read].iter().map(|check| (*check, (5, at))).collect();
    let gaps = if read < 4 { vec!["the answer is longer than 4 MiB: too long to read".to_owned()] } else { Vec::new() };
    let what = What::RegionCounts {
        pod: ObjectKey::new("db", "basic-pd-0"),
        counts: RegionCounts { asked: at, counts, too_long: read < 4, gaps },
    };
    app.update(Message::Fleet(Change { context: "east".into(), at, what }), at);
}

#[test]
fn what_is_too_long_to_read_is_asked_for_less_and_less_and_the_last_number_stays() {
    let mut app = scene("stores", options());
    press(&mut app, "j<enter>");
    let second = |second| fixture::now().checked_add(jiff::SignedDuration::from_secs(second)).expect("in range");
    answered(&mut app, 4, second(1));
    assert_eq!(sent(&app.update(Message::Tick, second(31))), "count regions");
    answered(&mut app, 1, second(32));
    shows(
        &mut app,
        (120, 50),
        &["5 have fewer peers than PD wants", "5 have a peer that its leader", "by PD, 31s ago", "too long to read"],
    );
    // The old number is no word of now, and the list says so too.
    press(&mut app, ":regions<enter>");
    shows(&mut app, (120, 36), &["counted just now, asked in vain just now", "? down-peer"]);
    // 30 s, then 60, then 120 from one to the next.
    let mut asked = Vec::new();
    for tick in 32..400 {
        if sent(&app.update(Message::Tick, second(tick))) == "count regions" {
            asked.push(tick);
            answered(&mut app, 1, second(tick));
        }
    }
    assert_eq!(asked, [61, 121, 241]);
    // Once it is read again, as before.
    answered(&mut app, 4, second(400));
    assert_eq!(sent(&app.update(Message::Tick, second(482))), "count regions");
    assert_eq!(sent(&app.update(Message::Tick, second(512))), "count regions");
}

#[test]
fn only_the_leader_of_the_database_in_front_is_asked() {
    let mut app = scene("overview", options());
    // The second pod leads: it is not the first one that is found.
    for mut change in fixture::fleet() {
        let What::Pd { pod, view } = &mut change.what else { continue };
        let Ok(answer) = &mut view.answer else { continue };
        if pod.namespace != "db" {
            continue;
        }
        answer.leader = answer.members.iter().find(|member| member.name.starts_with("basic-pd-1")).map(|one| one.id);
        app.update(Message::Fleet(change), fixture::now());
    }
    let effects = press(&mut app, ":regions<enter>");
    let asked: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::CountRegions { context, pod, tidb_cluster } => {
                Some((context.as_str(), pod.metadata.name.as_str(), tidb_cluster.as_ref().map(|tc| tc.name())))
            }
            _ => None,
        })
        .collect();
    assert_eq!(asked, [("east", "basic-pd-1", Some("basic"))]);
}
