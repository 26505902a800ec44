//! The ConfigMaps and Secrets that volumes of this node's pods show, kept up to date by watches.
//!
//! One watch per object that some pod mounts, however many pods do; its content is held once and goes with the last
//! pod. An immutable object is read once. Who is told of a change is the inbox of each pod that wrote an older version
//! to its volume: nothing asks in a rhythm.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Weak};

use futures::StreamExt as _;
use futures::stream::{BoxStream, SelectAll};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::objects::{Known, ObjectError, ObjectKey, ObjectKind, Objects, Readable};
use crate::worker::Inbox;

/// All watched objects. Clones share them.
#[derive(Clone)]
pub(crate) struct Sources {
    shared: Arc<Shared>,
}

struct Shared {
    objects: Objects,
    entries: Mutex<HashMap<ObjectKey, Entry>>,
    /// Something was added to `entries` that is not watched yet.
    wake: Notify,
}

struct Entry {
    /// By the UID of the pod.
    subscribers: HashMap<String, Subscriber>,
    /// Nothing until the first list is complete.
    known: Option<Known>,
    /// Whether the list under way has shown the object.
    listed: bool,
    watched: bool,
    stop: CancellationToken,
}

struct Subscriber {
    inbox: Weak<Inbox>,
    /// The version in the pod's volume; nothing before it is written.
    used: Option<u64>,
}

/// A pod's interest in objects. They are forgotten when the last pod drops its own.
pub(crate) struct Subscription {
    sources: Sources,
    uid: String,
    keys: Vec<ObjectKey>,
}

/// What a watch says of its object.
enum Heard {
    Listing,
    Is { known: Known, immutable: bool },
    Gone { version: u64 },
    Listed,
}

impl Sources {
    pub(crate) fn new(objects: Objects) -> Sources {
        let shared = Shared {
            objects,
            entries: Mutex::default(),
            wake: Notify::new(),
        };
        Sources {
            shared: Arc::new(shared),
        }
    }

    /// Keeps up with these objects on behalf of a pod, whose inbox is told of changes.
    pub(crate) fn subscribe(
        &self,
        uid: &str,
        inbox: &Arc<Inbox>,
        keys: Vec<ObjectKey>,
    ) -> Subscription {
        let mut entries = self.shared.entries.lock();
        for key in &keys {
            let entry = entries.entry(key.clone()).or_insert_with(|| Entry {
                subscribers: HashMap::new(),
                known: None,
                listed: false,
                watched: false,
                stop: CancellationToken::new(),
            });
            let subscriber = Subscriber {
                inbox: Arc::downgrade(inbox),
                used: None,
            };
            entry.subscribers.insert(uid.to_owned(), subscriber);
        }
        drop(entries);
        self.shared.wake.notify_one();
        Subscription {
            sources: self.clone(),
            uid: uid.to_owned(),
            keys,
        }
    }

    /// Watches until shutdown.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut watches: SelectAll<BoxStream<'static, (ObjectKey, Heard)>> = SelectAll::new();
        loop {
            watches.extend(self.unwatched());
            tokio::select! {
                () = self.shared.wake.notified() => {}
                Some((key, heard)) = watches.next() => self.heard(&key, heard),
                () = shutdown.cancelled() => return,
            }
        }
    }

    fn unwatched(&self) -> Vec<BoxStream<'static, (ObjectKey, Heard)>> {
        let mut entries = self.shared.entries.lock();
        let new = entries.iter_mut().filter(|(_, entry)| !entry.watched);
        new.map(|(key, entry)| {
            entry.watched = true;
            watch(self.shared.objects.client(), key, entry.stop.clone())
        })
        .collect()
    }

    fn heard(&self, key: &ObjectKey, heard: Heard) {
        let mut entries = self.shared.entries.lock();
        let Some(entry) = entries.get_mut(key) else {
            return;
        };
        let before = entry.known.as_ref().map_or(0, |known| known.version);
        match heard {
            Heard::Listing => {
                entry.listed = false;
                return;
            }
            Heard::Is { known, immutable } => {
                entry.listed = true;
                entry.known = Some(known);
                if immutable {
                    entry.stop.cancel();
                }
            }
            Heard::Gone { version } => {
                entry.known = Some(Known {
                    content: None,
                    version: version.max(before.saturating_add(1)),
                });
            }
            Heard::Listed if entry.listed => return,
            // It went while nobody watched, or was never there.
            Heard::Listed => {
                let there = entry
                    .known
                    .as_ref()
                    .is_some_and(|known| known.content.is_some());
                entry.known = Some(Known {
                    content: None,
                    version: if there {
                        before.saturating_add(1)
                    } else {
                        before
                    },
                });
            }
        }
        entry.tell();
    }
}

