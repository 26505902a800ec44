//! Starting one container: image, environment, mounts, create, start.

mod mounts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Container, Pod};
use sampan_proto::{Code, CriError, v1};
use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::hooks::Hooks;
use super::message::{finished, message_path};
use super::stop::stop;
use super::{Done, Shared, Worker};
use crate::agent::with_causes;
use crate::content::{self, Environment, Mounts, expand};
use crate::cri::{self, ContainerParts, observe_verbose};
use crate::events::{PodRecorder, Severity, cut};
use crate::images::Wanted;
use crate::limits::{DEFAULT_GRACE_SECONDS, ENV_BYTES_MAX, STATUS_MESSAGE_MAX};
use crate::plan::{Instance, Outcome, Run, Sandbox, StartFailure, container_hash, container_named};

/// Among the starts under way on this node.
pub(super) type Place<'a> = SemaphorePermit<'a>;

/// All that one start needs, taken from the worker at its beginning.
pub(super) struct Start {
    pub(super) shared: Arc<Shared>,
    pod: Arc<Pod>,
    pub(super) container: Container,
    attempt: u32,
    pub(super) sandbox_id: String,
    sandbox_attempt: u32,
    ips: Vec<String>,
    pod_dir: PathBuf,
    /// The instance before the last: its log has served its time.
    outdated: Option<(String, u32)>,
    pub(super) recorder: PodRecorder,
    hooks: Option<Hooks>,
    pub(super) cancel: CancellationToken,
}

impl Worker {
    pub(super) fn start_container(
        &self,
        name: &str,
        attempt: u32,
    ) -> Option<BoxFuture<'static, Done>> {
        let Sandbox::Ready {
            id,
            attempt: sandbox_attempt,
        } = &self.state.sandbox
        else {
            return None;
        };
        let pod = self.given_pod();
        let container = container_named(&pod, name)?.into_owned();
        let track = self.state.containers.get(name);
        let outdated = track
            .and_then(|track| track.last.as_ref())
            .map(|exit| exit.id.clone());
        let start = Start {
            shared: self.shared.clone(),
            pod,
            container,
            attempt,
            sandbox_id: id.clone(),
            sandbox_attempt: *sandbox_attempt,
            ips: self.state.ips.clone(),
            pod_dir: self.pod_dir(),
            outdated: outdated.zip(attempt.checked_sub(2)),
            recorder: self.recorder.clone(),
            hooks: self.hooks(name),
            cancel: self.cancel.clone(),
        };
        Some(Box::pin(async move {
            let container = start.container.name.clone();
            let hash = container_hash(&start.container);
            Done::outcome(match start.run().await {
                Ok(instance) => Outcome::Started {
                    container,
                    instance,
                },
                Err(mut failure) => {
                    failure.message = cut(&failure.message, STATUS_MESSAGE_MAX).to_owned();
                    failure.hash = hash;
                    Outcome::StartFailed { container, failure }
                }
            })
        }))
    }
}

impl Start {
    async fn run(mut self) -> Result<Instance, StartFailure> {
        let name = self.container.name.clone();
        let image_id = self
            .shared
            .puller
            .ensure(
                &self.pod,
                Wanted::of(&self.container),
                &self.recorder,
                &self.cancel,
            )
            .await?;
        let images = self.images().await?;
        let mut parts = self.parts(image_id).await?;
        let (shared, cancel) = (self.shared.clone(), self.cancel.clone());
        let mut place = Some(place(&shared, &cancel).await?);
        self.remove_outdated().await;
        parts.mounts = self.mounts(&parts.env, images).await?;
        let id = self.create(parts, &mut place).await?;
        // Its module took long. What was made goes with the sandbox if the pod is to stop by now.
        let place = match place {
            Some(place) => place,
            None => self::place(&shared, &cancel).await?,
        };
        self.recorder
            .container(&name, Severity::Normal, "Created", "Container created");
        let request = v1::StartContainerRequest {
            container_id: id.clone(),
        };
        let started = self.shared.runtime.start_container(request).await;
        let status = self.status(&id).await;
        if let Err(error) = started {
            return self.not_started(&id, &error.message, status).await;
        }
        self.recorder
            .container(&name, Severity::Normal, "Started", "Container started");
        match status {
            Ok(status) => {
                let observed = finished(observe_verbose(&status)).await;
                let instance = observed.instance(self.sandbox_attempt).ok_or_else(|| {
                    failure("RunContainerError", "the runtime says it was not started")
                })?;
                // Others may start while a hook takes its time.
                drop(place);
                Ok(self.after_start(instance).await)
            }
            Err(error) => Err(failure("RunContainerError", &error.message)),
        }
    }

