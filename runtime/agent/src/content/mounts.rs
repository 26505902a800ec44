//! Where a container's volumes appear in it.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::api::core::v1::{Container, VolumeMount};
use sampan_proto::v1;
use serde::Serialize;

use super::below::{BelowError, Missing, resolve};
use super::expand::expand_noting;
use super::place::Place;
use crate::limits::SUB_PATH_MAX;

/// Why a mount cannot be made. The text is the waiting state's message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MountError {
    #[error("volume \"{0}\" is not defined in the pod")]
    NoVolume(String),
    #[error("the subPathExpr of volume \"{0}\" is longer than {SUB_PATH_MAX} bytes")]
    TooLong(String),
    #[error("missing value for \"{0}\"")]
    NoValue(String),
    #[error("subPath \"{0}\" leaves its volume")]
    Escapes(String),
    #[error(
        "volume \"{name}\" holds {folder}, which this node's operator lets pods only read: mount the volume with readOnly"
    )]
    HoldsFixed { name: String, folder: String },
    #[error("failed to prepare subPath for volumeMount \"{name}\" of container \"{container}\"")]
    SubPath {
        name: String,
        container: String,
        #[source]
        source: std::io::Error,
    },
}

/// What a volume is, seen from a mount.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Place(Place),
    /// By the id in the runtime, and as the pod names it.
    Image {
        id: String,
        reference: String,
    },
}

/// A container's mounts, in the order of its spec.
#[derive(Debug, Default)]
pub(crate) struct Mounts {
    pub(crate) mounts: Vec<v1::Mount>,
    pub(crate) limits: Vec<Limit>,
}

/// How much a folder or file of the host may hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Limit {
    pub(crate) path: String,
    pub(crate) bytes: u64,
}

/// The mounts of a container. Makes missing subPath folders.
pub(crate) fn mounts(
    container: &Container,
    sources: &BTreeMap<String, Source>,
    env: &BTreeMap<String, String>,
) -> Result<Mounts, MountError> {
    let mut made = Mounts::default();
    for mount in container.volume_mounts.iter().flatten() {
        let source = sources.get(&mount.name);
        let source = source.ok_or_else(|| MountError::NoVolume(mount.name.clone()))?;
        let sub_path = sub_path(mount, env)?;
        made.mounts.push(match source {
            Source::Place(place) => {
                if let Some(bytes) = place.limit {
                    let path = place.path.to_string_lossy().into_owned();
                    made.limits.push(Limit { path, bytes });
                }
                of_place(container, mount, place, sub_path)?
            }
            Source::Image { id, reference } => v1::Mount {
                container_path: mount.mount_path.clone(),
                image: Some(v1::ImageSpec {
                    image: id.clone(),
                    user_specified_image: reference.clone(),
                    ..Default::default()
                }),
                image_sub_path: sub_path.unwrap_or_default(),
                readonly: true,
                ..Default::default()
            },
        });
    }
    Ok(made)
}

fn sub_path(
    mount: &VolumeMount,
    env: &BTreeMap<String, String>,
) -> Result<Option<String>, MountError> {
    match (&mount.sub_path_expr, &mount.sub_path) {
        (Some(expression), _) if !expression.is_empty() => {
            match expand_noting(expression, env, SUB_PATH_MAX) {
                Some((_, Some(unknown))) => Err(MountError::NoValue(unknown.to_owned())),
                Some((path, None)) => Ok(Some(path)),
                None => Err(MountError::TooLong(mount.name.clone())),
            }
        }
        (_, Some(path)) if !path.is_empty() => Ok(Some(path.clone())),
        _ => Ok(None),
    }
}

