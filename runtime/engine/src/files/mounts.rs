//! Mounts as WASI preopens, which are always folders. A single file is shown through a private folder that holds
//! nothing but it (see `scratch`), or beside what an image has there (see `mirror`).

use super::host::HostPath;
use super::mark::{Fixed, Mark};
use super::mirror::{By, folder_below, mirror};
use super::quota::{self, Quota};
use super::scratch::{MAX_COPY, Pace, PrivateFolder, Scratch, Shown, Turns};
use crate::container::StartError;
use crate::{ContainerSpec, Mount, VolumeLimit};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtx};

/// What guests may add to the copies in a private folder that is written to, in bytes: a file of an image may be changed,
/// not become a store.
const PRIVATE_ROOM: u64 = 1 << 20;

/// A container's mounts, opened. Instances share the descriptors.
pub(crate) struct Preopens {
    context: WasiFilesystemCtx,
    /// In the order of descriptors.
    read_only: Vec<bool>,
    marks: Arc<[Mark]>,
    /// Until the container's end.
    private: Mutex<Vec<PrivateFolder>>,
    turns: Option<Turns>,
}

/// One preopen to be.
struct Folder {
    /// For messages, and to open it if it is a private folder.
    host: PathBuf,
    /// `None` for private folders: no guest can replace what leads to them.
    opened: Option<HostPath>,
    guest: String,
    read_only: bool,
    mark: Mark,
}

/// A file to be shown by itself.
struct Single<'a> {
    name: String,
    source: SingleSource<'a>,
}

enum SingleSource<'a> {
    Host(&'a Mount, HostPath),
    Content(&'a [u8]),
}

impl Single<'_> {
    fn is_writable(&self) -> bool {
        matches!(&self.source, SingleSource::Host(mount, _) if !mount.read_only)
    }
}

/// The quotas of mounts by where they are on the host.
struct Limits<'a> {
    scratch: &'a Scratch,
    limits: &'a [VolumeLimit],
}

impl Limits<'_> {
    fn of(&self, host: &Path) -> Option<Arc<Quota>> {
        let limit = self.limit(host)?;
        Some(self.scratch.quotas().of(&limit.path, limit.bytes))
    }

    /// The innermost one counts.
    fn limit(&self, host: &Path) -> Option<&VolumeLimit> {
        let around = self
            .limits
            .iter()
            .filter(|limit| host.starts_with(&limit.path));
        around.max_by_key(|limit| limit.path.as_os_str().len())
    }

    /// The quota of a writable file that is mounted by itself.
    fn of_shown(&self, host: &Path, shown: &Shown) -> Option<Arc<Quota>> {
        match shown {
            Shown::Link => self.of(host),
            // What is written is the copy, which is brought back only up to a size.
            Shown::Copy(copy) => {
                let limit = self.limit(host).map_or(MAX_COPY, |limit| limit.bytes);
                Some(self.scratch.quotas().of(copy, limit.min(MAX_COPY)))
            }
        }
    }

    /// The quota of what a private folder holds beside mounted files.
    fn of_private(&self, folder: &Path) -> io::Result<Arc<Quota>> {
        let bytes = quota::bytes_in(folder)?.saturating_add(PRIVATE_ROOM);
        Ok(self.scratch.quotas().of(folder, bytes))
    }
}

impl Preopens {
    /// No mounts: the guest has no files.
    pub(crate) fn none() -> Self {
        Preopens {
            context: WasiFilesystemCtx::default(),
            read_only: Vec::new(),
            marks: Arc::from([]),
            private: Mutex::default(),
            turns: None,
        }
    }

    /// Opens the mounts. Blocks. `None` if that takes longer than there is time.
    pub(crate) fn try_open(
        scratch: &Scratch,
        spec: &ContainerSpec,
        pace: &Pace,
    ) -> Option<Result<Self, StartError>> {
        match (Self::open(scratch, spec, pace), pace) {
            (Err(StartError::Mount { source, .. }), Pace::Quick(_)) if Pace::is_kept(&source) => {
                None
            }
            (opened, _) => Some(opened),
        }
    }

