//! Each rule of the lint, provoked and not, on texts of our own. Whole files with what is expected of them: [`crate::hazards::lint::whole_file_tests`].

use crate::hazards::lint::{Text, lint};

const EAST: &str = r#"apiVersion: pingcap.com/v1alpha1
kind: TidbCluster
metadata:
  name: east
  namespace: db
spec:
  version: v8.5.7
  acrossK8s: true
  clusterDomain: east.local
  configUpdateStrategy: RollingUpdate
  pvReclaimPolicy: Retain
  pd:
    replicas: 3
    maxFailoverCount: 0
    config: {}
  tikv:
    replicas: 3
    maxFailoverCount: 0
    config: {}
"#;

fn west() -> String {
    EAST.replace("name: east", "name: west")
        .replace("clusterDomain: east.local", "clusterDomain: west.local")
        .replace("  pd:\n", "  cluster:\n    name: east\n    namespace: db\n    clusterDomain: east.local\n  pd:\n")
        .replacen("replicas: 3", "replicas: 2", 1)
}

/// `id:line` of what is found.
fn found(texts: &[&str]) -> Vec<String> {
    let texts: Vec<Text> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| Text { file: format!("f{index}"), text: (*text).to_owned() })
        .collect();
    let checked = lint(&texts);
    assert!(checked.unseen.is_empty(), "{:?}", checked.unseen);
    for finding in &checked.findings {
        assert!(!finding.what_to_do.is_empty() && finding.location.is_some(), "{finding:#?}");
    }
    checked.findings.iter().map(|f| format!("{}:{}", f.id(), f.location.as_ref().map_or(0, |at| at.line))).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(found(&[text]), expected, "{text}");
}

#[test]
fn good_ones_are_good() {
    check(EAST, &[]);
    assert_eq!(found(&[EAST, &west()]), Vec::<String>::new());
    check(&format!("{EAST}---\n{}", west()), &[]);
    // Not opened for others: nothing of this is asked of it.
    check(
        "apiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata:\n  name: a\nspec:\n  configUpdateStrategy: RollingUpdate\n  pd:\n    replicas: 1\n    config: {}\n",
        &[],
    );
}

#[test]
fn one_object() {
    let with = |from: &str, to: &str| EAST.replacen(from, to, 1);
    check(&with("clusterDomain: east.local", "clusterDomain: \"\""), &["unreplaced-variable:9"]);
    check(&with("clusterDomain: east.local", "clusterDomain:"), &["unreplaced-variable:9"]);
    check(&with("clusterDomain: east.local", "clusterDomain: ${domain}"), &["unreplaced-variable:9"]);
    check(&with("clusterDomain: east.local", "clusterDomain: east.local # not ${domain}"), &[]);
    check(&with("  acrossK8s: true\n", ""), &["across-k8s-missing:6"]);
    check(&with("maxFailoverCount: 0", "maxFailoverCount: 3"), &["failover-on:14"]);
    check(&with("    maxFailoverCount: 0\n", ""), &["failover-on:12"]);
    check(&with("Retain", "Delete"), &["reclaim-policy-delete:11"]);
    check(&with("RollingUpdate", "InPlace"), &["config-not-rolled:10"]);
    check(&with("  configUpdateStrategy: RollingUpdate\n", ""), &["config-not-rolled:6"]);
    check(&with("    config: {}\n", ""), &["config-not-rolled:12"]);
    check(&with("replicas: 3", "replicas: 1"), &["single-pd-join:13"]);
    check(&with("  pd:\n", "  tiproxy:\n    replicas: 1\n    config: {}\n  pd:\n"), &["tiproxy-with-across-k8s:12"]);
    check(&with("  pd:\n", "  pd:\n    mode: ms\n"), &["pd-microservices-across-k8s:13"]);
    let names = "config:\n      security:\n        cert-allowed-cn: [TiDB, other]";
    check(&with("config: {}", names), &[]);
    check(&with("config: {}", names).replace("v8.5.7", "v8.1.0"), &["common-name-mismatch:17"]);
    let toml = "config: |\n      [security]\n      cert-allowed-cn = [\"TiDB\", \"other\"]";
    check(&with("config: {}", toml).replace("v8.5.7", "v7.5.0"), &["common-name-mismatch:15"]);
    check(&with("  pd:\n", "  pdAddresses: [\"https://x:2379\"]\n  pd:\n"), &["peer-url-wrong-scheme:12"]);
}

