//! Volumes and sandbox of a pod: made before its first container, removed after its last.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use sampan_proto::v1;

use super::volumes::mount_failed;
use super::{Done, Shared, Worker};
use crate::content::{self, Means, Subscription, Tokens};
use crate::cri::{self, sandbox_ips};
use crate::events::{PodRecorder, Severity};
use crate::plan::Outcome;

/// The longest a sandbox may take to come up (kubelet's bound).
const RUN_TIMEOUT: Duration = Duration::from_secs(240);
/// First and longest pause between attempts to remove a sandbox.
const REMOVE_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Worker {
    pub(super) fn create_sandbox(
        &self,
        attempt: u32,
        subscription: Arc<Subscription>,
    ) -> BoxFuture<'static, Done> {
        let (shared, pod) = (self.shared.clone(), self.given_pod());
        let (recorder, cancel) = (self.recorder.clone(), self.cancel.clone());
        let (pod_dir, writing) = (self.pod_dir(), self.volumes.writing());
        Box::pin(async move {
            let means = Means {
                node: &shared.facts,
                objects: &shared.objects,
                subscription: &subscription,
                policy: &shared.volumes,
            };
            if let Some(volume) = content::wants_memory(&pod)
                && shared.volumes.memory_dir.is_none()
            {
                let message = format!(
                    "volume \"{volume}\" is on disk: this node has no file system in memory that it may use"
                );
                recorder.pod(Severity::Warning, "MemoryMediumUnavailable", &message);
            }
            *writing.lock().await = false;
            let prepared = content::prepare(&pod, &pod_dir, &means, &shared.renders, &cancel).await;
            // The pod is to stop.
            let Some(prepared) = prepared else {
                let failed = Box::new(Outcome::SandboxFailed { attempt });
                return Done::Sandbox(failed, Tokens::new());
            };
            let tokens = match prepared {
                Ok(tokens) => tokens,
                Err((volume, error)) => {
                    let message = mount_failed(&volume, &error);
                    recorder.pod(Severity::Warning, "FailedMount", &message);
                    let failed = Box::new(Outcome::SandboxFailed { attempt });
                    return Done::Sandbox(failed, Tokens::new());
                }
            };
            let outcome = match create(&shared, &pod, attempt, &recorder).await {
                Some((id, ips)) => Outcome::SandboxReady {
                    id,
                    ips,
                    attempt,
                    limits: cri::pod_limits(&pod),
                },
                None => Outcome::SandboxFailed { attempt },
            };
            Done::Sandbox(Box::new(outcome), tokens)
        })
    }

    pub(super) fn remove_sandbox(&self, id: String) -> BoxFuture<'static, Done> {
        let shared = self.shared.clone();
        let (pod_dir, writing) = (self.pod_dir(), self.volumes.writing());
        let memory = self.memory_dir();
        Box::pin(async move {
            remove(&shared, &id).await;
            // Logs stay, the rest of an ended pod's files go.
            let mut removed = writing.lock().await;
            *removed = true;
            remove_dir(pod_dir).await;
            remove_memory(memory).await;
            Done::outcome(Outcome::SandboxGone)
        })
    }

    /// Removes what is left of a pod that is gone: its files and its logs.
    pub(super) fn clean_up(&self) -> BoxFuture<'static, Done> {
        let pod_dir = self.pod_dir();
        let logs = cri::log_directory(&self.shared.log_dir, &self.pod);
        let (writing, memory) = (self.volumes.writing(), self.memory_dir());
        Box::pin(async move {
            let mut removed = writing.lock().await;
            *removed = true;
            remove_dir(pod_dir).await;
            remove_memory(memory).await;
            remove_dir(logs).await;
            Done::CleanedUp
        })
    }

    pub(super) fn pod_dir(&self) -> PathBuf {
        self.shared.pods_dir.join(&self.uid)
    }

    /// Where the pod's emptyDirs in memory are, if it has any there.
    fn memory_dir(&self) -> Option<PathBuf> {
        let dir = content::memory_dir(&self.shared.volumes, &self.uid)?;
        content::wants_memory(&self.pod).map(|_| dir)
    }
}

