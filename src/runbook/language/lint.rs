//! Looks a runbook over before anybody needs it: the document is read, and every expression evaluated on sample fleets.
//!
//! The samples go through the very code that makes facts and plans, so a field that no fact has is found here and
//! not in the night. Findings carry line and column where the place can be found in the text. Pure. Not here: the
//! sample fleets ([`crate::runbook::language::sample_fleet_data`]), the shape of the document ([`crate::runbook::language::schema`]).

mod source_location;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::source_location::{locate, number, quoted};

use crate::hazards::catalogue;
use crate::runbook::language::cel_expr::Scope;
use crate::runbook::language::document::{Condition, InputType, Runbook, Text};
use crate::runbook::language::given_inputs;
use crate::runbook::language::sample_fleet_data;
use crate::runbook::language::unknown_fact_fields;
use crate::runbook::plan::bind::{BindError, bind_strictly};
use crate::runbook::plan::fact_evaluation::Facts;

/// One thing that is wrong, or may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// From 1; `None` where the place could not be found in the text.
    pub line: Option<usize>,
    pub column: Option<usize>,
    /// `step set-domain`, `preflight rights`
    pub place: String,
    pub sentence: String,
    /// The document cannot be used as it is.
    pub error: bool,
}

/// Everything found, by line; empty when the runbook is in order.
pub fn lint(name: &str, text: &str) -> Vec<Finding> {
    let runbook = match Runbook::read(name, text) {
        Ok(runbook) => runbook,
        Err(crate::runbook::language::document::BadRunbook::Place { place, why, .. }) => {
            return vec![finding(text, &place, quoted(&why).as_deref(), why.clone(), true)];
        }
        Err(bad) => {
            let sentence = bad.to_string();
            let (line, column) = (number(&sentence, "line "), number(&sentence, "column "));
            if line.is_none() {
                return vec![finding(text, "document", quoted(&sentence).as_deref(), sentence, true)];
            }
            return vec![Finding { line, column, place: "document".into(), sentence, error: true }];
        }
    };
    let mut tally = Tally::default();
    for seen in sample_fleet_data::observations() {
        for given in inputs(&runbook) {
            try_sample(&runbook, &given, &seen, &mut tally);
        }
    }
    let mut found: Vec<Finding> = tally
        .tried
        .iter()
        .filter_map(|((place, source), outcome)| {
            let sentence = outcome.why.clone()?;
            let always = outcome.good == 0;
            if !always && outcome.some_will_do {
                return None;
            }
            let sentence = if always { sentence } else { format!("in some of the sample fleets: {sentence}") };
            Some(finding(text, place, source.as_deref(), sentence, always))
        })
        .collect();
    found.extend(silent(&runbook, text));
    found.extend(untitled(&runbook, text));
    found.extend(strange_hazards(&runbook, text));
    found.extend(unknown_fact_fields::unknown_fields(&runbook).into_iter().filter_map(|(place, source, why)| {
        // Where a sample met it, it is told already.
        let told = tally.tried.get(&(place.clone(), Some(source.clone()))).is_some_and(|outcome| outcome.good == 0);
        (!told).then(|| finding(text, &place, Some(&source), why, true))
    }));
    found.sort();
    found
}

/// Every condition of a document with its place, and whether the step has a sentence that stands in for its own.
fn conditions(runbook: &Runbook) -> Vec<(String, &Condition, bool)> {
    let mut all = Vec::new();
    for phase in &runbook.phases {
        let between = phase.for_each.iter().flat_map(|each| &each.between);
        all.extend(phase.invariants.iter().chain(between).map(|one| (format!("phase {}", phase.id), one, false)));
        for step in &phase.steps {
            let place = || format!("step {}", step.id);
            all.extend(step.pre.iter().chain(&step.post).map(|one| (place(), one, false)));
            all.extend(step.until.iter().map(|one| (place(), one, step.say.is_some())));
        }
    }
    all
}

/// Conditions that tell a person nothing where they do not hold: nobody can act on an expression.
fn silent(runbook: &Runbook, text: &str) -> Vec<Finding> {
    let silent = conditions(runbook).into_iter().filter(|(_, condition, said)| condition.say.is_none() && !said);
    silent
        .map(|(place, condition, _)| {
            let sentence = format!(
                "{:?} has no sentence for a person: write {{check: …, say: {{en: …, zh: …}}}} with what was found, on which object, and what helps",
                condition.check
            );
            finding(text, &place, Some(&condition.check), sentence, true)
        })
        .collect()
}

