//! What a path below `/v2/` names. Pure.

use crate::digest::Digest;
use crate::reference::{check_repository, is_tag};
use crate::registry::answer::Failure;

/// A path, parsed once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/NAME/tags/list`
    Tags { name: String },
    /// `/v2/NAME/manifests/TAG-OR-DIGEST`
    Manifest { name: String, reference: String },
    /// `/v2/NAME/blobs/DIGEST`
    Blob { name: String, digest: Digest },
    /// `/v2/NAME/blobs/uploads/`
    Uploads { name: String },
    /// `/v2/NAME/blobs/uploads/ID`
    Upload { name: String, id: String },
    /// `/v2/NAME/referrers/DIGEST`
    Referrers { name: String, digest: Digest },
    /// `/v2/_sampan/registry/prune`, an extension as the specification shapes them
    Prune,
}

impl Route {
    /// Reads the path behind `/v2/`. A repository's name may have slashes, so it is read from the end.
    pub(crate) fn parse(path: &str) -> Result<Route, Failure> {
        // Digests come with their colon escaped from some clients. Nothing else in these paths can be.
        let path = path
            .trim_start_matches('/')
            .replace("%3A", ":")
            .replace("%3a", ":");
        match path.as_str() {
            "" => return Ok(Route::Base),
            "_catalog" => return Ok(Route::Catalog),
            "_sampan/registry/prune" => return Ok(Route::Prune),
            _ => {}
        }
        if let Some(name) = path.strip_suffix("/tags/list") {
            return Ok(Route::Tags {
                name: repository(name)?,
            });
        }
        let trimmed = path.strip_suffix('/').unwrap_or(&path);
        if let Some(name) = trimmed.strip_suffix("/blobs/uploads") {
            return Ok(Route::Uploads {
                name: repository(name)?,
            });
        }
        let (rest, last) = path.rsplit_once('/').ok_or(Failure::NoSuchPath)?;
        if let Some(name) = rest.strip_suffix("/blobs/uploads") {
            return Ok(Route::Upload {
                name: repository(name)?,
                id: last.to_owned(),
            });
        }
        if let Some(name) = rest.strip_suffix("/blobs") {
            let digest = parse_digest(last)?;
            return Ok(Route::Blob {
                name: repository(name)?,
                digest,
            });
        }
        if let Some(name) = rest.strip_suffix("/referrers") {
            let digest = parse_digest(last)?;
            return Ok(Route::Referrers {
                name: repository(name)?,
                digest,
            });
        }
        if let Some(name) = rest.strip_suffix("/manifests") {
            let name = repository(name)?;
            return Ok(Route::Manifest {
                name,
                reference: target(last)?,
            });
        }
        Err(Failure::NoSuchPath)
    }
}

fn repository(name: &str) -> Result<String, Failure> {
    check_repository(name).map_err(|error| Failure::NameInvalid(error.to_string()))?;
    Ok(name.to_owned())
}

fn parse_digest(text: &str) -> Result<Digest, Failure> {
    let digest = text.parse::<Digest>();
    digest.map_err(|error| Failure::DigestInvalid(error.to_string()))
}

fn target(text: &str) -> Result<String, Failure> {
    if text.contains(':') {
        parse_digest(text)?;
    } else if !is_tag(text) {
        return Err(Failure::ManifestInvalid(
            "a tag has at most 128 letters, digits, and the signs _ . -".into(),
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_their_end() {
        let digest = Digest::of(b"");
        let parse = |path: &str| Route::parse(path).ok();
        let name = || "a/blobs/b".to_owned();
        assert_eq!(parse("/"), Some(Route::Base));
        assert_eq!(parse("_catalog"), Some(Route::Catalog));
        assert_eq!(
            parse("a/blobs/b/tags/list"),
            Some(Route::Tags { name: name() })
        );
        let manifest = Route::Manifest {
            name: name(),
            reference: "v1".into(),
        };
        assert_eq!(parse("a/blobs/b/manifests/v1"), Some(manifest));
        let blob = || {
            Some(Route::Blob {
                name: name(),
                digest: digest.clone(),
            })
        };
        assert_eq!(parse(&format!("a/blobs/b/blobs/{digest}")), blob());
        assert_eq!(
            parse(&format!("a/blobs/b/blobs/sha256%3A{}", digest.hex())),
            blob()
        );
        for start in ["a/blobs/b/blobs/uploads", "a/blobs/b/blobs/uploads/"] {
            assert_eq!(parse(start), Some(Route::Uploads { name: name() }));
        }
        let upload = Route::Upload {
            name: name(),
            id: "7".into(),
        };
        assert_eq!(parse("a/blobs/b/blobs/uploads/7"), Some(upload));
        let about = Route::Referrers {
            name: name(),
            digest: digest.clone(),
        };
        assert_eq!(parse(&format!("a/blobs/b/referrers/{digest}")), Some(about));
        assert_eq!(parse("_sampan/registry/prune"), Some(Route::Prune));
        for bad in [
            "a",
            "a/b",
            "manifests/v1",
            "/manifests/v1",
            "A/manifests/v1",
            "a/../b/manifests/v1",
            "a/%2e%2e/manifests/v1",
            "a/manifests/",
            "a/manifests/.v1",
            "a/manifests/sha256:1",
            "a/blobs/sha512:1",
            "a/blobs/x",
            "a/referrers/v1",
            "_catalog/tags/list",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
