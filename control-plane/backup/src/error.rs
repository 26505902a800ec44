//! Errors, each with the way out.

use std::io;
use std::path::PathBuf;

use sampan_store::{OpenError, SnapshotError};
use thiserror::Error;

/// Why there is no backup. Nothing was left behind, and an older backup of that name is untouched.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The data folder holds no database.
    #[error("{} holds no state to back up: name the data folder of the cluster with --data-dir", .path.display())]
    NoState {
        /// The data folder.
        path: PathBuf,
    },
    /// The file is there already.
    #[error("{} exists already: choose another name, or replace it with --force", .path.display())]
    Exists {
        /// The archive.
        path: PathBuf,
    },
    /// The database could not be copied.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A file could not be read or written.
    #[error("{step} {} failed", .path.display())]
    Io {
        /// What was attempted.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// The failure.
        #[source]
        source: io::Error,
    },
    /// What was written is not what can be read: the disk does not keep what it is given.
    #[error("the backup was written but does not read back well; check the disk")]
    Verify(#[source] RestoreError),
}

/// Why nothing was restored. No data folder was made.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The data folder holds something.
    #[error(
        "{} is not empty, and nothing is restored over it: name another folder with --data-dir, or move this one away first",
        .path.display()
    )]
    Occupied {
        /// The data folder.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a backup made by `sampan backup`: {detail}", .path.display())]
    NotABackup {
        /// The archive.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file is damaged or cut short.
    #[error("{} is damaged ({detail}): use another backup", .path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file was written by a newer release.
    #[error("{} has format {found} and this release understands up to {supported}: restore it with the newer release", .path.display())]
    Newer {
        /// The archive.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format this release reads.
        supported: u32,
    },
    /// The database in it cannot be used.
    #[error("the database in the backup cannot be used")]
    Database(#[from] OpenError),
    /// A file could not be read or written.
    #[error("{step} {} failed", .path.display())]
    Io {
        /// What was attempted.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// The failure.
        #[source]
        source: io::Error,
    },
}
