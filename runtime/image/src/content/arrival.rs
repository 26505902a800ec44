//! A blob on its way: written down and hashed as it comes, from one attempt or several.
//!
//! What came of a large blob before its source broke off is kept for the next attempt, also of a later pull, within
//! bounds and until the process ends. It is not believed before the whole blob has the right digest: when that fails
//! after several attempts, the pieces may come from different places, and the blob is fetched anew.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::{ContentDir, Expected, Temp, blocking};
use crate::digest::Hasher;
use crate::distribution::BlobStream;
use crate::error::FetchError;
use crate::limits::Limits;

/// Less than this is fetched again rather than kept.
const PART_MIN: u64 = 256 << 10;
/// Blobs kept in part.
const PARTS_MAX: usize = 16;
/// How long a part waits for the next attempt.
const PART_AGE: Duration = Duration::from_secs(3600);

/// The beginnings of blobs that broke off. Clones share them.
#[derive(Clone)]
pub(crate) struct Parts {
    content: ContentDir,
    kept: Arc<Mutex<VecDeque<Kept>>>,
    most_bytes: u64,
}

struct Kept {
    expected: Expected,
    part: Part,
    since: Instant,
}

/// A file, and the hash of what is in it.
struct Part {
    temp: Temp,
    file: File,
    hasher: Hasher,
    /// Set while bytes are written: if that is cut short, file and hash may disagree for good.
    torn: bool,
}

impl Parts {
    pub(crate) fn new(content: ContentDir, most_bytes: u64) -> Parts {
        Parts {
            content,
            kept: Arc::default(),
            most_bytes,
        }
    }

    /// Begins to receive a blob, or goes on where an earlier attempt ended.
    pub(crate) fn begin(&self, expected: &Expected) -> Arrival {
        let mut kept = self.kept.lock();
        kept.retain(|kept| kept.since.elapsed() < PART_AGE);
        let known = kept.iter().position(|kept| kept.expected == *expected);
        Arrival {
            parts: self.clone(),
            expected: expected.clone(),
            part: known.and_then(|at| kept.remove(at)).map(|kept| kept.part),
            attempts: usize::from(known.is_some()),
        }
    }

    fn keep(&self, expected: Expected, part: Part) {
        let mut kept = self.kept.lock();
        kept.push_back(Kept {
            expected,
            part,
            since: Instant::now(),
        });
        let bytes = |kept: &VecDeque<Kept>| -> u64 {
            kept.iter().map(|kept| kept.part.hasher.bytes()).sum()
        };
        while kept.len() > PARTS_MAX || bytes(&kept) > self.most_bytes {
            kept.pop_front();
        }
    }
}

/// A blob that is being received. Dropped before its end, it is kept in part.
pub(crate) struct Arrival {
    parts: Parts,
    expected: Expected,
    part: Option<Part>,
    attempts: usize,
}

impl Arrival {
    /// How many bytes are here: where the next attempt may begin.
    pub(crate) fn bytes(&self) -> u64 {
        self.part.as_ref().map_or(0, |part| part.hasher.bytes())
    }

    /// Receives the rest from a stream that begins at byte `start`; from the first byte if that is not where the last
    /// attempt ended. Stops as soon as there is more than announced, or when it comes too slowly.
    pub(crate) async fn receive(
        &mut self,
        start: u64,
        stream: BlobStream,
        limits: &Limits,
    ) -> Result<(), FetchError> {
        if start == 0 {
            self.discard();
        } else if start != self.bytes() {
            return Err(FetchError::Invalid(format!(
                "blob {} was asked for from byte {} and came from byte {start}",
                self.expected.digest,
                self.bytes()
            )));
        }
        self.attempts += 1;
        let part = match &mut self.part {
            Some(part) => part,
            none => none.insert(Part::create(&self.parts.content).await?),
        };
        part.write(&self.expected, stream, limits).await
    }

    /// Forgets what came, for good.
    pub(crate) fn discard(&mut self) {
        self.part = None;
        self.attempts = 0;
    }

    /// Whether what is here came in more than one attempt.
    pub(crate) fn is_pieced(&self) -> bool {
        self.attempts > 1
    }

    /// Checks the whole and gives it its place. What fails the check is not kept.
    pub(crate) async fn finish(&mut self) -> Result<(), FetchError> {
        let part = match self.part.take() {
            Some(part) => part,
            None => Part::create(&self.parts.content).await?,
        };
        let Part {
            temp,
            mut file,
            hasher,
            ..
        } = part;
        let flushed = file.flush().await;
        flushed.map_err(|error| FetchError::storage("write blob", &error))?;
        self.expected.check(hasher)?;
        let file = file.into_std().await;
        let (here, digest) = (self.parts.content.clone(), self.expected.digest.clone());
        blocking(move || {
            let published = file.sync_all().and_then(|()| here.publish(&temp, &digest));
            published.map_err(|error| FetchError::storage("store blob", &error))
        })
        .await
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let whole = |part: &Part| !part.torn && part.hasher.bytes() >= PART_MIN;
        if let Some(part) = self.part.take().filter(whole) {
            self.parts.keep(self.expected.clone(), part);
        }
    }
}

impl Part {
    async fn create(content: &ContentDir) -> Result<Part, FetchError> {
        let temp = content.temp();
        let created = File::create_new(temp.path()).await;
        let file = created.map_err(|error| FetchError::storage("create blob", &error))?;
        Ok(Part {
            temp,
            file,
            hasher: Hasher::new(),
            torn: false,
        })
    }

    async fn write(
        &mut self,
        expected: &Expected,
        mut stream: BlobStream,
        limits: &Limits,
    ) -> Result<(), FetchError> {
        let Expected { digest, size } = expected;
        let mut pace = Pace::new(limits);
        loop {
            let Ok(chunk) = tokio::time::timeout_at(pace.deadline, stream.next()).await else {
                return Err(FetchError::Unavailable(format!(
                    "blob {digest} came slower than {} bytes in {:?}",
                    limits.slow_bytes, limits.slow_window
                )));
            };
            let Some(chunk) = chunk else {
                return Ok(());
            };
            let chunk = chunk.map_err(|error| {
                FetchError::Unavailable(format!("blob {digest} broke off: {error}"))
            })?;
            pace.count(chunk.len(), limits);
            let total = self.hasher.bytes() + chunk.len() as u64;
            if total > *size {
                self.torn = true;
                return Err(expected.wrong_size("more", total));
            }
            self.torn = true;
            let written = self.file.write_all(&chunk).await;
            written.map_err(|error| FetchError::storage("write blob", &error))?;
            self.hasher.update(&chunk);
            self.torn = false;
        }
    }
}

/// Tells a slow source from one that holds us up: so many bytes have to come in every window of time.
struct Pace {
    deadline: Instant,
    bytes: u64,
}

impl Pace {
    fn new(limits: &Limits) -> Pace {
        Pace {
            deadline: Instant::now() + limits.slow_window,
            bytes: 0,
        }
    }

    fn count(&mut self, bytes: usize, limits: &Limits) {
        self.bytes += bytes as u64;
        if self.bytes >= limits.slow_bytes {
            *self = Pace::new(limits);
        }
    }
}
