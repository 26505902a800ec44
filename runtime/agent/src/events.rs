//! Events about pods and the node, sent beside the work and never in its way.
//!
//! Recording does not wait: a bounded queue feeds one sender, which counts repeats, folds similar
//! ones and keeps to a rate, as client-go's recorder does. What does not fit is dropped.

mod correlate;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::agent::in_time;
use crate::limits::{EVENT_MESSAGE_MAX, EVENT_QUEUE, EVENT_RATE};
use crate::plan::{Note, field_path};
use correlate::{Bucket, Correlator, Decision};

/// Who reports, in the words `kubectl describe` shows.
const COMPONENT: &str = "kubelet";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Severity {
    Normal,
    Warning,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    pub(crate) object: ObjectReference,
    pub(crate) severity: Severity,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) at: Timestamp,
}

/// Takes events from anywhere. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<Happening>,
}

/// The other end of the queue.
pub(crate) struct Sender {
    queue: mpsc::Receiver<Happening>,
    client: kube::Client,
    node: String,
}

/// Makes both ends.
pub(crate) fn recorder(client: kube::Client, node: &str) -> (Recorder, Sender) {
    let (queue, receiver) = mpsc::channel(EVENT_QUEUE);
    let sender = Sender {
        queue: receiver,
        client,
        node: node.to_owned(),
    };
    (Recorder { queue }, sender)
}

impl Recorder {
    pub(crate) fn record(
        &self,
        object: ObjectReference,
        severity: Severity,
        reason: &str,
        message: &str,
    ) {
        let happening = Happening {
            object,
            severity,
            reason: reason.to_owned(),
            message: cut(message, EVENT_MESSAGE_MAX).to_owned(),
            at: Timestamp::now(),
        };
        if self.queue.try_send(happening).is_err() {
            tracing::debug!(reason, "event dropped: the queue is full or closed");
        }
    }

    /// A recorder for one pod.
    pub(crate) fn of(&self, pod: Arc<Pod>) -> PodRecorder {
        PodRecorder {
            recorder: self.clone(),
            pod,
        }
    }
}

/// Records events of one pod and its containers.
#[derive(Clone)]
pub(crate) struct PodRecorder {
    recorder: Recorder,
    pod: Arc<Pod>,
}

impl PodRecorder {
    pub(crate) fn pod(&self, severity: Severity, reason: &str, message: &str) {
        self.record(severity, reason, message, None);
    }

    pub(crate) fn container(&self, name: &str, severity: Severity, reason: &str, message: &str) {
        self.record(severity, reason, message, Some(field_path(&self.pod, name)));
    }

    pub(crate) fn note(&self, note: &Note) {
        let severity = if note.warning {
            Severity::Warning
        } else {
            Severity::Normal
        };
        let path = (!note.field_path.is_empty()).then(|| note.field_path.clone());
        self.record(severity, note.reason, &note.message, path);
    }

    fn record(&self, severity: Severity, reason: &str, message: &str, path: Option<String>) {
        let metadata = &self.pod.metadata;
        let object = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            name: metadata.name.clone(),
            namespace: metadata.namespace.clone(),
            uid: metadata.uid.clone(),
            resource_version: metadata.resource_version.clone(),
            field_path: path,
        };
        self.recorder.record(object, severity, reason, message);
    }
}

/// The longest start of `text` of at most `max` bytes that ends between characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl Sender {
    /// Sends until shutdown. Events still queued then are dropped.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut correlator = Correlator::default();
        let mut bucket = Bucket::new(EVENT_RATE.1, EVENT_RATE.0, Timestamp::now());
        loop {
            let happening = tokio::select! {
                happening = self.queue.recv() => happening,
                () = shutdown.cancelled() => None,
            };
            let Some(happening) = happening else { return };
            let Some(decision) = correlator.observe(happening, Timestamp::now()) else {
                continue;
            };
            while !bucket.take(Timestamp::now()) {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(20)) => {}
                    () = shutdown.cancelled() => return,
                }
            }
            if let Err(error) = self.send(&mut correlator, &decision).await {
                tracing::debug!(%error, "event not recorded");
            }
        }
    }

    async fn send(
        &self,
        correlator: &mut Correlator,
        decision: &Decision,
    ) -> Result<(), kube::Error> {
        let namespace = decision
            .happening
            .object
            .namespace
            .as_deref()
            .unwrap_or("default");
        let events = Api::<Event>::namespaced(self.client.clone(), namespace);
        if let Some(name) = &decision.name {
            let patch = json!({
                "count": decision.count,
                "lastTimestamp": Time(decision.happening.at),
                "message": decision.happening.message,
            });
            let params = PatchParams::default();
            match in_time(events.patch(name, &params, &Patch::Strategic(patch))).await {
                // It expired meanwhile: written anew below.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => return other.map(|_| ()),
            }
        }
        let event = self.event(decision);
        let name = event.metadata.name.clone().unwrap_or_default();
        match in_time(events.create(&PostParams::default(), &event)).await {
            Ok(_) => {
                correlator.sent(&decision.happening, name);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn event(&self, decision: &Decision) -> Event {
        let happening = &decision.happening;
        let object = &happening.object;
        let named = object.name.as_deref().unwrap_or_default();
        let nanos = happening.at.as_nanosecond();
        let name = format!("{}.{nanos:x}{:04x}", cut(named, 220), rand::random::<u16>());
        Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(object.namespace.clone().unwrap_or_else(|| "default".into())),
                ..ObjectMeta::default()
            },
            involved_object: object.clone(),
            reason: Some(happening.reason.clone()),
            message: Some(happening.message.clone()),
            source: Some(EventSource {
                component: Some(COMPONENT.into()),
                host: Some(self.node.clone()),
            }),
            first_timestamp: Some(Time(decision.first)),
            last_timestamp: Some(Time(happening.at)),
            count: Some(decision.count),
            type_: Some(happening.severity.word().into()),
            reporting_component: Some(COMPONENT.into()),
            reporting_instance: Some(self.node.clone()),
            ..Event::default()
        }
    }
}
