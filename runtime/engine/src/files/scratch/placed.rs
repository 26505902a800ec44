//! Files that are shown in mounted folders, by where they are. Containers may share such a folder and show the same file
//! there: it is there once, until the last of them ends.

use super::super::host::HostPath;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder, by its file system and number there, and a name in it.
type Place = (u64, u64, String);

/// What is shown.
#[derive(PartialEq)]
pub(super) enum What {
    /// A file of the host as it was: file system, number, change of its content.
    File {
        identity: (u64, u64),
        changed: (i64, i64),
        read_only: bool,
    },
    Content(Vec<u8>),
}

impl What {
    pub(super) fn of(file: &HostPath, read_only: bool) -> io::Result<Self> {
        let stat = rustix::fs::fstat(file.descriptor())?;
        Ok(What::File {
            identity: (stat.st_dev, stat.st_ino),
            changed: (
                stat.st_mtime,
                i64::try_from(stat.st_mtime_nsec).unwrap_or(0),
            ),
            read_only,
        })
    }

    /// Whether what another container shows at a place serves this one as well.
    fn serves(&self, wanted: &What) -> bool {
        match (self, wanted) {
            // A file that is written changes, and is the same one.
            (
                What::File {
                    identity,
                    read_only: false,
                    ..
                },
                What::File {
                    identity: other,
                    read_only: false,
                    ..
                },
            ) => identity == other,
            _ => self == wanted,
        }
    }

    /// Whether it may give way to a newer version: nobody writes it.
    fn is_read(&self) -> bool {
        !matches!(
            self,
            What::File {
                read_only: false,
                ..
            }
        )
    }
}

struct Shown {
    what: What,
    is_copy: bool,
    users: usize,
}

/// All of an engine's.
#[derive(Clone, Default)]
pub(super) struct Placed(Arc<Mutex<BTreeMap<Place, Shown>>>);

impl Placed {
    /// Shows something in a folder: with `put`, unless another container shows it there already. Returns whether it is a
    /// copy. What can only be read gives way to a newer version, as a volume that was updated brings one.
    pub(super) fn put(
        &self,
        folder: &HostPath,
        name: &str,
        what: What,
        put: impl FnOnce(&Path) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let place = place(folder, name)?;
        let path = folder.path().join(name);
        let mut placed = self.0.lock();
        match placed.get_mut(&place) {
            Some(shown) if shown.what.serves(&what) => {
                shown.users += 1;
                Ok(shown.is_copy)
            }
            Some(shown) if shown.what.is_read() && what.is_read() => {
                super::remove_file(&path);
                shown.is_copy = put(&path)?;
                shown.what = what;
                shown.users += 1;
                Ok(shown.is_copy)
            }
            Some(_) => Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "another container shows another file there",
            )),
            None => {
                let is_copy = put(&path)?;
                let shown = Shown {
                    what,
                    is_copy,
                    users: 1,
                };
                placed.insert(place, shown);
                Ok(is_copy)
            }
        }
    }

    /// One container shows it no more.
    pub(super) fn give_up(&self, folder: &HostPath, name: &str) {
        let path: PathBuf = folder.path().join(name);
        let Ok(place) = place(folder, name) else {
            return;
        };
        let mut placed = self.0.lock();
        let Some(shown) = placed.get_mut(&place) else {
            return;
        };
        shown.users -= 1;
        if shown.users == 0 {
            placed.remove(&place);
            super::remove_file(&path);
        }
    }
}

fn place(folder: &HostPath, name: &str) -> io::Result<Place> {
    let stat = rustix::fs::fstat(folder.descriptor())?;
    Ok((stat.st_dev, stat.st_ino, name.to_owned()))
}
