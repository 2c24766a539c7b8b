//! The lines that PD, TiKV and TiDB print about what happens to them, in their own format:
//! `[time] [LEVEL] [file:line] ["message"] [key=value]`.
//!
//! Starts and ends are told by the kubelet; leaders, members and stores are compared with what was last seen, once a
//! tick. Not here: where lines are kept ([`super`]).

use std::collections::BTreeMap;

use super::Logs;
use crate::sim::components::Component;
use crate::sim::pd::{Database, Member};
use crate::sim::world::PodKey;

/// How often PD complains about a peer that it cannot reach (etcd: every 30 s).
const PROBE_MS: u64 = 30_000;

/// What was last told of a Database.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    leader: Option<u64>,
    pd_leader: Option<u64>,
    members: Vec<Member>,
    stores: BTreeMap<u64, &'static str>,
}

/// One line as PD, TiKV and TiDB write it. `fields`: `key=value` each.
pub fn line(level: &str, place: &str, message: &str, fields: &[String]) -> String {
    let time = super::clock().strftime("%Y/%m/%d %H:%M:%S%.3f +00:00");
    let quoted = message.contains([' ', '[', ']', '"', '=']);
    let message = if quoted { format!("{message:?}") } else { message.to_owned() };
    let field = |field: &String| match field.split_once('=') {
        Some((key, value)) if value.contains([' ', '[', ']', '"', '=']) => format!(" [{key}={value:?}]"),
        _ => format!(" [{field}]"),
    };
    let fields: String = fields.iter().map(field).collect();
    format!("[{time}] [{level}] [{place}] [{message}]{fields}")
}

/// The start script, waiting for the pod's own name.
pub fn waits_for_name(logs: &Logs, key: &PodKey, domain: &str) {
    logs.print(key, format!("waiting for domain {domain} to be ready.."));
}

/// The process begins.
pub fn starts(logs: &Logs, key: &PodKey, component: Component, domain: &str, image: &str) {
    let version = image.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    logs.print(key, format!("nslookup domain {domain} success"));
    let print = |level: &str, place: &str, message: &str, fields: &[String]| {
        logs.print(key, line(level, place, message, fields));
    };
    match component {
        Component::Pd => {
            logs.print(key, "starting pd-server ...");
            print("INFO", "versioninfo.go:89", "Welcome to Placement Driver (PD)", &[]);
            print("INFO", "versioninfo.go:90", "PD", &[format!("release-version={version}")]);
            print("INFO", "server.go:272", "PD config", &[format!("name={}", key.name), format!("domain={domain}")]);
        }
        Component::TiKv => {
            logs.print(key, "starting tikv-server ...");
            print("INFO", "lib.rs:87", "Welcome to TiKV", &[]);
            print("INFO", "lib.rs:92", &format!("Release Version:   {}", version.trim_start_matches('v')), &[]);
            print("INFO", "util.rs:604", "connecting to PD endpoint", &[]);
        }
        Component::TiDb => {
            logs.print(key, "start tidb-server ...");
            print("INFO", "printer.go:47", "Welcome to TiDB.", &[format!("release-version={version}")]);
        }
        other => print("INFO", "main", &format!("{} starts", other.key()), &[format!("version={version}")]),
    }
}

/// The process does what it is there for.
pub fn serves(logs: &Logs, key: &PodKey, component: Component, leader: &str) {
    let print = |level: &str, place: &str, message: &str, fields: &[String]| {
        logs.print(key, line(level, place, message, fields));
    };
    match component {
        Component::Pd => {}
        Component::TiKv | Component::TiFlash => {
            print("INFO", "util.rs:668", "connected to PD member", &[format!("endpoints={leader}")]);
            print("INFO", "server.rs:1187", "TiKV is ready to serve", &[]);
        }
        Component::TiDb => {
            print("INFO", "pd_service_discovery.go:1016", "[pd] switch leader", &[format!("new-leader={leader}")]);
            print("INFO", "server.go:330", "server is running MySQL protocol", &["addr=0.0.0.0:4000".to_owned()]);
        }
        _ => print("INFO", "main", "ready to serve", &[format!("pd={leader}")]),
    }
}

/// The process ends by itself or is killed. SIGKILL (137) leaves no time for a word.
pub fn exits(logs: &Logs, key: &PodKey, component: Option<Component>, code: i32) {
    match (component, code) {
        (_, 137) => {}
        (Some(Component::Pd), 2) => {
            logs.print(key, line("PANIC", "cluster.go:614", "failed to apply the change of a member", &[]));
            logs.print(key, "panic: failed NewURLs");
        }
        (_, 0) => logs.print(key, line("INFO", "main.go:310", "got signal to exit", &["signal=terminated".to_owned()])),
        (_, code) => {
            let place = if component == Some(Component::TiKv) { "setup.rs:312" } else { "main.go:89" };
            let why = "error=the process could not be started".to_owned();
            logs.print(key, line("FATAL", place, "run server failed", &[why, format!("exit-code={code}")]));
        }
    }
    logs.end(key);
}

