//! Metrics whose values are kept elsewhere, made when they are asked for.

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use sampan_store::Distribution;

/// A value with the labels that tell it from the others of its family.
pub(super) type Sample<'a> = (&'a [(&'a str, &'a str)], f64);

pub(super) fn gauge(name: &str, help: &str, value: f64) -> MetricFamily {
    gauges(name, help, &[(&[], value)])
}

pub(super) fn counter(name: &str, help: &str, value: f64) -> MetricFamily {
    counters(name, help, &[(&[], value)])
}

pub(super) fn gauges(name: &str, help: &str, samples: &[Sample<'_>]) -> MetricFamily {
    let metrics = samples.iter().map(|(labels, value)| {
        let mut gauge = Gauge::default();
        gauge.set_value(*value);
        let mut metric = labelled(labels);
        metric.set_gauge(gauge);
        metric
    });
    family(name, help, MetricType::GAUGE, metrics.collect())
}

pub(super) fn counters(name: &str, help: &str, samples: &[Sample<'_>]) -> MetricFamily {
    let metrics = samples.iter().map(|(labels, value)| {
        let mut counter = Counter::default();
        counter.set_value(*value);
        let mut metric = labelled(labels);
        metric.set_counter(counter);
        metric
    });
    family(name, help, MetricType::COUNTER, metrics.collect())
}

/// The store counts per range, Prometheus from the bottom up.
pub(super) fn histogram(name: &str, help: &str, values: &Distribution) -> MetricFamily {
    let mut total = 0;
    let mut buckets = Vec::with_capacity(values.bounds.len());
    for (bound, count) in values.bounds.iter().zip(&values.counts) {
        total += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(total);
        buckets.push(bucket);
    }
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(values.counts.iter().sum());
    histogram.set_sample_sum(values.sum);
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    family(name, help, MetricType::HISTOGRAM, vec![metric])
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pairs = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    Metric::from_label(pairs.collect())
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}
