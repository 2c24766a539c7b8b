//! `monitor-across-clusters`: to the end, twice, killed, undone, and its label traps.

use crate::lifecycle::bed::Bed;

const EAST: &str = "tidbCluster=east/prod/prod-east";
const STORAGE: &str = "storage=10Gi";

fn there(bed: &Bed) -> Vec<bool> {
    let places = [
        ("east", "tidbmonitors", "prod-east"),
        ("west", "tidbmonitors", "prod-west"),
        ("east", "services", "prod-east-thanos-query"),
        ("east", "deployments", "prod-east-thanos-query"),
        // What the operator makes of a TidbMonitor.
        ("west", "statefulsets", "prod-west-monitor"),
        ("west", "services", "prod-west-prometheus"),
    ];
    places.iter().map(|(context, plural, name)| bed.object(context, plural, "prod", name).is_some()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn monitors_a_database_from_both_of_its_clusters() {
    for scenario in ["default", "tls"] {
        let bed = Bed::of(scenario, &[]).await;
        bed.run("monitor-across-clusters", &[EAST, STORAGE], &[]).await.expect(0);
        assert_eq!(there(&bed), [true; 6]);
        let query = bed.object("east", "deployments", "prod", "prod-east-thanos-query").expect("made");
        let arguments = &query["spec"]["template"]["spec"]["containers"][0]["args"];
        for store in ["prod-east-prometheus.prod.svc.east.local", "prod-west-prometheus.prod.svc.west.local"] {
            let wanted = format!("--store={store}:10901");
            assert!(arguments.as_array().expect("a list").iter().any(|found| *found == wanted.as_str()), "{arguments}");
        }
        assert_eq!(query["status"]["availableReplicas"], 1);
        let until = bed.log_length();
        let again = bed.run("monitor-across-clusters", &[EAST, STORAGE], &[]).await.expect(0);
        assert!(again.all().contains("nothing to do"), "{}", again.all());
        assert_eq!(bed.writes_since(until), Vec::<String>::new());
        let run = bed.room.journals().pop().expect("the first run");
        bed.tool(&["runs", "undo", &run, "--yes"]).await.expect(8);
        assert_eq!(there(&bed), [false; 6]);
        bed.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_that_would_be_hidden_and_other_mistakes_are_refused() {
    let bed = Bed::of("default", &[]).await;
    for (input, said) in [
        ("label=cluster", "hides an external one"),
        ("label=kube-cluster", "cannot be a label of Prometheus"),
        ("label=1st", "cannot be a label of Prometheus"),
        ("initializerVersion=v5.4.1", "know only one Kubernetes cluster"),
        ("leaveOut=east/prod/prod-east,west/prod/prod-west", "nothing to monitor"),
    ] {
        let ran = bed.run("monitor-across-clusters", &[EAST, input], &[]).await.expect(4);
        assert!(ran.all().contains(said), "{input}: {}", ran.all());
    }
    // Somebody's own TidbMonitor in the place, with the label that does not tell the clusters apart.
    let labels = serde_json::json!({"cluster": "west"});
    let metadata = serde_json::json!({"namespace": "prod", "name": "prod-west"});
    let spec = serde_json::json!({"externalLabels": labels, "clusters": [{"name": "prod-west"}]});
    bed.store("west").put("tidbmonitors", serde_json::json!({"metadata": metadata, "spec": spec}));
    let ran = bed.run("monitor-across-clusters", &[EAST], &[]).await.expect(4);
    assert!(ran.all().contains("TidbMonitor west/prod/prod-west exists already"), "{}", ran.all());
    assert_eq!(bed.writes_since(0), Vec::<String>::new());
    let one = bed.run("monitor-across-clusters", &[EAST, "leaveOut=west/prod/prod-west"], &[]).await.expect(0);
    drop(one);
    assert!(bed.object("east", "tidbmonitors", "prod", "prod-east").is_some());
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_it_goes_on() {
    let bed = Bed::of("default", &[]).await;
    let (run, _) = bed.killed("monitor-across-clusters", &[EAST, STORAGE], &[], 7).await;
    bed.tool(&["runs", "resume", &run, "--yes"]).await.expect(0);
    assert_eq!(there(&bed), [true; 6]);
    let writes = bed.writes_since(0);
    assert_eq!(writes.len(), 4, "each object is made once: {writes:?}");
    bed.end().await;
}

/// A TidbMonitor has the name of its TidbCluster, and so its pod and its claim have almost the same labels.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_leaves_the_monitor_alone() {
    let bed = Bed::of("default", &[]).await;
    bed.run("monitor-across-clusters", &[EAST, STORAGE], &[]).await.expect(0);
    let leave = ["tidbCluster=west/prod/prod-west", "deletePvcs=true"];
    bed.run("leave-cluster", &leave, &["prod-west"]).await.expect(0);
    let names = |plural: &str| -> Vec<String> {
        let all = bed.store("west").list(plural, Some("prod"));
        let named = all.iter().filter_map(|one| one["metadata"]["name"].as_str().map(str::to_owned));
        named.filter(|name| name.contains("prod-west")).collect()
    };
    assert_eq!(names("pods"), ["prod-west-monitor-0"]);
    let claims = names("persistentvolumeclaims");
    assert!(claims.len() == 1 && claims[0].contains("monitor"), "{claims:?}");
    bed.end().await;
}
