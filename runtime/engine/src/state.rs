//! What a store holds for its guest: WASI contexts, open files, limits. Made from a [`Template`], once per instance.

use crate::config::TICK;
use crate::files::{self, FileBudget, Preopens};
use crate::held;
use crate::host::HostState;
use crate::http::outgoing::Outgoing;
use crate::limits::{GuestLimits, Meter};
use crate::output::Output;
use crate::random::OfThread;
use crate::signals::Signals;
use crate::sockets::{self, Reach, Sockets};
use crate::{ContainerSpec, EngineConfig};
use http::Request;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime::{AsContextMut, Store, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Resources other than files (streams, pollables, errors, HTTP bodies) one instance may hold.
const MAX_RESOURCES: usize = 16_384;

/// Tasks, streams and futures of WASI 0.3 the host keeps for one instance: behind a handle are up to three.
const MAX_TASKS: usize = 4 * MAX_RESOURCES;

/// What one of those takes: its entry, and what waits there for a clock, a socket or a file.
const PER_TASK: u64 = 1 << 10;

/// Bytes that a call of the host may take out of a guest whose calls wait side by side. Any other has one at a time.
const SIDE_BY_SIDE_BYTES: usize = 16 << 20;

/// What a guest may make the host hold more of before that is measured again.
const UNMEASURED: usize = 512 << 10;

/// State of a WASI p1 module.
pub(crate) struct P1State {
    /// In a box, since allocators have no room that fits a store with all of it.
    pub(crate) wasi: Box<WasiP1Ctx>,
    pub(crate) files: files::p1::Account,
    pub(crate) signals: Signals,
    limits: GuestLimits,
}

impl P1State {
    /// Whether the guest was ever refused memory.
    pub(crate) fn denied(&self) -> bool {
        self.limits.denied()
    }
}

/// State of a component.
pub(crate) struct ComponentState {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    files: files::p2::Account,
    sockets: sockets::Account,
    pub(crate) signals: Signals,
    host: HostState,
    limits: GuestLimits,
    /// When it was last measured what the host holds for it.
    measured: Instant,
    /// What its handles do not show.
    unseen: held::Unseen,
    /// What the host holds more than when it was measured last, at most.
    unmeasured: usize,
    /// What its tasks, streams and futures of WASI 0.3 took when they were counted last.
    tasks: u64,
}

impl ComponentState {
    /// Whether the guest was ever refused memory.
    pub(crate) fn denied(&self) -> bool {
        self.limits.denied()
    }

    pub(crate) fn files(&mut self) -> (WasiCtxView<'_>, &mut files::p2::Account) {
        (
            WasiCtxView {
                ctx: &mut self.wasi,
                table: &mut self.table,
            },
            &mut self.files,
        )
    }

    pub(crate) fn sockets(&mut self) -> (WasiCtxView<'_>, &mut sockets::Account) {
        (
            WasiCtxView {
                ctx: &mut self.wasi,
                table: &mut self.table,
            },
            &mut self.sockets,
        )
    }
}

impl ComponentState {
    /// What the guest makes the host hold is memory of its container. Whether there is so much.
    fn measure(&mut self) -> bool {
        self.measured = Instant::now();
        self.unmeasured = 0;
        let bytes = held::bytes_behind(&mut self.table, self.unseen);
        self.limits.host_holds(bytes + self.tasks)
    }

    fn must_have_room(&mut self) -> wasmtime::Result<()> {
        match self.measure() {
            true => Ok(()),
            false => Err(wasmtime::Error::msg(
                "the host holds more behind the guest's handles than its memory limit allows",
            )),
        }
    }

    /// The guest is given a request.
    pub(crate) fn begin<T>(&mut self, request: &Request<T>) {
        let unseen = &mut self.unseen;
        let bytes = held::head(request.uri(), request.headers(), unseen.most_fields);
        unseen.largest_request = unseen.largest_request.max(bytes);
    }

    /// The guest is given a request beside others that it may have, or is done with one.
    pub(crate) fn answers(&mut self, begins: bool) {
        let requests = &mut self.unseen.side_by_side;
        *requests = match begins {
            true => *requests + 1,
            false => requests.saturating_sub(1),
        };
    }

    /// The guest makes the host hold so much more. It may wait for something in the next moment, for minutes, so this
    /// does not add up until it gives way.
    pub(crate) fn grows(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.unmeasured = self.unmeasured.saturating_add(bytes);
        match self.unmeasured > UNMEASURED {
            true => self.must_have_room(),
            false => Ok(()),
        }
    }

    pub(crate) fn max_field_bytes(&self) -> usize {
        self.unseen.most_fields
    }

    pub(crate) fn host(&mut self) -> (&HostState, &mut ResourceTable) {
        (&self.host, &mut self.table)
    }
}

impl WasiView for ComponentState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for ComponentState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.outgoing,
        }
    }
}

