//! TCP: where sockets are bound and where they connect.

use super::{
    Answer, Family, Lease, Socket, SocketError, SocketResult, View, again, answer, family_of,
    is_remote, lease, listen, options, unreachable, view, waited, wasi_family, wasis,
};
use crate::network::Protocol;
use crate::sockets::account::{Listener, MAX_BACKLOG, MAX_BUFFER, Options, Step};
use crate::state::ComponentState;
use futures::FutureExt;
use std::net::SocketAddr;
use wasmtime::component::{
    Access, Accessor, FutureReader, LinkerInstance, Resource, ResourceType, StreamReader,
};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::p3::bindings::sockets::types::{
    Duration, ErrorCode, HostTcpSocket, HostTcpSocketWithStore, IpAddressFamily, IpSocketAddress,
};
use wasmtime_wasi::sockets::{TcpSocket, WasiSockets, WasiSocketsView};

type Store<'a> = StoreContextMut<'a, ComponentState>;
type This = Resource<TcpSocket>;
type Outcome = FutureReader<Result<(), ErrorCode>>;

pub(super) fn guard(types: &mut LinkerInstance<'_, ComponentState>) -> wasmtime::Result<()> {
    types.resource(
        "tcp-socket",
        ResourceType::host::<TcpSocket>(),
        |mut store, number| {
            let view = view(store.data_mut());
            view.wasi.table.delete(This::new_own(number))?;
            view.account.open.remove(&number);
            Ok(())
        },
    )?;
    types.func_wrap(
        "[static]tcp-socket.create",
        |mut store: Store<'_>, (family,): (IpAddressFamily,)| {
            answer(view(store.data_mut()).create_tcp(family_of(family)))
        },
    )?;
    types.func_wrap(
        "[method]tcp-socket.bind",
        |mut store: Store<'_>, (this, asked): (This, IpSocketAddress)| {
            answer(view(store.data_mut()).bind_tcp(&this, asked.into()))
        },
    )?;
    types.func_wrap_concurrent("[method]tcp-socket.connect", |accessor, params| {
        Box::pin(connect(accessor, params))
    })?;
    types.func_wrap("[method]tcp-socket.listen", listen)?;
    types.func_wrap("[method]tcp-socket.send", send)?;
    types.func_wrap("[method]tcp-socket.receive", receive)?;
    types.func_wrap(
        "[method]tcp-socket.get-local-address",
        |mut store: Store<'_>, (this,): (This,)| answer(view(store.data_mut()).local_tcp(&this)),
    )?;
    types.func_wrap(
        "[method]tcp-socket.get-remote-address",
        |mut store: Store<'_>, (this,): (This,)| answer(view(store.data_mut()).remote_tcp(&this)),
    )?;
    types.func_wrap(
        "[method]tcp-socket.get-address-family",
        |mut store: Store<'_>, (this,): (This,)| Ok((view(store.data_mut()).family(this.rep())?,)),
    )?;
    options! { types, TcpSocket, HostTcpSocket, "tcp-socket",
        "set-listen-backlog-size" set_listen_backlog_size backlog: u64, MAX_BACKLOG;
        "set-keep-alive-enabled" set_keep_alive_enabled keep_alive: bool, true;
        "set-keep-alive-idle-time" set_keep_alive_idle_time keep_alive_idle: Duration, Duration::MAX;
        "set-keep-alive-interval" set_keep_alive_interval keep_alive_interval: Duration, Duration::MAX;
        "set-keep-alive-count" set_keep_alive_count keep_alive_count: u32, u32::MAX;
        "set-hop-limit" set_hop_limit hop_limit: u8, u8::MAX;
        "set-receive-buffer-size" set_receive_buffer_size receive_buffer: u64, MAX_BUFFER;
        "set-send-buffer-size" set_send_buffer_size send_buffer: u64, MAX_BUFFER;
    }
    Ok(())
}

