//! What a runbook step can do: one file per action, each with all that is known of it.
//!
//! A new action is its file, its `mod` line and its line in the list below; what the compiler then asks for is what
//! [`ActionKind`] wants to know, and its arm in `client::write`. Nothing in the trait has a default, so nothing can be
//! forgotten. Pure. Not here: carrying an action out (`client::write`), what all actions share ([`super::action_types`]).

pub mod api_request_parts;
mod await_until;
pub(super) mod change_allowlist;
mod copy_secret;
mod create_object;
mod delete_object;
#[cfg(test)]
mod golden_tests;
mod issue_ca;
mod issue_certificate;
mod issued_certificate_check;
pub mod judge_types;
mod manual;
pub mod merge_patch;
mod net_probe;
pub mod network_probe_result;
pub mod openssl_commands;
mod patch_tidb_cluster;
pub mod pd_requests;
pub mod port_forward_script;
mod probe_peer_url;
mod remove_pd_member;
pub mod right_types;
pub(super) mod script_writer;
mod transfer_pd_leader;
pub(super) mod undo_trait;
pub mod untrusted_plan;
mod update_peer_url;
mod wait_rollout;
mod with_error;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action_types::{Request, Reversibility};
use super::before_after_image::Image;
use crate::fleet::ObjectRef;
use crate::fleet::object_kind::{ObjectId, ObjectKind};
use crate::fleet::pd::MembershipApi;
use crate::runbook::Observation;
use crate::runbook::actions::api_request_parts::Sending;
use crate::runbook::actions::judge_types::{Judged, Look};
use crate::runbook::actions::right_types::{Need, Reach};
use crate::runbook::actions::script_writer::Script;
use crate::runbook::actions::undo_trait::Sets;
use crate::runbook::actions::with_error::BadWith;

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $Action:ident in $file:ident, $name:literal;)+) => {
        $(pub use $file::$Action;)+

        /// One typed action, as plans and journals have it: the closed set of what can be done to the world.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        pub enum Action {
            $($(#[doc = $doc])+ $Action($Action),)+
        }

        /// What a document calls an action.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        pub enum ActionName {
            $(#[serde(rename = $name)] $Action,)+
        }

        impl ActionName {
            pub const ALL: &[Self] = &[$(Self::$Action,)+];

            /// As a document writes it.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$Action => $name,)+
                }
            }

            /// What it does.
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$Action => concat!($($doc),+),)+
                }
            }

            /// JSON Schema (draft 2020-12) of its filled `with`, with the meaning of each field.
            pub fn schema(self) -> Schema {
                match self {
                    $(Self::$Action => <$Action as ActionKind>::schema(),)+
                }
            }
        }

        impl Action {
            /// All that is known of it.
            pub(in crate::runbook) fn kind(&self) -> &dyn ActionKind {
                match self {
                    $(Action::$Action(own) => own,)+
                }
            }

            pub fn name(&self) -> ActionName {
                match self {
                    $(Action::$Action(_) => ActionName::$Action,)+
                }
            }

            /// Makes the action of a step from its filled `with`.
            pub(in crate::runbook) fn read(
                name: ActionName,
                with: Value,
                seen: &Observation,
            ) -> Result<Self, BadWith> {
                match name {
                    $(ActionName::$Action => $Action::read(with, seen).map(Action::$Action),)+
                }
            }
        }
    };
}

actions! {
    /// A JSON merge patch of named fields of a TidbCluster, with uid and resourceVersion in the body.
    PatchTidbCluster in patch_tidb_cluster, "k8s.patch-tidb-cluster";
    /// Sends nothing: waits until the rolling restart has really ended.
    WaitRollout in wait_rollout, "tidb.wait-rollout";
    /// Asks the *other* PD pods to resolve the new name and to reach it. Sends nothing to the member.
    ProbePeerUrl in probe_peer_url, "pd.probe-peer-url";
    /// Replaces one member's peerURLs, through v2 or v3 as the server has it.
    UpdatePeerUrl in update_peer_url, "pd.update-peer-url";
    /// Creates an object that is not there yet; the server refuses a second one of the same name.
    CreateObject in create_object, "k8s.create";
    /// Deletes one object, and no other that may have taken its name: the server checks the uid.
    DeleteObject in delete_object, "k8s.delete";
    /// Copies named keys of a Secret to a Secret of another name or KubeCluster. The values pass through the client only.
    CopySecret in copy_secret, "k8s.copy-secret";
    /// Makes a CA and stores it as a Secret. The key is made when it is sent, and is in no plan and no journal.
    IssueCa in issue_ca, "tls.issue-ca";
    /// Makes a certificate, signed by the CA in the Secret `authority`, and stores it as a Secret.
    IssueCertificate in issue_certificate, "tls.issue";
    /// Asks PD to transfer its leadership to a member; whether it did is seen afterwards.
    TransferPdLeader in transfer_pd_leader, "pd.transfer-leader";
    /// Removes a PD member by its id.
    RemovePdMember in remove_pd_member, "pd.remove-member";
    /// From a probe pod at each place: does every other one's name resolve, is every port open? Sends nothing that
    /// changes anything.
    NetProbe in net_probe, "net.probe";
    /// Sends nothing: the step is done when its `until` holds.
    Await in await_until, "await";
    /// Sends nothing: a person is shown a command, and the step is done when its `until` holds.
    Manual in manual, "manual";
}

