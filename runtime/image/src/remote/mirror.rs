//! Mirrors: registries that are asked before the one an image's name says.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// Where a copy of a registry is: `http://host:port` or `https://host`. A path is put before the repository's name,
/// as registries want it that keep several copies: `https://host/docker` asks for `docker/library/nginx`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    base: String,
    prefix: String,
}

/// Why a text is no mirror.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// It cannot be read as an address.
    #[error("{0:?} is not an address: want http://HOST[:PORT][/PATH] or https://...")]
    Form(String),
    /// It holds a password, which logs and errors would show.
    #[error("a mirror's address must not hold a user name or password")]
    Credentials,
    /// It has a query or fragment.
    #[error("{0:?}: a mirror's address has no query and no fragment")]
    Query(String),
}

impl Mirror {
    /// `https://host:port`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The repository's name as the mirror knows it.
    pub(crate) fn repository(&self, path: &str) -> String {
        match self.prefix.as_str() {
            "" => path.to_owned(),
            prefix => format!("{prefix}/{path}"),
        }
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)?;
        match self.prefix.as_str() {
            "" => Ok(()),
            prefix => write!(f, "/{prefix}"),
        }
    }
}

impl FromStr for Mirror {
    type Err = MirrorError;

    fn from_str(text: &str) -> Result<Mirror, MirrorError> {
        let form = || MirrorError::Form(text.to_owned());
        let url = Url::parse(text).map_err(|_| form())?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(form)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(form());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(MirrorError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(MirrorError::Query(text.to_owned()));
        }
        let port = url.port().map(|port| format!(":{port}"));
        Ok(Mirror {
            base: format!("{}://{host}{}", url.scheme(), port.unwrap_or_default()),
            prefix: url.path().trim_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_mirrors() {
        for (text, base, repository) in [
            (
                "http://127.0.0.1:5000",
                "http://127.0.0.1:5000",
                "library/app",
            ),
            ("https://m.io/", "https://m.io", "library/app"),
            ("https://m.io/a/b/", "https://m.io", "a/b/library/app"),
            ("http://[::1]:5", "http://[::1]:5", "library/app"),
        ] {
            let mirror: Mirror = text.parse().unwrap();
            assert_eq!(
                (mirror.base(), mirror.repository("library/app").as_str()),
                (base, repository)
            );
        }
        for bad in [
            "",
            "m.io",
            "m.io:5000",
            "ftp://m.io",
            "https://",
            "https://m.io?x=y",
        ] {
            assert!(bad.parse::<Mirror>().is_err(), "{bad}");
        }
        let secret = "https://u:secret@m.io".parse::<Mirror>().unwrap_err();
        assert!(!secret.to_string().contains("secret"));
    }
}
