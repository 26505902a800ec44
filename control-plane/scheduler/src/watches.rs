//! The watches: pods and nodes, which the loop takes one by one, and the kinds beside them, which only the snapshot needs.

use std::fmt::Debug;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{
    Namespace, PersistentVolume, PersistentVolumeClaim, ReplicationController, Service,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;

use crate::queue::Change;
use crate::snapshot::Snapshot;

/// How many kinds [`beside`] watches.
pub(crate) const KINDS_BESIDE: usize = 9;

type Take = dyn FnOnce(&mut Snapshot) -> Option<Change> + Send;

/// What the watch of a kind beside pods and nodes told.
pub(crate) struct News {
    /// The kind, below [`KINDS_BESIDE`].
    pub(crate) kind: usize,
    /// All objects of the kind have been told.
    pub(crate) listed: bool,
    /// Takes it into the snapshot; says what it may mean for pods that fitted nowhere.
    pub(crate) take: Box<Take>,
}

/// What can be watched.
pub(crate) trait Watched:
    kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static
{
}

impl<K> Watched for K where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static
{
}

pub(crate) fn watch<K: Watched>(
    client: &kube::Client,
) -> BoxStream<'static, watcher::Result<Event<K>>> {
    let api: Api<K> = Api::all(client.clone());
    watcher(api, watcher::Config::default().streaming_lists())
        .default_backoff()
        .boxed()
}

/// All the kinds that only the snapshot needs, in one stream.
pub(crate) fn beside(client: &kube::Client) -> impl Stream<Item = News> + use<> {
    let streams: [BoxStream<'static, News>; KINDS_BESIDE] = [
        news::<PersistentVolumeClaim>(client, 0, |all, event| Some(all.volumes.claim_event(event))),
        news::<PersistentVolume>(client, 1, |all, event| {
            Some(all.volumes.volume_event(event))
        }),
        news::<StorageClass>(client, 2, |all, event| {
            let changed = all.volumes.class_event(event);
            changed.then_some(Change::Volumes)
        }),
        news::<Namespace>(client, 3, |all, event| {
            let changed = all.namespaces.event(event);
            changed.then_some(Change::Placement)
        }),
        // What pods belong to makes one node better than another, and none possible.
        news::<Service>(client, 4, |all, event| {
            all.owners.service_event(event);
            None
        }),
        news::<ReplicationController>(client, 5, |all, event| {
            all.owners.replication_controller_event(event);
            None
        }),
        news::<ReplicaSet>(client, 6, |all, event| {
            all.owners.replica_set_event(event);
            None
        }),
        news::<StatefulSet>(client, 7, |all, event| {
            all.owners.stateful_set_event(event);
            None
        }),
        // Budgets say who goes rather than others, and keep nobody from going.
        news::<PodDisruptionBudget>(client, 8, |all, event| {
            all.budgets.event(event);
            None
        }),
    ];
    stream::select_all(streams)
}

fn news<K: Watched>(
    client: &kube::Client,
    kind: usize,
    take: fn(&mut Snapshot, Event<K>) -> Option<Change>,
) -> BoxStream<'static, News> {
    let events = watch::<K>(client).filter_map(move |event| async move {
        let error = match event {
            Ok(event) => {
                return Some(News {
                    kind,
                    listed: matches!(event, Event::InitDone),
                    take: Box::new(move |snapshot| take(snapshot, event)),
                });
            }
            Err(error) => error,
        };
        tracing::debug!(%error, kind = %K::kind(&()), "watching");
        None
    });
    events.boxed()
}
