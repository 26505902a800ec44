//! Which pods belong here: a watch of the pods bound to this node, and the runtime's container
//! events. Both are passed on to one worker per pod.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use sampan_proto::v1;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cri::{Inventory, names};
use crate::housekeeping;
use crate::limits::API_RETRY;
use crate::plan::{Backoff, Resize};
use crate::room::Shortage;
use crate::worker::{self, Arrival, Inbox, Shared};

/// Distributes pods and events to workers until shutdown.
pub(crate) async fn run(shared: Arc<Shared>, inventory: Inventory, shutdown: CancellationToken) {
    let mut source = Source {
        workers: HashMap::new(),
        tasks: JoinSet::new(),
        owners: HashMap::new(),
        list: None,
        inventory: Some(inventory),
        shared: shared.clone(),
    };
    let api: Api<Pod> = Api::all(shared.client.clone());
    let config = watcher::Config::default().fields(&format!("spec.nodeName={}", shared.facts.name));
    let mut pods = std::pin::pin!(watcher::watcher(api, config).default_backoff());
    let (tell, mut events) = mpsc::channel(EVENT_BATCHES);
    source.tasks.spawn(container_events(shared.clone(), tell));
    loop {
        tokio::select! {
            event = pods.next() => match event {
                Some(Ok(event)) => source.pod_event(event),
                Some(Err(error)) => {
                    tracing::warn!(%error, "watch of this node's pods failed; trying again");
                }
                None => return,
            },
            Some(event) = events.recv() => source.container_event(event),
            Some(ended) = source.tasks.join_next_with_id() => source.task_ended(ended),
            () = shutdown.cancelled() => return,
        }
    }
}

/// Container events waiting to be passed on.
const EVENT_BATCHES: usize = 1_024;

enum FromRuntime {
    Container {
        id: String,
        pod_uid: Option<String>,
    },
    /// Events may have been missed.
    Gap,
}

