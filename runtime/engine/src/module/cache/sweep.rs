//! What is left over in the cache: files of stores that were cut short, and folders of other versions of the engine.
//!
//! Best effort: what cannot be removed now is tried again at the next start.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Another process may be in the middle of storing what is younger.
const UNFINISHED: Duration = Duration::from_secs(3_600);

/// How long the code of another version of the engine, or for another processor, is kept unused: after an upgrade
/// somebody may want to go back.
const OTHERS_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Digits of a folder's name, which is a hash.
const NAME_DIGITS: usize = 32;

/// What is kept of one module.
pub(super) struct Code {
    pub(super) digest: String,
    /// Its compiled code, and what is noted beside it.
    pub(super) bytes: u64,
    pub(super) used: SystemTime,
}

/// The compiled modules of a folder.
pub(super) fn codes(dir: &Path) -> Vec<Code> {
    let mut modules: HashMap<String, Module> = HashMap::new();
    for file in files(dir) {
        let module = modules.entry(file.stem).or_default();
        module.bytes += file.bytes;
        match file.extension.as_str() {
            "code" => module.compiled = Some(file.modified),
            "json" => module.used = Some(file.modified),
            _ => {}
        }
    }
    let codes = modules.into_iter().filter_map(|(digest, module)| {
        let compiled = module.compiled?;
        Some(Code {
            digest,
            bytes: module.bytes,
            used: module.used.unwrap_or(compiled),
        })
    });
    codes.collect()
}

/// The files of one module.
#[derive(Default)]
struct Module {
    bytes: u64,
    compiled: Option<SystemTime>,
    /// Its record's time is the last use.
    used: Option<SystemTime>,
}

/// Cleans up when an engine starts. `own` is the folder of its own code below `root`.
pub(super) fn sweep(root: &Path, own: &Path, max_bytes: u64) {
    orphans(own);
    let bytes = codes(own).iter().map(|code| code.bytes).sum();
    for other in others(root, own) {
        if age(other.used) > OTHERS_KEPT {
            other.remove();
        }
    }
    make_room(root, own, bytes, max_bytes);
}

/// Removes other versions' folders, the least recently used first, until they and `bytes` are within the bound.
/// Returns the bytes they still take.
pub(super) fn make_room(root: &Path, own: &Path, bytes: u64, max_bytes: u64) -> u64 {
    let mut others = others(root, own);
    others.sort_by_key(|other| other.used);
    let mut left: u64 = others.iter().map(|other| other.bytes).sum();
    for other in others {
        if bytes + left <= max_bytes {
            break;
        }
        other.remove();
        left -= other.bytes;
    }
    left
}

struct File {
    stem: String,
    extension: String,
    bytes: u64,
    modified: SystemTime,
}

fn files(dir: &Path) -> Vec<File> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| {
        let (path, metadata) = (entry.path(), entry.metadata().ok()?);
        Some(File {
            stem: path.file_stem()?.to_str()?.to_owned(),
            extension: path.extension()?.to_str()?.to_owned(),
            bytes: metadata.len(),
            modified: metadata.modified().ok()?,
        })
    });
    files.collect()
}

fn orphans(dir: &Path) {
    let files = files(dir);
    let names: HashSet<_> = files
        .iter()
        .map(|file| (file.stem.as_str(), file.extension.as_str()))
        .collect();
    let has = |stem, extension| names.contains(&(stem, extension));
    for file in &files {
        let orphan = match file.extension.as_str() {
            "new" => true,
            "code" => !has(&file.stem, "json"),
            _ => !has(&file.stem, "code"),
        };
        if orphan && age(file.modified) > UNFINISHED {
            let path = dir.join(format!("{}.{}", file.stem, file.extension));
            report(&path, fs::remove_file(&path));
        }
    }
}

/// A folder of compiled code that this engine cannot use.
struct Other {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Other {
    fn remove(&self) {
        tracing::info!(folder = %self.path.display(), "removing code compiled by another version");
        report(&self.path, fs::remove_dir_all(&self.path));
    }
}

fn others(root: &Path, own: &Path) -> Vec<Other> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let others = entries.filter_map(|entry| {
        let path = entry.path();
        let hash = entry.file_name().to_str().is_some_and(|name| {
            name.len() == NAME_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        if !hash || path == own || !entry.file_type().ok()?.is_dir() {
            return None;
        }
        let files = files(&path);
        let made = entry.metadata().ok()?.modified().ok()?;
        Some(Other {
            bytes: files.iter().map(|file| file.bytes).sum(),
            // Of a record's time and those of the files beside it the last use is the latest.
            used: files.iter().map(|file| file.modified).max().unwrap_or(made),
            path,
        })
    });
    others.collect()
}

/// Zero for what is said to be of the future.
fn age(time: SystemTime) -> Duration {
    time.elapsed().unwrap_or_default()
}

fn report(path: &Path, removed: io::Result<()>) {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "cannot remove what is left over");
        }
        _ => {}
    }
}
