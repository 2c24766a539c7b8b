//! What one PD pod says about membership, health and stores, as plain data.
//!
//! One [`PdView`] per pod, because every answer is local to the member asked (`domain.md` §3.2): agreement between
//! them is computed in [`super::database`], never assumed. Not here: HTTP and the choice of v2 or v3 (`client`).

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::tidbcluster::Component;
use crate::invalid_value::Misread;

/// An etcd member id. Rendered in hex by etcd v2 and by us, in decimal by v3, PD's API and TidbCluster status
/// (`domain.md` §3.5); exceeds `i64` and 2^53, so it never passes through a float.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

impl MemberId {
    pub fn hex(self) -> String {
        format!("{:x}", self.0)
    }

    pub fn decimal(self) -> String {
        self.0.to_string()
    }

    /// Reads etcd v2's form: hex without `0x`.
    pub fn from_hex(text: &str) -> Result<Self, Misread> {
        u64::from_str_radix(text, 16).map(Self).map_err(|_| Misread::new("a member id in hex", text))
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemberId({})", self.hex())
    }
}

impl Serialize for MemberId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.hex())
    }
}

impl<'de> Deserialize<'de> for MemberId {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Self::from_hex(&String::deserialize(input)?).map_err(serde::de::Error::custom)
    }
}

/// How a PD serves etcd's membership API: found by asking, never guessed from a version (`domain.md` §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MembershipApi {
    /// `/v2/members` (PD ≤ 8.3).
    V2,
    /// The v3 JSON gateway, which validates nothing (PD ≥ 8.4).
    V3,
}

/// One member as etcd lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EtcdMember {
    pub id: MemberId,
    /// Empty while the member has never started.
    pub name: String,
    #[serde(rename = "peerUrls")]
    pub peer_urls: Vec<String>,
    #[serde(rename = "clientUrls")]
    pub client_urls: Vec<String>,
}

impl EtcdMember {
    /// A member that was added and never started; while one exists no other can join (hazard 28).
    pub fn nameless(&self) -> bool {
        self.name.is_empty()
    }
}

/// The answer of one PD pod, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct PdView {
    pub at: Timestamp,
    pub answer: Result<PdAnswer, NoAnswer>,
}

/// Why a PD pod gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer {
    /// One plain sentence.
    pub sentence: String,
    /// It was reached, and its certificate is not accepted by the CA of its own TidbCluster: that is wrong, and not only unseen.
    pub certificate: bool,
}

impl From<String> for NoAnswer {
    fn from(sentence: String) -> Self {
        Self { sentence, certificate: false }
    }
}

impl From<&str> for NoAnswer {
    fn from(sentence: &str) -> Self {
        sentence.to_owned().into()
    }
}

impl From<NoAnswer> for String {
    fn from(why: NoAnswer) -> Self {
        why.sentence
    }
}

impl std::ops::Deref for NoAnswer {
    type Target = str;

    fn deref(&self) -> &str {
        &self.sentence
    }
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// How a PD pod was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "by", content = "why", rename_all = "kebab-case")]
pub enum PdWay {
    /// Through the API server.
    #[default]
    PortForward,
    /// At the pod's own address, where PD has said who it is.
    Direct,
    /// Through the API server, since not directly. One sentence: why.
    #[serde(rename = "port-forward-instead")]
    Instead(String),
}

/// Everything asked of one PD pod in one round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PdAnswer {
    pub api: Option<MembershipApi>,
    /// PD cluster id (from `/pd/api/v1/cluster`), or etcd's own where only etcd answers.
    pub cluster_id: Option<u64>,
    /// The member that answered, where it could be told.
    pub self_id: Option<MemberId>,
    /// This member's own view of the membership, by id.
    pub members: Vec<EtcdMember>,
    /// This member's view of the leader.
    pub leader: Option<MemberId>,
    /// etcd's raft term as this member has it: every election raises it.
    pub term: Option<u64>,
    /// etcd's `/health` of this very member: it has a leader and can commit.
    pub healthy: Option<bool>,
    /// Whether PD itself has a leader, as this pod's answers tell: etcd has one 8 s earlier after a crash. `None`: not
    /// told, as of a bare etcd.
    pub pd_leads: Option<bool>,
    /// `/pd/api/v1/health`: what PD says of each member. Empty where PD's API does not answer, and in all pods but the
    /// one that was asked. While PD has no leader PD 8.5 says `false` of every member.
    pub health: BTreeMap<MemberId, bool>,
    /// `v8.5.7`
    pub version: Option<String>,
    pub stores: Vec<Store>,
    /// `max-replicas` of `/pd/api/v1/config/replicate`.
    pub max_replicas: Option<u64>,
    /// The labels by which PD keeps replicas apart, the widest first.
    pub location_labels: Vec<String>,
    /// How it was reached.
    pub way: PdWay,
    /// What could not be read in this round, one sentence each: missing is not zero.
    pub gaps: Vec<String>,
}

