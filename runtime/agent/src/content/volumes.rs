//! A pod's volumes: what has to be there before its containers start, and what is kept up to date while they run.
//!
//! What volumes show of API objects is written when the pod starts and again by [`refresh`] when it changed. File
//! modes are set as asked; owners and `fsGroup` are not: a guest has no user, and its mount alone says what it may do.

mod render;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Volume};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::objects::{ObjectError, ObjectKey, ObjectKind, Objects};
use super::place::{self, Place, Step, VolumePolicy, volume_dir};
use super::sources::Subscription;
use super::{NodeFacts, atomic};
use crate::limits::VOLUME_BYTES_MAX;

/// Why a volume is not ready. The text is the end of a FailedMount event's message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    #[error("{kind} \"{name}\" not found")]
    Missing { kind: &'static str, name: String },
    #[error("references non-existent {kind} key: {key}")]
    NoKey { kind: &'static str, key: String },
    #[error("volume type {0} is not supported by this node")]
    Unsupported(String),
    #[error("{0}")]
    Field(String),
    #[error("{0}")]
    HostPath(String),
    #[error("{0}")]
    Claim(String),
    #[error("the content is larger than {VOLUME_BYTES_MAX} bytes")]
    TooLarge,
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("cannot make or open {path}")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
}

impl VolumeError {
    /// Whether the same may work a moment later though nothing that is watched changes.
    fn is_passing(&self) -> bool {
        matches!(self, VolumeError::Object(_) | VolumeError::Io { .. })
    }
}

/// When each token of a pod's volumes is to be renewed: by volume and path.
pub(crate) type Tokens = BTreeMap<(String, String), Timestamp>;

/// What volumes are made from besides the pod.
pub(crate) struct Means<'a> {
    pub(crate) node: &'a NodeFacts,
    pub(crate) objects: &'a Objects,
    pub(crate) subscription: &'a Subscription,
    pub(crate) policy: &'a VolumePolicy,
}

/// What became of bringing volumes up to date.
pub(crate) struct Refreshed {
    pub(crate) tokens: Tokens,
    /// Volumes that stay as they were.
    pub(crate) failed: Vec<(String, VolumeError)>,
    /// Whether to try again though nothing else happens.
    pub(crate) again: bool,
}

/// The objects that a pod's volumes show.
pub(crate) fn sources(pod: &Pod) -> Vec<ObjectKey> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut keys: Vec<ObjectKey> = Vec::new();
    let mut known = HashSet::new();
    let mut add = |kind: ObjectKind, name: &str| {
        let key = ObjectKey {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        if !name.is_empty() && known.insert(key.clone()) {
            keys.push(key);
        }
    };
    for volume in volumes(pod) {
        if let Some(map) = &volume.config_map {
            add(ObjectKind::ConfigMap, &map.name);
        }
        if let Some(secret) = &volume.secret {
            let name = secret.secret_name.as_deref().unwrap_or_default();
            add(ObjectKind::Secret, name);
        }
        let projected = volume.projected.iter().flat_map(|p| p.sources.iter());
        for source in projected.flatten() {
            if let Some(map) = &source.config_map {
                add(ObjectKind::ConfigMap, &map.name);
            }
            if let Some(secret) = &source.secret {
                add(ObjectKind::Secret, &secret.name);
            }
        }
    }
    keys
}

/// Whether a pod's volumes show labels or annotations of the pod.
pub(crate) fn shows_metadata(pod: &Pod) -> bool {
    volumes(pod).iter().any(|volume| {
        let projected = volume.projected.iter().flat_map(|p| p.sources.iter());
        let of_projected = projected
            .flatten()
            .any(|source| source.downward_api.is_some());
        volume.downward_api.is_some() || of_projected
    })
}

/// Makes all volumes of a pod; none if it is to stop before it has one of the `renders`. An error names the volume it belongs
/// to.
pub(crate) async fn prepare(
    pod: &Pod,
    pod_dir: &Path,
    means: &Means<'_>,
    renders: &Semaphore,
    cancel: &CancellationToken,
) -> Option<Result<Tokens, (String, VolumeError)>> {
    let mut tokens = Tokens::new();
    for volume in volumes(pod) {
        // Only for what takes memory: a folder of the host may be on a file system that never answers.
        let _permit = match is_rendered(volume) {
            true => Some(cancel.run_until_cancelled(renders.acquire()).await?),
            false => None,
        };
        let made = one(pod, volume, pod_dir, means, &mut tokens).await;
        if let Err(error) = made {
            return Some(Err((volume.name.clone(), error)));
        }
    }
    Some(Ok(tokens))
}