/// Checks that a plan could show by their ids only.
fn untitled(runbook: &Runbook, text: &str) -> Vec<Finding> {
    let bare = runbook.preflight.iter().filter(|check| check.title.is_none());
    bare.map(|check| {
        let sentence = format!(
            "{} has no title, so plans show its id: write title: {{en: …, zh: …}} with what holds where it passes",
            check.id
        );
        finding(text, &format!("preflight {}", check.id), None, sentence, false)
    })
    .collect()
}

/// Numbers that the catalogue does not have: the reader of a refusal would look for them in vain.
fn strange_hazards(runbook: &Runbook, text: &str) -> Vec<Finding> {
    let known = |number: u32| u8::try_from(number).is_ok_and(|number| catalogue::numbered(number).is_some());
    let all = runbook.preflight.iter().flat_map(|check| check.hazards.iter().map(move |number| (check, *number)));
    all.filter(|(_, number)| !known(*number))
        .map(|(check, number)| {
            let sentence = format!("hazard {number} is not in the catalogue: `tidepilot check --catalogue` lists them");
            finding(text, &format!("preflight {}", check.id), None, sentence, true)
        })
        .collect()
}

#[derive(Default)]
struct Tally {
    /// Place and expression → how it went over all samples.
    tried: BTreeMap<(String, Option<String>), Outcome>,
}

#[derive(Default)]
struct Outcome {
    good: usize,
    why: Option<String>,
    /// The text of a failure: shown only where its check fails, so it need not fit every sample.
    some_will_do: bool,
}

impl Tally {
    fn note<T, E: Into<String>>(&mut self, place: &str, source: Option<&str>, result: Result<T, E>) {
        let outcome = self.tried.entry((place.to_owned(), source.map(str::to_owned))).or_default();
        match result {
            Ok(_) => outcome.good += 1,
            Err(why) => drop(outcome.why.get_or_insert_with(|| why.into())),
        }
    }

    /// The expression need not have an answer in every sample.
    fn some_will_do(&mut self, place: &str, source: &str) {
        self.tried.entry((place.to_owned(), Some(source.to_owned()))).or_default().some_will_do = true;
    }
}

/// Every input given, and only those that are not optional.
pub(super) fn inputs(runbook: &Runbook) -> Vec<BTreeMap<String, String>> {
    let give = |optional: bool| -> BTreeMap<String, String> {
        let wanted = runbook.inputs.iter().filter(|input| optional || !input.optional);
        wanted
            .map(|input| {
                let value = match input.kind {
                    InputType::TidbCluster => sample_fleet_data::TARGET.to_owned(),
                    InputType::NewTidbCluster | InputType::NewTidbClusters if optional => {
                        sample_fleet_data::FAR.to_owned()
                    }
                    InputType::NewTidbCluster | InputType::NewTidbClusters => sample_fleet_data::NEW.to_owned(),
                    InputType::KubeContext => sample_fleet_data::CONTEXT.to_owned(),
                    InputType::DnsDomain => sample_fleet_data::DOMAIN.to_owned(),
                    InputType::Version => sample_fleet_data::VERSION.to_owned(),
                    InputType::Integer => input.min.or(input.max).unwrap_or(3).to_string(),
                    InputType::Boolean => optional.to_string(),
                    InputType::Time => "2026-01-01T00:00:00Z".to_owned(),
                    InputType::Choice => {
                        let option = if optional { input.options.last() } else { input.options.first() };
                        option.cloned().unwrap_or_default()
                    }
                    InputType::Text => input.example.clone().unwrap_or_else(|| "text".to_owned()),
                };
                (input.name.clone(), value)
            })
            .collect()
    };
    let mut both = vec![give(true), give(false)];
    both.dedup();
    both
}

