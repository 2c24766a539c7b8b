//! The same objects as an independent client sends them: `kubectl apply --dry-run=server --validate=strict`.
//!
//! The simulated API server answers; a misspelt field has to be refused by it, so that its yes means something.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tidepilot::fleet::object_kind::ObjectKind;
use tidepilot::sim::scenario::Scenario;
use tidepilot::sim::{Sim, SimOptions};

use super::{all_objects, created, empty, spanning, with_initial};

/// Every object that a shipped runbook creates, by kind; those whose values a document cannot hold (Secrets) are none of them.
fn rendered() -> BTreeMap<ObjectKind, Vec<Value>> {
    let (nothing, one) = (empty("v1"), ("tidbCluster", "east/prod/one"));
    let mut all = all_objects("v1");
    for more in [vec![], vec![("tls", "true"), ("tlsClient", "true"), ("tiflashReplicas", "2"), ("ticdcReplicas", "1")]]
    {
        let sets = [vec![one, ("version", "v8.5.7"), ("clusterDomain", "east.local")], more].concat();
        all.extend(created("deploy-initial-cluster", &sets, &nothing));
    }
    let join = [("join", "east/prod/one"), ("tidbCluster", "west/prod/two"), ("clusterDomain", "west.local")];
    all.extend([false, true].into_iter().flat_map(|tls| created("join-cluster", &join, &with_initial(tls))));
    let monitored = [("tidbCluster", "east/prod/prod-east"), ("storage", "10Gi"), ("grafanaSecret", "grafana")];
    for more in
        [&[("objectStorageSecret", "bucket"), ("globalGrafanaSecret", "grafana")][..], &[("method", "federation")]]
    {
        all.extend(created("monitor-across-clusters", &[&monitored[..], more].concat(), &spanning()));
    }
    all.extend(created("verify-network", &[("first", "east/prod/one"), ("second", "west/prod/two")], &nothing));
    let mut kinds: BTreeMap<ObjectKind, Vec<Value>> = BTreeMap::new();
    for (kind, object) in all {
        kinds.entry(kind).or_default().push(object);
    }
    kinds
}

/// `None`: kubectl is not there, which CI does not allow.
fn kubectl(kubeconfig: &std::path::Path, context: &str, objects: &[Value]) -> Option<Output> {
    let folder = kubeconfig.parent().expect("in a folder");
    let file = folder.join("objects.yaml");
    let documents: Vec<String> = objects.iter().map(Value::to_string).collect();
    std::fs::write(&file, documents.join("\n---\n")).expect("written");
    let mut command = Command::new("kubectl");
    command.env("HOME", folder).arg("--kubeconfig").arg(kubeconfig).args(["--context", context]);
    match command.args(["apply", "--dry-run=server", "--validate=strict", "-f"]).arg(&file).output() {
        Ok(output) => Some(output),
        Err(error) => {
            assert!(std::env::var("CI").is_err(), "kubectl has to be there in CI: {error}");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_takes_every_rendered_object_and_refuses_a_misspelt_one() {
    let scenario = Scenario::named("empty").expect("embedded");
    let sim = Sim::start_scenario(scenario, SimOptions::default()).await.expect("it starts");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let kubeconfig = dir.path().join("kubeconfig");
    sim.write_kubeconfig(&kubeconfig).expect("written");
    for context in ["east", "west"] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod"}});
        sim.store(context).expect("a context").put("namespaces", namespace);
    }
    let kinds = rendered();
    let known: BTreeSet<ObjectKind> = kinds.keys().copied().collect();
    let expected = [
        ObjectKind::TidbCluster,
        ObjectKind::TidbMonitor,
        ObjectKind::Issuer,
        ObjectKind::Certificate,
        ObjectKind::Service,
        ObjectKind::Deployment,
        ObjectKind::Pod,
    ];
    assert!(expected.iter().all(|kind| known.contains(kind)), "only {known:?}");
    let before = sim.log().lines().len();
    for (kind, mut objects) in kinds {
        let text = |output: &Output| {
            String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
        };
        for context in ["east", "west"] {
            let Some(output) = kubectl(&kubeconfig, context, &objects) else { return };
            assert!(output.status.success(), "{kind:?}: {}", text(&output));
            assert_eq!(text(&output).matches("(server dry run)").count(), objects.len(), "{}", text(&output));
        }
        // The schemas of the other custom resources are held against the objects in `main.rs`.
        if matches!(kind, ObjectKind::TidbMonitor | ObjectKind::Issuer | ObjectKind::Certificate) {
            continue;
        }
        objects.truncate(1);
        let part = if objects[0].get("spec").is_some() { "spec" } else { "metadata" };
        objects[0][part]["replicsa"] = json!(1);
        let Some(output) = kubectl(&kubeconfig, "east", &objects) else { return };
        assert!(!output.status.success() && text(&output).contains("replicsa"), "{kind:?}: {}", text(&output));
    }
    let log = sim.log().lines();
    let stored = log[before..].iter().filter(|line| line["method"] != "GET" && line["dryRun"] != true);
    assert_eq!(stored.count(), 0, "only dry runs");
    sim.shutdown().await;
}