/// Everything of a container that its instances share.
pub(crate) struct Template {
    pub(crate) spec: ContainerSpec,
    pub(crate) config: Arc<EngineConfig>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) preopens: Preopens,
    pub(crate) file_budget: Arc<FileBudget>,
    pub(crate) signals: Signals,
    /// Made for the first instance that can use it: a WASI p1 module has no sockets, a handler at rest no instance.
    pub(crate) network: OnceLock<Network>,
}

/// What the instances of a container share of the network.
pub(crate) struct Network {
    outgoing: Outgoing,
    sockets: Arc<Sockets>,
}

/// The standard streams of one instance, to be drained at its end.
pub(crate) struct Streams {
    stdout: Output,
    stderr: Output,
}

impl Streams {
    pub(crate) async fn drained(&self) {
        self.stdout.drained().await;
        self.stderr.drained().await;
    }
}

impl Template {
    /// A fresh store for a WASI p1 module.
    pub(crate) fn p1_store(&self, engine: &wasmtime::Engine) -> (Store<P1State>, Streams) {
        let (mut builder, streams) = self.builder();
        let mut wasi = Box::new(builder.build_p1());
        let view = wasi.ctx();
        *view.ctx.filesystem() = self.preopens.context().clone();
        view.table
            .set_max_capacity(MAX_RESOURCES + self.spec.max_open_files as usize);
        let limits = self.limits();
        let files = files::p1::Account::new(
            self.file_budget.clone(),
            self.spec.max_open_files,
            self.preopens.read_only(),
        )
        .with_marks(&self.preopens.marks());
        let mut store = Store::new(
            engine,
            P1State {
                wasi,
                files,
                signals: self.signals.clone(),
                limits,
            },
        );
        store.limiter(|state| &mut state.limits);
        prepare(&mut store);
        (store, streams)
    }

