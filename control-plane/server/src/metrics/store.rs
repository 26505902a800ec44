//! Sizes of the store and its own counters, under the names their readers know.

use prometheus::proto::MetricFamily;
use sampan_store::{SqliteStore, Store, StoreStats, WriteTimes};

use super::family::{counter, counters, gauge, gauges, histogram};
use crate::object::{ObjCodec, stored_row};

pub(super) fn families(store: &SqliteStore<ObjCodec>) -> Vec<MetricFamily> {
    let mut families = objects(store);
    families.extend(sizes(&store.stats()));
    let counters = store.counters();
    families.push(histogram(
        "sampan_store_commit_duration_seconds",
        "How long transactions took, sync included.",
        &counters.commit_seconds,
    ));
    families.push(histogram(
        "sampan_store_batch_writes",
        "Writes that shared a transaction.",
        &counters.batch_writes,
    ));
    families.push(counter(
        "sampan_store_commit_failures_total",
        "Transactions that failed.",
        counters.commit_failures as f64,
    ));
    families.push(counter(
        "sampan_store_checkpoints_total",
        "Times the write-ahead log was copied into the database.",
        counters.checkpoints as f64,
    ));
    families.extend(times(&counters.write_times));
    families.push(gauge(
        "sampan_store_revision",
        "The revision of the last write.",
        store.current_revision().0 as f64,
    ));
    families.push(gauge(
        "sampan_store_healthy",
        "1 while writes are accepted.",
        f64::from(store.health().is_none()),
    ));
    families
}

fn objects(store: &SqliteStore<ObjCodec>) -> Vec<MetricFamily> {
    let mut counts: Vec<(String, &str, &str, f64)> = store
        .entries_by_bucket()
        .into_iter()
        .filter_map(|(bucket, count)| {
            let row = stored_row(&bucket)?;
            let full = match row.group {
                "" => row.plural.to_owned(),
                group => format!("{}.{group}", row.plural),
            };
            Some((full, row.group, row.plural, count as f64))
        })
        .collect();
    counts.sort_by(|a, b| a.0.cmp(&b.0));
    let old: Vec<_> = counts
        .iter()
        .map(|(full, ..)| [("resource", full.as_str())])
        .collect();
    let new: Vec<_> = counts
        .iter()
        .map(|(_, group, plural, _)| [("group", *group), ("resource", *plural)])
        .collect();
    let values = || counts.iter().map(|(.., count)| *count);
    let old: Vec<_> = old.iter().map(|l| l.as_slice()).zip(values()).collect();
    let new: Vec<_> = new.iter().map(|l| l.as_slice()).zip(values()).collect();
    vec![
        gauges("apiserver_storage_objects", "Stored objects by kind.", &old),
        gauges(
            "apiserver_resource_objects",
            "Stored objects by kind.",
            &new,
        ),
    ]
}

fn sizes(stats: &StoreStats) -> Vec<MetricFamily> {
    let file = stats.file_bytes as f64;
    vec![
        gauges(
            "apiserver_storage_size_bytes",
            "Bytes of the database file.",
            &[(&[("storage_cluster_id", "sqlite-0")], file)],
        ),
        gauges(
            "apiserver_storage_db_total_size_in_bytes",
            "Bytes of the database file.",
            &[(&[("endpoint", "sqlite-0")], file)],
        ),
        gauge(
            "sampan_store_wal_bytes",
            "Bytes of the write-ahead log.",
            stats.wal_bytes as f64,
        ),
        gauge(
            "sampan_store_history_events",
            "Events in memory from which watches resume.",
            stats.history_events as f64,
        ),
        gauge(
            "sampan_store_history_bytes",
            "Bytes of those events.",
            stats.history_bytes as f64,
        ),
    ]
}

fn times(times: &WriteTimes) -> Vec<MetricFamily> {
    let phase = |name| [("phase", name)];
    let labels = ["queue", "stage", "sync", "publish", "answer"].map(phase);
    let values = [
        times.queue,
        times.stage,
        times.sync,
        times.publish,
        times.answer,
    ];
    let samples: Vec<_> = labels
        .iter()
        .map(|labels| labels.as_slice())
        .zip(values.map(|value| value.as_secs_f64()))
        .collect();
    vec![
        counter(
            "sampan_store_writes_total",
            "Writes that were answered.",
            times.writes as f64,
        ),
        counters(
            "sampan_store_write_phase_seconds_total",
            "Time writes spent in the store's steps, summed over all of them.",
            &samples,
        ),
    ]
}
