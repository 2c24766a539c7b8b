//! A value that somebody wrote, and that is not what it was to be: what was expected, what was found, what to do.

use crate::did_you_mean::near;

/// `expected CONTEXT/NAMESPACE/NAME, found "east"`
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}{}", hint.as_deref().unwrap_or_default())]
pub struct Misread {
    pub expected: String,
    /// As it is shown: quoted where it is a text of somebody's.
    pub found: String,
    /// With what joins it to the rest: `: leave the leading "svc." out`.
    pub hint: Option<String>,
}

impl Misread {
    pub fn new(expected: impl Into<String>, found: &str) -> Self {
        Self { expected: expected.into(), found: format!("{found:?}"), hint: None }
    }

    /// Where what was found has no words of its own: `nothing`, `7`.
    pub fn plain(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into(), hint: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Where a sentence is all that is asked for.
impl From<Misread> for String {
    fn from(misread: Misread) -> Self {
        misread.to_string()
    }
}

/// What a parser of JSON or YAML says, in the words of the documents that people write: no types of the program, what was expected
/// before what was found. What it does not know it leaves as it is, with line and column.
pub fn parser_words(said: &str) -> String {
    let plain = [
        ("expected sequence start", "expected a list (lines that begin with `- `)"),
        ("expected mapping start", "expected fields (`name: value`)"),
        ("invalid boolean", "expected true or false"),
        ("EOF while parsing", "it ends in the middle of"),
    ];
    let said = plain.iter().fold(said.to_owned(), |said, (from, to)| said.replace(from, to));
    let turned = ["invalid type: ", "invalid value: ", "unknown variant ", "unknown field ", "missing field "]
        .into_iter()
        .find_map(|head| said.split_once(head).map(|(before, rest)| (head, before, rest)));
    let Some((head, before, rest)) = turned else { return said };
    // Line and column stand behind it, or what the parser shows of the document.
    let end = [" at line ", "\n"].iter().filter_map(|mark| rest.find(mark)).min().unwrap_or(rest.len());
    let (clause, after) = rest.split_at(end);
    let (found, expected) = clause.rsplit_once(", expected ").unwrap_or((clause, ""));
    let words = match head {
        "missing field " => format!("the field {found} is missing"),
        "unknown field " if expected.is_empty() => format!("there is no field {found}"),
        "unknown field " => {
            let bare = |name: &str| name.trim().trim_matches('`').to_owned();
            let names: Vec<String> = expected.trim_start_matches("one of ").split([',', ' ']).map(bare).collect();
            let meant = near(&bare(found), names.iter().map(String::as_str).filter(|name| !name.is_empty()));
            let meant = meant.map_or_else(String::new, |name| format!(" (did you mean {name}?)"));
            format!("there is no field {found}{meant}, expected {expected}")
        }
        // What was found comes first: the list may be as long as there are kinds of records.
        "unknown variant " => format!("found {found}, expected {expected}"),
        _ => format!("expected {}, found {}", kind(expected), kind(found)),
    };
    format!("{before}{words}{after}")
}

/// A kind of value as a parser names it: `unit value`, `integer `3``, `struct PlanArgs`.
fn kind(said: &str) -> String {
    let number = ["integer ", "floating point ", "character "].iter().find_map(|head| said.strip_prefix(head));
    let text = said.strip_prefix("string ");
    match said {
        "sequence" | "a sequence" => "a list".to_owned(),
        "map" | "a map" => "fields".to_owned(),
        "unit value" | "null" => "nothing".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" | "string" => "a text".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 on".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        _ if said.starts_with("struct ") || said.contains("tagged enum ") => "fields".to_owned(),
        _ => match (number, text, said.strip_prefix("boolean ")) {
            (Some(number), ..) => format!("the number {}", number.trim_matches('`')),
            (_, Some(text), _) => format!("the text {text}"),
            (.., Some(boolean)) => boolean.trim_matches('`').to_owned(),
            _ => said.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Document {
        #[expect(dead_code, reason = "only its shape counts")]
        names: Option<Vec<String>>,
        #[expect(dead_code, reason = "only its shape counts")]
        read_only: Option<bool>,
        #[expect(dead_code, reason = "only its shape counts")]
        how: Option<How>,
        #[expect(dead_code, reason = "only its shape counts")]
        count: Option<u32>,
        #[expect(dead_code, reason = "only its shape counts")]
        needed: String,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum How {
        Auto,
        Direct,
    }

    #[test]
    fn a_parser_s_words_are_those_of_documents() {
        for (text, words) in [
            (r#"{"names": "x"}"#, "expected a list, found the text \"x\" at line 1"),
            (r#"{"readOnly": 3}"#, "expected true or false, found the number 3 at line 1"),
            (r#"{"readOnli": true}"#, "there is no field `readOnli` (did you mean readOnly?), expected one of `names`"),
            (r#"{"how": "best"}"#, "found `best`, expected `auto` or `direct` at line 1"),
            (r#"{"count": -1}"#, "expected a whole number from 0 on, found the number -1 at line 1"),
            (r#"{"names": null}"#, "the field `needed` is missing at line 1"),
            (r#"3"#, "expected fields, found the number 3 at line 1"),
            (r#"{"names""#, "it ends in the middle of"),
        ] {
            let said = serde_json::from_str::<Document>(text).expect_err("refused").to_string();
            let found = parser_words(&said);
            assert!(found.contains(words), "{text}: {said}: {found}");
        }
        let yaml = |text| serde_saphyr::from_str::<Document>(text).expect_err("refused").to_string();
        for (text, words) in [("names: x", "expected a list (lines"), ("readOnly: maybe", "expected true or false")] {
            let found = parser_words(&yaml(text));
            assert!(found.contains(words) && found.contains("line 1"), "{found}");
        }
    }
}
