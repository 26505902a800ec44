//! The files of volumes that the node writes.

use std::path::Path;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, KeyToPath, Pod, ServiceAccountTokenProjection, Volume, VolumeProjection,
};

use super::{Means, Tokens, VolumeError};
use crate::content::atomic::{self, File};
use crate::content::fields;
use crate::content::objects::ObjectKind;
use crate::content::select::{Selected, mode, select};
use crate::limits::VOLUME_BYTES_MAX;

/// Files in a volume are readable by all unless told otherwise.
const DEFAULT_MODE: i32 = 0o644;

/// What `volume` is to show. Tokens that are not due are taken from `dir`, where they are already; when new ones are to
/// be renewed is added to `renewed`, for when they are written.
pub(super) async fn files(
    pod: &Pod,
    volume: &Volume,
    dir: &Path,
    means: &Means<'_>,
    tokens: &Tokens,
    renewed: &mut Tokens,
) -> Result<Vec<File>, VolumeError> {
    let mut maker = Maker {
        pod,
        volume: &volume.name,
        dir,
        means,
        tokens,
        renewed,
        files: Vec::new(),
        bytes: 0,
        mode: DEFAULT_MODE,
    };
    if let Some(source) = &volume.config_map {
        maker.mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        let items = source.items.as_deref();
        maker
            .object(ObjectKind::ConfigMap, &source.name, items, source.optional)
            .await?;
    } else if let Some(source) = &volume.secret {
        maker.mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        let name = source.secret_name.as_deref().unwrap_or_default();
        let items = source.items.as_deref();
        maker
            .object(ObjectKind::Secret, name, items, source.optional)
            .await?;
    } else if let Some(source) = &volume.downward_api {
        maker.mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        maker.downward(source.items.as_deref().unwrap_or_default())?;
    } else if let Some(source) = &volume.projected {
        maker.mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        for projection in source.sources.iter().flatten() {
            maker.projection(projection).await?;
        }
    }
    Ok(maker.files)
}

struct Maker<'a> {
    pod: &'a Pod,
    volume: &'a str,
    dir: &'a Path,
    means: &'a Means<'a>,
    tokens: &'a Tokens,
    renewed: &'a mut Tokens,
    files: Vec<File>,
    /// Of all files: a pod may show one object, and one key, a thousand times.
    bytes: usize,
    mode: i32,
}

impl Maker<'_> {
    fn add(&mut self, path: &str, data: &[u8], mode: u32) -> Result<(), VolumeError> {
        self.bytes += path.len() + data.len();
        if self.bytes > VOLUME_BYTES_MAX {
            return Err(VolumeError::TooLarge);
        }
        self.files.push(File {
            path: path.to_owned(),
            data: data.to_vec(),
            mode,
        });
        Ok(())
    }

    async fn object(
        &mut self,
        kind: ObjectKind,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
    ) -> Result<(), VolumeError> {
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        let optional = optional == Some(true);
        let known = self.means.subscription.content(kind, namespace, name);
        let Some(content) = known.await?.content else {
            if optional {
                return Ok(());
            }
            return Err(VolumeError::Missing {
                kind: kind.word(),
                name: name.to_owned(),
            });
        };
        for Selected { path, data, mode } in select(&content, items, optional, self.mode, kind)? {
            self.add(path, data, mode)?;
        }
        Ok(())
    }

    fn downward(&mut self, items: &[DownwardAPIVolumeFile]) -> Result<(), VolumeError> {
        let node = self.means.node;
        for item in items {
            let text = if let Some(field) = &item.field_ref {
                fields::field(self.pod, &[], node, &field.field_path)
            } else if let Some(selector) = &item.resource_field_ref {
                fields::resource(self.pod, None, node, selector)
            } else {
                continue;
            };
            let text = text.map_err(VolumeError::Field)?;
            let mode = mode(item.mode.unwrap_or(self.mode));
            self.add(&item.path, text.as_bytes(), mode)?;
        }
        Ok(())
    }

    async fn token(&mut self, wanted: &ServiceAccountTokenProjection) -> Result<(), VolumeError> {
        let key = (self.volume.to_owned(), wanted.path.clone());
        let due = self.tokens.get(&key).copied();
        let present = match due {
            Some(due) if due > Timestamp::now() => atomic::read(self.dir, &wanted.path).await.ok(),
            _ => None,
        };
        let data = match present {
            Some(present) => present,
            None => {
                let token = self.means.objects.token(self.pod, wanted).await?;
                self.renewed.insert(key, token.renew_at);
                token.text.into_bytes()
            }
        };
        self.add(&wanted.path, &data, mode(self.mode))
    }

    async fn projection(&mut self, projection: &VolumeProjection) -> Result<(), VolumeError> {
        if let Some(map) = &projection.config_map {
            let items = map.items.as_deref();
            self.object(ObjectKind::ConfigMap, &map.name, items, map.optional)
                .await
        } else if let Some(secret) = &projection.secret {
            let items = secret.items.as_deref();
            self.object(ObjectKind::Secret, &secret.name, items, secret.optional)
                .await
        } else if let Some(downward) = &projection.downward_api {
            self.downward(downward.items.as_deref().unwrap_or_default())
        } else if let Some(wanted) = &projection.service_account_token {
            self.token(wanted).await
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
