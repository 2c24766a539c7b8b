//! PD's own HTTP API, as far as a console and an operator use it (domain.md §3.6).
//!
//! A follower proxies to the leader's client URL and so fails when that name does not resolve from its pod; `/health`,
//! `/status`, `/ping`, `/version` and `/api/v2/ready` are always answered locally. etcd's paths are in `etcd`.

use serde_json::{Value, json};

use super::etcd::{Answer, Reply, Request};
use super::stores::StoreState;
use super::{Change, Database, Member, Process, Proposal, urls};
use crate::sim::world::PodKey;

const NO_LEADER_MS: u64 = 3_000;

/// What the handler has to know beside the Database.
pub struct Surroundings<'a> {
    pub now_s: u64,
    pub now_ms: u64,
    /// The pod that a name leads to, seen from a pod.
    pub resolves: &'a dyn Fn(&PodKey, &str) -> Option<PodKey>,
}

/// `path` begins with `/pd`.
pub fn handle(database: &mut Database, id: u64, request: &Request<'_>, around: &Surroundings<'_>) -> Answer {
    let Some(process) = database.processes.get(&id) else { return Answer::Cut };
    let Some(path) = request.path.strip_prefix("/pd/api/v1") else {
        return Answer::Now(match request.path {
            "/pd/api/v2/ready" => Reply::empty(if database.in_touch(id) { 200 } else { 500 }),
            _ => Reply::not_found(),
        });
    };
    let local = match path {
        "/health" => Some(health(database)),
        "/status" => Some(status(process)),
        "/ping" => Some(Reply::empty(200)),
        "/version" => Some(Reply::json(200, &json!({"version": process.version}))),
        _ => None,
    };
    if let Some(reply) = local {
        return Answer::Now(if request.method == "GET" { reply } else { Reply::text(405, "") });
    }
    if !request.local && database.leader != Some(id) {
        let Some(leader) = database.leader.filter(|_| database.in_touch(id)) else {
            return Answer::After(NO_LEADER_MS, Reply::text(503, "no leader\n"));
        };
        let url = database.processes.get(&leader).map(|leader| leader.client_url.clone()).unwrap_or_default();
        let target = urls::host(&url).and_then(|host| (around.resolves)(&process.pod, host));
        if target != database.processes.get(&leader).map(|leader| leader.pod.clone()) {
            let host = urls::host(&url).unwrap_or_default();
            return Answer::Now(Reply::text(500, &format!("dial tcp: lookup {host}: no such host\n")));
        }
    }
    routed(database, id, request, path, around)
}

