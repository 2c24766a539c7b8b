//! The migration against real etcd: 3.4 with `/v2/members` (PD up to 8.3) and 3.5 without it (PD from 8.4), plain and
//! with mutual TLS, behind the PD pods of the simulated fleet.
//!
//! The binary runs the runbook; what came of it is read from the etcds themselves. Afterwards wrong peerURLs are
//! given to the one function that could send them, and none may reach a server. `tap` counts what arrives, `servers`
//! has the processes. Where an etcd is not installed its tests say so and pass, except with `CI=true`.

mod http_client;
mod servers;
mod tap;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use k8s_openapi::ByteString;
use serde_json::Value;
use servers::{Certificates, Etcds, Flavour};
use tap::Tap;
use tidepilot::client::kube::context_selection::{ConnectOptions, targets};
use tidepilot::client::{self, Links, WritePermit, write};
use tidepilot::fleet::ObjectRef;
use tidepilot::fleet::pd::MemberId;
use tidepilot::runbook::action_types::Answer;
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::UpdatePeerUrl;
use tidepilot::sim::external_pd::PdTunnel;
use tidepilot::sim::scenario::Scenario;
use tidepilot::sim::{Sim, SimOptions};

const CONTEXT: &str = "legacy";
const NAMESPACE: &str = "pingcap";
const TC: &str = "basic";
const DOMAIN: &str = "cluster1.com";
const PODS: usize = 3;
/// Simulated seconds in a real one.
const SPEED: f64 = 200.0;
/// One call of the binary.
const COMMAND: Duration = Duration::from_secs(45);
/// One test, with its etcds.
const WHOLE: Duration = Duration::from_secs(80);

