//! Events of claims and volumes.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// Who says it, under upstream's name.
const REPORTER: &str = "persistentvolume-controller";

/// Says what happens to claims and volumes; what cannot be said is only logged.
pub(super) struct Teller {
    recorder: Recorder,
}

impl Teller {
    pub(super) fn new(client: kube::Client) -> Self {
        let reporter = Reporter {
            controller: REPORTER.into(),
            instance: None,
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    pub(super) async fn claim(
        &self,
        claim: &PersistentVolumeClaim,
        type_: EventType,
        reason: &str,
        note: String,
    ) {
        self.tell(claim.object_ref(&()), type_, reason, note).await;
    }

    pub(super) async fn volume(
        &self,
        volume: &PersistentVolume,
        type_: EventType,
        reason: &str,
        note: String,
    ) {
        self.tell(volume.object_ref(&()), type_, reason, note).await;
    }

    async fn tell(
        &self,
        regarding: k8s_openapi::api::core::v1::ObjectReference,
        type_: EventType,
        reason: &str,
        note: String,
    ) {
        let event = Event {
            type_,
            reason: reason.into(),
            note: Some(note),
            action: reason.into(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &regarding).await {
            tracing::debug!(%error, reason, "an event was not written");
        }
    }
}
