//! Jobs, and the template of one in a CronJob.

mod indexes;
mod policy;
mod status;
mod update;

use serde_json::Value;

use crate::names;
use crate::object::{self, entry, flag, get, int, part, text};
use crate::selector::LabelSelector;
use crate::status::{Errors, FieldError};

use super::path::{Path, not_negative};
use super::{domain, selector, template};

pub(super) use status::update as status_update;
pub(super) use update::update;

/// Most pods at once of a Job that counts indexes: what is done is written down as ranges of them.
const MAX_INDEXED: i64 = 100_000;
/// The same where failures are counted for each index, above [`MAX_INDEXED`] completions.
const MAX_HIGH: i64 = 10_000;
const MAX_MANAGER: usize = 63;

pub(super) fn create(value: &Value, out: &mut Errors) {
    generated_selector(value, true, out);
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    whole_spec(spec, &path, out);
    // The last pod has the longest name.
    let last = int(spec, "completions").unwrap_or(0) - 1;
    if indexed(spec) && last >= 0 {
        let name = object::name(value);
        let hostname = format!("{name}-{last}");
        if !names::dns1123_label(&hostname).is_empty() {
            let why = format!("will not able to create pod with invalid DNS label: {hostname}");
            out.push(|| FieldError::invalid("metadata.name", name, why));
        }
    }
}

fn whole_spec(spec: &Value, path: &Path, out: &mut Errors) {
    common(spec, path, out);
    let at = path.child("selector");
    match get(spec, "selector") {
        None => out.push(|| FieldError::required(at, "")),
        Some(selector) => selector::label_selector(selector, &at, out),
    }
    if let Ok(selector) = LabelSelector::from_match(part(spec, "selector")) {
        let template = part(spec, "template");
        selector::matches_template(&selector, template, &path.child("template"), out);
    }
}

/// What holds for the template of a Job too, which has no selector yet.
pub(super) fn common(spec: &Value, path: &Path, out: &mut Errors) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        not_negative(out, spec, path, field);
    }
    if get(spec, "maxFailedIndexes").is_some() && get(spec, "backoffLimitPerIndex").is_none() {
        let at = path.child("backoffLimitPerIndex");
        out.push(|| FieldError::required(at, "when maxFailedIndexes is specified"));
    }
    if let Some(manager) = get(spec, "managedBy").and_then(Value::as_str) {
        managed_by(manager, &path.child("managedBy"), out);
    }
    completion_mode(spec, path, out);
    if let Some(failure) = get(spec, "podFailurePolicy") {
        policy::failure(failure, spec, &path.child("podFailurePolicy"), out);
    }
    if let Some(success) = get(spec, "successPolicy") {
        policy::success(success, spec, &path.child("successPolicy"), out);
    }
    policy::replacement(spec, path, out);
    let here = path.child("template");
    template::check(part(spec, "template"), &here, out);
    restart_policy(spec, &here.child("spec").child("restartPolicy"), out);
}

/// Whether the pods of the Job are numbered.
fn indexed(spec: &Value) -> bool {
    text(spec, "completionMode") == "Indexed"
}

fn completion_mode(spec: &Value, path: &Path, out: &mut Errors) {
    match get(spec, "completionMode").and_then(Value::as_str) {
        None | Some("NonIndexed") => {
            for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if let Some(number) = int(spec, field) {
                    let why = "requires indexed completion mode";
                    out.push(|| FieldError::invalid(path.child(field), number, why));
                }
            }
        }
        Some("Indexed") => indexed_limits(spec, path, out),
        Some(other) => {
            let at = path.child("completionMode");
            out.push(|| FieldError::not_supported(at, other, &["NonIndexed", "Indexed"]));
        }
    }
}

