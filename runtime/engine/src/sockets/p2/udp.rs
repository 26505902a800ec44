//! `wasi:sockets/udp` and `udp-create-socket`.
//!
//! A socket bound to the pod's loopback address cannot send to the world: nothing leaves the host from there. A client
//! (one that bound all addresses and no port of its own) therefore holds a second socket of the host in reserve, which
//! takes the first one's place when it sends outside; as behind a router, another address and port are seen there.
//! From then on it speaks to the outside only.

use super::{
    ErrorCode, Family, IpAddressFamily, IpSocketAddress, Network, Options, Resource, Socket,
    SocketResult, Step, View, again, is_remote,
};
use crate::network::Protocol;
use crate::sockets::account::{MAX_BUFFER, is_mapped};
use futures::FutureExt;
use std::net::SocketAddr;
use wasmtime_wasi::p2::bindings::sockets::udp::{
    self, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream,
};
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket;
use wasmtime_wasi::p2::{DynPollable, UdpSocket};

impl udp_create_socket::Host for View<'_> {
    async fn create_udp_socket(
        &mut self,
        family: IpAddressFamily,
    ) -> SocketResult<Resource<UdpSocket>> {
        let hold = self.account.reserve().ok_or(ErrorCode::NewSocketLimit)?;
        let family = Family::from(family);
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
}

/// Datagrams sent by one call; wasmtime-wasi permits no more.
const MAX_DATAGRAMS: usize = 16;

/// Where a datagram or a connection leads.
enum Way {
    /// Through the socket as it is.
    Open(SocketAddr),
    /// Through the socket in reserve, once it has taken the first one's place.
    Reserve(SocketAddr),
}

impl View<'_> {
    async fn host_udp(&mut self, family: Family) -> SocketResult<Resource<UdpSocket>> {
        udp_create_socket::Host::create_udp_socket(&mut self.wasi, family.into()).await
    }

    async fn bind_udp(
        &mut self,
        this: &Resource<UdpSocket>,
        network: &Resource<Network>,
        address: SocketAddr,
    ) -> SocketResult<()> {
        let wasi = &mut self.wasi;
        HostUdpSocket::start_bind(wasi, again(this), again(network), address.into()).await?;
        HostUdpSocket::finish_bind(wasi, again(this))
    }

    /// A socket for what leaves this host; None where there can be none.
    async fn make_reserve(
        &mut self,
        family: Family,
        network: &Resource<Network>,
    ) -> SocketResult<Option<Resource<UdpSocket>>> {
        let Some(hold) = self.account.reserve() else {
            return Ok(None);
        };
        let Ok(socket) = self.host_udp(family).await else {
            return Ok(None);
        };
        match self.bind_udp(&socket, network, family.unspecified()).await {
            Ok(()) => {
                let known = Socket::new(family, family, hold);
                self.account.open.insert(socket.rep(), known);
                Ok(Some(socket))
            }
            Err(_) => {
                self.wasi.table.delete(socket)?;
                Ok(None)
            }
        }
    }

    fn way(&mut self, number: u32, asked: SocketAddr) -> SocketResult<Way> {
        let destination = self.account.reach().destination(Protocol::Udp, asked)?;
        let stays = self.account.reach().source(destination.ip()).is_some();
        let known = self.socket(number)?;
        match (stays, known.datagrams.is_outside, known.datagrams.reserve) {
            (true, false, _) => Ok(Way::Open(destination)),
            (false, true, _) if Family::of(destination.ip()) == known.host_family => {
                Ok(Way::Open(destination))
            }
            (false, false, Some(_)) => Ok(Way::Reserve(destination)),
            // Pods would see an address that is not the guest's.
            (true, true, _) => Err(ErrorCode::AccessDenied.into()),
            _ => Err(ErrorCode::RemoteUnreachable.into()),
        }
    }

    /// Lets the socket in reserve take the place of the first one, and its streams that of the first one's.
    fn step_outside(&mut self, this: &Resource<UdpSocket>) -> SocketResult<()> {
        let known = self.socket(this.rep())?;
        let (options, datagrams) = (known.options, &mut known.datagrams);
        let reserve = datagrams.reserve.take();
        let reserve = Resource::<UdpSocket>::new_own(reserve.ok_or(ErrorCode::RemoteUnreachable)?);
        datagrams.is_outside = true;
        known.host_family = known.family;
        let (incoming, outgoing) = (known.datagrams.incoming, known.datagrams.outgoing);
        let streams = HostUdpSocket::stream(&mut self.wasi, again(&reserve), None)
            .now_or_never()
            // Nothing is awaited there without an address to connect to.
            .unwrap_or_else(|| Err(ErrorCode::Unknown.into()))?;
        let table = &mut self.wasi.table;
        let (new_incoming, new_outgoing) = (table.delete(streams.0)?, table.delete(streams.1)?);
        if let Some(number) = incoming {
            *table.get_mut(&Resource::<IncomingDatagramStream>::new_borrow(number))? = new_incoming;
        }
        if let Some(number) = outgoing {
            *table.get_mut(&Resource::<OutgoingDatagramStream>::new_borrow(number))? = new_outgoing;
        }
        // The first socket's place in the budget stays taken, by this one.
        self.account.open.remove(&reserve.rep());
        *self.wasi.table.get_mut(this)? = self.wasi.table.delete(reserve)?;
        self.apply_udp(this, options)
    }

    fn apply_udp(&mut self, this: &Resource<UdpSocket>, options: Options) -> SocketResult<()> {
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
}

