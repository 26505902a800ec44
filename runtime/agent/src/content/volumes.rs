//! A pod's volumes as folders of the node: emptyDir, configMap, secret, downwardAPI, and projected
//! volumes of the latter three and of ServiceAccount tokens.
//!
//! An emptyDir with `medium: Memory` is a folder like any other, and `sizeLimit` is not enforced.
//! Content is written when the pod starts; later changes of its sources do not reach it, and tokens are not renewed:
//! the one that every pod gets is good for a year.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Pod, Volume, VolumeProjection};

use super::atomic::{self, File};
use super::objects::{ObjectError, ObjectKind, Objects};
use super::select::{mode, select};
use super::{NodeFacts, fields};
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
    #[error("the content is larger than {VOLUME_BYTES_MAX} bytes")]
    TooLarge,
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("cannot write {path}")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
}

/// Files in a volume are readable by all unless told otherwise.
const DEFAULT_MODE: i32 = 0o644;

/// Where a volume of a pod lives below the pod's folder.
pub(crate) fn volume_dir(pod_dir: &Path, volume: &Volume) -> PathBuf {
    let plugin = if volume.config_map.is_some() {
        "kubernetes.io~configmap"
    } else if volume.secret.is_some() {
        "kubernetes.io~secret"
    } else if volume.downward_api.is_some() {
        "kubernetes.io~downward-api"
    } else if volume.projected.is_some() {
        "kubernetes.io~projected"
    } else {
        "kubernetes.io~empty-dir"
    };
    pod_dir.join("volumes").join(plugin).join(&volume.name)
}

/// Makes all volumes of a pod. An error names the volume it belongs to.
pub(crate) async fn prepare(
    pod: &Pod,
    pod_dir: &Path,
    node: &NodeFacts,
    objects: &Objects,
) -> Result<(), (String, VolumeError)> {
    let volumes = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.volumes.as_deref())
        .unwrap_or_default();
    for volume in volumes {
        let made = one(pod, volume, pod_dir, node, objects).await;
        made.map_err(|error| (volume.name.clone(), error))?;
    }
    Ok(())
}

async fn one(
    pod: &Pod,
    volume: &Volume,
    pod_dir: &Path,
    node: &NodeFacts,
    objects: &Objects,
) -> Result<(), VolumeError> {
    let dir = volume_dir(pod_dir, volume);
    let mut maker = Maker {
        pod,
        node,
        objects,
        files: Vec::new(),
        mode: DEFAULT_MODE,
    };
    if volume.empty_dir.is_some() {
        return blocking(dir, |dir| std::fs::create_dir_all(dir)).await;
    } else if let Some(source) = &volume.config_map {
        maker.mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        maker
            .object(
                ObjectKind::ConfigMap,
                &source.name,
                source.items.as_deref(),
                source.optional,
            )
            .await?;
    } else if let Some(source) = &volume.secret {
        maker.mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        let name = source.secret_name.as_deref().unwrap_or_default();
        maker
            .object(
                ObjectKind::Secret,
                name,
                source.items.as_deref(),
                source.optional,
            )
            .await?;
    } else if let Some(source) = &volume.downward_api {
        maker.mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        maker.downward(source.items.as_deref().unwrap_or_default())?;
    } else if let Some(source) = &volume.projected {
        maker.mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        for projection in source.sources.iter().flatten() {
            maker.projection(projection).await?;
        }
    } else {
        return Err(VolumeError::Unsupported(type_name(volume)));
    }
    let files = maker.files;
    if files.iter().map(|file| file.data.len()).sum::<usize>() > VOLUME_BYTES_MAX {
        return Err(VolumeError::TooLarge);
    }
    blocking(dir, move |dir| {
        atomic::write(dir, &files).map(|_changed| ())
    })
    .await
}

/// The field that says what a volume is, such as `hostPath`.
fn type_name(volume: &Volume) -> String {
    let fields = serde_json::to_value(volume).unwrap_or_default();
    let named = fields
        .as_object()
        .and_then(|map| map.keys().find(|key| *key != "name").cloned());
    named.unwrap_or_else(|| "emptyDir".into())
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

struct Maker<'a> {
    pod: &'a Pod,
    node: &'a NodeFacts,
    objects: &'a Objects,
    files: Vec<File>,
    mode: i32,
}

impl Maker<'_> {
    async fn object(
        &mut self,
        kind: ObjectKind,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
    ) -> Result<(), VolumeError> {
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        let optional = optional == Some(true);
        let Some(content) = self.objects.content(kind, namespace, name).await? else {
            if optional {
                return Ok(());
            }
            return Err(VolumeError::Missing {
                kind: kind.word(),
                name: name.to_owned(),
            });
        };
        self.files
            .extend(select(content, items, optional, self.mode, kind)?);
        Ok(())
    }

    fn downward(&mut self, items: &[DownwardAPIVolumeFile]) -> Result<(), VolumeError> {
        for item in items {
            let text = if let Some(field) = &item.field_ref {
                fields::field(self.pod, &[], self.node, &field.field_path)
            } else if let Some(selector) = &item.resource_field_ref {
                fields::resource(self.pod, None, self.node, selector)
            } else {
                continue;
            };
            self.files.push(File {
                path: item.path.clone(),
                data: text.map_err(VolumeError::Field)?.into_bytes(),
                mode: mode(item.mode.unwrap_or(self.mode)),
            });
        }
        Ok(())
    }

    async fn projection(&mut self, projection: &VolumeProjection) -> Result<(), VolumeError> {
        if let Some(map) = &projection.config_map {
            self.object(
                ObjectKind::ConfigMap,
                &map.name,
                map.items.as_deref(),
                map.optional,
            )
            .await
        } else if let Some(secret) = &projection.secret {
            let items = secret.items.as_deref();
            self.object(ObjectKind::Secret, &secret.name, items, secret.optional)
                .await
        } else if let Some(downward) = &projection.downward_api {
            self.downward(downward.items.as_deref().unwrap_or_default())
        } else if let Some(wanted) = &projection.service_account_token {
            let token = self.objects.token(self.pod, wanted).await?;
            self.files.push(File {
                path: wanted.path.clone(),
                data: token.into_bytes(),
                mode: mode(self.mode),
            });
            Ok(())
        } else {
            let fields = serde_json::to_value(projection).unwrap_or_default();
            let name = fields
                .as_object()
                .and_then(|map| map.keys().next().cloned());
            Err(VolumeError::Unsupported(format!(
                "projected {}",
                name.unwrap_or_default()
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_types_are_named() {
        let volume: Volume =
            serde_json::from_value(serde_json::json!({"name": "v", "hostPath": {"path": "/"}}))
                .unwrap();
        assert_eq!(type_name(&volume), "hostPath");
    }
}
