//! Commands without a terminal: what they print, in which shape, and with which exit code.
//!
//! Shapes are the promises of docs/formats.md: a field that disappears or changes its type fails here. Not here: what a run
//! does to the world (`migration.rs`).

use crate::common;
use crate::common::{Demo, Room, database, members};
use serde_json::{Value, json};

const BASIC: &str = "tidbCluster=legacy/pingcap/basic";
const DOMAIN: &str = "clusterDomain=cluster1.com";
const ID: &str = "migrate-cluster-domain";

/// `name:type` for each field, where the type may be `string`, `number`, `bool`, `array`, `object`, with `?` for null.
#[track_caller]
fn shape(value: &Value, fields: &str) {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value:#}"));
    for field in fields.split_whitespace() {
        let (name, kind) = field.split_once(':').expect("name:type");
        let found = object.get(name).unwrap_or_else(|| panic!("no field {name} in {value:#}"));
        let fits = match kind.trim_end_matches('?') {
            "string" => found.is_string(),
            "number" => found.is_number(),
            "bool" => found.is_boolean(),
            "array" => found.is_array(),
            "strings" => found.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
            "object" => found.is_object(),
            other => panic!("no such type: {other}"),
        };
        assert!(fits || (kind.ends_with('?') && found.is_null()), "{name} is not {kind}: {found}");
    }
}

#[track_caller]
fn items<'a>(value: &'a Value, name: &str, least: usize) -> &'a [Value] {
    let all = value[name].as_array().unwrap_or_else(|| panic!("no array {name} in {value:#}"));
    assert!(all.len() >= least, "{name} has {} items: {value:#}", all.len());
    all
}

fn documented(status: &Value) {
    shape(
        status,
        "kubeClusters:array databases:array problems:strings unseen:strings notSeen:array verdict:string because:strings reasons:array",
    );
    for cluster in items(status, "kubeClusters", 3) {
        shape(
            cluster,
            "context:string freshness:string version:string? operatorVersion:string? tidbClusters:array message:string?",
        );
        for tc in items(cluster, "tidbClusters", 1) {
            shape(
                tc,
                "namespace:string name:string version:string? clusterDomain:string? acrossK8s:bool ready:string?",
            );
        }
    }
    for database in items(status, "databases", 2) {
        shape(
            database,
            "id:string? name:string tidbClusters:array quorum:object losses:object regionLosses:array? maxReplicas:number? members:array stores:array problems:strings unseen:strings notSeen:array agree:bool",
        );
        shape(&database["quorum"], "members:number healthy:number tolerate:number");
        for of in items(database, "tidbClusters", 1) {
            shape(of, "context:string namespace:string name:string");
        }
        for member in items(database, "members", 3) {
            shape(
                member,
                "id:string name:string kubeCluster:string? namespace:string? tidbCluster:string? pod:string? podPhase:string? ready:bool? peerUrls:strings expectedPeerUrl:string? drift:bool clientUrls:strings leader:bool healthy:bool?",
            );
            let id = member["id"].as_str().expect("a string");
            assert!(u64::from_str_radix(id, 16).is_ok(), "{id} is not hex");
        }
        for store in items(database, "stores", 3) {
            shape(
                store,
                "id:number address:string state:string version:string? tiflash:bool leaderCount:number? regionCount:number? kubeCluster:string? tidbCluster:string? pod:string?",
            );
        }
    }
}

