//! Uploads under way: bytes arrive in one piece or many, are hashed as they come, and become a blob when
//! their digest is right.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use crate::content::{ContentDir, Temp};
use crate::digest::{Digest, Hasher};
use crate::registry::answer::Failure;
use crate::registry::query::ChunkRange;
use crate::registry::room::{Room, Taken};

/// Uploads at one time.
const UPLOADS_MAX: usize = 256;
/// An upload that nobody continued for this long is dropped.
const IDLE_MAX: Duration = Duration::from_secs(3600);
/// When there are as many as there may be, the one that nobody continued for the longest time gives way to a new one, if
/// that was longer than this.
const GIVES_WAY: Duration = Duration::from_secs(60);
const SILENCE_MAX: Duration = Duration::from_secs(60);

type Shared = Arc<tokio::sync::Mutex<Upload>>;

/// All uploads under way.
pub(crate) struct Uploads {
    content: ContentDir,
    most_bytes: u64,
    room: Arc<Room>,
    /// The longest silence in the middle of a body.
    silence_max: Duration,
    running: Mutex<HashMap<String, Slot>>,
}

struct Slot {
    repository: String,
    touched: Instant,
    upload: Shared,
}

/// What came of an upload: a file, and the room it takes.
pub(crate) struct Finished {
    pub(crate) temp: Temp,
    pub(crate) taken: Taken,
}

/// One upload.
struct Upload {
    temp: Temp,
    taken: Taken,
    /// None once it is finished: the file is a blob then, and nobody may write to it.
    file: Option<tokio::fs::File>,
    hasher: Hasher,
    /// Set while bytes are written: if that is cut short, file and hash may disagree for good.
    torn: bool,
}

impl Uploads {
    pub(crate) fn new(content: ContentDir, most_bytes: u64, room: Arc<Room>) -> Uploads {
        Uploads {
            content,
            most_bytes,
            room,
            silence_max: SILENCE_MAX,
            running: Mutex::default(),
        }
    }

    /// Begins an upload; gives its id.
    pub(crate) async fn begin(&self, repository: &str) -> Result<String, Failure> {
        let temp = self.content.temp();
        let created = tokio::fs::File::create_new(temp.path()).await;
        let file = created.map_err(Failure::io("create upload"))?;
        let upload = Upload {
            temp,
            taken: self.room.taken(),
            file: Some(file),
            hasher: Hasher::new(),
            torn: false,
        };
        let mut running = self.running.lock();
        if running.len() >= UPLOADS_MAX && !make_room(&mut running) {
            return Err(Failure::TooMany(
                "too many uploads at one time; try again later",
            ));
        }
        let id = uuid::Uuid::new_v4().to_string();
        let upload = Arc::new(tokio::sync::Mutex::new(upload));
        let repository = repository.to_owned();
        running.insert(
            id.clone(),
            Slot {
                repository,
                touched: Instant::now(),
                upload,
            },
        );
        Ok(id)
    }

    /// Drops uploads that nobody continues.
    pub(crate) fn drop_idle(&self) {
        let mut running = self.running.lock();
        // Whoever sends to one or waits for it holds it too.
        running.retain(|_, slot| {
            slot.touched.elapsed() < IDLE_MAX || Arc::strong_count(&slot.upload) > 1
        });
    }

    /// Those that something is sent to.
    pub(crate) fn repositories(&self) -> HashSet<String> {
        let running = self.running.lock();
        running
            .values()
            .map(|slot| slot.repository.clone())
            .collect()
    }

    fn find(&self, repository: &str, id: &str) -> Result<Shared, Failure> {
        let mut running = self.running.lock();
        let slot = running
            .get_mut(id)
            .filter(|slot| slot.repository == repository);
        let slot = slot.ok_or(Failure::UploadUnknown)?;
        slot.touched = Instant::now();
        Ok(slot.upload.clone())
    }

    /// Drops an upload and what it has received.
    pub(crate) fn cancel(&self, repository: &str, id: &str) -> Result<(), Failure> {
        self.find(repository, id)?;
        self.running.lock().remove(id);
        Ok(())
    }

    /// How many bytes the upload has.
    pub(crate) async fn offset(&self, repository: &str, id: &str) -> Result<u64, Failure> {
        let upload = self.find(repository, id)?;
        let upload = upload.lock().await;
        Ok(upload.hasher.bytes())
    }