/// Follows the runtime's events; opens the stream again when it ends.
async fn container_events(shared: Arc<Shared>, tell: mpsc::Sender<FromRuntime>) {
    let mut retry = Backoff::default();
    loop {
        match shared
            .runtime
            .get_container_events(v1::GetEventsRequest::default())
            .await
        {
            Ok(mut stream) => {
                retry.reset();
                // What happened before the stream was open has to be looked up.
                if tell.send(FromRuntime::Gap).await.is_err() {
                    return;
                }
                while let Some(event) = stream.next().await {
                    // A start is known from the call that made it.
                    if matches!(
                        event.container_event_type(),
                        v1::ContainerEventType::ContainerCreatedEvent
                            | v1::ContainerEventType::ContainerStartedEvent
                    ) {
                        continue;
                    }
                    let pod_uid = event
                        .pod_sandbox_status
                        .as_ref()
                        .and_then(|status| status.metadata.as_ref())
                        .map(|metadata| metadata.uid.clone())
                        .or_else(|| {
                            let own =
                                |status: &&v1::ContainerStatus| status.id == event.container_id;
                            let status = event.containers_statuses.iter().find(own)?;
                            status.labels.get(names::POD_UID).cloned()
                        });
                    let event = FromRuntime::Container {
                        id: event.container_id,
                        pod_uid,
                    };
                    if tell.send(event).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "container events not available; trying again"),
        }
        retry.fail(jiff::Timestamp::now(), API_RETRY);
        tokio::time::sleep(retry.delay().max(Duration::from_millis(1))).await;
    }
}

struct Source {
    workers: HashMap<String, Arc<Inbox>>,
    tasks: JoinSet<()>,
    /// Whose worker a task is.
    owners: HashMap<tokio::task::Id, String>,
    /// The list that has begun and is not complete.
    list: Option<List>,
    /// What the runtime had at start, until the first list is complete.
    inventory: Option<Inventory>,
    shared: Arc<Shared>,
}

/// What a list has shown up to now.
#[derive(Default)]
struct List {
    uids: HashSet<String>,
    /// Those that have no worker. Who gets what of the node is decided when all are known.
    new: Vec<Arc<Pod>>,
}

impl Source {
    fn pod_event(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => self.list = Some(List::default()),
            Event::InitApply(pod) | Event::Apply(pod) => {
                let Some(uid) = pod.metadata.uid.clone() else {
                    return;
                };
                if let Some(list) = &mut self.list {
                    list.uids.insert(uid.clone());
                }
                self.pod(&uid, slim(pod));
            }
            Event::Delete(pod) => {
                let uid = pod.metadata.uid.clone().unwrap_or_default();
                if let Some(inbox) = self.workers.get(&uid) {
                    inbox.gone(Some(slim(pod)));
                }
                // The scheduler counts it no more, whether it has a worker or not.
                self.shared.room.release(&uid);
            }
            Event::InitDone => self.list_complete(),
        }
    }

    fn pod(&mut self, uid: &str, pod: Arc<Pod>) {
        match (self.workers.get(uid), &mut self.list) {
            (Some(inbox), _) => inbox.pod(pod),
            (None, Some(list)) => list.new.push(pod),
            (None, None) => self.take(vec![pod]),
        }
    }

    /// Begins with pods that have no worker. What those have that are here already is counted before any other is let in,
    /// and before any of them can ask for more.
    fn take(&mut self, pods: Vec<Arc<Pod>>) {
        let (here, mut new): (Vec<_>, Vec<_>) = pods.into_iter().partition(|pod| self.is_here(pod));
        for pod in &here {
            self.shared.room.hold(uid_of(pod), Resize::held(pod));
        }
        new.sort_by(|one, other| age(one).cmp(&age(other)));
        for pod in here {
            self.begin(pod, None);
        }
        for pod in new {
            let rejection = match asks_for_room(&pod) {
                true => self
                    .shared
                    .room
                    .admit(uid_of(&pod), Resize::held(&pod))
                    .err(),
                false => None,
            };
            self.begin(pod, rejection);
        }
    }

    /// Whether the pod was let in before: by this process, which has lost its worker, or by an earlier one. What that says
    /// of a pod first is when it began.
    fn is_here(&self, pod: &Pod) -> bool {
        let found = self.inventory.as_ref();
        let runs = found.and_then(|found| found.pods.get(uid_of(pod)));
        let runs = runs.is_some_and(|one| one.sandbox.is_some() || !one.containers.is_empty());
        let status = pod.status.as_ref();
        let begun = status.is_some_and(|status| status.start_time.is_some());
        !has_ended(pod) && (runs || begun || self.shared.room.holds(uid_of(pod)))
    }

    fn begin(&mut self, pod: Arc<Pod>, rejection: Option<Shortage>) {
        let uid = uid_of(&pod).to_owned();
        let found = self.inventory.as_mut();
        let found = found.and_then(|found| found.pods.remove(&uid));
        let arrival = Arrival {
            pod,
            found: found.unwrap_or_default(),
            rejection,
        };
        let inbox = Arc::new(Inbox::default());
        self.workers.insert(uid.clone(), inbox.clone());
        let worker = worker::run(self.shared.clone(), arrival, inbox);
        self.owners.insert(self.tasks.spawn(worker).id(), uid);
    }

    fn list_complete(&mut self) {
        let Some(list) = self.list.take() else {
            return;
        };
        for (uid, inbox) in &self.workers {
            if !list.uids.contains(uid) {
                inbox.gone(None);
            }
        }
        self.shared.room.keep(&list.uids);
        self.take(list.new);
        if let Some(inventory) = self.inventory.take() {
            let orphans = housekeeping::orphans(&self.shared, &inventory, &list.uids);
            self.tasks
                .spawn(housekeeping::remove(self.shared.clone(), orphans));
        }
    }

    fn container_event(&mut self, event: FromRuntime) {
        match event {
            FromRuntime::Container {
                id,
                pod_uid: Some(uid),
            } => {
                if let Some(inbox) = self.workers.get(&uid) {
                    inbox.touched(&id);
                }
            }
            FromRuntime::Container { id, pod_uid: None } => {
                // Only the worker that owns the container does something about it.
                for inbox in self.workers.values() {
                    inbox.touched(&id);
                }
            }
            FromRuntime::Gap => {
                for inbox in self.workers.values() {
                    inbox.look_at_all();
                }
            }
        }
    }

    /// A worker that ended is forgotten. One that panicked is a bug; the next change of its pod
    /// gets it another. Until then the pod keeps its room: its containers may run.
    fn task_ended(&mut self, ended: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let (id, panicked) = match &ended {
            Ok((id, ())) => (*id, false),
            Err(error) => {
                tracing::error!(%error, "a task of the agent panicked");
                (error.id(), true)
            }
        };
        let Some(uid) = self.owners.remove(&id) else {
            return;
        };
        let inbox = self.workers.remove(&uid);
        // A change that it was told while it went down is the next one.
        let unheard = inbox.filter(|_| panicked).map(|inbox| inbox.take());
        let unheard = unheard.filter(|news| !news.gone);
        if let Some(pod) = unheard.and_then(|news| news.pod) {
            self.pod(&uid, pod);
        }
    }
}

fn uid_of(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// The order in which new pods are let in.
fn age(pod: &Pod) -> (Option<jiff::Timestamp>, &str) {
    let created = pod.metadata.creation_timestamp.as_ref();
    (created.map(|time| time.0), uid_of(pod))
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether a new pod is to run at all.
fn asks_for_room(pod: &Pod) -> bool {
    !has_ended(pod) && pod.metadata.deletion_timestamp.is_none()
}

/// The parts of a pod that are kept in memory.
fn slim(mut pod: Pod) -> Arc<Pod> {
    pod.metadata.managed_fields = None;
    if let Some(annotations) = &mut pod.metadata.annotations {
        // kubectl's copy of the whole manifest: nobody here reads it.
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    Arc::new(pod)
}
