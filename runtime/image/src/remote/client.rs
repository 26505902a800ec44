//! The HTTP clients, and reading what comes back within bounds.

use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use reqwest::{Client, Response};

use crate::error::FetchError;
use crate::limits::{CONNECT_TIMEOUT, READ_TIMEOUT, SMALL_BODY_BYTES};

/// HTTP clients, each made when first needed: reading the system's certificates takes time.
pub(crate) struct Clients {
    extra_ca_pem: Option<Vec<u8>>,
    plain: OnceLock<Result<Client, FetchError>>,
    tls: OnceLock<Result<Client, FetchError>>,
}

impl Clients {
    pub(crate) fn new(extra_ca_pem: Option<Vec<u8>>) -> Clients {
        Clients {
            extra_ca_pem,
            plain: OnceLock::new(),
            tls: OnceLock::new(),
        }
    }

    /// The client for a URL: with TLS, or plain and without a proxy (loopback and LAN hosts).
    pub(crate) fn for_url(&self, url: &str) -> Result<Client, FetchError> {
        let secure = url.starts_with("https://");
        let client = if secure { &self.tls } else { &self.plain };
        client.get_or_init(|| self.build(secure)).clone()
    }

    fn build(&self, secure: bool) -> Result<Client, FetchError> {
        // Fails when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let failed = |error: reqwest::Error| {
            FetchError::Unavailable(format!("set up TLS: {}", causes(&error)))
        };
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .user_agent(concat!("sampan/", env!("CARGO_PKG_VERSION")));
        if !secure {
            return builder
                .no_proxy()
                .tls_certs_only([])
                .build()
                .map_err(failed);
        }
        builder = builder.https_only(true);
        if let Some(pem) = &self.extra_ca_pem {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(failed)?;
            builder = builder.tls_certs_merge(certificates);
        }
        builder.build().map_err(failed)
    }
}

/// Reads an answer that is held in memory.
pub(crate) async fn read_bounded(mut response: Response, most: u64) -> Result<Bytes, FetchError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| unreachable(&error))?
    {
        if (body.len() + chunk.len()) as u64 > most {
            return Err(FetchError::TooLarge(format!(
                "the registry's answer has more than {most} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What an error answer says: the messages of an OCI error body, else the status alone.
pub(crate) async fn error_text(status: StatusCode, response: Response) -> String {
    #[derive(serde::Deserialize)]
    struct Body {
        errors: Vec<Entry>,
    }
    #[derive(serde::Deserialize)]
    struct Entry {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let body = read_bounded(response, SMALL_BODY_BYTES)
        .await
        .unwrap_or_default();
    let entries = serde_json::from_slice::<Body>(&body)
        .map(|body| body.errors)
        .unwrap_or_default();
    let texts: Vec<String> = entries
        .iter()
        .take(3)
        .map(|entry| {
            format!("{}: {}", entry.code, entry.message)
                .chars()
                .take(300)
                .collect()
        })
        .collect();
    if texts.is_empty() {
        status.to_string()
    } else {
        format!("{status}: {}", texts.join("; "))
    }
}

/// The request did not get through.
pub(crate) fn unreachable(error: &reqwest::Error) -> FetchError {
    let text = causes(error);
    if text.contains("InvalidContentType") {
        return FetchError::Unavailable(format!(
            "{text} (the registry speaks plain HTTP: name it among the insecure registries)"
        ));
    }
    FetchError::Unavailable(text)
}

/// An error with all its causes: the last one is what the user needs.
pub(crate) fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
