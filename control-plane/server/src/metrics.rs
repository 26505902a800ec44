//! What `/metrics` tells, in Prometheus' text format and under upstream's names.
//!
//! Requests are counted where the chain ends (`requests`), watch events where they are written (`watch`), writes where the
//! store is called (`measured`). Sizes and the store's own counters are read when somebody asks. Names that upstream does
//! not have begin with `sampan_`.

mod body;
mod family;
mod labels;
mod measured;
mod phases;
mod process;
mod requests;
mod store;
mod watch;

use std::sync::Arc;

use axum::response::Response;
use http::{HeaderValue, StatusCode};
use prometheus::{IntGaugeVec, Opts, Registry, TextEncoder};
use sampan_api::status::Status;
use sampan_store::SqliteStore;

pub(crate) use labels::Labels;
pub(crate) use measured::MeasuredStore;
pub(crate) use phases::Phase;
pub(crate) use requests::Requests;
pub(crate) use watch::WatchMeter;

use crate::api::{Answer, Api};
use crate::object::ObjCodec;
use crate::respond;
use phases::{Lap, Phases};
use watch::WatchEvents;

const CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    store: Arc<SqliteStore<ObjCodec>>,
    pub(crate) requests: Arc<Requests>,
    watch_events: WatchEvents,
    in_flight: IntGaugeVec,
    phases: Arc<Phases>,
}

impl Metrics {
    /// Adds the server's to what `registry` holds.
    pub(crate) fn new(
        registry: Registry,
        store: Arc<SqliteStore<ObjCodec>>,
    ) -> prometheus::Result<Metrics> {
        let in_flight = IntGaugeVec::new(
            Opts::new(
                "apiserver_current_inflight_requests",
                "Requests being answered, long-running ones left out, by kind.",
            ),
            &["request_kind"],
        )?;
        registry.register(Box::new(in_flight.clone()))?;
        Ok(Metrics {
            requests: Arc::new(Requests::new(&registry)?),
            watch_events: WatchEvents::new(&registry)?,
            phases: Arc::default(),
            in_flight,
            registry,
            store,
        })
    }

    /// Follows the steps of a creation.
    pub(crate) fn creation(&self) -> Lap {
        Lap::start(Arc::clone(&self.phases))
    }

    /// Counts the events of one watch.
    pub(crate) fn watcher(&self, resource: &sampan_api::resource::Resource) -> WatchMeter {
        self.watch_events.meter(resource)
    }

    fn text(&self, api: &Api) -> prometheus::Result<String> {
        let (reads, writes) = api.in_flight.counts();
        for (kind, count) in [("readOnly", reads), ("mutating", writes)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.in_flight.with_label_values(&[kind]).set(count);
        }
        let mut families = self.registry.gather();
        families.extend(store::families(&self.store));
        families.extend(self.phases.collect());
        families.extend(process::families());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        TextEncoder::new().encode_to_string(&families)
    }
}

/// GET `/metrics`.
pub(crate) fn answer(api: &Api) -> Answer {
    let text = api.metrics.text(api).map_err(|error| {
        tracing::error!(%error, "the metrics cannot be written");
        Status::internal("the metrics cannot be written")
    })?;
    let response: Response = respond::bytes(StatusCode::OK, CONTENT_TYPE, text);
    Ok(response)
}
