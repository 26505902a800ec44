//! The loop: takes what the watches bring, tries what waits, lets many bindings be under way.

mod room;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::watcher;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::bind::{self, Binding, Bound, Sending, Unplaced};
use crate::decide::{FitError, decide};
use crate::events::Events;
use crate::filter::Candidate;
use crate::metrics::{Attempt, SchedulerMetrics};
use crate::pod::{BoundPod, Phase, PodKey, phase};
use crate::queue::{self, Hopes, Queue};
use crate::snapshot::{Change, Snapshot};
use crate::volumes::has_claims;
use crate::watches::{self, KINDS_BESIDE, News, watch};

/// Bindings whose requests are under way at once; more would only queue in the server. Those that wait for volumes do not count.
const MAX_BINDINGS: usize = 64;

/// How the scheduler goes about it.
#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    /// Pods with this `spec.schedulerName` are ours.
    pub scheduler_name: String,
    /// Where attempts are counted.
    pub metrics: SchedulerMetrics,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            scheduler_name: "default-scheduler".to_string(),
            metrics: SchedulerMetrics::default(),
        }
    }
}

/// Assigns pending pods to nodes until it is told to stop.
pub struct Scheduler {
    client: kube::Client,
    config: SchedulerConfig,
}

/// A pod as it was when its binding was sent.
struct Assumed {
    uid: Option<String>,
    sending: Sending,
    binding: AbortHandle,
}

struct State {
    client: kube::Client,
    config: SchedulerConfig,
    snapshot: Snapshot,
    queue: Queue,
    events: Events,
    bindings: JoinSet<(Binding, Bound)>,
    places: Arc<Semaphore>,
    /// The place of the next binding.
    place: Option<OwnedSemaphorePermit>,
    notes: JoinSet<()>,
    /// Pods as they were when their binding was sent: the watch still shows them pending for a moment.
    assumed: HashMap<PodKey, Assumed>,
    evictions: JoinSet<(PodKey, Result<(), kube::Error>)>,
    /// For whom room is being made by requests under way.
    preempting: HashSet<PodKey>,
    listed_pods: HashSet<PodKey>,
    listed_nodes: HashSet<String>,
    synced: (bool, bool),
    /// Which of the kinds beside pods and nodes are listed.
    listed_beside: [bool; KINDS_BESIDE],
    turn: usize,
}

impl Scheduler {
    /// A scheduler that speaks through `client`.
    pub fn new(client: kube::Client, config: SchedulerConfig) -> Self {
        Self { client, config }
    }

    /// Runs until `shutdown`; errors of the server are waited out.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut pods = watch::<Pod>(&self.client);
        let mut nodes = watch::<Node>(&self.client);
        let mut beside = watches::beside(&self.client);
        let (events, writer) = Events::new(self.client.clone());
        let mut writer = std::pin::pin!(writer);
        let mut state = State::new(self.client, self.config, events);
        loop {
            state.try_all();
            let next = state.queue.wake(Instant::now());
            state.config.metrics.pending(state.queue.pending());
            if state.has_work() && state.has_place() {
                continue;
            }
            let place = Arc::clone(&state.places).acquire_owned();
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(event) = pods.next() => state.pod_event(event),
                Some(event) = nodes.next() => state.node_event(event),
                Some(news) = beside.next() => state.beside(news),
                Some(tried) = state.bindings.join_next() => state.bound(tried),
                Some(_) = state.notes.join_next() => {}
                Some(ended) = state.evictions.join_next() => state.evicted(ended),
                Ok(place) = place, if state.has_work() => state.place = Some(place),
                () = &mut writer => break,
                () = sleep_until(next) => {}
            }
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

impl State {
    fn new(client: kube::Client, config: SchedulerConfig, events: Events) -> Self {
        Self {
            client,
            config,
            snapshot: Snapshot::default(),
            queue: Queue::default(),
            events,
            bindings: JoinSet::new(),
            places: Arc::new(Semaphore::new(MAX_BINDINGS)),
            place: None,
            notes: JoinSet::new(),
            assumed: HashMap::new(),
            evictions: JoinSet::new(),
            preempting: HashSet::new(),
            listed_pods: HashSet::new(),
            listed_nodes: HashSet::new(),
            synced: (false, false),
            listed_beside: [false; KINDS_BESIDE],
            turn: 0,
        }
    }

    fn has_work(&self) -> bool {
        self.listed() && self.queue.has_active()
    }

    /// Nothing is placed before all lists are known, or a full node would look empty.
    fn listed(&self) -> bool {
        self.synced == (true, true) && self.listed_beside == [true; KINDS_BESIDE]
    }

    fn has_place(&mut self) -> bool {
        if self.place.is_none() {
            self.place = Arc::clone(&self.places).try_acquire_owned().ok();
        }
        self.place.is_some()
    }

