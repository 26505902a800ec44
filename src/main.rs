//! The `sampan` binary: reads the command line and hands over to one command.
//!
//! This package is the composition root: the only place that sees every crate, reads flags and environment, and owns the tasks.

mod apply;
mod buckets;
mod cli;
mod client;
mod cluster;
mod commands;
mod data_dir;
mod kubeconfig;
mod manifests;
mod node;
mod output;
mod progress;
mod registry_client;
mod remote_registry;
mod resident;
mod signals;
mod storage;
mod tasks;
mod watching;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// Gives back what a burst needed, within moments; the C library's allocator keeps it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    init_logging(cli.verbose);
    // Several dependencies use rustls: one provider for the process, chosen once.
    // An error only means that it was chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // State holds keys and Secrets: no file is made for others to read, whatever the folder it is in.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    raise_file_limit();
    sampan_engine::widen_descriptor_table();
    refuse_huge_pages();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    let result = runtime.block_on(commands::run(cli.command));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match result {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    let words = output::words(error);
    // What the server says begins as kubectl's users know it.
    let prefix = if words.starts_with(output::FROM_SERVER) {
        ""
    } else {
        "error: "
    };
    output::complain(format_args!("{prefix}{words}"));
    ExitCode::FAILURE
}

/// Every container holds a log open, every watch a connection: the soft limit of a shell is meant for smaller things.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// The allocator asks for huge pages, and the kernel then clears 2 MiB for every first byte: measured here, 20 MiB more
/// resident when idle and a tenth of a durable create's time.
fn refuse_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay as the system has them");
    }
}

/// Logs go to stderr; `SAMPAN_LOG` takes a filter as `tracing-subscriber` spells it.
///
/// What wasmtime-wasi has to say is about calls of guests, which can make as many as they like: only who looks for
/// mistakes sees it.
fn init_logging(verbose: u8) {
    let default = match verbose {
        0 => "warn,wasmtime_wasi=off,wasmtime_wasi_http=off",
        1 => "info,wasmtime_wasi=off,wasmtime_wasi_http=off",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("SAMPAN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // Whoever started this may read stderr no more; telling that there would panic.
        .log_internal_errors(false)
        .init();
}
