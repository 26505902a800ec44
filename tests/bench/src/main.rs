//! Benches: commands that print a table. Most take a kubeconfig, and so run against any Kubernetes API.

mod api;
mod bare;
mod body;
mod compile;
mod connection;
mod crew;
mod load;
mod module;
mod own;
mod pods;
mod processor;
mod profile;
mod table;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use kube::config::{KubeConfigOptions, Kubeconfig};
use mimalloc::MiMalloc;

/// The client takes time from what it measures: the less, the better.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Debug, Parser)]
#[command(name = "sampan-bench", about = "Measures a Kubernetes API", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates, gets, lists and watches ConfigMaps.
    Api(ApiArgs),
    /// The same against a server of its own, and its memory, idle writes and start times.
    Server(OwnArgs),
    /// Starts pods, one by one and in a burst, from POST to Running as a watcher sees it.
    Pods(PodsArgs),
    /// Reads from a cluster of its own, alone and while it compiles a large module.
    Compile(CompileArgs),
}

/// Which cluster.
#[derive(Debug, Args)]
struct Target {
    /// Kubeconfig of the cluster.
    #[arg(long, env = "KUBECONFIG")]
    kubeconfig: PathBuf,
    /// Namespace to work in; it is created, and deleted at the end.
    #[arg(long, default_value = "bench")]
    namespace: String,
}

#[derive(Debug, Args)]
struct ApiArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    load: LoadArgs,
}

/// How much of it.
#[derive(Debug, Args)]
struct LoadArgs {
    /// Connections that create at once.
    #[arg(long, default_value_t = 128)]
    creating: usize,
    /// Connections that read at once.
    #[arg(long, default_value_t = 64)]
    reading: usize,
    /// Seconds for each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Bytes of data in each object.
    #[arg(long, default_value_t = 1024)]
    size: usize,
    /// Objects in the list that is read.
    #[arg(long, default_value_t = 25_000)]
    list: usize,
    /// Watchers that each receive every change.
    #[arg(long, default_value_t = 1000)]
    watchers: usize,
    /// Changes per second while they watch.
    #[arg(long, default_value_t = 500)]
    changes: u64,
}

#[derive(Debug, Args)]
struct OwnArgs {
    /// The `sampan` to run.
    #[arg(long, default_value = "target/release/sampan")]
    binary: PathBuf,
    /// Folder on the disk to measure; a data folder is made in it, and removed at the end.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// Objects to fill the server with.
    #[arg(long, default_value_t = 100_000)]
    objects: u64,
    /// Writes, in all, before the start that is timed.
    #[arg(long, default_value_t = 1_000_000)]
    writes: u64,
    /// Seconds of rest before something idle is measured.
    #[arg(long, default_value_t = 20)]
    rest: u64,
    /// Seconds until the history has expired and its memory can be given back.
    #[arg(long, default_value_t = 110)]
    history: u64,
    #[command(flatten)]
    load: LoadArgs,
}

impl OwnArgs {
    fn rest(&self) -> Duration {
        Duration::from_secs(self.rest)
    }

    fn history(&self) -> Duration {
        Duration::from_secs(self.history)
    }
}

#[derive(Debug, Args)]
struct CompileArgs {
    /// The `sampan` to run.
    #[arg(long, default_value = "target/release/sampan")]
    binary: PathBuf,
    /// Folder on the disk to use; a data folder is made in it, and removed at the end.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// Size of the module, in MiB.
    #[arg(long, default_value_t = 10)]
    megabytes: usize,
    /// Seconds of reads before.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[derive(Debug, Args)]
struct PodsArgs {
    #[command(flatten)]
    target: Target,
    /// Image of the pods: a program that keeps running.
    #[arg(long)]
    image: String,
    /// Pods started one after the other.
    #[arg(long, default_value_t = 50)]
    single: usize,
    /// Pods started at once.
    #[arg(long, default_value_t = 500)]
    burst: usize,
}

impl Target {
    async fn config(&self) -> anyhow::Result<kube::Config> {
        let name = self.kubeconfig.display();
        let kubeconfig =
            Kubeconfig::read_from(&self.kubeconfig).with_context(|| format!("{name}"))?;
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
        config.with_context(|| format!("{name}"))
    }
}

/// How long the namespace's own furniture may take.
const SETUP: Duration = Duration::from_secs(30);

/// One thread; what works on many connections at once has threads of its own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // An error only means that it was chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Cli::parse().command {
        Command::Api(args) => api::run(args).await,
        Command::Server(args) => own::run(args).await,
        Command::Pods(args) => pods::run(args).await,
        Command::Compile(args) => compile::run(args).await,
    }
}

/// A namespace for the bench, with the ServiceAccount pods need; deleted by [`Workspace::close`].
struct Workspace {
    client: kube::Client,
    name: String,
}

impl Workspace {
    async fn open(config: kube::Config, target: &Target) -> anyhow::Result<Self> {
        use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
        use kube::api::{Api, ObjectMeta, PostParams};
        let client = kube::Client::try_from(config)?;
        let name = target.namespace.clone();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let metadata = ObjectMeta {
            name: Some(name.clone()),
            ..ObjectMeta::default()
        };
        let namespace = Namespace {
            metadata,
            ..Namespace::default()
        };
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("creating namespace {name} (left over? delete it first)"))?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &name);
        let there = kube::runtime::wait::await_condition(
            accounts,
            "default",
            |account: Option<&ServiceAccount>| account.is_some(),
        );
        tokio::time::timeout(SETUP, there)
            .await
            .context("no default ServiceAccount came")??;
        Ok(Self { client, name })
    }

    async fn close(self) -> anyhow::Result<()> {
        use k8s_openapi::api::core::v1::Namespace;
        use kube::api::{Api, DeleteParams};
        let namespaces: Api<Namespace> = Api::all(self.client);
        namespaces
            .delete(&self.name, &DeleteParams::default())
            .await?;
        Ok(())
    }
}
