//! Compiled code on disk: `DIR/<compatibility>/<digest>.{code,json,seen}`.
//!
//! Mapping compiled code is as good as running it, so only files are accepted that this engine (or one just like it)
//! wrote: the folder belongs to this user alone, and each file has a record beside it with its length and SHA-256.
//! Anything else counts as absent and is compiled anew. Code is written before its record, both by rename, so a crash
//! leaves nothing that is accepted. Corruption of the disk is caught; another process of the same user is trusted.
//!
//! Hashing a large file takes longer than starting it, so it is done once per file and boot of the machine: `.seen`
//! says which file was found good in which boot, by inode, length and times. The kernel changes these with every write
//! through it, and what the disk does to a file meanwhile shows in the next boot at the earliest.

mod sweep;

use super::entry::Entries;
use super::inspect::Inspected;
use super::prepared::Code;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Changed whenever the record's meaning changes.
const FORMAT: u32 = 3;

/// Compiled code of one wasmtime configuration.
pub(crate) struct Cache {
    root: PathBuf,
    dir: PathBuf,
    max_bytes: u64,
    /// Which boot of the machine this is; unknown where the kernel does not say.
    boot: Option<String>,
    writes: AtomicU64,
}

/// A file as it was when its content was known to be good.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    boot: String,
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What the record of a compiled file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Meta {
    format: u32,
    component: bool,
    pub(crate) concurrent: bool,
    pub(crate) entries: Entries,
    pub(crate) imports: Vec<String>,
    length: u64,
    sha256: String,
}

/// A compiled file whose content was verified. It is held open: it may be mapped again after it was removed.
#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    code: Arc<fs::File>,
    pub(crate) meta: Meta,
}

/// Makes a folder that belongs to this user alone, or checks that it does.
pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    let metadata = fs::metadata(dir)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let message = format!("{} belongs to another user", dir.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

impl Cache {
    pub(crate) fn open(root: &Path, compatibility: &str, max_bytes: u64) -> io::Result<Self> {
        private_dir(root)?;
        let dir = root.join(compatibility);
        private_dir(&dir)?;
        sweep::sweep(root, &dir, max_bytes);
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        Ok(Cache {
            root: root.to_owned(),
            dir,
            max_bytes,
            boot: boot.ok().map(|id| id.trim().to_owned()),
            writes: AtomicU64::new(0),
        })
    }

    /// The compiled code of a digest, if it is there and intact.
    pub(crate) fn find(&self, digest: &str) -> io::Result<Artifact> {
        let code = self.path(digest, "code");
        let mut record = fs::File::open(self.path(digest, "json"))?;
        let mut text = Vec::new();
        record.read_to_end(&mut text)?;
        let meta: Meta = serde_json::from_slice(&text)?;
        if meta.format != FORMAT {
            return Err(io::Error::other("the record has another format"));
        }
        let mut file = fs::OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(&code)?;
        let metadata = file.metadata()?;
        if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
            return Err(io::Error::other(
                "the code may have been written by somebody else",
            ));
        }
        let altered = || io::Error::other("the code is not what was written");
        if metadata.len() != meta.length {
            return Err(altered());
        }
        let seen = self.seen(&metadata);
        if seen.is_none() || seen != self.last_seen(digest) {
            let mut hasher = Sha256::new();
            io::copy(&mut file, &mut HashWriter(&mut hasher))?;
            if hex::encode(hasher.finalize()) != meta.sha256 {
                return Err(altered());
            }
            self.note_seen(digest, seen);
        }
        // Marks it as used, for `prune`. On the record, since the code's times tell whether it was changed.
        if let Err(error) = record.set_modified(SystemTime::now()) {
            tracing::debug!(%error, "cannot mark compiled code as used");
        }
        Ok(Artifact {
            code: Arc::new(file),
            meta,
        })
    }

    /// Keeps compiled code.
    pub(crate) fn store(
        &self,
        digest: &str,
        inspected: Inspected,
        code: &[u8],
    ) -> io::Result<Artifact> {
        let meta = Meta {
            format: FORMAT,
            component: inspected.component,
            concurrent: inspected.concurrent,
            entries: inspected.entries.shortened(),
            imports: inspected.imports,
            length: code.len() as u64,
            sha256: hex::encode(Sha256::digest(code)),
        };
        let record = serde_json::to_vec(&meta)?;
        self.prune(meta.length + record.len() as u64);
        let path = self.path(digest, "code");
        self.write(&path, code)?;
        self.write(&self.path(digest, "json"), &record)?;
        // What was just written is in the kernel's memory as it should be.
        let file = fs::File::open(&path)?;
        self.note_seen(digest, self.seen(&file.metadata()?));
        Ok(Artifact {
            code: Arc::new(file),
            meta,
        })
    }

    /// Removes a digest's compiled code. Modules in use keep theirs mapped, and open.
    pub(crate) fn remove(&self, digest: &str) {
        for extension in ["seen", "json", "code"] {
            let path = self.path(digest, extension);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, path = %path.display(), "cannot remove compiled code");
                }
                _ => {}
            }
        }
    }

    fn seen(&self, metadata: &fs::Metadata) -> Option<Seen> {
        Some(Seen {
            boot: self.boot.clone()?,
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    fn last_seen(&self, digest: &str) -> Option<Seen> {
        let text = fs::read(self.path(digest, "seen")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn note_seen(&self, digest: &str, seen: Option<Seen>) {
        let Some(seen) = seen else { return };
        let written = serde_json::to_vec(&seen)
            .map_err(io::Error::from)
            .and_then(|text| self.write(&self.path(digest, "seen"), &text));
        if let Err(error) = written {
            tracing::debug!(%error, "compiled code will be hashed again");
        }
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let temporary = self
            .dir
            .join(format!("{}-{number}.new", std::process::id()));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        let written = file
            .write_all(content)
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            // Best effort: what matters is reported by `written`.
            let _removed = fs::remove_file(&temporary);
        }
        written
    }

    /// Makes room for `incoming` bytes: first what other versions of the engine left, then what was not used for
    /// longest.
    fn prune(&self, incoming: u64) {
        let mut found = sweep::codes(&self.dir);
        let own = incoming + found.iter().map(|code| code.bytes).sum::<u64>();
        let mut total = own + sweep::make_room(&self.root, &self.dir, own, self.max_bytes);
        found.sort_by_key(|code| code.used);
        for code in found {
            if total <= self.max_bytes {
                break;
            }
            self.remove(&code.digest);
            total -= code.bytes;
        }
    }

    fn path(&self, digest: &str, extension: &str) -> PathBuf {
        self.dir.join(format!(
            "{}.{extension}",
            digest.trim_start_matches("sha256:")
        ))
    }
}

impl Artifact {
    /// Maps the code into an engine.
    #[allow(
        unsafe_code,
        reason = "mapping compiled code is unsafe by nature; see the SAFETY comments"
    )]
    pub(crate) fn map(&self, engine: &wasmtime::Engine) -> wasmtime::Result<Code> {
        let code = format!("/proc/self/fd/{}", self.code.as_raw_fd());
        if self.meta.component {
            // SAFETY: the file was made by `Cache::store` from wasmtime's own output, or verified by `Cache::find`
            // to be such a file; only this user can change it, and nothing of ours changes a file in place.
            let component =
                unsafe { wasmtime::component::Component::deserialize_file(engine, code)? };
            Ok(Code::Component(component, self.meta.entries.clone()))
        } else {
            // SAFETY: as above.
            let module = unsafe { wasmtime::Module::deserialize_file(engine, code)? };
            Ok(Code::Module(module))
        }
    }
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
