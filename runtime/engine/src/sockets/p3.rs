//! WASI p3: `wasi:sockets` with the addresses and limits of p2 in front of wasmtime-wasi's own functions.
//!
//! Functions that concern neither are wasmtime-wasi's. A stream or a future may outlive its socket here, so what counts
//! a socket is held by them too.

mod lease;
mod listen;
mod tcp;
mod udp;

use super::account::{Family, Socket, Unbindable, is_remote};
use super::lookup::{LookupError, resolve};
use super::{Account, Hold, Reach, Unreachable};
use crate::state::ComponentState;
use std::sync::Arc;
use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime_wasi::WasiCtxView;
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup::ErrorCode as NameError;
use wasmtime_wasi::p3::bindings::sockets::types::{ErrorCode, IpAddress, IpAddressFamily};
use wasmtime_wasi::p3::sockets::{SocketError, SocketResult};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsCtxView, WasiSocketsView};

/// The interfaces as wasmtime-wasi defines them; guests of other 0.3 versions are linked to them.
const TYPES: &str = "wasi:sockets/types@0.3.0";
const LOOKUP: &str = "wasi:sockets/ip-name-lookup@0.3.0";

/// Puts the wrapped functions in front of the originals. The linker must allow shadowing.
pub(crate) fn guard(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    tcp::guard(&mut types)?;
    udp::guard(&mut types)?;
    let mut names = linker.instance(LOOKUP)?;
    names.func_wrap_concurrent("resolve-addresses", |accessor, (name,): (String,)| {
        Box::pin(async move { Ok((look_up(accessor, name).await,)) })
    })
}

/// wasmtime-wasi's sockets and what we know of them.
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
        self.account.open.get_mut(&number).ok_or_else(no_such)
    }

    fn known<T: 'static>(&self, this: &Resource<T>) -> SocketResult<(&Socket, &Reach)> {
        let socket = self.account.open.get(&this.rep()).ok_or_else(no_such)?;
        Ok((socket, self.account.reach()))
    }

    /// The family the guest asked for.
    fn family(&self, number: u32) -> wasmtime::Result<IpAddressFamily> {
        let known = self.account.open.get(&number);
        let known = known.ok_or_else(|| wasmtime::format_err!("no such socket"))?;
        Ok(wasi_family(known.family))
    }

    fn reserve(&self) -> SocketResult<Hold> {
        let full = || ErrorCode::Other(Some("new-socket-limit".to_owned()));
        Ok(self.account.reserve().ok_or_else(full)?)
    }
}

fn no_such() -> SocketError {
    SocketError::trap(wasmtime::format_err!("no such socket"))
}

async fn look_up(
    accessor: &Accessor<ComponentState>,
    name: String,
) -> Result<Vec<IpAddress>, NameError> {
    let shared = accessor.with(|mut store| view(store.get()).account.shared.clone());
    if !shared.allowed {
        return Err(NameError::PermanentResolverFailure);
    }
    let found = resolve(&shared.reach, &name).await;
    waited().await;
    match found {
        Ok(found) => Ok(found.into_iter().map(IpAddress::from).collect()),
        Err(LookupError::Invalid) => Err(NameError::InvalidArgument),
        Err(LookupError::Unknown) => Err(NameError::NameUnresolvable),
        Err(LookupError::Timeout) => Err(NameError::TemporaryResolverFailure),
    }
}

/// What a guest waits for may be there at once. It waits all the same for as long as it takes to see what it closed before:
/// that goes by turns of tasks of its store, and counts until then.
async fn waited() {
    tokio::task::yield_now().await;
}

/// wasmtime-wasi's own view of the same store.
fn wasis(accessor: &Accessor<ComponentState>) -> Accessor<ComponentState, WasiSockets> {
    accessor.with_getter::<WasiSockets>(<ComponentState as WasiSocketsView>::sockets)
}

type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

/// What the guest is answered; traps are no answers.
fn answer<T>(result: SocketResult<T>) -> Answer<T> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
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

fn unreachable(why: Unreachable) -> ErrorCode {
    match why {
        Unreachable::Forbidden => ErrorCode::AccessDenied,
        Unreachable::Refused => ErrorCode::ConnectionRefused,
    }
}

fn family_of(family: IpAddressFamily) -> Family {
    match family {
        IpAddressFamily::Ipv4 => Family::V4,
        IpAddressFamily::Ipv6 => Family::V6,
    }
}

fn wasi_family(family: Family) -> IpAddressFamily {
    match family {
        Family::V4 => IpAddressFamily::Ipv4,
        Family::V6 => IpAddressFamily::Ipv6,
    }
}

/// A place in the budget that outlives a socket as long as its streams do.
type Lease = Arc<Hold>;

/// Another handle of a resource, for a call on the guest's behalf.
fn again<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

/// Wraps functions that set an option: the value is bounded, set, and remembered for a socket that takes its place.
macro_rules! options {
    ($types:ident, $resource:ty, $host:ident, $prefix:literal, $($name:literal $set:ident $field:ident: $value:ty, $most:expr;)*) => {
        $($types.func_wrap(
            concat!("[method]", $prefix, ".", $name),
            |mut store: wasmtime::StoreContextMut<'_, ComponentState>, (this, value): (Resource<$resource>, $value)| {
                let mut view = view(store.data_mut());
                let value = value.min($most);
                let number = this.rep();
                let set = $host::$set(&mut view.wasi, this, value);
                if let (Ok(()), Some(known)) = (&set, view.account.open.get_mut(&number)) {
                    known.options.$field = Some(value);
                }
                answer(set)
            },
        )?;)*
    };
}
use options;
