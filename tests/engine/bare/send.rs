//! From an action to the requests of the client, with what it reads just before, and to the server's answer.
//!
//! The requests are the plan's own (`Action::requests`), and the server that answers is the simulated one: conditions,
//! schemas and etcd's rules are judged there. What `client::write` checks before it sends is checked here as well.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidepilot::client::certificates;
use tidepilot::client::certificates::signing::{self, Ask};
use tidepilot::client::kube::objects::redacted;
use tidepilot::fleet::certificate_facts::fingerprint;
use tidepilot::fleet::object_kind::{ObjectId, ObjectKind, uid, written_by};
use tidepilot::fleet::pd::MembershipApi;
use tidepilot::fleet::{Fleet, ObjectRef, peer_url_check};
use tidepilot::runbook::action_types::Answer;
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::api_request_parts::{copied_secret, delete_options, issued_secret, tidb_cluster_path};
use tidepilot::runbook::actions::pd_requests::{member_path, transfer_path, update_request};
use tidepilot::runbook::actions::{
    CopySecret, DeleteObject, IssueCa, IssueCertificate, PatchTidbCluster, RemovePdMember, TransferPdLeader,
    UpdatePeerUrl,
};
use tidepilot::sim::in_memory::{Bare, PdRequest};

use super::{Effected, RUN, effected};

/// One request, ready to be delivered, perhaps more than once.
#[derive(Clone, Debug)]
pub struct Sent {
    pub effected: Effected,
    to: To,
}

#[derive(Clone, Debug)]
enum To {
    Kube { context: String, method: String, path: String, content_type: String, body: Value },
    Pd { context: String, namespace: String, pod: String, method: String, path: String, body: String },
}

pub fn action_text(action: &Action) -> String {
    serde_json::to_string(action).expect("an action is plain data")
}

fn get(bare: &Bare, context: &str, path: &str) -> Option<Value> {
    let (status, found) = bare.ask(context, "GET", path, "", b"");
    (status == 200).then_some(found)
}

/// What the client does before it sends.
pub fn prepare(bare: &Bare, action: &Action, seen: &Fleet) -> Result<Sent, String> {
    let manager = format!("tidepilot%2F{RUN}");
    let planned = |version: &str| action.requests(&manager, version, None).into_iter().next().ok_or("no request");
    let kube = |request: tidepilot::runbook::action_types::Request| To::Kube {
        context: request.context,
        method: request.method,
        path: request.path,
        content_type: request.content_type,
        body: request.body,
    };
    let to = match action {
        Action::PatchTidbCluster(PatchTidbCluster { target, uid: wanted, merge }) => {
            let current = get(bare, &target.context, &tidb_cluster_path(target)).ok_or("the TidbCluster is gone")?;
            if uid(&current) != wanted {
                return Err("another object than the one planned for".into());
            }
            let decided = seen.tidb_cluster(target).and_then(|tc| serde_json::to_value(tc).ok()).ok_or("not seen")?;
            if touched(merge, &decided) != touched(merge, &current) {
                return Err("changed in the same fields since it was looked at".into());
            }
            kube(planned(current["metadata"]["resourceVersion"].as_str().unwrap_or_default())?)
        }
        Action::CreateObject(_) => kube(planned("")?),
        Action::DeleteObject(DeleteObject { target, object_kind, uid: wanted, made_by }) => {
            let id = ObjectId::new(*object_kind, target);
            let found = get(bare, &target.context, &id.path()).ok_or("gone already")?;
            match (wanted, made_by) {
                (Some(wanted), _) if wanted != uid(&found) => return Err("another one than planned for".into()),
                (None, Some(run)) if !written_by(&found, &format!("tidepilot/{run}")) => {
                    return Err("not made by this run".into());
                }
                (None, None) => return Err("which one is meant is not known".into()),
                (Some(_), _) | (None, Some(_)) => {}
            }
            let mut request = planned("")?;
            request.body = delete_options(uid(&found));
            kube(request)
        }
        Action::CopySecret(CopySecret { from, target, keys }) => {
            let path = ObjectId::new(ObjectKind::Secret, from).path();
            let original = get(bare, &from.context, &path).ok_or("the Secret is gone")?;
            let data = keys.iter().map(|key| (key.clone(), original["data"][key].clone())).collect();
            let mut request = planned("")?;
            request.body = copied_secret(target, &Value::Object(data));
            kube(request)
        }
        Action::IssueCa(IssueCa { common_name, days, .. }) => {
            let ask = Ask { common_name, organization: None, hosts: &[], usages: BTreeSet::new(), days: *days };
            let mut request = planned("")?;
            request.body = issued_secret(
                action.target(),
                &signing::authority(&ask, looked(seen)?).map_err(|why| why.to_string())?.data(),
            );
            kube(request)
        }
        Action::IssueCertificate(IssueCertificate {
            target,
            authority,
            common_name,
            hosts,
            usages,
            days,
            replaces,
            ..
        }) => {
            let path = ObjectId::new(ObjectKind::Secret, authority).path();
            let ca = certificates::values(&get(bare, &authority.context, &path).ok_or("the CA is gone")?);
            let ask = Ask { common_name, organization: None, hosts, usages: usages.clone(), days: *days };
            let made =
                signing::certificate(&ask, &authority.name, &ca, looked(seen)?).map_err(|why| why.to_string())?;
            let Some(replaces) = replaces else {
                let mut request = planned("")?;
                request.body = issued_secret(action.target(), &made.data());
                return Ok(Sent { effected: effected(action), to: kube(request) });
            };
            let path = ObjectId::new(ObjectKind::Secret, target).path();
            let found = get(bare, &target.context, &path).ok_or("the Secret is gone")?;
            let made =
                made.trusting(certificates::values(&found).get("ca.crt").map_or(&[], Vec::as_slice), looked(seen)?);
            let found = redacted(found);
            if uid(&found) != replaces.uid || fingerprint(&found) != replaces.fingerprint {
                return Err("another one than planned for".into());
            }
            let mut request = planned(found["metadata"]["resourceVersion"].as_str().unwrap_or_default())?;
            request.body["data"] = made.data();
            kube(request)
        }
        Action::UpdatePeerUrl(UpdatePeerUrl { target, id, pod, from, to, restores }) => {
            let tc = seen.tidb_cluster(target).ok_or("not seen")?;
            let door = door(seen, target, pod)?;
            let answer = seen.clusters[&target.context].pd[&door.key()].answer.clone()?;
            let member = answer.members.iter().find(|member| member.id == *id).ok_or("no such member")?;
            let checked = match restores {
                true => peer_url_check::check_restore(*id, to, tc.tls(), &answer.members),
                false => peer_url_check::check_update(
                    *id,
                    to,
                    &tc.expected_peer_url(pod, tc.tls()),
                    tc.tls(),
                    &answer.members,
                ),
            };
            checked.map_err(|bad| bad.to_string())?;
            if member.peer_urls != *from {
                return Err("the peerURLs are others than planned for".into());
            }
            let (method, path, body) = update_request(*id, to, answer.api.unwrap_or(MembershipApi::V3));
            pd(door, method, path, body.to_string())
        }
        Action::TransferPdLeader(TransferPdLeader { target, to }) => {
            pd(door(seen, target, "")?, "POST", transfer_path(to), String::new())
        }
        Action::RemovePdMember(RemovePdMember { target, id }) => {
            pd(door(seen, target, "")?, "DELETE", member_path(*id), String::new())
        }
        Action::WaitRollout(_)
        | Action::ProbePeerUrl(_)
        | Action::NetProbe(_)
        | Action::Await(_)
        | Action::Manual(_) => {
            return Err("this action sends nothing".into());
        }
    };
    Ok(Sent { effected: effected(action), to })
}

