//! A container's mounts: checked when it is created, turned into the engine's when it starts.
//!
//! "Recursive" read-only is what every read-only mount is: nothing is mounted below a guest's mount but by its own
//! container.
//!
//! Linux matters that mean nothing to a guest (propagation, id mappings, SELinux labels) are
//! accepted and ignored: a guest cannot mount, has no uid and makes no system call.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use sampan_engine::{Mount, VolumeLimit};
use sampan_image::Image;
use sampan_proto::{RESOLVED_MOUNTS, VOLUME_LIMITS, v1};
use serde::Deserialize;

use crate::limits::MAX_MOUNTS;

mod image_volume;

/// Why a mount cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MountError {
    #[error("{0} mounts, at most {MAX_MOUNTS} are allowed")]
    TooMany(usize),
    #[error("mount path {0:?} must be absolute and free of '..'")]
    ContainerPath(String),
    #[error("{0:?} is mounted twice")]
    Twice(String),
    #[error("cannot mount {host_path:?} at {container_path:?}")]
    HostPath {
        host_path: String,
        container_path: String,
        #[source]
        source: io::Error,
    },
    #[error("ImageVolumeMountFailed: cannot mount image {image:?} at {container_path:?}")]
    ImageVolume {
        image: String,
        container_path: String,
        #[source]
        source: io::Error,
    },
    #[error("mount {0:?} is recursively read-only but not read-only")]
    RecursiveReadOnly(String),
    #[error("annotation {VOLUME_LIMITS} is not a list of paths with bytes")]
    Limits(#[source] serde_json::Error),
}

/// One entry of the annotation [`VOLUME_LIMITS`].
#[derive(Deserialize)]
struct Limit {
    path: PathBuf,
    bytes: u64,
}

/// The limits of what mounts may hold; none without the annotation.
pub(crate) fn limits(
    annotations: &BTreeMap<String, String>,
) -> Result<Vec<VolumeLimit>, MountError> {
    let Some(text) = annotations.get(VOLUME_LIMITS) else {
        return Ok(Vec::new());
    };
    let limits: Vec<Limit> = serde_json::from_str(text).map_err(MountError::Limits)?;
    let limits = limits
        .into_iter()
        .map(|Limit { path, bytes }| VolumeLimit { path, bytes });
    Ok(limits.collect())
}

/// Whose task it is to follow symbolic links in host paths.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// Ours, once, as other runtimes do.
    Follow,
    /// The caller's. One that is there nevertheless was put there since then: never followed.
    Refuse,
}

impl Links {
    pub(crate) fn of(annotations: &BTreeMap<String, String>) -> Links {
        match annotations.get(RESOLVED_MOUNTS).map(String::as_str) {
            Some("true") => Links::Refuse,
            _ => Links::Follow,
        }
    }
}

/// The engine's mounts for a container's. Looks at the host's files: call it where blocking is
/// allowed.
pub(crate) fn check(
    mounts: &[v1::Mount],
    links: Links,
    images: &dyn Fn(&str) -> Option<Arc<Image>>,
) -> Result<Vec<Mount>, MountError> {
    if mounts.len() > MAX_MOUNTS {
        return Err(MountError::TooMany(mounts.len()));
    }
    let mut seen = BTreeSet::new();
    let mut checked = Vec::with_capacity(mounts.len());
    for mount in mounts {
        let guest = guest_path(&mount.container_path)?;
        if !seen.insert(guest.clone()) {
            return Err(MountError::Twice(guest));
        }
        if let Some(spec) = mount.image.as_ref().filter(|spec| !spec.image.is_empty()) {
            let found = images(&spec.image);
            let found = found.ok_or_else(|| io::Error::other("it is not on this node"));
            let mounted = found
                .and_then(|image| image_volume::mount(&image, spec, &guest, &mount.image_sub_path));
            checked.push(mounted.map_err(|source| MountError::ImageVolume {
                image: spec.image.clone(),
                container_path: mount.container_path.clone(),
                source,
            })?);
            continue;
        }
        if mount.recursive_read_only && !mount.readonly {
            return Err(MountError::RecursiveReadOnly(guest));
        }
        let unusable = |source| MountError::HostPath {
            host_path: mount.host_path.clone(),
            container_path: mount.container_path.clone(),
            source,
        };
        let host = match links {
            Links::Follow => std::fs::canonicalize(&mount.host_path).map_err(unusable)?,
            Links::Refuse => PathBuf::from(&mount.host_path),
        };
        let kind = kind_without_links(&host).map_err(unusable)?;
        if !kind.is_dir() && !kind.is_file() {
            return Err(unusable(io::Error::other(
                "neither a folder nor a regular file",
            )));
        }
        checked.push(Mount {
            host,
            guest,
            read_only: mount.readonly,
        });
    }
    Ok(checked)
}

