//! The rules of bound pods, found by the namespace of the pod they may be about.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::PodTerms;
use crate::tally::Tally;

type Groups = HashMap<Arc<PodTerms>, Tally>;

/// Bound pods with rules, in groups of equal rules.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Those that name the namespace. A group that names several is in each of them.
    by_namespace: HashMap<String, Groups>,
    /// Those for which labels of namespaces decide.
    everywhere: Groups,
}

impl Rules {
    /// Counts a pod; returns the terms to keep for it, which it shares with the others of its group.
    pub(crate) fn add(&mut self, terms: &Arc<PodTerms>, slot: usize) -> Arc<PodTerms> {
        let mut shared = Arc::clone(terms);
        self.each_place(terms, |groups| {
            if let Some((known, _)) = groups.get_key_value(terms) {
                shared = Arc::clone(known);
            }
            let tally = groups.entry(Arc::clone(&shared)).or_default();
            tally.add(slot, 1);
        });
        shared
    }

    pub(crate) fn remove(&mut self, terms: &Arc<PodTerms>, slot: usize) {
        self.each_place(terms, |groups| {
            if let Some(tally) = groups.get_mut(terms) {
                tally.add(slot, -1);
                if tally.is_empty() {
                    groups.remove(terms);
                }
            }
        });
    }

    /// The groups that may be about pods of the namespace.
    pub(super) fn about(&self, namespace: &str) -> impl Iterator<Item = (&Arc<PodTerms>, &Tally)> {
        let named = self.by_namespace.get(namespace);
        named.into_iter().flatten().chain(&self.everywhere)
    }

    fn each_place(&mut self, terms: &PodTerms, mut act: impl FnMut(&mut Groups)) {
        let named: Option<Vec<_>> = terms.all().map(super::Term::named_namespaces).collect();
        let Some(named) = named else {
            act(&mut self.everywhere);
            return;
        };
        let names: BTreeSet<&String> = named.into_iter().flatten().collect();
        for name in names {
            let groups = self.by_namespace.entry(name.clone()).or_default();
            act(groups);
            if groups.is_empty() {
                self.by_namespace.remove(name);
            }
        }
    }
}