    fn try_all(&mut self) {
        while self.has_work() && self.has_place() {
            let (Some((key, pod)), Some(place)) = (self.queue.pop(), self.place.take()) else {
                return;
            };
            self.try_one(key, pod, place);
        }
    }

    fn try_one(&mut self, key: PodKey, pod: Arc<Pod>, place: OwnedSemaphorePermit) {
        self.turn = self.turn.wrapping_add(1);
        let started = Instant::now();
        let decided = match Candidate::new(&pod, &self.snapshot) {
            Ok(candidate) => decide(&candidate, &self.snapshot, self.turn)
                .map(|node| (node, candidate.needs.waiting()))
                .map_err(|error| (self.room_for(Some(&candidate), &pod, &error), error)),
            Err(reason) => {
                let error = FitError::everywhere(&self.snapshot, reason);
                Err((self.room_for(None, &pod, &error), error))
            }
        };
        self.config.metrics.decided(started);
        match decided {
            Ok((node, claims)) => {
                let bound = BoundPod::on(node.clone(), &pod);
                self.snapshot.nominated.remove(&key);
                self.pod_bound(key.clone(), bound);
                let (own, uid) = (key.clone(), pod.metadata.uid.clone());
                let volumes = &mut self.snapshot.volumes;
                let claims = claims
                    .into_iter()
                    .map(|claim| volumes.await_bound(claim, &node));
                let sending = Sending::default();
                let binding = Binding {
                    sending: sending.clone(),
                    claims: claims.collect(),
                    attempts: self.queue.attempts(&key),
                    key,
                    pod,
                    node,
                    started,
                };
                let (client, places) = (self.client.clone(), Arc::clone(&self.places));
                let binding = self.bindings.spawn(binding.run(client, place, places));
                let assumed = Assumed {
                    uid,
                    sending,
                    binding,
                };
                self.assumed.insert(own, assumed);
            }
            Err((room, mut error)) => {
                self.place = Some(place);
                self.attempted(Attempt::Unschedulable, started);
                let hopes = Hopes {
                    room: !error.resolvable.is_empty(),
                    placement: error.by_placement,
                    volumes: has_claims(&pod),
                };
                self.queue.park(&key, hopes, Instant::now());
                let nominated = self.take_room(&key, &pod, room, &mut error);
                let why = Unplaced {
                    reason: "Unschedulable",
                    message: error.to_string(),
                    nominated,
                };
                self.say_unplaced(pod, why);
            }
        }
    }

    /// Says why a pod has no node, in an event and in its status.
    fn say_unplaced(&mut self, pod: Arc<Pod>, why: Unplaced) {
        self.events.failed(&pod, &why.message);
        let client = self.client.clone();
        self.notes.spawn(async move {
            if let Err(error) = bind::note_unplaced(&client, &pod, &why).await {
                let key = PodKey::of(&pod);
                tracing::warn!(%key, %error, "cannot note why a pod has no node");
            }
        });
    }

    fn attempted(&self, attempt: Attempt, started: Instant) {
        let SchedulerConfig {
            metrics,
            scheduler_name,
        } = &self.config;
        metrics.attempted(attempt, scheduler_name, started);
    }

    fn bound(&mut self, ended: Result<(Binding, Bound), tokio::task::JoinError>) {
        // It was turned back. A binding task has nothing in it that panics; if one did, its pod is found again by the next list.
        let Ok((binding, bound)) = ended else {
            self.queue.changed(&queue::Change::Volumes);
            return;
        };
        let Binding {
            key, pod, started, ..
        } = binding;
        // Otherwise the pod is gone or known to be bound, and what is in the books under its name is not about this binding.
        let is_newest = self.assumes(&key, &pod);
        match bound {
            Bound::Done => {
                self.attempted(Attempt::Scheduled, started);
                self.config.metrics.placed(binding.attempts);
                self.events.scheduled(&pod, &binding.node);
                if is_newest {
                    self.queue.remove(&key);
                }
            }
            Bound::Superseded if is_newest => self.give_up(&key),
            Bound::Superseded => {}
            Bound::Failed(error) => {
                self.attempted(Attempt::Error, started);
                tracing::warn!(%key, %error, "binding failed; it is tried again");
                if !binding.claims.is_empty() {
                    // Its claims bind nobody to its node any more.
                    self.queue.changed(&queue::Change::Volumes);
                }
                if is_newest {
                    self.give_up(&key);
                    let pod = self.queue.get(&key).map_or(pod, Arc::clone);
                    let why = Unplaced {
                        reason: "SchedulerError",
                        message: error,
                        nominated: Some(String::new()),
                    };
                    self.say_unplaced(pod, why);
                }
            }
        }
    }