impl udp::Host for View<'_> {}

impl HostUdpSocket for View<'_> {
    async fn start_bind(
        &mut self,
        this: Resource<UdpSocket>,
        network: Resource<Network>,
        local_address: IpSocketAddress,
    ) -> SocketResult<()> {
        if self.account.reach().is_hosts() {
            return HostUdpSocket::start_bind(&mut self.wasi, this, network, local_address).await;
        }
        let known = self.socket(this.rep())?;
        let (family, host_family, step) = (known.family, known.host_family, known.step);
        let asked = SocketAddr::from(local_address);
        let local = self.account.bind_address(family, asked)?;
        if step == Step::New && host_family != Family::of(local.ip()) {
            let fresh = self.host_udp(Family::of(local.ip())).await?;
            *self.wasi.table.get_mut(&this)? = self.wasi.table.delete(fresh)?;
            let known = self.socket(this.rep())?;
            known.host_family = Family::of(local.ip());
            let options = known.options;
            self.apply_udp(&this, options)?;
        }
        HostUdpSocket::start_bind(&mut self.wasi, again(&this), again(&network), local.into())
            .await?;
        let leaves = self.account.reach().source(family.elsewhere()).is_none();
        let reserve = match asked.ip().is_unspecified() && asked.port() == 0 && leaves {
            true => self.make_reserve(family, &network).await?,
            false => None,
        };
        let known = self.socket(this.rep())?;
        known.step = Step::Binding;
        known.bound = Some(asked);
        known.datagrams.reserve = reserve.map(|reserve| reserve.rep());
        Ok(())
    }

    fn finish_bind(&mut self, this: Resource<UdpSocket>) -> SocketResult<()> {
        HostUdpSocket::finish_bind(&mut self.wasi, again(&this))?;
        self.socket(this.rep())?.step = Step::Bound;
        Ok(())
    }

    async fn stream(
        &mut self,
        this: Resource<UdpSocket>,
        remote_address: Option<IpSocketAddress>,
    ) -> SocketResult<(
        Resource<IncomingDatagramStream>,
        Resource<OutgoingDatagramStream>,
    )> {
        let asked = remote_address.map(SocketAddr::from);
        let known = self.socket(this.rep())?;
        let fit = known.step == Step::Bound && !known.datagrams.has_streams();
        let remote = match asked {
            Some(asked)
                if fit && is_remote(known.family, asked) && !self.account.reach().is_hosts() =>
            {
                match self.way(this.rep(), asked)? {
                    Way::Open(destination) => Some(destination.into()),
                    Way::Reserve(destination) => {
                        self.step_outside(&this)?;
                        Some(destination.into())
                    }
                }
            }
            _ => remote_address,
        };
        let streams = HostUdpSocket::stream(&mut self.wasi, again(&this), remote).await?;
        let known = self.socket(this.rep())?;
        known.peer = asked;
        known.datagrams.incoming = Some(streams.0.rep());
        known.datagrams.outgoing = Some(streams.1.rep());
        self.account.streams.insert(streams.0.rep(), this.rep());
        self.account.streams.insert(streams.1.rep(), this.rep());
        Ok(streams)
    }

    fn local_address(&mut self, this: Resource<UdpSocket>) -> SocketResult<IpSocketAddress> {
        let real = HostUdpSocket::local_address(&mut self.wasi, again(&this))?;
        let (known, reach) = self.known(&this)?;
        Ok(known.shown_local(reach, real.into()).into())
    }

    fn remote_address(&mut self, this: Resource<UdpSocket>) -> SocketResult<IpSocketAddress> {
        let real = HostUdpSocket::remote_address(&mut self.wasi, again(&this))?;
        let (known, reach) = self.known(&this)?;
        Ok(known.shown_remote(reach, real.into()).into())
    }

    fn address_family(&mut self, this: Resource<UdpSocket>) -> wasmtime::Result<IpAddressFamily> {
        match self.account.open.get(&this.rep()) {
            Some(known) => Ok(known.family.into()),
            None => HostUdpSocket::address_family(&mut self.wasi, this),
        }
    }

    fn unicast_hop_limit(&mut self, this: Resource<UdpSocket>) -> SocketResult<u8> {
        self.wasi.unicast_hop_limit(this)
    }

    fn set_unicast_hop_limit(&mut self, this: Resource<UdpSocket>, value: u8) -> SocketResult<()> {
        self.wasi.set_unicast_hop_limit(again(&this), value)?;
        self.socket(this.rep())?.options.hop_limit = Some(value);
        Ok(())
    }

    fn receive_buffer_size(&mut self, this: Resource<UdpSocket>) -> SocketResult<u64> {
        HostUdpSocket::receive_buffer_size(&mut self.wasi, this)
    }

    fn set_receive_buffer_size(
        &mut self,
        this: Resource<UdpSocket>,
        value: u64,
    ) -> SocketResult<()> {
        let value = value.min(MAX_BUFFER);
        HostUdpSocket::set_receive_buffer_size(&mut self.wasi, again(&this), value)?;
        self.socket(this.rep())?.options.receive_buffer = Some(value);
        Ok(())
    }

    fn send_buffer_size(&mut self, this: Resource<UdpSocket>) -> SocketResult<u64> {
        HostUdpSocket::send_buffer_size(&mut self.wasi, this)
    }

    fn set_send_buffer_size(&mut self, this: Resource<UdpSocket>, value: u64) -> SocketResult<()> {
        let value = value.min(MAX_BUFFER);
        HostUdpSocket::set_send_buffer_size(&mut self.wasi, again(&this), value)?;
        self.socket(this.rep())?.options.send_buffer = Some(value);
        Ok(())
    }

    fn subscribe(&mut self, this: Resource<UdpSocket>) -> wasmtime::Result<Resource<DynPollable>> {
        HostUdpSocket::subscribe(&mut self.wasi, this)
    }

    fn drop(&mut self, this: Resource<UdpSocket>) -> wasmtime::Result<()> {
        let number = this.rep();
        HostUdpSocket::drop(&mut self.wasi, this)?;
        if let Some(known) = self.account.open.remove(&number)
            && let Some(reserve) = known.datagrams.reserve
        {
            self.wasi
                .table
                .delete(Resource::<UdpSocket>::new_own(reserve))?;
            self.account.open.remove(&reserve);
        }
        Ok(())
    }
}

