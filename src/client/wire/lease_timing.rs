//! The arithmetic of a lease: every time that follows from its length, in one place, and until when a write may leave.
//!
//! Others may take a lease once they have seen it unrenewed for its whole length, so from the *beginning* of the last
//! renewal that succeeded on it is certainly ours for that length. A write therefore gets what is left of it less a
//! margin, and nothing else: credential plugin, connecting, TLS handshake and the server's answer all have to fit in.
//! Not here: taking and renewing ([`crate::client::share::lease`]), how long a request may take ([`crate::client::wire::timeouts`]).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tower::BoxError;

use crate::client::wire::suspend_aware_clock::{Clock, Moment};

/// A lease that claims a longer life than this is somebody's mistake; it is not waited for any longer.
pub(in crate::client) const LONGEST_S: u64 = 300;

/// How long a lease lives without being renewed; the other times follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    pub(in crate::client) duration_s: u64,
}

impl Timing {
    /// 30 s. `TIDEPILOT_LEASE_S` gives another, 1 to 300 s.
    pub fn from_environment() -> Self {
        let asked = std::env::var("TIDEPILOT_LEASE_S").ok().and_then(|text| text.parse().ok());
        Self::of_seconds(asked.filter(|s| (1..=LONGEST_S).contains(s)).unwrap_or(30))
    }

    pub fn of_seconds(duration_s: u64) -> Self {
        Self { duration_s }
    }

    fn duration(self) -> Duration {
        Duration::from_secs(self.duration_s)
    }

    pub(in crate::client) fn renew_every(self) -> Duration {
        self.duration() / 3
    }

    /// Without a renewal in this time no write is begun any more: too little would be left for it.
    pub(in crate::client) fn good_for(self) -> Duration {
        self.duration() * 2 / 3
    }

    /// Kept free at the end: for the last bytes to arrive and be stored.
    fn margin(self) -> Duration {
        self.duration() / 10
    }

    /// What a write may take in all, so long after the last renewal was begun.
    fn left(self, age: Duration) -> Duration {
        self.duration().saturating_sub(self.margin()).saturating_sub(age)
    }
}

/// Until when a write may leave.
#[derive(Clone, Debug, Default)]
pub struct Until(Option<(Timing, Clock, Moment)>);

impl Until {
    /// By a renewal that was begun then.
    pub fn of(timing: Timing, clock: Clock, renewed: Moment) -> Self {
        Self(Some((timing, clock, renewed)))
    }

    /// `limit`, or what is left where that is less.
    pub fn within(&self, limit: Duration) -> Duration {
        match &self.0 {
            Some((timing, clock, renewed)) => limit.min(timing.left(clock.since(*renewed))),
            // Without a lease (`--local-only`) nothing lapses.
            None => limit,
        }
    }

    pub fn is_over(&self) -> bool {
        self.within(Duration::MAX).is_zero()
    }
}

const WAITS: u8 = 0;
const GONE: u8 = 1;
const KEPT: u8 = 2;

/// One write on its way to the wire: it asks for the time once more when its first byte is about to leave, behind every
/// wait that it may have slept in, and it knows afterwards whether any byte has left.
#[derive(Clone, Debug, Default)]
pub(in crate::client) struct Departure {
    state: Arc<AtomicU8>,
    until: Until,
}

impl Departure {
    pub fn by(until: Until) -> Self {
        Self { state: Arc::default(), until }
    }

    /// Keeps it here, if it has not left; `true`: nothing of it left, and nothing will.
    pub fn keep(&self) -> bool {
        let kept = self.state.compare_exchange(WAITS, KEPT, Ordering::AcqRel, Ordering::Acquire);
        matches!(kept, Ok(_) | Err(KEPT))
    }

    fn leave(&self) -> Result<(), TooLate> {
        if self.until.is_over() {
            self.keep();
        }
        match self.state.compare_exchange(WAITS, GONE, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(GONE) => Ok(()),
            Err(_) => Err(TooLate),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the lease could lapse before it arrives")]
pub(in crate::client) struct TooLate;

/// A body whose first piece does not come once it is too late. hyper asks for that piece before it flushes the head.
pub(in crate::client) struct Watched<B> {
    body: B,
    departure: Option<Departure>,
}

impl<B> Watched<B> {
    pub fn new(body: B, departure: Option<Departure>) -> Self {
        Self { body, departure }
    }
}

impl<B> Body for Watched<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(departure) = &self.departure
            && let Err(late) = departure.leave()
        {
            return Poll::Ready(Some(Err(late.into())));
        }
        Pin::new(&mut self.body).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// The rule of the whole: whenever a write may begin, all that it may take ends before anybody may take the lease.
    #[test]
    fn whatever_a_write_takes_ends_before_the_lease_does() {
        for duration_s in 1..=LONGEST_S {
            let timing = Timing::of_seconds(duration_s);
            let length = Duration::from_secs(duration_s);
            for step in 0..=30 {
                let age = length * step / 20;
                let left = timing.left(age);
                assert!(left.is_zero() || age + left + timing.margin() <= length, "{duration_s} {age:?} {left:?}");
            }
            // Two renewals may fail, the third is due before nothing is begun any more; and what is begun last has time.
            assert!(timing.renew_every() * 2 <= timing.good_for());
            assert!(timing.left(timing.good_for()) >= length / 5);
            assert!(timing.left(length).is_zero());
        }
        let timing = Timing::of_seconds(30);
        let seconds = |age| timing.left(Duration::from_secs(age)).as_secs();
        assert_eq!((timing.renew_every().as_secs(), timing.good_for().as_secs()), (10, 20));
        assert_eq!([seconds(0), seconds(19), seconds(20), seconds(27), seconds(40)], [27, 8, 7, 0, 0]);
    }

    fn moved(seconds: &Arc<Mutex<u64>>) -> Clock {
        let seconds = Arc::clone(seconds);
        Clock::of(move || Moment {
            running: Duration::from_secs(*seconds.lock().expect("not poisoned")),
            wall: jiff::Timestamp::UNIX_EPOCH,
        })
    }

    #[test]
    fn what_has_not_left_in_time_does_not_leave() {
        let seconds = Arc::new(Mutex::new(0));
        let clock = moved(&seconds);
        let until = Until::of(Timing::of_seconds(30), clock.clone(), clock.moment());
        assert_eq!(until.within(Duration::from_secs(15)).as_secs(), 15);
        let (early, late, given_up) =
            (Departure::by(until.clone()), Departure::by(until.clone()), Departure::by(until.clone()));
        assert!(early.leave().is_ok() && !early.keep());
        assert!(given_up.keep() && given_up.leave().is_err(), "whoever gave up is not overtaken by his own request");
        *seconds.lock().expect("not poisoned") = 28;
        assert!(until.is_over() && late.leave().is_err() && late.keep());
        // What is half sent is sent whole.
        assert!(early.leave().is_ok());
        assert!(!Until::default().is_over());
    }
}
