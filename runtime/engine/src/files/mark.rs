//! What a mount allows beyond reading and writing, inherited by all that is opened in it.

use super::quota::Quota;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The rules of one mount. The default has none.
#[derive(Clone, Default)]
pub(crate) struct Mark {
    /// Set in the private folders that show single files: they are written, but nothing is made, renamed or removed
    /// there. Holds the quotas of the files by name.
    pub(super) fixed: Option<Arc<BTreeMap<String, Arc<Quota>>>>,
    /// What writes and new files are taken from.
    pub(super) quota: Option<Arc<Quota>>,
}

impl Mark {
    pub(super) fn is_plain(&self) -> bool {
        self.fixed.is_none() && self.quota.is_none()
    }

    /// The rules of what is opened at `path` in a folder with these.
    pub(super) fn opened(&self, path: &str) -> Mark {
        let Some(files) = &self.fixed else {
            return self.clone();
        };
        let name = path
            .rsplit('/')
            .find(|part| !part.is_empty() && *part != ".");
        let quota = name.and_then(|name| files.get(name)).cloned();
        Mark {
            fixed: self.fixed.clone(),
            quota,
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
