//! The one loop behind every reconciler: a queue without duplicates, retries with back-off, and no panic that spreads.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::delays::Delays;
use crate::metrics::{QueueMetrics, WorkqueueMetrics};

/// Keys worked on at once by one controller.
const CONCURRENCY: usize = 8;
/// The first retry of a failed key, doubled each time up to the limit.
const RETRY_START: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The limit for a key that waits for something: what it waits for may come any time.
const AGAIN_MAX: Duration = Duration::from_secs(10);

/// When a key is to be looked at again of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// When something changes.
    OnChange,
    /// Not done yet, for a reason that is no error: again with back-off.
    Again,
}

/// Brings the state behind a key to where it should be.
pub(crate) trait Reconcile: Send + Sync + 'static {
    type Key: Clone + Eq + Hash + Debug + Send + Sync + 'static;
    type Error: Display + Send + 'static;
    /// Names the controller in the log.
    const NAME: &'static str;

    fn reconcile(&self, key: &Self::Key) -> impl Future<Output = Result<Next, Self::Error>> + Send;
}

/// Works on the keys that `changes` brings until `shutdown`.
pub(crate) async fn run<R: Reconcile>(
    reconciler: R,
    mut changes: impl Stream<Item = R::Key> + Send + Unpin,
    metrics: &WorkqueueMetrics,
    shutdown: CancellationToken,
) {
    let reconciler = Arc::new(reconciler);
    let mut queue: Queue<R::Key> = Queue::new(metrics.queue(R::NAME));
    let mut running = JoinSet::new();
    let mut keys_of_tasks = HashMap::new();
    loop {
        while running.len() < CONCURRENCY {
            let Some(key) = queue.pop() else { break };
            let reconciler = Arc::clone(&reconciler);
            let task_key = key.clone();
            let handle = running.spawn(async move { reconciler.reconcile(&task_key).await });
            keys_of_tasks.insert(handle.id(), key);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            change = changes.next() => match change {
                Some(key) => queue.put(key),
                None => return,
            },
            Some(ended) = running.join_next_with_id() => {
                let (id, result) = match ended {
                    Ok((id, result)) => (id, result.map_err(|error| error.to_string())),
                    Err(error) => (error.id(), Err(error.to_string())),
                };
                if let Some(key) = keys_of_tasks.remove(&id) {
                    if let Err(error) = &result {
                        tracing::warn!(controller = R::NAME, ?key, %error, "reconciling failed; it is tried again");
                    }
                    queue.done(key, match result {
                        Ok(Next::OnChange) => None,
                        Ok(Next::Again) => Some(AGAIN_MAX),
                        Err(_) => Some(RETRY_MAX),
                    });
                }
            }
            key = queue.delays.next() => queue.put(key),
        }
    }
}

/// A key is at most once in the queue and at most once in work; a change during its work queues it again.
struct Queue<K> {
    order: VecDeque<K>,
    /// With the time since which they wait.
    queued: HashMap<K, Instant>,
    /// With a number that tells the work from other work.
    working: HashMap<K, u64>,
    changed: HashSet<K>,
    failures: HashMap<K, u32>,
    delays: Delays<K>,
    works: u64,
    metrics: QueueMetrics,
}

impl<K> Queue<K> {
    fn new(metrics: QueueMetrics) -> Self {
        Self {
            order: VecDeque::new(),
            queued: HashMap::new(),
            working: HashMap::new(),
            changed: HashSet::new(),
            failures: HashMap::new(),
            delays: Delays::default(),
            works: 0,
            metrics,
        }
    }
}

impl<K: Clone + Eq + Hash> Queue<K> {
    fn put(&mut self, key: K) {
        if self.working.contains_key(&key) {
            if self.changed.insert(key) {
                self.metrics.added();
            }
        } else if !self.queued.contains_key(&key) {
            self.metrics.added();
            self.wait(key);
        }
    }

    fn wait(&mut self, key: K) {
        self.queued.insert(key.clone(), Instant::now());
        self.order.push_back(key);
        self.metrics.depth(self.order.len());
    }

