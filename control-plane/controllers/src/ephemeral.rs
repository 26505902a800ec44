//! Every generic ephemeral volume of a pod has its claim, which the pod owns: upstream's ephemeral-volume-controller.
//!
//! A claim of that name which is not the pod's is left alone, and the pod waits until it is gone. Claims go with their
//! pod by the garbage collector.

mod index;

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimTemplate, Pod, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, ObjectMeta, PartialObjectMeta, PostParams};
use kube::runtime::events::EventType;
use sampan_api::ephemeral::{claim_name, not_owned};
use tokio_util::sync::CancellationToken;

use crate::driver::{self, Next, Reconcile};
use crate::metrics::WorkqueueMetrics;
use crate::source;
use crate::tell::Teller;
use index::{Index, Seen};

/// Who says it, under upstream's name.
const REPORTER: &str = "ephemeral_volume";

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    namespace: String,
    name: String,
}

struct EphemeralVolumes {
    client: kube::Client,
    teller: Teller,
}

/// Why a volume has no claim of the pod's own.
enum Without {
    /// There is a claim of that name: its end brings the pod here again.
    Taken(String),
    /// The server does not want it now.
    Refused(String),
    /// The server cannot be asked.
    Unknown(kube::Error),
}

pub(crate) async fn run(
    client: kube::Client,
    metrics: WorkqueueMetrics,
    shutdown: CancellationToken,
) {
    let keys = keys(&client);
    let teller = Teller::new(client.clone(), REPORTER);
    driver::run(
        EphemeralVolumes { client, teller },
        keys,
        &metrics,
        shutdown,
    )
    .await;
}

/// The pods with such volumes as they come, and again when a claim of one of these names goes.
fn keys(client: &kube::Client) -> impl Stream<Item = Key> + Send + Unpin + use<> {
    let pods = Api::<Seen>::all_with(client.clone(), &ApiResource::erase::<Pod>(&()));
    let claims = Api::<PartialObjectMeta<PersistentVolumeClaim>>::all(client.clone());
    let index = Arc::new(Index::default());
    let of_claims = Arc::clone(&index);
    let pods = source::objects(pods, "");
    let pods = pods.flat_map(move |event| stream::iter(index.pod_event(event)));
    let claims = source::objects(claims, "");
    let claims = claims.flat_map(move |event| stream::iter(of_claims.claim_event(event)));
    stream::select(pods, claims).boxed()
}

impl Reconcile for EphemeralVolumes {
    type Key = Key;
    type Error = kube::Error;
    const NAME: &'static str = "ephemeral-volume";

    async fn reconcile(&self, key: &Key) -> Result<Next, kube::Error> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &key.namespace);
        let pod = pods.get_opt(&key.name).await?;
        let Some(pod) = pod.filter(|pod| pod.metadata.deletion_timestamp.is_none()) else {
            return Ok(Next::OnChange);
        };
        let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref());
        for volume in volumes.unwrap_or_default() {
            let (next, why) = match self.volume(&pod, volume).await {
                Ok(()) => continue,
                Err(Without::Taken(why)) => (Next::OnChange, why),
                Err(Without::Refused(why)) => (Next::Again, why),
                Err(Without::Unknown(error)) => return Err(error),
            };
            let note = format!("ephemeral volume {}: {why}", volume.name);
            self.teller
                .tell(&pod, EventType::Warning, "FailedBinding", note)
                .await;
            return Ok(next);
        }
        Ok(Next::OnChange)
    }
}

impl EphemeralVolumes {
    async fn volume(&self, pod: &Pod, volume: &Volume) -> Result<(), Without> {
        let source = volume.ephemeral.as_ref();
        let Some(template) = source.and_then(|source| source.volume_claim_template.as_ref()) else {
            return Ok(());
        };
        let namespace = pod.namespace().unwrap_or_default();
        let name = claim_name(&pod.name_any(), &volume.name);
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &namespace);
        if let Some(claim) = claims.get_opt(&name).await.map_err(Without::Unknown)? {
            let why = not_owned(&pod.metadata, &claim.metadata);
            return why.map_or(Ok(()), |why| Err(Without::Taken(why)));
        }
        let claim = wanted(pod, name, template);
        match claims.create(&PostParams::default(), &claim).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code < 500 => {
                let name = claim.name_any();
                let why = format!("create PVC {name}: {}", status.message);
                Err(Without::Refused(why))
            }
            Err(error) => Err(Without::Unknown(error)),
        }
    }
}

