//! The v3 JSON gateway on PD's client port: member list and update, maintenance status.
//!
//! Ids are decimal strings; errors are the same in etcd 3.4.31 and 3.5.15, measured behind PD 7.5.7 and 8.5.4. Its
//! update checks no URL: that this kills the other members is `Database::propose`'s business.

use serde_json::{Map, Value, json};

use super::etcd_http::{Answer, Reply, Request};
use super::{Change, Database, Member, Process, Proposal};

const REQUEST_TIMEOUT_MS: u64 = 11_000;

pub fn handle(database: &mut Database, id: u64, request: &Request<'_>, now_ms: u64) -> Answer {
    let Some(process) = database.processes.get(&id) else { return Answer::Cut };
    let Some(call) = request.path.strip_prefix("/v3/").or_else(|| request.path.strip_prefix("/v3beta/")) else {
        return Answer::Now(Reply::not_found());
    };
    let known = ["cluster/member/list", "cluster/member/update", "maintenance/status"];
    if !known.contains(&call) {
        return Answer::Now(Reply::text(404, "Not Found\n"));
    }
    if request.method != "POST" {
        return Answer::Now(Reply::text(405, "Method Not Allowed\n"));
    }
    let body = if request.body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { request.body };
    let body = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(body)) => body,
        Err(broken) if broken.is_eof() => return Answer::Now(error(400, 3, "unexpected EOF")),
        Ok(_) | Err(_) => return Answer::Now(error(400, 3, "invalid character in request body")),
    };
    match call {
        "cluster/member/list" => {
            if !process.serves_v2() && body.get("linearizable") == Some(&json!(true)) && !database.in_touch(id) {
                let late = error(503, 14, "etcdserver: request timed out");
                return Answer::After(REQUEST_TIMEOUT_MS, late);
            }
            Answer::Now(list(database, id))
        }
        "cluster/member/update" => update(database, id, &body),
        _ => Answer::Now(status(database, id, process, now_ms)),
    }
}

/// The answer of `list`, and of a successful `update`.
pub fn list(database: &Database, id: u64) -> Reply {
    let view = database.processes.get(&id).map(|process| process.view.as_slice()).unwrap_or_default();
    let members: Vec<Value> = view.iter().map(member).collect();
    gateway(&json!({"header": header(database, id), "members": members}))
}

fn gateway(body: &Value) -> Reply {
    Reply::json(200, body).with("Grpc-Metadata-Content-Type", "application/grpc".to_owned())
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

fn error(status: u16, code: u8, text: &str) -> Reply {
    Reply::json(status, &json!({"error": text, "code": code, "message": text}))
}

fn update(database: &mut Database, asked: u64, body: &Map<String, Value>) -> Answer {
    let id = match body.get("ID") {
        // It reads what is between the quotation marks as JSON.
        Some(Value::String(text)) if text.starts_with(|first: char| !first.is_ascii_digit()) => {
            let first = text.chars().next().unwrap_or(' ');
            return Answer::Now(error(400, 3, &format!("invalid character '{first}' looking for beginning of value")));
        }
        Some(Value::String(text)) => text.parse::<u64>().ok(),
        Some(Value::Number(number)) => number.as_u64(),
        None => Some(0),
        Some(_) => None,
    };
    let Some(id) = id else {
        return Answer::Now(error(400, 3, "proto: invalid value for uint64 type: ID"));
    };
    let urls: Option<Vec<String>> = match body.get("peerURLs") {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(|url| url.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    };
    let Some(urls) = urls else {
        return Answer::Now(error(400, 3, "proto: invalid value for string type: peerURLs"));
    };
    if database.member(id).is_none() {
        return Answer::Now(error(404, 5, "etcdserver: member not found"));
    }
    let mut others = database.members.iter().filter(|member| member.id != id);
    if others.any(|member| member.peer_urls.iter().any(|url| urls.contains(url))) {
        return Answer::Now(error(400, 9, "etcdserver: Peer URLs already exists"));
    }
    match database.propose(asked, Change::PeerUrls { id, urls }) {
        Proposal::Committed if database.panicked.contains(&asked) => Answer::Cut,
        Proposal::Committed => Answer::Now(list(database, asked)),
        Proposal::Waiting(applied) => Answer::WhenApplied(applied),
    }
}

fn status(database: &Database, id: u64, process: &Process, now_ms: u64) -> Reply {
    let mut body = json!({
        "header": {
            "cluster_id": database.etcd_id.to_string(),
            "member_id": id.to_string(),
            "revision": "105",
            "raft_term": database.term.to_string(),
        },
        "version": process.etcd_version(),
        "dbSize": "20480",
    });
    let leader = database.followed(id, now_ms);
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
    gateway(&body)
}
