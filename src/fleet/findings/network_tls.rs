//! `domain.md` §5.2: network, DNS and TLS. Hazards 18 to 26.
//!
//! Names and ports can only be tried from inside a pod (`verify-network`); what shows from outside are the Secrets, by
//! the names of their keys and fingerprints, and what etcd holds as peerURLs.

use std::collections::BTreeMap;

use super::scene::{Part, Scene};
use super::{Finding, OfDatabase, Subject};
use crate::fleet::ObjectRef;
use crate::fleet::database::Member;
use crate::fleet::extras::tls_secrets;
use crate::fleet::object::{ObjectId, ObjectKind, Sight};
use crate::fleet::peer_url::{BadPeerUrl, check_form};

pub(super) const ALL: &[OfDatabase] = &[secrets, different_ca, wrong_schemes];

/// The keys that each of these Secrets must have (`domain.md` §4.2).
const KEYS: [&str; 3] = ["ca.crt", "tls.crt", "tls.key"];

fn secret<'a>(scene: &Scene<'a>, part: &Part<'_>, name: &str) -> Option<&'a Sight> {
    let at = ObjectRef::new(&part.of.context, &part.of.namespace, name);
    scene.fleet.sight(&ObjectId::new(ObjectKind::Secret, &at))
}

/// 24. A Secret that a pod mounts is not there, or lacks a key.
fn secrets(scene: &Scene<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.tc.tls()) {
        for name in tls_secrets(part.tc) {
            let at = ObjectRef::new(&part.of.context, &part.of.namespace, &name);
            let subject = Subject::object("Secret", &at);
            let found = match secret(scene, part, &name) {
                // Nobody looked.
                None => continue,
                Some(Sight::Unseen(why)) => scene
                    .find("tls-secret-missing", format!("whether Secret {at} is as it should be is not known: {why}"))
                    .unknown(),
                Some(Sight::Absent) => scene
                    .find("tls-secret-missing", format!("Secret {at} is missing; pods that mount it do not start"))
                    .saw(&subject, "metadata.name", "(not there)", part.seen()),
                Some(Sight::Present(object)) => {
                    let has = |key: &&&str| object.pointer("/data").and_then(|data| data.get(**key)).is_some();
                    let missing: Vec<&str> = KEYS.iter().filter(|key| !has(key)).copied().collect();
                    if missing.is_empty() {
                        continue;
                    }
                    let there = object.pointer("/data").and_then(|data| data.as_object());
                    let there: Vec<&str> = there.into_iter().flat_map(|data| data.keys().map(String::as_str)).collect();
                    scene.find("tls-secret-missing", format!("Secret {at} lacks {}", missing.join(", "))).saw(
                        &subject,
                        "data, names of its keys",
                        there.join(", "),
                        part.seen(),
                    )
                }
            };
            let remedy = format!("issue it: its name must be exactly {name}, in namespace {}", part.of.namespace);
            all.push(found.on(subject).on(part.subject()).then(remedy));
        }
    }
    all
}

/// 21. Not one and the same CA in all Secrets of the Database.
fn different_ca(scene: &Scene<'_>) -> Vec<Finding> {
    let mut by_print: BTreeMap<String, Vec<(Subject, Option<jiff::Timestamp>)>> = BTreeMap::new();
    for part in scene.parts.iter().filter(|part| part.tc.tls()) {
        for name in tls_secrets(part.tc) {
            let Some(Sight::Present(object)) = secret(scene, part, &name) else { continue };
            let Some(print) = object.pointer("/data/ca.crt").and_then(|value| value.as_str()) else { continue };
            let at = ObjectRef::new(&part.of.context, &part.of.namespace, name);
            by_print.entry(print.to_owned()).or_default().push((Subject::object("Secret", &at), part.seen()));
        }
    }
    if by_print.len() < 2 {
        return Vec::new();
    }
    let mut groups: Vec<_> = by_print.into_iter().collect();
    // The CA of most is taken for the right one.
    groups.sort_by_key(|(print, held)| (std::cmp::Reverse(held.len()), print.clone()));
    let sentence =
        format!("the Secrets hold {} different CAs; members with different ones refuse each other", groups.len());
    let mut found = scene.find("different-ca", sentence);
    for (print, held) in &groups {
        for (subject, seen) in held.iter().take(if *print == groups[0].0 { 1 } else { usize::MAX }) {
            found = found.saw(subject, "data[ca.crt]", print, *seen);
        }
    }
    for (subject, _) in groups.iter().skip(1).flat_map(|(_, held)| held) {
        found = found.on(subject.clone());
    }
    vec![found.then("copy the CA's Secret from the initial cluster and issue these certificates again from it")]
}

/// 25 and 40. peerURLs whose scheme is not that of `tlsCluster`.
fn wrong_schemes(scene: &Scene<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in &scene.parts {
        let own = scene.members(part);
        let off = |member: &&&Member| {
            let wrong = |url: &String| matches!(check_form(url, part.tc.tls()), Err(BadPeerUrl::Scheme { .. }));
            // Only the scheme: a text that is no URL at all is another hazard.
            member.peer_urls.iter().any(|url| wrong(url) && check_form(url, !part.tc.tls()).is_ok())
        };
        let wrong: Vec<&&Member> = own.iter().filter(off).collect();
        if wrong.is_empty() {
            continue;
        }
        let scheme = part.tc.scheme();
        let mut found = if wrong.len() == own.len() {
            let sentence =
                format!("tlsCluster asks for {scheme}, but etcd still has all peerURLs with the other scheme");
            scene.find_at("tls-toggled", part, sentence).then(
                "put tlsCluster.enabled back; turning TLS on needs PD scaled to one member first, and its peerURL changed by hand",
            )
        } else {
            let sentence = format!("{} of {} peerURLs are not {scheme}://", wrong.len(), own.len());
            scene.find_at("peer-url-wrong-scheme", part, sentence).then(format!(
                "tidepilot run migrate-cluster-domain --set tidbCluster={} # corrects each peerURL",
                part.of
            ))
        };
        found = found.saw(&part.subject(), "spec.tlsCluster.enabled", part.tc.tls().to_string(), part.seen());
        for member in wrong {
            let subject = Subject::of_pd("member", member.id.hex());
            found = found.saw(&subject, "peerURLs", member.peer_urls.join(", "), scene.pd_seen());
        }
        all.push(found);
    }
    all
}
