//! A merge patch of named fields of a TidbCluster, bound to the uid and the resourceVersion that were seen.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::action_types::{RESTARTED_AT, Request, Reversibility};
use super::super::before_after_image::Image;
use super::undo_trait::{Back, Part, Sets, Undoing};
use super::with_error::BadWith;
use super::{Action, ActionKind, Does, WaitRollout, WayBack, document, schema_of};
use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::{kubectl, place, quote};
use crate::fleet::managed_fields::last_writer_of_fields;
use crate::fleet::object_kind::ObjectId;
use crate::fleet::pd::MembershipApi;
use crate::fleet::rollout::revisions;
use crate::fleet::tidbcluster::Component;
use crate::runbook::Observation;
use crate::runbook::actions::api_request_parts::{Sending, tidb_cluster_path};
use crate::runbook::actions::change_allowlist;
use crate::runbook::actions::judge_types::{Judged, Look, shown};
use crate::runbook::actions::merge_patch;
use crate::runbook::actions::right_types::{Need, Reach, Right};
use crate::runbook::actions::script_writer::Script;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatchTidbCluster {
    pub target: ObjectRef,
    pub uid: String,
    pub merge: Value,
}

/// Its `with`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct With {
    /// The TidbCluster.
    target: ObjectRef,
    /// JSON merge patch (RFC 7386) of `metadata` and `spec`.
    merge: Value,
}

impl PatchTidbCluster {
    /// Whether the operator takes the pods away for it.
    pub fn suspends(&self) -> bool {
        self.merge.pointer("/spec/suspendAction/suspendStatefulSet") == Some(&Value::Bool(true))
    }
}

impl ActionKind for PatchTidbCluster {
    fn read(with: Value, seen: &Observation) -> Result<Self, BadWith> {
        let With { target, merge } = document(with)?;
        let tc = seen
            .fleet
            .tidb_cluster(&target)
            .ok_or_else(|| BadWith::NotSeen(format!("there is no TidbCluster {target}")))?;
        if merge.pointer("/spec/tlsCluster").is_some() {
            return BadWith::refused(
                "tlsCluster is not toggled on a live cluster (the scheme of the peerURLs would not follow)",
            );
        }
        Ok(Self { uid: tc.metadata.uid.clone(), target, merge })
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        json!({"target": self.target, "merge": self.merge})
    }

    fn target(&self) -> &ObjectRef {
        &self.target
    }

