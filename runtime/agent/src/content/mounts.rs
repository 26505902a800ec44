//! Where a container's volumes appear in it.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod, Volume};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use sampan_proto::v1;

use super::{expand, volume_dir};

/// How often a path is tried again that the kernel could not follow because of renames elsewhere.
const MAX_OPEN_ATTEMPTS: u32 = 100;

/// Why a mount cannot be made. The text is the waiting state's message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MountError {
    #[error("volume \"{0}\" is not defined in the pod")]
    NoVolume(String),
    #[error("subPath \"{0}\" leaves its volume")]
    Escapes(String),
    #[error("failed to prepare subPath for volumeMount \"{name}\" of container \"{container}\"")]
    SubPath {
        name: String,
        container: String,
        #[source]
        source: std::io::Error,
    },
}

/// The mounts of a container, in the order of its spec. Makes missing subPath folders.
pub(crate) fn mounts(
    pod: &Pod,
    container: &Container,
    pod_dir: &Path,
    env: &BTreeMap<String, String>,
) -> Result<Vec<v1::Mount>, MountError> {
    let volumes = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.volumes.as_deref())
        .unwrap_or_default();
    let mut mounts = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let volume = volumes
            .iter()
            .find(|volume| volume.name == mount.name)
            .ok_or_else(|| MountError::NoVolume(mount.name.clone()))?;
        let mut host = volume_dir(pod_dir, volume);
        let sub_path = match (&mount.sub_path_expr, &mount.sub_path) {
            (Some(expression), _) if !expression.is_empty() => Some(expand(expression, env)),
            (_, Some(path)) if !path.is_empty() => Some(path.clone()),
            _ => None,
        };
        if let Some(sub_path) = sub_path {
            let read_only = mount.read_only == Some(true) || is_content(volume);
            host = resolve(&host, &sub_path, read_only).map_err(|error| match error {
                ResolveError::Escapes => MountError::Escapes(sub_path.clone()),
                ResolveError::Io(source) => MountError::SubPath {
                    name: mount.name.clone(),
                    container: container.name.clone(),
                    source,
                },
            })?;
        }
        mounts.push(v1::Mount {
            container_path: mount.mount_path.clone(),
            host_path: host.to_string_lossy().into_owned(),
            readonly: mount.read_only == Some(true) || is_content(volume),
            ..Default::default()
        });
    }
    Ok(mounts)
}

/// Volumes made from API objects are read-only whatever the mount says, as upstream.
fn is_content(volume: &Volume) -> bool {
    volume.empty_dir.is_none()
}

enum ResolveError {
    Escapes,
    Io(std::io::Error),
}

impl From<std::io::Error> for ResolveError {
    fn from(error: std::io::Error) -> ResolveError {
        ResolveError::Io(error)
    }
}

impl From<Errno> for ResolveError {
    fn from(error: Errno) -> ResolveError {
        match error {
            // The kernel's word for a path that leaves the folder it has to stay below.
            Errno::XDEV => ResolveError::Escapes,
            error => ResolveError::Io(error.into()),
        }
    }
}

/// The real host path of `sub_path` inside `volume`, symlinks followed but never out of it. What is
/// missing is made, unless the volume is read-only. Guests may change the volume meanwhile, so each
/// step is the kernel's, below the volume's descriptor; the path returned holds no symlink, and
/// whoever opens it must not follow any.
fn resolve(volume: &Path, sub_path: &str, read_only: bool) -> Result<PathBuf, ResolveError> {
    let root = rustix::fs::open(volume, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let root_path = real_path(&root)?;
    let mut at = root.try_clone()?;
    let mut below = PathBuf::new();
    for part in Path::new(sub_path).components() {
        let Component::Normal(part) = part else {
            if part == Component::CurDir {
                continue;
            }
            return Err(ResolveError::Escapes);
        };
        below.push(part);
        at = match open_below(&root, &below) {
            Err(Errno::NOENT) if !read_only => {
                match rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o777)) {
                    // A dangling symlink, or somebody was faster: opening it again tells.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                open_below(&root, &below)?
            }
            opened => opened?,
        };
    }
    let path = real_path(&at)?;
    match path.starts_with(&root_path) {
        true => Ok(path),
        false => Err(ResolveError::Escapes),
    }
}

fn open_below(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut attempts = 0;
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            // Something on the host was renamed while the kernel went up by a `..`.
            Err(Errno::AGAIN) if attempts < MAX_OPEN_ATTEMPTS => attempts += 1,
            result => return result,
        }
    }
}

