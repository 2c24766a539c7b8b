//! What somebody else wrote and one of us reads: planted run records, plans and the script of what is left.
//!
//! Not here: the approvals of a second person (`tests/program/approvals.rs`), the lease (`tests/program/two_people.rs`).

use crate::common;
use crate::planted_world::World;
use crate::planted_world::document;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tidepilot::runbook::plan::Plan;
use tidepilot::runbook::run::journal_lines::line_hash;
use tidepilot::runbook::run::remaining_script::remaining;
use tidepilot::sim::api_server::{Rule, Rules};

const OPEN: [&str; 4] = ["run", "restart-component", "--set", "tidbCluster=legacy/pingcap/basic"];

#[test]
fn a_planted_run_is_named_shown_and_typed_before_anything_is_sent() {
    let world = World::start();
    let store = world.sim().store("legacy").expect("a context");
    store.put(
        "secrets",
        json!({"metadata": {"name": "db-ca", "namespace": "pingcap"}, "data": {"tls.key": "c2VjcmV0"}}),
    );
    store.put("namespaces", json!({"metadata": {"name": "tenant"}}));
    let pod = r#"        action: k8s.create
        with:
          target: {context: legacy, namespace: pingcap, name: helper}
          object:
            apiVersion: v1
            kind: Pod
            spec: {hostPID: true, containers: [{name: c, image: "evil/tool:1", securityContext: {privileged: true}}]}"#;
    let secret = r#"        action: k8s.copy-secret
        with:
          from: {context: legacy, namespace: pingcap, name: db-ca}
          target: {context: legacy, namespace: tenant, name: mine}
          keys: [tls.key]"#;
    let gone = |kind: &str, namespace: &str, name: &str| store.get(kind, namespace, name).is_none();
    for (step, told, (kind, namespace, name)) in [
        (pod, ["Create Pod legacy/pingcap/helper", "hostPID"], ("pods", "pingcap", "helper")),
        (
            secret,
            [
                "Copy tls.key of Secret legacy/pingcap/db-ca to Secret legacy/tenant/mine",
                "a private key leaves its namespace",
            ],
            ("secrets", "tenant", "mine"),
        ),
    ] {
        let run = world.plant(&document(step), &OPEN);
        let begun = world.sim().log().lines().len();

        // Every face names whose document it is, and what wrote the record.
        let listed = world.run("bob", &["runs", "list"]).expect(0);
        for words in
            ["UNKNOWN DOCUMENT of alice on vm", "kubectl-create, WHICH IS NOT TIDEPILOT", "'document of alice'"]
        {
            assert!(
                listed.stdout.contains(words),
                "{words}
{}",
                listed.all()
            );
        }
        let status = world.run("bob", &["diagnose"]);
        assert!(status.stdout.contains("UNKNOWN DOCUMENT of alice"), "{}", status.all());

        // With --yes and the TidbCluster's name alone it is shown, and refused.
        let take_over = ["runs", "take-over", &run, "--yes", "--confirm", "basic"];
        let refused = world.run("bob", &take_over).expect(3);
        for words in told.iter().chain(&[
            "document of alice",
            "nothing was taken over and nothing sent",
            "a document that is not known here",
            "Its record calls it \"Note the restart on the TidbCluster\"",
            "anyone with permission to write ConfigMaps in pingcap can have written it",
        ]) {
            assert!(
                refused.all().contains(words),
                "{words}
{}",
                refused.all()
            );
        }
        assert!(!refused.all().contains("Plan: Restart one component"), "{}", refused.all());
        assert_eq!(world.stored_since(begun), Vec::<String>::new(), "not even a lease");

        // Typed, it is taken over; its own gate is asked by what the step does.
        let typed = ["runs", "take-over", &run, "--yes", "--confirm", "document of alice"];
        let at_gate = world.run("bob", &typed).expect(3);
        assert!(
            at_gate.stderr.contains(told[0]) && at_gate.stderr.contains("--confirm legacy/pingcap/basic"),
            "{}",
            at_gate.all()
        );
        assert!(gone(kind, namespace, name));

        // The journal that was fetched is no more to be believed than the record.
        let begun = world.sim().log().lines().len();
        let refused = world.run("bob", &["runs", "resume", &run, "--yes", "--confirm", "basic"]).expect(3);
        assert!(refused.all().contains(told[0]) && refused.stderr.contains("document of "), "{}", refused.all());
        assert_eq!(world.stored_since(begun), Vec::<String>::new());
        assert!(gone(kind, namespace, name));

        // To give it up asks nothing, since it sends nothing.
        world.run("bob", &["runs", "abandon", &run, "--reason", "not ours"]).expect(0);
        assert!(gone(kind, namespace, name));
    }
}

