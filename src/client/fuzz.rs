//! The parsers that face strangers, fed with what strangers may send: documents that are nearly right, cut, doubled,
//! nested, and noise. None panics, none takes long, and what is refused is refused in one bounded sentence.
//!
//! A few hundred inputs each in an ordinary test; `TIDEPILOT_FUZZ=1000000` for the long run (figures in
//! `docs/hostile-worlds.md`). Inputs that once failed are kept in `fuzz.regressions` and tried first. Here, and not
//! beside the parsers, since it takes clocks and reads the private ones of this room.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRng, TestRunner};
use serde_json::Value;

use super::certificates;
use crate::client::kube::{kubeconfig, resources};
use crate::client::pd::answers;
use crate::client::share::{approval, find_run_records};
use crate::fleet::corefile;
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::{Pod, StatefulSet};
use crate::hazards::lint::{Text, lint as lint_texts};
use crate::runbook::language::document::{Runbook, SHIPPED};
use crate::runbook::language::lint::lint;
use crate::runbook::plan::Plan;
use crate::runbook::plan::digest::digest;
use crate::runbook::run::journal_lines::{decode, encode, in_short};
use crate::sanitize::{Shown, is_hidden};

/// Most processor time that one input of some kilobytes may take, unoptimised.
const LONGEST: Duration = Duration::from_secs(5);
/// Inputs of an ordinary test.
const ORDINARY: u32 = 150;
/// Longest refusal.
const SENTENCE: usize = 4_000;

