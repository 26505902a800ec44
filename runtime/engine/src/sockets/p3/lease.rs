//! Futures that keep a socket's place in the budget until they are done.

use super::Lease;
use crate::state::ComponentState;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{FutureConsumer, FutureReader, Source};
use wasmtime_wasi::p3::bindings::sockets::types::ErrorCode;

type Outcome = Result<(), ErrorCode>;

/// wasmtime-wasi resolves such a future when a stream of a socket is closed, by either side.
pub(super) fn hold(
    mut store: StoreContextMut<'_, ComponentState>,
    future: FutureReader<Outcome>,
    lease: Lease,
) -> wasmtime::Result<FutureReader<Outcome>> {
    let (tell, told) = oneshot::channel();
    future.pipe(
        &mut store,
        Holder {
            tell: Some(tell),
            _lease: lease,
        },
    )?;
    FutureReader::new(&mut store, told)
}

struct Holder {
    tell: Option<oneshot::Sender<Outcome>>,
    _lease: Lease,
}

impl FutureConsumer<ComponentState> for Holder {
    type Item = Outcome;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        store: StoreContextMut<'_, ComponentState>,
        mut source: Source<'_, Outcome>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut outcome = None;
        source.read(store, &mut outcome)?;
        if let (Some(outcome), Some(tell)) = (outcome, self.tell.take()) {
            // The guest may not care any more.
            let _unheard = tell.send(outcome);
        }
        Poll::Ready(Ok(()))
    }
}
