//! list, watch, discovery, rights.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};

use crate::sim_api::bed::Bed;
use crate::sim_api::{JSON, TCS, refused, send};

fn clusters(client: kube::Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("pingcap.com", "v1alpha1", "TidbCluster");
    Api::all_with(client, &ApiResource::from_gvk_with_plural(&kind, "tidbclusters"))
}

#[tokio::test]
async fn lists_have_selectors_and_pages() {
    let bed = Bed::start().await;
    let pods: Api<Pod> = Api::all(bed.client("reader").await);
    let count = async |parameters: ListParams| pods.list(&parameters).await.expect("a list").items.len();
    assert_eq!(count(ListParams::default()).await, 4);
    assert_eq!(count(ListParams::default().labels("app in (pd,tikv)")).await, 3);
    assert_eq!(count(ListParams::default().fields("status.phase!=Running")).await, 1);
    assert_eq!(count(ListParams::default().fields("metadata.namespace=pingcap,metadata.name=stuck")).await, 1);
    let first = pods.list(&ListParams::default().limit(3)).await.expect("a page");
    let next = first.metadata.continue_.clone().expect("there is more");
    assert_eq!((first.items.len(), first.metadata.remaining_item_count), (3, Some(1)));
    let second = pods.list(&ListParams::default().limit(3).continue_token(&next)).await.expect("a page");
    assert_eq!(second.items[0].metadata.name.as_deref(), Some("stuck"));
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    bed.store.compact();
    bed.store.put("configmaps", json!({"metadata": {"namespace": "pingcap", "name": "later"}}));
    bed.store.compact();
    let expired = pods.list(&ListParams::default().continue_token(&next)).await.expect_err("compacted");
    assert!(
        matches!(&expired, kube::Error::Api(status) if status.code == 410 && status.reason == "Expired"),
        "{expired}"
    );
    let client = bed.client("reader").await;
    refused(
        &client,
        "GET /api/v1/pods?fieldSelector=spec.x%3D1",
        JSON,
        Value::Null,
        (400, "BadRequest", "field label not supported"),
    )
    .await;
}

#[tokio::test]
async fn watches_replay_select_and_expire() {
    let bed = Bed::start().await;
    let client = bed.client("admin").await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "pingcap");
    let version =
        pods.list(&ListParams::default()).await.expect("a list").metadata.resource_version.expect("a version");
    // What happened in between is replayed, as this selection sees it.
    bed.store.edit("pods", "pingcap", "stuck", |pod| pod["metadata"]["labels"] = json!({"app": "pd"}));
    bed.store.edit("pods", "pingcap", "stuck", |pod| pod["metadata"]["labels"] = json!({"app": "other"}));
    bed.store.put("pods", json!({"metadata": {"namespace": "elsewhere", "name": "x", "labels": {"app": "pd"}}}));
    let parameters = WatchParams::default().labels("app=pd").timeout(2);
    let mut events = pods.watch(&parameters, &version).await.expect("a watch").boxed();
    let mut words = Vec::new();
    while words.len() < 2 {
        match events.next().await.expect("two events").expect("no error") {
            WatchEvent::Added(pod) => words.push(format!("added {}", pod.metadata.name.unwrap_or_default())),
            WatchEvent::Deleted(pod) => {
                assert_eq!(pod.metadata.labels.expect("as last seen")["app"], "pd");
                words.push(format!("deleted {}", pod.metadata.name.unwrap_or_default()));
            }
            other => panic!("not expected: {other:?}"),
        }
    }
    assert_eq!(words, ["added stuck", "deleted stuck"]);
    bed.store.remove("pods", "pingcap", "basic-pd-0");
    assert!(matches!(events.next().await, Some(Ok(WatchEvent::Deleted(_)))));
    // At the end of its time a bookmark, then a plain end.
    assert!(matches!(events.next().await, Some(Ok(WatchEvent::Bookmark(_)))));
    assert!(events.next().await.is_none());

    let expired: Vec<_> =
        pods.watch(&WatchParams::default(), "1").await.expect("HTTP 200").try_collect().await.expect("events");
    assert!(matches!(&expired[..], [WatchEvent::Error(status)] if status.code == 410 && status.reason == "Expired"));

    // Both ways of kube's watcher: list and watch, and the streaming list.
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let mut stream = watcher(clusters(client.clone()), config).applied_objects().boxed();
        let seen = tokio::time::timeout(Duration::from_secs(5), stream.next()).await.expect("in time");
        assert_eq!(seen.expect("an event").expect("no error").metadata.name.as_deref(), Some("basic"));
    }
}