#[test]
fn objects_of_one_set() {
    let west = west();
    // A variable that became nothing: empty, and therefore no longer the one to join.
    let empty = west.replacen("    clusterDomain: east.local", "    clusterDomain: \"\"", 1);
    assert_eq!(found(&[EAST, &empty]), ["wrong-cluster-reference:12", "unreplaced-variable:15"]);
    let own = west.replace("  cluster:\n    name: east\n    namespace: db\n    clusterDomain: east.local\n", "");
    assert_eq!(found(&[EAST, &own]), ["wrong-cluster-reference:6", "uneven-pd-spread:13"]);
    let misspelt = west.replace("    name: east\n", "    name: eats\n");
    assert_eq!(found(&[EAST, &misspelt]), ["wrong-cluster-reference:12"]);
    // Alone, it may join what is in no file.
    assert_eq!(found(&[&misspelt]), Vec::<String>::new());
    let tls = west.replace("spec:\n", "spec:\n  tlsCluster:\n    enabled: true\n");
    assert_eq!(found(&[EAST, &tls]), ["tls-toggled:8"]);
    assert_eq!(found(&[EAST, EAST]), ["duplicate-triple:4"]);
}

#[test]
fn certificates() {
    let ca = "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata:\n  name: self\n  namespace: a\nspec:\n  selfSigned: {}\n---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata:\n  name: ca\n  namespace: a\nspec:\n  isCA: true\n  secretName: one-ca\n  issuerRef:\n    name: self\n    kind: Issuer\n";
    check(ca, &[]);
    check(&ca.replacen("cert-manager.io/v1\n", "cert-manager.io/v1alpha2\n", 1), &["cert-manager-v1alpha2:1"]);
    check(&ca.replacen("namespace: a", "namespace: b", 1), &["tls-secret-missing:18"]);
    check(&ca.replace("    name: self\n    kind", "    name: elf\n    kind"), &["tls-secret-missing:18"]);
    let second = "---\napiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata:\n  name: two\n  namespace: b\nspec:\n  ca:\n    secretName: two-ca\n";
    check(&format!("{ca}{second}"), &["tls-secret-missing:28"]);
    check(&format!("{ca}{}", second.replace("two-ca", "one-ca")), &[]);
    let renamed = "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: two-ca\n";
    check(&format!("{ca}{second}{renamed}"), &[]);

    let leaf = "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata:\n  name: pd\n  namespace: db\nspec:\n  dnsNames:\n    - east-pd-peer.db.svc\n    - \"*.east-pd-peer.db.svc\"\n    - east-pd-peer.db.svc.east.local\n    - \"*.east-pd-peer.db.svc.east.local\"\n";
    check(leaf, &[]);
    assert_eq!(found(&[EAST, leaf]), Vec::<String>::new());
    // Nothing says that it is for several KubeClusters, or under which domain.
    check(&leaf.replace(".east.local", ""), &[]);
    assert_eq!(found(&[EAST, &leaf.replace(".east.local", "")]), ["san-missing:7"]);
    assert_eq!(found(&[&west(), &leaf.replace(".east.local", "")]), ["san-missing:7"]);
    let server = leaf.replace("pd-peer", "tikv-peer").replace("name: pd", "name: tikv");
    assert_eq!(found(&[&server, &leaf.replace(".east.local", "")]), ["san-missing:7"], "the other list has the domain");
    assert_eq!(found(&[EAST, &leaf.replace("\"*.east-pd-peer.db.svc.east.local\"", "x")]), ["san-missing:7"]);
    let cfssl = "cat << EOF > pd.json\n{\"CN\": \"TiDB\", \"hosts\": [\"east-pd-peer.db.svc\"]}\nEOF\n";
    check(cfssl, &[]);
    assert_eq!(found(&[EAST, cfssl]), ["san-missing:2"]);
}

