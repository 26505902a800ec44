//! What the controller of a Job says of it. A Job that ended stays ended, and ends whole.

use serde_json::Value;

use crate::object::{entries, get, int, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, not_negative};
use super::{indexed, indexes};

pub(in super::super) fn update(new: &Value, old: &Value, out: &mut Errors) {
    let (path, status) = (Path::new("status"), part(new, "status"));
    for field in ["active", "succeeded", "failed", "ready", "terminating"] {
        not_negative(out, status, &path, field);
    }
    uncounted(status, &path.child("uncountedTerminatedPods"), out);
    let job = Job { new, old };
    job.conditions(out);
    job.times(out);
    job.finished(out);
    job.indexes(out);
    job.counters(out);
}

fn uncounted(status: &Value, path: &Path, out: &mut Errors) {
    let mut seen = std::collections::HashSet::new();
    for field in ["succeeded", "failed"] {
        let list = items(status, &format!("uncountedTerminatedPods.{field}"));
        for (at, uid) in list.iter().enumerate() {
            let here = path.child(field).index(at);
            match uid.as_str().unwrap_or("") {
                "" => out.push(|| FieldError::invalid(here, "", "must not be empty")),
                uid if !seen.insert(uid) => out.push(|| FieldError::duplicate(here, uid)),
                _ => {}
            }
        }
    }
}

fn is_true(job: &Value, condition: &str) -> bool {
    items(job, "status.conditions")
        .iter()
        .any(|one| (text(one, "type"), text(one, "status")) == (condition, "True"))
}

fn finished(job: &Value) -> bool {
    is_true(job, "Complete") || is_true(job, "Failed")
}

fn broken(out: &mut Errors, why: impl Into<String>) {
    out.push(|| FieldError::invalid("status.conditions", Value::Null, why).unshown());
}

/// Rules hold for what a write changes: what is wrong already does not keep the rest from moving.
struct Job<'a> {
    new: &'a Value,
    old: &'a Value,
}

