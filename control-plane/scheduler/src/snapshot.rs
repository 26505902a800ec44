//! What the scheduler knows of the cluster: nodes, and what is bound to each.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Taint};

use crate::affinity::Rules;
use crate::budgets::Budgets;
use crate::census::Census;
use crate::namespaces::Namespaces;
use crate::nominated::Nominated;
use crate::owners::Owners;
use crate::pod::{BoundPod, PodKey};
use crate::ports::TakenPorts;
use crate::resources::{Amounts, Presumed};
use crate::volumes::{Users, VolumeTable};

/// A node and the sum of what runs on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeInfo {
    /// Its number among the nodes that are there or have pods.
    pub(crate) slot: usize,
    /// Whether there is such a node: pods may be seen before their node, and after it.
    pub(crate) known: bool,
    pub(crate) name: String,
    pub(crate) unschedulable: bool,
    pub(crate) labels: BTreeMap<String, String>,
    /// Its own, and those that its Ready condition is about to bring.
    pub(crate) taints: Vec<Taint>,
    pub(crate) allocatable: Amounts,
    pub(crate) requested: Amounts,
    pub(crate) presumed: Presumed,
    pub(crate) host_ports: TakenPorts,
}

impl NodeInfo {
    /// Counts what the pod takes.
    pub(crate) fn hold(&mut self, pod: &BoundPod) {
        self.requested.add(&pod.weight);
        self.presumed = self.presumed + pod.presumed;
        for port in &pod.host_ports {
            self.host_ports.take(port);
        }
    }

    /// Counts it no more.
    pub(crate) fn give_back(&mut self, pod: &BoundPod) {
        self.requested.subtract(&pod.weight);
        self.presumed = self.presumed - pod.presumed;
        for port in &pod.host_ports {
            self.host_ports.give_back(port);
        }
    }

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
        let coming = coming_taint(node);
        let same = |a: &Taint, b: &Taint| a.key == b.key && a.effect == b.effect;
        if let Some(coming) = coming.filter(|new| !self.taints.iter().any(|old| same(old, new))) {
            self.taints.push(coming);
        }
    }
}

/// The taint of a node that is not ready, which the controller of nodes writes a moment after the condition: nobody is sent there
/// meanwhile who will not be later. A node that says nothing of itself yet has none.
fn coming_taint(node: &Node) -> Option<Taint> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")?;
    let key = match ready.status.as_str() {
        "True" => return None,
        "Unknown" => "node.kubernetes.io/unreachable",
        _ => "node.kubernetes.io/not-ready",
    };
    Some(Taint {
        key: key.to_string(),
        effect: "NoSchedule".to_string(),
        ..Taint::default()
    })
}

/// What a bound pod that changed means for those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// It came, or shows other labels or rules: it may be what others want to be near to.
    Came,
    /// It takes less than before: there may be room for anybody.
    Freed,
}

