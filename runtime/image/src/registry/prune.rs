//! Garbage collection: what no tag leads to, and uploads whose manifest never came.
//!
//! Deleting a manifest or tag frees what it alone needed at once, so this is for what piles up otherwise: a tag that
//! is pushed again leaves its old manifest behind, which pods may still name by digest.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::content::blocking;
use crate::registry::Registry;

/// An upload whose manifest did not come for this long is forgotten.
pub(crate) const FRESH_AGE: Duration = Duration::from_secs(3600);

/// What a pruning took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Manifests and indexes.
    pub manifests: u64,
    /// Files: layers, configs, and the manifests themselves.
    pub blobs: u64,
    /// Bytes of those.
    pub bytes: u64,
}

impl Registry {
    /// Deletes manifests that no tag leads to and that were pushed more than `age` ago, uploads that have waited for
    /// their manifest that long, and everything that only they needed. Uploads under way are left alone, unless nobody
    /// continued them for an hour.
    pub async fn prune(self: &Arc<Self>, age: Duration) -> io::Result<Pruned> {
        let here = self.clone();
        blocking(move || {
            here.uploads.drop_idle();
            let _writer = here.writer.lock();
            let mut pruned = Pruned::default();
            let freed = here.index.write().expire_fresh(age);
            here.delete_blobs(&freed, &mut pruned)?;
            let lost = here.index.read().unreachable(age);
            for (name, digest) in lost {
                here.delete_whole(&name, &digest, &mut pruned)?;
                pruned.manifests += 1;
            }
            Ok(pruned)
        })
        .await
    }

    /// Drops uploads and blobs that whoever sent them has forgotten. Costs little when there are none. An image may take
    /// hours: blobs of repositories that something is sent to, such as `name`, stay.
    pub(super) async fn drop_forgotten(self: &Arc<Self>, name: &str) -> io::Result<()> {
        self.uploads.drop_idle();
        if !self.index.read().has_stale(FRESH_AGE) {
            return Ok(());
        }
        let mut in_use = self.uploads.repositories();
        in_use.insert(name.to_owned());
        let here = self.clone();
        blocking(move || {
            let _writer = here.writer.lock();
            let freed = {
                let mut index = here.index.write();
                for name in &in_use {
                    index.renew_fresh(name);
                }
                index.expire_fresh(FRESH_AGE)
            };
            here.delete_blobs(&freed, &mut Pruned::default())
        })
        .await
    }
}