    fn pop(&mut self) -> Option<K> {
        let key = self.order.pop_front()?;
        let queued = self.queued.remove(&key);
        self.works += 1;
        self.metrics
            .begun(self.works, queued.unwrap_or_else(Instant::now));
        self.metrics.depth(self.order.len());
        self.working.insert(key.clone(), self.works);
        Some(key)
    }

    /// What is not settled is done again, ever later but after `again` at most.
    fn done(&mut self, key: K, again: Option<Duration>) {
        if let Some(work) = self.working.remove(&key) {
            self.metrics.ended(work);
        }
        if let Some(most) = again {
            let failures = self.failures.entry(key.clone()).or_default();
            let delay = (RETRY_START * 2u32.saturating_pow((*failures).min(16))).min(most);
            *failures = failures.saturating_add(1);
            self.delays.set(key.clone(), delay);
            self.metrics.retried();
        } else {
            self.failures.remove(&key);
        }
        if self.changed.remove(&key) {
            // It was counted when it changed.
            self.wait(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::sync::{mpsc, oneshot};
    use tokio_stream::wrappers::UnboundedReceiverStream;

    struct Flaky {
        seen: Mutex<HashMap<&'static str, u32>>,
        done: Mutex<Option<oneshot::Sender<()>>>,
    }

    impl Reconcile for Flaky {
        type Key = &'static str;
        type Error = String;
        const NAME: &'static str = "flaky";

        async fn reconcile(&self, key: &&'static str) -> Result<Next, String> {
            let count = {
                let mut seen = self.seen.lock().expect("no test panics with it held");
                let count = seen.entry(key).or_default();
                *count += 1;
                *count
            };
            match (*key, count) {
                ("panics", 1) => panic!("once"),
                ("fails", 1) => Err("once".to_string()),
                ("waits", 1) => Ok(Next::Again),
                ("last", _) => {
                    if let Some(done) = self.done.lock().expect("as above").take() {
                        let _ = done.send(());
                    }
                    Ok(Next::OnChange)
                }
                _ => Ok(Next::OnChange),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_tried_again_and_panics_do_not_spread() {
        let (sender, receiver) = mpsc::unbounded_channel();
        for key in ["panics", "fails", "waits", "fine"] {
            sender.send(key).expect("open");
        }
        let (done, finished) = oneshot::channel();
        let flaky = Arc::new(Flaky {
            seen: Mutex::default(),
            done: Mutex::new(Some(done)),
        });
        struct Shared(Arc<Flaky>);
        impl Reconcile for Shared {
            type Key = &'static str;
            type Error = String;
            const NAME: &'static str = "shared";
            async fn reconcile(&self, key: &&'static str) -> Result<Next, String> {
                self.0.reconcile(key).await
            }
        }
        let shutdown = CancellationToken::new();
        let stream = UnboundedReceiverStream::new(receiver);
        let metrics = WorkqueueMetrics::default();
        let counted = metrics.queue(Shared::NAME);
        let (shared, stop) = (Shared(Arc::clone(&flaky)), shutdown.clone());
        let task = tokio::spawn(async move { run(shared, stream, &metrics, stop).await });
        // The clock is paused: it moves on when everything else has been done.
        tokio::time::sleep(RETRY_MAX).await;
        sender.send("last").expect("open");
        finished.await.expect("the last key is reached");
        shutdown.cancel();
        task.await.expect("no panic spreads");
        let seen = flaky.seen.lock().expect("no test panics with it held");
        let counts = ["panics", "fails", "waits", "fine"].map(|key| seen[key]);
        assert_eq!(counts, [2, 2, 2, 1]);
        assert_eq!(counted.seen(), (8, 3, 8), "adds, retries, works done");
    }

    #[test]
    fn a_change_during_work_queues_the_key_once_more() {
        let metrics = WorkqueueMetrics::default();
        let mut queue: Queue<&str> = Queue::new(metrics.queue("test"));
        queue.put("a");
        queue.put("a");
        assert_eq!((queue.pop(), queue.pop()), (Some("a"), None));
        queue.put("a");
        queue.put("a");
        assert_eq!(queue.pop(), None, "not while it is worked on");
        queue.done("a", None);
        assert_eq!((queue.pop(), queue.pop()), (Some("a"), None));
    }
}
