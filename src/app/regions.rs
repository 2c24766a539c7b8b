//! How many regions lack something, as PD's leader counts them: asked for while a store's page or the list of regions is in front, with the
//! slow things, and never at rest.
//!
//! Not here: the list (`views::regions`), a store's page (`console::regions`), whether it is a hazard (`hazards`).

use jiff::{SignedDuration, Timestamp};

use super::message::Effect;
use super::words::Level;
use super::{App, Subject, View};
use crate::counted::{counted, is};
use crate::fleet::database::{Database, StoreRow};
use crate::fleet::extras::{PdDetails, RegionCheck};
use crate::fleet::removal;

/// Between two of one session: each answer of PD lists every such region.
const EVERY: SignedDuration = SignedDuration::from_secs(30);

/// What PD's check counts, and how the number is to be taken: the words behind "N regions".
pub fn meaning(check: RegionCheck) -> &'static str {
    match check {
        RegionCheck::MissPeer => "have fewer peers than PD wants, and PD makes new ones",
        RegionCheck::DownPeer => "have a peer that its leader has not heard of for minutes",
        RegionCheck::OfflinePeer => "have a peer on a store that is being emptied",
        RegionCheck::PendingPeer => "have a peer that lags behind, as with every move of one",
    }
}

/// What comes and goes by itself is no fault.
pub fn level_of(check: RegionCheck, count: u64) -> Level {
    match (check, count) {
        (_, 0) => Level::Good,
        (RegionCheck::MissPeer | RegionCheck::DownPeer, _) => Level::Bad,
        (RegionCheck::OfflinePeer | RegionCheck::PendingPeer, _) => Level::Working,
    }
}

/// Whether a store that holds data is away.
pub fn is_away(row: &StoreRow) -> bool {
    matches!(row.store.state.as_str(), "Disconnected" | "Down") && row.store.region_count > 0
}

impl App {
    /// What PD counts of a Database, where it was asked.
    pub fn region_counts(&self, database: &Database) -> Option<&PdDetails> {
        removal::details(&self.fleet, database)
    }

    /// What follows from so many TiKV stores away at once; `None` while each region has most of its peers elsewhere.
    pub fn majority_at_risk(&self, database: &Database) -> Option<String> {
        let away = database.stores.iter().filter(|row| is_away(row) && !row.store.tiflash).count();
        let copies = usize::try_from(database.max_replicas?).ok().filter(|copies| *copies > 0)?;
        // Without them the rest is no majority.
        let most = copies - copies / 2;
        (away >= most).then(|| {
            format!(
                "{} {} away, and PD keeps {} of a region: one with {most} of them there answers nothing until a store is back; \
                 how many these are PD does not tell",
                counted(away, "store"),
                is(away),
                counted(copies, "copy")
            )
        })
    }

    fn shows_regions(&self) -> bool {
        matches!(self.view(), View::Regions | View::Detail(Subject::Store(_)))
    }

    /// Asks PD where its counts are in front and are old.
    pub(super) fn count_regions(&mut self, effects: &mut Vec<Effect>) {
        let old = self.looks.counted.is_none_or(|at: Timestamp| self.now.duration_since(at) >= EVERY);
        if self.shows_regions() && old && !self.fleet.clusters.is_empty() {
            self.looks.counted = Some(self.now);
            effects.push(Effect::CountRegions);
        }
    }

    /// How old the counts in front are: `counted 10s ago`, `asking PD`.
    pub fn regions_counted(&self) -> Option<String> {
        let database = self.database().filter(|_| self.shows_regions())?;
        let Some(details) = self.region_counts(database) else { return Some("asking PD".to_owned()) };
        let word = if details.regions.is_empty() { "asked in vain" } else { "counted" };
        Some(super::run_looks::aged(word, details.at, self.now))
    }
}
