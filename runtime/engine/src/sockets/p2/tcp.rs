//! `wasi:sockets/tcp` and `tcp-create-socket`.

use super::{
    ErrorCode, Family, IpAddressFamily, IpSocketAddress, Network, Options, Resource, Socket,
    SocketResult, Step, View, again, is_remote,
};
use crate::network::Protocol;
use crate::sockets::account::{Listener, MAX_BACKLOG, MAX_BUFFER};
use futures::FutureExt;
use std::net::SocketAddr;
use wasmtime_wasi::p2::bindings::sockets::tcp::{
    self, Duration, HostTcpSocket, ShutdownType, TcpSocket,
};
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};

/// Connections from strangers to localhost that are closed before the guest is told that there is none.
const MAX_STRANGERS: usize = 64;

impl tcp_create_socket::Host for View<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        let hold = self.account.reserve().ok_or(ErrorCode::NewSocketLimit)?;
        let family = Family::from(family);
        let (socket, host_family) = match self.host_socket(family) {
            Ok(socket) => (socket, family),
            // A host without IPv6: what the guest does on this host needs none.
            Err(_) if family == Family::V6 && !self.account.reach().is_hosts() => {
                (self.host_socket(Family::V4)?, Family::V4)
            }
            Err(error) => return Err(error),
        };
        let known = Socket::new(family, host_family, hold);
        self.account.open.insert(socket.rep(), known);
        Ok(socket)
    }
}

impl View<'_> {
    fn host_socket(&mut self, family: Family) -> SocketResult<Resource<TcpSocket>> {
        tcp_create_socket::Host::create_tcp_socket(&mut self.wasi, family.into())
    }

    /// Puts a fresh socket of the host in the place of one that has no connection and no listener.
    fn replace(&mut self, this: &Resource<TcpSocket>, family: Family) -> SocketResult<()> {
        let fresh = self.host_socket(family)?;
        let fresh = self.wasi.table.delete(fresh)?;
        *self.wasi.table.get_mut(this)? = fresh;
        let known = self.socket(this.rep())?;
        known.host_family = family;
        let options = known.options;
        self.apply(this, options)
    }

    fn apply(&mut self, this: &Resource<TcpSocket>, options: Options) -> SocketResult<()> {
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
            HostTcpSocket::set_hop_limit(wasi, again(this), value)?;
        }
        if let Some(value) = options.receive_buffer {
            HostTcpSocket::set_receive_buffer_size(wasi, again(this), value)?;
        }
        if let Some(value) = options.send_buffer {
            HostTcpSocket::set_send_buffer_size(wasi, again(this), value)?;
        }
        Ok(())
    }

    /// Binds a socket that the guest did not bind, for a connection to leave from there.
    fn leave_from(&mut self, this: &Resource<TcpSocket>, source: SocketAddr) -> SocketResult<()> {
        let network = self.network()?;
        let bound = self
            .wasi
            .start_bind(again(this), again(&network), source.into())
            .now_or_never()
            // Only the check of addresses is awaited there, and ours is ready at once.
            .unwrap_or_else(|| Err(ErrorCode::Unknown.into()));
        self.forget_network(network)?;
        bound?;
        HostTcpSocket::finish_bind(&mut self.wasi, again(this))
    }

    /// Makes the socket fit for a connection to an address of the host: of its family, and bound where it leaves from.
    fn prepare(&mut self, this: &Resource<TcpSocket>, destination: SocketAddr) -> SocketResult<()> {
        let source = self.account.reach().source(destination.ip());
        let known = self.socket(this.rep())?;
        let family = Family::of(destination.ip());
        match (known.bound, source) {
            (None, source) => {
                if known.host_family != family {
                    self.replace(this, family)?;
                }
                if let Some(source) = source {
                    self.leave_from(this, SocketAddr::new(source, 0))?;
                }
                Ok(())
            }
            (Some(_), Some(_)) => Ok(()),
            // Bound to all addresses of the guest, of which none leads out: as behind a router, another address and
            // port are seen there.
            (Some(bound), None) if bound.ip().is_unspecified() => self.replace(this, family),
            (Some(_), None) => Err(ErrorCode::RemoteUnreachable.into()),
        }
    }

    /// Closes a connection before the guest knows of it.
    fn hang_up(
        &mut self,
        (socket, input, output): (
            Resource<TcpSocket>,
            Resource<DynInputStream>,
            Resource<DynOutputStream>,
        ),
    ) -> SocketResult<()> {
        self.wasi.table.delete(input)?;
        self.wasi.table.delete(output)?;
        self.wasi.table.delete(socket)?;
        Ok(())
    }
}

impl tcp::Host for View<'_> {}

