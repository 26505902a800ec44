//! Events are news: an hour after they were last written they are deleted.

use std::collections::HashSet;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, DeleteParams, PartialObjectMeta, Preconditions};
use kube::runtime::watcher;
use tokio_util::sync::CancellationToken;

use crate::delays::Delays;
use crate::source;

/// Upstream's `--event-ttl`.
const TTL: Duration = Duration::from_secs(60 * 60);
/// A deletion that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    namespace: String,
    name: String,
    uid: Option<String>,
}

pub(crate) async fn run(client: kube::Client, shutdown: CancellationToken) {
    let mut events = source::objects(Api::<PartialObjectMeta<Event>>::all(client.clone()), "");
    let mut expiry: Delays<Key> = Delays::default();
    let mut listed = HashSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            Some(event) = events.next() => match event {
                watcher::Event::Apply(event) => expiry.set(key(&event), TTL),
                watcher::Event::Delete(event) => expiry.cancel(&key(&event)),
                watcher::Event::Init => listed.clear(),
                watcher::Event::InitApply(event) => {
                    let key = key(&event);
                    listed.insert(key.clone());
                    expiry.set(key, remaining(&event));
                }
                watcher::Event::InitDone => {
                    let listed = std::mem::take(&mut listed);
                    expiry.retain(|key| listed.contains(key));
                }
            },
            key = expiry.next() => {
                if let Err(error) = delete(&client, &key).await {
                    tracing::debug!(?key, %error, "deleting an old event");
                    expiry.set(key, RETRY);
                }
            }
        }
    }
}

fn key(event: &PartialObjectMeta<Event>) -> Key {
    Key {
        namespace: event.metadata.namespace.clone().unwrap_or_default(),
        name: event.metadata.name.clone().unwrap_or_default(),
        uid: event.metadata.uid.clone(),
    }
}

/// After a restart only the time of creation is known: an event may go earlier than its last repetition would allow.
fn remaining(event: &PartialObjectMeta<Event>) -> Duration {
    let created = event
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0);
    let age = created.map(|created| jiff::Timestamp::now().duration_since(created));
    let age = age
        .and_then(|age| Duration::try_from(age).ok())
        .unwrap_or_default();
    TTL.saturating_sub(age)
}

async fn delete(client: &kube::Client, key: &Key) -> Result<(), kube::Error> {
    let api: Api<Event> = Api::namespaced(client.clone(), &key.namespace);
    let preconditions = Preconditions {
        uid: key.uid.clone(),
        resource_version: None,
    };
    let params = DeleteParams {
        preconditions: Some(preconditions),
        ..DeleteParams::default()
    };
    match api.delete(&key.name, &params).await {
        Ok(_) => Ok(()),
        // Gone already, or another event of that name.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}
