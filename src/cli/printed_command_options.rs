//! Commands in what is printed, with the options that they need to reach the same clusters and journals.
//!
//! Not here: which options these are ([`super::shared_options`]), what is printed after a run ([`crate::report::run_lines`]).

use std::process::ExitCode;

use super::fail;
use super::shared_options::Connect;
use crate::hazards::Finding;
use crate::runbook::run::open_run_status::Standing;

const OWN: &str = "tidepilot ";
/// What a command line of ours begins with; any other word after the name is prose.
const BEGINS: [&str; 9] = ["run ", "runs ", "plan ", "status", "check", "diagnose", "rbac", "runbook", "--"];

impl Connect {
    /// A text with the given options in each of its commands.
    pub fn repeat(&self, text: &str) -> String {
        self.with_kubeconfig(&with(text, &self.repeated(), &self.repeated_but_contexts()))
    }

    /// A text with the given kubeconfig in each of its kubectl lines; with several files kubectl could not be told which.
    pub fn with_kubeconfig(&self, text: &str) -> String {
        match self.only_kubeconfig() {
            Some(file) => kubectl(text, &file),
            None => text.to_owned(),
        }
    }

    /// Ends a command with a sentence on stderr; the commands in it reach the same clusters.
    pub fn refuse(&self, sentence: &str, code: u8) -> ExitCode {
        fail(&self.repeat(sentence), code)
    }

    pub fn repeat_of_runs(&self, runs: &mut [Standing]) {
        for run in runs {
            run.next.iter_mut().for_each(|next| *next = self.repeat(next));
        }
    }

    pub fn repeat_of_findings(&self, findings: &mut [Finding]) {
        for finding in findings {
            finding.what_to_do = finding.what_to_do.reworded(self.repeat(&finding.what_to_do));
        }
    }
}

/// `narrow`: for a command that chooses its own context.
fn with(text: &str, repeated: &str, narrow: &str) -> String {
    if repeated.is_empty() {
        return text.to_owned();
    }
    let one = text.starts_with(OWN) && !text.contains(['#', '`', ';', '\n']) && !chooses(text);
    if one && begins(text) {
        return format!("{text} {repeated}");
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(OWN) {
        let (before, command) = rest.split_at(at);
        let word =
            before.chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '-' | '/' | '.' | '_'));
        out.push_str(before);
        out.push_str(OWN);
        let options = if chooses(command) { narrow } else { repeated };
        if word && begins(command) && !options.is_empty() {
            out.push_str(options);
            out.push(' ');
        }
        rest = &command[OWN.len()..];
    }
    out + rest
}

/// `kubectl --context …` and `kubectl VERB …` with the file; the word alone is prose.
fn kubectl(text: &str, file: &str) -> String {
    const KUBECTL: &str = "kubectl ";
    const VERBS: [&str; 13] = [
        "--context ",
        "-n ",
        "--namespace ",
        "get ",
        "patch ",
        "delete ",
        "apply ",
        "create ",
        "logs ",
        "describe ",
        "annotate ",
        "label ",
        "scale ",
    ];
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(KUBECTL) {
        let (before, command) = rest.split_at(at);
        let own =
            before.chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '-' | '/' | '.' | '_'));
        let behind = &command[KUBECTL.len()..];
        out.push_str(before);
        out.push_str(KUBECTL);
        if own && VERBS.iter().any(|verb| behind.starts_with(verb)) {
            out.push_str("--kubeconfig ");
            out.push_str(file);
            out.push(' ');
        }
        rest = behind;
    }
    out + rest
}

fn begins(command: &str) -> bool {
    let rest = command.strip_prefix(OWN).unwrap_or_default();
    // "tidepilot run 20261120-…" names a run.
    let names = rest.strip_prefix("run ").is_some_and(|id| id.starts_with(|c: char| c.is_ascii_digit()));
    !names && BEGINS.iter().any(|begin| rest.starts_with(begin))
}

fn chooses(command: &str) -> bool {
    command.starts_with("tidepilot --context ")
}

#[cfg(test)]
mod tests {
    use super::{kubectl, with};

    #[test]
    fn kubectl_lines_carry_the_kubeconfig_and_prose_does_not() {
        for (text, wanted) in [
            ("kubectl --context a -n b patch tc c", "kubectl --kubeconfig k --context a -n b patch tc c"),
            (
                "x | kubectl -n b apply -f - && kubectl get po",
                "x | kubectl --kubeconfig k -n b apply -f - && kubectl --kubeconfig k get po",
            ),
            ("`kubectl delete pod x`", "`kubectl --kubeconfig k delete pod x`"),
            ("kubectl replaces nothing: write it", "kubectl replaces nothing: write it"),
            ("/usr/bin/kubectl get po", "/usr/bin/kubectl get po"),
            ("set by kubectl-edit", "set by kubectl-edit"),
        ] {
            assert_eq!(kubectl(text, "k"), wanted);
        }
    }

    #[test]
    fn every_command_is_repeated_with_what_was_given_and_prose_is_not() {
        let cases = [
            ("tidepilot runs resume x --yes", "tidepilot runs resume x --yes --kubeconfig k --context a"),
            (
                "wait for it: tidepilot --context b -n db status --watch",
                "wait for it: tidepilot --kubeconfig k --context b -n db status --watch",
            ),
            (
                "tidepilot runs resume x # or: tidepilot runs undo x",
                "tidepilot --kubeconfig k --context a runs resume x # or: tidepilot --kubeconfig k --context a runs undo x",
            ),
            ("set by tidepilot run 20261120-x; tidepilot does not know it", ""),
            ("kubectl get lease/tidepilot runs", ""),
        ];
        for (text, wanted) in cases {
            let wanted = if wanted.is_empty() { text } else { wanted };
            assert_eq!(with(text, "--kubeconfig k --context a", "--kubeconfig k"), wanted);
            assert_eq!(with(text, "", ""), text);
        }
    }
}
