//! Calls one exported function with the container's arguments, and prints what it returns.
//!
//! Each argument is read as a value of its parameter's type. What cannot be read ends the container with code 2 and a
//! line on standard error, before anything of the guest has run. A component's `result` decides the exit code: `ok` is
//! printed, `err` goes to standard error and ends with 1.

pub(crate) mod component;
pub(crate) mod core;

use super::{Started, ended, unstarted};
use crate::Exit;
use crate::backend::Backend;
use crate::output::write_line;
use crate::state::{ComponentState, P1State, Streams, Template};

/// The exit code of wrong arguments, as shells and most command lines have it.
const USAGE: i32 = 2;

/// What a function returned, as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    stdout: Vec<String>,
    stderr: Vec<String>,
    code: i32,
}

impl Returned {
    /// Values to be printed, one a line.
    fn values(lines: Vec<String>) -> Self {
        Returned {
            stdout: lines,
            stderr: Vec::new(),
            code: 0,
        }
    }

    /// The guest's own error.
    fn error(lines: Vec<String>) -> Self {
        Returned {
            stdout: Vec::new(),
            stderr: lines,
            code: 1,
        }
    }
}

/// Why a function was not called, in words for standard error.
type Usage = String;

/// Calls a function of a core module.
pub(super) async fn p1(
    backend: &Backend,
    pre: &wasmtime::InstancePre<P1State>,
    name: &str,
    template: &Template,
) -> Started {
    let values = match core::function(pre.module(), name) {
        Some(ty) => core::arguments(&ty, arguments(template)),
        None => Err(format!("the module exports no function {name}")),
    };
    let values = match values {
        Ok(values) => values,
        Err(usage) => return refused(name, &usage, template).await,
    };
    let (mut store, streams) = template.p1_store(&backend.wasm);
    let instance = match pre.instantiate_async(&mut store).await {
        Ok(instance) => instance,
        Err(error) => return unstarted(error, store.data().denied(), &streams, template).await,
    };
    let result = core::call(&mut store, &instance, name, &values).await;
    let denied = store.data().denied();
    drop(store);
    finished(result, denied, &streams, template).await
}

/// Calls a function of a component.
pub(super) async fn p2(
    backend: &Backend,
    pre: &wasmtime::component::InstancePre<ComponentState>,
    name: &str,
    template: &Template,
) -> Started {
    let found = component::find(pre.component(), name);
    let Some((ty, index)) = found else {
        let usage = format!("the component exports no function {name}");
        return refused(name, &usage, template).await;
    };
    let values = match component::arguments(&ty, arguments(template)) {
        Ok(values) => values,
        Err(usage) => return refused(name, &usage, template).await,
    };
    let (mut store, streams) = template.component_store(&backend.wasm);
    let instance = match pre.instantiate_async(&mut store).await {
        Ok(instance) => instance,
        Err(error) => return unstarted(error, store.data().denied(), &streams, template).await,
    };
    let result = match instance.get_func(&mut store, index) {
        Some(function) => component::call(&mut store, function, &ty, &values).await,
        None => Err(wasmtime::Error::msg("the function is gone")),
    };
    let denied = store.data().denied();
    drop(store);
    finished(result, denied, &streams, template).await
}

/// The container's arguments without the program's name.
fn arguments(template: &Template) -> &[String] {
    template.spec.args.get(1..).unwrap_or_default()
}

async fn refused(name: &str, usage: &str, template: &Template) -> Started {
    write_line(&*template.spec.stderr, &format!("{name}: {usage}")).await;
    Started::Ended(Exit::Code(USAGE))
}

async fn finished(
    result: wasmtime::Result<Returned>,
    denied: bool,
    streams: &Streams,
    template: &Template,
) -> Started {
    let (code, returned) = match result {
        Ok(returned) => (Ok(returned.code), Some(returned)),
        Err(error) => (Err(error), None),
    };
    let exit = ended(code, denied, streams, template).await;
    // After what the guest has printed itself.
    if let Some(returned) = returned {
        for line in &returned.stdout {
            write_line(&*template.spec.stdout, line).await;
        }
        for line in &returned.stderr {
            write_line(&*template.spec.stderr, line).await;
        }
    }
    Started::Ended(exit)
}

/// The complaint about a wrong number of arguments.
fn wrong_count(given: usize, parameters: &[String]) -> Usage {
    let wanted = match parameters {
        [] => "none".to_owned(),
        some => format!("{} ({})", some.len(), some.join(", ")),
    };
    format!("{given} arguments given, the function takes {wanted}")
}

/// The complaint about one argument.
fn wrong_value(position: usize, text: &str, wanted: &str) -> Usage {
    let mut text = text.to_owned();
    crate::exit::truncate(&mut text, 64);
    format!(
        "argument {} is {text:?}, which is no {wanted}",
        position + 1
    )
}