impl View<'_> {
    fn create_tcp(&mut self, family: Family) -> SocketResult<This> {
        let hold = self.reserve()?;
        let (socket, host_family) = match self.host_tcp(family) {
            Ok(socket) => (socket, family),
            // A host without IPv6: what the guest does on this host needs none.
            Err(_) if family == Family::V6 && !self.account.reach().is_hosts() => {
                (self.host_tcp(Family::V4)?, Family::V4)
            }
            Err(error) => return Err(error),
        };
        let known = Socket::new(family, host_family, hold);
        self.account.open.insert(socket.rep(), known);
        Ok(socket)
    }

    fn host_tcp(&mut self, family: Family) -> SocketResult<This> {
        HostTcpSocket::create(&mut self.wasi, wasi_family(family))
    }

    fn replace_tcp(&mut self, this: &This, family: Family) -> SocketResult<()> {
        let fresh = self.host_tcp(family)?;
        let fresh = self.wasi.table.delete(fresh).map_err(SocketError::trap)?;
        *self.wasi.table.get_mut(this).map_err(SocketError::trap)? = fresh;
        let known = self.socket(this.rep())?;
        known.host_family = family;
        let options = known.options;
        self.apply_tcp(this, options)
    }

    fn apply_tcp(&mut self, this: &This, options: Options) -> SocketResult<()> {
        let wasi = &mut self.wasi;
        if let Some(value) = options.backlog {
            wasi.set_listen_backlog_size(again(this), value)?;
        }
        if let Some(value) = options.keep_alive {
            wasi.set_keep_alive_enabled(again(this), value)?;
        }
        if let Some(value) = options.keep_alive_idle {
            wasi.set_keep_alive_idle_time(again(this), value)?;
        }
        if let Some(value) = options.keep_alive_interval {
            wasi.set_keep_alive_interval(again(this), value)?;
        }
        if let Some(value) = options.keep_alive_count {
            wasi.set_keep_alive_count(again(this), value)?;
        }
        if let Some(value) = options.hop_limit {
            wasi.set_hop_limit(again(this), value)?;
        }
        if let Some(value) = options.receive_buffer {
            HostTcpSocket::set_receive_buffer_size(wasi, again(this), value)?;
        }
        if let Some(value) = options.send_buffer {
            HostTcpSocket::set_send_buffer_size(wasi, again(this), value)?;
        }
        Ok(())
    }

    fn host_bind_tcp(&mut self, this: &This, address: SocketAddr) -> SocketResult<()> {
        HostTcpSocket::bind(&mut self.wasi, again(this), address.into())
            .now_or_never()
            // Only the check of addresses is awaited there, and ours is ready at once.
            .unwrap_or_else(|| Err(ErrorCode::Other(None).into()))
    }

    fn bind_tcp(&mut self, this: &This, asked: SocketAddr) -> SocketResult<()> {
        let known = self.socket(this.rep())?;
        let (family, host_family, step) = (known.family, known.host_family, known.step);
        let local = self.account.bind_address(family, asked)?;
        let is_hosts = self.account.reach().is_hosts();
        if step == Step::New && host_family != Family::of(local.ip()) && !is_hosts {
            self.replace_tcp(this, Family::of(local.ip()))?;
        }
        self.host_bind_tcp(this, local)?;
        let known = self.socket(this.rep())?;
        known.step = Step::Bound;
        known.bound = Some(asked);
        Ok(())
    }

    /// Makes the socket fit for a connection: of the destination's family, and bound where it leaves from. Returns
    /// the destination.
    fn prepare_tcp(&mut self, this: &This, asked: SocketAddr) -> SocketResult<SocketAddr> {
        let known = self.socket(this.rep())?;
        let fresh = matches!(known.step, Step::New | Step::Bound);
        if !fresh || !is_remote(known.family, asked) || self.account.reach().is_hosts() {
            return Ok(asked);
        }
        let destination = self.account.reach().destination(Protocol::Tcp, asked);
        let destination = destination.map_err(unreachable)?;
        let source = self.account.reach().source(destination.ip());
        let family = Family::of(destination.ip());
        let known = self.socket(this.rep())?;
        match (known.bound, source) {
            (None, source) => {
                if known.host_family != family {
                    self.replace_tcp(this, family)?;
                }
                if let Some(source) = source {
                    self.host_bind_tcp(this, SocketAddr::new(source, 0))?;
                }
            }
            (Some(_), Some(_)) => {}
            // As behind a router, another address and port are seen outside.
            (Some(bound), None) if bound.ip().is_unspecified() => {
                self.replace_tcp(this, family)?;
            }
            (Some(_), None) => return Err(ErrorCode::RemoteUnreachable.into()),
        }
        let known = self.socket(this.rep())?;
        known.step = Step::Connected;
        known.peer = Some(asked);
        Ok(destination)
    }

    fn local_tcp(&mut self, this: &This) -> SocketResult<IpSocketAddress> {
        let real = HostTcpSocket::get_local_address(&mut self.wasi, again(this))?;
        let (known, reach) = self.known(this)?;
        Ok(known.shown_local(reach, real.into()).into())
    }

    fn remote_tcp(&mut self, this: &This) -> SocketResult<IpSocketAddress> {
        let real = HostTcpSocket::get_remote_address(&mut self.wasi, again(this))?;
        let (known, reach) = self.known(this)?;
        Ok(known.shown_remote(reach, real.into()).into())
    }

    fn lease(&self, this: &This) -> wasmtime::Result<Lease> {
        let known = self.account.open.get(&this.rep());
        let known = known.ok_or_else(|| wasmtime::format_err!("no such socket"))?;
        Ok(known.hold.clone())
    }
}

