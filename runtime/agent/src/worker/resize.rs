//! Giving a pod other resources: asking for room on the node, and bringing it and its running containers there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use sampan_proto::{Code, v1};

use super::{Done, Shared, Worker};
use crate::cri::{resize_pod_request, resize_request};
use crate::events::Severity;
use crate::limits::API_RETRY;
use crate::plan::{Backoff, Change, ContainerChange, Intent, Limits, Outcome, resize_message};
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
        let wanted = Requests::of(pod);
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

    /// Tells of a pod that could not be resized, once for every reason.
    pub(super) fn resize_failed(&mut self, error: &str) {
        if !self.state.resize.has_failed_by(error) {
            let generation = self.pod.metadata.generation;
            let message = resize_message("Pod resize error", &self.pod, generation, Some(error));
            self.recorder
                .pod(Severity::Warning, "ResizeError", &message);
        }
    }

    /// The pod with what it was given.
    pub(super) fn given_pod(&self) -> Arc<Pod> {
        match self.state.resize.as_given(&self.pod) {
            Cow::Borrowed(_) => self.pod.clone(),
            Cow::Owned(given) => Arc::new(given),
        }
    }

    /// Gives the pod and its containers other limits, unless they use more memory than they would have. The pod grows
    /// before its containers do and shrinks after them, so that they have room in it at any time.
    pub(super) fn change_limits(&self, change: Change) -> BoxFuture<'static, Done> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let mut done = Change {
                sandbox: change.sandbox.clone(),
                ..Change::default()
            };
            let changed = match too_much_in_use(&shared, &change).await {
                Some(error) => Err(error),
                None => apply(&shared, change, &mut done).await,
            };
            Done::outcome(match changed {
                Ok(()) => Outcome::Resized(done),
                Err(error) => Outcome::NotResized { done, error },
            })
        })
    }
}

/// Goes step by step and notes in `done` what is done.
async fn apply(shared: &Shared, change: Change, done: &mut Change) -> Result<(), String> {
    let (held, wanted) = change.pod.unwrap_or_default();
    let first = held.wider(wanted);
    if first != held {
        change_pod(shared, &change.sandbox, first).await?;
        done.pod = Some((held, first));
    }
    for container in change.containers {
        change_container(shared, &container).await;
        done.containers.push(container);
    }
    if wanted != first {
        change_pod(shared, &change.sandbox, wanted).await?;
        done.pod = Some((held, wanted));
    }
    Ok(())
}

async fn change_pod(shared: &Shared, sandbox: &str, limits: Limits) -> Result<(), String> {
    let request = resize_pod_request(sandbox, limits);
    match shared.runtime.update_pod_sandbox_resources(request).await {
        Ok(_) => Ok(()),
        // The next one is made with the new limits.
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(format!(
            "failed to notify runtime for UpdatePodSandboxResources; resize rejected: {}",
            error.message
        )),
    }
}

/// Does not give up while the container runs.
async fn change_container(shared: &Shared, change: &ContainerChange) {
    let mut retry = Backoff::default();
    loop {
        let request = resize_request(&change.id, change.limits);
        match shared.runtime.update_container_resources(request).await {
            Ok(_) => return,
            // It has ended meanwhile; the next one starts with the new limits.
            Err(error) if error.is_not_found() => return,
            Err(error) if error.code == Code::FailedPrecondition => return,
            Err(error) => {
                tracing::warn!(container = change.id, %error, "container not resized; trying again");
            }
        }
        retry.fail(Timestamp::now(), API_RETRY);
        tokio::time::sleep(retry.delay()).await;
    }
}

/// What of a pod uses more memory than lower limits would let it have, in upstream's words.
async fn too_much_in_use(shared: &Shared, change: &Change) -> Option<String> {
    let lower = |(before, limits): &(Limits, Limits)| limits.has_less_memory(*before);
    let pod = change.pod.filter(lower);
    let containers = change
        .containers
        .iter()
        .filter(|one| one.limits.has_less_memory(one.before.unwrap_or_default()));
    let containers: Vec<&ContainerChange> = containers.collect();
    if pod.is_none() && containers.is_empty() {
        return None;
    }
    let request = v1::ListContainerStatsRequest {
        filter: Some(v1::ContainerStatsFilter {
            pod_sandbox_id: change.sandbox.clone(),
            ..Default::default()
        }),
    };
    // What cannot be told does not hold it up.
    let listed = shared.runtime.list_container_stats(request).await.ok()?;
    let used: BTreeMap<String, i64> = listed.stats.into_iter().filter_map(usage).collect();
    let mut why = Vec::new();
    if let Some((_, Limits { memory_bytes, .. })) = pod {
        let used = used
            .values()
            .fold(0, |sum: i64, one| sum.saturating_add(*one));
        if used > memory_bytes {
            why.push(format!(
                "attempting to set pod memory limit ({memory_bytes}) below current usage ({used})"
            ));
        }
    }
    for ContainerChange {
        name, id, limits, ..
    } in containers
    {
        let most = limits.memory_bytes;
        if let Some(used) = used.get(id).filter(|used| **used > most) {
            why.push(format!(
                "attempting to set container \"{name}\" memory limit ({most}) below current usage ({used})"
            ));
        }
    }
    let why = match &why[..] {
        [] => return None,
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    Some(format!("cannot decrease memory limits: {why}"))
}

/// A container's id and the memory it uses.
fn usage(stats: v1::ContainerStats) -> Option<(String, i64)> {
    let used = stats.memory?.usage_bytes?.value;
    Some((stats.attributes?.id, i64::try_from(used).ok()?))
}
