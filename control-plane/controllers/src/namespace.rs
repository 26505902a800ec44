//! The end of a namespace: everything in it is deleted, then its finalizer is taken away.

mod conditions;

use std::collections::BTreeMap;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::client::Body;
use kube::core::{ApiResource, Request};
use kube::discovery::{Scope, verbs};
use kube::{Resource, ResourceExt};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::conditions::Remaining;
use crate::driver::{self, Next, Reconcile};
use crate::kinds;
use crate::metrics::WorkqueueMetrics;
use crate::source;

/// The finalizer in `spec.finalizers` that this controller answers for.
const FINALIZER: &str = "kubernetes";
/// Of so many objects of a kind that stay it is looked at what they wait for; the others are counted.
const LOOKED_AT: u32 = 500;

struct NamespaceEnd {
    client: kube::Client,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("discovering what the namespace may hold")]
    Discovery(#[source] kube::Error),
    #[error("deleting {kind} objects: {source}")]
    Content { kind: String, source: kube::Error },
    #[error("finalizing the namespace: {0}")]
    Finalize(#[source] kube::Error),
    #[error("reading the namespace: {0}")]
    Read(#[source] kube::Error),
    #[error("telling what remains in the namespace: {0}")]
    Tell(#[source] kube::Error),
}

pub(crate) async fn run(
    client: kube::Client,
    metrics: WorkqueueMetrics,
    shutdown: CancellationToken,
) {
    let namespaces = source::touched(source::objects(Api::<Namespace>::all(client.clone()), ""))
        .filter(|namespace| {
            let terminating = namespace.metadata.deletion_timestamp.is_some();
            async move { terminating }
        })
        .map(|namespace| namespace.name_any())
        .boxed();
    driver::run(NamespaceEnd { client }, namespaces, &metrics, shutdown).await;
}

/// Whether a namespace is there and not on its way out.
pub(crate) async fn is_active(client: &kube::Client, name: &str) -> Result<bool, kube::Error> {
    let namespace = Api::<Namespace>::all(client.clone()).get_opt(name).await?;
    Ok(namespace.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_none()))
}

impl Reconcile for NamespaceEnd {
    type Key = String;
    type Error = Error;
    const NAME: &'static str = "namespace";

    async fn reconcile(&self, name: &String) -> Result<Next, Error> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let Some(namespace) = api.get_opt(name).await.map_err(Error::Read)? else {
            return Ok(Next::OnChange);
        };
        let finalizers = namespace
            .spec
            .as_ref()
            .and_then(|spec| spec.finalizers.clone());
        let ours = finalizers.is_some_and(|finalizers| finalizers.iter().any(|f| f == FINALIZER));
        if namespace.metadata.deletion_timestamp.is_none() || !ours {
            return Ok(Next::OnChange);
        }
        let remaining = self.delete_content(name).await?;
        if !remaining.objects.is_empty() {
            self.tell(&api, namespace, &remaining).await?;
            // Pods take their grace, and finalizers their time.
            return Ok(Next::Again);
        }
        self.finalize(&api, namespace).await?;
        Ok(Next::OnChange)
    }
}

impl NamespaceEnd {
    /// Asks for everything to be deleted; returns what is still there.
    async fn delete_content(&self, namespace: &str) -> Result<Remaining, Error> {
        let kinds = kinds::discover(&self.client).await;
        let mut remaining = Remaining::default();
        for kind in kinds.map_err(Error::Discovery)? {
            let deletable = kind.supports(&[verbs::DELETE_COLLECTION, verbs::LIST]);
            if kind.capabilities.scope != Scope::Namespaced || !deletable {
                continue;
            }
            let resource = kind.resource;
            let left = empty(&self.client, namespace, &resource).await;
            let left = left.map_err(|source| Error::Content {
                kind: resource.kind.clone(),
                source,
            })?;
            if left.count > 0 {
                let name = format!("{}.{}", resource.plural, resource.group);
                remaining.objects.insert(name, left.count);
            }
            for (finalizer, count) in left.finalizers {
                *remaining.finalizers.entry(finalizer).or_default() += count;
            }
        }
        Ok(remaining)
    }

    /// Puts into the namespace's status what keeps it.
    async fn tell(
        &self,
        api: &Api<Namespace>,
        mut namespace: Namespace,
        remaining: &Remaining,
    ) -> Result<(), Error> {
        let now = Timestamp::now();
        let now = now.round(jiff::Unit::Second).unwrap_or(now);
        let status = namespace.status.get_or_insert_default();
        let old = status.conditions.as_deref().unwrap_or_default();
        let Some(new) = conditions::told(remaining, old, now) else {
            return Ok(());
        };
        status.conditions = Some(new);
        let (name, params) = (namespace.name_any(), PostParams::default());
        match api.replace_status(&name, &params, &namespace).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(Error::Tell(error)),
        }
    }

    async fn finalize(&self, api: &Api<Namespace>, namespace: Namespace) -> Result<(), Error> {
        let name = namespace.name_any();
        let finalizers = namespace
            .spec
            .and_then(|spec| spec.finalizers)
            .unwrap_or_default();
        let left: Vec<_> = finalizers
            .into_iter()
            .filter(|finalizer| finalizer != FINALIZER)
            .collect();
        let body = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "resourceVersion": namespace.metadata.resource_version},
            "spec": {"finalizers": left},
        });
        let params = PostParams::default();
        match api
            .replace_subresource("finalize", &name, &params, &body)
            .await
        {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(Error::Finalize(error)),
        }
    }
}

