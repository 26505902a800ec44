//! A token bucket over bytes, by one number: the moment when it would be empty of debt. Pure; the
//! caller brings the clock and does the waiting.

use std::time::Duration;

use crate::config::LogRate;

#[derive(Debug)]
pub(crate) struct TokenBucket {
    rate: LogRate,
    /// When all that was taken so far is paid for.
    paid_at: Duration,
}

impl TokenBucket {
    pub(crate) fn new(rate: LogRate) -> TokenBucket {
        TokenBucket {
            rate,
            paid_at: Duration::ZERO,
        }
    }

    /// Takes `bytes` and returns how long their owner must wait before using them.
    pub(crate) fn take(&mut self, bytes: usize, now: Duration) -> Duration {
        let cost = self.time_of(bytes as u64);
        self.paid_at = self.paid_at.max(now).saturating_add(cost);
        let credit = self.time_of(self.rate.burst_bytes);
        self.paid_at.saturating_sub(now).saturating_sub(credit)
    }

    /// How long the rate takes to refill so many bytes.
    fn time_of(&self, bytes: u64) -> Duration {
        // A rate of zero would stop the guest for ever; one byte a second is the slowest.
        let rate = u128::from(self.rate.bytes_per_second.max(1));
        let nanos = u128::from(bytes) * 1_000_000_000 / rate;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_the_rate_holds() {
        let mut bucket = TokenBucket::new(LogRate {
            bytes_per_second: 100,
            burst_bytes: 50,
        });
        let at = Duration::from_millis;
        assert_eq!(bucket.take(50, at(0)), at(0));
        assert_eq!(bucket.take(10, at(0)), at(100));
        assert_eq!(bucket.take(10, at(0)), at(200));
        assert_eq!(bucket.take(10, at(300)), at(0), "paid for by waiting");
        assert_eq!(
            bucket.take(50, at(10_000)),
            at(0),
            "a quiet time refills the burst, no more"
        );
        assert_eq!(bucket.take(100, at(10_000)), at(1_000));
    }

    #[test]
    fn extreme_rates_do_not_overflow() {
        let mut bucket = TokenBucket::new(LogRate {
            bytes_per_second: 0,
            burst_bytes: u64::MAX,
        });
        assert_eq!(bucket.take(usize::MAX, Duration::MAX), Duration::ZERO);
    }
}
