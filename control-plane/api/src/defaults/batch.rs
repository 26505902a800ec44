//! Defaults of Jobs and CronJobs. Selectors and labels of a Job follow from its name and uid: see
//! `prepare`.

use serde_json::{Map, Value};

use crate::object::{get, set_default};

use super::{default_text, each, template};

/// Failed pods a Job bears, unless it counts them for each index.
const BACKOFF_LIMIT: i64 = 6;

pub(super) fn job(value: &mut Value) {
    template::required(value, "spec.template");
    failure_policy(value, "spec");
    if get(value, "spec.completions").is_none() && get(value, "spec.parallelism").is_none() {
        set_default(value, "spec.completions", 1);
    }
    set_default(value, "spec.parallelism", 1);
    let by_index = get(value, "spec.backoffLimitPerIndex").is_some();
    let limit = if by_index {
        i64::from(i32::MAX)
    } else {
        BACKOFF_LIMIT
    };
    set_default(value, "spec.backoffLimit", limit);
    set_default(value, "spec.completionMode", "NonIndexed");
    set_default(value, "spec.suspend", false);
    let replace = match get(value, "spec.podFailurePolicy") {
        Some(_) => "Failed",
        None => "TerminatingOrFailed",
    };
    set_default(value, "spec.podReplacementPolicy", replace);
    set_default(value, "spec.manualSelector", false);
}

/// The Jobs a CronJob makes get their own defaults when they are made.
pub(super) fn cron_job(value: &mut Value) {
    set_default(value, "spec.jobTemplate.metadata", Map::new());
    template::required(value, "spec.jobTemplate.spec.template");
    failure_policy(value, "spec.jobTemplate.spec");
    default_text(value, "spec.concurrencyPolicy", "Allow");
    set_default(value, "spec.suspend", false);
    set_default(value, "spec.successfulJobsHistoryLimit", 3);
    set_default(value, "spec.failedJobsHistoryLimit", 1);
}

fn failure_policy(value: &mut Value, spec: &str) {
    each(value, &format!("{spec}.podFailurePolicy.rules"), |rule| {
        each(rule, "onPodConditions", |pattern| {
            default_text(pattern, "status", "True");
        });
    });
}
