//! The two forms of time the contract uses. Wall clock: kubelets compare it with their own.

use jiff::Timestamp;

/// Nanoseconds since the epoch, as in every message.
pub(crate) fn now_nanos() -> i64 {
    // In range until the year 2262.
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// RFC 3339 with nine digits behind the second, as in every log line: fixed width, so that lines
/// sort by text.
pub(crate) fn log_stamp() -> String {
    format!("{:.9}", Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_stamps_have_nine_digits() {
        let stamp = log_stamp();
        assert_eq!(
            stamp.len(),
            "2026-01-01T00:00:00.000000000Z".len(),
            "{stamp}"
        );
        assert!(stamp.ends_with('Z'), "{stamp}");
        assert!(now_nanos() > 1_600_000_000_000_000_000);
    }
}
