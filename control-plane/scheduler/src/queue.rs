//! Pods that wait for a node: in order of priority, then of arrival or the last try; those that fit nowhere wait for a change, not for a clock.
//!
//! Nodes that change may let in any pod; pods and volumes that come or go only those that were refused because of such.
//! A pod whose own claim changes waits no longer: what it was refused for is most likely what has changed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;

use crate::pod::{PodKey, priority};
use crate::volumes::uses_claim;

/// Upstream's back-off of a pod that was tried in vain: from one second, doubled, to ten.
const BACKOFF_START: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// What happened that may let in a pod that fitted nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// A node came, or is another than before.
    Nodes,
    /// A pod went, or takes less.
    Room,
    /// A pod came to a node or shows other labels, or a namespace does.
    Placement,
    Volumes,
    /// One claim, or the volume that is bound to it.
    Claim {
        namespace: String,
        name: String,
    },
}

/// What, beside other nodes, may let in a pod that fits nowhere.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hopes {
    pub(crate) room: bool,
    pub(crate) placement: bool,
    pub(crate) volumes: bool,
}

impl Hopes {
    fn include(self, change: &Change) -> bool {
        match change {
            Change::Nodes => true,
            // Where others are may matter because of those that are gone, too.
            Change::Room => self.room || self.placement,
            Change::Placement => self.placement,
            Change::Volumes | Change::Claim { .. } => self.volumes,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// May be tried now.
    Active,
    /// Fits nowhere; tried again after something changed, but not before the time.
    Parked { not_before: Instant, hopes: Hopes },
    /// Was parked, and is tried at the time because something changed.
    Woken { not_before: Instant },
    /// Failed otherwise, and is tried at the time.
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
        if let State::Parked { not_before, .. } = self.state {
            self.state = State::Woken { not_before };
        }
    }

    /// Whether it fitted nowhere, and this is about a claim of its own.
    fn waits_for(&self, change: &Change) -> bool {
        let unfit = matches!(self.state, State::Parked { .. } | State::Woken { .. });
        match change {
            Change::Claim { namespace, name } => unfit && uses_claim(&self.pod, namespace, name),
            _ => false,
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

    /// The pod fits nowhere, until something changes of what it hopes for.
    pub(crate) fn park(&mut self, key: &PodKey, hopes: Hopes, now: Instant) {
        self.tried(key, |attempts| State::Parked {
            not_before: now + backoff(attempts),
            hopes,
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

    /// Who hoped for that may fit now.
    pub(crate) fn changed(&mut self, change: &Change) {
        for (key, waiting) in &mut self.pods {
            if waiting.waits_for(change) {
                waiting.state = State::Active;
                self.active.insert((waiting.rank, key.clone()));
            } else if let State::Parked { hopes, .. } = waiting.state
                && hopes.include(change)
            {
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
                State::BackingOff { until } | State::Woken { not_before: until } => {
                    if until <= now {
                        due.push(key.clone());
                        continue;
                    }
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
        queue.park(&key("a"), Hopes::default(), start);
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
        queue.changed(&Change::Nodes);
        assert_eq!(queue.wake(start), Some(start + BACKOFF_START));
        assert_eq!(queue.pending(), waiting(0, 1));
        assert_eq!(queue.wake(start + BACKOFF_START), None);
        assert_eq!(popped(&mut queue).as_deref(), Some("a"));
    }

    #[test]
    fn a_change_wakes_those_who_hope_for_it() {
        let none = Hopes::default();
        let hopes = [
            ("nodes", none),
            ("room", Hopes { room: true, ..none }),
            (
                "near",
                Hopes {
                    placement: true,
                    ..none
                },
            ),
            (
                "volume",
                Hopes {
                    volumes: true,
                    ..none
                },
            ),
        ];
        for (change, woken) in [
            (Change::Nodes, &["near", "nodes", "room", "volume"][..]),
            (Change::Room, &["near", "room"]),
            (Change::Placement, &["near"]),
            (Change::Volumes, &["volume"]),
        ] {
            let mut queue = Queue::default();
            let start = Instant::now();
            for (name, hopes) in hopes {
                queue.put(key(name), pod(0));
                assert!(queue.pop().is_some());
                queue.park(&key(name), hopes, start);
            }
            queue.changed(&change);
            queue.wake(start + BACKOFF_START);
            let mut names: Vec<_> = std::iter::from_fn(|| popped(&mut queue)).collect();
            names.sort_unstable();
            assert_eq!(names, woken, "{change:?}");
        }
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
        queue.park(&key("a"), Hopes::default(), Instant::now());
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
