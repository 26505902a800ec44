//! Interfaces beyond WASI proper: settings, durable buckets, log lines. Each works only for a container whose
//! specification has it; [`crate::Engine::start`] refuses a module that imports what its specification lacks.
//!
//! What is behind an interface comes from the specification as plain data or as a trait object; nothing here stores
//! anything or knows where it comes from.

pub(crate) mod keyvalue;
pub(crate) mod logging;

use crate::capability::Capability;
use crate::output::Output;
use crate::state::ComponentState;
use keyvalue::KeyValueStore;
use std::sync::Arc;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};

/// The interfaces, and the versions of them, that components may import.
pub(crate) const INTERFACES: [&str; 8] = [
    "wasi:config/store@0.2.0-rc.1",
    "wasi:keyvalue/store@0.2.0-draft",
    "wasi:keyvalue/atomics@0.2.0-draft",
    "wasi:keyvalue/batch@0.2.0-draft",
    "wasi:keyvalue/store@0.2.0-draft2",
    "wasi:keyvalue/atomics@0.2.0-draft2",
    "wasi:keyvalue/batch@0.2.0-draft2",
    "wasi:logging/logging@0.1.0-draft",
];

/// What a container has of them.
#[derive(Clone, Default)]
pub struct HostInterfaces {
    /// What `wasi:config` answers.
    pub config: Option<Settings>,
    /// What `wasi:keyvalue` opens buckets of.
    pub keyvalue: Option<Arc<dyn KeyValueStore>>,
    /// Whether lines of `wasi:logging` go to standard error.
    pub logging: bool,
}

impl HostInterfaces {
    /// Whether a module with this capability can be run. Capabilities that are not given here always can.
    pub(crate) fn give(&self, capability: Capability) -> bool {
        match capability {
            Capability::Config => self.config.is_some(),
            Capability::KeyValue => self.keyvalue.is_some(),
            Capability::Logging => self.logging,
            _ => true,
        }
    }
}

/// Settings by name. Clones share them.
#[derive(Clone, Default)]
pub struct Settings(Arc<WasiConfigVariables>);

impl FromIterator<(String, String)> for Settings {
    /// A later setting replaces an earlier one of its name.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(settings: I) -> Self {
        Settings(Arc::new(settings.into_iter().collect()))
    }
}

/// The interfaces as one instance has them.
pub(crate) struct HostState {
    config: Settings,
    keyvalue: Option<Arc<dyn KeyValueStore>>,
    log: Option<Output>,
}

impl HostState {
    pub(crate) fn new(interfaces: &HostInterfaces, stderr: &Output) -> Self {
        HostState {
            config: interfaces.config.clone().unwrap_or_default(),
            keyvalue: interfaces.keyvalue.clone(),
            log: interfaces.logging.then(|| stderr.clone()),
        }
    }

    fn keyvalue<'a>(&'a self, table: &'a mut ResourceTable) -> keyvalue::KeyValue<'a> {
        keyvalue::KeyValue {
            store: self.keyvalue.as_ref(),
            table,
        }
    }
}

/// Links every interface; what an instance gets of each is told by its state.
pub(crate) fn add_to_linker(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    wasmtime_wasi_config::add_to_linker(linker, |state: &mut ComponentState| {
        WasiConfig::from(&*state.host().0.config.0)
    })?;
    keyvalue::add_to_linker(linker, |state| {
        let (host, table) = state.host();
        host.keyvalue(table)
    })?;
    logging::add_to_linker(linker, |state| {
        logging::Logging(state.host().0.log.as_ref())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_is_a_capability_that_can_be_withheld() {
        let nothing = HostInterfaces::default();
        for interface in INTERFACES {
            let capability = Capability::of_import(interface).expect(interface);
            assert!(!nothing.give(capability), "{interface}");
        }
        assert!(nothing.give(Capability::Stdio));
    }
}