/// One test at a time: twelve etcds at once would only measure the disk.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    Plain,
    MutualTls,
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_34_with_v2() {
    migrate("3.4.", Wire::Plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_34_with_v2_and_mutual_tls() {
    migrate("3.4.", Wire::MutualTls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_35_without_v2() {
    migrate("3.5.", Wire::Plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_35_without_v2_and_mutual_tls() {
    migrate("3.5.", Wire::MutualTls).await;
}

async fn migrate(release: &str, wire: Wire) {
    let Some(flavour) = flavour(release) else { return };
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let whole = async {
        let mut bed = Bed::start(&flavour, wire).await;
        migration(&bed, &flavour).await;
        wrong_urls_never_arrive(&mut bed, flavour.v2).await;
        bed.sim.shutdown().await;
    };
    tokio::time::timeout(WHOLE, whole).await.expect("the whole test ends in time");
}

/// The etcd of this release. `None`: it is not here, which only CI minds.
fn flavour(release: &str) -> Option<Flavour> {
    let v2 = release == "3.4.";
    let (binary, told) = if v2 {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|folder| folder.join("etcd")).find(|file| file.is_file());
        (found, "`etcd` on PATH")
    } else {
        (std::env::var_os("TIDEPILOT_ETCD35").map(PathBuf::from), "TIDEPILOT_ETCD35")
    };
    let version = binary.as_ref().map(|binary| {
        let output = std::process::Command::new(binary).arg("--version").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let version = text.lines().find_map(|line| line.strip_prefix("etcd Version: "));
        version.unwrap_or("no version").trim().to_owned()
    });
    match (binary, version) {
        (Some(binary), Some(version)) if version.starts_with(release) => Some(Flavour { binary, v2 }),
        (_, version) => {
            let found = version.unwrap_or_else(|| "nothing".to_owned());
            let sentence = format!("etcd {release}x was looked for in {told}, found {found}");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{sentence}; CI must have it");
            let _ = writeln!(std::io::stderr(), "left out: {sentence}");
            None
        }
    }
}

/// A simulated fleet whose TidbCluster `basic` has real etcds as its PDs.
struct Bed {
    pub(super) sim: Sim,
    etcds: Etcds,
    taps: Vec<Tap>,
    scheme: &'static str,
    folder: tempfile::TempDir,
}

fn pod(index: usize) -> String {
    format!("{TC}-pd-{index}")
}

/// What the operator calls a PD pod; without the domain as before the migration.
fn host(index: usize, domain: &str) -> String {
    let dot = if domain.is_empty() { "" } else { "." };
    format!("{}.{TC}-pd-peer.{NAMESPACE}.svc{dot}{domain}", pod(index))
}

impl Bed {
    async fn start(flavour: &Flavour, wire: Wire) -> Bed {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut taps = Vec::new();
        for _ in 0..PODS {
            taps.push(Tap::start().await);
        }
        let tunnel = |(index, tap): (usize, &Tap)| PdTunnel {
            context: Some(CONTEXT.to_owned()),
            namespace: NAMESPACE.to_owned(),
            pod: pod(index),
            address: tap.address,
        };
        let options =
            SimOptions { speed: SPEED, pd: taps.iter().enumerate().map(tunnel).collect(), ..SimOptions::default() };
        let mut scenario =
            Scenario::named(if wire == Wire::Plain { "default" } else { "tls" }).expect("it is embedded");
        for tc in scenario.tidb_clusters.iter_mut().filter(|tc| tc.name == TC) {
            // These processes are not started anew, so their names are those after the restart, and the spec says so too:
            // names with a domain under a spec without one are a domain that somebody took away.
            tc.spec["clusterDomain"] = DOMAIN.into();
            if !flavour.v2 {
                // The version that this etcd stands for; nothing may be concluded from it, the API is found by asking.
                tc.spec["version"] = "v8.5.7".into();
            }
        }
        let sim = Sim::start_scenario(scenario, options).await.expect("the scenario starts");
        sim.write_kubeconfig(&folder.path().join("kubeconfig")).expect("a writable folder");
        let certificates = (wire == Wire::MutualTls).then(|| certificates(&sim, folder.path()));
        // The names as a rolling restart with the new domain leaves them; peerURLs stay those of the first start.
        let hosts: Vec<String> = (0..PODS).map(|index| host(index, DOMAIN)).collect();
        let etcds = Etcds::start(flavour, &hosts, certificates.as_ref()).await;
        for (tap, client) in taps.iter().zip(etcds.clients()) {
            tap.lead_to(client);
        }
        let scheme = if wire == Wire::Plain { "http" } else { "https" };
        let bed = Bed { sim, etcds, taps, scheme, folder };
        bed.etcds.pretend(&bed.peer_urls("")).await;
        bed.etcds.applied_everywhere(PODS).await;
        bed.etcds.healthy().await;
        assert_eq!(bed.etcds.v2_status().await, if flavour.v2 { 200 } else { 404 });
        if let Some(files) = &certificates {
            bed.etcds.closed_to_strangers(files).await;
        }
        assert_eq!(bed.arrived(), 0, "nothing of the preparation goes through the fleet");
        bed
    }

    /// Member name → peerURL with this domain.
    fn peer_urls(&self, domain: &str) -> BTreeMap<String, String> {
        let url = |index| format!("{}://{}:2380", self.scheme, host(index, domain));
        (0..PODS).map(|index| (host(index, DOMAIN), url(index))).collect()
    }

    /// Connections that came through the fleet.
    fn arrived(&self) -> usize {
        self.taps.iter().map(Tap::connections).sum()
    }

    /// Requests other than reads that came through the fleet. `None` where TLS hides them.
    fn writes(&self) -> Option<Vec<(String, String)>> {
        let reads = ["/v3/cluster/member/list", "/v3/maintenance/status"];
        let read = |(method, path): &(String, String)| method == "GET" || method == "POST" && reads.contains(&&**path);
        let all = self.taps.iter().flat_map(Tap::requests);
        (self.scheme == "http").then(|| all.filter(|request| !read(request)).collect())
    }

    async fn tidepilot(&self, words: &[&str]) -> Output {
        let folder = self.folder.path();
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tidepilot"));
        command
            .args(words)
            .arg("--kubeconfig")
            .arg(folder.join("kubeconfig"))
            .arg("--state")
            .arg(folder.join("state"))
            .env_clear()
            .env("HOME", folder)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(COMMAND, command.output()).await;
        output.expect("the command ends in time").expect("the binary starts")
    }

    /// Runs the migration to a domain with every gate answered.
    async fn run(&self, domain: &str) -> Output {
        let (target, domain) = (format!("tidbCluster={CONTEXT}/{NAMESPACE}/{TC}"), format!("clusterDomain={domain}"));
        let words = ["run", "migrate-cluster-domain", "--set", &target, "--set", &domain, "--yes", "--confirm", TC];
        self.tidepilot(&words).await
    }

    /// Dry and real patches of the TidbCluster so far.
    fn patches(&self) -> (usize, usize) {
        let lines = self.sim.log().lines();
        let patches: Vec<&Value> = lines.iter().filter(|line| line["method"] == "PATCH").collect();
        let dry = patches.iter().filter(|line| line["dryRun"] == true).count();
        (dry, patches.len() - dry)
    }
}

/// PD's own certificate, as its pods mount it, in files.
fn certificates(sim: &Sim, folder: &Path) -> Certificates {
    let store = sim.store(CONTEXT).expect("the context of the scenario");
    let secret = store.get("secrets", NAMESPACE, &format!("{TC}-pd-cluster-secret")).expect("a TLS scenario has it");
    let file = |key: &str| {
        let data: ByteString = serde_json::from_value(secret["data"][key].clone()).expect("base64");
        let path = folder.join(key);
        std::fs::write(&path, data.0).expect("a writable folder");
        path
    };
    Certificates { authority: file("ca.crt"), certificate: file("tls.crt"), key: file("tls.key") }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn assert_done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

/// The run, the same run again, and what `status` says afterwards.
async fn migration(bed: &Bed, flavour: &Flavour) {
    let before = bed.etcds.raft(0).await;
    let ids = bed.etcds.listed(0).await;

    // Under a domain that nothing resolves there would be no rollback: refused before anything is sent.
    let refused = bed.run("nowhere.example").await;
    assert_eq!(refused.status.code(), Some(4), "{}\n{}", text(&refused.stdout), text(&refused.stderr));
    assert_eq!(bed.patches(), (0, 0));
    assert!(bed.writes().is_none_or(|writes| writes.is_empty()));
    bed.etcds.applied_everywhere(PODS).await;

    let done = bed.run(DOMAIN).await;
    assert_done(&done);
    let (api, other) = match flavour.v2 {
        true => ("PUT /v2/members", "/v3/cluster/member/update"),
        false => ("POST /v3/cluster/member/update", "/v2/members"),
    };
    let said = text(&done.stdout) + &text(&done.stderr);
    assert!(said.contains(api.split_once(' ').expect("method and path").1) && !said.contains(other), "{said}");

    // What the servers have, and how it came to be so: one update for each member, nothing else.
    let migrated = bed.peer_urls(DOMAIN);
    bed.etcds.agreed(&migrated).await;
    bed.etcds.applied_everywhere(2 * PODS).await;
    let updates = bed.etcds.applied(0).split_off(PODS);
    let updated: BTreeMap<u64, Vec<String>> = updates.iter().cloned().collect();
    let expected: BTreeMap<u64, Vec<String>> =
        migrated.iter().map(|(name, url)| (ids[name].id, vec![url.clone()])).collect();
    assert_eq!(updated, expected);
    let after = bed.etcds.raft(0).await;
    if before.term == after.term {
        assert_eq!(updates.last().map(|(id, _)| *id), Some(after.leader), "the leader comes last");
    }
    if let Some(writes) = bed.writes() {
        assert_eq!(writes.len(), PODS, "{writes:?}");
        let right = writes.iter().all(|(method, path)| format!("{method} {path}").starts_with(api));
        assert!(right, "{writes:?}");
    }
    assert_eq!(bed.patches(), (1, 1), "one rehearsal, one patch");
    bed.etcds.healthy().await;

    let again = bed.run(DOMAIN).await;
    assert_done(&again);
    let said = text(&again.stdout) + &text(&again.stderr);
    assert!(said.to_lowercase().contains("nothing to do"), "{said}");
    assert_eq!(bed.patches(), (1, 1), "the second run writes nothing");
    bed.etcds.applied_everywhere(2 * PODS).await;
    assert!(bed.writes().is_none_or(|writes| writes.len() == PODS));

    let status = bed.tidepilot(&["status", "-o", "json"]).await;
    assert_done(&status);
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let databases = status["databases"].as_array().expect("a list");
    let database = databases.iter().find(|database| database["name"] == TC).expect("the migrated Database");
    let members = database["members"].as_array().expect("a list");
    assert_eq!(members.len(), PODS, "{members:#?}");
    for (index, name) in (0..PODS).map(|index| (index, host(index, DOMAIN))) {
        let member = members.iter().find(|member| member["name"] == *name).expect("the member by its name");
        let url = &migrated[&name];
        assert_eq!(member["id"], format!("{:x}", ids[&name].id), "{member:#}");
        assert_eq!((&member["pod"], &member["kubeCluster"]), (&Value::from(pod(index)), &Value::from(CONTEXT)));
        assert_eq!((&member["peerUrls"][0], &member["expectedPeerUrl"]), (&url[..].into(), &url[..].into()));
        assert_eq!((&member["drift"], &member["healthy"]), (&false.into(), &true.into()), "{member:#}");
        // Nobody keeps a busy machine from electing anew between the two looks.
        if bed.etcds.raft(0).await.term == after.term {
            assert_eq!(member["leader"], (ids[&name].id == after.leader), "{member:#}");
        }
    }
}

/// Everything that `facts` say kills an etcd, and what is only wrong, given to the function that sends.
async fn wrong_urls_never_arrive(bed: &mut Bed, v2: bool) {
    let migrated = bed.peer_urls(DOMAIN);
    let listed = bed.etcds.listed(0).await;
    let options =
        ConnectOptions { kubeconfig: vec![bed.folder.path().join("kubeconfig")], ..ConnectOptions::default() };
    let links = Links::new(targets(&options).expect("the kubeconfig is there"), options);
    let seen = client::assemble(links.look(None).await);
    let permit = WritePermit::for_run(&links, "test", [CONTEXT]).expect("an admin's context");
    let update = |id: u64, of: usize, from: &str, to: &[&str]| {
        Action::UpdatePeerUrl(UpdatePeerUrl {
            target: ObjectRef::new(CONTEXT, NAMESPACE, TC),
            id: MemberId(id),
            pod: pod(of),
            from: vec![from.to_owned()],
            to: to.iter().map(|url| (*url).to_owned()).collect(),
            restores: false,
        })
    };
    let member = |index: usize| &listed[&host(index, DOMAIN)];
    let url = |index: usize| migrated[&host(index, DOMAIN)].as_str();
    let (good, bare) = (url(0), host(0, DOMAIN));
    let other_scheme = if bed.scheme == "http" { "https" } else { "http" };
    let scheme = bed.scheme;
    let wrong = [
        String::new(),
        "not a url".to_owned(),
        bare.clone(),
        format!("{bare}:2380"),
        format!("{scheme}://{bare}"),
        format!("{scheme}://{bare}:"),
        format!("{scheme}://{bare}:http"),
        format!("{scheme}://{bare}:0"),
        format!("{scheme}://{bare}:99999"),
        format!("{scheme}://{bare}:2379"),
        format!("{scheme}://:2380"),
        format!("{good}/"),
        format!("{good}/path"),
        format!("{good}?a=b"),
        format!("{good}#a"),
        format!("{good} "),
        format!(" {good}"),
        format!("{scheme}://user@{bare}:2380"),
        format!("{other_scheme}://{bare}:2380"),
        format!("ftp://{bare}:2380"),
        format!("unix://{bare}:2380"),
        good.to_uppercase(),
        good.replace(DOMAIN, "${inputs.clusterDomain}"),
        good.replace(DOMAIN, "<domain>"),
        // Well-formed, and resolves nowhere: another domain, the name from before the migration.
        good.replace(DOMAIN, "nowhere.example"),
        good.replace(&format!(".{DOMAIN}"), ""),
        url(1).to_owned(),
    ];
    let mut actions: Vec<Action> = wrong.iter().map(|to| update(member(0).id, 0, good, &[to])).collect();
    actions.extend([
        update(member(0).id, 0, good, &[]),
        update(member(0).id, 0, good, &[good, good.trim_end_matches('0')]),
        // The URL that is expected of the pod, but of another pod than the member's own.
        update(member(0).id, 1, good, &[url(1)]),
        // Right, but planned from something that is no longer so.
        update(member(0).id, 0, "http://as-it-was:2380", &[good]),
        update(member(0).id ^ 1, 0, good, &[good]),
    ]);

    let (before, connections) = (bed.etcds.raft(0).await, bed.arrived());
    let writes = bed.writes();
    for action in &actions {
        let answer = write::perform(&links, &permit, "test", action, &seen).await;
        // Refused here, not by a server: that one would be quoted with its status.
        let ours = matches!(&answer, Answer::Refused { reason } if !reason.contains("answered"));
        assert!(ours, "{action:?} got {answer:?}");
    }
    assert!(bed.arrived() > connections, "the refusals came with the servers in reach");
    assert_eq!(bed.writes(), writes, "no request but reads arrived");
    bed.etcds.agreed(&migrated).await;
    bed.etcds.applied_everywhere(2 * PODS).await;
    let after = bed.etcds.raft(0).await;
    if before.term == after.term {
        // etcd 3.4 answers /health with an entry of its own, and each action asks for it once; 3.5 needs none.
        let asked = if v2 { actions.len() as u64 } else { 0 };
        assert_eq!(after.index - before.index, asked, "something was proposed: {before:?}, then {after:?}");
    }

    // The instruments themselves: a right one, though it changes nothing, does arrive and is counted.
    let right = update(member(0).id, 0, good, &[good]);
    let answer = write::perform(&links, &permit, "test", &right, &seen).await;
    assert!(matches!(&answer, Answer::Accepted { .. }), "{answer:?}");
    bed.etcds.applied_everywhere(2 * PODS + 1).await;
    assert!(bed.writes().is_none_or(|writes| writes.len() == PODS + 1));
    bed.etcds.agreed(&migrated).await;
    assert_eq!(bed.etcds.dead(), None);
    bed.etcds.healthy().await;
}
