//! issue-ca and issue-certificates from end to end: the real binary on a simulated fleet, built in, with the real cfssl and
//! with the simulated cert-manager; every refusal, the second time, and the rollback.
//!
//! Whether the certificates work is asked of those who know nothing of our rules: rustls, `openssl verify`, and two OpenSSL
//! programs that speak TLS with each other. Not here: every fault of a
//! certificate (`fleet::tls`), manifests against the real CRDs (`tests/program/schemas`).

use crate::openssl_speaks::they_speak;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::openssl::{self, Leaf, Office, Values};
use crate::common::{Ran, Room, finish};
use k8s_openapi::ByteString;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tidepilot::client::certificates;
use tidepilot::sim::{Sim, SimOptions};

pub struct Bed {
    pub(super) sim: Sim,
    room: Room,
    runtime: tokio::runtime::Runtime,
}

impl Bed {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let options = SimOptions { scenario: "empty".into(), speed: 100.0, ..SimOptions::default() };
        let sim = runtime.block_on(Sim::start(options)).expect("the fleet starts");
        let room = Room::new();
        sim.write_kubeconfig(&room.path("fleet.yaml")).expect("written");
        for context in ["east", "west"] {
            sim.store(context).expect("a context").put("namespaces", json!({"metadata": {"name": "prod"}}));
        }
        Self { sim, room, runtime }
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> Ran {
        let mut arguments: Vec<&str> = Vec::new();
        for word in words {
            if word.contains('=') && !word.starts_with('-') {
                arguments.push("--set");
            }
            arguments.push(word);
        }
        let mut command = self.room.command(&arguments);
        command.arg("--kubeconfig").arg(self.room.path("fleet.yaml"));
        finish(command.spawn().expect("the binary starts"), Duration::from_secs(90))
    }

    /// To its end; the second time there is nothing to do and nothing is written.
    #[track_caller]
    fn done(&self, runbook: &str, sets: &[&str]) {
        // A key that leaves its namespace is typed: the name of the TidbCluster.
        let target = sets.iter().find_map(|set| set.strip_prefix("tidbCluster=")).unwrap_or_default();
        let name = target.rsplit('/').next().unwrap_or_default();
        let words = [&["run", runbook, "--yes", "--confirm", name], sets].concat();
        self.run(&words).expect(0);
        let before = self.writes();
        let again = self.run(&words).expect(0);
        assert!(again.all().contains("nothing to do"), "{}", again.all());
        assert_eq!(self.writes(), before, "{runbook} wrote something the second time");
    }

    #[track_caller]
    fn refused(&self, runbook: &str, sets: &[&str], why: &str) {
        let before = self.writes();
        let ran = self.run(&[&["run", runbook, "--yes"], sets].concat());
        assert_eq!(ran.code, 4, "{}", ran.all());
        assert!(ran.all().contains(why), "expected {why:?}: {}", ran.all());
        assert_eq!(self.writes(), before, "{runbook} {sets:?} wrote something");
    }

    fn writes(&self) -> usize {
        let log = self.sim.log().lines();
        let wrote = |line: &&Value| {
            let path = line["path"].as_str().unwrap_or_default();
            let method = line["method"].as_str().unwrap_or_default();
            line["dryRun"] != true
                && matches!(method, "POST" | "PUT" | "PATCH" | "DELETE")
                && !["/leases", "/configmaps", "selfsubject"].iter().any(|own| path.contains(own))
        };
        log.iter().filter(wrote).count()
    }

    /// The decoded values of a Secret.
    #[track_caller]
    pub(super) fn secret(&self, context: &str, name: &str) -> BTreeMap<String, Vec<u8>> {
        let secret = self.sim.store(context).expect("a context").get("secrets", "prod", name);
        let secret = secret.unwrap_or_else(|| panic!("{context} has no Secret {name}"));
        let data: BTreeMap<String, ByteString> = serde_json::from_value(secret["data"].clone()).expect("base64");
        data.into_iter().map(|(key, value)| (key, value.0)).collect()
    }

    /// Nothing of a private key is in any journal, record in a cluster, or output.
    fn keeps_secrets(&self, outputs: &[&str]) {
        for context in ["east", "west"] {
            let store = self.sim.store(context).expect("a context");
            for record in store.list("configmaps", None) {
                assert!(!record.to_string().contains("PRIVATE"), "a record in {context} holds a key");
            }
        }
        for run in self.room.journals() {
            for record in self.room.records(&run) {
                assert!(!record.to_string().contains("PRIVATE KEY"), "{record}");
                assert!(!record.to_string().contains("LS0tLS1CRUdJTi"), "{record}");
            }
        }
        assert!(outputs.iter().all(|text| !text.contains("PRIVATE KEY-")));
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
    }
}

