//! Writes a volume's files so that a reader sees all of the old content or all of the new.
//!
//! The layout is the kubelet's: files live in a dated folder, `..data` is a symlink to it that is
//! replaced by one rename, and the visible names are symlinks through `..data`. All links are
//! relative, so they resolve inside a guest's preopened folder too.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path};

/// One file of a volume. `path` is relative and has no `..`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) data: Vec<u8>,
    pub(super) mode: u32,
}

const DATA: &str = "..data";
const DATA_NEW: &str = "..data_tmp";

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

/// Makes `dir` show exactly `files`. Returns false when it did already.
pub(super) fn write(dir: &Path, files: &[File]) -> io::Result<bool> {
    if let Some(bad) = files.iter().find(|file| !is_inside(&file.path)) {
        let text = format!("path {:?} leaves the volume", bad.path);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    fs::create_dir_all(dir)?;
    let old = fs::read_link(dir.join(DATA)).ok();
    if old.is_some() && is_current(dir, files) {
        return Ok(false);
    }
    let stamp = jiff::Timestamp::now().strftime("..%Y_%m_%d_%H_%M_%S.");
    let name = format!("{stamp}{:08x}", rand::random::<u32>());
    let fresh = dir.join(&name);
    fs::create_dir(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
    for file in files {
        let path = fresh.join(&file.path);
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
    let link = dir.join(DATA_NEW);
    remove_if_there(&link)?;
    symlink(&name, &link)?;
    fs::rename(&link, dir.join(DATA))?;
    link_names(dir, files)?;
    if let Some(old) = old {
        fs::remove_dir_all(dir.join(old))?;
    }
    Ok(true)
}

fn is_current(dir: &Path, files: &[File]) -> bool {
    let data = dir.join(DATA);
    let same = files
        .iter()
        .all(|file| fs::read(data.join(&file.path)).is_ok_and(|present| present == file.data));
    same && visible(dir).is_ok_and(|present| present == tops(files))
}

/// The first parts of all paths: what a reader sees in the volume's root.
fn tops(files: &[File]) -> BTreeSet<String> {
    files
        .iter()
        .filter_map(|file| file.path.split('/').next())
        .map(str::to_owned)
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

fn link_names(dir: &Path, files: &[File]) -> io::Result<()> {
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

    #[test]
    fn paths_outside_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        for path in ["", "/etc/x", "../x", "a/../../x", "..data", "."] {
            assert!(write(temp.path(), &[file(path, "x")]).is_err(), "{path}");
        }
    }
}
