//! What the writer does on a full disk: it looks for room, lets deletes have what is set aside for them, and does not try
//! every other write of a batch.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::housekeeping::RETRY;
use super::staged::Staged;
use super::{LazyWrites, Room, Txn, Writer, Written};
use crate::contract::{Codec, Op};
use crate::error::{StoreError, TxnError};
use crate::key::Revision;
use crate::sqlite::Rows;

/// Most bytes that are deleted in one transaction with what is set aside, but for one larger object. They go through the
/// log before what they took is free, so the database may grow by as much, and there must be room for that besides.
const DELETED: usize = 1 << 20;

/// A batch for which there was no room. Nobody has an answer yet.
pub(super) struct Refused<O> {
    pub(super) staged: Staged<O>,
    pub(super) error: StoreError,
}

impl<C: Codec> Writer<C> {
    /// Writes what takes more room. Where there is none it is looked for, and the write tried once more.
    pub(super) async fn write_more(
        &mut self,
        rows: impl Fn(&LazyWrites) -> Rows,
        revision: Revision,
    ) -> Result<(), StoreError> {
        let mut result = self.write(rows(&self.lazy), revision, Room::Any).await;
        if is_full(&result) && self.sought.is_none_or(|sought| sought.elapsed() >= RETRY) {
            self.database.make_room().await;
            // Free pages are given back between batches.
            self.vacuum = true;
            result = self.write(rows(&self.lazy), revision, Room::Any).await;
            self.sought = is_full(&result).then(Instant::now);
        }
        self.note_health(result.as_ref().err());
        result
    }

    /// Writes deletes, in the room that is set aside for them if there is no other. It is not for the lazy writes that
    /// wait: those could use it up.
    pub(super) async fn write_deletes(
        &mut self,
        staged: &Staged<C::Object>,
    ) -> Result<Written, StoreError> {
        let moved = self.previous_bytes(staged);
        let rows = staged.rows(&self.lazy).moving(moved);
        let result = self.write(rows, staged.revision, Room::Any).await;
        self.note_health(result.as_ref().err());
        let too_much = staged.events.len() > 1 && moved > DELETED;
        if !is_full(&result) || too_much {
            return result.map(|()| Written::All);
        }
        let rows = staged.rows_alone(&self.lazy).moving(moved);
        let result = self.write(rows, staged.revision, Room::Reserve).await;
        // That the reserve did for this one says nothing of other writes.
        if result.is_err() {
            self.note_health(result.as_ref().err());
        }
        result.map(|()| Written::Alone)
    }

    /// Bytes of what a batch takes away or replaces.
    pub(super) fn previous_bytes(&self, staged: &Staged<C::Object>) -> usize {
        let events = staged.events.iter();
        let previous = events.filter_map(|(event, _)| event.previous.as_ref());
        previous.map(|entry| self.codec.size(&entry.object)).sum()
    }

    /// Does what can be done of a batch for which there was no room: first the deletes, then the others, small ones
    /// before large ones. Where one finds no room by itself, no larger one is tried: each try takes its time, and
    /// nobody is served meanwhile.
    pub(super) async fn one_by_one(&mut self, refused: Refused<C::Object>) {
        if refused.staged.answers.len() == 1 {
            return refused.staged.fail(&refused.error);
        }
        let is_delete = |txn: &Txn<C::Object>| matches!(txn.op, Op::Delete);
        let txns = refused.staged.into_txns().into_iter();
        let (mut deletes, mut puts): (Vec<_>, Vec<_>) = txns.partition(is_delete);
        // What is deleted goes through the log.
        deletes.sort_by_cached_key(|txn| {
            let entry = self.memory.get(&txn.key);
            entry.map_or(0, |entry| self.codec.size(&entry.object))
        });
        puts.sort_by_key(Txn::bytes);
        self.in_parts(deletes).await;
        self.in_parts(puts).await;
    }

    /// Tries writes, in parts that grow until one finds no room.
    async fn in_parts(&mut self, txns: Vec<Txn<C::Object>>) {
        let mut left = VecDeque::from(txns);
        let (mut size, mut growing) = (1, true);
        while !left.is_empty() {
            let part = left.drain(..size.min(left.len())).collect();
            let Err(Refused { staged, error }) = self.batch(part).await else {
                if growing {
                    size *= 2;
                }
                continue;
            };
            if staged.answers.len() == 1 {
                staged.fail(&error);
                for txn in left {
                    let _ = txn.reply.send(Err(TxnError::Store(error.clone())));
                }
                return;
            }
            (size, growing) = (staged.answers.len() / 2, false);
            for txn in staged.into_txns().into_iter().rev() {
                left.push_front(txn);
            }
        }
    }
}

fn is_full(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::DiskFull { .. }))
}
