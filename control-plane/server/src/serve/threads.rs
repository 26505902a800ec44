//! The threads connections live on.
//!
//! Those that ask and are answered have threads of their own, each with a runtime: a connection stays on its thread, and
//! what it asks for is answered there. In one runtime for all, one thread waits for every socket and hands what came to
//! the others, whom it has to wake: that costs as much as finding an object does. Those that stream (watches, HTTP/2 with
//! its many requests at once) share the threads of the whole program: there the work of one goes to whoever has nothing
//! to do.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Own threads for each processor: while one makes a long answer, the connections of another are served.
const PER_PROCESSOR: usize = 2;
/// However many processors there are.
const MAX_THREADS: usize = 32;
/// Threads for what blocks (files, compression), of all together.
const MAX_BLOCKING: usize = 512;
/// At the end, what is under way and no connection gets this long.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(5);

/// Ended by [`Threads::end`], or abruptly when this is dropped.
pub(crate) struct Threads {
    places: Places,
    end: CancellationToken,
    /// Of the threads themselves.
    running: JoinSet<()>,
}

/// Where connections can be put.
#[derive(Clone)]
pub(crate) struct Places {
    shared: Place,
    own: Arc<[Place]>,
}

#[derive(Clone)]
struct Place {
    runtime: Handle,
    connections: TaskTracker,
}

/// Said by a connection that begins to stream.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<AtomicBool>);

impl Streams {
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Threads {
    /// The runtime this is called in is the one that is shared.
    pub(crate) fn start() -> io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let count = (processors * PER_PROCESSOR).min(MAX_THREADS);
        let end = CancellationToken::new();
        // Those that were started end, too, if one cannot be.
        let all_or_none = end.clone().drop_guard();
        let mut own = Vec::with_capacity(count);
        let mut running = JoinSet::new();
        for _ in 0..count {
            let (runtime, ended) = run(MAX_BLOCKING / count, end.clone())?;
            own.push(Place::on(runtime));
            running.spawn(async move {
                // An error is an end, too.
                let _ = ended.await;
            });
        }
        let shared = Place::on(Handle::current());
        Ok(Self {
            places: Places {
                shared,
                own: own.into(),
            },
            end: all_or_none.disarm(),
            running,
        })
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Ends the threads, and what is still there on them.
    pub(crate) async fn end(mut self) {
        self.end.cancel();
        while self.running.join_next().await.is_some() {}
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Places {
    /// Puts a connection on the shared threads.
    pub(crate) fn share(&self, connection: impl Future<Output = ()> + Send + 'static) {
        self.shared.put(connection);
    }

    /// Puts a connection on the thread that has the fewest, until it streams.
    pub(crate) fn settle(
        &self,
        connection: impl Future<Output = ()> + Send + 'static,
        streams: Streams,
    ) {
        let fewest = self.own.iter().min_by_key(|one| one.connections.len());
        let place = fewest.unwrap_or(&self.shared);
        let places = self.clone();
        let mut connection: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(connection);
        place.put(async move {
            let stays = poll_fn(|cx| match connection.as_mut().poll(cx) {
                Poll::Pending if streams.begun() => Poll::Ready(false),
                outcome => outcome.map(|()| true),
            });
            if !stays.await {
                places.share(connection);
            }
        });
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.all().map(|place| place.connections.len()).sum()
    }

    /// Waits until there are no connections; there must come no more.
    pub(crate) async fn empty(&self) {
        self.all().for_each(|place| {
            place.connections.close();
        });
        // They go from one to the other.
        while self.connections() > 0 {
            for place in self.all() {
                place.connections.wait().await;
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Place> {
        self.own.iter().chain([&self.shared])
    }
}

impl Place {
    fn on(runtime: Handle) -> Self {
        Self {
            runtime,
            connections: TaskTracker::new(),
        }
    }

    fn put(&self, connection: impl Future<Output = ()> + Send + 'static) {
        self.connections.spawn_on(connection, &self.runtime);
    }
}

/// A thread with a runtime of its own, and so many others for what blocks. The runtime is made there: here it could not be let
/// go if there were no thread for it.
fn run(blocking: usize, end: CancellationToken) -> io::Result<(Handle, oneshot::Receiver<()>)> {
    let (tell, told) = std::sync::mpsc::channel();
    let (ended, over) = oneshot::channel();
    let thread = std::thread::Builder::new().name("connections".to_owned());
    thread.spawn(move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(blocking)
            .thread_name("connection-work")
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(tell.send(Err(error))),
        };
        drop(tell.send(Ok(runtime.handle().clone())));
        runtime.block_on(until(end));
        // Waited for: see the engine's threads.
        runtime.shutdown_timeout(LAST_WORDS);
        // Nobody may wait for it.
        let _ = ended.send(());
    })?;
    let runtime = told.recv().map_err(io::Error::other)??;
    Ok((runtime, over))
}

/// Lets run what is spawned on this thread, and what is under way at the end come to its own.
async fn until(end: CancellationToken) {
    end.cancelled().await;
    let metrics = Handle::current().metrics();
    let quiet = async {
        while metrics.num_alive_tasks() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    };
    // What takes longer is cut off.
    let _ = tokio::time::timeout(LAST_WORDS, quiet).await;
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::thread::ThreadId;

    use tokio::sync::mpsc;

    use super::*;

    fn here() -> ThreadId {
        std::thread::current().id()
    }

    #[tokio::test]
    async fn connections_are_spread_and_what_follows_from_them_comes_to_its_end() {
        let threads = Threads::start().expect("threads");
        let places = threads.places();
        let count = places.own.len();
        let (say, mut said) = mpsc::unbounded_channel();
        let hold = CancellationToken::new();
        for _ in 0..3 * count {
            let (say, hold) = (say.clone(), hold.clone());
            let connection = async move {
                say.send(here()).expect("listened to");
                hold.cancelled().await;
                tokio::spawn(async move {
                    tokio::time::sleep(LOOK).await;
                    say.send(here()).expect("listened to");
                });
            };
            places.settle(connection, Streams::default());
        }
        drop(say);
        let mut each = HashMap::new();
        for _ in 0..3 * count {
            *each.entry(said.recv().await.expect("all")).or_insert(0) += 1;
        }
        assert_eq!(each.values().copied().collect::<Vec<_>>(), vec![3; count]);
        assert!(!each.contains_key(&here()));
        assert_eq!(places.connections(), 3 * count);
        hold.cancel();
        places.empty().await;
        threads.end().await;
        let mut after = 0;
        while said.recv().await.is_some() {
            after += 1;
        }
        assert_eq!(after, 3 * count);
    }

    #[tokio::test]
    async fn who_streams_moves_to_the_shared_threads() {
        let threads = Threads::start().expect("threads");
        let (say, mut said) = mpsc::unbounded_channel();
        let go = CancellationToken::new();
        let (going, streams) = (go.clone(), Streams::default());
        let begins = streams.clone();
        let connection = async move {
            say.send(here()).expect("listened to");
            begins.begin();
            going.cancelled().await;
            say.send(here()).expect("listened to");
        };
        threads.places().settle(connection, streams);
        assert_ne!(said.recv().await.expect("begun"), here());
        while threads.places().shared.connections.is_empty() {
            tokio::task::yield_now().await;
        }
        go.cancel();
        // This test has one thread, which is what is shared.
        assert_eq!(said.recv().await.expect("moved"), here());
        threads.places().empty().await;
        threads.end().await;
    }
}
