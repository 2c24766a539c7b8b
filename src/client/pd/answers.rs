//! The shapes of etcd's and PD's answers, read into the fleet's words. Pure.
//!
//! Ids are hex in etcd v2, decimal strings in v3 and numbers in PD's API; none passes through a float
//! (`domain.md` §3.5). A shape that is not as expected is an error, never a default. Not here: HTTP ([`crate::client::pd`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::client::plain;
use crate::fleet::pd::{EtcdMember, MemberId, Store, StoreLoad};
use crate::runbook::run::journal_lines::in_short;

pub(in crate::client) fn json<T: for<'de> Deserialize<'de>>(what: &str, body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body)
        .map_err(|error| format!("{what}: unexpected answer ({})", plain(&in_short(&error.to_string()))))
}

/// `GET /v2/members`.
pub(in crate::client) fn members_v2(body: &[u8]) -> Result<Vec<EtcdMember>, String> {
    #[derive(Deserialize)]
    struct List {
        members: Vec<Raw>,
    }
    #[derive(Deserialize)]
    struct Raw {
        id: MemberId,
        #[serde(default)]
        name: String,
        #[serde(default, rename = "peerURLs")]
        peer_urls: Vec<String>,
        #[serde(default, rename = "clientURLs")]
        client_urls: Vec<String>,
    }
    let list: List = json("GET /v2/members", body)?;
    let member =
        |raw: Raw| EtcdMember { id: raw.id, name: raw.name, peer_urls: raw.peer_urls, client_urls: raw.client_urls };
    Ok(sorted(list.members.into_iter().map(member).collect()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::client) struct Header {
    #[serde(deserialize_with = "decimal")]
    pub cluster_id: Option<u64>,
    #[serde(deserialize_with = "decimal")]
    pub member_id: Option<u64>,
    /// Every election raises it.
    #[serde(deserialize_with = "decimal")]
    pub raft_term: Option<u64>,
}

/// `POST /v3/cluster/member/list` and `…/update`.
pub(in crate::client) fn members_v3(body: &[u8]) -> Result<(Header, Vec<EtcdMember>), String> {
    #[derive(Deserialize)]
    struct List {
        #[serde(default)]
        header: Header,
        members: Vec<Raw>,
    }
    #[derive(Deserialize)]
    struct Raw {
        #[serde(rename = "ID", deserialize_with = "decimal")]
        id: Option<u64>,
        #[serde(default)]
        name: String,
        #[serde(default, rename = "peerURLs")]
        peer_urls: Vec<String>,
        #[serde(default, rename = "clientURLs")]
        client_urls: Vec<String>,
    }
    let list: List = json("POST /v3/cluster/member/list", body)?;
    let members = list.members.into_iter().map(|raw| {
        let id = raw.id.ok_or("POST /v3/cluster/member/list: a member without an id")?;
        Ok(EtcdMember { id: MemberId(id), name: raw.name, peer_urls: raw.peer_urls, client_urls: raw.client_urls })
    });
    let members: Result<Vec<_>, String> = members.collect();
    Ok((list.header, sorted(members?)))
}

fn sorted(mut members: Vec<EtcdMember>) -> Vec<EtcdMember> {
    members.sort_by_key(|member| member.id);
    members
}

/// `POST /v3/maintenance/status`: who answered, and whom it follows (0: nobody).
#[derive(Debug, Deserialize)]
pub(in crate::client) struct Status {
    #[serde(default)]
    pub header: Header,
    #[serde(default, deserialize_with = "decimal")]
    pub leader: Option<u64>,
}

/// `GET /v2/members/leader`.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct LeaderV2 {
    pub id: MemberId,
}

/// `GET /health`: `{"health":"true"}`, with a boolean in some versions.
pub(in crate::client) fn health(body: &[u8]) -> Option<bool> {
    match serde_json::from_slice::<Value>(body).ok()?.get("health")? {
        Value::Bool(healthy) => Some(*healthy),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// `GET /pd/api/v1/cluster`.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct Cluster {
    pub id: u64,
}

/// `GET /pd/api/v1/version`.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct Version {
    pub version: String,
}

/// `GET /pd/api/v1/config/replicate`.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct Replicate {
    #[serde(rename = "max-replicas")]
    pub max_replicas: u64,
    /// `zone,host`
    #[serde(rename = "location-labels", default)]
    pub location_labels: String,
}

/// What the answer to a question that only PD's leader answers tells of there being one. A follower that passed it on to
/// nobody says `redirect failed`, one that knows of none `no leader` (both measured; PD 8.5 with `[PD:…]` before it).
pub(in crate::client) fn pd_leads(status: http::StatusCode, body: &[u8]) -> Option<bool> {
    let said = String::from_utf8_lossy(body);
    if status.is_success() || said.contains("ErrNotBootstrapped") || said.contains("TiKV cluster not bootstrapped") {
        return Some(true);
    }
    (status.is_server_error() && (said.contains("redirect failed") || said.contains("no leader"))).then_some(false)
}

/// `GET /pd/api/v1/health`.
pub(in crate::client) fn pd_health(body: &[u8]) -> Result<BTreeMap<MemberId, bool>, String> {
    #[derive(Deserialize)]
    struct Row {
        member_id: u64,
        #[serde(default)]
        health: bool,
    }
    let rows: Vec<Row> = json("GET /pd/api/v1/health", body)?;
    Ok(rows.into_iter().map(|row| (MemberId(row.member_id), row.health)).collect())
}

