//! `wasi:sockets/ip-name-lookup`, in the place of wasmtime-wasi's: its answers cannot be made by others.

use crate::sockets::lookup::{LookupError, check, resolve};
use crate::state::ComponentState;
use async_trait::async_trait;
use std::net::IpAddr;
use std::task::{Context, Poll, Waker};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

/// The version wasmtime-wasi links; guests of other 0.2 versions get the same.
const INTERFACE: &str = "wasi:sockets/ip-name-lookup@0.2.12";

/// A question under way, then its answer.
enum Lookup {
    Asked(AbortOnDropJoinHandle<Result<Vec<IpAddr>, LookupError>>),
    Answered(Result<std::vec::IntoIter<IpAddr>, LookupError>),
}

#[async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx).map(|_answer| ())).await;
    }
}

impl Lookup {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<&mut Result<std::vec::IntoIter<IpAddr>, LookupError>> {
        if let Lookup::Asked(asked) = self {
            match std::pin::Pin::new(asked).poll(cx) {
                Poll::Ready(found) => *self = Lookup::Answered(found.map(Vec::into_iter)),
                Poll::Pending => return Poll::Pending,
            }
        }
        match self {
            Lookup::Answered(answer) => Poll::Ready(answer),
            Lookup::Asked(_) => Poll::Pending,
        }
    }
}

type Store<'a> = StoreContextMut<'a, ComponentState>;
type Stream = Resource<Lookup>;

pub(super) fn add_to_linker(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.resource(
        "resolve-address-stream",
        ResourceType::host::<Lookup>(),
        |mut store: Store<'_>, number| {
            let (wasi, _) = store.data_mut().sockets();
            wasi.table.delete(Stream::new_own(number))?;
            Ok(())
        },
    )?;
    interface.func_wrap(
        "resolve-addresses",
        |mut store: Store<'_>, (network, name): (Resource<Network>, String)| {
            Ok((ask(store.data_mut(), &network, name)?,))
        },
    )?;
    interface.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut store: Store<'_>, (stream,): (Stream,)| {
            let (wasi, _) = store.data_mut().sockets();
            let lookup = wasi.table.get_mut(&stream)?;
            Ok((next(lookup),))
        },
    )?;
    interface.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut store: Store<'_>,
         (stream,): (Stream,)|
         -> wasmtime::Result<(Resource<DynPollable>,)> {
            let (wasi, _) = store.data_mut().sockets();
            Ok((subscribe(wasi.table, stream)?,))
        },
    )
}

fn ask(
    state: &mut ComponentState,
    network: &Resource<Network>,
    name: String,
) -> wasmtime::Result<Result<Stream, ErrorCode>> {
    let (wasi, account) = state.sockets();
    wasi.table.get(network)?;
    let shared = account.shared.clone();
    if !shared.allowed {
        return Ok(Err(ErrorCode::PermanentResolverFailure));
    }
    // What is no name is said here; all else when the answer is asked for.
    if let Err(error) = check(&name) {
        return Ok(Err(error.into()));
    }
    let lookup = Lookup::Asked(spawn(async move { resolve(&shared.reach, &name).await }));
    Ok(Ok(wasi.table.push(lookup)?))
}

fn next(lookup: &mut Lookup) -> Result<Option<IpAddress>, ErrorCode> {
    match lookup.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => Err(ErrorCode::WouldBlock),
        Poll::Ready(Ok(found)) => Ok(found.next().map(IpAddress::from)),
        Poll::Ready(Err(error)) => Err((*error).into()),
    }
}

impl From<LookupError> for ErrorCode {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Invalid => ErrorCode::InvalidArgument,
            LookupError::Unknown => ErrorCode::NameUnresolvable,
            LookupError::Timeout => ErrorCode::TemporaryResolverFailure,
        }
    }
}
