//! A run's record in a cluster that nothing can be gone on with: which object it is, who wrote it, and what removes it.
//!
//! It keeps other runs out for all that, since nobody can tell what was sent under it: damaged by accident or planted, a
//! person looks and decides. Pure. Not here: reading it (`client::share::run_record_configmaps`), what makes it bad (`app::driver::journal_reconcile`).

use crate::fleet::kubectl_quoting::{kubectl_in, quote};
use serde::Serialize;

/// The object, and why it is no record of its run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BadRecord {
    pub run: String,
    pub context: String,
    pub namespace: String,
    /// Name of the ConfigMap.
    pub object: String,
    /// One clause.
    pub why: String,
    /// Who opened it and who wrote it last, as far as the API server knows.
    pub writer: String,
    /// Every segment of the run lies under the names that tidepilot gives them.
    pub whole_name: bool,
}

impl BadRecord {
    /// The line that removes it; can be pasted.
    pub fn removal(&self) -> String {
        let Self { run, context, namespace, object, .. } = self;
        let what = match self.whole_name {
            // With its further segments, which would be in the way of a new record.
            true => format!("-l {}", quote(&format!("app.kubernetes.io/managed-by=tidepilot,tidepilot/run={run}"))),
            // A server may call it `--all`.
            false => format!("{}{}", if object.starts_with('-') { "-- " } else { "" }, quote(object)),
        };
        format!("{} -n {} delete configmap {what}", kubectl_in(context), quote(namespace))
    }

    /// Which object it is, whose, and what is wrong with it.
    pub fn sentence(&self) -> String {
        let Self { run, context, namespace, object, why, writer, .. } = self;
        format!(
            "the record of run {run} cannot be trusted: {why}. It is ConfigMap {object} in {context}/{namespace} ({writer}); whether \
             anything was sent under it is not known"
        )
    }

    /// The same as a refusal, with the line that ends it. `here`: the run's journal on this machine is whole.
    pub fn refusal(&self, here: bool) -> String {
        let then = match here {
            true => {
                format!("; `tidepilot runs resume {}` then stores it anew from the journal of this machine", self.run)
            }
            false => String::new(),
        };
        format!(
            "{}. Once you have looked at it and it is not needed, `{}` removes it{then}",
            self.sentence(),
            self.removal()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_removes_it_is_one_command_whatever_it_is_called() {
        let bad = BadRecord {
            run: "r; touch PWNED".into(),
            context: "a b$(touch PWNED)".into(),
            namespace: "n".into(),
            object: "x'`touch PWNED`".into(),
            ..BadRecord::default()
        };
        let all = BadRecord { object: "--all".into(), ..BadRecord::default() };
        assert!(all.removal().ends_with(" delete configmap -- --all"), "{}", all.removal());
        for bad in [bad.clone(), BadRecord { whole_name: true, ..bad }] {
            let room = tempfile::tempdir().expect("a folder");
            let script = format!("kubectl() {{ printf '%s\\n' \"$#\"; }}\n{}\n", bad.removal());
            let ran = std::process::Command::new("/bin/sh").arg("-c").arg(script).current_dir(room.path()).output();
            let words = String::from_utf8_lossy(&ran.expect("a shell").stdout).trim().to_owned();
            assert_eq!(words, if bad.whole_name { "8" } else { "7" }, "{}", bad.removal());
            assert!(!room.path().join("PWNED").exists());
        }
    }
}
