//! Pulls from registries that want credentials, are down, or misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use sampan_image::{Auth, ImageStore, PullError, Registry};

use crate::client::push;
use crate::fixtures::*;

/// What the guarded registry wants.
#[derive(Clone, Copy)]
enum Guard {
    Basic,
    /// A token, which anybody gets for `public/...` and `kim` for everything.
    Token,
}

fn basic(username: &str, password: &str) -> Auth {
    Auth::Basic {
        username: username.into(),
        password: password.into(),
    }
}

fn header(request: &Request) -> String {
    let value = request.headers().get(AUTHORIZATION);
    value
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default()
}

fn kim() -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode("kim:secret")
    )
}

async fn check(guard: Guard, request: Request, next: Next) -> Response {
    let sent = header(&request);
    let public = request.uri().path().starts_with("/v2/public/");
    let host = request.headers()["host"].to_str().unwrap().to_owned();
    let (good, challenge) = match guard {
        Guard::Basic => (sent == kim(), "Basic realm=\"test\"".to_owned()),
        Guard::Token => (
            sent == "Bearer full" || (public && sent == "Bearer public"),
            format!("Bearer realm=\"http://{host}/token\",service=\"test\""),
        ),
    };
    if good {
        return next.run(request).await;
    }
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    (
        StatusCode::UNAUTHORIZED,
        [(WWW_AUTHENTICATE, challenge)],
        body,
    )
        .into_response()
}

/// The authorization server.
async fn token(request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let sent = header(&request);
    let form = axum::body::to_bytes(request.into_body(), 10_000)
        .await
        .unwrap();
    let form = String::from_utf8(form.to_vec()).unwrap();
    let answer = if form.contains("grant_type=refresh_token") {
        (form.contains("refresh_token=identity%2F1") && form.contains("service=test"))
            .then_some(r#"{"access_token":"full"}"#)
    } else if sent.is_empty() {
        query
            .contains("scope=repository%3Apublic%2F")
            .then_some(r#"{"token":"public"}"#)
    } else {
        (sent == kim()).then_some(r#"{"token":"full"}"#)
    };
    match answer {
        Some(answer) => ([(CONTENT_TYPE, "application/json")], answer).into_response(),
        None => (StatusCode::UNAUTHORIZED, "no").into_response(),
    }
}

/// A registry with `public/app` and `private/app` behind a guard.
async fn guarded(guard: Guard) -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path()).unwrap();
    let open = serve(registry.router()).await;
    push(&open, "public/app", "v1", &module("public")).await;
    push(&open, "private/app", "v1", &module("private")).await;
    let router = registry
        .router()
        .layer(from_fn(move |request: Request, next: Next| {
            check(guard, request, next)
        }))
        .route("/token", get(token).post(token));
    (dir, serve(router).await)
}

async fn pull(server: &Server, path: &str, auth: Option<Auth>) -> Result<(), PullError> {
    let dir = tempfile::tempdir().unwrap();
    let store = ImageStore::open(impatient(dir.path())).unwrap();
    let pulled = store
        .pull(&format!("{}/{path}:v1", server.address), auth)
        .await;
    pulled.map(drop)
}

async fn denied(server: &Server, path: &str, auth: Option<Auth>, word: &str) {
    let error = pull(server, path, auth).await.unwrap_err();
    assert_eq!(variant(&error), "Unauthorized", "{error}");
    let text = error.to_string();
    assert!(
        text.contains("pull access denied, repository does not exist or may require authorization"),
        "{text}"
    );
    assert!(text.contains(word), "{text}");
    assert!(
        !text.contains("secret") && !text.contains("identity/1"),
        "{text}"
    );
}

#[tokio::test]
async fn passwords() {
    let (_dir, server) = guarded(Guard::Basic).await;
    denied(&server, "private/app", None, "user name and password").await;
    denied(
        &server,
        "private/app",
        Some(basic("kim", "wrong")),
        "authentication required",
    )
    .await;
    denied(
        &server,
        "private/app",
        Some(Auth::IdentityToken("identity/1".into())),
        "user name",
    )
    .await;
    pull(&server, "private/app", Some(basic("kim", "secret")))
        .await
        .unwrap();
}

#[tokio::test]
async fn tokens() {
    let (_dir, server) = guarded(Guard::Token).await;
    pull(&server, "public/app", None).await.unwrap();
    denied(&server, "private/app", None, "login failed").await;
    denied(
        &server,
        "private/app",
        Some(basic("kim", "wrong")),
        "login failed",
    )
    .await;
    pull(&server, "private/app", Some(basic("kim", "secret")))
        .await
        .unwrap();
    pull(
        &server,
        "private/app",
        Some(Auth::IdentityToken("identity/1".into())),
    )
    .await
    .unwrap();
    denied(
        &server,
        "private/app",
        Some(Auth::IdentityToken("secret".into())),
        "login failed",
    )
    .await;
    pull(
        &server,
        "private/app",
        Some(Auth::RegistryToken("full".into())),
    )
    .await
    .unwrap();
    denied(
        &server,
        "private/app",
        Some(Auth::RegistryToken("secret".into())),
        "refused",
    )
    .await;
}

#[test]
fn credentials_are_not_shown() {
    for auth in [
        basic("kim", "secret"),
        Auth::IdentityToken("secret".into()),
        Auth::RegistryToken("secret".into()),
    ] {
        assert!(!format!("{auth:?}").contains("secret"));
    }
}

/// Pulls from a server that answers everything with `answer`; gives the error and the requests made.
async fn against<F>(answer: F) -> (PullError, usize)
where
    F: Fn() -> Response + Clone + Send + Sync + 'static,
{
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    let router = Router::new().fallback(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let answer = answer();
        async move { answer }
    });
    let server = serve(router).await;
    let error = pull(&server, "app", None).await.unwrap_err();
    (error, requests.load(Ordering::SeqCst))
}

