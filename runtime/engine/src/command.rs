//! Runs a command, a core module with `_start` or a component with `wasi:cli/run`, or one exported function, from its
//! start to its end.

pub(crate) mod function;

use crate::backend::Backend;
use crate::container::Control;
use crate::engine::Runner;
use crate::module::{CommandPre, Entry, Module, Prepared};
use crate::output::write_line;
use crate::places::Kept;
use crate::schedule::Metered;
use crate::signals::SIGKILL;
use crate::state::{Streams, Template};
use crate::{Exit, exit};
use std::sync::Arc;
use wasmtime::PoolConcurrencyLimitError;

/// What became of an attempt to run: the guest has ended, or the pool had no room for it.
pub(crate) enum Started {
    Ended(Exit),
    PoolFull,
}

/// Runs the command until it ends or is told to, and gives its place back then.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn has room for its arguments twice, and that for as long as the container runs"
)]
pub(crate) fn run(
    runner: Runner,
    module: Module,
    template: Arc<Template>,
    control: Control,
    place: Kept,
) -> impl Future<Output = Exit> + Send {
    async move {
        let (clock, meter) = (runner.clock.clone(), template.meter.clone());
        let guest = to_the_end(runner, module, template.clone());
        let mut guest = Metered::new(guest, clock, meter);
        let exit = tokio::select! {
            biased;
            () = control.kill.cancelled() => Exit::Signal(SIGKILL),
            () = ended_by_signal(&control, &template) => Exit::Signal(template.signals.number()),
            exit = &mut guest => exit,
        };
        // Of one that was told to end, this unwinds its stack and frees its instance.
        guest.end().await;
        drop(place);
        exit
    }
}

/// Returns when the guest was asked to end and cannot know it. One that can is left to end by itself.
async fn ended_by_signal(control: &Control, template: &Template) {
    control.terminate.cancelled().await;
    if template.signals.are_observed() {
        std::future::pending().await
    }
}

#[expect(clippy::manual_async_fn, reason = "as for `run`")]
fn to_the_end(
    runner: Runner,
    module: Module,
    template: Arc<Template>,
) -> impl Future<Output = Exit> + Send {
    async move {
        let loaded = module.loaded();
        let failed = |error: wasmtime::Error| Exit::Failed {
            message: format!("{error:#}"),
        };
        let backends = match loaded.backends(&runner.backends) {
            Ok(backends) => backends,
            Err(error) => return failed(error),
        };
        if let Some(prepared) = loaded.pooled() {
            match once(&backends.pooled, prepared, &template).await {
                Started::Ended(exit) => return exit,
                // It may have begun on the thread of who starts it, and what comes now takes longer.
                Started::PoolFull => tokio::task::yield_now().await,
            }
        }
        let backend = match backends.on_demand() {
            Ok(backend) => backend,
            Err(error) => return failed(error),
        };
        match loaded.on_demand(&backend) {
            Ok(prepared) => match once(&backend, prepared, &template).await {
                Started::Ended(exit) => exit,
                Started::PoolFull => Exit::Failed {
                    message: "no room for the instance".to_owned(),
                },
            },
            Err(error) => failed(error),
        }
    }
}

/// The smallest way to run is part of the container's future, the others have boxes of their own: each container holds
/// room for the largest part.
async fn once(backend: &Backend, prepared: &Prepared, template: &Template) -> Started {
    match (prepared, &template.spec.entry) {
        (Prepared::Core(pre), Entry::Function(name)) => {
            Box::pin(function::p1(backend, pre, name, template)).await
        }
        (Prepared::Component(component), Entry::Function(name)) => {
            Box::pin(function::p2(backend, &component.pre, name, template)).await
        }
        (Prepared::Core(pre), _) => p1(backend, pre, template).await,
        (Prepared::Component(component), _) => match &component.command {
            Some(CommandPre::P2(pre)) => Box::pin(p2(backend, pre, template)).await,
            Some(CommandPre::P3(pre)) => Box::pin(p3(backend, pre, template)).await,
            None => Started::Ended(Exit::Failed {
                message: "the module has no command".to_owned(),
            }),
        },
    }
}

