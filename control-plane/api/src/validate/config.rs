//! ConfigMaps and Secrets.

use base64::Engine as _;
use serde_json::Value;

use crate::names;
use crate::object::{annotation, entries, flag, get, is_empty, text};
use crate::status::{Errors, FieldError};

use super::IMMUTABLE;
use super::path::{Path, invalid};

/// Most bytes of all values together, for either kind.
pub(super) const MAX_DATA_BYTES: usize = 1024 * 1024;

const LOCKED: &str = "field is immutable when `immutable` is set";
const REDACTED: &str = "<secret contents redacted>";

pub(super) fn config_map(value: &Value, out: &mut Errors) {
    let mut size = 0;
    for (key, text) in entries(value, "data") {
        let path = Path::new("data").key(key);
        invalid(out, &path, key, names::config_map_key(key));
        let twice = value
            .pointer("/binaryData")
            .and_then(|data| data.get(key))
            .is_some();
        if twice {
            out.push(|| FieldError::invalid(&path, key, "duplicate of key present in binaryData"));
        }
        size += text.as_str().map_or(0, str::len);
    }
    for (key, bytes) in entries(value, "binaryData") {
        let path = Path::new("binaryData").key(key);
        invalid(out, &path, key, names::config_map_key(key));
        size += decoded_length(bytes);
    }
    if size > MAX_DATA_BYTES {
        out.push(|| FieldError::too_long("[]", MAX_DATA_BYTES));
    }
}

pub(super) fn config_map_update(new: &Value, old: &Value, out: &mut Errors) {
    locked(new, old, &["data", "binaryData"], out);
    config_map(new, out);
}

pub(super) fn secret(value: &Value, out: &mut Errors) {
    let path = Path::new("data");
    let mut size = 0;
    for (key, bytes) in entries(value, "data") {
        invalid(out, &path.key(key), key, names::config_map_key(key));
        size += decoded_length(bytes);
    }
    if size > MAX_DATA_BYTES {
        out.push(|| FieldError::too_long(&path, MAX_DATA_BYTES));
    }
    let has = |key: &str| {
        value
            .pointer("/data")
            .and_then(|data| data.get(key))
            .is_some()
    };
    let mut demand = |key: &str| {
        if !has(key) {
            out.push(|| FieldError::required(path.key(key), ""));
        }
    };
    match text(value, "type") {
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            if annotation(value, key).unwrap_or("").is_empty() {
                let path = Path::new("metadata.annotations").key(key);
                out.push(|| FieldError::required(path, ""));
            }
        }
        "kubernetes.io/dockercfg" => json_key(value, ".dockercfg", out),
        "kubernetes.io/dockerconfigjson" => json_key(value, ".dockerconfigjson", out),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            demand("username");
            demand("password");
        }
        "kubernetes.io/ssh-auth" => demand("ssh-privatekey"),
        "kubernetes.io/tls" => {
            demand("tls.crt");
            demand("tls.key");
        }
        _ => {}
    }
}

pub(super) fn secret_update(new: &Value, old: &Value, out: &mut Errors) {
    if text(new, "type") != text(old, "type") {
        out.push(|| FieldError::invalid("type", text(new, "type"), IMMUTABLE));
    }
    locked(new, old, &["data"], out);
    secret(new, out);
}

/// Once `immutable` is set it stays, and so does the content.
fn locked(new: &Value, old: &Value, contents: &[&str], out: &mut Errors) {
    if !flag(old, "immutable") {
        return;
    }
    if !flag(new, "immutable") {
        out.push(|| FieldError::forbidden("immutable", LOCKED));
    }
    for content in contents {
        let same = get(new, content) == get(old, content);
        let both_empty = is_empty(new, content) && is_empty(old, content);
        if !same && !both_empty {
            out.push(|| FieldError::forbidden(*content, LOCKED));
        }
    }
}

/// Registry credentials must be there and be JSON.
fn json_key(value: &Value, key: &str, out: &mut Errors) {
    let path = Path::new("data").key(key);
    let Some(encoded) = value.pointer("/data").and_then(|data| data.get(key)) else {
        out.push(|| FieldError::required(path, ""));
        return;
    };
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.as_str().unwrap_or(""));
    let parsed =
        serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes.unwrap_or_default());
    if let Err(error) = parsed {
        out.push(|| FieldError::invalid(path, REDACTED, error.to_string()));
    }
}

/// How many bytes base64 text stands for.
fn decoded_length(encoded: &Value) -> usize {
    let text = encoded.as_str().unwrap_or("").trim_end_matches('=');
    text.len() * 3 / 4
}