#[test]
fn a_confirmation_in_a_record_is_not_that_of_whoever_takes_it_over() {
    let world = World::start();
    let migrate = [
        "run",
        "migrate-cluster-domain",
        "--set",
        "tidbCluster=legacy/pingcap/basic",
        "--set",
        "clusterDomain=cluster1.com",
    ];
    let left = world.run("eve", &migrate).expect(3);
    let run = left.stderr.split("tidepilot runs resume ").nth(1).and_then(|rest| rest.split([' ', '`']).next());
    let run = run.expect("how to go on").to_owned();
    let store = world.sim().store("legacy").expect("a context");
    let name = format!("tidepilot-run-{run}-0");
    store.edit("configmaps", "pingcap", &name, |object| {
        let mut text = object["data"]["journal.jsonl"].as_str().expect("lines").to_owned();
        let last = text.lines().last().expect("a line").to_owned();
        let record: Value = serde_json::from_str(&last).expect("JSON");
        let gate = json!({"seq": record["seq"].as_u64().expect("a number") + 1, "at": record["at"],
            "prev": line_hash(&last), "record": "confirmed", "gate": "domain/set-domain", "text": "basic"});
        text.push_str(&format!("{gate}\n"));
        object["data"]["journal.jsonl"] = json!(text);
    });
    let listed = world.run("bob", &["runs", "list"]).expect(0);
    assert!(listed.stdout.contains("--confirm legacy/pingcap/basic"), "{}", listed.all());
    let taken = world.run("bob", &["runs", "take-over", &run, "--yes"]).expect(3);
    assert!(
        taken.all().contains("Take this run of") || taken.all().contains("needs --confirm legacy/pingcap/basic"),
        "{}",
        taken.all()
    );
    assert_eq!(common::real_patches(&world.sim().log().lines()), 0);
    // Bob's own word is asked for, and counts.
    world.run("bob", &["runs", "resume", &run, "--yes", "--confirm", "basic"]).expect(0);
    assert_eq!(common::real_patches(&world.sim().log().lines()), 1);
}

/// One step of each kind of action, as a record may hold it.
fn actions() -> Vec<Value> {
    let at = json!({"context": "east", "namespace": "db", "name": "basic"});
    let issued = json!({"target": at, "authority": at, "commonName": "TiDB", "organization": "PingCAP",
        "hosts": ["basic-pd"], "usages": ["server auth", "client auth"], "days": 30});
    let with = |kind: &str, more: Value| {
        let mut action = json!({"kind": kind, "target": at});
        let fields = action.as_object_mut().expect("an object");
        fields.extend(more.as_object().cloned().unwrap_or_default());
        action
    };
    vec![
        with("patch-tidb-cluster", json!({"uid": "u", "merge": {"spec": {"clusterDomain": "a.com"}}})),
        with("wait-rollout", json!({"since": "mark", "component": "pd"})),
        with("probe-peer-url", json!({"id": "1", "pod": "basic-pd-0", "url": "http://basic-pd-0.x:2380"})),
        with(
            "update-peer-url",
            json!({"id": "1", "pod": "basic-pd-0", "from": ["http://a:2380"], "to": ["https://b:2380"]}),
        ),
        with("create-object", json!({"objectKind": "ConfigMap", "object": {"kind": "ConfigMap", "data": {"a": "b"}}})),
        with("delete-object", json!({"objectKind": "Pod", "uid": "u"})),
        with("copy-secret", json!({"from": at, "keys": ["ca.crt"]})),
        with("issue-ca", json!({"commonName": "TiDB", "organization": "x", "days": 30, "signer": {"kind": "builtin"}})),
        with("issue-ca", json!({"commonName": "TiDB", "days": 30, "signer": {"kind": "cfssl", "folder": "/ca"}})),
        {
            let mut one = with("issue-certificate", issued.clone());
            one["signer"] = json!({"kind": "builtin"});
            one
        },
        {
            let mut one = with("issue-certificate", issued);
            one["signer"] = json!({"kind": "cfssl", "folder": "ca"});
            one["replaces"] = json!({"uid": "u", "fingerprint": "f"});
            one
        },
        with("transfer-pd-leader", json!({"to": "basic-pd-1"})),
        with("remove-pd-member", json!({"id": "1"})),
        with(
            "net-probe",
            json!({"places": [at, {"context": "west", "namespace": "db", "name": "far"}], "ports": [2379], "patienceS": 1}),
        ),
        with("await", json!({})),
        with("manual", json!({"command": "look"})),
    ]
}

