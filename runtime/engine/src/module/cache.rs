//! Compiled code on disk: `DIR/<compatibility>/<digest>.{code,json}`.
//!
//! Mapping compiled code is as good as running it, so only files are accepted that this engine (or one just like it)
//! wrote: the folder belongs to this user alone, and each file has a record beside it with its length and SHA-256.
//! Anything else counts as absent and is compiled anew. Code is written before its record, both by rename, so a crash
//! leaves nothing that is accepted. Corruption of the disk is caught; another process of the same user is trusted.

use super::entry::Entries;
use super::inspect::Inspected;
use super::prepared::Code;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Changed whenever the record's meaning changes.
const FORMAT: u32 = 2;

/// Compiled code of one wasmtime configuration.
pub(crate) struct Cache {
    dir: PathBuf,
    max_bytes: u64,
    writes: AtomicU64,
}

/// What the record of a compiled file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Meta {
    format: u32,
    component: bool,
    pub(crate) entries: Entries,
    pub(crate) imports: Vec<String>,
    length: u64,
    sha256: String,
}

/// A compiled file whose content was verified.
#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    code: PathBuf,
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
        Ok(Cache {
            dir,
            max_bytes,
            writes: AtomicU64::new(0),
        })
    }

    /// The compiled code of a digest, if it is there and intact.
    pub(crate) fn find(&self, digest: &str) -> io::Result<Artifact> {
        let code = self.path(digest, "code");
        let meta: Meta = serde_json::from_slice(&fs::read(self.path(digest, "json"))?)?;
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
        let mut hasher = Sha256::new();
        let length = io::copy(&mut file, &mut HashWriter(&mut hasher))?;
        if length != meta.length || hex::encode(hasher.finalize()) != meta.sha256 {
            return Err(io::Error::other("the code is not what was written"));
        }
        // Marks it as used, for `prune`.
        if let Err(error) = file.set_modified(SystemTime::now()) {
            tracing::debug!(%error, "cannot mark compiled code as used");
        }
        Ok(Artifact { code, meta })
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
            entries: inspected.entries.shortened(),
            imports: inspected.imports,
            length: code.len() as u64,
            sha256: hex::encode(Sha256::digest(code)),
        };
        self.prune(meta.length);
        let path = self.path(digest, "code");
        self.write(&path, code)?;
        self.write(&self.path(digest, "json"), &serde_json::to_vec(&meta)?)?;
        Ok(Artifact { code: path, meta })
    }

    /// Removes a digest's compiled code. Modules in use keep theirs mapped.
    pub(crate) fn remove(&self, digest: &str) {
        for extension in ["json", "code"] {
            let path = self.path(digest, extension);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, path = %path.display(), "cannot remove compiled code");
                }
                _ => {}
            }
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

    /// Makes room for `incoming` bytes by removing what was not used for longest.
    fn prune(&self, incoming: u64) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        let mut found: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter(|entry| {
                entry
                    .path()
                    .extension()
                    .is_some_and(|extension| extension == "code")
            })
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        let mut total = incoming + found.iter().map(|(_, size, _)| size).sum::<u64>();
        found.sort();
        for (_, size, path) in found {
            if total <= self.max_bytes {
                break;
            }
            if let Some(digest) = path.file_stem().and_then(|stem| stem.to_str()) {
                self.remove(digest);
                total -= size;
            }
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
        if self.meta.component {
            // SAFETY: the file was made by `Cache::store` from wasmtime's own output, or verified by `Cache::find`
            // to be such a file; only this user can change it, and nothing of ours changes a file in place.
            let component =
                unsafe { wasmtime::component::Component::deserialize_file(engine, &self.code)? };
            Ok(Code::Component(component, self.meta.entries.clone()))
        } else {
            // SAFETY: as above.
            let module = unsafe { wasmtime::Module::deserialize_file(engine, &self.code)? };
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
