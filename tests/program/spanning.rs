//! The life of a spanning Database by `tidepilot run …` alone: from two empty KubeClusters to a Database across both,
//! upgraded, left by one of them and reclaimed. The real binary on one simulated fleet; every refusal on the way too.

use std::time::Duration;

use crate::common::{Ran, Room, effect, finish, short};
use serde_json::{Value, json};
use tidepilot::sim::{Sim, SimOptions};

/// One fleet, and the binary to work on it.
struct Bed {
    pub(super) sim: Sim,
    room: Room,
    runtime: tokio::runtime::Runtime,
}

impl Bed {
    fn new(scenario: &str) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let options = SimOptions { scenario: scenario.into(), speed: 100.0, ..SimOptions::default() };
        let sim = runtime.block_on(Sim::start(options)).expect("the fleet starts");
        let room = Room::new();
        sim.write_kubeconfig(&room.path("fleet.yaml")).expect("written");
        Self { sim, room, runtime }
    }

    fn namespace(&self, context: &str, name: &str) {
        let store = self.sim.store(context).expect("a context");
        store.put("namespaces", json!({"metadata": {"name": name}}));
    }

    #[track_caller]
    fn tidepilot(&self, arguments: &[&str]) -> Ran {
        let mut command = self.room.command(arguments);
        command.arg("--kubeconfig").arg(self.room.path("fleet.yaml"));
        finish(command.spawn().expect("the binary starts"), Duration::from_secs(120))
    }

    /// Runs a runbook with everything confirmed that asks for one of these names.
    #[track_caller]
    fn run(&self, runbook: &str, sets: &[&str], names: &[&str]) -> Ran {
        let mut arguments = vec!["run", runbook, "--yes"];
        sets.iter().for_each(|set| arguments.extend(["--set", set]));
        names.iter().for_each(|name| arguments.extend(["--confirm", name]));
        self.tidepilot(&arguments)
    }

    /// Runs it to its end, and once more: the second time nothing is written.
    #[track_caller]
    fn done(&self, runbook: &str, sets: &[&str], names: &[&str]) {
        let first = self.run(runbook, sets, names);
        assert_eq!(first.code, 0, "{runbook}: {}", first.all());
        let before = self.writes();
        let second = self.run(runbook, sets, names);
        assert_eq!(second.code, 0, "{runbook} again: {}", second.all());
        assert!(second.all().contains("nothing to do"), "{runbook} again: {}", second.all());
        assert_eq!(self.writes(), before, "{runbook} again wrote something");
    }

    #[track_caller]
    fn refused(&self, runbook: &str, sets: &[&str], check: &str) {
        let before = self.writes();
        let ran = self.run(runbook, sets, &[]);
        assert_eq!(ran.code, 4, "{runbook} {sets:?}: {}", ran.all());
        assert!(ran.all().contains(check), "{runbook} {sets:?}: expected {check}, found {}", ran.all());
        assert_eq!(self.writes(), before, "{runbook} {sets:?} wrote something");
    }

    /// Requests that changed something: no dry runs, no looks from inside, no leases and no record of a run.
    fn writes(&self) -> Vec<String> {
        let own = |path: &str| ["/leases", "/configmaps", "/exec"].iter().any(|part| path.contains(part));
        let log = self.sim.log().lines();
        let changed = log.iter().filter(|line| effect(line) && line["dryRun"] != true);
        changed.filter(|line| !own(line["path"].as_str().unwrap_or_default())).map(short).collect()
    }

    fn object(&self, context: &str, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        self.sim.store(context).expect("a context").get(plural, namespace, name)
    }

    fn count(&self, context: &str, plural: &str, namespace: &str) -> usize {
        self.sim.store(context).expect("a context").list(plural, Some(namespace)).len()
    }

    #[track_caller]
    fn database(&self) -> Value {
        let ran = self.tidepilot(&["status", "-o", "json"]);
        let status = ran.json();
        let databases = status["databases"].as_array().cloned().unwrap_or_default();
        assert_eq!(databases.len(), 1, "{status:#}");
        databases[0].clone()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // The fleet's tasks belong to this runtime: they end before it does.
        let _inside = self.runtime.enter();
    }
}

const ONE: &str = "tidbCluster=east/prod/one";
const TWO: &str = "tidbCluster=west/prod/two";
const DEPLOY: [&str; 3] = [ONE, "clusterDomain=east.local", "version=v8.5.4"];
const JOIN: [&str; 3] = ["join=east/prod/one", TWO, "clusterDomain=west.local"];

