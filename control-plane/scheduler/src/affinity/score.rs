//! Where a pod would rather run, by its own preferences and by those of the pods that run.

use super::{Incoming, count, covered};
use crate::snapshot::{NodeInfo, Snapshot};
use crate::tally::Domains;

/// What a required rule of a bound pod weighs for a pod that it is about: upstream's `hardPodAffinityWeight`.
const HARD_AFFINITY_WEIGHT: i64 = 1;

/// For each node 0 to 100; none if no preference is about the pod.
pub(crate) fn affinity_scores(
    pod: &Incoming<'_>,
    snapshot: &Snapshot,
    nodes: &[&NodeInfo],
) -> Option<Vec<i64>> {
    let mut domains = Domains::default();
    for (weight, term) in &pod.terms.preferred {
        for (_, class, tally) in covered(term, snapshot) {
            if term.selects(&class.labels) {
                count(&mut domains, &term.topology_key, tally, snapshot, *weight);
            }
        }
    }
    for (terms, tally) in snapshot.rules.about(pod.namespace) {
        let hard = terms
            .affinity
            .iter()
            .map(|term| (HARD_AFFINITY_WEIGHT, term));
        let soft = terms.preferred.iter().map(|(weight, term)| (*weight, term));
        for (weight, term) in hard.chain(soft) {
            if pod.is_meant_by(term) {
                count(&mut domains, &term.topology_key, tally, snapshot, weight);
            }
        }
    }
    if domains.is_empty() {
        return None;
    }
    let sums: Vec<i64> = nodes.iter().map(|node| domains.each(node).sum()).collect();
    let least = sums.iter().copied().min().unwrap_or(0);
    let span = sums.iter().copied().max().unwrap_or(0) - least;
    let scores = sums.into_iter().map(|sum| match span {
        0 => 0,
        span => (sum - least) * 100 / span,
    });
    Some(scores.collect())
}
