//! `--notify`: what a webhook, Alertmanager and a command get, that a receiver which fails or hangs holds nothing up, and
//! that no secret is said.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::documents::{kubectl, pause, validate};
use crate::common::{Demo, LONG, Ran, eventually, finish};

const RESTART: [&str; 6] =
    ["run", "restart-component", "--set", "tidbCluster=legacy/pingcap/basic", "--set", "component=tidb"];
const YES: [&str; 2] = ["--confirm", "legacy/pingcap/basic"];

#[derive(Clone, Debug)]
struct Asked {
    head: String,
    body: Value,
}

/// A real HTTP server on loopback. `answer`: the status for the request of this number, from 0; `None` never answers.
struct Webhook {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Webhook {
    fn start(answer: fn(usize) -> Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                held.extend(serve(stream, &kept, answer));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("a lock").clone()
    }
}

/// Reads one request and answers it; gives the connection back where it is never answered.
fn serve(mut stream: TcpStream, asked: &Mutex<Vec<Asked>>, answer: fn(usize) -> Option<u16>) -> Option<TcpStream> {
    let mut text = Vec::new();
    let mut some = [0; 4096];
    let (head, body) = loop {
        let read = stream.read(&mut some).ok().filter(|read| *read > 0)?;
        text.extend_from_slice(&some[..read]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = whole.split_once("\r\n\r\n") else { continue };
        let length = head
            .to_lowercase()
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next().and_then(|length| length.parse::<usize>().ok()))?;
        if body.len() >= length {
            break (head.to_owned(), body.to_owned());
        }
    };
    let number = {
        let mut asked = asked.lock().expect("a lock");
        asked.push(Asked { head, body: serde_json::from_str(&body).expect("JSON") });
        asked.len() - 1
    };
    let Some(status) = answer(number) else { return Some(stream) };
    let _ = write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    None
}

fn run(demo: &Demo, more: &[&str]) -> Ran {
    finish(demo.command(&[&RESTART[..], more].concat()).spawn().expect("the binary starts"), LONG)
}

#[test]
fn a_webhook_that_fails_twice_is_told_how_the_run_ended_and_no_log_holds_its_secret() {
    let demo = Demo::start("default", 400);
    let webhook = Webhook::start(|number| Some(if number < 2 { 503 } else { 200 }));
    let url = format!("http://me:s3cret@127.0.0.1:{}/hook/s3cret?key=s3cret", webhook.port);
    let log = demo.room.path("log");
    let log = log.to_str().expect("UTF-8");
    let ran = run(&demo, &[&YES[..], &["--notify", &url, "--log-file", log]].concat()).expect(0);
    let asked = webhook.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked[2].head.starts_with("POST /hook/s3cret?key=s3cret HTTP/1.1\r\n"), "{}", asked[2].head);
    assert!(asked[2].head.to_lowercase().contains("authorization: basic"), "{}", asked[2].head);
    let text = asked[2].body["text"].as_str().expect("Slack's form");
    assert!(text.starts_with("tidepilot: a run ended: legacy/pingcap/basic: "), "{text}");
    assert_eq!(asked[0].body, asked[2].body);
    let log = std::fs::read_to_string(log).expect("the log");
    assert!(log.contains("notified") && log.contains("tries=3"), "{log}");
    let journal = std::fs::read_to_string(demo.room.runs().join(format!("{}.jsonl", demo.room.journals()[0])));
    for said in [&ran.all(), &log, &journal.expect("a journal"), &asked[2].body.to_string()] {
        assert!(!said.contains("s3cret"), "{said}");
    }
}

/// How long the run of the last journal took, by its own records.
fn took(demo: &Demo) -> f64 {
    let run = demo.room.journals().pop().expect("a journal");
    let records = demo.room.records(&run);
    let at = |record: &Value| {
        let text = record["at"].as_str().expect("a time").to_owned();
        text.parse::<jiff::Timestamp>().expect("RFC 3339").as_millisecond() as f64 / 1000.0
    };
    at(records.last().expect("records")) - at(&records[0])
}

