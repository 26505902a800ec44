//! The file: a `tar` in `zstd`, its last entry the manifest. Written in one pass, read in one pass.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Component, Path};

use crate::error::RestoreError;
use crate::files::Hashing;
use crate::manifest::{FORMAT, FileEntry, Manifest};

/// Name of the last entry.
const MANIFEST: &str = "manifest.json";
/// Larger manifests are refused; this is some 100,000 files.
const MANIFEST_MAX: u64 = 32 << 20;
/// More entries are refused.
const ENTRIES_MAX: usize = 200_000;
/// The start of every zstd file.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The quickest: objects are text and shrink well, and a busy server has better things to do.
const LEVEL: i32 = 1;

/// Writes an archive.
pub(crate) struct Writer {
    tar: tar::Builder<zstd::Encoder<'static, BufWriter<File>>>,
    files: Vec<FileEntry>,
    modified: u64,
}

impl Writer {
    pub(crate) fn new(file: File, modified: u64) -> io::Result<Writer> {
        let mut zstd = zstd::Encoder::new(BufWriter::new(file), LEVEL)?;
        zstd.include_checksum(true)?;
        Ok(Writer {
            tar: tar::Builder::new(zstd),
            files: Vec::new(),
            modified,
        })
    }

    /// Adds a file as long as it is now. One that grows meanwhile is taken at that length.
    pub(crate) fn add(&mut self, path: &Path, file: &File) -> io::Result<()> {
        let size = file.metadata()?.len();
        let name = name(path)?;
        let mut content = Hashing::new(file.take(size));
        let mut header = self.header(size);
        self.tar.append_data(&mut header, &name, &mut content)?;
        let (_, read, sha256) = content.finish();
        if read != size {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        self.files.push(FileEntry {
            path: name,
            size,
            sha256,
        });
        Ok(())
    }

    /// Completes the manifest by the files that were added, ends the archive and brings it to disk.
    pub(crate) fn finish(mut self, mut manifest: Manifest) -> io::Result<Manifest> {
        manifest.files = std::mem::take(&mut self.files);
        let text = serde_json::to_vec_pretty(&manifest)?;
        let mut header = self.header(text.len() as u64);
        self.tar
            .append_data(&mut header, MANIFEST, text.as_slice())?;
        let buffer = self.tar.into_inner()?.finish()?;
        let file = buffer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(manifest)
    }

    fn header(&self, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(self.modified);
        header
    }
}

/// A path as it stands in an archive.
fn name(path: &Path) -> io::Result<String> {
    let text = path.to_str();
    text.map(str::to_owned)
        .ok_or_else(|| io::Error::other("its name is not UTF-8"))
}

/// Reads an archive to its end. Each file goes where `open` says; `None` from it refuses the name. Everything was right
/// only when this returns the manifest.
pub(crate) fn read<W: Write>(
    path: &Path,
    mut open: impl FnMut(&Path) -> Result<Option<W>, RestoreError>,
) -> Result<Manifest, RestoreError> {
    let damaged = |detail: String| RestoreError::Damaged {
        path: path.to_path_buf(),
        detail,
    };
    let broken = |error: io::Error| damaged(error.to_string());
    let mut tar = tar::Archive::new(decoder(path)?);
    let mut files = Vec::new();
    let mut names = HashSet::new();
    let mut manifest = None;
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        if manifest.is_some() || files.len() == ENTRIES_MAX {
            return Err(damaged(format!("{} is one entry too many", name.display())));
        }
        if name == Path::new(MANIFEST) {
            manifest = Some(read_manifest(path, entry)?);
            continue;
        }
        let plain = name
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let fresh = plain && entry.header().entry_type().is_file() && names.insert(name.clone());
        let target = if fresh { open(&name)? } else { None };
        let Some(target) = target else {
            return Err(damaged(format!("{} does not belong there", name.display())));
        };
        let mut target = Hashing::new(target);
        copy(&mut entry, &mut target, path, &name)?;
        let (_, size, sha256) = target.finish();
        files.push(FileEntry {
            path: name.to_string_lossy().into_owned(),
            size,
            sha256,
        });
    }
    // The last bytes are a checksum of the whole.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(broken)?;
    let manifest = manifest.ok_or_else(|| damaged("it is cut short".into()))?;
    let wrong = files
        .iter()
        .zip(&manifest.files)
        .find(|(found, expected)| found != expected);
    if let Some((_, expected)) = wrong {
        return Err(damaged(format!("{} has the wrong checksum", expected.path)));
    }
    if files.len() != manifest.files.len() {
        return Err(damaged("files are missing".into()));
    }
    Ok(manifest)
}

fn decoder(path: &Path) -> Result<impl Read, RestoreError> {
    let failed = |source| RestoreError::Io {
        step: "reading",
        path: path.to_path_buf(),
        source,
    };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let start = io::BufRead::fill_buf(&mut file).map_err(failed)?;
    if !start.starts_with(&MAGIC) {
        return Err(RestoreError::NotABackup {
            path: path.to_path_buf(),
            detail: "it is no zstd file".into(),
        });
    }
    zstd::Decoder::with_buffer(file).map_err(failed)
}

/// Copies one entry; tells a bad archive from a bad disk.
fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    archive: &Path,
    name: &Path,
) -> Result<(), RestoreError> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = from
            .read(&mut buffer)
            .map_err(|error| RestoreError::Damaged {
                path: archive.to_path_buf(),
                detail: error.to_string(),
            })?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..read])
            .map_err(|source| RestoreError::Io {
                step: "writing",
                path: name.to_path_buf(),
                source,
            })?;
    }
}

fn read_manifest(path: &Path, entry: impl Read) -> Result<Manifest, RestoreError> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let not_ours = |detail: String| RestoreError::NotABackup {
        path: path.to_path_buf(),
        detail,
    };
    let mut text = Vec::new();
    let read = entry.take(MANIFEST_MAX).read_to_end(&mut text);
    read.map_err(|error| RestoreError::Damaged {
        path: path.to_path_buf(),
        detail: error.to_string(),
    })?;
    let parsed = serde_json::from_slice(&text);
    let Format { format: found } = parsed.map_err(|error| not_ours(error.to_string()))?;
    if found > FORMAT {
        return Err(RestoreError::Newer {
            path: path.to_path_buf(),
            found,
            supported: FORMAT,
        });
    }
    serde_json::from_slice(&text).map_err(|error| not_ours(error.to_string()))
}
