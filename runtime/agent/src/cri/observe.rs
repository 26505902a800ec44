//! What a container's status in the runtime means here.

use jiff::Timestamp;
use sampan_proto::{CAPABILITIES_INFO, v1};

use super::names;
use super::resources::limits_of;
use crate::plan::{Exit, Instance, Limits, Run};

/// A container as the runtime reports it. `run` is none for one that was made but not started.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) name: String,
    pub(crate) run: Option<Run>,
    pub(crate) log_path: String,
    /// Host file of the termination message, when it is mounted.
    pub(crate) message_file: Option<String>,
    /// Whether the end of the log stands in for a message where the container failed.
    pub(crate) falls_back_to_log: bool,
    limits: Option<Limits>,
    id: String,
    attempt: u32,
    hash: String,
    image: String,
    image_id: String,
    capabilities: Option<String>,
}

impl Observed {
    /// The instance of a container that was started, in sandbox number `sandbox`.
    pub(crate) fn instance(self, sandbox: u32) -> Option<Instance> {
        Some(Instance {
            run: self.run?,
            id: self.id,
            attempt: self.attempt,
            hash: self.hash,
            image: self.image,
            image_id: self.image_id,
            capabilities: self.capabilities,
            sandbox,
            kill: None,
            limits: self.limits,
        })
    }
}

/// Reads the answer to a verbose request for a container's status.
pub(crate) fn observe_verbose(response: &v1::ContainerStatusResponse) -> Observed {
    let status = response.status.clone().unwrap_or_default();
    Observed {
        capabilities: response.info.get(CAPABILITIES_INFO).cloned(),
        ..observe(&status)
    }
}

/// Reads a container's status.
pub(crate) fn observe(status: &v1::ContainerStatus) -> Observed {
    let annotation = |key: &str| status.annotations.get(key).cloned();
    let metadata = status.metadata.clone().unwrap_or_default();
    let image = status.image.clone().unwrap_or_default();
    let named = [image.user_specified_image, image.image];
    let run = match status.state() {
        v1::ContainerState::ContainerCreated => None,
        v1::ContainerState::ContainerRunning => {
            let started_at = time(status.started_at).unwrap_or(Timestamp::UNIX_EPOCH);
            Some(Run::Running { started_at })
        }
        v1::ContainerState::ContainerExited | v1::ContainerState::ContainerUnknown => {
            Some(Run::Exited(exit(status)))
        }
    };
    let message_path = annotation(names::MESSAGE_PATH);
    Observed {
        name: metadata.name,
        run,
        log_path: status.log_path.clone(),
        message_file: status
            .mounts
            .iter()
            .find(|mount| Some(&mount.container_path) == message_path.as_ref())
            .map(|mount| mount.host_path.clone()),
        falls_back_to_log: annotation(names::MESSAGE_POLICY)
            .is_some_and(|policy| policy == "FallbackToLogsOnError"),
        limits: status
            .resources
            .as_ref()
            .and_then(|resources| resources.linux.as_ref())
            .map(limits_of),
        id: status.id.clone(),
        // The annotation, as upstream: CRI's own attempt counts within one sandbox only.
        attempt: annotation(names::RESTART_COUNT)
            .and_then(|count| count.parse().ok())
            .unwrap_or(metadata.attempt),
        hash: annotation(names::CONTAINER_HASH).unwrap_or_default(),
        image: named
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default(),
        image_id: [&status.image_ref, &status.image_id]
            .into_iter()
            .find(|id| !id.is_empty())
            .cloned()
            .unwrap_or_default(),
        capabilities: None,
    }
}

fn exit(status: &v1::ContainerStatus) -> Exit {
    let reason = match (status.reason.as_str(), status.exit_code) {
        ("", 0) => "Completed",
        ("", _) => "Error",
        (reason, _) => reason,
    };
    Exit {
        id: status.id.clone(),
        code: status.exit_code,
        reason: reason.to_owned(),
        message: status.message.clone(),
        started_at: time(status.started_at),
        finished_at: time(status.finished_at),
    }
}

/// CRI counts nanoseconds since the epoch; zero is "not yet".
fn time(nanos: i64) -> Option<Timestamp> {
    (nanos != 0)
        .then(|| Timestamp::from_nanosecond(i128::from(nanos)).ok())
        .flatten()
}