#[test]
fn status_in_every_form() {
    let demo = Demo::start("default", 20);
    let status = demo.run(&["status", "-o", "json"]).expect(0).json();
    documented(&status);
    let contexts: Vec<&str> =
        items(&status, "kubeClusters", 3).iter().filter_map(|one| one["context"].as_str()).collect();
    assert_eq!(contexts, ["east", "legacy", "west"]);
    let prod = database(&status, "prod-east");
    assert_eq!(prod["id"], "7392618453027716404", "an id of 63 bits stays exact");
    assert_eq!(prod["quorum"], serde_json::json!({"members": 3, "healthy": 3, "tolerate": 1}));
    let places: Vec<&str> = members(prod).iter().filter_map(|member| member["kubeCluster"].as_str()).collect();
    assert_eq!(places.iter().filter(|place| **place == "east").count(), 2, "{places:?}");
    assert_eq!(places.iter().filter(|place| **place == "west").count(), 1, "{places:?}");

    let yaml = demo.run(&["status", "-o", "yaml"]).expect(0).stdout;
    let read: Value = serde_saphyr::from_str(&yaml).expect("YAML");
    documented(&read);

    let table = demo.run(&["status"]).expect(0).stdout;
    for said in ["KUBECLUSTER", "east", "west", "legacy", "PD 3/3, tolerates 1; losing cluster east: no quorum"] {
        assert!(table.contains(said), "{said:?} is missing:\n{table}");
    }
    let wide = demo.run(&["status", "-o", "wide"]).expect(0).stdout;
    let client_url = members(prod)[0]["clientUrls"][0].as_str().expect("a string");
    assert!(wide.contains(client_url) && !table.contains(client_url), "{wide}");
    assert!(!table.contains('\x1b') && !wide.contains('\x1b'), "no colour into a pipe");

    let one = demo.run(&["status", "-o", "json", "--context", "legacy"]).expect(0).json();
    assert_eq!(items(&one, "kubeClusters", 1).len(), 1);
    let none = demo.run(&["status", "-o", "json", "--context", "legacy", "-n", "elsewhere"]).expect(3).json();
    assert!(none["databases"].as_array().expect("an array").is_empty(), "{none:#}");
    // Why it is 3 is in the same document.
    let unseen = &none["unseen"][0];
    assert!(unseen.as_str().is_some_and(|said| said.contains("is the namespace or the context right")), "{none:#}");
    for list in ["notSeen", "reasons"] {
        assert_eq!((&none[list][0]["id"], &none[list][0]["sentence"]), (&json!("no-tidb-cluster"), unseen), "{none:#}");
    }
}

#[test]
fn status_says_what_is_wrong() {
    let demo = Demo::start("quorum-at-risk", 20);
    let status = demo.run(&["status", "-o", "json"]).expect(2).json();
    for database in items(&status, "databases", 2) {
        assert_eq!(database["quorum"]["healthy"], 2, "{database:#}");
        assert_eq!(database["quorum"]["tolerate"], 0, "{database:#}");
        items(database, "problems", 1);
    }
    let sentences: Vec<&Value> = items(&status, "reasons", 2).iter().map(|reason| &reason["sentence"]).collect();
    assert_eq!(sentences, items(&status, "because", 2).iter().collect::<Vec<_>>());
    let ill = items(&status, "reasons", 2).iter().filter(|reason| reason["id"] == "pd-member-unhealthy");
    assert!(ill.map(|reason| &reason["subjects"][0]["kind"]).eq([&json!("member"); 2]), "{status:#}");
    // A pod that ends again and again is no rollout.
    let work = demo.run(&["diagnose"]).expect(2).stdout;
    assert!(work.contains("[crash-loop]") && !work.contains("[unfinished-rollout]"), "{work}");
    let line = work.lines().find(|line| line.contains("logs ")).unwrap_or_default();
    assert!(line.ends_with("--previous"), "{work}");
    let table = demo.run(&["status"]).expect(2).stdout;
    assert!(table.contains("UNHEALTHY") && table.contains("WRONG"), "{table}");
}

#[test]
fn status_over_mutual_tls() {
    let demo = Demo::start("tls", 20);
    let status = demo.run(&["status", "-o", "json"]).expect(0).json();
    for database in items(&status, "databases", 2) {
        for member in members(database) {
            assert_eq!(member["healthy"], true, "{member:#}");
            assert!(member["peerUrls"][0].as_str().is_some_and(|url| url.starts_with("https://")), "{member:#}");
        }
    }
}

