//! Logging in to a registry: anonymously where that is enough, else with the pull's credentials.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Response, Url};
use serde::Deserialize;

use crate::distribution::Auth;
use crate::error::FetchError;
use crate::limits::SMALL_BODY_BYTES;
use crate::remote::challenge::{Challenge, choose};
use crate::remote::client::{Clients, error_text, read_bounded, unreachable};

/// The credentials of one pull and what they were traded for.
pub(crate) struct Session {
    auth: Option<Auth>,
    header: Option<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Session {
    pub(crate) fn new(auth: Option<Auth>) -> Session {
        let header = match &auth {
            Some(Auth::RegistryToken(token)) => Some(format!("Bearer {token}")),
            _ => None,
        };
        Session { auth, header }
    }

    /// The `Authorization` header to send; none before the registry asked.
    pub(crate) fn header(&self) -> Option<String> {
        self.header.clone()
    }

    /// Answers the registry's challenge.
    pub(crate) async fn log_in(
        &mut self,
        clients: &Clients,
        base: &str,
        repository: &str,
        refused: &Response,
    ) -> Result<(), FetchError> {
        let headers = refused.headers().get_all(WWW_AUTHENTICATE);
        let challenge = choose(headers.iter().filter_map(|header| header.to_str().ok()))?;
        let denied = |text: &str| FetchError::Unauthorized(format!("{base}: {text}"));
        self.header = Some(match (challenge, &self.auth) {
            (_, Some(Auth::RegistryToken(_))) => {
                return Err(denied("the registry token was refused"));
            }
            (Challenge::Basic, Some(Auth::Basic { username, password })) => {
                basic(username, password)
            }
            (Challenge::Basic, _) => return Err(denied("a user name and password are needed")),
            (
                Challenge::Bearer {
                    realm,
                    service,
                    scope,
                },
                auth,
            ) => {
                let realm = check_realm(base, &realm)?;
                let scope = scope.unwrap_or_else(|| format!("repository:{repository}:pull"));
                let token = fetch_token(clients, realm, service, &scope, auth.as_ref()).await?;
                format!("Bearer {token}")
            }
        });
        Ok(())
    }
}

fn basic(username: &str, password: &str) -> String {
    format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{password}"))
    )
}

/// A registry reached over TLS must not have the password sent anywhere in the clear.
fn check_realm(base: &str, realm: &str) -> Result<Url, FetchError> {
    let url = Url::parse(realm).map_err(|error| {
        FetchError::Unauthorized(format!("bad address of the login server: {error}"))
    })?;
    let known = url.scheme() == "https" || (url.scheme() == "http" && base.starts_with("http://"));
    if known {
        return Ok(url);
    }
    Err(FetchError::Unauthorized(format!(
        "{base}: its login server {realm:?} does not use https"
    )))
}

async fn fetch_token(
    clients: &Clients,
    realm: Url,
    service: Option<String>,
    scope: &str,
    auth: Option<&Auth>,
) -> Result<String, FetchError> {
    let client = clients.for_url(realm.as_str())?;
    let mut url = realm;
    let request = if let Some(Auth::IdentityToken(token)) = auth {
        let mut form = Url::parse("form:").map_err(|_| FetchError::invalid("token request"))?;
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", "sampan")
            .append_pair("refresh_token", token)
            .append_pair("service", service.as_deref().unwrap_or_default())
            .append_pair("scope", scope);
        let body = form.query().unwrap_or_default().to_owned();
        client
            .post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body)
    } else {
        if let Some(service) = &service {
            url.query_pairs_mut().append_pair("service", service);
        }
        url.query_pairs_mut().append_pair("scope", scope);
        let request = client.get(url);
        match auth {
            Some(Auth::Basic { username, password }) => {
                request.header(AUTHORIZATION, basic(username, password))
            }
            _ => request,
        }
    };
    let response = request.send().await.map_err(|error| unreachable(&error))?;
    let status = response.status();
    if !status.is_success() {
        let text = format!("login failed: {}", error_text(status, response).await);
        let later = status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS;
        return Err(if later {
            FetchError::Unavailable(text)
        } else {
            FetchError::Unauthorized(text)
        });
    }
    let body = read_bounded(response, SMALL_BODY_BYTES).await?;
    let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|error| {
        FetchError::Unavailable(format!("login answer cannot be read: {error}"))
    })?;
    let token = answer
        .token
        .or(answer.access_token)
        .filter(|token| !token.is_empty());
    let sendable = |token: &String| token.bytes().all(|b| b.is_ascii_graphic());
    token
        .filter(sendable)
        .ok_or_else(|| FetchError::Unauthorized("the login answer holds no token".into()))
}
