//! What is known of each socket of one instance: the addresses the guest gave, and what they stand for.

use super::{Hold, Reach, Sockets};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Connections a listener's queue holds at most.
pub(super) const MAX_BACKLOG: u64 = 1_024;

/// Bytes the kernel may keep for a socket in each direction, if the guest asks for a size.
pub(super) const MAX_BUFFER: u64 = 1 << 20;

/// The account of one instance's sockets, by their numbers in its table of resources.
pub(crate) struct Account {
    pub(super) shared: Arc<Sockets>,
    pub(super) open: HashMap<u32, Socket>,
    /// The sockets that streams of datagrams belong to.
    pub(super) streams: HashMap<u32, u32>,
}

impl Account {
    pub(crate) fn new(shared: Arc<Sockets>) -> Self {
        Account {
            shared,
            open: HashMap::new(),
            streams: HashMap::new(),
        }
    }

    /// Room for one more socket.
    pub(super) fn reserve(&self) -> Option<Hold> {
        self.shared.budget.take()
    }

    /// Forgets a stream of datagrams; what is left to be told is its socket's part.
    pub(super) fn stream_closed(&mut self, stream: u32) -> Option<&mut Datagrams> {
        let socket = self.streams.remove(&stream)?;
        self.open
            .get_mut(&socket)
            .map(|socket| &mut socket.datagrams)
    }

    pub(super) fn reach(&self) -> &Reach {
        &self.shared.reach
    }

    /// Where a bind leads, for a socket of this family.
    pub(super) fn bind_address(
        &self,
        family: Family,
        asked: SocketAddr,
    ) -> Result<SocketAddr, Unbindable> {
        if Family::of(asked.ip()) != family {
            return Err(Unbindable::Family);
        }
        let local = self.reach().local(asked.ip());
        let local = local.ok_or(Unbindable::Address)?;
        Ok(SocketAddr::new(local, asked.port()))
    }
}

/// Why a socket cannot be bound to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unbindable {
    /// The address is of the other family.
    Family,
    /// The address is not the guest's.
    Address,
}

/// How far a socket is in its life, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    New,
    Binding,
    Bound,
    Listening,
    Connected,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    pub(super) fn unspecified(self) -> SocketAddr {
        match self {
            Family::V4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
            Family::V6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
        }
    }

    /// An address that is nobody's on this host: one for documentation.
    pub(super) fn elsewhere(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::new(192, 0, 2, 1).into(),
            Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        }
    }

    fn localhost(self, port: u16) -> SocketAddr {
        match self {
            Family::V4 => (Ipv4Addr::LOCALHOST, port).into(),
            Family::V6 => (Ipv6Addr::LOCALHOST, port).into(),
        }
    }
}

/// Options the guest set, to be set again when another socket of the host takes its place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) backlog: Option<u64>,
    pub(super) keep_alive: Option<bool>,
    pub(super) keep_alive_idle: Option<u64>,
    pub(super) keep_alive_interval: Option<u64>,
    pub(super) keep_alive_count: Option<u32>,
    pub(super) hop_limit: Option<u8>,
    pub(super) receive_buffer: Option<u64>,
    pub(super) send_buffer: Option<u64>,
}

/// What concerns sockets of datagrams only.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    /// The socket that takes over when the guest sends to the outside.
    pub(super) reserve: Option<u32>,
    /// Whether it has taken over.
    pub(super) is_outside: bool,
    /// Whether the guest sent to localhost, so that answers come from there.
    pub(super) to_localhost: bool,
    pub(super) incoming: Option<u32>,
    pub(super) outgoing: Option<u32>,
}

impl Datagrams {
    pub(super) fn has_streams(&self) -> bool {
        self.incoming.is_some() || self.outgoing.is_some()
    }
}

/// One socket.
pub(super) struct Socket {
    /// What the guest asked for.
    pub(super) family: Family,
    /// What the host's socket is: a guest's IPv6 socket that stays on this host is IPv4, as its address is.
    pub(super) host_family: Family,
    pub(super) step: Step,
    /// The address the guest bound, in its own words.
    pub(super) bound: Option<SocketAddr>,
    /// The address the guest connected to, in its own words.
    pub(super) peer: Option<SocketAddr>,
    pub(super) options: Options,
    pub(super) datagrams: Datagrams,
    /// Its place in the budget. What outlives the socket holds it too.
    pub(super) hold: Arc<Hold>,
}

impl Socket {
    pub(super) fn new(family: Family, host_family: Family, hold: Hold) -> Self {
        Socket {
            family,
            host_family,
            step: Step::New,
            bound: None,
            peer: None,
            options: Options::default(),
            datagrams: Datagrams::default(),
            hold: Arc::new(hold),
        }
    }

