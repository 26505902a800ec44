//! Mounts as WASI preopens, which are always folders. A single file is shown through a private folder that holds
//! nothing but it (see `scratch`).

use super::host::HostPath;
use super::scratch::{PrivateFolder, Scratch};
use crate::Mount;
use crate::container::StartError;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtx};

/// A container's mounts, opened. Instances share the descriptors.
pub(crate) struct Preopens {
    context: WasiFilesystemCtx,
    /// In the order of descriptors.
    read_only: Vec<bool>,
    private: Vec<PrivateFolder>,
}

/// One preopen to be.
struct Folder {
    /// For messages, and to open it if it is a private folder.
    host: PathBuf,
    /// `None` for private folders: no guest can replace what leads to them.
    opened: Option<HostPath>,
    guest: String,
    read_only: bool,
}

impl Preopens {
    /// No mounts: the guest has no files.
    pub(crate) fn none() -> Self {
        Preopens {
            context: WasiFilesystemCtx::default(),
            read_only: Vec::new(),
            private: Vec::new(),
        }
    }

    /// Opens the mounts. Blocks.
    pub(crate) fn open(scratch: &Scratch, mounts: &[Mount]) -> Result<Self, StartError> {
        let failed = |mount: &Mount| {
            let (host, guest) = (mount.host.clone(), mount.guest.clone());
            move |source| StartError::Mount {
                host,
                guest,
                source,
            }
        };
        let mut folders: Vec<Folder> = Vec::new();
        let mut files: BTreeMap<String, Vec<(String, &Mount, HostPath)>> = BTreeMap::new();
        for mount in mounts {
            let guest = normal(&mount.guest).map_err(failed(mount))?;
            let host = HostPath::open(&mount.host).map_err(failed(mount))?;
            if host.kind().map_err(failed(mount))?.is_dir() {
                let read_only = mount.read_only || on_read_only_filesystem(&host.path());
                folders.push(Folder {
                    host: mount.host.clone(),
                    opened: Some(host),
                    guest,
                    read_only,
                });
            } else {
                let (parent, name) = guest.rsplit_once('/').expect("normal paths begin with /");
                let parent = if parent.is_empty() { "/" } else { parent };
                files
                    .entry(parent.to_owned())
                    .or_default()
                    .push((name.to_owned(), mount, host));
            }
        }
        let mut private = Vec::new();
        for (guest, files) in files {
            let writable = files.iter().any(|(_, mount, _)| !mount.read_only);
            let occupied = folders.iter().find_map(|folder| {
                let opened = folder.opened.as_ref().filter(|_| folder.guest == guest)?;
                Some(PrivateFolder::inside(opened, folder.read_only))
            });
            let is_new = occupied.is_none();
            let mut folder = match occupied {
                Some(folder) => folder,
                None => scratch.folder().map_err(failed(files[0].1))?,
            };
            for (name, mount, file) in files {
                // A read-only file beside a writable one is copied, so that writes cannot reach the original.
                let copy = mount.read_only && writable;
                folder
                    .show(&name, &file, mount, copy)
                    .map_err(failed(mount))?;
            }
            if is_new {
                folders.push(Folder {
                    host: folder.path().to_owned(),
                    opened: None,
                    guest,
                    read_only: !writable,
                });
            }
            private.push(folder);
        }
        Self::preopen(folders, private)
    }

    fn preopen(folders: Vec<Folder>, private: Vec<PrivateFolder>) -> Result<Self, StartError> {
        let mut builder = WasiCtx::builder();
        let mut read_only = Vec::new();
        for folder in folders {
            let perms = if folder.read_only {
                FsPerms::ReadOnly
            } else {
                FsPerms::ReadWrite
            };
            let path = match &folder.opened {
                Some(opened) => opened.path(),
                None => folder.host.clone(),
            };
            let opened = builder.preopened_dir(path, &folder.guest, perms);
            if let Err(error) = opened {
                let source = match error.downcast::<io::Error>() {
                    Ok(error) => error,
                    Err(error) => io::Error::other(error.to_string()),
                };
                return Err(StartError::Mount {
                    host: folder.host,
                    guest: folder.guest,
                    source,
                });
            }
            read_only.push(folder.read_only);
        }
        let context = builder.build().filesystem().clone();
        Ok(Preopens {
            context,
            read_only,
            private,
        })
    }

    pub(crate) fn context(&self) -> &WasiFilesystemCtx {
        &self.context
    }

    /// Which mounts are read-only, in the order of their descriptors.
    pub(crate) fn read_only(&self) -> &[bool] {
        &self.read_only
    }

    /// Brings back what was written to files that had to be copied. To be called when no instance runs any more.
    pub(crate) async fn finish(&self) {
        for folder in &self.private {
            let Some(copies) = folder.copies_to_bring_back() else {
                continue;
            };
            let done = tokio::task::spawn_blocking(move || copies.bring_back()).await;
            if let Err(error) = done {
                tracing::warn!(%error, "files written by a container were not brought back");
            }
        }
    }
}

/// The guest's path without doubled and trailing slashes.
fn normal(guest: &str) -> io::Result<String> {
    let invalid = |message: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    if !guest.starts_with('/') {
        return invalid("the path in the container must begin with /");
    }
    let mut path = String::new();
    for part in guest
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        if part == ".." {
            return invalid("the path in the container must not contain ..");
        }
        path.push('/');
        path.push_str(part);
    }
    Ok(if path.is_empty() {
        "/".to_owned()
    } else {
        path
    })
}

/// Writes there would fail anyway; knowing it before lets them fail with EROFS.
fn on_read_only_filesystem(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|filesystem| {
        filesystem
            .f_flag
            .contains(rustix::fs::StatVfsMountFlags::RDONLY)
    })
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn guest_paths_are_absolute_and_stay_inside() {
        for (given, expected) in [
            ("/", "/"),
            ("//data//x/", "/data/x"),
            ("/./a", "/a"),
            ("/dev/termination-log", "/dev/termination-log"),
        ] {
            assert_eq!(normal(given).expect("valid"), expected);
        }
        for given in ["", "data", "/a/../b", ".."] {
            assert!(normal(given).is_err(), "{given:?}");
        }
    }
}
