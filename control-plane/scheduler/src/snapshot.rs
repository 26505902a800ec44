//! What the scheduler knows of the cluster: nodes, and what is bound to each.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::{Node, Taint};

use crate::affinity::Rules;
use crate::census::Census;
use crate::namespaces::Namespaces;
use crate::owners::Owners;
use crate::pod::{BoundPod, PodKey};
use crate::resources::Amounts;
use crate::volumes::VolumeTable;

/// A node and the sum of what runs on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeInfo {
    /// Its number among the nodes ever seen.
    pub(crate) slot: usize,
    /// Whether there is such a node: pods may be seen before their node, and after it.
    pub(crate) known: bool,
    pub(crate) name: String,
    pub(crate) ready: bool,
    pub(crate) unschedulable: bool,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) taints: Vec<Taint>,
    pub(crate) allocatable: Amounts,
    pub(crate) requested: Amounts,
    pub(crate) host_ports: Vec<(String, i32)>,
}

impl NodeInfo {
    fn describe(&mut self, node: &Node) {
        let spec = node.spec.as_ref();
        let status = node.status.as_ref();
        self.name = node.metadata.name.clone().unwrap_or_default();
        self.labels = node.metadata.labels.clone().unwrap_or_default();
        self.unschedulable = spec.and_then(|spec| spec.unschedulable).unwrap_or(false);
        self.taints = spec
            .and_then(|spec| spec.taints.clone())
            .unwrap_or_default();
        self.allocatable = Amounts::from_quantities(status.and_then(|s| s.allocatable.as_ref()));
        let conditions = status.and_then(|status| status.conditions.as_ref());
        self.ready = conditions
            .into_iter()
            .flatten()
            .any(|c| c.type_ == "Ready" && c.status == "True");
    }
}

/// What the watches told, counted together. Nothing is forgotten of a node while it may have pods.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// By slot.
    nodes: Vec<NodeInfo>,
    slots: BTreeMap<String, usize>,
    pods: HashMap<PodKey, BoundPod>,
    pub(crate) census: Census,
    pub(crate) rules: Rules,
    pub(crate) namespaces: Namespaces,
    pub(crate) owners: Owners,
    pub(crate) volumes: VolumeTable,
}

