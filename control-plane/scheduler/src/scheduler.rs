//! The loop: takes what the watches bring, tries what waits, lets many bindings be under way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::watcher;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bind::{self, Bound};
use crate::decide::{FitError, decide};
use crate::events::Events;
use crate::filter::Candidate;
use crate::metrics::{Attempt, SchedulerMetrics};
use crate::pod::{BoundPod, Phase, PodKey, phase};
use crate::queue::Queue;
use crate::snapshot::{Change, Snapshot};
use crate::volumes::bind_claims;
use crate::watches::{self, KINDS_BESIDE, News, watch};

/// Bindings under way at once; more would only queue in the server.
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

struct Tried {
    key: PodKey,
    pod: Arc<Pod>,
    node: String,
    bound: Bound,
    started: Instant,
}

struct State {
    client: kube::Client,
    config: SchedulerConfig,
    snapshot: Snapshot,
    queue: Queue,
    events: Events,
    bindings: JoinSet<Tried>,
    notes: JoinSet<()>,
    /// Pods as they were when their binding was sent: the watch still shows them pending for a moment.
    assumed: HashMap<PodKey, Option<String>>,
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
            if state.has_work() {
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(event) = pods.next() => state.pod_event(event),
                Some(event) = nodes.next() => state.node_event(event),
                Some(news) = beside.next() => state.beside(news),
                Some(tried) = state.bindings.join_next() => state.bound(tried),
                Some(_) = state.notes.join_next() => {}
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
            notes: JoinSet::new(),
            assumed: HashMap::new(),
            listed_pods: HashSet::new(),
            listed_nodes: HashSet::new(),
            synced: (false, false),
            listed_beside: [false; KINDS_BESIDE],
            turn: 0,
        }
    }

    fn has_work(&self) -> bool {
        self.ready() && self.queue.has_active()
    }

    /// Nothing is placed before all lists are known, or a full node would look empty.
    fn ready(&self) -> bool {
        let listed = self.synced == (true, true) && self.listed_beside == [true; KINDS_BESIDE];
        listed && self.bindings.len() < MAX_BINDINGS
    }

    fn try_all(&mut self) {
        while self.ready() {
            let Some((key, pod)) = self.queue.pop() else {
                return;
            };
            self.try_one(key, pod);
        }
    }

    fn try_one(&mut self, key: PodKey, pod: Arc<Pod>) {
        self.turn = self.turn.wrapping_add(1);
        let started = Instant::now();
        let decided = match Candidate::new(&pod, &self.snapshot) {
            Ok(candidate) => decide(&candidate, &self.snapshot, self.turn)
                .map(|node| (node, candidate.needs.waiting())),
            Err(reason) => Err(FitError::everywhere(&self.snapshot, reason)),
        };
        self.config.metrics.decided(started);
        match decided {
            Ok((node, claims)) => {
                let bound = BoundPod::on(node.clone(), &pod);
                self.pod_bound(key.clone(), bound);
                self.assumed.insert(key.clone(), pod.metadata.uid.clone());
                let client = self.client.clone();
                self.bindings.spawn(async move {
                    let bound = match bind_claims(&client, &claims, &node).await {
                        Ok(()) => bind::bind(&client, &key, pod.metadata.uid.clone(), &node).await,
                        Err(error) => Bound::Failed(error.to_string()),
                    };
                    Tried {
                        key,
                        pod,
                        node,
                        bound,
                        started,
                    }
                });
            }
            Err(error) => {
                let message = error.to_string();
                self.attempted(Attempt::Unschedulable, started);
                match error.by_placement {
                    true => self.queue.park_by_placement(&key, Instant::now()),
                    false => self.queue.park(&key, Instant::now()),
                }
                self.events.failed(&pod, &message);
                let client = self.client.clone();
                self.notes.spawn(async move {
                    if let Err(error) = bind::note_unschedulable(&client, &pod, &message).await {
                        tracing::warn!(%key, %error, "cannot note that a pod is unschedulable");
                    }
                });
            }
        }
    }

    fn attempted(&self, attempt: Attempt, started: Instant) {
        let SchedulerConfig {
            metrics,
            scheduler_name,
        } = &self.config;
        metrics.attempted(attempt, scheduler_name, started);
    }

    fn bound(&mut self, tried: Result<Tried, tokio::task::JoinError>) {
        // A binding task has nothing in it that panics; if one did, its pod is found again by the next list.
        let Ok(Tried {
            key,
            pod,
            node,
            bound,
            started,
        }) = tried
        else {
            return;
        };
        match bound {
            Bound::Done => {
                self.attempted(Attempt::Scheduled, started);
                self.config.metrics.placed(self.queue.attempts(&key));
                self.queue.remove(&key);
                self.events.scheduled(&pod, &node);
            }
            Bound::Superseded => {
                self.assumed.remove(&key);
                self.snapshot.pod_gone(&key);
                self.queue.put_off(&key, Instant::now());
            }
            Bound::Failed(error) => {
                self.attempted(Attempt::Error, started);
                tracing::warn!(%key, %error, "binding failed; it is tried again");
                self.assumed.remove(&key);
                self.snapshot.pod_gone(&key);
                self.queue.put_off(&key, Instant::now());
            }
        }
    }

    fn pod_event(&mut self, event: watcher::Result<watcher::Event<Pod>>) {
        match event {
            Ok(watcher::Event::Apply(pod)) => self.pod_applied(pod),
            Ok(watcher::Event::Delete(pod)) => {
                let key = PodKey::of(&pod);
                self.queue.remove(&key);
                self.assumed.remove(&key);
                if self.snapshot.pod_gone(&key) {
                    self.queue.cluster_changed();
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
                self.assumed.retain(|key, _| listed.contains(key));
                self.queue.cluster_changed();
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
                self.queue.remove(&key);
                self.pod_bound(key, bound);
            }
            Phase::Pending => {
                // An old sight of a pod whose binding is under way, unless it is another pod of that name.
                let ours = self
                    .assumed
                    .get(&key)
                    .is_some_and(|uid| *uid == pod.metadata.uid);
                if !ours {
                    if self.assumed.remove(&key).is_some() {
                        self.snapshot.pod_gone(&key);
                        self.queue.remove(&key);
                    }
                    self.queue.put(key, Arc::new(pod));
                }
            }
            Phase::NotOurs => {
                self.assumed.remove(&key);
                self.queue.remove(&key);
                if self.snapshot.pod_gone(&key) {
                    self.queue.cluster_changed();
                }
            }
        }
    }

    fn pod_bound(&mut self, key: PodKey, pod: BoundPod) {
        match self.snapshot.pod_bound(key, pod) {
            Change::None => {}
            Change::Came => self.queue.pods_changed(),
            Change::Freed => self.queue.cluster_changed(),
        }
    }

    fn beside(&mut self, news: News) {
        if let Some(listed) = self.listed_beside.get_mut(news.kind) {
            *listed |= news.listed;
        }
        if (news.take)(&mut self.snapshot) {
            self.queue.cluster_changed();
        }
    }

    fn node_event(&mut self, event: watcher::Result<watcher::Event<Node>>) {
        match event {
            Ok(watcher::Event::Apply(node)) => {
                if self.snapshot.node_applied(&node) {
                    self.queue.cluster_changed();
                }
            }
            Ok(watcher::Event::Delete(node)) => {
                self.snapshot
                    .node_deleted(node.metadata.name.as_deref().unwrap_or_default());
                // Without it, the others may be even.
                self.queue.cluster_changed();
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
                self.queue.cluster_changed();
                self.synced.1 = true;
            }
            Err(error) => tracing::debug!(%error, "watching nodes"),
        }
    }
}
