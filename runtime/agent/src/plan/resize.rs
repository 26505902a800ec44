//! Resources of a pod that change while its containers run: what it was given, which may be less than its specification
//! asks for, and bringing its containers to that.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodStatus, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Serialize;

use super::backoff::Backoff;
use super::state::PodState;
use super::status::told;
use super::track::{Instance, Limits};
use super::{Action, Input, Wake, all_containers, init_containers, is_sidecar, main_containers};
use crate::cri::wanted_limits;
use crate::limits::RESIZE_RETRY;
use crate::quantity;
use crate::room::{Refusal, Requests};

/// What a pod was given, and what it waits for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resize {
    /// By the containers that can be resized.
    given: BTreeMap<String, ResourceRequirements>,
    /// Why it was not given what its specification asks for.
    pub(super) pending: Option<Pending>,
    /// Its containers are being brought to what it was given.
    pub(super) progress: Option<Progress>,
    retry: Backoff,
}

#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) refusal: Refusal,
    pub(super) generation: Option<i64>,
}

#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) generation: Option<i64>,
    pub(super) error: Option<String>,
}

impl Resize {
    /// What an earlier process had given, as the pod's status tells it; else what the specification asks for.
    pub(super) fn seed(pod: &Pod, status: &PodStatus) -> Resize {
        let mut resize = Resize::default();
        let known = told(status);
        for container in resizable(pod) {
            let specified = container.resources.clone().unwrap_or_default();
            let told = known.get(container.name.as_str());
            let told = told.and_then(|known| {
                let limits = known.resources.as_ref()?.limits.clone();
                Some(ResourceRequirements {
                    limits,
                    requests: known.allocated_resources.clone(),
                    ..specified.clone()
                })
            });
            let given = told.filter(|told| !same(told, &specified));
            let given = given.unwrap_or(specified);
            resize.given.insert(container.name.clone(), given);
        }
        resize
    }

    /// What a pod takes of its node that an earlier process may have given it, all in all.
    pub(crate) fn held(pod: &Pod) -> Requests {
        let status = pod.status.clone().unwrap_or_default();
        let resize = Resize::seed(pod, &status);
        Requests::of(pod, |name| resize.given(name).cloned())
    }

    /// What a container was given, if it is one that can be resized.
    pub(crate) fn given(&self, container: &str) -> Option<&ResourceRequirements> {
        self.given.get(container)
    }

    /// The container with what it was given.
    pub(crate) fn with_given(&self, container: Container) -> Container {
        match self.given(&container.name) {
            Some(given) => Container {
                resources: Some(given.clone()),
                ..container
            },
            None => container,
        }
    }

    /// Whether the specification asks for something else.
    pub(crate) fn is_asked(&self, pod: &Pod) -> bool {
        resizable(pod).any(|container| {
            let specified = container.resources.clone().unwrap_or_default();
            self.given(&container.name)
                .is_none_or(|given| !same(given, &specified))
        })
    }

    /// The pod is given what its specification asks for.
    pub(crate) fn give(&mut self, pod: &Pod) {
        *self = Resize::seed(pod, &PodStatus::default());
        self.progress = Some(Progress {
            generation: pod.metadata.generation,
            error: None,
        });
    }

    /// It is not. True if that is news: that other pods use more or less by now is none.
    pub(crate) fn refuse(&mut self, pod: &Pod, refusal: Refusal) -> bool {
        let generation = pod.metadata.generation;
        let known = self.pending.as_ref();
        if known
            .is_some_and(|known| known.generation == generation && known.refusal.is_like(&refusal))
        {
            return false;
        }
        self.pending = Some(Pending {
            refusal,
            generation,
        });
        true
    }

    /// It asks for nothing. True if it did before.
    pub(crate) fn content(&mut self) -> bool {
        self.pending.take().is_some()
    }

    /// Follows a clock that was set back.
    pub(super) fn follow(&mut self, now: Timestamp) {
        self.retry.follow(now);
    }

    /// A container could not be brought to what it was given.
    pub(super) fn failed(&mut self, error: &str, generation: Option<i64>, now: Timestamp) {
        self.retry.fail(now, RESIZE_RETRY);
        let known = self.progress.as_ref();
        self.progress = Some(Progress {
            generation: known.map_or(generation, |known| known.generation),
            error: Some(error.to_owned()),
        });
    }

