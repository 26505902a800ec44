//! CronJobs.

mod schedule;

use jiff::tz::TimeZoneDatabase;
use serde_json::Value;

use crate::object::{self, flag, get, part, text};
use crate::status::{Errors, FieldError};

use super::job;
use super::path::{Path, not_negative, required_choice};

/// The controller adds eleven characters to the name of each Job.
const MAX_NAME: usize = 52;
/// Longest part of a time zone's name.
const MAX_ZONE_PART: usize = 14;

pub(super) fn create(value: &Value, out: &mut Errors) {
    spec(value, None, out);
    let name = object::name(value);
    if name.len() > MAX_NAME {
        let why = format!("must be no more than {MAX_NAME} characters");
        out.push(|| FieldError::invalid("metadata.name", name, why));
    }
}

pub(super) fn update(new: &Value, old: &Value, out: &mut Errors) {
    spec(new, Some(old), out);
}

fn spec(value: &Value, old: Option<&Value>, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    let zone = get(spec, "timeZone").and_then(Value::as_str);
    match text(spec, "schedule") {
        "" => out.push(|| FieldError::required(path.child("schedule"), "")),
        schedule => {
            let zoned_before = old.is_some_and(|old| text(old, "spec.schedule").contains("TZ"));
            check_schedule(schedule, zone, zoned_before, &path.child("schedule"), out);
        }
    }
    not_negative(out, spec, &path, "startingDeadlineSeconds");
    let kept = old.is_some_and(|old| get(old, "spec.timeZone") == get(spec, "timeZone"));
    if let Some(zone) = zone.filter(|_| !kept) {
        time_zone(zone, &path.child("timeZone"), out);
    }
    let policies = ["Allow", "Forbid", "Replace"];
    required_choice(out, spec, &path, "concurrencyPolicy", &policies);
    let (here, template) = (
        path.child("jobTemplate").child("spec"),
        part(spec, "jobTemplate.spec"),
    );
    job::common(template, &here, out);
    if let Some(selector) = get(template, "selector") {
        let why = "`selector` will be auto-generated";
        out.push(|| FieldError::invalid(here.child("selector"), selector, why));
    }
    if flag(template, "manualSelector") {
        let at = here.child("manualSelector");
        out.push(|| FieldError::not_supported(at, true, &["nil", "false"]));
    }
    not_negative(out, spec, &path, "successfulJobsHistoryLimit");
    not_negative(out, spec, &path, "failedJobsHistoryLimit");
}

fn check_schedule(
    text: &str,
    zone: Option<&str>,
    zoned_before: bool,
    path: &Path,
    out: &mut Errors,
) {
    if let Err(why) = schedule::parse(text) {
        out.push(|| FieldError::invalid(path, text, why));
    }
    if !text.contains("TZ") {
        return;
    }
    let why = match (zoned_before, zone) {
        (true, None) => return,
        (true, Some(_)) => "cannot use both timeZone field and TZ or CRON_TZ in schedule",
        (false, _) => "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
    };
    out.push(|| FieldError::invalid(path, text, why));
}

fn time_zone(zone: &str, path: &Path, out: &mut Errors) {
    if zone.is_empty() {
        let why = "timeZone must be nil or non-empty string";
        out.push(|| FieldError::invalid(path, zone, why));
        return;
    }
    if zone.eq_ignore_ascii_case("Local") {
        let why = "timeZone must be an explicit time zone as defined in \
                   https://www.iana.org/time-zones";
        out.push(|| FieldError::invalid(path, zone, why));
    } else if !zone.split('/').all(zone_part) || !known_zone(zone) {
        let why = format!("unknown time zone {zone}");
        out.push(|| FieldError::invalid(path, zone, why));
    }
}

fn zone_part(part: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte);
    !part.is_empty()
        && part.len() <= MAX_ZONE_PART
        && !part.starts_with('-')
        && !matches!(part, "." | "..")
        && part.bytes().all(allowed)
}

/// The zones that come with this program: what is valid does not depend on the machine.
fn known_zone(zone: &str) -> bool {
    let found = TimeZoneDatabase::bundled().get(zone);
    found.is_ok_and(|found| found.iana_name() == Some(zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones() {
        let check = |zone: &str, expect: &str| {
            let mut out = Errors::new();
            time_zone(zone, &Path::new("z"), &mut out);
            let found: Vec<String> = out.into_list().iter().map(ToString::to_string).collect();
            assert_eq!(found.join("; "), expect);
        };
        check("Europe/Berlin", "");
        check("UTC", "");
        check("Etc/GMT+12", "");
        check(
            "europe/berlin",
            "z: Invalid value: \"europe/berlin\": unknown time zone europe/berlin",
        );
        check(
            "Mars/Base",
            "z: Invalid value: \"Mars/Base\": unknown time zone Mars/Base",
        );
        check(
            "../etc",
            "z: Invalid value: \"../etc\": unknown time zone ../etc",
        );
        check(
            "local",
            "z: Invalid value: \"local\": timeZone must be an explicit time zone as defined in \
             https://www.iana.org/time-zones",
        );
        check(
            "",
            "z: Invalid value: \"\": timeZone must be nil or non-empty string",
        );
    }
}
