//! What actions come to.

use super::resize::Change;
use super::track::{Exit, Instance, Limits};

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    SandboxReady {
        id: String,
        ips: Vec<String>,
        attempt: u32,
        /// What the runtime holds its containers to together.
        limits: Limits,
    },
    SandboxFailed {
        attempt: u32,
    },
    /// The sandbox is removed, on purpose or by a failure of the runtime.
    SandboxGone,
    /// The container was started; it may have ended already.
    Started {
        container: String,
        instance: Instance,
    },
    StartFailed {
        container: String,
        failure: StartFailure,
    },
    Exited {
        container: String,
        id: String,
        exit: Exit,
    },
    /// The runtime holds the pod and its containers to these limits now.
    Resized(Change),
    /// They stay with what they have for now, but for what was done before that.
    NotResized {
        done: Change,
        error: String,
    },
}

/// Why a container could not be started, in the words of its waiting state.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StartFailure {
    pub(crate) reason: String,
    pub(crate) message: String,
    /// The image that could not be had, of the container or of one of its volumes.
    pub(crate) image: Option<String>,
    /// Hash of what the container was to be made from: a failure says nothing of another image.
    pub(crate) hash: String,
    /// Something the user is about to create is missing: look again soon.
    pub(crate) quick_retry: bool,
    /// Given up because the pod is to stop; not a failure.
    pub(crate) cancelled: bool,
}
