//! Where a pod may run without making its domains more uneven than it allows.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::Pod;

use super::constraint::{Constraint, Unsatisfied, constraints, has_all_keys};
use crate::filter::Refusal;
use crate::selector::meets;
use crate::snapshot::{NodeInfo, Snapshot};

const UNEVEN: &str = "node(s) didn't match pod topology spread constraints";
const NO_DOMAIN: &str =
    "node(s) didn't match pod topology spread constraints (missing required label)";

/// The pods in each domain, counted once for all nodes.
#[derive(Debug)]
pub(crate) struct SpreadFilter<'a> {
    spreads: Vec<Spread<'a>>,
}

#[derive(Debug)]
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

    pub(crate) fn refusal(&self, node: &NodeInfo) -> Option<Refusal> {
        for spread in &self.spreads {
            let constraint = &spread.constraint;
            let Some(value) = node.labels.get(&constraint.topology_key) else {
                return Some(Refusal::of_placement(NO_DOMAIN));
            };
            let here = spread.domains.get(value.as_str()).copied().unwrap_or(0);
            if here + spread.own - spread.least > constraint.max_skew {
                return Some(Refusal::of_placement(UNEVEN));
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
        let least = match domains.len() < constraint.min_domains {
            true => 0,
            false => domains.values().copied().min().unwrap_or(0),
        };
        Self {
            own: i64::from(meets(&constraint.selector, labels)),
            constraint: constraint.clone(),
            domains,
            least,
        }
    }
}
