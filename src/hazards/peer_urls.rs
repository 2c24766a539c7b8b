//! The peerURLs that etcd holds, as findings: unusable, not those that the other KubeClusters reach, shared, of the wrong scheme.
//!
//! `domain.md` §5.3, hazards 34, 37, 38 and 40. Not here: which URL is right ([`crate::fleet::tidbcluster`]), what is never sent
//! ([`crate::fleet::peer_url_check`]), everything else of the membership ([`crate::hazards::membership`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::fleet::advice::RunLine;
use crate::fleet::database::Member;
use crate::fleet::hazard_id::HazardId;
use crate::fleet::pd::MemberId;
use crate::fleet::pd_leader_state::Lead;
use crate::fleet::peer_url_check::{BadPeerUrl, check_held, normal};
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::remedy_commands::correct_peer_urls;
use crate::fleet::tls_toggle::speaks_tls;
use crate::hazards::check_context::{CheckContext, member_name, member_subject};
use crate::hazards::{Finding, OfDatabase, Subject};
use crate::pluralize::{counted, is};

pub(super) const ALL: &[OfDatabase] = &[malformed, half_updated, shared_urls, wrong_schemes];

/// 34. A peerURL that etcd cannot read: the other members crash on it.
fn malformed(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for member in &scene.database.members {
        let of = scene.parts.iter().find(|part| scene.members(part).iter().any(|own| own.id == member.id));
        let bad = |url: &String| -> Option<BadPeerUrl> {
            let (plain, tls) = (check_held(url, false), check_held(url, true));
            match (plain, tls) {
                (Err(plain), Err(tls)) if normal(url).starts_with("https") => {
                    Some(if plain == tls { plain } else { tls })
                }
                (Err(plain), Err(_)) => Some(plain),
                // One of the schemes fits; which one it should be is another hazard.
                (Ok(()), _) | (_, Ok(())) => None,
            }
        };
        let why = match member.peer_urls.as_slice() {
            [] => Some(BadPeerUrl::Empty),
            urls => urls.iter().find_map(bad),
        };
        let Some(why) = why else { continue };
        let mut found = scene
            .find(HazardId::MalformedPeerUrl, format!("the peerURL of {} is unusable: {why}", member_name(member)));
        found = found.on(member_subject(member)).saw(
            &member_subject(member),
            "peerURLs",
            member.peer_urls.join(", "),
            scene.pd_seen(),
        );
        let remedy = match (of, &member.expected_peer_url) {
            // Without a majority no API changes it.
            _ if scene.database.lead == Lead::Lost => "PD's majority is lost, and no API changes a peerURL then: restart no PD that still runs, keep its volume, and rebuild PD from it with pd-recover".into(),
            (Some(part), Some(expected)) => {
                RunLine::run("repair-peer-urls").on(part.of).behind(format!("restart no PD; set it to {expected}"))
            }
            _ => "restart no PD; set it to the URL of its pod through a member that still answers".into(),
        };
        all.push(found.then(remedy));
    }
    all
}

/// 37. Opened for others, and not every peerURL is the expected one.
fn half_updated(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.opened()) {
        let own = scene.members(part);
        let stale: Vec<&&Member> = own
            .iter()
            .filter(|member| member.drift && !member.peer_urls.is_empty())
            .filter(|member| {
                let tls = speaks_tls(part.cluster, part.tc, member.place.pod().unwrap_or_default());
                member.peer_urls.iter().all(|url| check_held(url, tls).is_ok())
            })
            .collect();
        if stale.is_empty() {
            continue;
        }
        let (wrong, urls) = (stale.len(), counted(own.len(), "peerURL"));
        let sentence = format!("{wrong} of {urls} {} not what other KubeClusters can reach", is(wrong));
        let mut found = scene.find_at(HazardId::PeerUrlsHalfUpdated, part, sentence);
        for member in stale {
            let expected = member.expected_peer_url.as_deref().unwrap_or_default();
            let value = format!("{} (expected {expected})", member.peer_urls.join(", "));
            found = found.on(member_subject(member)).saw(&member_subject(member), "peerURLs", value, scene.pd_seen());
        }
        all.push(found.then(correct_peer_urls(scene.fleet, scene.database, part.of, part.tc)));
    }
    all
}

/// 38. One URL for two members, in whatever form.
fn shared_urls(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut by_url: BTreeMap<String, BTreeSet<MemberId>> = BTreeMap::new();
    for member in &scene.database.members {
        for url in &member.peer_urls {
            by_url.entry(normal(url)).or_default().insert(member.id);
        }
    }
    let twice = by_url.into_iter().filter(|(_, ids)| ids.len() > 1);
    twice
        .map(|(url, ids)| {
            let mut found =
                scene.find(HazardId::PeerUrlShared, format!("{} members have the peerURL {url}", ids.len()));
            for id in ids {
                let subject = Subject::of_pd(SubjectKind::Member, id.hex());
                found = found.saw(&subject, "peerURLs", &url, scene.pd_seen()).on(subject);
            }
            found.then(match scene.parts.first() {
                Some(part) => {
                    RunLine::run("repair-peer-urls").on(part.of).behind("give each member the URL of its own pod")
                }
                None => "give each member the URL of its own pod".into(),
            })
        })
        .collect()
}

/// 40. peerURLs whose scheme is not the one that PD runs with.
fn wrong_schemes(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| scene.database.toggled(part.of).is_none()) {
        let own = scene.members(part);
        let tls = |member: &Member| speaks_tls(part.cluster, part.tc, member.place.pod().unwrap_or_default());
        let off = |member: &&&Member| {
            let tls = tls(member);
            let wrong = |url: &String| matches!(check_held(url, tls), Err(BadPeerUrl::Scheme { .. }));
            // Only the scheme: a text that is no URL at all is another hazard.
            member.peer_urls.iter().any(|url| wrong(url) && check_held(url, !tls).is_ok())
        };
        let wrong: Vec<&&Member> = own.iter().filter(off).collect();
        let Some(first) = wrong.first() else { continue };
        let scheme = if tls(first) { "https" } else { "http" };
        let (off, urls) = (wrong.len(), counted(own.len(), "peerURL"));
        let sentence = format!("{off} of {urls} {} not {scheme}://, as PD runs", is(off));
        let mut found = scene
            .find_at(HazardId::PeerUrlWrongScheme, part, sentence)
            .then(RunLine::run("repair-peer-urls").on(part.of));
        found = found.saw(&part.subject(), "spec.tlsCluster.enabled", part.tc.tls().to_string(), part.seen());
        for member in wrong {
            let subject = Subject::of_pd(SubjectKind::Member, member.id.hex());
            found = found.saw(&subject, "peerURLs", member.peer_urls.join(", "), scene.pd_seen());
        }
        all.push(found);
    }
    all
}
