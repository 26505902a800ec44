//! Bearer tokens of browsers: a WebSocket there cannot carry an `Authorization` header, but names of protocols.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};

/// The protocol a token is hidden in, in base64 without padding.
const PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// Whether the client wants to go on as a WebSocket.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    let holds = |name, word: &str| {
        headers.get_all(name).iter().any(|value| {
            value.to_str().is_ok_and(|value| {
                value
                    .split(',')
                    .any(|part| part.trim().eq_ignore_ascii_case(word))
            })
        })
    };
    holds(UPGRADE, "websocket") && holds(CONNECTION, "upgrade")
}

/// The protocols the client offers, tokens aside: nobody should be sent theirs back.
pub(crate) fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    offered(headers).filter(|protocol| !protocol.starts_with(PREFIX))
}

fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
}

/// The token among the protocols, or why it is none.
pub(super) fn token(headers: &HeaderMap) -> Option<Result<String, &'static str>> {
    if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) || !is_websocket(headers) {
        return None;
    }
    let mut tokens = offered(headers).filter_map(|protocol| protocol.strip_prefix(PREFIX));
    let token = tokens.next()?;
    if tokens.next().is_some() {
        return Some(Err("multiple base64.bearer.authorization tokens specified"));
    }
    let decoded = URL_SAFE_NO_PAD.decode(token).ok();
    let Some(decoded) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return Some(Err("invalid base64.bearer.authorization token encoding"));
    };
    if decoded.is_empty() {
        return None;
    }
    // One has to be left to be chosen.
    if protocols(headers).next().is_none() {
        return Some(Err("missing additional subprotocol"));
    }
    Some(Ok(decoded))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn tokens() {
        let check = |protocol: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
            let left: Vec<String> = protocols(&headers).map(str::to_owned).collect();
            (token(&headers), left.join(" "))
        };
        let found = |text: &str| Some(Ok(text.to_owned()));
        for (protocol, token, left) in [
            ("one, two", None, "one two"),
            (
                "base64url.bearer.authorization.k8s.io.czNjcmV0, one",
                found("s3cret"),
                "one",
            ),
            ("one,base64url.bearer.authorization.k8s.io.", None, "one"),
            (
                "base64url.bearer.authorization.k8s.io.czNjcmV0",
                Some(Err("missing additional subprotocol")),
                "",
            ),
            (
                "one, base64url.bearer.authorization.k8s.io.%%",
                Some(Err("invalid base64.bearer.authorization token encoding")),
                "one",
            ),
            (
                "base64url.bearer.authorization.k8s.io.YQ, base64url.bearer.authorization.k8s.io.YQ, one",
                Some(Err("multiple base64.bearer.authorization tokens specified")),
                "one",
            ),
        ] {
            assert_eq!(check(protocol), (token, left.to_owned()), "{protocol}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static("base64url.bearer.authorization.k8s.io.czNjcmV0, one"),
        );
        assert_eq!(token(&headers), None);
    }
}
