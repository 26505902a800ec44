//! `sampan agent`: this machine as a node of a server elsewhere.

use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::AgentArgs;
use crate::client;
use crate::data_dir::DataDir;
use crate::kubeconfig::Current;
use crate::node::{self, NodeConfig};
use crate::output::say;
use crate::remote_registry::RemoteRegistry;
use crate::tasks::Tasks;
use crate::{resident, signals};

pub(crate) async fn run(args: AgentArgs) -> anyhow::Result<ExitCode> {
    let shutdown = signals::shutdown_token()?;
    let data = DataDir::open(args.data_dir.clone(), "sampan-agent")?;
    let client = client::from_kubeconfig(&args.kubeconfig, client::agent::NODE).await?;
    let mut tasks = Tasks::new();
    let current = Current::read(&args.kubeconfig)?;
    let name = node_name(&args, current.user_name())?;
    let config = NodeConfig {
        dir: data.root().to_path_buf(),
        name: name.clone(),
        ip: args.node_ip,
        args: args.node.clone(),
        registry: Arc::new(RemoteRegistry::new(client.clone())),
        registry_hosts: current.server_host().into_iter().collect(),
        tls: current.identity()?,
    };
    node::start(&mut tasks, client, config).await?;
    say(format_args!("Node {name} runs; stop it with Ctrl-C."));
    resident::keep_small();
    let result = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        error = tasks.failure() => Err(error),
    };
    tasks.stop().await?;
    result.map(|()| ExitCode::SUCCESS)
}

/// The name given, or the one in the kubeconfig's user, which is what the server lets this node be.
fn node_name(args: &AgentArgs, user: &str) -> anyhow::Result<String> {
    match (&args.node.node_name, user.strip_prefix("system:node:")) {
        (None, Some(name)) => Ok(name.to_string()),
        (Some(given), Some(name)) if given != name => {
            anyhow::bail!(
                "{} is for node {name}, not {given}",
                args.kubeconfig.display()
            )
        }
        _ => node::name(&args.node),
    }
}