#[test]
fn plans_in_every_form() {
    let demo = Demo::start("default", 20);
    let file = demo.room.path("plan.json");
    let out = file.to_str().expect("a plain path");
    let text = demo.run(&["plan", ID, "--set", BASIC, "--set", DOMAIN, "--out", out]).expect(2).stdout;
    for said in [
        "spec.clusterDomain: (not set) → \"cluster1.com\"",
        "from the server's dry run",
        "PATCH /apis/pingcap.com/v1alpha1/namespaces/pingcap/tidbclusters/basic",
        " --context legacy -n pingcap patch tidbcluster basic --type merge",
        &format!("kubectl --kubeconfig {} --context legacy", demo.kubeconfig.display()),
        "PUT /v2/members/",
        "port-forward --address 127.0.0.1",
        "NO ROLLBACK",
        "asks you to type legacy/pingcap/basic (--confirm legacy/pingcap/basic)",
        "experimental",
    ] {
        assert!(text.contains(said), "{said:?} is missing:\n{text}");
    }
    // Each once as our request, and once in the line by hand.
    assert_eq!(text.matches("PUT /v2/members/").count(), 6, "{text}");
    let plan = demo.run(&["plan", ID, "--set", BASIC, "--set", DOMAIN, "-o", "json"]).expect(2).json();
    assert_eq!(items(&plan, "steps", 9).len(), 9);
    assert!(items(&plan, "checks", 20).iter().all(|check| check["state"] == "passed"), "{:#}", plan["checks"]);
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&file).expect("--out")).expect("JSON");
    assert_eq!(items(&written, "steps", 9).len(), 9);
    let markdown = demo.run(&["plan", ID, "--set", BASIC, "--set", DOMAIN, "-o", "markdown"]).expect(2).stdout;
    assert!(markdown.starts_with("# ") && markdown.contains("| check | result |"), "{markdown}");
    assert_eq!(markdown.matches("\n## ").count(), 9, "{markdown}");
    // Refused: exit 4, and the check that refuses is named.
    let refused = demo.run(&["plan", ID, "--set", BASIC, "--set", "clusterDomain=cluster.local"]).expect(4);
    assert!(refused.stdout.contains("REFUSED  domain-is-the-real-one"), "{}", refused.stdout);
}

#[test]
fn runs_are_listed_and_shown() {
    let demo = Demo::start("half-migrated", 50);
    let empty = demo.run(&["runs", "list"]).expect(0).stdout;
    assert_eq!(empty, "no runs on this machine\n");
    assert_eq!(demo.run(&["runs", "list", "-o", "json"]).expect(0).json()["runs"], serde_json::json!([]));
    let ran = demo.run(&["run", ID, "--set", BASIC, "--set", DOMAIN, "--yes", "-o", "json"]).expect(0);
    // Every line of stdout is a record, sentences are beside it.
    let streamed: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("one record a line")).collect();
    assert!(ran.stderr.contains("done"), "{}", ran.stderr);
    let all = demo.run(&["runs", "list", "-o", "json"]).expect(0).json()["runs"].take();
    assert_eq!(all.as_array().map(Vec::len), Some(1), "{all:#}");
    shape(
        &all[0],
        "run:string runbook:string target:string opened:string state:string open:bool completed:number steps:number",
    );
    assert_eq!((&all[0]["state"], &all[0]["open"]), (&Value::from("done"), &Value::from(false)));
    let id = all[0]["run"].as_str().expect("a string");
    let table = demo.run(&["runs", "list"]).expect(0).stdout;
    assert!(table.contains(id) && table.contains("legacy/pingcap/basic"), "{table}");
    let shown = demo.run(&["runs", "show", id, "-o", "json"]).expect(0).stdout;
    let shown: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    assert_eq!(shown, streamed, "the stream and the journal are the same records");
    // As in the journal, and with what every document begins with.
    let bare = |mut record: Value| {
        let map = record.as_object_mut().expect("a record");
        assert!(map.remove("apiVersion").is_some() && map.remove("observedAt").is_some());
        record
    };
    let bare: Vec<Value> = shown.iter().cloned().map(bare).collect();
    assert_eq!(bare, demo.room.records(id));
    let text = demo.run(&["runs", "show", id]).expect(0).stdout;
    assert_eq!(text.lines().count(), shown.len());
    assert!(text.contains("opened: migrate-cluster-domain on legacy/pingcap/basic"), "{text}");
    let missing = demo.run(&["runs", "show", "20000101-000000-0000"]).expect(4);
    assert!(missing.stderr.contains("no journal of run 20000101-000000-0000"), "{}", missing.stderr);
    let outside = demo.run(&["runs", "show", "../../etc/passwd"]).expect(4);
    assert!(outside.stderr.contains("not the name of a run"), "{}", outside.stderr);
}

