//! `ImageService`: the contract's view of the image store.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sampan_image::{Auth, Content, Image};
use sampan_proto::{CriError, ImageService, v1};

use crate::error::{chain, from_pull};
use crate::shim::Shim;
use crate::time::now_nanos;

#[async_trait]
impl ImageService for Shim {
    async fn list_images(
        &self,
        request: v1::ListImagesRequest,
    ) -> Result<v1::ListImagesResponse, CriError> {
        let wanted = request
            .filter
            .and_then(|filter| filter.image)
            .map(|spec| spec.image);
        let images = match wanted.filter(|reference| !reference.is_empty()) {
            Some(reference) => self.images.get(&reference).into_iter().collect(),
            None => self.images.list(),
        };
        Ok(v1::ListImagesResponse {
            images: images.iter().map(|image| view(image)).collect(),
        })
    }

    async fn image_status(
        &self,
        request: v1::ImageStatusRequest,
    ) -> Result<v1::ImageStatusResponse, CriError> {
        let reference = reference(request.image)?;
        let image = self.images.get(&reference).map(|image| view(&image));
        Ok(v1::ImageStatusResponse {
            image,
            ..Default::default()
        })
    }

    async fn pull_image(
        &self,
        request: v1::PullImageRequest,
    ) -> Result<v1::PullImageResponse, CriError> {
        let reference = reference(request.image)?;
        let auth = request.auth.map(credentials).transpose()?.flatten();
        let image = self
            .images
            .pull(&reference, auth)
            .await
            .map_err(|error| from_pull(&error))?;
        Ok(v1::PullImageResponse {
            image_ref: image.id.clone(),
        })
    }

    /// Containers keep what they loaded. One made from a root filesystem loses its files; agents
    /// only remove images that no container uses.
    async fn remove_image(
        &self,
        request: v1::RemoveImageRequest,
    ) -> Result<v1::RemoveImageResponse, CriError> {
        let reference = reference(request.image)?;
        let image = self.images.get(&reference);
        self.images
            .remove(&reference)
            .await
            .map_err(|error| CriError::internal(chain(&error)))?;
        if let Some(image) = image {
            self.evict(&image).await;
        }
        Ok(v1::RemoveImageResponse {})
    }

    async fn image_fs_info(
        &self,
        _request: v1::ImageFsInfoRequest,
    ) -> Result<v1::ImageFsInfoResponse, CriError> {
        let usage = self.images.usage();
        let filesystem = v1::FilesystemUsage {
            timestamp: now_nanos(),
            fs_id: Some(v1::FilesystemIdentifier {
                mountpoint: self.mountpoint(),
            }),
            used_bytes: Some(v1::UInt64Value { value: usage.bytes }),
            inodes_used: Some(v1::UInt64Value {
                value: usage.inodes,
            }),
        };
        Ok(v1::ImageFsInfoResponse {
            image_filesystems: vec![filesystem.clone()],
            container_filesystems: vec![filesystem],
        })
    }
}

impl Shim {
    /// A path on the file system that images and containers take space on.
    pub(crate) fn mountpoint(&self) -> String {
        self.images.dir().display().to_string()
    }

    /// Gives back the disk space of a removed image's compiled code, unless another image holds the
    /// same module. Code from root filesystems goes when the engine's cache is full.
    async fn evict(&self, removed: &Image) {
        let Content::Module { digest, .. } = &removed.content else {
            return;
        };
        let holds = |image: &Image| matches!(&image.content, Content::Module { digest: other, .. } if other == digest);
        if !self.images.list().iter().any(|image| holds(image)) {
            self.engine.evict(digest).await;
        }
    }
}

fn reference(spec: Option<v1::ImageSpec>) -> Result<String, CriError> {
    let reference = spec.map(|spec| spec.image).unwrap_or_default();
    match reference.is_empty() {
        false => Ok(reference),
        true => Err(CriError::invalid_argument("image is empty")),
    }
}