#[expect(clippy::too_many_lines, reason = "one document, part by part")]
fn try_sample(
    runbook: &Runbook,
    given: &BTreeMap<String, String>,
    seen: &crate::runbook::Observation,
    tally: &mut Tally,
) {
    let inputs = match given_inputs::read(runbook, given) {
        // A sample without the context is none for these inputs.
        Ok(given) if given.contexts.iter().any(|context| !seen.fleet.clusters.contains_key(context)) => return,
        Ok(given) => given.values,
        Err(why) => return tally.note::<(), String>("inputs", None, Err(why.to_string())),
    };
    let facts = Facts::new(runbook, &inputs, seen);
    let none = Scope::new();
    for (name, fact) in &runbook.facts {
        if let Some(when) = &fact.when {
            tally.note(&format!("fact {name}"), Some(when), facts.check(when, &none));
        }
    }
    for check in &runbook.preflight {
        let place = format!("preflight {}", check.id);
        if let Some(when) = &check.when {
            let applies = facts.check(when, &none);
            let skip = !matches!(applies, Ok(true));
            tally.note(&place, Some(when), applies);
            if skip {
                continue;
            }
        }
        tally.note(&place, Some(&check.check), facts.check(&check.check, &none));
        words(&facts, &place, &check.fail, &none, true, tally);
    }
    let plan = match bind_strictly(runbook, given, seen) {
        Ok(plan) => plan,
        Err(BindError::Step { step, why }) => {
            let place = if runbook.phases.iter().any(|phase| phase.id == step) { "phase" } else { "step" };
            return tally.note::<(), String>(&format!("{place} {step}"), quoted(&why).as_deref(), Err(why));
        }
        Err(other) => return tally.note::<(), String>("document", None, Err(other.to_string())),
    };
    for planned in &plan.steps {
        let id = planned.id.split('[').next().unwrap_or(&planned.id);
        let place = format!("step {id}");
        for source in planned.pre.iter().chain(&planned.post).map(|condition| &condition.check).chain(&planned.last) {
            tally.note(&place, Some(source), facts.check(source, &planned.env));
        }
        let all = runbook.phases.iter().flat_map(|phase| phase.steps.iter().map(move |step| (phase, step)));
        let Some((phase, step)) = all.into_iter().find(|(_, step)| step.id == id) else { continue };
        let between = phase.for_each.iter().flat_map(|each| &each.between);
        let of_phase = phase.invariants.iter().chain(between);
        for condition in of_phase.clone() {
            let place = format!("phase {}", phase.id);
            tally.note(&place, Some(&condition.check), facts.check(&condition.check, &planned.env));
        }
        for condition in of_phase.chain(&step.pre).chain(&step.post).chain(&step.until) {
            if let Some(say) = &condition.say {
                words(&facts, &place, say, &planned.env, true, tally);
            }
        }
        words(&facts, &place, &step.title, &planned.env, false, tally);
        if let Some(why) = &step.why {
            words(&facts, &place, why, &planned.env, false, tally);
        }
        if let Some(say) = &step.say {
            words(&facts, &place, say, &planned.env, true, tally);
        }
        // What is waited for may well not be there to be seen at first.
        for source in planned.until.iter().map(|until| &until.check) {
            tally.note(&place, Some(source), facts.check(source, &planned.env));
            tally.some_will_do(&place, source);
        }
        for never in &step.never {
            tally.some_will_do(&place, &never.check);
            tally.note(&place, Some(&never.check), facts.check(&never.check, &planned.env));
            words(&facts, &place, &never.say, &planned.env, true, tally);
        }
    }
    if plan.steps.is_empty() {
        tally.note::<(), String>("document", None, Err("no step applies".into()));
    } else {
        tally.note::<_, String>("document", None, Ok(()));
    }
}

fn words(facts: &Facts<'_>, place: &str, text: &Text, env: &Scope, some_will_do: bool, tally: &mut Tally) {
    for source in std::iter::once(&text.en).chain(&text.zh) {
        let filled = facts.words(source, env);
        tally.note(place, Some(source), filled);
        if let Some(outcome) = tally.tried.get_mut(&(place.to_owned(), Some(source.clone()))) {
            outcome.some_will_do = some_will_do;
        }
    }
}

fn finding(text: &str, place: &str, source: Option<&str>, sentence: String, error: bool) -> Finding {
    let at = locate(text, place, source);
    Finding { line: at.map(|at| at.0), column: at.map(|at| at.1), place: place.to_owned(), sentence, error }
}

