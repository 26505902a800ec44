//! The table a bench prints.

use std::time::Duration;

/// Latencies of one measurement.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    pub(crate) fn extend(&mut self, other: Samples) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn at(&mut self, per_mille: usize) -> Duration {
        if self.0.is_empty() {
            return Duration::ZERO;
        }
        let index = (self.0.len() * per_mille / 1000).min(self.0.len() - 1);
        *self.0.select_nth_unstable(index).1
    }
}

pub(crate) fn header() {
    println!(
        "{:<38} {:>9} {:>12} {:>10} {:>10} {:>10}",
        "what", "count", "per second", "p50 ms", "p99 ms", "max ms"
    );
}

pub(crate) fn row(what: &str, mut samples: Samples, elapsed: Duration) {
    let count = samples.len();
    let rate = count as f64 / elapsed.as_secs_f64().max(f64::EPSILON);
    let [p50, p99, max] =
        [500, 990, 1000].map(|per_mille| samples.at(per_mille).as_secs_f64() * 1000.0);
    println!("{what:<38} {count:>9} {rate:>12.0} {p50:>10.2} {p99:>10.2} {max:>10.2}");
}
