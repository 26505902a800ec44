//! What a pod was given of its node's CPU and memory, and why not more.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::resizable;
use crate::limits::RESIZE_RETRY;
use crate::plan::backoff::Backoff;
use crate::plan::status::told;
use crate::plan::track::Limits;
use crate::quantity;
use crate::room::{Refusal, Requests};

/// What a pod was given, and what it waits for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resize {
    /// By the containers that can be resized.
    given: BTreeMap<String, ResourceRequirements>,
    /// As a whole, beside its containers.
    whole: Option<ResourceRequirements>,
    /// What the runtime holds its sandbox to, while there is one.
    pub(in crate::plan) held: Option<Limits>,
    /// Sandbox and containers are being given other limits.
    pub(crate) under_way: bool,
    /// Why it was not given what its specification asks for.
    pub(in crate::plan) pending: Option<Pending>,
    /// Sandbox and containers are being brought to what it was given.
    pub(in crate::plan) progress: Option<Progress>,
    pub(super) retry: Backoff,
}

#[derive(Clone, Debug)]
pub(in crate::plan) struct Pending {
    pub(in crate::plan) refusal: Refusal,
    pub(in crate::plan) generation: Option<i64>,
}

#[derive(Clone, Debug)]
pub(in crate::plan) struct Progress {
    pub(in crate::plan) generation: Option<i64>,
    pub(in crate::plan) error: Option<String>,
}

impl Resize {
    /// What an earlier process had given, as the pod's status tells it; else what the specification asks for.
    pub(in crate::plan) fn seed(pod: &Pod, status: &PodStatus) -> Resize {
        let mut resize = Resize {
            whole: whole(pod, status),
            ..Resize::default()
        };
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
        Requests::of(&Resize::seed(pod, &status).as_given(pod))
    }

    /// What a container was given, if it is one that can be resized.
    pub(crate) fn given(&self, container: &str) -> Option<&ResourceRequirements> {
        self.given.get(container)
    }

    /// What the pod was given as a whole.
    pub(crate) fn whole(&self) -> Option<&ResourceRequirements> {
        self.whole.as_ref()
    }

    /// The pod with what it was given instead of what it asks for.
    pub(crate) fn as_given<'a>(&self, pod: &'a Pod) -> Cow<'a, Pod> {
        let Some(spec) = &pod.spec else {
            return Cow::Borrowed(pod);
        };
        let none = ResourceRequirements::default();
        let differs = resizable(pod).any(|container| {
            let given = self.given(&container.name);
            given.is_some_and(|given| *given != *container.resources.as_ref().unwrap_or(&none))
        });
        if !differs && spec.resources == self.whole {
            return Cow::Borrowed(pod);
        }
        let mut spec = spec.clone();
        spec.resources = self.whole.clone();
        let init = spec.init_containers.iter_mut().flatten();
        for container in init.chain(&mut spec.containers) {
            if let Some(given) = self.given(&container.name) {
                container.resources = Some(given.clone());
            }
        }
        Cow::Owned(Pod {
            spec: Some(spec),
            ..pod.clone()
        })
    }

    /// Whether the specification asks for something else.
    pub(crate) fn is_asked(&self, pod: &Pod) -> bool {
        let spec = pod.spec.as_ref();
        let wanted = spec.and_then(|spec| spec.resources.as_ref());
        !same_whole(self.whole(), wanted)
            || resizable(pod).any(|container| {
                let specified = container.resources.clone().unwrap_or_default();
                self.given(&container.name)
                    .is_none_or(|given| !same(given, &specified))
            })
    }

    /// The pod is given what its specification asks for.
    pub(crate) fn give(&mut self, pod: &Pod) {
        *self = Resize {
            held: self.held,
            under_way: self.under_way,
            progress: Some(Progress {
                generation: pod.metadata.generation,
                error: None,
            }),
            ..Resize::seed(pod, &PodStatus::default())
        };
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
    pub(in crate::plan) fn follow(&mut self, now: Timestamp) {
        self.retry.follow(now);
    }

    /// The pod could not be brought to what it was given.
    pub(in crate::plan) fn failed(&mut self, error: &str, generation: Option<i64>, now: Timestamp) {
        self.under_way = false;
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

    pub(in crate::plan) fn succeeded(&mut self) {
        self.under_way = false;
        self.retry.reset();
        if let Some(progress) = &mut self.progress {
            progress.error = None;
        }
    }
}

/// What the pod was given as a whole. A pod that had begun without is told so by what its status does not say.
fn whole(pod: &Pod, status: &PodStatus) -> Option<ResourceRequirements> {
    let specified = pod.spec.as_ref()?.resources.clone()?;
    let Some(actual) = &status.resources else {
        let begun = status.start_time.is_some();
        return (!begun).then_some(specified);
    };
    let told = ResourceRequirements {
        limits: actual.limits.clone(),
        requests: status.allocated_resources.clone(),
        ..specified.clone()
    };
    match same(&told, &specified) {
        true => Some(specified),
        false => Some(told),
    }
}

fn same_whole(one: Option<&ResourceRequirements>, other: Option<&ResourceRequirements>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => same(one, other),
        (one, other) => one.is_none() == other.is_none(),
    }
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
