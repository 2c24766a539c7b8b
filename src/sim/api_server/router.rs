//! Which request is what: faults, token, rights, then the file that answers; and one log line for each.
//!
//! It decides nothing about objects. Verbs are named as RBAC names them.

use std::sync::Arc;

use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use jiff::Timestamp;

use super::auth::{Ask, Rules, User};
use super::connection::Server;
use super::reply::Reply;
use super::request::{Query, Target};
use super::status::Refusal;
use super::{crd, discovery, openapi, pod_log, rbac, read, review, streams, token, watch, write};
use crate::sim::request_log::KubeRequest;

/// Tokens end by the wall clock, as their clients read it.
#[expect(clippy::disallowed_methods, reason = "a server has a clock of its own")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// As etcd's default limit on one object and its envelope.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// One authenticated request for a known kind.
pub(super) struct Call {
    pub server: Arc<Server>,
    pub user: User,
    pub query: Query,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub target: Target,
}

impl Call {
    pub(super) fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(super) fn store(&self) -> &crate::sim::object_store::Store {
        &self.server.config.store
    }

    pub(super) fn namespace(&self) -> &str {
        self.target.namespace.as_deref().unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    /// The question to the user's rules for this target.
    pub(super) fn ask<'a>(&'a self, verb: &'a str) -> Ask<'a> {
        // A Namespace object lives in "its" namespace as far as rights are concerned.
        let own_namespace = if self.target.kind.plural == "namespaces" { self.name() } else { "" };
        Ask {
            verb,
            group: self.target.kind.group,
            resource: self.target.kind.plural,
            subresource: self.target.subresource.as_deref().unwrap_or_default(),
            namespace: self.target.namespace.as_deref().unwrap_or(own_namespace),
            name: self.name(),
        }
    }

    pub(super) fn allowed(&self, verb: &str) -> Result<(), Refusal> {
        let ask = self.ask(verb);
        if self.user.rules.allow(&ask) { Ok(()) } else { Err(Refusal::forbidden(&self.user, &ask)) }
    }
}

/// Answers one request and writes it down.
pub(super) async fn answer(server: &Arc<Server>, request: Request<Incoming>) -> Reply {
    let config = &server.config;
    let method = request.method().as_str().to_owned();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let agent = agent.unwrap_or_default().to_owned();
    config.faults.answering().await;
    for delay in [config.latency, config.faults.latency()].into_iter().flatten() {
        tokio::time::sleep(delay).await;
    }
    let mut dry_run = false;
    let reply = route(server, request, &mut dry_run).await.unwrap_or_else(|refusal| refusal.reply());
    let status = reply.status().as_u16();
    config.log.kube(KubeRequest { kube_cluster: config.name.clone(), method, path, query, status, dry_run, agent });
    reply
}

async fn route(server: &Arc<Server>, request: Request<Incoming>, dry_run: &mut bool) -> Result<Reply, Refusal> {
    let config = &server.config;
    if let Some(status) = config.faults.refuse() {
        return Err(Refusal::fault(status));
    }
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    *dry_run = query.dry_run();
    if let Some(reply) = discovery::health(&path) {
        return Ok(reply);
    }
    let user = acting(server, authenticate(server, &parts.headers)?, &parts.headers)?;
    let Some(target) = Target::parse(&path) else {
        return match parts.method {
            Method::GET => discovery::answer(config, &path)
                .or_else(|| openapi::answer(config, &path))
                .ok_or_else(Refusal::unknown_path),
            Method::POST => match config.faults.refuse_review() {
                Some(404) if path.ends_with("/selfsubjectreviews") => Err(Refusal::unknown_path()),
                Some(status) if path.ends_with("/selfsubjectreviews") => Err(Refusal::fault(status)),
                Some(_) | None => review::answer(&user, &path, &read_body(body).await?),
            },
            _ => Err(Refusal::unknown_path()),
        };
    };
    // Taken before the body: hyper keeps the connection here for an upgrade.
    let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
    let body = if parts.headers.contains_key(header::UPGRADE) { Bytes::new() } else { read_body(body).await? };
    let call = Call { server: server.clone(), user, query, headers: parts.headers, body, target };
    *dry_run |= parts.method == Method::DELETE && write::dry_run(&call);
    resource(&parts.method, call, upgrade)
}

pub(super) fn resource(
    method: &Method,
    call: Call,
    upgrade: Option<hyper::upgrade::OnUpgrade>,
) -> Result<Reply, Refusal> {
    let named = call.target.name.is_some();
    let watching = call.query.flag("watch");
    let verb = match (method.as_str(), named) {
        ("GET", _) if watching && call.target.subresource.is_none() => "watch",
        ("GET" | "HEAD", true) => "get",
        ("GET" | "HEAD", false) => "list",
        ("POST", _) => "create",
        ("PUT", true) => "update",
        ("PATCH", true) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => return Err(Refusal::method_not_allowed()),
    };
    call.allowed(verb)?;
    if !crd::served(call.store(), call.target.kind) {
        return Err(Refusal::unknown_path());
    }
    match (call.target.kind.plural, call.target.subresource.as_deref()) {
        (_, None) => match verb {
            "watch" => watch::watch(&call),
            "get" => read::get(&call),
            "list" => read::list(&call),
            "create" if named => Err(Refusal::method_not_allowed()),
            "create" => write::create(&call),
            "update" => write::update(&call),
            "patch" => write::patch(&call),
            "delete" => write::delete(&call),
            _ => write::delete_collection(&call),
        },
        ("pods", Some("log")) if verb == "get" => pod_log::log(&call),
        ("pods", Some("exec")) if matches!(verb, "get" | "create") => streams::exec(call, verb, upgrade),
        ("pods", Some("portforward")) if matches!(verb, "get" | "create") => streams::port_forward(call, verb, upgrade),
        (_, Some("status")) if call.target.kind.has_status() => match verb {
            "get" => read::get(&call),
            "update" => write::update(&call),
            "patch" => write::patch(&call),
            _ => Err(Refusal::method_not_allowed()),
        },
        ("statefulsets" | "deployments" | "replicasets", Some("scale")) => match verb {
            "get" => read::scale(&call),
            "update" | "patch" => write::scale(&call, verb),
            _ => Err(Refusal::method_not_allowed()),
        },
        ("pods", Some("eviction")) if verb == "create" => write::evict(&call),
        ("serviceaccounts", Some("token")) if verb == "create" => token::create(&call, now()),
        _ => Err(Refusal::unknown_path()),
    }
}

fn authenticate(server: &Server, headers: &HeaderMap) -> Result<User, Refusal> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = given.and_then(|given| given.strip_prefix("Bearer ")).map(str::trim);
    let token = token.ok_or_else(Refusal::unauthorized)?;
    let known = server.config.tokens.get(token).cloned();
    known.or_else(|| server.issued.user(token, now())).ok_or_else(Refusal::unauthorized)
}

/// Whom a request is made as: the user of the token, or whom that user may impersonate; with the rights of that one.
fn acting(server: &Server, user: User, headers: &HeaderMap) -> Result<User, Refusal> {
    let bound = |mut user: User| {
        if user.rules == Rules::Bound {
            user.rules = Rules::Resolved(rbac::rules(&server.config.store, &user));
        }
        user
    };
    let user = bound(user);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let Some(name) = text("impersonate-user") else { return Ok(user) };
    let ask = Ask { verb: "impersonate", resource: "users", name: &name, ..Ask::default() };
    if !user.rules.allow(&ask) {
        return Err(Refusal::forbidden(&user, &ask));
    }
    let given = headers.get_all("impersonate-group").iter();
    let groups = given.filter_map(|value| value.to_str().ok().map(str::to_owned)).collect();
    let known = server.config.tokens.values().find(|known| known.name == name).cloned();
    Ok(bound(known.unwrap_or(User { name, groups, rules: Rules::Bound })))
}

async fn read_body(body: Incoming) -> Result<Bytes, Refusal> {
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Refusal::too_large_body(BODY_LIMIT)),
        Err(error) => Err(Refusal::bad_request(format!("the body could not be read: {error}"))),
    }
}
