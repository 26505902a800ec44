//! How a pod stops: containers first, sidecars after them, then the sandbox, then the object.

use jiff::{SignedDuration, Timestamp};

use super::state::Sandbox;
use super::track::Instance;
use super::{Action, Input, Intent, init_containers, is_sidecar, main_containers};
use crate::limits::MIN_STOP_SECONDS;

/// Adds the actions that bring the pod nearer to its end.
pub(super) fn stop(input: &Input<'_>, actions: &mut Vec<Action>) {
    let state = input.state;
    if state.starting.is_some() || matches!(state.sandbox, Sandbox::Creating { .. }) {
        actions.push(Action::CancelStart);
    }
    if matches!(
        state.sandbox,
        Sandbox::Creating { .. } | Sandbox::Removing { .. }
    ) {
        return;
    }
    kill_containers(input, actions);
    if state.any_running() {
        return;
    }
    if let Sandbox::Ready { id, .. } = &state.sandbox {
        actions.push(Action::RemoveSandbox { id: id.clone() });
        // The end of the pod is reported meanwhile; deletion waits for the sandbox.
        return;
    }
    match input.intent {
        Intent::Run => {}
        Intent::Terminate { .. } => actions.push(Action::Delete),
        Intent::Forget { .. } => actions.push(Action::Finish),
    }
}

fn kill_containers(input: &Input<'_>, actions: &mut Vec<Action>) {
    let state = input.state;
    let pod_grace = input
        .pod
        .spec
        .as_ref()
        .and_then(|s| s.termination_grace_period_seconds);
    let grace = input.intent.grace().or(pod_grace).unwrap_or(30);
    let sidecars: Vec<&str> = init_containers(input.pod)
        .iter()
        .filter(|container| is_sidecar(container))
        .map(|container| container.name.as_str())
        .collect();
    let mut others_running = state.starting.is_some();
    for (name, track) in &state.containers {
        if sidecars.contains(&name.as_str()) {
            continue;
        }
        // Also one that the pod's spec does not name any more.
        if let Some(instance) = track.running() {
            others_running = true;
            push_kill(input, name, instance, grace, actions);
        }
    }
    if others_running {
        return;
    }
    // The last started stops first; each one only when those after it are down.
    for name in sidecars.iter().rev() {
        if let Some(instance) = state
            .containers
            .get(*name)
            .and_then(|track| track.running())
        {
            push_kill(input, name, instance, grace, actions);
            return;
        }
    }
    debug_assert!(main_containers(input.pod).iter().all(|container| {
        state
            .containers
            .get(&container.name)
            .is_none_or(|track| track.running().is_none())
    }));
}

fn seconds_until(by: Timestamp, now: Timestamp) -> i64 {
    let left = by.duration_since(now);
    left.as_secs() + i64::from(left.subsec_nanos() > 0)
}

/// Stops an instance, or shortens a stop under way.
fn push_kill(
    input: &Input<'_>,
    name: &str,
    instance: &Instance,
    grace: i64,
    actions: &mut Vec<Action>,
) {
    let deadline = input
        .now
        .checked_add(SignedDuration::from_secs(grace))
        .unwrap_or(Timestamp::MAX);
    if instance.kill.is_some_and(|kill| kill.deadline <= deadline) {
        return;
    }
    // The grace period is the pod's: those that stop after others get what these have left.
    let grace = match input.state.stop_by {
        Some(by) => grace.min(seconds_until(by, input.now).max(MIN_STOP_SECONDS)),
        None => grace,
    };
    actions.push(Action::Kill {
        container: name.to_owned(),
        id: instance.id.clone(),
        grace,
        replace: false,
        failed: None,
    });
}