/// What is left of a kind.
#[derive(Default)]
struct Left {
    count: i64,
    finalizers: BTreeMap<String, i64>,
}

/// Deletes all objects of a kind in the namespace; returns what is left.
async fn empty(
    client: &kube::Client,
    namespace: &str,
    resource: &ApiResource,
) -> Result<Left, kube::Error> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, resource);
    let one = ListParams::default().limit(1);
    if api.list_metadata(&one).await?.items.is_empty() {
        return Ok(Left::default());
    }
    let path = DynamicObject::url_path(resource, Some(namespace));
    let delete = Request::new(path)
        .delete_collection(&DeleteParams::background(), &ListParams::default())
        .map_err(kube::Error::BuildRequest)?;
    // The answer lists every object that went: it is left unread, for it may be large.
    let answer = client.send(delete.map(Body::from)).await?;
    if !answer.status().is_success() {
        let failed = answer.status().to_string();
        return Err(kube::Error::Service(failed.into()));
    }
    drop(answer);
    let page = api
        .list_metadata(&ListParams::default().limit(LOOKED_AT))
        .await?;
    let beyond = page.metadata.remaining_item_count.unwrap_or(0);
    let mut left = Left {
        count: page.items.len() as i64 + beyond,
        ..Left::default()
    };
    for finalizer in page.items.iter().flat_map(ResourceExt::finalizers) {
        *left.finalizers.entry(finalizer.clone()).or_default() += 1;
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{discovery, server};

    #[tokio::test]
    async fn every_kind_is_emptied_whatever_version_others_of_its_group_have() {
        let (client, got) = server(|method, path| match (method, path) {
            ("GET", "/api/v1/namespaces/n/events") => Some(json!({"metadata": {}, "items": []})),
            ("GET", path) if path.contains("/namespaces/n/") => Some(json!({"metadata": {},
                "items": [{"metadata": {"name": "a", "namespace": "n"}}]})),
            ("DELETE", path) if path.contains("/namespaces/n/") => Some(json!({})),
            (_, path) => discovery(path),
        });
        let remaining = NamespaceEnd { client }.delete_content("n").await;
        let remaining = remaining.expect("a server that answers").objects;
        let kinds = [
            "events.events.k8s.io",
            "events.ex.com",
            "news.ex.com",
            "olds.ex.com",
        ];
        assert_eq!(remaining.into_keys().collect::<Vec<_>>(), kinds);
        let got = got.lock().expect("nobody panicked");
        let mut deleted: Vec<_> = got
            .iter()
            .filter(|(method, _, _)| method == "DELETE")
            .map(|(_, path, _)| path.as_str())
            .collect();
        deleted.sort_unstable();
        assert_eq!(
            deleted,
            [
                "/apis/events.k8s.io/v1/namespaces/n/events",
                "/apis/ex.com/v1/namespaces/n/olds",
                "/apis/ex.com/v1alpha1/namespaces/n/events",
                "/apis/ex.com/v1alpha1/namespaces/n/news",
            ]
        );
    }
}