impl PdAnswer {
    /// What PD says of a member, where it can know: PD 8.5 without a leader calls all of them unhealthy (measured), and
    /// that says nothing about any.
    pub fn told(&self, id: MemberId) -> Option<bool> {
        let void = self.pd_leads == Some(false) && self.health.values().all(|healthy| !healthy);
        self.health.get(&id).copied().filter(|_| !void)
    }
}

/// A TiKV or TiFlash store as PD lists it (`domain.md` §3.6).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    pub id: u64,
    pub address: String,
    /// `Up`, `Disconnected`, `Down`, `Offline`, `Tombstone`
    pub state: String,
    pub version: String,
    pub tiflash: bool,
    pub leader_count: i64,
    pub region_count: i64,
    #[serde(default, skip_serializing)]
    pub labels: BTreeMap<String, String>,
    #[serde(skip)]
    pub load: StoreLoad,
}

impl Store {
    /// It answers, and PD places regions on it.
    pub fn is_up(&self) -> bool {
        self.state == "Up"
    }

    /// PD has not heard of it for 20 s or more, and for less than `max-store-down-time`.
    pub fn is_silent(&self) -> bool {
        self.state == "Disconnected"
    }

    /// PD does not hear of it.
    pub fn is_away(&self) -> bool {
        self.is_silent() || self.state == "Down"
    }

    /// It is being emptied, and will be gone.
    pub fn is_leaving(&self) -> bool {
        self.state == "Offline"
    }

    /// It has left for good; PD only remembers it.
    pub fn is_gone(&self) -> bool {
        self.state == "Tombstone"
    }

    pub fn component(&self) -> Component {
        if self.tiflash { Component::Tiflash } else { Component::Tikv }
    }

    /// Its address without the port.
    pub fn host(&self) -> &str {
        self.address.split(':').next().unwrap_or_default()
    }
}

/// What PD knows of a store beyond its place; `None` and empty mean "not told".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreLoad {
    /// As PD writes them: `98.3GiB`
    pub capacity: String,
    pub available: String,
    pub last_heartbeat: Option<Timestamp>,
    /// From 1 (well) to 100.
    pub slow_score: Option<i64>,
    pub started: Option<Timestamp>,
}

impl StoreLoad {
    /// How full it is, in percent.
    pub fn full(&self) -> Option<u64> {
        let (all, free) = (bytes(&self.capacity)?, bytes(&self.available)?);
        // Whole percents of sizes in bytes: the fraction is of no interest.
        (all > 0.0 && free >= 0.0 && free <= all).then(|| ((all - free) / all * 100.0).round() as u64)
    }
}

/// `98.3GiB` in bytes.
fn bytes(text: &str) -> Option<f64> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: f64 = text[..at].trim().parse().ok().filter(|number: &f64| number.is_finite())?;
    let power = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].iter().position(|unit| *unit == text[at..].trim())?;
    Some(number * 1024f64.powi(i32::try_from(power).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_full_a_store_is() {
        for (capacity, available, full) in [
            ("98.3GiB", "71.9GiB", Some(27)),
            ("1TiB", "512GiB", Some(50)),
            ("100B", "100B", Some(0)),
            ("0B", "0B", None),
            ("1GiB", "2GiB", None),
            ("", "", None),
            ("NaNGiB", "1GiB", None),
            ("1XiB", "1GiB", None),
        ] {
            let load = StoreLoad { capacity: capacity.into(), available: available.into(), ..StoreLoad::default() };
            assert_eq!(load.full(), full, "{available} of {capacity}");
        }
    }

    #[test]
    fn ids_above_i64_survive_every_form() {
        let id = MemberId(11_669_882_833_499_745_300);
        assert_eq!(id.hex(), "a1f3c09b7d2e6c14");
        assert_eq!(MemberId::from_hex("A1F3C09B7D2E6C14"), Ok(id));
        assert_eq!(id.decimal(), "11669882833499745300");
        assert_eq!(serde_json::to_string(&id).expect("string"), "\"a1f3c09b7d2e6c14\"");
        assert!(MemberId::from_hex("0xa1").is_err());
    }
}
