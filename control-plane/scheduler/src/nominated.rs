//! Pods that wait for a node on which room is being made for them: others leave them that room.

use std::collections::{BTreeMap, HashMap};

use crate::pod::{BoundPod, PodKey};

/// Nominated pods, by node.
#[derive(Debug, Default)]
pub(crate) struct Nominated {
    by_node: HashMap<String, BTreeMap<PodKey, BoundPod>>,
    nodes: HashMap<PodKey, String>,
}

impl Nominated {
    /// Takes a pod as it would be on its node; an earlier nomination of it is replaced.
    pub(crate) fn put(&mut self, key: PodKey, pod: BoundPod) {
        self.remove(&key);
        let here = self.by_node.entry(pod.node.clone()).or_default();
        self.nodes.insert(key.clone(), pod.node.clone());
        here.insert(key, pod);
    }

    /// True if there was one.
    pub(crate) fn remove(&mut self, key: &PodKey) -> bool {
        let Some(node) = self.nodes.remove(key) else {
            return false;
        };
        if let Some(here) = self.by_node.get_mut(&node) {
            here.remove(key);
            if here.is_empty() {
                self.by_node.remove(&node);
            }
        }
        true
    }

    /// The node a pod is nominated for.
    pub(crate) fn node_of(&self, key: &PodKey) -> Option<&str> {
        self.nodes.get(key).map(String::as_str)
    }

    /// Who is nominated for the node.
    pub(crate) fn on(&self, node: &str) -> impl Iterator<Item = (&PodKey, &BoundPod)> {
        self.by_node.get(node).into_iter().flatten()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &PodKey> {
        self.nodes.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_nominated_for_one_node() {
        let key = PodKey {
            namespace: "n".to_string(),
            name: "p".to_string(),
        };
        let on = |node: &str| BoundPod {
            node: node.to_string(),
            ..BoundPod::default()
        };
        let mut nominated = Nominated::default();
        nominated.put(key.clone(), on("a"));
        nominated.put(key.clone(), on("b"));
        assert_eq!(nominated.node_of(&key), Some("b"));
        let count = |nominated: &Nominated| ["a", "b"].map(|node| nominated.on(node).count());
        assert_eq!(count(&nominated), [0, 1]);
        assert!(nominated.remove(&key));
        assert!(!nominated.remove(&key));
        assert_eq!(count(&nominated), [0, 0]);
        assert!(nominated.by_node.is_empty());
    }
}
