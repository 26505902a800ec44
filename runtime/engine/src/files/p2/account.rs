//! How many files a component holds open.

use crate::files::mark::Mark;
use crate::files::quota::Quota;
use crate::files::{FileBudget, FileSlot};
use crate::limits::{Charge, Meter};
use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Weak};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

/// Descriptors and streams of an instance together, for each file that it may hold open.
const HOLDERS_PER_FILE: usize = 2;

/// Bytes of the folders' listings that an instance may hold at once, whatever memory its container has: the host reads a
/// folder as a whole.
const MAX_LISTINGS: usize = 16 << 20;

/// Whether a function makes, moves or removes names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::files) enum Change {
    Makes,
    Removes,
    /// A name goes from the first folder to the second.
    Moves,
    /// A file in the first folder gets another name in the second.
    Links,
}

/// Why names of a mount cannot be changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::files) enum Refusal {
    ReadOnly,
    CrossDevice,
}

/// A file that is about to be open.
pub(in crate::files) struct Opening {
    slot: FileSlot,
    _under_way: Arc<()>,
}

/// The account of one instance's open files. A stream keeps its file open after the descriptor is dropped, so what
/// counts is whether the file itself is still held by anything.
pub(crate) struct Account {
    budget: Arc<FileBudget>,
    limit: u32,
    open: Vec<(Weak<File>, FileSlot)>,
    /// Held by each opening that is under way.
    opening: Arc<()>,
    meter: Arc<Meter>,
    /// Memory of the listings of folders, by the numbers of their streams.
    listings: HashMap<u32, Charge>,
    /// The rules of the mounts, in their order.
    mounts: Arc<[Mark]>,
    /// Those of descriptors that have any, by their numbers.
    marks: HashMap<u32, Mark>,
}

impl Account {
    pub(crate) fn new(budget: Arc<FileBudget>, limit: u32, meter: Arc<Meter>) -> Self {
        Account {
            budget,
            limit,
            open: Vec::new(),
            opening: Arc::default(),
            meter,
            listings: HashMap::new(),
            mounts: Arc::from([]),
            marks: HashMap::new(),
        }
    }

    /// The further rules of the mounts, in the order in which they are told to guests.
    pub(crate) fn with_marks(mut self, mounts: Arc<[Mark]>) -> Self {
        self.mounts = mounts;
        self
    }

    /// The guest has been told of its mounts, as these descriptors.
    pub(in crate::files) fn told(&mut self, descriptors: impl Iterator<Item = u32>) {
        let mounts = self.mounts.clone();
        for (descriptor, mark) in descriptors.zip(mounts.iter()) {
            self.mark(descriptor, Some(mark.clone()));
        }
    }

    pub(in crate::files) fn mark(&mut self, descriptor: u32, mark: Option<Mark>) {
        // A number may have belonged to another descriptor before.
        self.marks.remove(&descriptor);
        if let Some(mark) = mark.filter(|mark| !mark.is_plain()) {
            self.marks.insert(descriptor, mark);
        }
    }

    pub(in crate::files) fn marked(&self, descriptor: u32) -> Option<&Mark> {
        self.marks.get(&descriptor)
    }

    pub(in crate::files) fn quota(&self, descriptor: u32) -> Option<Arc<Quota>> {
        self.marks.get(&descriptor)?.quota.clone()
    }

    /// What the rules of the mounts say before names are changed: the quota that a new name is taken from, or why not.
    pub(in crate::files) fn ruling(
        &self,
        change: Change,
        descriptors: &[u32],
    ) -> Result<Option<Arc<Quota>>, Refusal> {
        if descriptors.iter().any(|fd| self.is_fixed(*fd)) {
            return Err(Refusal::ReadOnly);
        }
        let (Some(first), Some(last)) = (descriptors.first(), descriptors.last()) else {
            return Ok(None);
        };
        let two = matches!(change, Change::Moves | Change::Links);
        if two && !self.is_same_filesystem(*first, *last) {
            return Err(Refusal::CrossDevice);
        }
        let quota = self.quota(*last);
        if let (Change::Removes | Change::Moves, Some(quota)) = (change, &quota) {
            quota.loses_name();
        }
        Ok(quota.filter(|_| matches!(change, Change::Makes | Change::Links)))
    }

