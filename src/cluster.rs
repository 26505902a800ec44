//! One cluster in this process: server, scheduler, controllers, and a node if asked for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use sampan_controllers::{Controllers, ControllersConfig, WorkqueueMetrics};
use sampan_image::{Limits, Registry};
use sampan_scheduler::{Scheduler, SchedulerConfig, SchedulerMetrics};
use sampan_server::{Server, ServerConfig, StartError, UserInfo};

use crate::cli::{LoopArgs, NodeArgs, ServeArgs};
use crate::client;
use crate::data_dir::DataDir;
use crate::node::{self, NodeConfig};
use crate::storage;
use crate::tasks::Tasks;

/// A running cluster; [`Cluster::stop`] ends it cleanly.
pub(crate) struct Cluster {
    data: DataDir,
    server: Arc<Server>,
    registry: Arc<Registry>,
    tasks: Tasks,
}

impl Cluster {
    /// Starts the control plane.
    pub(crate) async fn start(
        data: DataDir,
        serve: &ServeArgs,
        node_name: &str,
        loops: &LoopArgs,
    ) -> anyhow::Result<Self> {
        let mut limits = Limits::default();
        if let Some(bytes) = serve.registry_limit {
            limits.registry_bytes = bytes;
        }
        let registry = Registry::with_limits(data.registry(), limits).context("the registry")?;
        let mut config = ServerConfig::new(data.root(), SocketAddr::new(serve.bind, serve.port));
        config.node_name = node_name.to_string();
        config.extra = Some(registry.router());
        // What runs in one process is told at one place.
        let workqueues = WorkqueueMetrics::register(&config.metrics)?;
        let scheduling = SchedulerMetrics::register(&config.metrics)?;
        let server = Server::start(config).await.map_err(explain)?;
        let server = Arc::new(server);

        let mut tasks = Tasks::new();
        let serving = Arc::clone(&server);
        let shutdown = tasks.shutdown();
        tasks.spawn("the API server", async move {
            Ok(serving.serve(shutdown).await?)
        });
        if loops.scheduler {
            let scheduler = Scheduler::new(
                client::in_process(&server, UserInfo::scheduler(), client::agent::SCHEDULER),
                SchedulerConfig {
                    metrics: scheduling,
                    ..SchedulerConfig::default()
                },
            );
            let shutdown = tasks.shutdown();
            tasks.spawn("the scheduler", async move {
                scheduler.run(shutdown).await;
                Ok(())
            });
        }
        let controllers = Controllers::new(
            client::in_process(
                &server,
                UserInfo::controller_manager(),
                client::agent::CONTROLLERS,
            ),
            ControllersConfig {
                root_ca_pem: server.ca_pem().to_string(),
                metrics: workqueues,
                enabled: loops.controllers.clone(),
            },
        );
        let shutdown = tasks.shutdown();
        tasks.spawn("the controllers", async move {
            controllers.run(shutdown).await;
            Ok(())
        });
        Ok(Self {
            data,
            server,
            registry,
            tasks,
        })
    }

    /// Starts the control plane and a node beside it.
    pub(crate) async fn start_with_node(
        data: DataDir,
        serve: &ServeArgs,
        args: &NodeArgs,
    ) -> anyhow::Result<Self> {
        let name = node::name(args)?;
        let mut cluster = Self::start(data, serve, &name, &LoopArgs::default()).await?;
        let config = NodeConfig {
            dir: cluster.data.node(),
            name: name.clone(),
            ip: node::LOOPBACK,
            args: args.clone(),
            registry: cluster.registry.clone(),
            registry_hosts: registry_hosts(cluster.addr()),
            tls: node::tls_from_authority(cluster.server.pki(), &name)?,
        };
        let client =
            client::in_process(&cluster.server, UserInfo::node(&name), client::agent::NODE);
        if let Err(error) = node::start(&mut cluster.tasks, client, config).await {
            // The reason for not starting matters more than how the rest ended.
            let _ = cluster.stop().await;
            return Err(error.context("the node"));
        }
        if let Err(error) = storage::default_class(&cluster.admin_client()).await {
            let _ = cluster.stop().await;
            return Err(error.context("the default storage class"));
        }
        Ok(cluster)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    pub(crate) fn data(&self) -> &DataDir {
        &self.data
    }

    pub(crate) fn agent_kubeconfig(&self) -> PathBuf {
        self.data.root().join("agent.kubeconfig")
    }

    /// A client that may do everything.
    pub(crate) fn admin_client(&self) -> kube::Client {
        client::in_process(&self.server, UserInfo::admin(), client::agent::COMMAND)
    }

    /// Resolves when a part of the cluster ended of itself.
    pub(crate) async fn failure(&mut self) -> anyhow::Error {
        self.tasks.failure().await
    }

    /// Stops every part, then flushes and closes the store.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let stopped = self.tasks.stop().await;
        self.server.close().await;
        stopped
    }
}

/// How images may name the registry of a server in this process: by where it listens, and by loopback if it listens there.
fn registry_hosts(addr: SocketAddr) -> Vec<String> {
    let port = addr.port();
    let mut hosts = vec![addr.to_string()];
    let ip = addr.ip();
    if ip.is_loopback() || ip.is_unspecified() {
        hosts.extend(["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{port}")));
    }
    hosts
}

/// A taken port is the one thing another flag mends.
fn explain(error: StartError) -> anyhow::Error {
    let taken = matches!(error, StartError::Listen { .. });
    let error = anyhow::Error::new(error);
    if taken {
        error.context("choose another port with --port N (0 picks one)")
    } else {
        error
    }
}
