//! Which modules the containers being created wait for, by sandbox: so that whoever waits can be told what for.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::id::Id;

type Digests = Mutex<HashMap<Id, Vec<String>>>;

/// The loads under way.
#[derive(Clone, Default)]
pub(crate) struct Loading(Arc<Digests>);

/// One load; it is over when this is dropped.
pub(crate) struct Load {
    loading: Loading,
    sandbox: Id,
    digest: String,
}

impl Loading {
    pub(crate) fn begin(&self, sandbox: Id, digest: String) -> Load {
        let mut digests = self.0.lock();
        let of_sandbox = digests.entry(sandbox.clone()).or_default();
        of_sandbox.push(digest.clone());
        Load {
            loading: self.clone(),
            sandbox,
            digest,
        }
    }

    pub(crate) fn of(&self, sandbox: &str) -> Vec<String> {
        let digests = self.0.lock();
        digests.get(sandbox).cloned().unwrap_or_default()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let mut digests = self.loading.0.lock();
        let Some(of_sandbox) = digests.get_mut(&self.sandbox) else {
            return;
        };
        if let Some(position) = of_sandbox.iter().position(|other| *other == self.digest) {
            of_sandbox.swap_remove(position);
        }
        if of_sandbox.is_empty() {
            digests.remove(&self.sandbox);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_told_until_they_are_over() {
        let loading = Loading::default();
        let one = loading.begin("s".into(), "a".to_string());
        let same = loading.begin("s".into(), "a".to_string());
        assert_eq!(loading.of("s"), ["a", "a"]);
        drop(one);
        assert_eq!(loading.of("s"), ["a"]);
        drop(same);
        assert!(loading.of("s").is_empty());
        assert!(loading.0.lock().is_empty());
    }
}
