//! What a worker knows of its pod: the runtime's side, and the failures in between.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};

use super::backoff::Backoff;
use super::outcome::{Outcome, StartFailure};
use super::resize::{Change, Resize};
use super::track::{Exit, Failure, Instance, Kill, Run, Track};
use crate::limits::{BACKOFF, CONFIG_RETRY};
use crate::probe::Probes;

/// Everything [`super::plan`] decides by, besides the pod itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodState {
    pub(crate) sandbox: Sandbox,
    /// Delays the next attempt to make the volumes and the sandbox.
    pub(crate) sandbox_retry: Backoff,
    /// By container name: init containers and containers share one name space.
    pub(crate) containers: BTreeMap<String, Track>,
    /// The container whose start is under way: one at a time, as upstream.
    pub(crate) starting: Option<String>,
    /// The last known IPs; kept after the sandbox is gone.
    pub(crate) ips: Vec<String>,
    pub(crate) start_time: Option<Timestamp>,
    /// The pod had ended before this worker saw it: its status stays as it is.
    pub(crate) ended: Option<Box<PodStatus>>,
    /// Its init containers all ended well once, in the present sandbox.
    pub(crate) initialized: bool,
    /// Containers were lost with the process and the pod must not start again.
    pub(crate) lost: bool,
    /// What it was given of the node's CPU and memory.
    pub(crate) resize: Resize,
    /// When the pod's grace period is over, once its containers are being stopped.
    pub(crate) stop_by: Option<Timestamp>,
    /// What the probes of running containers have found.
    pub(crate) probes: Probes,
}

/// The pod's sandbox, as far as this worker knows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sandbox {
    /// There is none; `attempt` numbers the next one.
    Absent {
        attempt: u32,
    },
    Creating {
        attempt: u32,
    },
    Ready {
        id: String,
        attempt: u32,
    },
    Removing {
        attempt: u32,
    },
}

impl Default for Sandbox {
    fn default() -> Sandbox {
        Sandbox::Absent { attempt: 0 }
    }
}

impl Sandbox {
    pub(crate) fn attempt(&self) -> u32 {
        match self {
            Sandbox::Absent { attempt }
            | Sandbox::Creating { attempt }
            | Sandbox::Ready { attempt, .. }
            | Sandbox::Removing { attempt } => *attempt,
        }
    }
}

impl PodState {
    pub(crate) fn track(&mut self, name: &str) -> &mut Track {
        self.containers.entry(name.to_owned()).or_default()
    }

    /// The container a runtime id belongs to.
    pub(crate) fn container_of(&self, id: &str) -> Option<&str> {
        self.containers
            .iter()
            .find(|(_, track)| {
                track
                    .instance
                    .as_ref()
                    .is_some_and(|instance| instance.id == id)
            })
            .map(|(name, _)| name.as_str())
    }

    pub(crate) fn any_running(&self) -> bool {
        self.starting.is_some()
            || self
                .containers
                .values()
                .any(|track| track.running().is_some())
    }

    /// Notes that an instance is being stopped until `kill.deadline`; `with_pod` if its pod is. True if that was not
    /// under way already.
    pub(crate) fn killed(&mut self, container: &str, id: &str, kill: Kill, with_pod: bool) -> bool {
        if with_pod {
            let by = self.stop_by.unwrap_or(kill.deadline);
            self.stop_by = Some(by.min(kill.deadline));
        }
        let track = self.containers.get_mut(container);
        let instance = track.and_then(|track| track.instance.as_mut());
        match instance.filter(|instance| instance.id == id) {
            Some(instance) => instance.kill.replace(kill).is_none(),
            None => true,
        }
    }

    /// Follows a clock that was set back, as that of a board which learns the time after its start may be: nothing
    /// waits longer than it would have.
    pub(crate) fn follow(&mut self, now: Timestamp) {
        self.sandbox_retry.follow(now);
        self.resize.follow(now);
        for track in self.containers.values_mut() {
            track.follow(now);
        }
    }