/// The sandbox's id and IPs; nothing after a failure, which the events tell.
async fn create(
    shared: &Arc<Shared>,
    pod: &Pod,
    attempt: u32,
    recorder: &PodRecorder,
) -> Option<(String, Vec<String>)> {
    let failed = |message: &str| {
        let message = format!("Failed to create pod sandbox: {message}");
        recorder.pod(Severity::Warning, "FailedCreatePodSandBox", &message);
    };
    let runtime_class = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.runtime_class_name.as_deref());
    let handler = match handler(shared, runtime_class).await {
        Ok(handler) => handler,
        Err(message) => {
            failed(&message);
            return None;
        }
    };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let namespace = match shared.objects.namespace(namespace).await {
        Ok(namespace) => namespace,
        Err(error) => {
            failed(&crate::agent::with_causes(&error));
            return None;
        }
    };
    let mut config = cri::sandbox_config(pod, &shared.log_dir, attempt, content::dns(pod).await);
    if let Err(error) = namespace.annotate(pod, &mut config.annotations) {
        failed(&error.to_string());
        return None;
    }
    let request = v1::RunPodSandboxRequest {
        config: Some(config),
        runtime_handler: handler,
    };
    let run = tokio::time::timeout(RUN_TIMEOUT, shared.runtime.run_pod_sandbox(request)).await;
    let id = match run {
        Ok(Ok(response)) => response.pod_sandbox_id,
        Ok(Err(error)) => {
            failed(&error.message);
            return None;
        }
        Err(_) => {
            failed("the runtime did not answer in time");
            return None;
        }
    };
    match sandbox_ips(shared.runtime.as_ref(), &id).await {
        Ok(ips) => Some((id, pod_ips(pod, ips, &shared.facts.host_ip))),
        Err(error) => {
            failed(&error.message);
            remove(shared, &id).await;
            None
        }
    }
}

/// The addresses of a pod: those of its sandbox, or the node's own on the host's network, where a sandbox has none.
pub(super) fn pod_ips(pod: &Pod, ips: Vec<String>, host_ip: &str) -> Vec<String> {
    let spec = pod.spec.as_ref();
    let of_host = spec.and_then(|spec| spec.host_network) == Some(true);
    match ips.is_empty() && of_host && !host_ip.is_empty() {
        true => vec![host_ip.to_owned()],
        false => ips,
    }
}

/// The runtime handler of a RuntimeClass. No class is the runtime's default handler.
async fn handler(shared: &Shared, class: Option<&str>) -> Result<String, String> {
    use k8s_openapi::api::node::v1::RuntimeClass;
    let Some(class) = class.filter(|class| !class.is_empty()) else {
        return Ok(String::new());
    };
    let classes = kube::Api::<RuntimeClass>::all(shared.client.clone());
    match classes.get_opt(class).await {
        Ok(Some(found)) => Ok(found.handler),
        Ok(None) => Err(format!("RuntimeClass \"{class}\" not found")),
        Err(error) => Err(crate::agent::api_message(&error)),
    }
}

/// Stops and removes a sandbox; unknown ones count as removed.
async fn remove(shared: &Shared, id: &str) {
    let mut retry = crate::plan::Backoff::default();
    loop {
        let stop = v1::StopPodSandboxRequest {
            pod_sandbox_id: id.to_owned(),
        };
        let remove = v1::RemovePodSandboxRequest {
            pod_sandbox_id: id.to_owned(),
        };
        let result = match shared.runtime.stop_pod_sandbox(stop).await {
            Ok(_) => shared.runtime.remove_pod_sandbox(remove).await.map(|_| ()),
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => return,
            Err(error) if error.is_not_found() => return,
            Err(error) => {
                tracing::warn!(sandbox = id, %error, "sandbox not removed; trying again");
                retry.fail(jiff::Timestamp::now(), REMOVE_RETRY);
                tokio::time::sleep(retry.delay()).await;
            }
        }
    }
}

async fn remove_memory(dir: Option<PathBuf>) {
    if let Some(dir) = dir {
        remove_dir(dir).await;
    }
}

async fn remove_dir(dir: PathBuf) {
    match tokio::fs::remove_dir_all(&dir).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(dir = %dir.display(), %error, "folder not removed");
        }
        _ => {}
    }
}
