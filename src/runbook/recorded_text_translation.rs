//! A plan and the records of a run in the language of whoever reads them now.
//!
//! A plan keeps its texts in the language in which it was made, and so does what a run has recorded. Where the document has
//! the same text in another language, this finds the recorded one in it, takes the values out and puts them into the
//! other. What does not fit the document stays as it is recorded. Only for showing and for asking: what is written, sealed
//! and compared stays the recorded text ([`Plan::sealed`]). Pure. Not here: which language a reader has (`cli::shared_options`).

use std::borrow::Cow;

use serde_json::{Value, json};

use super::language::cel_expr::{self, Scope};
use super::language::document::{BadRunbook, Lang, Runbook, Text};
use super::language::template_holes::pieces;
use super::plan::digest::digest;
use super::plan::{Condition, Plan, PlannedStep};
use super::run::record::{Choice, Event, PauseReason, Record};

/// Least that a text says beside its values for it to be looked for inside a sentence.
const ENOUGH: usize = 6;

/// What the engine says before a sentence of the document.
const WRAPPERS: [&str; 2] = ["nothing is sent: ", "before the next one: "];

/// The document that a plan was made from, with every language that it has.
pub fn document_of(plan: &Plan) -> Result<Runbook, BadRunbook> {
    match &plan.document {
        Some(document) => Runbook::read(&document.file, &document.text),
        None => Runbook::shipped(&plan.runbook),
    }
}

/// The records with their texts in the language asked for; a journal is long, so that one which has them already is not copied.
pub fn records(records: &[Record], lang: Lang) -> Cow<'_, [Record]> {
    let opened = records.first().map(|record| &record.event);
    let Some(Event::RunOpened { plan, .. }) = opened.filter(|_| lang == Lang::Zh || records.iter().any(has_chinese))
    else {
        return Cow::Borrowed(records);
    };
    let Ok(runbook) = document_of(plan) else { return Cow::Borrowed(records) };
    let inputs = Scope::from([("inputs".to_owned(), json!(plan.inputs))]);
    let told = |record: &Record| Record { event: event(&record.event, &runbook, &inputs, lang), ..record.clone() };
    Cow::Owned(records.iter().map(told).collect())
}

fn event(of: &Event, runbook: &Runbook, inputs: &Scope, lang: Lang) -> Event {
    let mut event = of.clone();
    match &mut event {
        Event::RunOpened { plan, .. } => **plan = told(plan, runbook, lang),
        Event::Paused { reason, .. } => match reason {
            PauseReason::NotReady { sentence: said }
            | PauseReason::Foreign { sentence: said, .. }
            | PauseReason::TimedOut { sentence: said }
            | PauseReason::Refused { sentence: said } => *said = sentence(said, runbook, inputs, lang),
            PauseReason::Asked => {}
        },
        Event::Chosen { choice: Choice::Abandon { left, .. } } => {
            left.iter_mut().for_each(|said| *said = sentence(said, runbook, inputs, lang));
        }
        _ => {}
    }
    event
}

/// The plan with its texts in the language asked for; its digest stays that of the recorded one.
pub fn plan(plan: &Plan, lang: Lang) -> Plan {
    match document_of(plan) {
        Ok(runbook) => told(plan, &runbook, lang),
        Err(_) => plan.clone(),
    }
}

fn told(plan: &Plan, runbook: &Runbook, lang: Lang) -> Plan {
    let mut told = plan.clone();
    let inputs = Scope::from([("inputs".to_owned(), json!(plan.inputs))]);
    told.title = said(&runbook.title, &plan.title, lang, &inputs);
    for check in &mut told.checks {
        if let Some(known) = runbook.preflight.iter().find(|known| known.id == check.id) {
            check.sentence = said(&known.fail, &check.sentence, lang, &inputs);
            if let Some(title) = known.title.as_ref().filter(|_| !check.title.is_empty()) {
                check.title = said(title, &check.title, lang, &inputs);
            }
        }
    }
    for step in &mut told.steps {
        step_told(step, plan, runbook, lang);
    }
    if told != *plan {
        told.sealed = Some(digest(plan));
    }
    told
}

fn step_told(step: &mut PlannedStep, plan: &Plan, runbook: &Runbook, lang: Lang) {
    let Some(phase) = runbook.phases.iter().find(|phase| phase.id == step.phase) else { return };
    let id = step.id.split('[').next().unwrap_or_default().to_owned();
    let Some(written) = phase.steps.iter().find(|written| written.id == id) else { return };
    let mut scope = step.env.clone();
    scope.insert("inputs".into(), json!(plan.inputs));
    step.title = said(&written.title, &step.title, lang, &scope);
    if let Some(why) = &written.why {
        step.why = said(why, &step.why, lang, &scope);
    }
    if let (Some(say), Some(text)) = (&mut step.say, &written.say) {
        unfilled(say, text, lang);
    }
    for (never, written) in step.never.iter_mut().zip(&written.never) {
        unfilled(&mut never.say, &written.say, lang);
    }
    let between = phase.for_each.as_ref().map(|each| each.between.as_slice()).unwrap_or_default();
    for (planned, written) in [
        (&mut step.invariants, phase.invariants.as_slice()),
        (&mut step.between, between),
        (&mut step.pre, &written.pre),
        (&mut step.post, &written.post),
        (&mut step.until, &written.until),
    ] {
        for (Condition { say, .. }, written) in planned.iter_mut().zip(written) {
            if let (Some(say), Some(text)) = (say, &written.say) {
                unfilled(say, text, lang);
            }
        }
    }
}

