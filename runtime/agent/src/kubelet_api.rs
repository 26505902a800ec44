//! The kubelet API: what the API server (and nobody else) asks a node directly, over HTTPS.
//!
//! Served: `/containerLogs/NAMESPACE/POD/CONTAINER`, `/pods`, `/stats/summary`, `/metrics/resource`,
//! `/healthz`. Exec, attach and port-forward are not here yet.

mod connection;
mod logs;
mod stats;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use k8s_openapi::List;
use k8s_openapi::api::core::v1::Pod;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::ServingIdentity;
use crate::limits::{API_CONNECTIONS, LOG_FILES_AHEAD, LOG_STREAMS};
use crate::logs::FolderWatch;
use crate::worker::Shared;
pub(crate) use tls::TlsError;
use tls::{Caller, Tls};

/// A bound socket with its certificates, not serving yet.
pub(crate) struct KubeletApi {
    listener: TcpListener,
    tls: Tls,
}

#[derive(Clone)]
struct Api {
    shared: Arc<Shared>,
    watch: Option<Arc<FolderWatch>>,
    streams: Arc<Semaphore>,
    /// Places for files that log streams have open before they read them.
    files_ahead: Arc<Semaphore>,
    allowed: Arc<ServingIdentity>,
}

impl KubeletApi {
    pub(crate) async fn bind(
        listen: SocketAddr,
        identity: &ServingIdentity,
    ) -> Result<KubeletApi, BindError> {
        let tls = Tls::new(identity)?;
        let listener = TcpListener::bind(listen).await?;
        Ok(KubeletApi { listener, tls })
    }

    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until shutdown; connections end with it.
    pub(crate) async fn run(
        self,
        shared: Arc<Shared>,
        identity: ServingIdentity,
        watch: Option<Arc<FolderWatch>>,
        shutdown: CancellationToken,
    ) {
        let api = Api {
            shared,
            watch,
            streams: Arc::new(Semaphore::new(LOG_STREAMS)),
            files_ahead: Arc::new(Semaphore::new(LOG_FILES_AHEAD)),
            allowed: Arc::new(identity),
        };
        let router = router(api.clone());
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept(), if connections.len() < API_CONNECTIONS => accepted,
                Some(_) = connections.join_next() => continue,
                () = shutdown.cancelled() => return,
            };
            match accepted {
                Ok((socket, _)) => {
                    let (tls, api, router) = (self.tls.clone(), api.clone(), router.clone());
                    connections.spawn(connection::serve(socket, tls, api, router));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: give others time to end.
                    tracing::warn!(%error, "kubelet API: connection not accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// Why the kubelet API cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Listen(#[from] std::io::Error),
}

fn router(api: Api) -> Router {
    Router::new()
        .route(
            "/containerLogs/{namespace}/{pod}/{container}",
            get(logs::container_logs),
        )
        .route("/pods", get(pods))
        .route("/stats/summary", get(stats::summary))
        .route("/metrics/resource", get(stats::resource_metrics))
        .route("/healthz", get(|| async { "ok" }))
        .layer(middleware::from_fn_with_state(api.clone(), authorize))
        .with_state(api)
}

/// Only the API server gets through: 401 without a certificate of the cluster's CA, 403 for one
/// of somebody else.
async fn authorize(State(api): State<Api>, request: Request, next: Next) -> Response {
    let caller = request
        .extensions()
        .get::<Caller>()
        .cloned()
        .unwrap_or(Caller::Anonymous);
    if api.allows(&caller) {
        return next.run(request).await;
    }
    match caller {
        Caller::Anonymous => (StatusCode::UNAUTHORIZED, "Unauthorized").into_response(),
        Caller::Known { user, .. } => {
            let text = format!("Forbidden (user={user})");
            (StatusCode::FORBIDDEN, text).into_response()
        }
    }
}

impl Api {
    /// Whether this caller gets answers.
    fn allows(&self, caller: &Caller) -> bool {
        let Caller::Known { user, groups } = caller else {
            return false;
        };
        let of_groups = &self.allowed.allowed_groups;
        self.allowed.allowed_users.contains(user)
            || groups.iter().any(|group| of_groups.contains(group))
    }
}

async fn pods(State(api): State<Api>) -> axum::Json<List<Pod>> {
    axum::Json(List {
        items: api.shared.registry.pods(),
        ..List::default()
    })
}