fn plan_of(action: &Value) -> Value {
    json!({
        "runbook": "x", "runbookVersion": "1", "runbookDigest": "d", "title": "x", "experimental": false, "inputs": {},
        "target": {"context": "east", "namespace": "db", "name": "basic"}, "kubeClusters": {}, "database": "7",
        "contexts": ["east"], "observedAt": "1970-01-01T00:00:00Z", "checks": [],
        "steps": [{
            "id": "one[a]", "phase": "p", "item": "a", "title": "One", "why": "because", "action": action,
            "alreadySo": false, "before": {"revisions": {"pd": "old"}}, "after": {}, "command": "true",
            "requests": [{"context": "east", "method": "POST", "path": "/v3/cluster/member/update", "contentType": "x", "body": {}}],
            "rehearsed": "predicted", "reversibility": "compensable", "confirm": {"kind": "none"},
            "pre": ["a == b"], "post": ["c"], "until": ["d"], "env": {}, "totalS": 1, "stalledS": 1,
        }],
    })
}

/// Paths of every text, and of every key, that a hostile hand may write.
fn texts(value: &Value, path: &str, all: &mut Vec<String>) {
    match value {
        Value::String(_) => all.push(path.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, inner)| texts(inner, &format!("{path}/{at}"), all));
        }
        Value::Object(map) => map.iter().for_each(|(key, inner)| texts(inner, &format!("{path}/{key}"), all)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Programs that do nothing in the place of those that a script calls.
fn harmless_programs(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let program = |name: &str, text: &str| {
        let file = folder.join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("ours");
    };
    program("kubectl", "cat >/dev/null 2>&1 </dev/null; echo 'Forwarding from 127.0.0.1:1 -> 2379'; echo new");
    program("curl", "echo '{\"id\":7}'");
    for name in ["sleep", "jq", "openssl", "cfssl", "cfssljson", "base64", "nslookup", "wget", "nc"] {
        program(name, "exit 0");
    }
    // Beside them only what cannot do harm.
    for name in ["cat", "grep", "sed", "tr", "mktemp", "rm", "mv", "cp", "touch", "dirname"] {
        let found = ["/usr/bin", "/bin"].iter().map(|dir| Path::new(dir).join(name)).find(|file| file.exists());
        std::os::unix::fs::symlink(found.expect("POSIX has it"), folder.join(name)).expect("linked");
    }
}

#[test]
fn no_text_of_a_record_breaks_out_of_the_script_of_what_is_left() {
    let dir = tempfile::tempdir().expect("a folder");
    let programs = dir.path().join("bin");
    let room = dir.path().join("room");
    std::fs::create_dir_all(&programs).expect("a folder");
    std::fs::create_dir_all(&room).expect("a folder");
    harmless_programs(&programs);
    let payloads =
        ["x'$(touch PWNED)`touch PWNED`\"\ntouch PWNED\n\";touch PWNED;#\nEOF\ntouch PWNED\n", "$(touch PWNED)"];
    let mut tried = 0;
    for action in actions() {
        let base = plan_of(&action);
        serde_json::from_value::<Plan>(base.clone()).unwrap_or_else(|error| panic!("{action}: {error}"));
        let mut all = Vec::new();
        texts(&base, "", &mut all);
        for (path, payload) in all.iter().flat_map(|path| payloads.map(|payload| (path, payload))) {
            let mut planted = base.clone();
            *planted.pointer_mut(path).expect("it is there") = json!(payload);
            // What is no free text (a kind, an id) cannot be planted.
            let Ok(plan) = serde_json::from_value::<Plan>(planted) else { continue };
            let script = remaining(payload, &plan, None, &[]);
            let file = dir.path().join("script.sh");
            // Every line is tried, also behind one that fails.
            std::fs::write(&file, script.replace("set -eu", "set -u")).expect("written");
            let sh = |arguments: &[&str]| {
                Command::new("/usr/bin/timeout")
                    .arg("10")
                    .arg("/bin/sh")
                    .args(arguments)
                    .arg(&file)
                    .current_dir(&room)
                    .env("PATH", &programs)
                    .env("TMPDIR", dir.path())
                    .stdin(std::process::Stdio::null())
                    .output()
                    .expect("a shell")
            };
            let read = sh(&["-n"]);
            assert!(read.status.success(), "{path}: {}\n{script}", String::from_utf8_lossy(&read.stderr));
            sh(&[]);
            assert!(!room.join("PWNED").exists(), "{path}\n{script}");
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
}

/// A record that nobody can go on with, planted under a run's name.
fn plant_nonsense(world: &World) -> String {
    let store = world.sim().store("legacy").expect("a context");
    let run = "20261129-080000-evil".to_owned();
    store.put(
        "configmaps",
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"journal.jsonl": "not a journal\n"},
            "metadata": {
                "name": "settings", "namespace": "pingcap",
                "labels": {"app.kubernetes.io/managed-by": "tidepilot", "tidepilot/run": run, "tidepilot/state": "open"},
                "annotations": {"tidepilot/user": "eve", "tidepilot/host": "vm", "tidepilot/target": "legacy/pingcap/basic",
                    "tidepilot/runbook": "restart-component", "tidepilot/database": "7218830945512086113",
                    "tidepilot/opened": "2026-11-29T08:00:00Z"},
            },
        }),
    );
    run
}

