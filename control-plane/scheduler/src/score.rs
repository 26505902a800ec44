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
    let alone = nodes
        .iter()
        .map(|node| least_allocated(candidate, node) + balanced_allocation(candidate, node));
    let mut scores: Vec<i128> = alone.collect();
    let mut add = |weight: i128, more: Vec<i128>| {
        for (score, more) in scores.iter_mut().zip(more) {
            *score += weight * more;
        }
    };
    add(2, node_affinity(candidate, nodes));
    add(3, taint_toleration(candidate, nodes));
    let together = [
        affinity_scores(&candidate.incoming, snapshot, nodes),
        spread_scores(candidate.pod, snapshot, nodes),
    ];
    for more in together.into_iter().flatten() {
        add(2, more.into_iter().map(i128::from).collect());
    }
    scores
}

/// Prefers the emptier node. Containers that ask for nothing count for something, or any number of them would go to one node.
fn least_allocated(candidate: &Candidate<'_>, node: &NodeInfo) -> i128 {
    let wanted = node.presumed + candidate.presumed;
    let free = |resource: &str, wanted: i128| {
        let offered = node.allocatable.get(resource);
        (offered > 0).then(|| (offered - wanted).max(0) * MAX / offered)
    };
    let free = [free(CPU, wanted.cpu), free(MEMORY, wanted.memory)];
    let free: Vec<i128> = free.into_iter().flatten().collect();
    free.iter().sum::<i128>() / (free.len() as i128).max(1)
}

/// Prefers the node whose CPU and memory would be used evenly. A pod that asks for neither changes nothing about that.
fn balanced_allocation(candidate: &Candidate<'_>, node: &NodeInfo) -> i128 {
    let asked = [CPU, MEMORY].map(|resource| candidate.weight.get(resource));
    let [cpu, memory] = [CPU, MEMORY].map(|resource| node.allocatable.get(resource));
    if asked == [0, 0] {
        return 0;
    }
    if cpu <= 0 || memory <= 0 {
        return MAX;
    }
    let cpu_used = (node.requested.get(CPU) + asked[0]).min(cpu);
    let memory_used = (node.requested.get(MEMORY) + asked[1]).min(memory);
    let difference = (cpu_used * memory - memory_used * cpu).abs();
    // The standard deviation of two numbers is half their difference.
    let whole = 2 * cpu * memory;
    (whole - difference) * MAX / whole
}

/// The weights of the preferred terms that each node matches; the best node has the full score.
fn node_affinity(candidate: &Candidate<'_>, nodes: &[&NodeInfo]) -> Vec<i128> {
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
    let matched = nodes.iter().map(|node| {
        let matched = preferred
            .iter()
            .filter(|term| matches_term(&term.preference, node));
        matched.map(|term| i128::from(term.weight)).sum()
    });
    let matched: Vec<i128> = matched.collect();
    share_of_most(&matched)
}

/// Fewer untolerated `PreferNoSchedule` taints are better; the node with most of them scores nothing.
fn taint_toleration(candidate: &Candidate<'_>, nodes: &[&NodeInfo]) -> Vec<i128> {
    let tolerations = candidate
        .pod
        .spec
        .as_ref()
        .and_then(|spec| spec.tolerations.as_deref());
    let tolerations = tolerations.unwrap_or_default();
    let against = nodes.iter().map(|node| {
        let preferred = node
            .taints
            .iter()
            .filter(|taint| taint.effect == "PreferNoSchedule");
        let untolerated = preferred.filter(|taint| {
            !tolerations
                .iter()
                .any(|toleration| tolerates(toleration, taint))
        });
        untolerated.count() as i128
    });
    let against: Vec<i128> = against.collect();
    let shares = share_of_most(&against).into_iter();
    shares.map(|share| MAX - share).collect()
}

