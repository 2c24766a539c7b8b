//! A line that asks for a runbook or a run: `run ID on TARGET NAME=VALUE …` of the palette, and the lines for a shell that this
//! program prints (`tidepilot run ID --set NAME=VALUE`): whatever is shown as a command can be typed as it stands.
//!
//! Not here: which line a finding names ([`super::runbook_suggestions`]), the words of the palette ([`super::palette`]).

use std::collections::BTreeMap;

use super::App;
use super::message::InputKind;
use super::runbook_suggestions::Known;
use super::status_level::Level;
use crate::fleet::ObjectRef;

/// A runbook with what a line says of its inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub id: String,
    pub on: Option<String>,
    pub inputs: BTreeMap<String, String>,
}

/// What stands behind `run`; `Err`: the word that says nothing, or the line whose quotes stay open.
pub fn asked(argument: &str) -> Result<Asked, String> {
    let mut words = shell_words::split(argument).map_err(|_| argument.to_owned())?.into_iter().peekable();
    let mut asked = Asked { id: words.next().unwrap_or_default(), ..Asked::default() };
    while let Some(word) = words.next() {
        let pair = match word.as_str() {
            "on" => {
                asked.on = words.next();
                continue;
            }
            "--set" => words.next().unwrap_or_default(),
            // What the other options of a shell's line say is the session's affair, or asked by a gate.
            flag if flag.starts_with('-') => {
                let of_it = |next: &String| !next.starts_with('-') && !next.contains('=');
                words.next_if(of_it);
                continue;
            }
            _ => word.clone(),
        };
        let (name, value) = pair.split_once('=').ok_or(word)?;
        asked.inputs.insert(name.to_owned(), value.to_owned());
    }
    Ok(asked)
}

/// A line for a shell in the words of the palette; any other text as it stands.
pub fn in_palette(text: &str) -> String {
    let text = text.trim();
    let Some(rest) = text.strip_prefix("tidepilot ").or_else(|| text.strip_prefix("$ tidepilot ")) else {
        return text.to_owned();
    };
    let rest = rest.trim();
    let (command, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match command {
        "run" | "plan" => format!("run {argument}"),
        "status" => "overview".to_owned(),
        "check" | "diagnose" => "problems".to_owned(),
        // Whatever is asked of a run, its page has it.
        "runs" => format!("runs {}", argument.split_whitespace().nth(1).unwrap_or_default()),
        _ => rest.to_owned(),
    }
}

impl App {
    /// `:run ID …`: the inputs of a runbook, filled with what the line says.
    pub(super) fn open_asked(&mut self, argument: &str) {
        let asked = match asked(argument) {
            Ok(asked) => asked,
            Err(word) => {
                let text = format!("{word:?} is no input: :run ID on CONTEXT/NAMESPACE/NAME NAME=VALUE");
                return self.say(Level::Bad, text);
            }
        };
        let Some(index) = self.runbooks.iter().position(|runbook| runbook.id == asked.id) else {
            let broken = self.broken_runbooks.get(&asked.id).cloned();
            let id = &asked.id;
            return self.say(Level::Bad, broken.unwrap_or_else(|| format!("no runbook {id:?}; r lists them")));
        };
        let on = asked.on.as_deref().map(|on| (on, ObjectRef::parse(on).ok()));
        if let Some((on, None)) = on {
            return self
                .say(Level::Bad, format!("{on:?} is no CONTEXT/NAMESPACE/NAME of a TidbCluster; :tc lists them"));
        }
        let runbook = &self.runbooks[index];
        if let Some(strange) = asked.inputs.keys().find(|name| !runbook.inputs.iter().any(|input| input.name == **name))
        {
            let names: Vec<&str> = runbook.inputs.iter().map(|input| input.name.as_str()).collect();
            let text = format!("{} has no input {strange:?}; it has {}", runbook.id, names.join(", "));
            return self.say(Level::Bad, text);
        }
        // Beside the TidbCluster under the cursor nothing is pointed at but by the line itself.
        let named = on.is_some() || !asked.inputs.is_empty();
        let tidb_cluster = on.and_then(|(_, of)| of).or_else(|| self.known_here()?.tidb_cluster);
        self.hint = Known { tidb_cluster, named: asked.inputs, runbook: Some(asked.id), ..Known::default() };
        self.open_form(index, None);
        // What came from the cursor can be typed over at once.
        if let Some(form) = self.form.as_mut().filter(|_| !named) {
            form.at = form.fields.iter().position(|field| field.info.kind == InputKind::TidbCluster).unwrap_or(form.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_the_runbook_its_target_and_its_inputs() {
        let all = asked("migrate on legacy/pingcap/basic clusterDomain=cluster1.com").expect("a line");
        assert_eq!((all.id.as_str(), all.on.as_deref()), ("migrate", Some("legacy/pingcap/basic")));
        assert_eq!(all.inputs.get("clusterDomain").map(String::as_str), Some("cluster1.com"));
        let set = asked("x --set 'a=b c' --set c=d --confirm basic --yes --set e='f g'").expect("a line");
        let set: Vec<(&str, &str)> = set.inputs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(set, [("a", "b c"), ("c", "d"), ("e", "f g")]);
        assert_eq!(asked("x nonsense"), Err("nonsense".into()));
        assert_eq!(asked("x a='b"), Err("x a='b".into()), "a quote that stays open");
    }

    #[test]
    fn a_line_for_a_shell_is_read_too() {
        for (line, words) in [
            ("tidepilot run x --set a=b", "run x --set a=b"),
            ("$ tidepilot plan x", "run x"),
            ("tidepilot runs resume 2026-a --yes", "runs 2026-a"),
            ("tidepilot runs list", "runs "),
            ("tidepilot check", "problems"),
            ("pods basic", "pods basic"),
        ] {
            assert_eq!(in_palette(line), words);
        }
    }
}