#[test]
fn runbooks_are_listed_and_shown() {
    let room = Room::new();
    let list = room.run(&["runbook", "list"]).expect(0).stdout;
    assert!(list.contains(ID), "{list}");
    let shown = room.run(&["runbook", "show", ID]).expect(0).stdout;
    assert_eq!(shown, include_str!("../../runbooks/migrate-cluster-domain.yaml"));
    let missing = room.run(&["runbook", "show", "no-such"]).expect(4);
    assert!(missing.stderr.contains(ID), "{}", missing.stderr);
}

#[test]
fn wrong_usage_is_64() {
    let room = Room::new();
    for arguments in [
        &["no-such-command"][..],
        &["status", "--no-such-flag"],
        &["status", "-o", "no-such-form"],
        &["plan"],
        &["plan", ID, "--set", "no-equals-sign"],
        &["runs", "resume"],
        &["demo", "--speed", "fast"],
        &["demo", "--pd", "nonsense"],
    ] {
        let ran = room.run(arguments).expect(64);
        assert!(!ran.stderr.is_empty() && ran.stdout.is_empty(), "{arguments:?}: {}", ran.all());
    }
}

#[test]
fn help_and_version_are_answers() {
    let room = Room::new();
    let help = room.run(&["--help"]).expect(0).stdout;
    for command in ["demo", "status", "plan", "run", "runs", "runbook", "--kubeconfig", "--context", "--read-only"] {
        assert!(help.contains(command), "{command} is missing:\n{help}");
    }
    for command in ["demo", "status", "plan", "run", "runs", "runbook"] {
        let help = room.run(&[command, "--help"]).expect(0).stdout;
        assert!(help.contains("Usage: tidepilot"), "{command}:\n{help}");
    }
    assert!(room.run(&["--version"]).expect(0).stdout.starts_with("tidepilot "));
}

#[test]
fn without_a_kubeconfig_there_is_one_clear_sentence() {
    let room = Room::new();
    for arguments in
        [&["status"][..], &["plan", ID, "--set", BASIC], &["run", ID, "--set", BASIC], &["runs", "resume", "x"]]
    {
        let ran = room.run(arguments).expect(64);
        assert!(ran.stderr.contains("kubeconfig") && ran.stderr.trim().lines().count() == 1, "{}", ran.stderr);
        assert!(!ran.stderr.contains("panicked") && ran.stdout.is_empty(), "{}", ran.all());
    }
    let ran = room.run(&["status", "--kubeconfig", "not-there.yaml"]).expect(64);
    assert!(ran.stderr.contains("not-there.yaml"), "{}", ran.stderr);
    std::fs::write(room.path("broken.yaml"), "clusters: [").expect("a writable room");
    let ran = room.run(&["status", "--kubeconfig", "broken.yaml"]).expect(64);
    assert!(ran.stderr.contains("broken.yaml"), "{}", ran.stderr);
    // The console needs a terminal and says so instead of filling a pipe with escapes.
    let demo = Demo::start("default", 20);
    let ran = demo.run(&[]);
    assert!(ran.code != 0 && ran.stderr.contains("needs a terminal"), "{}", ran.all());
    assert!(!ran.stdout.contains('\x1b'), "{}", ran.stdout);
}

#[test]
fn an_unknown_context_or_scenario_names_the_known_ones() {
    let demo = Demo::start("default", 20);
    let ran = demo.run(&["status", "--context", "nowhere"]).expect(64);
    assert!(ran.stderr.contains("nowhere") && ran.stderr.contains("legacy"), "{}", ran.stderr);
    let ran = demo.room.run(&["demo", "--serve", "--scenario", "nowhere"]);
    assert!(ran.code != 0 && ran.stderr.contains("half-migrated"), "{}", ran.all());
}