    /// Runs the hook that belongs to the start. The container counts as started when it is done, and is stopped if
    /// it failed.
    async fn after_start(&self, instance: Instance) -> Instance {
        let Some(hooks) = &self.hooks else {
            return instance;
        };
        let fine = tokio::select! {
            fine = hooks.post_start() => fine,
            // The pod is to stop: the container is stopped with it.
            () = self.cancel.cancelled() => true,
        };
        if fine {
            return instance;
        }
        let reason = "FailedPostStartHook";
        let name = &self.container.name;
        self.recorder
            .container(name, Severity::Normal, "Killing", reason);
        let spec = self.pod.spec.as_ref();
        let grace = spec.and_then(|spec| spec.termination_grace_period_seconds);
        let grace = grace.unwrap_or(DEFAULT_GRACE_SECONDS);
        let exit = stop(&self.shared, &instance.id, grace, Some(hooks)).await;
        Instance {
            run: Run::Exited(exit),
            ..instance
        }
    }

    async fn status(&self, id: &str) -> Result<v1::ContainerStatusResponse, CriError> {
        let request = v1::ContainerStatusRequest {
            container_id: id.to_owned(),
            verbose: true,
        };
        self.shared.runtime.container_status(request).await
    }

    /// Environment and arguments; what is wrong with them is the user's configuration.
    async fn parts(&self, image_id: String) -> Result<ContainerParts, StartFailure> {
        let (pod, container) = (&*self.pod, &self.container);
        let services = self.shared.services.variables(pod).await;
        // Not the pod's fault, so its waiting reason stays.
        let services = services.ok_or_else(|| StartFailure {
            quick_retry: true,
            ..failure("ContainerCreating", "the services are not listed yet")
        })?;
        let made = content::environment(
            pod,
            container,
            &self.ips,
            &self.shared.facts,
            &self.shared.objects,
            services,
        )
        .await;
        let Environment { variables, skipped } = made.map_err(|error| {
            let quick_retry = error.is_quick();
            StartFailure {
                quick_retry,
                ..self.bad_config(&with_causes(&error))
            }
        })?;
        if !skipped.is_empty() {
            let message = format!(
                "Keys [{}] from the EnvFrom sources were skipped since they are considered invalid \
                 environment variable names.",
                skipped.join(", ")
            );
            let reason = "InvalidEnvironmentVariableNames";
            self.recorder
                .container(&container.name, Severity::Warning, reason, &message);
        }
        let values: BTreeMap<String, String> = variables.iter().cloned().collect();
        let mut left = ENV_BYTES_MAX;
        let mut all = |texts: &Option<Vec<String>>| {
            let mut expanded = Vec::new();
            for text in texts.iter().flatten() {
                let text = expand(text, &values, left)?;
                left -= text.len();
                expanded.push(text);
            }
            Some(expanded)
        };
        let annotations = content::host_annotations(pod, container, &self.shared.objects).await;
        let annotations = annotations.map_err(|error| StartFailure {
            quick_retry: error.is_quick(),
            ..self.bad_config(&with_causes(&error))
        })?;
        let (Some(command), Some(args)) = (all(&container.command), all(&container.args)) else {
            let message = format!("the arguments are larger than {ENV_BYTES_MAX} bytes");
            return Err(self.bad_config(&message));
        };
        Ok(ContainerParts {
            attempt: self.attempt,
            image_id,
            command,
            args,
            env: variables,
            mounts: Mounts::default(),
            annotations,
        })
    }

