//! Where the time of a creation goes, up to the store and after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use prometheus::proto::MetricFamily;

use super::family::{Sample, counters};

/// A step of a creation.
#[derive(Clone, Copy)]
pub(crate) enum Phase {
    /// Reading the body and making a value of it.
    Decode,
    /// Defaults, and what the server fills in.
    Default,
    /// Who owns which field.
    Own,
    /// Whether and how the cluster takes it: the namespace, the strategy of its kind.
    Admit,
    Validate,
    /// The value as the bytes it is stored as.
    Encode,
    /// The store; its own counters say what it did meanwhile.
    Store,
    /// The answer.
    Respond,
}

const NAMES: [&str; 8] = [
    "decode", "default", "own", "admit", "validate", "encode", "store", "respond",
];

#[derive(Default)]
pub(super) struct Phases([AtomicU64; 8]);

impl Phases {
    pub(super) fn collect(&self) -> Vec<MetricFamily> {
        let labels = NAMES.map(|name| [("phase", name)]);
        let samples: Vec<Sample<'_>> = labels
            .iter()
            .zip(&self.0)
            .map(|(labels, nanos)| {
                let seconds = nanos.load(Ordering::Relaxed) as f64 / 1e9;
                (labels.as_slice(), seconds)
            })
            .collect();
        vec![counters(
            "sampan_create_phase_seconds_total",
            "Time spent in the steps of creations, summed over all of them.",
            &samples,
        )]
    }
}

/// A clock that is read at the end of each step.
pub(crate) struct Lap {
    phases: Arc<Phases>,
    last: Instant,
}

impl Lap {
    pub(super) fn start(phases: Arc<Phases>) -> Lap {
        Lap {
            phases,
            last: Instant::now(),
        }
    }

    /// What happened since the last call was this step.
    pub(crate) fn was(&mut self, phase: Phase) {
        let now = Instant::now();
        let nanos = now.duration_since(self.last).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        self.phases.0[phase as usize].fetch_add(nanos, Ordering::Relaxed);
        self.last = now;
    }
}
