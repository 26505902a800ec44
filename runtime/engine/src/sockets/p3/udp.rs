//! UDP: where sockets are bound and where datagrams go.
//!
//! As in p2 a client has a second socket of the host for what leaves this host. Here both are its one socket at the
//! same time: each datagram leaves by the one that can reach its destination, and both are listened to.

use super::{
    Answer, Family, Socket, SocketError, SocketResult, View, again, answer, family_of, is_remote,
    options, unreachable, view, wasi_family, wasis,
};
use crate::network::Protocol;
use crate::sockets::account::{MAX_BUFFER, Options, Step, is_mapped};
use crate::state::ComponentState;
use std::net::SocketAddr;
use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, LinkerInstance, Resource, ResourceType};
use wasmtime_wasi::p3::bindings::sockets::types::{
    ErrorCode, HostUdpSocket, HostUdpSocketWithStore, IpAddressFamily, IpSocketAddress,
};
use wasmtime_wasi::sockets::{UdpSocket, WasiSockets};

type Store<'a> = StoreContextMut<'a, ComponentState>;
type This = Resource<UdpSocket>;

pub(super) fn guard(types: &mut LinkerInstance<'_, ComponentState>) -> wasmtime::Result<()> {
    types.resource(
        "udp-socket",
        ResourceType::host::<UdpSocket>(),
        |mut store, number| view(store.data_mut()).drop_udp(number),
    )?;
    types.func_wrap_async(
        "[static]udp-socket.create",
        |mut store: Store<'_>, (family,): (IpAddressFamily,)| {
            Box::new(
                async move { answer(view(store.data_mut()).create_udp(family_of(family)).await) },
            )
        },
    )?;
    types.func_wrap_async(
        "[method]udp-socket.bind",
        |mut store: Store<'_>, (this, asked): (This, IpSocketAddress)| {
            Box::new(
                async move { answer(view(store.data_mut()).bind_udp(&this, asked.into()).await) },
            )
        },
    )?;
    types.func_wrap_async(
        "[method]udp-socket.connect",
        |mut store: Store<'_>, (this, asked): (This, IpSocketAddress)| {
            Box::new(async move {
                answer(
                    view(store.data_mut())
                        .connect_udp(&this, asked.into())
                        .await,
                )
            })
        },
    )?;
    types.func_wrap(
        "[method]udp-socket.disconnect",
        |mut store: Store<'_>, (this,): (This,)| {
            answer(view(store.data_mut()).disconnect_udp(&this))
        },
    )?;
    types.func_wrap_concurrent("[method]udp-socket.send", |accessor, params| {
        Box::pin(send(accessor, params))
    })?;
    types.func_wrap_concurrent("[method]udp-socket.receive", |accessor, params| {
        Box::pin(receive(accessor, params))
    })?;
    types.func_wrap(
        "[method]udp-socket.get-local-address",
        |mut store: Store<'_>, (this,): (This,)| answer(view(store.data_mut()).local_udp(&this)),
    )?;
    types.func_wrap(
        "[method]udp-socket.get-remote-address",
        |mut store: Store<'_>, (this,): (This,)| answer(view(store.data_mut()).remote_udp(&this)),
    )?;
    types.func_wrap(
        "[method]udp-socket.get-address-family",
        |mut store: Store<'_>, (this,): (This,)| Ok((view(store.data_mut()).family(this.rep())?,)),
    )?;
    options! { types, UdpSocket, HostUdpSocket, "udp-socket",
        "set-unicast-hop-limit" set_unicast_hop_limit hop_limit: u8, u8::MAX;
        "set-receive-buffer-size" set_receive_buffer_size receive_buffer: u64, MAX_BUFFER;
        "set-send-buffer-size" set_send_buffer_size send_buffer: u64, MAX_BUFFER;
    }
    Ok(())
}

