//! Joins the agent, who knows which namespaces are gone, with the runtime's buckets of them.

use std::sync::Arc;

use async_trait::async_trait;
use sampan_agent::{NamespaceData, NamespaceDataError};
use sampan_shim::Shim;

/// What this node's runtime keeps for namespaces.
pub(crate) struct Buckets(pub(crate) Arc<Shim>);

#[async_trait]
impl NamespaceData for Buckets {
    async fn namespaces(&self) -> Result<Vec<(String, String)>, NamespaceDataError> {
        Ok(self.0.bucket_namespaces().await?)
    }

    async fn remove(&self, name: &str, uid: &str) -> Result<(), NamespaceDataError> {
        Ok(self.0.remove_buckets(name, uid).await?)
    }
}
