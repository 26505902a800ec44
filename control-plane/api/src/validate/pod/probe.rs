//! Probes and lifecycle hooks.

use serde_json::Value;

use crate::names;
use crate::object::{get, int, is_empty, items, text};
use crate::status::FieldError;

use super::super::path::{
    Path, anything, invalid, not_negative, port, required_choice, required_text,
};

const PROBE_HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];
const HOOK_HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "sleep"];

/// The three probes of a container.
pub(super) fn all(container: &Value, path: &Path, out: &mut Vec<FieldError>) {
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = get(container, field) else {
            continue;
        };
        let here = path.child(field);
        handler(probe, &here, &PROBE_HANDLERS, out);
        for number in [
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ] {
            not_negative(out, probe, &here, number);
        }
        let grace = int(probe, "terminationGracePeriodSeconds");
        let at = here.child("terminationGracePeriodSeconds");
        if field == "readinessProbe" {
            if let Some(seconds) = grace {
                let why = "must not be set for readinessProbes";
                out.push(FieldError::invalid(at, seconds, why));
            }
            continue;
        }
        if let Some(seconds) = grace.filter(|seconds| *seconds <= 0) {
            out.push(FieldError::invalid(at, seconds, "must be greater than 0"));
        }
        let successes = int(probe, "successThreshold").unwrap_or(1);
        if successes != 1 {
            let at = here.child("successThreshold");
            out.push(FieldError::invalid(at, successes, "must be 1"));
        }
    }
}

/// The hooks of a container.
pub(super) fn lifecycle(container: &Value, path: &Path, out: &mut Vec<FieldError>) {
    for field in ["postStart", "preStop"] {
        if let Some(hook) = get(container, "lifecycle").and_then(|all| get(all, field)) {
            handler(
                hook,
                &path.child("lifecycle").child(field),
                &HOOK_HANDLERS,
                out,
            );
        }
    }
}

/// Exactly one way to ask or to tell.
fn handler(value: &Value, path: &Path, handlers: &[&str], out: &mut Vec<FieldError>) {
    let mut found = false;
    for name in handlers {
        let Some(action) = get(value, name) else {
            continue;
        };
        let here = path.child(name);
        if found {
            out.push(FieldError::forbidden(
                here,
                "may not specify more than 1 handler type",
            ));
            continue;
        }
        found = true;
        match *name {
            "exec" => {
                if is_empty(action, "command") {
                    out.push(FieldError::required(here.child("command"), ""));
                }
            }
            "httpGet" => http_get(action, &here, out),
            "sleep" => {
                if int(action, "seconds").unwrap_or(0) < 0 {
                    let seconds = int(action, "seconds").unwrap_or(0);
                    let why = "must be greater than or equal to 0";
                    out.push(FieldError::invalid(here.child("seconds"), seconds, why));
                }
            }
            _ => port(out, action, &here, "port"),
        }
    }
    if !found {
        out.push(FieldError::required(path, "must specify a handler type"));
    }
}

fn http_get(action: &Value, path: &Path, out: &mut Vec<FieldError>) {
    required_text(out, action, path, "path", anything);
    port(out, action, path, "port");
    required_choice(out, action, path, "scheme", &["HTTP", "HTTPS"]);
    for header in items(action, "httpHeaders") {
        let name = text(header, "name");
        invalid(
            out,
            &path.child("httpHeaders"),
            name,
            names::http_header_name(name),
        );
    }
}
