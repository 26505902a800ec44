//! The services of a process: started together, stopped together, none lost.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long services get to finish after they were asked to stop: more than the API server gives its clients.
const GRACE: Duration = Duration::from_secs(20);

/// Named services under one token. A service that ends before it was asked to takes the others with it.
#[derive(Debug)]
pub(crate) struct Tasks {
    set: JoinSet<anyhow::Result<()>>,
    names: Vec<(Id, &'static str)>,
    shutdown: CancellationToken,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self {
            set: JoinSet::new(),
            names: Vec::new(),
            shutdown: CancellationToken::new(),
        }
    }

    /// The token services watch.
    pub(crate) fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    pub(crate) fn spawn<F>(&mut self, name: &'static str, service: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let handle = self.set.spawn(service);
        self.names.push((handle.id(), name));
    }

    /// Resolves when a service ended of itself, which is always an error.
    pub(crate) async fn failure(&mut self) -> anyhow::Error {
        let Some(ended) = self.set.join_next_with_id().await else {
            return std::future::pending().await;
        };
        match ended {
            Ok((id, Ok(()))) => anyhow!("{} ended without being asked to", self.name(id)),
            Ok((id, Err(error))) => error.context(format!("{} failed", self.name(id))),
            Err(error) => {
                let name = self.name(error.id());
                anyhow::Error::new(error).context(format!("{name} failed"))
            }
        }
    }

    /// Asks every service to stop and waits for them, within the grace period.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        let mut first_error = Ok(());
        let drain = async {
            while let Some(ended) = self.set.join_next_with_id().await {
                let result = match ended {
                    Ok((id, result)) => result.with_context(|| name_of(&self.names, id)),
                    Err(error) => Err(error.into()),
                };
                if first_error.is_ok() {
                    first_error = result;
                }
            }
        };
        if tokio::time::timeout(GRACE, drain).await.is_err() {
            tracing::warn!("services did not stop within {} s", GRACE.as_secs());
        }
        first_error
    }

    fn name(&self, id: Id) -> &'static str {
        name_of(&self.names, id)
    }
}

fn name_of(names: &[(Id, &'static str)], id: Id) -> &'static str {
    names
        .iter()
        .find(|(known, _)| *known == id)
        .map_or("a service", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_that_ends_is_named() {
        let mut tasks = Tasks::new();
        tasks.spawn("the steady one", std::future::pending());
        tasks.spawn("the weak one", async { anyhow::bail!("no strength left") });
        let error = format!("{:#}", tasks.failure().await);
        assert_eq!(error, "the weak one failed: no strength left");
    }

    #[tokio::test]
    async fn stop_waits_for_all() {
        let mut tasks = Tasks::new();
        let token = tasks.shutdown();
        tasks.spawn("one", async move {
            token.cancelled().await;
            Ok(())
        });
        tasks.stop().await.expect("a clean stop");
    }
}
