//! Compiled code with its imports resolved, and the entry points found in it.

use super::entry::{Entries, Wasi};
use crate::backend::Backend;
use crate::command::function;
use crate::state::{ComponentState, P1State};
use wasmtime::ResourcesRequired;
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi::{p2, p3};
use wasmtime_wasi_http::handler::ProxyPre;

/// Compiled code in memory, not linked yet.
pub(crate) enum Code {
    Module(wasmtime::Module),
    Component(Component, Entries),
}

/// A module with its imports resolved, ready for quick instantiation.
pub(crate) enum Prepared {
    Core(wasmtime::InstancePre<P1State>),
    Component(Box<ComponentPre>),
}

/// A component and its entry points.
pub(crate) struct ComponentPre {
    pub(crate) pre: InstancePre<ComponentState>,
    pub(crate) command: Option<CommandPre>,
    pub(crate) http: Option<ProxyPre<ComponentState>>,
}

/// A component's `wasi:cli/run`.
pub(crate) enum CommandPre {
    P2(p2::bindings::CommandPre<ComponentState>),
    P3(p3::bindings::CommandPre<ComponentState>),
}

impl Code {
    pub(super) fn link(&self, backend: &Backend) -> wasmtime::Result<Prepared> {
        let (component, entries) = match self {
            Code::Module(module) => {
                return Ok(Prepared::Core(backend.p1.instantiate_pre(module)?));
            }
            Code::Component(component, entries) => (component, entries),
        };
        let pre = backend.components.instantiate_pre(component)?;
        let command = match entries.command {
            Some(Wasi::P3) => {
                let command = p3::bindings::CommandPre::new(pre.clone())?;
                Some(CommandPre::P3(command))
            }
            Some(_) => {
                let command = p2::bindings::CommandPre::new(pre.clone())?;
                Some(CommandPre::P2(command))
            }
            None => None,
        };
        let http = match entries.http {
            Some(Wasi::P3) => {
                let service = wasmtime_wasi_http::p3::bindings::ServicePre::new(pre.clone())?;
                Some(ProxyPre::P3(service))
            }
            Some(_) => {
                let proxy = wasmtime_wasi_http::p2::bindings::ProxyPre::new(pre.clone())?;
                Some(ProxyPre::P2(proxy))
            }
            None => None,
        };
        Ok(Prepared::Component(Box::new(ComponentPre {
            pre,
            command,
            http,
        })))
    }
}

impl Prepared {
    /// The memories and tables of an instance. `None` if only its imports tell, which are no modules.
    pub(super) fn resources(&self) -> Option<ResourcesRequired> {
        match self {
            Prepared::Core(pre) => Some(pre.module().resources_required()),
            Prepared::Component(component) => component.pre.component().resources_required(),
        }
    }

    /// Whether a function of this name can be called.
    pub(super) fn has_function(&self, name: &str) -> bool {
        match self {
            Prepared::Core(pre) => function::core::has(pre.module(), name),
            Prepared::Component(component) => {
                function::component::find(component.pre.component(), name).is_some()
            }
        }
    }
}
