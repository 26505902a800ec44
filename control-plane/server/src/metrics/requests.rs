//! Requests: how many, how long, how large.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http_body::Body as _;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    exponential_buckets,
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
        if open {
            self.long_running.with_label_values(&labels.long()).inc();
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
        let Record {
            requests, labels, ..
        } = self;
        let seconds = self.started.elapsed().as_secs_f64();
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
        let [a, b, c, d, e, f, g, h] = short;
        let full = [a, b, c, d, e, f, g, h, self.code.as_str()];
        requests.total.with_label_values(&full).inc();
        requests.duration.with_label_values(&short).observe(seconds);
        if labels.is_read() {
            requests
                .sizes
                .with_label_values(&long)
                .observe(bytes as f64);
        }
        if self.open {
            requests.long_running.with_label_values(&long).dec();
        }
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
