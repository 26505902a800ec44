//! Quotas that were counted in vain: not counted again for a while, unless something they limit was given back.

use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::Mutex;
use sampan_api::amounts::Amounts;
use sampan_api::quota;
use sampan_store::Key;
use tokio::time::Instant;

use crate::object::Obj;
use crate::respond::parse;

/// So many bytes are counted as often as somebody asks.
const LITTLE: usize = 1024 * 1024;
/// Counting in vain may take this part of the time.
const VAIN_PART: u32 = 20;

#[derive(Default)]
pub(super) struct Full {
    quotas: Mutex<HashMap<Key, Counted>>,
}

struct Counted {
    namespace: String,
    /// What it limits.
    hard: Amounts,
    /// From when on it may be counted again; absent while it is counted.
    again: Option<Instant>,
}

impl Full {
    pub(super) fn may_count(&self, quota: &Key, now: Instant) -> bool {
        let quotas = self.quotas.lock();
        let again = quotas.get(quota).and_then(|counted| counted.again);
        again.is_none_or(|again| again <= now)
    }

    /// Known from here on, for what is given back while it is counted may be counted as being there.
    pub(super) fn begin(&self, quota: &Key, namespace: &str, hard: &Amounts) {
        let counted = Counted {
            namespace: namespace.to_owned(),
            hard: hard.clone(),
            again: None,
        };
        self.quotas.lock().insert(quota.clone(), counted);
    }

    /// There was room.
    pub(super) fn found_room(&self, quota: &Key) {
        self.quotas.lock().remove(quota);
    }

    /// So many bytes were looked through, and there was no room.
    pub(super) fn in_vain(&self, quota: &Key, bytes: usize, begun: Instant, now: Instant) {
        let mut quotas = self.quotas.lock();
        if bytes <= LITTLE {
            quotas.remove(quota);
        } else if let Some(counted) = quotas.get_mut(quota) {
            counted.again = Some(now + (now - begun) * VAIN_PART);
        }
        quotas.retain(|_, counted| counted.again.is_none_or(|again| again > now));
    }

    /// After a write: quotas of which something was given back may be counted at once.
    pub(super) fn changed(&self, old: &Obj, new: Option<&Obj>) {
        let resource = old.resource;
        // Other objects count for themselves alone, whatever is in them.
        let varies = matches!(
            resource.bucket,
            "pods" | "services" | "persistentvolumeclaims"
        );
        if new.is_some() && !varies || !self.any_in(old.namespace()) {
            return;
        }
        let now = Timestamp::now();
        let usage = |object: &Obj| {
            let value = parse(&object.raw).unwrap_or_default();
            quota::usage(resource, &value, now)
        };
        let left = new.map(usage).unwrap_or_default();
        self.given_back(old.namespace(), &quota::increase(&usage(old), &left));
    }

    fn any_in(&self, namespace: &str) -> bool {
        let quotas = self.quotas.lock();
        quotas
            .values()
            .any(|counted| counted.namespace == namespace)
    }

    fn given_back(&self, namespace: &str, amounts: &Amounts) {
        self.quotas.lock().retain(|_, counted| {
            counted.namespace != namespace
                || !amounts.keys().any(|name| counted.hard.contains_key(name))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_api::amounts;
    use serde_json::json;
    use std::time::Duration;

    fn pods() -> Amounts {
        amounts::at(&json!({"a": {"pods": "1"}}), "a")
    }

    #[test]
    fn a_full_quota_is_not_counted_all_the_time() {
        let full = Full::default();
        let [small, large] = ["small", "large"].map(|name| Key::new("resourcequotas", name));
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        assert!(full.may_count(&large, begun));
        full.begin(&small, "n", &pods());
        full.in_vain(&small, LITTLE, begun, at(100));
        full.begin(&large, "n", &pods());
        full.in_vain(&large, LITTLE + 1, begun, at(100));
        assert!(full.may_count(&small, at(100)));
        assert!(!full.may_count(&large, at(1000)));
        assert!(full.may_count(&large, at(2100)));
        // What is over is forgotten.
        full.begin(&small, "n", &pods());
        full.in_vain(&small, LITTLE, begun, at(3000));
        assert!(full.quotas.lock().is_empty());
    }

    #[test]
    fn what_was_given_back_is_counted() {
        let full = Full::default();
        let quota = Key::new("resourcequotas", "n/q");
        let begun = Instant::now();
        let now = begun + Duration::from_secs(1);
        let other = amounts::at(&json!({"a": {"configmaps": "1"}}), "a");
        full.begin(&quota, "n", &pods());
        full.in_vain(&quota, LITTLE + 1, begun, now);
        full.given_back("n", &other);
        full.given_back("m", &pods());
        assert!(!full.may_count(&quota, now));
        full.given_back("n", &pods());
        assert!(full.may_count(&quota, now));
        // While it is counted, too: what was seen may be gone by now.
        full.begin(&quota, "n", &pods());
        full.given_back("n", &pods());
        full.in_vain(&quota, LITTLE + 1, begun, now);
        assert!(full.may_count(&quota, now));
    }
}
