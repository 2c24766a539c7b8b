//! How many regions lack something, as PD's leader counts them: asked for while a store's page or the list of regions is in front, with the
//! slow things, and never at rest.
//!
//! Not here: the list (`views::regions`), a store's page (`console::regions`), whether it is a hazard (`hazards`).

use jiff::{SignedDuration, Timestamp};

use super::message::Effect;
use super::status_level::Level;
use super::{App, Subject, View};
use crate::fleet::database::{Database, StoreRow};
use crate::fleet::pd_pod_to_ask::pod_to_ask;
use crate::fleet::region_health_counts::RegionCheck;
use crate::fleet::region_health_counts::{self, RegionCounts};
use crate::pluralize::{counted, is};

/// Between two of the Database in front: each answer of PD lists every such region.
const EVERY: SignedDuration = SignedDuration::from_secs(30);
/// Where the answer is too long to be read, each time doubled up to this.
const SELDOM: SignedDuration = SignedDuration::from_mins(10);

/// The last time that PD was asked to count.
#[derive(Debug)]
pub(super) struct Counting {
    database: String,
    at: Timestamp,
    /// Until the next one.
    every: SignedDuration,
}

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
    row.store.is_away() && row.store.region_count > 0
}

impl App {
    /// What PD counts of a Database, where it was asked.
    pub fn region_counts(&self, database: &Database) -> Option<RegionCounts> {
        region_health_counts::of(&self.fleet, database)
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

    /// Asks PD where its counts are in front and are old: one pod of the Database in front, and it for nothing else.
    pub(super) fn count_regions(&mut self, effects: &mut Vec<Effect>) {
        // First of all, for it is asked after each message: a Database is made of many of them, not of each.
        if !self.shows_regions() {
            return;
        }
        let Some(database) = self.database() else { return };
        let asked = self.counting.as_ref().filter(|counting| counting.database == database.name);
        if asked.is_some_and(|counting| self.now.duration_since(counting.at) < counting.every) {
            return;
        }
        let Some((of, key)) = pod_to_ask(&self.fleet, database) else { return };
        let Some(pod) = self.fleet.clusters.get(&of.context).and_then(|cluster| cluster.pods.get(&key)) else { return };
        let too_long = self.region_counts(database).is_some_and(|counts| counts.too_long);
        let every = match asked.filter(|_| too_long) {
            Some(counting) => (counting.every * 2).min(SELDOM),
            None => EVERY,
        };
        let (pod, tidb_cluster) = (Box::new(pod.clone()), self.fleet.tidb_cluster(&of).cloned().map(Box::new));
        self.counting = Some(Counting { database: database.name.clone(), at: self.now, every });
        effects.push(Effect::CountRegions { context: of.context, pod, tidb_cluster });
    }

    /// How old the counts in front are: `counted 10s ago`, `asking PD`.
    pub fn regions_counted(&self) -> Option<String> {
        let database = self.shows_regions().then(|| self.database())??;
        let Some(counts) = self.region_counts(database) else { return Some("asking PD".to_owned()) };
        let in_vain = || super::runs_refresh::aged("asked in vain", counts.asked, self.now);
        Some(match counts.oldest() {
            Some(at) if counts.complete() => super::runs_refresh::aged("counted", at, self.now),
            Some(at) => format!("{}, {}", super::runs_refresh::aged("counted", at, self.now), in_vain()),
            None => in_vain(),
        })
    }
}
