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
use crate::plan::Backoff;
use crate::worker::{self, Inbox, Shared};

/// Distributes pods and events to workers until shutdown.
pub(crate) async fn run(shared: Arc<Shared>, inventory: Inventory, shutdown: CancellationToken) {
    let mut source = Source {
        workers: HashMap::new(),
        tasks: JoinSet::new(),
        owners: HashMap::new(),
        listed: None,
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
    /// UIDs seen since the last list began.
    listed: Option<HashSet<String>>,
    /// What the runtime had at start, until the first list is complete.
    inventory: Option<Inventory>,
    shared: Arc<Shared>,
}

impl Source {
    fn pod_event(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => self.listed = Some(HashSet::new()),
            Event::InitApply(pod) | Event::Apply(pod) => {
                let Some(uid) = pod.metadata.uid.clone() else {
                    return;
                };
                if let Some(listed) = &mut self.listed {
                    listed.insert(uid.clone());
                }
                self.pod(uid, slim(pod));
            }
            Event::Delete(pod) => {
                if let Some(inbox) = pod
                    .metadata
                    .uid
                    .as_ref()
                    .and_then(|uid| self.workers.get(uid))
                {
                    inbox.gone(Some(slim(pod)));
                }
            }
            Event::InitDone => self.list_complete(),
        }
    }

    fn pod(&mut self, uid: String, pod: Arc<Pod>) {
        if let Some(inbox) = self.workers.get(&uid) {
            inbox.pod(pod);
            return;
        }
        let found = self
            .inventory
            .as_mut()
            .and_then(|found| found.pods.remove(&uid))
            .unwrap_or_default();
        let inbox = Arc::new(Inbox::default());
        self.workers.insert(uid.clone(), inbox.clone());
        let task = self
            .tasks
            .spawn(worker::run(self.shared.clone(), pod, found, inbox));
        self.owners.insert(task.id(), uid);
    }

    fn list_complete(&mut self) {
        let Some(listed) = self.listed.take() else {
            return;
        };
        for (uid, inbox) in &self.workers {
            if !listed.contains(uid) {
                inbox.gone(None);
            }
        }
        if let Some(inventory) = self.inventory.take() {
            let orphans = housekeeping::orphans(&self.shared, &inventory, &listed);
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
    /// gets it another.
    fn task_ended(&mut self, ended: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => {
                tracing::error!(%error, "a task of the agent panicked");
                error.id()
            }
        };
        if let Some(uid) = self.owners.remove(&id) {
            self.workers.remove(&uid);
        }
    }
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
