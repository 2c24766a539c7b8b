//! etcd's own HTTP on PD's ports: `/v2/members`, `/health`, `/version`, and what the peer port answers.
//!
//! Status codes and bodies as measured on real processes (facts-etcd.md). The v3 gateway is in `etcd_v3`; PD's API in `api`; members, election
//! and majority in the module above.
//! Everything here sees one member's local view, as the real thing does.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Change, Database, Member, Process, Proposal, etcd_v3, urls};

/// How long v2 waits for a majority: 5 s and two elections.
const REQUEST_TIMEOUT_MS: u64 = 11_000;

/// A request, read completely.
#[derive(Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub content_type: Option<&'a str>,
    /// The header `PD-Allow-follower-handle: true`.
    pub local: bool,
    pub body: &'a [u8],
}

/// A response with its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// When and whether a response comes.
#[derive(Debug)]
pub enum Answer {
    Now(Reply),
    /// After this many simulated milliseconds.
    After(u64, Reply),
    /// Never.
    Hang,
    /// As soon as a queued v3 change is applied; else never.
    WhenApplied(oneshot::Receiver<()>),
    /// The process is gone before it can answer.
    Cut,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Reply {
        Reply { status, content_type: "application/json", headers: Vec::new(), body: body.to_string() }
    }

    /// As Go's `http.Error` writes it.
    pub fn text(status: u16, body: &str) -> Reply {
        let reply = Reply { content_type: "text/plain; charset=utf-8", ..Reply::bytes(status, body) };
        reply.with("X-Content-Type-Options", "nosniff".to_owned())
    }

    /// As the render library of PD's API writes it: indented, with a line end.
    pub fn pretty(status: u16, body: &Value) -> Reply {
        let text = format!("{body:#}\n");
        Reply { content_type: "application/json; charset=UTF-8", ..Reply::bytes(status, &text) }
    }

    /// JSON that a handler of PD writes by itself, without saying that it is.
    pub fn bytes(status: u16, body: &str) -> Reply {
        Reply { status, content_type: "application/octet-stream", headers: Vec::new(), body: body.to_owned() }
    }

    pub fn empty(status: u16) -> Reply {
        Reply { status, content_type: "", headers: Vec::new(), body: String::new() }
    }

    pub fn with(mut self, header: &'static str, value: String) -> Reply {
        self.headers.push((header, value));
        self
    }

    pub fn not_found() -> Reply {
        Reply::text(404, "404 page not found\n")
    }
}

/// The paths of etcd on the client port; `None` when it is not one of them.
pub fn client_port(database: &mut Database, id: u64, request: &Request<'_>, now_ms: u64) -> Option<Answer> {
    let process = database.processes.get(&id)?;
    let reply = match request.path {
        "/health" => return Some(health(database, id, process, now_ms)),
        "/version" => version(process),
        path if path == "/v2" || path.starts_with("/v2/") => {
            if !process.serves_v2() {
                return Some(Answer::Now(Reply::not_found()));
            }
            return Some(match path.strip_prefix("/v2/members") {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                    stamp(members_v2(database, id, rest, request, now_ms), database)
                }
                _ => Answer::Now(Reply::not_found()),
            });
        }
        path if path.starts_with("/v3") => return Some(etcd_v3::handle(database, id, request, now_ms)),
        _ => return None,
    };
    Some(Answer::Now(reply))
}

/// What port 2380 answers.
pub fn peer_port(database: &Database, id: u64, request: &Request<'_>) -> Answer {
    let Some(process) = database.processes.get(&id) else { return Answer::Cut };
    Answer::Now(match request.path {
        "/version" => version(process),
        "/members" => {
            let members: Vec<Value> = process.view.iter().map(member_with_number).collect();
            Reply::json(200, &json!(members)).with("X-Etcd-Cluster-Id", format!("{:x}", database.etcd_id))
        }
        _ => Reply::not_found(),
    })
}

fn member_with_number(member: &Member) -> Value {
    let mut value = json!({"id": member.id, "peerURLs": member.peer_urls});
    if !member.name.is_empty() {
        value["name"] = json!(member.name);
        value["clientURLs"] = json!(member.client_urls);
    }
    value
}

fn version(process: &Process) -> Reply {
    let cluster = if process.serves_v2() { "3.4.0" } else { "3.5.0" };
    Reply::json(200, &json!({"etcdserver": process.etcd_version(), "etcdcluster": cluster}))
}

/// etcd asks itself a linearizable question first, and that hangs while it does not know yet that its leader is gone.
fn health(database: &Database, id: u64, process: &Process, now_ms: u64) -> Answer {
    let new = !process.serves_v2();
    let reply = |healthy: bool, reason: &str| {
        let mut body = json!({"health": healthy.to_string()});
        if new {
            body["reason"] = json!(reason);
        }
        let text = if healthy { body.to_string() } else { format!("{body}\n") };
        let status = if healthy { 200 } else { 503 };
        Reply { content_type: "text/plain; charset=utf-8", ..Reply::bytes(status, &text) }
    };
    if database.in_touch(id) {
        return Answer::Now(reply(true, ""));
    }
    match database.waning(now_ms) {
        Some((_, until)) if new => {
            Answer::After(until - now_ms, reply(false, "RANGE ERROR:etcdserver: leader changed"))
        }
        Some(_) => Answer::After(1_000, reply(false, "")),
        None => Answer::Now(reply(false, "RAFT NO LEADER")),
    }
}

fn stamp(answer: Answer, database: &Database) -> Answer {
    let stamped = |reply: Reply| reply.with("X-Etcd-Cluster-Id", format!("{:x}", database.etcd_id));
    match answer {
        Answer::Now(reply) => Answer::Now(stamped(reply)),
        Answer::After(wait, reply) => Answer::After(wait, stamped(reply)),
        other @ (Answer::Hang | Answer::WhenApplied(_) | Answer::Cut) => other,
    }
}