/// A text whose holes are not filled yet.
fn unfilled(say: &mut String, text: &Text, lang: Lang) {
    if *say == text.en || Some(&*say) == text.zh.as_ref() {
        text.of(lang).clone_into(say);
    }
}

/// A filled text of the document; as it is recorded where it does not fit.
fn said(text: &Text, recorded: &str, lang: Lang, scope: &Scope) -> String {
    translated(text, recorded, lang, scope).unwrap_or_else(|| recorded.to_owned())
}

/// A sentence that may have any text of the document in it.
fn sentence(recorded: &str, runbook: &Runbook, inputs: &Scope, lang: Lang) -> String {
    let (wrapper, inner) =
        WRAPPERS.iter().find_map(|wrapper| Some((*wrapper, recorded.strip_prefix(wrapper)?))).unwrap_or(("", recorded));
    let long = |text: &&Text| pieces(text.but(lang)).iter().map(String::len).sum::<usize>() >= ENOUGH;
    let mut texts: Vec<&Text> = runbook.texts().into_iter().filter(long).collect();
    texts.sort_by_key(|text| std::cmp::Reverse(pieces(text.but(lang)).iter().map(String::len).sum::<usize>()));
    let found = texts.into_iter().find_map(|text| translated(text, inner, lang, inputs));
    found.map_or_else(|| recorded.to_owned(), |found| format!("{wrapper}{found}"))
}

/// The text with the values of the recorded one. `None`: there is no other language, or the recorded one is not this text.
fn translated(text: &Text, recorded: &str, lang: Lang, scope: &Scope) -> Option<String> {
    let (from, to) = (text.but(lang), text.of(lang));
    if from == to || recorded.is_empty() {
        return None;
    }
    let (pattern, form) = (Form::of(from, scope), Form::of(to, scope));
    let found = pattern.found_in(recorded)?;
    let mut out = found.before.to_owned();
    for (index, literal) in form.literals.iter().enumerate() {
        if let Some(hole) = index.checked_sub(1).and_then(|before| form.holes.get(before)) {
            out.push_str(&value(hole, &pattern.holes, &found.values)?);
        }
        out.push_str(literal);
    }
    out.push_str(found.after);
    Some(out)
}

/// The value of a hole: of the same expression, or of one that differs in its words alone.
fn value(hole: &str, holes: &[String], values: &[&str]) -> Option<String> {
    let (bones, words) = bare(hole);
    let at = holes
        .iter()
        .position(|other| other == hole)
        .or_else(|| holes.iter().position(|other| bare(other).0 == bones))?;
    let mut value = (*values.get(at)?).to_owned();
    let said = |word: &String| word.chars().any(char::is_alphanumeric);
    let mut pairs: Vec<(String, String)> = bare(&holes[at]).1.into_iter().zip(words).collect();
    pairs.retain(|(theirs, ours)| theirs != ours && said(theirs));
    pairs.sort_by_key(|(theirs, _)| std::cmp::Reverse(theirs.len()));
    for (theirs, ours) in pairs {
        value = value.replace(theirs.as_str(), &ours);
    }
    Some(value)
}

/// An expression without what stands in quotes, and that.
fn bare(expression: &str) -> (String, Vec<String>) {
    let (mut bones, mut words) = (String::new(), Vec::new());
    let mut open: Option<(char, String)> = None;
    for c in expression.chars() {
        open = match open {
            None if c == '\'' || c == '"' => Some((c, String::new())),
            None => {
                bones.push(c);
                None
            }
            Some((quote, word)) if c == quote => {
                words.push(word);
                bones.push('_');
                None
            }
            Some((quote, mut word)) => {
                word.push(c);
                Some((quote, word))
            }
        };
    }
    (bones, words)
}

/// A text as what stands between its holes, those filled that name nothing which was only seen then.
struct Form {
    literals: Vec<String>,
    holes: Vec<String>,
}

/// Where a form stands in a sentence.
struct Found<'a> {
    before: &'a str,
    values: Vec<&'a str>,
    after: &'a str,
}

