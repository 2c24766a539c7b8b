//! How the connection to a KubeCluster fares: what was asked and how it ended, how quick it is, how one is logged in.
//!
//! Of this process alone, and never part of what is known of a cluster: a gate reads none of it. Pure. Not here: noting it
//! (`client::wire::request_stats`).

use jiff::Timestamp;

/// One request and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub at: Timestamp,
    pub method: String,
    /// Without its query, which may say more than others should read.
    pub path: String,
    /// The status of the answer; `Err`: there was none, and why in a word.
    pub ended: Result<u16, String>,
    pub ms: u64,
}

impl Asked {
    /// It was not answered, or the server was busy or broken. What is forbidden or not there is an answer.
    pub fn failed(&self) -> bool {
        match self.ended {
            Ok(status) => status == BUSY || status >= 500,
            Err(_) => true,
        }
    }
}

/// The status of a server that wants to be left alone for a while.
pub const BUSY: u16 = 429;

/// How somebody is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// `exec plugin aws`, `client certificate`, `token file`
    pub kind: String,
    /// Whoever gave it gives the next one by itself.
    pub renewed: bool,
    /// When it ends, as far as it says so itself.
    pub until: Option<Timestamp>,
}

/// The counts of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    pub sent: u64,
    /// Answers that said to come again later.
    pub busy: u64,
    /// No answer at all, or one that says that the server is broken.
    pub failed: u64,
    /// The quickest of the last requests: as near to the way there and back as can be told without asking for it.
    pub quickest_ms: Option<u64>,
    /// By how many seconds the server's clock is ahead of ours; its answers tell whole seconds only.
    pub skew_s: Option<i64>,
    pub credential: Option<Credential>,
}

impl Weather {
    /// The way there and back in steps (1, 2, 5, 10, 20, 50 ms …), so that what is shown of it does not move with every answer.
    pub fn rtt_step(&self) -> Option<u64> {
        let ms = self.quickest_ms?;
        let steps = (0..7).flat_map(|power| [1, 2, 5].map(|one| one * 10_u64.pow(power)));
        steps.min_by_key(|step| (step.abs_diff(ms), *step))
    }

    /// The clocks differ by more than what whole seconds and the way explain.
    pub fn clocks_differ(&self) -> Option<i64> {
        self.skew_s.filter(|skew| skew.abs() > 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_there_and_back_is_shown_in_steps() {
        for (ms, shown) in [(0, 1), (1, 1), (3, 2), (4, 5), (7, 5), (8, 10), (14, 10), (16, 20), (340, 200), (360, 500)]
        {
            let weather = Weather { quickest_ms: Some(ms), ..Weather::default() };
            assert_eq!(weather.rtt_step(), Some(shown), "{ms}");
        }
        assert_eq!(Weather::default().rtt_step(), None);
    }

    #[test]
    fn what_is_not_there_or_not_allowed_is_an_answer() {
        let asked = |ended| Asked { at: Timestamp::UNIX_EPOCH, method: "GET".into(), path: "/".into(), ended, ms: 1 };
        for (ended, failed) in [
            (Ok(200), false),
            (Ok(403), false),
            (Ok(404), false),
            (Ok(429), true),
            (Ok(503), true),
            (Err("cut".into()), true),
        ] {
            assert_eq!(asked(ended.clone()).failed(), failed, "{ended:?}");
        }
    }
}