#[test]
fn a_receiver_that_hangs_does_not_make_a_run_longer() {
    let demo = Demo::start("default", 400);
    run(&demo, &YES).expect(0);
    let without = took(&demo);
    let hanging = Webhook::start(|_| None);
    let (url, other) = (format!("http://127.0.0.1:{}/secret-path", hanging.port), "sleep 98765 | cat");
    let begun = Instant::now();
    let ran = run(&demo, &[&YES[..], &["--notify", &url, "--notify", other]].concat()).expect(0);
    let with = took(&demo);
    assert!(with < without + 3.0, "{with} s instead of {without} s");
    // The process waits five seconds for both together, and then says of each that it got nothing.
    assert!(begun.elapsed().as_secs_f64() < with + 5.0 + 6.0, "{:?} for a run of {with} s", begun.elapsed());
    let said: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("could not be delivered")).collect();
    assert_eq!(said.len(), 2, "{}", ran.all());
    assert!(!ran.all().contains("secret-path") && !ran.all().contains("sleep 98765"), "{}", ran.all());
    // What the command has started ends with it.
    let left = || {
        std::fs::read_dir("/proc").expect("processes").flatten().any(|process| {
            std::fs::read(process.path().join("cmdline")).is_ok_and(|line| line.starts_with(b"sleep\x0098765"))
        })
    };
    let end = Instant::now() + Duration::from_secs(5);
    while left() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!left(), "a child of the command is left behind");
}

#[test]
fn what_is_refused_is_not_sent_again_and_said_in_one_line() {
    let demo = Demo::start("default", 400);
    let webhook = Webhook::start(|_| Some(404));
    let url = format!("http://127.0.0.1:{}/", webhook.port);
    let ran = run(&demo, &[&YES[..], &["--notify", &url]].concat()).expect(0);
    assert_eq!(webhook.asked().len(), 1);
    let wanted = format!("could not be delivered to the webhook at http://127.0.0.1:{}: it answered 404", webhook.port);
    assert_eq!(ran.stderr.matches(&wanted).count(), 1, "{}", ran.all());
    let ran = run(&demo, &[&YES[..], &["--notify", "ftp://me:s3cret@example.com"]].concat()).expect(64);
    assert!(ran.stderr.contains("the scheme ftp") && !ran.stderr.contains("s3cret"), "{}", ran.all());
    // The variable's value stands in no help.
    let mut help = demo.command(&["run", "--help"]);
    help.env("TIDEPILOT_NOTIFY", "http://s3cret");
    let help = finish(help.spawn().expect("the binary starts"), LONG).expect(0);
    assert!(help.stdout.contains("TIDEPILOT_NOTIFY") && !help.stdout.contains("s3cret"), "{}", help.stdout);
}

#[test]
fn a_command_hears_that_a_gate_waits_and_that_the_run_stopped_there() {
    let demo = Demo::start("default", 400);
    let config = demo.room.path("config").join("tidepilot");
    std::fs::create_dir_all(&config).expect("a folder");
    // What it prints must not stand among the records.
    let notify = json!({"notify": ["echo in the way; tee -a told.jsonl"]});
    std::fs::write(config.join("config.yaml"), notify.to_string()).expect("written");
    let ran = run(&demo, &["-o", "json"]).expect(3);
    assert!(!ran.all().contains("in the way"), "{}", ran.all());
    let told = std::fs::read_to_string(demo.room.path("told.jsonl")).expect("told");
    let told: Vec<String> = told.lines().map(str::to_owned).collect();
    let news: Vec<Value> =
        told.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["news"][0].clone()).collect();
    let kinds: Vec<&str> = news.iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, ["gate-waits", "run-ended"], "{told:?}");
    assert_eq!((&news[0]["subject"], &news[1]["exitCode"]), (&json!("legacy/pingcap/basic"), &json!(3)));
    assert_eq!(news[0]["run"], demo.room.journals()[0].as_str());
    let schema = demo.room.run(&["schema", "notification"]).expect(0).stdout;
    if let Some(ran) = validate(&demo.room, &schema, &told) {
        assert_eq!(ran.code, 0, "{}", ran.all());
    }
}

#[test]
fn alertmanager_hears_of_a_finding_and_of_its_end_from_a_read_only_monitor() {
    if !kubectl() {
        return;
    }
    let demo = Demo::start("default", 20);
    let webhook = Webhook::start(|_| Some(200));
    let url = format!("alertmanager+http://127.0.0.1:{}", webhook.port);
    let arguments = ["monitor", "--read-only", "--every", "1", "--listen", "127.0.0.1:0", "--notify", &url];
    let mut child = demo.command(&arguments).spawn().expect("the binary starts");
    let paused = |ended: bool| {
        eventually("the alert", LONG, || {
            webhook.asked().iter().flat_map(|asked| asked.body.as_array().cloned().unwrap_or_default()).find(|alert| {
                // What ends says when, and what begins says when that was.
                alert["labels"]["hazard"] == "paused" && alert["startsAt"].is_null() == ended
            })
        })
    };
    pause(&demo, true);
    let begun = paused(false);
    pause(&demo, false);
    let gone = paused(true);
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(begun["labels"], gone["labels"]);
    assert_eq!(begun["labels"]["alertname"], "TidepilotFinding");
    assert!(webhook.asked()[0].head.starts_with("POST /api/v2/alerts "), "{}", webhook.asked()[0].head);
}
