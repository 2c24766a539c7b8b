//! TiKV and TiFlash stores as PD reports them.
//!
//! Data and its JSON shape (domain.md §3.6, `store`). Which pod is which store and when it is Up is decided by the kubelet
//! and the operator of this simulation.

use serde_json::{Value, json};

use super::super::world::PodKey;

/// How long a store takes to be emptied.
pub const DRAIN_MS: u64 = 5_000;

/// Where a store is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreState {
    Up,
    /// Its process is away, for less than 30 minutes.
    Disconnected,
    /// Being emptied.
    Offline,
    Tombstone,
}

impl StoreState {
    pub fn name(self) -> &'static str {
        match self {
            StoreState::Up => "Up",
            StoreState::Disconnected => "Disconnected",
            StoreState::Offline => "Offline",
            StoreState::Tombstone => "Tombstone",
        }
    }
}

/// One store.
#[derive(Clone, Debug)]
pub struct Store {
    pub id: u64,
    pub pod: PodKey,
    pub tiflash: bool,
    /// DNS name without the port.
    pub host: String,
    pub version: String,
    pub state: StoreState,
    pub leaders: u64,
    pub regions: u64,
    /// Leaders it had before they were evicted for a restart.
    pub leaders_before: u64,
    /// Simulated time at which a new leader of PD hears of it; none while it has or its process is away.
    pub heard_at_ms: Option<u64>,
    /// Simulated time at which its removal was asked for.
    pub removing_since_ms: Option<u64>,
    pub zone: String,
    pub node: String,
    /// RFC 3339.
    pub started: String,
    pub started_s: u64,
}

/// RFC 3339 with nanoseconds, as Go writes a time.
fn moment(seconds: u64, nanos: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or_default();
    let at = jiff::Timestamp::new(seconds, i32::try_from(nanos).unwrap_or_default());
    at.map_or_else(|_| String::new(), |at| at.to_string())
}

/// `50.136259261s`, `1h2m3.456s`: as Go writes a duration, without trailing zeros.
fn duration(seconds: u64, nanos: u64) -> String {
    let rest = format!("{nanos:09}");
    let rest = rest.trim_end_matches('0');
    let fraction = if rest.is_empty() { String::new() } else { format!(".{rest}") };
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}{fraction}s"),
        (0, m, s) => format!("{m}m{s}{fraction}s"),
        (h, m, s) => format!("{h}h{m}m{s}{fraction}s"),
    }
}

impl Store {
    /// `{"store": …, "status": …}` at `now_s` seconds after the epoch. TiDB Operator gives a store the labels that PD
    /// places by, and none where it places by none.
    pub fn to_json(&self, now_s: u64, by: &[String]) -> Value {
        let (port, status_port) = if self.tiflash { (3930, 20292) } else { (20160, 20180) };
        let known = [("zone", &self.zone), ("host", &self.node)].into_iter();
        let mut labels: Vec<Value> = known
            .filter(|(label, _)| by.iter().any(|wanted| wanted == label))
            .map(|(label, value)| json!({"key": label, "value": value}))
            .collect();
        if self.tiflash {
            labels.push(json!({"key": "engine", "value": "tiflash"}));
        }
        let mut store = json!({"id": self.id, "address": format!("{}:{port}", self.host)});
        match self.state {
            StoreState::Up | StoreState::Disconnected => {}
            StoreState::Offline => store["state"] = json!(1),
            StoreState::Tombstone => store["state"] = json!(2),
        }
        if !labels.is_empty() {
            store["labels"] = json!(labels);
        }
        store["version"] = json!(self.version.trim_start_matches('v'));
        store["peer_address"] = json!(format!("{}:{port}", self.host));
        store["status_address"] = json!(format!("{}:{status_port}", self.host));
        store["git_hash"] = json!("5b0f5a3c1e8d47f2b9a6c4d1e0f7382a95bc6d14");
        store["start_timestamp"] = json!(self.started_s);
        store["deploy_path"] = json!("/");
        // A moment of a real clock: no round second.
        let nanos = 100_000_000 + self.id % 1_000 * 731_003;
        store["last_heartbeat"] = json!(now_s * 1_000_000_000 + nanos);
        store["node_state"] = json!(match self.state {
            StoreState::Up | StoreState::Disconnected => 1,
            StoreState::Offline => 2,
            StoreState::Tombstone => 3,
        });
        store["state_name"] = json!(self.state.name());
        let uptime_s = now_s.saturating_sub(self.started_s);
        json!({
            "store": store,
            "status": {
                "capacity": "98.3GiB",
                "available": "71.9GiB",
                "used_size": "24.2GiB",
                "leader_count": self.leaders,
                "leader_weight": 1,
                "leader_score": self.leaders,
                "leader_size": self.leaders * 71,
                "region_count": self.regions,
                "region_weight": 1,
                "region_score": self.regions as f64 * 71.314_310_317_647_9,
                "region_size": self.regions * 71,
                "slow_score": 1,
                "start_ts": self.started,
                "last_heartbeat_ts": moment(now_s, nanos),
                "uptime": duration(uptime_s, nanos),
            },
        })
    }
}
