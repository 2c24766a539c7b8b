//! A limit of time as somebody configured it, and what is left of it: waiting uses the one, sentences name the other.
//! Not here: which limits there are ([`crate::client::wire::timeouts`]).

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// Begins when it is made.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) struct Within {
    of: Duration,
    ends: Instant,
}

impl Within {
    pub fn left(self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    pub fn of(self) -> Duration {
        self.of
    }

    pub fn ends(self) -> Instant {
        self.ends
    }

    /// The same limit with its end so much earlier: for a part that must not cost the whole.
    pub fn earlier(self, by: Duration) -> Self {
        Self { ends: self.ends.checked_sub(by).unwrap_or(self.ends), ..self }
    }
}

impl From<Duration> for Within {
    fn from(of: Duration) -> Self {
        Self { of, ends: Instant::now() + of }
    }
}

/// `5 s`, `0.3 s`.
impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&seconds(self.of))
    }
}

/// A configured time, to the millisecond.
pub(in crate::client) fn seconds(of: Duration) -> String {
    let text = format!("{:.3}", of.as_secs_f64());
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_named_is_what_was_configured() {
        for (of, shown) in [(5000, "5 s"), (300, "0.3 s"), (1500, "1.5 s"), (10_000, "10 s"), (0, "0 s")] {
            let within = Within::from(Duration::from_millis(of));
            tokio::time::sleep(Duration::from_millis(3)).await;
            assert_eq!(within.to_string(), shown);
            assert!(within.left() < Duration::from_millis(of.max(1)));
            assert_eq!(within.earlier(Duration::from_millis(100)).to_string(), shown);
        }
    }
}
