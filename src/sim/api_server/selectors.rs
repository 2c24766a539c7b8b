//! Label and field selectors: parsed once per request, then asked per object.
//!
//! Labels know equality and sets; fields know equality on the few paths a real server indexes.

use serde_json::Value;

use super::status::Refusal;
use crate::sim::object_store::Resource;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

/// Both selectors of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Selectors {
    labels: Vec<(String, Test)>,
    fields: Vec<(String, bool, String)>,
}

impl Selectors {
    pub(super) fn parse(kind: &Resource, labels: Option<&str>, fields: Option<&str>) -> Result<Selectors, Refusal> {
        let labels = labels.map(parse_labels).transpose()?.unwrap_or_default();
        let fields = fields.map(|fields| parse_fields(kind, fields)).transpose()?.unwrap_or_default();
        Ok(Selectors { labels, fields })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let labels_match = self.labels.iter().all(|(name, test)| {
            let value = labels[name].as_str();
            match test {
                Test::In(wanted) => value.is_some_and(|value| wanted.iter().any(|wanted| wanted == value)),
                Test::NotIn(unwanted) => !value.is_some_and(|value| unwanted.iter().any(|unwanted| unwanted == value)),
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
            }
        });
        labels_match
            && self.fields.iter().all(|(path, equal, wanted)| {
                let found = path.split('.').try_fold(object, |value, part| value.get(part));
                (found.and_then(Value::as_str).unwrap_or_default() == wanted) == *equal
            })
    }
}

fn unreadable(selector: &str) -> Refusal {
    Refusal::bad_request(format!(
        "unable to parse requirement: found {selector:?}, expected a label selector requirement"
    ))
}

fn parse_labels(selector: &str) -> Result<Vec<(String, Test)>, Refusal> {
    split_outside_parentheses(selector).into_iter().map(|one| requirement(one.trim())).collect()
}

fn requirement(text: &str) -> Result<(String, Test), Refusal> {
    let one = |value: &str| vec![value.trim().to_owned()];
    for (sign, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((name, value)) = text.split_once(sign).filter(|(name, _)| !name.contains('(')) {
            let name = name.trim().to_owned();
            return Ok((name, if equal { Test::In(one(value)) } else { Test::NotIn(one(value)) }));
        }
    }
    if let Some((head, values)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let words: Vec<&str> = head.split_whitespace().collect();
        return match words.as_slice() {
            [name, "in"] => Ok(((*name).to_owned(), Test::In(values))),
            [name, "notin"] => Ok(((*name).to_owned(), Test::NotIn(values))),
            _ => Err(unreadable(text)),
        };
    }
    let (name, test) = match text.strip_prefix('!') {
        Some(name) => (name.trim(), Test::Absent),
        None => (text, Test::Exists),
    };
    let well_formed = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    if well_formed { Ok((name.to_owned(), test)) } else { Err(unreadable(text)) }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn parse_fields(kind: &Resource, selector: &str) -> Result<Vec<(String, bool, String)>, Refusal> {
    let requirements = selector.split(',').filter(|one| !one.trim().is_empty());
    requirements
        .map(|one| {
            let (path, equal, value) = if let Some((path, value)) = one.split_once("!=") {
                (path, false, value)
            } else if let Some((path, value)) = one.split_once("==").or_else(|| one.split_once('=')) {
                (path, true, value)
            } else {
                return Err(Refusal::bad_request(format!("invalid selector: {one:?}; can't understand it")));
            };
            if !indexed(kind, path.trim()) {
                let label = path.trim();
                return Err(Refusal::bad_request(format!("field label not supported: {label}")));
            }
            Ok((path.trim().to_owned(), equal, value.trim().to_owned()))
        })
        .collect()
}

fn indexed(kind: &Resource, path: &str) -> bool {
    let special: &[&str] = match kind.plural {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
        ],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "namespaces" => &["status.phase"],
        "secrets" => &["type"],
        "nodes" => &["spec.unschedulable"],
        "jobs" => &["status.successful"],
        _ => &[],
    };
    path == "metadata.name" || (path == "metadata.namespace" && kind.namespaced) || special.contains(&path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim::object_store::resource;

    #[test]
    fn selectors() {
        let pod = json!({
            "metadata": {"name": "p", "labels": {"app": "pd", "tier": "x"}},
            "status": {"phase": "Running"},
        });
        let check = |labels: &str, fields: &str, expected: bool| {
            let selectors = Selectors::parse(resource("pods"), Some(labels), Some(fields)).expect("well formed");
            assert_eq!(selectors.matches(&pod), expected, "{labels} {fields}");
        };
        check("app=pd,tier==x", "", true);
        check("app!=pd", "", false);
        check("other!=pd", "", true);
        check("app in (tikv, pd),!missing", "", true);
        check("app notin (tikv,pd)", "", false);
        check("tier", "status.phase=Running,metadata.name!=q", true);
        check("!tier", "", false);
        check("", "status.phase!=Running", false);
        assert!(Selectors::parse(resource("pods"), None, Some("spec.bogus=1")).is_err());
        assert!(Selectors::parse(resource("pods"), Some("a b"), None).is_err());
    }
}