/// When the world was last looked at: the clock of this room.
fn looked(seen: &Fleet) -> Result<jiff::Timestamp, String> {
    seen.clusters.values().filter_map(|cluster| cluster.heard).max().ok_or_else(|| "never looked".into())
}

fn pd(door: ObjectRef, method: &str, path: String, body: String) -> To {
    let ObjectRef { context, namespace, name } = door;
    To::Pd { context, namespace, pod: name, method: method.to_owned(), path, body }
}

/// A healthy PD pod of the TidbCluster, another than `own` where there is one.
fn door(seen: &Fleet, target: &ObjectRef, own: &str) -> Result<ObjectRef, String> {
    let cluster = seen.clusters.get(&target.context).ok_or("not seen")?;
    let tc = seen.tidb_cluster(target).ok_or("not seen")?;
    let mut doors: Vec<_> = cluster
        .pd
        .iter()
        .filter(|(key, _)| {
            let pod = cluster.pods.get(key);
            key.namespace == target.namespace && pod.is_some_and(|pod| pod.instance() == Some(tc.instance()))
        })
        .collect();
    let healthy = |view: &tidepilot::fleet::pd::PdView| view.answer.as_ref().is_ok_and(|a| a.healthy == Some(true));
    doors.sort_by_key(|(key, view)| (key.name == own, !healthy(view), key.name.clone()));
    let (key, _) = doors.first().ok_or_else(|| format!("no PD pod of {target} answers"))?;
    Ok(ObjectRef::new(&target.context, &key.namespace, &key.name))
}

/// The values at the leaves of a merge patch; `null` and absent are one.
fn touched(merge: &Value, object: &Value) -> Value {
    match merge.as_object() {
        Some(map) if !map.is_empty() => {
            map.iter().map(|(key, value)| (key.clone(), touched(value, &object[key.as_str()]))).collect()
        }
        _ => object.clone(),
    }
}

impl Sent {
    /// What the request may change, so that one can see whether it did.
    pub fn place(&self, bare: &Bare) -> String {
        match &self.to {
            To::Kube { context, .. } => {
                bare.store(context).map(|store| store.version().to_string()).unwrap_or_default()
            }
            To::Pd { .. } => format!("{:?}", bare.databases()),
        }
    }

    pub fn deliver(&self, bare: &Bare) -> Answer {
        let (status, said) = match &self.to {
            To::Kube { context, method, path, content_type, body } => {
                let (status, said) = bare.ask(context, method, path, content_type, body.to_string().as_bytes());
                (status, said["message"].as_str().unwrap_or_default().to_owned())
            }
            To::Pd { context, namespace, pod, method, path, body } => {
                let request = PdRequest { method, path, local: false, body };
                match bare.ask_pd(context, namespace, pod, request) {
                    Some(answer) => answer,
                    None => return Answer::Unknown { reason: "no answer".into() },
                }
            }
        };
        match status {
            200..=299 => Answer::Accepted { status, detail: json!(said).to_string() },
            400..=499 => Answer::Refused { reason: format!("{status}: {said}") },
            _ => Answer::Unknown { reason: format!("{status}: {said}") },
        }
    }
}
