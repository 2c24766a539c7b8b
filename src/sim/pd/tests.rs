//! What a Database does when URLs are wrong, processes restart, or the majority is away.

use super::*;

fn pod(name: &str) -> PodKey {
    PodKey { kube: 0, namespace: "ns".to_owned(), name: name.to_owned() }
}

/// Three members whose hosts are `pd-N`; names in `known` resolve.
fn three() -> Database {
    let mut database = Database::new("t", 1, 2, "");
    for id in 1..=3 {
        let name = format!("pd-{id}");
        database.members.push(Member {
            id,
            name: name.clone(),
            peer_urls: vec![format!("http://{name}:2380")],
            client_urls: vec![],
        });
        let started = database.start(id, process(&name));
        assert!(started);
    }
    database
}

fn process(name: &str) -> Process {
    Process {
        pod: pod(name),
        name: name.to_owned(),
        client_url: format!("http://{name}:2379"),
        version: "v7.5.4".to_owned(),
        view: Vec::new(),
        joined: false,
        started_s: 0,
    }
}

fn resolves(_: &PodKey, url: &str) -> Option<PodKey> {
    urls::host(url).filter(|host| host.starts_with("pd-")).map(pod)
}

fn set_url(database: &mut Database, id: u64, url: &str) {
    let change = Change::PeerUrls { id, urls: vec![url.to_owned()] };
    assert!(matches!(database.propose(1, change), Proposal::Committed));
}

#[test]
fn wrong_urls_show_only_at_restarts() {
    let mut database = three();
    database.tick(0, &resolves);
    assert_eq!(database.leader, Some(1));
    for id in 1..=3 {
        set_url(&mut database, id, "http://nowhere:2380");
    }
    database.tick(1_000, &resolves);
    assert!((1..=3).all(|id| database.in_touch(id)), "nothing shows while nobody restarts");
    database.stop(3, 2_000);
    database.start(3, process("pd-3"));
    database.tick(3_000, &resolves);
    assert!(!database.in_touch(3) && database.in_touch(2), "the restarted one stays outside");
    database.stop(2, 4_000);
    database.start(2, process("pd-2"));
    database.tick(60_000, &resolves);
    assert_eq!(database.leader, None, "two of three restarted: no majority any more");
    let anywhere = |_: &PodKey, url: &str| (url == "http://nowhere:2380").then(|| pod("pd-1"));
    database.tick(61_000, &anywhere);
    database.tick(70_000, &anywhere);
    assert_eq!(database.leader, Some(1), "the name resolves again: healed without a write");
}

#[test]
fn one_wrong_url_of_three_never_shows() {
    let mut database = three();
    database.tick(0, &resolves);
    set_url(&mut database, 2, "http://nowhere:2380");
    for id in 1..=3 {
        database.stop(id, 1_000);
        database.start(id, process(&format!("pd-{id}")));
    }
    database.tick(2_000, &resolves);
    database.tick(9_000, &resolves);
    assert!((1..=3).all(|id| database.in_touch(id)));
}

#[test]
fn malformed_urls_kill_all_others_for_good() {
    let mut database = three();
    database.tick(0, &resolves);
    set_url(&mut database, 2, "http://pd-2:2380/");
    assert_eq!(database.panicked, BTreeSet::from([1, 3]));
    database.stop(1, 0);
    assert!(!database.start(1, process("pd-1")), "it panics again at each start");
    database.stop(2, 0);
    assert!(database.start(2, process("pd-2")), "the member named does not");
}

#[test]
fn a_write_without_majority_is_applied_later_only_when_the_old_leader_was_asked() {
    for (asked, applied) in [(1, true), (3, false)] {
        let mut database = three();
        database.tick(0, &resolves);
        database.stop(2, 0);
        if asked == 1 {
            database.stop(3, 0);
        } else {
            database.stop(1, 0);
        }
        let change = Change::PeerUrls { id: asked, urls: vec!["http://pd-9:2380".to_owned()] };
        assert!(matches!(database.propose(asked, change), Proposal::Waiting(_)));
        database.start(2, process("pd-2"));
        database.tick(1_000, &resolves);
        database.tick(9_000, &resolves);
        let now = database.member(asked).expect("a member").peer_urls == ["http://pd-9:2380"];
        assert_eq!(now, applied, "asked of {asked}");
    }
}

#[test]
fn processes_that_speak_tls_do_not_reach_each_other_by_plain_urls() {
    let mut database = three();
    database.tick(0, &resolves);
    let tls = |name: &str| Process { client_url: format!("https://{name}:2379"), ..process(name) };
    for id in 1..=3 {
        database.stop(id, 1_000);
        database.start(id, tls(&format!("pd-{id}")));
    }
    database.tick(60_000, &resolves);
    assert_eq!(database.leader, None, "all of them listen with TLS, and the membership dials http");
    for id in 1..=3 {
        database.stop(id, 61_000);
        database.start(id, process(&format!("pd-{id}")));
    }
    database.tick(62_000, &resolves);
    database.tick(90_000, &resolves);
    assert!(database.leader.is_some(), "plain again: healed without a write");
}
