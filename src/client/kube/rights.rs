//! Which rights the user lacks: one SelfSubjectRulesReview for each namespace, and a SelfSubjectAccessReview for each right
//! that its rules do not give, asked of every context in parallel.
//!
//! A review is a question, not a write, so the gate lets it through in read-only mode too. Rules are only believed where the
//! server says that they are complete, and only where they allow: why something is denied is asked by itself. Not here: which
//! rights a plan needs (`runbook::plan::required_rights`). "Could not ask" is said as such: it is not a yes.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::wire::link::{Link, Links};
pub use crate::runbook::actions::right_types::Right;

/// One sentence for each right that is denied or could not be asked about; empty when all are there.
pub async fn denied(links: &Links, rights: &[Right]) -> Vec<String> {
    let given = given(links, rights).await;
    let asked = rights.iter().filter(|right| !given.contains(right)).map(|right| async move {
        let thing = describe(right);
        let Some(link) = links.get(&right.context) else { return Some(format!("{}: no such context", right.context)) };
        match review(link, right).await {
            Ok((true, _)) => None,
            Ok((false, why)) => Some(format!("{}: you may not {thing}{why}", right.context)),
            Err(why) => Some(format!("{}: could not ask whether you may {thing}: {why}", right.context)),
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn describe(right: &Right) -> String {
    let subresource = if right.subresource.is_empty() { String::new() } else { format!("/{}", right.subresource) };
    let group = if right.group.is_empty() { String::new() } else { format!(".{}", right.group) };
    let name = if right.name.is_empty() { String::new() } else { format!(" {}", right.name) };
    let place = match right.namespace.as_str() {
        "" => "in the whole cluster".to_owned(),
        namespace => format!("in namespace {namespace}"),
    };
    format!("{} {}{group}{subresource}{name} {place}", right.verb, right.resource)
}

/// Fewer rights in one namespace than this are asked about one by one.
const WORTH_RULES: usize = 3;

/// The rights that complete rules give.
async fn given<'a>(links: &Links, rights: &'a [Right]) -> BTreeSet<&'a Right> {
    let mut places: BTreeMap<(&str, &str), Vec<&Right>> = BTreeMap::new();
    for right in rights.iter().filter(|right| !right.namespace.is_empty()) {
        places.entry((&right.context, &right.namespace)).or_default().push(right);
    }
    let asked = places.into_iter().filter(|(_, rights)| rights.len() >= WORTH_RULES);
    let asked = asked.map(|((context, namespace), rights)| async move {
        let rules = match links.get(context) {
            Some(link) => rules(link, namespace).await.unwrap_or_default(),
            None => Vec::new(),
        };
        rights.into_iter().filter(|right| rules.iter().any(|rule| rule.gives(right))).collect::<Vec<_>>()
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// A rule as RBAC has it: each list may hold `*`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    verbs: Vec<String>,
    api_groups: Vec<String>,
    resources: Vec<String>,
    /// Empty: whatever the name.
    resource_names: Vec<String>,
}

impl Rule {
    fn gives(&self, right: &Right) -> bool {
        let has = |list: &[String], wanted: &str| list.iter().any(|entry| entry == "*" || entry == wanted);
        let resource = match right.subresource.as_str() {
            "" => has(&self.resources, &right.resource),
            sub => {
                has(&self.resources, &format!("{}/{sub}", right.resource))
                    || self.resources.contains(&format!("*/{sub}"))
            }
        };
        let named = self.resource_names.is_empty() || self.resource_names.contains(&right.name);
        has(&self.verbs, &right.verb) && has(&self.api_groups, &right.group) && resource && named
    }
}

/// The rules of the user in a namespace; `None` where they cannot be had, or are not all.
async fn rules(link: &Link, namespace: &str) -> Option<Vec<Rule>> {
    let body = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace},
    });
    let answer = ask(link, "selfsubjectrulesreviews", &body).await.ok()?;
    let status = answer.get("status")?;
    if status.get("incomplete").and_then(Value::as_bool) != Some(false) || status.get("evaluationError").is_some() {
        return None;
    }
    Vec::deserialize(status.get("resourceRules")?).ok()
}

async fn ask(link: &Link, review: &str, body: &Value) -> Result<Value, String> {
    let request = http::Request::post(format!("/apis/authorization.k8s.io/v1/{review}"))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|error| error.to_string())?;
    let reply = link.call(request, link.limits().request).await.map_err(|trouble| trouble.sentence)?;
    link.decode(&reply).map_err(|trouble| trouble.sentence)
}

async fn review(link: &Link, right: &Right) -> Result<(bool, String), String> {
    let body = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "verb": right.verb, "group": right.group, "resource": right.resource,
            "subresource": right.subresource, "namespace": right.namespace, "name": right.name,
        }},
    });
    let answer = ask(link, "selfsubjectaccessreviews", &body).await?;
    // Only a plain true is a yes.
    let allowed = answer.pointer("/status/allowed").and_then(Value::as_bool) == Some(true);
    let reason = answer.pointer("/status/reason").and_then(Value::as_str).filter(|reason| !reason.is_empty());
    Ok((allowed, reason.map(|reason| format!(" ({})", crate::client::plain(reason))).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_rule_gives_what_it_names_and_no_more() {
        let right = |verb: &str, resource: &str, subresource: &str, name: &str| Right {
            context: "east".into(),
            verb: verb.into(),
            group: String::new(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: "db".into(),
            name: name.into(),
        };
        let rule = |verbs: &[&str], resources: &[&str], names: &[&str]| Rule {
            verbs: list(verbs),
            api_groups: list(&[""]),
            resources: list(resources),
            resource_names: list(names),
        };
        let cases = [
            (rule(&["get"], &["pods"], &[]), right("get", "pods", "", ""), true),
            (rule(&["*"], &["*"], &[]), right("create", "pods", "exec", ""), true),
            (rule(&["get"], &["pods"], &[]), right("list", "pods", "", ""), false),
            (rule(&["get"], &["pods"], &[]), right("get", "pods", "log", ""), false),
            (rule(&["get"], &["pods/log"], &[]), right("get", "pods", "log", ""), true),
            (rule(&["get"], &["*/log"], &[]), right("get", "pods", "log", ""), true),
            (rule(&["get"], &["*/log"], &[]), right("get", "pods", "", ""), false),
            (rule(&["get"], &["secrets"], &["a"]), right("get", "secrets", "", "a"), true),
            (rule(&["get"], &["secrets"], &["a"]), right("get", "secrets", "", "b"), false),
            (rule(&["get"], &["secrets"], &["a"]), right("get", "secrets", "", ""), false),
        ];
        for (rule, right, expected) in cases {
            assert_eq!(rule.gives(&right), expected, "{rule:?} {right:?}");
        }
        let apps = Right { group: "apps".into(), ..right("get", "pods", "", "") };
        assert!(!rule(&["get"], &["pods"], &[]).gives(&apps), "of another group");
    }
}