    /// Whether a binding of the pod, and not of another of that name, was sent.
    fn assumes(&self, key: &PodKey, pod: &Pod) -> bool {
        let assumed = self.assumed.get(key);
        assumed.is_some_and(|assumed| assumed.uid == pod.metadata.uid)
    }

    /// The pod is not on the node it was thought to be on: it is tried again, and others may have the room.
    fn give_up(&mut self, key: &PodKey) {
        self.assumed.remove(key);
        self.snapshot.pod_gone(key);
        self.queue.changed(&queue::Change::Room);
        self.queue.put_off(key, Instant::now());
    }

    fn pod_event(&mut self, event: watcher::Result<watcher::Event<Pod>>) {
        match event {
            Ok(watcher::Event::Apply(pod)) => self.pod_applied(pod),
            Ok(watcher::Event::Delete(pod)) => {
                let key = PodKey::of(&pod);
                self.assumed.remove(&key);
                self.waits_no_more(&key);
                if self.snapshot.pod_gone(&key) {
                    self.queue.changed(&queue::Change::Room);
                }
            }
            Ok(watcher::Event::Init) => self.listed_pods.clear(),
            Ok(watcher::Event::InitApply(pod)) => {
                self.listed_pods.insert(PodKey::of(&pod));
                self.pod_applied(pod);
            }
            Ok(watcher::Event::InitDone) => {
                let listed = std::mem::take(&mut self.listed_pods);
                self.queue.retain(&listed);
                self.snapshot.retain_pods(&listed);
                let nominated = self.snapshot.nominated.keys();
                let gone = nominated.filter(|key| !listed.contains(*key)).cloned();
                for key in gone.collect::<Vec<_>>() {
                    self.waits_no_more(&key);
                }
                self.assumed.retain(|key, _| listed.contains(key));
                self.queue.changed(&queue::Change::Room);
                self.synced.0 = true;
            }
            Err(error) => tracing::debug!(%error, "watching pods"),
        }
    }

    fn pod_applied(&mut self, pod: Pod) {
        let key = PodKey::of(&pod);
        match phase(&pod, &self.config.scheduler_name) {
            Phase::Bound(bound) => {
                self.assumed.remove(&key);
                self.waits_no_more(&key);
                self.pod_bound(key, *bound);
            }
            Phase::Pending => {
                // An old sight of a pod whose binding is under way, unless it is another pod of that name.
                let ours = self.assumes(&key, &pod);
                if !ours && self.assumed.remove(&key).is_some() {
                    self.snapshot.pod_gone(&key);
                    self.queue.remove(&key);
                    self.queue.changed(&queue::Change::Room);
                }
                if !ours {
                    self.nominated(&key, &pod);
                }
                // Its newest state is what is tried if the binding fails. One that is bound is in no queue.
                if !ours || self.queue.get(&key).is_some() {
                    self.queue.put(key, Arc::new(pod));
                }
            }
            Phase::NotOurs => {
                self.assumed.remove(&key);
                self.waits_no_more(&key);
                if self.snapshot.pod_gone(&key) {
                    self.queue.changed(&queue::Change::Room);
                }
            }
        }
    }

    fn pod_bound(&mut self, key: PodKey, pod: BoundPod) {
        match self.snapshot.pod_bound(key, pod) {
            Change::None => {}
            Change::Came => self.queue.changed(&queue::Change::Placement),
            Change::Freed => self.queue.changed(&queue::Change::Room),
        }
    }

    fn beside(&mut self, news: News) {
        if let Some(listed) = self.listed_beside.get_mut(news.kind) {
            *listed |= news.listed;
        }
        if let Some(change) = (news.take)(&mut self.snapshot) {
            self.queue.changed(&change);
        }
    }

    fn node_event(&mut self, event: watcher::Result<watcher::Event<Node>>) {
        match event {
            Ok(watcher::Event::Apply(node)) => {
                if self.snapshot.node_applied(&node) {
                    self.queue.changed(&queue::Change::Nodes);
                }
            }
            Ok(watcher::Event::Delete(node)) => {
                self.snapshot
                    .node_deleted(node.metadata.name.as_deref().unwrap_or_default());
                // Without it, the others may be even.
                self.queue.changed(&queue::Change::Nodes);
            }
            Ok(watcher::Event::Init) => self.listed_nodes.clear(),
            Ok(watcher::Event::InitApply(node)) => {
                self.listed_nodes
                    .insert(node.metadata.name.clone().unwrap_or_default());
                self.snapshot.node_applied(&node);
            }
            Ok(watcher::Event::InitDone) => {
                let listed = std::mem::take(&mut self.listed_nodes);
                self.snapshot.retain_nodes(&listed);
                self.queue.changed(&queue::Change::Nodes);
                self.synced.1 = true;
            }
            Err(error) => tracing::debug!(%error, "watching nodes"),
        }
    }
}

#[cfg(test)]
mod tests;
