//! Processor time: how much a container may use (its quota), and how much of a contended processor is its own (its
//! weight). Both count for all instances of a container together, in time measured on the threads that ran them.

mod quota;
mod stopwatch;
mod turns;

use quota::Quota;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
pub(crate) use stopwatch::Stopwatch;
pub(crate) use turns::{Entry, Next, Stage, Turn, Turns};

/// The weight that stands for one whole processor, as in cgroups' `cpu.shares`.
const WHOLE: u32 = 1_024;

/// The least and the greatest weight. The least is a hundredth of a processor's, not less: beside guests that ask for
/// whole processors, one that asks for nothing would otherwise wait for seconds.
const WEIGHTS: (u32, u32) = (10, 262_144);

/// Processor time of one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuLimits {
    /// Its share where more guests want to run than there are processors: relative to the weights of the others, of
    /// which 1,024 stands for a whole processor. Taken as 10 at least and 262,144 at most.
    pub weight: u32,
    /// The most it may use, whether others want to run or not.
    pub quota: Option<CpuQuota>,
}

/// So much processor time in so much time: `time` may be longer than `period`, for several processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuQuota {
    /// Processor time, at least a microsecond.
    pub time: Duration,
    /// The time it is given in, which is also how much a container that was idle may use ahead: a millisecond at
    /// least, ten seconds at most.
    pub period: Duration,
}

impl Default for CpuLimits {
    fn default() -> Self {
        CpuLimits {
            weight: WHOLE,
            quota: None,
        }
    }
}

/// The processor time of one container as it is used.
#[derive(Debug)]
pub(crate) struct Cpu {
    began: Instant,
    used_nanos: AtomicU64,
    quota: Quota,
    weight: AtomicU32,
    account: turns::Account,
}

impl Cpu {
    pub(crate) fn new(limits: CpuLimits) -> Self {
        let cpu = Cpu {
            began: Instant::now(),
            used_nanos: AtomicU64::new(0),
            quota: Quota::default(),
            weight: AtomicU32::new(WHOLE),
            account: turns::Account::default(),
        };
        cpu.set(limits);
        cpu
    }

    /// Other limits from now on.
    pub(crate) fn set(&self, limits: CpuLimits) {
        let weight = limits.weight.clamp(WEIGHTS.0, WEIGHTS.1);
        self.weight.store(weight, Ordering::Relaxed);
        self.quota.set(limits.quota, self.now());
    }

    pub(crate) fn used_nanos(&self) -> u64 {
        self.used_nanos.load(Ordering::Relaxed)
    }

    /// Notes what an instance used.
    pub(crate) fn charge(&self, nanos: u64) {
        self.used_nanos.fetch_add(nanos, Ordering::Relaxed);
        if self.quota.is_set() {
            self.quota.charge(nanos, self.now());
        }
    }

    /// How long the quota keeps the container off the processors, if it does.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.quota.is_set().then(|| self.quota.wait(self.now()))?
    }

    pub(crate) fn account(&self) -> &turns::Account {
        &self.account
    }

    /// Processor time in the terms of [`Turns`]: the heavier the container, the less it counts. In sixteenths, so
    /// that 64 bits last for decades.
    pub(crate) fn weighed(&self, nanos: u64) -> u64 {
        let weight = u64::from(self.weight.load(Ordering::Relaxed));
        nanos.saturating_mul(u64::from(WHOLE) / 16) / weight
    }

    /// Nanoseconds since the container began; the quota's clock.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
