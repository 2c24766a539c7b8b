//! Waits until a rolling restart has really ended; sends nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::Observation;
use super::super::action_types::Request;
use super::super::before_after_image::Image;
use super::with_error::BadWith;
use super::{ActionKind, Does, WayBack, document, schema_of};
use crate::fleet::certificate_facts::SecretFacts;
use crate::fleet::database::database_of;
use crate::fleet::kubectl_quoting::{kubectl, place, quote};
use crate::fleet::managed_fields::last_writer_of_fields;
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use crate::fleet::pd::MembershipApi;
use crate::fleet::rollout::{revisions, rollout};
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::tls::operator_asks;
use crate::fleet::{KubeCluster, ObjectRef};
use crate::runbook::actions::api_request_parts::{Sending, unpause};
use crate::runbook::actions::judge_types::{Judged, Look};
use crate::runbook::actions::right_types::{Need, Reach};
use crate::runbook::actions::script_writer::Script;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitRollout {
    pub target: ObjectRef,
    /// The step whose patch started it; its Intent holds the revisions from before.
    pub since: Option<String>,
    /// Only this component; without, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Component>,
}

/// Its `with`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct With {
    /// The TidbCluster.
    target: ObjectRef,
    /// Id of the step whose patch started it: every revision that it moves must have changed since.
    since: Option<String>,
    /// Only this component; without, all of them.
    #[serde(default)]
    component: Option<Component>,
}