/// One change to a document.
#[derive(Clone, Debug)]
enum Change {
    Cut(usize, usize),
    Double(usize, usize),
    Put(usize, String),
    Move(usize, usize, usize),
    Nest(usize, &'static str, usize),
    Byte(usize, u8),
}

const OPENINGS: [&str; 14] =
    ["[", "{", "{\"a\":", "- ", "$(", "${", "\"$(", "(", "a: ", "&a [*a,", "!", "\\", "'", "\t"];
const WORDS: [&str; 22] = [
    "null",
    "true",
    "-1",
    "1e999",
    "18446744073709551616",
    "\u{0}",
    "\u{1b}]52;c;aGk=\u{7}",
    "\u{202e}",
    "\u{feff}",
    "\n",
    "\n---\n",
    "\r",
    "\"",
    "'",
    "${a}",
    "<<EOF\n",
    "{{",
    "*a",
    "&a",
    "size(x)",
    "\\ud800",
    "日本",
];

fn change() -> impl Strategy<Value = Change> {
    let at = || any::<usize>();
    let length = || 0_usize..200;
    prop_oneof![
        (at(), length()).prop_map(|(at, length)| Change::Cut(at, length)),
        (at(), length()).prop_map(|(at, length)| Change::Double(at, length)),
        (at(), prop::sample::select(&WORDS[..])).prop_map(|(at, word)| Change::Put(at, word.to_owned())),
        (at(), "\\PC{0,20}").prop_map(|(at, word)| Change::Put(at, word)),
        (at(), at(), length()).prop_map(|(from, to, length)| Change::Move(from, to, length)),
        (at(), prop::sample::select(&OPENINGS[..]), 1_usize..600)
            .prop_map(|(at, what, times)| Change::Nest(at, what, times)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
    ]
}

fn apply(seed: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for change in changes {
        let at = |at: usize| if bytes.is_empty() { 0 } else { at % (bytes.len() + 1) };
        let range = |from: usize, length: usize| from..(from + length).min(bytes.len());
        match change {
            Change::Cut(from, length) => drop(bytes.drain(range(at(*from), *length))),
            Change::Double(from, length) => {
                let from = at(*from);
                let part = bytes[range(from, *length)].to_vec();
                bytes.splice(from..from, part);
            }
            Change::Put(to, word) => {
                let to = at(*to);
                bytes.splice(to..to, word.bytes());
            }
            Change::Move(from, to, length) => {
                let part = bytes[range(at(*from), *length)].to_vec();
                let to = at(*to);
                bytes.splice(to..to, part);
            }
            Change::Nest(to, what, times) => {
                let to = at(*to);
                bytes.splice(to..to, what.repeat(*times).into_bytes());
            }
            Change::Byte(to, byte) => {
                let to = at(*to).min(bytes.len().saturating_sub(1));
                if let Some(there) = bytes.get_mut(to) {
                    *there = *byte;
                }
            }
        }
    }
    bytes
}

fn cases() -> u32 {
    std::env::var("TIDEPILOT_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(ORDINARY)
}

/// Processor time of this thread: on a busy machine the clock says nothing. Where the system does not tell, none.
fn spent() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = told.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Feeds one parser. It gives the sentence of a refusal, and `Err` where a property of its own does not hold.
fn feed(name: &'static str, seeds: Vec<Vec<u8>>, parse: impl Fn(&[u8]) -> Result<Option<String>, String>) {
    assert!(!seeds.is_empty(), "{name} has no seed");
    let config = Config {
        cases: cases(),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        source_file: Some(file!()),
        test_name: Some(name),
        ..Config::default()
    };
    let inputs = (prop::sample::select(seeds), vec(change(), 0..6), vec(any::<u8>(), 0..60), 0_u8..20);
    let begun = Instant::now();
    // An ordinary test is the same every time; what nobody has tried yet is for the long run.
    let mut runner = if cases() > ORDINARY {
        TestRunner::new(config)
    } else {
        let generator = TestRng::deterministic_rng(config.rng_algorithm);
        TestRunner::new_with_rng(config, generator)
    };
    let ended = runner.run(&inputs, |(seed, changes, noise, noisy)| {
        let bytes = if noisy == 0 { noise } else { apply(&seed, &changes) };
        let started = spent();
        let refused = parse(&bytes).map_err(TestCaseError::fail)?;
        let took = spent().saturating_sub(started);
        prop_assert!(took < LONGEST, "{took:?} for {} bytes", bytes.len());
        if let Some(sentence) = refused {
            prop_assert!(sentence.len() <= SENTENCE, "a refusal of {} bytes", sentence.len());
            let shown = Shown::new(&sentence);
            let raw = shown.as_str().chars().find(|c| is_hidden(*c) && !matches!(c, '\n' | '\t'));
            prop_assert!(raw.is_none(), "{raw:?} leaves raw");
        }
        Ok(())
    });
    if cases() > 1_000 {
        // The figures of a long run; the test's own output is no face of the program.
        let line = format!("{name}: {} inputs in {:.0} s\n", cases(), begun.elapsed().as_secs_f32());
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    }
    ended.unwrap_or_else(|why| panic!("{name}: {why}"));
}

/// Text as a parser of text sees it.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn seeds(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn refusal<T>(read: Result<T, impl std::fmt::Display>) -> Result<Option<String>, String> {
    Ok(read.err().map(|why| why.to_string()))
}

const JOURNAL: &str = include_str!("../../tests/seeds/journal.jsonl");
const PLAN: &str = include_str!("../../tests/seeds/plan.json");

#[test]
fn kubeconfigs() {
    let one = "apiVersion: v1\nkind: Config\nclusters:\n- name: a\n  cluster: {server: 'https://x:1', certificate-authority-data: YQ==, proxy-url: http://p}\nusers:\n- name: u\n  user:\n    token: S3CRET\n    exec: {apiVersion: client.authentication.k8s.io/v1, command: x, args: [-p, S3CRET], env: [{name: A, value: S3CRET}], interactiveMode: Never}\ncontexts:\n- name: c\n  context: {cluster: a, user: u, namespace: n}\ncurrent-context: c\n";
    let two = r#"{"apiVersion":"v1","clusters":[{"name":"a","cluster":{"server":"https://x"}}],"users":[{"name":"u","user":{"password":"S3CRET","username":"n"}}],"contexts":[{"name":"c","context":{"cluster":"a","user":"u"}}]}"#;
    feed("kubeconfig", seeds(&[one, two]), |bytes| {
        let read = kubeconfig::parse(bytes.to_vec(), Path::new("/nowhere/config"));
        match read.err().map(|why| why.to_string()) {
            // What is wrong is said without what stands around it.
            Some(said) if said.contains("S3CRET") => Err(format!("a secret is shown: {said}")),
            said => Ok(said),
        }
    });
}

#[test]
fn answers_of_pd() {
    let v2 = r#"{"members":[{"id":"ad0b6a0ee3f2b1","name":"pd-0","peerURLs":["http://a:2380"],"clientURLs":["http://a:2379"]}]}"#;
    let v3 = r#"{"header":{"cluster_id":"7","member_id":"9","raft_term":"2"},"members":[{"ID":"9","name":"pd-0","peerURLs":["http://a:2380"],"clientURLs":["http://a:2379"]}],"leader":"9","version":"3.4.3"}"#;
    let stores = r#"{"count":1,"stores":[{"store":{"id":1,"address":"a:20160","state_name":"Up","version":"7.5.4","labels":[{"key":"zone","value":"z"}]},"status":{"capacity":"1GiB","available":"1GiB","leader_count":1,"region_count":2,"last_heartbeat_ts":"2026-11-29T08:00:00Z"}}]}"#;
    let health = r#"[{"name":"pd-0","member_id":9,"client_urls":["http://a:2379"],"health":true}]"#;
    // Once found: what was wrong was quoted, however long it was.
    let long =
        [v2.replace("ad0b6a0ee3f2b1", &"x".repeat(9_000)), v3.replace("\"9\"", &format!("\"{}\"", "9".repeat(9_000)))];
    feed("PD's answers", seeds(&[v2, v3, stores, health, r#"{"health":"true"}"#, &long[0], &long[1]]), |bytes| {
        let all = [
            answers::members_v2(bytes).err(),
            answers::members_v3(bytes).err(),
            answers::stores(bytes).err(),
            answers::pd_health(bytes).err(),
            answers::json::<answers::Status>("status", bytes).err(),
            answers::json::<answers::Replicate>("replicate", bytes).err(),
        ];
        answers::health(bytes);
        answers::pd_leads(http::StatusCode::OK, bytes);
        Ok(Some(all.into_iter().flatten().max_by_key(String::len).unwrap_or_default()))
    });
}

#[test]
fn lines_of_watches_and_items_of_lists() {
    let pod = r#"{"metadata":{"namespace":"n","name":"pd-0","uid":"u","resourceVersion":"7","labels":{"app.kubernetes.io/component":"pd","app.kubernetes.io/instance":"a"}},"spec":{"containers":[{"name":"pd","image":"pingcap/pd:v8"}]},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}],"podIP":"10.0.0.1"}}"#;
    let tc = r#"{"apiVersion":"pingcap.com/v1alpha1","kind":"TidbCluster","metadata":{"namespace":"n","name":"a","uid":"u","resourceVersion":"7","generation":3},"spec":{"version":"v8.5.0","acrossK8s":true,"clusterDomain":"c.local","cluster":{"name":"b"},"pd":{"replicas":3,"config":{}},"tikv":{"replicas":3}},"status":{"clusterID":"7","conditions":[{"type":"Ready","status":"True","message":"x"}],"pd":{"members":{"a":{"name":"a","id":"1","health":true}}}}}"#;
    let event = |object: &str| format!(r#"{{"type":"MODIFIED","object":{object}}}"#);
    let error = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}"#;
    let all = [
        event(pod),
        event(tc),
        error.to_owned(),
        r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}"#.to_owned(),
    ];
    feed("watch lines", all.iter().map(|text| text.clone().into_bytes()).collect(), |bytes| {
        let line = text(bytes);
        let all = [
            resources::event::<Pod>("https://x", &line).err(),
            resources::event::<TidbCluster>("https://x", &line).err(),
            resources::event::<StatefulSet>("https://x", &line).err(),
        ];
        Ok(all.into_iter().flatten().map(|trouble| trouble.sentence).max_by_key(String::len))
    });
}

#[test]
fn journals() {
    feed("journals", seeds(&[JOURNAL]), |bytes| {
        let text = text(bytes);
        let parsed = match decode(&text) {
            Ok(parsed) => parsed,
            Err(why) => return Ok(Some(why.to_string())),
        };
        // What was read is written as it stood, so that its hashes stay true.
        let mut again = String::new();
        for record in &parsed.records {
            again.push_str(&encode(record).map_err(|why| why.to_string())?);
        }
        let back = decode(&again);
        let same = back.as_ref().is_ok_and(|back| back.records == parsed.records);
        // A line may say less or in another order than we would write it; then its hash is that of its own text.
        if !same && again == text[..parsed.whole_bytes] {
            return Err(format!("written and read it is another journal: {:?}", back.err()));
        }
        Ok(None)
    });
}

#[test]
fn records_of_runs_and_approvals() {
    let run = r#"{"metadata":{"namespace":"n","name":"tidepilot-run-x","uid":"u","labels":{"tidepilot/run":"r","tidepilot/state":"open"},"annotations":{"tidepilot/runbook":"a","tidepilot/target":"c/n/t","tidepilot/user":"u"}},"data":{"journal.jsonl":"x"}}"#;
    let approval = r#"{"metadata":{"name":"a","labels":{"tidepilot/approval":"x"}},"immutable":true,"data":{"run":"20261127-101500-ab12","gate":"g","attempt":"2","plan":"d","user":"bob","host":"h","at":"2026-11-27T10:15:00Z","identity":"review"}}"#;
    feed("run records and approvals", seeds(&[run, approval]), |bytes| {
        let object: Value = match serde_json::from_slice(bytes) {
            Ok(object) => object,
            Err(why) => return Ok(Some(why.to_string())),
        };
        let (_, head) = find_run_records::head("c", &object);
        approval::read(&object);
        let longest =
            [&head.run, &head.user, &head.host, &head.target, &head.database].into_iter().map(String::len).max();
        if longest > Some(1_700) {
            return Err(format!("{longest:?} bytes are kept"));
        }
        Ok(None)
    });
}

#[test]
fn runbooks() {
    let all = SHIPPED.iter().map(|(_, text)| text.as_bytes().to_vec()).collect();
    feed("runbooks", all, |bytes| {
        let text = text(bytes);
        let findings = lint("x", &text);
        let read = Runbook::read("x", &text);
        if read.is_err() && !findings.iter().any(|finding| finding.error) {
            return Err("it cannot be read, and the lint finds nothing".to_owned());
        }
        refusal(read)
    });
}

#[test]
fn texts_for_the_lint() {
    let shell = "#!/bin/sh\na=1\nb=$a$a\nfor c in x y; do kubectl --context $c -n db patch tc basic --type merge -p '{\"spec\":{}}'; done\ncat <<EOF | kubectl apply -n ${b} -f -\napiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata: {name: ${a}}\nspec:\n  clusterDomain: ${c}\nEOF\n";
    let yaml = "apiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata:\n  name: a\n  namespace: n\nspec:\n  version: v8.5.0\n  acrossK8s: true\n  clusterDomain: c.local\n  pd: {replicas: 3, config: |\n    [security]\n  }\n---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: x}\nspec: {secretName: x, dnsNames: [a, '*.b'], issuerRef: {name: i}}\n";
    let markdown =
        "Text.\n\n```bash\nkubectl get tc -n x\n```\n```yaml\nkind: TidbCluster\nspec: {version: ${v}}\n```\n";
    feed("lint input", seeds(&[shell, yaml, markdown]), |bytes| {
        let checked = lint_texts(&[Text { file: "f".into(), text: text(bytes) }]);
        Ok(checked.unseen.into_iter().map(|one| one.sentence).max_by_key(String::len))
    });
}

#[test]
fn plan_files() {
    feed("plan files", seeds(&[PLAN]), |bytes| {
        let plan: Plan = match serde_json::from_slice(bytes) {
            Ok(plan) => plan,
            // As whoever reads a plan's file says it.
            Err(why) => return Ok(Some(in_short(&why.to_string()))),
        };
        let written = serde_json::to_string(&plan).map_err(|why| why.to_string())?;
        let back: Plan =
            serde_json::from_str(&written).map_err(|why| format!("what was written cannot be read: {why}"))?;
        if back != plan || digest(&back) != digest(&plan) {
            return Err("written and read it is another plan".to_owned());
        }
        Ok(None)
    });
}

#[test]
fn corefiles() {
    let one = ".:53 {\n    errors\n    kubernetes cluster.local in-addr.arpa ip6.arpa {\n       pods insecure\n       fallthrough in-addr.arpa\n    }\n    rewrite stop {\n        name regex (.*)\\.east\\.local {1}.cluster.local\n    }\n    import custom/*.override\n    forward . /etc/resolv.conf\n}\n(snip) {\n  log\n}\neast.local:53 {\n  import snip\n  forward . {$UP}\n}\n";
    feed("Corefiles", seeds(&[one]), |bytes| {
        corefile::read(&text(bytes));
        Ok(None)
    });
}

#[test]
fn certificates_in_pem() {
    let made = rcgen::generate_simple_self_signed(vec!["a.example".to_owned(), "10.0.0.1".to_owned()]).expect("made");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let der = made.cert.der().to_vec();
    feed(
        "certificates",
        vec![certificate.clone().into_bytes(), der, format!("{certificate}{certificate}").into_bytes()],
        move |bytes| {
            // In PEM, and as DER with a frame around it, so that the changes reach the inner parser.
            let framed =
                format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64_STANDARD.encode(bytes));
            for tls in [bytes.to_vec(), framed.into_bytes()] {
                let data: BTreeMap<String, Vec<u8>> =
                    [("tls.crt", tls.clone()), ("ca.crt", tls), ("tls.key", key.clone().into_bytes())]
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect();
                certificates::facts(&data);
            }
            Ok(None)
        },
    );
}

#[test]
fn whatever_is_printed_hides_nothing_and_json_stays_what_it_was() {
    feed("the door of printed text", seeds(&["a", "\u{1b}]52;c;aGk=\u{7}", "\u{202e}b\u{e0041}"]), |bytes| {
        let text = text(bytes);
        let shown = Shown::new(&text);
        if let Some(raw) = shown.as_str().chars().find(|c| is_hidden(*c) && !matches!(c, '\n' | '\t')) {
            return Err(format!("{raw:?} leaves raw"));
        }
        let value = Value::from(text);
        let written = Shown::new(&value.to_string());
        match serde_json::from_str::<Value>(written.as_str()) {
            Ok(back) if back == value => Ok(None),
            other => Err(format!("it became {other:?}")),
        }
    });
}