    /// Adds bytes at the end; gives the new length. `range` is where the client thinks they belong.
    pub(crate) async fn append(
        &self,
        repository: &str,
        id: &str,
        range: Option<ChunkRange>,
        body: Body,
        location: &str,
    ) -> Result<u64, Failure> {
        let upload = self.find(repository, id)?;
        let mut upload = upload.lock().await;
        if upload.torn {
            self.running.lock().remove(id);
            return Err(Failure::UploadInvalid(
                "it was cut short; start again".into(),
            ));
        }
        let offset = upload.hasher.bytes();
        if let Some(range) = range {
            if range.first != offset {
                let location = location.to_owned();
                return Err(Failure::OutOfOrder { location, offset });
            }
            if body
                .size_hint()
                .exact()
                .is_some_and(|length| !range.fits(length))
            {
                return Err(Failure::SizeInvalid(
                    "the chunk is not as long as its Content-Range says".into(),
                ));
            }
        }
        let added = upload.write(body, self.most_bytes, self.silence_max).await;
        if let Some(slot) = self.running.lock().get_mut(id) {
            slot.touched = Instant::now();
        }
        // A client that went away may go on where it stopped; a disk that failed will not get better.
        let refused = matches!(added, Err(Failure::TooLarge(_) | Failure::Full { .. }));
        if upload.torn || refused {
            self.running.lock().remove(id);
        }
        added.map(|()| upload.hasher.bytes())
    }

    /// Ends the upload; gives its file, durable, if it has the digest. It is over either way.
    pub(crate) async fn finish(
        &self,
        repository: &str,
        id: &str,
        digest: &Digest,
    ) -> Result<Finished, Failure> {
        let upload = self.find(repository, id)?;
        self.running.lock().remove(id);
        // Whoever still writes to it goes first.
        let mut upload = upload.lock().await;
        if upload.torn {
            return Err(Failure::UploadInvalid(
                "it was cut short; start again".into(),
            ));
        }
        let found = upload.hasher.clone().finish();
        if found != *digest {
            return Err(Failure::DigestInvalid(format!(
                "provided digest did not match uploaded content: got {found}, not {digest}"
            )));
        }
        // What found the upload before it was over finds no file.
        let mut file = upload.file.take().ok_or(Failure::UploadUnknown)?;
        file.flush().await.map_err(Failure::io("write upload"))?;
        file.sync_all().await.map_err(Failure::io("write upload"))?;
        Ok(Finished {
            temp: std::mem::replace(&mut upload.temp, self.content.temp()),
            taken: std::mem::replace(&mut upload.taken, self.room.taken()),
        })
    }
}

impl Upload {
    async fn write(&mut self, body: Body, most: u64, silence_max: Duration) -> Result<(), Failure> {
        let too_large = || Failure::TooLarge(format!("a blob may have {most} bytes"));
        let file = self.file.as_mut().ok_or(Failure::UploadUnknown)?;
        // An announced length that is too large is refused before it is sent.
        if self.hasher.bytes().saturating_add(body.size_hint().lower()) > most {
            return Err(too_large());
        }
        self.taken.check(body.size_hint().lower())?;
        let mut stream = body.into_data_stream();
        let silent = |_| Failure::UploadInvalid(format!("no bytes came for {silence_max:?}"));
        while let Some(chunk) = timeout(silence_max, stream.next()).await.map_err(silent)? {
            let chunk = chunk.map_err(|error| Failure::UploadInvalid(error.to_string()))?;
            if self.hasher.bytes() + chunk.len() as u64 > most {
                return Err(too_large());
            }
            self.taken.grow(chunk.len() as u64)?;
            self.torn = true;
            file.write_all(&chunk)
                .await
                .map_err(Failure::io("write upload"))?;
            self.hasher.update(&chunk);
            self.torn = false;
        }
        Ok(())
    }
}

/// Drops the upload that was left alone for the longest time, if there is one that may go.
fn make_room(running: &mut HashMap<String, Slot>) -> bool {
    let left_alone = running
        .iter()
        .filter(|(_, slot)| {
            slot.touched.elapsed() >= GIVES_WAY && Arc::strong_count(&slot.upload) == 1
        })
        .min_by_key(|(_, slot)| slot.touched);
    let Some(id) = left_alone.map(|(id, _)| id.clone()) else {
        return false;
    };
    running.remove(&id).is_some()
}

#[cfg(test)]
mod tests;
