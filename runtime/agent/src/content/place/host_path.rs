//! Folders and files of the host: only below those the operator named, and never out of them.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Component, Path, PathBuf};

use super::{Place, Step};
use crate::config::HostFolder;
use crate::content::below::{BelowError, Missing, resolve};
use crate::content::volumes::VolumeError;

/// Where a path of the host is, if pods may use it. `kind` is a hostPath volume's `type`.
pub(super) async fn place(
    path: &str,
    kind: &str,
    folders: &[HostFolder],
    step: Step,
) -> Result<Place, VolumeError> {
    let (path, kind, folders) = (path.to_owned(), kind.to_owned(), folders.to_vec());
    let work = move || find(Path::new(&path), &kind, &folders, step);
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(VolumeError::HostPath(error.to_string())))
}

fn find(path: &Path, kind: &str, folders: &[HostFolder], step: Step) -> Result<Place, VolumeError> {
    let shown = path.display();
    let plain: PathBuf = path.components().collect();
    let parts_are_plain = plain
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let folder =
        HostFolder::innermost(folders, &plain).filter(|_| plain.is_absolute() && parts_are_plain);
    let Some(folder) = folder else {
        return Err(VolumeError::HostPath(format!(
            "{shown} is not in a folder that pods of this node may use: its operator can allow one with --allow-host-path"
        )));
    };
    let rest = plain.strip_prefix(&folder.path).unwrap_or(Path::new(""));
    let missing = match kind {
        _ if step == Step::Mount || is_fixed(folder, rest, folders) => Missing::Refuse,
        "DirectoryOrCreate" => Missing::MakeFolders,
        "FileOrCreate" => Missing::MakeFile,
        _ => Missing::Refuse,
    };
    let found = resolve(&folder.path, rest, missing).map_err(|error| match error {
        BelowError::Escapes => {
            let folder = folder.path.display();
            VolumeError::HostPath(format!("{shown} leads out of {folder} by a symbolic link"))
        }
        BelowError::Io(source) => VolumeError::Io {
            path: shown.to_string(),
            source,
        },
    })?;
    check(&found, &shown.to_string(), kind)?;
    // A symbolic link may lead from one of the operator's folders into another inside it: what counts is where the
    // content is.
    let inside = folders
        .iter()
        .filter(|inner| inner.path.starts_with(&found) && inner.path != found);
    Ok(Place {
        read_only: HostFolder::innermost(folders, &found).is_none_or(|folder| folder.read_only),
        inside: inside.cloned().collect(),
        ..Place::new(found)
    })
}

/// Whether what is missing of `path` below `folder` would be made in a folder that may only be read.
fn is_fixed(folder: &HostFolder, path: &Path, folders: &[HostFolder]) -> bool {
    let there = path
        .ancestors()
        .find_map(|part| resolve(&folder.path, part, Missing::Refuse).ok());
    let there = there.unwrap_or_else(|| folder.path.clone());
    HostFolder::innermost(folders, &there).is_none_or(|folder| folder.read_only)
}

/// Upstream's check of `type`, and what no guest can use.
fn check(found: &Path, shown: &str, kind: &str) -> Result<(), VolumeError> {
    let metadata = std::fs::symlink_metadata(found).map_err(|source| VolumeError::Io {
        path: shown.to_owned(),
        source,
    })?;
    let file = metadata.file_type();
    let (fits, wanted) = match kind {
        "Directory" | "DirectoryOrCreate" => (file.is_dir(), "directory"),
        "File" | "FileOrCreate" => (file.is_file(), "file"),
        "Socket" => (file.is_socket(), "socket file"),
        "CharDevice" => (file.is_char_device(), "character device"),
        "BlockDevice" => (file.is_block_device(), "block device"),
        _ => (true, ""),
    };
    if !fits {
        return Err(VolumeError::HostPath(format!(
            "hostPath type check failed: {shown} is not a {wanted}"
        )));
    }
    if !file.is_dir() && !file.is_file() {
        return Err(VolumeError::HostPath(format!(
            "{shown} is neither a folder nor a regular file: a WebAssembly guest cannot open it"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_what_the_operator_allows() {
        let temp = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(temp.path()).unwrap();
        fs::create_dir_all(root.join("open/sub")).unwrap();
        fs::create_dir_all(root.join("open/fixed")).unwrap();
        fs::create_dir_all(root.join("closed")).unwrap();
        fs::write(root.join("open/file"), "x").unwrap();
        symlink("../closed", root.join("open/out")).unwrap();
        symlink("sub", root.join("open/in")).unwrap();
        symlink("fixed", root.join("open/to-fixed")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("open/socket")).unwrap();
        let folder = |name: &str, read_only| HostFolder {
            path: root.join(name),
            read_only,
        };
        let folders = [folder("open", false), folder("open/fixed", true)];
        let ask = |path: &str, kind: &str| {
            let found = find(&root.join(path), kind, &folders, Step::Prepare);
            found
                .map(|place| {
                    let below = place.path.strip_prefix(&root).unwrap().to_owned();
                    (below.display().to_string(), place.read_only)
                })
                .map_err(|error| crate::agent::with_causes(&error))
        };
        let at = |path: &str, read_only| Ok((path.to_owned(), read_only));
        for (path, kind, expect) in [
            ("open", "", at("open", false)),
            ("open/sub", "Directory", at("open/sub", false)),
            ("open/in", "Directory", at("open/sub", false)),
            ("open/file", "File", at("open/file", false)),
            ("open/a/b", "DirectoryOrCreate", at("open/a/b", false)),
            ("open/sub/f", "FileOrCreate", at("open/sub/f", false)),
            ("open/fixed", "", at("open/fixed", true)),
            ("open/to-fixed", "", at("open/fixed", true)),
        ] {
            assert_eq!(ask(path, kind), expect, "{path}");
        }
        let outer = find(&root.join("open"), "", &folders, Step::Mount).unwrap();
        assert_eq!(outer.inside, [folder("open/fixed", true)]);
        assert!(root.join("open/a/b").is_dir() && root.join("open/sub/f").is_file());
        for (path, kind, expect) in [
            ("closed", "", "--allow-host-path"),
            ("opened", "", "--allow-host-path"),
            ("open/../closed", "", "--allow-host-path"),
            ("open/out", "", "leads out of"),
            ("open/out/new", "DirectoryOrCreate", "leads out of"),
            ("open/none", "", "No such file"),
            ("open/none/f", "FileOrCreate", "No such file"),
            ("open/fixed/new", "DirectoryOrCreate", "No such file"),
            ("open/to-fixed/new", "DirectoryOrCreate", "No such file"),
            ("open/file", "Directory", "is not a directory"),
            ("open/sub", "File", "is not a file"),
            ("open/file", "Socket", "is not a socket file"),
            ("open/socket", "Socket", "cannot open it"),
        ] {
            let error = ask(path, kind).unwrap_err();
            assert!(error.contains(expect), "{path}: {error}");
        }
        assert!(!root.join("closed/new").exists() && !root.join("open/fixed/new").exists());
        let none = find(&root.join("open"), "", &[], Step::Prepare).unwrap_err();
        assert!(none.to_string().contains("--allow-host-path"), "{none}");
    }
}