    fn does(&self) -> Does<'_> {
        Does::Sets(self)
    }

    fn way_back(&self) -> WayBack {
        if lasting(&self.merge) { WayBack::Lasting } else { WayBack::PutsBack }
    }

    fn unfamiliar(&self) -> Option<String> {
        change_allowlist::patched(&self.merge)
    }

    fn objects(&self) -> Vec<ObjectId> {
        Vec::new()
    }

    fn rights(&self, _: &Reach) -> Vec<Need> {
        let right = |verb: &str| Right {
            context: self.target.context.clone(),
            verb: verb.into(),
            group: "pingcap.com".into(),
            resource: "tidbclusters".into(),
            namespace: self.target.namespace.clone(),
            name: self.target.name.clone(),
            ..Right::default()
        };
        let why = "the TidbCluster is read again just before it is patched";
        ["get", "patch"].map(|verb| Need::required(right(verb), why)).into()
    }

    fn judge(&self, look: &Look<'_>) -> Judged {
        let (cluster, tc) = match look.locate(&self.target) {
            Ok(found) => found,
            Err(judged) => return judged,
        };
        if tc.metadata.uid != self.uid {
            return Judged::Refuse(format!(
                "TidbCluster {}/{} is not the one of the plan: expected uid {}, found {}",
                tc.namespace(),
                tc.name(),
                self.uid,
                tc.metadata.uid
            ));
        }
        let Ok(object) = serde_json::to_value(tc) else {
            return Judged::Refuse("the TidbCluster could not be read back".into());
        };
        let now = merge_patch::found(&self.merge, &object);
        let wanted = merge_patch::asked(&self.merge);
        if merge_patch::holds(&self.merge, &object) {
            return Judged::Done { evidence: json!({"fields": now, "resourceVersion": tc.metadata.resource_version}) };
        }
        match look.expected.and_then(Image::fields) {
            Some(before) if !merge_patch::unchanged(&self.merge, before, &object) => {
                let moved: Vec<&str> = now
                    .iter()
                    .filter(|(field, value)| before.get(field.as_str()) != Some(value))
                    .map(|(field, _)| field.as_str())
                    .collect();
                let told: Vec<String> = moved
                    .iter()
                    .map(|field| {
                        let (was, ours, theirs) = (before.get(*field), wanted.get(*field), now.get(*field));
                        format!(
                            "{field} was {}, this run sets {}, and now it is {}",
                            shown(was),
                            shown(ours),
                            shown(theirs)
                        )
                    })
                    .collect();
                let who = last_writer_of_fields(tc, &moved).map_or_else(String::new, |who| format!(" ({who})"));
                Judged::Foreign {
                    sentence: format!(
                        "somebody else changed TidbCluster {}/{}/{} meanwhile: {}{who}",
                        cluster.context,
                        tc.namespace(),
                        tc.name(),
                        told.join("; ")
                    ),
                    before: Image::from(Value::Object(before.clone())),
                    ours: Image::from(json!(wanted)),
                    theirs: Image::from(json!(now)),
                }
            }
            // The revisions belong to the before-image: a later wait must see them move.
            Some(_) | None => Judged::NotDone {
                before: Image::before_patch(now, revisions(cluster, tc)),
                after: Image::of_fields(wanted),
            },
        }
    }

    fn images(&self) -> (Option<Image>, Option<Image>) {
        (None, Some(Image::of_fields(merge_patch::asked(&self.merge))))
    }

    fn requests(&self, sending: &Sending<'_>) -> Vec<Request> {
        let body = self.body(sending.resource_version).unwrap_or(Value::Null);
        vec![Request {
            context: self.target.context.clone(),
            pod: None,
            method: "PATCH".into(),
            path: format!(
                "{}?fieldManager={}&fieldValidation=Strict",
                tidb_cluster_path(&self.target),
                sending.field_manager
            ),
            content_type: "application/merge-patch+json".into(),
            body,
        }]
    }

    fn command(&self, _: Option<MembershipApi>, _: bool) -> String {
        format!(
            "kubectl {} patch tidbcluster {} --type merge -p {}",
            place(&self.target),
            quote(&self.target.name),
            quote(&self.merge.to_string())
        )
    }

    fn script(&self, script: &mut Script<'_>) {
        // The uid makes the server refuse another object of the same name.
        let mut body = self.merge.clone();
        if let Some(root) = body.as_object_mut() {
            root.entry("metadata").or_insert_with(|| Value::Object(serde_json::Map::new()))["uid"] =
                Value::String(self.uid.clone());
        }
        let _ = writeln!(
            script.out,
            "{} patch tidbclusters.pingcap.com {} --type merge -p {}",
            kubectl(&self.target),
            quote(&self.target.name),
            quote(&body.to_string())
        );
    }

    fn told(&self) -> String {
        let fields = merge_patch::asked(&self.merge).into_iter().map(|(path, value)| match value {
            Value::Null => format!("{path} removed"),
            value => format!("{path} = {value}"),
        });
        format!("Patch TidbCluster {}: {}", self.target, fields.collect::<Vec<_>>().join(", "))
    }

    fn deed(&self) -> String {
        format!("changes TidbCluster {}", self.target)
    }
}

