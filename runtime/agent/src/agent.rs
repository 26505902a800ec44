//! The agent as a whole: what it is made of and how its loops live and end together.

use std::sync::Arc;

use sampan_proto::{ImageService, RuntimeService};
use tokio_util::sync::CancellationToken;

use crate::config::AgentConfig;

/// Why the agent could not start. Once it runs it does not give up.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("cannot make the folder {path}")]
    Folder {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the kubelet API cannot listen on {address}")]
    Listen {
        address: std::net::SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("the kubelet API's certificates cannot be used: {reason}")]
    Certificates { reason: String },
    #[error("the container runtime does not answer")]
    Runtime(#[source] sampan_proto::CriError),
}

/// One node's agent.
pub struct Agent {
    client: kube::Client,
    runtime: Arc<dyn RuntimeService>,
    images: Arc<dyn ImageService>,
    config: AgentConfig,
}

impl Agent {
    pub fn new(
        client: kube::Client,
        runtime: Arc<dyn RuntimeService>,
        images: Arc<dyn ImageService>,
        config: AgentConfig,
    ) -> Agent {
        Agent {
            client,
            runtime,
            images,
            config,
        }
    }

    /// Runs until `shutdown`. Containers are left as they are: they belong to the runtime.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), AgentError> {
        let _ = (&self.client, &self.runtime, &self.images, &self.config);
        shutdown.cancelled().await;
        Ok(())
    }
}