async fn p1(
    backend: &Backend,
    pre: &wasmtime::InstancePre<crate::state::P1State>,
    template: &Template,
) -> Started {
    let (mut store, streams) = template.p1_store(&backend.wasm);
    // Boxed, since it is large and soon over.
    let instance = match Box::pin(pre.instantiate_async(&mut store)).await {
        Ok(instance) => instance,
        Err(error) => return unstarted(error, store.data().denied(), &streams, template).await,
    };
    let result = match instance.get_typed_func::<(), ()>(&mut store, "_start") {
        Ok(start) => start.call_async(&mut store, ()).await,
        Err(error) => {
            return Started::Ended(Exit::Failed {
                message: format!("{error:#}"),
            });
        }
    };
    let denied = store.data().denied();
    // Gives the instance's memory back before the sinks are waited for.
    drop(store);
    Started::Ended(ended(result.map(|()| 0), denied, &streams, template).await)
}

async fn p2(
    backend: &Backend,
    pre: &wasmtime_wasi::p2::bindings::CommandPre<crate::state::ComponentState>,
    template: &Template,
) -> Started {
    let (mut store, streams) = template.component_store(&backend.wasm);
    let command = match pre.instantiate_async(&mut store).await {
        Ok(command) => command,
        Err(error) => return unstarted(error, store.data().denied(), &streams, template).await,
    };
    let result = command.wasi_cli_run().call_run(&mut store).await;
    let denied = store.data().denied();
    drop(store);
    let code = result.map(|outcome| i32::from(outcome.is_err()));
    Started::Ended(ended(code, denied, &streams, template).await)
}

/// As `p2`, in the store's event loop: what the guest has under way at once is driven there. The loop is one future,
/// so whoever drops it ends all of that.
async fn p3(
    backend: &Backend,
    pre: &wasmtime_wasi::p3::bindings::CommandPre<crate::state::ComponentState>,
    template: &Template,
) -> Started {
    let (mut store, streams) = template.component_store(&backend.wasm);
    let command = match pre.instantiate_async(&mut store).await {
        Ok(command) => command,
        Err(error) => return unstarted(error, store.data().denied(), &streams, template).await,
    };
    let running = store.run_concurrent(async |accessor| {
        let outcome = command.wasi_cli_run().call_run(accessor).await?;
        // A task may return its result and go on, to write the rest of a file for instance.
        std::future::poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        wasmtime::Result::Ok(outcome)
    });
    let result = running.await.flatten();
    let denied = store.data().denied();
    drop(store);
    let code = result.map(|outcome| i32::from(outcome.is_err()));
    Started::Ended(ended(code, denied, &streams, template).await)
}

/// Reads an error of instantiation. A module's start function runs then, so it may be any end of a guest.
async fn unstarted(
    error: wasmtime::Error,
    denied: bool,
    streams: &Streams,
    template: &Template,
) -> Started {
    if error.is::<PoolConcurrencyLimitError>() {
        return Started::PoolFull;
    }
    let guests_own = denied || error.is::<wasmtime::Trap>() || error.is::<wasmtime_wasi::I32Exit>();
    Started::Ended(match guests_own {
        true => ended(Err(error), denied, streams, template).await,
        false => Exit::Failed {
            message: format!("{error:#}"),
        },
    })
}

/// Names the end of a guest, and lets its output reach the sinks first.
async fn ended(
    result: wasmtime::Result<i32>,
    denied: bool,
    streams: &Streams,
    template: &Template,
) -> Exit {
    let exit = match result {
        Ok(0) => Exit::Code(0),
        Ok(_) if denied => Exit::OutOfMemory,
        Ok(code) => Exit::Code(code),
        Err(error) => exit::from_error(&error, denied),
    };
    streams.drained().await;
    if let Exit::Trap { message } = &exit {
        // A process that dies of a signal is reported by its shell; here nobody else would tell the log's reader.
        write_line(&*template.spec.stderr, message).await;
    }
    exit
}
