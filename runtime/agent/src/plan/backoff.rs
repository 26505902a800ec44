//! Exponential back-off as data: no clock of its own.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The delay before the next attempt, doubled by every failure.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Backoff {
    delay: Option<Duration>,
    updated: Option<Timestamp>,
}

impl Backoff {
    /// Notes a failure that happened at `now`; the next attempt may start after the new delay.
    pub(crate) fn fail(&mut self, now: Timestamp, (first, longest): (Duration, Duration)) {
        self.delay = Some(match self.delay {
            Some(delay) => (delay * 2).min(longest),
            None => first,
        });
        self.updated = Some(now);
    }

    /// The present delay; zero when nothing failed yet.
    pub(crate) fn delay(&self) -> Duration {
        self.delay.unwrap_or_default()
    }

    /// When the next attempt may start.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.updated.map(|updated| after(updated, self.delay()))
    }

    /// Follows a clock that was set back: what failed later than now, failed now. Nothing waits longer than its delay.
    pub(crate) fn follow(&mut self, now: Timestamp) {
        self.updated = self.updated.map(|updated| updated.min(now));
    }

    pub(crate) fn updated(&self) -> Option<Timestamp> {
        self.updated
    }

    pub(crate) fn reset(&mut self) {
        *self = Backoff::default();
    }
}

/// `at + duration`, at most the end of time.
pub(crate) fn after(at: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| at.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

/// A duration the way Go prints whole seconds: `10s`, `1m20s`, `5m0s`, `1h0m0s`.
pub(crate) fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (h, m) {
        (0, 0) => format!("{s}s"),
        (0, _) => format!("{m}m{s}s"),
        _ => format!("{h}h{m}m{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BACKOFF;

    #[test]
    fn delays_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let now = Timestamp::UNIX_EPOCH;
        let mut seen = Vec::new();
        for _ in 0..7 {
            backoff.fail(now, BACKOFF);
            seen.push(go_duration(backoff.delay()));
        }
        assert_eq!(
            seen,
            ["10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"]
        );
        assert_eq!(backoff.until(), Some(after(now, Duration::from_secs(300))));
        backoff.reset();
        assert_eq!(backoff.until(), None);
    }
}
