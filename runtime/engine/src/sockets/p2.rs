//! WASI p2: `wasi:sockets` with our addresses and limits in front of wasmtime-wasi's own implementation.

mod lookup;
mod tcp;
mod udp;

use super::account::{Family, Options, Socket, Step, Unbindable, is_remote};
use super::{Account, Reach, Unreachable};
use crate::state::ComponentState;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::WasiCtxView;
use wasmtime_wasi::p2::bindings::sockets::network::{
    self, ErrorCode, IpAddressFamily, IpSocketAddress, Network,
};
use wasmtime_wasi::p2::bindings::sockets::{
    instance_network, tcp as tcp_api, tcp_create_socket, udp as udp_api, udp_create_socket,
};
use wasmtime_wasi::p2::{SocketError, SocketResult};
use wasmtime_wasi::sockets::WasiSocketsCtxView;

/// Puts the guarded interfaces in front of the originals. The linker must allow shadowing.
pub(crate) fn guard(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    tcp_create_socket::add_to_linker::<ComponentState, HasSockets>(linker, view)?;
    tcp_api::add_to_linker::<ComponentState, HasSockets>(linker, view)?;
    udp_create_socket::add_to_linker::<ComponentState, HasSockets>(linker, view)?;
    udp_api::add_to_linker::<ComponentState, HasSockets>(linker, view)?;
    lookup::add_to_linker(linker)
}

struct HasSockets;

impl HasData for HasSockets {
    type Data<'a> = View<'a>;
}

struct View<'a> {
    wasi: WasiSocketsCtxView<'a>,
    account: &'a mut Account,
}

fn view(state: &mut ComponentState) -> View<'_> {
    let (WasiCtxView { ctx, table }, account) = state.sockets();
    View {
        wasi: WasiSocketsCtxView {
            ctx: ctx.sockets(),
            table,
        },
        account,
    }
}

impl View<'_> {
    fn socket(&mut self, number: u32) -> SocketResult<&mut Socket> {
        let socket = self.account.open.get_mut(&number);
        socket.ok_or_else(|| SocketError::trap(wasmtime::format_err!("no such socket")))
    }

    fn known<T: 'static>(&self, this: &Resource<T>) -> SocketResult<(&Socket, &Reach)> {
        let socket = self.account.open.get(&this.rep());
        let socket =
            socket.ok_or_else(|| SocketError::trap(wasmtime::format_err!("no such socket")))?;
        Ok((socket, self.account.reach()))
    }

    /// A network to make calls with that the guest did not make.
    fn network(&mut self) -> SocketResult<Resource<Network>> {
        instance_network::Host::instance_network(&mut self.wasi).map_err(SocketError::trap)
    }

    fn forget_network(&mut self, network: Resource<Network>) -> SocketResult<()> {
        self.wasi.table.delete(network)?;
        Ok(())
    }
}

impl network::Host for View<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.wasi.convert_error_code(error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.wasi.network_error_code(error)
    }
}

impl network::HostNetwork for View<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.wasi, network)
    }
}

impl From<Unbindable> for SocketError {
    fn from(why: Unbindable) -> Self {
        match why {
            Unbindable::Family => ErrorCode::InvalidArgument.into(),
            Unbindable::Address => ErrorCode::AddressNotBindable.into(),
        }
    }
}

impl From<Unreachable> for SocketError {
    fn from(why: Unreachable) -> Self {
        match why {
            Unreachable::Forbidden => ErrorCode::AccessDenied.into(),
            Unreachable::Refused => ErrorCode::ConnectionRefused.into(),
        }
    }
}

impl From<IpAddressFamily> for Family {
    fn from(family: IpAddressFamily) -> Self {
        match family {
            IpAddressFamily::Ipv4 => Family::V4,
            IpAddressFamily::Ipv6 => Family::V6,
        }
    }
}

impl From<Family> for IpAddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => IpAddressFamily::Ipv4,
            Family::V6 => IpAddressFamily::Ipv6,
        }
    }
}

/// Another handle of a resource, for a call on the guest's behalf.
fn again<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}
