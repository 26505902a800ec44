//! One layer archive applied to a root filesystem: files, folders, links, and whiteouts.
//!
//! The archive is read entry by entry in its raw form. Long names (GNU) and pax headers are put together
//! here, because their size is the archive's claim and must be limited before it is believed.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tar::{Archive, Entry, EntryType, PaxExtensions};

use crate::error::FetchError;
use crate::rootfs::Budget;
use crate::rootfs::tree::{LastLink, resolve};
use crate::rootfs::write::{broken, make_file, make_folder, refused, remove, written};

/// A file that hides one of the same name, without this prefix, of the layers below.
const WHITEOUT: &str = ".wh.";
/// A file that hides everything its folder has in the layers below.
const OPAQUE: &str = ".wh..wh..opq";
/// A long name or a pax header.
const EXTENSION_BYTES: u64 = 1 << 20;
/// A path, as in the kernel.
const PATH_MAX: usize = 4096;
/// Folders above an entry, links expanded: what is deeper costs every walk over it a file handle per step.
const DEPTH_MAX: usize = 128;

/// What extension headers say about the entry that follows them.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

/// Applies an archive to `root`.
pub(crate) fn apply(
    archive: &mut dyn Read,
    root: &Path,
    budget: &mut Budget<'_>,
) -> Result<(), FetchError> {
    let mut archive = Archive::new(archive);
    let mut changes = Changes {
        root,
        budget,
        made: Places::default(),
        hidden: Places::default(),
    };
    let mut extended = Extended::default();
    for entry in archive.entries().map_err(|error| broken(&error))?.raw(true) {
        let mut entry = entry.map_err(|error| broken(&error))?;
        changes.budget.entry()?;
        match entry.header().entry_type() {
            EntryType::GNULongName => extended.path = Some(long_text(&mut entry)?),
            EntryType::GNULongLink => extended.link = Some(long_text(&mut entry)?),
            EntryType::XHeader => read_pax(&mut entry, &mut extended)?,
            EntryType::XGlobalHeader => {}
            _ => changes.entry(&mut entry, std::mem::take(&mut extended))?,
        }
    }
    Ok(())
}

fn extension<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    let read = entry
        .by_ref()
        .take(EXTENSION_BYTES + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| broken(&error))?;
    if bytes.len() as u64 > EXTENSION_BYTES {
        return Err(FetchError::TooLarge(
            "a layer's extension header is over 1 MiB".into(),
        ));
    }
    Ok(bytes)
}

fn long_text<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, FetchError> {
    let mut text = extension(entry)?;
    while text.last() == Some(&0) {
        text.pop();
    }
    Ok(text)
}

