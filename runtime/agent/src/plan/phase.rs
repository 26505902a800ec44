//! The phase of a pod.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodStatus;

use super::start::{init_failed, wants_restart};
use super::track::Track;
use super::{Input, Intent, Wake, after, all_containers, main_containers};

/// The pod ran longer than `activeDeadlineSeconds`.
pub(super) const DEADLINE_REASON: &str = "DeadlineExceeded";
pub(super) const DEADLINE_MESSAGE: &str =
    "Pod was active on the node longer than the specified deadline";

pub(super) fn is_terminal(status: &PodStatus) -> bool {
    matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
}

/// Whether the pod must not go on, though something of it may still run.
pub(super) fn is_ending(input: &Input<'_>) -> bool {
    verdict(input).is_some()
}

/// The phase to report. A pod is not reported as ended while anything of it runs.
pub(super) fn phase(input: &Input<'_>) -> &'static str {
    let terminating = input.intent != Intent::Run && !input.state.any_running();
    match verdict(input) {
        Some(end) if !input.state.any_running() => end,
        Some(_) => known(input),
        // Stopped before its time: what did not end well failed, what never ran too.
        None if terminating => {
            let all_well = main_containers(input.pod).iter().all(|container| {
                let track = input.state.containers.get(&container.name);
                track
                    .and_then(Track::exit)
                    .is_some_and(|exit| exit.code == 0)
            });
            if all_well { "Succeeded" } else { "Failed" }
        }
        None => running_phase(input),
    }
}

/// Whether the pod was still under way at its deadline. One that had ended by then is left alone.
pub(super) fn deadline_exceeded(input: &Input<'_>) -> bool {
    let Some(deadline) = deadline(input) else {
        return false;
    };
    // What is told stays, whatever becomes of the pod or the clock: one that was to be restarted is over once it is deleted.
    let told = input.known.reason.as_deref() == Some(DEADLINE_REASON);
    if told && input.known.phase.as_deref() == Some("Failed") {
        return true;
    }
    deadline <= input.now && {
        let stopped = input.intent != Intent::Run && !input.state.any_running();
        let over = stopped || own_verdict(input).is_some();
        !over || last_end(input).is_some_and(|end| end >= deadline)
    }
}

/// When the last container of the pod ended.
fn last_end(input: &Input<'_>) -> Option<Timestamp> {
    let ends = all_containers(input.pod).filter_map(|(container, _)| {
        let track = input.state.containers.get(&container.name)?;
        track.exit()?.finished_at
    });
    ends.max()
}

/// Asks to be woken at the pod's deadline.
pub(super) fn wake_at_deadline(input: &Input<'_>, wake: &mut Wake) {
    if let Some(deadline) = deadline(input)
        && deadline > input.now
        && input.state.ended.is_none()
    {
        wake.at(deadline);
    }
}

fn deadline(input: &Input<'_>) -> Option<Timestamp> {
    let seconds = input.pod.spec.as_ref()?.active_deadline_seconds?;
    let start = input.state.start_time?;
    Some(after(
        start,
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
    ))
}

/// How the pod ends, once its end is certain.
fn verdict(input: &Input<'_>) -> Option<&'static str> {
    if let Some(ended) = &input.state.ended {
        return Some(if ended.phase.as_deref() == Some("Succeeded") {
            "Succeeded"
        } else {
            "Failed"
        });
    }
    if deadline_exceeded(input) {
        return Some("Failed");
    }
    own_verdict(input)
}

/// The same, as far as it comes from the pod's containers.
fn own_verdict(input: &Input<'_>) -> Option<&'static str> {
    let (pod, state) = (input.pod, input.state);
    let mut all_done = true;
    let mut all_well = true;
    for container in main_containers(pod) {
        let track = state.containers.get(&container.name);
        match track.and_then(Track::exit).zip(track) {
            Some((exit, track)) => {
                all_done &= !wants_restart(pod, container, track);
                all_well &= exit.code == 0;
            }
            None => all_done = false,
        }
    }
    if all_done && !main_containers(pod).is_empty() {
        return Some(if all_well { "Succeeded" } else { "Failed" });
    }
    if state.lost || init_failed(pod, state) {
        return Some("Failed");
    }
    None
}

fn running_phase(input: &Input<'_>) -> &'static str {
    if !input.state.initialized {
        return "Pending";
    }
    let never_ran = main_containers(input.pod).iter().any(|container| {
        input
            .state
            .containers
            .get(&container.name)
            .is_none_or(|track| track.instance.is_none())
    });
    if never_ran { "Pending" } else { "Running" }
}

fn known(input: &Input<'_>) -> &'static str {
    match input.known.phase.as_deref() {
        Some("Running") => "Running",
        _ => running_phase(input),
    }
}
