//! The admission policy for run records as it is shipped (`assets/rbac/run-records-policy.yaml`), in force on the simulated API
//! servers: what kubectl is refused in the name of another user, and what an honest run, resumption and take-over may.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::world::{TARGET, World};

const POLICY: &str = include_str!("../../../assets/rbac/run-records-policy.yaml");

fn in_force(world: &World) {
    for document in POLICY.split("---\n") {
        let object: Value = serde_saphyr::from_str(document).expect("YAML");
        let plural = match object["kind"].as_str() {
            Some("ValidatingAdmissionPolicy") => "validatingadmissionpolicies",
            Some("ValidatingAdmissionPolicyBinding") => "validatingadmissionpolicybindings",
            other => panic!("{other:?}"),
        };
        world.store().put(plural, object);
    }
}

/// kubectl as Bob, who may write ConfigMaps. `input`: what it reads from `-f -`.
fn kubectl(world: &World, arguments: &[&str], input: &Value) -> (bool, String) {
    let mut command = Command::new("kubectl");
    command
        .args(["--context", "legacy", "-n", "pingcap"])
        .args(arguments)
        .env("KUBECONFIG", world.kubeconfig("bob"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("kubectl is installed");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input.to_string().as_bytes()).expect("read");
    let Output { status, stdout, stderr } = child.wait_with_output().expect("ended");
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

fn record(world: &World, run: &str) -> Value {
    let mut object = world.store().get("configmaps", "pingcap", &format!("tidepilot-run-{run}-0")).expect("the record");
    object["apiVersion"] = json!("v1");
    object["kind"] = json!("ConfigMap");
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|name, _| ["name", "namespace", "labels", "annotations"].contains(&name.as_str()));
    }
    object
}

#[test]
fn the_shipped_policy_refuses_a_record_in_anothers_name_and_every_change_of_the_past() {
    let world = World::start();
    in_force(&world);
    let run = world.begun();
    let honest = record(&world, &run);
    assert_eq!(honest["metadata"]["annotations"]["tidepilot/user"], "ann", "her own run is taken");
    let mine = |object: &mut Value| object["metadata"]["annotations"]["tidepilot/user"] = json!("bob");
    type Edit = fn(&mut Value);
    let new: [(&str, &str, Edit); 6] = [
        ("in Ann's name", "names the user who writes it", |_| ()),
        ("with Ann as its opener", "names as its opener", |object| {
            object["metadata"]["annotations"]["tidepilot/user"] = json!("bob");
        }),
        ("in nobody's name", "names the user who writes it", |object| {
            object["metadata"].as_object_mut().expect("an object").remove("annotations");
        }),
        ("without a label, by its name alone", "names the user who writes it", |object| {
            object["metadata"].as_object_mut().expect("an object").remove("labels");
        }),
        ("under another name, by its labels alone", "names the user who writes it", |object| {
            object["metadata"]["name"] = json!("settings");
        }),
        ("with a state of its own", "is open or closed", |object| {
            object["metadata"]["annotations"] = json!({"tidepilot/user": "bob", "tidepilot/opener": "bob"});
            object["metadata"]["labels"]["tidepilot/state"] = json!("OPEN");
        }),
    ];
    for (what, why, edit) in new {
        let mut planted = honest.clone();
        planted["metadata"]["name"] = json!("tidepilot-run-20260101-000000-0000-0");
        edit(&mut planted);
        let (stored, said) = kubectl(&world, &["create", "-f", "-"], &planted);
        assert!(!stored && said.contains("tidepilot-run-records") && said.contains(why), "{what}: {said}");
    }
    // An opener of one's own, in one's own name: that is what it does not keep anybody from.
    let mut own = honest.clone();
    own["metadata"]["name"] = json!("tidepilot-run-20260101-000000-0000-0");
    own["metadata"]["labels"]["tidepilot/run"] = json!("20260101-000000-0000");
    own["metadata"]["annotations"]["tidepilot/opener"] = json!("bob");
    mine(&mut own);
    let (stored, said) = kubectl(&world, &["create", "-f", "-"], &own);
    assert!(stored, "{said}");
    let (deleted, said) =
        kubectl(&world, &["delete", "configmap", "tidepilot-run-20260101-000000-0000-0"], &Value::Null);
    assert!(deleted, "{said}");

    let changes: [(&str, &str, Edit); 11] = [
        ("another opener", "opener of a run does not change", |object| {
            object["metadata"]["annotations"]["tidepilot/opener"] = json!("bob");
        }),
        ("no opener", "opener of a run does not change", |object| {
            object["metadata"]["annotations"].as_object_mut().expect("an object").remove("tidepilot/opener");
        }),
        ("a line changed", "only grows", |object| {
            let text = object["data"]["journal.jsonl"].as_str().expect("text").replacen("cluster1.com", "evil.com", 1);
            object["data"]["journal.jsonl"] = json!(text);
        }),
        ("lines taken away", "only grows", |object| {
            let text = object["data"]["journal.jsonl"].as_str().expect("text");
            let first = text.lines().next().expect("a line").to_owned() + "\n";
            object["data"]["journal.jsonl"] = json!(first);
        }),
        ("all of them taken away", "only grows", |object| object["data"] = json!({})),
        ("data taken away", "only grows", |object| {
            object.as_object_mut().expect("an object").remove("data");
        }),
        ("no state", "keeps its labels", |object| {
            object["metadata"]["labels"].as_object_mut().expect("an object").remove("tidepilot/state");
        }),
        ("no labels", "keeps its labels", |object| {
            object["metadata"].as_object_mut().expect("an object").remove("labels");
        }),
        ("another run", "keeps its labels", |object| object["metadata"]["labels"]["tidepilot/run"] = json!("x")),
        ("another state", "is open or closed", |object| object["metadata"]["labels"]["tidepilot/state"] = json!("")),
        ("another age", "does not change", |object| {
            object["metadata"]["annotations"]["tidepilot/opened"] = json!("2020-01-01T00:00:00Z");
        }),
    ];
    let refused = |state: &str| {
        let found = record(&world, &run);
        assert_eq!(found["metadata"]["labels"]["tidepilot/state"], state);
        for (what, why, edit) in &changes {
            let mut changed = found.clone();
            mine(&mut changed);
            edit(&mut changed);
            let (stored, said) = kubectl(&world, &["replace", "-f", "-"], &changed);
            assert!(!stored && said.contains("tidepilot-run-records") && said.contains(why), "{state} {what}: {said}");
            assert_eq!(record(&world, &run), found, "{state} {what}");
        }
        // By the verbs that people use.
        let name = format!("tidepilot-run-{run}-0");
        for (verb, argument) in
            [("label", "tidepilot/state-"), ("label", "tidepilot/state=closed"), ("annotate", "tidepilot/opener=bob")]
        {
            let line = [verb, "configmap", name.as_str(), argument, "--overwrite"];
            let (stored, said) = kubectl(&world, &line, &Value::Null);
            assert!(!stored && said.contains("tidepilot-run-records"), "{state} {verb} {argument}: {said}");
        }
    };
    refused("open");
    world.run("ann", &["runs", "abandon", &run, "--reason", "not now"]).expect(0);
    refused("closed");
}

