//! What somebody else wrote and one of us reads: planted run records, plans and the script of what is left.
//!
//! Not here: the approvals of a second person (`tests/approvals.rs`), the lease (`tests/two_people.rs`).

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tidepilot::runbook::plan::Plan;
use tidepilot::runbook::remaining::remaining;

mod common;

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
        with("net-probe", json!({"places": [at, {"context": "west", "namespace": "db", "name": "far"}], "ports": [2379], "patienceS": 1})),
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
    let payloads = ["x'$(touch PWNED)`touch PWNED`\"\ntouch PWNED\n\";touch PWNED;#\nEOF\ntouch PWNED\n", "$(touch PWNED)"];
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