/// Brings the volumes that show API objects, fields and tokens up to date. What cannot be read stays as it was.
pub(crate) async fn refresh(
    pod: &Pod,
    pod_dir: &Path,
    means: &Means<'_>,
    mut tokens: Tokens,
) -> Refreshed {
    let mut failed = Vec::new();
    for volume in volumes(pod) {
        if !is_rendered(volume) {
            continue;
        }
        if let Err(error) = rendered(pod, volume, pod_dir, means, &mut tokens).await {
            failed.push((volume.name.clone(), error));
        }
    }
    Refreshed {
        tokens,
        again: failed.iter().any(|(_, error)| error.is_passing()),
        failed,
    }
}

fn volumes(pod: &Pod) -> &[Volume] {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.volumes.as_deref())
        .unwrap_or_default()
}

/// Whether a volume's content is written by the node.
pub(super) fn is_rendered(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
}

async fn one(
    pod: &Pod,
    volume: &Volume,
    pod_dir: &Path,
    means: &Means<'_>,
    tokens: &mut Tokens,
) -> Result<(), VolumeError> {
    if is_rendered(volume) {
        return rendered(pod, volume, pod_dir, means, tokens).await;
    }
    // An image is pulled when a container that mounts it starts, as upstream.
    if volume.image.is_some() {
        return Ok(());
    }
    let (policy, client) = (means.policy, means.objects.client());
    place::place(pod, volume, pod_dir, policy, &client, Step::Prepare)
        .await
        .map(drop)
}

/// Where the content of a volume is that a container is about to mount.
pub(crate) async fn place_of(
    pod: &Pod,
    volume: &Volume,
    pod_dir: &Path,
    policy: &VolumePolicy,
    client: &kube::Client,
) -> Result<Place, VolumeError> {
    place::place(pod, volume, pod_dir, policy, client, Step::Mount).await
}

async fn rendered(
    pod: &Pod,
    volume: &Volume,
    pod_dir: &Path,
    means: &Means<'_>,
    tokens: &mut Tokens,
) -> Result<(), VolumeError> {
    let dir = volume_dir(pod_dir, volume);
    let mut renewed = Tokens::new();
    let files = render::files(pod, volume, &dir, means, tokens, &mut renewed).await?;
    blocking(dir, move |dir| {
        atomic::write(dir, &files).map(|_changed| ())
    })
    .await?;
    // A token that is not written stays due.
    tokens.extend(renewed);
    Ok(())
}

async fn blocking(
    dir: PathBuf,
    work: impl FnOnce(&Path) -> std::io::Result<()> + Send + 'static,
) -> Result<(), VolumeError> {
    let path = dir.to_string_lossy().into_owned();
    let done = tokio::task::spawn_blocking(move || work(&dir)).await;
    done.unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(|source| VolumeError::Io { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sources_are_named_once() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n"},
            "spec": {"containers": [], "volumes": [
                {"name": "a", "configMap": {"name": "m"}},
                {"name": "b", "secret": {"secretName": "s"}},
                {"name": "c", "projected": {"sources": [
                    {"configMap": {"name": "m"}}, {"secret": {"name": "t"}},
                    {"serviceAccountToken": {"path": "token"}}]}},
                {"name": "d", "emptyDir": {}}]}
        }))
        .unwrap();
        let names: Vec<_> = sources(&pod)
            .into_iter()
            .map(|key| (key.kind, key.namespace, key.name))
            .collect();
        let key = |kind, name: &str| (kind, "n".to_owned(), name.to_owned());
        let expected = [
            key(ObjectKind::ConfigMap, "m"),
            key(ObjectKind::Secret, "s"),
            key(ObjectKind::Secret, "t"),
        ];
        assert_eq!(names, expected);
        assert!(!shows_metadata(&pod));
    }
}
