//! Three real etcd processes in the shape that TiDB Operator gives its PDs, and their own member API.
//!
//! Formed over loopback peer URLs; the operator's names are set afterwards ([`Etcds::pretend`]). Streams that stand
//! survive such an update, so the cluster stays healthy although nothing resolves those names. The processes look
//! names up through a proxy that is not there, so that no query leaves this machine. Dropping kills them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::etcd::http_client::Http;

/// Until a cluster has formed, on a machine that is busy with something else.
const FORMED: Duration = Duration::from_secs(30);
/// Until every member has what one was told.
const SPREAD: Duration = Duration::from_secs(10);
/// Port 1 is never listened on: a connection there is refused at once.
const NO_PROXY_THERE: &str = "http://127.0.0.1:1";

/// Which etcd, and how it is started.
#[derive(Clone, Debug)]
pub struct Flavour {
    pub binary: PathBuf,
    /// Whether to serve `/v2/members`.
    pub v2: bool,
}

/// Certificate files of the members, when they speak TLS.
#[derive(Clone, Debug)]
pub struct Certificates {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A member as etcd lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: u64,
    pub peer_urls: Vec<String>,
}

/// Who leads since when, and how far the raft log goes, as one member has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raft {
    pub leader: u64,
    pub term: u64,
    pub index: u64,
}

struct Process {
    child: Child,
    client: SocketAddr,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Etcds {
    processes: Vec<Process>,
    http: Http,
    _folder: tempfile::TempDir,
}

impl Etcds {
    /// Starts one member per host name and waits until all are healthy.
    pub async fn start(flavour: &Flavour, hosts: &[String], certificates: Option<&Certificates>) -> Etcds {
        let mut last = String::new();
        // A port that was free may be taken by the time etcd binds it.
        for _ in 0..3 {
            match Etcds::try_start(flavour, hosts, certificates).await {
                Ok(etcds) => return etcds,
                Err(why) => last = why,
            }
        }
        panic!("no etcd cluster formed: {last}");
    }

    async fn try_start(
        flavour: &Flavour,
        hosts: &[String],
        certificates: Option<&Certificates>,
    ) -> Result<Etcds, String> {
        let scheme = if certificates.is_some() { "https" } else { "http" };
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let ports = free_addresses(2 * hosts.len()).map_err(|error| error.to_string())?;
        let (clients, peers) = ports.split_at(hosts.len());
        let cluster: Vec<String> =
            hosts.iter().zip(peers).map(|(host, peer)| format!("{host}={scheme}://{peer}")).collect();
        let mut processes = Vec::new();
        for (index, host) in hosts.iter().enumerate() {
            let data = folder.path().join(index.to_string());
            let log = folder.path().join(format!("{index}.log"));
            let (client, peer) = (clients[index], peers[index]);
            let mut command = Command::new(&flavour.binary);
            command.env_clear().env("HTTP_PROXY", NO_PROXY_THERE).env("HTTPS_PROXY", NO_PROXY_THERE);
            let options = [
                ("name", host.clone()),
                ("data-dir", data.display().to_string()),
                ("listen-client-urls", format!("{scheme}://{client}")),
                ("advertise-client-urls", format!("{scheme}://{host}:2379")),
                ("listen-peer-urls", format!("{scheme}://{peer}")),
                ("initial-advertise-peer-urls", format!("{scheme}://{peer}")),
                ("initial-cluster", cluster.join(",")),
                ("initial-cluster-state", "new".to_owned()),
                ("initial-cluster-token", folder.path().display().to_string()),
                // Faster than PD's own 500 and 3000, slow enough for a machine that compiles meanwhile.
                ("heartbeat-interval", "250".to_owned()),
                ("election-timeout", "2500".to_owned()),
                ("pre-vote", "true".to_owned()),
                ("enable-v2", flavour.v2.to_string()),
                ("logger", "zap".to_owned()),
                ("log-outputs", "stderr".to_owned()),
            ];
            command.args(options.iter().map(|(name, value)| format!("--{name}={value}")));
            if let Some(files) = certificates {
                for prefix in ["", "peer-"] {
                    command.arg(format!("--{prefix}trusted-ca-file={}", files.authority.display()));
                    command.arg(format!("--{prefix}cert-file={}", files.certificate.display()));
                    command.arg(format!("--{prefix}key-file={}", files.key.display()));
                    command.arg(format!("--{prefix}client-cert-auth=true"));
                }
            }
            let output = File::create(&log).map_err(|error| error.to_string())?;
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).spawn();
            let child = child.map_err(|error| format!("{} does not start: {error}", flavour.binary.display()))?;
            processes.push(Process { child, client, log });
        }
        let http = Http::new(certificates)?;
        let mut etcds = Etcds { processes, http, _folder: folder };
        etcds.formed().await?;
        Ok(etcds)
    }