impl Form {
    fn of(text: &str, scope: &Scope) -> Self {
        let mut literals: Vec<String> = Vec::new();
        let mut holes: Vec<String> = Vec::new();
        let mut sources = cel_expr::holes(text).unwrap_or_default().into_iter();
        for piece in pieces(text) {
            let many = literals.len() > 1;
            let Some(last) = literals.last_mut() else {
                literals.push(piece);
                continue;
            };
            let source = sources.next().unwrap_or_default();
            match cel_expr::eval(&source, scope) {
                Ok(Value::String(known)) => last.push_str(&(known + &piece)),
                Ok(known @ (Value::Number(_) | Value::Bool(_))) => last.push_str(&(known.to_string() + &piece)),
                // Two values with nothing between them are taken for one.
                Ok(_) | Err(_) => match holes.last_mut().filter(|_| last.is_empty() && many) {
                    Some(hole) => {
                        *hole = format!("{hole}}}${{{source}");
                        *last = piece;
                    }
                    None => {
                        holes.push(source);
                        literals.push(piece);
                    }
                },
            }
        }
        Self { literals, holes }
    }

    /// Read from the left and from the right it has to be the same: values that cannot be told apart are not guessed.
    fn found_in<'a>(&self, said: &'a str) -> Option<Found<'a>> {
        let (first, rest) = self.literals.split_first()?;
        let start = if first.is_empty() { 0 } else { said.find(first.as_str())? };
        let inner = rest.len().checked_sub(1).map_or(&[][..], |inner| &rest[..inner]);
        if inner.iter().any(String::is_empty) {
            return None;
        }
        let from = start + first.len();
        let Some(last) = rest.last() else {
            return Some(Found { before: &said[..start], values: Vec::new(), after: &said[from..] });
        };
        let (mut at, mut left) = (from, Vec::new());
        for literal in inner {
            let found = at + said[at..].find(literal.as_str())?;
            left.push(found);
            at = found + literal.len();
        }
        // What is said behind a text of the document belongs to its last value rather than to nothing.
        let end = at + said[at..].rfind(last.as_str())?;
        let mut right = end;
        for (literal, left) in inner.iter().zip(&left).rev() {
            right = said[from..right].rfind(literal.as_str()).map(|found| from + found)?;
            if right != *left {
                return None;
            }
        }
        let mut values = Vec::new();
        let mut at = from;
        for (literal, place) in inner.iter().zip(left) {
            values.push(&said[at..place]);
            at = place + literal.len();
        }
        values.push(&said[at..end]);
        Some(Found { before: &said[..start], values, after: &said[end + last.len()..] })
    }
}

fn has_chinese(record: &Record) -> bool {
    let line = serde_json::to_string(record).unwrap_or_default();
    line.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(en: &str, zh: &str) -> Text {
        Text { en: en.into(), zh: Some(zh.into()) }
    }

    #[test]
    fn a_recorded_text_is_told_in_the_other_language_with_its_values() {
        let scope = Scope::from([("inputs".to_owned(), json!({"domain": "eu.example"}))]);
        let both = text(
            "Set ${inputs.domain} of ${tc.name}: ${has(x) ? x : 'not known'}",
            "将 ${tc.name} 设为 ${inputs.domain}：${has(x) ? x : '未知'}",
        );
        let said = |recorded: &str, lang| said(&both, recorded, lang, &scope);
        assert_eq!(said("Set eu.example of basic: v1", Lang::Zh), "将 basic 设为 eu.example：v1");
        assert_eq!(said("将 basic 设为 eu.example：未知", Lang::En), "Set eu.example of basic: not known");
        assert_eq!(said("将 basic 设为 eu.example：v1 Typed: x.", Lang::En), "Set eu.example of basic: v1 Typed: x.");
        // Already so, another text, and what can be read in two ways.
        for other in ["Set eu.example of basic: v1", "别的", "将 a 设为 eu.example：b 设为 eu.example：v1"] {
            assert_eq!(said(other, Lang::En), other);
        }
    }

    #[test]
    fn every_text_of_every_shipped_runbook_is_found_again_in_both_languages() {
        let mut wrong = Vec::new();
        for (id, _) in super::super::language::document::SHIPPED {
            let runbook = Runbook::shipped(id).expect("ships");
            for text in runbook.texts() {
                for lang in [Lang::En, Lang::Zh] {
                    let fill = |source: &str| {
                        let form = Form::of(source, &Scope::new());
                        let mut out = String::new();
                        for (index, literal) in form.literals.iter().enumerate() {
                            if let Some(hole) = index.checked_sub(1).and_then(|before| form.holes.get(before)) {
                                out.push_str(&format!(
                                    "<{}>",
                                    bare(hole).0.bytes().fold(7_u32, |sum, b| sum.wrapping_mul(31) ^ u32::from(b))
                                ));
                            }
                            out.push_str(literal);
                        }
                        out
                    };
                    let (recorded, wanted) = (fill(text.but(lang)), fill(text.of(lang)));
                    let wrapped = format!("nothing is sent: {recorded}");
                    let told = sentence(&wrapped, &runbook, &Scope::new(), lang);
                    let whole = said(text, &recorded, lang, &Scope::new());
                    if whole != wanted || (recorded.len() > 40 && told == wrapped && recorded != wanted) {
                        wrong.push(format!("{id}: {recorded}\n  {whole}\n  {told}\n  {wanted}"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
