//! Preflight checks: written in full, or `- use: NAME` for one that several runbooks share (`runbooks/checks.yaml`).
//!
//! Keys beside `use` stand in the place of the shared check's own. A document that uses shared checks is kept, and
//! digested, written out ([`written_out`]): a run goes on with the very checks that it began with, whatever a later
//! version shares under that name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use crate::did_you_mean::near;
use crate::runbook::language::localized_text::Text;

/// A preflight check: `check` must be true. Written in full, or by `use`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "WrittenCheck")]
pub struct Check {
    pub id: String,
    /// What holds where it passes, in a few words: what people read instead of the id.
    pub title: Option<Text>,
    /// Numbers of the hazard catalogue that it covers.
    pub hazards: Vec<u32>,
    pub when: Option<String>,
    pub check: String,
    /// What was refused, what was found, what to do.
    pub fail: Text,
    pub severity: Severity,
    /// Judged until the run has sent its first write, and not again: the run itself changes what it looks at.
    pub once: bool,
    /// Of a check that refuses: whether what it reads proves what it says.
    pub evidence: Evidence,
    /// Of a check that reads: where this holds, what it found was witnessed and is proof.
    pub proven_when: Option<String>,
}

/// How good the evidence of a refusal is. Each check's is argued for in `docs/evidence.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// What is read is the thing itself, or what the operator, PD or the API server will act upon.
    #[default]
    Proof,
    /// What is read usually goes with the thing and is not the thing: a person may know better.
    Reading,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    #[default]
    Refuse,
    Warn,
}

const TEXT: &str = include_str!("../../../runbooks/checks.yaml");

/// A [`Check`] as it is written: with `id`, `check` and `fail`, or with `use`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::runbook) struct WrittenCheck {
    id: Option<String>,
    #[serde(rename = "use")]
    shared: Option<String>,
    title: Option<Text>,
    hazards: Option<Vec<u32>>,
    when: Option<String>,
    check: Option<String>,
    fail: Option<Text>,
    severity: Option<Severity>,
    once: Option<bool>,
    evidence: Option<Evidence>,
    proven_when: Option<String>,
}

/// The shared checks by name; each without `id` and `use`.
static SHARED: LazyLock<BTreeMap<String, WrittenCheck>> =
    LazyLock::new(|| serde_saphyr::from_str(TEXT).expect("a test reads the shared checks"));

/// The names that `use` takes.
pub(in crate::runbook) fn shared_names() -> Vec<&'static str> {
    SHARED.keys().map(String::as_str).collect()
}

/// A shared check as the page on writing runbooks lists it.
pub struct Listed {
    pub name: &'static str,
    pub title: String,
    pub hazards: Vec<u32>,
    pub check: String,
}

/// All of them, by name.
pub fn listed() -> Vec<Listed> {
    let all = SHARED.iter();
    all.map(|(name, check)| Listed {
        name: name.as_str(),
        title: check.title.as_ref().map(|title| title.en.clone()).unwrap_or_default(),
        hazards: check.hazards.clone().unwrap_or_default(),
        check: check.check.clone().unwrap_or_default(),
    })
    .collect()
}

fn shared(name: &str) -> Result<&'static WrittenCheck, String> {
    SHARED.get(name).ok_or_else(|| {
        let names = shared_names();
        let meant = near(name, names.iter().copied()).map_or_else(String::new, |near| format!(" Did you mean {near}?"));
        format!("no shared check is called {name:?}.{meant} There are: {}", names.join(", "))
    })
}

impl TryFrom<WrittenCheck> for Check {
    type Error = String;

    fn try_from(written: WrittenCheck) -> Result<Self, String> {
        let base = match &written.shared {
            Some(name) => shared(name)?.clone(),
            None => WrittenCheck::default(),
        };
        let lacking = |what: &str| format!("a check has `id`, `check` and `fail`, or `use`; this one lacks `{what}`");
        Ok(Self {
            id: written.id.or(written.shared).ok_or_else(|| lacking("id"))?,
            title: written.title.or(base.title),
            hazards: written.hazards.or(base.hazards).unwrap_or_default(),
            when: written.when.or(base.when),
            check: written.check.or(base.check).ok_or_else(|| lacking("check"))?,
            fail: written.fail.or(base.fail).ok_or_else(|| lacking("fail"))?,
            severity: written.severity.or(base.severity).unwrap_or_default(),
            once: written.once.or(base.once).unwrap_or_default(),
            evidence: written.evidence.or(base.evidence).unwrap_or_default(),
            proven_when: written.proven_when.or(base.proven_when),
        })
    }
}

