//! Which nodes a pod may run on. Each plugin says why not; names are upstream's.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    NodeSelectorRequirement, NodeSelectorTerm, Pod, Taint, Toleration,
};
use sampan_api::selector::node_requirement_matches;

use crate::affinity::{AffinityFilter, Incoming};
use crate::pod::{BoundPod, PodKey};
use crate::ports::{HostPort, host_ports};
use crate::resources::{Amounts, PODS, Presumed};
use crate::snapshot::{NodeInfo, Snapshot};
use crate::spread::SpreadFilter;
use crate::volumes::{ExclusiveFilter, Needs, needs, volume_binding};

const UNSCHEDULABLE_TAINT: &str = "node.kubernetes.io/unschedulable";

/// Why a pod may not run on a node, with upstream's wording.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reasons: Vec<String>,
    /// It depends on which pods run where: pods that come may change it, as well as pods that go.
    pub(crate) by_placement: bool,
    /// Pods that go from the node may change it.
    pub(crate) resolvable: bool,
}

impl Refusal {
    /// About the node itself.
    pub(crate) fn of_node(reason: String) -> Self {
        Self {
            reasons: vec![reason],
            by_placement: false,
            resolvable: false,
        }
    }

    /// About what others leave of the node.
    pub(crate) fn of_room(reasons: Vec<String>, resolvable: bool) -> Self {
        Self {
            reasons,
            by_placement: false,
            resolvable,
        }
    }

    /// About which pods run where.
    pub(crate) fn of_placement(reason: &str, resolvable: bool) -> Self {
        Self {
            reasons: vec![reason.to_string()],
            by_placement: true,
            resolvable,
        }
    }
}

/// What filtering needs of a pod, worked out once for all nodes.
#[derive(Debug, Clone)]
pub(crate) struct Candidate<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) weight: Amounts,
    pub(crate) presumed: Presumed,
    pub(crate) incoming: Incoming<'a>,
    host_ports: BTreeSet<HostPort>,
    /// What its claims need.
    pub(crate) needs: Needs,
    exclusive: ExclusiveFilter,
    affinity: AffinityFilter<'a>,
    spread: SpreadFilter<'a>,
}

impl<'a> Candidate<'a> {
    /// Why no node will do, if its volumes tell already.
    pub(crate) fn new(pod: &'a Pod, snapshot: &'a Snapshot) -> Result<Self, String> {
        let mut needs = needs(pod, &snapshot.volumes)?;
        let exclusive = std::mem::take(&mut needs.exclusive);
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let incoming = Incoming::new(pod, snapshot);
        Ok(Self {
            pod,
            weight: crate::pod::weight(pod),
            presumed: Presumed::of(pod),
            host_ports: host_ports(pod),
            needs,
            exclusive: ExclusiveFilter::new(namespace, exclusive, &snapshot.claim_users),
            affinity: AffinityFilter::new(incoming.clone(), snapshot),
            spread: SpreadFilter::new(pod, snapshot),
            incoming,
        })
    }

    /// Counts a pod of the node so many times more, in thought.
    pub(crate) fn shift(
        &mut self,
        pod: Neighbour<'_>,
        node: &'a NodeInfo,
        snapshot: &Snapshot,
        by: i64,
    ) {
        self.exclusive.shift(pod, by);
        self.affinity.shift(pod, node, snapshot, by);
        self.spread.shift(self.pod, pod, node, by);
    }
}

/// A pod that runs on a node, or might.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neighbour<'a> {
    pub(crate) key: &'a PodKey,
    pub(crate) pod: &'a BoundPod,
}

/// Why the pod may not run on the node; none means it may.
pub(crate) fn refusal(candidate: &Candidate<'_>, node: &NodeInfo) -> Option<Refusal> {
    let pod = candidate.pod;
    node_unschedulable(pod, node)
        .or_else(|| taint_toleration(pod, node))
        .or_else(|| node_affinity(pod, node))
        .map(Refusal::of_node)
        .or_else(|| node_ports(candidate, node))
        .or_else(|| node_resources_fit(candidate, node))
        .or_else(|| candidate.exclusive.refusal())
        .or_else(|| volume_binding(&candidate.needs, node).map(Refusal::of_node))
        .or_else(|| candidate.spread.refusal(node))
        .or_else(|| candidate.affinity.refusal(node))
}

fn tolerations(pod: &Pod) -> &[Toleration] {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.tolerations.as_deref())
        .unwrap_or_default()
}

