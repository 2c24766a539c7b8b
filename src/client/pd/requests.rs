//! The requests that PD gets from us, as HTTP. Not here: the way to its pod ([`crate::client::wire::open_tunnel`]), the round of
//! questions ([`super`]).

use http::Request;
use http_body_util::Full;
use hyper::body::Bytes;

use crate::client::wire::deadline::Within;
use crate::client::wire::lease_timing::Until;
use crate::client::wire::link::Link;
use crate::client::wire::permit::WritePermit;
use crate::client::wire::reply::Reply;
use crate::client::wire::tunnel::{Broken, Tunnel};
use crate::fleet::pd::{MemberId, MembershipApi};
use crate::fleet::region_health_counts::RegionCheck;
use crate::runbook::actions::pd_requests::{member_path, transfer_path, update_request};

/// Everything that is ever read through a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum PdRead {
    MembersV2,
    LeaderV2,
    MembersV3,
    StatusV3,
    Health,
    PdCluster,
    PdHealth,
    PdStores,
    PdReplicate,
    PdVersion,
    PdRules,
    PdRegions(RegionCheck),
    PdRemoving,
    PdSchedulers,
}

impl PdRead {
    fn request(self) -> Request<Full<Bytes>> {
        let (path, post, here) = match self {
            PdRead::MembersV2 => ("/v2/members", false, false),
            PdRead::LeaderV2 => ("/v2/members/leader", false, false),
            PdRead::MembersV3 => ("/v3/cluster/member/list", true, false),
            PdRead::StatusV3 => ("/v3/maintenance/status", true, false),
            PdRead::Health => ("/health", false, false),
            // Answered by the member asked; the leader would say the same.
            PdRead::PdCluster => ("/pd/api/v1/cluster", false, true),
            PdRead::PdHealth => ("/pd/api/v1/health", false, true),
            PdRead::PdVersion => ("/pd/api/v1/version", false, true),
            // Only the leader knows these, so a follower passes them on.
            PdRead::PdStores => ("/pd/api/v1/stores", false, false),
            PdRead::PdReplicate => ("/pd/api/v1/config/replicate", false, false),
            PdRead::PdRules => ("/pd/api/v1/config/rules", false, false),
            PdRead::PdRegions(RegionCheck::MissPeer) => ("/pd/api/v1/regions/check/miss-peer", false, false),
            PdRead::PdRegions(RegionCheck::DownPeer) => ("/pd/api/v1/regions/check/down-peer", false, false),
            PdRead::PdRegions(RegionCheck::OfflinePeer) => ("/pd/api/v1/regions/check/offline-peer", false, false),
            PdRead::PdRegions(RegionCheck::PendingPeer) => ("/pd/api/v1/regions/check/pending-peer", false, false),
            PdRead::PdRemoving => ("/pd/api/v1/stores/progress?action=removing", false, false),
            PdRead::PdSchedulers => ("/pd/api/v1/schedulers", false, false),
        };
        let mut request = Request::new(Full::new(Bytes::from_static(if post { b"{}" } else { b"" })));
        *request.uri_mut() = http::Uri::from_static(path);
        if post {
            *request.method_mut() = http::Method::POST;
            request
                .headers_mut()
                .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        }
        if here {
            request.headers_mut().insert("pd-allow-follower-handle", http::HeaderValue::from_static("true"));
        }
        request
    }
}

/// Everything that is ever written through a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) enum PdWrite<'a> {
    UpdateMember {
        api: MembershipApi,
        id: MemberId,
        to: &'a [String],
    },
    /// Asks for another leader, by its member name.
    TransferLeader {
        to: &'a str,
    },
    RemoveMember {
        id: MemberId,
    },
}

/// Reads one thing; the answer's status is the caller's to judge.
pub(in crate::client) async fn read(tunnel: &mut Tunnel, what: PdRead, within: Within) -> Result<Reply, Broken> {
    tunnel.call(what.request(), within).await
}

/// Writes one thing, once, and not later than `until`. Only [`crate::client::write`] calls it.
pub(in crate::client) async fn write(
    tunnel: &mut Tunnel,
    link: &Link,
    permit: &WritePermit,
    what: &PdWrite<'_>,
    until: &Until,
) -> Result<Reply, Broken> {
    let refused = |sentence: String| Broken { sentence, sent: false };
    permit.covers(link.context()).map_err(refused)?;
    if link.read_only() {
        return Err(refused(format!("context {:?} is read-only: PD is not written to", link.context())));
    }
    let (method, path, body) = match what {
        PdWrite::UpdateMember { api, id, to } => {
            let (method, path, body) = update_request(*id, to, *api);
            (method, path, body.to_string())
        }
        PdWrite::TransferLeader { to } => ("POST", transfer_path(to), String::new()),
        PdWrite::RemoveMember { id } => ("DELETE", member_path(*id), String::new()),
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| refused(error.to_string()))?;
    tunnel.call_until(request, link.limits().write, until).await
}
