//! A data folder into one file, and back.
//!
//! [`backup`] works beside a running server: the database is copied through SQLite in one transaction, the other files
//! are few and replaced atomically. [`restore`] makes a new data folder, whole or not at all. Neither knows what a
//! cluster is: the caller says by a [`Layout`] what belongs to its state.

mod archive;
mod backup;
mod error;
mod files;
mod manifest;
mod restore;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use backup::{Existing, backup};
pub use error::{BackupError, RestoreError};
pub use manifest::{FileEntry, Manifest};
pub use restore::{Restored, is_unfinished, restore};

/// What in a data folder is its state. Paths are relative to the folder.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The store's database.
    pub database: PathBuf,
    /// Folders that are taken as they are, if they are there.
    pub folders: Vec<PathBuf>,
}