pub fn chain(values: &BTreeMap<String, Vec<u8>>, key: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(&values[key]).collect::<Result<_, _>>().expect("PEM")
}

pub fn key(values: &BTreeMap<String, Vec<u8>>) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(&values["tls.key"]).expect("a key")
}

const ONE: [&str; 3] = ["tidbCluster=east/prod/one", "clusterDomain=east.local", "mysql=true"];
const TWO: [&str; 3] = ["tidbCluster=west/prod/two", "clusterDomain=west.local", "caOf=east/prod/one"];

#[test]
fn built_in_across_two_clusters_and_back() {
    let bed = Bed::new();
    bed.refused("issue-certificates", &ONE, "ca-there");
    bed.refused("issue-ca", &["tidbCluster=east/nowhere/one"], "namespace-there");
    bed.refused("issue-ca", &["tidbCluster=east/prod/one", "method=cfssl"], "folder-for-cfssl");
    bed.done("issue-ca", &["tidbCluster=east/prod/one"]);
    let plan = bed.run(&[&["plan", "issue-certificates"], &ONE[..]].concat());
    assert!(
        plan.stdout.contains("never shown") && plan.stdout.contains("*.one-pd-peer.prod.svc.east.local"),
        "{}",
        plan.stdout
    );
    assert!(plan.stdout.contains("openssl x509 -req"), "{}", plan.stdout);
    bed.refused("issue-certificates", &["tidbCluster=east/prod/one", "clusterDomain=west.local"], "domain-is-real");
    let unknown = bed.run(&["run", "issue-certificates", "--yes", "tidbCluster=east/prod/one", "components=pd,tikc"]);
    assert!(unknown.code == 4 && unknown.all().contains("found \"tikc\""), "{}", unknown.all());
    bed.done("issue-certificates", &ONE);
    // The CA's key does not have to leave its cluster for this.
    bed.done("issue-certificates", &TWO);
    they_speak(&bed);
    bed.keeps_secrets(&[&plan.stdout]);

    // Another common name or another CA in the same place is not overwritten.
    bed.refused("issue-ca", &["tidbCluster=east/prod/one", "commonName=other"], "expected common name \"other\"");
    let more = ["tidbCluster=east/prod/one", "clusterDomain=east.local", "commonName=other"];
    bed.refused("issue-certificates", &more, "exists already and is not what is wanted");
    bed.done("issue-ca", &["tidbCluster=west/prod/own"]);
    bed.refused(
        "issue-certificates",
        &["tidbCluster=west/prod/two", "clusterDomain=west.local", "caOf=west/prod/own"],
        "signed by another CA",
    );
    // One certificate that somebody deletes is made again, and only that one.
    bed.sim.store("east").expect("a context").remove("secrets", "prod", "one-tikv-cluster-secret");
    let before = bed.writes();
    bed.done("issue-certificates", &ONE);
    assert_eq!(bed.writes(), before + 1);
    // A copy for cert-manager gets the name that its Issuer looks for.
    bed.done("issue-ca", &["tidbCluster=east/prod/one", "copyTo=west/prod/two"]);
    assert_eq!(bed.secret("west", "two-ca-secret"), bed.secret("east", "one-ca-secret"));
}

#[test]
fn by_cert_manager() {
    let bed = Bed::new();
    bed.done("issue-ca", &["tidbCluster=east/prod/one", "method=cert-manager"]);
    bed.done("issue-certificates", &[&ONE[..], &["method=cert-manager"]].concat());
    bed.done("issue-certificates", &[&TWO[..], &["method=cert-manager"]].concat());
    they_speak(&bed);
    bed.keeps_secrets(&[]);
    // Where it is not installed, that is said before anything is sent.
    bed.sim.store("west").expect("a context").remove("customresourcedefinitions", "", "certificates.cert-manager.io");
    bed.sim.store("west").expect("a context").remove("customresourcedefinitions", "", "issuers.cert-manager.io");
    bed.refused("issue-ca", &["tidbCluster=west/prod/three", "method=cert-manager"], "cert-manager-there");
}

