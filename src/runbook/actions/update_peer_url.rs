//! Replaces one member's peerURLs, and puts them back; only ever to a URL that our own check lets through.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::Observation;
use super::super::action_types::Request;
use super::super::before_after_image::Image;
use super::undo_trait::{Back, Part, Sets, Undoing};
use super::with_error::BadWith;
use super::{Action, ActionKind, Does, ProbePeerUrl, WayBack, document, schema_of};
use crate::fleet::ObjectRef;
use crate::fleet::database::database_of;
use crate::fleet::kubectl_quoting::quote;
use crate::fleet::object_kind::ObjectId;
use crate::fleet::pd::{MemberId, MembershipApi};
use crate::fleet::peer_url_check;
use crate::fleet::tls_toggle::speaks_tls;
use crate::runbook::actions::api_request_parts::Sending;
use crate::runbook::actions::judge_types::{Judged, Look, pd_answers, views_of};
use crate::runbook::actions::pd_requests::update_request;
use crate::runbook::actions::port_forward_script;
use crate::runbook::actions::right_types::{Need, Reach};
use crate::runbook::actions::script_writer::Script;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpdatePeerUrl {
    pub target: ObjectRef,
    pub id: MemberId,
    pub pod: String,
    pub from: Vec<String>,
    pub to: Vec<String>,
    /// Puts a recorded value back, which need not be the URL expected of the pod today. Only an undo makes
    /// such an action; a document cannot ask for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restores: bool,
}

/// Its `with`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct With {
    /// The TidbCluster.
    target: ObjectRef,
    /// Of the member, hexadecimal.
    #[schemars(with = "String")]
    id: MemberId,
    /// Of the member.
    pod: String,
    /// The peerURLs that it has to have still.
    from: Vec<String>,
    /// The peerURLs that it gets.
    to: Vec<String>,
}

impl ActionKind for UpdatePeerUrl {
    fn read(with: Value, _: &Observation) -> Result<Self, BadWith> {
        let With { target, id, pod, from, to } = document(with)?;
        Ok(Self { target, id, pod, from, to, restores: false })
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        json!({"target": self.target, "id": self.id, "pod": self.pod, "from": self.from, "to": self.to})
    }

    fn target(&self) -> &ObjectRef {
        &self.target
    }

