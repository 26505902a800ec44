//! Tools that ask the system.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Outcome, usage};

/// Prints the environment. Running another program is not in WASI.
pub(crate) fn env(args: &[String]) -> Outcome {
    if let Some(program) = args.first() {
        return Err(io::Error::other(format!("cannot run {program:?}")));
    }
    for (name, value) in std::env::vars() {
        println!("{name}={value}");
    }
    Ok(0)
}

pub(crate) fn hostname(_args: &[String]) -> Outcome {
    let name = std::env::var("HOSTNAME").map_err(|_| io::Error::other("HOSTNAME is not set"))?;
    println!("{name}");
    Ok(0)
}

/// WASI has no users.
pub(crate) fn id(args: &[String]) -> Outcome {
    match args.first().map(String::as_str) {
        Some("-u" | "-g") => println!("0"),
        _ => println!("uid=0(root) gid=0(root)"),
    }
    Ok(0)
}

pub(crate) fn pwd(_args: &[String]) -> Outcome {
    println!("{}", std::env::current_dir()?.display());
    Ok(0)
}

pub(crate) fn sleep(args: &[String]) -> Outcome {
    let seconds = args.first().and_then(|text| text.parse::<f64>().ok());
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    std::thread::sleep(time.ok_or_else(|| usage("sleep SECONDS"))?);
    Ok(0)
}

/// In UTC: `2026-01-31T12:34:56Z`, with `+%s` the seconds since 1970.
pub(crate) fn date(args: &[String]) -> Outcome {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.map_err(io::Error::other)?.as_secs();
    if args.first().is_some_and(|format| format == "+%s") {
        println!("{seconds}");
        return Ok(0);
    }
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    println!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    Ok(0)
}

/// The day so many days after the first of January 1970.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}
