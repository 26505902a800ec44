//! Pods that wait for a node: in order of priority, then of arrival or the last try; those that fit nowhere wait for a change, not for a clock.
//!
//! Nodes that change and pods that go may let in any pod; pods that come only those whose affinity or spread refused them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;

use crate::pod::{PodKey, priority};

/// Upstream's back-off of a pod that was tried in vain: from one second, doubled, to ten.
const BACKOFF_START: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// May be tried now.
    Active,
    /// Fits nowhere; tried again after something changed, but not before the time.
    Parked { not_before: Instant },
    /// To be tried at the time.
    BackingOff { until: Instant },
    /// Handed out.
    InFlight,
}

#[derive(Debug)]
struct Waiting {
    pod: Arc<Pod>,
    rank: Rank,
    attempts: u32,
    state: State,
}

impl Waiting {
    fn unpark(&mut self) {
        if let State::Parked { not_before } = self.state {
            self.state = State::BackingOff { until: not_before };
        }
    }
}

/// Higher priorities first, then first come, first served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    inverse_priority: i64,
    arrival: u64,
}

/// The waiting pods.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pods: HashMap<PodKey, Waiting>,
    active: BTreeSet<(Rank, PodKey)>,
    /// Parked pods that wait for other pods, too.
    by_placement: HashSet<PodKey>,
    arrivals: u64,
    pending: Pending,
}

/// How many pods wait for what.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) active: usize,
    pub(crate) backoff: usize,
    pub(crate) unschedulable: usize,
}

impl Queue {
    /// Takes a pending pod, or its new state. A pod that is parked becomes active when its spec or labels changed.
    pub(crate) fn put(&mut self, key: PodKey, pod: Arc<Pod>) {
        if let Some(waiting) = self.pods.get_mut(&key) {
            let same = waiting.pod.spec == pod.spec
                && waiting.pod.metadata.labels == pod.metadata.labels
                && waiting.pod.metadata.uid == pod.metadata.uid;
            waiting.pod = pod;
            if !same && waiting.state != State::InFlight {
                self.activate(&key);
            }
            return;
        }
        self.arrivals += 1;
        let rank = Rank {
            inverse_priority: -i64::from(priority(&pod)),
            arrival: self.arrivals,
        };
        self.pods.insert(
            key.clone(),
            Waiting {
                pod,
                rank,
                attempts: 0,
                state: State::Active,
            },
        );
        self.active.insert((rank, key));
    }

    pub(crate) fn remove(&mut self, key: &PodKey) {
        self.by_placement.remove(key);
        if let Some(waiting) = self.pods.remove(key) {
            self.active.remove(&(waiting.rank, key.clone()));
        }
    }

    /// The next pod to try; it stays known until it is removed, parked or put off.
    pub(crate) fn pop(&mut self) -> Option<(PodKey, Arc<Pod>)> {
        let (_, key) = self.active.pop_first()?;
        let waiting = self.pods.get_mut(&key)?;
        waiting.state = State::InFlight;
        waiting.attempts = waiting.attempts.saturating_add(1);
        Some((key, Arc::clone(&waiting.pod)))
    }

    pub(crate) fn has_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// The pod fits nowhere.
    pub(crate) fn park(&mut self, key: &PodKey, now: Instant) {
        self.tried(key, |attempts| State::Parked {
            not_before: now + backoff(attempts),
        });
    }

    /// A pod that was tried in vain: others of its priority come first now.
    fn tried(&mut self, key: &PodKey, state: impl Fn(u32) -> State) {
        if let Some(waiting) = self.pods.get_mut(key) {
            self.arrivals += 1;
            waiting.rank.arrival = self.arrivals;
            waiting.state = state(waiting.attempts);
        }
    }

    /// The pod fits nowhere, and pods that come may change that.
    pub(crate) fn park_by_placement(&mut self, key: &PodKey, now: Instant) {
        self.park(key, now);
        self.by_placement.insert(key.clone());
    }

    /// What a parked pod waited for has ended: it is tried again once its back-off is over.
    pub(crate) fn unpark(&mut self, key: &PodKey) {
        if let Some(waiting) = self.pods.get_mut(key) {
            waiting.unpark();
        }
    }

    /// Something failed that another try may mend.
    pub(crate) fn put_off(&mut self, key: &PodKey, now: Instant) {
        self.tried(key, |attempts| State::BackingOff {
            until: now + backoff(attempts),
        });
    }

    /// The cluster changed: whoever fitted nowhere may fit now.
    pub(crate) fn cluster_changed(&mut self) {
        self.by_placement.clear();
        for waiting in self.pods.values_mut() {
            waiting.unpark();
        }
    }

    /// A pod has come to a node, or shows other labels: who waited for that may fit now.
    pub(crate) fn pods_changed(&mut self) {
        for key in self.by_placement.drain() {
            if let Some(waiting) = self.pods.get_mut(&key) {
                waiting.unpark();
            }
        }
    }

    /// Makes those active whose time has come; says when the next one's will.
    pub(crate) fn wake(&mut self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let mut due = Vec::new();
        let mut pending = Pending::default();
        for (key, waiting) in &self.pods {
            match waiting.state {
                State::BackingOff { until } if until <= now => due.push(key.clone()),
                State::BackingOff { until } => {
                    pending.backoff += 1;
                    next = Some(next.map_or(until, |next| next.min(until)));
                }
                State::Parked { .. } => pending.unschedulable += 1,
                State::Active | State::InFlight => {}
            }
        }
        for key in due {
            self.activate(&key);
        }
        pending.active = self.active.len();
        self.pending = pending;
        next
    }

