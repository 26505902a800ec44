//! Where a pod would make its domains more even.

use std::collections::{HashMap, HashSet};

use k8s_openapi::api::core::v1::Pod;

use super::constraint::{
    Constraint, HOSTNAME, Unsatisfied, constraints, default_constraints, has_all_keys,
};
use crate::snapshot::{NodeInfo, Snapshot};

/// For each node 0 to 100, by upstream's formula; none if nothing asks for it.
pub(crate) fn spread_scores(
    pod: &Pod,
    snapshot: &Snapshot,
    nodes: &[&NodeInfo],
) -> Option<Vec<i64>> {
    let own = constraints(pod, Unsatisfied::ScheduleAnyway);
    // A node without a zone is still spread over by its name, as long as the constraints are the cluster's.
    let (all_keys, constraints) = match own.is_empty() {
        false => (true, own),
        true => (false, default_constraints(pod, snapshot)),
    };
    if constraints.is_empty() {
        return None;
    }
    let left_out: Vec<bool> = nodes
        .iter()
        .map(|node| all_keys && !has_all_keys(&constraints, node))
        .collect();
    let scored: Vec<&NodeInfo> = nodes
        .iter()
        .zip(&left_out)
        .filter(|(_, left_out)| !**left_out)
        .map(|(node, _)| *node)
        .collect();
    let counts: Vec<Counts<'_>> = constraints
        .iter()
        .map(|one| Counts::new(one, pod, snapshot, &scored, (&constraints, all_keys)))
        .collect();
    let crowds: Vec<Option<i64>> = nodes
        .iter()
        .zip(&left_out)
        .map(|(node, left_out)| {
            let crowd = || counts.iter().map(|counts| counts.of(node)).sum::<f64>();
            (!left_out).then(|| crowd().round() as i64)
        })
        .collect();
    Some(normalized(&crowds))
}

/// The less crowded the better; nodes that are left out get nothing.
fn normalized(crowds: &[Option<i64>]) -> Vec<i64> {
    let least = crowds.iter().flatten().copied().min().unwrap_or(0);
    let most = crowds.iter().flatten().copied().max().unwrap_or(0);
    let scores = crowds.iter().map(|crowd| match crowd {
        None => 0,
        Some(_) if most == 0 => 100,
        Some(crowd) => 100 * (most + least - crowd) / most,
    });
    scores.collect()
}

/// The pods of one constraint, by domain.
struct Counts<'a> {
    constraint: &'a Constraint,
    domains: HashMap<&'a str, i64>,
    /// By slot, where each node is a domain.
    hosts: HashMap<usize, i64>,
    /// Domains of few values are not outweighed by those of many.
    weight: f64,
}

impl<'a> Counts<'a> {
    fn new(
        constraint: &'a Constraint,
        pod: &Pod,
        snapshot: &'a Snapshot,
        scored: &[&'a NodeInfo],
        (all, all_keys): (&[Constraint], bool),
    ) -> Self {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut counts = Self {
            constraint,
            domains: HashMap::new(),
            hosts: HashMap::new(),
            weight: 0.0,
        };
        let tallies = constraint.tallies(namespace, snapshot);
        let pods = tallies.flat_map(crate::tally::Tally::iter);
        if constraint.topology_key == HOSTNAME {
            let scored_slots: HashSet<usize> = scored.iter().map(|node| node.slot).collect();
            for (slot, pods) in pods.filter(|(slot, _)| scored_slots.contains(slot)) {
                *counts.hosts.entry(slot).or_default() += pods;
            }
            counts.weight = weight(scored.len());
            return counts;
        }
        for node in scored {
            counts.domains.entry(counts.value(node)).or_default();
        }
        counts.weight = weight(counts.domains.len());
        for (slot, pods) in pods {
            let node = snapshot.node_at(slot).filter(|node| {
                (!all_keys || has_all_keys(all, node)) && constraint.counts(pod, node)
            });
            if let Some(count) =
                node.and_then(|node| counts.domains.get_mut(value(constraint, node)))
            {
                *count += pods;
            }
        }
        counts
    }

    fn value(&self, node: &'a NodeInfo) -> &'a str {
        value(self.constraint, node)
    }

    /// What the node's domain weighs. A node without the key is in none.
    fn of(&self, node: &NodeInfo) -> f64 {
        let key = &self.constraint.topology_key;
        let Some(value) = node.labels.get(key) else {
            return 0.0;
        };
        let pods = match key == HOSTNAME {
            true => self.hosts.get(&node.slot),
            false => self.domains.get(value.as_str()),
        };
        // Differences within the allowed skew count for less.
        let tolerated = self.constraint.max_skew - 1;
        pods.copied().unwrap_or(0) as f64 * self.weight + tolerated as f64
    }
}

fn value<'a>(constraint: &Constraint, node: &'a NodeInfo) -> &'a str {
    node.labels
        .get(&constraint.topology_key)
        .map_or("", String::as_str)
}

fn weight(domains: usize) -> f64 {
    ((domains + 2) as f64).ln()
}
