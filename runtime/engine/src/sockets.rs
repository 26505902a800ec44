//! Guests' sockets: each container with an address of its own, in front of wasmtime-wasi's sockets.
//!
//! wasmtime-wasi makes the sockets and knows when they are ready. This module says where they are bound and where they
//! lead, and counts them: what the guest calls 0.0.0.0 or localhost is its container's address, other addresses are
//! not its to bind, and of the host's loopback it reaches pods only. The guest sees the addresses it asked for.
//! A second fence with the same rules stands before each system call ([`Sockets::context`]).

mod account;
pub(crate) mod lookup;
pub(crate) mod p2;
pub(crate) mod p3;
mod reach;

pub(crate) use account::Account;
pub(crate) use reach::{Reach, Unreachable};

use crate::ContainerSpec;
use crate::files::{FileBudget, FileSlot};
use crate::network::Network;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtx};

/// What the instances of a container share.
pub(crate) struct Sockets {
    reach: Reach,
    /// Whether the container has a network at all.
    allowed: bool,
    context: WasiSocketsCtx,
    budget: Arc<Budget>,
}

impl Sockets {
    pub(crate) fn new(spec: &ContainerSpec, reach: Reach, files: Arc<FileBudget>) -> Self {
        let allowed = !matches!(spec.network, Network::None);
        let rules = reach.clone();
        let mut builder = WasiCtx::builder();
        builder
            .allow_tcp(allowed)
            .allow_udp(allowed)
            .socket_addr_check(move |address, purpose| {
                Box::pin(std::future::ready(permits(&rules, address, purpose)))
            });
        Sockets {
            reach,
            allowed,
            context: builder.build().sockets().clone(),
            budget: Arc::new(Budget {
                used: AtomicU32::new(0),
                limit: spec.max_sockets,
                files,
            }),
        }
    }

    /// wasmtime-wasi's part, for one instance.
    pub(crate) fn context(&self) -> &WasiSocketsCtx {
        &self.context
    }
}

/// What a socket may do once addresses are translated.
fn permits(reach: &Reach, address: SocketAddr, purpose: SocketAddrUse) -> bool {
    let own = || reach.is_hosts() || reach.own() == Some(address.ip());
    match purpose {
        // The kernel chooses the address of a socket that leaves this host.
        SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => {
            own() || (address.ip().is_unspecified() && address.port() == 0)
        }
        SocketAddrUse::TcpListen => own(),
        SocketAddrUse::TcpConnect => reach.reaches(address.ip()),
        SocketAddrUse::UdpSend => reach.reaches(address.ip()) || reach.has_heard(address),
        SocketAddrUse::TcpAccept | SocketAddrUse::UdpReceive => true,
    }
}

/// The sockets of one container, which are also descriptors of all guests.
struct Budget {
    used: AtomicU32,
    limit: u32,
    files: Arc<FileBudget>,
}

impl Budget {
    fn take(self: &Arc<Self>) -> Option<Hold> {
        let slot = self.files.take()?;
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                (used < self.limit).then_some(used + 1)
            });
        taken.is_ok().then(|| Hold {
            budget: self.clone(),
            _slot: slot,
        })
    }
}

/// One socket out of the budget, given back when dropped.
pub(crate) struct Hold {
    budget: Arc<Budget>,
    _slot: FileSlot,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_return_to_the_budget() {
        let budget = Arc::new(Budget {
            used: AtomicU32::new(0),
            limit: 1,
            files: FileBudget::of_process(),
        });
        let hold = budget.take();
        assert!(hold.is_some());
        assert!(budget.take().is_none());
        drop(hold);
        assert!(budget.take().is_some());
    }
}
