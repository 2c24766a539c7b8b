//! A membership write on real wires: sent once, whatever becomes of it, through v2 and v3, to PDs of our own hand and to a real etcd.
//!
//! Not here: what a run makes of the answer (`tests/engine`), everything else at the client's edges (`client_edges.rs`).

use crate::client_edges::{RUN, fleet_of, links};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tidepilot::client::WritePermit;
use tidepilot::client::write::perform;
use tidepilot::fleet::database::database_of;
use tidepilot::fleet::pd::{MemberId, MembershipApi};
use tidepilot::fleet::{Freshness, ObjectKey, ObjectRef};
use tidepilot::runbook::action_types::Answer;
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::UpdatePeerUrl;
use tidepilot::sim::external_pd::PdTunnel;
use tidepilot::sim::{Sim, SimOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the stand-in for PD does with a membership write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Take,
    Cut,
    Hang,
    Answer(u16),
}

/// A small PD of one member, whose reads are well and whose writes do as told.
#[derive(Clone)]
struct StandIn {
    write: Arc<Mutex<Write>>,
    writes: Arc<AtomicUsize>,
}

impl StandIn {
    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().talk(stream));
        }
    }

    async fn talk(self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        loop {
            let Some(head) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else {
                match stream.read_buf(&mut buffer).await {
                    Ok(1..) => continue,
                    _ => return,
                }
            };
            let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            while buffer.len() < head + 4 + length {
                if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                    return;
                }
            }
            buffer.drain(..head + 4 + length);
            let line = text.lines().next().unwrap_or_default().to_owned();
            let (status, body) = if line.starts_with("put ") {
                self.writes.fetch_add(1, Ordering::SeqCst);
                let write = *self.write.lock().expect("not poisoned");
                match write {
                    Write::Take => (204, ""),
                    Write::Cut => return,
                    Write::Hang => {
                        tokio::time::sleep(Duration::from_secs(10)).await;
                        return;
                    }
                    Write::Answer(status) => (status, r#"{"message":"told to"}"#),
                }
            } else if line.starts_with("get /health") {
                (200, r#"{"health":"true"}"#)
            } else if line.starts_with("get /v2/members ") {
                (200, r#"{"members":[{"id":"1","name":"basic-pd-0","peerURLs":["http://old:2380"],"clientURLs":[]}]}"#)
            } else {
                (404, "404 page not found")
            };
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_membership_write_is_sent_once_whatever_becomes_of_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let pd = StandIn { write: Arc::new(Mutex::new(Write::Take)), writes: Arc::default() };
    tokio::spawn(pd.clone().serve(listener));
    let tunnel = |n| format!("legacy:pingcap/basic-pd-{n}={address}").parse::<PdTunnel>().expect("a tunnel");
    let options = SimOptions { pd: (0..3).map(tunnel).collect(), ..SimOptions::default() };
    let sim = Sim::start(options).await.expect("started");
    let dir = tempfile::tempdir().expect("temporary directory");
    let links = links(dir.path(), &sim.kubeconfig());
    let permit = WritePermit::for_run(&links, RUN, ["legacy"]).expect("armed");
    let fleet = fleet_of(&links).await;
    let view = &fleet.clusters["legacy"].pd[&ObjectKey::new("pingcap", "basic-pd-0")];
    let answer = view.answer.as_ref().expect("a bare etcd is enough");
    assert!(answer.gaps.iter().all(|gap| gap.contains("/v2/members/leader")), "{:?}", answer.gaps);
    let action = Action::UpdatePeerUrl(UpdatePeerUrl {
        target: ObjectRef::new("legacy", "pingcap", "basic"),
        id: MemberId(1),
        pod: "basic-pd-0".into(),
        from: vec!["http://old:2380".into()],
        to: vec!["http://basic-pd-0.basic-pd-peer.pingcap.svc:2380".into()],
        restores: false,
    });
    let cases = [
        (Write::Cut, "unknown"),
        (Write::Hang, "unknown"),
        (Write::Answer(500), "unknown"),
        (Write::Answer(503), "unknown"),
        (Write::Answer(409), "refused"),
        (Write::Answer(415), "refused"),
        (Write::Take, "accepted"),
    ];
    for (count, (write, expected)) in cases.into_iter().enumerate() {
        *pd.write.lock().expect("not poisoned") = write;
        let begun = Instant::now();
        let answer = perform(&links, &permit, RUN, &action, &fleet).await;
        assert!(begun.elapsed() < Duration::from_secs(4), "{write:?}");
        let word = match &answer {
            Answer::Accepted { .. } => "accepted",
            Answer::Refused { .. } => "refused",
            Answer::Unknown { .. } => "unknown",
        };
        assert_eq!(word, expected, "{write:?}: {answer:?}");
        assert_eq!(pd.writes.load(Ordering::SeqCst), count + 1, "{write:?} was not sent exactly once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_v3_gateway_takes_an_update_and_failed_tunnels_say_why() {
    let sim = Sim::start(SimOptions { speed: 50.0, ..SimOptions::default() }).await.expect("started");
    let dir = tempfile::tempdir().expect("temporary directory");
    let links = links(dir.path(), &sim.kubeconfig());
    let permit = WritePermit::for_run(&links, RUN, ["east"]).expect("armed");
    let fleet = fleet_of(&links).await;
    let target = ObjectRef::new("east", "prod", "prod-east");
    let database = database_of(&fleet, &target).expect("the database");
    let member = database.members.iter().find(|m| m.place.context() == Some("east")).expect("one in east");
    let action = Action::UpdatePeerUrl(UpdatePeerUrl {
        target,
        id: member.id,
        pod: member.place.pod().expect("joined").to_owned(),
        from: member.peer_urls.clone(),
        to: member.peer_urls.clone(),
        restores: false,
    });
    let answer = perform(&links, &permit, RUN, &action, &fleet).await;
    assert!(matches!(&answer, Answer::Accepted { status: 200, detail } if detail.contains("v3")), "{answer:?}");

    sim.break_pod("legacy", "pingcap", "basic-pd-1", true).expect("a pod");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let fleet = fleet_of(&links).await;
        let view = fleet.clusters["legacy"].pd.get(&ObjectKey::new("pingcap", "basic-pd-1"));
        if let Some(Err(why)) = view.map(|view| &view.answer) {
            assert!(why.contains("connection refused") && why.contains("basic-pd-1"), "{why}");
            break;
        }
        assert!(fleet.clusters["legacy"].freshness == Freshness::Live && Instant::now() < deadline, "{view:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn etcd(dir: &Path, v2: bool) -> Option<(Process, std::net::SocketAddr)> {
    let port = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let (client, peer) = (port(), port());
    let mut command = Command::new("etcd");
    command.args(["--name", "basic-pd-0", "--data-dir"]).arg(dir);
    command.args([
        "--listen-client-urls",
        &format!("http://{client}"),
        "--advertise-client-urls",
        &format!("http://{client}"),
    ]);
    command.args([
        "--listen-peer-urls",
        &format!("http://{peer}"),
        "--initial-advertise-peer-urls",
        &format!("http://{peer}"),
    ]);
    command.args(["--initial-cluster", &format!("basic-pd-0=http://{peer}"), &format!("--enable-v2={v2}")]);
    match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(child) => Some((Process(child), client)),
        Err(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_etcd_takes_it_through_v2_and_v3() {
    for (v2, api) in [(true, MembershipApi::V2), (false, MembershipApi::V3)] {
        let dir = tempfile::tempdir().expect("temporary directory");
        // `tests/wires/etcd.rs` insists on it in CI; here it only adds to the stand-in above.
        let Some((_process, address)) = etcd(&dir.path().join("data"), v2) else { return };
        let tunnel = |n| format!("legacy:pingcap/basic-pd-{n}={address}").parse::<PdTunnel>().expect("a tunnel");
        let options = SimOptions { pd: (0..3).map(tunnel).collect(), ..SimOptions::default() };
        let sim = Sim::start(options).await.expect("started");
        let links = links(dir.path(), &sim.kubeconfig());
        let permit = WritePermit::for_run(&links, RUN, ["legacy"]).expect("armed");
        let key = ObjectKey::new("pingcap", "basic-pd-0");
        let deadline = Instant::now() + Duration::from_secs(20);
        let (fleet, answer) = loop {
            let fleet = fleet_of(&links).await;
            let view = fleet.clusters["legacy"].pd.get(&key).cloned();
            match view.map(|view| view.answer) {
                Some(Ok(answer)) if answer.healthy == Some(true) => break (fleet, answer),
                other => assert!(Instant::now() < deadline, "etcd never came up: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let member = &answer.members[0];
        assert_eq!((answer.api, answer.self_id, answer.leader), (Some(api), Some(member.id), Some(member.id)));
        assert!(answer.gaps.is_empty() && answer.cluster_id.is_some(), "{answer:?}");
        let url = "http://basic-pd-0.basic-pd-peer.pingcap.svc:2380".to_owned();
        let action = Action::UpdatePeerUrl(UpdatePeerUrl {
            target: ObjectRef::new("legacy", "pingcap", "basic"),
            id: member.id,
            pod: "basic-pd-0".into(),
            from: member.peer_urls.clone(),
            to: vec![url.clone()],
            restores: false,
        });
        let sent = perform(&links, &permit, RUN, &action, &fleet).await;
        assert!(matches!(sent, Answer::Accepted { status: 200 | 204, .. }), "{sent:?}");
        let again = perform(&links, &permit, RUN, &action, &fleet).await;
        assert!(matches!(&again, Answer::Refused { reason } if reason.contains(&url)), "{again:?}");
        let fleet = fleet_of(&links).await;
        let view = fleet.clusters["legacy"].pd[&key].answer.clone().expect("answers");
        assert_eq!(view.members[0].peer_urls, [url]);
    }
}
