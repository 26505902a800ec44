//! Reads a module's imports and exports before anything is compiled: what is it, and can it run here?
//!
//! Pure: bytes in, facts or a [`LoadError`] out. Whether functions have the types expected is left to the linker.

#[cfg(test)]
mod tests;

use super::entry::{Entries, Wasi};
use super::p3;
use crate::host::INTERFACES;
use crate::{LoadError, signals};
use std::collections::HashSet;
use wasmparser::{
    BinaryReaderError, ComponentExternalKind, Encoding, ExternalKind, Parser, Payload, Validator,
    WasmFeatures,
};

/// The module name of WASI p1's functions.
const P1: &str = "wasi_snapshot_preview1";

/// The functions of WASI p1.
pub(crate) const P1_FUNCTIONS: [&str; 46] = [
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_advise",
    "fd_allocate",
    "fd_close",
    "fd_datasync",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_pwrite",
    "fd_read",
    "fd_readdir",
    "fd_renumber",
    "fd_seek",
    "fd_sync",
    "fd_tell",
    "fd_write",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "poll_oneoff",
    "proc_exit",
    "proc_raise",
    "random_get",
    "sched_yield",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

/// The interfaces of WASI 0.2 that components may import, of any 0.2 version.
const P2_INTERFACES: [&str; 32] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
    // Names that older toolchains leave behind and that need no host function.
    "wasi:cli/run",
    "wasi:http/incoming-handler",
    "wasi:clocks/timezone",
];

/// Different imports, and exports, that a module may have, and the bytes of their names together: a small file can say
/// much more than it holds, and what is read here is in no budget of memory.
const MAX_IMPORTS: usize = 16_384;
const MAX_EXPORTS: usize = 65_536;
const MAX_NAME_BYTES: usize = 8 << 20;

/// Functions of one core module, as the validator bounds them. It comes after all of them were counted here, and a byte
/// is enough to say one.
const MAX_FUNCTIONS: u32 = 1_000_000;

/// Names that an error tells, and bytes of each.
const TOLD_NAMES: usize = 16;
const TOLD_BYTES: usize = 128;

/// What a module is and needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inspected {
    pub(crate) component: bool,
    /// Whether it has anything to do with WASI 0.3, or else with tasks, streams or futures of the component model.
    pub(crate) concurrent: bool,
    pub(crate) entries: Entries,
    pub(crate) imports: Vec<String>,
}

/// Reads the outermost module or component of a file.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Inspected, LoadError> {
    let Surface {
        component,
        imports,
        exports,
        ..
    } = surface(bytes)?;
    let unsupported: Vec<String> = imports
        .iter()
        .filter(|name| {
            !if component {
                offered_interface(name)
            } else {
                offered_function(name)
            }
        })
        .cloned()
        .collect();
    if !unsupported.is_empty() {
        return Err(LoadError::UnsupportedImport {
            names: told(unsupported),
        });
    }
    let entries = match component {
        true => Entries {
            command: exported(&exports, "wasi:cli/run", "wasi:cli/run"),
            http: exported(&exports, "wasi:http/incoming-handler", "wasi:http/handler"),
            functions: functions(exports),
        },
        false => Entries {
            command: exports
                .iter()
                .any(|export| export.name == "_start")
                .then_some(Wasi::P1),
            http: None,
            functions: functions(exports),
        },
    };
    if entries.is_empty() {
        return Err(LoadError::NoEntryPoint {
            exports: told(entries.functions),
        });
    }
    Ok(Inspected {
        component,
        concurrent: component && (imports.iter().any(|name| is_p3(name)) || is_concurrent(bytes)),
        entries,
        imports,
    })
}

/// Whether an import is linked only beside tasks: interfaces of WASI 0.3 that have no asynchronous function, too.
fn is_p3(import: &str) -> bool {
    import.contains("@0.3.") || import == signals::INTERFACE_P3
}

/// Whether a component is valid only with the asynchronous part of the component model. Types are looked at, not the code
/// of functions. What is invalid anyway counts, too; compiling it tells why.
fn is_concurrent(bytes: &[u8]) -> bool {
    const ASYNCHRONOUS: WasmFeatures = WasmFeatures::CM_ASYNC
        .union(WasmFeatures::CM_ASYNC_STACKFUL)
        .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
        .union(WasmFeatures::CM_THREADING)
        .union(WasmFeatures::CM_ERROR_CONTEXT);
    let mut validator = Validator::new_with_features(WasmFeatures::all() - ASYNCHRONOUS);
    parser().parse_all(bytes).any(|payload| {
        let checked = payload.and_then(|payload| validator.payload(&payload).map(drop));
        checked.is_err()
    })
}

/// The version of WASI whose interface is exported: of 0.2 by one name, of 0.3 by another. The newer one counts.
fn exported(exports: &[Export], p2: &str, p3: &str) -> Option<Wasi> {
    let any = |interface: &str, version: &str| {
        exports.iter().any(|export| {
            let parts = export.name.split_once('@');
            parts.is_some_and(|(base, rest)| base == interface && rest.starts_with(version))
        })
    };
    match (any(p3, "0.3."), any(p2, "0.2.")) {
        (true, _) => Some(Wasi::P3),
        (false, true) => Some(Wasi::P2),
        (false, false) => None,
    }
}

