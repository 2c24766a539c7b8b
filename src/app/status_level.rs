//! Words that several views share: levels, ages, and the sentence about the quorum.
//!
//! Pure: `now` is an argument. Not here: colours and glyphs of a level (`console::theme`).

use jiff::Timestamp;

use super::App;
use crate::fleet::database::Database;
use crate::fleet::pd_leader_state::Lead;
use crate::fleet::quorum::votes;
use crate::fleet::{Crd, Freshness, KubeCluster};

/// How a status is to be taken. Drawn as glyph, word and colour together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Finished and of no more interest.
    Done,
    Good,
    /// Not seen, or seen too long ago: never taken for healthy.
    Unknown,
    /// On its way, or worth a look.
    Working,
    Bad,
}

impl Level {
    pub const ALL: [Level; 5] = [Level::Good, Level::Working, Level::Bad, Level::Unknown, Level::Done];

    /// What its sign says, for the help.
    pub fn meaning(self) -> &'static str {
        match self {
            Level::Good => "well",
            Level::Working => "under way, or a risk",
            Level::Bad => "wrong",
            Level::Unknown => "not seen, not known",
            Level::Done => "over",
        }
    }

    pub fn is_fault(self) -> bool {
        matches!(self, Level::Bad | Level::Working | Level::Unknown)
    }
}

/// `41s`, `3m`, `4h12m`, `4d2h`: short, and rounded so that a tick rarely changes it.
pub fn age(from: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(from).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// `812 B`, `3.4 KiB`, `1.2 GiB`.
pub fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = "B";
    for next in units {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

pub fn freshness_level(freshness: &Freshness) -> Level {
    match freshness {
        Freshness::Live => Level::Good,
        Freshness::Stale { .. } => Level::Working,
        Freshness::NeverSeen => Level::Unknown,
        Freshness::Unreachable | Freshness::Forbidden | Freshness::AuthNeeded => Level::Bad,
    }
}

/// `live`, `stale 41s`, `unreachable 3m`: the word with how long ago it was last heard. A live cluster shows no age.
pub fn freshness_words(cluster: &KubeCluster, now: Timestamp) -> String {
    let word = match &cluster.freshness {
        Freshness::NeverSeen => "connecting",
        other => other.word(),
    };
    let since = match &cluster.freshness {
        Freshness::Live | Freshness::NeverSeen => None,
        Freshness::Stale { since } => Some(*since),
        Freshness::Unreachable | Freshness::Forbidden | Freshness::AuthNeeded => cluster.heard,
    };
    match since {
        Some(since) => format!("{word} {}", age(since, now)),
        None => word.to_owned(),
    }
}

/// What is done about a cluster that is not live.
pub fn endeavour(freshness: &Freshness) -> &'static str {
    match freshness {
        Freshness::Stale { .. } => ", reconnecting",
        Freshness::Unreachable => ", trying again",
        Freshness::Live | Freshness::NeverSeen | Freshness::Forbidden | Freshness::AuthNeeded => "",
    }
}

/// How the PD membership stands, with what could not be seen.
pub fn quorum_level(database: &Database) -> Level {
    let quorum = database.quorum;
    let unknown = database.members.iter().filter(|member| member.healthy.is_none()).count();
    if quorum.members == 0 {
        return Level::Unknown;
    }
    if database.lead == Lead::Lost || quorum.healthy + unknown < votes(quorum.members) {
        return Level::Bad;
    }
    if !quorum.stands() {
        return Level::Unknown;
    }
    if quorum.healthy == quorum.members { Level::Good } else { Level::Working }
}

/// `PD 3/3, tolerates 1`
pub fn quorum_short(database: &Database) -> String {
    let quorum = database.quorum;
    match quorum_level(database) {
        _ if quorum.members == 0 => "PD not seen".into(),
        Level::Bad => format!("PD {}/{}, NO QUORUM", quorum.healthy, quorum.members),
        Level::Unknown => format!("PD {}/{} seen, quorum not known", quorum.healthy, quorum.members),
        Level::Good | Level::Working | Level::Done => {
            format!("PD {}/{}, tolerates {}", quorum.healthy, quorum.members, quorum.tolerate)
        }
    }
}

/// What the loss of a KubeCluster would mean: `losing cluster east: no quorum`.
pub fn quorum_loss(database: &Database) -> String {
    database.losses.sentence().unwrap_or_else(|| match quorum_level(database) {
        Level::Bad => "writes have stopped".into(),
        _ => "not every member could be asked".into(),
    })
}

/// What the cluster knows of TidbClusters, in few words.
pub fn crd_words(crd: &Crd) -> (Level, &'static str) {
    match crd {
        Crd::Unknown => (Level::Unknown, "not known"),
        Crd::Served { across_k8s: Some(false) } => (Level::Working, "v1, no acrossK8s"),
        Crd::Served { across_k8s: _ } => (Level::Good, "v1"),
        Crd::Missing => (Level::Done, "none"),
        Crd::OperatorV2Only => (Level::Bad, "operator v2 only"),
    }
}

pub fn access_word(app: &App, cluster: &KubeCluster) -> &'static str {
    if app.is_read_only(&cluster.context) { "read-only" } else { "read-write" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now = Timestamp::from_second(1_000_000).expect("in range");
        for (ago, said) in [(-5, "0s"), (41, "41s"), (119, "119s"), (180, "3m"), (15_120, "4h12m"), (352_800, "4d2h")] {
            let from = Timestamp::from_second(1_000_000 - ago).expect("in range");
            assert_eq!(age(from, now), said);
        }
    }
}