#[tokio::test]
async fn failures_are_told_apart_and_only_passing_ones_are_tried_again() {
    for (status, kind, tries) in [
        (StatusCode::NOT_FOUND, "NotFound", 1),
        (StatusCode::FORBIDDEN, "Unauthorized", 1),
        (StatusCode::UNAUTHORIZED, "Unauthorized", 1),
        (StatusCode::BAD_REQUEST, "Invalid", 1),
        (StatusCode::TOO_MANY_REQUESTS, "Unavailable", 3),
        (StatusCode::SERVICE_UNAVAILABLE, "Unavailable", 3),
    ] {
        let (error, requests) = against(move || status.into_response()).await;
        assert_eq!(
            (variant(&error), requests),
            (kind, tries),
            "{status}: {error}"
        );
    }
    let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
    let (error, _) = against(move || (StatusCode::NOT_FOUND, body).into_response()).await;
    assert!(
        error
            .to_string()
            .contains("MANIFEST_UNKNOWN: manifest unknown"),
        "{error}"
    );
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let (error, _) = against(|| {
        let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 65_536]));
        Body::from_stream(endless).into_response()
    })
    .await;
    assert_eq!(variant(&error), "TooLarge", "{error}");
}

#[tokio::test]
async fn an_unreachable_registry_is_unavailable() {
    // A port that was free a moment ago.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let dir = tempfile::tempdir().unwrap();
    let store = ImageStore::open(impatient(dir.path())).unwrap();
    let error = store
        .pull(&format!("{address}/app:v1"), None)
        .await
        .unwrap_err();
    assert_eq!(variant(&error), "Unavailable");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn a_digest_that_the_registry_contradicts_is_invalid() {
    let announced = sampan_image::Digest::of(b"something else").to_string();
    let (error, _) = against(move || {
        let headers = [
            (CONTENT_TYPE.as_str(), OCI_MANIFEST),
            ("docker-content-digest", announced.as_str()),
        ];
        (headers, "{}").into_response()
    })
    .await;
    assert_eq!(variant(&error), "Invalid");
    assert!(error.to_string().contains("digest mismatch"), "{error}");
}
