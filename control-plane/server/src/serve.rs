//! The accept loop: a limit on connections, and a graceful end.

mod connection;
mod threads;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::api::Api;
use crate::tls::Trust;
use connection::Connection;
pub(crate) use threads::{Places, Threads};

/// Connections served at once; more wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 16_384;
/// After the shutdown signal, running requests get this long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// When the process has no more file descriptors, accepting pauses.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Acceptor {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Arc<rustls::ServerConfig>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) api: Arc<Api>,
}

impl Acceptor {
    /// Accepts until `shutdown`, then waits for what is running.
    pub(crate) async fn run(self, places: &Places, shutdown: CancellationToken) -> io::Result<()> {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let slot = tokio::select! {
                () = shutdown.cancelled() => break,
                slot = slots.clone().acquire_owned() => slot,
            };
            let Ok(slot) = slot else { break };
            let stream = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        warn!(%error, "accepting a connection failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let connection = Connection {
                tls: Arc::clone(&self.tls),
                trust: Arc::clone(&self.trust),
                api: Arc::clone(&self.api),
                // Of its own: all of them looking at one would get in each other's way.
                shutdown: shutdown.child_token(),
                _slot: slot,
            };
            places.share(connection.begin(stream, places.clone()));
        }
        drop(self.listener);
        if tokio::time::timeout(DRAIN_TIMEOUT, places.empty())
            .await
            .is_err()
        {
            let open = places.connections();
            warn!(open, "connections were cut off at shutdown");
        }
        Ok(())
    }
}
