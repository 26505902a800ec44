//! Unpacks the layers of an image into a root filesystem, as an unprivileged user.
//!
//! Layers are hostile input. Every path is resolved inside the root, symbolic links included, so no entry
//! lands outside; nothing but folders, files and links is made (devices and pipes are skipped); owners,
//! set-id bits and extended attributes are dropped. The folder being built is reachable by nobody else,
//! which is why resolving a path first and using it then is safe here.

mod layer;
mod tree;
mod write;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::MultiGzDecoder;

use crate::digest::{Digest, Hasher};
use crate::error::FetchError;
use crate::limits::{Limits, RATIO_FLOOR, ZSTD_WINDOW_LOG};
use crate::manifest::Compression;

pub use tree::resolve_in_rootfs;
pub(crate) use tree::{Found, look_up};

/// A downloaded layer.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) compression: Compression,
    /// The digest the archive must have when unpacked; binds the layer to the image's config.
    pub(crate) diff_id: Digest,
}

/// Counts against the limits, over all layers of an image.
pub(crate) struct Budget<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) cancelled: &'a AtomicBool,
}

impl Budget<'_> {
    fn entry(&mut self) -> Result<(), FetchError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            let most = self.limits.entries;
            return Err(FetchError::TooLarge(format!("more than {most} files")));
        }
        self.check()
    }

    /// Whether the pull goes on.
    fn check(&self) -> Result<(), FetchError> {
        match self.cancelled.load(Ordering::Relaxed) {
            true => Err(FetchError::Unavailable("the pull was cancelled".into())),
            false => Ok(()),
        }
    }
}

/// What was unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unpacked {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
}

/// Unpacks `layers`, bottom first, into the new folder `root`. Blocks.
pub(crate) fn unpack(
    layers: &[Layer],
    root: &Path,
    limits: &Limits,
    cancelled: &AtomicBool,
) -> Result<Unpacked, FetchError> {
    fs::create_dir(root).map_err(|error| FetchError::storage("create root filesystem", &error))?;
    let mut budget = Budget {
        limits,
        entries: 0,
        bytes: 0,
        cancelled,
    };
    for layer in layers {
        unpack_one(layer, root, &mut budget)?;
    }
    // One call instead of one per file: what is renamed into place next must be on disk.
    sync_filesystem(root).map_err(|error| FetchError::storage("sync root filesystem", &error))?;
    Ok(Unpacked {
        bytes: budget.bytes,
        files: budget.entries,
    })
}

fn unpack_one(layer: &Layer, root: &Path, budget: &mut Budget<'_>) -> Result<(), FetchError> {
    let file =
        File::open(&layer.path).map_err(|error| FetchError::storage("open layer", &error))?;
    let plain: Box<dyn Read> = match layer.compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(MultiGzDecoder::new(io::BufReader::new(file))),
        Compression::Zstd => Box::new(
            zstd_decoder(file)
                .map_err(|error| FetchError::storage("start decompression", &error))?,
        ),
    };
    let most = budget.limits.unpacked_bytes.saturating_sub(budget.bytes);
    let ratio = layer
        .size
        .saturating_mul(budget.limits.unpack_ratio)
        .max(RATIO_FLOOR);
    let mut meter = Meter {
        inner: plain,
        hasher: Hasher::new(),
        most: most.min(ratio),
        over: false,
    };
    let unpacked = layer::apply(&mut meter, root, budget);
    // An archive may end before its stream does; the digest is over the whole stream.
    let drained = unpacked.and_then(|()| {
        io::copy(&mut meter, &mut io::sink())
            .map(drop)
            .map_err(|error| write::broken(&error))
    });
    if meter.over {
        let most = meter.most;
        return Err(FetchError::TooLarge(format!(
            "a layer of {} bytes unpacks to more than {most} bytes",
            layer.size
        )));
    }
    drained?;
    budget.bytes += meter.hasher.bytes();
    let found = meter.hasher.finish();
    if found != layer.diff_id {
        let wanted = &layer.diff_id;
        return Err(FetchError::Invalid(format!(
            "digest mismatch: unpacked layer is {found}, the image config says {wanted}"
        )));
    }
    Ok(())
}

fn zstd_decoder(file: File) -> io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::new(file)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

/// Hashes what passes and stops at a limit.
struct Meter {
    inner: Box<dyn Read>,
    hasher: Hasher,
    most: u64,
    over: bool,
}

impl Read for Meter {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        if self.hasher.bytes() > self.most {
            self.over = true;
            return Err(io::Error::other("over the limit of unpacked bytes"));
        }
        Ok(count)
    }
}

#[cfg(target_os = "linux")]
fn sync_filesystem(root: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(root)?)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_filesystem(_root: &Path) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}
