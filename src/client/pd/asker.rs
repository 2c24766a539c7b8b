//! Asks one PD pod several questions over one tunnel and remembers what was not answered.

use http::StatusCode;
use serde::Deserialize;

use super::answers;
use super::requests::{PdRead, read};
use crate::client::plain;
use crate::client::wire::deadline::Within;
use crate::client::wire::reply::Reply;
use crate::client::wire::tunnel::{Process, Tunnel};

/// Asks one thing after another and collects what could not be had.
pub(in crate::client) struct Asker<'a> {
    tunnel: &'a mut Tunnel,
    deadline: Within,
    pub(in crate::client) gaps: Vec<String>,
    /// The tunnel broke: asking on would only say so again.
    dead: bool,
    /// It is an etcd without PD's API.
    pub(super) is_bare: bool,
}

impl<'a> Asker<'a> {
    pub(in crate::client) fn new(tunnel: &'a mut Tunnel, deadline: Within) -> Self {
        Self { tunnel, deadline, gaps: Vec::new(), dead: false, is_bare: false }
    }

    pub(in crate::client) fn dead(&self) -> bool {
        self.dead
    }

    /// Cluster id and version: those of the process, so they are asked once per connection.
    pub(super) async fn process(&mut self) -> Option<Process> {
        if let Some(known) = self.tunnel.process.clone() {
            return Some(known);
        }
        let gaps = self.gaps.len();
        let cluster = self.get::<answers::Cluster>(PdRead::PdCluster, "GET /pd/api/v1/cluster", true).await;
        let Some(cluster) = cluster else {
            self.is_bare = !self.dead && self.gaps.len() == gaps;
            return None;
        };
        let version = self.get::<answers::Version>(PdRead::PdVersion, "GET /pd/api/v1/version", true).await;
        let known = Process { cluster_id: cluster.id, version: version.map(|version| version.version) };
        self.tunnel.process = known.version.is_some().then(|| known.clone());
        Some(known)
    }

    pub(in crate::client) async fn reply(&mut self, what: PdRead, name: &str) -> Option<Reply> {
        if self.dead {
            return None;
        }
        match read(self.tunnel, what, self.deadline).await {
            Ok(reply) => Some(reply),
            Err(broken) => {
                self.dead = true;
                self.gaps.push(format!("{} ({name} and what follows it was not read)", broken.sentence));
                None
            }
        }
    }

    pub(super) async fn with<T>(
        &mut self,
        what: PdRead,
        name: &str,
        parse: fn(&[u8]) -> Result<T, String>,
    ) -> Option<T> {
        let reply = self.reply(what, name).await?;
        let parsed = if reply.status.is_success() { parse(&reply.body) } else { Err(said(name, &reply)) };
        parsed.map_err(|gap| self.gaps.push(gap)).ok()
    }

    /// `absent_is_fine`: a 404 means that this server has no such API, which is no gap.
    pub(in crate::client) async fn get<T: for<'de> Deserialize<'de>>(
        &mut self,
        what: PdRead,
        name: &str,
        absent_is_fine: bool,
    ) -> Option<T> {
        let reply = self.reply(what, name).await?;
        if absent_is_fine && reply.status == StatusCode::NOT_FOUND {
            return None;
        }
        let parsed = if reply.status.is_success() { answers::json(name, &reply.body) } else { Err(said(name, &reply)) };
        parsed.map_err(|gap| self.gaps.push(gap)).ok()
    }
}

/// `500 "[PD:cluster:ErrNotBootstrapped]TiKV cluster not bootstrapped, please start TiKV first"`, of some versions without the prefix.
pub(in crate::client) fn not_bootstrapped(reply: &Reply) -> bool {
    let text = String::from_utf8_lossy(&reply.body);
    reply.status == StatusCode::INTERNAL_SERVER_ERROR
        && (text.contains("ErrNotBootstrapped") || text.contains("TiKV cluster not bootstrapped"))
}

/// `GET /x answered 503: During election`
pub(in crate::client) fn said(what: &str, reply: &Reply) -> String {
    let body = String::from_utf8_lossy(&reply.body);
    let message = serde_json::from_str::<serde_json::Value>(&body)
        .ok()
        .and_then(|json| json.get("message").or_else(|| json.get("error"))?.as_str().map(ToOwned::to_owned))
        .unwrap_or_else(|| body.into_owned());
    format!("{what} answered {}: {}", reply.status.as_u16(), plain(&message))
}
