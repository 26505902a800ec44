//! One pod against one snapshot: which node, or why none.

use std::collections::BTreeMap;

use crate::filter::Candidate;
use crate::pod::PodKey;
use crate::score::scores;
use crate::snapshot::{NodeInfo, Snapshot};
use crate::trial::refusal_now;

/// Why no node will do, with upstream's wording as its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FitError {
    nodes: usize,
    /// How many nodes give each reason.
    reasons: BTreeMap<String, usize>,
    /// Pods that come may change it: some node refuses because of which pods run where.
    pub(crate) by_placement: bool,
    /// The slots of nodes that pods who go may make possible.
    pub(crate) resolvable: Vec<usize>,
    /// What came of asking for the room of others.
    pub(crate) preemption: String,
}

impl FitError {
    /// Nothing is known yet of any node.
    pub(crate) fn of_nodes(snapshot: &Snapshot) -> Self {
        Self {
            nodes: snapshot.nodes().count(),
            ..Self::default()
        }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.nodes
    }

    /// So many nodes more give the reason.
    pub(crate) fn count(&mut self, reason: &str, nodes: usize) {
        if nodes > 0 {
            *self.reasons.entry(reason.to_string()).or_default() += nodes;
        }
    }

    /// One reason for all nodes.
    pub(crate) fn everywhere(snapshot: &Snapshot, reason: String) -> Self {
        Self {
            reasons: BTreeMap::from([(reason, 0)]),
            ..Self::of_nodes(snapshot)
        }
    }
}

impl std::fmt::Display for FitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        write!(f, "0/{} nodes are available: ", self.nodes)?;
        let reason = |(reason, count): (&String, &usize)| match count {
            // It is about the pod, not about nodes.
            0 => reason.clone(),
            _ => format!("{count} {reason}"),
        };
        let mut reasons: Vec<String> = self.reasons.iter().map(reason).collect();
        reasons.sort();
        write!(f, "{}.", reasons.join(", "))?;
        match self.preemption.as_str() {
            "" => Ok(()),
            preemption => write!(f, " preemption: {preemption}"),
        }
    }
}

/// Picks the node on which room was made for the pod, or that with the highest score; equals take turns, so that they fill evenly.
pub(crate) fn decide<'a>(
    candidate: &Candidate<'a>,
    snapshot: &'a Snapshot,
    turn: usize,
) -> Result<String, FitError> {
    let nominated = snapshot.nominated.node_of(&PodKey::of(candidate.pod));
    let nominated = nominated.and_then(|name| snapshot.node_named(name));
    if let Some(node) = nominated.filter(|node| refusal_now(candidate, node, snapshot).is_none()) {
        return Ok(node.name.clone());
    }
    let mut error = FitError::default();
    let mut fitting: Vec<&NodeInfo> = Vec::new();
    for node in snapshot.nodes() {
        error.nodes += 1;
        let Some(refusal) = refusal_now(candidate, node, snapshot) else {
            fitting.push(node);
            continue;
        };
        error.by_placement |= refusal.by_placement;
        if refusal.resolvable {
            error.resolvable.push(node.slot);
        }
        for reason in refusal.reasons {
            *error.reasons.entry(reason).or_default() += 1;
        }
    }
    let winners = best(&fitting, || scores(candidate, snapshot, &fitting));
    match winners.len() {
        0 => Err(error),
        count => Ok(winners[turn % count].name.clone()),
    }
}

/// The nodes that none is better than. Where there is no choice, nothing is scored.
fn best<'a>(nodes: &[&'a NodeInfo], scores: impl Fn() -> Vec<i128>) -> Vec<&'a NodeInfo> {
    if nodes.len() < 2 {
        return nodes.to_vec();
    }
    let scores = scores();
    let best = scores.iter().max().copied().unwrap_or_default();
    let winners = nodes
        .iter()
        .zip(&scores)
        .filter(|(_, score)| **score == best);
    winners.map(|(node, _)| *node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    fn snapshot(nodes: &[(&str, &str, bool)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (name, cpu, cordoned) in nodes {
            let node = json!({
                "metadata": {"name": name},
                "spec": {"unschedulable": cordoned},
                "status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "10"},
                           "conditions": [{"type": "Ready", "status": "True"}]},
            });
            snapshot.node_applied(&serde_json::from_value(node).expect("node"));
        }
        snapshot
    }

    fn pod(cpu: &str) -> Pod {
        let spec = json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]});
        serde_json::from_value(json!({"metadata": {}, "spec": spec})).expect("pod")
    }

    fn decided(pod: &Pod, snapshot: &Snapshot, turn: usize) -> Result<String, FitError> {
        let candidate = Candidate::new(pod, snapshot).expect("it has no volumes");
        decide(&candidate, snapshot, turn)
    }

    #[test]
    fn reasons_are_counted_per_node() {
        let nodes = snapshot(&[("a", "1", false), ("b", "1", false), ("c", "8", true)]);
        let pod = pod("2");
        let error = decided(&pod, &nodes, 0).expect_err("no node fits");
        assert_eq!(
            error.to_string(),
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu."
        );
        let error = decided(&pod, &Snapshot::default(), 0).expect_err("no node");
        assert_eq!(error.to_string(), "no nodes available to schedule pods");
    }

    #[test]
    fn the_best_wins_and_equals_take_turns() {
        let pod = pod("1");
        let nodes = snapshot(&[("a", "2", false), ("b", "8", false)]);
        assert_eq!(decided(&pod, &nodes, 0).as_deref(), Ok("b"));
        let nodes = snapshot(&[("a", "2", false), ("b", "2", false)]);
        let picks: Vec<_> = (0..4)
            .map(|turn| decided(&pod, &nodes, turn).expect("fits"))
            .collect();
        assert_eq!(picks, ["a", "b", "a", "b"]);
    }
}