fn message(status: u16, text: &str) -> Answer {
    Answer::Now(Reply::json(status, &json!({"message": text})))
}

/// `rest` is what follows `/v2/members`.
fn members_v2(database: &mut Database, id: u64, rest: &str, request: &Request<'_>, now_ms: u64) -> Answer {
    match request.method {
        "GET" => match rest {
            "" | "/" => {
                let view = database.processes.get(&id).map(|process| process.view.as_slice()).unwrap_or_default();
                let members: Vec<Value> = view.iter().map(member_v2).collect();
                Answer::Now(line(Reply::json(200, &json!({"members": members}))))
            }
            "/leader" => match database.followed(id, now_ms).and_then(|leader| database.member(leader)) {
                Some(leader) => Answer::Now(line(Reply::json(200, &member_v2(leader)))),
                None => message(503, "During election"),
            },
            _ => message(404, "Not found"),
        },
        "POST" if matches!(rest, "" | "/") => add(database, id, request),
        "PUT" if rest.len() > 1 => update(database, id, &rest[1..], request),
        "DELETE" if rest.len() > 1 => remove(database, id, &rest[1..]),
        _ => Answer::Now(Reply::text(405, "Method Not Allowed\n").with("Allow", "GET,POST,DELETE,PUT".to_owned())),
    }
}

/// Go's JSON encoder ends its answer with a line end.
fn line(mut reply: Reply) -> Reply {
    reply.body.push('\n');
    reply
}

fn member_v2(member: &Member) -> Value {
    json!({
        "id": format!("{:x}", member.id),
        "name": member.name,
        "peerURLs": member.peer_urls,
        "clientURLs": member.client_urls,
    })
}

/// The only field that is looked at.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    #[serde(rename = "peerURLs")]
    peer_urls: Vec<String>,
}

/// Reads the list as etcd does: content type, JSON, URL check, sorted.
fn read_urls(request: &Request<'_>) -> Result<Vec<String>, Answer> {
    let kind = request.content_type.unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err(message(415, &format!("Bad Content-Type {kind}, accept application/json")));
    }
    let body: Body =
        serde_json::from_slice(request.body).map_err(|error| message(400, &go_json_error(&error, request.body)))?;
    urls::check_list(&body.peer_urls).map_err(|reason| message(400, &reason))?;
    let mut urls: Vec<String> = body.peer_urls.iter().map(|url| url.trim().to_owned()).collect();
    urls.sort();
    Ok(urls)
}

fn go_json_error(error: &serde_json::Error, body: &[u8]) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    if error.is_data() {
        return "json: cannot unmarshal string into Go struct field .peerURLs of type []string".to_owned();
    }
    let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let found = line.get(error.column().saturating_sub(1)).copied().map_or(' ', char::from);
    format!("invalid character '{found}' looking for beginning of value")
}

fn settle(proposal: Proposal, done: Reply) -> Answer {
    match proposal {
        Proposal::Committed => Answer::Now(done),
        // The caller gives up here; the entry may stay queued at the old leader.
        Proposal::Waiting(_) => {
            Answer::After(REQUEST_TIMEOUT_MS, Reply::json(500, &json!({"message": "Internal Server Error"})))
        }
    }
}

fn taken(database: &Database, id: Option<u64>, urls: &[String]) -> bool {
    let others = database.members.iter().filter(|member| Some(member.id) != id);
    others.flat_map(|member| &member.peer_urls).any(|url| urls.contains(url))
}

fn update(database: &mut Database, asked: u64, raw: &str, request: &Request<'_>) -> Answer {
    let known = u64::from_str_radix(raw, 16).ok().filter(|_| !raw.starts_with('+'));
    let Some(id) = known else { return message(404, &format!("No such member: {raw}")) };
    let urls = match read_urls(request) {
        Ok(urls) => urls,
        Err(refusal) => return refusal,
    };
    if database.removed.contains(&id) {
        return message(410, &format!("Member permanently removed: {raw}"));
    }
    if database.member(id).is_none() {
        return message(404, &format!("No such member: {raw}"));
    }
    if taken(database, Some(id), &urls) {
        return message(409, "membership: peerURL exists");
    }
    settle(database.propose(asked, Change::PeerUrls { id, urls }), Reply::empty(204))
}

fn add(database: &mut Database, asked: u64, request: &Request<'_>) -> Answer {
    let urls = match read_urls(request) {
        Ok(urls) => urls,
        Err(refusal) => return refusal,
    };
    if taken(database, None, &urls) {
        return message(409, "membership: peerURL exists");
    }
    // As unique as etcd's own, which hashes the URLs and the time.
    let id = database
        .members
        .iter()
        .map(|member| member.id.rotate_left(7))
        .fold(database.etcd_id ^ database.term, u64::wrapping_add);
    let member = Member { id, name: String::new(), peer_urls: urls, client_urls: Vec::new() };
    let reply = line(Reply::json(201, &member_v2(&member)));
    settle(database.propose(asked, Change::Add(member)), reply)
}

fn remove(database: &mut Database, asked: u64, raw: &str) -> Answer {
    let Ok(id) = u64::from_str_radix(raw, 16) else { return message(404, &format!("No such member: {raw}")) };
    if database.removed.contains(&id) {
        return message(410, &format!("Member permanently removed: {raw}"));
    }
    if database.member(id).is_none() {
        return message(404, &format!("No such member: {raw}"));
    }
    settle(database.propose(asked, Change::Remove { id }), Reply::empty(204))
}
