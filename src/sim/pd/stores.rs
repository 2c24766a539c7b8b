//! TiKV and TiFlash stores as PD reports them.
//!
//! Data and its JSON shape (domain.md §3.6, `store`). Which pod is which store and when it is Up is decided by the kubelet
//! and the operator of this simulation.

use serde_json::{Value, json};

use super::super::world::PodKey;
use super::Database;

/// How long a store takes to be emptied.
pub const DRAIN_MS: u64 = 5_000;
/// How long PD waits for the next heartbeat of a store before it calls it Disconnected, and Down (`max-store-down-time`).
const DISCONNECTED_MS: u64 = 20_000;
const DOWN_MS: u64 = 30 * 60_000;
/// From then on a region's leader tells PD that a peer is down (TiKV's `max-peer-down-duration`).
const PEER_DOWN_MS: u64 = 10 * 60_000;
/// How long the regions that a store led are without a leader (TiKV's election timeout).
const LEADERLESS_MS: u64 = 10_000;

/// Where a store is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreState {
    Up,
    /// Not heard of for a while.
    Disconnected,
    /// The same for so long that PD makes new copies of what is on it.
    Down,
    /// Being emptied.
    Offline,
    Tombstone,
}

impl StoreState {
    pub fn name(self) -> &'static str {
        match self {
            StoreState::Up => "Up",
            StoreState::Disconnected => "Disconnected",
            StoreState::Down => "Down",
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
    /// Leaders it had before others took them over: they were evicted for a restart, or its process is away.
    pub leaders_before: u64,
    /// Those of its leaders that it leads for others.
    pub inherited: u64,
    /// Simulated time at which PD heard of it last.
    pub heard_ms: u64,
    /// Its process is away.
    pub away: bool,
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

impl Database {
    /// What time makes of stores: a new leader only knows when the last one heard of them (each is `Disconnected` until it
    /// tells of itself), and one that tells nothing is Disconnected, then Down, and others lead its regions.
    pub(super) fn hear(&mut self, now_ms: u64) {
        let first = std::mem::take(&mut self.unheard);
        let longest = self.heartbeat_ms.max(1);
        let led = self.pd_leader.is_some();
        let mut leaderless = Vec::new();
        for store in self.stores.values_mut() {
            if first && store.state == StoreState::Up {
                store.state = StoreState::Disconnected;
                store.heard_at_ms = Some(now_ms + 1_000 + store.id * 1_000 % longest).filter(|_| !store.away);
            } else if store.heard_at_ms.is_some_and(|at| now_ms >= at) {
                store.heard_at_ms = None;
                if matches!(store.state, StoreState::Disconnected | StoreState::Down) {
                    store.state = StoreState::Up;
                }
            }
            if led && !store.away && store.heard_at_ms.is_none() {
                store.heard_ms = now_ms;
            }
            let silent_ms = now_ms.saturating_sub(store.heard_ms);
            match store.state {
                StoreState::Up if led && silent_ms >= DISCONNECTED_MS => store.state = StoreState::Disconnected,
                StoreState::Disconnected if led && silent_ms >= DOWN_MS => store.state = StoreState::Down,
                _ => {}
            }
            if store.away && store.leaders > 0 && silent_ms >= LEADERLESS_MS {
                leaderless.push(store.id);
            }
        }
        leaderless.into_iter().for_each(|id| self.give_leaders_up(id));
    }

    /// Regions with a peer on a store of which their leaders have not heard for long.
    pub fn down_peers(&self, now_ms: u64) -> u64 {
        let down = |store: &&Store| store.away && now_ms.saturating_sub(store.heard_ms) >= PEER_DOWN_MS;
        self.stores.values().filter(down).map(|store| store.regions).max().unwrap_or(0)
    }

    /// Other stores lead what this one led.
    pub fn give_leaders_up(&mut self, id: u64) {
        let Some(store) = self.stores.get_mut(&id) else { return };
        let given = std::mem::take(&mut store.leaders);
        store.leaders_before += given.saturating_sub(std::mem::take(&mut store.inherited));
        let heirs: Vec<u64> = self.leading_beside(id);
        let count = heirs.len() as u64;
        if count == 0 {
            self.leaderless += given;
        }
        for (at, heir) in (0..).zip(heirs) {
            if let Some(heir) = self.stores.get_mut(&heir) {
                let share = given / count + u64::from(at < given % count);
                heir.leaders += share;
                heir.inherited += share;
            }
        }
    }

    /// A store gets back what others lead for it. (PD moves them one by one; here it is done at once.)
    pub fn take_leaders_back(&mut self, id: u64) {
        let Some(store) = self.stores.get_mut(&id) else { return };
        let wanted = std::mem::take(&mut store.leaders_before);
        // Where nobody was there to take them over they are nowhere, and whoever is back leads them.
        let mut taken = wanted.min(self.leaderless);
        self.leaderless -= taken;
        let wanted = wanted - taken;
        let others = self.leading_beside(id);
        let count = others.len() as u64;
        if count == 0 {
            taken += wanted;
        }
        for (at, other) in (0..).zip(others) {
            if let Some(other) = self.stores.get_mut(&other) {
                let share = (wanted / count + u64::from(at < wanted % count)).min(other.leaders);
                other.leaders -= share;
                other.inherited = other.inherited.saturating_sub(share);
                taken += share;
            }
        }
        if let Some(store) = self.stores.get_mut(&id) {
            store.leaders += taken;
        }
    }

    /// The other stores that can lead regions.
    fn leading_beside(&self, id: u64) -> Vec<u64> {
        let able = |store: &&Store| store.id != id && !store.tiflash && !store.away && store.can_lead();
        self.stores.values().filter(able).map(|store| store.id).collect()
    }
}

impl Store {
    fn can_lead(&self) -> bool {
        match self.state {
            StoreState::Up | StoreState::Disconnected => true,
            StoreState::Down | StoreState::Offline | StoreState::Tombstone => false,
        }
    }

    /// `{"store": …, "status": …}` with the last heartbeat at so many seconds after the epoch. TiDB Operator gives a store
    /// the labels that PD places by, and none where it places by none.
    pub fn to_json(&self, heard_s: u64, by: &[String]) -> Value {
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
            StoreState::Up | StoreState::Disconnected | StoreState::Down => {}
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
        store["last_heartbeat"] = json!(heard_s * 1_000_000_000 + nanos);
        store["node_state"] = json!(match self.state {
            StoreState::Up | StoreState::Disconnected | StoreState::Down => 1,
            StoreState::Offline => 2,
            StoreState::Tombstone => 3,
        });
        store["state_name"] = json!(self.state.name());
        let uptime_s = heard_s.saturating_sub(self.started_s);
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
                "last_heartbeat_ts": moment(heard_s, nanos),
                "uptime": duration(uptime_s, nanos),
            },
        })
    }
}