fn read_pax<R: Read>(entry: &mut Entry<'_, R>, extended: &mut Extended) -> Result<(), FetchError> {
    let bytes = extension(entry)?;
    for record in PaxExtensions::new(&bytes) {
        let record = record.map_err(|error| broken(&error))?;
        let value = record.value_bytes().to_vec();
        match record.key_bytes() {
            b"path" => extended.path = Some(value),
            b"linkpath" => extended.link = Some(value),
            // A second opinion on a size lets two readers see two archives. It is only needed for files
            // over 8 GiB, which are over our limit.
            b"size" => {
                return Err(FetchError::Invalid("layer overrides a file's size".into()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A set of paths. It holds their hashes: a path can have thousands of bytes, and there can be as many paths as files.
#[derive(Default)]
struct Places(HashSet<[u8; 32]>);

impl Places {
    /// False when it was there.
    fn insert(&mut self, path: &Path) -> bool {
        self.0.insert(hash(path))
    }

    fn contains(&self, path: &Path) -> bool {
        self.0.contains(&hash(path))
    }
}

fn hash(path: &Path) -> [u8; 32] {
    Sha256::digest(path.as_os_str().as_bytes()).into()
}

/// The effect of one layer.
struct Changes<'a, 'b> {
    root: &'a Path,
    budget: &'a mut Budget<'b>,
    /// What this layer made or has something in, so that an opaque whiteout spares it.
    made: Places,
    /// Folders without anything of lower layers.
    hidden: Places,
}

impl Changes<'_, '_> {
    fn entry<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        extended: Extended,
    ) -> Result<(), FetchError> {
        let name = extended
            .path
            .unwrap_or_else(|| entry.path_bytes().into_owned());
        let name = PathBuf::from(std::ffi::OsString::from_vec(name));
        if name.as_os_str().len() > PATH_MAX || name.as_os_str().as_bytes().contains(&0) {
            return Err(FetchError::Invalid(
                "layer has a file name that cannot exist".into(),
            ));
        }
        let Some(place) = self.place(&name)? else {
            return Ok(());
        };
        let base = place
            .file_name()
            .and_then(|base| base.to_str())
            .unwrap_or_default();
        if base == OPAQUE {
            let folder = place.parent().unwrap_or(self.root);
            return self.hide_lower(folder);
        }
        if let Some(hidden) = base.strip_prefix(WHITEOUT) {
            return if is_name(hidden) {
                remove(&place.with_file_name(hidden))
            } else {
                Ok(())
            };
        }
        let mode = entry.header().mode().unwrap_or(0o644);
        match entry.header().entry_type() {
            EntryType::Directory => make_folder(&place, mode)?,
            EntryType::Regular | EntryType::Continuous => {
                make_file(&place, mode, entry.size(), entry)?
            }
            kind @ (EntryType::Symlink | EntryType::Link) => {
                let target = match extended.link {
                    Some(link) => link,
                    None => entry.link_name_bytes().unwrap_or_default().into_owned(),
                };
                let target = PathBuf::from(std::ffi::OsString::from_vec(target));
                self.make_link(kind, &place, &target)?;
            }
            EntryType::GNUSparse => {
                return Err(FetchError::Invalid("layer has a sparse file".into()));
            }
            // Devices and pipes mean nothing to a Wasm guest and need privileges to make.
            _ => return Ok(()),
        }
        self.made.insert(&place);
        Ok(())
    }

    /// Where the entry goes; its parent folders are made. None for the root itself.
    fn place(&mut self, name: &Path) -> Result<Option<PathBuf>, FetchError> {
        let invalid = |error: io::Error| refused("path", name, &error);
        let place = resolve(self.root, name, LastLink::Keep).map_err(invalid)?;
        if place == self.root {
            return Ok(None);
        }
        let parent = place.parent().unwrap_or(self.root);
        self.make_parents(parent, name)?;
        Ok(Some(place))
    }

    /// Archives may leave parents out. Each counts like an entry, and is spared like one.
    fn make_parents(&mut self, parent: &Path, name: &Path) -> Result<(), FetchError> {
        let above = parent.ancestors().take_while(|folder| *folder != self.root);
        let above: Vec<&Path> = above.collect();
        if above.len() > DEPTH_MAX {
            return Err(FetchError::TooLarge(format!(
                "a layer has something in more than {DEPTH_MAX} folders"
            )));
        }
        if !is_folder(parent) {
            for folder in above.iter().rev() {
                match fs::create_dir(folder) {
                    Ok(()) => self.budget.entry()?,
                    Err(error) if error.kind() == ErrorKind::AlreadyExists && is_folder(folder) => {
                    }
                    Err(error) => return Err(refused("path", name, &error)),
                }
            }
        }
        for folder in above {
            if !self.made.insert(folder) {
                break;
            }
        }
        Ok(())
    }

    /// Removes what `folder` has from lower layers. Once for it and all in it: an archive may ask for that in each of many
    /// nested folders.
    fn hide_lower(&mut self, folder: &Path) -> Result<(), FetchError> {
        if !self.hidden.insert(folder) {
            return Ok(());
        }
        for entry in fs::read_dir(folder).map_err(|error| written(&error))? {
            self.budget.check()?;
            let path = entry.map_err(|error| written(&error))?.path();
            if !self.made.contains(&path) {
                remove(&path)?;
            } else if is_folder(&path) {
                self.hide_lower(&path)?;
            }
        }
        Ok(())
    }

    fn make_link(&self, kind: EntryType, place: &Path, target: &Path) -> Result<(), FetchError> {
        let bytes = target.as_os_str().as_bytes();
        if bytes.is_empty() || bytes.len() > PATH_MAX || bytes.contains(&0) {
            return Err(FetchError::Invalid("layer has a link to nothing".into()));
        }
        if kind == EntryType::Symlink {
            remove(place)?;
            // The text may name anything: whoever follows it must do so inside the root.
            return symlink(target, place).map_err(|error| written(&error));
        }
        let missing = |error: io::Error| refused("hard link to", target, &error);
        let from = resolve(self.root, target, LastLink::Keep).map_err(missing)?;
        if from == place {
            return Ok(());
        }
        fs::symlink_metadata(&from).map_err(missing)?;
        remove(place)?;
        fs::hard_link(&from, place).map_err(missing)
    }
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// One component that names something.
fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
}
