//! Resources of a pod that change while its containers run: what it was given, which may be less than its specification
//! asks for, and bringing its sandbox and its containers to that.

mod given;
mod message;

use k8s_openapi::api::core::v1::{Container, Pod};

use super::state::{PodState, Sandbox};
use super::track::{Instance, Limits};
use super::{Action, Input, Wake, all_containers, is_sidecar};
use crate::cri::{pod_limits, wanted_limits};
pub(crate) use given::Resize;
pub(crate) use message::resize_message;

/// Other limits for what runs of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) sandbox: String,
    /// What all its containers together have, and are to have.
    pub(crate) pod: Option<(Limits, Limits)>,
    /// Those that get less come first, so that the others find room.
    pub(crate) containers: Vec<ContainerChange>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ContainerChange {
    pub(crate) name: String,
    pub(crate) id: String,
    /// What it has.
    pub(crate) before: Option<Limits>,
    pub(crate) limits: Limits,
}

impl PodState {
    /// Ends a resize when sandbox and containers have what the pod was given. Returns the generation it was of.
    pub(crate) fn end_resize(&mut self, pod: &Pod) -> Option<i64> {
        self.resize.progress.as_ref()?;
        let given = self.resize.as_given(pod);
        let open = self.resize.under_way
            || self.pod_differs(&given).is_some()
            || resizable(&given).any(|container| {
                let track = self.containers.get(&container.name);
                let instance = track.and_then(|track| track.running());
                instance.is_some_and(|one| differs(&given, container, one).is_some())
            });
        match open {
            true => None,
            false => self.resize.progress.take()?.generation,
        }
    }

    /// What the sandbox is held to and the limits that the pod was given, if these are others.
    pub(super) fn pod_differs(&self, given: &Pod) -> Option<(Limits, Limits)> {
        let (held, wanted) = (self.resize.held?, pod_limits(given));
        (held != wanted).then_some((held, wanted))
    }
}

/// The containers whose resources may change.
fn resizable(pod: &Pod) -> impl Iterator<Item = &Container> {
    let containers = all_containers(pod);
    let containers = containers.filter(|(container, init)| !init || is_sidecar(container));
    containers.map(|(container, _)| container)
}

/// Adds what brings a pod that runs to the limits it was given: other limits for its sandbox and its containers, or, where
/// a container's resize policy says so, another container.
pub(super) fn resize(input: &Input<'_>, actions: &mut Vec<Action>, wake: &mut Wake) {
    let (state, resize) = (input.state, &input.state.resize);
    let Sandbox::Ready { id: sandbox, .. } = &state.sandbox else {
        return;
    };
    let given = resize.as_given(input.pod);
    let (mut kills, mut containers, mut replaced) = (Vec::new(), Vec::new(), false);
    for container in resizable(&given) {
        let track = state.containers.get(&container.name);
        let Some(instance) = track.and_then(|track| track.running()) else {
            continue;
        };
        if let Some(kill) = instance.kill {
            replaced |= kill.replace;
            continue;
        }
        let Some(limits) = differs(&given, container, instance) else {
            continue;
        };
        let (name, id, before) = (container.name.clone(), instance.id.clone(), instance.limits);
        if needs_restart(container, before, limits) {
            kills.push(Action::Kill {
                container: name,
                id,
                grace: grace(input),
                replace: true,
                failed: None,
            });
        } else {
            containers.push(ContainerChange {
                name,
                id,
                before,
                limits,
            });
        }
    }
    replaced |= !kills.is_empty();
    // What runs until it is replaced keeps the room it has.
    let pod = state
        .pod_differs(&given)
        .map(|(held, wanted)| match replaced {
            true => (held, held.wider(wanted)),
            false => (held, wanted),
        });
    let pod = pod.filter(|(held, wanted)| held != wanted);
    if resize.under_way || kills.is_empty() && containers.is_empty() && pod.is_none() {
        return;
    }
    if let Some(until) = resize.retry.until().filter(|until| *until > input.now) {
        wake.at(until);
        return;
    }
    actions.extend(kills);
    if !containers.is_empty() || pod.is_some() {
        containers.sort_by_key(|change| {
            let before = change.before;
            before.is_some_and(|before| before.wider(change.limits) == change.limits)
        });
        actions.push(Action::Resize(Change {
            sandbox: sandbox.clone(),
            pod,
            containers,
        }));
    }
}

/// The limits that a container was given, if it runs with others.
fn differs(given: &Pod, container: &Container, instance: &Instance) -> Option<Limits> {
    let known = instance.limits?;
    let wanted = wanted_limits(given, &container.name, container.resources.as_ref());
    (known != wanted).then_some(wanted)
}

fn needs_restart(container: &Container, before: Option<Limits>, wanted: Limits) -> bool {
    let policies = container.resize_policy.iter().flatten();
    let restarts: Vec<&str> = policies
        .filter(|policy| policy.restart_policy == "RestartContainer")
        .map(|policy| policy.resource_name.as_str())
        .collect();
    before.is_some_and(|before| {
        // A weight that is what the others leave of the pod's changes with theirs.
        let shares = names_cpu(container) && before.cpu_shares != wanted.cpu_shares;
        let cpu = shares || before.cpu_quota != wanted.cpu_quota;
        let memory = before.memory_bytes != wanted.memory_bytes;
        (cpu && restarts.contains(&"cpu")) || (memory && restarts.contains(&"memory"))
    })
}

fn names_cpu(container: &Container) -> bool {
    let resources = container.resources.as_ref();
    let lists = resources.map(|own| [own.requests.as_ref(), own.limits.as_ref()]);
    let mut lists = lists.into_iter().flatten().flatten();
    lists.any(|list| list.contains_key("cpu"))
}

fn grace(input: &Input<'_>) -> i64 {
    let spec = input.pod.spec.as_ref();
    spec.and_then(|spec| spec.termination_grace_period_seconds)
        .unwrap_or(30)
}
