//! How well a pod fits a node it may run on: 0 to 100 per plugin, weighed and added up. Names are upstream's.

use k8s_openapi::api::core::v1::PreferredSchedulingTerm;

use crate::affinity::affinity_scores;
use crate::filter::{Candidate, matches_term, tolerates};
use crate::resources::{CPU, MEMORY};
use crate::snapshot::{NodeInfo, Snapshot};
use crate::spread::spread_scores;

const MAX: i128 = 100;

/// For each node the sum of all plugins, with upstream's weights; the higher the better.
pub(crate) fn scores(
    candidate: &Candidate<'_>,
    snapshot: &Snapshot,
    nodes: &[&NodeInfo],
) -> Vec<i128> {
    let alone = nodes.iter().map(|node| {
        least_allocated(candidate, node)
            + balanced_allocation(candidate, node)
            + 2 * node_affinity(candidate, node)
            + 3 * taint_toleration(candidate, node)
    });
    let mut scores: Vec<i128> = alone.collect();
    let together = [
        affinity_scores(&candidate.incoming, snapshot, nodes),
        spread_scores(candidate.pod, snapshot, nodes),
    ];
    for more in together.into_iter().flatten() {
        for (score, more) in scores.iter_mut().zip(more) {
            *score += 2 * i128::from(more);
        }
    }
    scores
}

/// What would be in use afterwards, as a fraction in per mille.
fn used(candidate: &Candidate<'_>, node: &NodeInfo, resource: &str) -> i128 {
    let offered = node.allocatable.get(resource);
    if offered <= 0 {
        return 1000;
    }
    let wanted = node.requested.get(resource) + candidate.weight.get(resource);
    (wanted * 1000 / offered).clamp(0, 1000)
}

/// Prefers the emptier node.
fn least_allocated(candidate: &Candidate<'_>, node: &NodeInfo) -> i128 {
    let free = [CPU, MEMORY].map(|resource| 1000 - used(candidate, node, resource));
    free.iter().sum::<i128>() * MAX / 2000
}

/// Prefers the node whose CPU and memory would be used evenly.
fn balanced_allocation(candidate: &Candidate<'_>, node: &NodeInfo) -> i128 {
    let difference = (used(candidate, node, CPU) - used(candidate, node, MEMORY)).abs();
    // The standard deviation of two numbers is half their difference.
    MAX - difference * MAX / 2000
}

/// The share of the preferred terms' weights that the node matches.
fn node_affinity(candidate: &Candidate<'_>, node: &NodeInfo) -> i128 {
    let preferred: &[PreferredSchedulingTerm] = candidate
        .pod
        .spec
        .as_ref()
        .and_then(|spec| spec.affinity.as_ref()?.node_affinity.as_ref())
        .and_then(|affinity| {
            affinity
                .preferred_during_scheduling_ignored_during_execution
                .as_deref()
        })
        .unwrap_or_default();
    let total: i128 = preferred.iter().map(|term| i128::from(term.weight)).sum();
    if total <= 0 {
        return 0;
    }
    let matched: i128 = preferred
        .iter()
        .filter(|term| matches_term(&term.preference, node))
        .map(|term| i128::from(term.weight))
        .sum();
    matched * MAX / total
}

/// Fewer untolerated `PreferNoSchedule` taints are better.
fn taint_toleration(candidate: &Candidate<'_>, node: &NodeInfo) -> i128 {
    let tolerations = candidate
        .pod
        .spec
        .as_ref()
        .and_then(|spec| spec.tolerations.as_deref());
    let tolerations = tolerations.unwrap_or_default();
    let against = node
        .taints
        .iter()
        .filter(|taint| taint.effect == "PreferNoSchedule")
        .filter(|taint| {
            !tolerations
                .iter()
                .any(|toleration| tolerates(toleration, taint))
        })
        .count();
    MAX / (1 + against as i128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    fn scores(
        nodes: &[Value],
        spec: Value,
        plugin: fn(&Candidate<'_>, &NodeInfo) -> i128,
    ) -> Vec<i128> {
        let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": spec})).expect("pod");
        let mut snapshot = Snapshot::default();
        for node in nodes {
            snapshot.node_applied(&serde_json::from_value(node.clone()).expect("node"));
        }
        let candidate = Candidate::new(&pod, &snapshot).expect("it has no volumes");
        let nodes = snapshot.nodes();
        nodes.map(|node| plugin(&candidate, node)).collect()
    }

    fn node(name: &str, cpu: &str, memory: &str) -> Value {
        json!({"metadata": {"name": name, "labels": {"n": name}},
               "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "10"}}})
    }

    fn pod(cpu: &str, memory: &str) -> Value {
        json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]})
    }

    #[test]
    fn the_emptier_node_wins() {
        let nodes = [node("a", "2", "2Gi"), node("b", "4", "4Gi")];
        assert_eq!(scores(&nodes, pod("1", "1Gi"), least_allocated), [50, 75]);
    }

    #[test]
    fn the_even_node_wins() {
        let nodes = [node("a", "2", "2Gi"), node("b", "1", "10Gi")];
        assert_eq!(
            scores(&nodes, pod("1", "1Gi"), balanced_allocation),
            [100, 55]
        );
    }

    #[test]
    fn preferences() {
        let mut spec = pod("0", "0");
        spec["affinity"] = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 30, "preference": {"matchExpressions": [{"key": "n", "operator": "In", "values": ["b"]}]}},
            {"weight": 10, "preference": {"matchExpressions": [{"key": "n", "operator": "Exists"}]}}]}});
        let nodes = [node("a", "1", "1Gi"), node("b", "1", "1Gi")];
        assert_eq!(scores(&nodes, spec, node_affinity), [25, 100]);
        let mut tainted = node("a", "1", "1Gi");
        tainted["spec"] = json!({"taints": [{"key": "k", "effect": "PreferNoSchedule"}]});
        assert_eq!(scores(&[tainted], pod("0", "0"), taint_toleration), [50]);
    }
}