impl HostTcpSocket for View<'_> {
    async fn start_bind(
        &mut self,
        this: Resource<TcpSocket>,
        network: Resource<Network>,
        local_address: IpSocketAddress,
    ) -> SocketResult<()> {
        if self.account.reach().is_hosts() {
            return self.wasi.start_bind(this, network, local_address).await;
        }
        let known = self.socket(this.rep())?;
        let (family, host_family, step) = (known.family, known.host_family, known.step);
        let asked = SocketAddr::from(local_address);
        let local = self.account.bind_address(family, asked)?;
        if step == Step::New && host_family != Family::of(local.ip()) {
            self.replace(&this, Family::of(local.ip()))?;
        }
        self.wasi
            .start_bind(again(&this), network, local.into())
            .await?;
        let known = self.socket(this.rep())?;
        known.step = Step::Binding;
        known.bound = Some(asked);
        Ok(())
    }

    fn finish_bind(&mut self, this: Resource<TcpSocket>) -> SocketResult<()> {
        HostTcpSocket::finish_bind(&mut self.wasi, again(&this))?;
        self.socket(this.rep())?.step = Step::Bound;
        Ok(())
    }

    fn start_connect(
        &mut self,
        this: Resource<TcpSocket>,
        network: Resource<Network>,
        remote_address: IpSocketAddress,
    ) -> SocketResult<()> {
        let asked = SocketAddr::from(remote_address);
        let known = self.socket(this.rep())?;
        let fresh = matches!(known.step, Step::New | Step::Bound);
        if !fresh || !is_remote(known.family, asked) || self.account.reach().is_hosts() {
            return self.wasi.start_connect(this, network, remote_address);
        }
        let destination = self.account.reach().destination(Protocol::Tcp, asked)?;
        self.prepare(&this, destination)?;
        self.wasi
            .start_connect(again(&this), network, destination.into())?;
        let known = self.socket(this.rep())?;
        known.step = Step::Connected;
        known.peer = Some(asked);
        Ok(())
    }

    fn finish_connect(
        &mut self,
        this: Resource<TcpSocket>,
    ) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        self.wasi.finish_connect(this)
    }

    async fn start_listen(&mut self, this: Resource<TcpSocket>) -> SocketResult<()> {
        self.wasi.start_listen(again(&this)).await?;
        self.socket(this.rep())?.step = Step::Listening;
        Ok(())
    }

    fn finish_listen(&mut self, this: Resource<TcpSocket>) -> SocketResult<()> {
        self.wasi.finish_listen(this)
    }

    fn accept(
        &mut self,
        this: Resource<TcpSocket>,
    ) -> SocketResult<(
        Resource<TcpSocket>,
        Resource<DynInputStream>,
        Resource<DynOutputStream>,
    )> {
        let known = self.account.open.get(&this.rep());
        let known = known.ok_or(ErrorCode::InvalidState)?;
        let listener = Listener::of(known, self.account.reach());
        let hold = self.account.reserve().ok_or(ErrorCode::NewSocketLimit)?;
        for _ in 0..MAX_STRANGERS {
            let accepted = self.wasi.accept(again(&this))?;
            let remote = HostTcpSocket::remote_address(&mut self.wasi, again(&accepted.0));
            let remote = match remote {
                Ok(remote) => SocketAddr::from(remote),
                // It is gone again already.
                Err(_) => {
                    self.hang_up(accepted)?;
                    continue;
                }
            };
            if listener.takes(self.account.reach(), remote) {
                let known = Socket::accepted(&listener, remote, hold);
                self.account.open.insert(accepted.0.rep(), known);
                return Ok(accepted);
            }
            self.hang_up(accepted)?;
        }
        Err(ErrorCode::WouldBlock.into())
    }

    fn local_address(&mut self, this: Resource<TcpSocket>) -> SocketResult<IpSocketAddress> {
        let real = HostTcpSocket::local_address(&mut self.wasi, again(&this))?;
        let (known, reach) = self.known(&this)?;
        Ok(known.shown_local(reach, real.into()).into())
    }

    fn remote_address(&mut self, this: Resource<TcpSocket>) -> SocketResult<IpSocketAddress> {
        let real = HostTcpSocket::remote_address(&mut self.wasi, again(&this))?;
        let (known, reach) = self.known(&this)?;
        Ok(known.shown_remote(reach, real.into()).into())
    }

    fn is_listening(&mut self, this: Resource<TcpSocket>) -> wasmtime::Result<bool> {
        self.wasi.is_listening(this)
    }

    fn address_family(&mut self, this: Resource<TcpSocket>) -> wasmtime::Result<IpAddressFamily> {
        match self.account.open.get(&this.rep()) {
            Some(known) => Ok(known.family.into()),
            None => HostTcpSocket::address_family(&mut self.wasi, this),
        }
    }

    fn set_listen_backlog_size(
        &mut self,
        this: Resource<TcpSocket>,
        value: u64,
    ) -> SocketResult<()> {
        let value = value.min(MAX_BACKLOG);
        self.wasi.set_listen_backlog_size(again(&this), value)?;
        self.socket(this.rep())?.options.backlog = Some(value);
        Ok(())
    }

    fn keep_alive_enabled(&mut self, this: Resource<TcpSocket>) -> SocketResult<bool> {
        self.wasi.keep_alive_enabled(this)
    }

    fn set_keep_alive_enabled(
        &mut self,
        this: Resource<TcpSocket>,
        value: bool,
    ) -> SocketResult<()> {
        self.wasi.set_keep_alive_enabled(again(&this), value)?;
        self.socket(this.rep())?.options.keep_alive = Some(value);
        Ok(())
    }

    fn keep_alive_idle_time(&mut self, this: Resource<TcpSocket>) -> SocketResult<Duration> {
        self.wasi.keep_alive_idle_time(this)
    }

    fn set_keep_alive_idle_time(
        &mut self,
        this: Resource<TcpSocket>,
        value: Duration,
    ) -> SocketResult<()> {
        self.wasi.set_keep_alive_idle_time(again(&this), value)?;
        self.socket(this.rep())?.options.keep_alive_idle = Some(value);
        Ok(())
    }

    fn keep_alive_interval(&mut self, this: Resource<TcpSocket>) -> SocketResult<Duration> {
        self.wasi.keep_alive_interval(this)
    }

    fn set_keep_alive_interval(
        &mut self,
        this: Resource<TcpSocket>,
        value: Duration,
    ) -> SocketResult<()> {
        self.wasi.set_keep_alive_interval(again(&this), value)?;
        self.socket(this.rep())?.options.keep_alive_interval = Some(value);
        Ok(())
    }

    fn keep_alive_count(&mut self, this: Resource<TcpSocket>) -> SocketResult<u32> {
        self.wasi.keep_alive_count(this)
    }

    fn set_keep_alive_count(&mut self, this: Resource<TcpSocket>, value: u32) -> SocketResult<()> {
        self.wasi.set_keep_alive_count(again(&this), value)?;
        self.socket(this.rep())?.options.keep_alive_count = Some(value);
        Ok(())
    }

    fn hop_limit(&mut self, this: Resource<TcpSocket>) -> SocketResult<u8> {
        HostTcpSocket::hop_limit(&mut self.wasi, this)
    }

    fn set_hop_limit(&mut self, this: Resource<TcpSocket>, value: u8) -> SocketResult<()> {
        HostTcpSocket::set_hop_limit(&mut self.wasi, again(&this), value)?;
        self.socket(this.rep())?.options.hop_limit = Some(value);
        Ok(())
    }

    fn receive_buffer_size(&mut self, this: Resource<TcpSocket>) -> SocketResult<u64> {
        HostTcpSocket::receive_buffer_size(&mut self.wasi, this)
    }

    fn set_receive_buffer_size(
        &mut self,
        this: Resource<TcpSocket>,
        value: u64,
    ) -> SocketResult<()> {
        let value = value.min(MAX_BUFFER);
        HostTcpSocket::set_receive_buffer_size(&mut self.wasi, again(&this), value)?;
        self.socket(this.rep())?.options.receive_buffer = Some(value);
        Ok(())
    }

    fn send_buffer_size(&mut self, this: Resource<TcpSocket>) -> SocketResult<u64> {
        HostTcpSocket::send_buffer_size(&mut self.wasi, this)
    }

    fn set_send_buffer_size(&mut self, this: Resource<TcpSocket>, value: u64) -> SocketResult<()> {
        let value = value.min(MAX_BUFFER);
        HostTcpSocket::set_send_buffer_size(&mut self.wasi, again(&this), value)?;
        self.socket(this.rep())?.options.send_buffer = Some(value);
        Ok(())
    }

    fn subscribe(&mut self, this: Resource<TcpSocket>) -> wasmtime::Result<Resource<DynPollable>> {
        HostTcpSocket::subscribe(&mut self.wasi, this)
    }

    fn shutdown(&mut self, this: Resource<TcpSocket>, how: ShutdownType) -> SocketResult<()> {
        self.wasi.shutdown(this, how)
    }

    fn drop(&mut self, this: Resource<TcpSocket>) -> wasmtime::Result<()> {
        let number = this.rep();
        HostTcpSocket::drop(&mut self.wasi, this)?;
        self.account.open.remove(&number);
        Ok(())
    }
}
