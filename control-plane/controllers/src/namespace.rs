//! The end of a namespace: everything in it is deleted, then its finalizer is taken away.

mod conditions;

use std::collections::BTreeMap;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::client::Body;
use kube::core::{ApiResource, Request, Status};
use kube::discovery::{Scope, verbs};
use kube::{Resource, ResourceExt};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::conditions::Remaining;
use crate::driver::{self, Next, Reconcile};
use crate::kinds::{self, Kind};
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
    #[error("deleting what the namespace holds: {0}")]
    Content(String),
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
        let remaining = self.delete_content(name).await;
        // Also when nothing remains: others may keep the namespace, and it is to say so no longer.
        let Some(namespace) = self.tell(&api, namespace, &remaining).await? else {
            return Ok(Next::OnChange);
        };
        if let Some(failures) = remaining.failures() {
            return Err(Error::Content(failures));
        }
        if !remaining.objects.is_empty() {
            // Pods take their grace, and finalizers their time.
            return Ok(Next::Again);
        }
        self.finalize(&api, namespace).await?;
        Ok(Next::OnChange)
    }
}

impl NamespaceEnd {
    /// Asks for everything to be deleted; returns what is still there.
    async fn delete_content(&self, namespace: &str) -> Remaining {
        let mut remaining = Remaining::default();
        let kinds = kinds::discover(&self.client).await.unwrap_or_else(|error| {
            remaining.undiscovered = Some(text(&error));
            Vec::new()
        });
        let deletable = |kind: &Kind| {
            kind.capabilities.scope == Scope::Namespaced
                && kind.supports(&[verbs::DELETE_COLLECTION, verbs::LIST])
        };
        let kinds = kinds
            .into_iter()
            .filter(deletable)
            .map(|kind| kind.resource);
        // Pods go first, as upstream: what they use stays until they have ended.
        let (pods, others): (Vec<_>, Vec<_>) = kinds.partition(is_pods);
        for resources in [pods, others] {
            self.empty_all(namespace, &resources, &mut remaining).await;
            if !remaining.objects.is_empty() || !remaining.undeleted.is_empty() {
                break;
            }
        }
        remaining.undeleted.sort_unstable();
        remaining
    }

    async fn empty_all(
        &self,
        namespace: &str,
        resources: &[ApiResource],
        remaining: &mut Remaining,
    ) {
        for resource in resources {
            let left = match empty(&self.client, namespace, resource).await {
                Ok(left) => left,
                Err(error) => {
                    remaining.undeleted.push(text(&error));
                    continue;
                }
            };
            if left.count > 0 {
                let name = format!("{}.{}", resource.plural, resource.group);
                remaining.objects.insert(name, left.count);
            }
            for (finalizer, count) in left.finalizers {
                *remaining.finalizers.entry(finalizer).or_default() += count;
            }
        }
    }

