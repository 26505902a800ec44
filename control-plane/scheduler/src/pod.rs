//! The little of a pod that outlives its decoding.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::affinity::PodTerms;
use crate::census::Class;
use crate::ports::{HostPort, host_ports};
use crate::resources::{Amounts, PODS, Presumed, requests};
use crate::volumes::named_claims;

/// A pod's identity: a pod of the same name with another uid is another pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PodKey {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl PodKey {
    pub(crate) fn of(pod: &Pod) -> Self {
        Self {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: pod.metadata.name.clone().unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for PodKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The condition of a pod that is deleted for the sake of others, and its reason if that is to make room.
pub(crate) const DISRUPTION_TARGET: &str = "DisruptionTarget";
pub(crate) const PREEMPTED: &str = "PreemptionByScheduler";

/// What a pod means for the node it is bound to, and for the pods to come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BoundPod {
    pub(crate) node: String,
    pub(crate) weight: Amounts,
    /// What it counts for in scores.
    pub(crate) presumed: Presumed,
    pub(crate) host_ports: BTreeSet<HostPort>,
    pub(crate) claims: Box<[String]>,
    pub(crate) class: Class,
    /// Its affinity, if it has any.
    pub(crate) terms: Option<Arc<PodTerms>>,
    pub(crate) uid: Option<String>,
    pub(crate) priority: i32,
    /// When its node began with it.
    pub(crate) started: Option<Timestamp>,
    /// It is being deleted to make room for another.
    pub(crate) preempted: bool,
}

impl BoundPod {
    pub(crate) fn on(node: String, pod: &Pod) -> Self {
        Self {
            node,
            weight: weight(pod),
            presumed: Presumed::of(pod),
            host_ports: host_ports(pod),
            claims: named_claims(pod),
            class: Class {
                labels: Arc::new(pod.metadata.labels.clone().unwrap_or_default()),
                ending: pod.metadata.deletion_timestamp.is_some(),
            },
            terms: PodTerms::of(pod),
            uid: pod.metadata.uid.clone(),
            priority: priority(pod),
            started: started(pod),
            preempted: preempted(pod),
        }
    }

    /// Whether it holds anything of its node that the other does not.
    pub(crate) fn holds_more_than(&self, other: &Self) -> bool {
        self.node != other.node
            || self
                .weight
                .iter()
                .any(|(name, amount)| amount > other.weight.get(name))
            || !self.host_ports.is_subset(&other.host_ports)
    }
}

pub(crate) fn priority(pod: &Pod) -> i32 {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.priority).unwrap_or(0)
}

fn started(pod: &Pod) -> Option<Timestamp> {
    let time = pod.status.as_ref()?.start_time.as_ref()?;
    Some(time.0)
}

fn preempted(pod: &Pod) -> bool {
    let mut conditions = pod
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    let target = conditions.find(|condition| condition.type_ == DISRUPTION_TARGET);
    pod.metadata.deletion_timestamp.is_some()
        && target.is_some_and(|condition| {
            condition.status == "True" && condition.reason.as_deref() == Some(PREEMPTED)
        })
}

/// The node where room is being made for the pod.
pub(crate) fn nominated_node(pod: &Pod) -> Option<&str> {
    let name = pod.status.as_ref()?.nominated_node_name.as_deref()?;
    Some(name).filter(|name| !name.is_empty())
}

/// Where a pod stands, seen from the scheduler.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Ended, or being scheduled by somebody else.
    NotOurs,
    Pending,
    Bound(Box<BoundPod>),
}

pub(crate) fn phase(pod: &Pod, scheduler_name: &str) -> Phase {
    let ended = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let Some(spec) = pod
        .spec
        .as_ref()
        .filter(|_| !matches!(ended, Some("Succeeded" | "Failed")))
    else {
        return Phase::NotOurs;
    };
    if let Some(node) = spec.node_name.as_ref().filter(|node| !node.is_empty()) {
        return Phase::Bound(Box::new(BoundPod::on(node.clone(), pod)));
    }
    let ours = spec
        .scheduler_name
        .as_deref()
        .unwrap_or("default-scheduler")
        == scheduler_name;
    let gated = spec
        .scheduling_gates
        .as_ref()
        .is_some_and(|gates| !gates.is_empty());
    if ours && !gated && pod.metadata.deletion_timestamp.is_none() {
        Phase::Pending
    } else {
        Phase::NotOurs
    }
}

/// What it takes, and the one pod that it is.
pub(crate) fn weight(pod: &Pod) -> Amounts {
    let mut weight = requests(pod);
    let one = BTreeMap::from([(
        PODS.to_string(),
        k8s_openapi::apimachinery::pkg::api::resource::Quantity("1".to_string()),
    )]);
    weight.add(&Amounts::from_quantities(Some(&one)));
    weight
}