fn routed(database: &mut Database, id: u64, request: &Request<'_>, path: &str, around: &Surroundings<'_>) -> Answer {
    let reply = match (request.method, path) {
        ("GET", "/members") => members(database),
        ("GET", "/leader") => match leader(database) {
            Some(leader) => Reply::json(200, &leader),
            None => Reply::json(500, &json!("no leader")),
        },
        ("GET", "/cluster") => {
            Reply::json(200, &json!({"id": database.cluster_id, "max_peer_count": database.max_replicas}))
        }
        ("GET", "/cluster/status") => Reply::json(
            200,
            &json!({
                "raft_bootstrap_time": database.bootstrapped_at,
                "is_initialized": !database.stores.is_empty(),
                "replication_status": "",
            }),
        ),
        ("GET", "/config/replicate") => Reply::json(
            200,
            &json!({
                "max-replicas": database.max_replicas,
                "location-labels": "zone,host",
                "strictly-match-label": "false",
                "enable-placement-rules": "true",
                "enable-placement-rules-cache": "false",
                "isolation-level": "",
            }),
        ),
        ("GET", "/config/rules" | "/config/rules/group/pd") => Reply::json(
            200,
            &json!([{
                "group_id": "pd", "id": "default", "start_key": "", "end_key": "", "role": "voter",
                "is_witness": false, "count": database.max_replicas, "location_labels": ["zone", "host"],
            }]),
        ),
        ("GET", "/config/rules/group/tiflash") => Reply::json(200, &json!([])),
        ("GET", "/schedulers") => Reply::json(
            200,
            &json!(["balance-hot-region-scheduler", "balance-leader-scheduler", "balance-region-scheduler"]),
        ),
        ("GET", "/stores") => stores(database, request.query, around.now_s),
        ("GET", "/stores/progress") => progress(database, request.query, around.now_ms),
        ("GET", path) if path.starts_with("/store/") => match store_id(database, path) {
            Ok(store) => database
                .stores
                .get(&store)
                .map_or_else(Reply::not_found, |store| Reply::json(200, &store.to_json(around.now_s))),
            Err(refusal) => refusal,
        },
        ("DELETE", path) if path.starts_with("/store/") => remove_store(database, path, around.now_ms),
        ("GET", path) if path.starts_with("/regions/check/") => Reply::json(200, &json!({"count": 0, "regions": []})),
        ("POST", "/leader/resign") => {
            let next = database.leader.and_then(|leader| database.successor(leader, |_| true));
            transfer(database, next)
        }
        ("POST", path) if path.starts_with("/leader/transfer/") => {
            let name = path.trim_start_matches("/leader/transfer/");
            let next = database.members.iter().find(|member| member.name == name).map(|member| member.id);
            match next {
                None => Reply::json(404, &json!(format!("not found, pd: {name}"))),
                next => transfer(database, next),
            }
        }
        ("DELETE", path) if path.starts_with("/members/") => return remove_member(database, id, path),
        _ => Reply::not_found(),
    };
    Answer::Now(reply)
}

fn transfer(database: &mut Database, to: Option<u64>) -> Reply {
    match to.filter(|to| database.transfer(*to)) {
        Some(_) => Reply::json(200, &json!("The transfer command is submitted.")),
        None => Reply::json(500, &json!("no valid pd to transfer leader to")),
    }
}

fn member(database: &Database, member: &Member) -> Value {
    let mut value = json!({});
    if !member.name.is_empty() {
        value["name"] = json!(member.name);
    }
    value["member_id"] = json!(member.id);
    value["peer_urls"] = json!(member.peer_urls);
    if !member.client_urls.is_empty() {
        value["client_urls"] = json!(member.client_urls);
        value["deploy_path"] = json!("/");
        let version = database.processes.get(&member.id).map(|process| process.version.clone());
        value["binary_version"] = json!(version.unwrap_or_default());
        value["git_hash"] = json!(GIT_HASH);
    }
    value
}

const GIT_HASH: &str = "6f9a3c21d05be47e8812a4cf30b7d65e9c41f8a7";

fn leader(database: &Database) -> Option<Value> {
    let leader = database.member(database.leader?)?;
    Some(member(database, leader))
}

fn members(database: &Database) -> Reply {
    let members: Vec<Value> = database.members.iter().map(|one| member(database, one)).collect();
    let mut body = json!({"header": {"cluster_id": database.cluster_id}, "members": members});
    if let Some(leader) = leader(database) {
        body["leader"] = leader.clone();
        body["etcd_leader"] = leader;
    }
    Reply::json(200, &body)
}

fn health(database: &Database) -> Reply {
    let health: Vec<Value> = database
        .members
        .iter()
        .map(|member| {
            // PD only asks `/ping` at the client URLs: it sees dead processes, not bad peer URLs.
            let pinged = database.processes.get(&member.id).is_some_and(|process| process.joined);
            json!({"name": member.name, "member_id": member.id, "client_urls": member.client_urls, "health": pinged})
        })
        .collect();
    Reply::json(200, &json!(health))
}

fn status(process: &Process) -> Reply {
    Reply::json(
        200,
        &json!({
            "build_ts": "2026-06-17 13:41:10",
            "version": process.version,
            "git_hash": GIT_HASH,
            "start_timestamp": process.started_s,
        }),
    )
}

