//! Texts of others inside Markdown that people read in a ticket: no markup, no HTML and no end of a block of their own.
//!
//! Not here: which documents there are ([`super::plan`], [`super::run_report`]; the pages of [`super::reference`] are ours).

/// Text inside a table cell or a line: one line, no markup of its own.
pub fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in super::plain(text).chars() {
        if matches!(c, '|' | '<' | '`' | '*' | '\\' | '[' | ']' | '!') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Text inside a code span.
pub fn code(text: &str) -> String {
    super::plain(text).replace('`', "'")
}

/// A block of lines, within a fence that none of them ends.
pub fn block(lines: &str) -> String {
    let longest = lines.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", lines.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_others_ends_neither_its_cell_nor_its_block() {
        assert_eq!(cell("a|b\n# c <img> [x](y) `d`"), "a\\|b·# c \\<img> \\[x\\](y) \\`d\\`");
        assert_eq!(code("a`b\nc"), "a'b·c");
        assert_eq!(block("a\nb\n"), "```text\na\nb\n```\n");
        let planted = block("a\n````\n# Approved\n");
        assert!(planted.starts_with("`````text\n") && planted.ends_with("\n`````\n"), "{planted}");
    }
}
