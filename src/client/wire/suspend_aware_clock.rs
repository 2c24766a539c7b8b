//! How much time has passed since a moment, by two witnesses; for the owner of a lease only.
//!
//! The monotonic clock of `Instant` stands still while a laptop sleeps or a virtual machine is paused, so the first
//! witness is the clock that runs on through a sleep (`CLOCK_BOOTTIME`), and the second the wall clock, for a machine that
//! was frozen whole. Whichever says that more time has passed is believed: the owner then stops too early, never too late.
//! Whoever *watches* somebody else's lease errs the other way and keeps to `Instant` ([`crate::client::share::lease`]).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use crate::client::now;

/// One moment, as both witnesses saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since some fixed point, sleep included.
    pub running: Duration,
    pub wall: Timestamp,
}

impl Moment {
    /// The longer of what the two clocks say; one that went back says nothing.
    fn to(self, later: Self) -> Duration {
        let wall = Duration::try_from(later.wall.duration_since(self.wall)).unwrap_or_default();
        later.running.saturating_sub(self.running).max(wall)
    }
}

/// Where moments come from; tests bring their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(|| Moment { running: running(), wall: now() }))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl Clock {
    pub fn of(moments: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(moments))
    }

    pub fn moment(&self) -> Moment {
        (self.0)()
    }

    pub fn since(&self, moment: Moment) -> Duration {
        moment.to(self.moment())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const RUNNING: ClockId = ClockId::Boottime;
/// On Darwin it runs on through a sleep.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const RUNNING: ClockId = ClockId::Monotonic;

fn running() -> Duration {
    let time = clock_gettime(RUNNING);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_says_that_more_has_passed_is_believed() {
        let moment = |running, wall| Moment { running: Duration::from_secs(running), wall: at(wall) };
        let begun = moment(100, 1_000);
        let cases = [
            (moment(105, 1_005), 5),
            // The machine slept and only one of them saw it.
            (moment(105, 1_065), 65),
            (moment(165, 1_005), 65),
            // Somebody put the wall clock back, or the other one stands still.
            (moment(105, 400), 5),
            (moment(100, 1_005), 5),
            (moment(100, 400), 0),
        ];
        for (later, seconds) in cases {
            assert_eq!(begun.to(later).as_secs(), seconds, "{later:?}");
        }
    }

    #[test]
    fn the_real_one_moves() {
        let clock = Clock::default();
        let begun = clock.moment();
        std::thread::sleep(Duration::from_millis(20));
        let passed = clock.since(begun);
        assert!(passed >= Duration::from_millis(20) && passed < Duration::from_secs(20), "{passed:?}");
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }
}
