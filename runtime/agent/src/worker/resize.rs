//! Giving a running container other limits.

use futures::future::BoxFuture;
use jiff::Timestamp;
use sampan_proto::Code;

use super::{Done, Worker};
use crate::cri::resize_request;
use crate::limits::API_RETRY;
use crate::plan::{Backoff, Limits, Outcome};

impl Worker {
    /// Does not give up while the container runs: the specification stays what it is.
    pub(super) fn resize_container(
        &self,
        container: String,
        id: String,
        limits: Limits,
    ) -> BoxFuture<'static, Done> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let mut retry = Backoff::default();
            loop {
                let request = resize_request(&id, limits);
                match shared.runtime.update_container_resources(request).await {
                    Ok(_) => break,
                    // It has ended meanwhile; the next one starts with the new limits.
                    Err(error) if error.is_not_found() => break,
                    Err(error) if error.code == Code::FailedPrecondition => break,
                    Err(error) => {
                        tracing::warn!(container = id, %error, "container not resized; trying again");
                    }
                }
                retry.fail(Timestamp::now(), API_RETRY);
                tokio::time::sleep(retry.delay()).await;
            }
            Done::outcome(Outcome::Resized {
                container,
                id,
                limits,
            })
        })
    }
}