    fn does(&self) -> Does<'_> {
        Does::Sets(self)
    }

    fn way_back(&self) -> WayBack {
        WayBack::PutsBack
    }

    fn unfamiliar(&self) -> Option<String> {
        None
    }

    fn objects(&self) -> Vec<ObjectId> {
        Vec::new()
    }

    /// Through the port-forward, as every question to PD.
    fn rights(&self, _: &Reach) -> Vec<Need> {
        Need::pd(&self.target)
    }

    fn judge(&self, look: &Look<'_>) -> Judged {
        let Self { target, id, pod, from, to, restores } = self;
        let seen = look.seen;
        let (cluster, tc) = match look.locate(target) {
            Ok(found) => found,
            Err(judged) => return judged,
        };
        if let Some(elsewhere) = member_elsewhere(target, seen).filter(|_| *restores) {
            return Judged::Refuse(format!(
                "PD member {elsewhere} is not of {target}, so it may not resolve the old peerURLs; they are not put back"
            ));
        }
        let views = match views_of(*id, target, seen) {
            Ok(views) => views,
            Err(why) => return Judged::Waiting(why),
        };
        if views.values().all(Vec::is_empty) {
            return Judged::Refuse(format!("member {id} is no longer in the membership"));
        }
        if views.values().all(|urls| urls == to) {
            return Judged::Done { evidence: json!({"peerUrls": views}) };
        }
        if views.values().any(|urls| urls == to) && views.values().all(|urls| urls == to || urls == from) {
            return Judged::Waiting(format!("not every PD pod lists the new peerURL of {pod} yet"));
        }
        if views.values().all(|urls| urls == from) {
            if let Some(toggle) = database_of(&seen.fleet, target).as_ref().and_then(|one| one.toggled(target)) {
                let why = format!("{}; {}", toggle.sentence(), toggle.advice());
                return Judged::Refuse(format!("the peerURL of {pod} was not sent: {why}"));
            }
            let tls = speaks_tls(cluster, tc, pod);
            let proper = tc.expected_peer_url(pod, tls);
            for answer in pd_answers(target, seen).values() {
                let checked = match restores {
                    true => peer_url_check::check_restore(*id, to, tls, &answer.members),
                    false => peer_url_check::check_update(*id, to, &proper, tls, &answer.members),
                };
                if let Err(bad) = checked {
                    return Judged::Refuse(format!("the peerURL of {pod} was not sent: {bad}"));
                }
            }
            return Judged::NotDone { before: Image::PeerUrls(from.clone()), after: Image::PeerUrls(to.clone()) };
        }
        let theirs = views.values().find(|urls| *urls != from && *urls != to).cloned().unwrap_or_default();
        let sentence = format!(
            "somebody else changed the peerURL of {pod} ({id}): it was {}, this run sets {}, and now it is {} (PD keeps no record of who changed it)",
            from.join(", "),
            to.join(", "),
            if theirs.is_empty() { "not the same in every PD pod".to_owned() } else { theirs.join(", ") }
        );
        let before = look.expected.cloned().unwrap_or_else(|| Image::PeerUrls(from.clone()));
        Judged::Foreign { sentence, before, ours: Image::PeerUrls(to.clone()), theirs: Image::PeerUrls(theirs) }
    }

    fn images(&self) -> (Option<Image>, Option<Image>) {
        (Some(Image::PeerUrls(self.from.clone())), Some(Image::PeerUrls(self.to.clone())))
    }

    fn requests(&self, sending: &Sending<'_>) -> Vec<Request> {
        let (method, path, body) = update_request(self.id, &self.to, sending.api.unwrap_or(MembershipApi::V3));
        vec![Request {
            context: self.target.context.clone(),
            pod: Some(format!("{}/{}", self.target.namespace, self.pod)),
            method: method.into(),
            path,
            content_type: "application/json".into(),
            body,
        }]
    }

    fn command(&self, api: Option<MembershipApi>, tls: bool) -> String {
        let (method, path, body) = update_request(self.id, &self.to, api.unwrap_or(MembershipApi::V3));
        let call = format!("{method} {} {}", quote(&path), quote(&body.to_string()));
        port_forward_script::line(&self.target, &self.pod, &call, tls)
    }

    fn script(&self, script: &mut Script<'_>) {
        let Self { target, pod, from, to, .. } = self;
        let api = script.api.unwrap_or(MembershipApi::V3);
        let list = match api {
            MembershipApi::V2 => "GET /v2/members".to_owned(),
            MembershipApi::V3 => "POST /v3/cluster/member/list '{}'".to_owned(),
        };
        let call = |pod: &String, rest: &str| {
            let [context, namespace, pod] = [&target.context, &target.namespace, pod].map(|text| quote(text));
            format!("pd {context} {namespace} {pod} \"$database\" {rest}")
        };
        let listed = |urls: &[String]| {
            let quoted: Vec<String> = urls.iter().map(|url| Value::String(url.clone()).to_string()).collect();
            quote(&quoted.join(","))
        };
        let others: Vec<&String> = script.pd_pods.get(target).into_iter().flatten().collect();
        let out = &mut *script.out;
        let _ = writeln!(out, "if {} | grep -F {} >/dev/null; then", call(pod, &list), listed(to));
        out.push_str("  echo 'already so'\nelse\n");
        let _ = writeln!(out, "  {} | grep -F {} >/dev/null # still the old one", call(pod, &list), listed(from));
        let (method, path, body) = update_request(self.id, to, api);
        let update = format!("{method} {} {}", quote(&path), quote(&body.to_string()));
        let _ = writeln!(out, "  {}\nfi", call(pod, &update));
        let witness = others.into_iter().find(|other| *other != pod).unwrap_or(pod);
        let _ =
            writeln!(out, "# a member's list is its own, and it learns of a change a moment later: ask another one");
        let _ = writeln!(out, "tries=0");
        let _ = writeln!(out, "until {} | grep -F {} >/dev/null; do", call(witness, &list), listed(to));
        out.push_str("  tries=$((tries + 1))\n  test \"$tries\" -lt 10 || { echo 'not verified' >&2; exit 1; }\n  sleep 1\ndone\necho verified\n");
    }

    fn told(&self) -> String {
        format!("Set the peerURLs of {} of {} to {}", self.pod, self.target, self.to.join(", "))
    }

    fn deed(&self) -> String {
        format!("sets the peerURLs of PD member {} (pod {}) of {}", self.id.hex(), self.pod, self.target)
    }
}

impl Sets for UpdatePeerUrl {
    /// Looks from the other PD pods at each recorded peerURL, then puts them back.
    fn back(&self, of: &Undoing<'_>) -> Option<Vec<Back>> {
        let Self { target, id, pod, to: ours, .. } = self;
        let before = of.image.peer_urls()?;
        let probe = |(number, url): (usize, &String)| {
            let probe = ProbePeerUrl { target: target.clone(), id: *id, pod: pod.clone(), url: url.clone() };
            let title = format!("Probe the former peerURL of {pod} from the other PD pods");
            let part = Part::Looks { number, title, after: Image::Url(url.clone()) };
            Back { action: Action::ProbePeerUrl(probe), part }
        };
        let mut all: Vec<Back> = before.iter().enumerate().map(probe).collect();
        let title = format!("Put the peerURL of {pod} back to {}", before.join(", "));
        let back = Self { from: ours.clone(), to: before.clone(), restores: true, ..self.clone() };
        let part = Part::Sets { title, before: Image::PeerUrls(ours.clone()), after: Image::PeerUrls(before) };
        all.push(Back { action: Action::UpdatePeerUrl(back), part });
        Some(all)
    }

    fn line_back(&self, api: Option<MembershipApi>, _: &Image) -> Option<String> {
        let tls = self.to.iter().chain(&self.from).any(|url| url.starts_with("https://"));
        let back = Self { from: self.to.clone(), to: self.from.clone(), ..self.clone() };
        Some(back.command(api, tls))
    }
}

/// A member of the same Database that is not of this TidbCluster: a peerURL without a domain may mean nothing to it.
fn member_elsewhere(target: &ObjectRef, seen: &Observation) -> Option<String> {
    let members = database_of(&seen.fleet, target)?.members;
    let elsewhere = members.into_iter().find(|member| member.place.of() != Some(target))?;
    Some(if elsewhere.name.is_empty() { elsewhere.id.to_string() } else { elsewhere.name })
}
