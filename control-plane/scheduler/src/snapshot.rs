//! What the scheduler knows of the cluster: nodes, and what is bound to each.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::{Node, Taint};

use crate::pod::{BoundPod, PodKey};
use crate::resources::Amounts;
use crate::volumes::VolumeTable;

/// A node and the sum of what runs on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeInfo {
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

/// Nodes by name. Pods may be seen before their node: then the node is there without being usable.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    nodes: BTreeMap<String, NodeInfo>,
    known: std::collections::BTreeSet<String>,
    pods: HashMap<PodKey, BoundPod>,
    pub(crate) volumes: VolumeTable,
}

impl Snapshot {
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeInfo> {
        self.nodes
            .values()
            .filter(|node| self.known.contains(&node.name))
    }

    /// Takes a node's new state; true if something changed that may let a pod in.
    pub(crate) fn node_applied(&mut self, node: &Node) -> bool {
        let name = node.metadata.name.clone().unwrap_or_default();
        let info = self.nodes.entry(name.clone()).or_default();
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
        let changed = before != after || offered != info.allocatable;
        self.known.insert(name) || changed
    }

    pub(crate) fn node_deleted(&mut self, name: &str) {
        self.known.remove(name);
    }

    /// Takes a bound (or assumed) pod; the weight of an earlier state of it is replaced.
    pub(crate) fn pod_bound(&mut self, key: PodKey, pod: BoundPod) {
        if self.pods.get(&key) == Some(&pod) {
            return;
        }
        self.pod_gone(&key);
        let node = self.nodes.entry(pod.node.clone()).or_default();
        node.requested.add(&pod.weight);
        node.host_ports.extend(pod.host_ports.iter().cloned());
        self.pods.insert(key, pod);
    }

    /// Forgets a pod; true if it held something.
    pub(crate) fn pod_gone(&mut self, key: &PodKey) -> bool {
        let Some(pod) = self.pods.remove(key) else {
            return false;
        };
        if let Some(node) = self.nodes.get_mut(&pod.node) {
            node.requested.subtract(&pod.weight);
            for port in &pod.host_ports {
                if let Some(at) = node.host_ports.iter().position(|held| held == port) {
                    node.host_ports.swap_remove(at);
                }
            }
        }
        true
    }

    /// Forgets the nodes that a new list did not hold.
    pub(crate) fn retain_nodes(&mut self, listed: &std::collections::HashSet<String>) {
        self.known.retain(|name| listed.contains(name));
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
    use crate::resources::CPU;
    use serde_json::json;

    fn pod(node: &str, cpu: &str) -> BoundPod {
        let quantities = serde_json::from_value(json!({"cpu": cpu})).expect("quantities");
        BoundPod {
            node: node.to_string(),
            weight: Amounts::from_quantities(Some(&quantities)),
            host_ports: vec![("TCP".to_string(), 80)],
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
