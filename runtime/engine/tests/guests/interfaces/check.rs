//! Checks that end the guest, each with a code of its own: its number, counted from 1.

use crate::exit_with_code;
use std::fmt::Debug;
use std::panic::Location;
use std::sync::atomic::{AtomicU8, Ordering};

static CHECKS: AtomicU8 = AtomicU8::new(0);

/// Ends the guest unless this is so.
#[track_caller]
pub fn holds(condition: bool) {
    counted(condition, || "not so".to_string());
}

/// Ends the guest unless both are the same.
#[track_caller]
pub fn equal<T: PartialEq<U> + Debug, U: Debug>(is: T, should: U) {
    counted(is == should, || format!("{is:?} should be {should:?}"));
}

/// The value of a call that must succeed.
#[track_caller]
pub fn ok<T, E: Debug>(result: Result<T, E>) -> T {
    counted(result.is_ok(), || format!("failed: {:?}", result.as_ref().err()));
    result.unwrap_or_else(|_| unreachable!())
}

/// The error of a call that must fail.
#[track_caller]
pub fn err<T, E>(result: Result<T, E>) -> E {
    counted(result.is_err(), || "should have failed".to_string());
    result.err().unwrap_or_else(|| unreachable!())
}

#[track_caller]
fn counted(passed: bool, why: impl FnOnce() -> String) {
    let number = CHECKS.fetch_add(1, Ordering::Relaxed) + 1;
    if !passed {
        let place = Location::caller();
        eprintln!("check {number} at {}:{}: {}", place.file(), place.line(), why());
        exit_with_code(number);
    }
}
