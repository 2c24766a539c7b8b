//! Source files without their tests and comments, for the scans of the other files here.

/// Without the tests at its end (`#[cfg(test)] mod tests { … }`), and without the line that names a file of tests
/// (`#[cfg(test)] mod golden;`), after which the code goes on.
pub fn code(text: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" {
            match lines.peek().filter(|next| declares(next)) {
                Some(next) if next.ends_with(';') => {
                    lines.next();
                    continue;
                }
                Some(_) => break,
                None => {}
            }
        }
        out.push(line);
    }
    out.join("\n")
}

/// The names of the files of tests that a file declares.
pub fn test_files(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let pairs =
        lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]" && declares(pair[1]) && pair[1].ends_with(';'));
    pairs.filter_map(|pair| Some(pair[1].split("mod ").nth(1)?.trim_end_matches(';').to_owned())).collect()
}

fn declares(line: &str) -> bool {
    line.starts_with("mod ") || (line.starts_with("pub") && line.contains(" mod "))
}

/// A line without the comment at its end; an address in a string is no comment.
pub fn bare(line: &str) -> &str {
    match line.trim_start().starts_with("//") {
        true => "",
        false => line.split(" // ").next().unwrap_or_default(),
    }
}

#[test]
fn code_goes_on_behind_a_file_of_tests() {
    let text =
        "mod a;\n#[cfg(test)]\nmod golden;\nmod b;\nuse x; // why\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n";
    assert_eq!(code(text), "mod a;\nmod b;\nuse x; // why\n");
    assert_eq!(test_files(text), ["golden"]);
    assert_eq!(
        (bare("use x; // why"), bare("  // only"), bare("let a = \"http://x\";")),
        ("use x;", "", "let a = \"http://x\";")
    );
}
