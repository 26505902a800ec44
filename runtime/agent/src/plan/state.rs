//! What a worker knows of its pod: the runtime's side, and the failures in between.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};

use super::backoff::Backoff;
use super::outcome::{Outcome, StartFailure};
use crate::limits::{BACKOFF, BACKOFF_RESET, CONFIG_RETRY};

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

/// One container over all its instances.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    /// The newest instance, running or dead.
    pub(crate) instance: Option<Instance>,
    /// How the instance before it ended.
    pub(crate) last: Option<Exit>,
    /// Why the next instance could not be started.
    pub(crate) failure: Option<Failure>,
    /// Delays restarts after exits.
    pub(crate) crash: Backoff,
    /// Delays retries after failures to start.
    pub(crate) retry: Backoff,
}

/// One made container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Instance {
    /// The runtime's id; empty for one lost with an earlier process.
    pub(crate) id: String,
    pub(crate) attempt: u32,
    /// Hash of what it was made from.
    pub(crate) hash: String,
    pub(crate) image: String,
    pub(crate) image_id: String,
    /// Attempt number of the sandbox it lives in.
    pub(crate) sandbox: u32,
    pub(crate) run: Run,
    pub(crate) kill: Option<Kill>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Run {
    Running { started_at: Timestamp },
    Exited(Exit),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exit {
    pub(crate) id: String,
    pub(crate) code: i32,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
}

/// A stop under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Kill {
    pub(crate) deadline: Timestamp,
    /// It is stopped because its definition changed: start it again whatever the restart policy.
    pub(crate) replace: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) since: Timestamp,
}

impl Track {
    pub(crate) fn running(&self) -> Option<&Instance> {
        self.instance
            .as_ref()
            .filter(|instance| matches!(instance.run, Run::Running { .. }))
    }

    pub(crate) fn exit(&self) -> Option<&Exit> {
        match &self.instance.as_ref()?.run {
            Run::Exited(exit) => Some(exit),
            Run::Running { .. } => None,
        }
    }

    /// Whether the newest instance ended well in sandbox `attempt`.
    pub(crate) fn completed_in(&self, attempt: u32) -> bool {
        self.instance
            .as_ref()
            .is_some_and(|instance| instance.sandbox == attempt)
            && self.exit().is_some_and(|exit| exit.code == 0)
    }

    /// Number of the next instance.
    pub(crate) fn next_attempt(&self) -> u32 {
        self.instance
            .as_ref()
            .map_or(0, |instance| instance.attempt.saturating_add(1))
    }

    fn exited(&mut self, exit: Exit, now: Timestamp) {
        let Some(instance) = self.instance.as_mut() else {
            return;
        };
        if matches!(instance.run, Run::Exited(_)) {
            return;
        }
        let ran_long = exit
            .started_at
            .zip(exit.finished_at)
            .and_then(|(start, end)| Duration::try_from(end.duration_since(start)).ok())
            .is_some_and(|ran| ran >= BACKOFF_RESET);
        let quiet = self.crash.updated().is_some_and(|at| {
            Duration::try_from(now.duration_since(at)).is_ok_and(|since| since >= BACKOFF_RESET)
        });
        if ran_long || quiet {
            self.crash.reset();
        }
        instance.run = Run::Exited(exit);
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

    /// Folds in what an action came to. `pod` gives the order of init containers.
    pub(crate) fn apply(&mut self, pod: &Pod, outcome: Outcome, now: Timestamp) {
        match outcome {
            Outcome::SandboxReady { id, ips, attempt } => {
                self.sandbox = Sandbox::Ready { id, attempt };
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
        }
        self.initialized = self.initialized || super::start::init_done(pod, self);
    }

    fn started(&mut self, container: &str, instance: Instance, now: Timestamp) {
        if self.starting.as_deref() == Some(container) {
            self.starting = None;
        }
        let track = self.track(container);
        // Neither a changed definition nor a new sandbox is the container's own failure.
        let restarted = track.exit().is_some()
            && track.instance.as_ref().is_some_and(|old| {
                old.sandbox == instance.sandbox && !old.kill.is_some_and(|kill| kill.replace)
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
        track.retry.fail(now, rhythm);
        track.failure = Some(Failure {
            reason: failure.reason,
            message: failure.message,
            since: now,
        });
    }

    fn sandbox_gone(&mut self, now: Timestamp) {
        let attempt = self.sandbox.attempt().saturating_add(1);
        self.sandbox = Sandbox::Absent { attempt };
        self.initialized = false;
        for track in self.containers.values_mut() {
            if let Some(instance) = track.running() {
                let exit = Exit::lost(instance.id.clone(), Some(instance), now);
                track.exited(exit, now);
            }
        }
    }
}

impl Exit {
    /// The end of a container nobody saw end.
    pub(crate) fn lost(id: String, instance: Option<&Instance>, now: Timestamp) -> Exit {
        Exit {
            id,
            code: 137,
            reason: "ContainerStatusUnknown".into(),
            message: "The container could not be located when the pod was checked. \
                      It used to be Running"
                .into(),
            started_at: instance.and_then(|instance| match instance.run {
                Run::Running { started_at } => Some(started_at),
                Run::Exited(_) => None,
            }),
            finished_at: Some(now),
        }
    }
}