#[test]
fn a_config_file_with_an_unknown_key_is_refused() {
    let demo = Demo::start("default", 20);
    let folder = demo.room.path("config").join("tidepilot");
    std::fs::create_dir_all(&folder).expect("a writable room");
    std::fs::write(folder.join("config.yaml"), "contexts:\n  legacy: {readonly: true}\n").expect("a writable room");
    let ran = demo.run(&["status"]).expect(64);
    assert!(ran.stderr.contains("config.yaml") && ran.stderr.contains("readonly"), "{}", ran.stderr);
}

#[test]
fn names_that_lead_nowhere_are_said() {
    let demo = Demo::start("default", 50);
    let folder = demo.room.path("config").join("tidepilot");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("config.yaml"), "contexts:\n  legcy: {readOnly: true}\n").expect("written");
    let ran = demo.run(&["status"]);
    assert!(ran.stderr.contains("context legcy") && ran.stderr.contains("east, west, legacy"), "{}", ran.all());
    std::fs::write(folder.join("config.yaml"), "contexts:\n  legacy: {readOnly: true}\n").expect("written");
    assert!(!demo.run(&["status"]).stderr.contains("warning"));
    std::fs::remove_file(folder.join("config.yaml")).expect("there");

    // A second context of one cluster: its objects go by the first one's name.
    let text = std::fs::read_to_string(&demo.kubeconfig).expect("read");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    let contexts = config["contexts"].as_array_mut().expect("contexts");
    let mut second = contexts.iter().find(|context| context["name"] == "legacy").expect("there").clone();
    second["name"] = "zweite".into();
    contexts.push(second);
    let two = demo.room.path("two.yaml");
    std::fs::write(&two, config.to_string()).expect("written");
    let set = "tidbCluster=zweite/pingcap/basic";
    let arguments = ["plan", ID, "--set", set, "--set", DOMAIN, "--kubeconfig", two.to_str().expect("text")];
    let ran = demo.room.run(&arguments).expect(4);
    assert!(ran.stderr.contains("zweite is the same Kubernetes cluster as legacy"), "{}", ran.all());
}

/// What is misspelt is said before anything that takes a kubeconfig, with what was probably meant.
#[test]
fn a_misspelt_runbook_or_input_is_told_first() {
    let room = Room::new();
    for command in ["plan", "run", "rbac"] {
        let ran = room.run(&[command, "migrate-cluster-domian"]).expect(4);
        assert!(ran.stderr.contains("Did you mean migrate-cluster-domain? There are: deploy-"), "{}", ran.all());
        let ran = room.run(&[command, "nosuch"]).expect(4);
        assert!(ran.stderr.contains("no runbook is called \"nosuch\". There are:"), "{}", ran.all());
        let ran = room.run(&[command, ID, "--set", "tidbcluster=a/b/c"]).expect(4);
        assert!(ran.stderr.contains("no input \"tidbcluster\". Did you mean tidbCluster?"), "{}", ran.all());
        let ran = room.run(&[command, ID, "--set", BASIC]).expect(64);
        assert!(ran.stderr.contains("no kubeconfig"), "{}", ran.all());
    }
    let ran = room.run(&["runbook", "show", "migrate"]).expect(4);
    assert!(ran.stderr.contains("Did you mean migrate-cluster-domain?"), "{}", ran.all());
}

