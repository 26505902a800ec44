//! Files that are shown in mounted folders, by where they are. Containers may share such a folder and show the same file
//! there: it is there once, until the last of them ends.

use super::super::host::HostPath;
use super::Pace;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

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

/// One place.
#[derive(Default)]
struct Slot {
    /// What is shown there, if anything. Whoever makes or removes it there holds the lock: that may take seconds.
    shown: Mutex<Option<Shown>>,
    /// Containers that show it no more and are still among its users: nobody waits for the lock in order to leave.
    leaving: AtomicUsize,
}

impl Slot {
    /// Counts those who have left. Called by each of them, and by whoever held the lock meanwhile.
    fn settle(&self, path: &Path) {
        // One of both sees what the other did: here the lock is free, or there somebody is leaving.
        fence(Ordering::SeqCst);
        while self.leaving.load(Ordering::SeqCst) > 0 {
            let Some(mut slot) = self.shown.try_lock() else {
                return;
            };
            let left = self.leaving.swap(0, Ordering::SeqCst);
            if let Some(shown) = &mut *slot {
                shown.users = shown.users.saturating_sub(left);
                if shown.users == 0 {
                    super::remove_file(path);
                    *slot = None;
                }
            }
            drop(slot);
            fence(Ordering::SeqCst);
        }
    }
}

/// All of an engine's. The lock around them is held to find one, no longer.
#[derive(Clone, Default)]
pub(super) struct Placed(Arc<Mutex<BTreeMap<Place, Arc<Slot>>>>);

impl Placed {
    /// Shows something in a folder: with `put`, unless another container shows it there already. Returns whether it is a
    /// copy. What can only be read gives way to a newer version, as a volume that was updated brings one. `note` is told
    /// each name before this container depends on it, and none that somebody else's file has.
    pub(super) fn put(
        &self,
        folder: &HostPath,
        name: &str,
        what: What,
        pace: &Pace,
        mut note: impl FnMut(&str) -> io::Result<()>,
        put: impl FnOnce(&Path) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let place = place(folder, name)?;
        let path = folder.path().join(name);
        let slot = self.0.lock().entry(place.clone()).or_default().clone();
        let shown = pace.lock(&slot.shown);
        let result = shown.and_then(|mut shown| match &mut *shown {
            Some(shown) if shown.what.serves(&what) => note(name).map(|()| {
                shown.users += 1;
                shown.is_copy
            }),
            Some(shown) if shown.what.is_read() && what.is_read() => {
                let newer = replace(&path, name, &mut note, put);
                newer.inspect(|is_copy| {
                    shown.is_copy = *is_copy;
                    shown.what = what;
                    shown.users += 1;
                })
            }
            Some(_) => Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "another container shows another file there",
            )),
            // Seen before it is noted: what is noted is removed if the engine ends in between.
            None if path.symlink_metadata().is_ok() => Err(rustix::io::Errno::EXIST.into()),
            none => note(name).and_then(|()| put(&path)).inspect(|is_copy| {
                *none = Some(Shown {
                    what,
                    is_copy: *is_copy,
                    users: 1,
                });
            }),
        });
        slot.settle(&path);
        self.forget(&place, slot);
        result
    }

    /// One container shows it no more.
    pub(super) fn give_up(&self, folder: &HostPath, name: &str) {
        let path: PathBuf = folder.path().join(name);
        let Ok(place) = place(folder, name) else {
            return;
        };
        let Some(slot) = self.0.lock().get(&place).cloned() else {
            return;
        };
        slot.leaving.fetch_add(1, Ordering::SeqCst);
        slot.settle(&path);
        self.forget(&place, slot);
    }

    /// A place where nothing is shown is not kept, unless somebody is about to show something there.
    fn forget(&self, place: &Place, slot: Arc<Slot>) {
        let mut placed = self.0.lock();
        // The other one is in the map: nobody else can have found it.
        if Arc::strong_count(&slot) == 2 && slot.shown.lock().is_none() {
            placed.remove(place);
        }
    }
}

