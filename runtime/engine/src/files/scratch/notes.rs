//! Notes of the names that were put into mounted folders, on disk beside an engine's private folders. They are written
//! before the names are made and removed after them, so an engine that finds notes of one that is gone knows what is left.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// How names of notes end.
const SUFFIX: &str = "shown";

#[derive(Serialize, Deserialize)]
struct Content {
    folder: PathBuf,
    names: Vec<String>,
}

/// The notes of one mounted folder. Dropping them means that nothing is left there.
pub(super) struct Notes {
    path: PathBuf,
    content: Content,
}

impl Notes {
    pub(super) fn new(dir: &Path, number: u64, folder: &Path) -> Self {
        Notes {
            path: dir.join(number.to_string()).with_extension(SUFFIX),
            content: Content {
                folder: folder.to_owned(),
                names: Vec::new(),
            },
        }
    }

    /// A name that is about to be made.
    pub(super) fn add(&mut self, name: &str) -> io::Result<()> {
        self.content.names.push(name.to_owned());
        let text = serde_json::to_vec(&self.content)?;
        let new = self.path.with_extension("new");
        let mut file = fs::File::create(&new)?;
        file.write_all(&text)?;
        // The machine may stop as well as the process.
        file.sync_all()?;
        fs::rename(new, &self.path)
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        if self.content.names.is_empty() {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "notes of mounted files are already gone");
        }
    }
}

/// Removes what the notes in an abandoned engine's folder name.
pub(super) fn sweep(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|suffix| suffix != SUFFIX) {
            continue;
        }
        if let Err(error) = remove_noted(&path) {
            tracing::warn!(%error, notes = %path.display(), "mounted files of an earlier run may be left");
        }
    }
}

fn remove_noted(path: &Path) -> io::Result<()> {
    let content: Content = serde_json::from_slice(&fs::read(path)?)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // A guest may have put a link where the folder was.
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let folder = match rustix::fs::openat2(CWD, &content.folder, flags, Mode::empty(), resolve) {
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    for name in content.names.iter().filter(|name| !name.contains('/')) {
        match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_left_is_removed_and_nothing_else() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let root = temp.path().canonicalize().expect("it exists");
        let (dir, folder, other) = (root.join("dir"), root.join("folder"), root.join("other"));
        for made in [&dir, &folder, &other] {
            fs::create_dir(made).expect("made");
        }
        let mut notes = Notes::new(&dir, 7, &folder);
        for name in ["a", "b", "never-made", "../other/kept"] {
            notes.add(name).expect("noted");
        }
        for file in ["folder/a", "folder/b", "folder/kept", "other/kept"] {
            fs::write(root.join(file), "").expect("made");
        }
        // As if the process had ended.
        std::mem::forget(notes);
        sweep(&dir);
        let left: Vec<_> = fs::read_dir(&folder).expect("there").flatten().collect();
        assert_eq!(left.len(), 1);
        assert!(folder.join("kept").exists() && other.join("kept").exists());
        // A link in place of the folder leads nowhere.
        fs::write(other.join("a"), "").expect("made");
        fs::rename(&folder, root.join("moved")).expect("moved");
        std::os::unix::fs::symlink(&other, &folder).expect("made");
        sweep(&dir);
        assert!(other.join("a").exists());
    }

    #[test]
    fn notes_go_with_what_they_name() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let mut notes = Notes::new(temp.path(), 7, Path::new("/folder"));
        notes.add("a").expect("noted");
        assert_eq!(fs::read_dir(temp.path()).expect("there").count(), 1);
        drop(notes);
        assert_eq!(fs::read_dir(temp.path()).expect("there").count(), 0);
    }
}