    /// Who waited for what at the last [`Queue::wake`].
    pub(crate) fn pending(&self) -> Pending {
        self.pending
    }

    /// How often a pod was tried.
    pub(crate) fn attempts(&self, key: &PodKey) -> u32 {
        self.pods.get(key).map_or(1, |waiting| waiting.attempts)
    }

    /// The newest that is known of a waiting pod.
    pub(crate) fn get(&self, key: &PodKey) -> Option<&Arc<Pod>> {
        self.pods.get(key).map(|waiting| &waiting.pod)
    }

    /// Forgets the pods that a new list did not hold.
    pub(crate) fn retain(&mut self, listed: &std::collections::HashSet<PodKey>) {
        let gone: Vec<_> = self
            .pods
            .keys()
            .filter(|key| !listed.contains(*key))
            .cloned()
            .collect();
        for key in gone {
            self.remove(&key);
        }
    }

    fn activate(&mut self, key: &PodKey) {
        if let Some(waiting) = self.pods.get_mut(key) {
            waiting.state = State::Active;
            self.active.insert((waiting.rank, key.clone()));
        }
    }
}

fn backoff(attempts: u32) -> Duration {
    let factor = 2u32.saturating_pow(attempts.saturating_sub(1).min(8));
    (BACKOFF_START * factor).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(name: &str) -> PodKey {
        PodKey {
            namespace: "default".to_string(),
            name: name.to_string(),
        }
    }

    fn pod(priority: i32) -> Arc<Pod> {
        let pod = json!({"metadata": {}, "spec": {"containers": [], "priority": priority}});
        Arc::new(serde_json::from_value(pod).expect("pod"))
    }

    fn popped(queue: &mut Queue) -> Option<String> {
        queue.pop().map(|(key, _)| key.name)
    }

    #[test]
    fn priority_then_arrival() {
        let mut queue = Queue::default();
        for (name, priority) in [("a", 0), ("b", 10), ("c", 0)] {
            queue.put(key(name), pod(priority));
        }
        queue.remove(&key("c"));
        queue.put(key("d"), pod(0));
        let order: Vec<_> = std::iter::from_fn(|| popped(&mut queue)).collect();
        assert_eq!(order, ["b", "a", "d"]);
    }

    #[test]
    fn a_parked_pod_waits_for_a_change_and_for_its_back_off() {
        let mut queue = Queue::default();
        let start = Instant::now();
        queue.put(key("a"), pod(0));
        assert!(queue.pop().is_some());
        queue.park(&key("a"), start);
        assert_eq!(
            queue.wake(start + Duration::from_secs(60)),
            None,
            "no clock wakes it"
        );
        assert_eq!(popped(&mut queue), None);
        let waiting = |unschedulable, backoff| Pending {
            active: 0,
            backoff,
            unschedulable,
        };
        assert_eq!(queue.pending(), waiting(1, 0));
        queue.cluster_changed();
        assert_eq!(queue.wake(start), Some(start + BACKOFF_START));
        assert_eq!(queue.pending(), waiting(0, 1));
        assert_eq!(queue.wake(start + BACKOFF_START), None);
        assert_eq!(popped(&mut queue).as_deref(), Some("a"));
    }

    #[test]
    fn pods_that_come_wake_those_who_wait_for_them() {
        let mut queue = Queue::default();
        let start = Instant::now();
        for name in ["near", "large"] {
            queue.put(key(name), pod(0));
            assert!(queue.pop().is_some());
        }
        queue.park_by_placement(&key("near"), start);
        queue.park(&key("large"), start);
        queue.pods_changed();
        assert_eq!(queue.wake(start + BACKOFF_START), None);
        assert_eq!(popped(&mut queue).as_deref(), Some("near"));
        assert_eq!(popped(&mut queue), None, "the other waits for room");
    }

    #[test]
    fn who_was_tried_in_vain_goes_to_the_back() {
        let mut queue = Queue::default();
        let start = Instant::now();
        for name in ["a", "b"] {
            queue.put(key(name), pod(0));
        }
        assert_eq!(popped(&mut queue).as_deref(), Some("a"));
        queue.put_off(&key("a"), start);
        queue.put(key("c"), pod(0));
        queue.wake(start + BACKOFF_MAX);
        let order: Vec<_> = std::iter::from_fn(|| popped(&mut queue)).collect();
        assert_eq!(order, ["b", "a", "c"]);
    }

    #[test]
    fn a_changed_spec_is_tried_at_once() {
        let mut queue = Queue::default();
        queue.put(key("a"), pod(0));
        assert!(queue.pop().is_some());
        queue.park(&key("a"), Instant::now());
        queue.put(key("a"), pod(0));
        assert_eq!(popped(&mut queue), None, "the same again changes nothing");
        queue.put(key("a"), pod(1));
        assert_eq!(popped(&mut queue).as_deref(), Some("a"));
    }

    #[test]
    fn back_off_grows_to_its_limit() {
        let seconds: Vec<_> = (1..7).map(|attempts| backoff(attempts).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 10, 10]);
    }
}
