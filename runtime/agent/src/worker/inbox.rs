//! What a worker is told from outside. Only the latest counts, so it never grows: one pod, one
//! flag, and the ids of its own containers.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// More touched ids than this turn into "look at all".
const TOUCHED_MAX: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) pod: Option<Arc<Pod>>,
    /// The API server has the pod no more.
    pub(crate) gone: bool,
    /// Containers the runtime reported a change of.
    pub(crate) touched: BTreeSet<String>,
    /// Reports may have been missed.
    pub(crate) look_at_all: bool,
    /// What the pod's volumes show has changed.
    pub(crate) content_changed: bool,
    /// The node has more room than before.
    pub(crate) room: bool,
}

impl News {
    fn is_empty(&self) -> bool {
        self.pod.is_none()
            && !self.gone
            && self.touched.is_empty()
            && !self.look_at_all
            && !self.content_changed
            && !self.room
    }
}

/// Filled by the pod source, emptied by one worker.
#[derive(Default)]
pub(crate) struct Inbox {
    news: Mutex<News>,
    wake: Notify,
}

impl Inbox {
    pub(crate) fn pod(&self, pod: Arc<Pod>) {
        self.tell(|news| news.pod = Some(pod));
    }

    pub(crate) fn gone(&self, last: Option<Arc<Pod>>) {
        self.tell(|news| {
            news.gone = true;
            if last.is_some() {
                news.pod = last;
            }
        });
    }

    pub(crate) fn touched(&self, container_id: &str) {
        self.tell(|news| {
            if news.touched.len() < TOUCHED_MAX {
                news.touched.insert(container_id.to_owned());
            } else {
                news.look_at_all = true;
            }
        });
    }

    pub(crate) fn look_at_all(&self) {
        self.tell(|news| news.look_at_all = true);
    }

    pub(crate) fn content_changed(&self) {
        self.tell(|news| news.content_changed = true);
    }

    pub(crate) fn room(&self) {
        self.tell(|news| news.room = true);
    }

    fn tell(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.news.lock());
        // Keeps one permit when nobody waits, so no news is missed.
        self.wake.notify_one();
    }

    /// Waits for news and takes it all. Dropping the future loses nothing.
    pub(crate) async fn next(&self) -> News {
        loop {
            let news = self.take();
            if !news.is_empty() {
                return news;
            }
            self.wake.notified().await;
        }
    }

    /// All news that nobody has heard, which may be none.
    pub(crate) fn take(&self) -> News {
        std::mem::take(&mut *self.news.lock())
    }
}
