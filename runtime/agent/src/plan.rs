//! The pure core: from a pod, what is known of the runtime, and the clock, to the next actions
//! and the status to report.
//!
//! No IO, no clock of its own, no async. The worker calls [`plan`] after every change, runs the
//! actions that are not under way yet, and folds their outcomes into [`PodState`].
//!
//! What probes found is part of the state; asking, running hooks and eviction are not here.

mod backoff;
mod capabilities;
mod conditions;
mod ephemeral;
mod outcome;
mod patch;
mod phase;
mod rejected;
mod resize;
mod restart;
mod seed;
mod start;
mod state;
mod status;
mod stop;
#[cfg(test)]
mod tests;
mod track;
mod transition;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodStatus};

use crate::probe::Kind;
pub(crate) use backoff::{Backoff, after};
pub(crate) use capabilities::{CAPABILITIES, capabilities, known_capabilities};
pub(crate) use ephemeral::{container_named, ephemeral_containers};
pub(crate) use outcome::{Outcome, StartFailure};
pub(crate) use patch::{is_only_creating, status_patch};
pub(crate) use rejected::rejected;
pub(crate) use resize::{Change, ContainerChange, Resize, resize_message};
pub(crate) use restart::{KILLED, should_restart};
pub(crate) use seed::{Found, seed};
pub(crate) use state::{PodState, Sandbox};
pub(crate) use status::terminated;
pub(crate) use track::{Exit, Instance, Kill, Limits, Run, Track};
pub(crate) use transition::{Note, field_path, notes};

/// What the world wants of the pod.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Intent {
    Run,
    /// `deletionTimestamp` is set: stop it, report, then delete the object.
    Terminate {
        grace: i64,
    },
    /// The object is gone: stop it, there is nobody to report to.
    Forget {
        grace: i64,
    },
}

impl Intent {
    /// What a pod object asks for; `gone` when the API server has it no more.
    pub(crate) fn of(pod: &Pod, gone: bool) -> Intent {
        let spec_grace = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.termination_grace_period_seconds);
        let grace = pod
            .metadata
            .deletion_grace_period_seconds
            .or(spec_grace)
            .unwrap_or(30)
            .max(crate::limits::MIN_GRACE_SECONDS);
        if gone {
            Intent::Forget { grace }
        } else if pod.metadata.deletion_timestamp.is_some() {
            Intent::Terminate { grace }
        } else {
            Intent::Run
        }
    }

    fn grace(self) -> Option<i64> {
        match self {
            Intent::Run => None,
            Intent::Terminate { grace } | Intent::Forget { grace } => Some(grace),
        }
    }
}

/// What a plan is made from.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) state: &'a PodState,
    /// The status the API server has, as far as known: conditions of others and transition times
    /// are taken from it.
    pub(crate) known: &'a PodStatus,
    pub(crate) intent: Intent,
    pub(crate) now: Timestamp,
    pub(crate) host_ip: &'a str,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Prepares volumes and makes the sandbox.
    CreateSandbox {
        attempt: u32,
    },
    Start {
        container: String,
        attempt: u32,
    },
    /// Stops one running container.
    Kill {
        container: String,
        id: String,
        grace: i64,
        replace: bool,
        /// The probe it failed.
        failed: Option<Kind>,
    },
    /// Gives the pod and its running containers other limits.
    Resize(Change),
    /// Gives up the start under way, as far as it can be given up.
    CancelStart,
    /// Stops and removes the sandbox with its dead containers.
    RemoveSandbox {
        id: String,
    },
    /// Deletes the API object; only after `status` is written.
    Delete,
    /// Nothing is left: the worker cleans up and ends.
    Finish,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) actions: Vec<Action>,
    pub(crate) status: PodStatus,
    /// When to plan again though nothing happened.
    pub(crate) wake_at: Option<Timestamp>,
}

/// Decides what to do now and what to report.
pub(crate) fn plan(input: &Input<'_>) -> Plan {
    let mut wake = Wake::default();
    let status = status::pod_status(input, &mut wake);
    let mut actions = Vec::new();
    let over = phase::is_terminal(&status) || phase::is_ending(input);
    if input.intent != Intent::Run || over {
        stop::stop(input, &mut actions);
    } else {
        start::start(input, &mut actions, &mut wake);
    }
    Plan {
        actions,
        status,
        wake_at: wake.at,
    }
}

/// The earliest of the moments asked for.
#[derive(Default)]
pub(crate) struct Wake {
    at: Option<Timestamp>,
}

impl Wake {
    fn at(&mut self, moment: Timestamp) {
        self.at = Some(self.at.map_or(moment, |at| at.min(moment)));
    }
}

/// What a container is made from, in short: another hash means another container. As upstream,
/// only the name and the image count.
pub(crate) fn container_hash(container: &Container) -> String {
    let image = container.image.as_deref().unwrap_or_default();
    // FNV-1a, 32 bits: the width upstream uses, and stable over versions of this program.
    let mut hash: u32 = 0x811c_9dc5;
    for byte in container.name.bytes().chain([0]).chain(image.bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    format!("{hash:x}")
}

/// Init containers, then containers; not the ephemeral ones.
pub(crate) fn all_containers(pod: &Pod) -> impl Iterator<Item = (&Container, bool)> {
    let spec = pod.spec.as_ref();
    let init = spec
        .and_then(|spec| spec.init_containers.as_deref())
        .unwrap_or_default();
    let main = spec
        .map(|spec| spec.containers.as_slice())
        .unwrap_or_default();
    init.iter()
        .map(|container| (container, true))
        .chain(main.iter().map(|c| (c, false)))
}

pub(crate) fn init_containers(pod: &Pod) -> &[Container] {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.init_containers.as_deref())
        .unwrap_or_default()
}

pub(crate) fn main_containers(pod: &Pod) -> &[Container] {
    pod.spec
        .as_ref()
        .map(|spec| spec.containers.as_slice())
        .unwrap_or_default()
}

/// An init container that keeps running beside the others.
pub(crate) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}