/// Two TidbClusters of one name and namespace in different domains: whose store is whose is not told by the name.
#[test]
fn one_joins_under_the_name_of_another() {
    let bed = Bed::new("empty");
    bed.namespace("east", "prod");
    bed.namespace("west", "prod");
    bed.done("deploy-initial-cluster", &DEPLOY, &["one"]);
    bed.done("join-cluster", &[JOIN[0], "tidbCluster=west/prod/one", JOIN[2]], &["west/prod/one"]);
    let database = bed.database();
    assert_eq!((&database["quorum"]["members"], &database["quorum"]["healthy"]), (&json!(4), &json!(4)));
}

/// The domains of both clusters are known, and they differ: without one nobody could join.
#[test]
fn a_missing_domain_is_refused_where_the_domains_differ() {
    let bed = Bed::new("empty");
    bed.namespace("east", "prod");
    bed.namespace("west", "prod");
    bed.refused("deploy-initial-cluster", &[ONE, DEPLOY[2]], "clusterDomain=east.local");
    // Alone it can be made without; whoever wants to join it then is told.
    let alone = ["run", "deploy-initial-cluster", "--yes", "--context", "east", "--set", ONE, "--set", DEPLOY[2]];
    let made = bed.tidepilot(&[alone.as_slice(), &["--confirm", "one"]].concat());
    assert_eq!(made.code, 0, "{}", made.all());
    bed.refused("join-cluster", &["join=east/prod/one", TWO], "domain-needed");
    bed.refused("join-cluster", &["join=east/prod/one", TWO], "clusterDomain=west.local");
    bed.refused("join-cluster", &JOIN, "domains-fit");
    bed.refused("migrate-cluster-domain", &[ONE], "clusterDomain=east.local");
    // What cannot be told is said, and is no equality.
    let store = bed.sim.store("west").expect("a context");
    store.edit("configmaps", "kube-system", "coredns", |map| map["data"] = json!({}));
    let plan = bed.tidepilot(&["plan", "join-cluster", "--set", "join=east/prod/one", "--set", TWO]);
    assert_eq!(plan.code, 2, "{}", plan.all());
    assert!(plan.all().contains("domains-known") && !plan.all().contains("REFUSED"), "{}", plan.all());
    // By hand it is possible all the same, and found.
    store.edit("configmaps", "kube-system", "coredns", |map| {
        map["data"] = json!({"Corefile": ". {\n kubernetes west.local\n}"})
    });
    let east = bed.object("east", "tidbclusters", "prod", "one").expect("just made");
    let mut spec = east["spec"].clone();
    spec["cluster"] = json!({"name": "one", "namespace": "prod"});
    store.put("tidbclusters", json!({"metadata": {"namespace": "prod", "name": "two"}, "spec": spec}));
    let found = bed.tidepilot(&["check", "-o", "json"]).json();
    let missing = found["findings"].as_array().cloned().unwrap_or_default().into_iter();
    let missing: Vec<Value> = missing.filter(|one| one["id"] == "cluster-domain-missing").collect();
    let names: Vec<&Value> = missing.iter().map(|one| &one["subjects"][0]["name"]).collect();
    assert_eq!(names, ["one", "two"], "{found:#}");
    assert!(missing[1]["whatToDo"].as_str().is_some_and(|text| text.contains("west.local")), "{missing:#?}");
}