impl HostIncomingDatagramStream for View<'_> {
    fn receive(
        &mut self,
        this: Resource<IncomingDatagramStream>,
        max_results: u64,
    ) -> SocketResult<Vec<IncomingDatagram>> {
        let number = self.account.streams.get(&this.rep()).copied();
        let datagrams = HostIncomingDatagramStream::receive(&mut self.wasi, this, max_results)?;
        if self.account.reach().is_hosts() {
            return Ok(datagrams);
        }
        let number = number.ok_or(ErrorCode::InvalidState)?;
        let (known, reach) = self.known(&Resource::<UdpSocket>::new_borrow(number))?;
        let shown = datagrams.into_iter().filter_map(|datagram| {
            let from = known.sender(reach, datagram.remote_address.into(), false)?;
            Some(IncomingDatagram {
                data: datagram.data,
                remote_address: from.into(),
            })
        });
        Ok(shown.collect())
    }

    fn subscribe(
        &mut self,
        this: Resource<IncomingDatagramStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        HostIncomingDatagramStream::subscribe(&mut self.wasi, this)
    }

    fn drop(&mut self, this: Resource<IncomingDatagramStream>) -> wasmtime::Result<()> {
        let number = this.rep();
        HostIncomingDatagramStream::drop(&mut self.wasi, this)?;
        if let Some(known) = self.account.stream_closed(number) {
            known.incoming = None;
        }
        Ok(())
    }
}

