//! Where in the text of a document a mistake stands.

/// Line and column of an expression below the `id:` of its place, else of the id itself.
pub(super) fn locate(text: &str, place: &str, source: Option<&str>) -> Option<(usize, usize)> {
    let id = place.split([' ', ',']).nth(1).unwrap_or_default();
    let names_it = |line: &str| {
        let value = line.trim_start().trim_start_matches("- ").trim_start_matches('{');
        let named = value.strip_prefix("id:").or_else(|| value.strip_prefix("use:"));
        named.is_some_and(|rest| rest.trim().trim_matches(['"', '\'']).split([',', ' ']).next() == Some(id))
    };
    let start = text.lines().position(names_it);
    // What a shared check says stands nowhere below: only keys beside its `use` do.
    let shared = start.and_then(|at| text.lines().nth(at)).is_some_and(|line| line.trim_start().starts_with("- use:"));
    let lines = || {
        let from = text.lines().enumerate().skip(start.unwrap_or(0));
        let first = start.unwrap_or(0);
        from.take_while(move |(at, line)| !shared || *at == first || !line.trim_start().starts_with("- "))
    };
    if let Some(source) = source.filter(|source| !source.is_empty()) {
        // In double quotes the text escapes quotes of its own.
        for wanted in [source.to_owned(), source.replace('"', "\\\""), source.replace('\'', "''")] {
            if let Some((index, at)) = lines().find_map(|(index, line)| Some((index, whole(line, &wanted)?))) {
                let column = text.lines().nth(index).map_or(at, |line| line[..at].chars().count());
                return Some((index + 1, column + 1));
            }
        }
    }
    let line = start?;
    let column = text.lines().nth(line).and_then(|line| line.find("id:").or_else(|| line.find("use:")))?;
    Some((line + 1, column + 1))
}

/// Where `wanted` stands in a line without being a part of a longer word.
fn whole(line: &str, wanted: &str) -> Option<usize> {
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let found = line.match_indices(wanted).map(|(at, _)| at);
    let mut found =
        found.filter(|at| !word(line[..*at].chars().next_back()) && !word(line[at + wanted.len()..].chars().next()));
    found.next()
}

/// The expression which an error sentence quotes first.
pub(super) fn quoted(sentence: &str) -> Option<String> {
    let start = sentence.find('"')?;
    let mut stream = serde_json::Deserializer::from_str(&sentence[start..]).into_iter::<String>();
    stream.next()?.ok()
}

pub(super) fn number(sentence: &str, after: &str) -> Option<usize> {
    let rest = &sentence[sentence.find(after)? + after.len()..];
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
