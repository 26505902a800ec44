//! Paths inside a root filesystem, resolved as if its root were `/`.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Links followed while resolving one path, as in the kernel.
const LINKS_MAX: usize = 40;
/// Components of one path, links expanded. Keeps a hostile archive from making resolution slow.
const COMPONENTS_MAX: usize = 1024;

/// The regular file that `path` names inside the root filesystem at `root`. Links and `..` never lead
/// outside: `/` is `root`. None when there is no such file.
pub fn resolve_in_rootfs(root: &Path, path: &str) -> Option<PathBuf> {
    match look_up(root, path) {
        Some(Found::File(file)) => Some(file),
        _ => None,
    }
}

/// What a path names.
pub(crate) enum Found {
    /// A regular file, its path with all links resolved.
    File(PathBuf),
    Folder,
}

/// What `path` names inside the root filesystem at `root`; nothing when it is no file and no folder.
pub(crate) fn look_up(root: &Path, path: &str) -> Option<Found> {
    let found = resolve(root, Path::new(path), LastLink::Follow).ok()?;
    let about = fs::symlink_metadata(&found).ok()?;
    match about.file_type() {
        kind if kind.is_file() => Some(Found::File(found)),
        kind if kind.is_dir() => Some(Found::Folder),
        _ => None,
    }
}

/// What to do when the last component is a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastLink {
    Follow,
    Keep,
}

/// Turns `path` into a path below `root` whose folders are no links. Components that do not exist are
/// taken as they are.
pub(crate) fn resolve(root: &Path, path: &Path, last: LastLink) -> io::Result<PathBuf> {
    let mut pending: Vec<PathBuf> = Vec::new();
    push_components(&mut pending, path)?;
    let mut depth = 0_usize;
    let mut resolved = root.to_owned();
    let mut links = 0;
    while let Some(component) = pending.pop() {
        match component.components().next() {
            Some(Component::Normal(name)) => {
                let next = resolved.join(name);
                let keep = pending.is_empty() && last == LastLink::Keep;
                let target = if keep { None } else { link_target(&next)? };
                let Some(target) = target else {
                    resolved = next;
                    depth += 1;
                    continue;
                };
                links += 1;
                if links > LINKS_MAX {
                    return Err(io::Error::other("too many levels of symbolic links"));
                }
                if target.is_absolute() {
                    resolved = root.to_owned();
                    depth = 0;
                }
                push_components(&mut pending, &target)?;
            }
            Some(Component::ParentDir) if depth > 0 => {
                resolved.pop();
                depth -= 1;
            }
            // "." and "/", and ".." at the root, which is the root.
            _ => {}
        }
    }
    Ok(resolved)
}

/// Puts the components of `path` on the stack, first one on top.
fn push_components(pending: &mut Vec<PathBuf>, path: &Path) -> io::Result<()> {
    let components: Vec<PathBuf> = path
        .components()
        .map(|c| PathBuf::from(c.as_os_str()))
        .collect();
    if pending.len() + components.len() > COMPONENTS_MAX {
        return Err(io::Error::other("path has too many components"));
    }
    pending.extend(components.into_iter().rev());
    Ok(())
}

fn link_target(path: &Path) -> io::Result<Option<PathBuf>> {
    match fs::read_link(path) {
        Ok(target) => Ok(Some(target)),
        // InvalidInput: there, but no link. NotADirectory: what follows fails when it is used.
        Err(error) => match error.kind() {
            io::ErrorKind::InvalidInput
            | io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory => Ok(None),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_dots_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        fs::write(dir.path().join("outside"), "secret").unwrap();
        fs::write(root.join("usr/lib/x"), "x").unwrap();
        symlink("usr/lib", root.join("lib")).unwrap();
        symlink("/usr/lib", root.join("abs")).unwrap();
        symlink("../../outside", root.join("usr/up")).unwrap();
        symlink("../outside", root.join("up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let want = Some(root.join("usr/lib/x"));
        for path in [
            "/usr/lib/x",
            "lib/x",
            "/abs/x",
            "../../../lib/./x",
            "usr/../abs/../lib/x",
        ] {
            assert_eq!(resolve_in_rootfs(&root, path), want, "{path}");
        }
        for path in [
            "../outside",
            "/up",
            "/usr/up",
            "loop",
            "usr",
            "",
            "nothing",
            "lib/x/y",
        ] {
            assert_eq!(resolve_in_rootfs(&root, path), None, "{path}");
        }
        assert_eq!(
            resolve(&root, Path::new("/up"), LastLink::Keep).unwrap(),
            root.join("up")
        );
        assert_eq!(
            resolve(&root, Path::new("/up"), LastLink::Follow).unwrap(),
            root.join("outside")
        );
    }
}