    /// A connection that a listener accepted from an address of the host.
    pub(super) fn accepted(listener: &Listener, remote: SocketAddr, hold: Hold) -> Self {
        let localhost = listener.localhost.map(|ip| SocketAddr::new(ip, 0));
        Socket {
            step: Step::Connected,
            bound: localhost,
            peer: localhost.map(|ip| SocketAddr::new(ip.ip(), remote.port())),
            ..Socket::new(listener.family, listener.host_family, hold)
        }
    }

    /// Whether the guest bound it to localhost, so that only its own container may speak to it.
    pub(super) fn is_local_only(&self, reach: &Reach) -> bool {
        self.bound
            .is_some_and(|bound| reach.is_localhost(bound.ip()))
    }

    /// Its own address as the guest shall see it, from what it is on the host. What was bound reads as it was bound;
    /// who spoke to localhost was there.
    pub(super) fn shown_local(&self, reach: &Reach, real: SocketAddr) -> SocketAddr {
        if reach.is_hosts() {
            return real;
        }
        let to_localhost = self.peer.is_some_and(|peer| reach.is_localhost(peer.ip()));
        match self.bound {
            Some(bound) if reach.is_localhost(bound.ip()) => {
                SocketAddr::new(bound.ip(), real.port())
            }
            Some(bound) if bound.ip().is_unspecified() && !self.is_connected() => {
                SocketAddr::new(bound.ip(), real.port())
            }
            _ if to_localhost => self.family.localhost(real.port()),
            _ => self.in_family(real),
        }
    }

    /// The other side's address as the guest shall see it.
    pub(super) fn shown_remote(&self, reach: &Reach, real: SocketAddr) -> SocketAddr {
        match self.peer {
            Some(peer) if !reach.is_hosts() => peer,
            _ => self.in_family(reach.seen(real)),
        }
    }

    /// Who sent a datagram, as the guest shall see it; None if the guest shall not get it. `outside` tells that it came
    /// by a socket for what leaves this host.
    pub(super) fn sender(
        &self,
        reach: &Reach,
        real: SocketAddr,
        outside: bool,
    ) -> Option<SocketAddr> {
        let is_own = reach.own() == Some(real.ip().to_canonical());
        let local_only = self.is_local_only(reach);
        let outside = outside || self.datagrams.is_outside;
        if (local_only && !is_own) || (outside && real.ip().is_loopback()) {
            return None;
        }
        Some(match self.peer {
            Some(peer) => peer,
            None if is_own && (local_only || self.datagrams.to_localhost) => {
                self.family.localhost(real.port())
            }
            None => {
                reach.hear(real);
                self.in_family(reach.seen(real))
            }
        })
    }

    fn is_connected(&self) -> bool {
        self.step == Step::Connected || self.peer.is_some()
    }

    /// An address in the family of the guest's socket.
    pub(super) fn in_family(&self, address: SocketAddr) -> SocketAddr {
        match (self.family, address.ip()) {
            (Family::V6, IpAddr::V4(ip)) => {
                SocketAddr::new(ip.to_ipv6_mapped().into(), address.port())
            }
            _ => address,
        }
    }
}

/// Whether an address is an IPv4 one written as an IPv6 one.
pub(super) fn is_mapped(address: SocketAddr) -> bool {
    address.ip().to_canonical() != address.ip()
}

/// Whether something can be sent to an address at all; what cannot is left to wasmtime-wasi to refuse in its words.
pub(super) fn is_remote(family: Family, address: SocketAddr) -> bool {
    Family::of(address.ip()) == family
        && !is_mapped(address)
        && !address.ip().is_unspecified()
        && address.port() != 0
}

/// What an accepted connection takes from its listener.
#[derive(Clone, Copy)]
pub(super) struct Listener {
    pub(super) family: Family,
    pub(super) host_family: Family,
    /// The address of localhost it is bound to, if it is.
    pub(super) localhost: Option<IpAddr>,
}

impl Listener {
    pub(super) fn of(socket: &Socket, reach: &Reach) -> Self {
        let localhost = socket.bound.map(|bound| bound.ip());
        Listener {
            family: socket.family,
            host_family: socket.host_family,
            localhost: localhost.filter(|_| !reach.is_hosts() && socket.is_local_only(reach)),
        }
    }

    /// Whether it takes a connection from this address.
    pub(super) fn takes(&self, reach: &Reach, remote: SocketAddr) -> bool {
        self.localhost.is_none() || reach.own() == Some(remote.ip().to_canonical())
    }
}
