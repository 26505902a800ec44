//! Timestamps as Kubernetes writes them (`Time`: whole seconds; `MicroTime`: six digits; both UTC
//! with `Z`) and ages as kubectl prints them. No clock: `now` is always an argument.

use jiff::{SignedDuration, Timestamp};

/// The `Time` form: `2026-11-23T01:29:07Z`. Fractions are cut off.
pub fn seconds(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The `MicroTime` form: `2026-11-23T01:29:07.123456Z`. Always six digits: clients parse by width.
pub fn micro(timestamp: Timestamp) -> String {
    format!(
        "{}.{:06}Z",
        timestamp.strftime("%Y-%m-%dT%H:%M:%S"),
        timestamp.subsec_nanosecond().rem_euclid(1_000_000_000) / 1_000
    )
}

/// Parses any RFC 3339 timestamp. `None` for anything else.
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T';
    if shaped { text.parse().ok() } else { None }
}

/// Whether Go's `time.ParseDuration` takes it: `1h30m`, `1.5s`; numbers, each with its unit.
pub fn is_go_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let dots = number.matches('.').count();
        let unit = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let known = matches!(
            &after[..unit],
            "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h"
        );
        if number.len() == dots || dots > 1 || !known {
            return false;
        }
        rest = &after[unit..];
    }
    true
}

/// How long ago `timestamp` was, for a table cell: `5m3s`, or `<unknown>` when there is none.
pub fn age(timestamp: &str, now: Timestamp) -> String {
    match parse(timestamp) {
        Some(then) => human(now.duration_since(then)),
        None => "<unknown>".to_owned(),
    }
}

/// A duration with two or three significant figures, with the thresholds kubectl's users know.
pub fn human(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    // Clocks of two machines may differ by a second or two: that is "now", more is an error.
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    if seconds < 0 {
        return "0s".to_owned();
    }
    if seconds < 120 {
        return format!("{seconds}s");
    }
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    if minutes < 10 {
        return pair(minutes, "m", seconds % 60, "s");
    }
    if minutes < 180 {
        return format!("{minutes}m");
    }
    if hours < 8 {
        return pair(hours, "h", minutes % 60, "m");
    }
    if hours < 48 {
        return format!("{hours}h");
    }
    let (days, years) = (hours / 24, hours / 24 / 365);
    if hours < 24 * 8 {
        return pair(days, "d", hours % 24, "h");
    }
    if hours < 24 * 365 * 2 {
        return format!("{days}d");
    }
    if hours < 24 * 365 * 8 {
        return pair(years, "y", days % 365, "d");
    }
    format!("{years}y")
}

/// `5m3s`, or `5m` when the smaller unit is zero.
fn pair(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large}{large_unit}")
    } else {
        format!("{large}{large_unit}{small}{small_unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        let check = |secs: i64, expect: &str| {
            assert_eq!(human(SignedDuration::from_secs(secs)), expect, "{secs}");
        };
        check(-2, "<invalid>");
        check(-1, "0s");
        check(0, "0s");
        check(119, "119s");
        check(120, "2m");
        check(303, "5m3s");
        check(600, "10m");
        check(179 * 60, "179m");
        check(180 * 60, "3h");
        check(4 * 3600 + 60, "4h1m");
        check(8 * 3600, "8h");
        check(47 * 3600, "47h");
        check(48 * 3600, "2d");
        check(50 * 3600, "2d2h");
        check(8 * 86400, "8d");
        check(729 * 86400, "729d");
        check(731 * 86400, "2y1d");
        check(9 * 365 * 86400, "9y");
    }

    #[test]
    fn forms() {
        let check = |text: &str, whole: &str, six: &str| {
            let parsed = parse(text).expect(text);
            assert_eq!(seconds(parsed), whole);
            assert_eq!(micro(parsed), six);
        };
        check(
            "2026-11-23T01:29:07Z",
            "2026-11-23T01:29:07Z",
            "2026-11-23T01:29:07.000000Z",
        );
        check(
            "2026-11-23T01:29:07.5Z",
            "2026-11-23T01:29:07Z",
            "2026-11-23T01:29:07.500000Z",
        );
        check(
            "2026-11-23T03:29:07+02:00",
            "2026-11-23T01:29:07Z",
            "2026-11-23T01:29:07.000000Z",
        );
        assert_eq!(parse("2026-11-23"), None);
        assert_eq!(parse(""), None);
        assert_eq!(age("", Timestamp::UNIX_EPOCH), "<unknown>");
    }
}