#[test]
fn with_the_real_cfssl() {
    let there = std::process::Command::new("cfssl").arg("version").output().is_ok();
    assert!(there || std::env::var("CI").is_err(), "cfssl is missing (Debian: golang-cfssl)");
    if !there {
        eprintln!("left out: cfssl is not installed");
        return;
    }
    let bed = Bed::new();
    // What could only fail once something was sent is refused before.
    std::fs::write(bed.room.path("taken"), "").expect("written");
    let taken = format!("folder={}", bed.room.path("taken").display());
    bed.refused("issue-ca", &["tidbCluster=east/prod/one", "method=cfssl", &taken], "is a file; expected a directory");
    let folder = bed.room.path("certificates");
    let folder = format!("folder={}", folder.display());
    bed.done("issue-ca", &["tidbCluster=east/prod/one", "method=cfssl", &folder]);
    bed.done("issue-certificates", &[&ONE[..], &["method=cfssl", &folder]].concat());
    bed.done("issue-certificates", &[&TWO[..], &["method=cfssl", &folder]].concat());
    they_speak(&bed);
    bed.keeps_secrets(&[]);
    let names: Vec<String> = std::fs::read_dir(bed.room.path("certificates"))
        .expect("the folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(names.iter().all(|name| name.ends_with(".json")) && names.len() > 8, "{names:?}");
}

/// Which certificates OpenSSL takes for self-signed is its rule, and ours only as long as it is the same.
#[test]
fn what_openssl_takes_for_self_signed() {
    if !openssl::installed() {
        return;
    }
    let hosts = ["127.0.0.1".to_owned()];
    let mut refused = 0;
    for key in ["ec", "rsa"] {
        let office = Office::new("/O=PingCAP/CN=TiDB", key);
        let subjects =
            ["/O=PingCAP/CN=TiDB", "/O=pingcap/CN=tidb", "/O=PingCAP/CN=Ti DB", "/CN=TiDB/O=PingCAP", "/CN=TiDB"];
        for subject in subjects {
            for ids in 0..4 {
                let leaf = Leaf {
                    subject,
                    alternative_names: &hosts,
                    subject_key_id: ids & 1 != 0,
                    authority_key_id: ids & 2 != 0,
                };
                let values = office.leaf(&leaf);
                let folder = openssl::files(&values);
                let (content, text) = openssl::openssl(folder.path(), &["verify", "-CAfile", "ca.crt", "tls.crt"]);
                let found = certificates::facts(&values).certificate.expect("one");
                let told = format!("CA {key}, {subject}, ids {ids:02b}: {text}");
                assert_eq!(found.looks_self_signed, text.contains("error 18"), "{told}");
                assert_eq!(found.looks_self_signed, !content, "{told}");
                refused += usize::from(!content);
            }
        }
        // A root is signed by itself, and that is no fault.
        assert!(!certificates::facts(&office.authority()).certificate.expect("one").looks_self_signed);
    }
    assert!(refused >= 6, "{refused}");
}

/// The CA that 0.1.0 made, or somebody's own, is called like the certificates. What is signed with it built in has key ids;
/// where cfssl or cert-manager would sign, another organization is asked for, and with it they go through.
#[test]
fn a_ca_that_is_called_like_its_certificates() {
    if !openssl::installed() {
        return;
    }
    let cfssl = std::process::Command::new("cfssl").arg("version").output().is_ok();
    for method in ["builtin", "cfssl", "cert-manager"] {
        if method == "cfssl" && !cfssl {
            continue;
        }
        let bed = Bed::new();
        let office = Office::new("/O=PingCAP/CN=TiDB", "ec");
        put(&bed, "one-ca-secret", &office.authority());
        let (method, folder) = (format!("method={method}"), format!("folder={}", bed.room.path("x").display()));
        let asked = [&ONE[..], &[method.as_str(), folder.as_str()]].concat();
        if method != "method=builtin" {
            bed.refused("issue-certificates", &asked, "ca-has-another-name");
            let close = [&asked[..], &["organization=pingcap"]].concat();
            bed.refused("issue-certificates", &close, "ca-has-another-name");
            bed.done("issue-certificates", &[&asked[..], &["organization=PingCAP-certificates"]].concat());
        } else {
            bed.done("issue-certificates", &asked);
        }
        for name in ["pd-cluster", "cluster-client", "tidb-server"].map(|part| format!("one-{part}-secret")) {
            openssl::verify_all(&format!("{method} {name}"), &bed.secret("east", &name));
        }
    }
}

/// What the simulated cert-manager makes of such a CA is what the real one makes, and is not called good.
#[test]
fn what_go_signs_without_key_ids_is_named() {
    if !openssl::installed() {
        return;
    }
    let bed = Bed::new();
    put(&bed, "one-ca-secret", &Office::new("/O=PingCAP/CN=TiDB", "ec").authority());
    let store = bed.sim.store("east").expect("a context");
    let issuer =
        json!({"metadata": {"namespace": "prod", "name": "x"}, "spec": {"ca": {"secretName": "one-ca-secret"}}});
    store.put("issuers", issuer);
    let names = ["one-pd", "one-pd-peer"];
    let spec = json!({"secretName": "one-pd-cluster-secret", "commonName": "TiDB", "dnsNames": names, "duration": "999h",
        "subject": {"organizations": ["PingCAP"]}, "usages": ["server auth", "client auth"], "issuerRef": {"name": "x"}});
    store.put("certificates", json!({"metadata": {"namespace": "prod", "name": "pd"}, "spec": spec}));
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while store.get("secrets", "prod", "one-pd-cluster-secret").is_none() {
        assert!(std::time::Instant::now() < until, "cert-manager made nothing");
        std::thread::sleep(Duration::from_millis(50));
    }
    let values = bed.secret("east", "one-pd-cluster-secret");
    let why = openssl::verify(&values, "sslserver").expect_err("no key ids");
    assert!(why.contains("error 18"), "{why}");
    assert!(certificates::facts(&values).certificate.expect("one").looks_self_signed);
    bed.refused("issue-certificates", &ONE, "OpenSSL takes it for self-signed (error 18)");
}

/// The lines that a person would type make certificates that OpenSSL takes as well.
#[test]
fn the_lines_by_hand() {
    let kubectl = std::process::Command::new("kubectl").args(["version", "--client"]).output().is_ok();
    assert!(kubectl || std::env::var("CI").is_err(), "kubectl is missing");
    if !kubectl || !openssl::installed() {
        eprintln!("left out: kubectl or openssl is not installed");
        return;
    }
    let bed = Bed::new();
    let by_hand = |words: &[&str]| {
        let plan = bed.run(&[&["plan"], words].concat()).expect(2);
        let lines: Vec<&str> = plan.stdout.lines().filter_map(|line| Some(&line[line.find("(umask 077")?..])).collect();
        assert!(!lines.is_empty(), "{}", plan.stdout);
        for line in lines {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-ec", line]).env("KUBECONFIG", bed.room.path("fleet.yaml"));
            let output = shell.output().expect("a shell");
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        }
    };
    by_hand(&["issue-ca", "tidbCluster=east/prod/one"]);
    by_hand(&[&["issue-certificates"], &ONE[..]].concat());
    by_hand(&[&["issue-certificates"], &TWO[..]].concat());
    they_speak(&bed);
    // And nothing is left to do for the program.
    bed.done("issue-certificates", &ONE);
}

/// What OpenSSL refuses lies in a Secret already: the lines that the refusal prints, as printed, lead to good ones.
#[test]
fn secrets_that_are_there_and_refused_are_mended_by_the_printed_lines() {
    let kubectl = std::process::Command::new("kubectl").args(["version", "--client"]).output().is_ok();
    assert!(kubectl || std::env::var("CI").is_err(), "kubectl is missing");
    if !kubectl || !openssl::installed() {
        return;
    }
    let bed = Bed::new();
    let office = Office::new("/O=PingCAP/CN=TiDB", "ec");
    put(&bed, "one-ca-secret", &office.authority());
    bed.done("issue-certificates", &ONE[..2]);
    let name = "one-pd-cluster-secret";
    let good = certificates::facts(&bed.secret("east", name)).certificate.expect("one");
    let hosts: Vec<String> = good.dns_names.into_iter().chain(good.ip_addresses).collect();
    let subject = "/O=PingCAP/CN=TiDB";
    let refused = Leaf { subject, alternative_names: &hosts, subject_key_id: false, authority_key_id: false };
    let refused = office.leaf(&refused);
    assert!(openssl::verify(&refused, "sslserver").expect_err("no key ids").contains("error 18"));
    put(&bed, name, &refused);
    let deploy =
        ["plan", "deploy-initial-cluster", "tidbCluster=east/prod/one", "clusterDomain=east.local", "tls=true"];
    let deploy = [&deploy[..], &["version=v8.5.4"]].concat();
    let ran = bed.run(&deploy).expect(4);
    let all = ran.all();
    let lines = all.split('`').skip(1).step_by(2).filter(|line| line.contains("secret") || line.contains(" run "));
    let lines: Vec<String> = lines.map(|line| line.replace('\n', " ")).collect();
    assert!(lines.len() == 2 && lines[0].ends_with("delete secret SECRET"), "{lines:?}\n{all}");
    assert!(all.contains(&format!("Secret {name}")), "{all}");
    let binaries = std::path::Path::new(crate::common::BINARY).parent().expect("a folder");
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap_or_default());
    for (line, answers) in lines.iter().zip(["", " --yes --confirm one"]) {
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-ec", &format!("{}{answers}", line.replace("SECRET", name))])
            .envs(bed.room.environment())
            .env("PATH", &path);
        shell.env("KUBECONFIG", bed.room.path("fleet.yaml"));
        let output = shell.output().expect("a shell");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    openssl::verify_all(name, &bed.secret("east", name));
    bed.run(&deploy).expect(2);
}

/// Puts a Secret into the namespace of `one`.
fn put(bed: &Bed, name: &str, values: &Values) {
    let data: BTreeMap<&String, ByteString> =
        values.iter().map(|(key, value)| (key, ByteString(value.clone()))).collect();
    let metadata = json!({"namespace": "prod", "name": name});
    let secret = json!({"metadata": metadata, "type": "kubernetes.io/tls", "data": data});
    bed.sim.store("east").expect("a context").put("secrets", secret);
}
