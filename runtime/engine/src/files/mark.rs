//! What a mount allows beyond reading and writing, inherited by all that is opened in it.

use super::quota::Quota;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The rules of one mount. The default has none.
#[derive(Clone, Default)]
pub(crate) struct Mark {
    /// Set in the private folders that show single files: they are written, but nothing is made, renamed or removed
    /// there.
    pub(super) fixed: Option<Arc<Fixed>>,
    /// What writes and new files are taken from.
    pub(super) quota: Option<Arc<Quota>>,
}

/// The quotas of a private folder.
#[derive(Default)]
pub(super) struct Fixed {
    /// Of the mounted files by name; `None` for one without a limit.
    pub(super) files: BTreeMap<String, Option<Arc<Quota>>>,
    /// Of everything else that is reached through the folder, by whatever name: copies of an image's files, links.
    pub(super) others: Option<Arc<Quota>>,
}

impl Mark {
    pub(super) fn is_plain(&self) -> bool {
        self.fixed.is_none() && self.quota.is_none()
    }

    /// The rules of what is opened at `path` in a folder with these. In a private folder only the plain name of a mounted
    /// file means that file's limit; whatever else leads there is limited by what the folder may hold.
    pub(super) fn opened(&self, path: &str) -> Mark {
        let Some(fixed) = &self.fixed else {
            return self.clone();
        };
        let name = path.trim_start_matches("./");
        match fixed.files.get(name) {
            Some(quota) => Mark {
                fixed: self.fixed.clone(),
                quota: quota.clone(),
            },
            None if matches!(name, "" | ".") => self.clone(),
            // Below it the names of the mounted files mean others.
            None => Mark {
                fixed: Some(Arc::new(Fixed {
                    files: BTreeMap::new(),
                    others: fixed.others.clone(),
                })),
                quota: fixed.others.clone(),
            },
        }
    }

    /// Whether a name can move from a folder with these rules to one with `other`: as between file systems, not if
    /// different quotas count it.
    pub(super) fn is_same_filesystem(&self, other: &Mark) -> bool {
        match (&self.quota, &other.quota) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}
