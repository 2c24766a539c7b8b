//! PD's own HTTP API, as far as a console and an operator use it (domain.md §3.6).
//!
//! A follower proxies to the leader's client URL and so fails when there is none or that name does not resolve from its
//! pod, unless the request asks for the follower itself. Statuses, headers and bodies are those of PD 8.5.4 and 7.5.7 behind
//! TiDB Operator, recorded (`golden`). etcd's paths are in `etcd_http`.

use serde_json::{Value, json};

use super::etcd_http::{Answer, Reply, Request};
use super::stores::{Store, StoreState};
use super::{Change, Database, Member, Process, Proposal, urls};
use crate::sim::world::PodKey;

/// How long PD waits for a member that takes its ping and does not answer.
const PING_MS: u64 = 3_000;

/// What the handler has to know beside the Database.
pub struct Surroundings<'a> {
    pub now_s: u64,
    pub now_ms: u64,
    /// Simulated seconds in a real one.
    pub speed: f64,
    /// The pod that a name leads to, seen from a pod.
    pub resolves: &'a dyn Fn(&PodKey, &str) -> Option<PodKey>,
}

impl Surroundings<'_> {
    /// When PD heard of a store last, in seconds after the epoch: every time that PD tells is a real one.
    fn heard_s(&self, store: &Store) -> u64 {
        let silent_s = self.now_ms.saturating_sub(store.heard_ms) as f64 / 1_000.0 / self.speed;
        self.now_s.saturating_sub(silent_s as u64)
    }
}

/// `path` begins with `/pd`.
pub fn handle(database: &mut Database, id: u64, request: &Request<'_>, around: &Surroundings<'_>) -> Answer {
    let Some(process) = database.processes.get(&id) else { return Answer::Cut };
    let errors_have_codes = process.pings_the_leader();
    let redirect_failed = || {
        let code = if errors_have_codes { "[PD:apiutil:ErrRedirect]" } else { "" };
        Answer::Now(Reply::text(500, &format!("{code}redirect failed\n")))
    };
    let leads = database.pd_leader == Some(id);
    let Some(path) = request.path.strip_prefix("/pd/api/v1") else {
        return match request.path {
            "/pd/api/v2/ready" if !process.serves_v2() => {
                Answer::Now(Reply::empty(if database.in_touch(id) { 200 } else { 500 }))
            }
            "/pd/api/v2/ready" if database.pd_leader.is_none() => redirect_failed(),
            // Another router's page: gin, not gorilla.
            path if path.starts_with("/pd/api/v2/") => {
                Answer::Now(Reply { content_type: "text/plain", ..Reply::bytes(404, "404 page not found") })
            }
            _ => Answer::Now(Reply::not_found()),
        };
    };
    if !request.local && !leads {
        let Some(leader) = database.pd_leader.filter(|_| database.in_touch(id)) else {
            return redirect_failed();
        };
        let url = database.processes.get(&leader).map(|leader| leader.client_url.clone()).unwrap_or_default();
        let target = urls::host(&url).and_then(|host| (around.resolves)(&process.pod, host));
        if target != database.processes.get(&leader).map(|leader| leader.pod.clone()) {
            return redirect_failed();
        }
    }
    let reply = match path {
        "/health" => health(database, id),
        "/status" => status(process),
        "/ping" => Reply::empty(200),
        "/version" => {
            let version = json!({"version": process.version, "build_time": "", "hash": "", "branch": ""});
            Reply::pretty(200, &version)
        }
        _ => return routed(database, id, request, path, around),
    };
    match (request.method, path) {
        ("GET", "/health") if database.hangs() => Answer::After(PING_MS, reply),
        ("GET", _) => Answer::Now(reply),
        _ => Answer::Now(Reply::empty(405)),
    }
}