    /// Whether that was so before, for the same reason but for the figures in it.
    pub(crate) fn has_failed_by(&self, error: &str) -> bool {
        let known = self.progress.as_ref();
        let known = known.and_then(|progress| progress.error.as_deref());
        let words = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "");
        known.is_some_and(|known| words(known) == words(error))
    }

    pub(super) fn succeeded(&mut self) {
        self.retry.reset();
        if let Some(progress) = &mut self.progress {
            progress.error = None;
        }
    }
}

impl PodState {
    /// Ends a resize whose containers all have what the pod was given. Returns the generation it was of.
    pub(crate) fn end_resize(&mut self, pod: &Pod) -> Option<i64> {
        let open = resizable(pod).any(|container| {
            let track = self.containers.get(&container.name);
            track.and_then(|track| track.running()).is_some_and(|one| {
                one.resizing || differs(pod, &self.resize, container, one).is_some()
            })
        });
        match open {
            true => None,
            false => self.resize.progress.take()?.generation,
        }
    }
}

/// The containers whose resources may change.
fn resizable(pod: &Pod) -> impl Iterator<Item = &Container> {
    let containers = all_containers(pod);
    let containers = containers.filter(|(container, init)| !init || is_sidecar(container));
    containers.map(|(container, _)| container)
}

/// Whether both mean the same CPU and memory, whatever way they are written.
fn same(one: &ResourceRequirements, other: &ResourceRequirements) -> bool {
    let amounts = |list: &Option<BTreeMap<String, Quantity>>| {
        let amount = |name: &str| list.as_ref().and_then(|list| list.get(name));
        let cpu = amount("cpu").and_then(quantity::milli);
        (cpu, amount("memory").and_then(quantity::whole))
    };
    amounts(&one.requests) == amounts(&other.requests)
        && amounts(&one.limits) == amounts(&other.limits)
}

/// Adds what brings running containers to the limits the pod was given: other limits, or, where its resize policy says
/// so, another container.
pub(super) fn resize(input: &Input<'_>, actions: &mut Vec<Action>, wake: &mut Wake) {
    let resize = &input.state.resize;
    let retry = resize.retry.until().filter(|until| *until > input.now);
    for container in resizable(input.pod) {
        let track = input.state.containers.get(&container.name);
        let Some(instance) = track.and_then(|track| track.running()) else {
            continue;
        };
        let Some(limits) = differs(input.pod, resize, container, instance) else {
            continue;
        };
        if instance.resizing || instance.kill.is_some() {
            continue;
        }
        if let Some(until) = retry {
            wake.at(until);
            continue;
        }
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
                before: instance.limits,
            },
        });
    }
}

/// The limits that a container was given, if it runs with others.
fn differs(
    pod: &Pod,
    resize: &Resize,
    container: &Container,
    instance: &Instance,
) -> Option<Limits> {
    let known = instance.limits?;
    let given = resize.given(&container.name);
    let own = given.or(container.resources.as_ref());
    let wanted = wanted_limits(pod, &container.name, own);
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

/// The message of an event about a resize, with what the specification asks for, as upstream writes it.
pub(crate) fn resize_message(
    begin: &str,
    pod: &Pod,
    generation: Option<i64>,
    error: Option<&str>,
) -> String {
    #[derive(Serialize)]
    struct Share<'a> {
        name: &'a str,
        resources: ResourceRequirements,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Summary<'a> {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        init_containers: Vec<Share<'a>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        containers: Vec<Share<'a>>,
        generation: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
    }
    fn share(container: &Container) -> Share<'_> {
        Share {
            name: &container.name,
            resources: container.resources.clone().unwrap_or_default(),
        }
    }
    let summary = Summary {
        init_containers: init_containers(pod).iter().map(share).collect(),
        containers: main_containers(pod).iter().map(share).collect(),
        generation: generation.unwrap_or(0),
        error,
    };
    match serde_json::to_string(&summary) {
        Ok(text) => format!("{begin}: {text}"),
        Err(_) => begin.to_owned(),
    }
}
