//! Telling others of a pod: readers of the kubelet API at once; the API server by writing its
//! status, only when it changed, one write at a time, the newest wins.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};

use super::{Done, Worker};
use crate::limits::{API_RETRY, STATUS_DEFER};
use crate::plan::{
    Backoff, CAPABILITIES, after, capabilities, is_only_creating, known_capabilities, status_patch,
};
use crate::registry::{ContainerView, PodView};

/// How long one write may take before it counts as failed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// What a write came to.
pub(super) enum Written {
    Accepted {
        status: Box<PodStatus>,
        capabilities: String,
        version: u64,
    },
    /// There is no such pod any more.
    NoPod,
    Failed(String),
}

/// What the API server knows, and the write under way.
pub(super) struct Report {
    known: PodStatus,
    /// The annotation that tells what the containers can reach.
    capabilities: String,
    /// resourceVersion `known` belongs to; zero when it cannot be told.
    version: u64,
    writing: bool,
    settled: bool,
    deferred_since: Option<Timestamp>,
    retry: Backoff,
}

impl Report {
    pub(super) fn new(pod: &Pod) -> Report {
        Report {
            known: pod.status.clone().unwrap_or_default(),
            capabilities: known_capabilities(pod).to_owned(),
            version: version(pod),
            writing: false,
            settled: false,
            deferred_since: None,
            retry: Backoff::default(),
        }
    }

    pub(super) fn known(&self) -> &PodStatus {
        &self.known
    }

    /// Whether the API server has the newest status.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Takes over what the API server has, unless it is older than the last write.
    pub(super) fn heard(&mut self, pod: &Pod) {
        if !self.writing && version(pod) >= self.version {
            self.known = pod.status.clone().unwrap_or_default();
            self.capabilities = known_capabilities(pod).to_owned();
            self.version = version(pod);
        }
    }

    /// Folds in the end of a write. True when the pod turned out to be gone.
    pub(super) fn written(&mut self, written: Written, newest: &Pod, now: Timestamp) -> bool {
        self.writing = false;
        match written {
            Written::Accepted {
                status,
                capabilities,
                version,
            } => {
                self.known = *status;
                self.capabilities = capabilities;
                self.version = version;
                self.retry.reset();
                self.heard(newest);
                false
            }
            Written::NoPod => true,
            Written::Failed(reason) => {
                self.retry.fail(now, API_RETRY);
                tracing::warn!(reason, "pod status not written; trying again");
                self.heard(newest);
                false
            }
        }
    }

    /// The patch to send now, or when to look again.
    fn next(&mut self, status: &PodStatus, capabilities: &str, now: Timestamp) -> Next {
        self.retry.follow(now);
        self.deferred_since = self.deferred_since.map(|since| since.min(now));
        if self.writing {
            self.settled = false;
            return Next::Nothing;
        }
        let mut patch = json!({});
        if let Some(status) = status_patch(&self.known, status) {
            patch["status"] = status;
        }
        if capabilities != self.capabilities {
            patch["metadata"] = json!({ "annotations": { CAPABILITIES: capabilities } });
        }
        if patch == json!({}) {
            self.settled = true;
            self.deferred_since = None;
            return Next::Nothing;
        }
        self.settled = false;
        if let Some(until) = self.retry.until().filter(|until| *until > now) {
            return Next::At(until);
        }
        if is_only_creating(status) {
            let since = *self.deferred_since.get_or_insert(now);
            let until = after(since, STATUS_DEFER);
            if until > now {
                return Next::At(until);
            }
        }
        self.deferred_since = None;
        self.writing = true;
        Next::Send(patch)
    }
}

enum Next {
    Nothing,
    At(Timestamp),
    Send(Value),
}

/// Whether the server may mean that the UID sent is not the pod's. Its words are not looked at: they hold names that
/// users chose.
fn is_refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 409 | 422))
}

