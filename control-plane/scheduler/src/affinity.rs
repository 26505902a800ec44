//! Affinity between pods: upstream's InterPodAffinity, its filter and its score.
//!
//! Bound pods that have rules are kept in groups of equal rules ([`Rules`]), the others by their labels alone
//! ([`Census`](crate::census::Census)): a pod is compared with each group once, not with each pod.

mod filter;
mod rules;
mod score;
mod term;

#[cfg(test)]
mod tests;

pub(crate) use filter::AffinityFilter;
pub(crate) use rules::Rules;
pub(crate) use score::affinity_scores;
pub(crate) use term::{PodTerms, Term};

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::census::{Class, Labels};
use crate::snapshot::Snapshot;
use crate::tally::{Domains, Tally};

/// What affinity sees of a pod that waits.
#[derive(Debug, Clone)]
pub(crate) struct Incoming<'a> {
    namespace: &'a str,
    namespace_labels: &'a Labels,
    labels: &'a Labels,
    terms: Arc<PodTerms>,
}

impl<'a> Incoming<'a> {
    pub(crate) fn new(pod: &'a Pod, snapshot: &'a Snapshot) -> Self {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        static NONE: Labels = Labels::new();
        Self {
            namespace,
            namespace_labels: snapshot.namespaces.labels(namespace),
            labels: pod.metadata.labels.as_ref().unwrap_or(&NONE),
            terms: PodTerms::of(pod).unwrap_or_default(),
        }
    }

    fn is_meant_by(&self, term: &Term) -> bool {
        term.matches(self.namespace, self.namespace_labels, self.labels)
    }
}

/// The classes of bound pods, in the namespaces that a term covers.
fn covered<'a>(term: &'a Term, snapshot: &'a Snapshot) -> Vec<(&'a str, &'a Class, &'a Tally)> {
    let census = &snapshot.census;
    let namespaces: Vec<&str> = match term.named_namespaces() {
        // The usual case: the rest of the cluster is not looked at.
        Some(names) => names.iter().map(String::as_str).collect(),
        None => {
            let all = census.namespaces();
            all.filter(|name| term.covers(name, snapshot.namespaces.labels(name)))
                .collect()
        }
    };
    let classes = namespaces.into_iter().flat_map(|namespace| {
        let classes = census.classes(namespace);
        classes.map(move |(class, tally)| (namespace, class, tally))
    });
    classes.collect()
}

/// Adds the pods of a tally to the domains they are in. Nodes that are gone have none.
fn count<'a>(
    domains: &mut Domains<'a>,
    key: &str,
    tally: &Tally,
    snapshot: &'a Snapshot,
    weight: i64,
) {
    for (slot, pods) in tally.iter() {
        if let Some(node) = snapshot.node_at(slot) {
            domains.add(key, node, pods * weight);
        }
    }
}
