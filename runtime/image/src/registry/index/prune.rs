//! Which manifests nobody would miss.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use super::{Index, Repository};
use crate::digest::Digest;

impl Index {
    /// Manifests older than `age` that no tag leads to: neither by itself, nor through an index, nor as the subject
    /// of what is about it. What is about a manifest that stays, stays.
    pub(crate) fn unreachable(&self, age: Duration) -> Vec<(String, Digest)> {
        let now = SystemTime::now();
        let mut found = Vec::new();
        for (name, repository) in &self.repositories {
            let kept = repository.kept(age, now);
            let lost = repository.manifests.keys();
            let lost = lost.filter(|digest| !kept.contains(*digest));
            found.extend(lost.map(|digest| (name.clone(), digest.clone())));
        }
        found
    }
}

impl Repository {
    fn kept(&self, age: Duration, now: SystemTime) -> HashSet<&Digest> {
        // A push sends the parts of an index before the index: what is young may be waiting for its name.
        // A clock that went back makes everything young.
        let young = self.manifests.iter().filter(|(_, held)| {
            let since = now.duration_since(held.stored).unwrap_or_default();
            since < age
        });
        let mut waiting: Vec<&Digest> = self.tags.values().collect();
        waiting.extend(young.map(|(digest, _)| digest));
        let mut kept = HashSet::new();
        while let Some(digest) = waiting.pop() {
            if !kept.insert(digest) {
                continue;
            }
            if let Some(held) = self.manifests.get(digest) {
                waiting.extend(&held.blobs);
            }
            waiting.extend(self.referrers.get(digest).into_iter().flatten());
        }
        kept
    }
}
