//! The v3 JSON gateway on PD's client port: member list and update, maintenance status.
//!
//! Ids are decimal strings; etcd 3.4 (PD up to v8.3) and 3.5 differ in codes and error bodies (facts-etcd.md, v3 gateway). Its
//! update checks no URL: that this kills the other members is `Database::propose`'s business.

use serde_json::{Map, Value, json};

use super::etcd::{Answer, Reply, Request};
use super::{Change, Database, Member, Process, Proposal};

const REQUEST_TIMEOUT_MS: u64 = 11_000;

pub fn handle(database: &mut Database, id: u64, request: &Request<'_>) -> Answer {
    let Some(process) = database.processes.get(&id) else { return Answer::Cut };
    let old = process.serves_v2();
    let Some(call) = request.path.strip_prefix("/v3/").or_else(|| request.path.strip_prefix("/v3beta/")) else {
        return Answer::Now(Reply::not_found());
    };
    let known = ["cluster/member/list", "cluster/member/update", "maintenance/status"];
    if !known.contains(&call) {
        return Answer::Now(if old { Reply::text(404, "Not Found\n") } else { error(old, 404, 5, "Not Found") });
    }
    if request.method != "POST" {
        return Answer::Now(if old {
            Reply::text(405, "Method Not Allowed\n")
        } else {
            error(old, 501, 12, "Method Not Allowed")
        });
    }
    let body = if request.body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { request.body };
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(body) else {
        return Answer::Now(error(old, 400, 3, "invalid character in request body"));
    };
    match call {
        "cluster/member/list" => {
            if !old && body.get("linearizable") == Some(&json!(true)) && !database.in_touch(id) {
                let late = error(old, 503, 14, "etcdserver: request timed out");
                return Answer::After(REQUEST_TIMEOUT_MS, late);
            }
            Answer::Now(list(database, id))
        }
        "cluster/member/update" => update(database, id, old, &body),
        _ => Answer::Now(status(database, id, process)),
    }
}

/// The answer of `list`, and of a successful `update`.
pub fn list(database: &Database, id: u64) -> Reply {
    let view = database.processes.get(&id).map(|process| process.view.as_slice()).unwrap_or_default();
    let members: Vec<Value> = view.iter().map(member).collect();
    Reply::json(200, &json!({"header": header(database, id), "members": members}))
}

fn header(database: &Database, id: u64) -> Value {
    json!({
        "cluster_id": database.etcd_id.to_string(),
        "member_id": id.to_string(),
        "raft_term": database.term.to_string(),
    })
}

/// Empty fields are left out, as protobuf's JSON does.
fn member(member: &Member) -> Value {
    let mut value = json!({"ID": member.id.to_string()});
    if !member.name.is_empty() {
        value["name"] = json!(member.name);
    }
    if !member.peer_urls.is_empty() {
        value["peerURLs"] = json!(member.peer_urls);
    }
    if !member.client_urls.is_empty() {
        value["clientURLs"] = json!(member.client_urls);
    }
    value
}

fn error(old: bool, status: u16, code: u8, text: &str) -> Reply {
    let body = if old {
        json!({"error": text, "message": text, "code": code})
    } else {
        json!({"code": code, "message": text})
    };
    Reply::json(status, &body)
}

fn update(database: &mut Database, asked: u64, old: bool, body: &Map<String, Value>) -> Answer {
    let id = match body.get("ID") {
        Some(Value::String(text)) => text.parse::<u64>().ok(),
        Some(Value::Number(number)) => number.as_u64(),
        None => Some(0),
        Some(_) => None,
    };
    let Some(id) = id else {
        return Answer::Now(error(old, 400, 3, "proto: invalid value for uint64 type: ID"));
    };
    let urls: Option<Vec<String>> = match body.get("peerURLs") {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(|url| url.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    };
    let Some(urls) = urls else {
        return Answer::Now(error(old, 400, 3, "proto: invalid value for string type: peerURLs"));
    };
    if database.member(id).is_none() {
        return Answer::Now(error(old, 404, 5, "etcdserver: member not found"));
    }
    let mut others = database.members.iter().filter(|member| member.id != id);
    if others.any(|member| member.peer_urls.iter().any(|url| urls.contains(url))) {
        return Answer::Now(error(old, if old { 412 } else { 400 }, 9, "etcdserver: Peer URLs already exists"));
    }
    match database.propose(asked, Change::PeerUrls { id, urls }) {
        Proposal::Committed if database.panicked.contains(&asked) => Answer::Cut,
        Proposal::Committed => Answer::Now(list(database, asked)),
        Proposal::Waiting(applied) => Answer::WhenApplied(applied),
    }
}

fn status(database: &Database, id: u64, process: &Process) -> Reply {
    let mut body = json!({
        "header": header(database, id),
        "version": process.etcd_version(),
        "dbSize": "20480",
    });
    let leader = database.leader.filter(|_| database.in_touch(id));
    if let Some(leader) = leader {
        body["leader"] = json!(leader.to_string());
    }
    body["raftIndex"] = json!("4711");
    body["raftTerm"] = json!(database.term.to_string());
    body["raftAppliedIndex"] = json!("4711");
    if leader.is_none() {
        body["errors"] = json!(["etcdserver: no leader"]);
    }
    body["dbSizeInUse"] = json!("16384");
    Reply::json(200, &body)
}
