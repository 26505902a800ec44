//! Dates, times and durations.

use std::sync::LazyLock;

use regex::Regex;

use crate::time::is_go_duration;

/// `2006-01-02`
pub(super) fn date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    shaped && text.parse::<jiff::civil::Date>().is_ok()
}

/// A date, `T`, a time with optional fraction, and `Z` or an offset.
pub(super) fn date_time(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut parts = text.split('t');
    match (parts.next(), parts.next()) {
        (Some(day), Some(time)) => date(day) && clock(time),
        _ => false,
    }
}

/// `19:30:20.5z`, `19:30:20+01:00`
fn clock(text: &str) -> bool {
    let pair = |text: &str, max: u32| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits && text.parse::<u32>().is_ok_and(|number| number <= max)
    };
    let Some((time, rest)) = text.split_at_checked("19:30:20".len()) else {
        return false;
    };
    let parts: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else {
        return false;
    };
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let fraction = &rest[..rest.len() - zone.len()];
    let cut = fraction.is_empty() || fraction.starts_with('.') && fraction.len() > 1;
    let offset = zone
        .strip_prefix(['+', '-'])
        .and_then(|it| it.split_once(':'));
    let zoned = zone == "z" || offset.is_some_and(|(h, m)| pair(h, 99) && pair(m, 99));
    pair(hour, 23) && pair(minute, 59) && pair(second, 59) && cut && zoned
}

/// Go's form (`1h30m`), or numbers with units as words (`2 days`).
pub(super) fn duration(text: &str) -> bool {
    const UNITS: [&str; 18] = [
        "ns", "nano", "us", "µs", "micro", "ms", "milli", "s", "sec", "m", "min", "h", "hr",
        "hour", "d", "day", "w", "wk",
    ];
    /// Whatever follows these is taken for their plural.
    const STEMS: [&str; 8] = [
        "nano", "micro", "milli", "sec", "min", "hour", "day", "week",
    ];
    const PAIR: &str = r"([0-9]+)\s*([A-Za-zµ]+)";
    static COMPILED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(PAIR).ok());
    if is_go_duration(text) {
        return true;
    }
    let Some(regex) = COMPILED.as_ref() else {
        return false;
    };
    regex.captures_iter(text).any(|found| {
        let unit = found[2].to_lowercase();
        found[1].parse::<i64>().is_ok()
            && (UNITS.contains(&unit.as_str()) || STEMS.iter().any(|stem| unit.starts_with(stem)))
    })
}