    async fn create(
        &self,
        parts: ContainerParts,
        place: &mut Option<Place<'_>>,
    ) -> Result<String, StartFailure> {
        let request = v1::CreateContainerRequest {
            pod_sandbox_id: self.sandbox_id.clone(),
            config: Some(cri::container_config(&self.pod, &self.container, parts)),
            sandbox_config: Some(cri::sandbox_config(
                &self.pod,
                &self.shared.log_dir,
                self.sandbox_attempt,
                content::dns(&self.pod).await,
            )),
        };
        match self.create_container(request, place).await {
            Ok(response) => Ok(response.container_id),
            Err(_) if self.cancel.is_cancelled() => Err(cancelled()),
            Err(error) => {
                let message = format!("Error: {}", error.message);
                let name = &self.container.name;
                self.recorder
                    .container(name, Severity::Warning, "Failed", &message);
                let reason = match error.code {
                    // The pod asks for what it was not given, or may not have.
                    Code::PermissionDenied => "CreateContainerConfigError",
                    _ => "CreateContainerError",
                };
                Err(failure(reason, &error.message))
            }
        }
    }

    /// A container that was made and would not start: ended if the runtime says so, else removed
    /// and tried again later.
    async fn not_started(
        &self,
        id: &str,
        message: &str,
        status: Result<v1::ContainerStatusResponse, CriError>,
    ) -> Result<Instance, StartFailure> {
        let event = format!("Error: {message}");
        self.recorder
            .container(&self.container.name, Severity::Warning, "Failed", &event);
        if let Ok(response) = status
            && let Some(instance) = observe_verbose(&response).instance(self.sandbox_attempt)
            && matches!(instance.run, Run::Exited(_))
        {
            return Ok(instance);
        }
        let request = v1::RemoveContainerRequest {
            container_id: id.to_owned(),
        };
        if let Err(error) = self.shared.runtime.remove_container(request).await {
            tracing::warn!(container = id, %error, "container not removed");
        }
        Err(failure("RunContainerError", message))
    }

    /// Keeps one dead instance per container, for `kubectl logs -p`.
    async fn remove_outdated(&mut self) {
        let Some((id, attempt)) = self.outdated.take() else {
            return;
        };
        if !id.is_empty() {
            let request = v1::RemoveContainerRequest {
                container_id: id.clone(),
            };
            if let Err(error) = self.shared.runtime.remove_container(request).await {
                tracing::warn!(container = id, %error, "dead container not removed");
            }
        }
        let logs = cri::log_directory(&self.shared.log_dir, &self.pod);
        crate::logs::remove(logs.join(cri::container_log_path(&self.container.name, attempt)))
            .await;
        let file = message_path(&self.pod_dir, &self.container.name, attempt);
        // Often never made; nothing depends on it.
        tokio::fs::remove_file(file).await.ok();
    }
}

/// Waits for a place among the starts under way on this node.
async fn place<'a>(
    shared: &'a Shared,
    cancel: &CancellationToken,
) -> Result<Place<'a>, StartFailure> {
    let place = cancel.run_until_cancelled(shared.starts.acquire()).await;
    // The semaphore is never closed.
    place.and_then(Result::ok).ok_or_else(cancelled)
}

fn cancelled() -> StartFailure {
    StartFailure {
        cancelled: true,
        ..StartFailure::default()
    }
}

fn failure(reason: &str, message: &str) -> StartFailure {
    StartFailure {
        reason: reason.to_owned(),
        message: message.to_owned(),
        ..StartFailure::default()
    }
}