    /// A fresh store for a component.
    pub(crate) fn component_store(
        &self,
        engine: &wasmtime::Engine,
    ) -> (Store<ComponentState>, Streams) {
        let (mut builder, streams) = self.builder();
        let network = self.network.get_or_init(|| self.network());
        let mut wasi = builder.build();
        *wasi.filesystem() = self.preopens.context().clone();
        *wasi.sockets() = network.sockets.context().clone();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES + self.spec.max_open_files as usize);
        let mut http = WasiHttpCtx::new();
        let unseen = held::Unseen {
            most_fields: self.spec.http.max_field_bytes(),
            largest_request: 0,
            read_buffer: self.spec.http.read_buffer(),
            side_by_side: 0,
        };
        http.set_field_size_limit(unseen.most_fields);
        let state = ComponentState {
            wasi,
            table,
            http,
            outgoing: network.outgoing.clone(),
            files: files::p2::Account::new(
                self.file_budget.clone(),
                self.spec.max_open_files,
                self.meter.clone(),
            )
            .with_marks(self.preopens.marks()),
            sockets: sockets::Account::new(network.sockets.clone()),
            signals: self.signals.clone(),
            host: HostState::new(&self.spec.host, &streams.stderr),
            limits: self.limits(),
            measured: Instant::now(),
            unseen,
            unmeasured: 0,
            tasks: 0,
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limits);
        prepare(&mut store);
        store.set_max_component_handles(MAX_RESOURCES + self.spec.max_open_files as usize);
        // Where there are tasks, several calls of the host may wait in one instance.
        if let Some(tasks) = store.concurrent_resource_table() {
            tasks.set_max_capacity(MAX_TASKS);
            store.set_hostcall_fuel(SIDE_BY_SIDE_BYTES);
        }
        store.epoch_deadline_callback(give_way);
        (store, streams)
    }

    fn builder(&self) -> (WasiCtxBuilder, Streams) {
        let streams = Streams {
            stdout: Output::new(self.spec.stdout.clone()),
            stderr: Output::new(self.spec.stderr.clone()),
        };
        let mut builder = WasiCtx::builder();
        builder
            .args(&self.spec.args)
            .envs(&self.spec.env)
            .stdout(streams.stdout.clone())
            .stderr(streams.stderr.clone())
            .secure_random(OfThread)
            .insecure_random(OfThread);
        if let Some(stdin) = self.signals.stdin() {
            builder.stdin(stdin);
        }
        (builder, streams)
    }

    fn network(&self) -> Network {
        let reach = Reach::new(&self.spec, &self.config);
        Network {
            outgoing: Outgoing::new(
                &self.spec,
                reach.clone(),
                self.file_budget.clone(),
                self.meter.clone(),
            ),
            sockets: Arc::new(Sockets::new(&self.spec, reach, self.file_budget.clone())),
        }
    }

    fn limits(&self) -> GuestLimits {
        GuestLimits::new(self.meter.clone(), &self.config)
    }
}

/// What is done whenever a component gives way to others.
fn give_way(mut store: StoreContextMut<'_, ComponentState>) -> wasmtime::Result<UpdateDeadline> {
    count_tasks(&mut store);
    store.data_mut().must_have_room()?;
    Ok(UpdateDeadline::Yield(1))
}

/// The guest is done with a request and may be given another. Requests that are over within a slice must not add up
/// unmeasured; what was measured less than a slice ago is left for the next time.
pub(crate) fn rest(store: &mut Store<ComponentState>) {
    if store.data().measured.elapsed() >= TICK {
        count_tasks(&mut store.as_context_mut());
        // Too much is remembered as refused.
        let _enough = store.data_mut().measure();
    }
}

/// What a guest has under way is not in its table of resources.
fn count_tasks(store: &mut StoreContextMut<'_, ComponentState>) {
    let tasks = store.concurrent_resource_table();
    let tasks = tasks.map_or(0, |tasks| tasks.iter_mut().count() as u64);
    store.data_mut().tasks = tasks * PER_TASK;
}

/// Every tick a running guest gives way to the others, and sees whether it was cancelled.
fn prepare<T>(store: &mut Store<T>) {
    begin_slice(store);
    store.epoch_deadline_async_yield_and_update(1);
}

/// A guest runs until the next tick before it gives way. Without this one that has waited since an earlier tick would
/// give way before its first instruction, and its task go once around the queue.
pub(crate) fn begin_slice<T>(store: &mut Store<T>) {
    store.set_epoch_deadline(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_guest_that_has_waited_begins_with_a_whole_slice() {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let engine = wasmtime::Engine::new(&config).expect("valid");
        let text = r#"(module (func (export "run")))"#;
        let module = wasmtime::Module::new(&engine, text).expect("valid");
        let mut store = Store::new(&engine, ());
        prepare(&mut store);
        let instance = wasmtime::Instance::new_async(&mut store, &module, &[]);
        let instance = instance.await.expect("it has no imports");
        let run = instance.get_typed_func::<(), ()>(&mut store, "run");
        let run = run.expect("exported");
        engine.increment_epoch();
        let called = run.call_async(&mut store, ()).now_or_never();
        assert!(called.is_none(), "its slice was over");
        begin_slice(&mut store);
        let called = run.call_async(&mut store, ()).now_or_never();
        called.expect("it has time").expect("it returns");
    }
}