impl HostOutgoingDatagramStream for View<'_> {
    fn check_send(&mut self, this: Resource<OutgoingDatagramStream>) -> SocketResult<u64> {
        self.wasi.check_send(this)
    }

    fn send(
        &mut self,
        this: Resource<OutgoingDatagramStream>,
        datagrams: Vec<OutgoingDatagram>,
    ) -> SocketResult<u64> {
        if self.account.reach().is_hosts() || datagrams.len() > MAX_DATAGRAMS {
            return self.wasi.send(this, datagrams);
        }
        let number = self.account.streams.get(&this.rep()).copied();
        let number = number.ok_or(ErrorCode::InvalidState)?;
        let mut ready = Vec::with_capacity(datagrams.len());
        for mut datagram in datagrams {
            match self.address(&this, number, datagram.remote_address, ready.is_empty()) {
                Ok(Some(address)) => datagram.remote_address = address,
                // Those before it go first; the guest sends the rest again.
                Ok(None) => break,
                Err(_) if !ready.is_empty() => break,
                Err(error) => return Err(error),
            }
            ready.push(datagram);
        }
        self.wasi.send(this, ready)
    }

    fn subscribe(
        &mut self,
        this: Resource<OutgoingDatagramStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        HostOutgoingDatagramStream::subscribe(&mut self.wasi, this)
    }

    async fn drop(&mut self, this: Resource<OutgoingDatagramStream>) -> wasmtime::Result<()> {
        let number = this.rep();
        HostOutgoingDatagramStream::drop(&mut self.wasi, this).await?;
        if let Some(known) = self.account.stream_closed(number) {
            known.outgoing = None;
        }
        Ok(())
    }
}

impl View<'_> {
    /// The host's address of a datagram. None if the socket in reserve is to take over first, and may not yet.
    #[allow(
        clippy::option_option,
        reason = "a datagram may have no address of its own"
    )]
    fn address(
        &mut self,
        stream: &Resource<OutgoingDatagramStream>,
        number: u32,
        asked: Option<IpSocketAddress>,
        may_change: bool,
    ) -> SocketResult<Option<Option<IpSocketAddress>>> {
        let known = self.socket(number)?;
        let Some(remote) = asked.map(SocketAddr::from) else {
            return Ok(Some(None));
        };
        if let Some(peer) = known.peer {
            // A connected socket sends to its peer, however the guest calls it, and to nobody else.
            return Ok(Some(if peer == remote { None } else { asked }));
        }
        // A guest's IPv6 socket on this host answers senders that have IPv4 addresses.
        let mapped = known.family != known.host_family && is_mapped(remote);
        if !mapped && !is_remote(known.family, remote) {
            return Ok(Some(asked));
        }
        let to_localhost = self.account.reach().is_localhost(remote.ip());
        let destination = match self.way(number, remote)? {
            Way::Open(destination) => destination,
            Way::Reserve(_) if !may_change => return Ok(None),
            Way::Reserve(destination) => {
                self.step_outside(&Resource::new_borrow(number))?;
                // The new stream has to be asked, as the guest asked the old one.
                self.wasi.check_send(again(stream))?;
                destination
            }
        };
        self.socket(number)?.datagrams.to_localhost |= to_localhost;
        Ok(Some(Some(destination.into())))
    }
}
