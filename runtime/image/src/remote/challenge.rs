//! Reading `WWW-Authenticate`: how a registry wants to be asked. Pure.

use crate::error::FetchError;

/// What the registry wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User name and password with every request.
    Basic,
    /// A token from an authorization server.
    Bearer {
        realm: String,
        service: Option<String>,
        /// As the registry spells it; the usual one is derived when absent.
        scope: Option<String>,
    },
}

/// Chooses among the challenges of an answer: tokens before passwords.
pub(crate) fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Result<Challenge, FetchError> {
    let mut basic = false;
    for header in headers {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            basic = true;
        } else if scheme.eq_ignore_ascii_case("bearer") {
            let parameters = parameters(rest);
            let find = |wanted: &str| {
                let found = parameters
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
                found
                    .map(|(_, value)| value.clone())
                    .filter(|value| !value.is_empty())
            };
            if let Some(realm) = find("realm") {
                return Ok(Challenge::Bearer {
                    realm,
                    service: find("service"),
                    scope: find("scope"),
                });
            }
        }
    }
    if basic {
        return Ok(Challenge::Basic);
    }
    Err(FetchError::Unauthorized(
        "the registry does not say how to log in".into(),
    ))
}

/// `name="value", name=value`; a quoted value may hold commas and escaped quotes.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']).to_owned();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        found.push((name, value));
        rest = left;
    }
    found
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Challenge::Bearer {
            realm: realm.into(),
            service: own(service),
            scope: own(scope),
        }
    }

    fn check(headers: &[&str], want: Option<Challenge>) {
        assert_eq!(choose(headers.iter().copied()).ok(), want, "{headers:?}");
    }

    #[test]
    fn challenges_are_read_as_servers_write_them() {
        check(&["Basic realm=\"x\""], Some(Challenge::Basic));
        check(&["basic"], Some(Challenge::Basic));
        let full =
            r#"Bearer realm="https://a.io/token",service="a.io",scope="repository:x:pull,push""#;
        let want = bearer(
            "https://a.io/token",
            Some("a.io"),
            Some("repository:x:pull,push"),
        );
        check(&[full], Some(want.clone()));
        check(&["Basic realm=x", full], Some(want));
        check(
            &[r#"bearer service=a , realm=http://b/t"#],
            Some(bearer("http://b/t", Some("a"), None)),
        );
        check(
            &[r#"Bearer realm="a\"b""#],
            Some(bearer("a\"b", None, None)),
        );
        for bad in [
            "",
            "Bearer",
            "Bearer realm=\"\"",
            "Negotiate",
            "Bearer realm",
            "Bearer =\"",
            "é=\"",
        ] {
            check(&[bad], None);
        }
    }
}
