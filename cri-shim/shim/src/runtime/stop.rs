//! Stopping and removing containers. Both succeed when there is nothing left to do.

use std::time::Duration;

use sampan_proto::{Code, CriError};

use crate::container::Container;
use crate::limits::KILL_WAIT;
use crate::shim::Shim;

/// The longest time a stop waits before it kills: what the largest 32-bit count of seconds allows.
const MAX_GRACE_SECONDS: u64 = u32::MAX as u64;

impl Shim {
    /// Asks the guest to end, and kills it after `timeout` seconds; at once for zero or less. A
    /// container that does not run is stopped already.
    pub(super) async fn stop(&self, id: &str, timeout: i64) -> Result<(), CriError> {
        let Some(container) = self.pods.container(id) else {
            return Ok(());
        };
        let grace = u64::try_from(timeout).unwrap_or(0).min(MAX_GRACE_SECONDS);
        if grace > 0 {
            if let Some(guest) = container.settled().await.guest() {
                guest.terminate();
            } else {
                return Ok(());
            }
            if tokio::time::timeout(Duration::from_secs(grace), container.exited())
                .await
                .is_ok()
            {
                return Ok(());
            }
        }
        self.kill(&container).await
    }

    /// Ends a container without asking, and waits until it has ended.
    pub(super) async fn kill(&self, container: &Container) -> Result<(), CriError> {
        let phase = container.settled().await;
        let Some(guest) = phase.guest() else {
            return Ok(());
        };
        guest.kill();
        tokio::time::timeout(KILL_WAIT, container.exited())
            .await
            .map_err(|_| {
                let message = format!(
                    "container {} still runs {} s after it was killed",
                    container.id,
                    KILL_WAIT.as_secs()
                );
                CriError::new(Code::DeadlineExceeded, message)
            })
    }

    /// Its log stays: that is the agent's.
    pub(super) async fn remove(&self, id: &str) -> Result<(), CriError> {
        let Some(container) = self.pods.container(id) else {
            return Ok(());
        };
        self.kill(&container).await?;
        self.pods.remove_container(&container);
        Ok(())
    }
}
