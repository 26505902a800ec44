//! What the controllers' queues count, under upstream's names.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, exponential_buckets,
};

/// Counters of all queues of a process.
#[derive(Debug, Clone)]
pub struct WorkqueueMetrics {
    depth: IntGaugeVec,
    adds: IntCounterVec,
    retries: IntCounterVec,
    queue_seconds: HistogramVec,
    work_seconds: HistogramVec,
    unfinished: Unfinished,
}

impl WorkqueueMetrics {
    /// Counters that `registry` publishes.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        // From 10 ns to 10 s, as upstream has them.
        let seconds = exponential_buckets(1e-8, 10.0, 10)?;
        let counter = |name, help| IntCounterVec::new(Opts::new(name, help), &["name"]);
        let histogram = |name, help| {
            let options = HistogramOpts::new(name, help).buckets(seconds.clone());
            HistogramVec::new(options, &["name"])
        };
        let metrics = Self {
            depth: IntGaugeVec::new(
                Opts::new("workqueue_depth", "Keys that wait in the queue."),
                &["name"],
            )?,
            adds: counter("workqueue_adds_total", "Keys that were put into the queue.")?,
            retries: counter(
                "workqueue_retries_total",
                "Keys that were put off to be tried again.",
            )?,
            queue_seconds: histogram(
                "workqueue_queue_duration_seconds",
                "How long keys waited in the queue.",
            )?,
            work_seconds: histogram(
                "workqueue_work_duration_seconds",
                "How long keys were worked on.",
            )?,
            unfinished: Unfinished::new()?,
        };
        registry.register(Box::new(metrics.depth.clone()))?;
        registry.register(Box::new(metrics.adds.clone()))?;
        registry.register(Box::new(metrics.retries.clone()))?;
        registry.register(Box::new(metrics.queue_seconds.clone()))?;
        registry.register(Box::new(metrics.work_seconds.clone()))?;
        registry.register(Box::new(metrics.unfinished.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn queue(&self, name: &'static str) -> QueueMetrics {
        QueueMetrics {
            depth: self.depth.with_label_values(&[name]),
            adds: self.adds.with_label_values(&[name]),
            retries: self.retries.with_label_values(&[name]),
            queue_seconds: self.queue_seconds.with_label_values(&[name]),
            work_seconds: self.work_seconds.with_label_values(&[name]),
            working: Arc::clone(self.unfinished.queues.lock().entry(name).or_default()),
        }
    }
}

/// Counters that nobody publishes.
impl Default for WorkqueueMetrics {
    fn default() -> Self {
        Self::register(&Registry::new()).expect("names are valid and a new registry is empty")
    }
}

/// When the work that goes on was begun.
type Working = Arc<Mutex<HashMap<u64, Instant>>>;

/// Counters of one queue.
#[derive(Debug)]
pub(crate) struct QueueMetrics {
    depth: IntGauge,
    adds: IntCounter,
    retries: IntCounter,
    queue_seconds: Histogram,
    work_seconds: Histogram,
    working: Working,
}

impl QueueMetrics {
    pub(crate) fn added(&self) {
        self.adds.inc();
    }

    pub(crate) fn depth(&self, keys: usize) {
        self.depth.set(i64::try_from(keys).unwrap_or(i64::MAX));
    }

    /// A key that waited since `queued` is worked on; the number tells it from the others.
    pub(crate) fn begun(&self, work: u64, queued: Instant) {
        let now = Instant::now();
        self.queue_seconds
            .observe(now.saturating_duration_since(queued).as_secs_f64());
        self.working.lock().insert(work, now);
    }

    pub(crate) fn ended(&self, work: u64) {
        if let Some(begun) = self.working.lock().remove(&work) {
            self.work_seconds.observe(begun.elapsed().as_secs_f64());
        }
    }

    pub(crate) fn retried(&self) {
        self.retries.inc();
    }

    /// Adds, retries, and works done.
    #[cfg(test)]
    pub(crate) fn seen(&self) -> (u64, u64, u64) {
        let works = self.work_seconds.get_sample_count();
        (self.adds.get(), self.retries.get(), works)
    }
}

/// Work that goes on: added up when somebody asks, so that nothing has to tick.
#[derive(Debug, Clone)]
struct Unfinished {
    queues: Arc<Mutex<HashMap<&'static str, Working>>>,
    sum: GaugeVec,
    longest: GaugeVec,
}

impl Unfinished {
    fn new() -> prometheus::Result<Self> {
        let gauge = |name, help| GaugeVec::new(Opts::new(name, help), &["name"]);
        Ok(Self {
            queues: Arc::default(),
            sum: gauge(
                "workqueue_unfinished_work_seconds",
                "How long the keys being worked on have been, in sum.",
            )?,
            longest: gauge(
                "workqueue_longest_running_processor_seconds",
                "How long the longest of them has been.",
            )?,
        })
    }
}

impl Collector for Unfinished {
    fn desc(&self) -> Vec<&Desc> {
        let mut descriptions = self.sum.desc();
        descriptions.extend(self.longest.desc());
        descriptions
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = Instant::now();
        for (name, working) in self.queues.lock().iter() {
            let working = working.lock();
            let ages = working
                .values()
                .map(|begun| now.saturating_duration_since(*begun).as_secs_f64());
            let (sum, longest) = ages.fold((0.0, 0.0), |(sum, longest): (f64, f64), age| {
                (sum + age, longest.max(age))
            });
            self.sum.with_label_values(&[name]).set(sum);
            self.longest.with_label_values(&[name]).set(longest);
        }
        let mut families = self.sum.collect();
        families.extend(self.longest.collect());
        families
    }
}
