//! When a component has settled, and what a change restarts.

use super::*;
use serde_json::{Value, json};

fn world(change: impl FnOnce(&mut Value, &mut Value, &mut Value)) -> ComponentRollout {
    let mut tc = json!({"metadata": {"name": "b", "namespace": "n"},
        "spec": {"version": "v8.5.7", "pd": {"replicas": 1}},
        "status": {"pd": {"synced": true, "phase": "Normal", "image": "pingcap/pd:v8.5.7",
            "members": {"b-pd-0": {"name": "b-pd-0", "health": true}}}}});
    let mut set = json!({"metadata": {"name": "b-pd", "namespace": "n", "generation": 2}, "spec": {"replicas": 1},
        "status": {"observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1,
            "currentRevision": "r1", "updateRevision": "r1"}});
    let mut pod = json!({"metadata": {"name": "b-pd-0", "namespace": "n", "labels": {
            "app.kubernetes.io/instance": "b", "app.kubernetes.io/component": "pd", "controller-revision-hash": "r1"}},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    change(&mut tc, &mut set, &mut pod);
    let mut cluster = KubeCluster::default();
    let set: StatefulSet = serde_json::from_value(set).expect("shape");
    let pod: Pod = serde_json::from_value(pod).expect("shape");
    cluster.stateful_sets.insert(set.metadata.key(), set);
    cluster.pods.insert(pod.metadata.key(), pod);
    rollout(&cluster, &serde_json::from_value(tc).expect("shape")).remove(0)
}

#[test]
fn suspended_is_settled_and_suspending_is_not() {
    let of = |phase: &str, set: bool, pod: bool| {
        let tc = json!({"metadata": {"name": "b", "namespace": "n"},
            "spec": {"ticdc": {"replicas": 1, "suspendAction": {"suspendStatefulSet": true}}},
            "status": {"ticdc": {"phase": phase}}});
        let mut cluster = KubeCluster::default();
        if set {
            let set: StatefulSet =
                serde_json::from_value(json!({"metadata": {"name": "b-ticdc", "namespace": "n"}})).expect("shape");
            cluster.stateful_sets.insert(set.metadata.key(), set);
        }
        if pod {
            let pod: Pod =
                serde_json::from_value(json!({"metadata": {"name": "b-ticdc-0", "namespace": "n", "labels": {
                "app.kubernetes.io/instance": "b", "app.kubernetes.io/component": "ticdc"}}}))
                .expect("shape");
            cluster.pods.insert(pod.metadata.key(), pod);
        }
        rollout(&cluster, &serde_json::from_value(tc).expect("shape")).remove(0)
    };
    let gone = of("Suspend", false, false);
    assert!(gone.settled && gone.suspended && gone.reason.is_empty(), "{gone:?}");
    for (phase, set, pod, reason) in [
        ("Suspend", true, true, "1 pod left"),
        ("Suspend", false, true, "1 pod left"),
        ("Suspend", true, false, "StatefulSet is not gone"),
        ("Normal", true, true, "has not begun"),
        ("Upgrade", true, true, "phase Upgrade"),
        ("Scale", true, true, "phase Scale"),
    ] {
        let seen = of(phase, set, pod);
        assert!(!seen.settled && !seen.suspended && seen.reason.contains(reason), "{seen:?}, wanted {reason:?}");
    }
}

/// Whoever pins an image by its digest still runs the version that its tag tells.
#[test]
fn a_digest_makes_no_other_version() {
    let settled = |image: &str, version: &str| {
        world(|tc, set, _| {
            tc["status"]["pd"]["image"] = json!(image);
            tc["spec"]["version"] = json!(version);
            set["spec"]["template"] = json!({"spec": {"containers": [{"name": "pd", "image": image}]}});
        })
        .settled
    };
    assert!(settled("registry:5000/pingcap/pd:v8.5.7@sha256:00", "v8.5.7"));
    assert!(settled("pingcap/pd:v8.5.7@sha256:00", "v8.5.7@sha256:00"));
    assert!(!settled("pingcap/pd:v8.5.7@sha256:01", "v8.5.7@sha256:00"));
    assert!(!settled("pingcap/pd:v8.5.6@sha256:00", "v8.5.7"));
    assert!(!settled("registry:5000/pingcap/pd", "v8.5.7"));
}

/// TiDB is upgraded smoothly: the operator posts to :10080/upgrade/finish when all pods are new, and where the answer is
/// no "success!" it stays in phase Upgrade with Ready True.
#[test]
fn an_upgrade_that_waits_for_an_answer_has_only_new_and_ready_pods() {
    type Change = fn(&mut Value, &mut Value, &mut Value);
    let seen = |change: Change| {
        let mut tc = json!({"metadata": {"name": "b", "namespace": "n"},
            "spec": {"version": "v8.5.7", "tidb": {"replicas": 1}}, "status": {"tidb": {"phase": "Upgrade"}}});
        let mut set = json!({"metadata": {"name": "b-tidb", "namespace": "n", "generation": 2}, "spec": {"replicas": 1},
            "status": {"observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1,
                "currentRevision": "r1", "updateRevision": "r2"}});
        let mut pod = json!({"metadata": {"name": "b-tidb-0", "namespace": "n", "labels": {
                "app.kubernetes.io/instance": "b", "app.kubernetes.io/component": "tidb", "controller-revision-hash": "r2"}},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        change(&mut tc, &mut set, &mut pod);
        let mut cluster = KubeCluster::default();
        let set: StatefulSet = serde_json::from_value(set).expect("shape");
        let pod: Pod = serde_json::from_value(pod).expect("shape");
        cluster.stateful_sets.insert(set.metadata.key(), set);
        cluster.pods.insert(pod.metadata.key(), pod);
        smooth_upgrade(&cluster, &serde_json::from_value(tc).expect("shape"), Component::Tidb)
    };
    assert!(seen(|_, _, _| {}));
    let others: [(&str, Change); 6] = [
        ("not upgrading", |tc, _, _| tc["status"]["tidb"]["phase"] = json!("Normal")),
        ("no phase yet", |tc, _, _| tc["status"] = json!({})),
        ("an old pod", |_, _, pod| pod["metadata"]["labels"]["controller-revision-hash"] = json!("r1")),
        ("a pod that is not ready", |_, _, pod| pod["status"]["conditions"] = json!([])),
        ("a template not yet seen", |_, set, _| set["metadata"]["generation"] = json!(3)),
        ("pods to come", |_, set, _| set["status"]["updatedReplicas"] = json!(0)),
    ];
    for (what, change) in others {
        assert!(!seen(change), "{what}");
    }
}

#[test]
fn what_a_changed_start_script_restarts() {
    use Component::{Pd, Pump, Ticdc, Tidb, Tiflash, Tikv, Tiproxy};
    for component in [Pd, Tikv, Tidb] {
        assert_eq!(held(component, "RollingUpdate", true), None);
        assert_eq!(held(component, "RollingUpdate", false), Some(Held::NoConfig));
        assert_eq!(held(component, "InPlace", true), Some(Held::InPlace));
    }
    assert_eq!(held(Tiflash, "RollingUpdate", false), None);
    assert_eq!(held(Tiflash, "InPlace", false), Some(Held::InPlace));
    for component in [Ticdc, Pump, Tiproxy] {
        assert_eq!(held(component, "InPlace", false), None);
    }
}

#[test]
fn settled_needs_all_five_parts() {
    assert!(world(|_, _, _| {}).settled);
    type Damage = fn(&mut Value, &mut Value, &mut Value);
    let cases: [(Damage, &str); 12] = [
        (|tc, _, _| tc["status"]["pd"]["phase"] = Value::Null, "has not said"),
        (|tc, _, _| tc["status"]["pd"]["members"] = json!({}), "sees 0 PD members"),
        (|tc, _, _| tc["status"]["pd"]["image"] = json!("pingcap/pd:v8.5.4"), "wanted version"),
        (|_, set, _| set["metadata"]["generation"] = json!(3), "newest PD template"),
        (|_, set, _| set["status"]["updateRevision"] = json!("r2"), "rolling"),
        (|_, set, _| set["status"]["readyReplicas"] = json!(0), "0 ready of 1"),
        (
            |tc, set, _| {
                tc["status"]["pd"]["failureMembers"] = json!({"b-pd-0": {"podName": "b-pd-0"}});
                set["spec"]["replicas"] = json!(2);
            },
            "failover is still recorded",
        ),
        (|_, _, pod| pod["metadata"]["labels"]["controller-revision-hash"] = json!("r0"), "old revision"),
        (|_, _, pod| pod["status"]["conditions"] = json!([]), "not Ready"),
        (|tc, _, _| tc["status"]["pd"]["phase"] = json!("Upgrade"), "phase Upgrade"),
        (|tc, _, _| tc["status"]["pd"]["synced"] = json!(false), "cannot reach PD"),
        (|tc, _, _| tc["status"]["pd"]["members"]["b-pd-0"]["health"] = json!(false), "not healthy"),
    ];
    for (change, reason) in cases {
        let seen = world(change);
        assert!(!seen.settled && seen.reason.contains(reason), "{seen:?}, wanted {reason:?}");
    }
}
