//! Looks from a probe pod at each place whether every other one's name resolves and every port is open; sends nothing that
//! changes anything.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::action_types::Request;
use super::super::before_after_image::Image;
use super::with_error::BadWith;
use super::{ActionKind, Does, WayBack, document, schema_of};
use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::{kubectl, place, quote};
use crate::fleet::object_kind::{ObjectId, ObjectKind};
use crate::fleet::pd::MembershipApi;
use crate::runbook::Observation;
use crate::runbook::actions::api_request_parts::Sending;
use crate::runbook::actions::judge_types::{Judged, Look};
use crate::runbook::actions::network_probe_result::probe_at;
use crate::runbook::actions::right_types::{Need, Reach};
use crate::runbook::actions::script_writer::{Script, comment};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetProbe {
    pub target: ObjectRef,
    /// Where TidbClusters are or are to be; each has its probe pod ([`probe_at`]).
    pub places: Vec<ObjectRef>,
    pub ports: Vec<u16>,
    /// How long a way that is not open is tried again; seconds.
    pub patience_s: u64,
}

/// Its `with`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct With {
    /// The place whose probe pod looks.
    target: ObjectRef,
    /// The places that it looks at.
    places: Vec<ObjectRef>,
    /// TCP ports.
    ports: Vec<u16>,
    /// For one look, in seconds.
    patience_s: u64,
}

impl ActionKind for NetProbe {
    fn read(with: Value, _: &Observation) -> Result<Self, BadWith> {
        let With { target, places, ports, patience_s } = document(with)?;
        if places.len() < 2 {
            return BadWith::refused("there are fewer than two places to look between");
        }
        Ok(Self { target, places, ports, patience_s })
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        json!({"target": self.target, "places": self.places, "ports": self.ports, "patienceS": self.patience_s})
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
        self.places.iter().map(|place| ObjectId::new(ObjectKind::Pod, &probe_at(place))).collect()
    }

    fn rights(&self, _: &Reach) -> Vec<Need> {
        let why = "names and ports are tried inside the probe pods";
        self.places.iter().flat_map(|of| Need::upgrade(of, "exec", why)).collect()
    }

    /// Looked at anew whenever it is its turn: an earlier look at a network proves nothing.
    fn judge(&self, _: &Look<'_>) -> Judged {
        Judged::NotDone { before: Image::Nothing, after: Image::Ports(self.ports.clone()) }
    }

    fn images(&self) -> (Option<Image>, Option<Image>) {
        (None, None)
    }

    fn requests(&self, _: &Sending<'_>) -> Vec<Request> {
        Vec::new()
    }

    fn command(&self, _: Option<MembershipApi>, _: bool) -> String {
        let from = self.places.first().map_or_else(|| self.target.clone(), probe_at);
        format!(
            "kubectl {} exec {} -c probe -- nc -z -w 4 NAME-OF-ANOTHER-PROBE-POD PORT",
            place(&from),
            quote(&from.name)
        )
    }

    fn script(&self, script: &mut Script<'_>) {
        let out = &mut *script.out;
        for from in self.places.iter().map(probe_at) {
            for to in self.places.iter().map(probe_at).filter(|to| *to != from) {
                let host = quote(&format!("{0}.{0}.{1}.svc.DOMAIN", to.name, to.namespace));
                let exec = format!("{} exec {} -c probe --", kubectl(&from), quote(&from.name));
                let _ = writeln!(out, "# put the cluster domain of {} in the place of DOMAIN", comment(&to.context));
                let _ = writeln!(out, "{exec} nslookup {host} || echo 'does not resolve'");
                for port in &self.ports {
                    let _ = writeln!(out, "{exec} nc -z -w 4 {host} {port} || echo '{port} is closed'");
                }
            }
        }
    }

    fn told(&self) -> String {
        let places: Vec<String> = self.places.iter().map(ToString::to_string).collect();
        format!("Try names and ports between {}", places.join(", "))
    }

    fn deed(&self) -> String {
        format!("looks around {}", self.target)
    }
}
