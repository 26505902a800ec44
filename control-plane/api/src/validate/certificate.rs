//! Certificate signing requests. That a request is signed by the key it is for, is checked where
//! there is cryptography: in the server.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::names;
use crate::object::{int, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::path::Path;
use super::pod::diff;

const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";
const MIN_SECONDS: i64 = 600;
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// What a write may bring about, by the part of the object it goes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Status,
    Approval,
}

pub(super) fn create(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    if let Err(why) = request(text(spec, "request")) {
        let shown = part(spec, "request");
        out.push(|| FieldError::invalid(path.child("request"), shown, why));
    }
    if is_empty(spec, "usages") {
        out.push(|| FieldError::required(path.child("usages"), ""));
    }
    let mut seen = HashSet::new();
    for (at, usage) in items(spec, "usages").iter().enumerate() {
        let (here, usage) = (path.child("usages").index(at), usage.as_str().unwrap_or(""));
        if !USAGES.contains(&usage) {
            out.push(|| FieldError::not_supported(&here, usage, &USAGES));
        }
        if !seen.insert(usage) {
            out.push(|| FieldError::duplicate(here, usage));
        }
    }
    signer(text(spec, "signerName"), &path.child("signerName"), out);
    if let Some(seconds) = int(spec, "expirationSeconds").filter(|one| *one < MIN_SECONDS) {
        let at = path.child("expirationSeconds");
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        out.push(|| FieldError::invalid(at, seconds, why));
    }
    conditions(value, out);
}

fn signer(name: &str, path: &Path, out: &mut Errors) {
    if name == LEGACY_SIGNER {
        let why = "the legacy signerName is not allowed via this API version";
        out.push(|| FieldError::invalid(path, name, why));
    } else {
        signer_name(name, path, out);
    }
}

/// Who signs, as a domain and a path in it.
pub(super) fn signer_name(name: &str, path: &Path, out: &mut Errors) {
    if name.is_empty() {
        out.push(|| FieldError::required(path, ""));
        return;
    }
    let parts: Vec<&str> = name.split('/').collect();
    let [domain, rest] = parts[..] else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        out.push(|| FieldError::invalid(path, name, why));
        return;
    };
    for (part, rule) in [
        (domain, names::dns1123_label as fn(&str) -> Vec<String>),
        (rest, names::dns1123_subdomain),
    ] {
        let wrong = part.split('.').find(|label| !rule(label).is_empty());
        for why in wrong.map(rule).unwrap_or_default() {
            let label = wrong.unwrap_or_default();
            let why = format!("validating label {label:?}: {why}");
            out.push(|| FieldError::invalid(path, part, why));
        }
    }
    if !domain.contains('.') {
        let why = "should be a domain with at least two segments separated by dots";
        out.push(|| FieldError::invalid(path, domain, why));
    }
}

fn conditions(value: &Value, out: &mut Errors) {
    let path = Path::new("status.conditions");
    let (mut seen, mut verdicts) = (HashSet::new(), HashSet::new());
    for (at, condition) in items(value, "status.conditions").iter().enumerate() {
        let (here, kind) = (path.index(at), text(condition, "type"));
        if kind.is_empty() {
            out.push(|| FieldError::required(here.child("type"), ""));
        }
        let final_ = matches!(kind, "Approved" | "Denied" | "Failed");
        let allowed: &[&str] = if final_ {
            &["True"]
        } else {
            &["False", "True", "Unknown"]
        };
        match text(condition, "status") {
            "" => out.push(|| FieldError::required(here.child("status"), "")),
            status if !allowed.contains(&status) => {
                let at = here.child("status");
                out.push(|| FieldError::not_supported(at, status, allowed));
            }
            _ => {}
        }
        if matches!(kind, "Approved" | "Denied") {
            verdicts.insert(kind);
            if verdicts.len() > 1 {
                let why = "Approved and Denied conditions are mutually exclusive";
                out.push(|| FieldError::invalid(&path, kind, why));
            }
        }
        if !seen.insert(kind) {
            out.push(|| FieldError::duplicate(here.child("type"), kind));
        }
    }
}

