//! A user who has what the Roles give: what they do not give is refused as a real API server refuses it, word for word.
//!
//! The sentences are those of Kubernetes' RBAC authorizer. Not here: rules without roles (`trouble`).

use serde_json::{Value, json};

use super::bed::Bed;
use super::{JSON, MERGE, TCS, refused, send};

const GROUP: &str = "rbac.authorization.k8s.io";

fn role(kind: &str, name: &str, rules: Value) -> Value {
    let mut role =
        json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": {"name": name}, "rules": rules});
    if kind == "Role" {
        role["metadata"]["namespace"] = json!("pingcap");
    }
    role
}

fn binding(kind: &str, role_kind: &str, role: &str, subject: Value) -> Value {
    let mut binding = json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": {"name": role},
        "roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role}, "subjects": [subject]});
    if kind == "RoleBinding" {
        binding["metadata"]["namespace"] = json!("pingcap");
    }
    binding
}

fn user() -> Value {
    json!({"apiGroup": GROUP, "kind": "User", "name": "bound"})
}

/// The whole message of a refusal.
async fn sentence(client: &kube::Client, line: &str, content_type: &str, body: Value) -> String {
    let status = refused(client, line, content_type, body, (403, "Forbidden", "is forbidden")).await;
    status["message"].as_str().expect("a message").to_owned()
}