/// Findings as JSON, for editors.
pub fn json(findings: &[Finding]) -> Value {
    findings
        .iter()
        .map(
            |f| json!({"line": f.line, "column": f.column, "place": f.place, "sentence": f.sentence, "error": f.error}),
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::runbook::language::document::SHIPPED;

    /// The places of a document that have no Chinese text.
    fn untranslated(runbook: &Runbook) -> BTreeSet<String> {
        let mut places = BTreeSet::new();
        let mut look = |place: String, text: &Text| {
            if text.zh.as_deref().is_none_or(|zh| zh.trim().is_empty()) {
                places.insert(place);
            }
        };
        look("title".into(), &runbook.title);
        look("summary".into(), &runbook.summary);
        runbook.inputs.iter().for_each(|input| look(format!("input {}", input.name), &input.prompt));
        for check in &runbook.preflight {
            look(format!("preflight {}", check.id), &check.fail);
            check.title.iter().for_each(|title| look(format!("preflight {}, title", check.id), title));
        }
        for phase in &runbook.phases {
            look(format!("phase {}", phase.id), &phase.title);
            for step in &phase.steps {
                look(format!("step {}", step.id), &step.title);
                step.why.iter().for_each(|why| look(format!("step {}, why", step.id), why));
                step.say.iter().for_each(|say| look(format!("step {}, say", step.id), say));
                step.never.iter().for_each(|never| look(format!("step {}, never", step.id), &never.say));
            }
        }
        for (place, condition, _) in conditions(runbook) {
            condition.say.iter().for_each(|say| look(format!("{place}, {:?}", condition.check), say));
        }
        places
    }

    #[test]
    fn every_shipped_runbook_is_clean_and_translated() {
        for (id, text) in SHIPPED {
            assert_eq!(lint(id, text), Vec::new(), "{id}");
            let runbook = Runbook::shipped(id).expect("ships");
            assert_eq!(untranslated(&runbook), BTreeSet::new(), "{id}");
        }
    }

    #[test]
    fn the_skeleton_is_clean() {
        assert_eq!(lint("skeleton", &crate::runbook::language::schema::skeleton("my-runbook")), Vec::new());
    }

    #[test]
    fn mistakes_are_found_where_they_stand() {
        let text = crate::runbook::language::document::shipped_text("migrate-cluster-domain");
        let cases = [
            (
                "- use: rights",
                "- use: rights\n    check: \"size(rights.denyed) == 0\"",
                "preflight rights",
                "size(rights.denyed)",
            ),
            ("- use: rights", "- use: rights\n    hazards: [64, 200]", "preflight rights", "use: rights"),
            ("- use: pd-spare", "- use: pd-spare\n    check: \"pd.size\"", "preflight pd-spare", "check: \"pd.size\""),
            (
                "check: \"pd.healthy == pd.size\"",
                "check: \"pd.helthy == pd.size\"",
                "step set-domain",
                "pd.helthy == pd.size",
            ),
            ("\"m.pod\"", "\"m.pode\"", "phase peer-urls", "m.pode"),
            (
                "- use: pd-agrees",
                "- use: pd-agrees\n    when: \"pd.agree &&& 1\"",
                "preflight pd-agrees",
                "pd.agree &&&",
            ),
        ];
        for (from, to, place, needle) in cases {
            assert!(text.contains(from), "the runbook no longer holds {from:?}");
            let broken = text.replacen(from, to, 1);
            let line = broken.lines().position(|line| line.contains(needle)).expect("it is there") + 1;
            let found = lint("x", &broken);
            let hit =
                found.iter().find(|f| f.place == place && f.error).unwrap_or_else(|| panic!("{place}: {found:?}"));
            assert_eq!(hit.line, Some(line), "{hit:?}");
        }
        let found = lint("x", &text.replacen("experimental: true", "experimental: true\nshell: rm", 1));
        assert!(found.len() == 1 && found[0].line.is_some() && found[0].sentence.contains("shell"), "{found:?}");
    }

    /// Wherever a condition stands: nobody can act on an expression.
    #[test]
    fn a_condition_without_a_sentence_is_an_error() {
        let text = crate::runbook::language::document::shipped_text("migrate-cluster-domain");
        let lines: Vec<&str> = text.lines().collect();
        let mut tried = 0;
        for (at, line) in lines.iter().enumerate() {
            let Some((indent, check)) = line.split_once("- check: ") else { continue };
            // A preflight check has `fail`, and what must never be seen is no condition.
            if !lines[at + 1].trim_start().starts_with("say: ") {
                continue;
            }
            let mut bare = lines.clone();
            let short = format!("{indent}- {check}");
            bare[at] = &short;
            bare.remove(at + 1);
            let found = lint("x", &bare.join("\n"));
            let said = found.iter().any(|f| f.error && f.sentence.contains("has no sentence for a person"));
            // Where the step has a sentence for whatever it waits for, that will do.
            assert!(said || found.is_empty(), "{check}: {found:?}");
            tried += usize::from(said);
        }
        assert!(tried >= 15, "only {tried} conditions have a sentence");
        let found = lint("x", &text.replacen("experimental: true", "experimental: true\nshell: rm", 1));
        assert!(found.len() == 1 && found[0].line.is_some() && found[0].sentence.contains("shell"), "{found:?}");
    }
}
