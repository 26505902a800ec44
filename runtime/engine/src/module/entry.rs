//! What of a module is run: told by its exports, or asked for.

use crate::{LoadError, Workload};
use serde::{Deserialize, Serialize};

/// Names of exports that are remembered for messages.
const MAX_LISTED: usize = 64;

/// What of a module is to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Entry {
    /// What the module is made for: its HTTP handler if it has one, else its command.
    #[default]
    Exported,
    /// The command, even if the module has a handler as well.
    Command,
    /// The HTTP handler.
    Http,
    /// One exported function, with the container's arguments. In a component a function of an interface is named as
    /// in `docs:adder/add@0.1.0#add`, or by its own name if no other interface has one of that name.
    Function(String),
}

/// The version of WASI an entry point belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wasi {
    P1,
    P2,
    P3,
}

/// What a module exports that can be run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entries {
    pub(crate) command: Option<Wasi>,
    pub(crate) http: Option<Wasi>,
    /// Functions, and interfaces that may hold functions.
    pub(crate) functions: Vec<String>,
}

impl Entries {
    /// Whether there is nothing to run at all.
    pub(super) fn is_empty(&self) -> bool {
        self.command.is_none() && self.http.is_none() && self.functions.is_empty()
    }

    /// What the module is run as if nothing is asked for.
    pub(super) fn workload(&self) -> Workload {
        match (self.http, self.command) {
            (Some(_), _) => Workload::HttpHandler,
            (None, Some(_)) => Workload::Command,
            (None, None) => Workload::Function,
        }
    }

    /// What is asked for, if the module has it. Whether a function is there is known once it is called.
    pub(super) fn choose(&self, entry: &Entry) -> Result<Workload, LoadError> {
        let chosen = match entry {
            Entry::Exported => Some(self.workload()).filter(|own| *own != Workload::Function),
            Entry::Command => self.command.map(|_| Workload::Command),
            Entry::Http => self.http.map(|_| Workload::HttpHandler),
            Entry::Function(_) => Some(Workload::Function),
        };
        chosen.ok_or_else(|| match entry {
            Entry::Http => LoadError::NotExported {
                wanted: "wasi:http/incoming-handler@0.2 and wasi:http/handler@0.3".to_owned(),
                exports: self.listed(),
            },
            Entry::Command => LoadError::NotExported {
                wanted: "_start (core module) and wasi:cli/run@0.2 or @0.3 (component)".to_owned(),
                exports: self.listed(),
            },
            Entry::Exported | Entry::Function(_) => LoadError::NoEntryPoint {
                exports: self.listed(),
            },
        })
    }

    /// The first of the exports, for messages.
    pub(crate) fn listed(&self) -> Vec<String> {
        self.functions.iter().take(MAX_LISTED).cloned().collect()
    }

    /// Forgets the names that no message would show.
    pub(super) fn shortened(mut self) -> Self {
        self.functions.truncate(MAX_LISTED);
        self
    }
}
