//! "May I?" and "who am I?": the self-subject reviews, answered from the user's rules.

use serde_json::{Value, json};

use super::auth::{Ask, Rule, User};
use super::patch::decode_object;
use super::reply::{self, Reply};
use super::status::Refusal;

/// Answers a POST to one of the review resources.
pub(super) fn answer(user: &User, path: &str, body: &[u8]) -> Result<Reply, Refusal> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let ["apis", group, "v1", plural] = parts.as_slice() else { return Err(Refusal::unknown_path()) };
    let answer: fn(&User, &Value) -> Value = match (*group, *plural) {
        ("authorization.k8s.io", "selfsubjectaccessreviews") => access,
        ("authorization.k8s.io", "selfsubjectrulesreviews") => rules,
        ("authentication.k8s.io", "selfsubjectreviews") => myself,
        _ => return Err(Refusal::unknown_path()),
    };
    let mut review = if body.is_empty() { json!({}) } else { decode_object(body)? };
    let kind = match *plural {
        "selfsubjectaccessreviews" => "SelfSubjectAccessReview",
        "selfsubjectrulesreviews" => "SelfSubjectRulesReview",
        _ => "SelfSubjectReview",
    };
    review["apiVersion"] = json!(format!("{group}/v1"));
    review["kind"] = json!(kind);
    review["metadata"] = json!({"creationTimestamp": null});
    review["status"] = answer(user, &review["spec"]);
    Ok(reply::json(201, &review))
}

fn access(user: &User, spec: &Value) -> Value {
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
    let allowed = if let Some(asked) = spec.get("resourceAttributes") {
        let [verb, group, resource, subresource, namespace, name] =
            ["verb", "group", "resource", "subresource", "namespace", "name"].map(|field| text(&asked[field]));
        user.rules.allow(&Ask {
            verb: &verb,
            group: &group,
            resource: &resource,
            subresource: &subresource,
            namespace: &namespace,
            name: &name,
        })
    } else {
        // Paths that are no resources: everyone may read them.
        text(&spec["nonResourceAttributes"]["verb"]) == "get"
    };
    let reason = if allowed { "allowed by the simulated rules" } else { "" };
    if allowed { json!({"allowed": true, "reason": reason}) } else { json!({"allowed": false}) }
}

fn rules(user: &User, spec: &Value) -> Value {
    let namespace = spec["namespace"].as_str().unwrap_or_default();
    let here =
        |rule: &Rule| rule.namespaces.is_empty() || rule.namespaces.iter().any(|name| name == "*" || name == namespace);
    let resources: Vec<Value> = user
        .rules
        .list()
        .iter()
        .filter(|rule| here(rule))
        .map(|rule| {
            let mut value = json!({"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources});
            if !rule.names.is_empty() {
                value["resourceNames"] = json!(rule.names);
            }
            value
        })
        .collect();
    let paths =
        ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version"];
    json!({
        "resourceRules": resources,
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": paths}],
        "incomplete": false,
    })
}

fn myself(user: &User, _spec: &Value) -> Value {
    json!({"userInfo": {"username": user.name, "groups": user.all_groups()}})
}