/// Whether there is no pod of this name any more, or another one. If it cannot be told, it counts as there.
async fn is_another(pods: &Api<Pod>, name: &str, uid: &str) -> bool {
    match tokio::time::timeout(WRITE_TIMEOUT, pods.get_opt(name)).await {
        Ok(Ok(found)) => found.is_none_or(|pod| pod.metadata.uid.as_deref() != Some(uid)),
        Ok(Err(_)) | Err(_) => false,
    }
}

/// The resourceVersion as a number; they are comparable since 1.35.
fn version(pod: &Pod) -> u64 {
    let text = pod.metadata.resource_version.as_deref();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Worker {
    /// Shows the pod to the kubelet API's readers.
    pub(super) fn publish(&self) {
        let containers = self.state.containers.iter().filter_map(|(name, track)| {
            let instance = track.instance.as_ref()?;
            let view = ContainerView {
                id: instance.id.clone(),
                attempt: instance.attempt,
                running: track.running().is_some(),
            };
            Some((name.clone(), view))
        });
        let view = PodView {
            pod: self.pod.clone(),
            status: self.status.clone(),
            log_dir: crate::cri::log_directory(&self.shared.log_dir, &self.pod),
            containers: containers.collect(),
        };
        self.shared.registry.publish(&self.uid, view);
    }

    /// Starts writing the status if it changed. Returns when to look again.
    pub(super) fn write_status(&mut self, now: Timestamp) -> Option<Timestamp> {
        let capabilities = capabilities(&self.pod, &self.state, &self.report.capabilities);
        let mut patch = match self.report.next(&self.status, &capabilities, now) {
            Next::Nothing => return None,
            Next::At(at) => return Some(at),
            Next::Send(patch) => patch,
        };
        let (pods, name) = self.api();
        // The uid is a precondition: a new pod of this name must not get the old one's status.
        patch["metadata"]["uid"] = json!(self.uid);
        let uid = self.uid.clone();
        self.work.push(Box::pin(async move {
            let params = PatchParams::default();
            let body = Patch::Strategic(patch);
            let call = pods.patch_status(&name, &params, &body);
            Done::Written(match tokio::time::timeout(WRITE_TIMEOUT, call).await {
                Ok(Ok(pod)) => Written::Accepted {
                    version: version(&pod),
                    capabilities: known_capabilities(&pod).to_owned(),
                    status: Box::new(pod.status.unwrap_or_default()),
                },
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => Written::NoPod,
                Ok(Err(error)) if is_refused(&error) && is_another(&pods, &name, &uid).await => {
                    Written::NoPod
                }
                Ok(Err(error)) => Written::Failed(crate::agent::api_message(&error)),
                Err(_) => Written::Failed("the API server did not answer in time".into()),
            })
        }));
        None
    }

    /// Removes the API object of a pod that has stopped.
    pub(super) fn delete_object(&self) -> futures::future::BoxFuture<'static, Done> {
        let (pods, name) = self.api();
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: Some(self.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let uid = self.uid.clone();
        Box::pin(async move {
            let mut retry = Backoff::default();
            loop {
                let call = pods.delete(&name, &params);
                match tokio::time::timeout(WRITE_TIMEOUT, call).await {
                    Ok(Ok(_)) => return Done::Deleted,
                    Ok(Err(kube::Error::Api(status))) if status.code == 404 => {
                        return Done::Deleted;
                    }
                    Ok(Err(error))
                        if is_refused(&error) && is_another(&pods, &name, &uid).await =>
                    {
                        return Done::Deleted;
                    }
                    Ok(Err(error)) => {
                        let reason = crate::agent::api_message(&error);
                        tracing::warn!(pod = name, reason, "pod not deleted; trying again");
                    }
                    Err(_) => tracing::warn!(pod = name, "pod not deleted in time; trying again"),
                }
                retry.fail(Timestamp::now(), API_RETRY);
                tokio::time::sleep(retry.delay()).await;
            }
        })
    }

    fn api(&self) -> (Api<Pod>, String) {
        let metadata = &self.pod.metadata;
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let pods = Api::namespaced(self.shared.client.clone(), namespace);
        (pods, metadata.name.clone().unwrap_or_default())
    }
}
