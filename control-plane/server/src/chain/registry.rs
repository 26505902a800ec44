//! Clients of OCI registries below `/v2`: they know user names and passwords, want to be asked for them, and read errors
//! in a form of their own.

use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use sampan_api::status::Status;
use serde_json::json;

use crate::user::UserInfo;

/// Takes a password for a bearer token, whatever the user is called: `skopeo login -u token -p $(kubectl create token ci)`.
pub(super) fn password_is_token(headers: &mut HeaderMap) {
    let token = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (_, password) = decoded.split_once(':')?;
        HeaderValue::from_str(&format!("Bearer {password}")).ok()
    });
    if let Some(mut token) = token {
        token.set_sensitive(true);
        headers.insert(AUTHORIZATION, token);
    }
}

/// Asks for credentials, which these clients do not send before.
pub(super) fn challenge() -> Response {
    let mut response = errors(
        StatusCode::UNAUTHORIZED,
        "UNAUTHORIZED",
        "authentication required",
    );
    let ask = HeaderValue::from_static("Basic realm=\"sampan\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, ask);
    response
}

/// The user may not do this; nobody in particular may come back as somebody.
pub(super) fn refuse(status: &Status, user: &UserInfo) -> Response {
    if user.name == UserInfo::anonymous().name {
        return challenge();
    }
    errors(StatusCode::FORBIDDEN, "DENIED", &status.message)
}

fn errors(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({"errors": [{"code": code, "message": message, "detail": null}]});
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
