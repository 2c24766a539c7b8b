//! Requests to PD: a member's peerURLs, the lead, the membership; and the line by which a person sends one.
//!
//! What is printed in a plan is what is sent: [`crate::client::pd`] takes its paths and bodies from here. Pure. Not here: requests
//! to an API server ([`super::api_request_parts`]), sending ([`crate::client::write`]).

use serde_json::{Value, json};

use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::quote;
use crate::fleet::pd::{MemberId, MembershipApi};
use crate::runbook::action_types::Request;
use crate::runbook::actions::port_forward_script;

/// PD's own API; any PD pod of the TidbCluster takes it and hands it to the leader.
pub(in crate::runbook) fn pd_request(target: &ObjectRef, method: &str, path: String) -> Request {
    Request {
        context: target.context.clone(),
        pod: Some(format!("{}/{}-pd-0", target.namespace, target.name)),
        method: method.into(),
        path,
        content_type: "application/json".into(),
        body: Value::Null,
    }
}

/// Path that asks PD to hand the lead to a member.
pub fn transfer_path(to: &str) -> String {
    format!("/pd/api/v1/leader/transfer/{to}")
}

/// Path of a member by its id.
pub fn member_path(id: MemberId) -> String {
    format!("/pd/api/v1/members/id/{}", id.decimal())
}

/// PD's own API through any PD pod.
pub(in crate::runbook) fn asked(target: &ObjectRef, method: &str, path: &str, tls: bool) -> String {
    port_forward_script::line(target, &format!("{}-pd-0", target.name), &format!("{method} {}", quote(path)), tls)
}

/// Where v2 has the members, and v3 the cluster's requests.
const MEMBERS_V2: &str = "/v2/members";
const CLUSTER_V3: &str = "/v3/cluster";

/// The API of a membership request by its path: all that a plan keeps of it.
pub(in crate::runbook) fn api_of(path: &str) -> Option<MembershipApi> {
    [(MEMBERS_V2, MembershipApi::V2), (CLUSTER_V3, MembershipApi::V3)]
        .into_iter()
        .find_map(|(start, api)| path.starts_with(start).then_some(api))
}

/// Method, path and body of a membership update (`domain.md` §3.2, §3.3).
pub fn update_request(id: MemberId, to: &[String], api: MembershipApi) -> (&'static str, String, Value) {
    match api {
        MembershipApi::V2 => ("PUT", format!("{MEMBERS_V2}/{}", id.hex()), json!({"peerURLs": to})),
        MembershipApi::V3 => {
            ("POST", format!("{CLUSTER_V3}/member/update"), json!({"ID": id.decimal(), "peerURLs": to}))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_use_hex_for_v2_and_decimal_for_v3() {
        let to = vec!["http://a:2380".to_owned()];
        let id = MemberId(11_669_882_833_499_745_300);
        assert_eq!(update_request(id, &to, MembershipApi::V2).1, "/v2/members/a1f3c09b7d2e6c14");
        assert_eq!(update_request(id, &to, MembershipApi::V3).2["ID"], "11669882833499745300");
        for api in [MembershipApi::V2, MembershipApi::V3] {
            assert_eq!(api_of(&update_request(id, &to, api).1), Some(api));
        }
        assert_eq!(api_of(&member_path(id)), None, "PD's own API");
    }
}