    fn open(scratch: &Scratch, spec: &ContainerSpec, pace: &Pace) -> Result<Self, StartError> {
        let limits = Limits {
            scratch,
            limits: &spec.volume_limits,
        };
        let mut folders: Vec<Folder> = Vec::new();
        let mut files: BTreeMap<String, Vec<Single<'_>>> = BTreeMap::new();
        for mount in &spec.mounts {
            let failed = failed(&mount.host, &mount.guest);
            let guest = normal(&mount.guest).map_err(&failed)?;
            let host = HostPath::open(&mount.host).map_err(&failed)?;
            if host.kind().map_err(&failed)?.is_dir() {
                let read_only = mount.read_only || on_read_only_filesystem(&host.path());
                folders.push(Folder {
                    host: mount.host.clone(),
                    opened: Some(host),
                    guest,
                    read_only,
                    mark: Mark {
                        fixed: None,
                        quota: limits.of(&mount.host).filter(|_| !read_only),
                    },
                });
            } else {
                let (parent, name) = split(&guest);
                let source = SingleSource::Host(mount, host);
                files
                    .entry(parent)
                    .or_default()
                    .push(Single { name, source });
            }
        }
        for file in &spec.files {
            let guest = normal(&file.guest).map_err(failed(Path::new(""), &file.guest))?;
            let (parent, name) = split(&guest);
            let source = SingleSource::Content(&file.content);
            files
                .entry(parent)
                .or_default()
                .push(Single { name, source });
        }
        let mut private = Vec::new();
        let mut shown_in = Vec::new();
        for (guest, files) in files {
            let shown = show((scratch, pace), &limits, &folders, &guest, &files);
            let (folder, preopen) = shown.map_err(failed(&first_host(&files), &guest))?;
            shown_in.extend(preopen);
            private.push(folder);
        }
        // What shows a root filesystem's own files beside mounted ones stands in for it.
        folders.retain(|folder| shown_in.iter().all(|shown| shown.guest != folder.guest));
        folders.extend(shown_in);
        Self::preopen(folders, private, scratch.turns().clone())
    }

    fn preopen(
        folders: Vec<Folder>,
        private: Vec<PrivateFolder>,
        turns: Turns,
    ) -> Result<Self, StartError> {
        let mut builder = WasiCtx::builder();
        let (mut read_only, mut marks) = (Vec::new(), Vec::new());
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
                return Err(failed(&folder.host, &folder.guest)(source));
            }
            read_only.push(folder.read_only);
            marks.push(folder.mark);
        }
        let context = builder.build().filesystem().clone();
        Ok(Preopens {
            context,
            read_only,
            marks: marks.into(),
            private: Mutex::new(private),
            turns: Some(turns),
        })
    }

    pub(crate) fn context(&self) -> &WasiFilesystemCtx {
        &self.context
    }

    /// Which mounts are read-only, in the order of their descriptors.
    pub(crate) fn read_only(&self) -> &[bool] {
        &self.read_only
    }

    /// What else the mounts allow, in the order of their descriptors.
    pub(crate) fn marks(&self) -> Arc<[Mark]> {
        self.marks.clone()
    }

    /// Brings back what was written to files that had to be copied, and removes what showed files. To be called when no
    /// instance runs any more. There may be thousands of files, so this is for a thread that may block.
    pub(crate) async fn finish(&self) {
        let mut private = std::mem::take(&mut *self.private.lock());
        let (false, Some(turns)) = (private.is_empty(), &self.turns) else {
            return;
        };
        let work = move |pace: &Pace| {
            private.retain_mut(|folder| !folder.bring_back(pace));
            private.is_empty().then_some(())
        };
        if turns.run(&Handle::current(), work).await.is_none() {
            tracing::warn!("files written by a container were not brought back");
        }
    }
}