fn indexed_limits(spec: &Value, path: &Path, out: &mut Errors) {
    let Some(completions) = int(spec, "completions") else {
        let why = "when completion mode is Indexed";
        out.push(|| FieldError::required(path.child("completions"), why));
        return;
    };
    let mut at_most = |field: &str, limit: i64, why: String| {
        if let Some(number) = int(spec, field).filter(|number| *number > limit) {
            out.push(|| FieldError::invalid(path.child(field), number, why));
        }
    };
    at_most(
        "parallelism",
        MAX_INDEXED,
        format!("must be less than or equal to {MAX_INDEXED} when completion mode is Indexed"),
    );
    let why = "must be less than or equal to completions".to_owned();
    at_most("maxFailedIndexes", completions, why);
    at_most(
        "maxFailedIndexes",
        MAX_INDEXED,
        format!("must be less than or equal to {MAX_INDEXED}"),
    );
    if completions <= MAX_INDEXED || get(spec, "backoffLimitPerIndex").is_none() {
        return;
    }
    let why = format!(
        "must be less than or equal to {MAX_HIGH} when completions are above {MAX_INDEXED} and \
         used with backoff limit per index"
    );
    at_most("parallelism", MAX_HIGH, why.clone());
    at_most("maxFailedIndexes", MAX_HIGH, why);
    if get(spec, "maxFailedIndexes").is_none() {
        let why = format!("must be specified when completions is above {MAX_INDEXED}");
        out.push(|| FieldError::required(path.child("maxFailedIndexes"), why));
    }
}

fn restart_policy(spec: &Value, path: &Path, out: &mut Errors) {
    let policy = text(spec, "template.spec.restartPolicy");
    match policy {
        "" | "Always" => {
            let why = "valid values: \"OnFailure\", \"Never\"";
            out.push(|| FieldError::required(path, why));
        }
        "OnFailure" if get(spec, "podFailurePolicy").is_some() => {
            let why = "only \"Never\" is supported when podFailurePolicy is specified";
            out.push(|| FieldError::invalid(path, policy, why));
        }
        "OnFailure" | "Never" => {}
        _ => out.push(|| FieldError::not_supported(path, policy, &["OnFailure", "Never"])),
    }
}

/// A Job that another controller than ours takes care of says which: `example.com/name`.
fn managed_by(manager: &str, path: &Path, out: &mut Errors) {
    domain::prefixed_path(manager, path, out);
    if manager.len() > MAX_MANAGER {
        out.push(|| FieldError::too_long(path, MAX_MANAGER));
    }
}

/// The labels that make the pods this Job's alone; see `defaults::prepare`.
fn generated_selector(value: &Value, prefixed: bool, out: &mut Errors) {
    if flag(value, "spec.manualSelector") || get(value, "spec.selector").is_none() {
        return;
    }
    let (name, uid) = (object::name(value), object::uid(value));
    if uid.is_empty() {
        out.push(|| FieldError::required("metadata.uid", ""));
    }
    let mut expected = vec![("controller-uid", uid), ("job-name", name)];
    if prefixed {
        expected.push(("batch.kubernetes.io/controller-uid", uid));
        expected.push(("batch.kubernetes.io/job-name", name));
    }
    let labels = part(value, "spec.template.metadata.labels");
    for (label, wanted) in &expected {
        let at = Path::new("spec.template.metadata.labels").key(label);
        let why = format!("must be '{wanted}'");
        match entry(value, "spec.template.metadata.labels", label) {
            None => out.push(|| FieldError::required(at, why)),
            Some(found) if found != wanted => {
                out.push(|| FieldError::invalid(at, labels, why));
            }
            Some(_) => {}
        }
    }
    let selector = part(value, "spec.selector");
    let find = |key: &str| {
        let found = expected.iter().find(|(label, _)| *label == key);
        found.map(|(_, value)| *value)
    };
    if LabelSelector::from_match(selector).is_ok_and(|selector| !selector.matches(find)) {
        let why = "`selector` not auto-generated";
        out.push(|| FieldError::invalid("spec.selector", selector, why));
    }
}