#[test]
fn whoever_names_a_bad_record_prints_the_line_that_removes_it_with_the_given_kubeconfig() {
    let world = World::start();
    let run = plant_nonsense(&world);
    let file = world.dir.path().join("their own.yaml");
    world.sim().write_kubeconfig(&file).expect("written");
    let file = file.display().to_string();
    let open = ["--set", "tidbCluster=legacy/pingcap/basic", "--set", "component=tidb"];
    let all: [(&[&str], bool); 12] = [
        (&["runs", "list"], true),
        (&["diagnose"], true),
        (&["status"], false),
        (&["check"], false),
        (&["plan", "restart-component", open[0], open[1], open[2], open[3]], true),
        (&["run", "restart-component", open[0], open[1], open[2], open[3], "--yes"], true),
        (&["runs", "take-over", &run, "--yes"], true),
        (&["runs", "resume", &run, "--yes"], true),
        (&["runs", "undo", &run, "--yes"], true),
        (&["runs", "abandon", &run, "--reason", "x"], true),
        (&["runs", "approve", &run, "--yes"], true),
        (&["runs", "show", &run], true),
    ];
    for (arguments, names_it) in all {
        let given = [&["--kubeconfig", &file], arguments].concat();
        let said = world.run("bob", &given).all();
        let removal = format!("kubectl --kubeconfig '{file}' --context legacy -n pingcap delete configmap settings");
        assert!(!names_it || said.contains(&removal), "{arguments:?}\n{said}");
        let bare: Vec<&str> = said
            .lines()
            .filter(|line| line.matches("kubectl -").count() > line.matches("kubectl --kubeconfig ").count())
            .collect();
        assert!(bare.is_empty(), "{arguments:?}: {bare:#?}");
    }
}

