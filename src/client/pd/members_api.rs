//! PD's members as one pod has them: by `/v2/members` or the v3 gateway, whichever its etcd has.
//!
//! Which of the two is found by asking, never guessed from a version (`domain.md` §3.1), and kept for the tunnel. Not here: the
//! shapes of the answers ([`super::answers`]), changing a member ([`crate::client::write`]).

use http::StatusCode;

use super::answers;
use super::asker::said;
use super::requests::{PdRead, read};
use crate::client::wire::deadline::Within;
use crate::client::wire::tunnel::Tunnel;
use crate::fleet::pd::{EtcdMember, MemberId, MembershipApi};

/// The membership as one pod has it.
pub(in crate::client) struct Membership {
    pub api: MembershipApi,
    pub members: Vec<EtcdMember>,
    pub self_id: Option<MemberId>,
    pub etcd_cluster_id: Option<u64>,
}

/// Asks for the members, through v2 or v3 as the server has it.
pub(in crate::client) async fn membership(tunnel: &mut Tunnel, within: Within) -> Result<Membership, String> {
    if tunnel.api != Some(MembershipApi::V3) {
        let reply = read(tunnel, PdRead::MembersV2, within).await.map_err(|broken| broken.sentence)?;
        if reply.status == StatusCode::OK {
            tunnel.api = Some(MembershipApi::V2);
            let header = reply.headers.get("x-etcd-cluster-id").and_then(|value| value.to_str().ok());
            let etcd_cluster_id = header.and_then(|hex| u64::from_str_radix(hex, 16).ok());
            let members = answers::members_v2(&reply.body)?;
            return Ok(Membership { api: MembershipApi::V2, members, self_id: None, etcd_cluster_id });
        }
        if reply.status != StatusCode::NOT_FOUND {
            return Err(said("GET /v2/members", &reply));
        }
    }
    let reply = read(tunnel, PdRead::MembersV3, within).await.map_err(|broken| broken.sentence)?;
    if reply.status != StatusCode::OK {
        return Err(said("POST /v3/cluster/member/list", &reply));
    }
    tunnel.api = Some(MembershipApi::V3);
    let (header, members) = answers::members_v3(&reply.body)?;
    let self_id = header.member_id.map(MemberId);
    Ok(Membership { api: MembershipApi::V3, members, self_id, etcd_cluster_id: header.cluster_id })
}
