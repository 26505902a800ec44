//! Stopping containers, and looking at how they ended.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use sampan_proto::{CriError, v1};

use super::hooks::Hooks;
use super::message::finished;
use super::{Done, Shared, Worker};
use crate::cri::observe;
use crate::limits::MIN_STOP_SECONDS;
use crate::plan::{Backoff, Exit, Outcome, Run};

/// What the runtime gets beyond the grace period before the call counts as failed (kubelet's).
const STOP_SLACK: Duration = Duration::from_secs(120);
const STOP_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Worker {
    /// Stops a container and tells how it ended. Does not give up: nothing else would stop it.
    pub(super) fn stop_container(
        &self,
        container: String,
        id: String,
        grace: i64,
        hooks: Option<Hooks>,
    ) -> BoxFuture<'static, Done> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let exit = stop(&shared, &id, grace, hooks.as_ref()).await;
            Done::outcome(Outcome::Exited {
                container,
                id,
                exit,
            })
        })
    }

    /// Asks the runtime about containers that may have ended.
    pub(super) fn look_at(&self, ids: Vec<String>) -> BoxFuture<'static, Done> {
        let shared = self.shared.clone();
        let known: Vec<(String, String)> = ids
            .into_iter()
            .filter_map(|id| {
                let name = self.state.container_of(&id)?.to_owned();
                Some((id, name))
            })
            .collect();
        Box::pin(async move {
            let mut outcomes = Vec::new();
            for (id, container) in known {
                if let Some(exit) = exit_of(&shared, &id).await {
                    outcomes.push(Outcome::Exited {
                        container,
                        id,
                        exit,
                    });
                }
            }
            Done::Outcomes(outcomes)
        })
    }
}

/// Runs the hook, stops the container, and tells how it ended. What the hook took is taken from the grace period.
pub(super) async fn stop(shared: &Shared, id: &str, grace: i64, hooks: Option<&Hooks>) -> Exit {
    let left = match hooks {
        Some(hooks) => hooks.pre_stop(grace).await,
        None => grace,
    };
    let timeout = left.max(MIN_STOP_SECONDS);
    let limit = Duration::from_secs(timeout.unsigned_abs()) + STOP_SLACK;
    let mut retry = Backoff::default();
    loop {
        let request = v1::StopContainerRequest {
            container_id: id.to_owned(),
            timeout,
        };
        let call = tokio::time::timeout(limit, shared.runtime.stop_container(request));
        let problem = match call.await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) if error.is_not_found() => None,
            Ok(Err(error)) => Some(error.message),
            Err(_) => Some("the runtime did not answer in time".to_owned()),
        };
        if problem.is_none()
            && let Some(exit) = exit_of(shared, id).await
        {
            return exit;
        }
        let reason = problem.unwrap_or_else(|| "it still runs".to_owned());
        tracing::warn!(
            container = id,
            reason,
            "container not stopped; trying again"
        );
        retry.fail(Timestamp::now(), STOP_RETRY);
        tokio::time::sleep(retry.delay()).await;
    }
}

/// How a container ended; nothing while it runs. One the runtime does not know is lost.
async fn exit_of(shared: &Shared, id: &str) -> Option<Exit> {
    let request = v1::ContainerStatusRequest {
        container_id: id.to_owned(),
        verbose: false,
    };
    let answer: Result<_, CriError> = shared.runtime.container_status(request).await;
    match answer {
        Ok(response) => {
            let observed = finished(observe(&response.status.unwrap_or_default())).await;
            match observed.run {
                Some(Run::Exited(exit)) => Some(exit),
                _ => None,
            }
        }
        Err(error) if error.is_not_found() => {
            Some(Exit::lost(id.to_owned(), None, Timestamp::now()))
        }
        Err(error) => {
            tracing::warn!(container = id, %error, "container status not read");
            None
        }
    }
}