impl View<'_> {
    async fn create_udp(&mut self, family: Family) -> SocketResult<This> {
        let hold = self.reserve()?;
        let (socket, host_family) = match self.host_udp(family).await {
            Ok(socket) => (socket, family),
            // A host without IPv6: what the guest does on this host needs none.
            Err(_) if family == Family::V6 && !self.account.reach().is_hosts() => {
                (self.host_udp(Family::V4).await?, Family::V4)
            }
            Err(error) => return Err(error),
        };
        let known = Socket::new(family, host_family, hold);
        self.account.open.insert(socket.rep(), known);
        Ok(socket)
    }

    async fn host_udp(&mut self, family: Family) -> SocketResult<This> {
        HostUdpSocket::create(&mut self.wasi, wasi_family(family)).await
    }

    async fn host_bind_udp(&mut self, this: &This, address: SocketAddr) -> SocketResult<()> {
        HostUdpSocket::bind(&mut self.wasi, again(this), address.into()).await
    }

    async fn replace_udp(&mut self, this: &This, family: Family) -> SocketResult<()> {
        let fresh = self.host_udp(family).await?;
        self.put_udp(this, fresh, family)
    }

    /// Puts one socket of the host in the place of another.
    fn put_udp(&mut self, this: &This, fresh: This, family: Family) -> SocketResult<()> {
        let fresh = self.wasi.table.delete(fresh).map_err(SocketError::trap)?;
        *self.wasi.table.get_mut(this).map_err(SocketError::trap)? = fresh;
        let known = self.socket(this.rep())?;
        known.host_family = family;
        let options = known.options;
        self.apply_udp(this, options)
    }

    fn apply_udp(&mut self, this: &This, options: Options) -> SocketResult<()> {
        let wasi = &mut self.wasi;
        if let Some(value) = options.hop_limit {
            wasi.set_unicast_hop_limit(again(this), value)?;
        }
        if let Some(value) = options.receive_buffer {
            HostUdpSocket::set_receive_buffer_size(wasi, again(this), value)?;
        }
        if let Some(value) = options.send_buffer {
            HostUdpSocket::set_send_buffer_size(wasi, again(this), value)?;
        }
        Ok(())
    }

    async fn bind_udp(&mut self, this: &This, asked: SocketAddr) -> SocketResult<()> {
        let known = self.socket(this.rep())?;
        let (family, host_family, step) = (known.family, known.host_family, known.step);
        let local = self.account.bind_address(family, asked)?;
        let is_hosts = self.account.reach().is_hosts();
        if step == Step::New && host_family != Family::of(local.ip()) && !is_hosts {
            self.replace_udp(this, Family::of(local.ip())).await?;
        }
        self.host_bind_udp(this, local).await?;
        let leaves = !is_hosts && self.account.reach().source(family.elsewhere()).is_none();
        let reserve = match asked.ip().is_unspecified() && asked.port() == 0 && leaves {
            true => self.make_outside(family).await,
            false => None,
        };
        let known = self.socket(this.rep())?;
        known.step = Step::Bound;
        known.bound = Some(asked);
        known.datagrams.reserve = reserve.map(|reserve| reserve.rep());
        Ok(())
    }

    /// A socket for what leaves this host; None where there can be none.
    async fn make_outside(&mut self, family: Family) -> Option<This> {
        let hold = self.reserve().ok()?;
        let socket = self.host_udp(family).await.ok()?;
        let known = Socket::new(family, family, hold);
        self.account.open.insert(socket.rep(), known);
        match self.host_bind_udp(&socket, family.unspecified()).await {
            Ok(()) => Some(socket),
            Err(_) => {
                // It was in the table a moment ago.
                let _gone = self.drop_udp(socket.rep());
                None
            }
        }
    }

    /// Which of the host's sockets reaches an address, and the address there. A socket that was not bound becomes one
    /// or the other.
    fn way_udp(&mut self, this: &This, asked: SocketAddr) -> SocketResult<(This, SocketAddr)> {
        let destination = self.account.reach().destination(Protocol::Udp, asked);
        let destination = destination.map_err(unreachable)?;
        let source = self.account.reach().source(destination.ip());
        let known = self.socket(this.rep())?;
        let family = Family::of(destination.ip());
        match (source, known.datagrams.reserve) {
            _ if known.datagrams.is_outside && source.is_some() => {
                // Pods would see an address that is not the guest's.
                Err(ErrorCode::AccessDenied.into())
            }
            (None, Some(reserve)) => Ok((Resource::new_borrow(reserve), destination)),
            (None, None) if known.bound.is_some() && !known.datagrams.is_outside => {
                Err(ErrorCode::RemoteUnreachable.into())
            }
            _ if known.host_family != family => Err(ErrorCode::RemoteUnreachable.into()),
            _ => Ok((again(this), destination)),
        }
    }

    /// Decides for a socket that was never bound where it leaves from, now that it is known where it sends to.
    fn settle_udp(&mut self, this: &This, asked: SocketAddr) -> SocketResult<()> {
        let known = self.socket(this.rep())?;
        if known.step != Step::New {
            return Ok(());
        }
        let destination = self.account.reach().destination(Protocol::Udp, asked);
        let destination = destination.map_err(unreachable)?;
        let source = self.account.reach().source(destination.ip());
        let known = self.socket(this.rep())?;
        if known.host_family != Family::of(destination.ip()) {
            return Err(ErrorCode::RemoteUnreachable.into());
        }
        known.step = Step::Bound;
        let family = known.family;
        let Some(source) = source else {
            known.datagrams.is_outside = true;
            return Ok(());
        };
        known.bound = Some(family.unspecified());
        let address = SocketAddr::new(source, 0);
        let binding = HostUdpSocket::bind(&mut self.wasi, again(this), address.into());
        futures::FutureExt::now_or_never(binding)
            // Only the check of addresses is awaited there, and ours is ready at once.
            .unwrap_or_else(|| Err(ErrorCode::Other(None).into()))
    }

    async fn connect_udp(&mut self, this: &This, asked: SocketAddr) -> SocketResult<()> {
        let known = self.socket(this.rep())?;
        if !is_remote(known.family, asked) || self.account.reach().is_hosts() {
            return HostUdpSocket::connect(&mut self.wasi, again(this), asked.into()).await;
        }
        let known = self.socket(this.rep())?;
        if known.step == Step::New && known.family == Family::V6 {
            // What it was made for is known only now.
            let destination = self.account.reach().destination(Protocol::Udp, asked);
            let family = Family::of(destination.map_err(unreachable)?.ip());
            if self.socket(this.rep())?.host_family != family {
                self.replace_udp(this, family).await?;
            }
        }
        self.settle_udp(this, asked)?;
        let (through, destination) = self.way_udp(this, asked)?;
        if through.rep() != this.rep() {
            // Connected, it has one peer and needs one socket.
            let family = Family::of(destination.ip());
            self.put_udp(this, Resource::new_own(through.rep()), family)?;
            self.account.open.remove(&through.rep());
            let datagrams = &mut self.socket(this.rep())?.datagrams;
            datagrams.reserve = None;
            datagrams.is_outside = true;
        }
        HostUdpSocket::connect(&mut self.wasi, again(this), destination.into()).await?;
        self.socket(this.rep())?.peer = Some(asked);
        Ok(())
    }

    fn disconnect_udp(&mut self, this: &This) -> SocketResult<()> {
        HostUdpSocket::disconnect(&mut self.wasi, again(this))?;
        self.socket(this.rep())?.peer = None;
        Ok(())
    }

    /// The socket and the address a datagram takes.
    fn outgoing_udp(
        &mut self,
        this: &This,
        asked: Option<IpSocketAddress>,
    ) -> SocketResult<(This, Option<IpSocketAddress>)> {
        let (Some(remote), false) = (asked.map(SocketAddr::from), self.account.reach().is_hosts())
        else {
            return Ok((again(this), asked));
        };
        let known_peer = self.socket(this.rep())?.peer;
        if let Some(peer) = known_peer {
            // To its peer, however the guest calls it, and to nobody else.
            let to = if peer == remote { None } else { asked };
            return Ok((again(this), to));
        }
        let known = self.socket(this.rep())?;
        let mapped = known.family != known.host_family && is_mapped(remote);
        if !mapped && !is_remote(known.family, remote) {
            return Ok((again(this), asked));
        }
        let to_localhost = self.account.reach().is_localhost(remote.ip());
        self.settle_udp(this, remote)?;
        let (through, destination) = self.way_udp(this, remote)?;
        self.socket(this.rep())?.datagrams.to_localhost |= to_localhost;
        Ok((through, Some(destination.into())))
    }

    fn local_udp(&mut self, this: &This) -> SocketResult<IpSocketAddress> {
        let real = HostUdpSocket::get_local_address(&mut self.wasi, again(this))?;
        let (known, reach) = self.known(this)?;
        Ok(known.shown_local(reach, real.into()).into())
    }

    fn remote_udp(&mut self, this: &This) -> SocketResult<IpSocketAddress> {
        let real = HostUdpSocket::get_remote_address(&mut self.wasi, again(this))?;
        let (known, reach) = self.known(this)?;
        Ok(known.shown_remote(reach, real.into()).into())
    }

    fn drop_udp(&mut self, number: u32) -> wasmtime::Result<()> {
        self.wasi.table.delete(This::new_own(number))?;
        if let Some(known) = self.account.open.remove(&number)
            && let Some(reserve) = known.datagrams.reserve
        {
            self.wasi.table.delete(This::new_own(reserve))?;
            self.account.open.remove(&reserve);
        }
        Ok(())
    }
}

