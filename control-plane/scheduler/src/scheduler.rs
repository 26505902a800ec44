//! The loop: takes what the watches bring, tries what waits, lets many bindings be under way.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::Api;
use kube::runtime::watcher::{self, watcher};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bind::{self, Bound};
use crate::decide::{FitError, decide};
use crate::events::Events;
use crate::filter::Candidate;
use crate::metrics::{Attempt, SchedulerMetrics};
use crate::pod::{BoundPod, Phase, PodKey, host_ports, phase};
use crate::queue::Queue;
use crate::snapshot::Snapshot;
use crate::volumes::{VolumeTable, bind_claims};

/// Bindings under way at once; more would only queue in the server.
const MAX_BINDINGS: usize = 64;

/// Kinds of storage objects, as bits.
const CLAIMS: u8 = 1;
const VOLUMES: u8 = 2;
const CLASSES: u8 = 4;

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

type Watch<K> = Pin<Box<dyn Stream<Item = watcher::Result<watcher::Event<K>>> + Send>>;

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
    /// The kinds that are not listed yet.
    storage_unlisted: u8,
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
        let mut claims = watch::<PersistentVolumeClaim>(&self.client);
        let mut volumes = watch::<PersistentVolume>(&self.client);
        let mut classes = watch::<StorageClass>(&self.client);
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
                Some(event) = claims.next() => state.storage_event(event, CLAIMS, VolumeTable::claim_event),
                Some(event) = volumes.next() => state.storage_event(event, VOLUMES, VolumeTable::volume_event),
                Some(event) = classes.next() => state.storage_event(event, CLASSES, VolumeTable::class_event),
                Some(tried) = state.bindings.join_next() => state.bound(tried),
                Some(_) = state.notes.join_next() => {}
                () = &mut writer => break,
                () = sleep_until(next) => {}
            }
        }
    }
}

fn watch<K>(client: &kube::Client) -> Watch<K>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug
        + Send
        + 'static,
{
    use kube::runtime::WatchStreamExt;
    let api: Api<K> = Api::all(client.clone());
    watcher(api, watcher::Config::default().streaming_lists())
        .default_backoff()
        .boxed()
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
            storage_unlisted: CLAIMS | VOLUMES | CLASSES,
            turn: 0,
        }
    }

    fn has_work(&self) -> bool {
        self.ready() && self.queue.has_active()
    }

    /// Nothing is placed before both lists are known, or a full node would look empty.
    fn ready(&self) -> bool {
        let listed = self.synced == (true, true) && self.storage_unlisted == 0;
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
        let candidate = Candidate::with_volumes(&pod, &self.snapshot.volumes);
        self.turn = self.turn.wrapping_add(1);
        let started = Instant::now();
        let decided = match candidate {
            Ok(candidate) => decide(&candidate, &self.snapshot, self.turn)
                .map(|node| (node, candidate.weight, candidate.needs.waiting())),
            Err(reason) => Err(FitError::everywhere(&self.snapshot, reason)),
        };
        self.config.metrics.decided(started);
        match decided {
            Ok((node, weight, claims)) => {
                let bound = BoundPod {
                    node: node.clone(),
                    weight,
                    host_ports: host_ports(&pod),
                };
                self.snapshot.pod_bound(key.clone(), bound);
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
                self.queue.park(&key, Instant::now());
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
                self.snapshot.pod_bound(key, bound);
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

    fn storage_event<K>(
        &mut self,
        event: watcher::Result<watcher::Event<K>>,
        kind: u8,
        take: fn(&mut VolumeTable, watcher::Event<K>) -> bool,
    ) {
        match event {
            Ok(event) => {
                if matches!(event, watcher::Event::InitDone) {
                    self.storage_unlisted &= !kind;
                }
                if take(&mut self.snapshot.volumes, event) {
                    self.queue.cluster_changed();
                }
            }
            Err(error) => tracing::debug!(%error, "watching storage"),
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
