//! What the store counts about itself: plain numbers, for whoever publishes them. No names of any metrics system.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Upper bounds of [`StoreCounters::batch_writes`].
const BATCH_BOUNDS: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
];
/// Upper bounds of [`StoreCounters::commit_seconds`]: from a disk that lies to one that is about to fail.
const COMMIT_BOUNDS: &[f64] = &[
    0.000_125, 0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256,
    0.512, 1.024, 2.048, 4.096, 8.192,
];

/// Everything counted since the store was opened, at one moment.
#[derive(Clone, Debug)]
pub struct StoreCounters {
    /// Writes decided together, per batch.
    pub batch_writes: Distribution,
    /// How long one transaction took, its sync included.
    pub commit_seconds: Distribution,
    /// Transactions that failed.
    pub commit_failures: u64,
    /// Checkpoints begun.
    pub checkpoints: u64,
    /// Where the time of all writes went.
    pub write_times: WriteTimes,
}

/// How often values fell into which range.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Upper bounds, ascending; values above the last one are counted too.
    pub bounds: &'static [f64],
    /// Values per range (not summed up), one more than there are bounds.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: f64,
}

/// Time summed over writes, each as its caller saw it: a write in a batch of 100 waits for the whole batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteTimes {
    /// Writes answered.
    pub writes: u64,
    /// Waiting for the writer.
    pub queue: Duration,
    /// Being decided against memory.
    pub stage: Duration,
    /// The transaction with its sync.
    pub sync: Duration,
    /// Made visible to readers and watchers.
    pub publish: Duration,
    /// From there until the caller runs again.
    pub answer: Duration,
}

/// The counters as the store keeps them.
#[derive(Debug)]
pub(crate) struct Counters {
    batch_writes: Histogram,
    commit_seconds: Histogram,
    commit_failures: AtomicU64,
    checkpoints: AtomicU64,
    writes: AtomicU64,
    total: AtomicU64,
    queue: AtomicU64,
    stage: AtomicU64,
    sync: AtomicU64,
    publish: AtomicU64,
}

impl Counters {
    pub(crate) fn new() -> Counters {
        Counters {
            batch_writes: Histogram::new(BATCH_BOUNDS),
            commit_seconds: Histogram::new(COMMIT_BOUNDS),
            commit_failures: AtomicU64::new(0),
            checkpoints: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            total: AtomicU64::new(0),
            queue: AtomicU64::new(0),
            stage: AtomicU64::new(0),
            sync: AtomicU64::new(0),
            publish: AtomicU64::new(0),
        }
    }

    /// A caller has its answer.
    pub(crate) fn answered(&self, sent: Instant) {
        self.writes.fetch_add(1, Relaxed);
        self.total.fetch_add(nanos(sent.elapsed()), Relaxed);
    }

    /// A transaction ended.
    pub(crate) fn committed(&self, took: Duration, failed: bool) {
        self.commit_seconds.observe(took.as_secs_f64());
        if failed {
            self.commit_failures.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn checkpoint(&self) {
        self.checkpoints.fetch_add(1, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> StoreCounters {
        let duration = |counter: &AtomicU64| Duration::from_nanos(counter.load(Relaxed));
        let (queue, stage) = (duration(&self.queue), duration(&self.stage));
        let (sync, publish) = (duration(&self.sync), duration(&self.publish));
        let known = queue + stage + sync + publish;
        StoreCounters {
            batch_writes: self.batch_writes.snapshot(),
            commit_seconds: self.commit_seconds.snapshot(),
            commit_failures: self.commit_failures.load(Relaxed),
            checkpoints: self.checkpoints.load(Relaxed),
            write_times: WriteTimes {
                writes: self.writes.load(Relaxed),
                queue,
                stage,
                sync,
                publish,
                answer: duration(&self.total).saturating_sub(known),
            },
        }
    }
}

/// Follows one batch through the writer.
pub(crate) struct BatchClock<'a> {
    counters: &'a Counters,
    writes: u64,
    last: Instant,
}

impl<'a> BatchClock<'a> {
    /// The batch is complete; `queued` says when each of its writes was sent.
    pub(crate) fn start(
        counters: &'a Counters,
        queued: impl Iterator<Item = Instant>,
    ) -> BatchClock<'a> {
        let now = Instant::now();
        let (mut writes, mut waited) = (0, Duration::ZERO);
        for sent in queued {
            writes += 1;
            waited += now.saturating_duration_since(sent);
        }
        counters.batch_writes.observe(writes as f64);
        counters.queue.fetch_add(nanos(waited), Relaxed);
        BatchClock {
            counters,
            writes,
            last: now,
        }
    }

    pub(crate) fn staged(&mut self) {
        self.lap(&self.counters.stage);
    }

    pub(crate) fn synced(&mut self) {
        self.lap(&self.counters.sync);
    }

    pub(crate) fn published(&mut self) {
        self.lap(&self.counters.publish);
    }

    fn lap(&mut self, counter: &AtomicU64) {
        let now = Instant::now();
        let took = nanos(now.duration_since(self.last));
        counter.fetch_add(took.saturating_mul(self.writes), Relaxed);
        self.last = now;
    }
}

#[derive(Debug)]
struct Histogram {
    bounds: &'static [f64],
    counts: Box<[AtomicU64]>,
    /// In millionths, so that seconds and counts fit a whole number.
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Histogram {
        Histogram {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    fn observe(&self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at].fetch_add(1, Relaxed);
        self.sum.fetch_add((value * 1e6) as u64, Relaxed);
    }

    fn snapshot(&self) -> Distribution {
        Distribution {
            bounds: self.bounds,
            counts: self
                .counts
                .iter()
                .map(|count| count.load(Relaxed))
                .collect(),
            sum: self.sum.load(Relaxed) as f64 / 1e6,
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_the_range_whose_bound_they_reach() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.0, 9.0] {
            histogram.observe(value);
        }
        let seen = histogram.snapshot();
        assert_eq!(seen.counts, [2, 2, 1]);
        assert_eq!(seen.sum, 14.0);
    }

    #[test]
    fn a_batch_counts_for_each_of_its_writes() {
        let counters = Counters::new();
        let sent = Instant::now() - Duration::from_secs(3);
        let mut clock = BatchClock::start(&counters, [sent, sent].into_iter());
        clock.last -= Duration::from_secs(1);
        clock.staged();
        counters.answered(sent);
        counters.answered(sent);
        let times = counters.snapshot().write_times;
        assert_eq!(times.writes, 2);
        let whole = |duration: Duration| duration.as_secs();
        assert_eq!((whole(times.queue), whole(times.stage)), (6, 2));
        assert!(
            times.answer < Duration::from_secs(1),
            "6 s - 6 s - 2 s is nothing, not a panic"
        );
    }
}
