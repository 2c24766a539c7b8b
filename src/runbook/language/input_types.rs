//! One input of a runbook: its type, and text in, value out.
//!
//! Not here: all inputs of a run together ([`super::given_inputs`]).

use serde::Deserialize;
use serde_json::{Value, json};

use crate::fleet::ObjectRef;
use crate::invalid_value::Misread;
use crate::runbook::language::cel_expr;
use crate::runbook::language::localized_text::Text;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Input {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: InputType,
    pub prompt: Text,
    #[serde(default)]
    pub optional: bool,
    /// Of a TidbCluster: the runbook ends with it gone, so it may be gone already.
    #[serde(default)]
    pub may_be_gone: bool,
    /// Taken when nothing is given; written as one would give it.
    #[serde(default)]
    pub default: Option<String>,
    /// Shown where nothing is typed yet; what `lint` tries it with.
    #[serde(default)]
    pub example: Option<String>,
    /// Of a DNS domain: the form puts in the one that the cluster serves, where connected clusters serve different ones.
    #[serde(default)]
    pub propose: bool,
    /// Of a choice.
    #[serde(default)]
    pub options: Vec<String>,
    /// Of an integer.
    #[serde(default)]
    pub min: Option<i64>,
    #[serde(default)]
    pub max: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputType {
    /// `CONTEXT/NAMESPACE/NAME`
    TidbCluster,
    /// The same, of one that need not be there yet.
    NewTidbCluster,
    /// Any number of those, with commas between.
    NewTidbClusters,
    /// A kubeconfig context.
    KubeContext,
    DnsDomain,
    /// `v8.5.7`
    Version,
    Integer,
    Boolean,
    /// RFC 3339; the time of the plan where none is given (the driver has the clock).
    Time,
    /// One of `options`.
    Choice,
    Text,
}

impl Input {
    /// One value. `Err`: what was expected, what was found.
    pub fn value(&self, text: &str) -> Result<Value, Misread> {
        Ok(match self.kind {
            InputType::TidbCluster => json!(ObjectRef::parse(text)?),
            InputType::NewTidbCluster => json!(place(text)?),
            InputType::NewTidbClusters => match split(text).map(place).collect::<Result<Vec<_>, _>>()? {
                none if none.is_empty() => {
                    return Err(Misread::plain("CONTEXT/NAMESPACE/NAME, or several with commas between", "nothing"));
                }
                all => json!(all),
            },
            InputType::KubeContext if text.trim().is_empty() => {
                return Err(Misread::plain("a kubeconfig context", "nothing"));
            }
            InputType::KubeContext => json!(text),
            InputType::DnsDomain => json!(dns_domain(text)?),
            InputType::Version if cel_expr::version_at_least(text, "0") && text.starts_with('v') => json!(text),
            InputType::Version => return Err(Misread::new("a version such as v8.5.7", text)),
            InputType::Integer => {
                let number: i64 = text.parse().map_err(|_| Misread::new("a whole number", text))?;
                let (min, max) = (self.min.unwrap_or(i64::MIN), self.max.unwrap_or(i64::MAX));
                if !(min..=max).contains(&number) {
                    return Err(Misread::plain(format!("a number from {min} to {max}"), number.to_string()));
                }
                json!(number)
            }
            InputType::Boolean => match text {
                "true" => json!(true),
                "false" => json!(false),
                other => return Err(Misread::new("true or false", other)),
            },
            InputType::Time => match text.parse::<jiff::Timestamp>() {
                Ok(_) => json!(text),
                Err(_) => return Err(Misread::new("a time such as 2026-01-01T00:00:00Z", text)),
            },
            InputType::Choice if self.options.iter().any(|option| option == text) => json!(text),
            InputType::Choice => return Err(Misread::new(format!("one of {}", self.options.join(", ")), text)),
            InputType::Text => json!(text),
        })
    }
}

pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Where a TidbCluster is, or could be made.
fn place(text: &str) -> Result<ObjectRef, Misread> {
    let of = ObjectRef::parse(text)?;
    for (what, name) in [("namespace", &of.namespace), ("name", &of.name)] {
        if !label(name) {
            let expected = format!("a {what} of small letters, digits and \"-\" (at most 63)");
            return Err(Misread::new(expected, name));
        }
    }
    Ok(of)
}

fn label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A DNS domain as `clusterDomain` takes it. Refuses what an unset shell variable or a pasted template leaves
/// behind (hazard 12).
pub fn dns_domain(text: &str) -> Result<String, Misread> {
    let wanted = "a DNS domain such as cluster1.com or cluster.local";
    if text.is_empty() {
        let hint = "; leave the input out when all Kubernetes clusters share one domain";
        return Err(Misread::plain(wanted, "nothing").hint(hint));
    }
    let plain = crate::fleet::dns::normal(text.trim());
    if plain != text && plain.split('.').all(label) {
        let hint = format!(": write {plain:?}, which is the same to DNS, and one name to PD and to certificates");
        return Err(Misread::new(wanted, text).hint(hint));
    }
    if text.len() > 253 || !text.split('.').all(label) {
        return Err(Misread::new(wanted, text));
    }
    if text.starts_with("svc.") {
        return Err(Misread::new(wanted, text).hint(": leave the leading \"svc.\" out"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        for good in ["cluster.local", "cluster1.com", "a"] {
            assert_eq!(dns_domain(good).as_deref(), Ok(good));
        }
        for bad in
            ["", "${cluster1_cluster_domain}", "Cluster.local", "a..b", ".a", "a.", "a b", "svc.cluster.local", "-a"]
        {
            assert!(dns_domain(bad).is_err(), "{bad:?}");
        }
        for other in ["Cluster.LOCAL", "cluster.local.", " cluster.local"] {
            let error = dns_domain(other).expect_err("refused");
            assert!(error.to_string().contains("write \"cluster.local\""), "{error}");
        }
    }

    #[test]
    fn values_by_type() {
        let input = |kind: &str| -> Input {
            let value =
                json!({"name": "x", "type": kind, "prompt": {"en": "x"}, "options": ["a", "b"], "min": 1, "max": 7});
            serde_json::from_value(value).expect("an input")
        };
        let good = [
            ("integer", "3", json!(3)),
            ("boolean", "true", json!(true)),
            ("choice", "b", json!("b")),
            ("version", "v8.5.7", json!("v8.5.7")),
            ("time", "2026-01-01T00:00:00Z", json!("2026-01-01T00:00:00Z")),
            (
                "new-tidb-clusters",
                "a/b/c, d/e/f",
                json!([ObjectRef::new("a", "b", "c"), ObjectRef::new("d", "e", "f")]),
            ),
        ];
        for (kind, text, expected) in good {
            assert_eq!(input(kind).value(text), Ok(expected), "{kind} {text}");
        }
        let bad = [
            ("integer", "0"),
            ("integer", "x"),
            ("boolean", "yes"),
            ("choice", "c"),
            ("version", "8.5.7"),
            ("version", "vx"),
            ("new-tidb-cluster", "a/B/c"),
            ("new-tidb-cluster", "a/b/${tc}"),
            ("new-tidb-clusters", ""),
            ("new-tidb-clusters", "a/b/c,d"),
            ("kube-context", ""),
            ("time", "today"),
        ];
        for (kind, text) in bad {
            assert!(input(kind).value(text).is_err(), "{kind} {text}");
        }
    }
}