/// Shows files in the guest's folder `guest`: in the folder that is mounted there, or else in a private one, which
/// becomes a preopen of its own.
fn show(
    (scratch, pace): (&Scratch, &Pace),
    limits: &Limits<'_>,
    folders: &[Folder],
    guest: &str,
    files: &[Single<'_>],
) -> io::Result<(PrivateFolder, Option<Folder>)> {
    let writable = files.iter().any(Single::is_writable);
    let around = around(folders, guest);
    let below_writable = around.filter(|(at, below)| !at.read_only && !below.is_empty());
    let sub = match below_writable {
        Some((at, below)) => folder_below(at.host()?, below),
        None => None,
    };
    let (mut folder, is_new) = match (around, sub) {
        // Directly in an image's root filesystem.
        (Some((at, "")), _) if at.read_only && at.guest == "/" => (scratch.folder()?, true),
        (Some((at, "")), _) => (scratch.inside(at.host()?, at.read_only)?, false),
        (_, Some(sub)) => (scratch.inside(&HostPath::of(sub), false)?, false),
        _ => (scratch.folder()?, true),
    };
    if is_new
        && let Some((at, below)) = around
        && let Some(original) = folder_below(at.host()?, below)
    {
        let names = files.iter().map(|file| file.name.clone()).collect();
        let by = if writable { By::Copies } else { By::Links };
        mirror(at.host()?, &original, folder.path(), &names, by, pace)?;
    }
    let mut quotas = BTreeMap::new();
    for file in files {
        match &file.source {
            SingleSource::Host(mount, host) => {
                // Where the guest may write around it, a read-only file is copied: a link would be the original.
                let copy = mount.read_only && (writable || !is_new);
                let shown = folder.show(&file.name, host, mount, copy, pace)?;
                if !mount.read_only && is_new {
                    let quota = limits.of_shown(&mount.host, &shown);
                    quotas.insert(file.name.clone(), quota);
                }
            }
            SingleSource::Content(content) => folder.write(&file.name, content, pace)?,
        }
    }
    if !is_new {
        return Ok((folder, None));
    }
    let others = match writable {
        true => Some(limits.of_private(folder.path())?),
        false => None,
    };
    let preopen = Some(Folder {
        host: folder.path().to_owned(),
        opened: None,
        guest: guest.to_owned(),
        read_only: !writable,
        mark: Mark {
            fixed: Some(Arc::new(Fixed {
                files: quotas,
                others,
            })),
            quota: None,
        },
    });
    Ok((folder, preopen))
}

/// The innermost mounted folder that the guest's path lies in, and the rest of the path.
fn around<'a, 'b>(folders: &'a [Folder], guest: &'b str) -> Option<(&'a Folder, &'b str)> {
    let mounted = folders.iter().filter(|folder| folder.opened.is_some());
    let found = mounted.filter_map(|folder| {
        let rest = match folder.guest.as_str() {
            "/" => guest,
            inner => guest.strip_prefix(inner)?,
        };
        let is_part = rest.is_empty() || rest.starts_with('/');
        is_part.then(|| (folder, rest.trim_start_matches('/')))
    });
    found.min_by_key(|(_, rest)| rest.len())
}

impl Folder {
    fn host(&self) -> io::Result<&HostPath> {
        let opened = self.opened.as_ref();
        opened.ok_or_else(|| io::Error::other("a private folder is not mounted"))
    }
}

fn failed(host: &Path, guest: &str) -> impl Fn(io::Error) -> StartError + use<> {
    let (host, guest) = (host.to_owned(), guest.to_owned());
    move |source| StartError::Mount {
        host: host.clone(),
        guest: guest.clone(),
        source,
    }
}

/// For messages.
fn first_host(files: &[Single<'_>]) -> PathBuf {
    let hosts = files.iter().filter_map(|file| match &file.source {
        SingleSource::Host(mount, _) => Some(mount.host.clone()),
        SingleSource::Content(_) => None,
    });
    hosts.take(1).collect()
}

/// A normal path's folder and name.
fn split(guest: &str) -> (String, String) {
    let (parent, name) = guest.rsplit_once('/').expect("normal paths begin with /");
    let parent = if parent.is_empty() { "/" } else { parent };
    (parent.to_owned(), name.to_owned())
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
    use super::*;
    use crate::{GuestFile, OutputSink};
    use futures::FutureExt;
    use std::fs;

    struct Nowhere;

    #[async_trait::async_trait]
    impl OutputSink for Nowhere {
        async fn write(&self, _data: bytes::Bytes) {}
    }

    #[tokio::test]
    async fn what_showed_files_is_removed_by_a_thread_that_may_block() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let scratch = Scratch::open(temp.path(), 1).expect("made");
        let sink = Arc::new(Nowhere);
        let mut spec = ContainerSpec::new("x", sink.clone(), sink);
        spec.files = vec![GuestFile {
            guest: "/etc/hosts".to_owned(),
            content: Arc::from(*b"x"),
        }];
        let preopens = Preopens::open(&scratch, &spec, &Pace::quick()).expect("opened");
        let folder = preopens.private.lock()[0].path().to_owned();
        assert_eq!(fs::read(folder.join("hosts")).expect("shown"), b"x");
        let mut finish = Box::pin(preopens.finish());
        assert!((&mut finish).now_or_never().is_none(), "not here");
        finish.await;
        assert!(!folder.exists());
        let none = Preopens::none();
        none.finish()
            .now_or_never()
            .expect("there is nothing to do");
    }

    #[tokio::test]
    async fn what_takes_long_is_not_done_in_a_moment() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let scratch = Scratch::open(&temp.path().join("cache"), 1).expect("made");
        let (folder, file) = (temp.path().join("folder"), temp.path().join("file"));
        fs::create_dir(&folder).expect("made");
        let large = fs::File::create(&file).expect("made");
        large.set_len(1 << 30).expect("sparse");
        let sink = Arc::new(Nowhere);
        let mut spec = ContainerSpec::new("x", sink.clone(), sink);
        let mount = |host: &Path, guest: &str, read_only| Mount {
            host: host.to_owned(),
            guest: guest.to_owned(),
            read_only,
        };
        spec.mounts = vec![mount(&folder, "/x", false), mount(&file, "/x/large", true)];
        assert!(Preopens::try_open(&scratch, &spec, &Pace::quick()).is_none());
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 0);
        // Twice as much as may be copied in a moment.
        large.set_len(32 << 20).expect("shorter");
        let open = move |pace: &Pace| {
            let opened = Preopens::try_open(&scratch, &spec, pace)?;
            Some(opened.expect("opened"))
        };
        let turns = Turns::new(1);
        let opened = turns.run(&Handle::current(), open).await;
        let shown = fs::metadata(folder.join("large")).expect("shown");
        assert_eq!(shown.len(), 32 << 20);
        drop(opened);
    }

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