impl Job<'_> {
    fn has(&self, condition: &str) -> bool {
        is_true(self.new, condition)
    }

    fn turns(&self, conditions: &[&str]) -> bool {
        conditions
            .iter()
            .any(|one| is_true(self.new, one) != is_true(self.old, one))
    }

    fn changes(&self, field: &str) -> bool {
        let path = format!("status.{field}");
        get(self.new, &path) != get(self.old, &path)
    }

    fn count(&self, field: &str) -> i64 {
        int(self.new, &format!("status.{field}")).unwrap_or(0)
    }

    fn conditions(&self, out: &mut Errors) {
        let both = |one: &str, other: &str| self.has(one) && self.has(other);
        if self.turns(&["Complete", "Failed"]) && both("Complete", "Failed") {
            broken(out, "cannot set Complete=True and Failed=true conditions");
        }
        if self.turns(&["Complete", "FailureTarget"]) && both("Complete", "FailureTarget") {
            broken(
                out,
                "cannot set Complete=True and FailureTarget=true conditions",
            );
        }
        let failing = self.turns(&["Failed"]) || self.changes("failedIndexes");
        if failing && self.has("Failed") && !self.has("FailureTarget") {
            let why = "cannot set Failed=True condition without the FailureTarget=true condition";
            broken(out, why);
        }
        let completing = self.turns(&["Complete", "SuccessCriteriaMet"]);
        if completing && self.has("Complete") && !self.has("SuccessCriteriaMet") {
            let why = "cannot set Complete=True condition without the SuccessCriteriaMet=true \
                       condition";
            broken(out, why);
        }
        for other in ["Failed", "FailureTarget"] {
            if both("SuccessCriteriaMet", other) {
                let why = format!("cannot set SuccessCriteriaMet=True and {other}=true conditions");
                broken(out, why);
            }
        }
        let judged = get(self.new, "spec.successPolicy").is_some();
        if judged && self.has("Complete") && !self.has("SuccessCriteriaMet") {
            let why = "cannot set Complete=True for Job with SuccessPolicy unless \
                       SuccessCriteriaMet=True";
            broken(out, why);
        }
        for terminal in ["Failed", "Complete", "FailureTarget"] {
            if is_true(self.old, terminal) && !self.has(terminal) {
                broken(
                    out,
                    format!("cannot disable the terminal {terminal}=True condition"),
                );
            }
        }
        let met = is_true(self.old, "SuccessCriteriaMet");
        if met && !self.has("SuccessCriteriaMet") {
            broken(out, "cannot disable the SuccessCriteriaMet=True condition");
        }
        if is_true(self.old, "Complete") && !met && self.has("SuccessCriteriaMet") {
            let why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true \
                       conditions";
            broken(out, why);
        }
    }

    fn times(&self, out: &mut Errors) {
        let at = "status.completionTime";
        let (start, end) = (text(self.new, "status.startTime"), text(self.new, at));
        if self.turns(&["Complete"]) || self.changes("completionTime") {
            if !end.is_empty() && !self.has("Complete") {
                let why = "cannot set completionTime when there is no Complete=True condition";
                out.push(|| FieldError::invalid(at, end, why));
            }
            if end.is_empty() && self.has("Complete") {
                let why = "completionTime is required for Complete jobs";
                out.push(|| FieldError::required(at, why));
            }
        }
        let moved = self.changes("startTime") || self.changes("completionTime");
        // Times are canonical, so that their order is that of their text.
        if moved && !start.is_empty() && !end.is_empty() && end < start {
            let why = "must be equal to or after `startTime`";
            out.push(|| FieldError::invalid(at, end, why));
        }
        let before = text(self.old, at);
        if !end.is_empty() && !before.is_empty() && end != before {
            out.push(|| FieldError::invalid(at, end, "field is immutable"));
        }
        let resuming = is_true(self.old, "Suspended") && !self.has("Suspended");
        let began = get(self.old, "status.startTime").is_some();
        let suspended = crate::object::flag(self.new, "spec.suspend");
        if self.changes("startTime") && began && !suspended && !resuming {
            let shown = part(self.new, "status.startTime");
            let why = "field is immutable for unsuspended job once set";
            out.push(|| FieldError::invalid("status.startTime", shown, why));
        }
    }

    fn finished(&self, out: &mut Errors) {
        if !finished(self.new) {
            return;
        }
        let ends = !finished(self.old);
        for field in ["active", "terminating"] {
            if (ends || self.changes(field)) && self.count(field) > 0 {
                let why = format!("{field}>0 is invalid for finished job");
                let at = format!("status.{field}");
                out.push(|| FieldError::invalid(at, self.count(field), why));
            }
        }
        let nothing_to_do = crate::object::flag(self.new, "spec.suspend")
            && int(self.new, "spec.completions") == Some(0);
        let started = get(self.new, "status.startTime").is_some();
        if (ends || self.changes("startTime")) && !nothing_to_do && !started {
            let why = "startTime is required for finished job";
            out.push(|| FieldError::required("status.startTime", why));
        }
        let at = "status.uncountedTerminatedPods";
        let left = entries(self.new, at).any(|(_, list)| *list != serde_json::json!([]));
        if (ends || self.changes("uncountedTerminatedPods")) && left {
            let shown = part(self.new, at);
            let why = "must be empty for finished job";
            out.push(|| FieldError::invalid(at, shown, why));
        }
    }

    fn indexes(&self, out: &mut Errors) {
        let (done, failed) = ("status.completedIndexes", "status.failedIndexes");
        let completions = int(self.new, "spec.completions");
        let by_index = get(self.new, "spec.backoffLimitPerIndex").is_some();
        for (field, path) in [("completedIndexes", done), ("failedIndexes", failed)] {
            let Some(text) = get(self.new, path).and_then(Value::as_str) else {
                continue;
            };
            if !self.changes(field) {
                continue;
            }
            if let Some(completions) =
                completions.filter(|_| field == "completedIndexes" || by_index)
                && let Err(why) = indexes::count(text, completions)
            {
                let why = format!("error parsing {field}: {why}");
                out.push(|| FieldError::invalid(path, text, why));
            }
            if field == "completedIndexes" && !text.is_empty() && !indexed(part(self.new, "spec")) {
                let why = "cannot set non-empty completedIndexes when non-indexed completion mode";
                out.push(|| FieldError::invalid(path, text, why));
            }
            if field == "failedIndexes" && !by_index {
                let why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
                out.push(|| FieldError::invalid(path, text, why));
            }
        }
        let moved = self.changes("completedIndexes") || self.changes("failedIndexes");
        if let Some(completions) = completions.filter(|_| moved && !is_empty(self.new, failed))
            && let Some(index) =
                indexes::overlap(text(self.new, done), text(self.new, failed), completions)
        {
            let why = format!("failedIndexes and completedIndexes overlap at index: {index}");
            out.push(|| FieldError::invalid(failed, text(self.new, failed), why));
        }
    }

    fn counters(&self, out: &mut Errors) {
        let moved = self.changes("ready") || self.changes("active");
        if moved && self.count("ready") > self.count("active") {
            let why = "cannot set more ready pods than active";
            out.push(|| FieldError::invalid("status.ready", self.count("ready"), why));
        }
        // A Job whose indexes all run at once may be scaled down.
        let scalable = indexed(part(self.new, "spec"))
            && get(self.new, "spec.completions") == get(self.new, "spec.parallelism");
        for (field, free) in [("failed", false), ("succeeded", scalable)] {
            let before = int(self.old, &format!("status.{field}")).unwrap_or(0);
            if !free && self.count(field) < before {
                let why = format!("cannot decrease the {field} counter");
                let at = format!("status.{field}");
                out.push(|| FieldError::invalid(at, self.count(field), why));
            }
        }
    }
}
