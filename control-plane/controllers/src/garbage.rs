//! The garbage collector: what belongs to a deleted owner goes too, in the way the owner's deletion asked for.
//!
//! Only objects that have owners, or that are being deleted with a policy, are remembered; whether an owner exists is asked
//! of the server when it matters. Events are left out: they expire.

mod graph;
mod keys;

use std::collections::HashMap;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PartialObjectMeta, Patch,
    PatchParams, Preconditions, PropagationPolicy,
};
use kube::discovery::{Scope, verbs};
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::driver::{self, Next, Reconcile};
use crate::kinds;
use crate::metrics::WorkqueueMetrics;
use crate::source;
use graph::Graph;
use keys::keys;

/// The finalizers by which an owner waits for its dependents.
const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";
/// Discovery that failed is tried again after this.
const RETRY: std::time::Duration = std::time::Duration::from_secs(2);
/// Definitions tend to come together, and each changes several times until it is served.
const SETTLE: std::time::Duration = std::time::Duration::from_millis(500);

type Meta = PartialObjectMeta<DynamicObject>;

/// An object the collector may have to act on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    api_version: String,
    kind: String,
    /// Empty for what belongs to no namespace.
    namespace: String,
    name: String,
    uid: String,
}

struct Collector {
    client: kube::Client,
    resources: Arc<Resources>,
    graph: Arc<Mutex<Graph>>,
}

/// By version and kind, for every version: references may be in any. The resource is of the one version that is watched.
type Resources = HashMap<(String, String), (ApiResource, Scope)>;

/// Collects, and begins again whenever there are other kinds: definitions of custom resources come and go.
pub(crate) async fn run(
    client: kube::Client,
    metrics: WorkqueueMetrics,
    shutdown: CancellationToken,
) {
    let mut definitions = definitions(&client);
    while !shutdown.is_cancelled() {
        let Some(resources) = discovered(&client, &shutdown).await else {
            return;
        };
        let over = shutdown.child_token();
        let collecting = collect(client.clone(), resources.clone(), &metrics, over.clone());
        let other_kinds = async {
            loop {
                settled(&mut definitions).await;
                match discovered(&client, &over).await {
                    Some(now) if same(&now, &resources) => {}
                    _ => return over.cancel(),
                }
            }
        };
        tokio::join!(collecting, over.run_until_cancelled(other_kinds));
    }
}

