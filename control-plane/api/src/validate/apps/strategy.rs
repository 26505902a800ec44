//! How new pods take the place of old ones.

use serde_json::Value;

use crate::object::{get, text};
use crate::status::{Errors, FieldError};

use super::super::int_or_percent::{at_most_all, number, positive};
use super::super::path::{Path, not_negative};

pub(super) fn deployment(strategy: &Value, path: &Path, out: &mut Errors) {
    let here = path.child("rollingUpdate");
    let rolling = get(strategy, "rollingUpdate");
    match (text(strategy, "type"), rolling) {
        ("Recreate", None) => {}
        ("Recreate", Some(_)) => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            out.push(|| FieldError::forbidden(here, why));
        }
        ("RollingUpdate", None) => {
            let why = "this should be defaulted and never be nil";
            out.push(|| FieldError::required(here, why));
        }
        ("RollingUpdate", Some(rolling)) => {
            positive(out, rolling, &here, "maxUnavailable");
            positive(out, rolling, &here, "maxSurge");
            if number(rolling, "maxUnavailable") == 0 && number(rolling, "maxSurge") == 0 {
                let shown = get(rolling, "maxUnavailable").cloned().unwrap_or(0.into());
                let why = "may not be 0 when `maxSurge` is 0";
                out.push(|| FieldError::invalid(here.child("maxUnavailable"), shown, why));
            }
            at_most_all(out, rolling, &here, "maxUnavailable");
        }
        _ => out.push(|| unknown(strategy, path, &["Recreate", "RollingUpdate"])),
    }
}

pub(super) fn daemon_set(strategy: &Value, path: &Path, out: &mut Errors) {
    let here = path.child("rollingUpdate");
    match (text(strategy, "type"), get(strategy, "rollingUpdate")) {
        ("OnDelete", _) => {}
        ("RollingUpdate", None) => out.push(|| FieldError::required(here, "")),
        ("RollingUpdate", Some(rolling)) => {
            for check in [positive, at_most_all] {
                check(out, rolling, &here, "maxUnavailable");
                check(out, rolling, &here, "maxSurge");
            }
            let surge = number(rolling, "maxSurge") != 0;
            match (number(rolling, "maxUnavailable") != 0, surge) {
                (true, true) => {
                    let shown = get(rolling, "maxSurge").cloned().unwrap_or_default();
                    let why = "may not be set when maxUnavailable is non-zero";
                    out.push(|| FieldError::invalid(here.child("maxSurge"), shown, why));
                }
                (false, false) => {
                    let why = "cannot be 0 when maxSurge is 0";
                    out.push(|| FieldError::required(here.child("maxUnavailable"), why));
                }
                _ => {}
            }
        }
        _ => out.push(|| unknown(strategy, path, &["RollingUpdate", "OnDelete"])),
    }
}

pub(super) fn stateful_set(strategy: &Value, path: &Path, out: &mut Errors) {
    let here = path.child("rollingUpdate");
    match (text(strategy, "type"), get(strategy, "rollingUpdate")) {
        ("", _) => out.push(|| FieldError::required(path, "")),
        ("OnDelete" | "RollingUpdate", None) => {}
        ("OnDelete", Some(rolling)) => {
            let why = "only allowed for updateStrategy 'RollingUpdate'";
            out.push(|| FieldError::invalid(here, rolling, why));
        }
        ("RollingUpdate", Some(rolling)) => {
            not_negative(out, rolling, &here, "partition");
            if get(rolling, "maxUnavailable").is_some() {
                positive(out, rolling, &here, "maxUnavailable");
                if number(rolling, "maxUnavailable") == 0 {
                    let shown = get(rolling, "maxUnavailable").cloned().unwrap_or_default();
                    let at = here.child("maxUnavailable");
                    out.push(|| FieldError::invalid(at, shown, "cannot be 0"));
                }
                at_most_all(out, rolling, &here, "maxUnavailable");
            }
        }
        _ => {
            let why = "must be 'RollingUpdate' or 'OnDelete'";
            out.push(|| FieldError::invalid(path, strategy, why));
        }
    }
}

fn unknown(strategy: &Value, path: &Path, known: &[&str]) -> FieldError {
    FieldError::not_supported(path, strategy, known)
}