/// Puts a newer version in the place of an older one, which stays until the newer is whole.
fn replace(
    path: &Path,
    name: &str,
    note: &mut impl FnMut(&str) -> io::Result<()>,
    put: impl FnOnce(&Path) -> io::Result<bool>,
) -> io::Result<bool> {
    let new = format!(".{name}.new");
    let new_path = path.with_file_name(&new);
    if new_path.symlink_metadata().is_ok() {
        return Err(rustix::io::Errno::EXIST.into());
    }
    note(name)?;
    note(&new)?;
    let is_copy = put(&new_path)?;
    fs::rename(&new_path, path).inspect_err(|_| super::remove_file(&new_path))?;
    Ok(is_copy)
}

fn place(folder: &HostPath, name: &str) -> io::Result<Place> {
    let stat = rustix::fs::fstat(folder.descriptor())?;
    Ok((stat.st_dev, stat.st_ino, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str) -> What {
        What::Content(text.as_bytes().to_owned())
    }

    fn write(text: &str) -> impl FnOnce(&Path) -> io::Result<bool> {
        move |path| fs::write(path, text).map(|()| true)
    }

    fn folder() -> (tempfile::TempDir, HostPath) {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let path = temp.path().canonicalize().expect("it exists");
        let folder = HostPath::open(&path).expect("it is there");
        (temp, folder)
    }

    #[test]
    fn no_place_waits_for_another() {
        let (_temp, folder) = folder();
        let placed = Placed::default();
        let noted = |_: &str| Ok(());
        let meanwhile = |path: &Path| {
            placed.put(&folder, "b", content("b"), &Pace::Slow, noted, write("b"))?;
            write("a")(path)
        };
        let shown = placed.put(&folder, "a", content("a"), &Pace::Slow, noted, meanwhile);
        assert!(shown.expect("shown"));
        for name in ["a", "b"] {
            assert!(folder.path().join(name).exists());
            placed.give_up(&folder, name);
            assert!(!folder.path().join(name).exists());
        }
        assert!(placed.0.lock().is_empty());
    }

    #[test]
    fn nobody_waits_for_a_place_who_has_no_time_or_leaves_it() {
        let (temp, folder) = folder();
        let placed = Placed::default();
        let noted = |_: &str| Ok(());
        let put = |what, pace: &Pace, put: &mut dyn FnMut(&Path) -> io::Result<bool>| {
            placed.put(&folder, "a", content(what), pace, noted, put)
        };
        put("old", &Pace::Slow, &mut |path| write("old")(path)).expect("shown");
        let mut meanwhile = |path: &Path| {
            placed.give_up(&folder, "a");
            let error = put("new", &Pace::quick(), &mut |_| panic!("it is being made"));
            assert!(Pace::is_kept(&error.expect_err("it is being made")));
            write("new")(path)
        };
        put("new", &Pace::Slow, &mut meanwhile).expect("shown");
        let shown = fs::read_to_string(temp.path().join("a"));
        assert_eq!(shown.expect("the newer has a user"), "new");
        placed.give_up(&folder, "a");
        assert!(!temp.path().join("a").exists());
        assert!(placed.0.lock().is_empty());
    }

    #[test]
    fn an_older_version_stays_until_the_newer_is_there() {
        let (temp, folder) = folder();
        let placed = Placed::default();
        let noted = |_: &str| Ok(());
        let shown = || fs::read_to_string(temp.path().join("a")).expect("shown");
        let put = |what, put| placed.put(&folder, "a", content(what), &Pace::Slow, noted, put);
        put("old", write("old")).expect("shown");
        let fails = |_: &Path| Err(io::Error::other("no space"));
        let failed = placed.put(&folder, "a", content("new"), &Pace::Slow, noted, fails);
        failed.expect_err("it failed");
        assert_eq!(shown(), "old");
        put("new", write("new")).expect("shown");
        assert_eq!(shown(), "new");
        assert_eq!(fs::read_dir(temp.path()).expect("there").count(), 1);
    }

    #[test]
    fn a_name_that_is_somebody_elses_is_not_noted() {
        let (temp, folder) = folder();
        fs::write(temp.path().join("a"), "mine").expect("written");
        let placed = Placed::default();
        let noted = |_: &str| panic!("it is not ours");
        let put = placed.put(&folder, "a", content("a"), &Pace::Slow, noted, write("a"));
        let error = put.expect_err("the name is taken");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(placed.0.lock().is_empty());
    }
}