/// `GET /pd/api/v1/stores`.
#[expect(clippy::too_many_lines, reason = "one document, field by field")]
pub(in crate::client) fn stores(body: &[u8]) -> Result<Vec<Store>, String> {
    #[derive(Deserialize)]
    struct List {
        #[serde(default)]
        stores: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        store: Meta,
        #[serde(default)]
        status: Counts,
    }
    #[derive(Deserialize)]
    struct Meta {
        id: u64,
        #[serde(default)]
        address: String,
        #[serde(default)]
        version: String,
        #[serde(default)]
        state_name: String,
        #[serde(default)]
        labels: Vec<Label>,
    }
    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Label {
        key: String,
        value: String,
    }
    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Counts {
        leader_count: i64,
        region_count: i64,
        capacity: String,
        available: String,
        slow_score: Option<i64>,
        last_heartbeat_ts: Option<String>,
        start_ts: Option<String>,
    }
    let list: List = json("GET /pd/api/v1/stores", body)?;
    let store = |row: Row| Store {
        id: row.store.id,
        address: row.store.address,
        state: row.store.state_name,
        version: row.store.version,
        tiflash: row.store.labels.iter().any(|label| label.key == "engine" && label.value.starts_with("tiflash")),
        labels: row.store.labels.into_iter().map(|label| (label.key, label.value)).collect(),
        leader_count: row.status.leader_count,
        region_count: row.status.region_count,
        load: StoreLoad {
            capacity: row.status.capacity,
            available: row.status.available,
            slow_score: row.status.slow_score,
            last_heartbeat: row.status.last_heartbeat_ts.and_then(|at| at.parse().ok()),
            started: row.status.start_ts.and_then(|at| at.parse().ok()),
        },
    };
    // PD gives them in the order of a map, another one each time.
    let mut stores: Vec<Store> = list.stores.into_iter().map(store).collect();
    stores.sort_by_key(|store| store.id);
    Ok(stores)
}

/// A u64 as a decimal string or as a number; 0 and absent are `None`.
fn decimal<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    use serde::de::Error as _;
    let number = match Value::deserialize(input)? {
        Value::Null => return Ok(None),
        Value::String(text) => {
            text.parse().map_err(|_| D::Error::custom(format!("expected a decimal, found {text:?}")))?
        }
        Value::Number(number) => {
            number.as_u64().ok_or_else(|| D::Error::custom(format!("expected a u64, found {number}")))?
        }
        other => return Err(D::Error::custom(format!("expected a decimal, found {other}"))),
    };
    Ok(Some(number).filter(|number| *number != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIG: u64 = 11_669_882_833_499_745_300;

    #[test]
    fn one_id_in_three_spellings() {
        let v2 = members_v2(
            br#"{"members":[{"id":"a1f3c09b7d2e6c14","name":"a","peerURLs":["http://a:2380"],"clientURLs":[]}]}"#,
        );
        let v3 = members_v3(
            br#"{"header":{"cluster_id":"14841639068965178418","member_id":"11669882833499745300"},
                "members":[{"ID":"11669882833499745300","peerURLs":["http://a:2380"]}]}"#,
        );
        let pd = pd_health(br#"[{"name":"a","member_id":11669882833499745300,"client_urls":[],"health":true}]"#);
        assert_eq!(v2.expect("v2")[0].id, MemberId(BIG));
        let (header, members) = v3.expect("v3");
        assert_eq!((header.member_id, header.cluster_id), (Some(BIG), Some(14_841_639_068_965_178_418)));
        assert!(members[0].id == MemberId(BIG) && members[0].nameless(), "an unstarted member has no name");
        assert_eq!(pd.expect("pd"), BTreeMap::from([(MemberId(BIG), true)]));
    }

    #[test]
    fn whether_pd_leads_is_told_by_what_only_its_leader_answers() {
        let cases: [(u16, &str, Option<bool>); 8] = [
            (200, "{}", Some(true)),
            (500, "[PD:apiutil:ErrRedirect]redirect failed\n", Some(false)),
            (500, "redirect failed\n", Some(false)),
            (503, "no leader\n", Some(false)),
            (
                500,
                "\"[PD:cluster:ErrNotBootstrapped]TiKV cluster not bootstrapped, please start TiKV first\"\n",
                Some(true),
            ),
            (500, "\"TiKV cluster not bootstrapped, please start TiKV first\"", Some(true)),
            (404, "404 page not found\n", None),
            (500, "something else", None),
        ];
        for (status, body, expected) in cases {
            let status = http::StatusCode::from_u16(status).expect("a status");
            assert_eq!(pd_leads(status, body.as_bytes()), expected, "{status} {body}");
        }
    }

    #[test]
    fn odd_shapes_are_errors() {
        for bad in ["", "404 page not found", "{}", r#"{"members":[{"id":"zz"}]}"#, r#"{"members":[{}]}"#] {
            assert!(members_v2(bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in [r#"{"members":[{"name":"x"}]}"#, r#"{"members":[{"ID":"ab"}]}"#, r#"{"members":[{"ID":1.5}]}"#] {
            assert!(members_v3(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(health(br#"{"health":"false","reason":"x"}"#), Some(false));
        assert_eq!(health(br#"{"health":true}"#), Some(true));
        assert_eq!(health(b"ok"), None);
    }
}
