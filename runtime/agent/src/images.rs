//! Makes sure a container's image is on the node: policy, credentials, pull.

mod collect;
mod credentials;
mod records;
mod reference;

use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::core::v1::{Container, Pod};
use sampan_proto::{ImageService, PullReason, v1};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::content::Objects;
use crate::events::{PodRecorder, Severity};
use crate::limits::CONCURRENT_PULLS;
use crate::plan::StartFailure;

pub(crate) use collect::{Collector, Known};
use credentials::{Credential, Origin};
use records::Access;
pub(crate) use records::PullRecords;

/// Looks images up and pulls them.
pub(crate) struct Puller {
    images: Arc<dyn ImageService>,
    objects: Objects,
    pulls: Semaphore,
    records: Arc<PullRecords>,
}

/// An image that is to be on the node.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) image: &'a str,
    /// The pod's own pull policy.
    pub(crate) policy: Option<&'a str>,
    /// The container whose image it is; the events are the pod's when it is a volume's.
    pub(crate) container: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// A container's own image.
    pub(crate) fn of(container: &'a Container) -> Wanted<'a> {
        Wanted {
            image: container.image.as_deref().unwrap_or_default(),
            policy: container.image_pull_policy.as_deref(),
            container: Some(&container.name),
        }
    }

    fn tell(&self, recorder: &PodRecorder, severity: Severity, reason: &str, message: &str) {
        match self.container {
            Some(container) => recorder.container(container, severity, reason, message),
            None => recorder.pod(severity, reason, message),
        }
    }
}

/// When to ask the registry.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    Always,
    IfNotPresent,
    Never,
}

impl Puller {
    pub(crate) fn new(
        images: Arc<dyn ImageService>,
        objects: Objects,
        records: Arc<PullRecords>,
    ) -> Puller {
        Puller {
            images,
            objects,
            pulls: Semaphore::new(CONCURRENT_PULLS),
            records,
        }
    }

    /// The image's id, once it is here.
    pub(crate) async fn ensure(
        &self,
        pod: &Pod,
        wanted: Wanted<'_>,
        recorder: &PodRecorder,
        cancel: &CancellationToken,
    ) -> Result<String, StartFailure> {
        let image = wanted.image;
        if let Err(problem) = reference::check(image) {
            let message = format!("Failed to apply default image tag \"{image}\": {problem}");
            wanted.tell(recorder, Severity::Warning, "InspectFailed", &message);
            return Err(refuse(recorder, wanted, "InvalidImageName", message));
        }
        let policy = policy(wanted);
        let present = match policy {
            Policy::Always => None,
            Policy::IfNotPresent | Policy::Never => self.look_up(image).await.map_err(|error| {
                let message = format!("Failed to inspect image \"{image}\": {error}");
                refuse(recorder, wanted, "ImageInspectError", message)
            })?,
        };
        if let Some(found) = &present
            && self.may_use(pod, image, found, recorder).await
        {
            let message = format!(
                "Container image \"{image}\" already present on machine and can be accessed by the pod"
            );
            wanted.tell(recorder, Severity::Normal, "Pulled", &message);
            return Ok(found.id.clone());
        }
        if policy == Policy::Never {
            let message = match present {
                Some(_) => format!(
                    "Container image \"{image}\" is present with pull policy of Never but does not have the proper auth \
                     in image secret that was used to pull the image"
                ),
                None => {
                    format!("Container image \"{image}\" is not present with pull policy of Never")
                }
            };
            wanted.tell(recorder, Severity::Warning, "ErrImageNeverPull", &message);
            return Err(refuse(recorder, wanted, "ErrImageNeverPull", message));
        }
        let pulled = self.pull(pod, wanted, recorder, cancel).await;
        pulled.unwrap_or_else(|| {
            Err(StartFailure {
                cancelled: true,
                ..Default::default()
            })
        })
    }

    /// Whether the pod may use an image that is here without asking the registry.
    async fn may_use(
        &self,
        pod: &Pod,
        image: &str,
        found: &v1::Image,
        recorder: &PodRecorder,
    ) -> bool {
        match self.records.access(image, found).await {
            Access::Everybody => true,
            Access::With(secrets) if secrets.is_empty() => false,
            Access::With(secrets) => {
                let own = self.credentials(pod, image, recorder).await;
                own.iter().any(|one| secrets.contains(&one.origin))
            }
        }
    }

    /// What the pod may log in with. Secrets that are not there are told of.
    async fn credentials(&self, pod: &Pod, image: &str, recorder: &PodRecorder) -> Vec<Credential> {
        let found = credentials::of_pod(&self.objects, pod, image).await;
        if !found.missing.is_empty() {
            let message = format!(
                "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                found.missing.join(", ")
            );
            recorder.pod(
                Severity::Warning,
                "FailedToRetrieveImagePullSecret",
                &message,
            );
        }
        found.fitting
    }

    async fn look_up(&self, image: &str) -> Result<Option<v1::Image>, sampan_proto::CriError> {
        let request = v1::ImageStatusRequest {
            image: Some(v1::ImageSpec {
                image: image.to_owned(),
                ..Default::default()
            }),
            verbose: false,
        };
        Ok(self.images.image_status(request).await?.image)
    }

