//! A document is read and looked over: every expression can be read and names only what exists, ids are unique.
//!
//! Not here: the shape ([`crate::runbook::language::document`]); evaluating on sample fleets
//! ([`crate::runbook::language::lint`]).

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::invalid_value::parser_words;
use crate::runbook::actions::ActionName;
use crate::runbook::language::cel_expr;
use crate::runbook::language::document::{
    BadRunbook, Check, Condition, ConfirmAsked, Evidence, Input, InputType, Phase, Runbook, Severity, Step, Text,
};
use crate::runbook::language::shared_checks::written_out;

/// Names that are known at a place.
type Known = BTreeSet<String>;
/// Where something is wrong, and why.
type Wrong = (String, String);

impl Runbook {
    /// Reads and checks a document; `name` is for messages.
    pub fn read(name: &str, text: &str) -> Result<Self, BadRunbook> {
        let mut runbook: Runbook = serde_saphyr::from_str(text)
            .map_err(|error| BadRunbook::Syntax { name: name.into(), why: said_of(&error) })?;
        if runbook.runbook != "v1" {
            return Err(BadRunbook::Format { name: name.into(), found: brief(&runbook.runbook) });
        }
        // A document that uses shared checks is what it says with them.
        let whole = written_out(text).map_err(|why| BadRunbook::Syntax { name: name.into(), why })?;
        let whole = whole.as_deref().unwrap_or(text);
        runbook.digest = hex::encode(Sha256::digest(whole.as_bytes()));
        runbook.look_over().map_err(|(place, why)| BadRunbook::Place {
            name: name.into(),
            place: brief(&place),
            why: brief(&why),
        })?;
        Ok(runbook)
    }

    /// Every expression reads and names only inputs, facts and bindings; ids are unique.
    fn look_over(&self) -> Result<(), Wrong> {
        let mut ids = BTreeSet::new();
        for of in &self.inputs {
            unique(&mut ids, &format!("input {}", of.name))?;
            input(of)?;
        }
        let mut known: Known = ["inputs".to_owned()].into();
        known.extend(self.facts.iter().filter(|(_, fact)| fact.when.is_none()).map(|(name, _)| name.clone()));
        for (name, fact) in &self.facts {
            if let Some(when) = &fact.when {
                expression(&format!("fact {name}"), when, &known)?;
            }
        }
        known.extend(self.facts.keys().cloned());
        for of in &self.preflight {
            unique(&mut ids, &format!("preflight {}", of.id))?;
            check(of, &known)?;
        }
        for of in &self.phases {
            unique(&mut ids, &format!("phase {}", of.id))?;
            let known = phase(of, &known)?;
            for of in &of.steps {
                unique(&mut ids, &format!("step {}", of.id))?;
                step(of, &known)?;
            }
        }
        Ok(())
    }
}

fn unique(ids: &mut BTreeSet<String>, place: &str) -> Result<(), Wrong> {
    if ids.insert(place.to_owned()) { Ok(()) } else { Err((place.to_owned(), "this id is used twice".into())) }
}

fn input(of: &Input) -> Result<(), Wrong> {
    let place = format!("input {}", of.name);
    if (of.kind == InputType::Choice) == of.options.is_empty() {
        return Err((place, "a choice has `options`, and only a choice has".into()));
    }
    if of.propose && of.kind != InputType::DnsDomain {
        return Err((place, "only a dns-domain can be proposed from the fleet".into()));
    }
    for (what, text) in [("default", &of.default), ("example", &of.example)] {
        if let Some(text) = text {
            of.value(text).map_err(|why| (place.clone(), format!("its {what}: {why}")))?;
        }
    }
    Ok(())
}

fn check(of: &Check, known: &Known) -> Result<(), Wrong> {
    let place = format!("preflight {}", of.id);
    for source in of.when.iter().chain(&of.proven_when).chain([&of.check]) {
        expression(&place, source, known)?;
    }
    text(&place, &of.fail, known)?;
    let titles = of.title.iter().flat_map(|title| std::iter::once(&title.en).chain(&title.zh));
    if titles.into_iter().any(|title| title.contains("${")) {
        return Err((
            place,
            "its title says what the check is about, and has no `${…}`: values stand in `fail`".into(),
        ));
    }
    match (of.severity, of.evidence) {
        (Severity::Warn, Evidence::Reading) => {
            Err((place, "`evidence: reading` is of a check that refuses; this one only warns".into()))
        }
        (Severity::Warn | Severity::Refuse, _) => Ok(()),
    }
}

/// Gives what is known in its steps.
fn phase(of: &Phase, known: &Known) -> Result<Known, Wrong> {
    let mut known = known.clone();
    let place = format!("phase {}", of.id);
    if let Some(when) = &of.when {
        expression(&place, when, &known)?;
    }
    if let Some(each) = &of.for_each {
        expression(&place, &each.over, &known)?;
        known.insert(each.name.clone());
        expression(&place, &each.key, &known)?;
        if let Some(last) = &each.last {
            expression(&place, last, &known)?;
        }
    }
    for binding in &of.bindings {
        expression(&format!("{place}, let {}", binding.name), &binding.value, &known)?;
        known.insert(binding.name.clone());
    }
    text(&place, &of.title, &known)?;
    let between = of.for_each.iter().flat_map(|each| &each.between);
    of.invariants.iter().chain(between).try_for_each(|of| condition(&place, of, &known))?;
    Ok(known)
}