#[tokio::test]
async fn tables_and_discovery() {
    let bed = Bed::start().await;
    let client = bed.client("admin").await;
    let request = http::Request::get(format!("{TCS}/basic"))
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
        .body(Vec::new())
        .expect("a request");
    let table: Value = client.request(request).await.expect("a table");
    let cells = table["rows"][0]["cells"].as_array().expect("a row of cells");
    assert_eq!(cells[..5], ["basic".into(), "True".into(), "pingcap/pd:v8.5.7".into(), "10Gi".into(), json!(3)]);
    assert_eq!(table["columnDefinitions"][1]["name"], "Ready");
    assert_eq!(client.apiserver_version().await.expect("a version").git_version, "v1.33.4");
    let groups = async || {
        let groups = client.list_api_groups().await.expect("groups").groups;
        groups.into_iter().map(|group| group.name).collect::<Vec<_>>()
    };
    assert!(groups().await.contains(&"pingcap.com".to_owned()));
    send(
        &client,
        "DELETE /apis/apiextensions.k8s.io/v1/customresourcedefinitions/tidbclusters.pingcap.com",
        JSON,
        &Value::Null,
    )
    .await;
    assert!(!groups().await.contains(&"pingcap.com".to_owned()));
    refused(
        &client,
        &format!("GET {TCS}"),
        JSON,
        Value::Null,
        (404, "NotFound", "could not find the requested resource"),
    )
    .await;
    refused(
        &client,
        "POST /api/v1/namespaces/pingcap/pods/stuck",
        JSON,
        json!({}),
        (405, "MethodNotAllowed", "does not allow"),
    )
    .await;
    refused(&client, "GET /apis/nothing/v1", JSON, Value::Null, (404, "NotFound", "could not find")).await;
}

#[tokio::test]
async fn rights_are_told_and_kept() {
    let bed = Bed::start().await;
    let nobody = bed.client("nobody").await;
    let denied = r#"tidbclusters.pingcap.com is forbidden: User "nobody" cannot list resource "tidbclusters""#;
    let status = refused(&nobody, &format!("GET {TCS}"), JSON, Value::Null, (403, "Forbidden", denied)).await;
    assert_eq!(
        (&status["details"]["group"], &status["details"]["kind"]),
        (&json!("pingcap.com"), &json!("tidbclusters"))
    );
    let reader = bed.client("reader").await;
    refused(&reader, &format!("DELETE {TCS}/basic"), JSON, Value::Null, (403, "Forbidden", "cannot delete")).await;
    for (verb, allowed) in [("list", true), ("patch", false)] {
        let review =
            json!({"spec": {"resourceAttributes": {"verb": verb, "group": "pingcap.com", "resource": "tidbclusters"}}});
        let line = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let (code, answer, _) = send(&reader, line, JSON, &review).await;
        assert_eq!((code, &answer["status"]["allowed"]), (201, &json!(allowed)));
    }
    let (_, me, _) = send(&reader, "POST /apis/authentication.k8s.io/v1/selfsubjectreviews", JSON, &json!({})).await;
    assert_eq!(me["status"]["userInfo"]["username"], "reader");

    let mut config = bed.kubeconfig();
    config["users"][0]["user"]["token"] = json!("made up");
    let config = serde_json::from_value(config).expect("a kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await.expect("usable");
    let stranger = kube::Client::try_from(config).expect("usable");
    refused(&stranger, "GET /api/v1/pods", JSON, Value::Null, (401, "Unauthorized", "Unauthorized")).await;
    let statuses: Vec<Value> = bed.log.lines().into_iter().map(|line| line["status"].clone()).collect();
    assert!(statuses.contains(&json!(401)) && statuses.contains(&json!(403)), "{statuses:?}");
}
