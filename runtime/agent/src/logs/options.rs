//! What part of a log is asked for, from the query of a request.

use jiff::{SignedDuration, Timestamp};

/// The options of `pods/log`. The default is everything there is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LogOptions {
    pub(crate) follow: bool,
    /// The log of the instance before the present one.
    pub(crate) previous: bool,
    /// Every line starts with its time.
    pub(crate) timestamps: bool,
    pub(crate) tail_lines: Option<u64>,
    pub(crate) limit_bytes: Option<u64>,
    /// Lines before this moment are left out.
    pub(crate) since: Option<Timestamp>,
}

/// Reads the query of a request; unknown names are passed over, as upstream does. The error is
/// written for the caller.
pub(crate) fn parse<'a>(
    query: impl Iterator<Item = (&'a str, &'a str)>,
    now: Timestamp,
) -> Result<LogOptions, String> {
    let mut options = LogOptions::default();
    let mut since_seconds = None;
    let mut since_time = None;
    for (name, value) in query.filter(|(_, value)| !value.is_empty()) {
        match name {
            "follow" => options.follow = flag(name, value)?,
            "previous" => options.previous = flag(name, value)?,
            "timestamps" => options.timestamps = flag(name, value)?,
            "tailLines" => options.tail_lines = Some(count(name, value, 0)?),
            "limitBytes" => options.limit_bytes = Some(count(name, value, 1)?),
            "sinceSeconds" => since_seconds = Some(count(name, value, 1)?),
            "sinceTime" => {
                let time: Timestamp = value
                    .parse()
                    .map_err(|_| format!("sinceTime: invalid time {value:?}"))?;
                since_time = Some(time);
            }
            _ => {}
        }
    }
    if since_seconds.is_some() && since_time.is_some() {
        return Err("at most one of `sinceTime` or `sinceSeconds` may be specified".into());
    }
    options.since = since_time.or_else(|| {
        let seconds = i64::try_from(since_seconds?).unwrap_or(i64::MAX);
        // Longer ago than time goes back is everything.
        Some(
            now.checked_sub(SignedDuration::from_secs(seconds))
                .unwrap_or(Timestamp::MIN),
        )
    });
    Ok(options)
}

fn flag(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok(true),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("{name}: invalid boolean {value:?}")),
    }
}

fn count(name: &str, value: &str, least: u64) -> Result<u64, String> {
    let number = value.parse::<u64>().ok().filter(|number| *number >= least);
    number
        .ok_or_else(|| format!("{name}: must be a whole number of at least {least}, not {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let ask = |pairs: &[(&str, &str)]| parse(pairs.iter().copied(), now);
        assert_eq!(ask(&[]), Ok(LogOptions::default()));
        let all = ask(&[
            ("follow", "true"),
            ("previous", "1"),
            ("timestamps", "true"),
            ("tailLines", "0"),
            ("limitBytes", "9"),
            ("sinceSeconds", "60"),
            ("pretty", "x"),
            ("container", ""),
        ]);
        let expect = LogOptions {
            follow: true,
            previous: true,
            timestamps: true,
            tail_lines: Some(0),
            limit_bytes: Some(9),
            since: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        };
        assert_eq!(all, Ok(expect));
        for bad in [
            ("follow", "yes"),
            ("tailLines", "-1"),
            ("tailLines", "x"),
            ("limitBytes", "0"),
            ("sinceSeconds", "0"),
            ("sinceTime", "yesterday"),
        ] {
            assert!(ask(&[bad]).is_err(), "{bad:?}");
        }
        assert!(ask(&[("sinceSeconds", "1"), ("sinceTime", "2026-01-01T00:00:00Z")]).is_err());
        let long_ago = ask(&[("sinceSeconds", "18446744073709551615")]).unwrap();
        assert_eq!(long_ago.since, Some(Timestamp::MIN));
    }
}
