//! Tables of jobs.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{self, get, int, items, text};
use crate::time;

use super::format::{containers, selector_cell, truth};
use super::workloads::{CONTAINERS, IMAGES, SELECTOR};
use super::{AGE, NAME, NONE, PLAIN, Printer, age, boolean, column, integer, name, shown};

pub(super) const JOB: Printer = Printer {
    columns: &[
        NAME,
        column("Status", "What the job is doing, or how it ended."),
        column("Completions", "How many pods succeeded, of those wanted."),
        column("Duration", "How long the job has run, or ran."),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: job,
    ..PLAIN
};

pub(super) const CRON_JOB: Printer = Printer {
    columns: &[
        NAME,
        column("Schedule", "When jobs are created."),
        column("Timezone", "Where that time counts."),
        boolean("Suspend", "Whether no further jobs are created."),
        integer("Active", "Number of jobs that are running."),
        column("Last Schedule", "Time since a job was created last."),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: cron_job,
    ..PLAIN
};

fn job(job: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![
        name(job),
        json!(status(job)),
        json!(completions(job)),
        json!(duration(job, now)),
        age(job, now),
    ];
    cells.extend(containers(job, "spec.template.spec.containers"));
    cells.push(selector_cell(job, "spec.selector"));
    cells
}

/// The first of these that is true says most.
fn status(job: &Value) -> &'static str {
    let is = |kind: &str| {
        let mut conditions = items(job, "status.conditions").iter();
        conditions
            .find(|one| text(one, "type") == kind)
            .is_some_and(|one| text(one, "status") == "True")
    };
    if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if object::deletion_timestamp(job).is_some() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(job: &Value) -> String {
    let succeeded = int(job, "status.succeeded").unwrap_or(0);
    let parallelism = int(job, "spec.parallelism").unwrap_or(0);
    match int(job, "spec.completions") {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        None => format!("{succeeded}/1"),
    }
}

fn duration(job: &Value, now: Timestamp) -> String {
    let Some(start) = time::parse(text(job, "status.startTime")) else {
        return String::new();
    };
    let end = time::parse(text(job, "status.completionTime")).unwrap_or(now);
    time::human(end.duration_since(start))
}

fn cron_job(job: &Value, now: Timestamp) -> Vec<Value> {
    let last = get(job, "status.lastScheduleTime").and_then(Value::as_str);
    let zone = get(job, "spec.timeZone").and_then(Value::as_str);
    let mut cells = vec![
        name(job),
        shown(job, "spec.schedule"),
        json!(zone.unwrap_or(NONE)),
        json!(truth(get(job, "spec.suspend"))),
        json!(items(job, "status.active").len()),
        json!(last.map_or_else(|| NONE.to_owned(), |last| time::age(last, now))),
        age(job, now),
    ];
    cells.extend(containers(
        job,
        "spec.jobTemplate.spec.template.spec.containers",
    ));
    cells.push(selector_cell(job, "spec.jobTemplate.spec.selector"));
    cells
}
