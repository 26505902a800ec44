//! The quota as a token bucket of one number: the moment at which everything used so far is paid for.
//!
//! Use is charged after it happened, so a container may overdraw by a time slice per instance on a processor; what it
//! overdrew it waits off, and over time the quota is exact.

use super::CpuQuota;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bits behind the point of `price`.
const POINT: u32 = 16;

const PERIODS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(10));
const MIN_TIME: Duration = Duration::from_micros(1);

/// Times are in nanoseconds of the caller's clock.
#[derive(Debug, Default)]
pub(super) struct Quota {
    /// Time that has to pass for each nanosecond of use, in fixed point; zero without a quota.
    price: AtomicU64,
    /// How far use may run ahead of what is paid.
    credit: AtomicU64,
    paid_at: AtomicU64,
}

impl Quota {
    pub(super) fn set(&self, quota: Option<CpuQuota>, now: u64) {
        let Some(quota) = quota else {
            self.price.store(0, Ordering::Relaxed);
            return;
        };
        let period = quota.period.clamp(PERIODS.0, PERIODS.1).as_nanos();
        let time = quota.time.max(MIN_TIME).as_nanos();
        let price = ((period << POINT) / time).clamp(1, u128::from(u64::MAX)) as u64;
        let credit = period as u64;
        self.price.store(price, Ordering::Relaxed);
        self.credit.store(credit, Ordering::Relaxed);
        // Debts made under another quota are forgotten, down to what is a debt of nothing now.
        self.paid_at
            .fetch_min(now.saturating_add(credit), Ordering::Relaxed);
    }

    /// Whether there is a quota at all. Without one nobody needs to know what time it is.
    pub(super) fn is_set(&self) -> bool {
        self.price.load(Ordering::Relaxed) != 0
    }

    pub(super) fn charge(&self, used: u64, now: u64) {
        let price = self.price.load(Ordering::Relaxed);
        if price == 0 {
            return;
        }
        let cost = (u128::from(used) * u128::from(price)) >> POINT;
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        let pay = |paid_at: u64| Some(paid_at.max(now).saturating_add(cost));
        // The closure never refuses.
        let _before = self
            .paid_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay);
    }

    /// How long until it may be used again; `None` if it may be now.
    pub(super) fn wait(&self, now: u64) -> Option<Duration> {
        if self.price.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let ahead = self.paid_at.load(Ordering::Relaxed).saturating_sub(now);
        let wait = ahead.saturating_sub(self.credit.load(Ordering::Relaxed));
        (wait > 0).then(|| Duration::from_nanos(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn quota(time: u64, period: u64) -> Option<CpuQuota> {
        Some(CpuQuota {
            time: Duration::from_nanos(time),
            period: Duration::from_nanos(period),
        })
    }

    fn wait(quota: &Quota, now: u64) -> u64 {
        quota
            .wait(now)
            .map_or(0, |wait| wait.as_nanos() as u64 / MS)
    }

    #[test]
    fn a_periods_worth_is_free_and_then_the_rate_holds() {
        let half = Quota::default();
        half.set(quota(50 * MS, 100 * MS), 0);
        half.charge(50 * MS, 0);
        assert_eq!(half.wait(0), None);
        half.charge(5 * MS, 0);
        assert_eq!(wait(&half, 0), 10, "five overdrawn, at half a processor");
        assert_eq!(half.wait(10 * MS), None);
        half.charge(50 * MS, 10_000 * MS);
        assert_eq!(half.wait(10_000 * MS), None, "a rest refills one period");
        half.charge(50 * MS, 10_000 * MS);
        assert_eq!(wait(&half, 10_000 * MS), 100, "no more");
    }

    #[test]
    fn two_processors_pay_twice_as_fast() {
        let two = Quota::default();
        two.set(quota(200 * MS, 100 * MS), 0);
        two.charge(1_200 * MS, 0);
        assert_eq!(wait(&two, 0), 500);
    }

    #[test]
    fn another_quota_forgets_debts() {
        let changed = Quota::default();
        changed.set(quota(MS, 100 * MS), 0);
        changed.charge(1_000 * MS, 0);
        assert_eq!(wait(&changed, 0), 99_900);
        changed.set(quota(100 * MS, 100 * MS), 0);
        assert_eq!(changed.wait(0), None);
        changed.charge(7 * MS, 0);
        assert_eq!(wait(&changed, 0), 7);
        changed.set(None, 0);
        assert_eq!(changed.wait(0), None);
    }

    #[test]
    fn extreme_quotas_do_not_overflow() {
        let least = Quota::default();
        let never = Some(CpuQuota {
            time: Duration::ZERO,
            period: Duration::MAX,
        });
        least.set(never, u64::MAX);
        least.charge(u64::MAX, u64::MAX);
        assert_eq!(least.wait(u64::MAX), None, "time cannot go on");
        let most = Quota::default();
        most.set(
            Some(CpuQuota {
                time: Duration::MAX,
                period: Duration::ZERO,
            }),
            0,
        );
        most.charge(u64::MAX, 0);
        assert!(most.wait(0).is_some());
    }
}
