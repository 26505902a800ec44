//! Volumes that several sources fill with files.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{entries, get, int, is_empty, items, text};
use crate::status::{Errors, FieldError};

use super::super::certificate;
use super::super::path::{Path, anything, invalid, required_text};
use super::super::selector::label_selector;
use super::mounts::inner_file;
use super::volume::{downward, files, mode};

const SOURCES: [&str; 6] = [
    "secret",
    "configMap",
    "downwardAPI",
    "serviceAccountToken",
    "clusterTrustBundle",
    "podCertificate",
];
/// Where the parts of a pod's certificate go.
const CERTIFICATE_PATHS: [&str; 3] = ["credentialBundlePath", "keyPath", "certificateChainPath"];
const KEY_TYPES: [&str; 6] = [
    "RSA3072",
    "RSA4096",
    "ECDSAP256",
    "ECDSAP384",
    "ECDSAP521",
    "ED25519",
];
const MIN_CERTIFICATE_SECONDS: i64 = 3600;
/// Longest life of a certificate, in seconds: 91 days, and one day from signers of Kubernetes itself.
const MAX_CERTIFICATE_SECONDS: [i64; 2] = [7_862_400, 86_400];

pub(super) fn all(source: &Value, path: &Path, out: &mut Errors) {
    mode(source, path, "defaultMode", out);
    let mut paths = HashSet::new();
    for (at, projection) in items(source, "sources").iter().enumerate() {
        let here = path.child("sources").index(at);
        let mut given = 0;
        for kind in SOURCES {
            if let Some(one) = get(projection, kind) {
                given += 1;
                one_source(kind, one, path, &here.child(kind), out);
                unique_paths(kind, one, &mut paths, path, out);
            }
        }
        if given > 1 {
            let why = "may not specify more than 1 volume type per source";
            out.push(|| FieldError::forbidden(here, why));
        }
    }
}

/// Tokens are of service accounts: a pod that names none has no use for them.
pub(super) fn no_tokens(spec: &Value, path: &Path, out: &mut Errors) {
    for (at, volume) in items(spec, "volumes").iter().enumerate() {
        let here = path.child("volumes").index(at).child("projected");
        let sources = items(volume, "projected.sources").iter().enumerate();
        for (at, source) in sources {
            if get(source, "serviceAccountToken").is_some() {
                let here = here.child("sources").index(at).child("serviceAccountToken");
                let why = "must not be specified when serviceAccountName is not set";
                out.push(|| FieldError::forbidden(here, why));
            }
        }
    }
}

fn one_source(kind: &str, one: &Value, whole: &Path, path: &Path, out: &mut Errors) {
    match kind {
        "downwardAPI" => {
            for item in items(one, "items") {
                downward(item, path, out);
            }
        }
        "serviceAccountToken" => {
            let seconds = int(one, "expirationSeconds").unwrap_or(0);
            let why = if seconds < 10 * 60 {
                "may not specify a duration less than 10 minutes"
            } else if seconds > 1 << 32 {
                "may not specify a duration larger than 2^32 seconds"
            } else {
                ""
            };
            if !why.is_empty() {
                let here = path.child("expirationSeconds");
                out.push(|| FieldError::invalid(here, seconds, why));
            }
            required_text(out, one, whole, "path", inner_file);
        }
        "clusterTrustBundle" => trust_bundle(one, path, out),
        "podCertificate" => pod_certificate(one, path, out),
        _ => {
            required_text(out, one, path, "name", anything);
            files(one, path, out);
        }
    }
}

/// No two sources write the same file.
fn unique_paths<'a>(
    kind: &str,
    one: &'a Value,
    seen: &mut HashSet<&'a str>,
    path: &Path,
    out: &mut Errors,
) {
    let direct: &[&str] = match kind {
        "clusterTrustBundle" => &["path"],
        "podCertificate" => &CERTIFICATE_PATHS,
        _ => &[],
    };
    let listed = items(one, "items").iter().map(|item| text(item, "path"));
    let all = listed.chain(direct.iter().map(|field| text(one, field)));
    for file in all.filter(|file| !file.is_empty()) {
        if !seen.insert(file) {
            let shown = match kind {
                "secret" | "configMap" => text(one, "name"),
                _ => file,
            };
            let why = "conflicting duplicate paths";
            out.push(|| FieldError::invalid(path, shown, why));
        }
    }
}

fn trust_bundle(one: &Value, path: &Path, out: &mut Errors) {
    let given = |field| get(one, field).and_then(Value::as_str);
    match (given("name"), given("signerName")) {
        (Some(_), Some(_)) => {
            let why = "only one of name and signerName may be used";
            out.push(|| FieldError::invalid(path, one, why));
        }
        (Some(name), None) => {
            let here = path.child("name");
            if name.is_empty() {
                out.push(|| FieldError::required(&here, "must be a valid object name"));
            }
            // What is left of the last colon belongs to the signer.
            let own = name.rsplit(':').next().unwrap_or("");
            let wrong = names::dns1123_subdomain(own).into_iter();
            let wrong = wrong.map(|why| format!("not a valid clustertrustbundlename: {why}"));
            invalid(out, &here, name, wrong.collect());
            if let Some(selector) = get(one, "labelSelector") {
                let why = "labelSelector must be unset if name is specified";
                let here = path.child("labelSelector");
                out.push(|| FieldError::invalid(here, selector, why));
            }
        }
        (None, Some(signer)) => {
            let here = path.child("signerName");
            if signer.is_empty() {
                out.push(|| FieldError::required(&here, "must be a valid signer name"));
            }
            certificate::signer_name(signer, &here, out);
            if let Some(selector) = get(one, "labelSelector") {
                label_selector(selector, &path.child("labelSelector"), out);
            }
        }
        (None, None) => {
            let why = "either name or signerName must be specified";
            out.push(|| FieldError::required(path, why));
        }
    }
    required_text(out, one, path, "path", inner_file);
}

fn pod_certificate(one: &Value, path: &Path, out: &mut Errors) {
    let signer = text(one, "signerName");
    certificate::signer_name(signer, &path.child("signerName"), out);
    let here = path.child("userAnnotations");
    for (key, _) in entries(one, "userAnnotations") {
        let wrong = names::qualified_name(&key.to_lowercase());
        invalid(out, &here, key, wrong);
    }
    let kind = text(one, "keyType");
    if !KEY_TYPES.contains(&kind) {
        let here = path.child("keyType");
        out.push(|| FieldError::not_supported(here, kind, &KEY_TYPES));
    }
    if let Some(seconds) = int(one, "maxExpirationSeconds") {
        let host = signer.split('/').next().unwrap_or("");
        let own = host == "kubernetes.io" || host.ends_with(".kubernetes.io");
        let most = MAX_CERTIFICATE_SECONDS[usize::from(own)];
        let bound = if seconds < MIN_CERTIFICATE_SECONDS {
            Some(format!(">= {MIN_CERTIFICATE_SECONDS}"))
        } else {
            (seconds > most).then(|| format!("<= {most}"))
        };
        if let Some(bound) = bound {
            let why = format!("if provided, maxExpirationSeconds must be {bound}");
            let here = path.child("maxExpirationSeconds");
            out.push(|| FieldError::invalid(here, seconds, why));
        }
    }
    for field in CERTIFICATE_PATHS {
        let file = text(one, field);
        invalid(out, &path.child(field), file, inner_file(file));
    }
    if CERTIFICATE_PATHS.iter().all(|field| is_empty(one, field)) {
        let why = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
        out.push(|| FieldError::required(path, why));
    }
}
