//! `upgrade-cluster`: the order over all TidbClusters, the annotation, what is left by half a run, and the refusals.

use serde_json::{Value, json};

use crate::common;
use crate::lifecycle::bed::Bed;

const EAST: &str = "tidbCluster=east/prod/prod-east";
const TO: &str = "version=v8.5.9";
const NAMES: [&str; 2] = ["prod-east", "prod-west"];
const CHECK: &str = "tidb.pingcap.com/pd-check-quorum-before-upgrade";

/// The patches of TidbClusters that were stored, in short: `west tikv`.
fn patches(bed: &Bed, since: usize) -> Vec<String> {
    let log = bed.sim.log().lines();
    let stored = log[since..]
        .iter()
        .filter(|line| line["method"] == "PATCH" && line["dryRun"] == false && line["status"] == 200);
    stored.map(|line| line["kubeCluster"].as_str().unwrap_or_default().to_owned()).collect()
}

fn tc(bed: &Bed, context: &str) -> Value {
    bed.object(context, "tidbclusters", "prod", &format!("prod-{context}")).expect("it is there")
}

fn upgraded(bed: &Bed, version: &str) {
    for context in ["east", "west"] {
        let tc = tc(bed, context);
        for component in ["pd", "tikv", "tidb"] {
            assert_eq!(tc["spec"][component]["version"], version, "{context} {component}");
            let image = tc["status"][component]["image"].as_str().unwrap_or_default();
            assert!(image.ends_with(version), "{context} {component}: {image}");
        }
        assert_eq!(tc["spec"]["version"], version);
        assert_eq!(tc["metadata"]["annotations"][CHECK], Value::Null, "{context}");
        for pod in bed.store(context).list("pods", Some("prod")) {
            // TiDB's pods have another container before their own.
            let mut all = pod["spec"]["containers"].as_array().expect("containers").iter();
            let own = all.find(|container| container["name"] != "slowlog").expect("a container");
            let image = own["image"].as_str().unwrap_or_default();
            assert!(image.contains("operator") || image.ends_with(version), "{context}: {image}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_in_order_and_nothing_twice() {
    let bed = Bed::of("default", &[]).await;
    let ran = bed.run("upgrade-cluster", &[EAST, TO], &NAMES).await.expect(0);
    upgraded(&bed, "v8.5.9");
    // Nobody has looked for DDL: --yes has only said so.
    assert!(ran.all().contains("no-ddl is done only on the word of whoever answered"), "{}", ran.all());
    assert!(!ran.all().contains("each verified"), "{}", ran.all());
    // Annotation ×2, six parts with the initial TidbCluster first each time, annotation back ×2, spec.version ×2.
    let order = ["east", "west"].repeat(6);
    assert_eq!(patches(&bed, 0), order, "{}", ran.all());
    let steps: Vec<String> = bed
        .room
        .records(&bed.room.journals()[0])
        .iter()
        .filter(|record| record["record"] == "intent")
        .filter_map(|record| Some(record["step"].as_str()?.split('@').next()?.to_owned()))
        .collect();
    assert_eq!(
        steps[2..8],
        [
            "set-version[pd",
            "set-version[pd",
            "set-version[tikv",
            "set-version[tikv",
            "set-version[tidb",
            "set-version[tidb"
        ]
    );

    let until = bed.log_length();
    let again = bed.run("upgrade-cluster", &[EAST, TO], &NAMES).await.expect(0);
    assert!(again.all().contains("nothing to do"), "{}", again.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());

    let down = bed.run("upgrade-cluster", &[EAST, "version=v8.5.8"], &NAMES).await.expect(4);
    assert!(down.all().contains("There is no way down"), "{}", down.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_is_resumed_and_one_that_was_given_up_is_done_anew() {
    let killed = async |records: usize| {
        let bed = Bed::of("default", &[]).await;
        let (run, _) = bed.killed("upgrade-cluster", &[EAST, TO], &NAMES, records).await;
        bed.tool(&["runs", "resume", &run, "--yes", "--confirm", "prod-east", "--confirm", "prod-west"])
            .await
            .expect(0);
        upgraded(&bed, "v8.5.9");
        // One more where an Intent was open: it moves the version, so that the lost one cannot come late.
        let count = patches(&bed, 0).len();
        assert!((12..=13).contains(&count), "killed at record {records}: {count}");
        bed.end().await;
    };
    let given_up = async {
        let bed = Bed::of("default", &[]).await;
        let (run, _) = bed.killed("upgrade-cluster", &[EAST, TO], &NAMES, 16).await;
        bed.tool(&["runs", "abandon", &run, "--reason", "for the test"]).await;
        // What it had sent still rolls; a new run begins only when that is over.
        let mut ran = bed.run("upgrade-cluster", &[EAST, TO], &NAMES).await;
        for _ in 0..20 {
            if ran.code != 4 {
                break;
            }
            assert!(ran.all().contains("under way already") || ran.all().contains("PD is not well"), "{}", ran.all());
            ran = bed.run("upgrade-cluster", &[EAST, TO], &NAMES).await;
        }
        ran.expect(0);
        for context in ["east", "west"] {
            for component in ["pd", "tikv", "tidb"] {
                assert_eq!(tc(&bed, context)["spec"][component]["version"], "v8.5.9");
            }
        }
        // The parts that were done already were not sent again.
        let versions = patches(&bed, 0).len();
        assert!((8..=16).contains(&versions), "{versions} patches");
        bed.end().await;
    };
    futures::join!(killed(9), killed(21), given_up);
}

/// TiFlash, Pump and TiCDC in the joined TidbCluster: two of them have no image in status.
const MORE: (&str, &str) = (
    "      tidb: { replicas: 1, maxFailoverCount: 0, config: {}, service: { type: ClusterIP } }",
    "      tidb: { replicas: 1, maxFailoverCount: 0, config: {}, service: { type: ClusterIP } }\n      tiflash: { replicas: 1, maxFailoverCount: 0, config: {}, storageClaims: [{ resources: { requests: { storage: 100Gi } } }] }\n      pump: { replicas: 1, config: {}, requests: { storage: 10Gi } }\n      ticdc: { replicas: 1, config: {} }",
);

/// Pump in east as well: the last one of a Database may not leave.
const PUMP: (&str, &str) = (
    "      tidb: { replicas: 2, maxFailoverCount: 0, config: {}, service: { type: ClusterIP } }\n  - kubeCluster: west",
    "      tidb: { replicas: 2, maxFailoverCount: 0, config: {}, service: { type: ClusterIP } }\n      pump: { replicas: 1, config: {}, requests: { storage: 10Gi } }\n  - kubeCluster: west",
);

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_component_with_tls() {
    let bed = Bed::of("tls", &[MORE, PUMP]).await;
    // Asked of a person, and nothing is sent before: PD cannot tell of DDL.
    let arguments = ["run", "upgrade-cluster", "--set", EAST, "--set", TO];
    let asked = bed.tool(&arguments).await.expect(3);
    assert!(asked.all().contains("No DDL job is running"), "{}", asked.all());
    assert_eq!(bed.writes_since(0), Vec::<String>::new());
    let run = bed.room.journals().pop().expect("a journal");
    bed.tool(&["runs", "resume", &run, "--yes", "--confirm", "prod-east", "--confirm", "prod-west"]).await.expect(0);
    upgraded(&bed, "v8.5.9");
    let order: Vec<String> = bed
        .room
        .records(&run)
        .iter()
        .filter(|record| record["record"] == "intent")
        .filter_map(|record| {
            Some(record["step"].as_str()?.strip_prefix("set-version[")?.split("/prod/").next()?.to_owned())
        })
        .collect();
    assert_eq!(
        order,
        [
            "pd@east",
            "pd@west",
            "tiflash@west",
            "tikv@east",
            "tikv@west",
            "pump@east",
            "pump@west",
            "tidb@east",
            "tidb@west",
            "ticdc@west"
        ]
    );
    // And out again, TiFlash included: nothing wants replicas on it.
    bed.run("leave-cluster", &["tidbCluster=west/prod/prod-west"], &["prod-west"]).await.expect(0);
    assert!(bed.object("west", "tidbclusters", "prod", "prod-west").is_none());
    let kept = bed.store("west").list("persistentvolumeclaims", Some("prod"));
    assert_eq!(kept.len(), 6, "PD, three TiKV, TiFlash and Pump");
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_put_back_is_put_back() {
    let bed = Bed::of("default", &[]).await;
    // Stopped at the first step that has no rollback: both annotations are set by then.
    let stopped = bed.run("upgrade-cluster", &[EAST, TO], &[]).await.expect(3);
    assert!(stopped.all().contains("no automatic rollback"), "{}", stopped.all());
    assert_eq!(tc(&bed, "east")["metadata"]["annotations"][CHECK], "true");
    let run = bed.room.journals().pop().expect("a journal");
    bed.tool(&["runs", "undo", &run, "--yes"]).await.expect(8);
    for context in ["east", "west"] {
        let tc = tc(&bed, context);
        assert_eq!(tc["metadata"]["annotations"][CHECK], Value::Null, "{context}");
        assert_eq!(tc["spec"]["pd"]["version"], Value::Null, "{context}");
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_send_nothing() {
    let bed = Bed::of("default", &[]).await;
    let refused = async |inputs: &[&str], said: &str| {
        let ran = bed.run("upgrade-cluster", inputs, &NAMES).await.expect(4);
        assert!(ran.all().contains(said), "expected {said:?}\n{}", ran.all());
    };
    refused(&[EAST, "version=v8.5.4"], "There is no way down").await;
    refused(&[EAST, "version=8.5.9"], "expected a version such as").await;
    type Change = fn(&mut Value);
    let gone = |tc: &mut Value, field: &str| drop(tc["spec"].as_object_mut().expect("a spec").shift_remove(field));
    let spec: [(Change, &str, &str); 3] = [
        (|tc| tc["spec"]["paused"] = json!(true), "paused", "the operator would do nothing there"),
        (|tc| tc["spec"]["pdms"] = json!([{"name": "tso", "replicas": 1}]), "pdms", "runs as microservices"),
        (|tc| tc["spec"]["tiproxy"] = json!({"replicas": 0}), "tiproxy", "would stop after PD"),
    ];
    for (change, field, said) in spec {
        bed.edit("west", "tidbclusters", "prod", "prod-west", |tc| {
            // Paused besides, so that the operator does not act on it.
            change(tc);
            tc["spec"]["paused"] = json!(true);
        });
        refused(&[EAST, TO], said).await;
        bed.edit("west", "tidbclusters", "prod", "prod-west", |tc| {
            gone(tc, field);
            gone(tc, "paused");
        });
    }
    bed.edit("west", "tidbclusters", "prod", "prod-west", |tc| {
        tc["metadata"]["annotations"]["tidb.pingcap.com/force-upgrade"] = json!("true");
    });
    refused(&[EAST, TO], "force-upgrade").await;
    bed.edit("west", "tidbclusters", "prod", "prod-west", |tc| {
        drop(
            tc["metadata"]["annotations"]
                .as_object_mut()
                .expect("a map")
                .shift_remove("tidb.pingcap.com/force-upgrade"),
        );
    });
    bed.crash_loops("west", "prod", &["prod-west-tidb-0"]).await;
    refused(&[EAST, TO], "under way already").await;
    assert_eq!(bed.writes_since(0), Vec::<String>::new());
    assert!(!common::effects(&bed.sim.log().lines()).iter().any(|line| line.contains("(dry run)")));
    bed.end().await;
}
