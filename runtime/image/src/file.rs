//! Plain `.wasm` files as images, and the folders that files may come from.
//!
//! A pod's author must not read the node's files at will, so every path is checked after all its links
//! are resolved, and nothing is allowed unless the operator named a folder.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::content::{ContentDir, Expected, hash};
use crate::digest::Digest;
use crate::error::{FetchError, ImageError};
use crate::image::{RunConfig, is_wasm};
use crate::limits::Limits;
use crate::records::{FileStamp, Record, Stored};

/// The folders that `file://` and `oci://` may name, links resolved.
#[derive(Clone, Debug)]
pub(crate) struct FileRoots(Vec<PathBuf>);

impl FileRoots {
    pub(crate) fn open(roots: &[PathBuf]) -> Result<FileRoots, ImageError> {
        let resolve = |path: &PathBuf| {
            fs::canonicalize(path).map_err(|source| ImageError::FileRoot {
                path: path.clone(),
                source,
            })
        };
        Ok(FileRoots(
            roots.iter().map(resolve).collect::<Result<_, _>>()?,
        ))
    }

    /// `path` with all links resolved, if it is below a root. Blocks.
    pub(crate) fn resolve(&self, path: &Path) -> Result<PathBuf, FetchError> {
        let outside = || {
            let path = path.display();
            if self.0.is_empty() {
                FetchError::NotFound(format!(
                    "{path}: this node allows no images from its own files"
                ))
            } else {
                FetchError::NotFound(format!(
                    "{path}: not below a folder this node allows images from"
                ))
            }
        };
        // Whether something exists outside the roots is nobody's business: one answer for both.
        let near = |root: &PathBuf| path.starts_with(root);
        let found = match fs::canonicalize(path) {
            Ok(found) => found,
            Err(error) if self.0.iter().any(near) => {
                return Err(FetchError::NotFound(format!("{}: {error}", path.display())));
            }
            Err(_) => return Err(outside()),
        };
        if self.0.iter().any(|root| found.starts_with(root)) {
            Ok(found)
        } else {
            Err(outside())
        }
    }
}

/// Opens a regular file; never waits on a pipe and never follows a last link.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "not a regular file",
    ))
}

/// The state of a file, to see later whether it was changed.
fn stamp(found: &fs::Metadata) -> FileStamp {
    FileStamp {
        bytes: found.size(),
        modified_nanos: i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec()),
        inode: found.ino(),
    }
}

/// Whether a pulled file is still what it was. One that is gone has not changed.
pub(crate) fn is_unchanged(path: &Path, before: &FileStamp) -> bool {
    fs::metadata(path).map_or(true, |found| stamp(&found) == *before)
}

/// The digest and size of a module file below the roots; what the blob will be. Blocks.
pub(crate) fn measure(
    roots: &FileRoots,
    path: &Path,
    limits: &Limits,
) -> Result<(PathBuf, Expected, FileStamp), FetchError> {
    let found = roots.resolve(path)?;
    let failed = |error: io::Error| FetchError::NotFound(format!("{}: {error}", path.display()));
    let mut file = open_regular(&found).map_err(failed)?;
    let stamp = stamp(&file.metadata().map_err(failed)?);
    if stamp.bytes > limits.layer_bytes {
        let (size, most) = (stamp.bytes, limits.layer_bytes);
        return Err(FetchError::TooLarge(format!(
            "file of {size} bytes, at most {most} are allowed"
        )));
    }
    if !starts_as_wasm(&found).map_err(failed)? {
        let path = path.display();
        return Err(FetchError::Invalid(format!(
            "{path} is not a WebAssembly binary"
        )));
    }
    let hasher = hash(&mut file, limits.layer_bytes, &mut io::sink()).map_err(failed)?;
    let size = hasher.bytes();
    Ok((
        found,
        Expected {
            digest: hasher.finish(),
            size,
        },
        stamp,
    ))
}

/// Copies a measured file into the blobs, whose digest is pinned; gives the image. Blocks.
///
/// A file that changes in between fails the check and nothing is stored.
pub(crate) fn take(
    content: &ContentDir,
    path: &Path,
    expected: &Expected,
    stamp: FileStamp,
) -> Result<Record, FetchError> {
    if content.size(&expected.digest) != Some(expected.size) {
        content.adopt(path, expected, false)?;
    }
    let digest = expected.digest.clone();
    let blobs = vec![(digest.clone(), expected.size)];
    let stored = Stored::Module {
        digest: digest.clone(),
    };
    let mut record = Record::new(digest, RunConfig::default(), stored, blobs);
    record.file = Some(stamp);
    Ok(record)
}

/// Whether a file begins like a Wasm binary.
pub(crate) fn starts_as_wasm(path: &Path) -> io::Result<bool> {
    let mut start = [0; 4];
    match io::Read::read_exact(&mut File::open(path)?, &mut start) {
        Ok(()) => Ok(is_wasm(&start)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The digest of a small file that is also read into memory. Blocks.
pub(crate) fn read_small(path: &Path, most: u64) -> Result<(Vec<u8>, Digest), FetchError> {
    let failed = |error: io::Error| FetchError::NotFound(format!("{}: {error}", path.display()));
    let file = open_regular(path).map_err(failed)?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, most + 1), &mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        let path = path.display();
        return Err(FetchError::TooLarge(format!(
            "{path} has more than {most} bytes"
        )));
    }
    let digest = Digest::of(&bytes);
    Ok((bytes, digest))
}
