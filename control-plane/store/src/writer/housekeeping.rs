//! What the writer does between batches, each step short, and only when there is something to do.

use std::time::Duration;

use tokio::time::Instant;

use super::{LazyWrites, Room, Writer};
use crate::contract::Codec;
use crate::error::StoreError;
use crate::key::Revision;
use crate::sqlite::Rows;

/// Pause after a failed step, so that a full disk is not hammered.
pub(super) const RETRY: Duration = Duration::from_secs(5);

impl<C: Codec> Writer<C> {
    /// When there is next something to do, if ever.
    pub(super) fn housekeeping_due(&self) -> Option<Instant> {
        let flush = self.lazy.due();
        let backlog = (self.trim.slice().is_some() || self.vacuum).then(Instant::now);
        let due = [flush, backlog, self.expiry, self.trim.due()]
            .into_iter()
            .flatten()
            .min()?;
        Some(self.hold.map_or(due, |hold| hold.max(due)))
    }

    /// One round.
    pub(super) async fn housekeeping(&mut self) {
        let now = Instant::now();
        self.hold = None;
        if self.expiry.is_some_and(|expiry| expiry <= now) {
            self.expiry = self
                .memory
                .expire()
                .map(|next| next.max(now + self.grain()));
        }
        self.trim.expire(now);
        if let Err(error) = self.disk_work(now).await {
            tracing::debug!(%error, "housekeeping will be tried again");
            self.hold = Some(Instant::now() + RETRY);
        }
    }

    async fn disk_work(&mut self, now: Instant) -> Result<(), StoreError> {
        let flush = self.lazy.due().is_some_and(|due| due <= now);
        let slice = self.trim.slice().is_some();
        if flush || slice {
            match self.flush().await {
                Err(StoreError::DiskFull { .. }) if slice => return self.free().await,
                // Room has to come from somewhere.
                Err(StoreError::DiskFull { .. }) if self.vacuum => {}
                result => return result,
            }
        }
        if self.vacuum {
            self.vacuum = self.database.vacuum_step().await?;
        }
        Ok(())
    }

    /// Brings all lazy writes to disk, with a slice of compaction.
    async fn flush(&mut self) -> Result<(), StoreError> {
        let rows = |lazy: &LazyWrites| {
            let mut rows = Rows::default();
            for (key, pending) in lazy.iter() {
                rows.push_current(
                    key,
                    pending.create_revision,
                    pending.revision,
                    &pending.value,
                );
            }
            rows
        };
        let revision = self.memory.revision();
        self.write_more(rows, revision).await?;
        self.lazy.clear();
        Ok(())
    }

    /// A slice of compaction in the room that is set aside. Lazy writes wait on: they could use it up.
    async fn free(&mut self) -> Result<(), StoreError> {
        let revision = self.memory.revision();
        self.write(Rows::default(), revision, Room::Reserve).await
    }

    /// Forgets history up to `to`; the rows go later, in slices.
    pub(super) async fn compact(&mut self, to: Revision) -> Result<Revision, StoreError> {
        let to = to.min(self.memory.revision());
        if to > self.memory.compacted() {
            // Marked on disk first: history that came back after a restart would be a lie.
            let before = std::mem::replace(&mut self.meta.compacted, to);
            let marked = match self.flush().await {
                Err(StoreError::DiskFull { .. }) => self.free().await,
                result => result,
            };
            if let Err(error) = marked {
                self.meta.compacted = before;
                return Err(error);
            }
            self.trim.compact(to);
            self.memory.compact(to);
        }
        Ok(self.memory.compacted())
    }

    /// Flushes, marks a clean stop and lets go of the file.
    pub(super) async fn shut_down(mut self) {
        self.commands.close();
        let flushed = self.lazy.is_empty() || self.flush().await.is_ok();
        if !flushed {
            tracing::error!(
                error = self.health.read().as_ref().map(tracing::field::display),
                "the last lazy writes are lost"
            );
        }
        // A file that may be damaged is to be looked at again.
        let sound = match self.check.take() {
            Some(check) => check.end().await,
            None => self.damage.get().is_none(),
        };
        self.memory.close();
        self.meta.revision = self.memory.revision();
        // Where writes were lost, clients that saw them must not go on from there.
        let clean = sound && flushed;
        self.database.close(clean.then_some(&self.meta)).await;
    }

    /// Expiry need not be exact: this keeps it from being frequent.
    fn grain(&self) -> Duration {
        self.config.history_window / 4
    }
}
