//! The store as the server calls it, with a clock.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use sampan_store::{
    Committed, Entry, Expect, Key, Op, Page, Prefix, RangeError, RangeRequest, Revision, Store,
    StoreError, TxnError, Watch, WatchError,
};

use super::requests::SECONDS;
use crate::object::{Obj, stored_row};

const LABELS: [&str; 3] = ["operation", "group", "resource"];

/// Measures writes. Reads come out of memory and never wait for a disk.
pub(crate) struct MeasuredStore<S> {
    inner: Arc<S>,
    duration: HistogramVec,
    total: IntCounterVec,
    errors: IntCounterVec,
}

impl<S> MeasuredStore<S> {
    pub(crate) fn new(inner: Arc<S>, registry: &Registry) -> prometheus::Result<MeasuredStore<S>> {
        let duration = HistogramVec::new(
            HistogramOpts::new(
                "etcd_request_duration_seconds",
                "How long the store took for a write, its sync included.",
            )
            .buckets(SECONDS.to_vec()),
            &LABELS,
        )?;
        let total = IntCounterVec::new(
            Opts::new("etcd_requests_total", "Writes the store was asked for."),
            &LABELS,
        )?;
        let errors = IntCounterVec::new(
            Opts::new(
                "etcd_request_errors_total",
                "Writes the store did not carry out, lost races included.",
            ),
            &LABELS,
        )?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(total.clone()))?;
        registry.register(Box::new(errors.clone()))?;
        Ok(MeasuredStore {
            inner,
            duration,
            total,
            errors,
        })
    }
}

#[async_trait]
impl<S: Store<Obj>> Store<Obj> for MeasuredStore<S> {
    async fn txn(&self, key: Key, expect: Expect, op: Op) -> Result<Committed<Obj>, TxnError<Obj>> {
        let operation = match (&op, expect) {
            (Op::Delete, _) => "delete",
            (Op::Put { .. }, Expect::Absent) => "create",
            (Op::Put { .. }, _) => "update",
        };
        let row = stored_row(key.bucket());
        let started = Instant::now();
        let outcome = self.inner.txn(key, expect, op).await;
        if let Some(row) = row {
            let labels = [operation, row.group, row.plural];
            let seconds = started.elapsed().as_secs_f64();
            self.duration.with_label_values(&labels).observe(seconds);
            self.total.with_label_values(&labels).inc();
            if outcome.is_err() {
                self.errors.with_label_values(&labels).inc();
            }
        }
        outcome
    }

    async fn get(&self, key: &Key) -> Result<Option<Arc<Entry<Obj>>>, StoreError> {
        self.inner.get(key).await
    }

    async fn range(&self, request: RangeRequest) -> Result<Page<Obj>, RangeError> {
        self.inner.range(request).await
    }

    async fn watch(&self, prefix: Prefix, from: Revision) -> Result<Watch<Obj>, WatchError> {
        self.inner.watch(prefix, from).await
    }

    fn health(&self) -> Option<StoreError> {
        self.inner.health()
    }

    fn current_revision(&self) -> Revision {
        self.inner.current_revision()
    }

    async fn compact(&self, to: Revision) -> Result<Revision, StoreError> {
        self.inner.compact(to).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
