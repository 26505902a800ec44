//! The command line, as clap sees it. What kubectl already does well is left to kubectl.

mod values;

pub(crate) use values::check_node_name;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use sampan_controllers::Selection;
use sampan_image::Mirror;

use values::{
    parse_age, parse_host_path, parse_label, parse_mirror, parse_node_name, parse_pair,
    parse_resource, parse_size,
};

/// A Kubernetes for WebAssembly in one binary.
#[derive(Debug, Parser)]
#[command(name = "sampan", version, about, propagate_version = true)]
pub(crate) struct Cli {
    /// More log lines on stderr (-v: info, -vv: debug); `SAMPAN_LOG` takes a full filter.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a whole cluster in this process: server, scheduler, controllers and one node.
    Up(UpArgs),
    /// Start the API server, scheduler and controllers, without a node.
    Server(ServerArgs),
    /// Join this machine to a server as a node.
    Agent(AgentArgs),
    /// Put a Wasm module into the cluster's own registry.
    Push(PushArgs),
    /// Run one Wasm module as a pod: streams its output and returns its exit code.
    Run(RunArgs),
    /// List the images in the cluster's own registry, or free what it no longer needs.
    Images(ImagesArgs),
    /// Save a cluster's state into one file, while it runs or when it is stopped; what pods keep in volumes and in
    /// wasi:keyvalue is not in it.
    Backup(BackupArgs),
    /// Make a data folder out of a backup.
    Restore(RestoreArgs),
}

/// Where the state lives and where the API listens.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArgs {
    /// Folder for all state [default: `sampan` in the user's data folder].
    #[arg(long, value_name = "DIR", env = "SAMPAN_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Port of the API; 0 picks a free one.
    #[arg(long, value_name = "N", default_value_t = 6443)]
    pub(crate) port: u16,
    /// Address the API listens on.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) bind: IpAddr,
    /// Disk that the cluster's own registry may use, such as `20Gi`; what has no room is refused [default: no limit].
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) registry_limit: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    /// Manifest, or folder of manifests, to apply; `.wasm` files beside them are pushed first. May be repeated.
    #[arg(long, value_name = "PATH")]
    pub(crate) apply: Vec<PathBuf>,
    /// Stop once the applied pods are Ready or Completed: exit 0, or 1 if one failed or 60 s passed.
    #[arg(long)]
    pub(crate) once: bool,
}

/// What this machine offers as a node.
#[derive(Debug, Clone, Args)]
pub(crate) struct NodeArgs {
    /// Name of the node [default: the host name].
    #[arg(long, value_name = "NAME", value_parser = parse_node_name)]
    pub(crate) node_name: Option<String>,
    /// Extended resource of the node, such as `example.com/gpu=2`. May be repeated.
    #[arg(long, value_name = "NAME=COUNT", value_parser = parse_resource)]
    pub(crate) resource: Vec<(String, u64)>,
    /// Label of the node. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    pub(crate) node_label: Vec<(String, String)>,
    /// Folder whose `.wasm` files and OCI layouts pods may name as `file://` and `oci://` images. May be repeated.
    #[arg(long, value_name = "DIR")]
    pub(crate) image_dir: Vec<PathBuf>,
    /// Folder that pods may use as hostPath volumes, `DIR` or `DIR:ro`; none unless given. May be repeated.
    #[arg(long, value_name = "DIR", value_parser = parse_host_path)]
    pub(crate) allow_host_path: Vec<(PathBuf, bool)>,
    /// Registry host (`HOST[:PORT]`) to talk to without TLS; loopback hosts always are. May be repeated.
    #[arg(long, value_name = "HOST")]
    pub(crate) insecure_registry: Vec<String>,
    /// Copy of a registry to ask before it: `docker.io=https://mirror.example[/PATH]`. It is never shown the credentials
    /// for the registry. May be repeated; the mirrors of a registry are asked in order.
    #[arg(long, value_name = "HOST=URL", value_parser = parse_mirror)]
    pub(crate) registry_mirror: Vec<(String, Mirror)>,
    /// Part of the disk, in percent, at which images that no container uses begin to be removed; 100 never.
    #[arg(long, value_name = "PERCENT", default_value_t = 85, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) image_gc_high_threshold: u8,
    /// Part of the disk, in percent, at which removing images ends.
    #[arg(long, value_name = "PERCENT", default_value_t = 80, value_parser = clap::value_parser!(u8).range(0..=99))]
    pub(crate) image_gc_low_threshold: u8,
}

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    /// Name of the node that `agent.kubeconfig` is written for.
    #[arg(long, value_name = "NAME", default_value = "node-1", value_parser = parse_node_name)]
    pub(crate) node_name: String,
    #[command(flatten)]
    pub(crate) loops: LoopArgs,
}