    /// The same, asked to the end.
    pub(super) async fn allowed(&self, change: Change, descriptors: &[u32]) -> FsResult<()> {
        match self.ruling(change, descriptors) {
            Err(Refusal::ReadOnly) => Err(ErrorCode::ReadOnly.into()),
            Err(Refusal::CrossDevice) => Err(ErrorCode::CrossDevice.into()),
            Ok(Some(quota)) if !quota.take_entry().await => {
                Err(ErrorCode::InsufficientSpace.into())
            }
            Ok(_) => Ok(()),
        }
    }

    fn is_fixed(&self, descriptor: u32) -> bool {
        let mark = self.marks.get(&descriptor);
        mark.is_some_and(|mark| mark.fixed.is_some())
    }

    fn is_same_filesystem(&self, one: u32, other: u32) -> bool {
        let plain = Mark::default();
        let mark = |descriptor| self.marks.get(&descriptor).unwrap_or(&plain);
        mark(one).is_same_filesystem(mark(other))
    }

    /// Room for one more open file. Counts until it is dropped or the file is open.
    pub(in crate::files) fn reserve(&mut self) -> Option<Opening> {
        if let Some(opening) = self.reserve_now() {
            return Some(opening);
        }
        self.closed();
        self.reserve_now()
    }

    fn reserve_now(&self) -> Option<Opening> {
        // Guests of WASI 0.3 open side by side.
        let under_way = Arc::strong_count(&self.opening) - 1;
        if self.open.len() + under_way >= self.limit as usize {
            return None;
        }
        Some(Opening {
            slot: self.budget.take()?,
            _under_way: self.opening.clone(),
        })
    }

    pub(in crate::files) fn opened(&mut self, file: &Arc<File>, opening: Opening) {
        self.open.push((Arc::downgrade(file), opening.slot));
    }

    /// Whether there may be one more stream of a file. Each holds some of what is read or written.
    pub(super) fn may_stream(&self) -> bool {
        let holders = self.open.iter().map(|(file, _)| file.strong_count());
        holders.sum::<usize>() < self.limit as usize * HOLDERS_PER_FILE
    }

    /// Bytes that a further listing may take.
    pub(super) fn listing_room(&self) -> usize {
        let held: u64 = self.listings.values().map(Charge::bytes).sum();
        MAX_LISTINGS.saturating_sub(usize::try_from(held).unwrap_or(usize::MAX))
    }

    /// Memory for a listing.
    pub(super) fn charge(&self, bytes: usize) -> Option<Charge> {
        self.meter.charge(bytes as u64)
    }

    pub(super) fn listed(&mut self, stream: u32, charge: Charge) {
        self.listings.insert(stream, charge);
    }

    pub(super) fn unlisted(&mut self, stream: u32) {
        self.listings.remove(&stream);
    }

    /// Gives closed files back to the budget of all guests.
    pub(in crate::files) fn closed(&mut self) {
        self.open.retain(|(file, _)| file.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_under_way_count() {
        let meter = Arc::new(Meter::new(100, crate::CpuLimits::default()));
        let mut account = Account::new(FileBudget::of_process(), 2, meter);
        let file = Arc::new(tempfile::tempfile().expect("a temporary file"));
        let (one, other) = (account.reserve(), account.reserve());
        assert!(one.is_some() && other.is_some());
        assert!(account.reserve().is_none());
        account.opened(&file, one.expect("there is room"));
        assert!(account.reserve().is_none());
        // Another that failed.
        drop(other);
        assert!(account.reserve().is_some());
        let third = account.reserve().expect("that one is dropped again");
        drop(file);
        assert!(account.reserve().is_some(), "the file is closed");
        drop(third);
    }

    #[test]
    fn listings_are_memory_of_the_container() {
        let meter = Arc::new(Meter::new(100, crate::CpuLimits::default()));
        let mut account = Account::new(FileBudget::of_process(), 2, meter.clone());
        let charge = account.charge(60).expect("room");
        account.listed(1, charge);
        assert_eq!(meter.memory(), 60);
        assert_eq!(account.listing_room(), MAX_LISTINGS - 60);
        assert!(account.charge(60).is_none());
        account.unlisted(1);
        assert_eq!(meter.memory(), 0);
    }
}
