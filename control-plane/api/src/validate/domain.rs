//! Names that carry the domain of whoever gave them.

use crate::names;
use crate::status::{Errors, FieldError};

use super::path::{Path, invalid};

const PATH_BYTES: &[u8] = b"/-._~%!$&'()*+,;=:";

/// `example.com/any/path`.
pub(super) fn prefixed_path(name: &str, path: &Path, out: &mut Errors) {
    if name.is_empty() {
        out.push(|| FieldError::required(path, ""));
        return;
    }
    let parts = name.split_once('/');
    let Some((host, rest)) = parts.filter(|(host, rest)| !host.is_empty() && !rest.is_empty())
    else {
        let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        out.push(|| FieldError::invalid(path, name, why));
        return;
    };
    invalid(out, path, host, names::dns1123_subdomain(host));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || PATH_BYTES.contains(&byte);
    if !rest.bytes().all(allowed) {
        let why = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
        out.push(|| FieldError::invalid(path, rest, why));
    }
}

/// `hook.example.com`: three labels at least.
pub(super) fn fully_qualified(name: &str, path: &Path, out: &mut Errors) {
    let wrong = names::dns1123_subdomain(name);
    if name.is_empty() {
        out.push(|| FieldError::required(path, ""));
    } else if !wrong.is_empty() {
        out.push(|| FieldError::invalid(path, name, wrong.join(",")));
    } else if name.split('.').count() < 3 {
        let why = "should be a domain with at least three segments separated by dots";
        out.push(|| FieldError::invalid(path, name, why));
    }
}

/// A name that DNS resolves: two labels at least, the dot of the root allowed.
pub(super) fn name(name: &str, path: &Path, out: &mut Errors) {
    if name.is_empty() {
        out.push(|| FieldError::required(path, ""));
        return;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let wrong = names::dns1123_subdomain(name);
    if !wrong.is_empty() {
        out.push(|| FieldError::invalid(path, name, wrong.join(",")));
    } else if !name.contains('.') {
        let why = "should be a domain with at least two segments separated by dots";
        out.push(|| FieldError::invalid(path, name, why));
    } else if let Some(label) = name
        .split('.')
        .find(|label| !names::dns1123_label(label).is_empty())
    {
        let why = names::dns1123_label(label).join(",");
        out.push(|| FieldError::invalid(path, label, why));
    }
}
