//! A folder of content-addressed blobs, used by the image store and by the registry.
//!
//! A blob is written beside its place, verified, made durable, and renamed: under `blobs/` there is never
//! a partial or unverified file, whatever moment the process or the machine dies at. Leftovers in
//! `ingest/` are dropped when the folder is opened. Who may delete a blob is not decided here.

mod arrival;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::{Digest, Hasher};
use crate::error::{FetchError, ImageError};

pub(crate) use arrival::Parts;

/// Copies and hashes move this much at a time.
const CHUNK: usize = 256 << 10;

/// What a blob must turn out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// The folder. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct ContentDir {
    blobs: Arc<Path>,
    ingest: Arc<Path>,
    next: Arc<AtomicU64>,
}

/// A file or folder in the making; removed when dropped, unless it was renamed away.
#[derive(Debug)]
pub(crate) struct Temp {
    path: PathBuf,
}

impl Temp {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        // Gone already when it was renamed. A leftover costs space until the next start, nothing else.
        if fs::remove_file(&self.path).is_err() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl ContentDir {
    /// Opens or makes the folder and drops what a dead process left unfinished.
    pub(crate) fn open(root: &Path) -> Result<ContentDir, ImageError> {
        let blobs = root.join("blobs").join("sha256");
        let ingest = root.join("ingest");
        let failed = |path: &Path, step| {
            let path = path.to_owned();
            move |source| ImageError::Io { path, step, source }
        };
        if ingest.exists() {
            fs::remove_dir_all(&ingest).map_err(failed(&ingest, "drop unfinished downloads"))?;
        }
        for folder in [&blobs, &ingest] {
            fs::create_dir_all(folder).map_err(failed(folder, "create folder"))?;
        }
        Ok(ContentDir {
            blobs: blobs.into(),
            ingest: ingest.into(),
            next: Arc::default(),
        })
    }

    /// Where the blob is or would be.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.hex())
    }

    /// The blob's size, if it is here.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        let found = fs::metadata(self.path(digest)).ok()?;
        found.is_file().then_some(found.len())
    }

    /// Every blob here.
    pub(crate) fn list(&self) -> io::Result<Vec<Digest>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.blobs)? {
            if let Some(digest) = entry?
                .file_name()
                .to_str()
                .and_then(|n| Digest::from_hex(n).ok())
            {
                found.push(digest);
            }
        }
        Ok(found)
    }

    /// Deletes a blob; one that is not here is fine.
    pub(crate) fn remove(&self, digest: &Digest) -> io::Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A fresh place on the same filesystem as the blobs.
    pub(crate) fn temp(&self) -> Temp {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Temp {
            path: self.ingest.join(number.to_string()),
        }
    }

    /// Takes over a file of this machine: by a hard link where the disk allows it and `share` says the
    /// file never changes in place, else by copy. Verified either way. Blocks.
    pub(crate) fn adopt(
        &self,
        source: &Path,
        expected: &Expected,
        share: bool,
    ) -> Result<(), FetchError> {
        let temp = self.temp();
        let failed = |error: io::Error| FetchError::storage("take over blob", &error);
        if share && fs::hard_link(source, temp.path()).is_ok() {
            let mut file = File::open(temp.path()).map_err(failed)?;
            expected.check(hash(&mut file, expected.size, &mut io::sink()).map_err(failed)?)?;
        } else {
            let mut file = File::open(source).map_err(failed)?;
            let mut copy = File::create_new(temp.path()).map_err(failed)?;
            expected.check(hash(&mut file, expected.size, &mut copy).map_err(failed)?)?;
            copy.sync_all().map_err(failed)?;
        }
        self.publish(&temp, &expected.digest).map_err(failed)
    }

    /// Stores bytes that are in memory. Blocks.
    pub(crate) fn write_bytes(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        if self.size(&digest) == Some(bytes.len() as u64) {
            return Ok(digest);
        }
        let temp = self.temp();
        let mut file = File::create_new(temp.path())?;
        file.write_all(bytes)?;
        file.sync_all()?;
        self.publish(&temp, &digest)?;
        Ok(digest)
    }

    /// Gives a finished, synced file its name.
    pub(crate) fn publish(&self, temp: &Temp, digest: &Digest) -> io::Result<()> {
        rename_durably(temp.path(), &self.path(digest))
    }

    /// Replaces a small file as a whole. Blocks.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temp = self.temp();
        let mut file = File::create_new(temp.path())?;
        file.write_all(bytes)?;
        file.sync_all()?;
        rename_durably(temp.path(), path)
    }
}

impl Expected {
    fn wrong_size(&self, word: &str, got: u64) -> FetchError {
        let Expected { digest, size } = self;
        FetchError::Invalid(format!(
            "blob {digest} has {word} bytes than announced: {got}, not {size}"
        ))
    }

    pub(crate) fn check(&self, hasher: Hasher) -> Result<(), FetchError> {
        if hasher.bytes() != self.size {
            let word = if hasher.bytes() > self.size {
                "more"
            } else {
                "fewer"
            };
            return Err(self.wrong_size(word, hasher.bytes()));
        }
        let found = hasher.finish();
        if found == self.digest {
            return Ok(());
        }
        Err(FetchError::Invalid(format!(
            "digest mismatch: content is {found}, not {}",
            self.digest
        )))
    }
}

/// Hashes and copies at most one byte more than `limit`: enough to see that a file is too long.
pub(crate) fn hash(from: &mut File, limit: u64, to: &mut dyn Write) -> io::Result<Hasher> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; CHUNK];
    while hasher.bytes() <= limit {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
    }
    Ok(hasher)
}

/// A rename that survives a power cut.
pub(crate) fn rename_durably(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder_of(to)
}

/// Makes the creation, renaming or deletion of `path` durable.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Runs disk work off the async threads. It runs to its end even if the caller goes away, so a step
/// that must be whole belongs into one call.
pub(crate) async fn blocking<T, F>(work: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // A blocking task is only cancelled before it starts, when the runtime is shutting down
            // and drops this future with everything else.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
#[path = "content/tests.rs"]
mod tests;
