//! How a container meets the network: whose addresses it has, and who knows the others. Plain data and one seam.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The network of a container.
#[derive(Clone, Default)]
pub enum Network {
    /// No sockets and no names.
    #[default]
    None,
    /// An address of its own: what the guest binds is bound there, and its localhost is there. Containers with one
    /// address share their localhost.
    Pod(PodNetwork),
    /// The host's own addresses, untranslated and unfiltered.
    Host,
}

/// The network of a container with an address of its own.
#[derive(Clone)]
pub struct PodNetwork {
    /// The address, local to this host.
    pub address: Ipv4Addr,
    /// Whether addresses other than pods' are reached.
    pub outside: bool,
    /// Knows names and addresses that the host does not; `None` leaves all to the host.
    pub directory: Option<Arc<dyn Directory>>,
}

impl PodNetwork {
    /// A network that reaches everything but the host's loopback.
    pub fn new(address: Ipv4Addr) -> Self {
        PodNetwork {
            address,
            outside: true,
            directory: None,
        }
    }
}

/// What is spoken on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A stream of bytes.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Where what is sent to an address goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the address itself.
    Direct,
    /// To another: the address stands for it. The guest sees the address it asked for.
    To(SocketAddr),
    /// Nowhere: the guest is told that the connection was refused.
    Refused,
}

/// Tables of names and addresses that are looked at inside guests' calls. Answers must come at once, from memory.
pub trait Directory: Send + Sync {
    /// The addresses of a name; `None` leaves the name to the host's resolver.
    fn lookup(&self, name: &str) -> Option<Vec<IpAddr>>;

    /// Where a connection or a datagram to an address goes. Asked for each connection and each datagram's address.
    fn route(&self, protocol: Protocol, destination: SocketAddr) -> Route;
}
