//! What every handler shares, and one request on its way through.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use parking_lot::Mutex;
use sampan_api::status::Status;
use sampan_store::Store;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authn::Tokens;
use crate::authz::{Policy, Relations};
use crate::bootstrap::Facts;
use crate::chain::{InFlight, Limits};
use crate::customs::Customs;
use crate::kubelet::Kubelets;
use crate::metrics::Metrics;
use crate::object::{Obj, Recent};
use crate::request::Query;
use crate::strategy::{Addresses, Charges};
use crate::tokens::SigningKey;
use crate::user::UserInfo;
use crate::write::Lines;

/// What may be refused.
pub(crate) type Result<T> = std::result::Result<T, Status>;

/// The server's state.
pub(crate) struct Api {
    pub(crate) store: Arc<dyn Store<Obj>>,
    pub(crate) tokens: Tokens,
    pub(crate) signing_key: SigningKey,
    pub(crate) policy: Policy,
    pub(crate) relations: Relations,
    pub(crate) extra: Option<axum::Router>,
    pub(crate) limits: Limits,
    pub(crate) in_flight: InFlight,
    /// What watchers were sent last.
    pub(crate) recent: Recent,
    pub(crate) addresses: Addresses,
    pub(crate) charges: Charges,
    pub(crate) lines: Lines,
    pub(crate) kubelets: Kubelets,
    pub(crate) customs: Customs,
    pub(crate) facts: Facts,
    pub(crate) metrics: Metrics,
    /// Ends watches and log streams.
    pub(crate) shutdown: CancellationToken,
    /// The threads of the whole program.
    pub(crate) runtime: Handle,
    /// Connections that became WebSockets.
    pub(crate) upgraded: TaskTracker,
    /// Where other machines reach this server.
    pub(crate) advertised: SocketAddr,
}

/// One authenticated, authorized request.
pub(crate) struct Call {
    pub(crate) api: Arc<Api>,
    pub(crate) query: Query,
    pub(crate) verb: &'static str,
    pub(crate) user: Arc<UserInfo>,
    pub(crate) parts: Parts,
    /// In a mutex only so that a `Call` can be shared while its handler waits: a body is not `Sync`.
    body: Mutex<Body>,
}

impl Call {
    pub(crate) fn new(
        api: Arc<Api>,
        query: Query,
        verb: &'static str,
        user: Arc<UserInfo>,
        parts: Parts,
        body: Body,
    ) -> Call {
        Call {
            api,
            query,
            verb,
            user,
            parts,
            body: Mutex::new(body),
        }
    }

    /// The body as it is from now on.
    pub(crate) fn give_body(&mut self, body: Body) {
        *self.body.get_mut() = body;
    }

    /// The request's body; empty after the first time.
    pub(crate) fn take_body(&mut self) -> Body {
        std::mem::take(self.body.get_mut())
    }
}

/// What a handler ends in.
pub(crate) type Answer = Result<Response>;

/// On an answer that goes on for as long as somebody reads it: a watch, or a log.
#[derive(Clone, Copy)]
pub(crate) struct LongRunning;
