//! How many files a component holds open.

use crate::files::{FileBudget, FileSlot};
use std::fs::File;
use std::sync::{Arc, Weak};

/// The account of one instance's open files. A stream keeps its file open after the descriptor is dropped, so what
/// counts is whether the file itself is still held by anything.
pub(crate) struct Account {
    budget: Arc<FileBudget>,
    limit: u32,
    open: Vec<(Weak<File>, FileSlot)>,
}

impl Account {
    pub(crate) fn new(budget: Arc<FileBudget>, limit: u32) -> Self {
        Account {
            budget,
            limit,
            open: Vec::new(),
        }
    }

    /// Room for one more open file.
    pub(in crate::files) fn reserve(&mut self) -> Option<FileSlot> {
        if self.open.len() < self.limit as usize
            && let Some(slot) = self.budget.take()
        {
            return Some(slot);
        }
        self.open.retain(|(file, _)| file.strong_count() > 0);
        if self.open.len() < self.limit as usize {
            self.budget.take()
        } else {
            None
        }
    }

    pub(in crate::files) fn opened(&mut self, file: &Arc<File>, slot: FileSlot) {
        self.open.push((Arc::downgrade(file), slot));
    }

    /// Gives closed files back to the budget of all guests.
    pub(in crate::files) fn closed(&mut self) {
        self.open.retain(|(file, _)| file.strong_count() > 0);
    }
}
