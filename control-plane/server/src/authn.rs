//! Authentication: client certificate, then bearer token (in a header, or among a WebSocket's protocols), then anonymous;
//! and impersonation.

mod impersonate;
mod static_tokens;
mod websocket;

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use sampan_api::status::Status;

pub(crate) use impersonate::impersonate;
pub use static_tokens::TokenFileError;
pub(crate) use static_tokens::Tokens;
pub(crate) use websocket::{is_websocket, protocols};

use crate::api::{Api, Result};
use crate::tls::Peer;
use crate::tokens::{self, ISSUER};
use crate::user::UserInfo;

/// Whom a bearer token stands for, and for whom it was made.
pub(crate) struct Bearer {
    pub(crate) user: Arc<UserInfo>,
    /// Those of the audiences asked about that the token is meant for.
    pub(crate) audiences: Vec<String>,
}

/// Who asks. A refused credential is an error even though nobody at all would be `system:anonymous`.
pub(crate) async fn authenticate(
    api: &Api,
    peer: &Peer,
    headers: &HeaderMap,
) -> Result<Arc<UserInfo>> {
    // A certificate that does not count leaves the word to a token.
    let refused = match peer {
        Peer::User(user, until) if Timestamp::now().as_second() <= *until => {
            return Ok(user.clone());
        }
        Peer::User(..) => Some("it is over"),
        Peer::Refused(reason) => Some(&**reason),
        Peer::Nobody => None,
    };
    if let Some(token) = bearer(headers) {
        return holder(api, token).await;
    }
    if let Some(token) = websocket::token(headers) {
        return match token {
            Ok(token) => holder(api, &token).await,
            Err(reason) => {
                tracing::debug!(%reason, "protocols of a WebSocket refused");
                Err(Status::unauthorized())
            }
        };
    }
    match refused {
        Some(reason) => {
            tracing::debug!(%reason, "client certificate refused");
            Err(Status::unauthorized())
        }
        None => Ok(Arc::new(UserInfo::anonymous())),
    }
}

async fn holder(api: &Api, token: &str) -> Result<Arc<UserInfo>> {
    match bearer_user(api, token, &[ISSUER]).await {
        Ok(bearer) => Ok(bearer.user),
        Err(reason) => {
            tracing::debug!(%reason, "bearer token refused");
            Err(Status::unauthorized())
        }
    }
}

/// Whom a token stands for when it is shown to one of `audiences`, or why for nobody.
pub(crate) async fn bearer_user(
    api: &Api,
    token: &str,
    audiences: &[&str],
) -> std::result::Result<Bearer, String> {
    if let Some(user) = api.tokens.find(token) {
        // These know no audience: they are the API server's own.
        return for_audience(user, &[ISSUER.to_owned()], audiences);
    }
    let Some(claims) = tokens::read(&api.signing_key, token, Timestamp::now()) else {
        return Err("invalid bearer token".to_owned());
    };
    let claims = claims?;
    let user = tokens::holder(api, &claims).await?;
    for_audience(user, &claims.audiences, audiences)
}

fn for_audience(
    user: Arc<UserInfo>,
    made_for: &[String],
    shown_to: &[&str],
) -> std::result::Result<Bearer, String> {
    let audiences: Vec<String> = made_for
        .iter()
        .filter(|audience| shown_to.contains(&audience.as_str()))
        .cloned()
        .collect();
    if audiences.is_empty() {
        return Err(format!(
            "token audiences {made_for:?} is invalid for the target audiences {shown_to:?}"
        ));
    }
    Ok(Bearer { user, audiences })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
