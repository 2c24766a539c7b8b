//! `tidepilot diagnose` as text: what was left with the lines that finish or undo it, and what could not be seen.
//!
//! Not here: finding it ([`crate::fleet::interrupted_work`]), the command (`cli::diagnose`), what its words in capitals mean
//! ([`super::legend`]).

use super::{plain, to_do};
use crate::fleet::interrupted_work::Diagnosis;

/// Ends with a line end.
pub fn text(found: &Diagnosis) -> String {
    let mut out = format!("looked at: {}\n", found.databases.join(", "));
    for leftover in &found.leftovers {
        out.push_str(&format!("\nLEFT    {} [{}] {}\n", leftover.at, leftover.kind, plain(&leftover.sentence)));
        for (number, line) in to_do(&leftover.remedy).iter().enumerate() {
            out.push_str(&format!("        {} {line}\n", if number == 0 { "then:" } else { "     " }));
        }
    }
    for unseen in &found.unseen {
        out.push_str(&format!("\nUNSEEN  {}\n", plain(unseen)));
    }
    if found.leftovers.is_empty() && found.unseen.is_empty() {
        out.push_str("no interrupted work was found\n");
    }
    out
}
