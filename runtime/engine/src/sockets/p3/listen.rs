//! The stream of a listener's connections, through a gate: strangers to localhost and connections beyond the limit are
//! closed before the guest knows of them.

use super::{Lease, again, view};
use crate::sockets::account::{Listener, Socket};
use crate::state::ComponentState;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Destination, Resource, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult,
};
use wasmtime_wasi::p3::bindings::sockets::types::HostTcpSocket;
use wasmtime_wasi::sockets::TcpSocket;

type Connections = StreamReader<Resource<TcpSocket>>;

pub(super) fn gated(
    mut store: StoreContextMut<'_, ComponentState>,
    connections: Connections,
    listener: Listener,
    local: SocketAddr,
    lease: Lease,
) -> wasmtime::Result<Connections> {
    let (pass, passed) = mpsc::channel(0);
    let open = Arc::new(());
    let bell = Bell {
        local,
        open: Arc::downgrade(&open),
    };
    let gate = Gate {
        listener,
        pass,
        _open: open,
        _lease: lease,
    };
    connections.pipe(&mut store, gate)?;
    let behind = Behind {
        passed,
        next: None,
        _bell: bell,
    };
    StreamReader::new(&mut store, behind)
}

/// Where the guest closed its end the gate goes with the next connection, and the host's socket with it: nothing else
/// wakes it. Until then it keeps the place of the listening socket in the budget.
struct Gate {
    listener: Listener,
    pass: mpsc::Sender<Resource<TcpSocket>>,
    _open: Arc<()>,
    _lease: Lease,
}

/// Is that next connection, once the guest's end is closed: else its port would be taken until somebody calls. The
/// socket goes when the guest's event loop gets to it.
struct Bell {
    local: SocketAddr,
    /// Where the whole instance goes, the gate may be gone before, and the port somebody else's.
    open: Weak<()>,
}

impl Drop for Bell {
    fn drop(&mut self) {
        if self.open.strong_count() > 0
            && let Err(error) = ring(self.local)
        {
            tracing::debug!(%error, "a closed listener keeps its port until somebody calls");
        }
    }
}

/// Connects and goes away again. On the same host the kernel has done its part before this returns.
fn ring(listener: SocketAddr) -> Result<(), Errno> {
    let family = match listener {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match connect(&socket, &listener) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Gate {
    /// Counts a connection, or closes it.
    fn admits(
        &self,
        state: &mut ComponentState,
        socket: &Resource<TcpSocket>,
    ) -> wasmtime::Result<bool> {
        let mut view = view(state);
        let remote = HostTcpSocket::get_remote_address(&mut view.wasi, again(socket));
        let remote = remote.ok().map(SocketAddr::from);
        let remote = remote.filter(|&remote| self.listener.takes(view.account.reach(), remote));
        let (Some(remote), Some(hold)) = (remote, view.account.reserve()) else {
            view.wasi
                .table
                .delete(Resource::<TcpSocket>::new_own(socket.rep()))?;
            return Ok(false);
        };
        let known = Socket::accepted(&self.listener, remote, hold);
        view.account.open.insert(socket.rep(), known);
        Ok(true)
    }
}

impl StreamConsumer<ComponentState> for Gate {
    type Item = Resource<TcpSocket>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, ComponentState>,
        mut source: Source<'_, Self::Item>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let wanted = match self.pass.poll_ready_unpin(cx) {
            Poll::Ready(result) => result.is_ok(),
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        };
        let mut socket = None;
        source.read(&mut store, &mut socket)?;
        if !wanted {
            // The guest closed its end.
            if let Some(socket) = socket {
                view(store.data_mut()).wasi.table.delete(socket)?;
            }
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        if let Some(socket) = socket
            && self.admits(store.data_mut(), &socket)?
            && self.pass.start_send_unpin(socket).is_err()
        {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

struct Behind {
    passed: mpsc::Receiver<Resource<TcpSocket>>,
    next: Option<Resource<TcpSocket>>,
    _bell: Bell,
}

impl Behind {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        if self.next.is_none() {
            self.next = ready!(self.passed.poll_next_unpin(cx));
        }
        Poll::Ready(self.next.as_ref().map(|_socket| ()))
    }
}

impl StreamProducer<ComponentState> for Behind {
    type Item = Resource<TcpSocket>;
    type Buffer = Option<Self::Item>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, ComponentState>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.poll_next(cx) {
            Poll::Ready(Some(())) => {}
            Poll::Ready(None) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        }
        // An empty buffer asks whether there is anything.
        if destination.remaining(&mut store) != Some(0) {
            let next = self.next.take();
            destination.set_buffer(next);
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
