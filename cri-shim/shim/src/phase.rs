//! Where a container stands in its life, and the only steps between.
//!
//! `Created -> Starting -> Running -> Exited`; a start that fails goes from Starting to Exited.
//! Each step checks the one before, so that two calls at once cannot both start a container.

use sampan_engine::{Exit, Stats};
use sampan_proto::v1;

/// A container's life. CRI knows three of these: Starting is Created to the outside.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    Created,
    Starting,
    Running(Running),
    Exited(Ended),
}

#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) started_at: i64,
    pub(crate) guest: sampan_engine::Container,
}

/// How and when it ended.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Ended {
    /// Zero if it never ran.
    pub(crate) started_at: i64,
    pub(crate) finished_at: i64,
    pub(crate) exit_code: i32,
    pub(crate) reason: Reason,
    pub(crate) message: String,
    /// The last figures; memory is zero by now.
    pub(crate) stats: Stats,
}

/// The one-word reasons kubelets and people know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    Completed,
    Error,
    OomKilled,
    StartError,
}

/// A step that the present phase does not allow.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("container is {now}, so it cannot {step}")]
pub(crate) struct Refused {
    now: &'static str,
    step: &'static str,
}

impl Phase {
    pub(crate) fn start(&self) -> Result<Phase, Refused> {
        match self {
            Phase::Created => Ok(Phase::Starting),
            _ => Err(self.refuse("be started")),
        }
    }

    pub(crate) fn run(
        &self,
        started_at: i64,
        guest: sampan_engine::Container,
    ) -> Result<Phase, Refused> {
        match self {
            Phase::Starting => Ok(Phase::Running(Running { started_at, guest })),
            _ => Err(self.refuse("run")),
        }
    }

    /// The guest ended. `note` is told with the exit's own message.
    pub(crate) fn exit(
        &self,
        finished_at: i64,
        exit: Exit,
        note: Option<String>,
    ) -> Result<Phase, Refused> {
        let Phase::Running(Running { started_at, guest }) = self else {
            return Err(self.refuse("exit"));
        };
        let (reason, mut message) = explain(&exit);
        if let Some(note) = note {
            let separator = if message.is_empty() { "" } else { "\n" };
            message = format!("{message}{separator}{note}");
        }
        Ok(Phase::Exited(Ended {
            started_at: *started_at,
            finished_at,
            exit_code: exit.code(),
            reason,
            message,
            stats: Stats {
                memory_bytes: 0,
                ..guest.stats()
            },
        }))
    }

    /// The guest never came to run.
    pub(crate) fn fail(&self, finished_at: i64, message: String) -> Result<Phase, Refused> {
        let Phase::Starting = self else {
            return Err(self.refuse("fail to start"));
        };
        Ok(Phase::Exited(Ended {
            started_at: 0,
            finished_at,
            exit_code: START_ERROR_CODE,
            reason: Reason::StartError,
            message,
            stats: Stats::default(),
        }))
    }

    pub(crate) fn is_starting(&self) -> bool {
        matches!(self, Phase::Starting)
    }

    pub(crate) fn is_exited(&self) -> bool {
        matches!(self, Phase::Exited(_))
    }

    pub(crate) fn guest(&self) -> Option<&sampan_engine::Container> {
        match self {
            Phase::Running(running) => Some(&running.guest),
            _ => None,
        }
    }

    /// The state as CRI knows it.
    pub(crate) fn state(&self) -> v1::ContainerState {
        match self {
            Phase::Created | Phase::Starting => v1::ContainerState::ContainerCreated,
            Phase::Running(_) => v1::ContainerState::ContainerRunning,
            Phase::Exited(_) => v1::ContainerState::ContainerExited,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        match self {
            Phase::Created | Phase::Starting => Stats::default(),
            Phase::Running(running) => running.guest.stats(),
            Phase::Exited(ended) => ended.stats,
        }
    }

    fn refuse(&self, step: &'static str) -> Refused {
        let now = match self {
            Phase::Created => "created",
            Phase::Starting => "starting",
            Phase::Running(_) => "running",
            Phase::Exited(_) => "exited",
        };
        Refused { now, step }
    }
}

/// The exit code of a container whose start failed, as other runtimes report it.
const START_ERROR_CODE: i32 = 128;

impl Reason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Reason::Completed => "Completed",
            Reason::Error => "Error",
            Reason::OomKilled => "OOMKilled",
            Reason::StartError => "StartError",
        }
    }
}

fn explain(exit: &Exit) -> (Reason, String) {
    match exit {
        Exit::Code(0) => (Reason::Completed, String::new()),
        Exit::Code(_) | Exit::Signal(_) => (Reason::Error, String::new()),
        Exit::Trap { message } | Exit::Failed { message } => (Reason::Error, message.clone()),
        Exit::OutOfMemory => (
            Reason::OomKilled,
            "the guest was refused memory beyond its limit".to_string(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_steps_of_a_life_are_allowed() {
        let created = Phase::Created;
        assert!(created.exit(1, Exit::Code(0), None).is_err());
        assert!(created.fail(1, String::new()).is_err());
        let starting = created.start().expect("created can start");
        assert_eq!(starting.state(), v1::ContainerState::ContainerCreated);
        assert_eq!(
            starting.start().expect_err("once").to_string(),
            "container is starting, so it cannot be started"
        );
        let failed = starting
            .fail(7, "port taken".into())
            .expect("a start can fail");
        let Phase::Exited(ended) = &failed else {
            panic!("{failed:?}")
        };
        assert_eq!(
            (ended.exit_code, ended.reason.as_str(), ended.started_at),
            (128, "StartError", 0)
        );
        assert!(failed.start().is_err());
    }

    #[test]
    fn reasons_are_the_words_kubelets_know() {
        let cases = [
            (Exit::Code(0), "Completed", ""),
            (Exit::Code(3), "Error", ""),
            (Exit::Signal(15), "Error", ""),
            (
                Exit::Trap {
                    message: "unreachable".into(),
                },
                "Error",
                "unreachable",
            ),
            (
                Exit::OutOfMemory,
                "OOMKilled",
                "the guest was refused memory beyond its limit",
            ),
        ];
        for (exit, reason, message) in cases {
            let (got, text) = explain(&exit);
            assert_eq!((got.as_str(), text.as_str()), (reason, message));
        }
    }
}