/// What is there, if no symbolic link leads to it. The engine opens it in the same way later.
fn kind_without_links(path: &Path) -> io::Result<FileType> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened = match rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve) {
        Err(rustix::io::Errno::LOOP) => {
            return Err(io::Error::other("there is a symbolic link in its path"));
        }
        result => result?,
    };
    let stat = rustix::fs::fstat(&opened)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

/// The path without `.`, doubled and trailing slashes.
fn guest_path(path: &str) -> Result<String, MountError> {
    let refuse = || MountError::ContainerPath(path.to_string());
    if !path.starts_with('/') || path.contains('\0') {
        return Err(refuse());
    }
    let mut clean = String::with_capacity(path.len());
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => {
                clean.push('/');
                clean.push_str(part.to_str().ok_or_else(refuse)?);
            }
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(refuse()),
        }
    }
    Ok(if clean.is_empty() {
        "/".to_string()
    } else {
        clean
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_images(_: &str) -> Option<Arc<Image>> {
        None
    }

    #[test]
    fn limits_are_read_from_the_annotation() {
        let read = |text: &str| {
            let annotations = [(VOLUME_LIMITS.to_string(), text.to_string())].into();
            limits(&annotations)
        };
        let expected = VolumeLimit {
            path: "/a".into(),
            bytes: 7,
        };
        assert_eq!(
            read(r#"[{"path":"/a","bytes":7}]"#).expect("valid"),
            [expected]
        );
        assert!(read("{}").is_err());
        assert_eq!(limits(&BTreeMap::new()).expect("none"), []);
    }

    #[test]
    fn read_only_is_recursive() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mount = v1::Mount {
            readonly: true,
            recursive_read_only: true,
            ..mount(dir.path(), "/a")
        };
        let checked = check(&[mount], Links::Follow, &no_images).expect("it is there");
        assert!(checked[0].read_only);
    }

    fn mount(host: &Path, guest: &str) -> v1::Mount {
        v1::Mount {
            host_path: host.display().to_string(),
            container_path: guest.into(),
            ..Default::default()
        }
    }

    #[test]
    fn folders_and_files_are_resolved() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().canonicalize().expect("it exists");
        std::fs::write(root.join("file"), "x").expect("written");
        std::os::unix::fs::symlink(root.join("file"), root.join("link")).expect("linked");
        let read_only = v1::Mount {
            readonly: true,
            ..mount(&root, "/data//./x/")
        };
        let link = mount(&root.join("link"), "/dev/termination-log");
        let mounts = check(&[read_only, link], Links::Follow, &no_images).expect("both exist");
        let expected = [
            Mount {
                host: root.clone(),
                guest: "/data/x".into(),
                read_only: true,
            },
            Mount {
                host: root.join("file"),
                guest: "/dev/termination-log".into(),
                read_only: false,
            },
        ];
        assert_eq!(mounts, expected);
    }

    #[test]
    fn links_are_refused_where_the_caller_has_resolved_them() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().canonicalize().expect("it exists");
        std::fs::create_dir_all(root.join("folder/sub")).expect("made");
        std::fs::write(root.join("folder/file"), "x").expect("written");
        std::os::unix::fs::symlink("folder", root.join("link")).expect("linked");
        let annotated = |value: &str| {
            let annotations = [(RESOLVED_MOUNTS.to_string(), value.to_string())].into();
            Links::of(&annotations)
        };
        for (path, plain) in [
            ("folder", true),
            ("folder/sub", true),
            ("folder/file", true),
            ("link", false),
            ("link/sub", false),
            ("link/file", false),
        ] {
            let mounts = [mount(&root.join(path), "/a")];
            let checked = check(&mounts, annotated("true"), &no_images);
            assert_eq!(checked.is_ok(), plain, "{path}");
            for links in [Links::of(&BTreeMap::new()), annotated("")] {
                assert!(check(&mounts, links, &no_images).is_ok(), "{path}");
            }
        }
    }

    #[test]
    fn what_cannot_be_mounted_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path();
        let image = v1::ImageSpec {
            image: "app:v1".into(),
            ..Default::default()
        };
        let cases = [
            (vec![mount(&root.join("absent"), "/a")], "No such file"),
            (vec![mount(Path::new("/dev/null"), "/a")], ""),
            (vec![mount(root, "a")], "must be absolute"),
            (vec![mount(root, "/a/../b")], "must be absolute"),
            (vec![mount(root, "/a"), mount(root, "/a/")], "mounted twice"),
            (
                vec![v1::Mount {
                    recursive_read_only: true,
                    ..mount(root, "/a")
                }],
                "but not read-only",
            ),
            (
                vec![v1::Mount {
                    image: Some(image),
                    ..mount(root, "/a")
                }],
                "ImageVolumeMountFailed",
            ),
            (vec![mount(root, "/a"); MAX_MOUNTS + 1], "at most"),
        ];
        for (mounts, expected) in cases {
            let text = crate::error::chain(
                &check(&mounts, Links::Follow, &no_images).expect_err(expected),
            );
            assert!(text.contains(expected), "{text}");
        }
    }
}
