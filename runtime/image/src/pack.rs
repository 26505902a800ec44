//! Makes a container image of a folder: what `sampan push DIR` sends.
//!
//! One layer holds the folder as it is, links included, so that a program called by many names is kept once. Times and
//! owners are left out: the same folder always gives the same image.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tar::{Builder, EntryType, Header};

use crate::artifact::{Artifact, container_artifact};
use crate::digest::{Digest, Hasher};
use crate::image::RunConfig;
use crate::manifest::OCI_CONFIG;

/// Files, folders and links of one image.
const ENTRIES_MAX: usize = 100_000;

/// An image with a root filesystem, ready to be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootfsImage {
    /// Config and manifest.
    pub artifact: Artifact,
    /// The layer: a compressed archive.
    pub layer: Bytes,
}

/// Why a folder cannot become an image.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Something in it cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A socket, pipe or device.
    #[error("{0} is neither a file, a folder nor a link")]
    Special(PathBuf),
    /// More than an image may hold.
    #[error("the folder holds more than {0}")]
    TooLarge(String),
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(PathBuf),
}

/// The image of `dir`, of at most `most_bytes`, which says this about running it. Blocks.
pub fn rootfs_image(
    dir: &Path,
    run: &RunConfig,
    most_bytes: u64,
) -> Result<RootfsImage, PackError> {
    let encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut archive = Builder::new(Hashed {
        inner: encoder,
        hasher: Hasher::new(),
    });
    let mut packing = Packing {
        archive: &mut archive,
        entries: 0,
        left: most_bytes,
        most: most_bytes,
    };
    packing.folder(dir, Path::new(""))?;
    if packing.entries == 0 {
        return Err(PackError::Empty(dir.to_owned()));
    }
    let failed = |source| PackError::Read {
        path: dir.to_owned(),
        source,
    };
    let Hashed { inner, hasher } = archive.into_inner().map_err(failed)?;
    let layer = Bytes::from(inner.finish().map_err(failed)?);
    let config = config(run, &hasher.finish());
    Ok(RootfsImage {
        artifact: container_artifact(OCI_CONFIG, config, &layer),
        layer,
    })
}

fn config(run: &RunConfig, diff_id: &Digest) -> Bytes {
    let mut config = json!({});
    let mut set = |name: &str, words: &[String]| {
        if !words.is_empty() {
            config[name] = json!(words);
        }
    };
    set("Entrypoint", &run.entrypoint);
    set("Cmd", &run.cmd);
    set("Env", &run.env);
    if !run.working_dir.is_empty() {
        config["WorkingDir"] = json!(run.working_dir);
    }
    let file = json!({
        "architecture": "wasm",
        "os": "wasip1",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    file.to_string().into()
}

struct Packing<'a> {
    archive: &'a mut Builder<Hashed>,
    entries: usize,
    left: u64,
    most: u64,
}

impl Packing<'_> {
    /// Packs what is in `at`, in the order of names; `inside` is where that is in the image.
    fn folder(&mut self, at: &Path, inside: &Path) -> Result<(), PackError> {
        let read = fs::read_dir(at).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = read.map_err(|source| PackError::Read {
            path: at.to_owned(),
            source,
        })?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, inside) = (entry.path(), inside.join(entry.file_name()));
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                return Err(PackError::TooLarge(format!("{ENTRIES_MAX} files")));
            }
            let packed = self.entry(&path, &inside);
            let folder = packed.map_err(|error| match error {
                Refused::Io(source) => PackError::Read {
                    path: path.clone(),
                    source,
                },
                Refused::Special => PackError::Special(path.clone()),
                Refused::TooLarge => PackError::TooLarge(format!("{} bytes", self.most)),
            })?;
            if folder {
                self.folder(&path, &inside)?;
            }
        }
        Ok(())
    }

    /// Packs one entry; true when it is a folder.
    fn entry(&mut self, path: &Path, inside: &Path) -> Result<bool, Refused> {
        let about = fs::symlink_metadata(path)?;
        let mut header = Header::new_gnu();
        header.set_mode(0o755);
        let kind = about.file_type();
        if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            let target = fs::read_link(path)?;
            self.archive.append_link(&mut header, inside, target)?;
        } else if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            self.archive.append_data(&mut header, inside, io::empty())?;
        } else if kind.is_file() {
            self.left = self
                .left
                .checked_sub(about.len())
                .ok_or(Refused::TooLarge)?;
            let executable = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o100;
            header.set_mode(if executable == 0 { 0o644 } else { 0o755 });
            header.set_size(about.len());
            // A file that grows meanwhile would tear the archive; one that shrinks is an error.
            let content = io::Read::take(File::open(path)?, about.len());
            self.archive.append_data(&mut header, inside, content)?;
        } else {
            return Err(Refused::Special);
        }
        Ok(kind.is_dir())
    }
}

enum Refused {
    Io(io::Error),
    Special,
    TooLarge,
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        Refused::Io(error)
    }
}

/// Hashes the archive on its way to being compressed.
struct Hashed {
    inner: GzEncoder<Vec<u8>>,
    hasher: Hasher,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