/// What an action does to the world.
pub(in crate::runbook) enum Does<'a> {
    /// Nothing: its step's own `until` decides, and nothing else.
    Waits,
    /// Nothing: what a look sees decides.
    Looks,
    /// It sets values of something that is there.
    Sets(&'a dyn Sets),
    /// It makes an object of this kind at its target.
    Makes(ObjectKind),
    /// It takes something away, or asks for something that is no value.
    Changes,
}

/// What can be had back of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayBack {
    /// Nothing is changed.
    Unneeded,
    /// The value from before is set again.
    PutsBack,
    /// What was made is deleted again.
    Deletes,
    /// Nothing is put back, though nothing is lost by it: a leader that went elsewhere, an object that is made again.
    Stays,
    /// None: what it sets is for good.
    Lasting,
    /// None by itself: whoever joins is in the membership at once, and would have to leave again.
    Joined,
    /// None: what it takes away is gone.
    Gone,
}

/// All that has to be known of an action.
pub(in crate::runbook) trait ActionKind {
    /// From a filled `with`, with what the look has to add (uids). Here are the limits of what a document can ask for.
    fn read(with: Value, seen: &Observation) -> Result<Self, BadWith>
    where
        Self: Sized;
    /// JSON Schema of its `with`.
    fn schema() -> Schema
    where
        Self: Sized;
    /// As a document would write its `with`.
    fn written(&self) -> Value;
    fn target(&self) -> &ObjectRef;
    fn does(&self) -> Does<'_>;
    /// What is left of it when one wants it back: the floor which a document cannot lower.
    fn way_back(&self) -> WayBack;
    /// Why it asks for a typed text whatever its author says; `None`: its danger is known and its own gate is enough.
    fn unfamiliar(&self) -> Option<String>;
    /// The objects, beside what is listed anyway, by which it is judged.
    fn objects(&self) -> Vec<ObjectId>;
    /// What it needs beside the reads that every decision stands on.
    fn rights(&self, reach: &Reach) -> Vec<Need>;
    /// Is it done, still to do, or has somebody else been here?
    fn judge(&self, look: &Look<'_>) -> Judged;
    /// Before and after, as far as they follow from the action alone.
    fn images(&self) -> (Option<Image>, Option<Image>);
    /// The exact requests.
    fn requests(&self, sending: &Sending<'_>) -> Vec<Request>;
    /// The line that a person would type instead; quoted so that it can be pasted.
    fn command(&self, api: Option<MembershipApi>, tls: bool) -> String;
    /// Its lines in the script of what is left of a run.
    fn script(&self, script: &mut Script<'_>);
    /// What it does, as the title of a step.
    fn told(&self) -> String;
    /// What it does, as the rest of a sentence about a run.
    fn deed(&self) -> String;
}

impl WayBack {
    pub fn reversibility(self) -> Reversibility {
        match self {
            WayBack::Unneeded => Reversibility::Free,
            WayBack::PutsBack | WayBack::Deletes | WayBack::Stays => Reversibility::Compensable,
            WayBack::Lasting | WayBack::Joined | WayBack::Gone => Reversibility::Irreversible,
        }
    }
}

impl Action {
    pub fn target(&self) -> &ObjectRef {
        self.kind().target()
    }

    /// Whether it sends anything that changes the world. Only such actions get an Intent.
    pub fn writes(&self) -> bool {
        match self.kind().does() {
            Does::Sets(_) | Does::Makes(_) | Does::Changes => true,
            Does::Waits | Does::Looks => false,
        }
    }

    /// Whether its step is judged by the step's own `until` and by nothing else.
    pub fn awaits(&self) -> bool {
        matches!(self.kind().does(), Does::Waits)
    }

    /// The kind of the object that it makes at its target.
    pub(in crate::runbook) fn makes(&self) -> Option<ObjectKind> {
        match self.kind().does() {
            Does::Makes(kind) => Some(kind),
            Does::Sets(_) | Does::Changes | Does::Waits | Does::Looks => None,
        }
    }

    /// The objects, beside what is listed anyway, by which it is judged.
    pub fn objects(&self) -> Vec<ObjectId> {
        self.kind().objects()
    }

    pub fn way_back(&self) -> WayBack {
        self.kind().way_back()
    }

    /// What no undo puts back, though nothing is lost by it.
    pub fn stays(&self) -> bool {
        self.way_back() == WayBack::Stays
    }

    /// The floor which the document cannot lower.
    pub fn reversibility(&self) -> Reversibility {
        self.way_back().reversibility()
    }

    /// The exact requests. `resource_version` is the one last seen; the one sent is read anew just before.
    pub fn requests(&self, field_manager: &str, resource_version: &str, api: Option<MembershipApi>) -> Vec<Request> {
        self.kind().requests(&Sending { field_manager, resource_version, api })
    }

    /// The line that a person would type instead; quoted so that it can be pasted.
    pub fn command(&self, api: Option<MembershipApi>, tls: bool) -> String {
        self.kind().command(api, tls)
    }

    /// With the run's id in the places that a plan leaves open.
    pub(in crate::runbook) fn name_run(&mut self, run: &str) {
        match self {
            Action::CreateObject(create) => create.name_run(run),
            Action::DeleteObject(delete) => delete.name_run(run),
            _ => {}
        }
    }
}

/// A step's `with` as the action's document has it.
fn schema_of<T: JsonSchema>() -> Schema {
    SchemaGenerator::default().into_root_schema_for::<T>()
}

fn document<T: serde::de::DeserializeOwned>(with: Value) -> Result<T, BadWith> {
    Ok(serde_json::from_value(with)?)
}
