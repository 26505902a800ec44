//! The grammar of domains, repositories and tags, from the distribution specification.

use crate::reference::ReferenceError;

/// Longest name without tag and digest, as in the distribution specification.
pub(crate) const NAME_MAX: usize = 255;
/// Longest tag, as in the distribution specification.
const TAG_MAX: usize = 128;

/// Docker's rule: the first component is a host if it could not be a folder of a repository.
pub(crate) fn is_domain(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

pub(crate) fn check_domain(text: &str) -> Result<String, ReferenceError> {
    let error = ReferenceError::Format("the registry must be host or host:port");
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(error);
    }
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let good = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(|label| {
            let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            edge(label.chars().next())
                && edge(label.chars().last())
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        }),
    };
    if good {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(error)
    }
}

/// Whether `path` is a repository name of the distribution specification.
pub(crate) fn check_repository(path: &str) -> Result<(), ReferenceError> {
    if path.is_empty() {
        return Err(ReferenceError::Empty);
    }
    if path.len() > NAME_MAX {
        return Err(ReferenceError::Format(
            "the repository name is longer than 255 characters",
        ));
    }
    if path.chars().any(|c| c.is_ascii_uppercase()) {
        return Err(ReferenceError::Uppercase(path.to_owned()));
    }
    if path.split('/').all(is_component) {
        Ok(())
    } else {
        Err(ReferenceError::Format(
            "a repository name has lower-case letters and digits, separated by one of . _ __ - or /",
        ))
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separators = component
        .split(word)
        .filter(|separator| !separator.is_empty());
    component.starts_with(word)
        && component.ends_with(word)
        && separators.all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

/// Whether `text` is a tag of the distribution specification.
pub(crate) fn is_tag(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    !text.is_empty()
        && text.len() <= TAG_MAX
        && text.bytes().all(inner)
        && !text.starts_with(['.', '-'])
}

pub(crate) fn tag(text: &str) -> Result<String, ReferenceError> {
    if is_tag(text) {
        return Ok(text.to_owned());
    }
    Err(ReferenceError::Format(
        "a tag has at most 128 letters, digits, and the signs _ . -",
    ))
}

pub(crate) fn is_hex_id(path: &str) -> bool {
    path.len() == 64 && path.bytes().all(|b| b.is_ascii_hexdigit())
}