fn stores(database: &Database, query: &str, now_s: u64) -> Reply {
    if database.stores.is_empty() {
        return Reply::json(500, &json!("TiKV cluster not bootstrapped, please start TiKV first"));
    }
    let states: Vec<&str> = query.split('&').filter_map(|pair| pair.strip_prefix("state=")).collect();
    let shown = |state: StoreState| {
        let number = match state {
            StoreState::Up | StoreState::Disconnected => "0",
            StoreState::Offline => "1",
            StoreState::Tombstone => "2",
        };
        if states.is_empty() { state != StoreState::Tombstone } else { states.contains(&number) }
    };
    let stores: Vec<Value> =
        database.stores.values().filter(|store| shown(store.state)).map(|store| store.to_json(now_s)).collect();
    Reply::json(200, &json!({"count": stores.len(), "stores": stores}))
}

/// How far the removal of stores has come, over all that are being removed.
fn progress(database: &Database, query: &str, now_ms: u64) -> Reply {
    if query != "action=removing" {
        return Reply::json(400, &json!("need query parameters"));
    }
    let leaving = database.stores.values().filter(|store| store.state == StoreState::Offline);
    let done: Vec<u64> = leaving
        .map(|store| now_ms.saturating_sub(store.removing_since_ms.unwrap_or(now_ms)).min(super::stores::DRAIN_MS))
        .collect();
    if done.is_empty() {
        return Reply::json(404, &json!("no progress found for the action removing"));
    }
    let (sum, whole) = (done.iter().sum::<u64>(), super::stores::DRAIN_MS * done.len() as u64);
    Reply::json(
        200,
        &json!({
            "action": "removing", "progress": sum as f64 / whole as f64, "current_speed": 10.0,
            "left_seconds": (whole - sum) as f64 / 1_000.0,
        }),
    )
}

fn store_id(database: &Database, path: &str) -> Result<u64, Reply> {
    let raw = path.trim_start_matches("/store/");
    let id = raw
        .parse()
        .map_err(|_| Reply::json(400, &json!(format!("strconv.ParseUint: parsing {raw:?}: invalid syntax"))))?;
    if database.stores.contains_key(&id) {
        Ok(id)
    } else {
        Err(Reply::json(404, &json!(format!("store {id} not found"))))
    }
}

fn remove_store(database: &mut Database, path: &str, now_ms: u64) -> Reply {
    let id = match store_id(database, path) {
        Ok(id) => id,
        Err(refusal) => return refusal,
    };
    let up = database.stores.values().filter(|store| store.state == StoreState::Up).count() as u64;
    let need = database.max_replicas;
    let Some(store) = database.stores.get_mut(&id) else { return Reply::not_found() };
    match store.state {
        StoreState::Tombstone => return Reply::json(410, &json!("The store has already been removed.")),
        StoreState::Up if up <= need => {
            let left = up - 1;
            let text =
                format!("can not remove store {id} since the number of up stores would be {left} while need {need}");
            return Reply::json(400, &json!(text));
        }
        StoreState::Up | StoreState::Disconnected => {
            store.state = StoreState::Offline;
            store.removing_since_ms = Some(now_ms);
        }
        StoreState::Offline => {}
    }
    Reply::json(200, &json!("The store is set as Offline."))
}

fn remove_member(database: &mut Database, asked: u64, path: &str) -> Answer {
    let found = match path.trim_start_matches("/members/").split_once('/') {
        Some(("name", name)) => database.members.iter().find(|member| member.name == name),
        Some(("id", id)) => database.members.iter().find(|member| member.id.to_string() == id),
        _ => return Answer::Now(Reply::not_found()),
    };
    let shown = path.rsplit('/').next().unwrap_or_default().to_owned();
    let Some(id) = found.map(|member| member.id) else {
        return Answer::Now(Reply::json(404, &json!(format!("not found, pd: {shown}"))));
    };
    match database.propose(asked, Change::Remove { id }) {
        Proposal::Committed => Answer::Now(Reply::json(200, &json!(format!("removed, pd: {shown}")))),
        Proposal::Waiting(_) => Answer::After(11_000, Reply::json(500, &json!("etcdserver: request timed out"))),
    }
}
