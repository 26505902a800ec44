//! Which objects belong to a node: upstream's graph of nodes, their pods, and what those name.
//!
//! It follows the store's pods and PersistentVolumes as the tables of roles do: by watches that are looked at when a node
//! asks. A pod costs one entry and one for each object it names; what it names is read when it is bound, and again
//! only where it has what can change later.

mod references;

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use sampan_store::{Event, EventKind, RangeRequest, Watch};
use tokio::sync::{Mutex, MutexGuard};

use crate::api::{Api, Result};
use crate::object::Obj;
use crate::read::{prefix, range_failed_now};
pub(crate) use references::SETTINGS;
use references::may_change;

const KINDS: [&str; 2] = ["pods", "persistentvolumes"];
/// After so many objects, others may run.
const BATCH: usize = 256;

/// A kind of objects that are a node's because one of its pods, or a volume of one, names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Secret,
    ConfigMap,
    ServiceAccount,
    Claim,
    ResourceClaim,
}

/// An object in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Thing {
    kind: Kind,
    namespace: Box<str>,
    name: Box<str>,
}

impl Thing {
    pub(super) fn new(kind: Kind, namespace: &str, name: &str) -> Thing {
        Thing {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// The graph, kept up to date.
#[derive(Default)]
pub(crate) struct Relations(Mutex<Followed>);

#[derive(Default)]
pub(super) struct Followed {
    graph: Graph,
    /// None yet, or one per kind.
    watches: Vec<Watch<Obj>>,
}

impl Relations {
    /// The graph as of now.
    pub(super) async fn now(&self, api: &Api) -> Result<MutexGuard<'_, Followed>> {
        let mut followed = self.0.lock().await;
        if followed.watches.is_empty() || !followed.catch_up() {
            *followed = Followed::load(api).await?;
        }
        Ok(followed)
    }
}

impl Followed {
    /// Whether a pod of the node names the object, or a volume that one uses does.
    pub(super) fn has(&self, node: &str, thing: &Thing) -> bool {
        self.graph.has(node, thing)
    }

    /// Whether a pod of the node uses the volume.
    pub(super) fn has_volume(&self, node: &str, name: &str) -> bool {
        self.graph.has_volume(node, name)
    }

    /// Takes in what happened. False when the history was not long enough.
    fn catch_up(&mut self) -> bool {
        for watch in &mut self.watches {
            while let Some(events) = watch.next().now_or_never() {
                let Ok(events) = events else {
                    return false;
                };
                events.iter().for_each(|event| self.graph.take(event));
            }
        }
        true
    }

    async fn load(api: &Api) -> Result<Followed> {
        let mut followed = Followed::default();
        for plural in KINDS {
            let row = find_resource("", "v1", plural).ok_or_else(Status::path_not_found)?;
            let page = api.store.range(RangeRequest::all(prefix(row, ""))).await;
            let page = page.map_err(range_failed_now)?;
            for batch in page.entries.chunks(BATCH) {
                for entry in batch {
                    followed.graph.put(&entry.object);
                }
                tokio::task::yield_now().await;
            }
            let watch = api.store.watch(prefix(row, ""), page.revision).await;
            followed
                .watches
                .push(watch.map_err(|error| Status::service_unavailable(error.to_string()))?);
        }
        Ok(followed)
    }
}

/// Namespace and name.
type Id = (Box<str>, Box<str>);

#[derive(Debug)]
struct Pod {
    uid: Box<str>,
    node: Arc<str>,
    names: Box<[Arc<Thing>]>,
    /// Part of what it names can change while it is bound.
    changes: bool,
}

#[derive(Debug)]
struct Volume {
    claim: Thing,
    secrets: Box<[Thing]>,
}

#[derive(Debug, Default)]
struct Graph {
    pods: HashMap<Id, Pod>,
    /// By what pods name: the nodes of those pods, and how many are on each.
    users: HashMap<Arc<Thing>, HashMap<Arc<str>, usize>>,
    /// Those that a claim holds.
    volumes: HashMap<Box<str>, Volume>,
    /// By the secret that volumes name.
    volumes_by_secret: HashMap<Thing, Vec<Box<str>>>,
}

impl Graph {
    fn has(&self, node: &str, thing: &Thing) -> bool {
        let named = self.users.get(thing);
        if named.is_some_and(|nodes| nodes.contains_key(node)) {
            return true;
        }
        let mut volumes = self.volumes_by_secret.get(thing).into_iter().flatten();
        volumes.any(|volume| self.has_volume(node, volume))
    }

    fn has_volume(&self, node: &str, name: &str) -> bool {
        let nodes = (self.volumes.get(name)).and_then(|volume| self.users.get(&volume.claim));
        nodes.is_some_and(|nodes| nodes.contains_key(node))
    }

    fn take(&mut self, event: &Event<Obj>) {
        let object = &event.entry.object;
        match event.kind {
            EventKind::Put => self.put(object),
            EventKind::Delete if is_pod(object.resource) => self.remove_pod(object),
            EventKind::Delete => self.remove_volume(object.name()),
        }
    }

    fn put(&mut self, object: &Obj) {
        if is_pod(object.resource) {
            self.put_pod(object);
        } else {
            self.put_volume(object);
        }
    }

    fn put_pod(&mut self, object: &Obj) {
        let node = object.field("spec.nodeName").unwrap_or_default();
        if node.is_empty() {
            // Another pod may have had its name.
            return self.remove_pod(object);
        }
        let id = (object.namespace().into(), object.name().into());
        let known = self.pods.get(&id);
        let changes = may_change(&object.raw);
        let same = |pod: &Pod| *pod.uid == *object.uid() && *pod.node == *node;
        // What it had may be gone now.
        if known.is_some_and(|pod| same(pod) && !pod.changes && !changes) {
            return;
        }
        let names = references::of_pod(&object.raw);
        self.remove_pod(object);
        let node: Arc<str> = node.into();
        let names = names.into_iter().map(|thing| self.use_on(&node, thing));
        let names = names.collect();
        let uid = object.uid().into();
        let pod = Pod {
            uid,
            node,
            names,
            changes,
        };
        self.pods.insert(id, pod);
    }

    /// Counts a pod of the node among the users. What many pods name is kept once.
    fn use_on(&mut self, node: &Arc<str>, thing: Thing) -> Arc<Thing> {
        let known = self.users.get_key_value(&thing).map(|(known, _)| known);
        let thing = known.cloned().unwrap_or_else(|| Arc::new(thing));
        let nodes = self.users.entry(thing.clone()).or_default();
        *nodes.entry(node.clone()).or_default() += 1;
        thing
    }

    fn remove_pod(&mut self, object: &Obj) {
        let id = (object.namespace().into(), object.name().into());
        let Some(pod) = self.pods.remove(&id) else {
            return;
        };
        for thing in &pod.names {
            let Some(nodes) = self.users.get_mut(thing) else {
                continue;
            };
            if let Some(count) = nodes.get_mut(&pod.node) {
                *count -= 1;
                if *count == 0 {
                    nodes.remove(&pod.node);
                }
            }
            if nodes.is_empty() {
                self.users.remove(thing);
            }
        }
    }

    fn put_volume(&mut self, object: &Obj) {
        self.remove_volume(object.name());
        let Some((claim, secrets)) = references::of_volume(&object.raw) else {
            return;
        };
        for secret in &secrets {
            let volumes = self.volumes_by_secret.entry(secret.clone()).or_default();
            volumes.push(object.name().into());
        }
        let secrets = secrets.into();
        self.volumes
            .insert(object.name().into(), Volume { claim, secrets });
    }

    fn remove_volume(&mut self, name: &str) {
        let Some(volume) = self.volumes.remove(name) else {
            return;
        };
        for secret in &volume.secrets {
            if let Some(volumes) = self.volumes_by_secret.get_mut(secret) {
                volumes.retain(|other| **other != *name);
                if volumes.is_empty() {
                    self.volumes_by_secret.remove(secret);
                }
            }
        }
    }
}

fn is_pod(resource: &Resource) -> bool {
    resource.bucket == "pods"
}
