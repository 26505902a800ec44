//! Requests: how many, how long, how large.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http_body::Body as _;
use parking_lot::RwLock;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, exponential_buckets,
};

use super::Labels;
use super::body::Tracked;

/// Upstream's, in seconds.
pub(super) const SECONDS: &[f64] = &[
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0,
    10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];

/// Answers up to this size are in the kernel's hands as soon as they are given to the connection; of larger ones the
/// sending is part of the time.
const AT_ONCE: u64 = 128 * 1024;

const COMPONENT: &str = "apiserver";

pub(crate) struct Requests {
    total: IntCounterVec,
    duration: HistogramVec,
    sizes: HistogramVec,
    long_running: IntGaugeVec,
    series: RwLock<HashMap<Labels, Arc<Series>>>,
    /// Connections that failed before there was a request.
    pub(crate) handshake_errors: IntCounter,
}

impl Requests {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Requests> {
        let total = IntCounterVec::new(
            Opts::new("apiserver_request_total", "Requests that were answered."),
            &[
                "verb",
                "dry_run",
                "group",
                "version",
                "resource",
                "subresource",
                "scope",
                "component",
                "code",
            ],
        )?;
        let duration = HistogramVec::new(
            HistogramOpts::new(
                "apiserver_request_duration_seconds",
                "How long requests took; watches and logs, how long they were open.",
            )
            .buckets(SECONDS.to_vec()),
            &[
                "verb",
                "dry_run",
                "group",
                "version",
                "resource",
                "subresource",
                "scope",
                "component",
            ],
        )?;
        let sizes = HistogramVec::new(
            HistogramOpts::new(
                "apiserver_response_sizes",
                "Bytes of the answers to reads, as they were sent.",
            )
            .buckets(exponential_buckets(1000.0, 10.0, 7)?),
            &LONG_LABELS,
        )?;
        let long_running = IntGaugeVec::new(
            Opts::new(
                "apiserver_longrunning_requests",
                "Watches and logs that are open.",
            ),
            &LONG_LABELS,
        )?;
        let handshake_errors = IntCounter::new(
            "apiserver_tls_handshake_errors_total",
            "Connections whose TLS handshake failed.",
        )?;
        registry.register(Box::new(total.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(sizes.clone()))?;
        registry.register(Box::new(long_running.clone()))?;
        registry.register(Box::new(handshake_errors.clone()))?;
        Ok(Requests {
            total,
            duration,
            sizes,
            long_running,
            series: RwLock::default(),
            handshake_errors,
        })
    }

    /// Counts an answered request: now, or when its body has been sent.
    pub(crate) fn answered(
        self: &Arc<Self>,
        labels: Labels,
        started: Instant,
        mut response: Response,
    ) -> Response {
        let open = labels.long_running && response.status() == StatusCode::OK;
        let size = response.body().size_hint().exact();
        let record = Record {
            requests: Arc::clone(self),
            labels,
            started,
            code: response.status(),
            open,
        };
        if let (false, Some(size @ ..=AT_ONCE)) = (open, size) {
            record.done(size);
            return response;
        }
        if let (true, Some(open)) = (open, &self.series(labels).open) {
            open.inc();
        }
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = Body::new(Tracked::new(body, record));
        response
    }
}

/// A request whose answer is on its way.
pub(super) struct Record {
    requests: Arc<Requests>,
    labels: Labels,
    started: Instant,
    code: StatusCode,
    open: bool,
}

impl Record {
    /// The answer was sent, or nobody reads on.
    pub(super) fn done(&self, bytes: u64) {
        let series = self.requests.series(self.labels);
        series
            .duration
            .observe(self.started.elapsed().as_secs_f64());
        if let Some(sizes) = &series.sizes {
            sizes.observe(bytes as f64);
        }
        series.count(self.code, |code| {
            let [
                verb,
                group,
                version,
                resource,
                subresource,
                scope,
                component,
            ] = self.labels.long();
            let dry_run = self.labels.dry_run;
            self.requests.total.with_label_values(&[
                verb,
                dry_run,
                group,
                version,
                resource,
                subresource,
                scope,
                component,
                code,
            ])
        });
        if let (true, Some(open)) = (self.open, &series.open) {
            open.dec();
        }
    }
}

/// What requests of one kind count into. Kept, because looking up nine labels three times is a good part of what a read
/// costs otherwise.
struct Series {
    duration: Histogram,
    /// Of reads.
    sizes: Option<Histogram>,
    /// Of watches and logs.
    open: Option<IntGauge>,
    /// A handful of codes at most.
    codes: RwLock<Vec<(StatusCode, IntCounter)>>,
}

impl Series {
    fn count(&self, code: StatusCode, find: impl FnOnce(&str) -> IntCounter) {
        let known = |codes: &[(StatusCode, IntCounter)]| {
            let found = codes.iter().find(|(known, _)| *known == code);
            found.map(|(_, counter)| counter.inc()).is_some()
        };
        if known(&self.codes.read()) {
            return;
        }
        let counter = find(code.as_str());
        let mut codes = self.codes.write();
        if !known(&codes) {
            counter.inc();
            codes.push((code, counter));
        }
    }
}

impl Requests {
    /// Made when the first request of its kind comes. There are no more of them than rows, verbs and scopes.
    fn series(&self, labels: Labels) -> Arc<Series> {
        if let Some(series) = self.series.read().get(&labels) {
            return Arc::clone(series);
        }
        let long = labels.long();
        let [
            verb,
            group,
            version,
            resource,
            subresource,
            scope,
            component,
        ] = long;
        let short = [
            verb,
            labels.dry_run,
            group,
            version,
            resource,
            subresource,
            scope,
            component,
        ];
        let series = Arc::new(Series {
            duration: self.duration.with_label_values(&short),
            sizes: labels
                .is_read()
                .then(|| self.sizes.with_label_values(&long)),
            open: labels
                .long_running
                .then(|| self.long_running.with_label_values(&long)),
            codes: RwLock::default(),
        });
        Arc::clone(self.series.write().entry(labels).or_insert(series))
    }
}

const LONG_LABELS: [&str; 7] = [
    "verb",
    "group",
    "version",
    "resource",
    "subresource",
    "scope",
    "component",
];

impl Labels {
    fn long(&self) -> [&'static str; 7] {
        [
            self.verb,
            self.group,
            self.version,
            self.resource,
            self.subresource,
            self.scope,
            COMPONENT,
        ]
    }
}