fn step(of: &Step, known: &Known) -> Result<(), Wrong> {
    let place = format!("step {}", of.id);
    if let Some(source) = &of.when {
        expression(&place, source, known)?;
    }
    of.pre.iter().chain(&of.post).chain(&of.until).try_for_each(|of| condition(&place, of, known))?;
    for never in &of.never {
        expression(&place, &never.check, known)?;
        text(&place, &never.say, known)?;
    }
    let wrong = match of.action {
        ActionName::Await => of.until.is_empty().then_some("a step that waits needs `until`"),
        ActionName::Manual => None,
        _ => (!of.until.is_empty()).then_some("only await and manual have `until`"),
    };
    if let Some(why) = wrong {
        return Err((place, why.into()));
    }
    [Some(&of.title), of.why.as_ref(), of.say.as_ref()]
        .into_iter()
        .flatten()
        .try_for_each(|of| text(&place, of, known))?;
    texts_of(&place, &of.with, known)?;
    match (of.approvers, of.confirm) {
        (1, _) | (2, ConfirmAsked::None | ConfirmAsked::Once | ConfirmAsked::Typed) => {}
        (2, ConfirmAsked::OncePerPhase) => {
            return Err((place, "approvers: 2 needs a gate of the step's own (confirm: once or typed)".into()));
        }
        (other, _) => return Err((place, format!("approvers: expected 1 or 2, found {other}"))),
    }
    match of.timeout.total_s == 0 || of.timeout.stalled_s == 0 {
        true => Err((place, "a timeout of 0 seconds can never be met".into())),
        false => Ok(()),
    }
}

fn expression(place: &str, source: &str, known: &Known) -> Result<(), Wrong> {
    let names = cel_expr::names(source).map_err(|error| (place.to_owned(), error.to_string()))?;
    match names.iter().find(|name| !known.contains(*name)) {
        Some(name) => {
            let list = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            Err((place.to_owned(), format!("{source:?} names {name:?}; known here are: {list}")))
        }
        None => Ok(()),
    }
}

fn condition(place: &str, condition: &Condition, known: &Known) -> Result<(), Wrong> {
    expression(place, &condition.check, known)?;
    condition.say.as_ref().map_or(Ok(()), |say| text(place, say, known))
}

fn text(place: &str, text: &Text, known: &Known) -> Result<(), Wrong> {
    [Some(&text.en), text.zh.as_ref()].into_iter().flatten().try_for_each(|text| holes(place, text, known))
}

fn holes(place: &str, text: &str, known: &Known) -> Result<(), Wrong> {
    let holes = cel_expr::holes(text).map_err(|error| (place.to_owned(), error.to_string()))?;
    holes.iter().try_for_each(|source| expression(place, source, known))
}

/// The texts of a value, at any depth.
fn texts_of(place: &str, value: &serde_json::Value, known: &Known) -> Result<(), Wrong> {
    use serde_json::Value;
    match value {
        Value::String(text) => holes(place, text, known),
        Value::Array(items) => items.iter().try_for_each(|item| texts_of(place, item, known)),
        Value::Object(map) => map.values().try_for_each(|value| texts_of(place, value, known)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// The parser's words with the lines around the place, unless these are longer than anybody reads.
fn said_of(error: &serde_saphyr::Error) -> String {
    const MOST: usize = 2_000;
    let said = parser_words(&error.to_string());
    if said.len() <= MOST { said } else { brief(&parser_words(&error.without_snippet().to_string())) }
}

/// What a refusal quotes of a document: no more than somebody reads.
fn brief(text: &str) -> String {
    const MOST: usize = 500;
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::language::document::shipped_text;

    #[test]
    fn mistakes_are_named_with_their_place() {
        let text = shipped_text("migrate-cluster-domain");
        let cases = [
            ("runbook: v1", "runbook: v7", "expected `runbook: v1`"),
            ("experimental: true", "experimental: true\nshell: rm", "shell"),
            ("action: pd.update-peer-url", "action: http.post", "http.post"),
            ("confirm: typed", "confirm: typed\n        approvers: 3", "expected 1 or 2"),
            ("confirm: once-per-phase", "confirm: once-per-phase\n        approvers: 2", "gate of the step's own"),
            ("query: pd.membership", "query: k8s.exec", "k8s.exec"),
            ("severity: warn", "severity: warn\n    evidence: reading", "this one only warns"),
            ("- use: rights", "- use: rights\n    title: {en: 'of ${tc.name}'}", "its title"),
            ("- use: rights", "- use: rights\n    evidence: guess", "guess"),
            ("pd.agree", "pd.agree &&& true", "cannot be read"),
            ("\"pd.agree\"", "\"pdd.agree\"", "names \"pdd\""),
            ("\"pd.agree\"", "\"pd.members.all( m , mm.healthy)\"", "names \"mm\""),
            ("- use: rights", "- use: rihgts", "no shared check is called \"rihgts\""),
            ("- use: rights", "- use: rights\n    colour: red", "colour"),
            ("- use: rights", "- hazards: [1]", "`use`"),
        ];
        for (from, to, wanted) in cases {
            assert!(text.contains(from), "the runbook no longer holds {from:?}");
            let error = Runbook::read("x", &text.replacen(from, to, 1)).expect_err("refused").to_string();
            assert!(error.contains(wanted), "{from:?} → {to:?}: {error}");
        }
    }
}
