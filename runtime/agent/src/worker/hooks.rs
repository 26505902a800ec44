//! Lifecycle hooks: what a pod wants done right after a container started, and before it is stopped.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Lifecycle, LifecycleHandler};
use tokio::time::Instant;

use crate::events::{PodRecorder, Severity};
use crate::handler::http;
use crate::handler::target::HttpTarget;
use crate::limits::HOOK_HTTP_MAX;

const USER_AGENT: &str = concat!("kube-lifecycle/", env!("CARGO_PKG_VERSION"));

/// What a hook of one container needs.
#[derive(Clone)]
pub(super) struct Hooks {
    pub(super) container: Arc<Container>,
    /// The pod's address; empty if it has none.
    pub(super) ip: String,
    pub(super) recorder: PodRecorder,
}

impl Hooks {
    fn lifecycle(&self) -> Option<&Lifecycle> {
        self.container.lifecycle.as_ref()
    }

    /// Runs the hook after a start, if there is one. False if it failed: the container is to be stopped.
    pub(super) async fn post_start(&self) -> bool {
        let hook = self
            .lifecycle()
            .and_then(|lifecycle| lifecycle.post_start.as_ref());
        let Some(hook) = hook else { return true };
        match self.run(hook).await {
            Ok(()) => true,
            Err(error) => {
                self.failed("FailedPostStartHook", "PostStartHook failed", &error);
                false
            }
        }
    }

    /// Runs the hook before a stop, for at most `grace` seconds; returns how many are left.
    pub(super) async fn pre_stop(&self, grace: i64) -> i64 {
        let hook = self
            .lifecycle()
            .and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        let (Some(hook), true) = (hook, grace > 0) else {
            return grace;
        };
        let begun = Instant::now();
        let limit = Duration::from_secs(grace.unsigned_abs());
        let failed = |error: &str| self.failed("FailedPreStopHook", "PreStopHook failed", error);
        match tokio::time::timeout(limit, self.run(hook)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed(&error),
            Err(_) => failed("it was not done within the grace period"),
        }
        grace - i64::try_from(begun.elapsed().as_secs()).unwrap_or(grace)
    }

    fn failed(&self, reason: &str, what: &str, error: &str) {
        let message = format!("{what}: {error}");
        let name = &self.container.name;
        self.recorder
            .container(name, Severity::Warning, reason, &message);
    }

    /// The status of an HTTP answer does not matter, as upstream.
    async fn run(&self, hook: &LifecycleHandler) -> Result<(), String> {
        if hook.exec.is_some() {
            return Err("this node cannot run commands in containers yet: use httpGet".to_owned());
        }
        if let Some(action) = &hook.http_get {
            let target = HttpTarget::of(action, &self.container, &self.ip)?;
            let asked = tokio::time::timeout(HOOK_HTTP_MAX, http::get(&target, USER_AGENT)).await;
            let answer =
                asked.unwrap_or_else(|_| Err(format!("Get {:?}: no answer in time", target.url())));
            return answer.map(drop);
        }
        if let Some(sleep) = &hook.sleep {
            let seconds = u64::try_from(sleep.seconds).unwrap_or(0);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            return Ok(());
        }
        // The API accepts tcpSocket here; upstream has never done anything with it but fail.
        Err("invalid handler: a hook has exec, httpGet or sleep".to_owned())
    }
}