/// The credentials of a pull, in the order in which runtimes prefer them; None if all are empty.
fn credentials(auth: v1::AuthConfig) -> Result<Option<Auth>, CriError> {
    if !auth.registry_token.is_empty() {
        return Ok(Some(Auth::RegistryToken(auth.registry_token)));
    }
    if !auth.identity_token.is_empty() {
        return Ok(Some(Auth::IdentityToken(auth.identity_token)));
    }
    if !auth.username.is_empty() {
        return Ok(Some(Auth::Basic {
            username: auth.username,
            password: auth.password,
        }));
    }
    if auth.auth.is_empty() {
        return Ok(None);
    }
    // The text is a secret, so no part of it is told.
    let refuse = || CriError::invalid_argument("auth is not the base64 form of username:password");
    let decoded = STANDARD.decode(&auth.auth).map_err(|_| refuse())?;
    let decoded = String::from_utf8(decoded).map_err(|_| refuse())?;
    let (username, password) = decoded.split_once(':').ok_or_else(refuse)?;
    // Some clients pad with zero bytes.
    let password = password.trim_end_matches('\0').to_string();
    Ok(Some(Auth::Basic {
        username: username.to_string(),
        password,
    }))
}

fn view(image: &Image) -> v1::Image {
    let (uid, username) = user(&image.config.user);
    v1::Image {
        id: image.id.clone(),
        repo_tags: image.repo_tags.clone(),
        repo_digests: image.repo_digests.clone(),
        size: image.size,
        uid,
        username,
        spec: Some(v1::ImageSpec {
            image: image.id.clone(),
            ..Default::default()
        }),
        pinned: false,
    }
}

/// The user part of `user[:group]`: a number or a name, never both. An image that names none runs
/// as root would; kubelets want that said.
fn user(user: &str) -> (Option<v1::Int64Value>, String) {
    let user = user.split(':').next().unwrap_or_default();
    if user.is_empty() {
        return (Some(v1::Int64Value { value: 0 }), String::new());
    }
    match user.parse() {
        Ok(value) => (Some(v1::Int64Value { value }), String::new()),
        Err(_) => (None, user.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_number_or_a_name() {
        for (text, uid, name) in [
            ("", Some(0), ""),
            ("1002", Some(1002), ""),
            ("www-data", None, "www-data"),
            ("1003:1004", Some(1003), ""),
            ("www-data:100", None, "www-data"),
        ] {
            assert_eq!(
                user(text),
                (uid.map(|value| v1::Int64Value { value }), name.to_string()),
                "{text}"
            );
        }
    }

    #[test]
    fn credentials_come_in_four_forms() {
        let basic = |username: &str, password: &str| {
            Some(Auth::Basic {
                username: username.into(),
                password: password.into(),
            })
        };
        let none = v1::AuthConfig::default();
        let cases = [
            (none.clone(), None),
            (
                v1::AuthConfig {
                    server_address: "r".into(),
                    ..none.clone()
                },
                None,
            ),
            (
                v1::AuthConfig {
                    username: "u".into(),
                    password: "p".into(),
                    ..none.clone()
                },
                basic("u", "p"),
            ),
            (
                v1::AuthConfig {
                    auth: "dTpwOnE=".into(),
                    ..none.clone()
                },
                basic("u", "p:q"),
            ),
            (
                v1::AuthConfig {
                    identity_token: "t".into(),
                    ..none.clone()
                },
                Some(Auth::IdentityToken("t".into())),
            ),
            (
                v1::AuthConfig {
                    registry_token: "t".into(),
                    ..none.clone()
                },
                Some(Auth::RegistryToken("t".into())),
            ),
        ];
        for (auth, expected) in cases {
            assert_eq!(credentials(auth).expect("valid"), expected);
        }
        for bad in ["%%%", "dXA=", "/w=="] {
            let error = credentials(v1::AuthConfig {
                auth: bad.into(),
                ..none.clone()
            })
            .expect_err(bad);
            assert!(!error.message.contains(bad), "{error}");
        }
    }
}
