//! Asks the other PD pods whether a new peerURL resolves to its pod and can be reached; sends nothing to the member.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::action_types::{Request, version_request};
use super::super::before_after_image::Image;
use super::with_error::BadWith;
use super::{ActionKind, Does, WayBack, document, schema_of};
use crate::fleet::ObjectRef;
use crate::fleet::database::host;
use crate::fleet::kubectl_quoting::{kubectl, place, quote};
use crate::fleet::object_kind::ObjectId;
use crate::fleet::pd::{MemberId, MembershipApi};
use crate::runbook::Observation;
use crate::runbook::actions::api_request_parts::Sending;
use crate::runbook::actions::judge_types::{Judged, Look, views_of};
use crate::runbook::actions::right_types::{Need, Reach};
use crate::runbook::actions::script_writer::Script;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbePeerUrl {
    pub target: ObjectRef,
    pub id: MemberId,
    pub pod: String,
    pub url: String,
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
    /// Of the member; the others look.
    pod: String,
    /// The peerURL that will be.
    url: String,
}

impl ActionKind for ProbePeerUrl {
    fn read(with: Value, _: &Observation) -> Result<Self, BadWith> {
        let With { target, id, pod, url } = document(with)?;
        Ok(Self { target, id, pod, url })
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        json!({"target": self.target, "id": self.id, "pod": self.pod, "url": self.url})
    }

    fn target(&self) -> &ObjectRef {
        &self.target
    }

    fn does(&self) -> Does<'_> {
        Does::Looks
    }

    fn way_back(&self) -> WayBack {
        WayBack::Unneeded
    }

    fn unfamiliar(&self) -> Option<String> {
        None
    }

    fn objects(&self) -> Vec<ObjectId> {
        Vec::new()
    }

    fn rights(&self, reach: &Reach) -> Vec<Need> {
        let others = reach.tidb_clusters.iter().map(|(of, _)| of);
        let pods = others.chain([&self.target]);
        pods.flat_map(|of| Need::upgrade(of, "exec", "names are resolved inside the other PD pods")).collect()
    }

    fn judge(&self, look: &Look<'_>) -> Judged {
        if let Err(judged) = look.locate(&self.target) {
            return judged;
        }
        match views_of(self.id, &self.target, look.seen) {
            Ok(views) if views.values().all(|urls| urls == std::slice::from_ref(&self.url)) => Judged::Done {
                evidence: json!({"peerUrls": [self.url], "probe": "not needed: the member already has it"}),
            },
            Ok(views) => Judged::NotDone {
                before: Image::PeerUrls(views.into_values().next().unwrap_or_default()),
                after: Image::Url(self.url.clone()),
            },
            Err(why) => Judged::Waiting(why),
        }
    }

    fn images(&self) -> (Option<Image>, Option<Image>) {
        (None, None)
    }

    fn requests(&self, _: &Sending<'_>) -> Vec<Request> {
        Vec::new()
    }

    fn command(&self, _: Option<MembershipApi>, _: bool) -> String {
        format!(
            "kubectl {} exec ANOTHER-PD-POD -c pd -- wget -qO- -T 5 {}",
            place(&self.target),
            quote(&format!("{}/version", self.url))
        )
    }

    fn script(&self, script: &mut Script<'_>) {
        let host = host(&self.url).unwrap_or_default();
        let asks: Vec<String> = version_request(&self.url).iter().map(|word| quote(word)).collect();
        let others = script.pd_pods.get(&self.target).into_iter().flatten();
        let from: Vec<&String> = others.filter(|other| **other != self.pod).collect();
        let from = if from.is_empty() { vec![&self.pod] } else { from };
        for other in from {
            let exec = format!("{} exec {} -c pd --", kubectl(&self.target), quote(other));
            let _ = writeln!(script.out, "{exec} nslookup {}", quote(host));
            let _ = writeln!(script.out, "{exec} {}", asks.join(" "));
        }
    }

    fn told(&self) -> String {
        format!("Look from the other PD pods whether {} leads to {}", self.url, self.pod)
    }

    fn deed(&self) -> String {
        format!("looks around {}", self.target)
    }
}
