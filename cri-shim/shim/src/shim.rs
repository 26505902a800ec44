//! The shim itself: the parts it joins, and its end.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sampan_engine::Engine;
use sampan_image::ImageStore;
use sampan_net::PodNetwork;
use sampan_proto::CriError;
use tokio_util::task::TaskTracker;

use crate::config::ShimConfig;
use crate::host::Buckets;
use crate::limits::KILL_WAIT;
use crate::loading::Loading;
use crate::pods::Pods;

/// A container runtime behind the CRI v1 contract. Made once per process.
///
/// Its calls must be made on a tokio runtime: each running container has a task there that waits
/// for its end.
pub struct Shim {
    pub(crate) engine: Engine,
    pub(crate) images: Arc<ImageStore>,
    pub(crate) network: Arc<PodNetwork>,
    pub(crate) buckets: Buckets,
    pub(crate) config: ShimConfig,
    pub(crate) pods: Arc<Pods>,
    pub(crate) loading: Loading,
    /// One task per container from its start to its end.
    pub(crate) tasks: TaskTracker,
    /// What the agent told with UpdateRuntimeConfig. Kept and shown; addresses come from `network`.
    pub(crate) pod_cidr: Mutex<String>,
}

impl Shim {
    pub fn new(
        engine: Engine,
        images: Arc<ImageStore>,
        network: Arc<PodNetwork>,
        config: ShimConfig,
    ) -> Shim {
        Shim {
            engine,
            images,
            network,
            buckets: Buckets::new(config.keyvalue_file.clone()),
            config,
            pods: Arc::default(),
            loading: Loading::default(),
            tasks: TaskTracker::new(),
            pod_cidr: Mutex::default(),
        }
    }

    /// Names and uids of the namespaces that have buckets of `wasi:keyvalue` here. CRI has no call for it: whoever knows
    /// namespaces asks, and says which of them are gone.
    pub async fn bucket_namespaces(&self) -> Result<Vec<(String, String)>, CriError> {
        self.buckets.namespaces().await
    }

    /// Removes the buckets of a namespace that is gone, for good.
    pub async fn remove_buckets(&self, namespace: &str, uid: &str) -> Result<(), CriError> {
        self.buckets.remove(namespace, uid).await
    }

    /// Ends every container: asks first, kills after `grace`, returns when all have ended or could
    /// not be killed in time. No container can be started from then on.
    pub async fn shutdown(&self, grace: Duration) {
        for sandbox in self.pods.sandboxes() {
            self.pods.stop_sandbox(&sandbox.id);
        }
        let containers = self.pods.containers();
        for container in &containers {
            if let Some(guest) = container.settled().await.guest() {
                guest.terminate();
            }
        }
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_ok() {
            return;
        }
        for container in &containers {
            if let Some(guest) = container.phase().guest() {
                guest.kill();
            }
        }
        if tokio::time::timeout(KILL_WAIT, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                left = self.tasks.len(),
                "containers still run after they were killed"
            );
        }
    }
}

impl std::fmt::Debug for Shim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shim")
            .field("config", &self.config)
            .field("running", &self.tasks.len())
            .finish_non_exhaustive()
    }
}