impl ActionKind for WaitRollout {
    fn read(with: Value, _: &Observation) -> Result<Self, BadWith> {
        let With { target, since, component } = document(with)?;
        Ok(Self { target, since, component })
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        json!({"target": self.target, "since": self.since, "component": self.component})
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

    /// It only reads what is listed anyway.
    fn rights(&self, _: &Reach) -> Vec<Need> {
        Vec::new()
    }

    fn judge(&self, look: &Look<'_>) -> Judged {
        let (cluster, tc) = match look.locate(&self.target) {
            Ok(found) => found,
            Err(judged) => return judged,
        };
        match self.rolled(look.started, cluster, tc) {
            Judged::Waiting(why) => Judged::Waiting(format!("{why}{}", blinded(&self.target, tc, look.seen))),
            other => other,
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
            "kubectl {} get statefulset,pod -l {} -w",
            place(&self.target),
            quote(&format!("app.kubernetes.io/instance={}", self.target.name))
        )
    }

    fn script(&self, script: &mut Script<'_>) {
        let kubectl = kubectl(&self.target);
        let total_s = script.total_s;
        let image = self.since.as_deref().and_then(|id| script.befores.get(id).copied());
        let revisions = image.and_then(Image::revisions);
        let moves = |component: &String| self.component.is_none_or(|only| only.key() == component);
        // Right after the patch every StatefulSet still looks finished: its revision has to move first.
        for (component, revision) in revisions.into_iter().flatten().filter(|(component, _)| moves(component)) {
            let set = quote(&format!("{}-{component}", self.target.name));
            let old = quote(revision.as_str().unwrap_or_default());
            let _ = writeln!(
                script.out,
                "until test \"$({kubectl} get statefulset {set} -o jsonpath='{{.status.updateRevision}}')\" != {old}; do sleep 5; done"
            );
            let _ = writeln!(script.out, "{kubectl} rollout status statefulset/{set} --timeout={total_s}s");
        }
        if revisions.is_none_or(serde_json::Map::is_empty) {
            let selector = quote(&format!("app.kubernetes.io/instance={}", self.target.name));
            let _ = writeln!(script.out, "for set in $({kubectl} get statefulset -l {selector} -o name); do");
            let _ = writeln!(script.out, "  {kubectl} rollout status \"$set\" --timeout={total_s}s\ndone");
        }
    }

    fn told(&self) -> String {
        format!("Wait for the rolling restart of {}", self.target)
    }

    fn deed(&self) -> String {
        format!("waits for {}", self.target)
    }
}

impl WaitRollout {
    fn rolled(&self, started: Option<&Image>, cluster: &KubeCluster, tc: &TidbCluster) -> Judged {
        let only = self.component;
        if tc.paused() {
            let who = last_writer_of_fields(tc, &["spec.paused"]).map_or_else(String::new, |who| format!(" ({who})"));
            let of = ObjectRef::new(&cluster.context, tc.namespace(), tc.name());
            return Judged::Refuse(format!(
                "TidbCluster {of} is paused (spec.paused is true): the operator does nothing, so this wait would never end{who}. Unpause it: `{}`",
                unpause(&of)
            ));
        }
        // Nothing would come of waiting for what has no pods. Of a whole TidbCluster the others still roll.
        if let Some(component) = only.filter(|component| tc.asks_to_suspend(*component)) {
            return Judged::Refuse(format!(
                "{} of TidbCluster {} is suspended (suspendAction): it has no pods that could roll; resume it first",
                component.title(),
                tc.name()
            ));
        }
        let mut now = revisions(cluster, tc);
        let mut all = rollout(cluster, tc);
        if let Some(only) = only {
            now.retain(|key, _| key == only.key());
            all.retain(|component| component.component == only);
        }
        // What is moving tells more than what has not begun: the operator goes component by component.
        if let Some(component) = all.iter().find(|component| !component.settled) {
            return Judged::Waiting(component.reason.clone());
        }
        // Right after a patch everything still describes the old state, so each revision has to move.
        let before = started.and_then(Image::revisions);
        let waits = |component: &&Component| {
            let was = before.and_then(|before| before.get(component.key())).and_then(Value::as_str);
            was.is_some() && was == now.get(component.key()).map(String::as_str) && !unmoved(**component, started, tc)
        };
        let asked = |component: &&Component| only.is_none_or(|only| only == **component);
        if let Some(component) = Component::ALL.iter().filter(asked).find(waits) {
            return Judged::Waiting(format!("waiting for the operator to begin with {}", component.title()));
        }
        Judged::Done {
            evidence: json!({"revisions": now, "pods": all.iter().map(|c| (c.component.key(), c.ready)).collect::<BTreeMap<_, _>>()}),
        }
    }
}

/// Why the operator cannot reach PD, where an object shows it: a rest of a sentence.
fn blinded(target: &ObjectRef, tc: &TidbCluster, seen: &Observation) -> String {
    if tc.status.pd.synced == Some(true) {
        return String::new();
    }
    if let Some(toggle) = database_of(&seen.fleet, target).as_ref().and_then(|database| database.toggled(target)) {
        return format!(": {}; {}", toggle.sentence(), toggle.advice());
    }
    let secret = format!("{}-pd-cluster-secret", tc.name());
    let at = ObjectId::new(ObjectKind::Secret, &ObjectRef::new(&target.context, &target.namespace, &secret));
    let facts = seen.fleet.sight(&at).and_then(Lookup::present).and_then(SecretFacts::of).filter(|_| tc.tls());
    let asked = operator_asks(tc.name(), tc.namespace(), tc.domain());
    match facts.and_then(|facts| facts.certificate) {
        Some(certificate) if !certificate.names(&asked) => format!(
            ": PD's certificate (Secret {secret}) lacks the name {asked}, by which the operator asks; stop this run (its record stays), run renew-certificates for {target}, and resume it"
        ),
        Some(_) | None => String::new(),
    }
}

/// Whether a component's start script does not depend on what was patched: PD's asks for acrossK8s *or*
/// clusterDomain (`domain.md` §2.4), so acrossK8s on top of a domain restarts everything but PD. Of any other patch this says
/// nothing: a mark or a version restarts PD as it does the others.
fn unmoved(component: Component, started: Option<&Image>, tc: &TidbCluster) -> bool {
    let fields = started.and_then(Image::fields);
    let opens = fields.is_some_and(|fields| {
        let opening = |name: &String| name == "spec.acrossK8s" || name == "spec.clusterDomain";
        fields.contains_key("spec.acrossK8s") && fields.keys().all(opening)
    });
    let domain_before = fields.and_then(|fields| fields.get("spec.clusterDomain"));
    let same_domain = domain_before.is_none_or(|before| before.as_str() == tc.domain());
    component == Component::Pd && tc.domain().is_some() && opens && same_domain
}
