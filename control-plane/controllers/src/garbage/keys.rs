//! What the watches tell, into the graph; out of it, whom it concerns.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use kube::api::ApiResource;
use kube::runtime::watcher::Event;
use parking_lot::Mutex;

use super::graph::Graph;
use super::{FOREGROUND, Key, Meta, ORPHAN};
use crate::source::Watch;

/// So long a kind may keep the others waiting that cannot be listed.
const LISTED: Duration = Duration::from_secs(30);

/// Whom the watches concern. Nobody before all of them have listed: of a graph with holes, an owner would seem to have no
/// dependents, and go without them.
pub(super) fn keys(
    watches: Vec<(ApiResource, Watch<Meta>)>,
    graph: Arc<Mutex<Graph>>,
) -> impl Stream<Item = Key> + Send {
    let mut unlisted: HashSet<usize> = (0..watches.len()).collect();
    let mut kinds: Vec<_> = watches.iter().map(|(kind, _)| Kind::new(kind)).collect();
    let told = watches.into_iter().enumerate();
    let told = told.map(|(at, (_, watch))| watch.map(move |event| (at, event)).boxed());
    let mut told = stream::select_all(told);
    let first = async move {
        let mut concerned = HashSet::new();
        let listing = async {
            while !unlisted.is_empty()
                && let Some((at, event)) = told.next().await
            {
                if matches!(event, Event::InitDone) {
                    unlisted.remove(&at);
                }
                concerned.extend(kinds[at].changed(&mut graph.lock(), event));
            }
        };
        if tokio::time::timeout(LISTED, listing).await.is_err() {
            tracing::warn!("not every kind could be listed; garbage is collected without them");
        }
        let then = told
            .flat_map(move |(at, event)| stream::iter(kinds[at].changed(&mut graph.lock(), event)));
        stream::iter(concerned).chain(then)
    };
    stream::once(first).flatten()
}

/// A kind that is watched.
struct Kind {
    resource: ApiResource,
    /// It has begun to list before.
    known: bool,
    /// The uids of a list that is not the first, until it is whole.
    listed: Option<HashSet<String>>,
}

impl Kind {
    fn new(resource: &ApiResource) -> Self {
        Self {
            resource: resource.clone(),
            known: false,
            listed: None,
        }
    }

    /// Takes an event into the graph; returns whom it concerns.
    fn changed(&mut self, graph: &mut Graph, event: Event<Meta>) -> Vec<Key> {
        match event {
            Event::Apply(object) | Event::InitApply(object) => self.put(graph, object),
            Event::Delete(object) => graph.remove(&self.key(&object)),
            Event::Init => {
                self.listed = self.known.then(HashSet::new);
                self.known = true;
                Vec::new()
            }
            Event::InitDone => match self.listed.take() {
                Some(listed) => graph.listed_again(&self.resource, &listed),
                None => Vec::new(),
            },
        }
    }

    fn put(&mut self, graph: &mut Graph, object: Meta) -> Vec<Key> {
        let key = self.key(&object);
        if let Some(listed) = &mut self.listed {
            listed.insert(key.uid.clone());
        }
        let owners = object.metadata.owner_references.unwrap_or_default();
        let finalizers = object.metadata.finalizers.unwrap_or_default();
        let waits = object.metadata.deletion_timestamp.is_some()
            && finalizers
                .iter()
                .any(|finalizer| finalizer == FOREGROUND || finalizer == ORPHAN);
        let mut concerned = graph.put(&key, &owners, waits);
        if !owners.is_empty() || waits {
            concerned.push(key);
        }
        concerned
    }

