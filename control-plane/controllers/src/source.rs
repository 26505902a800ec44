//! Watches as the controllers use them: retried, and told apart by what they mean for a key.

use std::fmt::Debug;
use std::pin::Pin;

use futures::{Stream, StreamExt};
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;

/// Watch events without the errors, which are retried with back-off and logged.
pub(crate) type Watch<K> = Pin<Box<dyn Stream<Item = Event<K>> + Send>>;

fn config(fields: &str) -> watcher::Config {
    let config = watcher::Config::default().streaming_lists();
    if fields.is_empty() {
        config
    } else {
        config.fields(fields)
    }
}

/// Every object that a field selector (empty: all) admits. With `PartialObjectMeta` the server sends metadata only.
pub(crate) fn objects<K>(api: Api<K>, fields: &str) -> Watch<K>
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    logged(watcher(api, config(fields)).default_backoff().boxed())
}

fn logged<K: Send + 'static>(
    stream: Pin<Box<dyn Stream<Item = watcher::Result<Event<K>>> + Send>>,
) -> Watch<K> {
    let events = stream.filter_map(async |event| match event {
        Ok(event) => Some(event),
        Err(error) => {
            tracing::debug!(%error, "a controller's watch");
            None
        }
    });
    events.boxed()
}

/// The objects that came, changed or went, without telling which.
pub(crate) fn touched<K: Send + 'static>(watch: Watch<K>) -> impl Stream<Item = K> + Send + Unpin {
    let objects = watch.filter_map(async |event| match event {
        Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => Some(object),
        Event::Init | Event::InitDone => None,
    });
    objects.boxed()
}