async fn connect(
    accessor: &Accessor<ComponentState>,
    (this, asked): (This, IpSocketAddress),
) -> Answer<()> {
    let prepared = accessor.with(|mut store| view(store.get()).prepare_tcp(&this, asked.into()));
    let destination = match prepared {
        Ok(destination) => destination,
        Err(error) => return answer(Err(error)),
    };
    let connected = WasiSockets::connect(&wasis(accessor), this, destination.into()).await;
    waited().await;
    answer(connected)
}

fn listen(mut store: Store<'_>, (this,): (This,)) -> Answer<StreamReader<This>> {
    match start_listening(&mut store, &this) {
        Ok(listener) => {
            let access = Access::<_, WasiSockets>::new(
                store.as_context_mut(),
                <ComponentState as WasiSocketsView>::sockets,
            );
            let connections = WasiSockets::listen(access, again(&this))
                .now_or_never()
                .unwrap_or_else(|| Err(ErrorCode::Other(None).into()));
            let connections = match connections {
                Ok(connections) => connections,
                Err(error) => return answer(Err(error)),
            };
            if let Some(known) = view(store.data_mut()).account.open.get_mut(&this.rep()) {
                known.step = Step::Listening;
            }
            let mut view = view(store.data_mut());
            let lease = view.lease(&this)?;
            let local = match HostTcpSocket::get_local_address(&mut view.wasi, again(&this)) {
                Ok(local) => local.into(),
                Err(error) => return answer(Err(error)),
            };
            let gated = listen::gated(store, connections, listener, local, lease)?;
            Ok((Ok(gated),))
        }
        Err(error) => answer(Err(error)),
    }
}

/// Binds the socket if the guest did not.
fn start_listening(store: &mut Store<'_>, this: &This) -> SocketResult<Listener> {
    let mut view = view(store.data_mut());
    let known = view.socket(this.rep())?;
    if known.step == Step::New {
        let unspecified = known.family.unspecified();
        view.bind_tcp(this, unspecified)?;
    }
    let (known, reach) = view.known(this)?;
    Ok(Listener::of(known, reach))
}

fn send(
    mut store: Store<'_>,
    (this, data): (This, StreamReader<u8>),
) -> wasmtime::Result<(Outcome,)> {
    let lease = view(store.data_mut()).lease(&this)?;
    let access = Access::<_, WasiSockets>::new(
        store.as_context_mut(),
        <ComponentState as WasiSocketsView>::sockets,
    );
    let sent = WasiSockets::send(access, this, data)?;
    Ok((lease::hold(store, sent, lease)?,))
}

fn receive(
    mut store: Store<'_>,
    (this,): (This,),
) -> wasmtime::Result<((StreamReader<u8>, Outcome),)> {
    let lease = view(store.data_mut()).lease(&this)?;
    let access = Access::<_, WasiSockets>::new(
        store.as_context_mut(),
        <ComponentState as WasiSocketsView>::sockets,
    );
    let (data, received) = WasiSockets::receive(access, this)?;
    Ok(((data, lease::hold(store, received, lease)?),))
}
