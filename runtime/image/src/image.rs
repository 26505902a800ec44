//! An image in the store, ready to run.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Hasher};
use crate::rootfs::resolve_in_rootfs;

/// An image whose content is on this machine and verified.
#[derive(Clone, Debug)]
pub struct Image {
    /// `sha256:...`; the same content has the same id wherever it came from.
    pub id: String,
    /// The names with a tag, e.g. `app:v1`, `docker.io/library/nginx:1.27`.
    pub repo_tags: Vec<String>,
    /// The names with a digest, e.g. `app@sha256:...`.
    pub repo_digests: Vec<String>,
    /// Bytes on disk, more than 0.
    pub size: u64,
    /// What the image says about running it.
    pub config: RunConfig,
    /// Where its code is.
    pub content: Content,
}

/// What an image says about running it. All empty for a Wasm artifact, whose config has no such
/// fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunConfig {
    /// Becomes the start of argv; CRI's `command` replaces it.
    pub entrypoint: Vec<String>,
    /// Becomes the rest of argv; CRI's `args` replaces it.
    pub cmd: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Empty means `/`.
    pub working_dir: String,
    /// `1000`, `1000:1000`, `www-data`, or empty.
    pub user: String,
}

/// Where an image's code is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One Wasm module or component.
    Module {
        /// `sha256:...` of the file.
        digest: String,
        /// The file; never changed in place.
        path: PathBuf,
    },
    /// A root filesystem, shared by all containers of the image: mount it read-only or copy it.
    Rootfs {
        /// Its root.
        dir: PathBuf,
    },
}

/// A Wasm file to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleFile {
    /// `sha256:...` of the file.
    pub digest: String,
    /// The file.
    pub path: PathBuf,
}

/// Why an image has no module to load.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// Neither the image nor the caller names a file.
    #[error("image has a root filesystem but no entrypoint, and no command was given")]
    NoCommand,
    /// The file is not in the root filesystem.
    #[error("exec: {0:?}: executable file not found in the image")]
    NotFound(String),
    /// The file is no Wasm binary.
    #[error("exec: {0:?}: not a WebAssembly binary")]
    NotWasm(String),
    /// The file cannot be read.
    #[error("read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Where a command without a slash is looked for when the image sets no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Image {
    /// The module to load when argv\[0\] is `arg0` (the image's own entrypoint when absent).
    ///
    /// A module image ignores `arg0`. In a root filesystem it is a path, or a name looked up in
    /// `PATH`, then in the working folder. Reads the whole file for its digest: call it where blocking
    /// is allowed.
    pub fn module(&self, arg0: Option<&str>) -> Result<ModuleFile, ModuleError> {
        let dir = match &self.content {
            Content::Module { digest, path } => {
                return Ok(ModuleFile {
                    digest: digest.clone(),
                    path: path.clone(),
                });
            }
            Content::Rootfs { dir } => dir,
        };
        let config = &self.config;
        let own = || {
            config
                .entrypoint
                .first()
                .or(config.cmd.first())
                .map(String::as_str)
        };
        let arg0 = arg0
            .or_else(own)
            .filter(|text| !text.is_empty())
            .ok_or(ModuleError::NoCommand)?;
        // runwasi's convention: the part behind '#' names the function to call.
        let file = arg0.split('#').next().unwrap_or(arg0);
        let path = self
            .candidates(file)
            .iter()
            .find_map(|candidate| resolve_in_rootfs(dir, candidate))
            .ok_or_else(|| ModuleError::NotFound(arg0.to_owned()))?;
        let digest = wasm_digest(&path)
            .map_err(|source| ModuleError::Io {
                path: path.clone(),
                source,
            })?
            .ok_or_else(|| ModuleError::NotWasm(arg0.to_owned()))?;
        Ok(ModuleFile {
            digest: digest.into(),
            path,
        })
    }

    fn candidates(&self, file: &str) -> Vec<String> {
        let in_working_dir = format!("/{}/{file}", self.config.working_dir);
        if file.starts_with('/') {
            return vec![file.to_owned()];
        }
        if file.contains('/') {
            return vec![in_working_dir];
        }
        let set = self
            .config
            .env
            .iter()
            .find_map(|pair| pair.strip_prefix("PATH="));
        let mut candidates: Vec<String> = set
            .unwrap_or(DEFAULT_PATH)
            .split(':')
            .map(|folder| format!("/{folder}/{file}"))
            .collect();
        candidates.push(in_working_dir);
        candidates
    }
}

/// Whether these are the first bytes of a Wasm binary (core module or component).
pub(crate) fn is_wasm(start: &[u8]) -> bool {
    start.starts_with(b"\0asm")
}

/// The digest of a Wasm file; none when it is something else.
fn wasm_digest(path: &Path) -> io::Result<Option<Digest>> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        if hasher.bytes() == 0 && !is_wasm(&buffer[..count]) {
            return Ok(None);
        }
        if count == 0 {
            return Ok(Some(hasher.finish()));
        }
        hasher.update(&buffer[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_entrypoint_in_a_root_filesystem() {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("usr/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("app"), b"\0asm\x01\0\0\0").unwrap();
        std::fs::write(dir.path().join("app.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
        std::fs::write(bin.join("sh"), b"\x7fELF").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", bin.join("escape")).unwrap();
        let mut image = Image {
            id: Digest::of(b"x").into(),
            repo_tags: vec![],
            repo_digests: vec![],
            size: 1,
            config: RunConfig::default(),
            content: Content::Rootfs {
                dir: dir.path().to_owned(),
            },
        };
        let file = |image: &Image, arg0| image.module(arg0).map(|module| module.path);
        assert!(matches!(file(&image, None), Err(ModuleError::NoCommand)));
        assert_eq!(file(&image, Some("app")).unwrap(), bin.join("app"));
        assert_eq!(
            file(&image, Some("/app.wasm#run")).unwrap(),
            dir.path().join("app.wasm")
        );
        assert_eq!(
            file(&image, Some("app.wasm")).unwrap(),
            dir.path().join("app.wasm")
        );
        assert!(matches!(
            file(&image, Some("/usr/bin/escape")),
            Err(ModuleError::NotFound(_))
        ));
        assert!(matches!(
            file(&image, Some("sh")),
            Err(ModuleError::NotWasm(_))
        ));
        image.config.entrypoint = vec!["/app.wasm".into()];
        let digest = image.module(None).unwrap().digest;
        assert_eq!(digest, Digest::of(b"\0asm\x0d\0\x01\0").as_str());
    }
}
