//! Keys that are due at a time; a key has one time only.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// A set of keys, each with the time at which [`Delays::next`] gives it out.
#[derive(Debug)]
pub(crate) struct Delays<K> {
    times: HashMap<K, (Instant, u64)>,
    order: BTreeMap<(Instant, u64), K>,
    counter: u64,
}

impl<K> Default for Delays<K> {
    fn default() -> Self {
        Self {
            times: HashMap::new(),
            order: BTreeMap::new(),
            counter: 0,
        }
    }
}

impl<K: Clone + Eq + Hash> Delays<K> {
    /// Sets a key's time, in place of an earlier one.
    pub(crate) fn set(&mut self, key: K, delay: Duration) {
        self.cancel(&key);
        self.counter += 1;
        let slot = (Instant::now() + delay, self.counter);
        self.order.insert(slot, key.clone());
        self.times.insert(key, slot);
    }

    pub(crate) fn cancel(&mut self, key: &K) {
        if let Some(slot) = self.times.remove(key) {
            self.order.remove(&slot);
        }
    }

    /// Forgets the keys that do not fulfil the condition.
    pub(crate) fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.times.retain(|key, _| keep(key));
        self.order.retain(|_, key| keep(key));
    }

    /// The next key, when its time has come; waits for ever while there is none.
    pub(crate) async fn next(&mut self) -> K {
        loop {
            let Some((&slot, _)) = self.order.first_key_value() else {
                return std::future::pending().await;
            };
            tokio::time::sleep_until(slot.0).await;
            if let Some(key) = self.order.remove(&slot) {
                self.times.remove(&key);
                return key;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn in_order_of_time_with_the_last_word() {
        let mut delays = Delays::default();
        for (key, seconds) in [("b", 2), ("a", 1), ("c", 3), ("b", 5)] {
            delays.set(key, Duration::from_secs(seconds));
        }
        delays.cancel(&"c");
        let start = Instant::now();
        assert_eq!((delays.next().await, start.elapsed().as_secs()), ("a", 1));
        assert_eq!((delays.next().await, start.elapsed().as_secs()), ("b", 5));
        delays.set("d", Duration::from_secs(1));
        delays.retain(|_| false);
        assert!(
            tokio::time::timeout(Duration::from_secs(9), delays.next())
                .await
                .is_err()
        );
    }
}
