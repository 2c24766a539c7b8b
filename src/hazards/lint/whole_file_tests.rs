//! Files of the kinds that people really have, sound ones and faulty ones, each with all that is to be found in it and the
//! exit code. The shapes are those in which the lint was once wrong: too loud, or silent.

use crate::hazards::Checked;
use crate::hazards::lint::{Text, lint};

/// A sound TidbCluster for several KubeClusters.
const OPEN: &str = "apiVersion: pingcap.com/v1alpha1
kind: TidbCluster
metadata: {name: shop, namespace: sales}
spec:
  version: v8.1.2
  acrossK8s: true
  clusterDomain: fra.example
  configUpdateStrategy: RollingUpdate
  pvReclaimPolicy: Retain
  pd: {replicas: 3, maxFailoverCount: 0, requests: {storage: 10Gi}, config: {}}
  tikv: {replicas: 3, maxFailoverCount: 0, requests: {storage: 50Gi}, config: {}}
  tidb: {replicas: 2, maxFailoverCount: 0, service: {type: ClusterIP}, config: {}}
";

/// A sound one that is alone.
const ALONE: &str = "apiVersion: pingcap.com/v1alpha1
kind: TidbCluster
metadata: {name: shop, namespace: sales}
spec:
  version: v8.1.2
  configUpdateStrategy: RollingUpdate
  pvReclaimPolicy: Retain
  pd: {replicas: 3, requests: {storage: 10Gi}, config: {}}
  tikv: {replicas: 3, requests: {storage: 50Gi}, config: {}}
  tidb: {replicas: 2, service: {type: ClusterIP}, config: {}}
";

fn checked(text: &str) -> Checked {
    lint(&[Text { file: "f".into(), text: text.to_owned() }])
}

/// As `check --file` ends.
fn exit_code(checked: &Checked) -> u8 {
    match (checked.findings.iter().any(|finding| !finding.unknown), checked.dark()) {
        (true, _) => 2,
        (false, true) => 3,
        (false, false) => 0,
    }
}

#[track_caller]
fn expect(text: &str, ids: &[&str]) {
    let checked = checked(text);
    let mut found: Vec<&str> = checked.findings.iter().map(|finding| finding.id()).collect();
    found.sort_unstable();
    assert_eq!(found, ids, "{text}\n{:#?}\n{:?}", checked.findings, checked.unseen);
    assert_eq!(exit_code(&checked), if ids.is_empty() { 0 } else { 2 }, "{text}\n{:?}", checked.unseen);
}

fn open(from: &str, to: &str) -> String {
    assert!(OPEN.contains(from), "{from}");
    OPEN.replacen(from, to, 1)
}

fn alone(from: &str, to: &str) -> String {
    assert!(ALONE.contains(from), "{from}");
    ALONE.replacen(from, to, 1)
}

#[test]
fn sound_ones() {
    expect(OPEN, &[]);
    expect(ALONE, &[]);
    // TiFlash always has a ConfigMap; TiCDC and Pump have their script in the pod's command.
    for more in [
        "tiflash: {replicas: 2, storageClaims: []}",
        "ticdc: {replicas: 3}",
        "pump: {replicas: 1, requests: {storage: 1Gi}}",
    ] {
        expect(&alone("  pd:", &format!("  {more}\n  pd:")), &[]);
    }
    // Beside its target in one KubeCluster.
    let beside = "---\nkind: TidbCluster\napiVersion: pingcap.com/v1alpha1\nmetadata: {name: shop-olap, namespace: sales}\nspec:\n  version: v8.1.2\n  configUpdateStrategy: RollingUpdate\n  cluster: {name: shop, namespace: sales}\n  tiflash: {replicas: 2, storageClaims: []}\n";
    expect(&format!("{ALONE}{beside}"), &[]);
    expect(
        &format!(
            "{OPEN}{}",
            beside
                .replace("  cluster:", "  acrossK8s: true\n  clusterDomain: fra.example\n  cluster:")
                .replace("replicas: 2", "replicas: 2, maxFailoverCount: 0")
        ),
        &[],
    );
    // Joined through a list of addresses, or in a file of its own.
    expect(&beside.replace("---\n", ""), &[]);
    expect(
        &beside
            .replace("---\n", "")
            .replace("cluster: {name: shop, namespace: sales}", "pdAddresses: [\"http://pd:2379\"]"),
        &[],
    );
    // Two Databases.
    expect(&format!("{OPEN}---\n{}", open("name: shop, namespace: sales", "name: stock, namespace: depot")), &[]);
    expect(&format!("{OPEN}---\n{}", open("name: shop", "name: stock")), &[]);
    // A part of an object: said, and no alarm.
    for part in [
        "kind: TidbCluster\napiVersion: pingcap.com/v1alpha1\nmetadata: {name: shop}\nspec:\n  tidb: {replicas: 4}\n",
        "kind: TidbCluster\napiVersion: pingcap.com/v1alpha1\nmetadata: {name: shop}\nspec:\n  version: v8.1.2\n",
        "kind: TidbCluster\napiVersion: pingcap.com/v1alpha1\nmetadata: {name: shop}\nspec:\n  tikv: {version: v8.1.2}\n",
        "kind: TidbCluster\nmetadata: {name: shop}\nspec: {pd: {affinity: {}}}\n",
    ] {
        expect(part, &[]);
        assert!(checked(part).notes.iter().any(|note| note.contains("a part of an object")), "{part}");
    }
    assert!(checked(OPEN).notes.is_empty());
    // One PD with one TiKV is a trial.
    expect(&ALONE.replace("replicas: 3", "replicas: 1"), &[]);
}