/// Which loops run beside the server; others may do their work.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoopArgs {
    /// Controllers to run, separated by commas: `*` for all, `foo` for that one, `-foo` to leave that one out, nothing for none.
    #[arg(long, value_name = "LIST", default_value = "*", allow_hyphen_values = true, value_parser = Selection::parse)]
    pub(crate) controllers: Selection,
    /// Whether to run the scheduler.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub(crate) scheduler: bool,
}

impl Default for LoopArgs {
    fn default() -> Self {
        Self {
            controllers: Selection::all(),
            scheduler: true,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// Credentials: the `agent.kubeconfig` that the server wrote into its data folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: PathBuf,
    /// Folder for images, compiled code, logs and volumes [default: `sampan-agent` in the user's data folder].
    #[arg(long, value_name = "DIR", env = "SAMPAN_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address of this machine at which the server reaches the kubelet API (logs).
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) node_ip: IpAddr,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Which cluster to talk to.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConnectArgs {
    /// Kubeconfig of the cluster [default: that of --data-dir, else $KUBECONFIG, else `admin.kubeconfig` in the data
    /// folder of `sampan up`].
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Data folder of the `sampan up` to talk to.
    #[arg(long, value_name = "DIR", env = "SAMPAN_DATA_DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The module: a core module (WASI p1) or a component. Or a folder, which becomes the image's root filesystem.
    pub(crate) module: PathBuf,
    /// Name in the registry, `NAME[:TAG]`.
    pub(crate) image: String,
    /// Of a folder: the program to run, as a path in it, and its fixed arguments. May be repeated, a word each.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    pub(crate) entrypoint: Vec<String>,
    /// Of a folder: what follows the entrypoint unless a pod sets `args`. May be repeated, a word each.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    pub(crate) cmd: Vec<String>,
    /// Of a folder: environment variable of its programs. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    pub(crate) env: Vec<(String, String)>,
    /// Of a folder: where relative commands begin.
    #[arg(long, value_name = "PATH", default_value = "")]
    pub(crate) workdir: String,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The module to run.
    pub(crate) module: PathBuf,
    /// Arguments of the program.
    #[arg(last = true)]
    pub(crate) args: Vec<String>,
    /// Environment variable of the program. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    pub(crate) env: Vec<(String, String)>,
    /// Annotation of the pod. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub(crate) annotations: Vec<(String, String)>,
    /// Namespace of the pod.
    #[arg(short, long, default_value = "default")]
    pub(crate) namespace: String,
    /// Name of the pod [default: after the module].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Leave the pod behind.
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImagesArgs {
    #[command(subcommand)]
    pub(crate) action: Option<ImagesAction>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Table, global = true)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImagesAction {
    /// Delete images that no tag leads to, and uploads that were never finished. Pods that name one by its digest lose it.
    Prune {
        /// Leave alone what was pushed less than this ago: `90s`, `15m`, `24h`, `7d`.
        #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_age)]
        older_than: u32,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The backup to write. It holds keys and Secrets: keep it as safe as the cluster.
    pub(crate) file: PathBuf,
    /// Data folder of the cluster [default: `sampan` in the user's data folder].
    #[arg(long, value_name = "DIR", env = "SAMPAN_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Leave out the images of the cluster's own registry; pods need them pushed again.
    #[arg(long)]
    pub(crate) no_images: bool,
    /// Replace the file if it exists, once the new backup is complete.
    #[arg(short, long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup.
    pub(crate) file: PathBuf,
    /// Data folder to make; there must be nothing in it [default: `sampan` in the user's data folder].
    #[arg(long, value_name = "DIR", env = "SAMPAN_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_images_takes_may_stand_behind_prune() {
        for line in [
            "sampan images prune --data-dir d --output json",
            "sampan images --data-dir d --output json prune",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).expect(line);
            let Command::Images(args) = cli.command else {
                panic!("{line}");
            };
            assert_eq!(args.connect.data_dir.as_deref(), Some(Path::new("d")));
            assert!(matches!(args.output, Output::Json), "{line}");
        }
    }
}
