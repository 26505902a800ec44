//! What the runtime keeps of namespaces beyond the life of their pods, removed when they are gone.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::content::{Objects, Standing};
use crate::limits::NAMESPACE_DATA_PERIOD;

/// Data that belongs to namespaces. CRI has no calls for it.
#[async_trait]
pub trait NamespaceData: Send + Sync {
    /// Names and uids of the namespaces it holds something of. The uid is empty where nobody knew it.
    async fn namespaces(&self) -> Result<Vec<(String, String)>, NamespaceDataError>;

    /// Removes what it holds of a namespace, for good.
    async fn remove(&self, name: &str, uid: &str) -> Result<(), NamespaceDataError>;
}

/// Why data of namespaces cannot be listed or removed.
pub type NamespaceDataError = Box<dyn std::error::Error + Send + Sync>;

/// Looks now and then, first at once.
pub(crate) async fn run(
    data: Arc<dyn NamespaceData>,
    objects: Objects,
    shutdown: CancellationToken,
) {
    let looking = async {
        loop {
            if let Err(error) = remove_gone(data.as_ref(), &objects).await {
                tracing::warn!(error = %crate::agent::with_causes(error.as_ref()), "data of namespaces not looked at");
            }
            tokio::time::sleep(NAMESPACE_DATA_PERIOD).await;
        }
    };
    shutdown.run_until_cancelled(looking).await;
}

/// Removes what is left of namespaces that the API server says are gone. Where it says nothing, nothing happens.
async fn remove_gone(
    data: &dyn NamespaceData,
    objects: &Objects,
) -> Result<(), NamespaceDataError> {
    for (name, uid) in data.namespaces().await? {
        match objects.standing(&name, &uid).await {
            Ok(Standing::Lives) => {}
            Ok(Standing::Gone) => {
                tracing::info!(
                    namespace = name,
                    uid,
                    "removing data of a namespace that is gone"
                );
                data.remove(&name, &uid).await?;
            }
            Err(error) => tracing::debug!(%error, "data of a namespace kept"),
        }
    }
    Ok(())
}
