//! The scheduler's events: `Scheduled`, `FailedScheduling` and `Preempted`.
//!
//! Written by one task from a bounded queue, so that no pod waits for its event; when the queue is full, events are dropped.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;

use crate::evict::Victim;
use crate::pod::PodKey;

/// Events that may wait to be written.
const QUEUED: usize = 4096;
/// Unschedulable pods whose event is remembered, to count repetitions.
const REMEMBERED: usize = 4096;

const CONTROLLER: &str = "default-scheduler";

#[derive(Debug)]
struct News {
    pod: ObjectReference,
    related: Option<ObjectReference>,
    reason: &'static str,
    action: &'static str,
    warning: bool,
    note: String,
}

/// Takes events without waiting.
#[derive(Debug, Clone)]
pub(crate) struct Events(mpsc::Sender<News>);

impl Events {
    /// The handle, and the task that writes.
    pub(crate) fn new(client: kube::Client) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(QUEUED);
        (Self(sender), write(client, receiver))
    }

    pub(crate) fn scheduled(&self, pod: &Pod, node: &str) {
        let name = PodKey::of(pod);
        self.send(News {
            pod: reference(pod),
            related: None,
            reason: "Scheduled",
            action: "Binding",
            warning: false,
            note: format!("Successfully assigned {name} to {node}"),
        });
    }

    pub(crate) fn failed(&self, pod: &Pod, message: &str) {
        self.send(News {
            pod: reference(pod),
            related: None,
            reason: "FailedScheduling",
            action: "Scheduling",
            warning: true,
            note: truncated(message),
        });
    }

    pub(crate) fn preempted(&self, victim: &Victim, preemptor: &Pod, note: String) {
        let pod = ObjectReference {
            api_version: Some("v1".to_string()),
            kind: Some("Pod".to_string()),
            name: Some(victim.key.name.clone()),
            namespace: Some(victim.key.namespace.clone()),
            uid: victim.uid.clone(),
            ..ObjectReference::default()
        };
        self.send(News {
            pod,
            related: Some(reference(preemptor)),
            reason: "Preempted",
            action: "Preempting",
            warning: false,
            note,
        });
    }

    fn send(&self, news: News) {
        // Events are news, not state: losing some under load is upstream's bargain too.
        let _ = self.0.try_send(news);
    }
}

fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_string()),
        kind: Some("Pod".to_string()),
        name: pod.metadata.name.clone(),
        namespace: pod.metadata.namespace.clone(),
        uid: pod.metadata.uid.clone(),
        resource_version: pod.metadata.resource_version.clone(),
        field_path: None,
    }
}

/// The server takes no longer notes.
fn truncated(note: &str) -> String {
    const MOST: usize = 1024;
    const END: &str = " ...";
    if note.len() <= MOST {
        return note.to_string();
    }
    let fits = note.floor_char_boundary(MOST - END.len());
    format!("{}{END}", &note[..fits])
}

struct Written {
    name: String,
    note: String,
    count: i32,
}

async fn write(client: kube::Client, mut receiver: mpsc::Receiver<News>) {
    let mut written: HashMap<String, Written> = HashMap::new();
    while let Some(news) = receiver.recv().await {
        let namespace = news.pod.namespace.clone().unwrap_or_default();
        let uid = news.pod.uid.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        let result = match written
            .get_mut(&uid)
            .filter(|written| written.note == news.note)
        {
            Some(written) if news.warning => repeat(&api, written).await,
            _ => create(&api, &news).await.map(|name| {
                if news.warning && written.len() < REMEMBERED {
                    written.insert(
                        uid,
                        Written {
                            name,
                            note: news.note.clone(),
                            count: 1,
                        },
                    );
                } else {
                    written.remove(&uid);
                }
            }),
        };
        if let Err(error) = result {
            tracing::debug!(%error, reason = news.reason, "writing an event");
        }
    }
}

async fn create(api: &Api<Event>, news: &News) -> Result<String, kube::Error> {
    let now = jiff::Timestamp::now();
    let pod = news.pod.name.clone().unwrap_or_default();
    let name = format!("{pod}.{:x}", now.as_nanosecond());
    let event = Event {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: news.pod.namespace.clone(),
            ..ObjectMeta::default()
        },
        action: Some(news.action.to_string()),
        event_time: Some(MicroTime(now)),
        note: Some(news.note.clone()),
        reason: Some(news.reason.to_string()),
        regarding: Some(news.pod.clone()),
        related: news.related.clone(),
        reporting_controller: Some(CONTROLLER.to_string()),
        reporting_instance: Some(CONTROLLER.to_string()),
        type_: Some(if news.warning { "Warning" } else { "Normal" }.to_string()),
        ..Event::default()
    };
    api.create(&PostParams::default(), &event).await?;
    Ok(name)
}

async fn repeat(api: &Api<Event>, written: &mut Written) -> Result<(), kube::Error> {
    written.count += 1;
    let last_observed_time = MicroTime(jiff::Timestamp::now());
    let series = EventSeries {
        count: written.count,
        last_observed_time,
    };
    let patch = Patch::Merge(json!({"series": series}));
    api.patch(&written.name, &PatchParams::default(), &patch)
        .await
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_notes_are_cut() {
        assert_eq!(truncated("short"), "short");
        let long = "é".repeat(1000);
        let cut = truncated(&long);
        assert!(cut.len() <= 1024 && cut.ends_with("é ..."), "{cut}");
    }
}
