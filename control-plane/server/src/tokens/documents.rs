//! What lets others check our tokens: OpenID Connect discovery, as much of it as that takes.

use axum::response::Response;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::ISSUER;
use crate::api::Call;
use crate::respond;

/// `/.well-known/openid-configuration`
pub(crate) fn configuration(call: &Call) -> Response {
    let document = json!({
        "issuer": ISSUER,
        "jwks_uri": format!("https://{}/openid/v1/jwks", call.api.advertised),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [call.api.signing_key.algorithm()],
    });
    answer("application/json", &document)
}

/// `/openid/v1/jwks`
pub(crate) fn key_set(call: &Call) -> Response {
    let keys = json!({"keys": [call.api.signing_key.public()]});
    answer("application/jwk-set+json", &keys)
}

fn answer(content_type: &'static str, document: &Value) -> Response {
    let content_type = HeaderValue::from_static(content_type);
    let mut response = respond::bytes(StatusCode::OK, content_type, document.to_string());
    // A new key is used at the next start at the earliest.
    let cache = HeaderValue::from_static("public, max-age=3600");
    response.headers_mut().insert(CACHE_CONTROL, cache);
    response
}