/// What may hold functions to call: functions, and a component's interfaces.
fn functions(exports: Vec<Export>) -> Vec<String> {
    let callable = exports.into_iter().filter(|export| export.callable);
    callable.map(|export| export.name).collect()
}

/// One name at the outermost level.
struct Export {
    name: String,
    callable: bool,
}

/// Names as errors tell them: the first few, and not at any length.
fn told(mut names: Vec<String>) -> Vec<String> {
    let more = names.len().saturating_sub(TOLD_NAMES);
    names.truncate(TOLD_NAMES);
    for name in &mut names {
        crate::exit::truncate(name, TOLD_BYTES);
    }
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names
}

/// The names at the outermost level of a file.
#[derive(Default)]
struct Surface {
    component: bool,
    imports: Vec<String>,
    exports: Vec<Export>,
    /// A core module may say the same import any number of times.
    known: HashSet<String>,
    name_bytes: usize,
}

impl Surface {
    fn import(&mut self, name: String) -> Result<(), LoadError> {
        if self.known.contains(&name) {
            return Ok(());
        }
        if self.imports.len() >= MAX_IMPORTS {
            return Err(too_many(format!("{MAX_IMPORTS} imports")));
        }
        // Kept twice: in order, and to be found.
        self.count(2 * name.len())?;
        self.known.insert(name.clone());
        self.imports.push(name);
        Ok(())
    }

    fn export(&mut self, name: &str, callable: bool) -> Result<(), LoadError> {
        if self.exports.len() >= MAX_EXPORTS {
            return Err(too_many(format!("{MAX_EXPORTS} exports")));
        }
        self.count(name.len())?;
        self.exports.push(Export {
            name: name.to_owned(),
            callable,
        });
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), LoadError> {
        self.name_bytes += bytes;
        match self.name_bytes > MAX_NAME_BYTES {
            true => Err(too_many(format!("{MAX_NAME_BYTES} bytes of names"))),
            false => Ok(()),
        }
    }
}

fn too_many(limit: String) -> LoadError {
    LoadError::TooManyNames { limit }
}

/// A parser for what wasmtime compiles. Its own default accepts groups of imports that share a module's name, of which
/// every byte means another copy of that name.
fn parser() -> Parser {
    let mut parser = Parser::new(0);
    parser.set_features(WasmFeatures::all() - WasmFeatures::COMPACT_IMPORTS);
    parser
}

fn surface(bytes: &[u8]) -> Result<Surface, LoadError> {
    if !bytes.starts_with(b"\0asm") {
        let reason = match bytes.len() {
            0 => "the file is empty".to_owned(),
            _ => "it does not begin with the magic number \\0asm".to_owned(),
        };
        return Err(LoadError::NotWasm { reason });
    }
    let malformed = |error: BinaryReaderError| LoadError::NotWasm {
        reason: error.to_string(),
    };
    let mut surface = Surface::default();
    // Components nest modules and components; only what the outermost says counts.
    let mut depth = 0_usize;
    for payload in parser().parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::Version { encoding, .. } => {
                depth += 1;
                if depth == 1 {
                    surface.component = encoding == Encoding::Component;
                }
            }
            Payload::CodeSectionStart { count, .. } if count > MAX_FUNCTIONS => {
                return Err(too_many(format!("{MAX_FUNCTIONS} functions")));
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ImportSection(reader) if depth == 1 => {
                for import in reader.into_imports() {
                    let import = import.map_err(malformed)?;
                    surface.import(format!("{}.{}", import.module, import.name))?;
                }
            }
            Payload::ExportSection(reader) if depth == 1 => {
                for export in reader {
                    let export = export.map_err(malformed)?;
                    let callable = matches!(export.kind, ExternalKind::Func);
                    surface.export(export.name, callable)?;
                }
            }
            Payload::ComponentImportSection(reader) if depth == 1 => {
                for import in reader {
                    let import = import.map_err(malformed)?;
                    surface.import(import.name.name.to_owned())?;
                }
            }
            Payload::ComponentExportSection(reader) if depth == 1 => {
                for export in reader {
                    let export = export.map_err(malformed)?;
                    let callable = matches!(
                        export.kind,
                        ComponentExternalKind::Func | ComponentExternalKind::Instance
                    );
                    surface.export(export.name.name, callable)?;
                }
            }
            _ => {}
        }
    }
    Ok(surface)
}

fn offered_function(import: &str) -> bool {
    import.split_once('.').is_some_and(|(module, name)| {
        (module == P1 && P1_FUNCTIONS.contains(&name)) || signals::offers_function(module, name)
    })
}

fn offered_interface(import: &str) -> bool {
    let p2 = import.split_once("@0.2.");
    let p3 = import.split_once("@0.3.");
    INTERFACES.contains(&import)
        || p2.is_some_and(|(base, _)| P2_INTERFACES.contains(&base))
        || p3.is_some_and(|(base, _)| p3::INTERFACES.contains(&base))
        || signals::offers_interface(import)
}
