//! What the scheduler counts, under upstream's names.

use std::time::Instant;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    exponential_buckets,
};

use crate::queue::Pending;

/// Counters of one scheduler.
#[derive(Debug, Clone)]
pub struct SchedulerMetrics {
    attempts: IntCounterVec,
    attempt_seconds: HistogramVec,
    algorithm_seconds: Histogram,
    pod_attempts: Histogram,
    pending: IntGaugeVec,
    preemption_attempts: IntCounter,
    preemption_victims: Histogram,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Attempt {
    Scheduled,
    Unschedulable,
    Error,
}

impl SchedulerMetrics {
    /// Counters that `registry` publishes.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let profile = &["result", "profile"];
        // From a millisecond to half a minute, doubling.
        let seconds = exponential_buckets(0.001, 2.0, 15)?;
        let metrics = Self {
            attempts: IntCounterVec::new(
                Opts::new(
                    "scheduler_schedule_attempts_total",
                    "Attempts to place a pod, by how they ended.",
                ),
                profile,
            )?,
            attempt_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "scheduler_scheduling_attempt_duration_seconds",
                    "How long attempts took, the binding included.",
                )
                .buckets(seconds.clone()),
                profile,
            )?,
            algorithm_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "scheduler_scheduling_algorithm_duration_seconds",
                    "How long the choice of a node took.",
                )
                .buckets(seconds),
            )?,
            pod_attempts: Histogram::with_opts(
                HistogramOpts::new(
                    "scheduler_pod_scheduling_attempts",
                    "Attempts it took to place a pod.",
                )
                .buckets(exponential_buckets(1.0, 2.0, 5)?),
            )?,
            pending: IntGaugeVec::new(
                Opts::new(
                    "scheduler_pending_pods",
                    "Pods that wait: for their turn (active), for a retry (backoff), or for a change of the cluster (unschedulable).",
                ),
                &["queue"],
            )?,
            preemption_attempts: IntCounter::new(
                "scheduler_preemption_attempts_total",
                "Attempts to make room for a pod by taking it from less important ones.",
            )?,
            preemption_victims: Histogram::with_opts(
                HistogramOpts::new(
                    "scheduler_preemption_victims",
                    "Pods that had to go when room was made.",
                )
                .buckets(exponential_buckets(1.0, 2.0, 7)?),
            )?,
        };
        registry.register(Box::new(metrics.attempts.clone()))?;
        registry.register(Box::new(metrics.attempt_seconds.clone()))?;
        registry.register(Box::new(metrics.algorithm_seconds.clone()))?;
        registry.register(Box::new(metrics.pod_attempts.clone()))?;
        registry.register(Box::new(metrics.pending.clone()))?;
        registry.register(Box::new(metrics.preemption_attempts.clone()))?;
        registry.register(Box::new(metrics.preemption_victims.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn decided(&self, started: Instant) {
        self.algorithm_seconds
            .observe(started.elapsed().as_secs_f64());
    }

    pub(crate) fn attempted(&self, attempt: Attempt, profile: &str, started: Instant) {
        let result = match attempt {
            Attempt::Scheduled => "scheduled",
            Attempt::Unschedulable => "unschedulable",
            Attempt::Error => "error",
        };
        let labels = [result, profile];
        self.attempts.with_label_values(&labels).inc();
        self.attempt_seconds
            .with_label_values(&labels)
            .observe(started.elapsed().as_secs_f64());
    }

    /// A pod was placed after so many attempts.
    pub(crate) fn placed(&self, attempts: u32) {
        self.pod_attempts.observe(f64::from(attempts));
    }

    pub(crate) fn asked_for_room(&self) {
        self.preemption_attempts.inc();
    }

    pub(crate) fn preempted(&self, victims: usize) {
        let victims = u32::try_from(victims).unwrap_or(u32::MAX);
        self.preemption_victims.observe(f64::from(victims));
    }

    pub(crate) fn pending(&self, pending: Pending) {
        for (queue, count) in [
            ("active", pending.active),
            ("backoff", pending.backoff),
            ("unschedulable", pending.unschedulable),
        ] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.pending.with_label_values(&[queue]).set(count);
        }
    }
}

/// Counters that nobody publishes.
impl Default for SchedulerMetrics {
    fn default() -> Self {
        Self::register(&Registry::new()).expect("names are valid and a new registry is empty")
    }
}
