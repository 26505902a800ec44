//! The data folder: where things are in it, and who may use it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};

/// An opened data folder; the lock is held as long as this lives, and ends with the process however that ends.
#[derive(Debug)]
pub(crate) struct DataDir {
    root: PathBuf,
    _lock: File,
}

/// The folder used when none is named.
pub(crate) fn default_path(name: &str) -> anyhow::Result<PathBuf> {
    if let Some(base) = std::env::var_os("XDG_DATA_HOME").filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(base).join(name));
    }
    match std::env::var_os("HOME").filter(|value| !value.is_empty()) {
        Some(home) => Ok(PathBuf::from(home).join(".local/share").join(name)),
        None => bail!("neither XDG_DATA_HOME nor HOME is set: name a folder with --data-dir"),
    }
}

impl DataDir {
    /// Opens (and creates) the folder for the sole use of this process.
    pub(crate) fn open(path: Option<PathBuf>, default_name: &str) -> anyhow::Result<Self> {
        let path = match path {
            Some(path) => path,
            None => default_path(default_name)?,
        };
        create_private_dir(&path)?;
        let root = path
            .canonicalize()
            .with_context(|| format!("data folder {}", path.display()))?;
        let unfinished = sampan_backup::is_unfinished(&root);
        if unfinished.with_context(|| format!("cannot read the data folder {}", root.display()))? {
            bail!(
                "a restore into the data folder {} was cut off: empty the folder and restore again",
                root.display()
            );
        }
        let lock_path = root.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .with_context(|| format!("cannot write to the data folder {}", root.display()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            // Only for the message: an unreadable holder is still a holder.
            let _ = lock.read_to_string(&mut holder);
            bail!(
                "the data folder {} is in use by {}",
                root.display(),
                holder.trim()
            );
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "sampan, process {}", std::process::id()))
            .with_context(|| format!("cannot write {}", lock_path.display()))?;
        Ok(Self { root, _lock: lock })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.root.join(ADMIN_KUBECONFIG)
    }

    pub(crate) fn registry(&self) -> PathBuf {
        self.root.join(REGISTRY)
    }

    pub(crate) fn node(&self) -> PathBuf {
        self.root.join("node")
    }
}

/// Name of the folder of the cluster's own registry.
pub(crate) const REGISTRY: &str = "registry";

/// What of a data folder is the cluster's state. The rest is made at the start (kubeconfigs) or belongs to the node.
pub(crate) fn layout() -> sampan_backup::Layout {
    sampan_backup::Layout {
        database: sampan_server::DATABASE.into(),
        folders: vec![sampan_server::PKI_FOLDER.into(), REGISTRY.into()],
    }
}

/// Name of the administrator's kubeconfig in a data folder.
pub(crate) const ADMIN_KUBECONFIG: &str = "admin.kubeconfig";

/// State holds keys and Secrets: nobody else may read it.
pub(crate) fn create_private_dir(path: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create the data folder {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_user_is_told_who_holds_it() {
        let dir = tempfile::tempdir().expect("temp dir");
        let first = DataDir::open(Some(dir.path().join("data")), "x").expect("first opens");
        let error = DataDir::open(Some(dir.path().join("data")), "x").expect_err("second fails");
        let text = format!("{error:#}");
        assert!(
            text.contains(&format!("process {}", std::process::id())),
            "{text}"
        );
        drop(first);
        DataDir::open(Some(dir.path().join("data")), "x").expect("free again");
    }

    #[test]
    fn a_part_of_a_restore_is_no_data_folder() {
        let dir = tempfile::tempdir().expect("temp dir");
        let left = dir.path().join(".sampan-restore-x");
        std::fs::create_dir(&left).expect("made");
        let open = || DataDir::open(Some(dir.path().to_owned()), "x");
        let text = format!("{:#}", open().expect_err("a part"));
        assert!(text.contains("was cut off"), "{text}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 1);
        std::fs::remove_dir(left).expect("empty");
        open().expect("it is whole");
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("data");
        std::fs::write(&path, "x").expect("write");
        let text = format!(
            "{:#}",
            DataDir::open(Some(path), "x").expect_err("not a folder")
        );
        assert!(text.contains("cannot create the data folder"), "{text}");
    }
}
