//! Words of a document, in the languages that it has.

use serde::Deserialize;

/// A text in English and, where there is one, Chinese.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub en: String,
    #[serde(default)]
    pub zh: Option<String>,
}

/// The language of titles and texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    #[default]
    En,
    Zh,
}

impl Text {
    /// In this language, as far as the document has it.
    pub fn of(&self, lang: Lang) -> &str {
        match (lang, self.zh.as_deref().filter(|zh| !zh.trim().is_empty())) {
            (Lang::Zh, Some(zh)) => zh,
            (Lang::Zh, None) | (Lang::En, _) => &self.en,
        }
    }

    /// In the other one.
    pub(in crate::runbook) fn but(&self, lang: Lang) -> &str {
        self.of(if lang == Lang::Zh { Lang::En } else { Lang::Zh })
    }
}