#[test]
fn shell_text() {
    let put = "member_url=\"http://x:2380\"\ncurl http://127.0.0.1:2379/v2/members/1 -XPUT \\\n  -d '{\"peerURLs\":[\"${member_url}\"]}'\n";
    check(put, &["literal-variable-in-peer-url:2", "no-v2-members:2"]);
    check(&put.replace('\'', "\"").replace("v2", "v3"), &[]);
    for (line, expected) in [
        ("kubectl patch tc east --type merge -p '{}'", Some("wrong-context:1")),
        ("kubectl delete tidbcluster east", Some("wrong-context:1")),
        ("kubectl patch tc east -n db --type merge -p '{}'", None),
        ("kubectl get tc east", None),
        (
            "kubectl -n db patch tc east --type merge -p '{\"spec\":{\"version\":\"v8\"}}'",
            Some("whole-version-patched:1"),
        ),
        ("kubectl -n db patch tc east --type merge -p '{\"spec\":{\"pdms\":[]}}'", Some("partial-list-patch:1")),
        ("kubectl -n db port-forward svc/east-pd 2379", Some("tunnel-to-wrong-pd:1")),
        ("kubectl -n db port-forward pods/east-pd-0 2379", None),
        ("kubectl delete tc east --all-namespaces", None),
        (
            "kubectl -n db patch tc east --type merge -p '{\"spec\":{\"clusterDomain\":\"\"}}'",
            Some("unreplaced-variable:1"),
        ),
        (
            "kubectl -n db patch tc east --type json -p '[{\"op\":\"add\",\"path\":\"/spec/clusterDomain\",\"value\":\"\"}]'",
            Some("unreplaced-variable:1"),
        ),
        (
            "kubectl -n db patch tc east --type json -p '[{\"op\":\"add\",\"path\":\"/spec/clusterDomain\",\"value\":\".a.com\"}]'",
            Some("no-dns-name:1"),
        ),
        (
            "kubectl -n db patch tc east --type merge -p '{\"spec\":{\"clusterDomain\":\"a_b.com\"}}'",
            Some("no-dns-name:1"),
        ),
        ("kubectl -n db patch tc east --type merge -p '{\"spec\":{\"clusterDomain\":\"a.com\"}}'", None),
        ("kubectl -n db patch tc east --type merge -p \"{\\\"spec\\\":{\\\"clusterDomain\\\":\\\"$d\\\"}}\"", None),
        (
            "curl -X POST http://127.0.0.1:2379/v3/x -d '{\"peerURLs\":[\"http://east-pd-0.x.db.svc.:2380\"]}'",
            Some("malformed-peer-url:1"),
        ),
        (
            "curl -X POST http://127.0.0.1:2379/v3/x -d '{\"peerURLs\":[\"http://a.com:2380\",\"east-pd-0:2380\"]}'",
            Some("malformed-peer-url:1"),
        ),
        (
            "curl -X POST http://127.0.0.1:2379/v3/x -d \"{\\\"peerURLs\\\":[\\\"http://east-pd-0.x:2380/\\\"]}\"",
            Some("malformed-peer-url:1"),
        ),
        ("curl -X POST http://127.0.0.1:2379/v3/x -d \"{\\\"peerURLs\\\":[\\\"http://${pod}.x:2380\\\"]}\"", None),
        (
            "curl -X POST http://127.0.0.1:2379/v3/x -d '{\"peerURLs\":[\"https://east-pd-0.x.db.svc.a.com:2380\"]}'",
            None,
        ),
    ] {
        assert_eq!(found(&[line]), expected.into_iter().collect::<Vec<_>>(), "{line}");
    }
    // To look at a list is not to wait until it is empty.
    let list = "kubectl get pods -n db -l app.kubernetes.io/instance=east";
    for look in [
        list.to_owned(),
        format!("watch {list}"),
        format!("until {list} | grep -q Running; do sleep 1; done"),
        format!("{list}\nOutput:\neast-pd-0  1/1  Running"),
        "while kubectl get pods -n tidb-admin -l app.kubernetes.io/instance=tidb-operator | grep -q 0/1; do sleep 1; done".into(),
        format!("until [ -z \"$({list},app.kubernetes.io/component!=discovery)\" ]; do sleep 1; done"),
        "while [[ $(kubectl get pods -n db -l app.kubernetes.io/instance=east -o 'jsonpath={..status.phase}') != \"Running\" ]]; do sleep 1; done".into(),
        "while kubectl get pods -n db -l app.kubernetes.io/instance=east | grep -q Pending; do sleep 1; done".into(),
        "kubectl wait --for=condition=Ready pod -n db -l app.kubernetes.io/instance=east".into(),
    ] {
        assert_eq!(found(&[&look]), Vec::<String>::new(), "{look}");
    }
    for wait in [
        format!("until [ -z \"$({list})\" ]; do sleep 1; done"),
        format!("while [ -n \"$({list} -o name)\" ]; do sleep 1; done"),
        format!("while [ \"$({list} -o name)\" ]; do sleep 1; done"),
        format!("until [[ $({list} -o name | wc -l) -eq 0 ]]; do sleep 1; done"),
        format!("while [[ $({list} --no-headers | wc -l) -gt 0 ]]; do sleep 1; done"),
        format!("while {list} 2>/dev/null | grep -q east; do sleep 5; done"),
        format!("{list}\n\nThe Pod list shows `No resources found`."),
        "kubectl wait --for=delete pod -n db -l app.kubernetes.io/instance=east --timeout=10m".into(),
    ] {
        assert_eq!(found(&[&wait]), ["waits-for-discovery-pod:1"], "{wait}");
    }
    // One of two variables is misspelt: the shell puts nothing there, and the file's line says where.
    let here = format!(
        "name1=\"east\"\ndomain1=\"east.local\"\ncat << EOF | kubectl apply -n db -f -\n{}EOF\n",
        EAST.replace("  namespace: db\n", "")
            .replace("name: east", "name: ${name1}")
            .replace("east.local", "${domain}")
    );
    assert_eq!(found(&[&here]), ["unreplaced-variable:11", "unreplaced-variable:11"]);
    // Where none is set, they are the reader's to set.
    assert_eq!(found(&[here.split_once("cat").map_or("", |(_, rest)| rest)]), Vec::<String>::new());
}