/// A verdict and a certificate are given once, each through its own subresource.
pub(super) fn update(new: &Value, old: &Value, through: Part, out: &mut Errors) {
    let said = |value: &Value| {
        let mut errors = Errors::new();
        create(value, &mut errors);
        errors.into_list()
    };
    // What older rules let pass does not keep a request from being answered.
    let before = said(old);
    let news = said(new).into_iter();
    out.extend(news.filter(|error| !before.contains(error)));
    let path = "status.conditions";
    for kind in ["Approved", "Denied", "Failed"] {
        let find = |value: &Value| -> Vec<Value> {
            let all = items(value, path).iter();
            all.filter(|one| text(one, "type") == kind)
                .cloned()
                .collect()
        };
        let (now, before) = (find(new), find(old));
        let settled = kind == "Failed" || through == Part::Approval;
        let why = if now.len() < before.len() {
            format!("updates may not remove a condition of type {kind:?}")
        } else if settled || now == before {
            continue;
        } else if now.len() > before.len() {
            format!("updates may not add a condition of type {kind:?}")
        } else {
            let diff = diff::unified(&before.into(), &now.into());
            format!("updates may not modify a condition of type {kind:?}\n{diff}")
        };
        out.push(|| FieldError::forbidden(path, why));
    }
    issued(new, old, through, out);
}

fn issued(new: &Value, old: &Value, through: Part, out: &mut Errors) {
    let at = "status.certificate";
    let (now, before) = (text(new, at), text(old, at));
    if now == before {
        return;
    }
    if let Err(why) = certificates(now) {
        out.push(|| FieldError::invalid(at, "<certificate data>", why));
    }
    if through != Part::Status {
        let why = "updates may not set certificate content";
        out.push(|| FieldError::forbidden(at, why));
    } else if !before.is_empty() {
        let why = "updates may not modify existing certificate content";
        out.push(|| FieldError::forbidden(at, why));
    }
}

/// The blocks of PEM text in base64: what each is called, and its bytes.
fn blocks(encoded: &str) -> Vec<(String, Vec<u8>)> {
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    let pem = String::from_utf8_lossy(&bytes);
    let mut found = Vec::new();
    let mut rest = &*pem;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let Some((name, after)) = after.split_once("-----") else {
            break;
        };
        let Some((body, after)) = after.split_once(&format!("-----END {name}-----")) else {
            break;
        };
        let body: String = body.split_whitespace().collect();
        if let Ok(bytes) = STANDARD.decode(body) {
            found.push((name.to_owned(), bytes));
        }
        rest = after;
    }
    found
}

fn request(encoded: &str) -> Result<(), &'static str> {
    match blocks(encoded).first() {
        Some((name, bytes)) if name == "CERTIFICATE REQUEST" => signed(bytes),
        _ => Err("PEM block type must be CERTIFICATE REQUEST"),
    }
}

fn certificates(encoded: &str) -> Result<(), String> {
    if encoded.is_empty() {
        return Ok(());
    }
    let blocks = blocks(encoded);
    if blocks.is_empty() {
        return Err("must contain at least one CERTIFICATE PEM block".to_owned());
    }
    for (name, bytes) in blocks {
        if name != "CERTIFICATE" {
            return Err(format!(
                "only CERTIFICATE PEM blocks are allowed, found {name:?}"
            ));
        }
        signed(&bytes).map_err(str::to_owned)?;
    }
    Ok(())
}

/// The outermost shape of anything signed: a sequence of what is signed, how, and the signature.
fn signed(bytes: &[u8]) -> Result<(), &'static str> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let malformed = "asn1: structure error: not a signed object";
    let (SEQUENCE, mut inner, []) = element(bytes).ok_or(malformed)? else {
        return Err(malformed);
    };
    for wanted in [SEQUENCE, SEQUENCE, BIT_STRING] {
        let (tag, _, rest) = element(inner).ok_or(malformed)?;
        if tag != wanted {
            return Err(malformed);
        }
        inner = rest;
    }
    if inner.is_empty() {
        Ok(())
    } else {
        Err("asn1: syntax error: trailing data")
    }
}

/// The tag and content of the first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        short @ ..0x80 => (usize::from(*short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = digits.iter().try_fold(0_usize, |sum, digit| {
                sum.checked_mul(256)?.checked_add(usize::from(*digit))
            })?;
            (length, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}
