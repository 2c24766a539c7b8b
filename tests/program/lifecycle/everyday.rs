//! `restart-component`, `suspend-cluster`, `resume-cluster`: with the proof of what they did, twice, and refused.

use serde_json::{Value, json};

use crate::common::{database, members};
use crate::lifecycle::bed::Bed;

const BASIC: &str = "tidbCluster=legacy/pingcap/basic";
const WEST: &str = "tidbCluster=west/prod/prod-west";

/// uids of the pods of one component.
fn uids(bed: &Bed, context: &str, namespace: &str, prefix: &str) -> Vec<String> {
    let pods = bed.store(context).list("pods", Some(namespace));
    let ours = pods.iter().filter(|pod| pod["metadata"]["name"].as_str().is_some_and(|name| name.starts_with(prefix)));
    ours.map(|pod| pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_one_component_and_no_other() {
    let bed = Bed::of("default", &[]).await;
    let (pd, tikv) = (uids(&bed, "legacy", "pingcap", "basic-pd-"), uids(&bed, "legacy", "pingcap", "basic-tikv-"));
    bed.run("restart-component", &[BASIC, "component=pd"], &["basic"]).await.expect(0);
    let after = uids(&bed, "legacy", "pingcap", "basic-pd-");
    assert!(after.len() == 3 && after.iter().all(|uid| !pd.contains(uid)), "every PD pod is a new one");
    assert_eq!(uids(&bed, "legacy", "pingcap", "basic-tikv-"), tikv);
    // With a clusterDomain as well: right after the mark everything still looks finished.
    let east = uids(&bed, "east", "prod", "prod-east-pd-");
    bed.run("restart-component", &["tidbCluster=east/prod/prod-east", "component=pd"], &["prod-east"]).await.expect(0);
    let after = uids(&bed, "east", "prod", "prod-east-pd-");
    assert!(after.len() == 2 && after.iter().all(|uid| !east.contains(uid)), "every PD pod is a new one");
    // The same mark is the same restart; without one it is another.
    let marked = [BASIC, "component=tikv", "restartedAt=2026-01-01T00:00:00Z"];
    bed.run("restart-component", &marked, &["basic"]).await.expect(0);
    let tc = bed.object("legacy", "tidbclusters", "pingcap", "basic").expect("it is there");
    assert_eq!(tc["spec"]["tikv"]["annotations"]["tidb.pingcap.com/restartedAt"], "2026-01-01T00:00:00Z");
    let after = uids(&bed, "legacy", "pingcap", "basic-tikv-");
    assert!(after.iter().all(|uid| !tikv.contains(uid)));
    let until = bed.log_length();
    let again = bed.run("restart-component", &marked, &["basic"]).await.expect(0);
    assert!(again.all().contains("nothing to do"), "{}", again.all());
    for (inputs, said) in [
        (vec![BASIC, "component=ticdc"], "has no pods of ticdc"),
        (vec![BASIC, "component=discovery"], "expected one of"),
    ] {
        let ran = bed.run("restart-component", &inputs, &["basic"]).await.expect(4);
        assert!(ran.all().contains(said), "{}", ran.all());
    }
    bed.crash_loops("legacy", "pingcap", &["basic-tidb-1"]).await;
    let ran = bed.run("restart-component", &[BASIC, "component=pd"], &["basic"]).await.expect(4);
    assert!(ran.all().contains("does not end by waiting"), "{}", ran.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());
    bed.end().await;
}

fn claims(bed: &Bed) -> usize {
    bed.store("legacy").list("persistentvolumeclaims", Some("pingcap")).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn suspends_only_what_the_rest_can_do_without_and_brings_it_back() {
    let bed = Bed::of("default", &[]).await;
    // Two zones for three replicas: two of one region may lie in west.
    let ran = bed.run("suspend-cluster", &[WEST], &["prod-west"]).await.expect(4);
    assert!(ran.all().contains("data would become unreadable"), "{}", ran.all());
    let ran = bed.run("suspend-cluster", &["tidbCluster=east/prod/prod-east"], &["prod-east"]).await.expect(4);
    assert!(ran.all().contains("which is no majority"), "{}", ran.all());
    let ran = bed.run("suspend-cluster", &[BASIC], &["basic"]).await.expect(4);
    assert!(ran.all().contains("say stopDatabase=true"), "{}", ran.all());
    assert_eq!(bed.writes_since(0), Vec::<String>::new());

    let before = claims(&bed);
    let ids = |status: &Value| -> Vec<Value> {
        members(database(status, "basic")).iter().map(|member| member["id"].clone()).collect()
    };
    let members_before = ids(&bed.status().await);
    let whole = [BASIC, "stopDatabase=true"];
    bed.run("suspend-cluster", &whole, &["basic"]).await.expect(0);
    let pods = uids(&bed, "legacy", "pingcap", "basic-");
    assert_eq!(pods.len(), 1, "only discovery is left");
    assert_eq!(claims(&bed), before);
    let until = bed.log_length();
    let again = bed.run("suspend-cluster", &whole, &["basic"]).await.expect(0);
    assert!(again.all().contains("nothing to do"), "{}", again.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());

    bed.run("resume-cluster", &[BASIC], &[]).await.expect(0);
    let status = bed.status().await;
    assert_eq!(ids(&status), members_before);
    assert_eq!(database(&status, "basic")["problems"], json!([]));
    let until = bed.log_length();
    let again = bed.run("resume-cluster", &[BASIC], &[]).await.expect(0);
    assert!(again.all().contains("nothing to do"), "{}", again.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_is_undone_by_its_own_run() {
    let bed = Bed::of("default", &[]).await;
    bed.run("suspend-cluster", &[BASIC, "stopDatabase=true"], &["basic"]).await.expect(0);
    let run = bed.room.journals().pop().expect("a journal");
    bed.tool(&["runs", "undo", &run, "--yes", "--confirm", "basic"]).await.expect(8);
    let tc = bed.object("legacy", "tidbclusters", "pingcap", "basic").expect("it is there");
    assert_eq!(tc["spec"]["suspendAction"]["suspendStatefulSet"], Value::Null, "{tc:#}");
    bed.run("resume-cluster", &[BASIC], &[]).await.expect(0);
    bed.end().await;
}

fn uid(bed: &Bed, pod: &str) -> Value {
    bed.object("legacy", "pods", "pingcap", pod).unwrap_or_default()["metadata"]["uid"].clone()
}

async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if so() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("not in time: {what}");
}

/// No change comes to its end there: what is ill is made anew by itself, and nothing that is well is touched.
#[tokio::test(flavor = "multi_thread")]
async fn restarts_the_one_pod_that_is_ill() {
    let bed = Bed::of("default", &[]).await;
    let before = uids(&bed, "legacy", "pingcap", "basic-");
    let ill = [BASIC, "component=pd", "pod=basic-pd-1"];
    let ran = bed.run("restart-component", &[BASIC, "component=pd", "pod=basic-tikv-0"], &[]).await.expect(4);
    assert!(ran.all().contains("has no pod basic-tikv-0 of pd"), "{}", ran.all());

    bed.crash_loops("legacy", "pingcap", &["basic-pd-1"]).await;
    // The whole component is not restarted around it, and the refusal says what helps.
    let ran = bed.run("restart-component", &[BASIC, "component=pd"], &["basic"]).await.expect(4);
    assert!(ran.all().contains("basic-pd-1 of legacy/pingcap/basic"), "{}", ran.all());
    assert!(ran.all().contains("restarted with pod=NAME"), "{}", ran.all());
    // One that is well stays while another one is ill.
    for well in ["pod=basic-pd-0", "pod=basic-pd-2"] {
        let ran = bed.run("restart-component", &[BASIC, "component=pd", well], &["basic"]).await.expect(4);
        assert!(ran.all().contains("not ready: basic-pd-1 of legacy/pingcap/basic"), "{}", ran.all());
    }
    assert_eq!(bed.writes_since(0), Vec::<String>::new());

    let old = uid(&bed, "basic-pd-1");
    let (ran, ()) = tokio::join!(bed.run("restart-component", &ill, &["basic-pd-1"]), async {
        until("the pod is made anew", || uid(&bed, "basic-pd-1") != Value::Null && uid(&bed, "basic-pd-1") != old)
            .await;
        bed.sim.break_pod("legacy", "pingcap", "basic-pd-1", false).expect("a context");
    });
    ran.expect(0);
    let after = uids(&bed, "legacy", "pingcap", "basic-");
    let kept = before.iter().filter(|uid| after.contains(uid)).count();
    assert_eq!((kept, after.len()), (before.len() - 1, before.len()), "only the one pod is new");
    bed.end().await;
}

/// A pod that is well is made anew alone, its leader's place apart; its own name is typed, not that of all.
#[tokio::test(flavor = "multi_thread")]
async fn restarts_one_pod_that_is_well() {
    let bed = Bed::of("default", &[]).await;
    let status = bed.status().await;
    let basic = status["databases"].as_array().into_iter().flatten();
    let members: Vec<Value> = basic.flat_map(|one| one["members"].as_array().cloned().unwrap_or_default()).collect();
    let of = |leads: bool| {
        let fits = |one: &&Value| one["leader"] == leads && one["kubeCluster"] == "legacy";
        members.iter().find(fits).and_then(|one| one["pod"].as_str()).expect("a member of legacy").to_owned()
    };
    // Its leader hands on its lead first.
    let leader = format!("pod={}", of(true));
    let ran = bed.run("restart-component", &[BASIC, "component=pd", &leader], &[&of(true)]).await.expect(4);
    assert!(ran.all().contains("run transfer-pd-leader --set tidbCluster=legacy/pingcap/basic"), "{}", ran.all());
    assert_eq!(bed.writes_since(0), Vec::<String>::new());
    for (component, pod) in
        [("pd", of(false)), ("tikv", "basic-tikv-1".to_owned()), ("tidb", "basic-tidb-0".to_owned())]
    {
        let before = uids(&bed, "legacy", "pingcap", "basic-");
        let inputs = [BASIC.to_owned(), format!("component={component}"), format!("pod={pod}")];
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        // What is typed for all of them is no answer for one.
        let (from, known) = (bed.log_length(), bed.room.journals());
        let ran = bed.run("restart-component", &inputs, &["basic"]).await.expect(3);
        assert!(ran.all().contains(&format!("Pod {pod} is deleted; its StatefulSet makes it anew")), "{}", ran.all());
        assert_eq!(bed.writes_since(from), Vec::<String>::new());
        let run = bed.room.journals().into_iter().find(|run| !known.contains(run)).expect("a journal");
        bed.tool(&["runs", "resume", &run, "--yes", "--confirm", &pod]).await.expect(0);
        let after = uids(&bed, "legacy", "pingcap", "basic-");
        let kept = before.iter().filter(|uid| after.contains(uid)).count();
        assert_eq!((kept, after.len()), (before.len() - 1, before.len()), "only {pod} is new");
    }
    bed.end().await;
}

/// Two of three are down: the restart of one brings no majority back, and is refused with what has to come first.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_not_restarted_where_the_others_are_no_majority() {
    let bed = Bed::of("default", &[]).await;
    bed.crash_loops("legacy", "pingcap", &["basic-pd-1", "basic-pd-2"]).await;
    let ran = bed.run("restart-component", &[BASIC, "component=pd", "pod=basic-pd-1"], &["basic"]).await.expect(4);
    assert!(ran.all().contains("which is no majority"), "{}", ran.all());
    assert_eq!(bed.writes_since(0), Vec::<String>::new());
    bed.end().await;
}

/// Where two TidbClusters have one name, typing it would protect neither.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_two_have_confirms_nothing() {
    let namesake = [("name: basic\n    spec:", "name: prod-east\n    spec:"), ("pingcap/basic", "pingcap/prod-east")];
    let bed = Bed::of("default", &namesake).await;
    let (whole, inputs) = ("legacy/pingcap/prod-east", ["tidbCluster=legacy/pingcap/prod-east", "component=tidb"]);
    let ran = bed.run("restart-component", &inputs, &["prod-east"]).await.expect(4);
    assert!(ran.stderr.contains(&format!("more than one TidbCluster or pod in the connected contexts is called prod-east, so it does not say which; this one is confirmed with --confirm {whole}")), "{}", ran.all());
    assert_eq!((bed.writes_since(0), bed.room.journals()), (Vec::new(), Vec::new()));
    // A run that is open already stays at its gate, and says why.
    bed.run("restart-component", &inputs, &[]).await.expect(3);
    let run = bed.room.journals().pop().expect("a journal");
    let ran = bed.tool(&["runs", "resume", &run, "--yes", "--confirm", "prod-east"]).await.expect(3);
    assert!(ran.stderr.contains("more than one TidbCluster"), "{}", ran.all());
    assert!(ran.stderr.contains(&format!("--confirm {whole}")), "{}", ran.all());
    assert_eq!(bed.writes_since(0), Vec::<String>::new());
    bed.tool(&["runs", "resume", &run, "--yes", "--confirm", whole]).await.expect(0);
    // Connected to one of the two alone, the name says which.
    let alone = [&["run", "restart-component", "--context", "legacy", "--confirm", "prod-east"][..]].concat();
    let sets = inputs.iter().flat_map(|input| ["--set", input]);
    bed.tool(&alone.into_iter().chain(sets).collect::<Vec<_>>()).await.expect(0);
    bed.end().await;
}
