//! How objects get from one version to another.

use std::collections::HashSet;

use serde_json::Value;

use crate::names::{dns1035_label, port_number};
use crate::object::{self, get, items, text};
use crate::status::{Errors, FieldError};
use crate::validate::path::{Path, required_choice};

/// Versions of ConversionReview upstream speaks.
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];

pub(super) fn check(definition: &Value, path: &Path, out: &mut Errors) {
    let Some(conversion) = get(definition, "spec.conversion") else {
        return;
    };
    required_choice(out, conversion, path, "strategy", &["None", "Webhook"]);
    let config = get(conversion, "webhook.clientConfig");
    let reviews = items(conversion, "webhook.conversionReviewVersions");
    if text(conversion, "strategy") != "Webhook" {
        let why = "should not be set when strategy is not set to Webhook";
        if config.is_some() {
            out.push(|| FieldError::forbidden(path.child("webhookClientConfig"), why));
        }
        if !reviews.is_empty() {
            let path = path.child("conversionReviewVersions");
            out.push(|| FieldError::forbidden(path, why));
        }
        return;
    }
    match config {
        None => {
            let why = "required when strategy is set to Webhook";
            out.push(|| FieldError::required(path.child("webhookClientConfig"), why));
        }
        Some(config) => client(config, &path.child("webhookClientConfig"), out),
    }
    review_versions(reviews, &path.child("conversionReviewVersions"), out);
    // Nobody is asked here. With one version there is nothing to ask; with more, objects would be shown
    // as what they are not.
    if items(definition, "spec.versions").len() > 1 {
        let why = "this server does not convert between several versions by webhook";
        out.push(|| FieldError::forbidden(path.child("strategy"), why));
    }
}

fn client(config: &Value, path: &Path, out: &mut Errors) {
    let (url, service) = (text(config, "url"), get(config, "service"));
    match (url, service) {
        ("", None) | (_, Some(_)) if url.is_empty() == service.is_none() => {
            let why = "exactly one of url or service is required";
            out.push(|| FieldError::required(path, why));
        }
        (_, Some(service)) => {
            let path = path.child("service");
            for field in ["name", "namespace"] {
                if text(service, field).is_empty() {
                    out.push(|| FieldError::required(path.child(field), ""));
                }
            }
            let port = object::int(service, "port").unwrap_or(443);
            let wrong = port_number(port);
            if !wrong.is_empty() {
                let why = format!("port is not valid: {}", wrong.join(", "));
                out.push(|| FieldError::invalid(path.child("port"), port, why));
            }
        }
        _ => {
            const FORM: &str = "; desired format: https://host[/path]";
            let path = path.child("url");
            let Some(rest) = url.strip_prefix("https://") else {
                let scheme = url.split("://").next().unwrap_or("");
                let why = format!("'https' is the only allowed URL scheme{FORM}");
                out.push(|| FieldError::invalid(path, scheme, why));
                return;
            };
            if rest.split('/').next().unwrap_or("").is_empty() {
                let why = format!("host must be specified{FORM}");
                out.push(|| FieldError::invalid(path, "", why));
            }
        }
    }
}

fn review_versions(versions: &[Value], path: &Path, out: &mut Errors) {
    if versions.is_empty() {
        out.push(|| FieldError::required(path, ""));
        return;
    }
    let mut seen = HashSet::new();
    for (at, version) in versions.iter().enumerate() {
        let name = version.as_str().unwrap_or("");
        if !seen.insert(name) {
            let why = "duplicate version";
            out.push(|| FieldError::invalid(path.index(at), name, why));
            continue;
        }
        for why in dns1035_label(name) {
            out.push(|| FieldError::invalid(path.index(at), name, why));
        }
    }
    if !REVIEWS.iter().any(|known| seen.contains(known)) {
        let why = format!("must include at least one of {}", REVIEWS.join(", "));
        out.push(|| FieldError::invalid(path, versions, why));
    }
}