    async fn formed(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + FORMED;
        loop {
            if let Some(dead) = self.dead() {
                return Err(dead);
            }
            let mut healthy = 0;
            for index in 0..self.processes.len() {
                let there = self.try_get(index, "/health").await.is_ok_and(|answer| answer["health"] == "true");
                // The gateway opens a little later than the rest.
                let listed = self.try_post(index, "/v3/cluster/member/list", &json!({})).await;
                let names = listed.map_or(0, |list| names(&list));
                healthy += usize::from(there && names == self.processes.len());
            }
            if healthy == self.processes.len() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{healthy} members were healthy after {FORMED:?}: {}", self.last_words(0)));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Where each member's client port is.
    pub fn clients(&self) -> Vec<SocketAddr> {
        self.processes.iter().map(|process| process.client).collect()
    }

    /// A member that ended, with the end of its log. etcd v3 commits a malformed URL, and then the others panic.
    pub fn dead(&mut self) -> Option<String> {
        (0..self.processes.len()).find_map(|index| {
            let ended = self.processes[index].child.try_wait().ok().flatten()?;
            Some(format!("member {index} ended ({ended}): {}", self.last_words(index)))
        })
    }

    fn last_words(&self, index: usize) -> String {
        let text = fs::read_to_string(&self.processes[index].log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    /// Sets one peerURL per member, one member after the other, by name.
    pub async fn pretend(&self, urls: &BTreeMap<String, String>) {
        for (name, url) in urls {
            let id = self.listed(0).await[name].id;
            let body = json!({"ID": id.to_string(), "peerURLs": [url]});
            self.post(0, "/v3/cluster/member/update", &body).await;
        }
        self.agreed(urls).await;
    }

    /// Waits until every member lists exactly these peerURLs; fails with what one lists instead.
    pub async fn agreed(&self, urls: &BTreeMap<String, String>) {
        let deadline = Instant::now() + SPREAD;
        for index in 0..self.processes.len() {
            loop {
                let found = self.urls(index).await;
                if found == *urls {
                    break;
                }
                assert!(Instant::now() < deadline, "member {index} lists {found:#?}, expected {urls:#?}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn urls(&self, index: usize) -> BTreeMap<String, String> {
        let listed = self.listed(index).await;
        listed.into_iter().map(|(name, member)| (name, member.peer_urls.join(","))).collect()
    }

    /// The membership as one member has it, by name.
    pub async fn listed(&self, index: usize) -> BTreeMap<String, Listed> {
        let answer = self.post(index, "/v3/cluster/member/list", &json!({})).await;
        let members = answer["members"].as_array().expect("a list of members");
        members
            .iter()
            .map(|member| {
                let name = member["name"].as_str().expect("a started member has a name").to_owned();
                let urls = member["peerURLs"].as_array().expect("a list of URLs");
                let peer_urls = urls.iter().filter_map(|url| url.as_str().map(str::to_owned)).collect();
                (name, Listed { id: decimal(&member["ID"]), peer_urls })
            })
            .collect()
    }

    pub async fn raft(&self, index: usize) -> Raft {
        let status = self.post(index, "/v3/maintenance/status", &json!({})).await;
        let [leader, term, index] = ["leader", "raftTerm", "raftIndex"].map(|field| decimal(&status[field]));
        Raft { leader, term, index }
    }

    /// Waits until every member says that it is healthy.
    pub async fn healthy(&self) {
        let deadline = Instant::now() + SPREAD;
        for index in 0..self.processes.len() {
            while !self.try_get(index, "/health").await.is_ok_and(|answer| answer["health"] == "true") {
                assert!(Instant::now() < deadline, "member {index} is not healthy: {}", self.last_words(index));
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Nobody is answered without TLS, nor without a certificate.
    pub async fn closed_to_strangers(&self, files: &Certificates) {
        let plain = Http::new(None).expect("nothing to read");
        let nameless = Http::without_certificate(files).expect("readable files");
        for client in self.clients() {
            // A request without TLS may be told so; it must not be served.
            let answer = plain.ask(client, http::Method::GET, "/health", None).await;
            assert!(!matches!(answer, Ok((200, _))), "served without TLS: {answer:?}");
            let answer = nameless.ask(client, http::Method::GET, "/health", None).await;
            assert!(answer.is_err(), "served without a certificate: {answer:?}");
        }
    }

    /// Every membership update that one member applied, oldest first: id and peerURLs. From its log, so it holds
    /// whatever went through whichever door, and an update to the same value as well.
    pub fn applied(&self, index: usize) -> Vec<(u64, Vec<String>)> {
        let text = fs::read_to_string(&self.processes[index].log).expect("a log in our own folder");
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter(|line| line["msg"] == "updated member")
            .map(|line| {
                let id = line["updated-remote-peer-id"].as_str().expect("an id in hex");
                let urls = line["updated-remote-peer-urls"].as_array().expect("a list of URLs");
                let urls = urls.iter().filter_map(|url| url.as_str().map(str::to_owned)).collect();
                (u64::from_str_radix(id, 16).expect("an id in hex"), urls)
            })
            .collect()
    }

    /// Waits until every member applied this many updates since it started, and no more for a moment.
    pub async fn applied_everywhere(&self, count: usize) {
        let deadline = Instant::now() + SPREAD;
        for index in 0..self.processes.len() {
            while self.applied(index).len() < count && Instant::now() < deadline {
                sleep(Duration::from_millis(50)).await;
            }
        }
        sleep(Duration::from_millis(100)).await;
        for index in 0..self.processes.len() {
            assert_eq!(self.applied(index).len(), count, "member {index} applied {:#?}", self.applied(index));
        }
    }

    /// The status of `GET /v2/members`: 200 or 404.
    pub async fn v2_status(&self) -> u16 {
        let answer = self.http.ask(self.processes[0].client, http::Method::GET, "/v2/members", None).await;
        answer.expect("etcd answers").0
    }

    async fn try_get(&self, index: usize, path: &str) -> Result<Value, String> {
        self.http.ask(self.processes[index].client, http::Method::GET, path, None).await.map(|(_, body)| body)
    }

    async fn try_post(&self, index: usize, path: &str, body: &Value) -> Result<Value, String> {
        match self.http.ask(self.processes[index].client, http::Method::POST, path, Some(body)).await? {
            (200, answer) => Ok(answer),
            (status, answer) => Err(format!("{status} {answer}")),
        }
    }

    async fn post(&self, index: usize, path: &str, body: &Value) -> Value {
        match self.try_post(index, path, body).await {
            Ok(answer) => answer,
            Err(error) => panic!("POST {path} at member {index}: {error}; {}", self.last_words(index)),
        }
    }
}

fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    // All held at once, so that they differ.
    let listeners: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    listeners.iter().map(TcpListener::local_addr).collect()
}

fn names(list: &Value) -> usize {
    let members = list["members"].as_array().into_iter().flatten();
    members.filter(|member| member["name"].as_str().is_some_and(|name| !name.is_empty())).count()
}

/// The gateway writes 64-bit numbers as strings, and leaves out those that are 0.
fn decimal(value: &Value) -> u64 {
    value.as_str().map_or(Some(0), |text| text.parse().ok()).expect("a decimal number")
}