/// Queries for the neighbours' domains are sent on, as they have to be for a spanning Database: that makes none of them one's own.
#[test]
fn the_domain_of_a_neighbour_is_not_ones_own() {
    let bed = Bed::new("default");
    let migrate = ["plan", "migrate-cluster-domain", "--set", "tidbCluster=legacy/pingcap/basic", "--set"];
    let plan = |domain: &str| bed.tidepilot(&[migrate.as_slice(), &[&format!("clusterDomain={domain}")]].concat());
    for domain in ["east.local", "west.local", "wrong.example"] {
        let ran = plan(domain);
        assert_eq!(ran.code, 4, "{domain}: {}", ran.all());
        assert!(ran.all().contains("REFUSED  domain-is-the-real-one"), "{domain}: {}", ran.all());
    }
    assert_eq!(plan("cluster1.com").code, 2);
    // Its pods were asked, so that is proof; where nobody could be asked it is what CoreDNS's configuration says.
    let accept = ["--accept", "domain-is-the-real-one", "--reason", "I know better"];
    let asked = bed.tidepilot(&[migrate.as_slice(), &["clusterDomain=east.local"], &accept].concat());
    assert!(asked.code == 4 && asked.all().contains("what it found is proof"), "{}", asked.all());
    let empty = Bed::new("empty");
    empty.namespace("east", "prod");
    let deploy =
        ["plan", "deploy-initial-cluster", "--set", ONE, "--set", DEPLOY[2], "--set", "clusterDomain=eu.example"];
    assert_eq!(empty.tidepilot(&deploy).code, 4);
    let read = empty.tidepilot(&[deploy.as_slice(), &accept].concat());
    assert!(read.code == 2 && read.all().contains("OVERRULED  domain-is-the-real-one"), "{}", read.all());
    for (runbook, place, domain) in [
        ("deploy-initial-cluster", "east/prod/new", "west.local"),
        ("join-cluster", "legacy/pingcap/new", "east.local"),
    ] {
        let mut sets = vec![format!("tidbCluster={place}"), format!("clusterDomain={domain}")];
        match runbook {
            "join-cluster" => sets.push("join=east/prod/prod-east".into()),
            _ => sets.push("version=v8.5.7".into()),
        }
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        bed.refused(runbook, &sets, "domain-is-the-real-one");
    }
    // The documented server blocks for the neighbours make nobody alike either.
    let zones = [("east", "east.local"), ("west", "west.local"), ("legacy", "cluster1.com")];
    for (context, own) in zones {
        let others = zones.iter().filter(|(other, _)| *other != context);
        let others = others.map(|(_, zone)| format!("{zone}:53 {{\n errors\n cache 30\n forward . 10.9.9.9\n}}\n"));
        let file = format!(
            ".:53 {{\n kubernetes {own} in-addr.arpa\n forward . /etc/resolv.conf\n}}\n{}",
            others.collect::<String>()
        );
        let store = bed.sim.store(context).expect("a context");
        store.edit("configmaps", "kube-system", "coredns", |map| map["data"] = json!({"Corefile": file}));
    }
    let basic = ["--set", "tidbCluster=legacy/pingcap/basic"];
    for runbook in ["migrate-cluster-domain", "enable-across-k8s"] {
        let ran = bed.tidepilot(&[["plan", runbook].as_slice(), &basic].concat());
        assert!(ran.code == 4 && ran.all().contains("REFUSED  domain-needed"), "{runbook}: {}", ran.all());
        let alone = bed.tidepilot(&[["plan", runbook, "--context", "legacy"].as_slice(), &basic].concat());
        assert!(alone.all().contains("WARNING  domains-known"), "{runbook}: {}", alone.all());
    }
}

