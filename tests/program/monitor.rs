//! `tidepilot monitor` over plain HTTP, read by hand and by promtool where it is there.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::common::{Demo, LONG, Room, effects, eventually};

/// A monitor that does not outlive its test.
struct Monitor {
    child: Child,
    address: String,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Monitor {
    fn start(demo: &Demo, more: &[&str]) -> Self {
        let arguments = [&["monitor", "--every", "1", "--listen", "127.0.0.1:0"], more].concat();
        let mut child = demo.command(&arguments).spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let said = lines.find(|line| line.contains("metrics on")).expect("it says where");
        std::thread::spawn(move || lines.for_each(drop));
        let address = said.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
        Self { child, address: address.to_owned() }
    }

    /// Status and body of one request, by hand.
    fn get(&self, path: &str, header: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }

    fn metrics(&self) -> String {
        eventually("a look", LONG, || match self.get("/metrics", "") {
            (200, body) => Some(body),
            (_, _) => None,
        })
    }
}

/// Promtool over what was served, where it is there.
fn promtool(arguments: &[&str], input: &str) {
    if Command::new("promtool").arg("--version").output().is_err() {
        return;
    }
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("read");
    let output = child.wait_with_output().expect("ended");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
}

#[test]
fn metrics_say_what_status_says_and_send_nothing() {
    let demo = Demo::start("quorum-at-risk", 20);
    let monitor = Monitor::start(&demo, &[]);
    let text = monitor.metrics();
    for line in [
        "tidepilot_kube_cluster_live{cluster=\"legacy\"} 1",
        "tidepilot_kube_cluster_freshness{cluster=\"east\",state=\"live\"} 1",
        "tidepilot_open_runs 0",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    for (name, value) in [("tidepilot_pd_members_healthy", "2"), ("tidepilot_pd_tolerates", "0")] {
        let found: Vec<&str> = text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).collect();
        assert!(found.len() == 2 && found.iter().all(|line| line.ends_with(&format!(" {value}"))), "{found:?}");
    }
    // Two of the three in east are left, and both are needed; a Database in one KubeCluster has no choice to tell of.
    let losses: Vec<&str> = text.lines().filter(|line| line.starts_with("tidepilot_pd_survives_loss{")).collect();
    assert!(losses.iter().any(|line| line.contains("cluster=\"east\"") && line.ends_with(" 0")), "{losses:?}");
    assert!(!losses.iter().any(|line| line.contains("cluster=\"legacy\"")), "{losses:?}");
    assert!(text.contains("tidepilot_findings{"), "{text}");
    promtool(&["check", "metrics"], &text);
    assert_eq!(monitor.get("/healthz", "").0, 200);
    assert_eq!(monitor.get("/nothing", "").0, 404);
    assert_eq!(effects(&demo.log()), Vec::<String>::new());
}

/// What an open run brings about fires no alert, as it is nothing wrong to `check`.
#[test]
fn what_an_open_run_accounts_for_is_no_finding() {
    let demo = Demo::start("default", 2);
    let monitor = Monitor::start(&demo, &[]);
    let of = "legacy/pingcap/basic";
    let (target, confirm) = (format!("tidbCluster={of}"), ["--confirm", of, "--yes"]);
    let run = ["run", "migrate-cluster-domain", "--set", &target, "--set", "clusterDomain=cluster1.com"];
    let mut run = demo.command(&[&run[..], &confirm].concat()).spawn().expect("the binary starts");
    // Expected just before and just after the look of the monitor, so also in it.
    let expected = || -> BTreeSet<String> {
        let found: Value = serde_json::from_str(&demo.run(&["check", "-o", "json"]).stdout).expect("JSON");
        let all = found["findings"].as_array().expect("a list").iter();
        let all = all.filter(|one| one["expected"].is_string() && one["severity"] != "info");
        all.map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
    };
    eventually("something that is expected, and is no finding of the monitor", LONG, || {
        let before = expected();
        std::thread::sleep(Duration::from_millis(2500));
        let text = monitor.metrics();
        let both: Vec<String> = expected().intersection(&before).cloned().collect();
        let told = |id: &String| {
            text.lines().any(|line| line.starts_with("tidepilot_findings{") && line.contains(&format!("\"{id}\"")))
        };
        (!both.is_empty() && text.contains("tidepilot_open_runs 1") && !both.iter().any(told)).then_some(())
    });
    let _ = run.kill();
    let _ = run.wait();
}

/// Whoever may connect must not be able to have the kubelet end the pod by sitting there.
#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let demo = Demo::start("default", 20);
    let monitor = Monitor::start(&demo, &[]);
    let mut idle = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(&monitor.address).expect("it listens");
        if number % 2 == 0 {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nX-").expect("sent");
        }
        idle.push(stream);
    }
    let begun = std::time::Instant::now();
    assert_eq!(monitor.get("/healthz", "").0, 200);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(idle);
}