#[test]
fn a_record_that_is_not_found_where_only_one_namespace_may_be_listed_is_asked_for_with_it() {
    let mut world = World::start();
    let left = world.run("eve", &[&OPEN[..], &["--set", "component=tidb"]].concat()).expect(3);
    let run = left.stderr.split("tidepilot runs resume ").nth(1).and_then(|rest| rest.split([' ', '`']).next());
    let run = run.expect("how to go on").to_owned();
    let rule = |verbs: &[&str], groups: &[&str], resources: &[&str], namespaces: &[&str]| {
        let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Rule {
            verbs: all(verbs),
            groups: all(groups),
            resources: all(resources),
            namespaces: all(namespaces),
            names: Vec::new(),
        }
    };
    let few = vec![
        rule(&["get", "list", "create"], &[""], &["configmaps"], &["pingcap"]),
        rule(&["get"], &[""], &["namespaces"], &[]),
    ];
    let more = [few.clone(), vec![rule(&["list"], &["pingcap.com"], &["tidbclusters"], &[])]].concat();
    let rules = Rules::Only(few);
    let sim = world.sim.as_mut().expect("it runs until the end");
    world.runtime.block_on(sim.set_rules("legacy", rules)).expect("a context");
    // It listens on another port since.
    sim.write_kubeconfig(&world.dir.path().join("kubeconfig")).expect("written");
    for command in [&["runs", "approve"][..], &["runs", "show"], &["runs", "take-over"]] {
        let asked = |more: &[&str]| world.run("bob", &[more, command, &[run.as_str()]].concat());
        let refused = asked(&[]).expect(4);
        assert!(refused.stderr.contains("the whole of legacy may not be listed: `-n NAMESPACE`"), "{}", refused.all());
        let elsewhere = asked(&["-n", "prod"]).expect(4);
        assert!(elsewhere.stderr.contains("looked in namespace prod only"), "{}", elsewhere.all());
        let found = asked(&["-n", "pingcap"]);
        assert!(!found.all().contains("no cluster has a record"), "{}", found.all());
    }
    // The shipped roles let the TidbClusters of the whole cluster be listed, and ConfigMaps beside them.
    let sim = world.sim.as_mut().expect("it runs until the end");
    world.runtime.block_on(sim.set_rules("legacy", Rules::Only(more))).expect("a context");
    sim.write_kubeconfig(&world.dir.path().join("kubeconfig")).expect("written");
    for command in [&["runs", "approve"][..], &["runs", "show"], &["runs", "take-over"]] {
        let found = world.run("bob", &[command, &[run.as_str()]].concat());
        assert!(!found.all().contains("no cluster has a record"), "{command:?}: {}", found.all());
    }
    let listed = world.run("bob", &["runs", "list"]).expect(0);
    assert!(listed.stdout.contains(&run) && !listed.stderr.contains("not seen in legacy"), "{}", listed.all());
}

#[test]
fn a_runbook_file_that_cannot_be_used_is_named_with_its_path_and_hides_what_it_stands_for() {
    let world = World::start();
    for text in ["", "\n \n", "runbook: v1\nid: restart-component\n"] {
        world.give("bob", "restart-component.yaml", text);
        let path = world.dir.path().join("bob/config/tidepilot/runbooks/restart-component.yaml").display().to_string();
        for command in [
            &["run", "restart-component", "--set", "tidbCluster=legacy/pingcap/basic"][..],
            &["plan", "restart-component", "--set", "tidbCluster=legacy/pingcap/basic"],
            &["runbook", "docs", "restart-component"],
            &["rbac", "restart-component", "--set", "tidbCluster=legacy/pingcap/basic"],
        ] {
            let refused = world.run("bob", command).expect(4);
            for words in [path.as_str(), "cannot be used", "stands in the place of the shipped runbook"] {
                assert!(refused.stderr.contains(words), "{text:?} {command:?} {words}: {}", refused.all());
            }
            assert!(!refused.stderr.contains("Did you mean"), "{}", refused.all());
        }
        let listed = world.run("bob", &["runbook", "list"]).expect(0);
        assert!(listed.stdout.contains("CANNOT BE USED") && listed.stdout.contains(&path), "{}", listed.all());
        let shown = world.run("bob", &["runbook", "show", "restart-component"]);
        assert!(shown.stderr.contains(&path), "{}", shown.all());
    }
}
