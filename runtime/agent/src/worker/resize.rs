//! Giving a pod other resources: asking for room on the node, and bringing its running containers there.

use futures::future::BoxFuture;
use jiff::Timestamp;
use sampan_proto::{Code, v1};

use super::{Done, Shared, Worker};
use crate::cri::resize_request;
use crate::events::Severity;
use crate::limits::API_RETRY;
use crate::plan::{Backoff, Intent, Limits, Outcome, resize_message};
use crate::room::Requests;

impl Worker {
    /// Leaves its room to others if the pod has ended. Before anybody hears of that, so that nothing which comes instead of
    /// it finds it taken.
    pub(super) fn leave_room(&self) {
        if self.has_ended() {
            self.shared.room.release(&self.uid);
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    /// Asks for room if the specification asks for other resources than the pod was given, and notices the end of a resize.
    pub(super) fn settle_resize(&mut self, intent: Intent) {
        if intent != Intent::Run || self.has_ended() {
            return;
        }
        if self.state.resize.is_asked(&self.pod) {
            self.ask_for_room();
        } else if self.state.resize.content() {
            self.shared.room.content(&self.uid);
        }
        if let Some(generation) = self.state.end_resize(&self.pod) {
            let begin = "Pod resize completed";
            let message = resize_message(begin, &self.pod, Some(generation), None);
            self.recorder
                .pod(Severity::Normal, "ResizeCompleted", &message);
        }
    }

    fn ask_for_room(&mut self) {
        let (pod, resize) = (&self.pod, &mut self.state.resize);
        let generation = pod.metadata.generation;
        let wanted = Requests::of(pod, |_| None);
        match self.shared.room.ask(&self.uid, wanted, &self.inbox) {
            Ok(()) => {
                resize.give(pod);
                let message = resize_message("Pod resize started", pod, generation, None);
                self.recorder
                    .pod(Severity::Normal, "ResizeStarted", &message);
            }
            Err(refusal) => {
                let (reason, why) = (refusal.reason(), refusal.message());
                if resize.refuse(pod, refusal) {
                    let begin = format!("Pod resize {reason}");
                    let message = resize_message(&begin, pod, generation, Some(&why));
                    let event = format!("Resize{reason}");
                    self.recorder.pod(Severity::Warning, &event, &message);
                }
            }
        }
    }

    /// Tells of a container that could not be resized, once for every reason.
    pub(super) fn resize_failed(&mut self, error: &str) {
        if !self.state.resize.has_failed_by(error) {
            let generation = self.pod.metadata.generation;
            let message = resize_message("Pod resize error", &self.pod, generation, Some(error));
            self.recorder
                .pod(Severity::Warning, "ResizeError", &message);
        }
    }

    /// Does not give up while the container runs, unless it uses more memory than it would have.
    pub(super) fn resize_container(
        &self,
        container: String,
        id: String,
        limits: Limits,
        before: Option<Limits>,
    ) -> BoxFuture<'static, Done> {
        let shared = self.shared.clone();
        Box::pin(async move {
            if let Some(used) = too_much_in_use(&shared, &id, limits, before).await {
                let error = format!(
                    "cannot decrease memory limits: attempting to set container \"{container}\" memory limit ({}) \
                     below current usage ({used})",
                    limits.memory_bytes
                );
                return Done::outcome(Outcome::NotResized {
                    container,
                    id,
                    error,
                });
            }
            let mut retry = Backoff::default();
            loop {
                let request = resize_request(&id, limits);
                match shared.runtime.update_container_resources(request).await {
                    Ok(_) => break,
                    // It has ended meanwhile; the next one starts with the new limits.
                    Err(error) if error.is_not_found() => break,
                    Err(error) if error.code == Code::FailedPrecondition => break,
                    Err(error) => {
                        tracing::warn!(container = id, %error, "container not resized; trying again");
                    }
                }
                retry.fail(Timestamp::now(), API_RETRY);
                tokio::time::sleep(retry.delay()).await;
            }
            Done::outcome(Outcome::Resized {
                container,
                id,
                limits,
            })
        })
    }
}

/// How much memory the container uses, if that is more than a lower limit would let it have.
async fn too_much_in_use(
    shared: &Shared,
    id: &str,
    limits: Limits,
    before: Option<Limits>,
) -> Option<i64> {
    let most = limits.memory_bytes;
    let before = before.map_or(0, |before| before.memory_bytes);
    let lower = most > 0 && (before == 0 || most < before);
    if !lower {
        return None;
    }
    let request = v1::ContainerStatsRequest {
        container_id: id.to_owned(),
    };
    // What cannot be told does not hold it up.
    let stats = shared.runtime.container_stats(request).await.ok()?.stats?;
    let used = stats.memory?.usage_bytes?.value;
    i64::try_from(used).ok().filter(|used| *used > most)
}