fn node_unschedulable(pod: &Pod, node: &NodeInfo) -> Option<String> {
    let taint = Taint {
        key: UNSCHEDULABLE_TAINT.to_string(),
        effect: "NoSchedule".to_string(),
        ..Taint::default()
    };
    let tolerated = || {
        tolerations(pod)
            .iter()
            .any(|toleration| tolerates(toleration, &taint))
    };
    (node.unschedulable && !tolerated()).then(|| "node(s) were unschedulable".to_string())
}

fn taint_toleration(pod: &Pod, node: &NodeInfo) -> Option<String> {
    let taint = untolerated_taint(pod, node)?;
    let value = taint.value.as_deref().unwrap_or_default();
    Some(format!(
        "node(s) had untolerated taint(s) {{{}: {value}}}",
        taint.key
    ))
}

/// The first taint that keeps the pod off the node.
pub(crate) fn untolerated_taint<'a>(pod: &Pod, node: &'a NodeInfo) -> Option<&'a Taint> {
    let binding = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
    let tolerated = |taint: &Taint| {
        tolerations(pod)
            .iter()
            .any(|toleration| tolerates(toleration, taint))
    };
    node.taints
        .iter()
        .filter(binding)
        .find(|taint| !tolerated(taint))
}

/// Upstream's matching of a toleration: empty key with `Exists` is every taint, empty effect is every effect.
pub(crate) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or_default();
    if !effect.is_empty() && effect != taint.effect {
        return false;
    }
    let key = toleration.key.as_deref().unwrap_or_default();
    if !key.is_empty() && key != taint.key {
        return false;
    }
    match toleration.operator.as_deref() {
        Some("Exists") => true,
        None | Some("" | "Equal") => {
            !key.is_empty()
                && toleration.value.as_deref().unwrap_or_default()
                    == taint.value.as_deref().unwrap_or_default()
        }
        Some(_) => false,
    }
}

fn node_affinity(pod: &Pod, node: &NodeInfo) -> Option<String> {
    (!matches_node_affinity(pod, node))
        .then(|| "node(s) didn't match Pod's node affinity/selector".to_string())
}

/// Whether the pod's node selector and its required node affinity admit the node.
pub(crate) fn matches_node_affinity(pod: &Pod, node: &NodeInfo) -> bool {
    let Some(spec) = pod.spec.as_ref() else {
        return true;
    };
    let selected = spec
        .node_selector
        .iter()
        .flatten()
        .all(|(key, value)| node.labels.get(key) == Some(value));
    let required = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| {
            affinity
                .required_during_scheduling_ignored_during_execution
                .as_ref()
        });
    let admitted = required.is_none_or(|selector| {
        selector
            .node_selector_terms
            .iter()
            .any(|term| matches_term(term, node))
    });
    selected && admitted
}

/// A term without any requirement matches nothing.
pub(crate) fn matches_term(term: &NodeSelectorTerm, node: &NodeInfo) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    (!expressions.is_empty() || !fields.is_empty())
        && expressions
            .iter()
            .all(|wanted| matches(wanted, node.labels.get(&wanted.key)))
        && fields.iter().all(|wanted| {
            let name = (wanted.key == "metadata.name").then_some(&node.name);
            matches(wanted, name)
        })
}

fn matches(wanted: &NodeSelectorRequirement, value: Option<&String>) -> bool {
    let values = wanted.values.as_deref().unwrap_or_default();
    node_requirement_matches(&wanted.operator, values, value.map(String::as_str))
}

fn node_ports(candidate: &Candidate<'_>, node: &NodeInfo) -> Option<Refusal> {
    let taken = candidate
        .host_ports
        .iter()
        .any(|port| node.host_ports.conflicts(port));
    let why = "node(s) didn't have free ports for the requested pod ports";
    taken.then(|| Refusal::of_room(vec![why.to_string()], true))
}

fn node_resources_fit(candidate: &Candidate<'_>, node: &NodeInfo) -> Option<Refusal> {
    let lacking = candidate.weight.iter().filter(|(name, wanted)| {
        *wanted > 0 && node.requested.get(name) + wanted > node.allocatable.get(name)
    });
    // Who asks for more than there is gets it from nobody.
    let mut resolvable = true;
    let reasons = lacking.map(|(name, wanted)| {
        resolvable &= name == PODS || wanted <= node.allocatable.get(name);
        match name {
            PODS => "Too many pods".to_string(),
            other => format!("Insufficient {other}"),
        }
    });
    let reasons: Vec<String> = reasons.collect();
    (!reasons.is_empty()).then(|| Refusal::of_room(reasons, resolvable))
}

#[cfg(test)]
mod tests;