/// Upstream's default normalisation: 100 for the most, 0 for none.
fn share_of_most(numbers: &[i128]) -> Vec<i128> {
    let most = numbers.iter().max().copied().unwrap_or(0).max(1);
    numbers.iter().map(|number| number * MAX / most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    fn scores(
        nodes: &[Value],
        spec: Value,
        plugin: impl Fn(&Candidate<'_>, &[&NodeInfo]) -> Vec<i128>,
    ) -> Vec<i128> {
        let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": spec})).expect("pod");
        let mut snapshot = Snapshot::default();
        for node in nodes {
            snapshot.node_applied(&serde_json::from_value(node.clone()).expect("node"));
        }
        let candidate = Candidate::new(&pod, &snapshot).expect("it has no volumes");
        let nodes: Vec<_> = snapshot.nodes().collect();
        plugin(&candidate, &nodes)
    }

    /// A plugin that looks at each node alone.
    fn each(
        plugin: fn(&Candidate<'_>, &NodeInfo) -> i128,
    ) -> impl Fn(&Candidate<'_>, &[&NodeInfo]) -> Vec<i128> {
        move |candidate, nodes| nodes.iter().map(|node| plugin(candidate, node)).collect()
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
        let emptier = |spec| scores(&nodes, spec, each(least_allocated));
        assert_eq!(emptier(pod("1", "1Gi")), [50, 75]);
        // What asks for nothing takes a tenth of a CPU and 200 MiB all the same.
        let nothing = json!({"name": "c"});
        let nodes = [node("a", "1", "1000Mi"), node("b", "2", "2000Mi")];
        let emptier = |spec| scores(&nodes, spec, each(least_allocated));
        assert_eq!(emptier(json!({"containers": [nothing]})), [85, 92]);
        assert_eq!(emptier(json!({"containers": [nothing, nothing]})), [70, 85]);
        assert_eq!(emptier(pod("0", "0")), [100, 100]);
    }

    #[test]
    fn what_asks_for_nothing_is_spread() {
        let nodes = json!({"a": {}, "b": {}});
        let spec = json!({"containers": [{"name": "c"}]});
        let running = json!([{"on": "a", "spec": spec}]);
        let snapshot = crate::testing::cluster(&nodes, &running);
        let new = crate::testing::pod(&json!({"name": "new", "spec": spec}));
        let candidate = Candidate::new(&new, &snapshot).expect("it has no volumes");
        let nodes: Vec<_> = snapshot.nodes().collect();
        let scores = super::scores(&candidate, &snapshot, &nodes);
        assert!(scores[0] < scores[1], "{scores:?}");
    }

    #[test]
    fn the_even_node_wins() {
        let nodes = [node("a", "2", "2Gi"), node("b", "1", "10Gi")];
        let even = |spec| scores(&nodes, spec, each(balanced_allocation));
        assert_eq!(even(pod("1", "1Gi")), [100, 55]);
        assert_eq!(even(json!({"containers": [{"name": "c"}]})), [0, 0]);
    }

    #[test]
    fn preferences() {
        let mut spec = pod("0", "0");
        spec["affinity"] = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 30, "preference": {"matchExpressions": [{"key": "n", "operator": "In", "values": ["b"]}]}},
            {"weight": 10, "preference": {"matchExpressions": [{"key": "n", "operator": "Exists"}]}},
            {"weight": 60, "preference": {"matchExpressions": [{"key": "n", "operator": "In", "values": ["z"]}]}}]}});
        let nodes = [node("a", "1", "1Gi"), node("b", "1", "1Gi")];
        assert_eq!(scores(&nodes, spec, node_affinity), [25, 100]);
        assert_eq!(scores(&nodes, pod("0", "0"), node_affinity), [0, 0]);
        let tainted = |name: &str, keys: &[&str]| {
            let taints = keys
                .iter()
                .map(|key| json!({"key": key, "effect": "PreferNoSchedule"}));
            let mut node = node(name, "1", "1Gi");
            node["spec"] = json!({"taints": taints.collect::<Vec<_>>()});
            node
        };
        let nodes = [
            tainted("a", &[]),
            tainted("b", &["k"]),
            tainted("c", &["k", "l"]),
        ];
        assert_eq!(
            scores(&nodes, pod("0", "0"), taint_toleration),
            [100, 50, 0]
        );
        assert_eq!(scores(&nodes[..1], pod("0", "0"), taint_toleration), [100]);
    }
}
