//! The config file, `$XDG_CONFIG_HOME/tidepilot/config.yaml`: access per context. Strict: an unknown key is an error.

use std::collections::BTreeMap;
use std::path::PathBuf;

use etcetera::{AppStrategy, AppStrategyArgs};
use serde::Deserialize;

use crate::files::{self, Allowed, CONFIG_LIMIT, FileError};
use crate::invalid_value::parser_words;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Config {
    /// Everything is read-only.
    pub read_only: bool,
    /// The console takes the mouse; a terminal's own selection then takes shift.
    pub mouse: Option<bool>,
    /// The console shows the time, which moves once a minute.
    pub clock: Option<bool>,
    /// Who is told of runs and findings, as `--notify` names them. May hold secrets, so it is never printed.
    pub notify: Vec<String>,
    /// How PD is asked.
    pub pd_access: Option<PdAccess>,
    /// By context name.
    pub contexts: BTreeMap<String, ContextConfig>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ContextConfig {
    pub read_only: bool,
    /// How the PD of this context is asked.
    pub pd_access: Option<PdAccess>,
}

/// See docs/networks.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PdAccess {
    Auto,
    Direct,
    PortForward,
}

impl Config {
    /// Reads the file; a missing one is the default. `Err`: one sentence with file, line and column.
    pub fn load() -> Result<Self, String> {
        let file = folders()?.in_config_dir("config.yaml");
        match files::read_text(&file, Allowed::Plain, CONFIG_LIMIT) {
            Ok(text) => Self::parse(&text).map_err(|why| format!("{}: {why}", file.display())),
            Err(FileError::Missing(_)) => Ok(Self::default()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut options = serde_saphyr::Options::default();
        // Lines of this file stand in nobody's log: `notify` holds URLs that are secrets.
        options.with_snippet = false;
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let said = error.to_string();
            match said.contains("://") {
                true => {
                    let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
                    format!("line {line}, column {column}: expected another kind of value there (a list, perhaps); what was found is not shown, since it may be a secret")
                }
                false => parser_words(&said),
            }
        })
    }
}

/// `$XDG_STATE_HOME/tidepilot`.
pub fn state_folder() -> Result<PathBuf, String> {
    let folders = folders()?;
    Ok(folders.state_dir().unwrap_or_else(|| folders.data_dir()))
}

/// `$XDG_CONFIG_HOME/tidepilot`.
pub fn config_folder() -> Result<PathBuf, String> {
    Ok(folders()?.config_dir())
}

fn folders() -> Result<etcetera::app_strategy::Xdg, String> {
    etcetera::app_strategy::Xdg::new(AppStrategyArgs {
        top_level_domain: "org".into(),
        author: "tidepilot".into(),
        app_name: "tidepilot".into(),
    })
    .map_err(|error| format!("no home folder is known ({error}); set HOME"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_no_line_of_the_file() {
        let secret = "https://hooks.example/T0/SECRET";
        for text in [
            format!("notify:\n  - {secret}\nreadonly: true\n"),
            format!("notify: {secret}\n"),
            format!("notify:\n  a: {secret}\n"),
            format!("{secret}: 1\n"),
        ] {
            let why = Config::parse(&text).expect_err("refused");
            assert!(!why.contains("SECRET") && why.contains("line"), "{why}");
        }
    }

    #[test]
    fn strict_and_small() {
        let config = Config::parse("contexts:\n  prod-east:\n    readOnly: true\n").expect("reads");
        assert!(config.contexts["prod-east"].read_only && !config.read_only);
        assert_eq!(Config::parse("mouse: false\n").map(|config| config.mouse), Ok(Some(false)));
        assert_eq!(Config::parse("clock: false\n").map(|config| config.clock), Ok(Some(false)));
        let told = Config::parse("notify: [alertmanager+http://am:9093]\n").map(|config| config.notify.len());
        assert_eq!(told, Ok(1));
        let access = Config::parse("pdAccess: auto\ncontexts:\n  a:\n    pdAccess: port-forward\n").expect("reads");
        assert_eq!(access.pd_access, Some(PdAccess::Auto));
        assert_eq!(access.contexts["a"].pd_access, Some(PdAccess::PortForward));
        assert_eq!(Config::parse(""), Ok(Config::default()));
        let error = Config::parse("contexts:\n  a:\n    readonly: true\n").expect_err("refused");
        assert!(error.contains("readonly") && error.contains("line 3"), "{error}");
    }
}
