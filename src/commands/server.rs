//! `sampan server`: the control plane without a node.

use std::process::ExitCode;

use crate::cli::ServerArgs;
use crate::cluster::Cluster;
use crate::commands::DATA_DIR_NAME;
use crate::data_dir::DataDir;
use crate::output::say;
use crate::{resident, signals};

pub(crate) async fn run(args: ServerArgs) -> anyhow::Result<ExitCode> {
    let shutdown = signals::shutdown_token()?;
    let data = DataDir::open(args.serve.data_dir.clone(), DATA_DIR_NAME)?;
    let mut cluster = Cluster::start(data, &args.serve, &args.node_name, &args.loops).await?;
    say(format_args!(
        "The API listens on https://{}\nAdministrators use  {}\nNodes join with     sampan agent --kubeconfig {}",
        cluster.addr(),
        cluster.data().admin_kubeconfig().display(),
        cluster.agent_kubeconfig().display()
    ));
    resident::keep_small();
    let result = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        error = cluster.failure() => Err(error),
    };
    cluster.stop().await?;
    result.map(|()| ExitCode::SUCCESS)
}