impl Sets for PatchTidbCluster {
    /// Puts the patched fields back, and waits again for what the first patch was waited for.
    fn back(&self, of: &Undoing<'_>) -> Option<Vec<Back>> {
        let fields = of.image.fields()?;
        let merge = merge_patch::with_values("", &self.merge, fields)?;
        let back = Self { target: self.target.clone(), uid: self.uid.clone(), merge };
        if back.way_back().reversibility() == Reversibility::Irreversible {
            return None;
        }
        let sets = Part::Sets {
            title: format!("Put the fields of TidbCluster {} back as they were before {}", self.target.name, of.step),
            before: Image::of_fields(merge_patch::asked(&self.merge)),
            after: Image::Fields { fields: fields.clone(), revisions: None },
        };
        let mut all = vec![Back { action: Action::PatchTidbCluster(back), part: sets }];
        all.extend(of.waits.iter().map(|(like, rollout)| {
            let (target, since) = (self.target.clone(), Some(of.back.to_owned()));
            let action = Action::WaitRollout(WaitRollout { target, since, component: rollout.component });
            Back { action, part: Part::Waits { like: (*like).to_owned() } }
        }));
        Some(all)
    }

    fn line_back(&self, _: Option<MembershipApi>, before: &Image) -> Option<String> {
        let Value::Object(fields) = before.subject() else { return None };
        let merge = merge_patch::with_values("", &self.merge, &fields)?;
        Some(Self { target: self.target.clone(), uid: self.uid.clone(), merge }.command(None, false))
    }
}

impl PatchTidbCluster {
    /// The merge patch with the condition which the server checks.
    pub fn body(&self, resource_version: &str) -> Option<Value> {
        let mut body = self.merge.clone();
        let root = body.as_object_mut()?;
        let metadata = root.entry("metadata").or_insert_with(|| json!({}));
        metadata["uid"] = json!(self.uid);
        metadata["resourceVersion"] = json!(resource_version);
        Some(body)
    }
}

/// Setting `clusterDomain` has no rollback (hazard 2), nor has another version (hazard 50: there is no downgrade), nor
/// another number of instances that hold data. To put a restart mark back would be another restart.
fn lasting(merge: &Value) -> bool {
    let has = |at: &str| merge.pointer(at).is_some();
    let holds_data = [Component::Pd, Component::Tikv, Component::Tiflash, Component::Pump];
    has("/spec/clusterDomain")
        || has("/spec/version")
        || has("/spec/tlsCluster")
        || holds_data.iter().any(|component| has(&format!("/spec/{}/replicas", component.key())))
        || Component::ALL.iter().any(|component| {
            has(&format!("/spec/{}/version", component.key()))
                || has(&format!("/spec/{}/annotations/{}", component.key(), RESTARTED_AT.replace('/', "~1")))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_way_back() {
        let cases = [
            (json!({"spec": {"acrossK8s": true}}), false),
            (json!({"spec": {"clusterDomain": "a.com", "acrossK8s": true}}), true),
            (json!({"spec": {"tikv": {"version": "v8.5.7"}}}), true),
            (json!({"spec": {"tikv": {"replicas": 0}}}), true),
            (json!({"spec": {"tidb": {"replicas": 0}}}), false),
            (json!({"spec": {"tidb": {"annotations": {RESTARTED_AT: "x"}}}}), true),
            (json!({"metadata": {"annotations": {"tidb.pingcap.com/pd-check-quorum-before-upgrade": "true"}}}), false),
        ];
        for (merge, expected) in cases {
            assert_eq!(lasting(&merge), expected, "{merge}");
        }
    }

    #[test]
    fn the_patch_carries_its_condition() {
        let action = PatchTidbCluster {
            target: ObjectRef::new("east", "db", "basic"),
            uid: "u1".into(),
            merge: json!({"spec": {"acrossK8s": true}}),
        };
        let body = action.body("77").expect("a patch");
        assert_eq!(body, json!({"spec": {"acrossK8s": true}, "metadata": {"uid": "u1", "resourceVersion": "77"}}));
        assert_eq!(action.way_back(), WayBack::PutsBack);
        assert!(action.command(None, false).contains("-p '{\"spec\":{\"acrossK8s\":true}}'"));
    }
}
