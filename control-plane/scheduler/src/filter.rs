//! Which nodes a pod may run on. Each plugin is a function that returns the reasons against; names are upstream's.

use k8s_openapi::api::core::v1::{
    NodeSelectorRequirement, NodeSelectorTerm, Pod, Taint, Toleration,
};
use sampan_api::selector::node_requirement_matches;

use crate::pod::host_ports;
use crate::resources::{Amounts, CPU, MEMORY, PODS};
use crate::snapshot::NodeInfo;
use crate::volumes::{Needs, VolumeTable, needs, volume_binding};

const UNSCHEDULABLE_TAINT: &str = "node.kubernetes.io/unschedulable";

/// What filtering needs of a pod, worked out once for all nodes.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) weight: Amounts,
    host_ports: Vec<(String, i32)>,
    /// What its claims need.
    pub(crate) needs: Needs,
}

impl<'a> Candidate<'a> {
    pub(crate) fn new(pod: &'a Pod) -> Self {
        Self {
            pod,
            weight: crate::pod::weight(pod),
            host_ports: host_ports(pod),
            needs: Needs::default(),
        }
    }

    /// With what its claims need, or why no node will do.
    pub(crate) fn with_volumes(pod: &'a Pod, table: &VolumeTable) -> Result<Self, String> {
        let needs = needs(pod, table)?;
        Ok(Self {
            needs,
            ..Self::new(pod)
        })
    }

    fn tolerations(&self) -> &[Toleration] {
        self.pod
            .spec
            .as_ref()
            .and_then(|spec| spec.tolerations.as_deref())
            .unwrap_or_default()
    }
}

/// The reasons why the pod may not run on the node; none means it may.
pub(crate) fn reasons(candidate: &Candidate<'_>, node: &NodeInfo) -> Vec<String> {
    let first = node_ready(node)
        .or_else(|| node_unschedulable(candidate, node))
        .or_else(|| taint_toleration(candidate, node))
        .or_else(|| node_affinity(candidate, node))
        .or_else(|| node_ports(candidate, node));
    if let Some(reason) = first {
        return vec![reason];
    }
    let lacking = node_resources_fit(candidate, node);
    if lacking.is_empty() {
        return volume_binding(&candidate.needs, node).into_iter().collect();
    }
    lacking
}

fn node_ready(node: &NodeInfo) -> Option<String> {
    (!node.ready).then(|| "node(s) were not ready".to_string())
}

fn node_unschedulable(candidate: &Candidate<'_>, node: &NodeInfo) -> Option<String> {
    let taint = Taint {
        key: UNSCHEDULABLE_TAINT.to_string(),
        effect: "NoSchedule".to_string(),
        ..Taint::default()
    };
    let tolerated = candidate
        .tolerations()
        .iter()
        .any(|toleration| tolerates(toleration, &taint));
    (node.unschedulable && !tolerated).then(|| "node(s) were unschedulable".to_string())
}

fn taint_toleration(candidate: &Candidate<'_>, node: &NodeInfo) -> Option<String> {
    let binding = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
    let tolerated = |taint: &Taint| {
        candidate
            .tolerations()
            .iter()
            .any(|toleration| tolerates(toleration, taint))
    };
    let taint = node
        .taints
        .iter()
        .filter(binding)
        .find(|taint| !tolerated(taint))?;
    let value = taint.value.as_deref().unwrap_or_default();
    Some(format!(
        "node(s) had untolerated taint(s) {{{}: {value}}}",
        taint.key
    ))
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

fn node_affinity(candidate: &Candidate<'_>, node: &NodeInfo) -> Option<String> {
    let spec = candidate.pod.spec.as_ref()?;
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
    (!(selected && admitted))
        .then(|| "node(s) didn't match Pod's node affinity/selector".to_string())
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

fn node_ports(candidate: &Candidate<'_>, node: &NodeInfo) -> Option<String> {
    let taken = candidate
        .host_ports
        .iter()
        .any(|port| node.host_ports.contains(port));
    taken.then(|| "node(s) didn't have free ports for the requested pod ports".to_string())
}

fn node_resources_fit(candidate: &Candidate<'_>, node: &NodeInfo) -> Vec<String> {
    let lacking = candidate.weight.iter().filter(|(name, wanted)| {
        *wanted > 0 && node.requested.get(name) + wanted > node.allocatable.get(name)
    });
    lacking
        .map(|(name, _)| match name {
            PODS => "Too many pods".to_string(),
            CPU | MEMORY => format!("Insufficient {name}"),
            other => format!("Insufficient {other}"),
        })
        .collect()
}

#[cfg(test)]
mod tests;