    fn key(&self, object: &Meta) -> Key {
        Key {
            api_version: self.resource.api_version.clone(),
            kind: self.resource.kind.clone(),
            namespace: object.metadata.namespace.clone().unwrap_or_default(),
            name: object.metadata.name.clone().unwrap_or_default(),
            uid: object.metadata.uid.clone().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use kube::api::GroupVersionKind;
    use serde_json::{Value, json};
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    use tokio_stream::wrappers::UnboundedReceiverStream;

    fn object(name: &str, owner: Option<&str>, finalizer: Option<&str>) -> Meta {
        let metadata = json!({"name": name, "namespace": "n", "uid": name,
            "ownerReferences": owner.map(|owner| json!([
                {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": owner}])),
            "finalizers": finalizer.map(|finalizer| json!([finalizer])),
            "deletionTimestamp": finalizer.map(|_| "2026-01-01T00:00:00Z")});
        serde_json::from_value::<Value>(json!({"metadata": metadata}))
            .and_then(serde_json::from_value)
            .expect("an object")
    }

    fn watch(kind: &str) -> (UnboundedSender<Event<Meta>>, (ApiResource, Watch<Meta>)) {
        let (sender, receiver) = unbounded_channel();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind));
        let watch = UnboundedReceiverStream::new(receiver).boxed();
        (sender, (resource, watch))
    }

    fn send(sender: &UnboundedSender<Event<Meta>>, events: impl IntoIterator<Item = Event<Meta>>) {
        for event in events {
            sender.send(event).expect("it is watched");
        }
    }

    fn names(mut keys: impl Stream<Item = Key> + Unpin) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(Some(key)) = keys.next().now_or_never() {
            names.push(key.name);
        }
        names.sort_unstable();
        names
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_told_of_before_everything_is_listed() {
        let (maps, maps_watch) = watch("ConfigMap");
        let (secrets, secrets_watch) = watch("Secret");
        let graph: Arc<Mutex<Graph>> = Arc::default();
        let mut keys = keys(vec![maps_watch, secrets_watch], Arc::clone(&graph)).boxed();
        let owner = object("owner", None, Some(ORPHAN));
        send(
            &maps,
            [Event::Init, Event::InitApply(owner), Event::InitDone],
        );
        send(&secrets, [Event::Init]);
        assert_eq!(names(&mut keys), Vec::<String>::new());
        let child = object("child", Some("owner"), None);
        send(&secrets, [Event::InitApply(child), Event::InitDone]);
        assert_eq!(names(&mut keys), ["child", "owner"]);
        assert_eq!(graph.lock().dependents("owner").len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_cannot_be_listed_keeps_the_others_waiting_for_a_while_only() {
        let (maps, maps_watch) = watch("ConfigMap");
        let (_secrets, secrets_watch) = watch("Secret");
        let mut keys = keys(vec![maps_watch, secrets_watch], Arc::default()).boxed();
        let owner = object("owner", None, Some(ORPHAN));
        send(
            &maps,
            [Event::Init, Event::InitApply(owner), Event::InitDone],
        );
        let start = tokio::time::Instant::now();
        let first = keys.next().await.map(|key| key.name);
        assert_eq!(first.as_deref(), Some("owner"));
        assert_eq!(start.elapsed(), LISTED);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_list_has_no_more_is_gone() {
        let (maps, maps_watch) = watch("ConfigMap");
        let (secrets, secrets_watch) = watch("Secret");
        let graph: Arc<Mutex<Graph>> = Arc::default();
        let mut keys = keys(vec![maps_watch, secrets_watch], Arc::clone(&graph)).boxed();
        let waiting = || object("waiting", None, Some(FOREGROUND));
        let stays = || object("stays", Some("waiting"), None);
        let goes = object("goes", Some("waiting"), None);
        let orphan = object("orphan", Some("owner"), None);
        let listed = [waiting(), object("owner", None, None)].map(Event::InitApply);
        send(
            &maps,
            [Event::Init]
                .into_iter()
                .chain(listed)
                .chain([Event::InitDone]),
        );
        let listed = [stays(), goes, orphan].map(Event::InitApply);
        send(
            &secrets,
            [Event::Init]
                .into_iter()
                .chain(listed)
                .chain([Event::InitDone]),
        );
        assert_eq!(names(&mut keys), ["goes", "orphan", "stays", "waiting"]);
        // An owner that waits for nobody was not remembered, and yet its dependents hear of its end.
        send(
            &maps,
            [Event::Init, Event::InitApply(waiting()), Event::InitDone],
        );
        assert_eq!(names(&mut keys), ["orphan", "waiting"]);
        send(
            &secrets,
            [Event::Init, Event::InitApply(stays()), Event::InitDone],
        );
        let concerned = names(&mut keys);
        assert!(concerned.contains(&"waiting".to_string()), "{concerned:?}");
        let left = graph.lock().dependents("waiting");
        assert_eq!(
            left.into_iter().map(|key| key.name).collect::<Vec<_>>(),
            ["stays"]
        );
        assert_eq!(graph.lock().dependents("owner"), []);
    }
}
