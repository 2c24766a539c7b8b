//! Drift: a PD member whose peerURL is not the one that its TidbCluster asks for.
//!
//! Not here: which URL is expected ([`TidbCluster::expected_peer_url`]), when two URLs are the same ([`peer_url_check::normal`]), which
//! ones are never sent ([`peer_url_check`]).

use super::member_and_store::Member;
use crate::fleet::peer_url_check;
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::tls_toggle::{Toggle, speaks_tls};
use crate::fleet::{KubeCluster, ObjectRef};

/// The peerURL that each member of a TidbCluster should have. Where TLS was switched, it is the one from before: that is what has
/// to come back.
pub(super) fn expect_urls(
    of: &ObjectRef,
    cluster: &KubeCluster,
    tc: &TidbCluster,
    toggled: &[Toggle],
    members: &mut [Member],
) {
    let toggle = toggled.iter().find(|toggle| toggle.of == *of);
    for member in members.iter_mut().filter(|member| member.place.of() == Some(of)) {
        let Some(pod) = member.place.pod() else { continue };
        let tls = toggle.map_or_else(|| speaks_tls(cluster, tc, pod), |toggle| toggle.proper);
        let expected = tc.expected_peer_url(pod, tls);
        member.drift = !matches!(member.peer_urls.as_slice(), [url] if peer_url_check::normal(url) == expected);
        member.expected_peer_url = Some(expected);
    }
}
