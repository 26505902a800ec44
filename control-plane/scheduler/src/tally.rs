//! Counts of pods by node and by topology domain.

use std::collections::{BTreeMap, HashMap};

use crate::snapshot::NodeInfo;

/// How many pods run on each node, by the node's slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally(BTreeMap<usize, i64>);

impl Tally {
    pub(crate) fn add(&mut self, slot: usize, amount: i64) {
        let count = self.0.entry(slot).or_default();
        *count += amount;
        if *count == 0 {
            self.0.remove(&slot);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, i64)> {
        self.0.iter().map(|(slot, count)| (*slot, *count))
    }
}

/// Counts by topology key and the value nodes have for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Domains<'a>(Vec<(String, HashMap<&'a str, i64>)>);

impl<'a> Domains<'a> {
    /// Adds to the node's domain; a node without the key is in none.
    pub(crate) fn add(&mut self, key: &str, node: &'a NodeInfo, amount: i64) {
        let Some(value) = node.labels.get(key) else {
            return;
        };
        let at = match self.0.iter().position(|(known, _)| known == key) {
            Some(at) => at,
            None => {
                self.0.push((key.to_string(), HashMap::new()));
                self.0.len() - 1
            }
        };
        let counts = &mut self.0[at].1;
        let count = counts.entry(value).or_default();
        *count += amount;
        if *count == 0 {
            counts.remove(value.as_str());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, counts)| counts.is_empty())
    }

    /// The count of the node's domain for one key.
    pub(crate) fn of(&self, key: &str, node: &NodeInfo) -> i64 {
        let counts = self.0.iter().find(|(known, _)| known == key);
        counts.map_or(0, |(key, counts)| count(key, counts, node))
    }

    /// The counts of the node's domains for every key.
    pub(crate) fn each(&self, node: &NodeInfo) -> impl Iterator<Item = i64> {
        self.0.iter().map(|(key, counts)| count(key, counts, node))
    }
}

fn count(key: &str, counts: &HashMap<&str, i64>, node: &NodeInfo) -> i64 {
    let value = node.labels.get(key);
    let count = value.and_then(|value| counts.get(value.as_str()));
    count.copied().unwrap_or(0)
}
