//! What to start next: ephemeral containers at any time, init containers in order, sidecars, then the others.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::resize;
use super::state::{PodState, Sandbox};
use super::track::{Run, Track};
use super::{
    Action, Input, Wake, all_containers, container_hash, ephemeral_containers, init_containers,
    is_sidecar, main_containers, should_restart,
};
use crate::limits::DEFAULT_GRACE_SECONDS;

/// Adds the actions that bring the pod further. At most one start is under way at a time.
pub(super) fn start(input: &Input<'_>, actions: &mut Vec<Action>, wake: &mut Wake) {
    match &input.state.sandbox {
        Sandbox::Creating { .. } | Sandbox::Removing { .. } => {}
        Sandbox::Absent { attempt } => match input.state.sandbox_retry.until() {
            Some(until) if until > input.now => wake.at(until),
            _ => actions.push(Action::CreateSandbox { attempt: *attempt }),
        },
        Sandbox::Ready { .. } => {
            replace_changed(input, actions);
            end_failed(input, actions);
            resize::resize(input, actions, wake);
            if input.state.starting.is_none()
                && let Some((container, attempt)) = next(input, wake)
            {
                actions.push(Action::Start { container, attempt });
            }
        }
    }
}

/// Whether every init container did its part: ended well, or runs on as a sidecar.
pub(super) fn init_done(pod: &Pod, state: &PodState) -> bool {
    let sandbox = state.sandbox.attempt();
    init_containers(pod).iter().all(|container| {
        let Some(track) = state.containers.get(&container.name) else {
            return false;
        };
        if is_sidecar(container) {
            track.running().is_some() && state.probes.started(&container.name)
        } else {
            track.completed_in(sandbox)
        }
    })
}

/// Whether an ended container is to run again by its policy.
pub(super) fn wants_restart(pod: &Pod, container: &Container, track: &Track) -> bool {
    let Some(exit) = track.exit() else {
        return true;
    };
    track.is_replaced() || should_restart(pod, container, exit.code)
}

/// An init container that failed for good fails the pod.
pub(super) fn init_failed(pod: &Pod, state: &PodState) -> bool {
    init_containers(pod).iter().any(|container| {
        let track = state.containers.get(&container.name);
        !is_sidecar(container)
            && track
                .and_then(Track::exit)
                .is_some_and(|exit| exit.code != 0 && !should_restart(pod, container, exit.code))
    })
}

/// Until when a restart of this container has to wait.
pub(super) fn crash_wait(track: &Track) -> Option<jiff::Timestamp> {
    track.exit()?;
    if track.is_replaced() {
        return None;
    }
    let delay = track.crash.delay();
    if delay.is_zero() {
        return None;
    }
    track.ended.map(|end| super::after(end, delay))
}

fn replace_changed(input: &Input<'_>, actions: &mut Vec<Action>) {
    for (container, _) in all_containers(input.pod) {
        let Some(track) = input.state.containers.get(&container.name) else {
            continue;
        };
        if let Some(instance) = track.running()
            && instance.kill.is_none()
            && instance.hash != container_hash(container)
        {
            let spec = input.pod.spec.as_ref();
            actions.push(Action::Kill {
                container: container.name.clone(),
                id: instance.id.clone(),
                grace: spec
                    .and_then(|s| s.termination_grace_period_seconds)
                    .unwrap_or(30),
                replace: true,
                failed: None,
            });
        }
    }
}

/// Ends the instances that failed a probe; what becomes of them is their restart policy's.
fn end_failed(input: &Input<'_>, actions: &mut Vec<Action>) {
    for (container, _) in all_containers(input.pod) {
        let state = input.state;
        let Some(failed) = state.probes.failed(&container.name) else {
            continue;
        };
        let track = state.containers.get(&container.name);
        let Some(instance) = track.and_then(Track::running) else {
            continue;
        };
        if instance.kill.is_some() {
            continue;
        }
        let own = failed
            .of(container)
            .and_then(|probe| probe.termination_grace_period_seconds)
            .filter(|grace| *grace > 0);
        let spec = input.pod.spec.as_ref();
        let of_pod = spec.and_then(|spec| spec.termination_grace_period_seconds);
        actions.push(Action::Kill {
            container: container.name.clone(),
            id: instance.id.clone(),
            grace: own.or(of_pod).unwrap_or(DEFAULT_GRACE_SECONDS),
            replace: false,
            failed: Some(failed),
        });
    }
}

fn next(input: &Input<'_>, wake: &mut Wake) -> Option<(String, u32)> {
    let (pod, state) = (input.pod, input.state);
    let none = Track::default();
    let sandbox = state.sandbox.attempt();
    for container in ephemeral_containers(pod) {
        let track = state.containers.get(&container.name).unwrap_or(&none);
        if track.instance.is_none()
            && let Some(start) = ready(input, &container, track, wake)
        {
            return Some(start);
        }
    }
    for container in init_containers(pod) {
        let track = state.containers.get(&container.name).unwrap_or(&none);
        if is_sidecar(container) {
            if track.running().is_some() {
                // The ones after it wait until it has started up.
                if !state.initialized && !state.probes.started(&container.name) {
                    return None;
                }
                continue;
            }
            if let Some(start) = ready(input, container, track, wake) {
                return Some(start);
            }
            // A sidecar that is down holds up the start of a pod, not a pod that has started.
            if !state.initialized {
                return None;
            }
        } else if !state.initialized && !track.completed_in(sandbox) {
            if track.running().is_some() {
                return None;
            }
            return ready(input, container, track, wake);
        }
    }
    main_containers(pod).iter().find_map(|container| {
        let track = state.containers.get(&container.name).unwrap_or(&none);
        if track.running().is_some() || !wants_restart(pod, container, track) {
            return None;
        }
        ready(input, container, track, wake)
    })
}

/// The start of this container, unless it has to wait.
fn ready(
    input: &Input<'_>,
    container: &Container,
    track: &Track,
    wake: &mut Wake,
) -> Option<(String, u32)> {
    // An instance of an earlier sandbox does not delay: its end was not its own doing.
    let of_this_sandbox = track.instance.as_ref().is_some_and(|i| {
        i.sandbox == input.state.sandbox.attempt() && matches!(i.run, Run::Exited(_))
    });
    // Nor does what happened with another image: the user has just mended it.
    let hash = container_hash(container);
    let same_instance = track.instance.as_ref().is_some_and(|i| i.hash == hash);
    let same_failure = track.failure.as_ref().is_none_or(|f| f.hash == hash);
    let crash = (of_this_sandbox && same_instance)
        .then(|| crash_wait(track))
        .flatten();
    let retry = same_failure.then(|| track.retry.until()).flatten();
    for until in [crash, retry].into_iter().flatten() {
        if until > input.now {
            wake.at(until);
            return None;
        }
    }
    Some((container.name.clone(), track.next_attempt()))
}
