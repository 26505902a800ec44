//! Resources of a pod that change while its containers run.

use k8s_openapi::api::core::v1::Container;

use super::track::{Instance, Limits};
use super::{Action, Input, all_containers};
use crate::cri::wanted_limits;

/// Adds what brings running containers to the limits their specification has now: other limits, or, where its resize
/// policy says so, another container.
pub(super) fn resize(input: &Input<'_>, actions: &mut Vec<Action>) {
    for (container, _) in all_containers(input.pod) {
        let track = input.state.containers.get(&container.name);
        let Some(instance) = track.and_then(|track| track.running()) else {
            continue;
        };
        let Some(limits) = changed(container, instance) else {
            continue;
        };
        let (container_name, id) = (container.name.clone(), instance.id.clone());
        actions.push(match needs_restart(container, instance.limits, limits) {
            true => Action::Kill {
                container: container_name,
                id,
                grace: grace(input),
                replace: true,
                failed: None,
            },
            false => Action::Resize {
                container: container_name,
                id,
                limits,
            },
        });
    }
}

/// The limits asked for, if they are others than it has and nothing is done about it yet.
fn changed(container: &Container, instance: &Instance) -> Option<Limits> {
    let known = instance.limits?;
    let wanted = wanted_limits(container);
    (known != wanted && !instance.resizing && instance.kill.is_none()).then_some(wanted)
}

fn needs_restart(container: &Container, before: Option<Limits>, wanted: Limits) -> bool {
    let policies = container.resize_policy.iter().flatten();
    let restarts: Vec<&str> = policies
        .filter(|policy| policy.restart_policy == "RestartContainer")
        .map(|policy| policy.resource_name.as_str())
        .collect();
    before.is_some_and(|before| {
        let cpu = (before.cpu_shares, before.cpu_quota) != (wanted.cpu_shares, wanted.cpu_quota);
        let memory = before.memory_bytes != wanted.memory_bytes;
        (cpu && restarts.contains(&"cpu")) || (memory && restarts.contains(&"memory"))
    })
}

fn grace(input: &Input<'_>) -> i64 {
    let spec = input.pod.spec.as_ref();
    spec.and_then(|spec| spec.termination_grace_period_seconds)
        .unwrap_or(30)
}