/// The document with each shared check written in full, as JSON, which is YAML as well; `None`: it uses none. Errors: it
/// cannot be read, or there is no shared check of that name.
pub fn written_out(text: &str) -> Result<Option<String>, String> {
    // Reading twice costs; nearly every document of a user shares nothing.
    if !text.contains("use:") {
        return Ok(None);
    }
    let mut document: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let mut found = false;
    for check in document["preflight"].as_array_mut().into_iter().flatten() {
        let Some(name) = check.get("use").and_then(Value::as_str) else { continue };
        shared(name)?;
        let Value::Object(mut whole) = SHARED_VALUES[name].clone() else { continue };
        let own = check.as_object().into_iter().flatten().filter(|(key, _)| *key != "use");
        let id = ("id".to_owned(), Value::from(name));
        let own = own.map(|(key, value)| (key.clone(), value.clone()));
        whole.extend([id].into_iter().chain(own).collect::<Vec<_>>());
        *check = Value::Object(whole);
        found = true;
    }
    if !found {
        return Ok(None);
    }
    serde_json::to_string_pretty(&document).map(|text| Some(text + "\n")).map_err(|error| error.to_string())
}

/// The same as [`SHARED`], as data.
static SHARED_VALUES: LazyLock<Value> =
    LazyLock::new(|| serde_saphyr::from_str(TEXT).expect("a test reads the shared checks"));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::language::document::{Runbook, SHIPPED};

    fn uses() -> BTreeMap<String, usize> {
        let mut uses = BTreeMap::new();
        for (id, text) in SHIPPED {
            let document: Value = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{id}: {error}"));
            for check in document["preflight"].as_array().into_iter().flatten() {
                if let Some(name) = check["use"].as_str() {
                    *uses.entry(name.to_owned()).or_default() += 1;
                }
            }
        }
        uses
    }

    #[test]
    fn every_shared_check_is_whole_and_shared() {
        let uses = uses();
        for (name, check) in SHARED.iter() {
            assert!(check.id.is_none() && check.shared.is_none(), "{name}");
            let whole = Check::try_from(WrittenCheck { shared: Some(name.clone()), ..WrittenCheck::default() });
            let both = |text: &Text| text.zh.is_some();
            assert!(whole.is_ok_and(|whole| both(&whole.fail) && whole.title.as_ref().is_some_and(both)), "{name}");
            assert!(uses.get(name).is_some_and(|count| *count > 1), "{name} is used by {:?}", uses.get(name));
        }
    }

    /// A check that stands in two runbooks with the same text belongs to the shared ones.
    #[test]
    fn no_check_stands_in_two_runbooks() {
        let mut seen: BTreeMap<(String, String), &str> = BTreeMap::new();
        for (id, text) in SHIPPED {
            let document: Value = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{id}: {error}"));
            for check in
                document["preflight"].as_array().into_iter().flatten().filter(|check| check.get("use").is_none())
            {
                let key = (check["check"].to_string(), check["fail"].to_string());
                if let Some(other) = seen.insert(key, id) {
                    panic!("{} stands in {other} and in {id}", check["id"]);
                }
            }
        }
    }

    #[test]
    fn a_document_written_out_is_the_same_document() {
        for (id, text) in SHIPPED {
            let runbook = Runbook::read(id, text).unwrap_or_else(|error| panic!("{error}"));
            let whole = written_out(text).expect("reads").unwrap_or_else(|| panic!("{id} shares nothing"));
            assert!(!whole.contains("\"use\":"), "{id}");
            let again = Runbook::read(id, &whole).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(runbook.digest, again.digest, "{id}");
            assert_eq!(format!("{runbook:?}"), format!("{again:?}"), "{id}");
            assert_eq!(written_out(&whole), Ok(None), "{id}");
        }
    }

    #[test]
    fn keys_beside_use_replace_its_own() {
        let check: Check =
            serde_saphyr::from_str("{use: rights, when: 'true', severity: warn}").expect("a name that is shared");
        assert_eq!(
            (check.id.as_str(), check.when.as_deref(), check.severity),
            ("rights", Some("true"), Severity::Warn)
        );
        let other: Check =
            serde_saphyr::from_str("{use: rights, id: rights-there}").expect("the same under another id");
        assert_eq!((other.id.as_str(), other.check), ("rights-there", check.check));
    }
}
