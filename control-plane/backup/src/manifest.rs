//! What an archive says about itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sampan_store::{Revision, Snapshot};
use serde::{Deserialize, Serialize};

/// The format this release writes, and the newest it reads.
pub(crate) const FORMAT: u32 = 1;

/// A restored store goes on at least so far above the backup's reserve.
const MARGIN: u64 = 1_000_000_000;
/// And so much further for each second since: more writes than a server manages.
const REVISIONS_PER_SECOND: u64 = 30_000;

/// The last entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The archive's format.
    pub format: u32,
    /// The release that made it.
    pub release: String,
    /// When the copy of the database was taken.
    pub created: Timestamp,
    /// The store's last revision then.
    pub revision: u64,
    /// No revision above this had been handed out then.
    pub ceiling: u64,
    /// Live entries by bucket.
    pub entries: BTreeMap<String, u64>,
    /// The other entries of the archive, in their order.
    pub files: Vec<FileEntry>,
}

/// One file of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Relative to the data folder, with `/` between names.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// In hex.
    pub sha256: String,
}

impl Manifest {
    /// How many objects there are.
    pub fn objects(&self) -> u64 {
        self.entries.values().sum()
    }

    /// Whether this copy of the database is the one the manifest speaks of.
    pub(crate) fn describes(&self, snapshot: &Snapshot) -> bool {
        self.revision == snapshot.revision.0
            && self.ceiling == snapshot.ceiling.0
            && self.entries == snapshot.entries
    }

    /// Where a restored store goes on: above every revision the original can have handed out by `now`. A clock that
    /// went backwards adds nothing, and the margin remains.
    pub(crate) fn restored_revision(&self, now: Timestamp) -> Revision {
        let since = now.as_second().saturating_sub(self.created.as_second());
        let since = u64::try_from(since).unwrap_or(0);
        let passed = since.saturating_mul(REVISIONS_PER_SECOND);
        let revision = self.ceiling.saturating_add(MARGIN).saturating_add(passed);
        // Revisions are 63-bit on disk, and there has to be room above.
        Revision(revision.min(u64::MAX / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_store_is_ahead_of_the_original() {
        let manifest = Manifest {
            format: FORMAT,
            release: "x".into(),
            created: Timestamp::from_second(1_000_000).expect("in range"),
            revision: 5,
            ceiling: 100_005,
            entries: BTreeMap::new(),
            files: Vec::new(),
        };
        let at = |second| {
            let now = Timestamp::from_second(second).expect("in range");
            manifest.restored_revision(now).0
        };
        assert_eq!(at(1_000_000), 1_000_100_005);
        assert_eq!(at(1_003_600), 1_000_100_005 + 3600 * 30_000);
        assert_eq!(at(0), 1_000_100_005, "a clock that went backwards");
    }
}