    /// Folds in what an action came to. `pod` gives the order of init containers.
    pub(crate) fn apply(&mut self, pod: &Pod, outcome: Outcome, now: Timestamp) {
        match outcome {
            Outcome::SandboxReady {
                id,
                ips,
                attempt,
                limits,
            } => {
                self.sandbox = Sandbox::Ready { id, attempt };
                self.resize.held = Some(limits);
                self.sandbox_retry.reset();
                self.ips = ips;
                self.initialized = false;
            }
            Outcome::SandboxFailed { attempt } => {
                self.sandbox_retry.fail(now, CONFIG_RETRY);
                self.sandbox = Sandbox::Absent { attempt };
            }
            Outcome::SandboxGone => self.sandbox_gone(now),
            Outcome::Started {
                container,
                instance,
            } => self.started(&container, instance, now),
            Outcome::StartFailed { container, failure } => {
                self.start_failed(&container, failure, now);
            }
            Outcome::Exited {
                container,
                id,
                exit,
            } => {
                let track = self.track(&container);
                if track
                    .instance
                    .as_ref()
                    .is_some_and(|instance| instance.id == id)
                {
                    track.exited(exit, now);
                }
            }
            Outcome::Resized(done) => {
                self.resized(done);
                self.resize.succeeded();
            }
            Outcome::NotResized { done, error } => {
                self.resized(done);
                self.resize.failed(&error, pod.metadata.generation, now);
            }
        }
        self.probes.sync(pod, &self.containers);
        self.initialized = self.initialized || super::start::init_done(pod, self);
    }

    fn resized(&mut self, done: Change) {
        let sandbox = matches!(&self.sandbox, Sandbox::Ready { id, .. } if *id == done.sandbox);
        if let Some((_, limits)) = done.pod.filter(|_| sandbox) {
            self.resize.held = Some(limits);
        }
        for change in done.containers {
            let track = self.track(&change.name);
            if let Some(instance) = track.instance.as_mut().filter(|own| own.id == change.id) {
                instance.limits = Some(change.limits);
            }
        }
    }

    fn started(&mut self, container: &str, instance: Instance, now: Timestamp) {
        if self.starting.as_deref() == Some(container) {
            self.starting = None;
        }
        let track = self.track(container);
        // The failures of another image are not this one's.
        if track
            .instance
            .as_ref()
            .is_some_and(|old| old.hash != instance.hash)
        {
            track.crash.reset();
        }
        // Neither a changed definition nor a new sandbox is the container's own failure.
        let restarted = track.exit().is_some()
            && track.instance.as_ref().is_some_and(|old| {
                old.sandbox == instance.sandbox
                    && old.hash == instance.hash
                    && !old.kill.is_some_and(|kill| kill.replace)
            });
        if let Some(Instance {
            run: Run::Exited(exit),
            ..
        }) = track.instance.take()
        {
            track.last = Some(exit);
        }
        // The first restart is immediate; from then on every start makes the next wait longer.
        if restarted {
            track.crash.fail(now, BACKOFF);
        }
        track.failure = None;
        track.retry.reset();
        let (run, mut instance) = (instance.run.clone(), instance);
        if let Run::Exited(exit) = run {
            let started_at = exit.started_at.unwrap_or(now);
            instance.run = Run::Running { started_at };
            track.instance = Some(instance);
            track.exited(exit, now);
        } else {
            track.instance = Some(instance);
        }
    }

    fn start_failed(&mut self, container: &str, failure: StartFailure, now: Timestamp) {
        if self.starting.as_deref() == Some(container) {
            self.starting = None;
        }
        let track = self.track(container);
        if failure.cancelled {
            return;
        }
        let rhythm = if failure.quick_retry {
            CONFIG_RETRY
        } else {
            BACKOFF
        };
        if track
            .failure
            .as_ref()
            .is_some_and(|earlier| earlier.hash != failure.hash)
        {
            track.retry.reset();
        }
        track.retry.fail(now, rhythm);
        track.failure = Some(Failure {
            reason: failure.reason,
            message: failure.message,
            image: failure.image,
            hash: failure.hash,
            since: now,
        });
    }

    fn sandbox_gone(&mut self, now: Timestamp) {
        let attempt = self.sandbox.attempt().saturating_add(1);
        self.sandbox = Sandbox::Absent { attempt };
        self.resize.held = None;
        self.initialized = false;
        for track in self.containers.values_mut() {
            if let Some(instance) = track.running() {
                let exit = Exit::lost(instance.id.clone(), Some(instance), now);
                track.exited(exit, now);
            }
        }
    }
}