/// Where a descriptor's folder or file is now.
fn real_path(descriptor: &OwnedFd) -> std::io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [], "volumes": [
                {"name": "e", "emptyDir": {}}, {"name": "c", "configMap": {"name": "m"}}]}
        }))
        .unwrap()
    }

    fn check(dir: &Path, mount: serde_json::Value) -> Result<(String, bool), String> {
        let container: Container =
            serde_json::from_value(json!({"name": "x", "volumeMounts": [mount]})).unwrap();
        let env = BTreeMap::from([("POD".to_owned(), "p".to_owned())]);
        let made = mounts(&pod(), &container, dir, &env).map_err(|error| error.to_string())?;
        let root = fs::canonicalize(dir.join("volumes")).unwrap();
        let path = Path::new(&made[0].host_path);
        let path = path
            .strip_prefix(&root)
            .or(path.strip_prefix(dir.join("volumes")))
            .unwrap();
        Ok((path.to_string_lossy().into_owned(), made[0].readonly))
    }

    #[test]
    fn mounts_and_sub_paths() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        let empty = dir.join("volumes/kubernetes.io~empty-dir/e");
        let map = dir.join("volumes/kubernetes.io~configmap/c");
        fs::create_dir_all(&empty).unwrap();
        super::super::atomic::write(
            &map,
            &[super::super::atomic::File {
                path: "k".into(),
                data: vec![1],
                mode: 0o644,
            }],
        )
        .unwrap();
        std::os::unix::fs::symlink("../../..", empty.join("up")).unwrap();
        let mount = |extra: serde_json::Value| {
            let mut mount = json!({"name": "e", "mountPath": "/m"});
            for (key, value) in extra.as_object().unwrap() {
                mount[key] = value.clone();
            }
            check(dir, mount)
        };
        let e = "kubernetes.io~empty-dir/e";
        assert_eq!(mount(json!({})), Ok((e.into(), false)));
        assert_eq!(mount(json!({"readOnly": true})), Ok((e.into(), true)));
        assert_eq!(
            mount(json!({"subPath": "a/b"})),
            Ok((format!("{e}/a/b"), false))
        );
        assert!(empty.join("a/b").is_dir());
        assert_eq!(
            mount(json!({"subPathExpr": "$(POD)/x"})),
            Ok((format!("{e}/p/x"), false))
        );
        for bad in ["..", "a/../../x", "/etc", "up", "up/x"] {
            let got = mount(json!({"subPath": bad}));
            assert_eq!(
                got,
                Err(format!("subPath \"{bad}\" leaves its volume")),
                "{bad}"
            );
        }
        let (path, read_only) = mount(json!({"name": "c", "subPath": "k"})).unwrap();
        assert!(
            path.starts_with("kubernetes.io~configmap/c/..") && path.ends_with("/k"),
            "{path}"
        );
        assert!(read_only);
        assert!(mount(json!({"name": "c", "subPath": "none"})).is_err());
        assert_eq!(
            mount(json!({"name": "z"})),
            Err("volume \"z\" is not defined in the pod".into())
        );
    }

    /// A guest that swaps a folder for a symlink all the time: whatever it hits, nothing outside of
    /// the volume is named, and nothing is made there.
    #[test]
    fn a_swapped_folder_leads_nowhere_else() {
        let temp = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(temp.path()).unwrap();
        let (volume, outside) = (root.join("volume"), root.join("outside"));
        fs::create_dir_all(volume.join("a/in")).unwrap();
        fs::create_dir_all(outside.join("in")).unwrap();
        std::os::unix::fs::symlink("../outside", volume.join("link")).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        let done = &done;
        let mut resolved = Vec::new();
        std::thread::scope(|scope| {
            let guest = volume.clone();
            scope.spawn(move || {
                let swap = |from: &str, to: &str| fs::rename(guest.join(from), guest.join(to));
                // The other side may make a folder where one is missing: not every rename works.
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    swap("a", "real").ok();
                    swap("link", "a").ok();
                    swap("a", "link").ok();
                    swap("real", "a").ok();
                }
            });
            for attempt in 0..2000 {
                let sub_path = ["a", "a/in", "a/new"][attempt % 3];
                if let Ok(path) = resolve(&volume, sub_path, false) {
                    resolved.push(path);
                }
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let elsewhere = resolved.iter().find(|path| !path.starts_with(&volume));
        assert_eq!(elsewhere, None);
        assert!(!outside.join("new").exists());
    }
}