#[expect(clippy::too_many_lines, reason = "one arm for each path")]
fn routed(database: &mut Database, id: u64, request: &Request<'_>, path: &str, around: &Surroundings<'_>) -> Answer {
    let of_the_cluster = ["/schedulers", "/stores", "/store/", "/config/rules", "/regions/"];
    if database.stores.is_empty() && of_the_cluster.iter().any(|prefix| path.starts_with(prefix)) {
        return Answer::Now(not_bootstrapped());
    }
    let reply = match (request.method, path) {
        ("GET", "/members") => members(database),
        ("GET", "/leader") => match leader(database) {
            Some(mut leader) => {
                // Only the list of members tells of what runs there.
                for field in ["deploy_path", "binary_version", "git_hash"] {
                    leader.as_object_mut().and_then(|fields| fields.shift_remove(field));
                }
                Reply::pretty(200, &leader)
            }
            None => Reply::text(503, "no leader\n"),
        },
        ("GET", "/cluster") => {
            Reply::pretty(200, &json!({"id": database.cluster_id, "max_peer_count": database.max_replicas}))
        }
        ("GET", "/cluster/status") => Reply::pretty(
            200,
            &json!({
                "raft_bootstrap_time": match database.stores.is_empty() {
                    true => "0001-01-01T00:00:00Z".to_owned(),
                    false => database.bootstrapped_at.replace('Z', ".01307809Z"),
                },
                "is_initialized": !database.stores.is_empty(),
                "replication_status": "",
            }),
        ),
        ("GET", "/config/replicate") => Reply::pretty(
            200,
            &json!({
                "max-replicas": database.max_replicas,
                "location-labels": database.location_labels.join(","),
                "strictly-match-label": "false",
                "enable-placement-rules": "true",
                "enable-placement-rules-cache": "false",
                "isolation-level": "",
            }),
        ),
        ("GET", "/config/rules" | "/config/rules/group/pd") => {
            let mut rule = json!({
                "group_id": "pd", "id": "default", "start_key": "", "end_key": "", "role": "voter",
                "is_witness": false, "count": database.max_replicas,
            });
            if !database.location_labels.is_empty() {
                rule["location_labels"] = json!(database.location_labels);
            }
            Reply::pretty(200, &json!([rule]))
        }
        ("GET", "/config/rules/group/tiflash") => Reply::pretty(200, &json!([])),
        ("GET", "/schedulers") => {
            let mut all = vec!["balance-leader-scheduler", "balance-hot-region-scheduler", "balance-region-scheduler"];
            if database.processes.get(&id).is_some_and(|process| !process.serves_v2()) {
                all.push("evict-slow-store-scheduler");
            }
            // A Go map's order: another one each time.
            let count = all.len();
            all.rotate_left(database.turn() % count);
            Reply::pretty(200, &json!(all))
        }
        ("GET", "/stores") => stores(database, request.query, around),
        ("GET", "/stores/progress") => progress(database, request.query, around.now_ms),
        ("GET", path) if path.starts_with("/store/") => match store_id(database, path) {
            Ok(store) => database.stores.get(&store).map_or_else(Reply::not_found, |store| {
                Reply::pretty(200, &store.to_json(around.heard_s(store), &database.location_labels))
            }),
            Err(refusal) => refusal,
        },
        ("DELETE", path) if path.starts_with("/store/") => remove_store(database, path, around.now_ms),
        ("GET", path) if path.starts_with("/regions/check/") => {
            let count = if path.ends_with("/down-peer") { database.down_peers(around.now_ms) } else { 0 };
            Reply::bytes(200, &json!({"count": count, "regions": []}).to_string())
        }
        ("POST", "/leader/resign") => {
            let next = database.pd_leader.and_then(|leader| database.successor(leader, |_| true));
            transfer(database, next)
        }
        ("POST", path) if path.starts_with("/leader/transfer/") => {
            let name = path.trim_start_matches("/leader/transfer/");
            let next = database.members.iter().find(|member| member.name == name).map(|member| member.id);
            transfer(database, next)
        }
        ("DELETE", path) if path.starts_with("/members/") => return remove_member(database, id, path),
        (_, "/members" | "/leader" | "/stores" | "/cluster" | "/cluster/status" | "/schedulers") => Reply::empty(405),
        _ => Reply::not_found(),
    };
    Answer::Now(reply)
}