/// What has become different in a Database since the last call, in the words of those whom it concerns.
pub fn observe(logs: &mut Logs, index: usize, database: &Database, now_ms: u64) {
    let before = logs.seen.remove(&index).unwrap_or_default();
    if before.leader != database.leader || before.pd_leader != database.pd_leader {
        leaders(logs, database, &before);
    }
    if before.members != database.members && !before.members.is_empty() {
        members(logs, database, &before);
    }
    let state = |id: u64| before.stores.get(&id).copied();
    let stores: BTreeMap<u64, &'static str> =
        database.stores.iter().map(|(id, store)| (*id, store.state.name())).collect();
    let changed = stores.iter().filter(|(id, now)| state(**id).is_some_and(|before| before != **now));
    for (id, now) in changed.collect::<Vec<_>>() {
        if let Some(leader) = database.pd_leader.and_then(|id| database.processes.get(&id)) {
            let level = if *now == "Up" { "INFO" } else { "WARN" };
            let fields = [format!("store-id={id}"), format!("store-state={now}")];
            logs.print(&leader.pod, line(level, "cluster.go:1683", "store state has changed", &fields));
        }
    }
    if now_ms.is_multiple_of(PROBE_MS) {
        for (pod, remote, url) in database.out_of_reach() {
            let fields = [
                "round-tripper-name=ROUND_TRIPPER_RAFT_MESSAGE".to_owned(),
                format!("remote-peer-id={remote:x}"),
                "rtt=0s".to_owned(),
                format!("error=dial {url}: no connection"),
            ];
            let message = "prober detected unhealthy status";
            logs.print(pod, line("WARN", "probing_status.go:82", message, &fields));
        }
    }
    let (leader, pd_leader, members) = (database.leader, database.pd_leader, database.members.clone());
    logs.seen.insert(index, Seen { leader, pd_leader, members, stores });
}

fn leaders(logs: &Logs, database: &Database, before: &Seen) {
    let name = |id: u64| database.member(id).map_or_else(|| format!("{id:x}"), |member| member.name.clone());
    for (id, process) in database.processes.iter().filter(|(_, process)| process.joined) {
        let print = |level: &str, place: &str, message: &str, fields: &[String]| {
            logs.print(&process.pod, line(level, place, message, fields));
        };
        if before.leader != database.leader {
            let term = database.term;
            match (before.leader, database.leader) {
                (_, Some(leader)) if leader == *id => {
                    print("INFO", "raft.go:771", &format!("{id:x} became leader at term {term}"), &[]);
                }
                (_, Some(leader)) => {
                    print(
                        "INFO",
                        "node.go:332",
                        &format!("raft.node: {id:x} elected leader {leader:x} at term {term}"),
                        &[],
                    );
                }
                (Some(lost), None) => {
                    print(
                        "WARN",
                        "node.go:338",
                        &format!("raft.node: {id:x} lost leader {lost:x} at term {term}"),
                        &[],
                    );
                }
                (None, None) => {}
            }
        }
        if before.pd_leader != database.pd_leader {
            match database.pd_leader {
                Some(leader) if leader == *id => {
                    let fields = [format!("leader-name={}", name(leader))];
                    print("INFO", "server.go:1720", "campaign PD leader ok", &fields);
                    print("INFO", "server.go:1811", "PD leader is ready to serve", &fields);
                }
                Some(leader) => {
                    let fields = [format!("pd-leader={}", name(leader))];
                    print("INFO", "server.go:1644", "start to watch pd leader", &fields);
                }
                None if before.pd_leader == Some(*id) => {
                    print("WARN", "server.go:1835", "no longer a leader because lease has expired", &[]);
                }
                None => {}
            }
        }
    }
    let Some(leader) = database.pd_leader.filter(|leader| before.pd_leader != Some(*leader)) else { return };
    let url = database.processes.get(&leader).map(|process| process.client_url.clone()).unwrap_or_default();
    for store in database.stores.values().filter(|store| store.state.name() == "Up") {
        let fields = [format!("endpoints={url}")];
        logs.print(&store.pod, line("INFO", "util.rs:668", "connected to PD member", &fields));
    }
}

fn members(logs: &Logs, database: &Database, before: &Seen) {
    let old: BTreeMap<u64, &Member> = before.members.iter().map(|member| (member.id, member)).collect();
    let mut news: Vec<(&str, Vec<String>)> = Vec::new();
    for member in &database.members {
        let (id, urls) = (member.id, member.peer_urls.join(","));
        match old.get(&id) {
            None => news.push(("added member", vec![format!("added-peer-id={id:x}"), format!("urls=[{urls}]")])),
            Some(old) if old.peer_urls != member.peer_urls => {
                let was = format!("was=[{}]", old.peer_urls.join(","));
                news.push((
                    "updated member",
                    vec![format!("updated-remote-peer-id={id:x}"), format!("updated-remote-peer-urls=[{urls}]"), was],
                ));
            }
            Some(_) => {}
        }
    }
    for (id, _) in old.iter().filter(|(id, _)| database.member(**id).is_none()) {
        news.push(("removed member", vec![format!("removed-remote-peer-id={id:x}")]));
    }
    for process in database.processes.values().filter(|process| process.joined) {
        for (message, fields) in &news {
            logs.print(&process.pod, line("INFO", "cluster.go:421", message, fields));
        }
    }
}
