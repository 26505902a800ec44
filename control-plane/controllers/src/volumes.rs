//! Claims and volumes find each other, and the local provisioner makes volumes: folders of the node that the claim's first
//! pod was placed on. Binding, phases, reclaim policies and protection finalizers follow upstream's
//! persistentvolume-binder and protection controllers.
//!
//! A volume of ours names no path: its CSI source says driver and handle, and the node knows where that is. The node
//! removes the folder of a deleted volume and then the volume's last finalizer.

mod cache;
mod claim;
mod provision;
mod rules;
mod volume;

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::Api;
use kube::runtime::watcher::Event;
use tokio_util::sync::CancellationToken;

use crate::driver::{self, Next, Reconcile};
use crate::metrics::WorkqueueMetrics;
use crate::source;
use crate::tell::Teller;
use cache::Cache;

/// The provisioner, as storage classes name it.
const PROVISIONER: &str = "sampan.dev/local";
/// The driver of its volumes: a domain, as drivers have to be.
const DRIVER: &str = "local.sampan.dev";

/// Who says what happens to claims and volumes, under upstream's name.
const REPORTER: &str = "persistentvolume-controller";

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Claim { namespace: String, name: String },
    Volume(String),
}

struct Volumes {
    client: kube::Client,
    cache: Arc<Cache>,
    teller: Teller,
}

pub(crate) async fn run(
    client: kube::Client,
    metrics: WorkqueueMetrics,
    shutdown: CancellationToken,
) {
    let cache = Arc::new(Cache::default());
    let keys = keys(&client, &cache);
    let volumes = Volumes {
        teller: Teller::new(client.clone(), REPORTER),
        client,
        cache,
    };
    driver::run(volumes, keys, &metrics, shutdown).await;
}

impl Reconcile for Volumes {
    type Key = Key;
    type Error = kube::Error;
    const NAME: &'static str = "volumes";

    async fn reconcile(&self, key: &Key) -> Result<Next, kube::Error> {
        let done = match key {
            Key::Claim { namespace, name } => self.claim(namespace, name).await,
            Key::Volume(name) => self.volume(name).await,
        };
        match done {
            Ok(()) => Ok(Next::OnChange),
            // Somebody else wrote it meanwhile, or it is gone: its news brings it here again.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(Next::Again),
            Err(error) => Err(error),
        }
    }
}

/// What changes concern: the cache is up to date when a key comes out.
fn keys(
    client: &kube::Client,
    cache: &Arc<Cache>,
) -> impl Stream<Item = Key> + Send + Unpin + use<> {
    let claims = source::objects(Api::<PersistentVolumeClaim>::all(client.clone()), "");
    let volumes = source::objects(Api::<PersistentVolume>::all(client.clone()), "");
    let classes = source::objects(Api::<StorageClass>::all(client.clone()), "");
    let (of_claims, of_volumes, of_classes) = (cache.clone(), cache.clone(), cache.clone());
    let claims = claims.flat_map(move |event| stream::iter(of_claims.claim_event(event)));
    let volumes = volumes.flat_map(move |event| stream::iter(of_volumes.volume_event(event)));
    let classes = classes.flat_map(move |event| stream::iter(of_classes.class_event(event)));
    // Pods only matter to claims: without any, nobody needs to read them all.
    let (client, first) = (client.clone(), cache.first_claim());
    let pods = stream::once(first.cancelled_owned())
        .flat_map(move |()| source::objects(Api::<Pod>::all(client.clone()), ""))
        .flat_map(|event| stream::iter(claims_of(event)));
    let known = stream::select(claims, stream::select(volumes, classes));
    stream::select(known, pods).boxed()
}

/// The claims a pod uses: its coming and going concerns them.
fn claims_of(event: Event<Pod>) -> Vec<Key> {
    let (Event::Apply(pod) | Event::InitApply(pod) | Event::Delete(pod)) = event else {
        return Vec::new();
    };
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let names = rules::claim_names(&pod).into_iter();
    let key = |name| Key::Claim {
        namespace: namespace.clone(),
        name,
    };
    names.map(key).collect()
}