#[test]
fn nothing_judged_is_no_all_clear() {
    for (text, words) in [
        (
            "apiVersion: core.pingcap.com/v1alpha1\nkind: Cluster\n---\napiVersion: core.pingcap.com/v1alpha1\nkind: PDGroup\n",
            "Operator v2",
        ),
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n", "Deployment"),
        ("apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: a}\n", "Application"),
        ("apiVersion: v1\nkind: List\nitems: []\n", "nothing was found"),
        ("a: 1\n", "(no kind)"),
        ("{{- range .Values.clusters }}\nkind: TidbCluster\n{{- end }}\n", "template"),
    ] {
        let checked = lint(&[Text { file: "f".into(), text: text.into() }]);
        assert!(checked.dark() && checked.findings.is_empty(), "{text}: {checked:?}");
        assert!(checked.unseen.iter().any(|unseen| unseen.contains(words)), "{words}: {:?}", checked.unseen);
    }
    // Beside something that is judged, others do not matter; those of v2 do.
    let beside = format!("{EAST}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a}}\n");
    assert!(!lint(&[Text { file: "f".into(), text: beside.clone() }]).dark());
    let second = beside.replace("apps/v1", "core.pingcap.com/v1alpha1");
    assert!(lint(&[Text { file: "f".into(), text: second }]).dark());
}

#[test]
fn nothing_to_judge_is_no_all_clear() {
    assert!(lint(&[Text { file: "f".into(), text: "# only a comment\n".into() }]).dark());
    assert!(lint(&[Text { file: "f".into(), text: "a: [".into() }]).dark());
    assert!(!lint(&[Text { file: "f".into(), text: EAST.into() }]).dark());
}