/// A check that only reads gives way to a person who knows better, with a reason that stays; proof does not.
#[test]
fn a_reading_is_overruled_with_a_reason_and_proof_is_not() {
    let bed = Bed::new("empty");
    bed.namespace("west", "prod");
    let why = "both zones are forwarded to one another";
    let base = ["--set", ONE, "--set", DEPLOY[2], "--accept", "domain-needed", "--reason", why];
    let with = |head: &[&str], tail: &[&str]| bed.tidepilot(&[head, &base, tail].concat());
    let said = |ran: Ran, code: i32, words: &[&str]| {
        assert_eq!(ran.code, code, "{}", ran.all());
        for word in words {
            assert!(ran.all().contains(word), "expected {word:?}, found {}", ran.all());
        }
    };
    let more = |check, reason| ["--accept", check, "--reason", reason];
    let plan = ["plan", "deploy-initial-cluster"];
    let proof = "check namespace-there cannot be overruled: what it found is proof";
    said(with(&plan, &more("namespace-there", "x")), 4, &[proof]);
    bed.namespace("east", "prod");
    let refused = bed.tidepilot(&["plan", "deploy-initial-cluster", "--set", ONE, "--set", DEPLOY[2]]);
    said(refused, 4, &["REFUSED  domain-needed", "a reading, not proof", "--accept domain-needed --reason TEXT"]);
    // What passes, what is not there, and what has no reason.
    said(with(&plan, &more("rights", "x")), 4, &["check rights cannot be overruled: it passes"]);
    said(
        with(&plan, &more("no-such", "x")),
        4,
        &["has no such check", "domain-is-the-real-one, operator-for-no-domain"],
    );
    said(with(&plan, &more("domain-needed", "x")), 64, &["accepted twice"]);
    said(with(&plan, &more("rights", " ")), 64, &["none is given"]);
    said(with(&plan, &["--accept", "rights"]), 64, &["2 and 1 were given"]);

    // The reviewed plan carries the decision; where something else is read, it is no longer for that.
    let file = bed.room.path("plan.json");
    let file = file.to_str().expect("a path");
    said(with(&plan, &["--out", file]), 2, &["OVERRULED  domain-needed", "accepted because: both zones"]);
    let edited = std::fs::read_to_string(file).expect("written").replace("both zones", "no zone at all");
    let other = bed.room.path("edited.json");
    std::fs::write(&other, edited).expect("written");
    let other = other.to_str().expect("a path");
    said(bed.tidepilot(&["run", "--plan", other, "--yes", "--confirm", "one"]), 4, &["it was edited"]);
    let west = bed.sim.store("west").expect("a context");
    let zone = |zone: &str| {
        let file = format!(". {{\n kubernetes {zone}\n}}");
        west.edit("configmaps", "kube-system", "coredns", |map| map["data"] = json!({"Corefile": file}));
    };
    zone("west.example");
    said(bed.tidepilot(&["run", "--plan", file, "--yes", "--confirm", "one"]), 4, &["moved: check domain-needed"]);
    zone("west.local");
    let ran = bed.tidepilot(&["run", "--plan", file, "--yes", "--confirm", "one"]);
    said(ran, 0, &["check domain-needed overruled: both zones are forwarded to one another"]);
    assert!(bed.object("east", "tidbclusters", "prod", "one").is_some());
    let runs = bed.tidepilot(&["runs", "list", "-o", "json"]).json()["runs"].take();
    let run = runs[0]["run"].as_str().expect("one run").to_owned();
    said(bed.tidepilot(&["runs", "report", &run]), 0, &["| domain-needed | **overruled** |", why]);
}

#[test]
fn from_nothing_to_a_spanning_database_and_back() {
    let bed = Bed::new("empty");
    bed.refused("deploy-initial-cluster", &DEPLOY, "namespace-there");
    bed.namespace("east", "prod");
    bed.namespace("west", "prod");
    bed.refused(
        "deploy-initial-cluster",
        &[ONE, "clusterDomain=west.local", "version=v8.5.4"],
        "domain-is-the-real-one",
    );
    bed.refused("deploy-initial-cluster", &[DEPLOY[0], DEPLOY[1], DEPLOY[2], "tls=true"], "certificates-there");
    bed.refused("deploy-initial-cluster", &[ONE, "clusterDomain=east.local", "version=8.5.4"], "expected a version");
    bed.refused("deploy-initial-cluster", &[ONE, "clusterDomain=${domain}", "version=v8.5.4"], "expected a DNS domain");
    bed.done("deploy-initial-cluster", &DEPLOY, &["one"]);
    bed.refused(
        "deploy-initial-cluster",
        &[ONE, DEPLOY[1], "version=v8.5.4", "pdReplicas=5"],
        "exists already and is another one",
    );

    bed.refused("join-cluster", &["join=east/prod/one", TWO], "domains-fit");
    bed.refused("join-cluster", &["join=east/prod/one", TWO, "clusterDomain=east.local"], "domain-is-the-real-one");
    bed.refused("join-cluster", &["join=east/prod/nobody", TWO, "clusterDomain=west.local"], "there is no TidbCluster");
    bed.done("join-cluster", &JOIN, &["two"]);
    let database = bed.database();
    assert_eq!((&database["quorum"]["members"], &database["quorum"]["healthy"]), (&json!(4), &json!(4)));
    assert_eq!(database["tidbClusters"].as_array().map(Vec::len), Some(2), "{database:#}");
    assert!(database["members"].as_array().expect("members").iter().all(|member| member["drift"] == false));

    bed.refused("upgrade-cluster", &[ONE, "version=v8.5.1"], "REFUSED");
    bed.done("upgrade-cluster", &[ONE, "version=v8.5.7"], &["one", "two"]);
    for (context, name) in [("east", "one"), ("west", "two")] {
        let tc = bed.object(context, "tidbclusters", "prod", name).expect("it is there");
        assert_eq!(tc["status"]["tikv"]["image"], "pingcap/tikv:v8.5.7", "{name}");
        let annotations = &tc["metadata"]["annotations"];
        assert!(annotations["tidb.pingcap.com/pd-check-quorum-before-upgrade"].is_null(), "{annotations}");
    }

    // What was kept is not joined again by mistake; and one that is the whole Database does not leave it.
    bed.done("leave-cluster", &[TWO], &["two"]);
    bed.refused("leave-cluster", &[ONE], "not-the-last");
    assert!(bed.object("west", "tidbclusters", "prod", "two").is_none());
    assert!(bed.count("west", "persistentvolumeclaims", "prod") > 0, "claims are kept unless asked for");
    bed.refused("join-cluster", &JOIN, "no-old-claims");
    bed.done("leave-cluster", &[TWO, "deletePvcs=true"], &["two"]);
    assert_eq!(bed.count("west", "persistentvolumeclaims", "prod"), 0);
    let database = bed.database();
    assert_eq!((&database["quorum"]["members"], &database["quorum"]["healthy"]), (&json!(3), &json!(3)));
    // And back again: the names are free.
    bed.done("join-cluster", &JOIN, &["two"]);
}