/// What there is; `None` when the time is over.
async fn discovered(client: &kube::Client, over: &CancellationToken) -> Option<Arc<Resources>> {
    loop {
        match discover(client).await {
            Ok(resources) => return Some(Arc::new(resources)),
            Err(error) => {
                tracing::warn!(%error, "the garbage collector cannot discover what there is")
            }
        }
        tokio::select! {
            () = over.cancelled() => return None,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

fn definitions(client: &kube::Client) -> impl Stream<Item = Meta> + Send + Unpin {
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<Meta> = Api::all_with(client.clone(), &resource);
    source::touched(source::objects(api, ""))
}

/// Waits for a definition to change, and for no other to change right after.
async fn settled(definitions: &mut (impl Stream<Item = Meta> + Unpin)) {
    let mut changed = definitions.next().await;
    while changed.is_some() {
        match tokio::time::timeout(SETTLE, definitions.next()).await {
            Ok(next) => changed = next,
            Err(_) => return,
        }
    }
}

fn same(a: &Resources, b: &Resources) -> bool {
    a.len() == b.len() && a.keys().all(|kind| b.contains_key(kind))
}

async fn collect(
    client: kube::Client,
    resources: Arc<Resources>,
    metrics: &WorkqueueMetrics,
    shutdown: CancellationToken,
) {
    let graph: Arc<Mutex<Graph>> = Arc::default();
    let watched = resources
        .iter()
        .filter(|((api_version, _), (resource, _))| *api_version == resource.api_version);
    let watches = watched.map(|(_, (resource, _))| {
        let api: Api<Meta> = Api::all_with(client.clone(), resource);
        (resource.clone(), source::objects(api, ""))
    });
    let keys = keys(watches.collect(), Arc::clone(&graph));
    let collector = Collector {
        client,
        resources: Arc::clone(&resources),
        graph,
    };
    driver::run(collector, keys.boxed(), metrics, shutdown).await;
}

async fn discover(client: &kube::Client) -> Result<Resources, kube::Error> {
    let mut found = HashMap::new();
    for kind in kinds::discover(client).await? {
        if !kind.supports(&[verbs::LIST, verbs::WATCH, verbs::DELETE]) || is_event(&kind.resource) {
            continue;
        }
        for api_version in kind.api_versions {
            let id = (api_version, kind.resource.kind.clone());
            let watched = (kind.resource.clone(), kind.capabilities.scope.clone());
            found.insert(id, watched);
        }
    }
    Ok(found)
}

fn is_event(resource: &ApiResource) -> bool {
    resource.kind == "Event" && matches!(resource.group.as_str(), "" | "events.k8s.io")
}

/// How an owner stands to its dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Solid,
    /// Being deleted, and waiting for its dependents to go first.
    Waiting,
    Gone,
}

impl Reconcile for Collector {
    type Key = Key;
    type Error = kube::Error;
    const NAME: &'static str = "garbage-collector";

    async fn reconcile(&self, key: &Key) -> Result<Next, kube::Error> {
        let Some(api) = self.api(&key.api_version, &key.kind, &key.namespace) else {
            return Ok(Next::OnChange);
        };
        let Some(object) = live(&api, &key.name, &key.uid).await? else {
            return Ok(Next::OnChange);
        };
        let finalizers = object.metadata.finalizers.clone().unwrap_or_default();
        let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
        if object.metadata.deletion_timestamp.is_some() {
            if has(ORPHAN) {
                return self.orphan_dependents(&api, key, &object).await;
            }
            if has(FOREGROUND) {
                return self.wait_for_dependents(&api, key, &object).await;
            }
            return Ok(Next::OnChange);
        }
        self.follow_owners(&api, key, &object).await
    }
}

impl Collector {
    fn api(&self, api_version: &str, kind: &str, namespace: &str) -> Option<Api<Meta>> {
        let (resource, scope) = self
            .resources
            .get(&(api_version.to_string(), kind.to_string()))?;
        // A namespaced owner of an object without a namespace cannot be looked up, so nothing is deleted for it.
        if *scope == Scope::Namespaced && namespace.is_empty() {
            return None;
        }
        Some(match scope {
            Scope::Cluster => Api::all_with(self.client.clone(), resource),
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), namespace, resource),
        })
    }

    async fn owner(
        &self,
        reference: &OwnerReference,
        namespace: &str,
    ) -> Result<Owner, kube::Error> {
        let Some(api) = self.api(&reference.api_version, &reference.kind, namespace) else {
            // Whether the owner exists cannot be known, so nothing is deleted for it.
            return Ok(Owner::Solid);
        };
        let Some(owner) = live(&api, &reference.name, &reference.uid).await? else {
            return Ok(Owner::Gone);
        };
        let finalizers = owner.metadata.finalizers.unwrap_or_default();
        let waits = owner.metadata.deletion_timestamp.is_some()
            && finalizers.iter().any(|finalizer| finalizer == FOREGROUND);
        Ok(if waits { Owner::Waiting } else { Owner::Solid })
    }

    /// An object with one owner left stays, with its references put right; one without goes.
    async fn follow_owners(
        &self,
        api: &Api<Meta>,
        key: &Key,
        object: &Meta,
    ) -> Result<Next, kube::Error> {
        let references = object.metadata.owner_references.clone().unwrap_or_default();
        if references.is_empty() {
            return Ok(Next::OnChange);
        }
        let mut kept = Vec::new();
        let mut waiting = false;
        for reference in &references {
            match self.owner(reference, &key.namespace).await? {
                Owner::Solid => kept.push(reference.clone()),
                Owner::Waiting => waiting = true,
                Owner::Gone => {}
            }
        }
        if kept.len() == references.len() {
            return Ok(Next::OnChange);
        }
        if !kept.is_empty() {
            return set_owners(api, key, object, &kept).await;
        }
        let (dependents, circle) = {
            let graph = self.graph.lock();
            let dependents = graph.dependents(&key.uid);
            let circle = dependents.iter().any(|each| graph.waits(&each.uid));
            (dependents, circle)
        };
        let foreground = waiting && !dependents.is_empty();
        if foreground && circle {
            // What waits for this object may be what it would wait for in turn: let its owners go first.
            let unblocked: Vec<_> = references.into_iter().map(unblock).collect();
            if set_owners(api, key, object, &unblocked).await? == Next::Again {
                return Ok(Next::Again);
            }
        }
        let policy = if foreground {
            PropagationPolicy::Foreground
        } else {
            PropagationPolicy::Background
        };
        let params = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: Some(Preconditions {
                uid: Some(key.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        tolerated(api.delete(&key.name, &params).await.map(|_| ()))
    }

    /// Deletes the dependents; the owner goes when none is left that blocks it.
    async fn wait_for_dependents(
        &self,
        api: &Api<Meta>,
        key: &Key,
        object: &Meta,
    ) -> Result<Next, kube::Error> {
        let dependents = self.graph.lock().dependents(&key.uid);
        let mut blocked = false;
        for dependent in dependents {
            let Some(dependents) = self.api(
                &dependent.api_version,
                &dependent.kind,
                &dependent.namespace,
            ) else {
                continue;
            };
            let Some(live) = live(&dependents, &dependent.name, &dependent.uid).await? else {
                continue;
            };
            let references = live.metadata.owner_references.iter().flatten();
            let mut ours = references.filter(|reference| reference.uid == key.uid);
            blocked |= ours.any(|reference| reference.block_owner_deletion == Some(true));
            if live.metadata.deletion_timestamp.is_none() {
                self.follow_owners(&dependents, &dependent, &live).await?;
            }
        }
        // The end of a dependent brings this owner back, and so does its blocking no more.
        if blocked {
            Ok(Next::OnChange)
        } else {
            drop_finalizer(api, key, object, FOREGROUND).await
        }
    }

    /// Takes the owner out of its dependents, then lets it go.
    async fn orphan_dependents(
        &self,
        api: &Api<Meta>,
        key: &Key,
        object: &Meta,
    ) -> Result<Next, kube::Error> {
        let dependents = self.graph.lock().dependents(&key.uid);
        for dependent in dependents {
            let Some(api) = self.api(
                &dependent.api_version,
                &dependent.kind,
                &dependent.namespace,
            ) else {
                continue;
            };
            let Some(live) = live(&api, &dependent.name, &dependent.uid).await? else {
                continue;
            };
            let references = live.metadata.owner_references.clone().unwrap_or_default();
            let kept: Vec<_> = references
                .into_iter()
                .filter(|reference| reference.uid != key.uid)
                .collect();
            if set_owners(&api, &dependent, &live, &kept).await? == Next::Again {
                return Ok(Next::Again);
            }
        }
        drop_finalizer(api, key, object, ORPHAN).await
    }
}

fn unblock(mut reference: OwnerReference) -> OwnerReference {
    reference.block_owner_deletion = Some(false);
    reference
}

/// The object of that name, if it is still the one meant.
async fn live(api: &Api<Meta>, name: &str, uid: &str) -> Result<Option<Meta>, kube::Error> {
    let object = api.get_opt(name).await?;
    Ok(object.filter(|object| object.metadata.uid.as_deref() == Some(uid)))
}

async fn set_owners(
    api: &Api<Meta>,
    key: &Key,
    object: &Meta,
    owners: &[OwnerReference],
) -> Result<Next, kube::Error> {
    // An empty list would stay an empty list in a merge.
    let owners = (!owners.is_empty()).then_some(owners);
    patch(api, key, object, json!({ "ownerReferences": owners })).await
}

async fn drop_finalizer(
    api: &Api<Meta>,
    key: &Key,
    object: &Meta,
    finalizer: &str,
) -> Result<Next, kube::Error> {
    let mut left = object.metadata.finalizers.clone().unwrap_or_default();
    left.retain(|name| name != finalizer);
    patch(api, key, object, json!({ "finalizers": left })).await
}

/// Changes the metadata of the object as it was seen.
async fn patch(
    api: &Api<Meta>,
    key: &Key,
    object: &Meta,
    mut metadata: serde_json::Value,
) -> Result<Next, kube::Error> {
    metadata["resourceVersion"] = json!(object.metadata.resource_version);
    let patch = Patch::Merge(json!({ "metadata": metadata }));
    let patched = api
        .patch_metadata(&key.name, &PatchParams::default(), &patch)
        .await;
    tolerated(patched.map(|_| ()))
}

/// What is gone needs nothing more; what changed meanwhile is looked at again.
fn tolerated(result: Result<(), kube::Error>) -> Result<Next, kube::Error> {
    match result {
        Ok(()) => Ok(Next::OnChange),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Next::OnChange),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Next::Again),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
