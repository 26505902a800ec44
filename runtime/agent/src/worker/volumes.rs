//! Keeping a running pod's volumes up to date: when what they show changed, and when a token is due.

use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Mutex;

use super::{Done, Inbox, Worker};
use crate::agent::with_causes;
use crate::content::{self, Means, Refreshed, Subscription, Tokens};
use crate::events::Severity;
use crate::limits::CONFIG_RETRY;
use crate::plan::{Backoff, Sandbox};

/// What a worker knows of its pod's volumes.
#[derive(Default)]
pub(super) struct Volumes {
    /// While the pod has its volumes or is about to get them.
    subscription: Option<Arc<Subscription>>,
    tokens: Tokens,
    /// Something changed since the last look began.
    due: bool,
    under_way: bool,
    retry: Backoff,
    writing: Writing,
}

/// Held while the pod's folder is written or removed. True once it is removed: nothing is written there then.
pub(super) type Writing = Arc<Mutex<bool>>;

impl Volumes {
    /// The pod's objects are watched from now on, if they are not already.
    pub(super) fn open(
        &mut self,
        shared: &super::Shared,
        uid: &str,
        pod: &Pod,
        inbox: &Arc<Inbox>,
    ) -> Arc<Subscription> {
        let subscribe = || {
            let keys = content::sources(pod);
            Arc::new(shared.sources.subscribe(uid, inbox, keys))
        };
        self.subscription.get_or_insert_with(subscribe).clone()
    }

    /// The pod's folder goes: nothing is kept up to date any more.
    pub(super) fn close(&mut self) {
        self.subscription = None;
        self.tokens.clear();
        self.due = false;
    }

    pub(super) fn writing(&self) -> Writing {
        self.writing.clone()
    }

    pub(super) fn made(&mut self, tokens: Tokens) {
        self.tokens = tokens;
    }

    /// Whether they are being brought up to date.
    pub(super) fn under_way(&self) -> bool {
        self.under_way
    }

    /// Looks again at what the volumes show.
    pub(super) fn changed(&mut self) {
        self.due = true;
    }
}

impl Worker {
    /// Brings the volumes up to date if it is time. Returns when to look again.
    pub(super) fn refresh_volumes(&mut self, now: Timestamp) -> Option<Timestamp> {
        let volumes = &mut self.volumes;
        volumes.retry.follow(now);
        let ready = matches!(self.state.sandbox, Sandbox::Ready { .. });
        let subscription = volumes.subscription.clone().filter(|_| ready)?;
        // A start may be about to open the very files that a new version replaces (subPath). Its end is news.
        if volumes.under_way || self.state.starting.is_some() {
            return None;
        }
        let next = volumes.tokens.values().min().copied();
        if !volumes.due && next.is_none_or(|next| next > now) {
            return next;
        }
        if let Some(until) = volumes.retry.until().filter(|until| *until > now) {
            return Some(until);
        }
        volumes.due = false;
        volumes.under_way = true;
        let tokens = volumes.tokens.clone();
        let refresh = self.refresh(subscription, tokens);
        self.work.push(refresh);
        None
    }

    fn refresh(&self, subscription: Arc<Subscription>, tokens: Tokens) -> BoxFuture<'static, Done> {
        let (shared, pod) = (self.shared.clone(), self.pod.clone());
        let (pod_dir, writing) = (self.pod_dir(), self.volumes.writing());
        Box::pin(async move {
            let removed = writing.lock().await;
            // Taken last: whoever has one waits for nobody who wants one. Never closed.
            let _permit = shared.renders.acquire().await;
            let means = Means {
                node: &shared.facts,
                objects: &shared.objects,
                subscription: &subscription,
                policy: &shared.volumes,
            };
            Done::Refreshed(match *removed {
                true => None,
                false => Some(content::refresh(&pod, &pod_dir, &means, tokens).await),
            })
        })
    }

    /// Folds in the end of a look; nothing when the folder was gone.
    pub(super) fn refreshed(&mut self, refreshed: Option<Refreshed>, now: Timestamp) {
        let volumes = &mut self.volumes;
        volumes.under_way = false;
        let Some(refreshed) = refreshed.filter(|_| volumes.subscription.is_some()) else {
            return;
        };
        volumes.tokens = refreshed.tokens;
        if refreshed.again {
            volumes.due = true;
            volumes.retry.fail(now, CONFIG_RETRY);
        } else {
            volumes.retry.reset();
        }
        for (volume, error) in refreshed.failed {
            let message = mount_failed(&volume, &error);
            self.recorder
                .pod(Severity::Warning, "FailedMount", &message);
        }
    }
}

/// The message of a FailedMount event.
pub(super) fn mount_failed(volume: &str, error: &content::VolumeError) -> String {
    let why = with_causes(error);
    format!("MountVolume.SetUp failed for volume \"{volume}\" : {why}")
}
