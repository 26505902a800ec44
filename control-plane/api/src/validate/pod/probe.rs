//! Probes and lifecycle hooks.

use serde_json::Value;

use crate::names;
use crate::object::{get, int, is_empty, items, text};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, anything, invalid, not_negative, port, required_text};
use super::Context;

const PROBE_HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];
const HOOK_HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "sleep"];
/// Real time signals that Linux has beyond those with names.
const REAL_TIME: [(&str, u8); 2] = [("SIGRTMIN+", 15), ("SIGRTMAX-", 14)];
const SIGNALS: [&str; 36] = [
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGRTMAX",
    "SIGRTMIN",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];

/// The hooks and probes of a container.
pub(super) fn all(container: &Value, context: &Context<'_>, path: &Path, out: &mut Errors) {
    if let Some(lifecycle) = get(container, "lifecycle") {
        let here = path.child("lifecycle");
        for field in ["postStart", "preStop"] {
            if let Some(hook) = get(lifecycle, field) {
                handler(hook, context, &here.child(field), &HOOK_HANDLERS, out);
            }
        }
        if !is_empty(lifecycle, "stopSignal") {
            stop_signal(
                text(lifecycle, "stopSignal"),
                context.os(),
                here.child("stopSignal"),
                out,
            );
        }
    }
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = get(container, field) {
            probe(found, context, field, &path.child(field), out);
        }
    }
}

fn probe(probe: &Value, context: &Context<'_>, field: &str, path: &Path, out: &mut Errors) {
    handler(probe, context, path, &PROBE_HANDLERS, out);
    for number in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        not_negative(out, probe, path, number);
    }
    let grace = int(probe, "terminationGracePeriodSeconds");
    let at = path.child("terminationGracePeriodSeconds");
    if let Some(seconds) = grace.filter(|seconds| *seconds <= 0) {
        out.push(|| FieldError::invalid(&at, seconds, "must be greater than 0"));
    }
    if field == "readinessProbe" {
        if let Some(seconds) = grace {
            let why = "must not be set for readinessProbes";
            out.push(|| FieldError::invalid(at, seconds, why));
        }
        return;
    }
    let successes = int(probe, "successThreshold").unwrap_or(0);
    if successes != 1 {
        let at = path.child("successThreshold");
        out.push(|| FieldError::invalid(at, successes, "must be 1"));
    }
}

/// Which signals there are depends on the system, so it must be said.
fn stop_signal(signal: &str, os: &str, path: Path, out: &mut Errors) {
    let real_time = |(prefix, most): &(&str, u8)| {
        let number = signal.strip_prefix(prefix);
        let number = number.filter(|number| !number.starts_with(['0', '+']));
        number.is_some_and(|number| number.parse().is_ok_and(|number: u8| number <= *most))
    };
    match os {
        "" => {
            let why = "may not be set for containers with empty `spec.os.name`";
            out.push(|| FieldError::forbidden(path, why));
        }
        "windows" if !matches!(signal, "SIGKILL" | "SIGTERM") => {
            let known = ["SIGKILL", "SIGTERM"];
            out.push(|| FieldError::not_supported(path, signal, &known));
        }
        "linux" if !SIGNALS.contains(&signal) && !REAL_TIME.iter().any(real_time) => {
            let ranges = REAL_TIME.iter().flat_map(|(prefix, most)| {
                (1..=*most).map(move |number| format!("{prefix}{number}"))
            });
            let mut known: Vec<String> = ranges.collect();
            known.extend(SIGNALS.map(str::to_owned));
            known.sort_unstable();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            out.push(|| FieldError::not_supported(path, signal, &known));
        }
        _ => {}
    }
}

/// Exactly one way to ask or to tell.
fn handler(value: &Value, context: &Context<'_>, path: &Path, handlers: &[&str], out: &mut Errors) {
    let mut found = false;
    for name in handlers {
        let Some(action) = get(value, name) else {
            continue;
        };
        let here = path.child(name);
        if found {
            let why = "may not specify more than 1 handler type";
            out.push(|| FieldError::forbidden(here, why));
            continue;
        }
        found = true;
        match *name {
            "exec" => {
                if is_empty(action, "command") {
                    out.push(|| FieldError::required(here.child("command"), ""));
                }
            }
            "httpGet" => http_get(action, &here, out),
            "sleep" => {
                let seconds = int(action, "seconds").unwrap_or(0);
                let most = context.grace();
                if !(0..=most).contains(&seconds) {
                    let why = format!(
                        "must be non-negative and less than terminationGracePeriodSeconds ({most})"
                    );
                    out.push(|| FieldError::invalid(here, seconds, why));
                }
            }
            _ => port(out, action, &here, "port"),
        }
    }
    if !found {
        out.push(|| FieldError::required(path, "must specify a handler type"));
    }
}

fn http_get(action: &Value, path: &Path, out: &mut Errors) {
    required_text(out, action, path, "path", anything);
    port(out, action, path, "port");
    let scheme = text(action, "scheme");
    if !matches!(scheme, "HTTP" | "HTTPS") {
        let here = path.child("scheme");
        out.push(|| FieldError::not_supported(here, scheme, &["HTTP", "HTTPS"]));
    }
    for header in items(action, "httpHeaders") {
        let name = text(header, "name");
        let wrong = names::http_header_name(name);
        invalid(out, &path.child("httpHeaders"), name, wrong);
    }
}
