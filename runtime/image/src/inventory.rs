//! The store's disk: image records, blobs and root filesystems, kept in step with the catalogue.
//!
//! Order makes it survive a death at any moment. Content is complete and durable before a record names
//! it; a record is gone before its content is deleted. So a start finds either an image or leftovers, and
//! it sweeps the leftovers. Content of pulls under way is pinned and never swept.

mod load;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::content::{ContentDir, Temp, blocking, rename_durably, sync_folder_of};
use crate::digest::Digest;
use crate::error::{FetchError, ImageError};
use crate::image::Image;
use crate::records::{Catalogue, Effects, Record, Stored, rootfs_dir};

use load::{read_records, record_path, records_dir};

/// The store's disk. Clones share it.
#[derive(Clone)]
pub(crate) struct Inventory {
    disk: Arc<Disk>,
}

struct Disk {
    root: PathBuf,
    content: ContentDir,
    /// What readers see: replaced as a whole after the disk has it.
    current: RwLock<Arc<Catalogue>>,
    /// Held while the disk is changed; only taken where blocking is allowed.
    writer: Mutex<()>,
    /// Blobs in use by pulls under way, with the number of users. Held only for moments.
    pins: Mutex<HashMap<Digest, usize>>,
}

/// Keeps a blob from being swept. The last pin takes an unused blob away with it.
pub(crate) struct Pin {
    disk: Arc<Disk>,
    digest: Digest,
}

impl Drop for Pin {
    fn drop(&mut self) {
        {
            let mut pins = self.disk.pins.lock();
            if let Some(users) = pins.get_mut(&self.digest) {
                *users -= 1;
                if *users > 0 {
                    return;
                }
            }
            pins.remove(&self.digest);
        }
        self.disk.sweep(std::slice::from_ref(&self.digest));
    }
}

