//! Where a pod may run without making its domains more uneven than it allows.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::Pod;

use super::constraint::{Constraint, Unsatisfied, constraints, has_all_keys};
use crate::filter::{Neighbour, Refusal};
use crate::selector::meets;
use crate::snapshot::{NodeInfo, Snapshot};

const UNEVEN: &str = "node(s) didn't match pod topology spread constraints";
const NO_DOMAIN: &str =
    "node(s) didn't match pod topology spread constraints (missing required label)";

/// The pods in each domain, counted once for all nodes.
#[derive(Debug, Clone)]
pub(crate) struct SpreadFilter<'a> {
    spreads: Vec<Spread<'a>>,
}

#[derive(Debug, Clone)]
struct Spread<'a> {
    constraint: Constraint,
    /// 1 if the constraint counts the pod itself.
    own: i64,
    /// Pods by the value of the topology key.
    domains: HashMap<&'a str, i64>,
    /// The pods in the emptiest domain.
    least: i64,
}

impl<'a> SpreadFilter<'a> {
    pub(crate) fn new(pod: &Pod, snapshot: &'a Snapshot) -> Self {
        let constraints = constraints(pod, Unsatisfied::DoNotSchedule);
        let spreads = constraints
            .iter()
            .map(|constraint| Spread::new(pod, constraint, &constraints, snapshot))
            .collect();
        Self { spreads }
    }

    /// Counts a pod of the node so many times more, in thought.
    pub(crate) fn shift(
        &mut self,
        incoming: &Pod,
        Neighbour { key, pod }: Neighbour<'_>,
        node: &NodeInfo,
        by: i64,
    ) {
        if incoming.metadata.namespace.as_deref().unwrap_or_default() != key.namespace {
            return;
        }
        let has_all_keys = self
            .spreads
            .iter()
            .all(|spread| node.labels.contains_key(&spread.constraint.topology_key));
        for spread in self.spreads.iter_mut().filter(|_| has_all_keys) {
            let constraint = &spread.constraint;
            if constraint.is_about(&pod.class) && constraint.counts(incoming, node) {
                spread.shift(node, by);
            }
        }
    }

    pub(crate) fn refusal(&self, node: &NodeInfo) -> Option<Refusal> {
        for spread in &self.spreads {
            let constraint = &spread.constraint;
            let Some(value) = node.labels.get(&constraint.topology_key) else {
                return Some(Refusal::of_placement(NO_DOMAIN, false));
            };
            let here = spread.domains.get(value.as_str()).copied().unwrap_or(0);
            if here + spread.own - spread.least > constraint.max_skew {
                return Some(Refusal::of_placement(UNEVEN, true));
            }
        }
        None
    }
}

impl<'a> Spread<'a> {
    fn new(pod: &Pod, constraint: &Constraint, all: &[Constraint], snapshot: &'a Snapshot) -> Self {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut domains: HashMap<&str, i64> = HashMap::new();
        // By slot: the domain of each node that counts.
        let mut domain_of: HashMap<usize, &str> = HashMap::new();
        for node in snapshot.nodes() {
            let value = node.labels.get(&constraint.topology_key);
            let counts = || has_all_keys(all, node) && constraint.counts(pod, node);
            if let Some(value) = value.filter(|_| counts()) {
                domains.entry(value).or_default();
                domain_of.insert(node.slot, value);
            }
        }
        for tally in constraint.tallies(namespace, snapshot) {
            for (slot, pods) in tally.iter() {
                if let Some(value) = domain_of.get(&slot) {
                    *domains.entry(value).or_default() += pods;
                }
            }
        }
        static NONE: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
        let labels = pod.metadata.labels.as_ref().unwrap_or(&NONE);
        Self {
            own: i64::from(meets(&constraint.selector, labels)),
            constraint: constraint.clone(),
            least: least(&domains, constraint),
            domains,
        }
    }

    fn shift(&mut self, node: &NodeInfo, by: i64) {
        let value = node.labels.get(&self.constraint.topology_key);
        if let Some(pods) = value.and_then(|value| self.domains.get_mut(value.as_str())) {
            *pods += by;
            self.least = least(&self.domains, &self.constraint);
        }
    }
}

/// The pods in the emptiest domain.
fn least(domains: &HashMap<&str, i64>, constraint: &Constraint) -> i64 {
    match domains.len() < constraint.min_domains {
        true => 0,
        false => domains.values().copied().min().unwrap_or(0),
    }
}
