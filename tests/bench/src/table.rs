//! The tables a bench prints: what was measured, and how that compares with what the project set out to reach.

use std::time::{Duration, Instant};

use crate::processor;

/// Latencies of one measurement.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

/// What a row says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) per_second: f64,
    pub(crate) mean_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

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

/// How long a measurement took, and what of a processor's time the server used meanwhile, when that is known.
pub(crate) struct Elapsed {
    time: Duration,
    server: Option<Duration>,
}

impl From<Duration> for Elapsed {
    fn from(time: Duration) -> Self {
        Self { time, server: None }
    }
}

/// A measurement under way.
pub(crate) struct Stopwatch {
    start: Instant,
    server: Option<u32>,
    used: Option<Duration>,
}

impl Stopwatch {
    /// With the server's process, when it is on this machine and known.
    pub(crate) fn start(server: Option<u32>) -> Self {
        Self {
            start: Instant::now(),
            server,
            used: server.and_then(processor::time),
        }
    }

    pub(crate) fn stop(&self) -> Elapsed {
        let now = self.server.and_then(processor::time);
        Elapsed {
            time: self.start.elapsed(),
            server: now.zip(self.used).map(|(now, before)| now - before),
        }
    }
}

pub(crate) fn header() {
    println!(
        "{:<38} {:>9} {:>12} {:>10} {:>10} {:>10} {:>10}",
        "what", "count", "per second", "p50 ms", "p99 ms", "max ms", "server µs"
    );
}

/// Prints a measurement. The last column is the server's processor time for each.
pub(crate) fn row(what: &str, mut samples: Samples, elapsed: impl Into<Elapsed>) -> Summary {
    let Elapsed { time, server } = elapsed.into();
    let count = samples.len();
    let per_second = count as f64 / time.as_secs_f64().max(f64::EPSILON);
    let [p50_ms, p99_ms, max_ms] =
        [500, 990, 1000].map(|per_mille| samples.at(per_mille).as_secs_f64() * 1000.0);
    let server = server.map_or("-".to_owned(), |used| {
        format!("{:.1}", used.as_secs_f64() * 1e6 / count.max(1) as f64)
    });
    println!(
        "{what:<38} {count:>9} {per_second:>12.0} {p50_ms:>10.2} {p99_ms:>10.2} {max_ms:>10.2} {server:>10}"
    );
    let sum: Duration = samples.0.iter().sum();
    Summary {
        per_second,
        mean_ms: sum.as_secs_f64() * 1000.0 / count.max(1) as f64,
        p50_ms,
        p99_ms,
        max_ms,
    }
}

/// What the project set out to reach, and whether it did.
#[derive(Debug, Default)]
pub(crate) struct Verdicts(Vec<Verdict>);

#[derive(Debug)]
struct Verdict {
    what: String,
    unit: &'static str,
    measured: f64,
    target: f64,
    met: bool,
}

impl Verdicts {
    pub(crate) fn at_least(&mut self, what: &str, unit: &'static str, measured: f64, target: f64) {
        self.push(what, unit, measured, target, measured >= target);
    }

    pub(crate) fn at_most(&mut self, what: &str, unit: &'static str, measured: f64, target: f64) {
        self.push(what, unit, measured, target, measured <= target);
    }

    fn push(&mut self, what: &str, unit: &'static str, measured: f64, target: f64, met: bool) {
        self.0.push(Verdict {
            what: what.to_owned(),
            unit,
            measured,
            target,
            met,
        });
    }

    pub(crate) fn print(&self) {
        println!();
        println!(
            "{:<46} {:>12} {:>12} {:<6} {:>5}",
            "target", "measured", "wanted", "unit", "met"
        );
        for verdict in &self.0 {
            let met = if verdict.met { "yes" } else { "no" };
            println!(
                "{:<46} {:>12.1} {:>12.1} {:<6} {met:>5}",
                verdict.what, verdict.measured, verdict.target, verdict.unit
            );
        }
    }
}
