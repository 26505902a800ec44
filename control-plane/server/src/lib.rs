//! The API server: TLS, the request chain, and every verb on every served kind.
//!
//! A request passes the chain (`chain`), is routed by one parser (`request`), and ends in a verb (`read`, `watch`,
//! `write`) that works on objects resting as JSON bytes (`object`). Kinds differ only in their row in
//! `sampan_api::resource` and, where behaviour really differs, in a hook in `strategy`.
//! It runs no controller, schedules nothing and knows no container.

mod api;
mod authn;
mod authz;
mod bootstrap;
mod chain;
mod components;
mod config;
mod content;
mod customs;
mod definitions;
mod discovery;
mod kubelet;
mod metrics;
mod object;
mod part;
mod pki;
mod read;
mod request;
mod respond;
mod reviews;
mod serve;
mod server;
mod strategy;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;
mod user;
mod watch;
mod websocket;
mod write;

pub use authn::TokenFileError;
pub use chain::Limits;
pub use config::{DATABASE, PKI_FOLDER, ServerConfig};
pub use pki::{CertificateKind, CertificateRequest, Issued, Pki, PkiError};
pub use server::{ApiService, ServeError, Server, StartError};
pub use user::UserInfo;