impl Entry {
    fn tell(&self) {
        let Some(known) = &self.known else { return };
        for subscriber in self.subscribers.values() {
            if subscriber.used.is_some_and(|used| used < known.version)
                && let Some(inbox) = subscriber.inbox.upgrade()
            {
                inbox.content_changed();
            }
        }
    }
}

impl Subscription {
    /// The newest content known of an object: what its watch says, or else what the API server answers. The pod counts
    /// as showing that version from now on.
    pub(crate) async fn content(
        &self,
        kind: ObjectKind,
        namespace: &str,
        name: &str,
    ) -> Result<Known, ObjectError> {
        let key = ObjectKey {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        if let Some(known) = self.watched(&key) {
            return Ok(known);
        }
        let known = self
            .sources
            .shared
            .objects
            .known(kind, namespace, name)
            .await?;
        let mut entries = self.sources.shared.entries.lock();
        if let Some(entry) = entries.get_mut(&key) {
            if let Some(subscriber) = entry.subscribers.get_mut(&self.uid) {
                subscriber.used = Some(known.version);
            }
            // The watch may have had newer news meanwhile.
            entry.tell();
        }
        Ok(known)
    }

    fn watched(&self, key: &ObjectKey) -> Option<Known> {
        let mut entries = self.sources.shared.entries.lock();
        let entry = entries.get_mut(key)?;
        let known = entry.known.clone()?;
        let subscriber = entry.subscribers.get_mut(&self.uid)?;
        // What the server answered before may be newer than what the watch has brought so far.
        if subscriber.used.is_some_and(|used| used > known.version) {
            return None;
        }
        subscriber.used = Some(known.version);
        Some(known)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut entries = self.sources.shared.entries.lock();
        for key in &self.keys {
            let Some(entry) = entries.get_mut(key) else {
                continue;
            };
            entry.subscribers.remove(&self.uid);
            if entry.subscribers.is_empty() {
                entry.stop.cancel();
                entries.remove(key);
            }
        }
    }
}

fn watch(
    client: kube::Client,
    key: &ObjectKey,
    stop: CancellationToken,
) -> BoxStream<'static, (ObjectKey, Heard)> {
    match key.kind {
        ObjectKind::ConfigMap => events::<ConfigMap>(client, key, stop),
        ObjectKind::Secret => events::<Secret>(client, key, stop),
    }
}

fn events<K>(
    client: kube::Client,
    key: &ObjectKey,
    stop: CancellationToken,
) -> BoxStream<'static, (ObjectKey, Heard)>
where
    K: Readable + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let api: Api<K> = Api::namespaced(client, &key.namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={}", key.name));
    let key = key.clone();
    watcher::watcher(api, config)
        .default_backoff()
        .filter_map(move |event| {
            let heard = match event {
                Ok(event) => Some((key.clone(), heard(event))),
                Err(error) => {
                    tracing::debug!(%error, name = key.name, "watch of a volume's source failed; trying again");
                    None
                }
            };
            std::future::ready(heard)
        })
        .take_until(stop.cancelled_owned())
        .boxed()
}

fn heard<K: Readable>(event: Event<K>) -> Heard {
    match event {
        Event::Init => Heard::Listing,
        Event::InitApply(object) | Event::Apply(object) => Heard::Is {
            immutable: object.is_immutable(),
            known: object.known(),
        },
        Event::Delete(object) => Heard::Gone {
            version: object.known().version,
        },
        Event::InitDone => Heard::Listed,
    }
}
