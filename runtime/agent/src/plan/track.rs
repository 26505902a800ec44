//! One container's instances and how they ended.

use std::time::Duration;

use jiff::Timestamp;

use super::backoff::Backoff;
use crate::limits::BACKOFF_RESET;

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
    /// When the newest instance was heard to have ended: from then on a restart waits.
    pub(crate) ended: Option<Timestamp>,
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
    /// What its module can reach, as the runtime names it; none when it did not tell.
    pub(crate) capabilities: Option<String>,
    /// Attempt number of the sandbox it lives in.
    pub(crate) sandbox: u32,
    pub(crate) run: Run,
    pub(crate) kill: Option<Kill>,
    /// What the runtime holds it to, where that is known.
    pub(crate) limits: Option<Limits>,
}

/// Limits of a container, or of a pod's containers together, that may change while it runs, in CRI's units. Zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) cpu_shares: i64,
    pub(crate) cpu_quota: i64,
    pub(crate) memory_bytes: i64,
}

impl Limits {
    /// The wider of both limits, each for itself.
    pub(crate) fn wider(self, other: Limits) -> Limits {
        let wider = |one: i64, other: i64| match one.min(other) {
            0 => 0,
            _ => one.max(other),
        };
        Limits {
            cpu_shares: self.cpu_shares.max(other.cpu_shares),
            cpu_quota: wider(self.cpu_quota, other.cpu_quota),
            memory_bytes: wider(self.memory_bytes, other.memory_bytes),
        }
    }

    /// Whether it bounds memory more than `before` did.
    pub(crate) fn has_less_memory(self, before: Limits) -> bool {
        let (most, before) = (self.memory_bytes, before.memory_bytes);
        most > 0 && (before == 0 || most < before)
    }
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
    /// The image that could not be had, of the container or of one of its volumes.
    pub(crate) image: Option<String>,
    /// Hash of what the container was to be made from.
    pub(crate) hash: String,
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

    /// Whether the newest instance is or was stopped because its definition changed.
    pub(crate) fn is_replaced(&self) -> bool {
        let kill = self.instance.as_ref().and_then(|instance| instance.kill);
        kill.is_some_and(|kill| kill.replace)
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

    /// Notes the end of the newest instance. A long or a quiet time before it starts the back-off
    /// over.
    pub(super) fn exited(&mut self, exit: Exit, now: Timestamp) {
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
        self.ended = Some(now);
    }

    /// Follows a clock that was set back.
    pub(super) fn follow(&mut self, now: Timestamp) {
        self.crash.follow(now);
        self.retry.follow(now);
        self.ended = self.ended.map(|ended| ended.min(now));
        if let Some(failure) = &mut self.failure {
            failure.since = failure.since.min(now);
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
