//! Which labels run where: bound pods, counted by namespace, labels and node.
//!
//! Pods of one workload have the same labels, so that a selector is matched once for all of them, however many there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::tally::Tally;

pub(crate) type Labels = BTreeMap<String, String>;

/// Pods that no selector tells apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Class {
    pub(crate) labels: Arc<Labels>,
    /// Being deleted: topology spread counts such pods no more.
    pub(crate) ending: bool,
}

/// Bound pods by namespace and class.
#[derive(Debug, Default)]
pub(crate) struct Census(HashMap<String, HashMap<Class, Tally>>);

impl Census {
    /// Counts a pod; returns the class to keep for it, which shares its labels with the others of its kind.
    pub(crate) fn add(&mut self, namespace: &str, class: &Class, slot: usize) -> Class {
        if !self.0.contains_key(namespace) {
            self.0.insert(namespace.to_string(), HashMap::new());
        }
        let Some(classes) = self.0.get_mut(namespace) else {
            return class.clone();
        };
        let shared = match classes.get_key_value(class) {
            Some((shared, _)) => shared.clone(),
            None => class.clone(),
        };
        classes.entry(shared.clone()).or_default().add(slot, 1);
        shared
    }

    pub(crate) fn remove(&mut self, namespace: &str, class: &Class, slot: usize) {
        let Some(classes) = self.0.get_mut(namespace) else {
            return;
        };
        if let Some(tally) = classes.get_mut(class) {
            tally.add(slot, -1);
            if tally.is_empty() {
                classes.remove(class);
            }
        }
        if classes.is_empty() {
            self.0.remove(namespace);
        }
    }

    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The classes of one namespace, and where their pods are.
    pub(crate) fn classes(&self, namespace: &str) -> impl Iterator<Item = (&Class, &Tally)> {
        self.0.get(namespace).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_of_a_kind_share_their_labels() {
        let class = |app: &str| Class {
            labels: Arc::new([("app".to_string(), app.to_string())].into()),
            ending: false,
        };
        let mut census = Census::default();
        let first = census.add("n", &class("a"), 1);
        let second = census.add("n", &class("a"), 2);
        assert!(Arc::ptr_eq(&first.labels, &second.labels));
        census.add("n", &class("b"), 1);
        assert_eq!(census.classes("n").count(), 2);
        let where_a = |census: &Census| -> Vec<_> {
            let tally = census.classes("n").find(|(found, _)| **found == first);
            tally
                .map(|(_, tally)| tally.iter().collect())
                .unwrap_or_default()
        };
        assert_eq!(where_a(&census), [(1, 1), (2, 1)]);
        census.remove("n", &first, 1);
        assert_eq!(where_a(&census), [(2, 1)]);
        census.remove("n", &first, 2);
        census.remove("n", &class("b"), 1);
        assert_eq!(
            census.namespaces().count(),
            0,
            "nothing is kept of pods that are gone"
        );
    }
}
