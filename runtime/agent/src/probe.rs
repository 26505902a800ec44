//! Probes: when to ask a container how it is, and what its answers come to.
//!
//! [`Probes`] is pure: instances, answers and a clock in; what is due and what is true out. Asking is [`run`]. As in
//! the kubelet: while a startup probe has not succeeded the others wait, an instance begins unready and alive, and
//! only thresholds of equal answers in a row change what is true. A container without probes is not in here at all.

mod grpc;
pub(crate) mod run;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, Probe};

use crate::plan::{Run, Track, after, all_containers};

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Startup,
    Readiness,
    Liveness,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Startup, Kind::Readiness, Kind::Liveness];

    /// As events name it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Startup => "Startup",
            Kind::Readiness => "Readiness",
            Kind::Liveness => "Liveness",
        }
    }

    /// This probe of a container.
    pub(crate) fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Kind::Startup => container.startup_probe.as_ref(),
            Kind::Readiness => container.readiness_probe.as_ref(),
            Kind::Liveness => container.liveness_probe.as_ref(),
        }
    }
}

/// What one asking came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Success,
    Failure(String),
    /// It could not be asked: says nothing about the container.
    Error(String),
}

/// A probe that is to be run now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Due {
    pub(crate) container: String,
    /// The runtime's id of the instance.
    pub(crate) instance: String,
    pub(crate) kind: Kind,
}

/// The probes of a pod's running containers, by container.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probes(BTreeMap<String, Instance>);

#[derive(Clone, Debug)]
struct Instance {
    id: String,
    probers: BTreeMap<Kind, Prober>,
}

/// One probe of one instance.
#[derive(Clone, Debug)]
struct Prober {
    period: Duration,
    success_threshold: u32,
    failure_threshold: u32,
    next: Timestamp,
    /// The furthest that may be ahead: the first delay, then the period.
    ahead: Duration,
    under_way: bool,
    /// The last answer, and how many in a row there were like it.
    last: Option<bool>,
    count: u32,
    /// What is held true; none until a startup probe has come to something.
    verdict: Option<bool>,
}

impl Prober {
    fn new(kind: Kind, probe: &Probe, started_at: Timestamp) -> Prober {
        let seconds = |value: Option<i32>, least: u64| {
            let value = value.and_then(|value| u64::try_from(value).ok());
            Duration::from_secs(value.unwrap_or(0).max(least))
        };
        let threshold = |value: Option<i32>, default: u32| {
            let value = value.and_then(|value| u32::try_from(value).ok());
            value.filter(|value| *value > 0).unwrap_or(default)
        };
        let delay = seconds(probe.initial_delay_seconds, 0);
        Prober {
            period: seconds(probe.period_seconds.or(Some(10)), 1),
            success_threshold: threshold(probe.success_threshold, 1),
            failure_threshold: threshold(probe.failure_threshold, 3),
            next: after(started_at, delay),
            ahead: delay,
            under_way: false,
            last: None,
            count: 0,
            verdict: match kind {
                Kind::Startup => None,
                Kind::Readiness => Some(false),
                Kind::Liveness => Some(true),
            },
        }
    }

    /// Folds in an answer. True if what is held true changed.
    fn answered(&mut self, well: Option<bool>, now: Timestamp) -> bool {
        self.under_way = false;
        self.ahead = self.period;
        // Moments that were missed are left out, however many: a clock that is set may leap over decades.
        if self.next <= now {
            let late = now.duration_since(self.next).unsigned_abs().as_secs();
            let period = self.period.as_secs().max(1);
            let missed = late - late % period;
            self.next = after(self.next, Duration::from_secs(missed) + self.period);
        }
        let Some(well) = well else { return false };
        if self.last == Some(well) {
            self.count = self.count.saturating_add(1);
        } else {
            self.last = Some(well);
            self.count = 1;
        }
        let threshold = match well {
            true => self.success_threshold,
            false => self.failure_threshold,
        };
        if self.count < threshold || self.verdict == Some(well) {
            return false;
        }
        self.verdict = Some(well);
        true
    }
}

impl Instance {
    fn started(&self) -> bool {
        let startup = self.probers.get(&Kind::Startup);
        startup.is_none_or(|prober| prober.verdict == Some(true))
    }

