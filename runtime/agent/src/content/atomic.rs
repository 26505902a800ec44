//! Writes a volume's files so that a reader sees all of the old content or all of the new.
//!
//! The layout is the kubelet's: files live in a dated folder, `..data` is a symlink to it that is
//! replaced by one rename, and the visible names are symlinks through `..data`. All links are
//! relative, so they resolve inside a guest's preopened folder too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

/// One file of a volume. `path` is relative and has no `..`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) data: Vec<u8>,
    pub(super) mode: u32,
}

const DATA: &str = "..data";
const DATA_NEW: &str = "..data_tmp";

/// The files of a volume by their path. Where two have the same, the last counts, as upstream.
type Wanted<'a> = BTreeMap<PathBuf, &'a File>;

/// Whether a path stays inside the volume it is written to.
pub(super) fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with("..")
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

/// A file of the volume as it is now.
pub(super) async fn read(dir: &Path, path: &str) -> io::Result<Vec<u8>> {
    tokio::fs::read(dir.join(DATA).join(path)).await
}

/// Makes `dir` show exactly `files`. Returns false when it did already. What fails leaves what was shown, and nothing
/// beside it.
pub(super) fn write(dir: &Path, files: &[File]) -> io::Result<bool> {
    if let Some(bad) = files.iter().find(|file| !is_inside(&file.path)) {
        let text = format!("path {:?} leaves the volume", bad.path);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let parts = |file: &File| -> PathBuf { Path::new(&file.path).components().collect() };
    let files: Wanted<'_> = files.iter().map(|file| (parts(file), file)).collect();
    fs::create_dir_all(dir)?;
    let old = fs::read_link(dir.join(DATA)).ok();
    remove_strays(dir, old.as_deref())?;
    if old.is_some() && is_current(dir, &files) {
        return Ok(false);
    }
    let stamp = jiff::Timestamp::now().strftime("..%Y_%m_%d_%H_%M_%S.");
    let name = format!("{stamp}{:08x}", rand::random::<u32>());
    let fresh = dir.join(&name);
    if let Err(error) = fill(&fresh, &files).and_then(|()| show(dir, &name)) {
        // The error that counts is the first.
        fs::remove_dir_all(&fresh).ok();
        return Err(error);
    }
    link_names(dir, &files)?;
    if let Some(old) = old {
        fs::remove_dir_all(dir.join(old))?;
    }
    Ok(true)
}

/// Removes dated folders that a process left which was ended while it wrote.
fn remove_strays(dir: &Path, current: Option<&Path>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let dated = name.to_string_lossy();
        let dated = dated
            .strip_prefix("..")
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
        if dated && current.is_none_or(|current| current.as_os_str() != name) {
            fs::remove_dir_all(dir.join(name))?;
        }
    }
    Ok(())
}

/// Makes a folder that holds the files.
fn fill(fresh: &Path, files: &Wanted<'_>) -> io::Result<()> {
    fs::create_dir(fresh)?;
    fs::set_permissions(fresh, fs::Permissions::from_mode(0o755))?;
    for (path, file) in files {
        let path = fresh.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut options = fs::OpenOptions::new();
        let mut out = options
            .write(true)
            .create_new(true)
            .mode(file.mode)
            .open(&path)?;
        out.write_all(&file.data)?;
        // The mode asked for, whatever the umask of this process is.
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode))?;
    }
    Ok(())
}

/// Lets readers see the folder of this name from now on.
fn show(dir: &Path, name: &str) -> io::Result<()> {
    let link = dir.join(DATA_NEW);
    remove_if_there(&link)?;
    symlink(name, &link)?;
    fs::rename(&link, dir.join(DATA))
}

fn is_current(dir: &Path, files: &Wanted<'_>) -> bool {
    let data = dir.join(DATA);
    let same = files
        .iter()
        .all(|(path, file)| fs::read(data.join(path)).is_ok_and(|present| present == file.data));
    let mut present = BTreeSet::new();
    same && list(&data, Path::new(""), &mut present).is_ok()
        && present.iter().eq(files.keys())
        && visible(dir).is_ok_and(|present| present == tops(files))
}

/// The paths of all files below `root`.
fn list(root: &Path, below: &Path, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            list(root, &path, found)?;
        } else {
            found.insert(path);
        }
    }
    Ok(())
}

/// The first parts of all paths: what a reader sees in the volume's root.
fn tops(files: &Wanted<'_>) -> BTreeSet<String> {
    let first = files.keys().filter_map(|path| path.components().next());
    first
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect()
}

fn visible(dir: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") {
            names.insert(name);
        }
    }
    Ok(names)
}

fn link_names(dir: &Path, files: &Wanted<'_>) -> io::Result<()> {
    let wanted = tops(files);
    let present = visible(dir)?;
    for name in wanted.difference(&present) {
        symlink(format!("{DATA}/{name}"), dir.join(name))?;
    }
    for name in present.difference(&wanted) {
        fs::remove_file(dir.join(name))?;
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, data: &str) -> File {
        File {
            path: path.into(),
            data: data.into(),
            mode: 0o640,
        }
    }

    #[test]
    fn content_is_replaced_as_a_whole() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("v");
        let read = |path: &str| fs::read_to_string(dir.join(path)).ok();
        assert!(write(&dir, &[file("a", "1"), file("sub/b", "2")]).unwrap());
        assert_eq!(read("a").as_deref(), Some("1"));
        assert_eq!(read("sub/b").as_deref(), Some("2"));
        let mode = fs::metadata(dir.join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(
            !write(&dir, &[file("a", "1"), file("sub/b", "2")]).unwrap(),
            "no change"
        );
        assert!(write(&dir, &[file("a", "3")]).unwrap());
        assert_eq!(read("a").as_deref(), Some("3"));
        assert_eq!(read("sub/b"), None);
        let hidden: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(
            hidden.len(),
            3,
            "one dated folder, ..data and a: {hidden:?}"
        );
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn of_two_files_with_one_path_the_last_counts() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("v");
        let files = [
            file("a", "1"),
            file("d/k", "1"),
            file("d/./k", "2"),
            file("a", "2"),
        ];
        assert!(write(&dir, &files).unwrap());
        for path in ["a", "d/k"] {
            assert_eq!(fs::read_to_string(dir.join(path)).unwrap(), "2", "{path}");
        }
        assert!(!write(&dir, &files).unwrap(), "no change");
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("v");
        write(&dir, &[file("a", "1")]).unwrap();
        let before = names(&dir);
        for _ in 0..3 {
            write(&dir, &[file("a", "2"), file("a/b", "2")]).unwrap_err();
        }
        assert_eq!(names(&dir), before);
        // One of a process that was killed while it wrote.
        fs::create_dir_all(dir.join("..2026_01_01_00_00_00.00000001/x")).unwrap();
        assert!(!write(&dir, &[file("a", "1")]).unwrap(), "no change");
        assert_eq!(names(&dir), before);
    }

    #[test]
    fn a_file_that_went_from_a_folder_is_a_change() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("v");
        write(&dir, &[file("d/a", "1"), file("d/b/c", "2")]).unwrap();
        assert!(write(&dir, &[file("d/a", "1")]).unwrap());
        assert!(!dir.join("d/b/c").exists());
        assert!(!write(&dir, &[file("d/a", "1")]).unwrap(), "no change");
    }

    #[test]
    fn paths_outside_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        for path in ["", "/etc/x", "../x", "a/../../x", "..data", "."] {
            assert!(write(temp.path(), &[file(path, "x")]).is_err(), "{path}");
        }
    }
}