#[test]
fn under_the_policy_an_honest_run_is_resumed_taken_over_and_ended() {
    let world = World::start();
    in_force(&world);
    let plain = ["run", "restart-component", "--set", "tidbCluster=legacy/pingcap/basic", "--set", "component=tidb"];
    world.run("ann", &plain).expect(3);
    let run = world.run_of("ann");
    // Bob goes on with it, in his own name; it stays Ann's.
    let taken = world.run("bob", &["runs", "take-over", &run, "--yes"]).expect(3);
    assert!(taken.all().contains("takes a run's record only from the user whom it names"), "{}", taken.all());
    let found = record(&world, &run);
    let said = &found["metadata"]["annotations"];
    assert_eq!((&said["tidepilot/user"], &said["tidepilot/opener"]), (&json!("bob"), &json!("ann")));
    world.run("bob", &["runs", "resume", &run, "--yes", "--confirm", TARGET]).expect(0);
    assert_eq!(record(&world, &run)["metadata"]["labels"]["tidepilot/state"], "closed");
    // And Ann's own copy is ended with it: a new run is hers to begin.
    let again = world.run("ann", &plain).expect(3);
    assert!(!again.all().contains(&run), "{}", again.all());
}

/// Where records lie and nothing binds their names, `check` says so; on the wire, as the server answers.
#[test]
fn check_says_where_run_records_lie_unguarded() {
    let world = World::start();
    let found = || {
        let said = world.run("bob", &["check", "-o", "json"]).stdout;
        let said: Value = serde_json::from_str(&said).expect("JSON");
        said.to_string().contains("run-records-unguarded")
    };
    assert!(!found(), "nothing lies there yet");
    let run = world.begun();
    assert!(found(), "a record, and no policy");
    in_force(&world);
    assert!(!found(), "the shipped policy is bound");
    let store = world.store();
    store.edit("validatingadmissionpolicybindings", "", "tidepilot-run-records", |binding| {
        binding["spec"]["validationActions"] = json!(["Audit"]);
    });
    assert!(found(), "it only notes");
    store.remove("validatingadmissionpolicybindings", "", "tidepilot-run-records");
    assert!(found(), "it is not bound");
    world.run("ann", &["runs", "abandon", &run, "--reason", "not now"]).expect(0);
}
