//! Runs an HTTP handler: listens on the container's addresses and gives each request an instance of its own, or one
//! that has answered requests before where the container asks for that (see `warm`).
//!
//! Between requests a handler is a socket and a few kilobytes; it has no instance and takes no processor time. One
//! request's failure is its own: the client gets an error, the log a line, and the container stays up.

mod connection;
mod instance;
pub(crate) mod measured;
pub(crate) mod outgoing;
mod request;
mod response;
mod rest;
mod shared;
mod warm;

pub(crate) use warm::Pools;

use crate::Exit;
use crate::container::{Control, StartError};
use crate::engine::Runner;
use crate::files::{FileBudget, FileSlot};
use crate::module::Module;
use crate::state::Template;
use ::http::{Request, Version};
use connection::{Activity, Patient, Verdict, Watch};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use request::{Handler, places};
use rest::Rest;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

/// Connections the kernel queues while all permitted ones are taken.
const BACKLOG: u32 = 1_024;

/// Connections of a container that need no open file of all guests' share: one that takes them all silences nobody.
/// There is a share for those of all containers.
const OWN_CONNECTIONS: usize = 16;

/// Time for guests to end that were killed. A busy one needs a processor for that, no more.
const KILL_TIME: Duration = Duration::from_secs(1);

/// Pause after `accept` fails, for instance because the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Requests one HTTP/2 connection may have under way.
const MAX_STREAMS: u32 = 32;

/// Bytes of requests' bodies that one HTTP/2 connection may send before somebody reads them: of each, and of all. Bodies that
/// wait for their instance must not keep those from coming that others wait for.
const STREAM_WINDOW: u32 = 16 << 10;
const CONNECTION_WINDOW: u32 = MAX_STREAMS * STREAM_WINDOW;

/// Bytes of a response that an HTTP/2 stream takes before they can be sent.
const SEND_BUFFER: usize = 64 << 10;

/// A handler that listens already.
pub(crate) struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    handler: Arc<Handler>,
    control: Control,
    descriptors: Descriptors,
}

impl Server {
    /// Listens on all addresses of the container, or on none.
    pub(crate) fn bind(
        runner: Runner,
        module: Module,
        template: Arc<Template>,
        control: Control,
        threads: &Handle,
    ) -> Result<Self, StartError> {
        // Sockets belong to the runtime they are made in.
        let _guests = threads.enter();
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for &addr in &template.spec.listen {
            let failed = |source| StartError::Listen { addr, source };
            let listener = listen(addr).map_err(failed)?;
            addresses.push(listener.local_addr().map_err(failed)?);
            listeners.push(listener);
        }
        let descriptors = Descriptors {
            own: Arc::new(Semaphore::new(OWN_CONNECTIONS)),
            first: runner.first_connections.clone(),
            shared: template.file_budget.clone(),
        };
        let handler = Arc::new(Handler::new(runner, module, template, control.clone()));
        Ok(Server {
            listeners,
            addresses,
            handler,
            control,
            descriptors,
        })
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Serves until told to end. After `terminate` it finishes the requests it has; `kill` ends everything.
    pub(crate) fn run(self) -> impl Future<Output = Exit> + Send {
        let Server {
            listeners,
            handler,
            control,
            descriptors,
            ..
        } = self;
        let connections = TaskTracker::new();
        let limit = Arc::new(Semaphore::new(places(handler.limits().max_connections)));
        let accepting = futures::future::join_all(listeners.into_iter().map(|listener| {
            accept(
                listener,
                handler.clone(),
                control.clone(),
                connections.clone(),
                (limit.clone(), descriptors.clone()),
            )
        }));
        async move {
            tokio::select! {
                biased;
                () = control.kill.cancelled() => {}
                () = control.terminate.cancelled() => {}
                // Ends only by cancellation, which the other branches see.
                _ = accepting => {}
            }
            connections.close();
            let mut finished = Box::pin(async {
                connections.wait().await;
                // Instances may live on after their responses.
                handler.idle().await;
            });
            let exit = tokio::select! {
                biased;
                () = control.kill.cancelled() => Exit::Signal(9),
                () = &mut finished => Exit::Code(0),
            };
            if exit != Exit::Code(0) {
                // What guests write is brought back when none of them writes any more.
                let _ended = timeout(KILL_TIME, finished).await;
            }
            handler.close();
            exit
        }
    }
}

/// What a connection's descriptor is taken from.
#[expect(dead_code, reason = "they are held until the connection's end")]
enum Descriptor {
    Own(OwnedSemaphorePermit, FileSlot),
    Shared(FileSlot),
}

/// Where a container's connections get their descriptors.
#[derive(Clone)]
struct Descriptors {
    /// The container's first connections, and those of all containers.
    own: Arc<Semaphore>,
    first: Arc<FileBudget>,
    /// What it has of all guests' share.
    shared: Arc<FileBudget>,
}

impl Descriptors {
    async fn take(&self) -> Descriptor {
        match self.own() {
            Some(own) => own,
            // The other clients wait in the kernel's queue.
            None => Descriptor::Shared(self.shared.wait(ACCEPT_PAUSE).await),
        }
    }