/// Members and stores stand as a person looks for them; wide has the stores too; the JSON says why the exit code is not 0.
#[test]
fn status_in_order_with_its_reasons() {
    let demo = Demo::start("default", 20);
    let status = demo.run(&["status", "-o", "json"]).expect(0).json();
    assert_eq!((&status["verdict"], &status["because"]), (&serde_json::json!("well"), &serde_json::json!([])));
    let pods = |name: &str, of: &str| -> Vec<String> {
        let rows = database(&status, name)[of].as_array().expect("a list");
        rows.iter().map(|row| row["pod"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(pods("prod-east", "members"), ["prod-east-pd-0", "prod-east-pd-1", "prod-west-pd-0"]);
    assert_eq!(pods("basic", "members"), ["basic-pd-0", "basic-pd-1", "basic-pd-2"]);
    assert_eq!(pods("basic", "stores"), ["basic-tikv-0", "basic-tikv-1", "basic-tikv-2"]);
    let wide = demo.run(&["status", "-o", "wide"]).expect(0).stdout;
    assert!(wide.contains("LEADERS") && wide.contains("basic-tikv-2"), "{wide}");

    let dark = Demo::start("unreachable", 20);
    let status = dark.run(&["status", "-o", "json"]).expect(3).json();
    assert_eq!(status["verdict"], "unseen");
    let because = status["because"].to_string();
    assert!(because.contains("west"), "{because}");
}

/// A disk that takes nothing refuses the run, and leaves no half of a journal that would be listed for ever.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_journal() {
    let demo = Demo::start("default", 50);
    let run = demo.command(&["run", ID, "--set", BASIC, "--set", DOMAIN, "--yes", "--confirm", "basic"]);
    let mut limited = std::process::Command::new("sh");
    // Beyond one block a write fails with EFBIG, as on a full disk with ENOSPC.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"]).arg(run.get_program()).args(run.get_args());
    limited.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = limited.output().expect("sh is there");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(4), "{said}");
    assert!(said.contains("no journal, so nothing was sent"), "{said}");
    assert_eq!(demo.room.journals(), Vec::<String>::new());
    assert_eq!(common::real_patches(&demo.log()), 0);
}

#[test]
fn what_each_dns_sends_on_is_printed() {
    let demo = Demo::start("default", 20);
    let both = ["--dns", "east=10.1.0.10,10.1.0.11", "--dns", "west=10.2.0.10"];
    let ran = demo.run(&[["render", "coredns", "prod-east"].as_slice(), &both].concat()).expect(0);
    for wanted in [
        "KubeCluster east",
        "west.local:53 {",
        "forward . 10.2.0.10 {",
        "east.local:53 {",
        "forward . 10.1.0.10 10.1.0.11 {",
    ] {
        assert!(ran.stdout.contains(wanted), "{wanted:?} is missing:\n{}", ran.stdout);
    }
    let one = demo.run(&[["render", "coredns", "prod-east", "--for", "west"].as_slice(), &both].concat()).expect(0);
    assert!(!one.stdout.contains("west.local:53") && one.stdout.contains("east.local:53"), "{}", one.stdout);
    let lacking = demo.run(&["render", "coredns", "prod-east", "--dns", "west=10.2.0.10"]).expect(3);
    assert!(lacking.stdout.contains("# to east (east.local): give --dns east=ADDRESS"), "{}", lacking.stdout);
    let alone = demo.run(&["render", "coredns", "basic"]).expect(0);
    assert!(alone.stdout.contains("nothing: all of it is in one KubeCluster"), "{}", alone.stdout);
    // Before a join the new one has no TidbCluster yet.
    let new = ["--with", "east/other", "--dns", "east=10.1.0.10", "--for", "legacy"];
    let joining = demo.run(&[["render", "coredns", "basic"].as_slice(), &new].concat()).expect(0);
    assert!(joining.stdout.contains("east.local:53 {"), "{}", joining.stdout);
    for (bad, why) in [
        (vec!["basic", "--with", "mars/other"], "no context \"mars\""),
        (vec!["basic", "--with", "east"], "expected CONTEXT/NAMESPACE"),
        (vec!["nosuch"], "there are: basic, prod-east"),
        (vec!["basic", "--dns", "mars=10.0.0.1"], "no context \"mars\""),
        (vec!["basic", "--dns", "west=dns.example"], "which is no IP address"),
    ] {
        let ran = demo.run(&[["render", "coredns"].as_slice(), &bad].concat()).expect(64);
        assert!(ran.stderr.contains(why), "{bad:?}: {}", ran.stderr);
    }
}