/// What the watches told, counted together. A node is kept while it is there or has pods: they may be seen before it, and
/// they may name nodes that never were.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// By slot.
    nodes: Vec<NodeInfo>,
    slots: BTreeMap<String, usize>,
    free_slots: Vec<usize>,
    pods: HashMap<Arc<PodKey>, BoundPod>,
    /// By slot: the pods there, the least important first.
    residents: HashMap<usize, BTreeSet<(i32, Arc<PodKey>)>>,
    /// Pods that wait for room that is being made for them.
    pub(crate) nominated: Nominated,
    pub(crate) census: Census,
    pub(crate) rules: Rules,
    pub(crate) namespaces: Namespaces,
    pub(crate) owners: Owners,
    pub(crate) volumes: VolumeTable,
    pub(crate) claim_users: Users,
    pub(crate) budgets: Budgets,
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
        let slot = self.free_slots.pop().unwrap_or(self.nodes.len());
        let node = NodeInfo {
            slot,
            name: name.to_string(),
            ..NodeInfo::default()
        };
        self.slots.insert(name.to_string(), slot);
        match self.nodes.get_mut(slot) {
            Some(unused) => *unused = node,
            None => self.nodes.push(node),
        }
        slot
    }

    /// Forgets the node if it is gone and has no pods: no count mentions its slot then.
    fn let_go(&mut self, slot: usize) {
        let empty = !self.residents.contains_key(&slot);
        let unused = |node: &&mut NodeInfo| !node.known && empty;
        if let Some(node) = self.nodes.get_mut(slot).filter(unused) {
            self.slots.remove(&node.name);
            *node = NodeInfo::default();
            self.free_slots.push(slot);
        }
    }

    /// Takes a node's new state; true if something changed that may let a pod in.
    pub(crate) fn node_applied(&mut self, node: &Node) -> bool {
        let slot = self.slot_of(node.metadata.name.as_deref().unwrap_or_default());
        let Some(info) = self.nodes.get_mut(slot) else {
            return false;
        };
        let before = (info.unschedulable, info.labels.clone(), info.taints.clone());
        let offered = info.allocatable.clone();
        info.describe(node);
        let after = (info.unschedulable, info.labels.clone(), info.taints.clone());
        let known = std::mem::replace(&mut info.known, true);
        !known || before != after || offered != info.allocatable
    }

    pub(crate) fn node_deleted(&mut self, name: &str) {
        let Some(slot) = self.slots.get(name).copied() else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(slot) {
            node.known = false;
        }
        self.let_go(slot);
    }

    /// Takes a bound (or assumed) pod; an earlier state of it is replaced.
    pub(crate) fn pod_bound(&mut self, key: PodKey, mut pod: BoundPod) -> Change {
        let change = match self.pods.get(&key) {
            Some(before) if *before == pod => return Change::None,
            Some(before) if before.holds_more_than(&pod) => Change::Freed,
            Some(before) if before.class == pod.class && before.terms == pod.terms => Change::None,
            _ => Change::Came,
        };
        let slot = self.slot_of(&pod.node);
        if let Some(node) = self.nodes.get_mut(slot) {
            node.hold(&pod);
        }
        self.claim_users.add(&key.namespace, &pod.claims);
        pod.class = self.census.add(&key.namespace, &pod.class, slot);
        pod.terms = pod.terms.map(|terms| self.rules.add(&terms, slot));
        let before = self.pods.remove_entry(&key);
        let key = match &before {
            Some((key, _)) => Arc::clone(key),
            None => Arc::new(key),
        };
        let here = self.residents.entry(slot).or_default();
        here.insert((pod.priority, Arc::clone(&key)));
        let place = (pod.node.clone(), pod.priority);
        self.pods.insert(Arc::clone(&key), pod);
        if let Some((_, before)) = before {
            self.give_back(&key, &before);
            if (before.node.as_str(), before.priority) != (place.0.as_str(), place.1) {
                self.leave(&key, &before);
            }
        }
        change
    }

    /// Forgets a pod; true if it held something.
    pub(crate) fn pod_gone(&mut self, key: &PodKey) -> bool {
        let Some((key, pod)) = self.pods.remove_entry(key) else {
            return false;
        };
        self.give_back(&key, &pod);
        self.leave(&key, &pod);
        true
    }

    fn give_back(&mut self, key: &PodKey, pod: &BoundPod) {
        // A node with pods has a slot.
        let Some(slot) = self.slots.get(&pod.node).copied() else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(slot) {
            node.give_back(pod);
        }
        self.claim_users.remove(&key.namespace, &pod.claims);
        self.census.remove(&key.namespace, &pod.class, slot);
        if let Some(terms) = &pod.terms {
            self.rules.remove(terms, slot);
        }
    }

    fn leave(&mut self, key: &Arc<PodKey>, pod: &BoundPod) {
        let Some(slot) = self.slots.get(&pod.node).copied() else {
            return;
        };
        if let Some(residents) = self.residents.get_mut(&slot) {
            residents.remove(&(pod.priority, Arc::clone(key)));
            if residents.is_empty() {
                self.residents.remove(&slot);
            }
        }
        self.let_go(slot);
    }

    pub(crate) fn bound(&self, key: &PodKey) -> Option<&BoundPod> {
        self.pods.get(key)
    }

    /// The pods of a node that are less important than the priority says.
    pub(crate) fn residents_below(
        &self,
        node: &NodeInfo,
        priority: i32,
    ) -> impl Iterator<Item = (&Arc<PodKey>, &BoundPod)> {
        let residents = self.residents.get(&node.slot).into_iter().flatten();
        let below = residents.take_while(move |(own, _)| *own < priority);
        below.filter_map(|(_, key)| Some((key, self.pods.get(key)?)))
    }

    /// The node of that name, if it is there.
    pub(crate) fn node_named(&self, name: &str) -> Option<&NodeInfo> {
        self.slots.get(name).and_then(|slot| self.node_at(*slot))
    }

    /// Forgets the nodes that a new list did not hold.
    pub(crate) fn retain_nodes(&mut self, listed: &std::collections::HashSet<String>) {
        let gone = self.slots.keys().filter(|name| !listed.contains(*name));
        for name in gone.cloned().collect::<Vec<_>>() {
            self.node_deleted(&name);
        }
    }

    /// Forgets the pods that a new list did not hold.
    pub(crate) fn retain_pods(&mut self, listed: &std::collections::HashSet<PodKey>) {
        let gone: Vec<_> = self
            .pods
            .keys()
            .filter(|key| !listed.contains(&***key))
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
    use crate::ports::host_ports;
    use crate::resources::CPU;
    use serde_json::json;

    fn pod(node: &str, cpu: &str) -> BoundPod {
        let container = json!({"name": "c", "ports": [{"hostPort": 80}]});
        let with_port = json!({"spec": {"containers": [container]}});
        let with_port = serde_json::from_value(with_port).expect("a pod");
        let quantities = serde_json::from_value(json!({"cpu": cpu})).expect("quantities");
        BoundPod {
            node: node.to_string(),
            weight: Amounts::from_quantities(Some(&quantities)),
            host_ports: host_ports(&with_port),
            ..BoundPod::default()
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
        assert_eq!(snapshot.pod_bound(key("a"), pod("n", "1")), Change::Came);
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

    #[test]
    fn what_a_pod_that_changes_means_for_others() {
        let mut snapshot = Snapshot::default();
        let mut take = |pod: BoundPod| snapshot.pod_bound(key("a"), pod);
        assert_eq!(take(pod("n", "2")), Change::Came);
        assert_eq!(take(pod("n", "2")), Change::None);
        assert_eq!(take(pod("n", "3")), Change::None);
        assert_eq!(take(pod("n", "1")), Change::Freed);
        let mut free = pod("n", "1");
        free.host_ports.clear();
        assert_eq!(take(free.clone()), Change::Freed);
        free.class.ending = true;
        assert_eq!(take(free), Change::Came);
    }

    #[test]
    fn nodes_that_never_were_are_forgotten_with_their_pods() {
        let node = |name: &str| {
            serde_json::from_value(json!({"metadata": {"name": name}})).expect("a node")
        };
        let mut snapshot = Snapshot::default();
        snapshot.node_applied(&node("real"));
        for at in 0..10 {
            snapshot.pod_bound(key("a"), pod(&format!("made-up-{at}"), "1"));
        }
        assert!(snapshot.pod_gone(&key("a")));
        snapshot.pod_bound(key("b"), pod("real", "1"));
        snapshot.node_deleted("real");
        let names = |snapshot: &Snapshot| snapshot.slots.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&snapshot), ["real"], "it has a pod");
        assert!(snapshot.pod_gone(&key("b")));
        assert_eq!(names(&snapshot), [""; 0]);
        assert!(snapshot.nodes.len() <= 3, "slots are used again");
        snapshot.node_applied(&node("next"));
        snapshot.pod_bound(key("c"), pod("next", "1"));
        let next = snapshot.nodes().next().expect("the node");
        assert_eq!(
            (next.name.as_str(), next.requested.get(CPU)),
            ("next", 1000)
        );
        snapshot.retain_nodes(&std::collections::HashSet::new());
        assert_eq!(names(&snapshot), ["next"], "it has a pod");
    }
}
