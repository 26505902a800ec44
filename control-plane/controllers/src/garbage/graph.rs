//! Who belongs to whom, by uid.

use std::collections::{HashMap, HashSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ApiResource;

use super::Key;

/// Dependents by owner. Objects without owners take no room, unless they wait to be deleted.
#[derive(Debug, Default)]
pub(super) struct Graph {
    dependents: HashMap<String, Dependents>,
    owners: HashMap<String, Vec<String>>,
    waiting: HashMap<String, Key>,
}

/// What belongs to one owner.
#[derive(Debug, Default)]
struct Dependents {
    /// The owner's kind, as they say: one of them may be wrong.
    kinds: HashSet<String>,
    keys: HashSet<Key>,
}

impl Graph {
    /// Takes an object's present state; `waits` says that its deletion waits for its dependents. Returns the waiting owners,
    /// present and former, that it does not hold back.
    pub(super) fn put(&mut self, key: &Key, owners: &[OwnerReference], waits: bool) -> Vec<Key> {
        let blocks = |uid: &str| {
            let mut blocking = owners.iter().filter(|owner| owner.uid == uid);
            blocking.any(|owner| owner.block_owner_deletion == Some(true))
        };
        let former = self.owners.get(&key.uid).into_iter().flatten();
        let present = owners.iter().map(|owner| &owner.uid);
        let free: HashSet<&String> = former.chain(present).filter(|uid| !blocks(uid)).collect();
        let waiting = free.into_iter().filter_map(|uid| self.waiting.get(uid));
        let concerned = waiting.cloned().collect();
        self.unlink(key);
        for owner in owners {
            let dependents = self.dependents.entry(owner.uid.clone()).or_default();
            if !dependents.kinds.contains(&owner.kind) {
                dependents.kinds.insert(owner.kind.clone());
            }
            dependents.keys.insert(key.clone());
        }
        if !owners.is_empty() {
            let uids = owners.iter().map(|owner| owner.uid.clone()).collect();
            self.owners.insert(key.uid.clone(), uids);
        }
        if waits {
            self.waiting.insert(key.uid.clone(), key.clone());
        } else {
            self.waiting.remove(&key.uid);
        }
        concerned
    }

    /// Whether the deletion of an object waits for its dependents.
    pub(super) fn waits(&self, uid: &str) -> bool {
        self.waiting.contains_key(uid)
    }

    /// Forgets an object; returns its dependents, and those of its owners that wait for it.
    pub(super) fn remove(&mut self, key: &Key) -> Vec<Key> {
        let owners = self.owners.get(&key.uid).cloned().unwrap_or_default();
        self.unlink(key);
        self.waiting.remove(&key.uid);
        let waiting = owners
            .iter()
            .filter_map(|owner| self.waiting.get(owner).cloned());
        let concerned: Vec<Key> = waiting.chain(self.dependents(&key.uid)).collect();
        concerned
    }

    pub(super) fn dependents(&self, owner: &str) -> Vec<Key> {
        let dependents = self.dependents.get(owner).into_iter();
        dependents.flat_map(|one| &one.keys).cloned().collect()
    }

    /// Forgets the objects of a kind that a list of it does not have; returns whom that concerns. Owners that are not
    /// remembered may be among them.
    pub(super) fn listed_again(
        &mut self,
        kind: &ApiResource,
        listed: &HashSet<String>,
    ) -> Vec<Key> {
        let remembered = self.dependents.values().flat_map(|one| &one.keys);
        let remembered = remembered.chain(self.waiting.values());
        let gone: HashSet<Key> = remembered
            .filter(|key| key.api_version == kind.api_version && key.kind == kind.kind)
            .filter(|key| !listed.contains(&key.uid))
            .cloned()
            .collect();
        let mut concerned: Vec<Key> = gone.iter().flat_map(|key| self.remove(key)).collect();
        for (owner, dependents) in &self.dependents {
            if dependents.kinds.contains(&kind.kind) && !listed.contains(owner) {
                concerned.extend(dependents.keys.iter().cloned());
            }
        }
        concerned
    }

    fn unlink(&mut self, key: &Key) {
        for owner in self.owners.remove(&key.uid).unwrap_or_default() {
            if let Some(dependents) = self.dependents.get_mut(&owner) {
                dependents.keys.remove(key);
                if dependents.keys.is_empty() {
                    self.dependents.remove(&owner);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key {
            api_version: "v1".to_string(),
            kind: "ConfigMap".to_string(),
            namespace: "default".to_string(),
            name: name.to_string(),
            uid: name.to_string(),
        }
    }

    fn owned_by(name: &str) -> Vec<OwnerReference> {
        vec![OwnerReference {
            uid: name.to_string(),
            ..OwnerReference::default()
        }]
    }

    #[test]
    fn the_end_of_an_object_concerns_its_dependents_and_the_owners_that_wait() {
        let mut graph = Graph::default();
        graph.put(&key("child"), &owned_by("parent"), false);
        graph.put(&key("grandchild"), &owned_by("child"), false);
        assert_eq!(graph.dependents("parent"), [key("child")]);
        graph.put(&key("parent"), &[], true);
        assert_eq!(
            graph.remove(&key("child")),
            [key("parent"), key("grandchild")]
        );
        assert_eq!(graph.dependents("parent"), []);
    }

    #[test]
    fn a_lost_reference_is_forgotten() {
        let mut graph = Graph::default();
        graph.put(&key("child"), &owned_by("parent"), false);
        graph.put(&key("child"), &[], false);
        assert_eq!(graph.dependents("parent"), []);
        assert_eq!(graph.remove(&key("parent")), []);
    }

    #[test]
    fn an_owner_that_waits_hears_when_it_is_not_held_back_any_more() {
        let mut graph = Graph::default();
        let blocking = |block| {
            let mut owners = owned_by("parent");
            owners[0].block_owner_deletion = Some(block);
            owners
        };
        graph.put(&key("parent"), &[], true);
        assert_eq!(graph.put(&key("child"), &blocking(true), false), []);
        assert_eq!(
            graph.put(&key("child"), &blocking(false), false),
            [key("parent")]
        );
        graph.put(&key("child"), &blocking(true), false);
        assert_eq!(graph.put(&key("child"), &[], false), [key("parent")]);
    }
}
