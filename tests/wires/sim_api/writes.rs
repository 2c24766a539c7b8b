//! create, update, the patches and delete, with their refusals.

use serde_json::{Value, json};

use crate::sim_api::bed::{Bed, tidb_cluster};
use crate::sim_api::{JSON, MERGE, TCS, refused, send};

const JSON_PATCH: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

#[tokio::test]
async fn objects_are_made_changed_and_deleted() {
    let bed = Bed::start().await;
    let client = bed.client("admin").await;
    let (code, made, _) = send(&client, &format!("POST {TCS}"), JSON, &tidb_cluster("new")).await;
    assert_eq!((code, &made["metadata"]["generation"]), (201, &json!(1)));
    assert!(made["metadata"]["uid"].is_string() && made["metadata"]["creationTimestamp"].is_string());
    refused(
        &client,
        &format!("POST {TCS}"),
        JSON,
        tidb_cluster("new"),
        (409, "AlreadyExists", "\"new\" already exists"),
    )
    .await;

    // No status subresource: status counts as a change of the object, and has no path of its own.
    let (_, patched, _) =
        send(&client, &format!("PATCH {TCS}/new"), MERGE, &json!({"status": {"clusterID": "1"}})).await;
    assert_eq!((&patched["metadata"]["generation"], &patched["status"]["clusterID"]), (&json!(2), &json!("1")));
    for line in [format!("GET {TCS}/new/status"), format!("PATCH {TCS}/new/status")] {
        refused(&client, &line, MERGE, json!({}), (404, "NotFound", "could not find the requested resource")).await;
    }
    // The StatefulSet has one: through the main path its status stays.
    let set = "/apis/apps/v1/namespaces/pingcap/statefulsets/basic-pd";
    let (_, same, _) = send(&client, &format!("PATCH {set}"), MERGE, &json!({"status": {"replicas": 9}})).await;
    let (_, status, _) =
        send(&client, &format!("PATCH {set}/status"), MERGE, &json!({"status": {"replicas": 8}})).await;
    assert_eq!((&same["status"]["replicas"], &status["status"]["replicas"]), (&json!(3), &json!(8)));
    assert_eq!(status["metadata"]["generation"], 1);

    let stale = json!({"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "spec": {"version": "x"}});
    refused(&client, &format!("PATCH {TCS}/new"), MERGE, stale, (409, "Conflict", "the object has been modified"))
        .await;
    let mut whole = patched.clone();
    whole["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
    refused(&client, &format!("PUT {TCS}/new"), JSON, whole, (409, "Conflict", "the object has been modified")).await;
    let mut whole = patched.clone();
    whole["spec"]["version"] = json!("v9");
    let (code, put, _) = send(&client, &format!("PUT {TCS}/new"), JSON, &whole).await;
    assert_eq!((code, &put["spec"]["version"], &put["metadata"]["generation"]), (200, &json!("v9"), &json!(3)));
    let (_, again, _) = send(&client, &format!("PUT {TCS}/new"), JSON, &put).await;
    assert_eq!(again, put, "nothing changed, not even the resourceVersion");

    let wrong = json!({"kind": "DeleteOptions", "preconditions": {"uid": "other"}});
    refused(&client, &format!("DELETE {TCS}/new"), JSON, wrong, (409, "Conflict", "Precondition failed: UID")).await;
    let wrong = json!({"kind": "DeleteOptions", "preconditions": {"resourceVersion": "1"}});
    refused(&client, &format!("DELETE {TCS}/new"), JSON, wrong, (409, "Conflict", "Precondition failed")).await;
    let dry = json!({"kind": "DeleteOptions", "dryRun": ["All"]});
    assert_eq!(send(&client, &format!("DELETE {TCS}/new"), JSON, &dry).await.0, 200);
    let (code, gone, _) = send(&client, &format!("DELETE {TCS}/new"), JSON, &Value::Null).await;
    assert_eq!((code, &gone["status"], &gone["details"]["kind"]), (200, &json!("Success"), &json!("tidbclusters")));
    refused(
        &client,
        &format!("GET {TCS}/new"),
        JSON,
        Value::Null,
        (404, "NotFound", "tidbclusters.pingcap.com \"new\" not found"),
    )
    .await;

    // Dependents go along, theirs too; finalizers hold an object back.
    bed.store.edit("pods", "pingcap", "stuck", |pod| pod["metadata"]["finalizers"] = json!(["a/b"]));
    let (_, held, _) = send(&client, "DELETE /api/v1/namespaces/pingcap/pods/stuck", JSON, &Value::Null).await;
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    send(&client, &format!("DELETE {TCS}/basic"), JSON, &json!({"propagationPolicy": "Background"})).await;
    assert!(bed.store.list("statefulsets", None).is_empty());
    assert_eq!(bed.store.list("pods", None).len(), 1, "only the one with a finalizer is left");
    send(&client, "PATCH /api/v1/namespaces/pingcap/pods/stuck", MERGE, &json!({"metadata": {"finalizers": null}}))
        .await;
    assert!(bed.store.list("pods", None).is_empty());
    refused(
        &client,
        "POST /api/v1/namespaces/nowhere/configmaps",
        JSON,
        json!({"metadata": {"name": "x"}}),
        (404, "NotFound", "namespaces \"nowhere\" not found"),
    )
    .await;
}

#[tokio::test]
async fn validation_speaks_as_the_measured_server() {
    let bed = Bed::start().await;
    let client = bed.client("admin").await;
    let misspelt = json!({"spec": {"clusterDomian": "a.com"}});
    let (code, patched, warnings) = send(&client, &format!("PATCH {TCS}/basic"), MERGE, &misspelt).await;
    assert_eq!((code, patched["spec"].get("clusterDomian")), (200, None));
    assert_eq!(warnings, [r#"299 - "unknown field \"spec.clusterDomian\"""#]);
    let strict = format!("PATCH {TCS}/basic?fieldValidation=Strict");
    refused(&client, &strict, MERGE, misspelt.clone(), (422, "Invalid", r#"unknown field "spec.clusterDomian""#)).await;
    let ignore = format!("PATCH {TCS}/basic?fieldValidation=Ignore");
    assert_eq!(send(&client, &ignore, MERGE, &misspelt).await.2, Vec::<String>::new());

    let wrong = json!({"spec": {"pd": {"replicas": "three"}}});
    let status =
        refused(&client, &format!("PATCH {TCS}/basic"), MERGE, wrong, (422, "Invalid", "must be of type integer"))
            .await;
    assert_eq!(status["details"]["causes"][0]["field"], "spec.pd.replicas");
    refused(
        &client,
        &format!("PATCH {TCS}/basic"),
        STRATEGIC,
        json!({}),
        (415, "UnsupportedMediaType", "unknown format"),
    )
    .await;
    let failing = json!([{"op": "test", "path": "/spec/version", "value": "no"}]);
    refused(&client, &format!("PATCH {TCS}/basic"), JSON_PATCH, failing, (422, "Invalid", "rejected our request"))
        .await;

    let before = bed.store.get("tidbclusters", "pingcap", "basic").expect("the bed has it");
    let domain = json!({"spec": {"clusterDomain": "a.com"}});
    let (code, would_be, _) = send(&client, &format!("PATCH {TCS}/basic?dryRun=All"), MERGE, &domain).await;
    assert_eq!(
        (code, &would_be["spec"]["clusterDomain"], &would_be["metadata"]["generation"]),
        (200, &json!("a.com"), &json!(2))
    );
    assert_eq!(bed.store.get("tidbclusters", "pingcap", "basic"), Some(before));

    let old = Bed::start_version("v1.20.2").await;
    let (code, _, warnings) = send(&old.client("admin").await, &strict, MERGE, &misspelt).await;
    assert_eq!((code, warnings.len()), (200, 0), "such an old server knows no Strict");
}

#[tokio::test]
async fn fields_have_owners() {
    let bed = Bed::start().await;
    let client = bed.client("admin").await;
    let declared = |spec: Value| json!({"apiVersion": "pingcap.com/v1alpha1", "kind": "TidbCluster", "metadata": {"name": "applied"}, "spec": spec});
    let apply = |query: &str| format!("PATCH {TCS}/applied?{query}");
    let spec = json!({"version": "1", "pd": {"replicas": 3}});
    refused(
        &client,
        &apply("force=true"),
        APPLY,
        declared(spec.clone()),
        (422, "Invalid", "is required for apply patch"),
    )
    .await;
    assert_eq!(send(&client, &apply("fieldManager=one"), APPLY, &declared(spec.clone())).await.0, 201);
    let (_, same, _) = send(&client, &apply("fieldManager=one"), APPLY, &declared(spec)).await;
    assert_eq!(
        (&same["metadata"]["generation"], &same["metadata"]["managedFields"][0]["manager"]),
        (&json!(1), &json!("one"))
    );

    let version = declared(json!({"version": "2"}));
    let status = refused(
        &client,
        &apply("fieldManager=two"),
        APPLY,
        version.clone(),
        (409, "Conflict", "Apply failed with 1 conflict"),
    )
    .await;
    let cause = &status["details"]["causes"][0];
    assert_eq!((&cause["reason"], &cause["field"]), (&json!("FieldManagerConflict"), &json!(".spec.version")));
    let (code, forced, _) = send(&client, &apply("fieldManager=two&force=true"), APPLY, &version).await;
    assert_eq!((code, &forced["spec"]), (200, &json!({"version": "2", "pd": {"replicas": 3}})));
    let (_, dropped, _) = send(&client, &apply("fieldManager=two"), APPLY, &declared(json!({}))).await;
    assert_eq!(dropped["spec"], json!({"pd": {"replicas": 3}}));

    let (_, patched, _) =
        send(&client, &apply("fieldManager=hand"), MERGE, &json!({"spec": {"clusterDomain": "a.com"}})).await;
    let managers: Vec<&Value> = patched["metadata"]["managedFields"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| &entry["manager"])
        .collect();
    assert_eq!(managers, ["one", "two", "hand"], "two still owns the (empty) spec it declared");
    refused(
        &client,
        &apply("fieldManager=one"),
        APPLY,
        declared(json!({"clusterDomain": "b.com", "pd": {"replicas": 3}})),
        (409, "Conflict", r#"conflict with "hand" using pingcap.com/v1alpha1: .spec.clusterDomain"#),
    )
    .await;
}