/// What a shell does not replace reaches the cluster as it is written.
#[test]
fn what_is_quoted_is_literal() {
    for line in [
        "kubectl -n db patch tc east --type merge -p '{\"spec\":{\"clusterDomain\":\"${domain}\"}}'",
        "domain=x\nkubectl -n db patch tc east --type=merge --patch='{\"spec\":{\"clusterDomain\":\"$domain\"}}'",
        "kubectl -n db patch tc east --type merge -p '{\n  \"spec\": {\n    \"clusterDomain\": \"${domain}\"\n  }\n}'",
        "for c in a b; do kubectl -n db --context $c annotate tc east 'x=${c}'; done",
        "kubectl apply -n db -f - <<'EOF'\nkind: TidbCluster\nmetadata: {name: \"${name}\"}\nEOF",
        "name=x\ncat > tc.yaml <<\"EOF\"\nkind: TidbCluster\nmetadata: {name: $name}\nEOF\nkubectl apply -n db -f tc.yaml",
        "cat <<\\EOF | kubectl apply -n db -f -\nkind: TidbCluster\nmetadata: {name: $(name)}\nEOF",
    ] {
        let ids = found(&[line]);
        assert!(ids.iter().any(|id| id.starts_with("unreplaced-variable")) && ids.len() == 1, "{line}: {ids:?}");
    }
    for line in [
        "kubectl -n db patch tc east --type merge -p \"{\\\"spec\\\":{\\\"clusterDomain\\\":\\\"${domain}\\\"}}\"",
        "kubectl -n db patch tc east --type merge -p '{\"spec\":{\"clusterDomain\":\"'\"${domain}\"'\"}}'",
        "kubectl -n db exec east-pd-0 -- sh -c 'echo ${HOSTNAME}'",
        "kubectl -n db get tc east -o jsonpath='{$.spec}'",
        "kubectl -n argo patch secret argo -p '{\"stringData\": {\"admin.password\": \"$2a$10$rRyBsGSHK6.uc8fnt\"}}'",
        "kubectl -n db patch tc east --type json -p '[{\"op\":\"add\",\"path\":\"/spec/tidb/env\",\"value\":\"$(POD_IP)\"}]'",
        "envsubst <<'EOF' | kubectl apply -n db -f -\nkind: TidbCluster\nmetadata: {name: \"${name}\"}\nEOF",
        "cat > tc.yaml <<'EOF'\nkind: TidbCluster\nmetadata: {name: $name}\nEOF\nenvsubst < tc.yaml | kubectl apply -n db -f -",
    ] {
        assert_eq!(found(&[line]), Vec::<String>::new(), "{line}");
    }
}

/// A here-document with one variable that is surely set, and one more.
#[test]
fn variables_that_are_set_in_any_way() {
    let here = "cat <<EOF | kubectl -n db apply -f -\nkind: Secret\nmetadata:\n  name: ${sure}\n  labels: {a: ${other}}\nEOF\n";
    for before in [
        "other=x",
        "other=\"x\"   # why",
        "export other=x",
        "a=1; other=2",
        "true && other=3",
        "other=$(kubectl get secret y -o jsonpath='{.data.z}' | base64 -d)",
        "other=`date`",
        "for other in a b; do",
        "read -p 'which? ' other",
        "while read -r a other; do",
        "deploy() {\n  local other=\"$1\"",
        ": ${other:=y}",
        ": \"${other:?set it}\"",
        "[ -n \"$other\" ] || exit 1",
        "declare other",
        "source env.sh",
        "eval \"$(tool)\"",
        "mapfile -t other < f",
        "printf -v other %s x",
        "other=x kubectl get tc -A",
    ] {
        let text = format!("#!/bin/bash\nsure=1\n{before}\n{here}");
        assert_eq!(found(&[&text]), Vec::<String>::new(), "{before}");
        let missing = text.replace("{a: ${other}}", "{a: ${otter}}");
        // What may set anything may have set that one.
        let open = before.starts_with("source") || before.starts_with("eval");
        assert_eq!(found(&[&missing]).len(), usize::from(!open), "{before}");
    }
    // Positional ones, what has a default, what the environment has, and a file that is no object.
    for used in ["$1 $@ ${10}", "${HOME}", "${x:-y}", "\\${POD_IP}"] {
        let text = format!("sure=1\n{}", here.replace("${other}", used));
        assert_eq!(found(&[&text]), Vec::<String>::new(), "{used}");
    }
    // Set behind its use, in a function that is called later.
    let later = format!("sure=1\ndeploy() {{\n{here}}}\nother=x\ndeploy\n");
    assert_eq!(found(&[&later]), Vec::<String>::new());
}
