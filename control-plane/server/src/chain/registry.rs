//! Clients of OCI registries below `/v2`: they know user names and passwords, want to be asked for them, and read errors
//! in a form of their own.

use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use sampan_api::status::Status;
use serde_json::json;

use crate::api::{Api, Result};
use crate::authz::{Attributes, What, decide};
use crate::request::Query;
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

/// Whoever mounts a blob of another repository reads it, and must be allowed to. For others the request becomes that of
/// an ordinary upload, as the specification has it for a registry that does not mount.
///
/// The source goes on in the form that was looked at here, so that nobody understands it differently.
pub(super) async fn limit_mount(
    api: &Api,
    user: &UserInfo,
    query: &Query,
    parts: &mut Parts,
) -> Result<()> {
    let (Some(digest), Some(from)) = (query.get("mount"), query.get("from")) else {
        return Ok(());
    };
    if parts.method != Method::POST {
        return Ok(());
    }
    let plain = |text: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b":/._-".contains(&byte);
        text.bytes().all(known)
    };
    let source = format!("/v2/{from}/blobs/{digest}");
    let asked = Attributes {
        verb: "get",
        what: What::Path(&source),
    };
    let allowed =
        plain(&source) && !from.contains("..") && decide(api, user, &asked).await?.allowed;
    let given = parts.uri.query().unwrap_or_default().split('&');
    let mut kept: Vec<&str> = given
        .filter(|pair| !matches!(pair.split('=').next(), Some("mount" | "from")))
        .collect();
    let mount = format!("mount={digest}&from={from}");
    if allowed {
        kept.push(&mount);
    }
    let path = format!("{}?{}", parts.uri.path(), kept.join("&"));
    let mut uri = parts.uri.clone().into_parts();
    let invalid = || Status::bad_request("the query string cannot be decoded");
    uri.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| invalid())?);
    parts.uri = Uri::from_parts(uri).map_err(|_| invalid())?;
    Ok(())
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