    /// None if it was given up.
    async fn pull(
        &self,
        pod: &Pod,
        wanted: Wanted<'_>,
        recorder: &PodRecorder,
        cancel: &CancellationToken,
    ) -> Option<Result<String, StartFailure>> {
        let image = wanted.image;
        let asked = Instant::now();
        let pulling = format!("Pulling image \"{image}\"");
        wanted.tell(recorder, Severity::Normal, "Pulling", &pulling);
        // The semaphore is never closed; without a permit the pull just goes on.
        let permit = cancel.run_until_cancelled(self.pulls.acquire());
        let _permit = permit.await?;
        let started = Instant::now();
        let own = cancel.run_until_cancelled(self.credentials(pod, image, recorder));
        let own = own.await?;
        let fail = |reason: &str, why: String| {
            let message = format!("Failed to pull image \"{image}\": {why}");
            wanted.tell(recorder, Severity::Warning, "Failed", &message);
            Err(refuse(recorder, wanted, reason, why))
        };
        // What cannot be looked up is taken for nothing: its pull fails, most likely.
        let here = cancel.run_until_cancelled(self.look_up(image)).await?;
        let here = here.ok().flatten().map(|found| found.id);
        if let Err(error) = self.records.begins(image, here.as_deref()).await {
            let why = format!("failed to record image pull intent: {error}");
            return Some(fail("ErrImagePull", why));
        }
        let pull = cancel.run_until_cancelled(self.pull_with_any(image, own));
        let Some(result) = pull.await else {
            self.records.given_up(image).await;
            return None;
        };
        Some(match result {
            Ok((id, with)) => {
                self.records.pulled(image, &id, with.as_ref()).await;
                let size = self
                    .look_up(&id)
                    .await
                    .ok()
                    .flatten()
                    .map_or(0, |found| found.size);
                let message = format!(
                    "Successfully pulled image \"{image}\" in {} ({} including waiting). \
                     Image size: {size} bytes.",
                    short(started.elapsed()),
                    short(asked.elapsed()),
                );
                wanted.tell(recorder, Severity::Normal, "Pulled", &message);
                Ok(id)
            }
            Err(error) => {
                self.records.failed(image).await;
                let (reason, why) = pull_failure(image, &error);
                fail(reason, why)
            }
        })
    }

    /// Tries the credentials in turn, as one pod may carry several for one registry. Tells whose did.
    async fn pull_with_any(
        &self,
        image: &str,
        own: Vec<Credential>,
    ) -> Result<(String, Option<Origin>), sampan_proto::CriError> {
        let mut attempts: Vec<Option<Credential>> = own.into_iter().map(Some).collect();
        if attempts.is_empty() {
            attempts.push(None);
        }
        let mut result = Err(sampan_proto::CriError::internal("no pull was tried"));
        for attempt in attempts {
            let (auth, origin) = match attempt {
                Some(Credential { auth, origin }) => (Some(auth), Some(origin)),
                None => (None, None),
            };
            let request = v1::PullImageRequest {
                image: Some(v1::ImageSpec {
                    image: image.to_owned(),
                    ..Default::default()
                }),
                auth,
                sandbox_config: None,
            };
            let pulled = self.images.pull_image(request).await;
            result = pulled.map(|response| (response.image_ref, origin));
            if result.is_ok() {
                break;
            }
        }
        result
    }
}

fn refuse(
    recorder: &PodRecorder,
    wanted: Wanted<'_>,
    reason: &str,
    message: String,
) -> StartFailure {
    let error = format!("Error: {reason}");
    wanted.tell(recorder, Severity::Warning, "Failed", &error);
    StartFailure {
        reason: reason.to_owned(),
        message,
        image: Some(wanted.image.to_owned()),
        ..Default::default()
    }
}

/// The waiting reason for a failed pull, and the message without that word in it.
fn pull_failure(image: &str, error: &sampan_proto::CriError) -> (&'static str, String) {
    let Some(reason) = error.pull_reason() else {
        return ("ErrImagePull", error.message.clone());
    };
    let because = match reason {
        PullReason::RegistryUnavailable => "the registry is unavailable",
        PullReason::SignatureValidationFailed => "the signature validation failed",
    };
    let details = error
        .message
        .strip_prefix(reason.as_str())
        .unwrap_or_default();
    let why = format!("image pull failed for {image} because {because}{details}");
    (reason.as_str(), why)
}

fn policy(wanted: Wanted<'_>) -> Policy {
    match wanted.policy {
        Some("Always") => Policy::Always,
        Some("Never") => Policy::Never,
        Some("IfNotPresent") => Policy::IfNotPresent,
        // The API server's default, for pods that did not pass its defaulting.
        _ if reference::is_latest(wanted.image) => Policy::Always,
        _ => Policy::IfNotPresent,
    }
}

/// A duration for people: `1.234s`, `56ms`.
fn short(duration: std::time::Duration) -> String {
    if duration.as_secs() > 0 {
        format!("{:.3}s", duration.as_secs_f64())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_proto::{Code, CriError};

    #[test]
    fn failed_pulls_are_told_once() {
        let tell =
            |message: &str| pull_failure("app:v1", &CriError::new(Code::Unavailable, message));
        assert_eq!(
            tell("RegistryUnavailable: connection refused"),
            (
                "RegistryUnavailable",
                "image pull failed for app:v1 because the registry is unavailable: connection refused"
                    .into()
            )
        );
        assert_eq!(
            tell("no such thing"),
            ("ErrImagePull", "no such thing".into())
        );
    }
}