type Datagram = (Vec<u8>, IpSocketAddress);

async fn send(
    accessor: &Accessor<ComponentState>,
    (this, data, asked): (This, Vec<u8>, Option<IpSocketAddress>),
) -> Answer<()> {
    let way = accessor.with(|mut store| view(store.get()).outgoing_udp(&this, asked));
    match way {
        Ok((through, to)) => answer(WasiSockets::send(&wasis(accessor), through, data, to).await),
        Err(error) => answer(Err(error)),
    }
}

async fn receive(accessor: &Accessor<ComponentState>, (this,): (This,)) -> Answer<Datagram> {
    let sockets = wasis(accessor);
    loop {
        let reserve = accessor.with(|mut store| {
            let known = view(store.get()).account.open.get(&this.rep());
            known.and_then(|known| known.datagrams.reserve)
        });
        let own = WasiSockets::receive(&sockets, again(&this));
        let (received, is_outside) = match reserve {
            None => (own.await, false),
            Some(reserve) => {
                let outside = WasiSockets::receive(&sockets, Resource::new_borrow(reserve));
                tokio::select! {
                    received = own => (received, false),
                    received = outside => (received, true),
                }
            }
        };
        let (data, from) = match received {
            Ok(datagram) => datagram,
            Err(error) => return answer(Err(error)),
        };
        let shown = accessor.with(|mut store| {
            let view = view(store.get());
            let (known, reach) = view.known(&this)?;
            match reach.is_hosts() {
                true => Ok(Some(from.into())),
                false => Ok(known.sender(reach, from.into(), is_outside)),
            }
        });
        match shown {
            Ok(Some(from)) => return Ok((Ok((data, from.into())),)),
            Ok(None) => {}
            Err(error) => return answer(Err(error)),
        }
    }
}