/// The claim of a volume: the pod is its owner, and does not end in the foreground before it.
fn wanted(
    pod: &Pod,
    name: String,
    template: &PersistentVolumeClaimTemplate,
) -> PersistentVolumeClaim {
    let metadata = template.metadata.clone().unwrap_or_default();
    let owner = OwnerReference {
        api_version: "v1".to_string(),
        kind: "Pod".to_string(),
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(name),
            labels: metadata.labels,
            annotations: metadata.annotations,
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(template.spec.clone()),
        ..PersistentVolumeClaim::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Got, server, status};
    use serde_json::{Value, json};

    const CLAIMS: &str = "/api/v1/namespaces/n/persistentvolumeclaims";

    fn pod(extra: Value) -> Value {
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        let mut metadata = json!({"name": "p", "namespace": "n", "uid": "u"});
        for (key, value) in extra.as_object().expect("an object") {
            metadata[key] = value.clone();
        }
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [], "volumes": [
            {"name": "config", "configMap": {"name": "c"}},
            {"name": "v", "ephemeral": {"volumeClaimTemplate": template}}]}})
    }

    /// What comes of a pod, and what was written.
    async fn look(pod: Value, claim: Option<Value>, created: Option<Value>) -> (Next, Got) {
        let (client, got) = server(move |method, path| match (method, path) {
            ("GET", "/api/v1/namespaces/n/pods/p") => Some(pod.clone()),
            ("GET", path) if path.starts_with(CLAIMS) => claim.clone(),
            ("POST", CLAIMS) => created.clone().or(Some(json!({"metadata": {}}))),
            (_, path) if path.contains("/events") => Some(json!({"metadata": {}})),
            _ => None,
        });
        let volumes = EphemeralVolumes {
            teller: Teller::new(client.clone(), REPORTER),
            client,
        };
        let key = Key {
            namespace: "n".to_string(),
            name: "p".to_string(),
        };
        (volumes.reconcile(&key).await.expect("answers"), got)
    }

    fn written(got: &Got, end: &str) -> Vec<Value> {
        let got = got.lock().expect("nobody panicked");
        let of =
            |(method, path, _): &&(String, String, Value)| method == "POST" && path.ends_with(end);
        got.iter()
            .filter(of)
            .map(|(_, _, body)| body.clone())
            .collect()
    }

    #[tokio::test]
    async fn a_volume_gets_a_claim_that_the_pod_owns() {
        let (next, got) = look(pod(json!({})), None, None).await;
        assert_eq!(next, Next::OnChange);
        let made = written(&got, "persistentvolumeclaims");
        let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u",
            "controller": true, "blockOwnerDeletion": true});
        let metadata = json!({"name": "p-v", "labels": {"a": "b"}, "ownerReferences": [owner]});
        assert_eq!(made.len(), 1);
        assert_eq!(made[0]["metadata"], metadata);
        assert_eq!(made[0]["spec"]["resources"]["requests"]["storage"], "1Gi");
        // One that is there is enough, and one that goes gets none.
        let claim =
            json!({"metadata": {"name": "p-v", "namespace": "n", "ownerReferences": [owner]}});
        let deleted = pod(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}));
        for (pod, claim) in [(pod(json!({})), Some(claim)), (deleted, None)] {
            let (next, got) = look(pod, claim, None).await;
            assert_eq!(next, Next::OnChange);
            assert_eq!(written(&got, ""), Vec::<Value>::new());
        }
    }

    #[tokio::test]
    async fn what_keeps_a_claim_from_being_made_is_told() {
        let other = json!({"metadata": {"name": "p-v", "namespace": "n"}});
        let (next, got) = look(pod(json!({})), Some(other), None).await;
        assert_eq!(next, Next::OnChange);
        assert_eq!(written(&got, "persistentvolumeclaims").len(), 0);
        let not = "ephemeral volume v: PVC n/p-v was not created for pod n/p (pod is not owner)";
        let event = &written(&got, "events")[0];
        assert_eq!(
            (&event["reason"], &event["note"]),
            (&json!("FailedBinding"), &json!(not))
        );
        let (next, got) = look(pod(json!({})), None, Some(status(403, "Forbidden"))).await;
        assert_eq!(next, Next::Again);
        let event = &written(&got, "events")[0];
        assert_eq!(
            event["note"],
            "ephemeral volume v: create PVC p-v: Forbidden"
        );
    }
}