    /// The container failed a probe that ends it.
    fn failed(&self) -> Option<Kind> {
        [Kind::Startup, Kind::Liveness].into_iter().find(|kind| {
            let prober = self.probers.get(kind);
            prober.is_some_and(|prober| prober.verdict == Some(false))
        })
    }

    /// Whether this probe is run at all at present. One that ends a container is not run on one that is ending.
    fn wants(&self, kind: Kind, ending: bool) -> bool {
        match kind {
            Kind::Startup => !ending && !self.started() && self.failed().is_none(),
            Kind::Liveness => !ending && self.started() && self.failed().is_none(),
            Kind::Readiness => self.started(),
        }
    }
}

impl Probes {
    /// Follows the instances: one that is new begins anew, one that ended is forgotten.
    pub(crate) fn sync(&mut self, pod: &Pod, tracks: &BTreeMap<String, Track>) {
        for (container, _) in all_containers(pod) {
            let running = tracks.get(&container.name).and_then(Track::running);
            let probed = Kind::ALL.iter().any(|kind| kind.of(container).is_some());
            let Some(running) = running.filter(|_| probed) else {
                self.0.remove(&container.name);
                continue;
            };
            let known = self.0.get(&container.name);
            if known.is_some_and(|known| known.id == running.id) {
                continue;
            }
            let Run::Running { started_at } = running.run else {
                continue;
            };
            let prober = |kind: Kind| {
                let probe = kind.of(container)?;
                Some((kind, Prober::new(kind, probe, started_at)))
            };
            let instance = Instance {
                id: running.id.clone(),
                probers: Kind::ALL.into_iter().filter_map(prober).collect(),
            };
            self.0.insert(container.name.clone(), instance);
        }
    }

    /// Takes up what is due. `ending` tells which containers are being stopped.
    pub(crate) fn due(&mut self, now: Timestamp, ending: impl Fn(&str) -> bool) -> Vec<Due> {
        let mut due = Vec::new();
        for (container, instance) in &mut self.0 {
            let ending = ending(container);
            for prober in instance.probers.values_mut() {
                // The clock was set back.
                prober.next = prober.next.min(after(now, prober.ahead));
            }
            for kind in Kind::ALL {
                if !instance.wants(kind, ending) {
                    continue;
                }
                if let Some(prober) = instance.probers.get_mut(&kind)
                    && !prober.under_way
                    && prober.next <= now
                {
                    prober.under_way = true;
                    due.push(Due {
                        container: container.clone(),
                        instance: instance.id.clone(),
                        kind,
                    });
                }
            }
        }
        due
    }

    /// When something is due next, as far as that is known.
    pub(crate) fn next(&self, ending: impl Fn(&str) -> bool) -> Option<Timestamp> {
        let waiting = self.0.iter().flat_map(|(container, instance)| {
            let ending = ending(container);
            let probers = instance.probers.iter();
            let wanted = probers
                .filter(move |(kind, prober)| !prober.under_way && instance.wants(**kind, ending));
            wanted.map(|(_, prober)| prober.next)
        });
        waiting.min()
    }

    /// Folds in an answer. True if that changes what is true of the container.
    pub(crate) fn answered(&mut self, due: &Due, answer: &Answer, now: Timestamp) -> bool {
        let Some(instance) = self.0.get_mut(&due.container) else {
            return false;
        };
        if instance.id != due.instance {
            return false;
        }
        let Some(prober) = instance.probers.get_mut(&due.kind) else {
            return false;
        };
        let well = match answer {
            Answer::Success => Some(true),
            Answer::Failure(_) => Some(false),
            Answer::Error(_) => None,
        };
        prober.answered(well, now)
    }

    /// Whether a running container has started up.
    pub(crate) fn started(&self, container: &str) -> bool {
        self.0.get(container).is_none_or(Instance::started)
    }

    /// Whether a running container is ready.
    pub(crate) fn ready(&self, container: &str) -> bool {
        self.0.get(container).is_none_or(|instance| {
            let readiness = instance.probers.get(&Kind::Readiness);
            instance.started() && readiness.is_none_or(|prober| prober.verdict == Some(true))
        })
    }

    /// The probe by which a running container has failed for good.
    pub(crate) fn failed(&self, container: &str) -> Option<Kind> {
        self.0.get(container).and_then(Instance::failed)
    }
}
