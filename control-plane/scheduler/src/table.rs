//! Objects as a watch tells of them, each reduced to what the scheduler needs of it.

use std::collections::{HashMap, HashSet};

use kube::ResourceExt;
use kube::runtime::watcher::Event;

/// By namespace and name; the namespace of what has none is empty.
#[derive(Debug)]
pub(crate) struct Table<T> {
    items: HashMap<String, HashMap<String, T>>,
    listed: HashSet<(String, String)>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            items: HashMap::new(),
            listed: HashSet::new(),
        }
    }
}

impl<T: PartialEq> Table<T> {
    /// Takes what a watch told; true if something changed.
    pub(crate) fn apply<K: kube::Resource>(
        &mut self,
        event: Event<K>,
        reduce: impl Fn(K) -> T,
    ) -> bool {
        let key = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
        match event {
            Event::Init => {
                self.listed.clear();
                false
            }
            Event::InitApply(object) => {
                let key = key(&object);
                self.listed.insert(key.clone());
                self.put(key, reduce(object))
            }
            Event::Apply(object) => self.put(key(&object), reduce(object)),
            Event::Delete(object) => {
                let (namespace, name) = key(&object);
                let items = self.items.get_mut(&namespace);
                items.is_some_and(|items| items.remove(&name).is_some())
            }
            Event::InitDone => self.keep_listed(),
        }
    }

    fn put(&mut self, (namespace, name): (String, String), item: T) -> bool {
        let items = self.items.entry(namespace).or_default();
        let same = items.get(&name) == Some(&item);
        items.insert(name, item);
        !same
    }

    fn keep_listed(&mut self) -> bool {
        let listed = std::mem::take(&mut self.listed);
        let mut gone = false;
        for (namespace, items) in &mut self.items {
            let before = items.len();
            items.retain(|name, _| listed.contains(&(namespace.clone(), name.clone())));
            gone |= items.len() < before;
        }
        self.items.retain(|_, items| !items.is_empty());
        gone
    }

    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&T> {
        self.items.get(namespace)?.get(name)
    }

    pub(crate) fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = &T> {
        self.items
            .get(namespace)
            .into_iter()
            .flat_map(HashMap::values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Namespace;
    use serde_json::json;

    #[test]
    fn it_follows_a_watch() {
        let namespace = |name: &str, tier: &str| -> Namespace {
            let metadata = json!({"name": name, "labels": {"tier": tier}});
            serde_json::from_value(json!({ "metadata": metadata })).expect("a namespace")
        };
        let mut table = Table::default();
        let mut take = |event| table.apply(event, |one: Namespace| one.labels()["tier"].clone());
        assert!(take(Event::Apply(namespace("a", "1"))));
        assert!(!take(Event::Apply(namespace("a", "1"))), "nothing changed");
        assert!(take(Event::Apply(namespace("a", "2"))));
        assert!(!take(Event::Delete(namespace("b", "1"))), "it never was");
        take(Event::Init);
        assert!(take(Event::InitApply(namespace("b", "1"))));
        assert!(take(Event::InitDone), "the other is gone");
        let here: Vec<_> = ["a", "b"].map(|name| table.get("", name).cloned()).into();
        assert_eq!(here, [None, Some("1".to_string())]);
        assert_eq!(table.in_namespace("").count(), 1);
        assert!(table.apply(Event::Delete(namespace("b", "1")), |_| String::new()));
    }
}