#[test]
fn variables_that_others_replace() {
    for more in [
        "    env: [{name: A, value: \"$(B)-${C}\"}]",
        "    additionalContainers: [{name: x, image: y, command: [sh, -c, \"run $(POD_IP) ${HOME}\"]}]",
        "    initContainers: [{name: x, args: [\"$(A)\"]}]",
        "    lifecycle: {preStop: {exec: {command: [sh, -c, \"kill $PID\"]}}}",
        "    annotations: {a: \"{{ $labels.x }}\"}",
        "    config: |\n      [log]\n      x = \"$1\"",
    ] {
        let text = format!(
            "{}\n{more}\n",
            alone("tidb: {replicas: 2, service: {type: ClusterIP}, config: {}}", "tidb:\n    replicas: 2")
        );
        let text = if more.contains("config:") { text } else { text + "    config: {}\n" };
        expect(&text, &[]);
    }
    for other in [
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x.sh: |\n    echo ${A} $(date) $B\n",
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: a\n  annotations: {x/snippet: \"set $a ${b}\"}\nspec: {rules: []}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: todo-messages}\ndata:\n  x.tmpl: |\n    {{ define \"x\" }}{{- range .Alerts }}{{ .Labels }}{{ end }}{{ end }}\n",
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\nspec: {x: {args: [\"$(A)\", \"${B}\"]}}\n",
        "apiVersion: pingcap.com/v1alpha1\nkind: TidbMonitor\nmetadata: {name: a}\nspec: {prometheus: {config: {x: \"${1}\"}}, text: \"$1 {{ $x }}\"}\n",
    ] {
        expect(&format!("{other}---\n{ALONE}"), &[]);
    }
}

#[test]
fn faulty_ones() {
    let domain = |to: &str| open("clusterDomain: fra.example", &format!("clusterDomain: {to}"));
    for to in [
        "$ZONE",
        "\"{{ zone }}\"",
        "{{ zone }}",
        "<zone>",
        "\"%ZONE%\"",
        "__ZONE__",
        "${zone}",
        "$(zone)",
        "\"@ZONE@\"",
        "zone-${n}.example",
        "CHANGE_ME",
        "\"\"",
    ] {
        expect(&domain(to), &["unreplaced-variable"]);
    }
    for to in [
        "https://fra.example",
        "svc.fra.example",
        ".fra.example",
        "fra.example.",
        "Fra.Example",
        "\"fra example\"",
        "fra.example:53",
        "fra_1.example",
        "10.0.0.1",
    ] {
        expect(&domain(to), &["no-dns-name"]);
    }
    for to in ["v8 .1.2", "\"v8.1.2 \"", "8.1", "v8,1,2", "latest", "nightly"] {
        expect(&open("v8.1.2", to), &["no-version"]);
    }
    expect(&open("tikv: {", "tikv: {version: \"v8 .1\", "), &["no-version"]);
    expect(&open("tikv: {", "tikv: {baseImage: \"<registry>/tikv\", "), &["unreplaced-variable"]);
    expect(&open("name: shop", "name: Shop_1"), &["no-dns-name"]);
    let spec = |more: &str| open("spec:\n", &format!("spec:\n  {more}\n"));
    expect(&spec("enablePVReclaim: true"), &["volumes-reclaimed"]);
    expect(&spec("acrosK8s: true"), &["unknown-field"]);
    expect(&open("tikv: {replicas: 3", "tikv: {replcas: 3"), &["unknown-field"]);
    expect(&spec("aFieldOfTomorrow: true"), &[]);
    expect(&spec("paused: true"), &["paused"]);
    expect(&spec("suspendAction: {suspendStatefulSet: true}"), &["suspended"]);
    expect(&open("tidb: {", "tidb: {suspendAction: {suspendStatefulSet: true}, "), &["suspended"]);
    expect(&spec("suspendAction: {suspendStatefulSet: false}"), &[]);
    let annotated = |value: &str| {
        open(
            "namespace: sales}",
            &format!("namespace: sales, annotations: {{tidb.pingcap.com/force-upgrade: {value}}}}}"),
        )
    };
    expect(&annotated("\"true\""), &["force-upgrade-left"]);
    expect(&annotated("\"false\""), &[]);
    for (config, ids) in [
        ("config: {replication: {max-replicas: 1}}", &["too-few-copies"][..]),
        ("config: \"[replication]\\nmax-replicas = 2\"", &["too-few-copies"]),
        ("config: \"replication.max-replicas = 1\"", &["too-few-copies"]),
        ("config: {replication: {max-replicas: 3}}", &[]),
    ] {
        expect(&open("storage: 10Gi}, config: {}", &format!("storage: 10Gi}}, {config}")), ids);
    }
    expect(
        &alone("storage: 10Gi}, config: {}", "storage: 10Gi}, config: {replication: {max-replicas: 5}}"),
        &["too-few-tikv"],
    );
    expect(&alone("pd: {replicas: 3", "pd: {replicas: 2"), &["uneven-pd-spread"]);
    expect(&alone("pd: {replicas: 3", "pd: {replicas: 4"), &["uneven-pd-spread"]);
    expect(&open("pd: {replicas: 3", "pd: {replicas: 2"), &["uneven-pd-spread"]);
    expect(&open("tikv: {replicas: 3", "tikv: {replicas: 2"), &["too-few-tikv"]);
    expect(&open("fra.example", "42"), &["no-dns-name"]);
    expect(&open("requests: {storage: 50Gi}", "requests: {storage: ${SIZE}}"), &["unreplaced-variable"]);
    expect(&alone("tikv: {replicas: 3", "tikv: {replicas: 2"), &["too-few-tikv"]);
    expect(&alone("tikv: {replicas: 3", "tikv: {replicas: 1"), &["too-few-tikv"]);
    expect(&alone("pd: {replicas: 3", "pd: {replicas: 0"), &["wrong-cluster-reference"]);
    expect(
        &open("  pd: {replicas: 3, maxFailoverCount: 0, requests: {storage: 10Gi}, config: {}}\n", ""),
        &["wrong-cluster-reference"],
    );
}

#[test]
fn who_joins_whom() {
    let join =
        |name: &str, to: &str| {
            open("name: shop", &format!("name: {name}"))
                .replace("spec:\n", &format!("spec:\n  cluster: {to}\n"))
                .replacen("replicas: 3", "replicas: 2", 1)
        };
    let both = |second: String| format!("{OPEN}---\n{second}");
    expect(&both(join("west", "{name: shop, namespace: sales, clusterDomain: fra.example}")), &[]);
    // One domain everywhere needs no domain in the reference.
    expect(&both(join("west", "{name: shop}")), &[]);
    expect(
        &both(join("west", "{name: shop}").replace("clusterDomain: fra.example", "clusterDomain: par.example")),
        &["wrong-cluster-reference"],
    );
    expect(
        &both(join("west", "{name: shpo, namespace: sales, clusterDomain: fra.example}")),
        &["wrong-cluster-reference"],
    );
    expect(
        &both(join("west", "{name: shop, namespace: sale, clusterDomain: fra.example}")),
        &["wrong-cluster-reference"],
    );
    expect(&join("west", "{name: shop, namespace: sales, clusterDomain: fra.example}"), &[]);
    // Two that join one which lies in no file.
    let apart = format!("{}---\n{}", join("b", "{name: base}"), join("c", "{name: base}"));
    expect(&apart, &[]);
    // Itself.
    expect(&join("west", "{name: west, namespace: sales, clusterDomain: fra.example}"), &["wrong-cluster-reference"]);
    expect(&join("west", "{name: west}"), &["wrong-cluster-reference"]);
    // In a circle, of two and of three.
    let to = |name: &str| format!("{{name: {name}, namespace: sales, clusterDomain: fra.example}}");
    let two = format!("{}---\n{}", join("a", &to("b")), join("b", &to("a")));
    expect(&two, &["wrong-cluster-reference"; 2]);
    let three = format!("{}---\n{}---\n{}", join("a", &to("b")), join("b", &to("c")), join("c", &to("a")));
    expect(&three, &["wrong-cluster-reference"; 3]);
    // Through a joiner.
    let through = format!("{OPEN}---\n{}---\n{}", join("b", &to("shop")), join("c", &to("b")));
    expect(&through, &[]);
    // One of the same namespace that forgot its reference.
    expect(&both(open("name: shop", "name: west").replace("fra.example", "par.example")), &["wrong-cluster-reference"]);
}

#[test]
fn lists_and_what_stands_twice() {
    let item: String =
        open("pvReclaimPolicy: Retain", "pvReclaimPolicy: Delete").lines().map(|line| format!("  {line}\n")).collect();
    for kind in ["TidbClusterList", "List"] {
        let list =
            format!("apiVersion: pingcap.com/v1alpha1\nkind: {kind}\nitems:\n{}", item.replacen("  api", "- api", 1));
        expect(&list, &["reclaim-policy-delete"]);
        assert_eq!(checked(&list).findings[0].location.as_ref().map(|at| at.line), Some(12));
    }
    let twice = open("  pvReclaimPolicy: Retain\n", "  pvReclaimPolicy: Delete\n  version: v8.1.3\n");
    expect(&twice, &["duplicate-key", "reclaim-policy-delete"]);
    let lines: Vec<usize> =
        checked(&twice).findings.iter().filter_map(|finding| Some(finding.location.as_ref()?.line)).collect();
    assert_eq!(lines, [9, 10]);
    expect(&open("config: {}}", "config: {}, replicas: 3}"), &["duplicate-key"]);
}

/// As Windows and other tools write files; what is wrong has its line in the file.
#[test]
fn line_ends_marks_and_directives() {
    let second = open("Retain", "Delete").replace("name: shop", "name: two").replace("sales", "other");
    let many = format!("# first\n---\n{OPEN}---\n{second}");
    for text in [
        many.clone(),
        many.replace('\n', "\r\n"),
        format!("\u{feff}{many}"),
        format!("\u{feff}{}", many.replace('\n', "\r\n")),
        many.replace("# first", "%YAML 1.2"),
        many.replace("---\n", "--- # next\n"),
        many.replace("---\n", "---  \n"),
    ] {
        expect(&text, &["reclaim-policy-delete"]);
        let line = checked(&text).findings[0].location.as_ref().map(|at| at.line);
        assert_eq!(line, Some(2 + OPEN.lines().count() + 1 + 9), "{text:?}");
    }
    let tabs = checked(&OPEN.replacen("  version", "\tversion", 1));
    assert!(tabs.findings.is_empty() && tabs.dark() && tabs.unseen[0].contains("tabs"), "{:?}", tabs.unseen);
    expect(&OPEN.replace("version: v8.1.2", "version:\tv8.1.2\t"), &[]);
}

/// What is the operator's default is no fault of one that is alone.
#[test]
fn configuration_of_one_that_is_alone() {
    let left_out = ALONE.replace("  configUpdateStrategy: RollingUpdate\n", "");
    expect(&left_out, &[]);
    assert!(checked(&left_out).notes.iter().any(|note| note.contains("configUpdateStrategy")));
    expect(&alone("RollingUpdate", "InPlace"), &["config-not-rolled"]);
    expect(&open("  configUpdateStrategy: RollingUpdate\n", ""), &["config-not-rolled"]);
}

/// Whatever it is wrapped in, it is judged, at its own line.
#[test]
fn inside_of_other_objects() {
    let tc = |depth: usize| -> String {
        let text = "apiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata:\n  name: a\nspec:\n  version: v8.5.4\n  enablePVReclaim: true\n  configUpdateStrategy: RollingUpdate\n  pd:\n    replicas: 3\n    config: {}\n";
        text.lines().map(|line| format!("{}{line}\n", " ".repeat(depth))).collect()
    };
    let task = format!(
        "- hosts: all\n  tasks:\n    - name: x\n      kubernetes.core.k8s:\n        state: present\n        definition:\n{}",
        tc(10)
    );
    let listed = format!("apiVersion: x/v1\nkind: Bundle\nspec:\n  manifests:\n    - {}", tc(6).trim_start());
    let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m}}\ndata:\n  tc.yaml: |\n{}", tc(4));
    for (text, line) in [(task, 13), (listed, 11), (map, 12)] {
        let found = checked(&text);
        let [finding] = found.findings.as_slice() else { panic!("{text}\n{found:#?}") };
        assert_eq!(
            (finding.id(), finding.location.as_ref().map(|at| at.line)),
            ("volumes-reclaimed", Some(line)),
            "{text}"
        );
    }
    let none = checked("- hosts: all\n  tasks: []\n");
    assert!(none.findings.is_empty() && none.dark());
}
