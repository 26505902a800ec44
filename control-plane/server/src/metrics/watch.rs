//! Watch events: a watcher adds up what one batch holds and passes it on once, since a thousand watchers of a busy kind
//! write half a million events a second.

use prometheus::local::LocalHistogram;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, exponential_buckets,
};
use sampan_api::resource::Resource;

const LABELS: [&str; 3] = ["group", "version", "resource"];

pub(super) struct WatchEvents {
    total: IntCounterVec,
    sizes: HistogramVec,
}

impl WatchEvents {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<WatchEvents> {
        let total = IntCounterVec::new(
            Opts::new(
                "apiserver_watch_events_total",
                "Events sent to watchers, each to each of them.",
            ),
            &LABELS,
        )?;
        let sizes = HistogramVec::new(
            HistogramOpts::new(
                "apiserver_watch_events_sizes",
                "Bytes of the events sent to watchers.",
            )
            .buckets(exponential_buckets(1024.0, 2.0, 8)?),
            &LABELS,
        )?;
        registry.register(Box::new(total.clone()))?;
        registry.register(Box::new(sizes.clone()))?;
        Ok(WatchEvents { total, sizes })
    }

    pub(super) fn meter(&self, resource: &Resource) -> WatchMeter {
        let labels = [resource.group, resource.version, resource.plural];
        WatchMeter {
            total: self.total.with_label_values(&labels),
            sizes: self.sizes.with_label_values(&labels).local(),
            waiting: 0,
        }
    }
}

/// The events of one watch.
pub(crate) struct WatchMeter {
    total: IntCounter,
    sizes: LocalHistogram,
    waiting: u64,
}

impl WatchMeter {
    /// An event of so many bytes goes out with the next batch.
    pub(crate) fn event(&mut self, bytes: usize) {
        self.waiting += 1;
        self.sizes.observe(bytes as f64);
    }

    /// The batch is complete.
    pub(crate) fn flush(&mut self) {
        self.total.inc_by(std::mem::take(&mut self.waiting));
        self.sizes.flush();
    }
}
