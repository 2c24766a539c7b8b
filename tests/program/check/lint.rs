//! `check --file`: what stands in files, among them every known defect of the source procedures.

use crate::common;
use crate::common::Room;
use serde_json::json;
use std::path::PathBuf;
use tidepilot::hazards::lint::{Text, lint};

#[test]
fn the_lint_needs_no_cluster() {
    let room = Room::new();
    let file = room.path("tc.yaml");
    std::fs::write(
        &file,
        "apiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata: {name: a}\nspec:\n  clusterDomain: \"\"\n",
    )
    .expect("written");
    let path = file.display().to_string();
    let found = room.run(&["check", "--file", &path, "-o", "json"]).expect(2).json();
    let empty = found["findings"].as_array().expect("a list").iter().find(|one| one["id"] == "unreplaced-variable");
    assert_eq!(empty.expect("found")["location"], json!({"file": path, "line": 5}));
    // What people read is Chinese where they ask for it; names, values and the JSON stay.
    let zh = room.run(&["check", "--file", &path, "--lang", "zh"]).expect(2).stdout;
    assert!(zh.contains("变量或占位符没有被替换") && zh.contains("处理  写入实际的值"), "{zh}");
    assert!(zh.contains("unreplaced-variable (12)") && !zh.contains("  why   "), "{zh}");
    let json = room.run(&["check", "--file", &path, "-o", "json", "--lang", "zh"]).expect(2).json();
    assert_eq!(json["findings"], found["findings"]);
    room.run(&["check", "--file", "/nowhere.yaml"]).expect(64);
    room.run(&["check", "--file", &path, "some-database"]).expect(64);

    let mut command = room.command(["check", "--file", "-"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("the binary starts");
    let mut input = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut input, b"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n").expect("written");
    drop(input);
    // A Secret alone is nothing that is judged.
    common::finish(child, common::LONG).expect(3);

    let catalogue = room.run(&["check", "--catalogue", "-o", "json"]).expect(0).json();
    let numbers: Vec<u64> =
        catalogue["hazards"].as_array().expect("a list").iter().filter_map(|one| one["number"].as_u64()).collect();
    assert_eq!(numbers, (1..=82).collect::<Vec<u64>>());
    assert!(room.run(&["check", "--catalogue"]).expect(0).stdout.contains("not from outside"));
}

/// The source procedures beside the repository; `None` (said aloud) where they are not, which CI does not allow.
fn seeds() -> Option<[String; 2]> {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let folder = PathBuf::from(root).join("../shared/seeds");
    let mut texts: Vec<(String, String)> = std::fs::read_dir(&folder)
        .ok()?
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "txt"))
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(entry.path()).expect("readable"))
        })
        .collect();
    texts.sort();
    let [old, new] = <[(String, String); 2]>::try_from(texts).ok()?;
    Some([old.1, new.1])
}

/// What the document tells the reader to set, as the shell would replace it. Single quotes keep their text.
fn substituted(text: &str, set: &[(&str, &str)]) -> String {
    text.lines()
        .map(|line| {
            let quoted = line.contains("'{\"peerURLs\"");
            let replaced =
                set.iter().fold(line.to_owned(), |line, (name, value)| line.replace(&format!("${{{name}}}"), value));
            (if quoted { line.to_owned() } else { replaced }) + "\n"
        })
        .collect()
}

fn ids(text: &str) -> Vec<(String, String)> {
    let checked = lint(&[Text { file: "procedure".into(), text: text.to_owned() }]);
    checked
        .findings
        .iter()
        .map(|finding| {
            let line = finding.location.as_ref().map_or(0, |at| at.line);
            let text = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim().to_owned();
            (finding.id().to_owned(), text)
        })
        .collect()
}

#[track_caller]
fn finds(found: &[(String, String)], id: &str, at: &str) {
    assert!(found.iter().any(|(found, line)| found == id && line.contains(at)), "{id} at {at:?}: {found:#?}");
}

#[test]
fn the_known_defects_of_the_procedures_are_found() {
    let Some([old, new]) = seeds() else {
        assert!(std::env::var("CI").is_err(), "CI needs the source procedures beside the repository");
        eprintln!("left out: the source procedures are not beside the repository");
        return;
    };
    let old_set = [
        ("cluster1_name", "cluster1"),
        ("cluster1_cluster_domain", "cluster1.com"),
        ("cluster1_namespace", "pingcap"),
        ("cluster2_name", "cluster2"),
        ("cluster2_cluster_domain", "cluster2.com"),
        ("cluster2_namespace", "pingcap"),
        // A shell puts nothing in the place of what was never set.
        ("cluster1_clusterdomain", ""),
    ];
    // As it stands (the lint reads the assignments itself), and as a shell would have it.
    for text in [old.clone(), substituted(&old, &old_set)] {
        let found = ids(&text);
        finds(&found, "literal-variable-in-peer-url", "curl http://127.0.0.1:2379/v2/members/");
        finds(&found, "unreplaced-variable", "clusterDomain:");
        finds(&found, "wrong-cluster-reference", "cluster:");
        finds(&found, "wrong-context", "kubectl patch tc cluster2");
        finds(&found, "wrong-context", "kubectl delete tc cluster2");
        finds(&found, "wrong-context", "kubectl patch tidbcluster cluster1");
        finds(&found, "reclaim-policy-delete", "pvReclaimPolicy: Delete");
        finds(&found, "cert-manager-v1alpha2", "apiVersion: cert-manager.io/v1alpha2");
    }
    let new_set = [
        ("tc_name_1", "cluster1"),
        ("tc_name_2", "cluster2"),
        ("namespace_1", "one"),
        ("namespace_2", "two"),
        ("namespace", "pingcap"),
        ("cluster_domain_1", "cluster1.com"),
        ("cluster_domain_2", "cluster2.com"),
    ];
    for text in [new.clone(), substituted(&new, &new_set)] {
        let found = ids(&text);
        finds(&found, "literal-variable-in-peer-url", "curl http://127.0.0.1:2379/v2/members/");
        finds(&found, "wrong-context", "kubectl patch tidbcluster cluster1");
        finds(&found, "reclaim-policy-delete", "pvReclaimPolicy: Delete");
        // The Certificate of the CA, whose Issuer is in another namespace.
        finds(&found, "tls-secret-missing", "-selfsigned-ca-issuer");
        assert!(!found.iter().any(|(id, _)| matches!(id.as_str(), "failover-on" | "across-k8s-missing")), "{found:#?}");
        assert!(!found.iter().any(|(id, line)| id == "tls-secret-missing" && line.contains("ca-secret")), "{found:#?}");
    }
    // Exported and imported as it is: the Secret keeps the first cluster's name, and the second Issuer looks for its own.
    let text = substituted(&new, &new_set);
    let kept = text.replace("      name: cluster2-ca-secret\n    type:", "      name: cluster1-ca-secret\n    type:");
    assert_ne!(text, kept, "the exported Secret is in the text");
    finds(&ids(&kept), "tls-secret-missing", "secretName: cluster2-ca-secret");
}
