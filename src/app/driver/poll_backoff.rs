//! How long a run that waits sleeps until its next look: the usual time first, and longer while nothing moves.
//!
//! Not here: what wakes it (`client::kube::watch_wakeup`), since when nothing has moved ([`super::stall_detection`]), how often open
//! runs are looked for ([`super::runs_polling`]).

use std::time::Duration;

/// So many times the usual time is slept first.
const USUAL: u32 = 2;
/// Longest time between two looks of a run that waits.
const LONGEST: Duration = Duration::from_secs(10);

/// How long a run sleeps while nothing moves. What it waits for wakes it; PD tells nobody of what it does, so that it is
/// looked at all the same, and less and less often.
#[derive(Debug, Default)]
pub(super) struct Quiet(u32);

impl Quiet {
    /// `usual`: between two looks where nothing wakes anybody.
    pub fn longest(&self, usual: Duration, hears: bool) -> Duration {
        match hears {
            true => (usual * 2u32.pow(self.0.saturating_sub(USUAL).min(8))).min(LONGEST.max(usual)),
            false => usual,
        }
    }

    pub fn passed(&mut self) {
        self.0 = self.0.saturating_add(1);
    }

    pub fn moved(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_woken_sleeps_longer_each_time_that_nothing_moved() {
        let usual = Duration::from_secs(2);
        let mut quiet = Quiet::default();
        let mut slept = |hears| {
            let longest = quiet.longest(usual, hears).as_secs();
            quiet.passed();
            longest
        };
        assert_eq!([slept(true), slept(true), slept(true), slept(true), slept(true), slept(true)], [2, 2, 2, 4, 8, 10]);
        // One that hears nothing looks as often as ever.
        assert_eq!([slept(false), slept(false)], [2, 2]);
        quiet.moved();
        assert_eq!(quiet.longest(usual, true), usual);
    }
}
