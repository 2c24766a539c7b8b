//! What is wrong or risky in all Databases, the worst first, and then what could not be seen.
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Part, Problem, Row, Tone, ViewSpec, column, state};
use crate::app::App;
use crate::app::status_level::Level;
use crate::fleet::not_seen::{NotSeen, NotSeenKind};
use crate::hazards::{Finding, Severity};

pub const SPEC: ViewSpec = ViewSpec {
    title: "problems",
    names: &["problems", "faults", "findings", "check"],
    about: "what is wrong, risky or not seen, with evidence and what helps",
    columns: &[state("SEVERITY", 8, 0), column("IN", 4, 2), column("WHAT", 20, 1)],
    rows,
    empty: "Nothing is found, and nothing is hidden from here.",
    faults: false,
    help: "the header counts the rows that say wrong: what is broken now; the others are risks. unknown: not decided, since what it takes was not seen; unseen: could not be seen, and is never taken for healthy; expected: an open run accounts for it",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let checked = app.checked();
    let near = |finding: &Finding| {
        app.focus.is_none() || finding.subjects.iter().any(|subject| app.focus.as_deref() == Some(&subject.context))
    };
    let found = checked.findings.iter().enumerate().filter(|(_, finding)| near(finding)).map(|(index, finding)| {
        let subjects: Vec<String> = finding.subjects.iter().map(ToString::to_string).collect();
        let number = finding.hazard.number.map(|number| number.to_string()).unwrap_or_default();
        let level = level(finding);
        let standing = match (app.is_wrong(finding), &finding.expected) {
            (true, None) => Some(("wrong", Level::Bad)),
            (true, Some(_)) => Some(("expected", Level::Working)),
            (false, _) => None,
        };
        let word = if finding.unknown { "unknown" } else { finding.severity.word() };
        // Which of several TidbClusters it is about.
        let subject = finding.subjects.first().filter(|subject| !subject.namespace.is_empty());
        let place = subject.map(|subject| format!("{subject}: ")).unwrap_or_default();
        Row::new(key(&checked.findings, index), level, Item::Finding(index))
            .found_by(format!("{number} {} {}", subjects.join(" "), finding.sentence))
            .copies(&*finding.what_to_do)
            .cells(vec![
                Cell::level(level, word),
                Cell::plain(finding.database.as_deref().unwrap_or("fleet")),
                named(finding.id(), standing),
            ])
            .note(2, format!("{place}{}", finding.sentence), Tone::Dim)
    });
    // A KubeCluster that is not seen is the cause of what is found about the rest: it stands above that.
    let is_cause = |one: &&NotSeen| one.kind == NotSeenKind::KubeClusterNotLive && one.database.is_none();
    let (causes, unseen): (Vec<&NotSeen>, Vec<&NotSeen>) = checked.unseen.iter().partition(is_cause);
    let line = |one: &NotSeen| {
        let sentence = &one.sentence;
        let problem = Problem { level: Level::Unknown, of: "unseen".into(), sentence: sentence.clone() };
        Row::new(format!("unseen {sentence}"), Level::Unknown, Item::Problem(problem))
            .copies(sentence)
            .cells(vec![Cell::level(Level::Unknown, "unseen"), Cell::default(), Cell::default()])
            .note(2, sentence, Tone::Dim)
    };
    causes.into_iter().map(line).chain(found).chain(unseen.into_iter().map(line)).collect()
}

/// A finding, and whether the header counts it.
fn named(id: &str, standing: Option<(&str, Level)>) -> Cell {
    let mut cell = Cell::plain(id);
    if let Some((word, level)) = standing {
        cell.parts.push(Part::Text { text: format!("  {word}"), tone: Tone::Level(level), common: false });
    }
    cell
}

/// Stays the same while the finding is about the same things. Of several with one id about the same things, all but the first have
/// a number.
pub fn key(all: &[Finding], index: usize) -> String {
    let Some(finding) = all.get(index) else { return String::new() };
    let alike = |other: &&Finding| {
        (other.id(), &other.database, &other.subjects) == (finding.id(), &finding.database, &finding.subjects)
    };
    let before = all.iter().take(index).filter(alike).count();
    let number = if before > 0 { format!(" {}", before + 1) } else { String::new() };
    let subjects: Vec<String> = finding.subjects.iter().map(ToString::to_string).collect();
    format!("{} {} {}{number}", finding.id(), finding.database.as_deref().unwrap_or_default(), subjects.join(","))
}

pub fn level(finding: &Finding) -> Level {
    match (finding.unknown, finding.severity) {
        (false, _) if finding.expected.is_some() => Level::Working,
        (true, _) => Level::Unknown,
        (false, Severity::High) => Level::Bad,
        (false, Severity::Medium) => Level::Working,
        (false, Severity::Low | Severity::Info) => Level::Done,
    }
}
