//! Only one KubeCluster is shown: by a digit, by its name in the palette, by a click on it.
//!
//! A Database that has a part there comes in front: else an empty screen would tell of the choice, and not of the cluster. Not here:
//! one namespace only ([`super::namespace_filter`]).

use super::App;
use super::status_level::Level;
use crate::fleet::database::Database;

impl App {
    /// Shows this context only. The Database in front stays where it has a part there; else the first that has one is chosen.
    pub(super) fn focus_on(&mut self, context: String) {
        let has_part = |database: &Database| database.tidb_clusters.iter().any(|of| of.context == context);
        let before = self.database().map(|database| (database.name.clone(), has_part(database)));
        let other = self.databases().iter().position(has_part);
        match (before, other) {
            (Some((name, false)), Some(index)) => {
                self.choose_database(index);
                let now = self.database().map(|database| database.name.clone()).unwrap_or_default();
                self.say(Level::Done, format!("only {context}: {name} has no part there, so {now} is in front"));
            }
            (Some((_, false)), None) => {
                let live = self.is_live(&context);
                let seen = if live { "" } else { " that is seen: it does not answer" };
                self.say(Level::Unknown, format!("only {context}: no Database has a part there{seen}"));
            }
            (Some((_, true)) | None, _) => {}
        }
        self.focus = Some(context);
    }
}
