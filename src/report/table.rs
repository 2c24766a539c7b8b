//! Plain text tables with aligned columns, as kubectl prints them.

use unicode_width::UnicodeWidthStr;

/// Renders rows under a header; columns are two blanks apart and the last one is not padded.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let columns = header.len();
    let mut widths = vec![0; columns];
    let all = || std::iter::once(&header).chain(rows);
    for row in all() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut out = String::new();
    for row in all() {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate().take(columns) {
            line.push_str(&super::plain(cell));
            if index + 1 < columns {
                line.push_str(&" ".repeat(widths[index] - cell.width() + 2));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_align_and_control_characters_are_gone() {
        let rows = vec![vec!["a".into(), "\u{1b}[31mx".into()], vec!["长名".into(), "y".into()]];
        assert_eq!(super::table(&["NAME", "V"], &rows), "NAME  V\na     ·[31mx\n长名  y\n");
    }
}
