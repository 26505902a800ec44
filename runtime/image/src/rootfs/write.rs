//! Making and removing single files and folders of a root filesystem, and telling a bad archive from a bad
//! disk. Callers have resolved the places.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::FetchError;

/// The archive itself cannot be read.
pub(crate) fn broken(error: &io::Error) -> FetchError {
    FetchError::Invalid(format!("layer cannot be unpacked: {error}"))
}

pub(super) fn written(error: &io::Error) -> FetchError {
    FetchError::storage("unpack layer", error)
}

/// A step that fails either by what the archive asks for or by what the disk can give.
pub(super) fn refused(what: &str, name: &Path, error: &io::Error) -> FetchError {
    match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::PermissionDenied => written(error),
        _ => FetchError::Invalid(format!(
            "layer has a bad {what} {}: {error}",
            name.display()
        )),
    }
}

/// Removes a file or a tree; links are not followed. What is not there is fine.
pub(super) fn remove(path: &Path) -> Result<(), FetchError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Err(written(&error))
        }
        _ => Ok(()),
    }
}

pub(super) fn make_folder(place: &Path, mode: u32) -> Result<(), FetchError> {
    let there = fs::symlink_metadata(place).is_ok_and(|found| found.is_dir());
    if !there {
        remove(place)?;
        fs::create_dir(place).map_err(|error| written(&error))?;
    }
    // The owner, which is us, must be able to look inside and to clean up.
    let mode = Permissions::from_mode((mode & 0o777) | 0o700);
    fs::set_permissions(place, mode).map_err(|error| written(&error))
}

pub(super) fn make_file(
    place: &Path,
    mode: u32,
    size: u64,
    content: &mut dyn Read,
) -> Result<(), FetchError> {
    remove(place)?;
    let mut file = File::create_new(place).map_err(|error| written(&error))?;
    if copy(content, &mut file)? != size {
        return Err(FetchError::Invalid(
            "layer ends in the middle of a file".into(),
        ));
    }
    // No set-id bits: nothing of an image runs as a program of this machine.
    let mode = Permissions::from_mode((mode & 0o777) | 0o400);
    file.set_permissions(mode).map_err(|error| written(&error))
}

/// Copies, telling a bad archive from a bad disk.
fn copy(from: &mut dyn Read, to: &mut File) -> Result<u64, FetchError> {
    let mut buffer = vec![0; 64 << 10];
    let mut copied = 0;
    loop {
        let count = from.read(&mut buffer).map_err(|error| broken(&error))?;
        if count == 0 {
            return Ok(copied);
        }
        copied += count as u64;
        io::Write::write_all(to, &buffer[..count]).map_err(|error| written(&error))?;
    }
}
