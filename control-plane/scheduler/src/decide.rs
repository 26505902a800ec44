//! One pod against one snapshot: which node, or why none.

use std::collections::BTreeMap;

use crate::filter::{self, Candidate};
use crate::score::score;
use crate::snapshot::Snapshot;

/// Why no node will do, with upstream's wording as its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FitError {
    nodes: usize,
    /// How many nodes give each reason.
    reasons: BTreeMap<String, usize>,
}

impl FitError {
    /// One reason for all nodes.
    pub(crate) fn everywhere(snapshot: &Snapshot, reason: String) -> Self {
        let nodes = snapshot.nodes().count();
        Self {
            nodes,
            reasons: BTreeMap::from([(reason, 0)]),
        }
    }
}

impl std::fmt::Display for FitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        write!(f, "0/{} nodes are available: ", self.nodes)?;
        for (index, (reason, count)) in self.reasons.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            match count {
                // It is about the pod, not about nodes.
                0 => write!(f, "{separator}{reason}")?,
                _ => write!(f, "{separator}{count} {reason}")?,
            }
        }
        f.write_str(".")
    }
}

/// Picks the node with the highest score; equals take turns, so that they fill evenly.
pub(crate) fn decide(
    candidate: &Candidate<'_>,
    snapshot: &Snapshot,
    turn: usize,
) -> Result<String, FitError> {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut best: Option<i128> = None;
    let mut winners: Vec<&str> = Vec::new();
    let mut nodes = 0;
    for node in snapshot.nodes() {
        nodes += 1;
        let against = filter::reasons(candidate, node);
        if !against.is_empty() {
            for reason in against {
                *reasons.entry(reason).or_default() += 1;
            }
            continue;
        }
        let score = score(candidate, node);
        if best.is_none_or(|best| score > best) {
            best = Some(score);
            winners.clear();
        }
        if best == Some(score) {
            winners.push(&node.name);
        }
    }
    match winners.len() {
        0 => Err(FitError { nodes, reasons }),
        count => Ok(winners[turn % count].to_string()),
    }
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

    #[test]
    fn reasons_are_counted_per_node() {
        let nodes = snapshot(&[("a", "1", false), ("b", "1", false), ("c", "8", true)]);
        let pod = pod("2");
        let error = decide(&Candidate::new(&pod), &nodes, 0).expect_err("no node fits");
        assert_eq!(
            error.to_string(),
            "0/3 nodes are available: 2 Insufficient cpu, 1 node(s) were unschedulable."
        );
        let error = decide(&Candidate::new(&pod), &Snapshot::default(), 0).expect_err("no node");
        assert_eq!(error.to_string(), "no nodes available to schedule pods");
    }

    #[test]
    fn the_best_wins_and_equals_take_turns() {
        let pod = pod("1");
        let nodes = snapshot(&[("a", "2", false), ("b", "8", false)]);
        assert_eq!(decide(&Candidate::new(&pod), &nodes, 0).as_deref(), Ok("b"));
        let nodes = snapshot(&[("a", "2", false), ("b", "2", false)]);
        let picks: Vec<_> = (0..4)
            .map(|turn| decide(&Candidate::new(&pod), &nodes, turn).expect("fits"))
            .collect();
        assert_eq!(picks, ["a", "b", "a", "b"]);
    }
}