impl Snapshot {
    /// In the order of their names.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeInfo> {
        self.slots.values().filter_map(|slot| self.node_at(*slot))
    }

    /// None if the node is gone or was never there.
    pub(crate) fn node_at(&self, slot: usize) -> Option<&NodeInfo> {
        self.nodes.get(slot).filter(|node| node.known)
    }

    fn slot_of(&mut self, name: &str) -> usize {
        if let Some(slot) = self.slots.get(name) {
            return *slot;
        }
        let slot = self.nodes.len();
        self.slots.insert(name.to_string(), slot);
        self.nodes.push(NodeInfo {
            slot,
            name: name.to_string(),
            ..NodeInfo::default()
        });
        slot
    }

    /// Takes a node's new state; true if something changed that may let a pod in.
    pub(crate) fn node_applied(&mut self, node: &Node) -> bool {
        let slot = self.slot_of(node.metadata.name.as_deref().unwrap_or_default());
        let Some(info) = self.nodes.get_mut(slot) else {
            return false;
        };
        let before = (
            info.ready,
            info.unschedulable,
            info.labels.clone(),
            info.taints.clone(),
        );
        let offered = info.allocatable.clone();
        info.describe(node);
        let after = (
            info.ready,
            info.unschedulable,
            info.labels.clone(),
            info.taints.clone(),
        );
        let known = std::mem::replace(&mut info.known, true);
        !known || before != after || offered != info.allocatable
    }

    pub(crate) fn node_deleted(&mut self, name: &str) {
        let slot = self.slots.get(name).copied();
        if let Some(node) = slot.and_then(|slot| self.nodes.get_mut(slot)) {
            node.known = false;
        }
    }

    /// Takes a bound (or assumed) pod; an earlier state of it is replaced. True if something changed.
    pub(crate) fn pod_bound(&mut self, key: PodKey, mut pod: BoundPod) -> bool {
        if self.pods.get(&key) == Some(&pod) {
            return false;
        }
        self.pod_gone(&key);
        let slot = self.slot_of(&pod.node);
        if let Some(node) = self.nodes.get_mut(slot) {
            node.requested.add(&pod.weight);
            node.host_ports.extend(pod.host_ports.iter().cloned());
        }
        pod.class = self.census.add(&key.namespace, &pod.class, slot);
        pod.terms = pod.terms.map(|terms| self.rules.add(&terms, slot));
        self.pods.insert(key, pod);
        true
    }

    /// Forgets a pod; true if it held something.
    pub(crate) fn pod_gone(&mut self, key: &PodKey) -> bool {
        let Some(pod) = self.pods.remove(key) else {
            return false;
        };
        let slot = self.slot_of(&pod.node);
        if let Some(node) = self.nodes.get_mut(slot) {
            node.requested.subtract(&pod.weight);
            for port in &pod.host_ports {
                if let Some(at) = node.host_ports.iter().position(|held| held == port) {
                    node.host_ports.swap_remove(at);
                }
            }
        }
        self.census.remove(&key.namespace, &pod.class, slot);
        if let Some(terms) = &pod.terms {
            self.rules.remove(terms, slot);
        }
        true
    }

    /// Forgets the nodes that a new list did not hold.
    pub(crate) fn retain_nodes(&mut self, listed: &std::collections::HashSet<String>) {
        for node in &mut self.nodes {
            node.known &= listed.contains(&node.name);
        }
    }

    /// Forgets the pods that a new list did not hold.
    pub(crate) fn retain_pods(&mut self, listed: &std::collections::HashSet<PodKey>) {
        let gone: Vec<_> = self
            .pods
            .keys()
            .filter(|key| !listed.contains(*key))
            .cloned()
            .collect();
        for key in gone {
            self.pod_gone(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::census::Class;
    use crate::resources::CPU;
    use serde_json::json;

    fn pod(node: &str, cpu: &str) -> BoundPod {
        let quantities = serde_json::from_value(json!({"cpu": cpu})).expect("quantities");
        BoundPod {
            node: node.to_string(),
            weight: Amounts::from_quantities(Some(&quantities)),
            host_ports: vec![("TCP".to_string(), 80)],
            class: Class::default(),
            terms: None,
        }
    }

    fn key(name: &str) -> PodKey {
        PodKey {
            namespace: "default".to_string(),
            name: name.to_string(),
        }
    }

    #[test]
    fn weights_follow_pods() {
        let mut snapshot = Snapshot::default();
        snapshot.pod_bound(key("a"), pod("n", "1"));
        assert_eq!(
            snapshot.nodes().count(),
            0,
            "a node only pods have named is not usable"
        );
        let node = serde_json::from_value(json!({"metadata": {"name": "n"}})).expect("node");
        assert!(snapshot.node_applied(&node));
        assert!(!snapshot.node_applied(&node), "nothing changed");
        snapshot.pod_bound(key("b"), pod("n", "2"));
        snapshot.pod_bound(key("b"), pod("n", "3"));
        let requested =
            |snapshot: &Snapshot| snapshot.nodes().map(|n| n.requested.get(CPU)).sum::<i128>();
        assert_eq!(requested(&snapshot), 4000);
        assert!(snapshot.pod_gone(&key("a")));
        assert!(!snapshot.pod_gone(&key("a")));
        assert_eq!(requested(&snapshot), 3000);
        snapshot.retain_pods(&std::collections::HashSet::new());
        assert_eq!(requested(&snapshot), 0);
        assert!(snapshot.nodes().all(|node| node.host_ports.is_empty()));
    }
}
