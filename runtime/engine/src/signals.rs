//! SIGTERM, or the signal that a container has in its place, as a guest can see it: an interface of our own for those that
//! know it, the end of standard input for those that read it.
//!
//! A guest that does neither cannot learn that it should end, so it is ended at once; one that does is left to end by
//! itself, until whoever asked loses patience and kills it.

use crate::ContainerSpec;
use crate::state::{ComponentState, P1State};
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use wasmtime::component::{Accessor, ComponentType, Lift, Lower, Resource};
use wasmtime::{Caller, StoreContextMut};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{DynPollable, InputStream, Pollable, StreamError, StreamResult, subscribe};

/// What core modules import the functions `pending` and `wait` from.
const MODULE: &str = "sampan_signal";

/// What components of WASI 0.2 import; see `wit/signal.wit`.
const INTERFACE: &str = "sampan:signal/signals@0.1.0";

/// What components of WASI 0.3 import; see `wit/signal-p3.wit`.
pub(crate) const INTERFACE_P3: &str = "sampan:signal/signals@0.2.0";

/// SIGTERM's number.
pub(crate) const SIGTERM: i32 = 15;

/// SIGKILL's number.
pub(crate) const SIGKILL: i32 = 9;

/// Whether a core module's import is one of ours.
pub(crate) fn offers_function(module: &str, name: &str) -> bool {
    module == MODULE && matches!(name, "pending" | "wait")
}

/// Whether a component's import is ours.
pub(crate) fn offers_interface(name: &str) -> bool {
    matches!(name, INTERFACE | INTERFACE_P3)
}

/// One container's view of being asked to end.
#[derive(Clone)]
pub(crate) struct Signals {
    terminate: CancellationToken,
    /// Standard input stays open, with nothing to read, until the container is asked to end.
    open_stdin: bool,
    /// The number of the signal it is asked by.
    number: i32,
    observed: Arc<AtomicBool>,
}

impl Signals {
    /// `imports` are the module's.
    pub(crate) fn new(
        terminate: CancellationToken,
        imports: &[String],
        spec: &ContainerSpec,
    ) -> Self {
        let imported = imports.iter().any(|import| {
            let function = import
                .split_once('.')
                .is_some_and(|(module, name)| offers_function(module, name));
            function || offers_interface(import)
        });
        Signals {
            terminate,
            open_stdin: spec.open_stdin,
            number: spec.stop_signal,
            observed: Arc::new(AtomicBool::new(imported)),
        }
    }

    /// Whether the guest can learn that it was asked to end: it imports the interface, or has looked at standard input.
    pub(crate) fn are_observed(&self) -> bool {
        self.number != SIGKILL && self.observed.load(Ordering::Relaxed)
    }

    /// The signal a guest that cannot see it is ended by.
    pub(crate) fn number(&self) -> i32 {
        self.number
    }

    /// The guest's standard input, if it is not at its end from the start.
    pub(crate) fn stdin(&self) -> Option<Stdin> {
        self.open_stdin.then(|| Stdin(self.clone()))
    }

    /// The number of the signal received, 0 for none.
    fn pending(&self) -> i32 {
        match self.terminate.is_cancelled() {
            true => self.number,
            false => 0,
        }
    }

    /// Waits for a signal, so many nanoseconds at most; without end if negative.
    async fn wait(self, nanos: i64) -> i32 {
        match u64::try_from(nanos) {
            Ok(nanos) => {
                let limit = Duration::from_nanos(nanos);
                // Whether it came or not is told by `pending`.
                let _came = tokio::time::timeout(limit, self.terminate.cancelled()).await;
            }
            Err(_negative) => self.terminate.cancelled().await,
        }
        self.pending()
    }
}

/// Gives core modules the functions.
pub(crate) fn link_functions(linker: &mut wasmtime::Linker<P1State>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "pending", |caller: Caller<'_, P1State>| {
        caller.data().signals.pending()
    })?;
    linker.func_wrap_async(
        MODULE,
        "wait",
        |caller: Caller<'_, P1State>, (nanos,): (i64,)| {
            Box::new(caller.data().signals.clone().wait(nanos))
        },
    )?;
    Ok(())
}

#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
enum Signal {
    #[component(name = "terminate")]
    Terminate,
}

fn pending(
    store: StoreContextMut<'_, ComponentState>,
    (): (),
) -> wasmtime::Result<(Option<Signal>,)> {
    let received = store.data().signals.terminate.is_cancelled();
    Ok((received.then_some(Signal::Terminate),))
}

/// Gives components the interface, in the form of WASI 0.2: with something to poll.
pub(crate) fn link_interface(
    linker: &mut wasmtime::component::Linker<ComponentState>,
) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.func_wrap("pending", pending)?;
    interface.func_wrap(
        "subscribe",
        |mut store: StoreContextMut<'_, ComponentState>, (): ()| {
            let signals = store.data().signals.clone();
            let table = store.data_mut().ctx().table;
            let resource = table.push(Subscription(signals.terminate))?;
            let pollable: Resource<DynPollable> = subscribe(table, resource)?;
            Ok((pollable,))
        },
    )
}

/// The same in the form of WASI 0.3: with a function that waits.
pub(crate) fn link_interface_p3(
    linker: &mut wasmtime::component::Linker<ComponentState>,
) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE_P3)?;
    interface.func_wrap("pending", pending)?;
    interface.func_wrap_concurrent("received", |accessor: &Accessor<ComponentState>, (): ()| {
        Box::pin(async move {
            let terminate = accessor.with(|mut store| store.get().signals.terminate.clone());
            terminate.cancelled().await;
            Ok((Signal::Terminate,))
        })
    })
}

struct Subscription(CancellationToken);

#[async_trait::async_trait]
impl Pollable for Subscription {
    async fn ready(&mut self) {
        self.0.cancelled().await;
    }
}

/// Standard input that ends when the container is asked to.
pub(crate) struct Stdin(Signals);

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Stdin {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.reader())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.reader())
    }
}

impl Stdin {
    fn reader(&self) -> Reader {
        Reader {
            signals: self.0.clone(),
            end: Box::pin(self.0.terminate.clone().cancelled_owned()),
        }
    }
}

struct Reader {
    signals: Signals,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Reader {
    fn observe(&self) {
        self.signals.observed.store(true, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        self.observe();
        self.signals.terminate.cancelled().await;
    }
}

impl InputStream for Reader {
    fn read(&mut self, _size: usize) -> StreamResult<Bytes> {
        self.observe();
        match self.signals.terminate.is_cancelled() {
            true => Err(StreamError::Closed),
            false => Ok(Bytes::new()),
        }
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.observe();
        // Nothing put into the buffer is the end of the stream.
        self.end.as_mut().poll(cx).map(Ok)
    }
}