fn of_place(
    container: &Container,
    mount: &VolumeMount,
    place: &Place,
    sub_path: Option<String>,
) -> Result<v1::Mount, MountError> {
    let mut host = place.path.clone();
    if let Some(sub_path) = sub_path {
        // What is missing is made, also for a mount that only reads, unless nothing may be written in the volume. Where a
        // part of it may only be read nothing is made either: a symbolic link could lead there.
        let missing = if place.read_only || place.fixed_below(&place.path).is_some() {
            Missing::Refuse
        } else {
            Missing::MakeFolders
        };
        host = resolve(&host, Path::new(&sub_path), missing).map_err(|error| match error {
            BelowError::Escapes => MountError::Escapes(sub_path.clone()),
            BelowError::Io(source) => MountError::SubPath {
                name: mount.name.clone(),
                container: container.name.clone(),
                source,
            },
        })?;
    }
    let read_only = mount.read_only == Some(true) || place.is_read_only_at(&host);
    if let Some(folder) = place.fixed_below(&host).filter(|_| !read_only) {
        return Err(MountError::HoldsFixed {
            name: mount.name.clone(),
            folder: folder.display().to_string(),
        });
    }
    let recursive = mount.recursive_read_only.as_deref();
    Ok(v1::Mount {
        container_path: mount.mount_path.clone(),
        host_path: host.to_string_lossy().into_owned(),
        readonly: read_only,
        recursive_read_only: read_only && matches!(recursive, Some("Enabled" | "IfPossible")),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HostFolder;
    use crate::content::atomic;
    use serde_json::json;
    use std::fs;

    fn check(dir: &Path, mount: serde_json::Value) -> Result<(String, bool), String> {
        let container: Container =
            serde_json::from_value(json!({"name": "x", "volumeMounts": [mount]})).unwrap();
        let place = |name: &str, read_only| {
            let path = dir.join(name);
            Source::Place(Place {
                path,
                read_only,
                limit: Some(7),
                inside: Vec::new(),
            })
        };
        let sources = BTreeMap::from([
            ("e".to_owned(), place("e", false)),
            ("c".to_owned(), place("c", true)),
        ]);
        let env = BTreeMap::from([("POD".to_owned(), "p".to_owned())]);
        let made = mounts(&container, &sources, &env).map_err(|error| error.to_string())?;
        assert_eq!(made.limits[0].bytes, 7);
        let path = Path::new(&made.mounts[0].host_path);
        let path = path.strip_prefix(dir).unwrap();
        Ok((path.to_string_lossy().into_owned(), made.mounts[0].readonly))
    }

    #[test]
    fn mounts_and_sub_paths() {
        let temp = tempfile::tempdir().unwrap();
        let dir = &fs::canonicalize(temp.path()).unwrap();
        let (empty, map) = (dir.join("e"), dir.join("c"));
        fs::create_dir_all(&empty).unwrap();
        let file = atomic::File {
            path: "k".into(),
            data: vec![1],
            mode: 0o644,
        };
        atomic::write(&map, &[file]).unwrap();
        std::os::unix::fs::symlink("../..", empty.join("up")).unwrap();
        let mount = |extra: serde_json::Value| {
            let mut mount = json!({"name": "e", "mountPath": "/m"});
            for (key, value) in extra.as_object().unwrap() {
                mount[key] = value.clone();
            }
            check(dir, mount)
        };
        assert_eq!(mount(json!({})), Ok(("e".into(), false)));
        assert_eq!(mount(json!({"readOnly": true})), Ok(("e".into(), true)));
        assert_eq!(
            mount(json!({"subPath": "a/b"})),
            Ok(("e/a/b".into(), false))
        );
        assert!(empty.join("a/b").is_dir());
        assert_eq!(
            mount(json!({"subPathExpr": "$(POD)/x"})),
            Ok(("e/p/x".into(), false))
        );
        let unknown = mount(json!({"subPathExpr": "$(NONE)/x"}));
        assert_eq!(unknown, Err("missing value for \"NONE\"".into()));
        for bad in ["..", "a/../../x", "/etc", "up", "up/x"] {
            let got = mount(json!({"subPath": bad}));
            assert_eq!(
                got,
                Err(format!("subPath \"{bad}\" leaves its volume")),
                "{bad}"
            );
        }
        assert_eq!(
            mount(json!({"subPath": "new", "readOnly": true})),
            Ok(("e/new".into(), true)),
            "made for a mount that only reads as well"
        );
        let (path, read_only) = mount(json!({"name": "c", "subPath": "k"})).unwrap();
        assert!(path.starts_with("c/..") && path.ends_with("/k"), "{path}");
        assert!(read_only);
        assert!(mount(json!({"name": "c", "subPath": "none"})).is_err());
        let undefined = Err("volume \"z\" is not defined in the pod".into());
        assert_eq!(mount(json!({"name": "z"})), undefined);
    }

    #[test]
    fn a_folder_that_may_only_be_read_is_not_in_a_mount_that_writes() {
        let temp = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(temp.path()).unwrap();
        fs::create_dir_all(dir.join("v/fixed/in")).unwrap();
        fs::create_dir_all(dir.join("v/free")).unwrap();
        std::os::unix::fs::symlink("fixed", dir.join("v/link")).unwrap();
        let place = Place {
            path: dir.join("v"),
            read_only: false,
            limit: None,
            inside: vec![HostFolder {
                path: dir.join("v/fixed"),
                read_only: true,
            }],
        };
        let sources = BTreeMap::from([("v".to_owned(), Source::Place(place))]);
        let mount = |sub_path: &str, read_only: bool| {
            let mount =
                json!({"name": "v", "mountPath": "/m", "subPath": sub_path, "readOnly": read_only});
            let container = json!({"name": "x", "volumeMounts": [mount]});
            let container: Container = serde_json::from_value(container).unwrap();
            let made = mounts(&container, &sources, &BTreeMap::new());
            made.map(|made| made.mounts[0].readonly)
                .map_err(|error| error.to_string())
        };
        assert!(mount("", false).unwrap_err().contains("v/fixed, which"));
        assert_eq!(mount("", true), Ok(true));
        assert_eq!(mount("free", false), Ok(false));
        for path in ["fixed", "fixed/in", "link", "link/in"] {
            assert_eq!(mount(path, false), Ok(true), "{path}");
        }
        assert!(mount("link/new", false).is_err());
        assert!(!dir.join("v/fixed/new").exists());
    }

    #[test]
    fn images_and_recursion() {
        let image = Source::Image {
            id: "sha256:1".into(),
            reference: "app:v1".into(),
        };
        let place = Source::Place(Place {
            path: "/x".into(),
            read_only: false,
            limit: None,
            inside: Vec::new(),
        });
        let sources = BTreeMap::from([("i".to_owned(), image), ("e".to_owned(), place)]);
        let container: Container = serde_json::from_value(json!({"name": "x", "volumeMounts": [
            {"name": "i", "mountPath": "/i", "subPath": "a/b"},
            {"name": "e", "mountPath": "/e", "readOnly": true, "recursiveReadOnly": "Enabled"},
            {"name": "e", "mountPath": "/f", "recursiveReadOnly": "Disabled"}]}))
        .unwrap();
        let made = mounts(&container, &sources, &BTreeMap::new())
            .unwrap()
            .mounts;
        assert_eq!(made[0].image.as_ref().unwrap().image, "sha256:1");
        assert_eq!(
            (made[0].image_sub_path.as_str(), made[0].readonly),
            ("a/b", true)
        );
        assert!(made[1].recursive_read_only && !made[2].recursive_read_only);
    }
}