impl Inventory {
    /// Opens the folder, drops leftovers, and sets records aside that cannot be read.
    pub(crate) fn open(root: &Path) -> Result<Inventory, ImageError> {
        let content = ContentDir::open(root)?;
        for folder in [records_dir(root), root.join("rootfs")] {
            fs::create_dir_all(&folder).map_err(|source| ImageError::Io {
                path: folder,
                step: "create folder",
                source,
            })?;
        }
        let records = read_records(root, &content)?;
        let (catalogue, effects) = Catalogue::new(root.to_owned(), records);
        let disk = Disk {
            root: root.to_owned(),
            content,
            current: RwLock::new(Arc::new(catalogue)),
            writer: Mutex::new(()),
            pins: Mutex::default(),
        };
        let failed = |step| {
            move |source| ImageError::Io {
                path: root.to_owned(),
                step,
                source,
            }
        };
        disk.apply(&effects)
            .map_err(failed("write image records"))?;
        disk.sweep_all().map_err(failed("sweep leftovers"))?;
        Ok(Inventory {
            disk: Arc::new(disk),
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.disk.root
    }

    pub(crate) fn content(&self) -> &ContentDir {
        &self.disk.content
    }

    /// The images as of now.
    pub(crate) fn snapshot(&self) -> Arc<Catalogue> {
        self.disk.current.read().clone()
    }

    /// Call before looking whether the blob is here.
    pub(crate) fn pin(&self, digest: &Digest) -> Pin {
        *self.disk.pins.lock().entry(digest.clone()).or_default() += 1;
        Pin {
            disk: self.disk.clone(),
            digest: digest.clone(),
        }
    }

    /// Adds an image whose blobs are stored and pinned; `rootfs` is its unpacked root filesystem.
    pub(crate) async fn commit(
        &self,
        record: Record,
        rootfs: Option<Temp>,
        names: Vec<String>,
    ) -> Result<Arc<Image>, FetchError> {
        let disk = self.disk.clone();
        let done = blocking(move || {
            let _writer = disk.writer.lock();
            if let Some(rootfs) = rootfs {
                disk.place_rootfs(&record.id, &rootfs)?;
            }
            disk.add(record, &names)
        });
        done.await
            .map_err(|error| FetchError::storage("write image record", &error))
    }

    /// Gives names to an image that is here; none when it is not here any more.
    pub(crate) async fn name(
        &self,
        id: &Digest,
        names: Vec<String>,
    ) -> Result<Option<Arc<Image>>, FetchError> {
        let known = self.snapshot();
        let owns = |name: &String| {
            known
                .by_name(name)
                .is_some_and(|item| item.record.id == *id)
        };
        if let Some(item) = known.by_id(id).filter(|_| names.iter().all(owns)) {
            return Ok(Some(item.image.clone()));
        }
        let (disk, id) = (self.disk.clone(), id.clone());
        let done = blocking(move || {
            let _writer = disk.writer.lock();
            let record = disk
                .current
                .read()
                .by_id(&id)
                .map(|item| item.record.clone());
            record.map(|record| disk.add(record, &names)).transpose()
        });
        done.await
            .map_err(|error| FetchError::storage("write image record", &error))
    }

    /// Removes an image with all its names; false when it is not here.
    pub(crate) async fn remove(&self, id: &Digest) -> Result<bool, ImageError> {
        let (disk, id) = (self.disk.clone(), id.clone());
        blocking(move || {
            let _writer = disk.writer.lock();
            let mut next = Catalogue::clone(&disk.current.read());
            let Some(record) = next.remove(&id) else {
                return Ok(false);
            };
            let effects = Effects {
                write: Vec::new(),
                gone: vec![record],
            };
            disk.change(next, &effects)
                .map(|()| true)
                .map_err(|source| ImageError::Io {
                    path: record_path(&disk.root, &id),
                    step: "remove image",
                    source,
                })
        })
        .await
    }
}

impl Disk {
    /// Blocks; the caller holds the writer lock.
    fn add(&self, record: Record, names: &[String]) -> io::Result<Arc<Image>> {
        let id = record.id.clone();
        let mut next = Catalogue::clone(&self.current.read());
        let effects = next.add(record, names);
        let image = next.by_id(&id).map(|item| item.image.clone());
        self.change(next, &effects)?;
        image.ok_or_else(|| io::Error::other("an image needs a name"))
    }

    /// Carries a change out on disk, then shows it to readers, then frees what nobody needs.
    fn change(&self, next: Catalogue, effects: &Effects) -> io::Result<()> {
        let done = self.apply(effects);
        if done.is_err() && !effects.write.is_empty() {
            return done;
        }
        // Half a removal is a removal: the record may be gone, so nobody may use the image.
        *self.current.write() = Arc::new(next);
        for record in &effects.gone {
            let blobs: Vec<Digest> = record
                .blobs
                .iter()
                .map(|(digest, _)| digest.clone())
                .collect();
            self.sweep(&blobs);
            if matches!(record.content, Stored::Rootfs { .. }) {
                self.remove_rootfs(&record.id);
            }
        }
        done
    }

    fn apply(&self, effects: &Effects) -> io::Result<()> {
        for record in &effects.write {
            self.content
                .replace(&record_path(&self.root, &record.id), &record.bytes())?;
        }
        for record in &effects.gone {
            let path = record_path(&self.root, &record.id);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => sync_folder_of(&path)?,
            }
        }
        Ok(())
    }

    fn place_rootfs(&self, id: &Digest, unpacked: &Temp) -> io::Result<()> {
        let place = rootfs_dir(&self.root, id);
        if self.current.read().by_id(id).is_some() {
            return Ok(());
        }
        self.remove_rootfs(id);
        rename_durably(unpacked.path(), &place)
    }

    fn remove_rootfs(&self, id: &Digest) {
        let trash = self.content.temp();
        // Away at once; the deletion follows when `trash` is dropped, and at the next start if we die.
        if let Err(error) = fs::rename(rootfs_dir(&self.root, id), trash.path())
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%id, %error, "cannot remove a root filesystem");
        }
    }

    /// Deletes those of `blobs` that no image and no pull needs.
    fn sweep(&self, blobs: &[Digest]) {
        // Taken first and held over the deletion. A pull commits before it drops its pins, so a blob in
        // use is seen here as pinned or as needed; who pins later looks for the blob only afterwards.
        let pins = self.pins.lock();
        let current = self.current.read().clone();
        let needed = current.blobs();
        for digest in blobs {
            if !needed.contains_key(digest)
                && !pins.contains_key(digest)
                && let Err(error) = self.content.remove(digest)
            {
                tracing::warn!(%digest, %error, "cannot delete a blob");
            }
        }
    }

    /// Deletes all content that no image needs. Only at the start, when no pull is under way.
    fn sweep_all(&self) -> io::Result<()> {
        self.sweep(&self.content.list()?);
        let current = self.current.read().clone();
        let used: HashSet<String> = current
            .records()
            .map(|record| record.id.hex().to_owned())
            .collect();
        for entry in fs::read_dir(self.root.join("rootfs"))? {
            let entry = entry?;
            if !entry
                .file_name()
                .to_str()
                .is_some_and(|name| used.contains(name))
            {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}