fn transfer(database: &mut Database, to: Option<u64>) -> Reply {
    match to.filter(|to| database.transfer(*to)) {
        Some(_) => Reply::pretty(200, &json!("The transfer command is submitted.")),
        None => Reply::pretty(500, &json!("no valid pd to transfer etcd leader")),
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
    let leader = database.member(database.pd_leader?)?;
    Some(member(database, leader))
}

fn members(database: &Database) -> Reply {
    let members: Vec<Value> = database.members.iter().map(|one| member(database, one)).collect();
    let mut body = json!({"header": {"cluster_id": database.cluster_id}, "members": members});
    if let Some(leader) = leader(database) {
        body["leader"] = leader.clone();
        body["etcd_leader"] = leader;
    }
    Reply::pretty(200, &body)
}

/// PD asks `/ping` at the client URLs: it sees dead processes, not bad peer URLs. From v8.5 on each of them passes the ping
/// on to the leader, so that nobody is well while there is none.
fn health(database: &Database, id: u64) -> Reply {
    let passes_on = database.processes.get(&id).is_some_and(Process::pings_the_leader);
    let nobody = passes_on && database.pd_leader.is_none();
    let health: Vec<Value> = database
        .members
        .iter()
        .map(|member| {
            let pinged = database.answers(member.id) && !nobody;
            json!({"name": member.name, "member_id": member.id, "client_urls": member.client_urls, "health": pinged})
        })
        .collect();
    Reply::pretty(200, &json!(health))
}

fn status(process: &Process) -> Reply {
    Reply::pretty(
        200,
        &json!({
            "build_ts": "2026-06-17 13:41:10",
            "version": process.version,
            "git_hash": GIT_HASH,
            "start_timestamp": process.started_s,
        }),
    )
}

/// Of all that PD keeps of TiKV, until the first one has come (measured on 7.5.7 and 8.5.4).
fn not_bootstrapped() -> Reply {
    let sentence = "[PD:cluster:ErrNotBootstrapped]TiKV cluster not bootstrapped, please start TiKV first";
    Reply::pretty(500, &json!(sentence))
}

fn stores(database: &mut Database, query: &str, around: &Surroundings<'_>) -> Reply {
    let states: Vec<&str> = query.split('&').filter_map(|pair| pair.strip_prefix("state=")).collect();
    let shown = |state: StoreState| {
        let number = match state {
            StoreState::Up | StoreState::Disconnected | StoreState::Down => "0",
            StoreState::Offline => "1",
            StoreState::Tombstone => "2",
        };
        if states.is_empty() { state != StoreState::Tombstone } else { states.contains(&number) }
    };
    let turn = database.turn();
    let mut stores: Vec<Value> = database
        .stores
        .values()
        .filter(|store| shown(store.state))
        .map(|store| store.to_json(around.heard_s(store), &database.location_labels))
        .collect();
    // A Go map's order: another one each time.
    let count = stores.len().max(1);
    stores.rotate_left(turn % count);
    Reply::pretty(200, &json!({"count": stores.len(), "stores": stores}))
}

/// How far the removal of stores has come, over all that are being removed.
fn progress(database: &Database, query: &str, now_ms: u64) -> Reply {
    if query != "action=removing" {
        return Reply::pretty(400, &json!("need query parameters"));
    }
    let leaving = database.stores.values().filter(|store| store.state == StoreState::Offline);
    let done: Vec<u64> = leaving
        .map(|store| now_ms.saturating_sub(store.removing_since_ms.unwrap_or(now_ms)).min(super::stores::DRAIN_MS))
        .collect();
    if done.is_empty() {
        return Reply::pretty(
            404,
            &json!("[PD:progress:ErrProgressNotFound]no progress found for the action: removing"),
        );
    }
    let (sum, whole) = (done.iter().sum::<u64>(), super::stores::DRAIN_MS * done.len() as u64);
    let mut body = json!({"action": "removing", "progress": 0, "current_speed": 0, "left_seconds": f64::MAX});
    if sum > 0 {
        body["progress"] = json!(sum as f64 / whole as f64);
        body["current_speed"] = json!(10.5);
        body["left_seconds"] = json!((whole - sum) as f64 / 1_000.0);
    }
    let mut reply = Reply::pretty(200, &body);
    // Go writes the sign of an exponent.
    reply.body = reply.body.replace("e308", "e+308");
    reply
}

fn store_id(database: &Database, path: &str) -> Result<u64, Reply> {
    let raw = path.trim_start_matches("/store/");
    let id = raw.parse().map_err(|_| {
        let message = format!("strconv.ParseUint: parsing {raw:?}: invalid syntax");
        let body = json!({"code": "input", "msg": message, "data": {}});
        Reply::pretty(400, &body).with("Tidb-Error-Code", "input".to_owned())
    })?;
    if database.stores.contains_key(&id) {
        Ok(id)
    } else {
        Err(Reply::pretty(404, &json!(format!("[PD:core:ErrStoreNotFound]store {id} not found"))))
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
        StoreState::Tombstone => return Reply::pretty(410, &json!("The store has already been removed.")),
        StoreState::Up if up <= need => {
            let left = up - 1;
            let text =
                format!("can not remove store {id} since the number of up stores would be {left} while need {need}");
            return Reply::pretty(400, &json!(text));
        }
        StoreState::Up | StoreState::Disconnected | StoreState::Down => {
            store.state = StoreState::Offline;
            store.removing_since_ms = Some(now_ms);
        }
        StoreState::Offline => {}
    }
    Reply::pretty(200, &json!("The store is set as Offline."))
}

fn remove_member(database: &mut Database, asked: u64, path: &str) -> Answer {
    let found = match path.trim_start_matches("/members/").split_once('/') {
        Some(("name", name)) => database.members.iter().find(|member| member.name == name),
        Some(("id", id)) => database.members.iter().find(|member| member.id.to_string() == id),
        _ => return Answer::Now(Reply::not_found()),
    };
    let shown = path.rsplit('/').next().unwrap_or_default().to_owned();
    let Some(id) = found.map(|member| member.id) else {
        return Answer::Now(match path.starts_with("/members/name/") {
            true => Reply::pretty(404, &json!(format!("not found, pd: {shown}"))),
            false => {
                let told = "[PD:etcd:ErrEtcdMemberRemove]etcdserver: member not found: etcdserver: member not found";
                Reply::pretty(500, &json!(told))
            }
        });
    };
    match database.propose(asked, Change::Remove { id }) {
        Proposal::Committed => Answer::Now(Reply::pretty(200, &json!(format!("removed, pd: {shown}")))),
        Proposal::Waiting(_) => Answer::After(11_000, Reply::pretty(500, &json!("etcdserver: request timed out"))),
    }
}
