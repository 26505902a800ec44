//! Image references: what a user writes behind `image:`.
//!
//! `app:v1`, `host[:port]/path:tag@sha256:...`, `file:///abs/app.wasm`, `oci:///abs/layout[:tag]`.
//! Parsing is pure: it says what a text means and never looks whether it exists.

mod grammar;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::digest::{Digest, DigestError};

use grammar::{NAME_MAX, check_domain, is_domain, is_hex_id, tag};
pub(crate) use grammar::{check_repository, is_tag};

/// The domain a name without one means when the cluster's own registry does not have it.
const DEFAULT_DOMAIN: &str = "docker.io";
/// Another name of [`DEFAULT_DOMAIN`].
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
/// Where [`DEFAULT_DOMAIN`] keeps images with a one-word name.
const OFFICIAL_PREFIX: &str = "library/";
/// The tag that no tag means.
const DEFAULT_TAG: &str = "latest";
/// A parsed reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A name in a registry.
    Name(OciName),
    /// A plain `.wasm` file on the node.
    File(PathBuf),
    /// An OCI layout folder on the node.
    Layout {
        /// The folder.
        path: PathBuf,
        /// Which of its images: a tag or a digest; the only one or `latest` when absent.
        image: Option<String>,
    },
}

/// A name in a registry: `[domain/]path[:tag][@digest]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OciName {
    /// `registry.example:5000`; absent when the text has none.
    pub domain: Option<String>,
    /// `team/app`.
    pub path: String,
    /// As written; `latest` when neither tag nor digest is given.
    pub tag: Option<String>,
    /// Wins over the tag.
    pub digest: Option<Digest>,
}

/// Why a text is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing was given.
    #[error("invalid reference format: the image name is empty")]
    Empty,
    /// Registries only know lower-case names.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// Some character or separator is out of place.
    #[error("invalid reference format: {0}")]
    Format(&'static str),
    /// The part behind `@`.
    #[error("invalid reference format: {0}")]
    Digest(DigestError),
    /// A path that does not start at the root.
    #[error(
        "invalid reference format: {0} must be followed by an absolute path, as in {0}/srv/app"
    )]
    RelativePath(&'static str),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if let Some(path) = text.strip_prefix("file://") {
            return Ok(Reference::File(absolute(path, "file://")?));
        }
        if let Some(rest) = text.strip_prefix("oci://") {
            let (path, image) = split_layout(rest)?;
            return Ok(Reference::Layout {
                path: absolute(path, "oci://")?,
                image,
            });
        }
        Ok(Reference::Name(text.parse()?))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Name(name) => name.fmt(f),
            Reference::File(path) => write!(f, "file://{}", path.display()),
            Reference::Layout { path, image } => {
                write!(f, "oci://{}", path.display())?;
                match image {
                    Some(image) if image.contains(':') => write!(f, "@{image}"),
                    Some(image) => write!(f, ":{image}"),
                    None => Ok(()),
                }
            }
        }
    }
}

fn absolute(path: &str, scheme: &'static str) -> Result<PathBuf, ReferenceError> {
    if path.contains('\0') {
        return Err(ReferenceError::Format(
            "a path must not hold a NUL character",
        ));
    }
    if !path.starts_with('/') || path.len() == 1 {
        return Err(ReferenceError::RelativePath(scheme));
    }
    Ok(PathBuf::from(path))
}

/// Takes `:tag` or `@digest` from the end of a layout's path.
fn split_layout(rest: &str) -> Result<(&str, Option<String>), ReferenceError> {
    if let Some((path, digest)) = rest.rsplit_once('@') {
        return Ok((path, Some(parse_digest(digest)?.into())));
    }
    let last = rest.rfind('/').map_or(0, |at| at + 1);
    match rest[last..].rfind(':') {
        None => Ok((rest, None)),
        Some(at) => Ok((&rest[..last + at], Some(tag(&rest[last + at + 1..])?))),
    }
}

fn parse_digest(text: &str) -> Result<Digest, ReferenceError> {
    text.parse().map_err(ReferenceError::Digest)
}

impl FromStr for OciName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<OciName, ReferenceError> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (text, None),
        };
        let last = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, written_tag) = match rest[last..].rfind(':') {
            Some(at) => (&rest[..last + at], Some(tag(&rest[last + at + 1..])?)),
            None => (rest, None),
        };
        let (domain, path) = match name.split_once('/') {
            Some((first, path)) if is_domain(first) => (Some(check_domain(first)?), path),
            _ => (None, name),
        };
        if name.len() > NAME_MAX {
            return Err(ReferenceError::Format(
                "the repository name is longer than 255 characters",
            ));
        }
        check_repository(path)?;
        if path == "sha256" || is_hex_id(path) {
            return Err(ReferenceError::Format(
                "an image id is not a name that can be pulled",
            ));
        }
        let default_tag = || digest.is_none().then(|| DEFAULT_TAG.to_owned());
        let tag = written_tag.or_else(default_tag);
        Ok(OciName {
            domain,
            path: path.to_owned(),
            tag,
            digest,
        }
        .normalised())
    }
}

impl OciName {
    /// The name without tag and digest: `docker.io/library/nginx`, `app`.
    pub fn repository(&self) -> String {
        match &self.domain {
            Some(domain) => format!("{domain}/{}", self.path),
            None => self.path.clone(),
        }
    }

    /// What to ask the registry for: the digest when there is one, else the tag.
    pub fn target(&self) -> &str {
        match &self.digest {
            Some(digest) => digest.as_str(),
            None => self.tag.as_deref().unwrap_or(DEFAULT_TAG),
        }
    }

    /// This name in the default registry, where a name without a domain is looked for second.
    pub fn in_default_registry(&self) -> OciName {
        let domain = self
            .domain
            .clone()
            .or_else(|| Some(DEFAULT_DOMAIN.to_owned()));
        OciName {
            domain,
            ..self.clone()
        }
        .normalised()
    }

    /// One spelling for the default registry's names.
    fn normalised(mut self) -> OciName {
        if self.domain.as_deref() == Some(LEGACY_DEFAULT_DOMAIN) {
            self.domain = Some(DEFAULT_DOMAIN.to_owned());
        }
        if self.domain.as_deref() == Some(DEFAULT_DOMAIN) && !self.path.contains('/') {
            self.path.insert_str(0, OFFICIAL_PREFIX);
        }
        self
    }
}

impl fmt::Display for OciName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "reference/tests.rs"]
mod tests;