#[tokio::test]
async fn what_no_role_gives_is_refused_in_the_words_of_a_real_server() {
    let bed = Bed::start().await;
    let client = bed.client("bound").await;
    let pods = "/api/v1/namespaces/pingcap/pods";
    let said = async |line: &str, kind: &str, body: Value| sentence(&client, line, kind, body).await;
    // Nothing is bound: every verb, namespaced, at the cluster scope, on a subresource.
    for (line, kind, body, words) in [
        (
            format!("GET {pods}"),
            JSON,
            Value::Null,
            r#"pods is forbidden: User "bound" cannot list resource "pods" in API group "" in the namespace "pingcap""#,
        ),
        (
            "GET /apis/pingcap.com/v1alpha1/tidbclusters".to_owned(),
            JSON,
            Value::Null,
            r#"tidbclusters.pingcap.com is forbidden: User "bound" cannot list resource "tidbclusters" in API group "pingcap.com" at the cluster scope"#,
        ),
        (
            format!("PATCH {TCS}/basic"),
            MERGE,
            json!({"spec": {}}),
            r#"tidbclusters.pingcap.com "basic" is forbidden: User "bound" cannot patch resource "tidbclusters" in API group "pingcap.com" in the namespace "pingcap""#,
        ),
        (
            format!("GET {pods}/basic-pd-0/portforward"),
            JSON,
            Value::Null,
            r#"pods "basic-pd-0" is forbidden: User "bound" cannot get resource "pods/portforward" in API group "" in the namespace "pingcap""#,
        ),
        (
            "POST /api/v1/namespaces/pingcap/configmaps".to_owned(),
            JSON,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}),
            r#"configmaps is forbidden: User "bound" cannot create resource "configmaps" in API group "" in the namespace "pingcap""#,
        ),
    ] {
        assert_eq!(said(&line, kind, body).await, words, "{line}");
    }

    // A Role gives what it names where it is, and nothing beside.
    bed.store.put(
        "roles",
        role(
            "Role",
            "look",
            json!([
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
                {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["*/portforward"], "verbs": ["create"]},
            ]),
        ),
    );
    bed.store.put("rolebindings", binding("RoleBinding", "Role", "look", user()));
    assert_eq!(send(&client, &format!("GET {pods}"), JSON, &Value::Null).await.0, 200);
    for (line, words) in [
        (
            "GET /api/v1/namespaces/other/pods",
            r#"cannot list resource "pods" in API group "" in the namespace "other""#,
        ),
        ("GET /api/v1/pods", r#"cannot list resource "pods" in API group "" at the cluster scope"#),
        (&format!("GET {pods}/basic-pd-0"), r#"pods "basic-pd-0" is forbidden: User "bound" cannot get resource"#),
        ("GET /api/v1/namespaces/pingcap/configmaps", r#"configmaps is forbidden: User "bound" cannot list"#),
        ("GET /api/v1/namespaces/pingcap/configmaps/two", r#"configmaps "two" is forbidden: User "bound" cannot get"#),
    ] {
        assert!(said(line, JSON, Value::Null).await.contains(words), "{line}");
    }
    // What may be read may be absent, which is no matter of rights.
    assert_eq!(send(&client, "GET /api/v1/namespaces/pingcap/configmaps/one", JSON, &Value::Null).await.0, 404);

    // A ClusterRole through a RoleBinding counts in its namespace only.
    let all = json!([{"apiGroups": ["pingcap.com"], "resources": ["*"], "verbs": ["*"]}]);
    bed.store.put("clusterroles", role("ClusterRole", "clusters", all));
    bed.store.put("rolebindings", binding("RoleBinding", "ClusterRole", "clusters", user()));
    assert_eq!(send(&client, &format!("GET {TCS}"), JSON, &Value::Null).await.0, 200);
    let words = said("GET /apis/pingcap.com/v1alpha1/tidbclusters", JSON, Value::Null).await;
    assert!(words.ends_with("at the cluster scope"), "{words}");

    // A binding to a role that is not there says so, where it would count.
    bed.store.put("rolebindings", binding("RoleBinding", "Role", "gone", user()));
    let words = said("GET /api/v1/namespaces/pingcap/secrets", JSON, Value::Null).await;
    assert!(
        words.ends_with(r#"in the namespace "pingcap": RBAC: role.rbac.authorization.k8s.io "gone" not found"#),
        "{words}"
    );
    let words = said("GET /api/v1/namespaces/other/secrets", JSON, Value::Null).await;
    assert!(words.ends_with(r#"in the namespace "other""#), "{words}");
    bed.store.put("clusterrolebindings", binding("ClusterRoleBinding", "ClusterRole", "lost", user()));
    let words = said("GET /api/v1/namespaces/pingcap/secrets", JSON, Value::Null).await;
    let both = r#": RBAC: [clusterrole.rbac.authorization.k8s.io "lost" not found, role.rbac.authorization.k8s.io "gone" not found]"#;
    assert!(words.ends_with(both), "{words}");

    // A group counts as the user does; taken away, it is refused at once.
    let group = json!({"apiGroup": GROUP, "kind": "Group", "name": "system:authenticated"});
    let secrets = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]);
    bed.store.put("clusterroles", role("ClusterRole", "lost", secrets));
    bed.store.put("clusterrolebindings", binding("ClusterRoleBinding", "ClusterRole", "lost", group));
    assert_eq!(send(&client, "GET /api/v1/secrets", JSON, &Value::Null).await.0, 200);
    bed.store.remove("clusterrolebindings", "", "lost");
    assert!(said("GET /api/v1/secrets", JSON, Value::Null).await.ends_with("at the cluster scope"));
}

#[tokio::test]
async fn kubectl_reads_the_same_rights() {
    if Bed::kubectl_program().is_none() {
        return;
    }
    let bed = Bed::start().await;
    bed.store.put(
        "roles",
        role(
            "Role",
            "look",
            json!([
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
            ]),
        ),
    );
    bed.store.put("rolebindings", binding("RoleBinding", "Role", "look", user()));
    let (code, listed, _) = bed.run("--context bound -n pingcap get pods -o name", "").await;
    assert!(code == 0 && listed.contains("pod/basic-pd-0"), "{listed}");
    let (code, _, words) = bed.run("--context bound get pods -A", "").await;
    let wanted = r#"Error from server (Forbidden): pods is forbidden: User "bound" cannot list resource "pods" in API group "" at the cluster scope"#;
    assert!(code == 1 && words.trim_end() == wanted, "{words}");
    assert_eq!(bed.run("--context bound auth can-i list pods -n pingcap", "").await.1.trim(), "yes");
    assert_eq!(bed.run("--context bound auth can-i list pods -n other", "").await.1.trim(), "no");
    assert_eq!(bed.run("--context bound auth can-i delete pods -n pingcap", "").await.1.trim(), "no");
    // Impersonation takes the rights of whom one is then.
    assert_eq!(bed.run("--context admin --as bound auth can-i delete pods -n pingcap", "").await.1.trim(), "no");
    let (code, _, words) = bed.run("--context bound --as admin get pods -n pingcap", "").await;
    assert!(code == 1 && words.contains(r#"User "bound" cannot impersonate resource "users""#), "{words}");
}
