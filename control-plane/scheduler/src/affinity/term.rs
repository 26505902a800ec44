//! The terms of pods' affinity, parsed.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodAffinityTerm, WeightedPodAffinityTerm};
use sampan_api::selector::LabelSelector;

use crate::census::Labels;
use crate::selector::{meets, parsed};

/// Which pods are meant, and what "near" is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Term {
    namespaces: BTreeSet<String>,
    namespace_selector: LabelSelector,
    selector: LabelSelector,
    pub(crate) topology_key: String,
}

impl Term {
    /// Without namespaces and without a selector of them, the pod's own is meant.
    fn new(namespace: &str, term: &PodAffinityTerm) -> Self {
        let mut namespaces: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.insert(namespace.to_string());
        }
        Self {
            namespaces,
            namespace_selector: parsed(term.namespace_selector.as_ref()),
            selector: parsed(term.label_selector.as_ref()),
            topology_key: term.topology_key.clone(),
        }
    }

    /// The namespaces it is about, unless their labels decide.
    pub(super) fn named_namespaces(&self) -> Option<&BTreeSet<String>> {
        self.namespace_selector
            .is_nothing()
            .then_some(&self.namespaces)
    }

    pub(super) fn covers(&self, namespace: &str, namespace_labels: &Labels) -> bool {
        self.namespaces.contains(namespace) || meets(&self.namespace_selector, namespace_labels)
    }

    /// Whether it means pods with these labels in this namespace.
    pub(super) fn matches(
        &self,
        namespace: &str,
        namespace_labels: &Labels,
        labels: &Labels,
    ) -> bool {
        self.covers(namespace, namespace_labels) && self.selects(labels)
    }

    /// Whether it means pods with these labels, in a namespace it covers.
    pub(super) fn selects(&self, labels: &Labels) -> bool {
        meets(&self.selector, labels)
    }
}

/// All the terms of one pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct PodTerms {
    /// Near pods that meet all of these.
    pub(super) affinity: Vec<Term>,
    /// Away from pods that meet any of these.
    pub(super) anti: Vec<Term>,
    /// Rather near, by weight; below zero rather away.
    pub(super) preferred: Vec<(i64, Term)>,
}

impl PodTerms {
    /// None for the many pods that have no rules.
    pub(crate) fn of(pod: &Pod) -> Option<Arc<Self>> {
        let affinity = pod.spec.as_ref()?.affinity.as_ref()?;
        let (near, away) = (&affinity.pod_affinity, &affinity.pod_anti_affinity);
        if near.is_none() && away.is_none() {
            return None;
        }
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let required = |terms: Option<&Vec<PodAffinityTerm>>| -> Vec<Term> {
            let terms = terms.into_iter().flatten();
            terms.map(|term| Term::new(namespace, term)).collect()
        };
        let preferred = |terms: Option<&Vec<WeightedPodAffinityTerm>>, sign: i64| {
            let terms = terms.into_iter().flatten();
            let weighted = terms.map(|term| {
                let weight = sign * i64::from(term.weight);
                (weight, Term::new(namespace, &term.pod_affinity_term))
            });
            weighted.collect::<Vec<_>>()
        };
        let mut terms = Self::default();
        if let Some(near) = near {
            let hard = near
                .required_during_scheduling_ignored_during_execution
                .as_ref();
            let soft = near
                .preferred_during_scheduling_ignored_during_execution
                .as_ref();
            terms.affinity = required(hard);
            terms.preferred = preferred(soft, 1);
        }
        if let Some(away) = away {
            let hard = away
                .required_during_scheduling_ignored_during_execution
                .as_ref();
            let soft = away
                .preferred_during_scheduling_ignored_during_execution
                .as_ref();
            terms.anti = required(hard);
            terms.preferred.extend(preferred(soft, -1));
        }
        (terms != Self::default()).then(|| Arc::new(terms))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Term> {
        let preferred = self.preferred.iter().map(|(_, term)| term);
        self.affinity.iter().chain(&self.anti).chain(preferred)
    }
}