#[test]
fn beyond_loopback_it_wants_a_token() {
    let room = Room::new();
    let demo = Demo::start("default", 20);
    let ran = demo.run(&["monitor", "--listen", "0.0.0.0:0"]).expect(64);
    assert!(ran.stderr.contains("--token-file"), "{}", ran.stderr);
    let token = room.path("token");
    std::fs::write(&token, "s3cret\n").expect("written");
    let monitor = Monitor::start(&demo, &["--token-file", token.to_str().expect("UTF-8")]);
    eventually("a look", LONG, || {
        let (status, _) = monitor.get("/metrics", "Authorization: Bearer s3cret\r\n");
        (status == 200).then_some(())
    });
    assert_eq!(monitor.get("/metrics", "").0, 401);
    assert_eq!(monitor.get("/metrics", "Authorization: Bearer s3cres\r\n").0, 401);
    assert_eq!(monitor.get("/healthz", "").0, 200);
}

#[test]
fn certificates_have_their_ends() {
    let demo = Demo::start("tls", 20);
    let text = demo.run(&["monitor", "--once"]).expect(0).stdout;
    let ends: Vec<&str> =
        text.lines().filter(|line| line.starts_with("tidepilot_certificate_not_after_timestamp_seconds{")).collect();
    assert!(!ends.is_empty() && ends.iter().all(|line| line.contains("secret=\"")), "{text}");
    promtool(&["check", "metrics"], &text);
}

#[test]
fn alert_rules_and_dashboard_name_metrics_that_there_are() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/alerts.yaml");
    promtool(&["check", "rules", rules], "");
    promtool(&["test", "rules", concat!(env!("CARGO_MANIFEST_DIR"), "/assets/alerts.test.yaml")], "");
    let dashboard = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/grafana-dashboard.json");
    let dashboard = std::fs::read_to_string(dashboard).expect("the dashboard");
    let panels: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    let targets = panels["panels"].as_array().into_iter().flatten().flat_map(|panel| panel["targets"].as_array());
    let expressions: Vec<&str> = targets.flatten().filter_map(|target| target["expr"].as_str()).collect();
    assert!(expressions.len() > 10, "{expressions:?}");
    let text = std::fs::read_to_string(rules).expect("the rules") + &expressions.join("\n");
    let demo = Demo::start("tls", 20);
    let served = demo.run(&["monitor", "--once"]).expect(0).stdout;
    let mut seen = 0;
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        if word.starts_with("tidepilot_") {
            seen += 1;
            // What is only there when something is wrong has no sample in a fleet that is well.
            let only_then =
                ["tidepilot_findings", "tidepilot_findings_unknown", "tidepilot_open_run_opened_timestamp_seconds"]
                    .contains(&word);
            assert!(only_then || served.contains(word), "{word} is served by nobody");
        }
    }
    assert!(seen > 20, "only {seen} metrics in the rules and the dashboard");
}
