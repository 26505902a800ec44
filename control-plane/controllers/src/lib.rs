//! The controllers: loops that bring the cluster's state to what its objects say.
//!
//! One generic driver (queue, back-off, panic containment) and one small file per controller. A reconciler takes a key, reads the
//! state again, is idempotent, and says when to look again. The crate reaches the server only through a `kube::Client`.

mod delays;
mod driver;
mod ephemeral;
mod event_expiry;
mod garbage;
mod kinds;
mod metrics;
mod namespace;
mod node_lease;
mod pod_gc;
mod role_aggregation;
mod root_ca;
mod selection;
mod service_account;
mod source;
mod tell;
#[cfg(test)]
mod testing;
mod volumes;

pub use metrics::WorkqueueMetrics;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use selection::{Selection, UnknownController};

/// What the controllers are told.
#[derive(Debug, Clone)]
pub struct ControllersConfig {
    /// The cluster's CA certificate, published to every namespace as ConfigMap `kube-root-ca.crt`.
    pub root_ca_pem: String,
    /// Where the queues count.
    pub metrics: WorkqueueMetrics,
    /// Which of them run. Events expire whatever it says: with upstream that is the server's work.
    pub enabled: Selection,
}

/// All controllers of the process.
pub struct Controllers {
    client: kube::Client,
    config: ControllersConfig,
}

impl Controllers {
    /// Controllers that speak through `client`.
    pub fn new(client: kube::Client, config: ControllersConfig) -> Self {
        Self { client, config }
    }

    /// Runs until `shutdown`; errors of the server are waited out.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { client, config } = self;
        let enabled = config.enabled;
        let mut set = JoinSet::new();
        let metrics = config.metrics;
        set.spawn(event_expiry::run(client.clone(), shutdown.clone()));
        if enabled.has(selection::NAMESPACE) {
            let (client, metrics) = (client.clone(), metrics.clone());
            set.spawn(namespace::run(client, metrics, shutdown.clone()));
        }
        if enabled.has(selection::SERVICE_ACCOUNT) {
            let (client, metrics) = (client.clone(), metrics.clone());
            set.spawn(service_account::run(client, metrics, shutdown.clone()));
        }
        if enabled.has(selection::ROOT_CA) {
            let (client, metrics) = (client.clone(), metrics.clone());
            let pem = config.root_ca_pem;
            set.spawn(root_ca::run(client, pem, metrics, shutdown.clone()));
        }
        if enabled.has(selection::ROLE_AGGREGATION) {
            let (client, metrics) = (client.clone(), metrics.clone());
            set.spawn(role_aggregation::run(client, metrics, shutdown.clone()));
        }
        if enabled.has(selection::POD_GC) {
            set.spawn(pod_gc::run(client.clone(), shutdown.clone()));
        }
        if enabled.has(selection::GARBAGE) {
            let (client, metrics) = (client.clone(), metrics.clone());
            set.spawn(garbage::run(client, metrics, shutdown.clone()));
        }
        if enabled.has(selection::VOLUME_BINDER) {
            let (client, metrics) = (client.clone(), metrics.clone());
            set.spawn(volumes::run(client, metrics, shutdown.clone()));
        }
        if enabled.has(selection::EPHEMERAL_VOLUME) {
            let (client, metrics) = (client.clone(), metrics.clone());
            set.spawn(ephemeral::run(client, metrics, shutdown.clone()));
        }
        if enabled.has(selection::NODE_LIFECYCLE) {
            set.spawn(node_lease::run(client, shutdown.clone()));
        }
        while let Some(ended) = set.join_next().await {
            if let (Err(error), false) = (&ended, shutdown.is_cancelled()) {
                tracing::error!(%error, "a controller died");
            }
        }
    }
}
