//! Processor time of a process, as the kernel counts it.

use std::time::Duration;

/// The unit of `/proc/PID/stat`: a hundredth of a second, whatever the kernel's own clock is.
const TICK: Duration = Duration::from_millis(10);

/// What a process and its threads have used so far, in the kernel and out of it. None when it cannot be known.
pub(crate) fn time(process: u32) -> Option<Duration> {
    parse(&std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<Duration> {
    // The name before it may hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * (ticks()? + ticks()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_after_the_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 2001 0 0 0 31 11 0 0 20 0 4 0 100 1 1 1";
        assert_eq!(parse(stat), Some(Duration::from_millis(420)));
        assert_eq!(parse("7 (a) S 1"), None);
        assert!(time(std::process::id()).is_some());
    }
}
