//! One connection of the kubelet API, and when it is ended.
//!
//! Connections are few, and whoever reaches the port can open one: a caller who may not ask gets one answer and a moment
//! to ask for it; one who may is ended when it has not asked for a while, or when its other end is gone.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Api;
use super::tls::Tls;
use crate::limits::{API_HANDSHAKE, API_IDLE, API_PING};

/// The requests of one connection.
#[derive(Clone, Copy, Default)]
struct Requests {
    /// Those whose answer is not at its end yet.
    open: usize,
    ended: usize,
}

/// A request under way, until its answer is sent or given up.
struct Open(Arc<watch::Sender<Requests>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|requests| {
            requests.open -= 1;
            requests.ended += 1;
        });
    }
}

pub(super) async fn serve(socket: TcpStream, tls: Tls, api: Api, router: Router) {
    let handshake = tokio::time::timeout(API_HANDSHAKE, tls.accept(socket)).await;
    let (stream, caller) = match handshake {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(error)) => {
            tracing::debug!(%error, "kubelet API: handshake failed");
            return;
        }
        Err(_) => return,
    };
    let allowed = api.allows(&caller);
    let requests = Arc::new(watch::Sender::new(Requests::default()));
    let mut changes = requests.subscribe();
    let router = router
        .layer(axum::Extension(caller))
        .layer(middleware::from_fn_with_state(requests, counted));
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .keep_alive(allowed)
        .header_read_timeout(API_HANDSHAKE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(API_PING)
        .keep_alive_timeout(API_HANDSHAKE);
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let done = async {
        if !allowed {
            // One answer, or none in time.
            let answered = changes.wait_for(|requests| requests.ended > 0);
            tokio::time::timeout(API_HANDSHAKE, answered).await.ok();
            return;
        }
        idle(&mut changes, API_IDLE).await;
    };
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(error, "kubelet API: connection ended");
            }
            return;
        }
        () = done => {}
    }
    connection.as_mut().graceful_shutdown();
    // What it still has to say, it says within a moment.
    tokio::time::timeout(API_HANDSHAKE, connection).await.ok();
}

/// Waits until no request has been under way for so long.
async fn idle(changes: &mut watch::Receiver<Requests>, limit: Duration) {
    loop {
        let open = changes.borrow_and_update().open;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                return;
            },
            () = tokio::time::sleep(limit), if open == 0 => return,
        }
    }
}

async fn counted(
    State(requests): State<Arc<watch::Sender<Requests>>>,
    request: Request,
    next: Next,
) -> Response {
    requests.send_modify(|requests| requests.open += 1);
    let held = Open(requests);
    let response = next.run(request).await;
    // Until the body is gone: a followed log is a request under way for as long as it is followed.
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _held = &held;
            frame
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idle_is_without_a_request_for_a_while() {
        let requests = Arc::new(watch::Sender::new(Requests::default()));
        let mut changes = requests.subscribe();
        let limit = Duration::from_secs(90);
        let begun = tokio::time::Instant::now();
        requests.send_modify(|requests| requests.open += 1);
        let open = Open(requests.clone());
        let answered = async {
            tokio::time::sleep(limit * 10).await;
            drop(open);
        };
        tokio::join!(idle(&mut changes, limit), answered);
        assert_eq!(begun.elapsed(), limit * 11);
        idle(&mut changes, limit).await;
        assert_eq!(begun.elapsed(), limit * 12, "one that never asked as well");
    }
}
