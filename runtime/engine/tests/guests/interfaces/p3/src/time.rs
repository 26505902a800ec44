//! `wasi:clocks` and `wasi:random`.

use crate::check::{equal, holds};
use wasip3::clocks::{monotonic_clock, system_clock};
use wasip3::random::{insecure, insecure_seed, random};

const MILLISECOND: u64 = 1_000_000;

pub async fn clocks() {
    let start = monotonic_clock::now();
    let resolution = monotonic_clock::get_resolution();
    holds(resolution > 0 && resolution <= 1_000 * MILLISECOND);
    monotonic_clock::wait_until(start + 2 * MILLISECOND).await;
    holds(monotonic_clock::now() >= start + 2 * MILLISECOND);
    monotonic_clock::wait_until(0).await;
    let before = monotonic_clock::now();
    monotonic_clock::wait_for(2 * MILLISECOND).await;
    holds(monotonic_clock::now() >= before + 2 * MILLISECOND);

    // 2020 to 2100.
    let now = system_clock::now();
    holds((1_577_836_800..4_102_444_800).contains(&now.seconds));
    holds(now.nanoseconds < 1_000_000_000);
    let resolution = system_clock::get_resolution();
    holds(resolution > 0 && resolution <= 1_000 * MILLISECOND);
}

pub fn random() {
    // Fewer bytes than asked for may come, but some.
    let (one, other) = (random::get_random_bytes(64), random::get_random_bytes(64));
    holds((1..=64).contains(&one.len()) && (1..=64).contains(&other.len()));
    holds(one != other);
    equal(random::get_random_bytes(0), b"");
    holds(random::get_random_u64() != random::get_random_u64());
    let (one, other) = (insecure::get_insecure_random_bytes(64), insecure::get_insecure_random_bytes(64));
    holds((1..=64).contains(&one.len()) && (1..=64).contains(&other.len()));
    holds(one != other);
    holds(insecure::get_insecure_random_u64() != insecure::get_insecure_random_u64());
    holds(insecure_seed::get_insecure_seed() != (0, 0));
}