    fn own(&self) -> Option<Descriptor> {
        let own = self.own.clone().try_acquire_owned().ok()?;
        Some(Descriptor::Own(own, self.first.take()?))
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restarted container takes over the address at once, connections of the old one notwithstanding.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

#[expect(
    clippy::manual_async_fn,
    reason = "an async fn has room for its arguments twice, and a handler that waits for requests is little else"
)]
fn accept(
    listener: TcpListener,
    handler: Arc<Handler>,
    control: Control,
    connections: TaskTracker,
    (limit, descriptors): (Arc<Semaphore>, Descriptors),
) -> impl Future<Output = ()> + Send {
    async move {
        // The semaphore is never closed.
        while let Ok(permit) = limit.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _client)) => {
                    let descriptor = descriptors.take().await;
                    let (handler, control) = (handler.clone(), control.clone());
                    connections.spawn(async move {
                        serve(stream, handler, control).await;
                        drop((permit, descriptor));
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Serves one connection, HTTP/1.1 or HTTP/2 with prior knowledge.
async fn serve(stream: TcpStream, handler: Arc<Handler>, control: Control) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch off Nagle's algorithm");
    }
    let header_timeout = handler.limits().header_timeout;
    let builder = builder(&handler);
    let activity = Arc::new(Activity::default());
    let mut watch = Watch::new(activity.clone(), handler.limits().request_timeout);
    let rest = Rest::default();
    let service = service_fn({
        let (activity, rest) = (activity.clone(), rest.clone());
        move |request: Request<Incoming>| {
            let exchange = activity.begin();
            let handler = handler.clone();
            // The streams of HTTP/2 are tasks of their own.
            let rest = (request.version() < Version::HTTP_2).then(|| rest.clone());
            async move {
                let response = handler.handle(request, rest).await;
                Ok::<_, std::convert::Infallible>(response.map(|body| exchange.answered(body)))
            }
        }
    });
    let stream = TokioIo::new(Patient::new(stream, header_timeout));
    let mut connection = pin!(builder.serve_connection(stream, service));
    // hyper would bound the time for a head by a timer for each, and only once it knows the protocol; of HTTP/2 it looks
    // only whether there is an answer to its pings. So heads are bounded here, as idle connections are: no request has come.
    let mut look = pin!(sleep(header_timeout));
    let mut idle = false;
    let mut draining = false;
    loop {
        tokio::select! {
            biased;
            () = control.kill.cancelled() => return,
            () = control.terminate.cancelled(), if !draining => {
                draining = true;
                // What has come already may not have been looked at yet.
                let go_on = poll_fn(|cx| Poll::Ready(go_on(connection.as_mut(), &rest, cx)));
                if go_on.await.is_ready() || !activity.seen_request() {
                    return;
                }
                connection.as_mut().graceful_shutdown();
            }
            result = poll_fn(|cx| go_on(connection.as_mut(), &rest, cx)) => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a connection ended with an error");
                }
                return;
            }
            () = look.as_mut() => {
                match watch.look() {
                    Verdict::InUse => idle = false,
                    // Told so before, or not even begun.
                    Verdict::Idle if idle || !activity.seen_request() => return,
                    Verdict::Idle => {
                        idle = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    Verdict::Stuck => return,
                }
                look.as_mut().reset(Instant::now() + header_timeout);
            }
        }
    }
}

/// Lets a connection do what it can now, and then the guest behind it.
fn go_on<C: Future>(connection: Pin<&mut C>, rest: &Rest, cx: &mut Context<'_>) -> Poll<C::Output> {
    let result = connection.poll(cx);
    rest.let_go(cx);
    result
}

fn builder(handler: &Handler) -> auto::Builder<TokioExecutor> {
    let limits = handler.limits();
    let header_bytes = limits.read_buffer();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(header_bytes).half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.header_timeout)
        .keep_alive_timeout(limits.header_timeout);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_connections_of_all_containers_have_a_share_too() {
        let first = FileBudget::of(OWN_CONNECTIONS as u64 + 1);
        let container = || Descriptors {
            own: Arc::new(Semaphore::new(OWN_CONNECTIONS)),
            first: first.clone(),
            shared: FileBudget::of(0),
        };
        let (one, other) = (container(), container());
        let taken: Vec<_> = std::iter::from_fn(|| one.own()).collect();
        assert_eq!(taken.len(), OWN_CONNECTIONS);
        let last = other.own();
        assert!(last.is_some() && other.own().is_none());
        drop(taken);
        assert!(other.own().is_some());
    }
}
