//! What the operator does after a patch: rolls, waits, blocks, joins, leaves.

use http::{Method, StatusCode};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tidepilot::sim::scenario::Scenario;
use tidepilot::sim::{Sim, SimOptions};

use crate::sim_world::wires::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_by_hand() {
    let sim = start("default").await;
    let client = client(&sim, "legacy").await;
    let before = tc(&sim);
    let store_1 = get_json(&client, "pingcap", "basic-pd-0", "/pd/api/v1/store/1").await;
    assert_eq!(store_1["store"]["address"], "basic-tikv-0.basic-tikv-peer.pingcap.svc:20160");

    patch(&client, "pingcap", "basic", json!({"clusterDomain": "cluster1.com", "acrossK8s": true})).await;
    assert_eq!(tc(&sim)["status"]["conditions"][0]["status"], "True", "Ready is stale right after the patch");

    // Names appear in etcd from the highest ordinal down, one pod at a time; peerURLs stay.
    let mut order = Vec::new();
    eventually("three renamed members", || {
        let members = sim.database("basic").expect("the Database");
        for member in members.iter().filter(|member| member.name.ends_with(".svc.cluster1.com")) {
            let pod = member.name.split('.').next().unwrap_or_default().to_owned();
            if !order.contains(&pod) {
                order.push(pod);
            }
        }
        let away = (0..3).filter(|ordinal| !ready(&pod(&sim, &format!("basic-pd-{ordinal}")))).count();
        assert!(away <= 1, "never two at once");
        let done = order.len() == 3;
        async move { done.then_some(()) }
    })
    .await;
    assert_eq!(order, ["basic-pd-2", "basic-pd-1", "basic-pd-0"]);
    eventually("the end of the roll", || async { rolled(&sim).then_some(()) }).await;
    let after = tc(&sim);
    assert_ne!(
        after["status"]["pd"]["statefulSet"]["updateRevision"],
        before["status"]["pd"]["statefulSet"]["updateRevision"]
    );
    assert!(after["metadata"]["generation"].as_u64() > before["metadata"]["generation"].as_u64().map(|old| old + 3));
    let name = "basic-pd-1.basic-pd-peer.pingcap.svc.cluster1.com";
    assert_eq!(after["status"]["pd"]["members"][name]["health"], true);

    // A pod made anew is labelled again, with the id in decimal.
    let id = sim.database("basic").and_then(|members| Some(members.iter().find(|member| member.name == name)?.id));
    let label = || pod(&sim, "basic-pd-1")["metadata"]["labels"]["tidb.pingcap.com/member-id"].clone();
    assert_eq!(label(), json!(id.map(|id| id.to_string())));

    let members = get_json(&client, "pingcap", "basic-pd-0", "/v2/members").await;
    for member in members["members"].as_array().expect("members") {
        let pod = member["name"].as_str().and_then(|name| name.split('.').next()).expect("a name").to_owned();
        let ordinal: u32 = pod[pod.len() - 1..].parse().expect("an ordinal");
        assert_eq!(member["peerURLs"], json!([old_url(ordinal)]), "peerURLs do not follow by themselves");
        assert_eq!(member["clientURLs"], json!([format!("http://{pod}.basic-pd-peer.pingcap.svc.cluster1.com:2379")]));
        let path = format!("/v2/members/{}", member["id"].as_str().expect("an id"));
        let body = json!({"peerURLs": [new_url(ordinal)]}).to_string();
        let answer = pd(&client, "pingcap", &pod, Method::PUT, &path, &body).await;
        assert_eq!(answer, Some((StatusCode::NO_CONTENT, String::new())));
    }
    let members = get_json(&client, "pingcap", "basic-pd-2", "/v2/members").await;
    let text = members.to_string();
    assert!((0..3).all(|ordinal| text.contains(&new_url(ordinal)) && !text.contains(&old_url(ordinal))), "{text}");
    let store_1 = get_json(&client, "pingcap", "basic-pd-0", "/pd/api/v1/store/1").await;
    assert_eq!(store_1["store"]["address"], "basic-tikv-0.basic-tikv-peer.pingcap.svc.cluster1.com:20160");

    let lines = sim.log().lines();
    let writes = lines.iter().filter(|line| line["method"] == "PUT" && line["pod"].is_string());
    assert_eq!(writes.count(), 3);
    let patches: Vec<&Value> = lines.iter().filter(|line| line["method"] == "PATCH").collect();
    assert_eq!(patches.len(), 1);
    assert_eq!(patches[0]["kubeCluster"], "legacy");
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_tidb_cluster_joins_and_leaves() {
    let sim = start("half-migrated").await;
    let east = client(&sim, "east").await;
    let joining = |reference: Value| {
        json!({
            "apiVersion": "pingcap.com/v1alpha1", "kind": "TidbCluster",
            "metadata": {"namespace": "prod", "name": "second"},
            "spec": {
                "version": "v7.5.4", "acrossK8s": true, "clusterDomain": "east.local", "cluster": reference,
                "configUpdateStrategy": "RollingUpdate",
                "pd": {"replicas": 1, "config": {}, "requests": {"storage": "1Gi"}},
                "tikv": {"replicas": 1, "config": {}, "requests": {"storage": "1Gi"}},
            },
        })
    };
    let reference = json!({"name": "basic", "namespace": "pingcap", "clusterDomain": "cluster1.com"});
    let api = tidb_clusters(&east, "prod");
    let apply = PatchParams::apply("test");
    api.patch("second", &apply, &Patch::Apply(joining(reference))).await.expect("applied");
    let second = || sim.store("east").expect("a context").get("tidbclusters", "prod", "second").unwrap_or_default();
    let pods = || {
        let mut pods = sim.store("east").expect("a context").list("pods", Some("prod"));
        pods.retain(|pod| pod["metadata"]["labels"]["app.kubernetes.io/instance"] == "second");
        pods
    };
    eventually("the join", || async { (second()["status"]["conditions"][0]["status"] == "True").then_some(()) }).await;
    assert_eq!(second()["status"]["clusterID"], tc(&sim)["status"]["clusterID"], "one Database");
    assert_eq!(sim.database("basic").map(|members| members.len()), Some(4));
    eventually("the peer in the first one's status", || async {
        tc(&sim)["status"]["pd"]["peerMembers"].as_object().filter(|peers| peers.len() == 1).map(|_| ())
    })
    .await;

    patch(&east, "prod", "second", json!({"pd": {"replicas": 0}, "tikv": {"replicas": 0}})).await;
    eventually("the member and the store gone", || async {
        let members = sim.database("basic").map_or(0, |members| members.len());
        (members == 3 && pods().len() == 1).then_some(())
    })
    .await;
    assert_eq!(pods()[0]["metadata"]["labels"]["app.kubernetes.io/component"], "discovery", "which stays");
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_domain_blocks_a_new_operator() {
    let sim = start("default").await;
    let client = client(&sim, "legacy").await;
    let uids = pd_uids(&sim);
    patch(&client, "pingcap", "basic", json!({"clusterDomain": "wrong.com", "acrossK8s": true})).await;
    eventually("PD out of sync", || async { (tc(&sim)["status"]["pd"]["synced"] == false).then_some(()) }).await;
    pass(40.0).await;
    assert_eq!(pd_uids(&sim), uids, "nothing rolls");
    assert_eq!(tc(&sim)["status"]["conditions"][0]["status"], "True", "and Ready does not say so");
    patch(&client, "pingcap", "basic", json!({"clusterDomain": null, "acrossK8s": null})).await;
    eventually("PD in sync", || async { (tc(&sim)["status"]["pd"]["synced"] == true).then_some(()) }).await;
    assert_eq!(pd_uids(&sim), uids);
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_domain_with_an_old_operator_costs_one_pod_until_it_is_reverted() {
    let text = include_str!("../../../assets/scenarios/default.yaml").replace("operator: v1.6.6", "operator: v1.5.2");
    let scenario = Scenario::parse("old-operator", &text).expect("a scenario");
    let options = SimOptions { speed: SPEED, ..SimOptions::default() };
    let sim = Sim::start_scenario(scenario, options).await.expect("it starts");
    let client = client(&sim, "legacy").await;
    let uids = pd_uids(&sim);
    patch(&client, "pingcap", "basic", json!({"clusterDomain": "wrong.com", "acrossK8s": true})).await;
    eventually("a crash loop", || async { crash_loops(&pod(&sim, "basic-pd-2")).then_some(()) }).await;
    pass(20.0).await;
    assert_eq!(pd_uids(&sim)[..2], uids[..2], "the others are left alone");
    patch(&client, "pingcap", "basic", json!({"clusterDomain": null, "acrossK8s": null})).await;
    eventually("the pod back", || async { (ready(&pod(&sim, "basic-pd-2")) && rolled(&sim)).then_some(()) }).await;
    assert_eq!(pd_uids(&sim)[..2], uids[..2]);
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_place_and_paused_restart_nothing() {
    let sim = start("default").await;
    let client = client(&sim, "legacy").await;
    let uids = pd_uids(&sim);
    patch(&client, "pingcap", "basic", json!({"paused": true, "acrossK8s": true})).await;
    let resource_version = tc(&sim)["metadata"]["resourceVersion"].clone();
    pass(15.0).await;
    assert_eq!(tc(&sim)["metadata"]["resourceVersion"], resource_version, "a paused TidbCluster is not looked at");
    let spec = json!({"paused": null, "configUpdateStrategy": "InPlace", "clusterDomain": "cluster1.com"});
    patch(&client, "pingcap", "basic", spec).await;
    pass(40.0).await;
    assert_eq!(pd_uids(&sim), uids);
    assert!(sim.database("basic").expect("the Database").iter().all(|member| !member.name.contains("cluster1.com")));
    let maps = sim.store("legacy").expect("a context").list("configmaps", Some("pingcap"));
    assert!(
        maps.iter().any(|map| map["data"]["startup-script"].as_str().is_some_and(|text| text.contains("cluster1.com")))
    );
    // The same change with RollingUpdate does roll: the test above can fail.
    patch(&client, "pingcap", "basic", json!({"configUpdateStrategy": "RollingUpdate"})).await;
    eventually("a roll", || async { (pd_uids(&sim) != uids).then_some(()) }).await;
    sim.shutdown().await;
}

/// TiFlash always has a ConfigMap, TiCDC's and Pump's scripts are in the container's command: a domain rolls them, with
/// `config` or without. TiKV without `config` stays as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_domain_rolls_what_has_its_script_in_the_template() {
    let sim = start("default").await;
    let client = client(&sim, "legacy").await;
    let storage = json!({"storage": "1Gi"});
    let more = json!({
        "tikv": {"config": null},
        "tiflash": {"replicas": 1, "maxFailoverCount": 0, "storageClaims": [{"resources": {"requests": storage}}]},
        "ticdc": {"replicas": 1, "configUpdateStrategy": "InPlace"},
        "pump": {"replicas": 1, "requests": storage},
    });
    patch(&client, "pingcap", "basic", more).await;
    let revision = |component: &str| {
        let name = format!("basic-{component}");
        let set = sim.store("legacy").expect("a context").get("statefulsets", "pingcap", &name).unwrap_or_default();
        set["status"]["updateRevision"].as_str().map(str::to_owned)
    };
    let all = ["tikv", "tiflash", "ticdc", "pump"];
    eventually("all pods", || async {
        let there =
            ["tiflash", "ticdc", "pump"].iter().all(|component| ready(&pod(&sim, &format!("basic-{component}-0"))));
        there.then_some(())
    })
    .await;
    let before = all.map(&revision);
    patch(&client, "pingcap", "basic", json!({"clusterDomain": "cluster1.com", "acrossK8s": true})).await;
    eventually("new templates", || async {
        let now = all.map(&revision);
        (now[1..].iter().zip(&before[1..]).all(|(now, before)| now != before)).then_some(())
    })
    .await;
    assert_eq!(revision("tikv"), before[0], "its script lies in a ConfigMap that nobody makes");
    let maps = sim.store("legacy").expect("a context").list("configmaps", Some("pingcap"));
    let named =
        |part: &str| maps.iter().any(|map| map["metadata"]["name"].as_str().is_some_and(|name| name.contains(part)));
    assert!(named("basic-tiflash") && named("basic-pump") && !named("basic-ticdc"));
    sim.shutdown().await;
}
