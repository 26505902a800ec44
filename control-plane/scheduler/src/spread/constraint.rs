//! The constraints of pods, parsed, and those of pods that have none.

use k8s_openapi::api::core::v1::{Pod, TopologySpreadConstraint};
use sampan_api::selector::LabelSelector;

use crate::census::Class;
use crate::filter::{matches_node_affinity, untolerated_taint};
use crate::selector::{meets, parsed};
use crate::snapshot::{NodeInfo, Snapshot};
use crate::tally::Tally;

pub(super) const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Upstream's constraints of a cluster, for pods without any of their own: key and greatest skew. They never keep a pod off a node.
const DEFAULTS: [(&str, i32); 2] = [(HOSTNAME, 3), (ZONE, 5)];

/// What may be done with a pod that cannot be spread as it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsatisfied {
    DoNotSchedule,
    ScheduleAnyway,
}

#[derive(Debug, Clone)]
pub(super) struct Constraint {
    pub(super) topology_key: String,
    pub(super) max_skew: i64,
    /// With fewer domains than these, the emptiest is taken to be empty.
    pub(super) min_domains: usize,
    pub(super) selector: LabelSelector,
    /// Whether only nodes that the pod's node affinity admits are counted.
    honor_affinity: bool,
    /// Whether only nodes whose taints the pod tolerates are counted.
    honor_taints: bool,
}

impl Constraint {
    fn new(constraint: &TopologySpreadConstraint) -> Self {
        let honored = |policy: &Option<String>, otherwise: &str| {
            policy.as_deref().unwrap_or(otherwise) == "Honor"
        };
        Self {
            topology_key: constraint.topology_key.clone(),
            max_skew: i64::from(constraint.max_skew),
            min_domains: constraint
                .min_domains
                .map_or(1, |least| usize::try_from(least).unwrap_or(1)),
            selector: parsed(constraint.label_selector.as_ref()),
            honor_affinity: honored(&constraint.node_affinity_policy, "Honor"),
            honor_taints: honored(&constraint.node_taints_policy, "Ignore"),
        }
    }

    /// A node that does not count is in no domain for the pod.
    pub(super) fn counts(&self, pod: &Pod, node: &NodeInfo) -> bool {
        (!self.honor_affinity || matches_node_affinity(pod, node))
            && (!self.honor_taints || untolerated_taint(pod, node).is_none())
    }

    /// The pods it spreads, in a namespace. An empty selector counts none: that is upstream's, too.
    pub(super) fn tallies<'a>(
        &'a self,
        namespace: &str,
        snapshot: &'a Snapshot,
    ) -> impl Iterator<Item = &'a Tally> {
        let classes = snapshot.census.classes(namespace);
        classes
            .filter(|(class, _)| self.is_about(class))
            .map(|(_, tally)| tally)
    }

    /// Whether it spreads such pods of its namespace.
    pub(super) fn is_about(&self, class: &Class) -> bool {
        !self.selector.is_everything() && !class.ending && meets(&self.selector, &class.labels)
    }
}

/// The pod's own constraints of a kind.
pub(super) fn constraints(pod: &Pod, kind: Unsatisfied) -> Vec<Constraint> {
    let all = own(pod).iter().filter(|constraint| {
        let soft = constraint.when_unsatisfiable == "ScheduleAnyway";
        soft == (kind == Unsatisfied::ScheduleAnyway)
    });
    all.map(Constraint::new).collect()
}

/// The cluster's constraints, for a pod that has none and belongs to something.
pub(super) fn default_constraints(pod: &Pod, snapshot: &Snapshot) -> Vec<Constraint> {
    if !own(pod).is_empty() {
        return Vec::new();
    }
    let selector = snapshot.owners.selector(pod);
    if selector.is_everything() {
        return Vec::new();
    }
    let constraint = |(key, max_skew): (&str, i32)| Constraint {
        topology_key: key.to_string(),
        max_skew: i64::from(max_skew),
        min_domains: 1,
        selector: selector.clone(),
        honor_affinity: true,
        honor_taints: false,
    };
    DEFAULTS.map(constraint).into()
}

fn own(pod: &Pod) -> &[TopologySpreadConstraint] {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.topology_spread_constraints.as_deref())
        .unwrap_or_default()
}

pub(super) fn has_all_keys(constraints: &[Constraint], node: &NodeInfo) -> bool {
    constraints
        .iter()
        .all(|constraint| node.labels.contains_key(&constraint.topology_key))
}
