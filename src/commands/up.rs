//! `sampan up`: a whole cluster in this process.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::apply;
use crate::cli::UpArgs;
use crate::cluster::Cluster;
use crate::commands::DATA_DIR_NAME;
use crate::data_dir::DataDir;
use crate::manifests::{self, Manifest};
use crate::output::{complain, say};
use crate::progress::{PodKey, Progress};
use crate::registry_client::{self, ImageName};
use crate::{resident, signals};

/// How long `--once` waits for the applied pods.
const ONCE_LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn run(args: UpArgs) -> anyhow::Result<ExitCode> {
    // Bad manifests are told before anything is started.
    let manifests = load_all(&args.apply)?;
    let shutdown = signals::shutdown_token()?;
    let data = DataDir::open(args.serve.data_dir.clone(), DATA_DIR_NAME)?;
    let mut cluster = Cluster::start_with_node(data, &args.serve, &args.node).await?;
    say(format_args!(
        "The cluster is up: https://{}",
        cluster.addr()
    ));
    resident::keep_small();

    let client = cluster.admin_client();
    let applied = async {
        let pods = submit(&client, &manifests).await?;
        follow(&client, pods, args.once).await
    };
    let outcome = tokio::select! {
        () = shutdown.cancelled() => Ok(ExitCode::SUCCESS),
        error = cluster.failure() => Err(error),
        outcome = applied => outcome,
    };
    let outcome = match outcome {
        Ok(code) if !args.once && !shutdown.is_cancelled() => {
            print_next_steps(&cluster);
            tokio::select! {
                () = shutdown.cancelled() => Ok(code),
                error = cluster.failure() => Err(error),
            }
        }
        other => other,
    };
    let stopped = cluster.stop().await;
    let code = outcome?;
    stopped?;
    // A cluster that was asked to keep running and then to stop has done its job.
    Ok(if args.once { code } else { ExitCode::SUCCESS })
}

fn load_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Manifest>> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(manifests::load(path)?);
    }
    Ok(all)
}

/// Pushes the modules beside the manifests, then applies the manifests; returns the pods among them.
async fn submit(client: &kube::Client, manifests: &[Manifest]) -> anyhow::Result<Vec<PodKey>> {
    for (file, image) in manifests::images(manifests) {
        push_beside(client, &file, &image).await?;
    }
    let mut pods = Vec::new();
    for manifest in manifests {
        let applied = apply::apply(client, manifest).await?;
        say(format_args!(
            "{}/{} {}",
            applied.kind.to_lowercase(),
            applied.name,
            applied.change
        ));
        if let ("Pod", Some(namespace)) = (applied.kind.as_str(), applied.namespace) {
            pods.push((namespace, applied.name));
        }
    }
    Ok(pods)
}

/// An image that names a `.wasm` file in the manifest's folder is that file.
async fn push_beside(client: &kube::Client, manifest: &Path, image: &str) -> anyhow::Result<()> {
    if !image.ends_with(".wasm") || image.contains('/') {
        return Ok(());
    }
    let path = manifest.parent().unwrap_or(Path::new(".")).join(image);
    if !path.exists() {
        return Ok(());
    }
    let module = registry_client::read_module(&path)?;
    let name = ImageName::parse(image)?;
    registry_client::push(client, &module, &name)
        .await
        .with_context(|| format!("cannot push {}", path.display()))?;
    say(format_args!("image/{name} pushed"));
    Ok(())
}

async fn follow(client: &kube::Client, pods: Vec<PodKey>, once: bool) -> anyhow::Result<ExitCode> {
    if pods.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let mut progress = Progress::new(client.clone(), pods);
    let good = if once {
        match tokio::time::timeout(ONCE_LIMIT, progress.follow()).await {
            Ok(good) => good?,
            Err(_) => {
                complain(format_args!(
                    "not all pods came up within {} s",
                    ONCE_LIMIT.as_secs()
                ));
                false
            }
        }
    } else {
        progress.follow().await?
    };
    for url in progress.urls() {
        say(format_args!("Try it: curl {url}"));
    }
    if good {
        return Ok(ExitCode::SUCCESS);
    }
    for reason in progress.reasons() {
        complain(format_args!("{reason}"));
    }
    Ok(ExitCode::FAILURE)
}

fn print_next_steps(cluster: &Cluster) {
    say(format_args!("\nNext, in another terminal:"));
    say(format_args!(
        "  export KUBECONFIG={}",
        cluster.data().admin_kubeconfig().display()
    ));
    say(format_args!("  kubectl get pods -o wide"));
    say(format_args!(
        "Ctrl-C stops the cluster; its state stays in {}.",
        cluster.data().root().display()
    ));
}
