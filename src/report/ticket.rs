//! Pieces of a ticket in Markdown: a finding with its evidence and what helps, and a table of any view.
//!
//! Not here: the ticket of a plan ([`super::plan`]) and of a run ([`super::run_report`]).

use std::fmt::Write as _;

use super::markdown::{block, cell, code};
use crate::hazards::Finding;

/// One finding.
pub fn finding(finding: &Finding) -> String {
    let mut out = String::new();
    let word = if finding.unknown { "not known" } else { finding.severity.word() };
    let _ = writeln!(out, "## {}: {}\n", cell(word), cell(finding.id()));
    let _ = writeln!(out, "{}\n", cell(&finding.sentence));
    let _ = writeln!(out, "* in: {}", cell(finding.database.as_deref().unwrap_or("the fleet")));
    for subject in &finding.subjects {
        let _ = writeln!(out, "* about: {}", cell(&subject.to_string()));
    }
    for evidence in &finding.evidence {
        let seen = evidence.seen.map_or_else(|| "never heard of".to_owned(), |at| format!("seen {at}"));
        let line = format!("{}: {} = {} ({seen})", evidence.object, evidence.field, evidence.value);
        let _ = writeln!(out, "* evidence: {}", cell(&line));
    }
    let _ = writeln!(out, "* why: {}\n\nWhat to do:\n", cell(finding.why));
    out.push_str(&block(&finding.what_to_do));
    out
}

/// Rows below their headings; a column without a heading is left out.
pub fn table(headings: &[String], rows: &[Vec<String>]) -> String {
    let shown: Vec<usize> = (0..headings.len()).filter(|at| !headings[*at].is_empty()).collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(shown.iter().map(|at| cell(&headings[*at])).collect());
    out.push_str(&line(shown.iter().map(|_| "---".to_owned()).collect()));
    for row in rows {
        let text = |at: &usize| row.get(*at).map(|text| cell(text)).unwrap_or_default();
        out.push_str(&line(shown.iter().map(text).collect()));
    }
    out
}

/// One line of what the ticket is about.
pub fn about(name: &str, value: &str) -> String {
    format!("* {}: `{}`\n", cell(name), code(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_its_columns_whatever_its_cells_hold() {
        let headings = ["POD", "", "STATE"].map(str::to_owned);
        let row = ["a|b", "x", "<img>\n# c"].map(str::to_owned).to_vec();
        let text = table(&headings, &[row, vec!["short".into()]]);
        let wanted = ["| POD | STATE |", "| --- | --- |", "| a\\|b | \\<img>·# c |", "| short |  |"];
        assert_eq!(text.lines().collect::<Vec<_>>(), wanted);
    }
}