    /// Puts into the namespace's status what keeps it; returns the namespace as it is then, if it is still there.
    async fn tell(
        &self,
        api: &Api<Namespace>,
        mut namespace: Namespace,
        remaining: &Remaining,
    ) -> Result<Option<Namespace>, Error> {
        let now = Timestamp::now();
        let now = now.round(jiff::Unit::Second).unwrap_or(now);
        let status = namespace.status.get_or_insert_default();
        let old = status.conditions.as_deref().unwrap_or_default();
        let Some(new) = conditions::told(remaining, old, now) else {
            return Ok(Some(namespace));
        };
        status.conditions = Some(new);
        let (name, params) = (namespace.name_any(), PostParams::default());
        match api.replace_status(&name, &params, &namespace).await {
            Ok(namespace) => Ok(Some(namespace)),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
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

fn is_pods(resource: &ApiResource) -> bool {
    resource.group.is_empty() && resource.plural == "pods"
}

/// What the server said, or why it could not be asked.
fn text(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
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
        let said = answer.into_body().collect_bytes().await;
        let said = said
            .ok()
            .and_then(|said| serde_json::from_slice::<Status>(&said).ok());
        return Err(match said {
            Some(status) => kube::Error::Api(status.boxed()),
            None => kube::Error::Service(failed.into()),
        });
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
    use crate::testing::{discovery, server, status};
    use serde_json::Value;

    #[tokio::test]
    async fn every_kind_is_emptied_whatever_version_others_of_its_group_have() {
        let (client, got) = server(|method, path| match (method, path) {
            ("GET", "/api/v1/namespaces/n/events") => Some(json!({"metadata": {}, "items": []})),
            ("GET", path) if path.contains("/namespaces/n/") => Some(json!({"metadata": {},
                "items": [{"metadata": {"name": "a", "namespace": "n"}}]})),
            ("DELETE", path) if path.contains("/namespaces/n/") => Some(json!({})),
            (_, path) => discovery(path),
        });
        let remaining = NamespaceEnd { client }.delete_content("n").await.objects;
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

    #[tokio::test]
    async fn what_pods_use_stays_until_they_have_ended() {
        fn answer(method: &str, path: &str, pods: Value) -> Option<Value> {
            match (method, path) {
                ("GET", "/api/v1") => {
                    let verbs = ["deletecollection", "list"];
                    let kind = |name: &str, kind: &str| json!({"name": name, "singularName": "", "namespaced": true, "kind": kind, "verbs": verbs});
                    Some(
                        json!({"kind": "APIResourceList", "groupVersion": "v1", "resources":
                        [kind("configmaps", "ConfigMap"), kind("pods", "Pod")]}),
                    )
                }
                ("GET", "/apis") => Some(json!({"kind": "APIGroupList", "groups": []})),
                ("GET", "/api/v1/namespaces/n/pods") => {
                    Some(json!({"metadata": {}, "items": pods}))
                }
                ("GET", "/api/v1/namespaces/n/configmaps") => Some(json!({"metadata": {}, "items":
                    [{"metadata": {"name": "a", "namespace": "n"}}]})),
                ("DELETE", _) => Some(json!({})),
                (_, path) => discovery(path),
            }
        }
        let with_pod = |method: &str, path: &str| {
            answer(
                method,
                path,
                json!([{"metadata": {"name": "a", "namespace": "n"}}]),
            )
        };
        let without = |method: &str, path: &str| answer(method, path, json!([]));
        for (with_pods, expected) in [(true, "pods"), (false, "configmaps")] {
            let (client, got) = match with_pods {
                true => server(with_pod),
                false => server(without),
            };
            NamespaceEnd { client }.delete_content("n").await;
            let got = got.lock().expect("nobody panicked");
            let deleted = got.iter().filter(|(method, _, _)| method == "DELETE");
            let deleted: Vec<_> = deleted.map(|(_, path, _)| path.as_str()).collect();
            assert_eq!(deleted, [format!("/api/v1/namespaces/n/{expected}")]);
        }
    }

    /// What is written when a terminating namespace is looked at: the path, and what is not well.
    async fn written(
        answer: fn(&str, &str) -> Option<Value>,
    ) -> (bool, Vec<(String, Vec<String>)>) {
        let (client, got) = server(move |method, path| {
            let namespace = json!({"metadata": {"name": "n", "resourceVersion": "1",
                "deletionTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"finalizers": ["kubernetes", "ex.com/other"]}});
            match (method, path) {
                ("GET" | "PUT", path)
                    if path.starts_with("/api/v1/namespaces/n") && !path.ends_with("/events") =>
                {
                    Some(namespace)
                }
                _ => answer(method, path),
            }
        });
        let ended = NamespaceEnd { client }.reconcile(&"n".to_string()).await;
        let got = got.lock().expect("nobody panicked");
        let puts = got.iter().filter(|(method, _, _)| method == "PUT");
        let unwell = |body: &Value| {
            let conditions = body["status"]["conditions"].as_array();
            let conditions = conditions.into_iter().flatten();
            let unwell = conditions.filter(|condition| condition["status"] == "True");
            unwell
                .map(|c| format!("{} {}", c["reason"], c["message"]))
                .collect()
        };
        let told = puts.map(|(_, path, body)| (path.clone(), unwell(body)));
        (ended.is_ok(), told.collect())
    }

    #[tokio::test]
    async fn what_is_in_the_way_is_told_before_the_namespace_is_let_go() {
        let path = |end: &str| format!("/api/v1/namespaces/n/{end}");
        let empty = |_: &str, path: &str| match path.contains("/namespaces/n/") {
            true => Some(json!({"metadata": {}, "items": []})),
            false => discovery(path),
        };
        let expected = vec![(path("status"), vec![]), (path("finalize"), vec![])];
        assert_eq!(written(empty).await, (true, expected));
        let failing = |method: &str, path: &str| match path.ends_with("/namespaces/n/news") {
            true => Some(status(500, "InternalError")),
            false => match path.contains("/namespaces/n/") {
                true if method == "GET" => Some(json!({"metadata": {}, "items": []})),
                _ => discovery(path),
            },
        };
        let why = r#""ContentDeletionFailed" "Failed to delete all resource types, 1 remaining: InternalError""#;
        let expected = vec![(path("status"), vec![why.to_string()])];
        assert_eq!(written(failing).await, (false, expected));
        let why = r#""DiscoveryFailed" "InternalError""#;
        let expected = vec![(path("status"), vec![why.to_string()])];
        let blind = |_: &str, _: &str| Some(status(500, "InternalError"));
        assert_eq!(written(blind).await, (false, expected));
    }
}
