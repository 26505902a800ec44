//! `test` and `[`: conditions as exit codes.

use std::fs;

use crate::{Outcome, usage};

pub(crate) fn bracket(args: &[String]) -> Outcome {
    match args.split_last() {
        Some((last, rest)) if last == "]" => test(rest),
        _ => Err(usage("[ EXPRESSION ]")),
    }
}

pub(crate) fn test(args: &[String]) -> Outcome {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match holds(&words) {
        Some(true) => Ok(0),
        Some(false) => Ok(1),
        None => {
            eprintln!("test: cannot read {words:?}");
            Ok(2)
        }
    }
}

fn holds(words: &[&str]) -> Option<bool> {
    let found = |path: &str| fs::metadata(path).ok();
    match words {
        [] => Some(false),
        [text] => Some(!text.is_empty()),
        ["!", rest @ ..] => holds(rest).map(|holds| !holds),
        ["-n", text] => Some(!text.is_empty()),
        ["-z", text] => Some(text.is_empty()),
        ["-e", path] => Some(found(path).is_some()),
        ["-f", path] => Some(found(path).is_some_and(|found| found.is_file())),
        ["-d", path] => Some(found(path).is_some_and(|found| found.is_dir())),
        ["-s", path] => Some(found(path).is_some_and(|found| found.len() > 0)),
        [left, "=" | "==", right] => Some(left == right),
        [left, "!=", right] => Some(left != right),
        [left, sign, right] => {
            let (left, right) = (left.parse::<i64>().ok()?, right.parse::<i64>().ok()?);
            match *sign {
                "-eq" => Some(left == right),
                "-ne" => Some(left != right),
                "-lt" => Some(left < right),
                "-le" => Some(left <= right),
                "-gt" => Some(left > right),
                "-ge" => Some(left >= right),
                _ => None,
            }
        }
        _ => None,
    }
}
