//! Where a pod may run by its own required rules and by those of the pods that run.

use std::sync::Arc;

use super::{Incoming, Term, count, covered};
use crate::filter::{Neighbour, Refusal};
use crate::snapshot::{NodeInfo, Snapshot};
use crate::tally::Domains;

const AFFINITY: &str = "node(s) didn't match pod affinity rules";
const ANTI_AFFINITY: &str = "node(s) didn't match pod anti-affinity rules";
const EXISTING: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

/// What the required rules say about domains, worked out once for all nodes.
#[derive(Debug, Clone)]
pub(crate) struct AffinityFilter<'a> {
    pod: Incoming<'a>,
    /// Pods that the pod must be near to.
    near: Domains<'a>,
    /// Pods that the pod must be away from.
    away: Domains<'a>,
    /// Pods that must be away from the pod.
    existing: Domains<'a>,
}

impl<'a> AffinityFilter<'a> {
    pub(crate) fn new(pod: Incoming<'a>, snapshot: &'a Snapshot) -> Self {
        let mut filter = Self {
            near: Domains::default(),
            away: Domains::default(),
            existing: Domains::default(),
            pod,
        };
        filter.count_near(snapshot);
        for term in &filter.pod.terms.anti {
            for (_, class, tally) in covered(term, snapshot) {
                if term.selects(&class.labels) {
                    count(&mut filter.away, &term.topology_key, tally, snapshot, 1);
                }
            }
        }
        for (terms, tally) in snapshot.rules.about(filter.pod.namespace) {
            for term in &terms.anti {
                if filter.pod.is_meant_by(term) {
                    count(&mut filter.existing, &term.topology_key, tally, snapshot, 1);
                }
            }
        }
        filter
    }

    /// One and the same pod has to meet all the terms.
    fn count_near(&mut self, snapshot: &'a Snapshot) {
        let terms = &self.pod.terms.affinity;
        let Some((first, others)) = terms.split_first() else {
            return;
        };
        for (namespace, class, tally) in covered(first, snapshot) {
            let namespace_labels = snapshot.namespaces.labels(namespace);
            let met = first.selects(&class.labels)
                && others
                    .iter()
                    .all(|term| term.matches(namespace, namespace_labels, &class.labels));
            if met {
                for term in terms {
                    count(&mut self.near, &term.topology_key, tally, snapshot, 1);
                }
            }
        }
    }

    /// Counts a pod of the node so many times more, in thought.
    pub(crate) fn shift(
        &mut self,
        Neighbour { key, pod }: Neighbour<'_>,
        node: &'a NodeInfo,
        snapshot: &Snapshot,
        by: i64,
    ) {
        let namespace = key.namespace.as_str();
        let namespace_labels = snapshot.namespaces.labels(namespace);
        let means = |term: &Term| term.matches(namespace, namespace_labels, &pod.class.labels);
        let terms = Arc::clone(&self.pod.terms);
        if terms.affinity.iter().all(means) {
            for term in &terms.affinity {
                self.near.add(&term.topology_key, node, by);
            }
        }
        for term in terms.anti.iter().filter(|term| means(term)) {
            self.away.add(&term.topology_key, node, by);
        }
        let rules = pod.terms.iter().flat_map(|terms| &terms.anti);
        for term in rules.filter(|term| self.pod.is_meant_by(term)) {
            self.existing.add(&term.topology_key, node, by);
        }
    }

    pub(crate) fn refusal(&self, node: &NodeInfo) -> Option<Refusal> {
        let terms = &self.pod.terms;
        if !self.is_near(node) {
            return Some(Refusal::of_placement(AFFINITY, false));
        }
        let mut keys = terms.anti.iter().map(|term| &term.topology_key);
        if keys.any(|key| self.away.of(key, node) > 0) {
            return Some(Refusal::of_placement(ANTI_AFFINITY, true));
        }
        let kept_away = self.existing.each(node).any(|pods| pods > 0);
        kept_away.then(|| Refusal::of_placement(EXISTING, true))
    }

    fn is_near(&self, node: &NodeInfo) -> bool {
        let terms = &self.pod.terms.affinity;
        let keys = || terms.iter().map(|term| &term.topology_key);
        if !keys().all(|key| node.labels.contains_key(key)) {
            return false;
        }
        if keys().all(|key| self.near.of(key, node) > 0) {
            return true;
        }
        // The first of a group of pods that want to be near each other may go anywhere, or none of them ever could.
        self.near.is_empty() && terms.iter().all(|term| self.pod.is_meant_by(term))
    }
}
