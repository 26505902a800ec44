//! Events about what a controller does.

use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// Says what happens to objects; what cannot be said is only logged.
pub(crate) struct Teller {
    recorder: Recorder,
}

impl Teller {
    /// `reporter` is who says it, under upstream's name.
    pub(crate) fn new(client: kube::Client, reporter: &str) -> Self {
        let reporter = Reporter {
            controller: reporter.into(),
            instance: None,
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    pub(crate) async fn tell(
        &self,
        object: &impl Resource<DynamicType = ()>,
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
        let regarding = object.object_ref(&());
        if let Err(error) = self.recorder.publish(&event, &regarding).await {
            tracing::debug!(%error, reason, "an event was not written");
        }
    }
}
