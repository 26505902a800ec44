//! The state a worker starts from: what the runtime still has of the pod, and for the rest what
//! the API server was told before.
//!
//! After a restart of the process that held the runtime nothing is found: containers reported as
//! running then ended as was noted when it stopped, or are lost (`ContainerStatusUnknown`, 137); ended ones stay ended.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

use super::resize::Resize;
use super::state::{PodState, Sandbox};
use super::track::{Exit, Instance, Run, Track};
use super::{KILLED, main_containers, should_restart};
use crate::cri::pod_limits;
use crate::ends::Ends;

/// The runtime's view of one pod when its worker starts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Id, attempt and IPs of the newest ready sandbox.
    pub(crate) sandbox: Option<(String, u32, Vec<String>)>,
    /// Container name and instance, oldest first.
    pub(crate) containers: Vec<(String, Instance)>,
    /// How containers ended that an earlier process stopped with itself.
    pub(crate) ends: Ends,
}

/// The state to start from.
pub(crate) fn seed(pod: &Pod, found: Found, now: Timestamp) -> PodState {
    let status = pod.status.clone().unwrap_or_default();
    let mut state = PodState {
        start_time: Some(status.start_time.as_ref().map_or(now, |time| time.0)),
        ips: status
            .pod_ips
            .iter()
            .flatten()
            .map(|ip| ip.ip.clone())
            .collect(),
        resize: Resize::seed(pod, &status),
        ..PodState::default()
    };
    let alone = found.sandbox.is_none();
    if let Some((id, attempt, ips)) = found.sandbox {
        state.sandbox = Sandbox::Ready { id, attempt };
        state.resize.held = Some(pod_limits(&state.resize.as_given(pod)));
        state.ips = ips;
    }
    for (name, instance) in found.containers {
        let track = state.track(&name);
        if let Some(Instance {
            run: Run::Exited(exit),
            ..
        }) = track.instance.take()
        {
            track.last = Some(exit);
        }
        track.instance = Some(instance);
    }
    for reported in status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .chain(&status.ephemeral_container_statuses)
        .flatten()
    {
        let track = state.track(&reported.name);
        if track.instance.is_none() {
            *track = from_report(reported, &found.ends, now);
        }
    }
    let ran = state
        .containers
        .values()
        .any(|track| track.instance.is_some());
    if alone && ran {
        // The number of the sandbox that is gone is not known; only "another" matters.
        state.sandbox = Sandbox::Absent { attempt: 1 };
    }
    // Another sandbox is of use only if some container runs on in it.
    let never = !main_containers(pod)
        .iter()
        .any(|container| should_restart(pod, container, KILLED));
    state.lost = never
        && alone
        && main_containers(pod).iter().any(|container| {
            state
                .containers
                .get(&container.name)
                .is_some_and(|track| track.instance.is_some())
        });
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        state.ended = Some(Box::new(status));
    }
    state.probes.sync(pod, &state.containers);
    state.initialized = super::start::init_done(pod, &state);
    state
}

/// A container as it was last reported, by a process that is gone.
fn from_report(reported: &ContainerStatus, ends: &Ends, now: Timestamp) -> Track {
    let id = reported
        .container_id
        .as_deref()
        .and_then(|id| id.split_once("://"));
    let id = id.map(|(_, id)| id.to_owned()).unwrap_or_default();
    let current = reported.state.as_ref();
    let last = reported
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let (exit, last) = if let Some(running) = current.and_then(|state| state.running.as_ref()) {
        let exit = ends.get(&id).map(from_terminated);
        let exit = exit.unwrap_or_else(|| Exit {
            started_at: running.started_at.as_ref().map(|time| time.0),
            ..Exit::lost(id.clone(), None, now)
        });
        (exit, last)
    } else if let Some(terminated) = current.and_then(|state| state.terminated.as_ref()) {
        (from_terminated(terminated), last)
    } else if let Some(terminated) = last {
        (from_terminated(terminated), None)
    } else {
        return Track::default();
    };
    Track {
        instance: Some(Instance {
            id,
            attempt: u32::try_from(reported.restart_count).unwrap_or(0),
            hash: String::new(),
            image: reported.image.clone(),
            image_id: reported.image_id.clone(),
            capabilities: None,
            sandbox: 0,
            run: Run::Exited(exit),
            kill: None,
            limits: None,
        }),
        last: last.map(from_terminated),
        ..Track::default()
    }
}

fn from_terminated(terminated: &ContainerStateTerminated) -> Exit {
    let id = terminated
        .container_id
        .as_deref()
        .and_then(|id| id.split_once("://"));
    Exit {
        id: id.map(|(_, id)| id.to_owned()).unwrap_or_default(),
        code: terminated.exit_code,
        reason: terminated.reason.clone().unwrap_or_default(),
        message: terminated.message.clone().unwrap_or_default(),
        started_at: terminated.started_at.as_ref().map(|time| time.0),
        finished_at: terminated.finished_at.as_ref().map(|time| time.0),
    }
}