#[test]
fn what_was_deployed_can_be_undone_and_a_single_pd_is_not_joined() {
    let bed = Bed::new("empty");
    bed.namespace("east", "prod");
    bed.namespace("west", "prod");
    let sets = [ONE, "clusterDomain=east.local", "version=v7.5.4", "pdReplicas=1", "tikvReplicas=3", "tidbReplicas=0"];
    bed.done("deploy-initial-cluster", &sets, &["one"]);
    bed.refused("join-cluster", &JOIN, "quorum-survives-a-failed-join");
    let runs = bed.tidepilot(&["runs", "list", "-o", "json"]).json()["runs"].take();
    let run =
        runs.as_array().and_then(|all| all.first()).and_then(|run| run["run"].as_str()).expect("one run").to_owned();
    let undone = bed.tidepilot(&["runs", "undo", &run, "--yes", "--confirm", "one"]);
    assert_eq!(undone.code, 8, "{}", undone.all());
    assert!(bed.object("east", "tidbclusters", "prod", "one").is_none());
    assert!(bed.count("east", "persistentvolumeclaims", "prod") > 0, "the data stays");
}

#[test]
fn the_same_with_tls_from_its_certificates_on() {
    let bed = Bed::new("empty");
    bed.namespace("east", "prod");
    bed.namespace("west", "prod");
    bed.done("issue-ca", &[ONE], &["one"]);
    bed.done("issue-certificates", &[ONE, "clusterDomain=east.local"], &["one"]);
    bed.done("issue-certificates", &[TWO, "clusterDomain=west.local", "caOf=east/prod/one"], &["two"]);
    bed.done("deploy-initial-cluster", &[DEPLOY[0], DEPLOY[1], DEPLOY[2], "tls=true"], &["one"]);
    // Certificates of another CA, and ones that lack the domain, are not joined with.
    let other = "tidbCluster=west/prod/other";
    bed.done("issue-ca", &[other], &["other"]);
    bed.done("issue-certificates", &[other, "clusterDomain=west.local"], &["other"]);
    bed.refused("join-cluster", &["join=east/prod/one", other, "clusterDomain=west.local"], "one-authority");
    let short = "tidbCluster=west/prod/short";
    bed.done("issue-certificates", &[short, "caOf=east/prod/one"], &["short"]);
    bed.refused("join-cluster", &["join=east/prod/one", short, "clusterDomain=west.local"], "certificates-there");
    bed.done("join-cluster", &JOIN, &["two"]);
    let database = bed.database();
    assert_eq!((&database["quorum"]["members"], &database["quorum"]["healthy"]), (&json!(4), &json!(4)));
    let secure = |member: &Value| member["peerUrls"][0].as_str().is_some_and(|url| url.starts_with("https://"));
    assert!(database["members"].as_array().expect("members").iter().all(secure), "{database:#}");
    bed.done("upgrade-cluster", &[ONE, "version=v8.5.7"], &["one", "two"]);
    bed.done("leave-cluster", &[TWO, "deletePvcs=true"], &["two"]);
    assert!(bed.object("west", "tidbclusters", "prod", "two").is_none());
    assert_eq!(bed.count("west", "persistentvolumeclaims", "prod"), 0);
}
